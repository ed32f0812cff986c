#include "golden/predict_case.h"

static df_status
predict(df_predict_case *run, const df_case *c, df_prediction *prediction, df_err *err)
{
    df_cfg cfg;
    df_hw_device dev;
    DF_TRY(df_cfg_parse(&(df_cfg_text){c->hardware, "hardware"}, &(df_cfg_text){c->model, "model"},
                        DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_BUDGETS |
                            DF_CFG_ANY_NETWORKS | DF_CFG_ANY_TOPOLOGY | DF_CFG_ANY_SPLITS,
                        &cfg, err));
    DF_TRY(df_hw_derive(&cfg, &run->rules, &dev, err));
    return df_predict(run->predictor, &(df_design){&cfg, &dev, &run->rules}, DF_WANT_TIMES,
                      prediction, err);
}

bool df_predict_case_check(const df_case *c, void *context)
{
    df_predict_case *run = context;
    df_prediction prediction;
    df_err err = {""};
    const df_status status = predict(run, c, &prediction, &err);
    if (c->refused) {
        if (status != DF_EINVAL && status != DF_INFEASIBLE) {
            print_error("%s: expected an error, found status %d\n", c->name, (int)status);
            return false;
        }
        return *err.text != '\0';
    }
    if (status != DF_OK) {
        print_error("%s: %s\n", c->name, err.text);
        return false;
    }
    return df_case_compare(c, run->value_of, &prediction, 1e-9);
}

int df_predict_cases(const char *file, df_case_value value_of)
{
    df_predict_case run = {df_predictor_new(), df_rules_reference(), value_of};
    assert_non_null(run.predictor);
    const int count = df_cases_check(file, df_predict_case_check, &run);
    df_predictor_free(run.predictor);
    return count;
}
