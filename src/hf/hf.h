/* hf.h: models of HuggingFace, from their config.json to DeepFlow's model file.
 *
 *   hf_find.c   where the config.json is: a file, a folder, HuggingFace's cache, its server
 *   hf_fetch.c  the server, over HTTPS; libcurl
 *   hf_model.c  what the config.json says; jansson
 *   hf_yaml.c   the model file
 *
 * Reads no environment and prints nothing. */
#ifndef DF_HF_H
#define DF_HF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* ---- Where to find a model ---- */

enum { DF_HF_PATH = 4096 };

/* Texts are borrowed. */
typedef struct {
    const char *name;      /* a file, a folder, or a model such as Qwen/Qwen2.5-3B */
    const char *revision;  /* of a model: branch, tag or commit */
    const char *cache_dir; /* HuggingFace's, .../hub; NULL: there is none */
    const char *endpoint;  /* address of the server, https://...; NULL: do not ask a server */
    const char *token;     /* token for models that are not open to everyone; NULL: none */
    const char *ca_file;   /* certificates to trust; NULL: the system's */
    double timeout_s;      /* longest time of a whole download */
} df_hf_source;

/* The text of a config.json. */
typedef struct {
    char *text; /* malloc'ed, with a 0 behind it */
    size_t size;
    char from[DF_HF_PATH]; /* path or address */
} df_hf_file;

/* Looks for name as a path, then in the cache, then at the server. The caller frees file->text.
 * DF_EINVAL: no such file, no such model, not open to all. DF_EIO: it cannot be read, the server
 * cannot be reached in time. DF_ENOMEM. On failure file->text is NULL. */
DF_NODISCARD df_status df_hf_find(const df_hf_source *source, df_hf_file *file, df_err *err);

/* GET of an https address. Errors as above; file->from is the address. */
DF_NODISCARD df_status df_hf_fetch(const char *address,
                                   const df_hf_source *source,
                                   df_hf_file *file,
                                   df_err *err);

/* ---- What it says ---- */

typedef struct {
    char type[64];  /* model_type of the config.json */
    bool gated;     /* the feed-forward network has a gate, as llama's; else as GPT's */
    bool tied;      /* input and output embedding share their weights */
    int64_t layers; /* all counts are at least 1 */
    int64_t hidden, heads, kv_heads;
    int64_t intermediate; /* of one expert, where there are several */
    int64_t experts, top_k;
    int64_t vocab;
    int64_t context; /* tokens; 0: it does not say */
    /* What DeepFlow does not model; 0, false: the model has none of it. */
    int64_t sliding_window;      /* tokens that a token attends to */
    int64_t head_size;           /* size of a head, if it is not hidden / heads */
    int64_t shared_intermediate; /* size of the experts to which every token goes */
    bool latent_attention;       /* keys and values are compressed */
    bool dense_layers;           /* some layers have one expert only */
} df_hf_model;

/* Reads a config.json. family: llama or gpt, for a model_type that is not known; NULL: by the
 * model_type. On failure *model is untouched.
 * DF_EINVAL: no JSON, a key that is missing or makes no sense ("FROM: key: expected, found"). */
DF_NODISCARD df_status df_hf_read(const df_hf_file *file,
                                  const char *family,
                                  df_hf_model *model,
                                  df_err *err);

/* ---- The model file ---- */

typedef struct {
    bool inference;
    int64_t batch_size;
    int64_t seq_len; /* 0: the model's context, 2048 if it does not say */
    int64_t decode_len;
    bool flash;
    int64_t tile_size; /* tile of FlashAttention; 0: none is written */
} df_hf_run;

/* Tokens of a sequence: *run's, or the model's. */
int64_t df_hf_seq_len(const df_hf_model *model, const df_hf_run *run);

/* Writes the YAML; title is its first line, a comment. */
void df_hf_write(FILE *out, const char *title, const df_hf_model *model, const df_hf_run *run);

#endif
