/* Steps as the reference links them take the time of their whole graphs, for random pipelines. */
#include "compat/compat.h"
#include "support/step_case.h"

/* By the reference's rules: the first gather takes its time unless step.first_gather_free. */
static double reference_s(df_rules rules, const df_step *step)
{
    df_sched_ws ws = {NULL, 0};
    df_err err;
    double time_s;
    rules.llm_first_gather_free = step->first_gather_free;
    assert_int_equal(df_compat_step(&ws, &rules, step, &time_s, &err), DF_OK);
    df_sched_ws_free(&ws);
    return time_s;
}

/* Several micro-batches on one stage: nothing leads to the second. */
static void the_first_batch_has_a_formula(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 4);
    for (int i = 0; i < 1000; i++) {
        df_step step = df_step_case_random(&rng, 2);
        step.pipe.stages = 1;
        df_step_case_assert(i, &step, reference_s(df_rules_reference(), &step));
    }
}

/* ZeRO 3 in training, each stage with layers. One stage runs one micro-batch (above). */
static df_step random_gated(df_mt19937 *rng)
{
    df_step step = df_step_case_random(rng, 1);
    do {
        step.pipe.layers = df_step_case_draw(rng, 1, 12);
        step.pipe.stages = df_step_case_draw(rng, 1, 6);
    } while (df_sched_layers(&step.pipe, step.pipe.stages - 1) == 0);
    step.pipe.batches = step.pipe.stages == 1 ? 1 : step.pipe.batches;
    step.zero_stage = 3;
    step.training = true;
    step.data_parallel = true;
    return step;
}

static void gathers_that_hold_up_have_a_formula(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 5);
    for (int i = 0; i < 2000; i++) {
        const df_step step = random_gated(&rng);
        df_step_case_assert(i, &step, reference_s(df_rules_reference(), &step));
    }
}

/* Stages without layers: the links of several micro-batches are those of the graph alone. */
static void idle_stages_are_simulated(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 9);
    for (int i = 0; i < 500; i++) {
        df_step step = df_step_case_random(&rng, 2);
        step.pipe.stages = step.pipe.layers + df_step_case_draw(&rng, 1, 4);
        df_step_case_assert(i, &step, reference_s(df_rules_reference(), &step));
    }
}

/* Where a rule has all micro-batches of one stage run, each adds as much as another. */
static void one_stage_takes_each_batch_alike(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_rules rules = df_rules_reference();
    rules.llm_one_stage_one_batch = false;
    df_mt_init(&rng, 7);
    for (int i = 0; i < 200; i++) {
        double time_s[4];
        df_step step = random_gated(&rng);
        step.pipe.stages = 1;
        for (int64_t b = 1; b <= 3; b++) {
            step.pipe.batches = b;
            time_s[b] = reference_s(rules, &step);
        }
        assert_true(time_s[2] - time_s[1] == time_s[3] - time_s[2]);
        assert_true(time_s[2] - time_s[1] >=
                    (double)step.pipe.layers * (step.t.block[0] + step.t.block[1]));
    }
}

/* As a prediction's durations are: sums differ by their order. */
static void formulas_round_as_little_as_graphs(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 6);
    for (int i = 0; i < 2000; i++) {
        df_step step = random_gated(&rng);
        double *const t = (double *)&step.t;
        for (size_t k = 0; k < sizeof step.t / sizeof *t; k++) {
            t[k] *= 0x1p-32 * (double)df_mt_next(&rng);
        }
        df_assert_rel(reference_s(df_rules_reference(), &step), df_step_case_graph_s(&step), 1e-13);
        step.pipe.stages = 1;
        step.pipe.batches++;
        df_assert_rel(reference_s(df_rules_reference(), &step), df_step_case_graph_s(&step), 1e-13);
    }
}

/* Without these rules, and with orders other than gpipe, a step takes the time of its order. */
static void other_steps_take_the_time_of_their_order(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_sched_ws ws = {NULL, 0};
    df_err err;
    df_mt_init(&rng, 10);
    for (int i = 0; i < 1000; i++) {
        df_step step = df_step_case_random(&rng, 1);
        df_rules rules = i % 2 ? df_rules_corrected() : df_rules_reference();
        double time_s;
        step.training = step.training || i % 2 == 0;
        step.order = &df_orders[i % 2 ? DF_ORDER_GPIPE : DF_ORDER_1F1B];
        rules.llm_reductions_every_batch = step.reduces_every_batch;
        rules.llm_reductions_at_once = step.reduces_side_by_side;
        assert_int_equal(df_sched_time(&ws, &step, &time_s, &err), DF_OK);
        df_assert_rel(reference_s(rules, &step), time_s, 0);
    }
    df_sched_ws_free(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_batch_has_a_formula),
        cmocka_unit_test(gathers_that_hold_up_have_a_formula),
        cmocka_unit_test(idle_stages_are_simulated),
        cmocka_unit_test(one_stage_takes_each_batch_alike),
        cmocka_unit_test(formulas_round_as_little_as_graphs),
        cmocka_unit_test(other_steps_take_the_time_of_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
