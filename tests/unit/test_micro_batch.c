/* Sizes of micro-batches that files give, the best one, and orders that take any number of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "predict/predict.h"
#include "support/support.h"

/* A model of 16 layers on 16 devices, with a batch and lines of the schedule. */
static df_status
parse(const df_rules *rules, int batch, const char *schedule, df_cfg *cfg, df_err *err)
{
    static const char form[] =
        "device: h100_sxm\n"
        "scheduling_param: {%s}\n"
        "system_hierarchy: {num_devices_per_node: 8, num_nodes: 2, lp_inter: yes}\n"
        "model_param: {mode: LLM, run_type: training, model_type: llama, tied_embeddings: no,\n"
        "  num_layers: 16, hidden_dim: 2048, batch_size: %d, seq_len: 2048,\n"
        "  intermediate_size: 8192, vocab_size: 32000, num_experts: 1,\n"
        "  attention: {attention_type: mha, num_heads: 16, use_flashattention: true,\n"
        "              attention_tile_size: 128}}\n";
    char text[2048];
    const int length = snprintf(text, sizeof text, form, schedule, batch);
    assert_in_range(length, 1, sizeof text - 1);
    const df_cfg_text file = {text, "run.yaml"};
    return df_cfg_parse(
        &file, NULL, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | df_compat_reading(rules), cfg, err);
}

