/* `deepflow help profiles`, and what a prediction by the calibrated rules rests on. */
#include "profiles.h"

#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "engine/engine.h"
#include "framework/framework.h"

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

static const char *const basis_words[] = {
    [DF_BASIS_MEASURED] = "measured", [DF_BASIS_SISTER] = "sister", [DF_BASIS_RULE] = "rule"};

/* The profile that runs a model, and whether the file names it. */
typedef struct {
    const char *kind, *name;
    bool assumed;
} profile;

static profile profile_of(const df_cfg *cfg)
{
    if (cfg->mode != DF_MODE_LLM) {
        return (profile){NULL, NULL, false};
    }
    if (cfg->llm.run_type == DF_RUN_TRAINING) {
        const int like = cfg->sw.framework.like;
        return (profile){"framework",
                         df_framework_rows[like >= 0 ? like : DF_FRAMEWORK_NEMO_26_08].name,
                         like < 0};
    }
    const int like = cfg->sw.engine.like;
    return (profile){"engine", df_engine_rows[like >= 0 ? like : DF_ENGINE_BATCH_2023].name,
                     like < 0};
}

void df_basis_add_json(json_t *root, const df_cfg *cfg)
{
    const profile p = profile_of(cfg);
    json_t *const basis = json_object();
    df_json_text(basis, "kernels", basis_words[df_cfg_basis(cfg)]);
    df_json_text(basis, "like", df_arch_name(cfg->calibration.like));
    if (p.kind) {
        df_json_text(basis, p.kind, p.name);
        df_json_bool(basis, "profile_assumed", p.assumed);
    }
    json_object_set_new(root, "basis", basis);
}

void df_basis_print(const df_cfg *cfg)
{
    const profile p = profile_of(cfg);
    static const char *const texts[] = {[DF_BASIS_MEASURED] = "measured on this card",
                                        [DF_BASIS_SISTER] = "measured on a card with the same chip",
                                        [DF_BASIS_RULE] = "by rule from another card"};
    printf("  kernels                        %s (%s)", texts[df_cfg_basis(cfg)],
           df_arch_name(cfg->calibration.like));
    if (p.kind) {
        printf("; %s %s%s", p.kind, p.name, p.assumed ? ", assumed" : "");
    }
    putchar('\n');
}
