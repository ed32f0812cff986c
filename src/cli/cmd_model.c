/* model: what a model is: parameters, cache, operations. */
#include <inttypes.h>
#include <math.h>

#include "amount.h"
#include "cli.h"
#include "commands.h"
#include "json_out.h"
#include "model/describe.h"

enum { WORD = 16 };

typedef struct {
    df_cli_files files;
    const char *format;
    int64_t context;
} model_args;

static bool read_args(int argc, char **argv, model_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_text("model_config", &a->files.model_config,
                    "a model file of an LLM or a combined file (YAML)"),
        df_cli_model_arg(&a->files),
        df_arg_text("hardware_config", &a->files.hardware_config,
                    "a hardware file, which gives formats; without it, all is in 16 bits"),
        df_cli_hardware_arg(&a->files),
        df_arg_int("context", &a->context, 0, DF_ARG_INT_MAX,
                   "tokens of the sequence that the cache holds; 0: seq_len of the model"),
        df_arg_choice("format", &a->format, "text|json", "how the result is printed"),
    };
    const df_command command = {
        "model", "shows what a model is: parameters, cache and operations of a token",
        "  deepflow model --model deepseek-v3\n"
        "  deepflow model --model_config mine.yaml --context 131072 --format json\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

static df_status load(model_args *a, df_cfg *cfg, df_err *err)
{
    const double element_bytes = 2.0;
    DF_TRY(df_cli_find_files(&a->files, err));
    if (!a->files.model_config) {
        return df_fail(err, DF_EINVAL,
                       "--model_config: expected a file, or --model and a name, found nothing; for "
                       "example --model llama3.1-8b");
    }
    const unsigned need = DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES | DF_CFG_ANY_LAYERS |
                          (a->files.hardware_config ? DF_CFG_NEED_HARDWARE : 0U);
    DF_TRY(df_cfg_load(a->files.hardware_config, a->files.model_config, need, cfg, err));
    if (cfg->mode != DF_MODE_LLM) {
        return df_fail(err, DF_EINVAL, "%s: model_param.mode: expected LLM, found another mode",
                       a->files.model_config);
    }
    if (!a->files.hardware_config) {
        cfg->sw.precision.tensor_bytes = element_bytes;
    }
    return DF_OK;
}

/* Flops of a token where all of the sequence is computed, and in a step that decodes the last. */
static double prompt_flops(const df_description *d)
{
    return d->total.flops + d->mixing_mean_flops;
}

static double decode_flops(const df_description *d)
{
    return d->total.flops + d->mixing_flops;
}

static void add_part(json_t *parent, const char *name, const df_count *part)
{
    json_t *const object = df_json_object(parent, name);
    df_json_real(object, "parameters", part->params);
    df_json_real(object, "active_parameters", part->active);
    df_json_real(object, "flops_per_token", part->flops);
}

/* backward takes twice the products: Chowdhery et al., JMLR 24, 2023, appendix B */
static const double TRAINING = 3.0;

static int print_json(const df_description *d, double context)
{
    json_t *const root = json_object();
    df_json_real(root, "parameters", d->total.params);
    df_json_real(root, "active_parameters", d->total.active);
    df_json_real(root, "prediction_parameters", d->prediction_params);
    df_json_real(root, "kv_bytes_per_token", d->cache_token_bytes);
    df_json_real(root, "context", context);
    df_json_real(root, "kv_bytes", d->cache_bytes);
    df_json_real(root, "state_bytes", d->state_bytes);
    df_json_real(root, "flops_per_token_training", TRAINING * prompt_flops(d));
    df_json_real(root, "flops_per_token_prompt", prompt_flops(d));
    df_json_real(root, "flops_per_token_decode", decode_flops(d));
    json_t *const parts = df_json_object(root, "parts");
    for (int i = 0; i < DF_COUNTS; i++) {
        if (d->part[i].params > 0.0) {
            add_part(parts, df_count_names[i], &d->part[i]);
        }
    }
    return df_json_print(root);
}

/* "7.24 G": powers of 1000. */
static const char *count_text(double count, char text[WORD])
{
    static const char units[] = " KMGT";
    int unit = 0;
    while (count >= 1000.0 && unit < 4) {
        count /= 1000.0;
        unit++;
    }
    snprintf(text, WORD, unit > 0 ? "%.4g %c" : "%.4g", count, units[unit]);
    return text;
}

static void print_row(const char *name, const df_count *part)
{
    char params[WORD];
    char active[WORD];
    char flops[WORD];
    printf("%-16s %12s %12s %12s\n", name, count_text(part->params, params),
           count_text(part->active, active), count_text(part->flops, flops));
}

static int print_text(const df_description *d, double context)
{
    char a[DF_AMOUNT];
    char b[DF_AMOUNT];
    char flops[3][WORD];
    printf("%-16s %12s %12s %12s\n", "", "parameters", "active", "flops/token");
    for (int i = 0; i < DF_COUNTS; i++) {
        if (d->part[i].params > 0.0) {
            print_row(df_count_names[i], &d->part[i]);
        }
    }
    print_row("all", &d->total);
    if (d->prediction_params > 0.0) {
        printf("%-16s %12s   predict further tokens, and are not in the sum\n", "",
               count_text(d->prediction_params, flops[0]));
    }
    printf("\nKV cache    %s for a token, %s at %.0f tokens\n",
           df_size_text(d->cache_token_bytes, a), df_size_text(d->cache_bytes, b), context);
    if (d->state_bytes > 0.0) {
        printf("state       %s for a sequence\n", df_size_text(d->state_bytes, a));
    }
    printf("flops/token %s in training, %s in a prompt of %.0f, %s in decoding behind it\n",
           count_text(TRAINING * prompt_flops(d), flops[0]), count_text(prompt_flops(d), flops[1]),
           context, count_text(decode_flops(d), flops[2]));
    return df_cli_finish(0);
}

int df_cmd_model(int argc, char **argv)
{
    model_args a = {.format = "text"};
    df_cfg cfg = {.mode = DF_MODE_LLM};
    df_description d;
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    const df_status status = load(&a, &cfg, &err);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    const double context = a.context > 0 ? (double)a.context : (double)cfg.llm.seq_len;
    df_describe(&cfg, context, &d);
    return a.format[0] == 'j' ? print_json(&d, context) : print_text(&d, context);
}
