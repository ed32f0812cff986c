/* Descents: every optimizer improves, keeps the budgets, repeats itself to the bit, and
 * finds its way back from devices that cannot work. */
#include <math.h>
#include <string.h>

#include <gsl/gsl_errno.h>

#include "grad/grad.h"
#include "predict/predict.h"
#include "support/support.h"

/* ---- Memory that ends ---- */

/* the linker's names:
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool *memory_ended(void)
{
    static bool ended;
    return &ended;
}

void *__wrap_malloc(size_t size)
{
    return *memory_ended() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return *memory_ended() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return *memory_ended() ? NULL : __real_realloc(memory, size);
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static df_cfg load(void)
{
    df_cfg cfg;
    df_err err;
    if (df_cfg_load(DF_CONFIGS "/search/lstm_4x4.yaml", NULL,
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    /* 16 replicas on one wafer */
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

static df_eval *search_of(const df_cfg *cfg, const df_rules *rules, bool ignore_memory)
{
    df_eval *eval;
    df_err err;
    if (df_eval_new(cfg, &(df_eval_options){.rules = *rules, .ignore_memory = ignore_memory}, &eval,
                    &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return eval;
}

static df_eval *search(void)
{
    const df_cfg cfg = load();
    const df_rules rules = df_rules_reference();
    return search_of(&cfg, &rules, false);
}

typedef struct {
    int iterates;
    int stop_after; /* 0: never */
    bool on_budget;
    df_eval *eval;
} watcher;

static bool watch(void *ctx, const df_iterate *iterate)
{
    watcher *w = ctx;
    assert_int_equal(iterate->iteration, w->iterates);
    w->iterates++;
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        double sum = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            sum += df_eval_searched(w->eval)[i] ? iterate->point.p[i] : 0;
        }
        w->on_budget = w->on_budget && fabs(sum - df_eval_budget(w->eval, klass)) < 1e-12;
    }
    return w->iterates != w->stop_after;
}

static df_descent descend(df_eval *eval, df_optimizer optimizer, const df_point *start)
{
    const df_grad_options options = {optimizer, 0, DF_START_AUTO};
    watcher w = {0, 0, true, eval};
    const df_grad_watch watching = {watch, &w};
    df_descent out;
    df_err err;
    assert_int_equal(df_grad_descend(eval, &options, start, &watching, &out, &err), DF_OK);
    assert_int_equal(w.iterates, out.iterations + 1); /* and the start */
    assert_true(w.on_budget);
    return out;
}

static void every_optimizer_improves(void **state)
{
    (void)state;
    df_eval *eval = search();
    for (int o = 0; o < DF_OPTIMIZERS; o++) {
        df_point start;
        df_eval_result again;
        df_grad_start_random(eval, 7, &start);
        const df_descent d = descend(eval, (df_optimizer)o, &start);
        assert_true(d.best_time_s < 0.95 * d.start_time_s);
        assert_true(d.memory_overflow <= 1);
        df_eval_point(eval, &d.best, &again);
        df_assert_rel(again.time_s, d.best_time_s, 0);
    }
    df_eval_free(eval);
}

/* Whatever was evaluated before. */
static void descents_repeat_themselves(void **state)
{
    (void)state;
    df_eval *first = search();
    df_eval *second = search();
    for (int o = 0; o < DF_OPTIMIZERS; o++) {
        df_point start;
        df_eval_result ignored;
        df_grad_start_random(first, 3, &start);
        df_eval_point(second, df_eval_template(second), &ignored);
        const df_descent a = descend(first, (df_optimizer)o, &start);
        const df_descent b = descend(second, (df_optimizer)o, &start);
        assert_memory_equal(&a.best, &b.best, sizeof a.best);
        df_assert_rel(a.best_time_s, b.best_time_s, 0);
        assert_int_equal(a.evaluations, b.evaluations);
        assert_int_equal(a.status, b.status);
    }
    df_eval_free(first);
    df_eval_free(second);
}

