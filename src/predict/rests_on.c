/* What a prediction by the calibrated rules rests on: kernels, a profile, power of boards. */
#include <stdio.h>

#include "engine/engine.h"
#include "predict/predict_impl.h"

const char *const df_basis_words[] = {
    [DF_BASIS_MEASURED] = "measured", [DF_BASIS_SISTER] = "sister", [DF_BASIS_RULE] = "rule"};

const char *const df_power_basis_words[] = {
    [DF_POWER_UNKNOWN] = "unknown", [DF_POWER_MEASURED] = "measured", [DF_POWER_BY_RULE] = "rule"};

static void name_profile(const df_cfg *cfg, df_rests_on *out)
{
    const bool training = cfg->llm.run_type == DF_RUN_TRAINING;
    const int like = training ? cfg->sw.framework.like : cfg->sw.engine.like;
    out->assumed = like < 0;
    if (training) {
        out->profile_kind = "framework";
        out->profile = df_framework_rows[like >= 0 ? like : DF_FRAMEWORK_NEMO_26_08].name;
    } else {
        out->profile_kind = "engine";
        out->profile = df_engine_rows[like >= 0 ? like : DF_ENGINE_BATCH_2023].name;
    }
}

static df_power_basis power_basis(const df_cfg_board *board)
{
    if (board->base_w > 0.0) {
        return DF_POWER_MEASURED;
    }
    return board->limit_w > 0.0 ? DF_POWER_BY_RULE : DF_POWER_UNKNOWN;
}

void df_predict_rests_on(const df_cfg *cfg, df_rests_on *out)
{
    *out = (df_rests_on){.kernels = df_cfg_basis(cfg), .like = (df_arch)cfg->calibration.like};
    if (cfg->mode == DF_MODE_LLM) {
        name_profile(cfg, out);
        out->power = power_basis(&cfg->board);
    }
}

int df_predict_rests_on_text(const df_rests_on *on, char *text, size_t size)
{
    static const char *const kernels[] = {[DF_BASIS_MEASURED] = "measured on this card",
                                          [DF_BASIS_SISTER] =
                                              "measured on a card with the same chip",
                                          [DF_BASIS_RULE] = "by rule from another card"};
    char profile[128] = "";
    char power[128] = "";
    if (on->profile) {
        snprintf(profile, sizeof profile, "; %s %s%s", on->profile_kind, on->profile,
                 on->assumed ? ", assumed" : "");
    }
    if (on->power == DF_POWER_MEASURED) {
        snprintf(power, sizeof power, "; power measured on such boards");
    } else if (on->power == DF_POWER_BY_RULE) {
        snprintf(power, sizeof power, "; power by rule, from %g of the board's limit on",
                 DF_BOARD_BASE_SHARE);
    }
    return snprintf(text, size, "kernels %s (%s)%s%s", kernels[on->kernels], df_arch_name(on->like),
                    profile, power);
}
