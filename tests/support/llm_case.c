#include "support/llm_case.h"

df_cfg df_llm_case(df_run_type run_type)
{
    df_cfg cfg;
    df_err err;
    if (df_cfg_load(DF_TEST_DATA "/data/hardware.yaml", DF_TEST_DATA "/data/llm.yaml",
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    cfg.llm.run_type = run_type;
    cfg.llm.attention.use_flashattention = false;
    return cfg;
}

void df_llm_case_split(df_cfg *cfg, int64_t tp, int64_t dp, int64_t lp, int64_t mb)
{
    const int64_t cp = cfg->sched.cp > 1 ? cfg->sched.cp : 1;
    cfg->sched.tp = tp;
    cfg->sched.dp = dp;
    cfg->sched.lp = lp;
    cfg->sched.mb = mb;
    cfg->system.num_devices_per_node = tp * cp * dp * lp;
}

df_hw_device df_llm_case_device(const df_cfg *cfg)
{
    const df_rules rules = df_rules_reference();
    df_hw_device dev;
    df_err err;
    if (df_hw_derive(cfg, &rules, &dev, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return dev;
}

df_llm_result df_llm_case_predict(const df_cfg *cfg, const df_rules *rules)
{
    const df_hw_device dev = df_llm_case_device(cfg);
    df_prediction result;
    df_err err;
    df_predictor *const predictor = df_predictor_new();
    assert_non_null(predictor);
    if (df_cfg_check(cfg, &err) != DF_OK || df_predict(predictor, &(df_design){cfg, &dev, rules},
                                                       DF_WANT_OPERATORS, &result, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predictor_free(predictor);
    return result.llm;
}

df_llm_result df_llm_case_reference(const df_cfg *cfg)
{
    const df_rules rules = df_rules_reference();
    return df_llm_case_predict(cfg, &rules);
}
