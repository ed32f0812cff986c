/* list: the models and the hardware that come with the program, by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amount.h"
#include "cli.h"
#include "commands.h"
#include "model/describe.h"

static const char *title_of(char *text)
{
    const char *const title = text + strspn(text, "# ");
    text[strcspn(text, "\n")] = '\0';
    return title;
}

/* Billions, as models are named. */
static const char *billions(double count, char text[DF_AMOUNT])
{
    snprintf(text, DF_AMOUNT, "%.4gB", count / 1e9);
    return text;
}

static df_status print_model(const char *name, df_err *err)
{
    const unsigned need = DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES | DF_CFG_ANY_LAYERS;
    char path[DF_DATA_PATH];
    char params[DF_AMOUNT] = "-";
    char active[DF_AMOUNT] = "-";
    char cache[DF_AMOUNT] = "-";
    char *text;
    df_cfg cfg;
    DF_TRY(df_cfg_find_named(DF_CFG_MODEL_FILES, "list", name, path, err));
    DF_TRY(df_cfg_load(NULL, path, need, &cfg, err));
    DF_TRY(df_cfg_read_text(path, &text, err));
    if (cfg.mode == DF_MODE_LLM) {
        const double element_bytes = 2.0;
        df_description d;
        cfg.sw.precision.tensor_bytes = element_bytes;
        df_describe(&cfg, (double)cfg.llm.seq_len, &d);
        billions(d.total.params, params);
        billions(d.total.active, active);
        (void)df_size_text(d.cache_token_bytes, cache);
    }
    printf("%-24s %4s %10s %9s %11s  %s\n", name, df_mode_name(cfg.mode), params, active, cache,
           title_of(text));
    free(text);
    return DF_OK;
}

static int list_models(void)
{
    df_cfg_devices list;
    df_err err;
    const df_status status = df_cfg_list_files(DF_CFG_MODEL_FILES, &list, &err);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    puts("--model NAME takes one of these files of configs/model. Active parameters are those that "
         "a\n"
         "token's products read; the cache is that of a token, in 16 bits.\n");
    printf("%-24s %4s %10s %9s %11s\n", "name", "mode", "parameters", "active", "cache/token");
    for (int i = 0; i < list.count; i++) {
        if (print_model(list.name[i], &err) != DF_OK) {
            printf("%-24s cannot be used: %s\n", list.name[i], err.text);
        }
    }
    return df_cli_finish(0);
}

int df_cmd_list(int argc, char **argv)
{
    df_words what = {.count = 0};
    df_arg args[] = {df_arg_words("WHAT", &what, 1, 1, "models or hardware")};
    const df_command command = {"list", "lists the models and the hardware that have names",
                                "  deepflow list models\n  deepflow list hardware\n", args, 1};
    int exit_code;
    df_err err;
    if (!df_cli_parse(&command, argc, argv, &exit_code)) {
        return exit_code;
    }
    if (strcmp(what.word[0], "models") == 0) {
        return list_models();
    }
    if (strcmp(what.word[0], "hardware") == 0) {
        return df_cmd_help_devices();
    }
    return df_cli_fail(
        df_fail(&err, DF_EINVAL, "list: expected models or hardware, found %.60s", what.word[0]),
        &err);
}