/* Without a network between nodes 14 parameters are searched: 1 + 100 * (14 + 2) at the
 * most, fewer where an infinite time ends the search. */
static void reference_counts_as_documented(void **state)
{
    (void)state;
    const df_grad_options options = {DF_OPT_REFERENCE, 0, DF_START_RANDOM};
    df_eval *eval = search();
    for (uint32_t index = 0; index < 10; index++) {
        df_point start;
        df_grad_start_random(eval, index, &start);
        const df_descent d = descend(eval, DF_OPT_REFERENCE, &start);
        assert_int_equal(d.evaluations, 1 + d.iterations * (14 + 2));
        assert_true((d.status == DF_SEARCH_ITERATIONS) == (d.iterations == 100));
    }
    assert_int_equal(df_grad_max_evaluations(&options, 14), 1601);
    assert_int_equal(df_grad_max_evaluations(&options, 17), 1901);
    df_eval_free(eval);
}

static void a_watcher_stops_a_descent(void **state)
{
    (void)state;
    df_eval *eval = search();
    df_point start;
    df_grad_start_random(eval, 7, &start);
    for (int o = 0; o < DF_OPTIMIZERS; o++) {
        const df_grad_options options = {(df_optimizer)o, 0, DF_START_AUTO};
        for (int after = 1; after <= 3; after += 2) {
            watcher w = {0, after, true, eval};
            const df_grad_watch watching = {watch, &w};
            df_descent out;
            df_err err;
            assert_int_equal(df_grad_descend(eval, &options, &start, &watching, &out, &err),
                             DF_EINTERRUPTED);
            assert_int_equal(w.iterates, after);
            assert_true(isfinite(out.best_time_s)); /* of what was reached */
        }
    }
    df_eval_free(eval);
}

/* A start that gives nearly all area to L2: no core fits. */
static df_point dead_start(const df_eval *eval)
{
    df_point start;
    df_grad_start_random(eval, 1, &start);
    double moved = 0;
    for (int i = DF_P_AREA_CORE; i <= DF_P_AREA_INTER; i++) {
        if (i != DF_P_AREA_L2 && df_eval_searched(eval)[i]) {
            moved += start.p[i] * (1 - 1e-5);
            start.p[i] *= 1e-5;
        }
    }
    start.p[DF_P_AREA_L2] += moved;
    return start;
}

static void dead_starts_are_left(void **state)
{
    (void)state;
    const df_cfg cfg = load();
    df_rules rules = df_rules_reference();
    for (int o = 0; o < DF_OPTIMIZERS; o++) {
        rules.infinite_start_shrinks = o != DF_OPT_REFERENCE;
        df_eval *eval = search_of(&cfg, &rules, false);
        const df_point start = dead_start(eval);
        const df_descent d = descend(eval, (df_optimizer)o, &start);
        assert_true(isinf(d.start_time_s));
        assert_true(isfinite(d.best_time_s));
        assert_true(d.status != DF_SEARCH_INFEASIBLE);
        df_eval_free(eval);
    }
}

/* With the reference's own rule such a search ends at once. */
static void reference_rule_stays_dead(void **state)
{
    (void)state;
    df_eval *eval = search();
    const df_point start = dead_start(eval);
    const df_descent d = descend(eval, DF_OPT_REFERENCE, &start);
    assert_int_equal(d.status, DF_SEARCH_INFEASIBLE);
    assert_int_equal(d.iterations, 1);
    df_eval_free(eval);
}

