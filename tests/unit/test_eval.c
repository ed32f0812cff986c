/* The objective of a search: what is searched, what a point becomes, and how far a device
 * that cannot work is from working. */
#include <math.h>
#include <string.h>

#include "eval/eval.h"
#include "predict/predict.h"
#include "support/support.h"

/* 16 devices on one wafer, as replicas. */
static df_cfg load(void)
{
    df_cfg cfg;
    df_err err;
    if (df_cfg_load(DF_CONFIGS "/search/lstm_4x4.yaml", NULL,
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    cfg.sched.dp = 16;
    cfg.sched.lp = 1;
    cfg.sched.kp1 = 1;
    cfg.sched.kp2 = 1;
    cfg.system.num_nodes = 1;
    cfg.system.num_devices_per_node = 16;
    cfg.system.intra_derate = 2;
    cfg.system.inter_derate = 0;
    return cfg;
}

static df_eval *objective_of(const df_cfg *cfg, bool ignore_memory)
{
    const df_rules rules = df_rules_reference();
    df_eval *eval;
    df_err err;
    if (df_eval_new(cfg, &(df_eval_options){.rules = rules, .ignore_memory = ignore_memory}, &eval,
                    &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return eval;
}

/* Equal shares of each class for what is searched. */
static df_point equal_shares(const df_eval *eval)
{
    const bool *const searched = df_eval_searched(eval);
    df_point point = *df_eval_template(eval);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        int count = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            count += searched[i];
        }
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            point.p[i] = searched[i] ? df_eval_budget(eval, klass) / count : point.p[i];
        }
    }
    return point;
}

static int count_searched(const df_cfg *cfg)
{
    df_eval *eval = objective_of(cfg, false);
    int count = 0;
    for (int i = 0; i < DF_PARAMS; i++) {
        count += df_eval_searched(eval)[i];
    }
    df_eval_free(eval);
    return count;
}

/* 7 + 7 + 3 parameters; a network that is not used takes one from each class. */
static void unused_networks_are_not_searched(void **state)
{
    (void)state;
    df_cfg cfg = load();
    assert_int_equal(count_searched(&cfg), 14);
    cfg.system.inter_derate = 1;
    assert_int_equal(count_searched(&cfg), 17);
    cfg.system.inter_derate = 0;
    cfg.system.intra_derate = 0;
    assert_int_equal(count_searched(&cfg), 11);
}

/* What a class may spend is 1 less the shares that are not searched. */
static void unused_shares_are_kept(void **state)
{
    (void)state;
    df_cfg cfg = load();
    cfg.area.of.inter = 0.125 * cfg.area.chip_mm2;
    cfg.power.of.inter = 0.25 * cfg.power.tdp_w;
    cfg.perimeter.inter = 0.375;
    df_eval *eval = objective_of(&cfg, false);
    df_assert_rel(df_eval_budget(eval, 0), 0.875, 1e-15);
    df_assert_rel(df_eval_budget(eval, 1), 0.75, 1e-15);
    df_assert_rel(df_eval_budget(eval, 2), 0.625, 1e-15);
    df_assert_rel(df_eval_template(eval)->p[DF_P_POWER_INTER], 0.25, 1e-15);
    df_eval_free(eval);
}

static df_eval *search_by(const df_rules *rules, const df_cfg *cfg, double chip_mm2)
{
    df_eval *eval;
    df_err err;
    const df_eval_options options = {
        .rules = *rules, .ignore_memory = true, .limits = {.chip_mm2 = chip_mm2}};
    if (df_eval_new(cfg, &options, &eval, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return eval;
}

static double chip_mm2_by(const df_rules *rules, const df_cfg *cfg, double limit_mm2)
{
    df_eval *const eval = search_by(rules, cfg, limit_mm2);
    const double chip_mm2 = df_eval_chip_mm2(eval);
    df_eval_free(eval);
    return chip_mm2;
}

/* The stack of 100 mm2 that the model needs leaves 1,130.75 mm2 of 1,230.75; the file has 815 for
 * the chip. */
static void the_chip_keeps_its_budget(void **state)
{
    (void)state;
    df_cfg cfg = load();
    df_rules rules = df_rules_reference();
    cfg.area.device_mm2 = 1230.75;
    assert_true(chip_mm2_by(&rules, &cfg, 0) == 1130);
    rules.chip_area_whole_mm2 = false;
    assert_true(chip_mm2_by(&rules, &cfg, 0) == 1130.75);
    rules.chip_grows_in_searches = false;
    assert_true(chip_mm2_by(&rules, &cfg, 0) == 815);
    assert_true(chip_mm2_by(&rules, &cfg, 900.5) == 900.5);
    assert_true(chip_mm2_by(&rules, &cfg, 2000) == 1130.75);
    cfg.area.device_mm2 = 850.25;
    assert_true(chip_mm2_by(&rules, &cfg, 0) == 750.25);
}

/* One device alone uses no network: its shares go to the other parts. */
static void unused_networks_get_nothing(void **state)
{
    (void)state;
    df_cfg cfg = load();
    df_rules rules = df_rules_corrected();
    cfg.sched.dp = 1;
    cfg.system.num_devices_per_node = 1;
    cfg.system.inter_derate = 1;
    cfg.area.of.inter = 20;
    df_eval *eval = search_by(&rules, &cfg, 0);
    assert_false(df_eval_searched(eval)[DF_P_AREA_INTRA]);
    assert_false(df_eval_searched(eval)[DF_P_AREA_INTER]);
    assert_true(df_eval_template(eval)->p[DF_P_AREA_INTRA] == 0);
    assert_true(df_eval_template(eval)->p[DF_P_AREA_INTER] == 0);
    assert_true(df_eval_budget(eval, 0) == 1);
    df_eval_free(eval);
    rules.unused_networks_keep_shares = true;
    eval = search_by(&rules, &cfg, 0);
    assert_true(df_eval_searched(eval)[DF_P_AREA_INTRA]);
    assert_true(df_eval_searched(eval)[DF_P_AREA_INTER]);
    df_eval_free(eval);
}

/* More MCUs than the registers have banks for: the shortfall falls as they grow. */
static void missing_units_have_a_slope(void **state)
{
    (void)state;
    const df_cfg cfg = load();
    const df_rules rules = df_rules_corrected();
    df_eval *const eval = search_by(&rules, &cfg, 0);
    df_point point = equal_shares(eval);
    df_eval_result r;
    double last = HUGE_VAL;
    point.p[DF_P_AREA_CORE] = 0.5; /* 1,072 MCUs of 0.38 mm2, whose banks take 15.0 mm2 */
    for (int mm2 = 1; mm2 < 15; mm2 += 2) {
        point.p[DF_P_AREA_REG] = mm2 / 815.0;
        df_eval_point(eval, &point, &r);
        assert_true(isinf(r.time_s) && r.shortfall > 0 && r.shortfall < last);
        last = r.shortfall;
    }
    point.p[DF_P_AREA_REG] = 15.1 / 815;
    df_eval_point(eval, &point, &r);
    assert_true(isfinite(r.time_s) && r.shortfall == 0);
    df_eval_free(eval);
}

static void a_class_without_a_budget_is_refused(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_cfg cfg = load();
    df_eval *eval;
    df_err err;
    cfg.power.of.inter = cfg.power.tdp_w;
    assert_int_equal(
        df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval, &err),
        DF_INFEASIBLE);
    assert_non_null(strstr(err.text, "power_breakdown"));
}

/* Area is a share of the chip that the stacks leave, power one of the TDP. */
static void fractions_become_budgets(void **state)
{
    (void)state;
    const df_cfg cfg = load();
    df_eval *eval = objective_of(&cfg, false);
    df_point point = equal_shares(eval);
    df_cfg written;
    point.p[DF_P_AREA_L2] = 0.2385;
    point.p[DF_P_POWER_DRAM] = 0.0715;
    point.p[DF_P_PERIM_INTRA] = 0.31;
    df_eval_config(eval, &point, &written);
    df_assert_rel(written.area.chip_mm2, df_eval_chip_mm2(eval), 0);
    df_assert_rel(written.area.of.l2, 0.2385 * df_eval_chip_mm2(eval), 1e-15);
    df_assert_rel(written.power.of.dram, 0.0715 * cfg.power.tdp_w, 1e-15);
    df_assert_rel(written.perimeter.intra, 0.31, 0);
    df_eval_free(eval);
}

/* A point's time is the prediction for the budgets written out. */
static void times_are_those_of_the_written_budgets(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    const df_cfg cfg = load();
    df_eval *eval = objective_of(&cfg, false);
    const df_point point = equal_shares(eval);
    df_eval_result result;
    df_cfg written;
    df_hw_device dev;
    df_prediction prediction;
    df_err err;
    df_eval_point(eval, &point, &result);
    df_eval_config(eval, &point, &written);
    df_predictor *predictor = df_predictor_new();
    assert_int_equal(df_hw_derive(&written, &rules, &dev, &err), DF_OK);
    assert_int_equal(df_predict(predictor, &(df_design){&written, &dev, &rules}, DF_WANT_TIMES,
                                &prediction, &err),
                     DF_OK);
    assert_true(isfinite(result.time_s));
    df_assert_rel(result.time_s, prediction.time_s, 0);
    df_need need;
    df_predict_need(&written, &rules, &need);
    df_assert_rel(result.memory_overflow, need.total_bytes / dev.mem[DF_HW_LEVELS - 1].size_bytes,
                  0);
    assert_true(result.shortfall == 0);
    assert_int_equal(df_eval_count(eval), 1);
    df_predictor_free(predictor);
    df_eval_free(eval);
}

/* A model of some stacks, each with a controller of 40 mm2. */
static df_cfg load_large(double *stacks)
{
    const df_rules rules = df_rules_reference();
    df_cfg cfg = load();
    df_need need;
    cfg.tech.dram.mem_ctrl_area_mm2 = 40;
    cfg.lstm.batch_size *= 4;
    df_predict_need(&cfg, &rules, &need);
    *stacks = ceil(need.total_bytes / cfg.tech.dram.stack_capacity_bytes);
    assert_in_range((int)*stacks, 2, 6);
    return cfg;
}

/* The shortfall must fall with every bit of area on the way to the last stack, not only
 * where a stack is whole. */
static void missing_memory_has_a_slope(void **state)
{
    (void)state;
    double stacks;
    const df_cfg cfg = load_large(&stacks);
    df_eval *eval = objective_of(&cfg, false);
    df_point point = equal_shares(eval);
    df_eval_result result;
    const double enough = stacks * 40 / df_eval_chip_mm2(eval);
    double before = HUGE_VAL;
    for (int i = 1; i < 40; i++) {
        point.p[DF_P_AREA_DRAM] = enough * i / 40;
        df_eval_point(eval, &point, &result);
        assert_true(result.memory_overflow > 1);
        assert_true(result.shortfall > 0);
        assert_true(result.shortfall < before);
        before = result.shortfall;
    }
    point.p[DF_P_AREA_DRAM] = enough * 1.001;
    df_eval_point(eval, &point, &result);
    assert_true(result.memory_overflow <= 1);
    assert_true(result.shortfall == 0);
    df_eval_free(eval);
}

static void ignored_memory_is_no_shortfall(void **state)
{
    (void)state;
    double stacks;
    const df_cfg cfg = load_large(&stacks);
    df_eval *eval = objective_of(&cfg, true);
    df_point point = equal_shares(eval);
    df_eval_result result;
    point.p[DF_P_AREA_DRAM] = 60 / df_eval_chip_mm2(eval); /* one stack */
    df_eval_point(eval, &point, &result);
    assert_true(result.memory_overflow > 1);
    assert_true(isfinite(result.time_s));
    assert_true(result.shortfall == 0);
    df_eval_free(eval);
}

/* Of each part in turn nothing: no time, but a shortfall. */
static void parts_without_a_share_cannot_work(void **state)
{
    static const df_param needed[] = {DF_P_AREA_CORE,  DF_P_AREA_DRAM,  DF_P_AREA_L2,
                                      DF_P_AREA_L1,    DF_P_AREA_REG,   DF_P_AREA_INTRA,
                                      DF_P_POWER_DRAM, DF_P_POWER_L2,   DF_P_POWER_L1,
                                      DF_P_POWER_REG,  DF_P_POWER_CORE, DF_P_POWER_INTRA};
    (void)state;
    const df_cfg cfg = load();
    df_eval *eval = objective_of(&cfg, false);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        df_point point = equal_shares(eval);
        df_eval_result result;
        point.p[needed[i]] = 0;
        df_eval_point(eval, &point, &result);
        assert_true(isinf(result.time_s));
        assert_true(result.shortfall > 0 && isfinite(result.shortfall));
    }
    df_eval_free(eval);
}

/* A core that has no frequency at all is refused, also when the template's own core has no
 * power, so that its device would be derived without a look at the frequency. */
static void a_core_without_frequency_is_refused(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_cfg cfg = load();
    df_eval *eval;
    df_err err;
    cfg.tech.core.nominal_frequency_hz = 0;
    cfg.tech.core.operating_frequency_hz = 0;
    assert_int_equal(
        df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval, &err),
        DF_EINVAL);
    cfg.power.of.core = 0;
    assert_int_equal(
        df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval, &err),
        DF_EINVAL);
    assert_non_null(strstr(err.text, "frequency"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unused_networks_are_not_searched),
        cmocka_unit_test(unused_shares_are_kept),
        cmocka_unit_test(the_chip_keeps_its_budget),
        cmocka_unit_test(unused_networks_get_nothing),
        cmocka_unit_test(missing_units_have_a_slope),
        cmocka_unit_test(a_class_without_a_budget_is_refused),
        cmocka_unit_test(fractions_become_budgets),
        cmocka_unit_test(times_are_those_of_the_written_budgets),
        cmocka_unit_test(missing_memory_has_a_slope),
        cmocka_unit_test(ignored_memory_is_no_shortfall),
        cmocka_unit_test(parts_without_a_share_cannot_work),
        cmocka_unit_test(a_core_without_frequency_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
