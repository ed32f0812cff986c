#include "support/lstm_case.h"

df_cfg df_lstm_case(void)
{
    df_cfg cfg;
    df_err err;
    if (df_cfg_load(DF_TEST_DATA "/data/hardware.yaml", DF_TEST_DATA "/data/lstm.yaml",
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

df_hw_device df_case_device(const df_cfg *cfg, const df_rules *rules)
{
    df_hw_device dev;
    df_err err;
    if (df_hw_derive(cfg, rules, &dev, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return dev;
}

df_prediction df_case_predict(const df_cfg *cfg, const df_rules *rules)
{
    df_predictor *const predictor = df_predictor_new();
    const df_hw_device dev = df_case_device(cfg, rules);
    df_prediction result;
    df_err err;
    assert_non_null(predictor);
    if (df_predict(predictor, &(df_design){cfg, &dev, rules}, DF_WANT_TIMES, &result, &err) !=
        DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predictor_free(predictor);
    return result;
}
