/* hf.h: models of HuggingFace, from their config.json to DeepFlow's model file.
 *
 *   hf_find.c   where the config.json is: a file, a folder, HuggingFace's cache, its server
 *   hf_fetch.c  the server, over HTTPS; libcurl
 *   hf_model.c  what the config.json says; jansson. hf_impl.h names the files that share this
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
#include "config/cfg.h"

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

enum { DF_HF_NOTES = 16, DF_HF_NOTE = 512 };

typedef struct {
    char type[64];   /* model_type of the config.json */
    df_cfg_llm llm;  /* the model; what a run adds (batch, lengths) is 0 */
    int64_t context; /* tokens; 0: it does not say */
    char
        formats[64]; /* of weights that are quantized, as sw_param.precision names them; "": none */
    char quantized[96]; /* how the file says it */
    int num_notes;
    char note[DF_HF_NOTES][DF_HF_NOTE]; /* what a reader of the model file should know */
    int num_warnings;
    char warning[DF_HF_NOTES][DF_HF_NOTE]; /* what the model file leaves out */
} df_hf_model;

typedef struct {
    const char *family; /* llama or gpt, for a model_type that is not known; NULL: by the type */
    bool allow_unknown; /* keys that might cost something and are not known are warnings */
} df_hf_options;

/* Reads a config.json. On failure *model is untouched.
 * DF_EINVAL: no JSON; a model that does not decode, or of no known type; a key that is missing,
 * makes no sense or is not known ("FROM: key: expected, found"). */
DF_NODISCARD df_status df_hf_read(const df_hf_file *file,
                                  const df_hf_options *options,
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

/* Writes the YAML, keys that differ from their defaults; title is its first line, a comment. */
void df_hf_write(FILE *out, const char *title, const df_hf_model *model, const df_hf_run *run);

#endif
