/* `deepflow help profiles`, and what a prediction by the calibrated rules rests on. */
#include "profiles.h"

#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "engine/engine.h"
#include "framework/framework.h"
#include "predict/predict.h"

static void print_engines(void)
{
    puts("\nAn engine infers as its profile says: `sw_param.engine`, or `engine` at the top of a "
         "file, or a\n"
         "map as above. Without one, batch_2023 is assumed. Those marked * fit one set of runs "
         "alone,\n"
         "which no other confirms.\n");
    for (int i = 0; i < DF_ENGINE_COUNT; i++) {
        printf("%-17s%s %s\n", df_engine_rows[i].name, df_engine_rows[i].one_set ? "*" : " ",
               df_engine_rows[i].source);
    }
}

int df_cmd_help_profiles(void)
{
    puts(
        "A framework trains as its profile says under the calibrated rules: `sw_param.framework:\n"
        "NAME`, or a map with `like: NAME` and the keys that differ (`deepflow help config`). "
        "Without\n"
        "one, the newest of NeMo is assumed. Each is given with what its numbers were read off or\n"
        "fitted to; docs/validation.md has how well it predicts runs.\n");
    for (int i = 0; i < DF_FRAMEWORK_COUNT; i++) {
        printf("%-17s %s\n", df_framework_rows[i].name, df_framework_rows[i].source);
    }
    print_engines();
    return df_cli_finish(0);
}

/* ---- What a prediction rests on ---- */

enum { GUESSES = 4, GUESS_ROOM = 64 };

/* What no kernel was measured of, in words. */
typedef struct {
    char text[GUESSES][GUESS_ROOM];
    int count;
} guesses;

static void add_guess(guesses *g, const char *what, df_format format)
{
    snprintf(g->text[g->count++], GUESS_ROOM, "%s in %s", what, df_format_name(format));
}

static bool is_measured(df_format format)
{
    return format == DF_FORMAT_BF16 || format == DF_FORMAT_FP8 || format == DF_FORMAT_FP8_BLOCK ||
           format == DF_FORMAT_MXFP8 || format == DF_FORMAT_NVFP4;
}

static guesses find_guesses(const df_cfg *cfg)
{
    const bool llm = cfg->mode == DF_MODE_LLM;
    df_cfg_formats f;
    guesses g = {.count = 0};
    df_cfg_formats_of(cfg, &f);
    if (!is_measured(f.products)) {
        add_guess(&g, "products", f.products);
    }
    if (f.weights != f.products) {
        add_guess(&g, "weights", f.weights);
    }
    if (llm && !is_measured(f.logits)) {
        add_guess(&g, "logits", f.logits);
    }
    if (llm && f.attention != DF_FORMAT_BF16 && f.attention != DF_FORMAT_FP8) {
        add_guess(&g, "attention", f.attention);
    }
    return g;
}

void df_basis_add_json(json_t *root, const df_cfg *cfg)
{
    df_rests_on on;
    df_predict_rests_on(cfg, &on);
    const guesses g = find_guesses(cfg);
    json_t *const basis = df_json_object(root, "basis");
    df_json_text(basis, "kernels", df_basis_words[on.kernels]);
    df_json_text(basis, "like", df_arch_name(on.like));
    if (on.profile) {
        df_json_text(basis, on.profile_kind, on.profile);
        df_json_bool(basis, "profile_assumed", on.assumed);
        df_json_text(basis, "power", df_power_basis_words[on.power]);
    }
    if (g.count > 0) {
        json_t *const list = json_array();
        for (int i = 0; i < g.count; i++) {
            json_array_append_new(list, json_string(g.text[i]));
        }
        json_object_set_new(basis, "extrapolated", list);
    }
}

void df_basis_print(const df_cfg *cfg)
{
    char text[256];
    df_rests_on on;
    df_predict_rests_on(cfg, &on);
    df_predict_rests_on_text(&on, text, sizeof text);
    const guesses g = find_guesses(cfg);
    printf("  rests on                       %s", text);
    for (int i = 0; i < g.count; i++) {
        printf("%s%s", i == 0 ? "; extrapolated: " : ", ", g.text[i]);
    }
    putchar('\n');
}
