/* Predictions in mode LLM, against recorded ones: times, rates, energies, and every row of
 * the operator table. */
#include <string.h>

#include "golden/cases.h"
#include "predict/predict.h"

enum { ANALYTICAL_CASES = 49, SIMULATED_CASES = 29 };

typedef struct {
    const char *name;
    double value;
} named_value;

static bool find(const named_value *all, size_t count, const char *key, double *number)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, key) == 0) {
            *number = all[i].value;
            return true;
        }
    }
    return false;
}

#define FIND(all) find(all, sizeof(all) / sizeof(all)[0], key, number)

static bool row_value(const df_row *row, const char *key, double *number)
{
    const named_value all[] = {
        {"forward_s", row->side[DF_FORWARD].time_s},
        {"backward_s", row->side[DF_BACKWARD].time_s},
        {"forward_comm_s", row->side[DF_FORWARD].comm_s},
        {"backward_comm_s", row->side[DF_BACKWARD].comm_s},
        {"comm_bytes_forward", row->side[DF_FORWARD].comm_bytes},
        {"comm_bytes_backward", row->side[DF_BACKWARD].comm_bytes},
        {"flops", row->counted_flops},
    };
    return row->present && FIND(all);
}

static bool whole_value(const df_llm_result *r, const char *key, double *number)
{
    const named_value all[] = {
        {"time_s", r->time_s},
        {"prefill_s", r->prefill_s},
        {"decode_s", r->decode_s},
        {"ttft_s", r->first_token_s},
        {"energy_prefill_j", r->prefill_energy_j},
        {"energy_decode_j", r->decode_energy_j},
    };
    return FIND(all);
}

static bool group_value(const df_llm_result *r, const char *group, const char *key, double *number)
{
    const df_row *const row = r->pass.row;
    const named_value rates[] = {
        {"start", r->tokens_ps.start},
        {"midpoint", r->tokens_ps.midpoint},
        {"end", r->tokens_ps.end},
        {"overall", r->tokens_ps.overall},
        {"midpoint_step", (double)r->tokens_ps.midpoint_step},
    };
    const named_value kv[] = {
        {"prefill_store_bytes", r->kv_prefill_store_bytes},
        {"decode_store_bytes", r->kv_decode_store_bytes},
        {"decode_fetch_bytes", r->kv_decode_fetch_bytes},
    };
    const named_value nodes[] = {
        {"transformer_time_f", r->pass.block_s[DF_FORWARD]},
        {"transformer_time_b", r->pass.block_s[DF_BACKWARD]},
        {"embedding_f", row[DF_ROW_EMBEDDING].side[DF_FORWARD].time_s},
        {"embedding_b", row[DF_ROW_EMBEDDING].side[DF_BACKWARD].time_s},
        {"linear_softmax_f", row[DF_ROW_LOGITS].side[DF_FORWARD].time_s},
        {"linear_softmax_b", row[DF_ROW_LOGITS].side[DF_BACKWARD].time_s},
    };
    return (strcmp(group, "rates") == 0 && FIND(rates)) || (strcmp(group, "kv") == 0 && FIND(kv)) ||
           (strcmp(group, "nodes") == 0 && FIND(nodes));
}

static bool
llm_value(const void *result, const char *group, const char *key, double *number, const char **text)
{
    const df_llm_result *const r = result;
    (void)text;
    if (group[0] == '\0') {
        return whole_value(r, key, number);
    }
    for (int op = 0; op < DF_ROWS; op++) {
        if (strcmp(group, df_row_names[op]) == 0) {
            return row_value(&r->pass.row[op], key, number);
        }
    }
    return group_value(r, group, key, number);
}

static df_status predict(const df_case *c, df_prediction *result, df_err *err)
{
    const df_rules rules = df_rules_reference();
    df_cfg cfg;
    df_hw_device dev;
    DF_TRY(df_cfg_parse(&(df_cfg_text){c->hardware, "hardware"}, &(df_cfg_text){c->model, "model"},
                        DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, err));
    DF_TRY(df_hw_derive(&cfg, &rules, &dev, err));
    df_predictor *const predictor = df_predictor_new();
    assert_non_null(predictor);
    const df_status status =
        df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS, result, err);
    df_predictor_free(predictor);
    return status;
}

static bool check_case(const df_case *c, void *context)
{
    df_prediction result;
    df_err err = {""};
    (void)context;
    const df_status status = predict(c, &result, &err);
    if (c->refused) {
        return status == DF_EINVAL && err.text[0] != '\0';
    }
    if (status != DF_OK) {
        print_error("%s: %s\n", c->name, err.text);
        return false;
    }
    return df_case_compare(c, llm_value, &result.llm, 1e-9);
}

static void recorded_predictions_are_met(void **state)
{
    (void)state;
    assert_int_equal(df_cases_check("llm.txt", check_case, NULL), ANALYTICAL_CASES);
}

static void recorded_simulations_are_met(void **state)
{
    (void)state;
    assert_int_equal(df_cases_check("llm_astra.txt", check_case, NULL), SIMULATED_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_predictions_are_met),
        cmocka_unit_test(recorded_simulations_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
