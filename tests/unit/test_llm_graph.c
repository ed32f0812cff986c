/* What stands for a step's graph takes the time of the whole graph, for random pipelines: one
 * with fewer batches, and formulas. Durations are small whole numbers, so that sums are exact,
 * many things end at once and ties matter. */
#include "base/mt19937.h"
#include "llm/llm_impl.h"
#include "support/support.h"

static int64_t draw(df_mt19937 *rng, int64_t least, int64_t most)
{
    return least + (int64_t)(df_mt_next(rng) % (uint32_t)(most - least + 1));
}

static df_step random_step(df_mt19937 *rng, int64_t least_batches)
{
    df_step s = {.pipe = {.layers = draw(rng, 1, 9),
                          .batches = draw(rng, least_batches, 20),
                          .stages = draw(rng, 1, 6),
                          .virtual_stages = 1},
                 .order = &df_orders[DF_ORDER_GPIPE],
                 .zero_stage = draw(rng, 0, 3),
                 .training = draw(rng, 0, 4) > 0,
                 .data_parallel = draw(rng, 0, 2) > 0,
                 .tied = draw(rng, 0, 1) > 0,
                 .first_gather_free = draw(rng, 0, 1) > 0};
    double *const durations[] = {
        &s.t.embedding[0],     &s.t.embedding[1],  &s.t.block[0],     &s.t.block[1],
        &s.t.logits[0],        &s.t.logits[1],     &s.t.hop,          &s.t.reduce_layer,
        &s.t.reduce_embedding, &s.t.reduce_logits, &s.t.gather_layer, &s.t.gather_logits,
        &s.t.gather_embedding};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        *durations[i] = (double)draw(rng, 0, 4);
    }
    return s;
}

static double whole_s(const df_step *step)
{
    int32_t root;
    double time_s;
    df_err err;
    df_dag *const dag = df_llm_build_graph(step, NULL, &root);
    assert_non_null(dag);
    if (df_sched_gathers(step)) {
        df_dag_retime(dag, root, df_sched_begin_s(step));
    }
    assert_int_equal(df_dag_run(dag, root, &time_s, &err), DF_OK);
    df_dag_free(dag);
    return time_s;
}

static double repeated_s(const df_step *step)
{
    df_step shown = *step;
    int32_t root;
    double time_s;
    df_err err;
    shown.pipe.batches = DF_DAG_SHOWN;
    df_dag *const dag = df_llm_build_graph(&shown, NULL, &root);
    assert_non_null(dag);
    if (df_sched_gathers(step)) {
        df_dag_retime(dag, root, df_sched_begin_s(step));
    }
    assert_int_equal(df_dag_run_repeated(dag, root, step->pipe.batches, &time_s, &err), DF_OK);
    df_dag_free(dag);
    return time_s;
}

static void assert_time(int number, const df_step *s, double time_s)
{
    if (whole_s(s) != time_s) {
        fail_msg("case %d: layers %d, batches %d, stages %d, ZeRO %d, training %d, dp %d, tied %d: "
                 "%.17g s for the whole graph, %.17g s for what stands for it",
                 number, (int)s->pipe.layers, (int)s->pipe.batches, (int)s->pipe.stages,
                 (int)s->zero_stage, s->training, s->data_parallel, s->tied, whole_s(s), time_s);
    }
}

static void few_batches_stand_for_many(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 3);
    int gathered = 0;
    for (int i = 0; i < 2000; i++) {
        const df_step step = random_step(&rng, DF_DAG_SHOWN + 1);
        gathered += df_sched_gathers(&step);
        assert_time(i, &step, repeated_s(&step));
    }
    assert_true(gathered > 100);
}

/* Stages do their tasks in the order of the row. (The reference's links leave other orders open,
 * and others where stages have no layers or there is but one: src/compat.) */
static void orders_take_the_time_of_their_graphs(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_sched_ws ws = {NULL, 0};
    df_mt_init(&rng, 8);
    for (int i = 0; i < 3000; i++) {
        df_step step = random_step(&rng, 1);
        df_pipe *const pipe = &step.pipe;
        double time_s;
        df_err err;
        const df_order_id id = (df_order_id)(i % DF_ORDERS);
        step.data_parallel = false;
        if (id == DF_ORDER_INTERLEAVED) {
            pipe->virtual_stages = draw(&rng, 1, 3);
            pipe->layers = pipe->stages * pipe->virtual_stages * draw(&rng, 1, 2);
            pipe->batches = pipe->stages * draw(&rng, 1, 4);
        }
        if (id == DF_ORDER_GPIPE) {
            const bool idle = df_sched_layers(pipe, pipe->stages - 1) == 0;
            pipe->layers = idle ? 2 * pipe->stages : pipe->layers;
            pipe->batches = pipe->stages == 1 ? 1 : pipe->batches;
        } else {
            step.training = true;
            step.order = &df_orders[id];
        }
        assert_int_equal(df_sched_time(&ws, &step, &time_s, &err), DF_OK);
        assert_time(i, &step, time_s);
    }
    df_sched_ws_free(&ws);
}

/* Several micro-batches on one stage: nothing leads to the second. */
static void the_first_batch_has_a_formula(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 4);
    for (int i = 0; i < 1000; i++) {
        df_step step = random_step(&rng, 2);
        step.pipe.stages = 1;
        assert_time(i, &step, df_llm_first_batch_s(&step));
    }
}

enum { STAGES = 6, CASES = 2000 };

/* ZeRO 3 in training, each stage with layers. One stage runs one micro-batch (above). */
static df_step random_gated(df_mt19937 *rng)
{
    df_step step = random_step(rng, 1);
    do {
        step.pipe.layers = draw(rng, 1, 12);
        step.pipe.stages = draw(rng, 1, STAGES);
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
    double room[STAGES];
    df_mt_init(&rng, 5);
    for (int i = 0; i < CASES; i++) {
        const df_step step = random_gated(&rng);
        assert_time(i, &step, df_llm_gated_s(&step, room));
    }
}

/* Where a rule has all micro-batches of one stage run, each adds as much as another. */
static void one_stage_takes_each_batch_alike(void **state)
{
    (void)state;
    df_mt19937 rng;
    double room[1];
    df_mt_init(&rng, 7);
    for (int i = 0; i < 200; i++) {
        double time_s[4];
        df_step step = random_gated(&rng);
        step.pipe.stages = 1;
        for (int64_t b = 1; b <= 3; b++) {
            step.pipe.batches = b;
            time_s[b] = df_llm_gated_s(&step, room);
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
    double room[STAGES];
    df_mt_init(&rng, 6);
    for (int i = 0; i < CASES; i++) {
        df_step step = random_gated(&rng);
        double *const t = (double *)&step.t;
        for (size_t k = 0; k < sizeof step.t / sizeof *t; k++) {
            t[k] *= 0x1p-32 * (double)df_mt_next(&rng);
        }
        df_assert_rel(df_llm_gated_s(&step, room), whole_s(&step), 1e-13);
        step.pipe.stages = 1;
        step.pipe.batches++;
        df_assert_rel(df_llm_first_batch_s(&step), whole_s(&step), 1e-13);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_batches_stand_for_many),
        cmocka_unit_test(orders_take_the_time_of_their_graphs),
        cmocka_unit_test(the_first_batch_has_a_formula),
        cmocka_unit_test(gathers_that_hold_up_have_a_formula),
        cmocka_unit_test(one_stage_takes_each_batch_alike),
        cmocka_unit_test(formulas_round_as_little_as_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
