/* hf_impl.h: what the files of the module share. A config.json becomes one object of the language
 * model's keys under one name each (hf_json.c), in which the family's class has put what the file
 * leaves out (hf_family.c); a model is read from that by key (hf_model.c, hf_attention.c,
 * hf_experts.c, hf_layers.c), and a key that nothing has read must be harmless (hf_known.c). */
#ifndef DF_HF_IMPL_H
#define DF_HF_IMPL_H
#include <jansson.h>

#include "hf/hf.h"

#define DF_HF_MOST INT64_C(2147483647) /* largest count; products of two do not overflow */

/* ---- Families ---- */

enum {
    DF_HF_NOT_GATED = 1,            /* the feed-forward network has no gate */
    DF_HF_TIED = 2,                 /* embedding and head are one table, unless the file says no */
    DF_HF_LAYER_NORM = 4,           /* norms have a shift */
    DF_HF_PLAIN_NORM = 8,           /* norms have no parameters */
    DF_HF_BIAS_QKV = 16,            /* queries, keys and values have biases */
    DF_HF_BIAS_ALL = 32,            /* and so has the output */
    DF_HF_FFN_BIAS = 64,            /* the feed-forward network has */
    DF_HF_BIAS_IS_QKV = 128,        /* attention_bias leaves the output out */
    DF_HF_SLIDES = 256,             /* sliding_window is meant without use_sliding_window */
    DF_HF_SHARED_GATE = 512,        /* the shared expert has a gate of its own */
    DF_HF_SINKS = 1024,             /* heads have sinks */
    DF_HF_POSITIONS = 2048,         /* positions are learned */
    DF_HF_OUT_GATE = 4096,          /* the output of attention has a gate */
    DF_HF_HALF_FFN = 8192,          /* intermediate_size counts both halves of the gate */
    DF_HF_INTERLEAVED = 1 << 14,    /* every 4th layer attends to all, the others to a chunk */
    DF_HF_STATE_ONLY = 1 << 15,     /* no layer attends */
    DF_HF_PARALLEL_MAMBA = 1 << 16, /* each layer has attention and a state side by side */
    DF_HF_HEAD_PER_HEAD = 1 << 17,  /* without num_key_value_heads, one; falcon, gpt_bigcode */
};

typedef enum {
    DF_HF_QK_NONE,
    DF_HF_QK_HEAD,
    DF_HF_QK_ALL,
    DF_HF_QK_HEAD_IF, /* where use_qk_norm or qk_layernorm says so */
    DF_HF_QK_ALL_IF
} df_hf_qk;

typedef struct {
    const char *type; /* model_type */
    unsigned is;
    uint8_t norms;        /* of a layer */
    uint8_t qk;           /* df_hf_qk */
    uint8_t state;        /* df_mixer of layers that do not attend */
    const char *defaults; /* keys of the class, as JSON; NULL: none is known */
} df_hf_family;

/* NULL: not known. *near becomes the known one that is closest. */
const df_hf_family *df_hf_find_family(const char *type, const char **near);
/* What an architecture is that does not decode ("an encoder"), or NULL. */
const char *df_hf_not_a_decoder(const char *type);

/* ---- Keys ---- */

/* A config.json being read. The first failure is kept in status; later calls do nothing. */
typedef struct {
    const char *from;
    json_t *config; /* the language model's keys */
    json_t *used;   /* those that were asked for */
    df_hf_family family;
    df_hf_model *model;
    df_status status;
    df_err *err;
} df_hf_reader;

/* Parses a file, as Python writes JSON: NaN and Infinity become texts. */
DF_NODISCARD df_status df_hf_parse(const df_hf_file *file, json_t **root, df_err *err);
/* The language model's keys: its own part first, then the whole's. */
json_t *df_hf_flatten(const json_t *root);
/* Gives keys the one name that the readers ask for. */
void df_hf_rename(json_t *config);
/* Puts in what the class of the family would; *notes says what. */
void df_hf_complete(df_hf_reader *r);

void df_hf_fail(df_hf_reader *r, const char *key, const char *expected, const json_t *found);
/* NULL: there is none, or it is null. */
const json_t *df_hf_value(df_hf_reader *r, const char *key);
/* A whole number of at least `low`, or a list of the same one; `missing` if there is none. */
int64_t df_hf_count_or(df_hf_reader *r, const char *key, int64_t low, int64_t missing);
/* The same under the first of the keys that is there; the list ends with NULL. */
int64_t df_hf_count_of(df_hf_reader *r, const char *const *keys, int64_t low, int64_t missing);
int64_t df_hf_count(df_hf_reader *r, const char *key); /* it must be there; 1 on failure */
bool df_hf_flag(df_hf_reader *r, const char *key, bool missing);
const char *df_hf_text(df_hf_reader *r, const char *key);   /* NULL: it is none */
const json_t *df_hf_list(df_hf_reader *r, const char *key); /* NULL: none, or an empty one */
/* Element of a list as a count; -1 and a failure if it is none. */
int64_t df_hf_at(df_hf_reader *r, const char *key, const json_t *list, size_t index);
void df_hf_ignore(df_hf_reader *r, const char *key); /* it costs nothing here */
/* A line for the comments of the model file. */
void df_hf_note(df_hf_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define DF_HF_KEYS(...)                                                                            \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* ---- Parts ---- */

/* Layers, one by one. */
typedef struct {
    int32_t count;
    df_layer_kind at[DF_LAYERS_MAX];
} df_hf_layers;

void df_hf_read_attention(df_hf_reader *r);
void df_hf_read_state(df_hf_reader *r);
void df_hf_read_experts(df_hf_reader *r);
void df_hf_read_mixers(df_hf_reader *r, df_hf_layers *layers);
void df_hf_read_ffns(df_hf_reader *r, df_hf_layers *layers);
/* Layers that are no list of kinds but of blocks, each as its file describes it. */
void df_hf_read_blocks(df_hf_reader *r, df_hf_layers *layers);
/* Puts them into the model, unless all are as usual. */
void df_hf_store_layers(df_hf_reader *r, const df_hf_layers *layers);
void df_hf_read_quantization(df_hf_reader *r);
/* Fails at a key that nothing has read and that might cost something; or, with `allow`, notes it.
 */
void df_hf_check_keys(df_hf_reader *r, bool allow);

#endif