/* A memory that must not be ignored decides which point is the best one. */
static void the_best_point_fits(void **state)
{
    (void)state;
    df_cfg cfg = load();
    const df_rules rules = df_rules_reference();
    cfg.tech.dram.mem_ctrl_area_mm2 *= 20; /* so that stacks compete with the rest */
    df_eval *strict = search_of(&cfg, &rules, false);
    df_eval *loose = search_of(&cfg, &rules, true);
    for (int o = 0; o < DF_OPTIMIZERS; o++) {
        df_point start;
        df_grad_start_random(strict, 2, &start);
        const df_descent fits = descend(strict, (df_optimizer)o, &start);
        const df_descent any = descend(loose, (df_optimizer)o, &start);
        assert_true(isinf(fits.best_time_s) || fits.memory_overflow <= 1);
        /* the reference's rule does not find back from this start */
        assert_true(isfinite(any.best_time_s) == (o != DF_OPT_REFERENCE));
    }
    df_eval_free(strict);
    df_eval_free(loose);
}

static void hopeless_models_are_refused(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_cfg cfg = load();
    df_eval *eval;
    df_err err;
    cfg.lstm.layer_size *= 32; /* about 1000 times the weights */
    assert_int_equal(
        df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval, &err),
        DF_INFEASIBLE);
    assert_non_null(strstr(err.text, "leave no area for a chip"));
    cfg = load();
    cfg.has_breakdown = false;
    assert_int_equal(
        df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval, &err),
        DF_EINVAL);
    assert_non_null(strstr(err.text, "area_breakdown"));
    cfg = load();
    cfg.sched.t = DF_T_CR;
    cfg.sched.kp1 = 3; /* does not divide 2 * layer_size */
    assert_int_equal(
        df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval, &err),
        DF_INFEASIBLE);
}

/* Two stacks of 100 mm2 for 8 GB, or four when the model takes twice as much. */
static void stacks_leave_the_chip_area(void **state)
{
    (void)state;
    const df_cfg cfg = load();
    const df_rules rules = df_rules_reference();
    df_need need;
    df_eval *eval = search();
    df_predict_need(&cfg, &rules, &need);
    const double stacks = ceil(need.total_bytes / cfg.tech.dram.stack_capacity_bytes);
    df_assert_rel(df_eval_chip_mm2(eval),
                  trunc(cfg.area.device_mm2 - stacks * cfg.tech.dram.area_per_stack_mm2), 0);
    df_cfg written;
    df_eval_config(eval, df_eval_template(eval), &written);
    df_assert_rel(written.area.of.core / written.area.chip_mm2,
                  cfg.area.of.core / cfg.area.chip_mm2, 1e-12);
    df_eval_free(eval);
}

/* Index 0 has equal shares; the others differ, and each class is on its budget. */
static void even_starts_spread(void **state)
{
    (void)state;
    df_eval *eval = search();
    df_point before = {{0}};
    for (uint32_t index = 0; index < 100000; index += index < 4 ? 1 : 33331) {
        const df_grad_options options = {.optimizer = DF_OPT_CMA};
        df_point start;
        df_point again;
        df_err err;
        assert_int_equal(df_grad_start(eval, &options, index, &start, &err), DF_OK);
        assert_int_equal(df_grad_start_sobol(eval, index, &again, &err), DF_OK);
        assert_memory_equal(&start, &again, sizeof start);
        assert_memory_not_equal(&start, &before, sizeof start);
        for (int klass = 0; klass < DF_CLASSES; klass++) {
            double sum = 0;
            for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
                sum += df_eval_searched(eval)[i] ? start.p[i] : 0;
                assert_true(!df_eval_searched(eval)[i] || start.p[i] > 0);
            }
            df_assert_rel(sum, df_eval_budget(eval, klass), 1e-14);
        }
        if (index == 0) {
            df_assert_rel(start.p[DF_P_AREA_CORE], df_eval_budget(eval, 0) / 6, 1e-14);
            df_assert_rel(start.p[DF_P_PERIM_INTRA], df_eval_budget(eval, 2) / 2, 1e-14);
        }
        before = start;
    }
    df_eval_free(eval);
}

