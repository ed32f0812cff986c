/* import-hf: a model file from a model of HuggingFace. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "hf/hf.h"

typedef struct {
    df_words name;
    const char *run_type, *model_type, *revision, *output;
    bool allow_unknown;
    df_hf_run run;
    double timeout_s;
} import_args;

static bool read_args(int argc, char **argv, import_args *a, int *exit_code)
{
    const double day_s = 86400;
    df_arg args[] = {
        df_arg_words("MODEL_OR_PATH", &a->name, 1, 1,
                     "a config.json, its folder, or the name of a model such as Qwen/Qwen2.5-3B"),
        df_arg_choice("run_type", &a->run_type, "training|inference", "what to predict"),
        df_arg_int("batch_size", &a->run.batch_size, 1, DF_ARG_INT_MAX,
                   "sequences in a batch, all replicas together"),
        df_arg_int("seq_len", &a->run.seq_len, 0, DF_ARG_INT_MAX,
                   "tokens of a sequence, including those to decode in inference; 0: as many as "
                   "the model takes"),
        df_arg_int("decode_len", &a->run.decode_len, 0, DF_ARG_INT_MAX, "tokens to decode"),
        df_arg_bool("use_flashattention", &a->run.flash, "use FlashAttention"),
        df_arg_int("flash_tile_size", &a->run.tile_size, 0, DF_ARG_INT_MAX,
                   "tile of FlashAttention in tokens; 0: 128 with FlashAttention, none without it"),
        df_arg_text("revision", &a->revision, "branch, tag or commit of the model"),
        df_arg_choice("model_type", &a->model_type, "auto|llama|gpt",
                      "the kind of an unknown model: llama with a gated feed-forward network, gpt "
                      "without one"),
        df_arg_bool("allow_unknown", &a->allow_unknown,
                    "leave out what keys stand for that are not known, with a warning"),
        df_arg_real("timeout", &a->timeout_s, 0.001, day_s,
                    "longest time that a download may take, in seconds"),
        df_arg_letter(
            df_arg_text("output", &a->output, "the model file to write; without it, stdout"), 'o'),
    };
    const df_command command = {
        "import-hf",
        "makes a model file from a HuggingFace model, which it takes\n"
        "from a config.json, from HuggingFace's cache, or else over HTTPS",
        "  deepflow import-hf Qwen/Qwen2.5-3B --run-type inference --seq-len 2048 \\\n"
        "    --decode-len 256 -o qwen.yaml\n"
        "  deepflow import-hf ./my_model/config.json --batch-size 32 --use-flashattention\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- The environment, as HuggingFace's own programs read it ---- */

static const char *given(const char *variable)
{
    const char *const value = getenv(variable);
    return value && value[0] != '\0' ? value : NULL;
}

static const char *first_given(const char *a, const char *b)
{
    const char *const value = given(a);
    return value ? value : given(b);
}

static const char *cache_dir(char path[DF_HF_PATH])
{
    const char *const hub = first_given("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE");
    const char *const home = given("HF_HOME");
    const char *const cache = given("XDG_CACHE_HOME");
    int length = -1;
    if (hub) {
        length = snprintf(path, DF_HF_PATH, "%s", hub);
    } else if (home) {
        length = snprintf(path, DF_HF_PATH, "%s/hub", home);
    } else if (cache) {
        length = snprintf(path, DF_HF_PATH, "%s/huggingface/hub", cache);
    } else if (given("HOME")) {
        length = snprintf(path, DF_HF_PATH, "%s/.cache/huggingface/hub", given("HOME"));
    }
    return length >= 0 && length < DF_HF_PATH ? path : NULL;
}

static bool is_offline(void)
{
    static const char *const yes[] = {"1", "ON", "YES", "TRUE", "on", "yes", "true", "True"};
    const char *const value = first_given("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE");
    for (size_t i = 0; value && i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(value, yes[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const char *endpoint(char address[DF_HF_PATH])
{
    const char *const value = given("HF_ENDPOINT");
    size_t length = value ? strlen(value) : 0;
    while (length > 0 && value[length - 1] == '/') {
        length--;
    }
    if (length == 0 || length >= DF_HF_PATH) {
        return "https://huggingface.co";
    }
    memcpy(address, value, length);
    address[length] = '\0';
    return address;
}

/* ---- From the model to the file ---- */

static df_status find_model(const import_args *a, df_hf_model *model, df_err *err)
{
    char cache[DF_HF_PATH];
    char address[DF_HF_PATH];
    const df_hf_source source = {.name = a->name.word[0],
                                 .revision = a->revision,
                                 .cache_dir = cache_dir(cache),
                                 .endpoint = is_offline() ? NULL : endpoint(address),
                                 .token = given("HF_TOKEN"),
                                 .ca_file = first_given("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
                                 .timeout_s = a->timeout_s};
    const df_hf_options options = {.family =
                                       strcmp(a->model_type, "auto") == 0 ? NULL : a->model_type,
                                   .allow_unknown = a->allow_unknown};
    df_hf_file file;
    DF_TRY(df_hf_find(&source, &file, err));
    const df_status status = df_hf_read(&file, &options, model, err);
    if (status == DF_OK) {
        fprintf(stderr, "deepflow: %s, model_type %s\n", file.from, model->type);
    }
    free(file.text);
    return status;
}

static void warn_left_out(const df_hf_model *m)
{
    for (int i = 0; i < m->num_warnings; i++) {
        fprintf(stderr, "deepflow: warning: %s\n", m->warning[i]);
    }
}

static df_status check_run(const df_hf_model *model, import_args *a, df_err *err)
{
    const int64_t usual_tile = 128;
    const int64_t seq_len = df_hf_seq_len(model, &a->run);
    a->run.inference = strcmp(a->run_type, "inference") == 0;
    if (a->run.flash && a->run.tile_size == 0) {
        a->run.tile_size = usual_tile;
    }
    if (a->run.decode_len > seq_len) {
        return df_fail(err, DF_EINVAL,
                       "--decode_len: expected at most the sequence's %" PRId64
                       " tokens, found %" PRId64,
                       seq_len, a->run.decode_len);
    }
    return DF_OK;
}

typedef struct {
    char title[512];
    df_hf_model model;
    df_hf_run run;
} model_file;

static void write_model(FILE *out, const void *what)
{
    const model_file *const file = what;
    df_hf_write(out, file->title, &file->model, &file->run);
}

static df_status import(import_args *a, df_err *err)
{
    model_file file;
    DF_TRY(find_model(a, &file.model, err));
    DF_TRY(check_run(&file.model, a, err));
    file.run = a->run;
    snprintf(file.title, sizeof file.title, "%.300s, a model of HuggingFace (model_type %s)",
             a->name.word[0], file.model.type);
    warn_left_out(&file.model);
    if (!a->output) {
        write_model(stdout, &file);
        return DF_OK;
    }
    return df_cli_write_file(a->output, write_model, &file, err);
}

int df_cmd_import_hf(int argc, char **argv)
{
    import_args a = {.run_type = "training",
                     .model_type = "auto",
                     .revision = "main",
                     .run = {.batch_size = 1},
                     .timeout_s = 30};
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    const df_status status = import(&a, &err);
    return status == DF_OK ? df_cli_finish(0) : df_cli_fail(status, &err);
}