static df_cfg read(const df_rules *rules, int batch, const char *schedule)
{
    df_cfg cfg;
    df_err err;
    if (parse(rules, batch, schedule, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static void refuse(const df_rules *rules, int batch, const char *schedule, const char *message)
{
    df_cfg cfg;
    df_err err;
    assert_int_equal(parse(rules, batch, schedule, &cfg, &err), DF_EINVAL);
    assert_string_equal(err.text, message);
}

static double predict_s(df_predictor *predictor, const df_cfg *cfg, const df_rules *rules)
{
    df_hw_device dev;
    df_prediction result;
    df_err err;
    assert_int_equal(df_hw_derive(cfg, rules, &dev, &err), DF_OK);
    if (df_predict(predictor, &(df_design){cfg, &dev, rules}, DF_WANT_TIMES, &result, &err) !=
        DF_OK) {
        fail_msg("%s", err.text);
    }
    return result.time_s;
}

/* 96 sequences for 2 replicas in micro-batches of 3 are 16 of them. */
static void a_size_stands_for_a_number(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const df_cfg cfg = read(&rules, 96, "dp: 2, lp: 4, tp: 2, micro_batch_size: 3");
    assert_int_equal(cfg.sched.mb, 16);
    const df_cfg same = read(&rules, 96, "dp: 2, lp: 4, tp: 2, mb: 16, micro_batch_size: 3");
    assert_int_equal(same.sched.mb, 16);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    static const char cut[] = "run.yaml:2: scheduling_param.micro_batch_size: expected best, or a "
                              "divisor of the batch of a replica, 48, found %s";
    char text[256];
    snprintf(text, sizeof text, cut, "5");
    refuse(&rules, 96, "dp: 2, lp: 4, tp: 2, micro_batch_size: 5", text);
    snprintf(text, sizeof text, cut, "1.5");
    refuse(&rules, 96, "dp: 2, lp: 4, tp: 2, micro_batch_size: 1.5", text);
    refuse(&rules, 96, "dp: 2, lp: 4, tp: 2, mb: 8, micro_batch_size: 3",
           "run.yaml:2: scheduling_param.micro_batch_size: expected either this or mb, found mb 8 "
           "in run.yaml:2");
    refuse(&rules, 96, "dp: 2, lp: 4, tp: 2, mb: 8, micro_batch_size: best",
           "run.yaml:2: scheduling_param.micro_batch_size: expected either this or mb, found mb 8 "
           "in run.yaml:2");
}

/* All powers of two that divide 48 are tried by hand. */
static void the_best_takes_the_least_time(void **state)
{
    (void)state;
    const df_rules all[] = {df_rules_corrected(), df_rules_calibrated()};
    df_predictor *const predictor = df_predictor_new();
    assert_non_null(predictor);
    for (int i = 0; i < 2; i++) {
        df_cfg cfg = read(&all[i], 96, "dp: 2, lp: 4, tp: 2, micro_batch_size: best");
        df_cfg each = cfg;
        df_hw_device dev;
        df_err err;
        double least_s = HUGE_VAL;
        for (int size = 1; size <= 16; size *= 2) {
            each.sched.mb = 48 / size;
            least_s = fmin(least_s, predict_s(predictor, &each, &all[i]));
        }
        assert_int_equal(cfg.sched.mb, 48); /* until the best is known */
        assert_int_equal(df_hw_derive(&cfg, &all[i], &dev, &err), DF_OK);
        assert_int_equal(df_predict_best_batch(predictor, &dev, &all[i], &cfg, &err), DF_OK);
        df_assert_rel(predict_s(predictor, &cfg, &all[i]), least_s, 0);
        assert_true(cfg.sched.mb > 0 && 48 % cfg.sched.mb == 0 && 48 / cfg.sched.mb <= 16);
    }
    df_predictor_free(predictor);
}

/* Rounds of 4 micro-batches: of 12, 6 and 3 only the first are whole rounds. */
static void the_best_keeps_to_the_order(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_predictor *const predictor = df_predictor_new();
    df_cfg cfg = read(&rules, 24,
                      "dp: 2, lp: 4, tp: 2, micro_batch_size: best, schedule: interleaved, "
                      "virtual_stages: 2");
    df_hw_device dev;
    df_err err;
    assert_non_null(predictor);
    assert_int_equal(df_hw_derive(&cfg, &rules, &dev, &err), DF_OK);
    assert_int_equal(df_predict_best_batch(predictor, &dev, &rules, &cfg, &err), DF_OK);
    assert_int_equal(cfg.sched.mb, 12);
    df_predictor_free(predictor);
}

static void no_size_is_infeasible(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_predictor *const predictor = df_predictor_new();
    df_cfg cfg = read(&rules, 24, "dp: 2, lp: 4, tp: 2, micro_batch_size: best");
    df_hw_device dev;
    df_err err;
    assert_non_null(predictor);
    assert_int_equal(df_hw_derive(&cfg, &rules, &dev, &err), DF_OK);
    cfg.sched.dp = 48; /* half a sequence for each */
    assert_int_equal(df_predict_best_batch(predictor, &dev, &rules, &cfg, &err), DF_INFEASIBLE);
    df_predictor_free(predictor);
}

/* Of measured runs few have whole rounds. A step takes as much longer for each micro-batch as the
 * longest stage does: 5 lie a quarter of the way from 4 to 8. */
static void interleaved_stages_take_any_number_where_times_are_in_closed_form(void **state)
{
    (void)state;
    static const char order[] =
        "dp: 2, lp: 4, tp: 2, micro_batch_size: 1, schedule: interleaved, virtual_stages: 4";
    const df_rules corrected = df_rules_corrected();
    const df_rules calibrated = df_rules_calibrated();
    df_predictor *const predictor = df_predictor_new();
    double time_s[3];
    assert_non_null(predictor);
    refuse(
        &corrected, 10, order,
        "run.yaml:2: scheduling_param.mb: expected a multiple of lp 4 with schedule interleaved, "
        "found 5");
    for (int i = 0; i < 3; i++) {
        const int mb[] = {4, 5, 8};
        const df_cfg cfg = read(&calibrated, 2 * mb[i], order);
        assert_int_equal(cfg.sched.mb, mb[i]);
        time_s[i] = predict_s(predictor, &cfg, &calibrated);
    }
    df_assert_rel(time_s[1], time_s[0] + (time_s[2] - time_s[0]) / 4, 1e-9);
    df_predictor_free(predictor);
}

static int setup(void **state)
{
    (void)state;
    return setenv("DEEPFLOW_DATA_DIR", DF_CONFIGS "/..", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_stands_for_a_number),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(the_best_takes_the_least_time),
        cmocka_unit_test(the_best_keeps_to_the_order),
        cmocka_unit_test(no_size_is_infeasible),
        cmocka_unit_test(interleaved_stages_take_any_number_where_times_are_in_closed_form),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
