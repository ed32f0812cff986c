/* Starting points and updates of the reference rule, against two recorded searches. Their
 * times are of an older performance model, so the rule is fed with what it saw then. */
#include <string.h>

#include "golden/cases.h"
#include "grad/grad.h"

/* The recorded searches had no network between nodes; its shares in their template. */
static const double UNUSED_AREA = 0.1;
static const double UNUSED_POWER = 0.1;
static const double UNUSED_PERIMETER = 0.3;

static df_eval *recorded_search(void)
{
    const df_rules rules = df_rules_reference();
    df_cfg cfg;
    df_eval *eval;
    df_err err;
    if (df_cfg_load(DF_CONFIGS "/search/lstm_4x4.yaml", NULL,
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    cfg.system.inter_derate = 0;
    cfg.system.intra_derate = 2;
    cfg.area.of.inter = UNUSED_AREA * cfg.area.chip_mm2;
    cfg.power.of.inter = UNUSED_POWER * cfg.power.tdp_w;
    cfg.perimeter.inter = UNUSED_PERIMETER;
    if (df_eval_new(&cfg, &(df_eval_options){.rules = rules, .ignore_memory = false}, &eval,
                    &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return eval;
}

static df_point point_of(const df_csv *row)
{
    df_point point;
    for (int i = 0; i < DF_PARAMS; i++) {
        char column[8];
        snprintf(column, sizeof column, "p%d", i);
        point.p[i] = df_csv_number(row, column);
    }
    return point;
}

static void assert_points_equal(const df_point *a, const df_point *b, double tol)
{
    for (int i = 0; i < DF_PARAMS; i++) {
        df_assert_rel(a->p[i], b->p[i], tol);
    }
}

static void starting_points_are_met(void **state)
{
    (void)state;
    df_eval *eval = recorded_search();
    df_csv *row = df_csv_open("gd.csv");
    int starts = 0;
    while (df_csv_next(row)) {
        if (strcmp(df_csv_text(row, "what"), "start") == 0) {
            const df_point expected = point_of(row);
            df_point start;
            df_grad_start_random(eval, (uint32_t)df_csv_number(row, "index"), &start);
            assert_points_equal(&start, &expected, 1e-15);
            starts++;
        }
    }
    df_csv_close(row);
    df_eval_free(eval);
    assert_int_equal(starts, 2);
}

/* 12 and 15 iterations. */
static void updates_are_met(void **state)
{
    (void)state;
    df_eval *eval = recorded_search();
    const double budget[] = {1 - UNUSED_AREA, 1 - UNUSED_POWER, 1 - UNUSED_PERIMETER};
    df_csv *row = df_csv_open("gd.csv");
    df_reference_state moments;
    df_reference_times times;
    df_point point;
    int steps = 0;
    while (df_csv_next(row)) {
        const char *const what = df_csv_text(row, "what");
        const double time = df_csv_number(row, "time");
        if (strcmp(what, "start") == 0) {
            memset(&moments, 0, sizeof moments);
        } else if (strcmp(what, "base") == 0) {
            memset(&times, 0, sizeof times);
            point = point_of(row);
            times.t = time;
            times.overflow = df_csv_number(row, "overflow");
        } else if (strcmp(what, "step") == 0) {
            const df_point expected = point_of(row);
            assert_true(
                df_reference_step(df_eval_searched(eval), budget, &times, &moments, &point));
            assert_points_equal(&point, &expected, 1e-9);
            steps++;
        } else {
            times.t_grown[(int)df_csv_number(row, "what")] = time;
        }
    }
    df_csv_close(row);
    df_eval_free(eval);
    assert_int_equal(steps, 12 + 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starting_points_are_met),
        cmocka_unit_test(updates_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