/* Five descents of the reference's rule, and one of the default's as long as one of them. */
static void the_default_needs_a_fifth(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    rules.infinite_start_shrinks = false;
    df_cfg cfg = load();
    cfg.lstm.batch_size = 8192;
    cfg.power.tdp_w /= 2;
    df_eval *eval = search_of(&cfg, &rules, false);
    double reference_s = HUGE_VAL;
    df_point start;
    df_err err;
    for (uint32_t index = 0; index < 5; index++) {
        df_grad_start_random(eval, index, &start);
        reference_s = fmin(reference_s, descend(eval, DF_OPT_REFERENCE, &start).best_time_s);
    }
    assert_int_equal(df_grad_start_sobol(eval, 0, &start, &err), DF_OK);
    const df_descent d = descend(eval, DF_OPT_CMA, &start);
    assert_true(d.best_time_s < 0.95 * reference_s);
    assert_true(d.evaluations <= 1602); /* it ends soon after 1601 */
    df_eval_free(eval);
}

static void optimizers_have_names(void **state)
{
    (void)state;
    df_optimizer found;
    df_err err;
    for (int o = 0; o < DF_OPTIMIZERS; o++) {
        assert_int_equal(df_optimizer_parse(df_optimizer_names[o], &found, &err), DF_OK);
        assert_int_equal(found, o);
    }
    assert_int_equal(df_optimizer_parse("nmsimplex", &found, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "did you mean nmsimplex2?"));
}

/* Four stages and eight micro-batches, whose schedule the first prediction makes room for. */
static df_eval *search_of_a_pipeline(void)
{
    df_cfg cfg;
    df_err err;
    const df_rules rules = df_rules_corrected();
    if (df_cfg_load(
            DF_CONFIGS "/hardware/variants/hbm_next.yaml", DF_CONFIGS "/model/llama2_7b.yaml",
            DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    cfg.llm.batch_size = 8;
    cfg.sched.dp = 1;
    cfg.sched.tp = 1;
    cfg.sched.cp = 1;
    cfg.sched.lp = 4;
    cfg.sched.mb = 8;
    cfg.sched.schedule = DF_ORDER_1F1B;
    cfg.system.num_nodes = 1;
    cfg.system.num_devices_per_node = 4;
    cfg.system.intra_derate = 1;
    cfg.system.inter_derate = 0;
    return search_of(&cfg, &rules, true);
}

/* A search that runs out of memory ends with that, and its strategy is not called infeasible. */
static void out_of_memory_is_not_infeasible(void **state)
{
    (void)state;
    df_eval *const eval = search_of_a_pipeline();
    const df_grad_options options = {.optimizer = DF_OPT_REFERENCE, .max_iterations = 2};
    const df_point start = *df_eval_template(eval);
    df_descent found;
    df_err err = {""};
    *memory_ended() = true;
    const df_status status = df_grad_descend(eval, &options, &start, NULL, &found, &err);
    *memory_ended() = false;
    assert_int_equal(status, DF_ENOMEM);
    assert_string_equal(err.text, "out of memory");
    /* the failure ends with the strategy, which with memory has a time */
    df_cfg cfg;
    df_eval_config(eval, &start, &cfg);
    assert_int_equal(df_eval_use(eval, &cfg, &err), DF_OK);
    assert_int_equal(df_grad_descend(eval, &options, &start, NULL, &found, &err), DF_OK);
    assert_true(isfinite(found.best_time_s));
    df_eval_free(eval);
}

int main(void)
{
    gsl_set_error_handler_off();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer_improves),
        cmocka_unit_test(descents_repeat_themselves),
        cmocka_unit_test(reference_counts_as_documented),
        cmocka_unit_test(a_watcher_stops_a_descent),
        cmocka_unit_test(dead_starts_are_left),
        cmocka_unit_test(reference_rule_stays_dead),
        cmocka_unit_test(the_best_point_fits),
        cmocka_unit_test(hopeless_models_are_refused),
        cmocka_unit_test(stacks_leave_the_chip_area),
        cmocka_unit_test(even_starts_spread),
        cmocka_unit_test(the_default_needs_a_fifth),
        cmocka_unit_test(out_of_memory_is_not_infeasible),
        cmocka_unit_test(optimizers_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
