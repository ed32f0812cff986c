/* Orders of micro-batches and the time of steps in them. Durations are small whole numbers, so that
 * sums are exact. */
#include <string.h>

#include "support/step_case.h"

enum { PASSES_MAX = 512, CASES = 2000 };

static double time_s(const df_step *step)
{
    df_sched_ws ws = {NULL, 0};
    df_err err;
    double s;
    assert_int_equal(df_sched_time(&ws, step, &s, &err), DF_OK);
    df_sched_ws_free(&ws);
    return s;
}

/* ---- Layers ---- */

/* 5 layers on 4 stages: 2, 2, 1, 0. */
static void first_stages_are_full(void **state)
{
    (void)state;
    static const int64_t expected[] = {2, 2, 1, 0};
    const df_pipe pipe = {.layers = 5, .stages = 4, .virtual_stages = 1, .batches = 1};
    for (int64_t i = 0; i < 4; i++) {
        assert_int_equal(df_sched_layers(&pipe, i), expected[i]);
        assert_int_equal(df_sched_stage_layers(&pipe, i), expected[i]);
    }
    const df_pipe parts = {.layers = 24, .stages = 4, .virtual_stages = 3, .batches = 4};
    assert_int_equal(df_sched_layers(&parts, 11), 2);
    assert_int_equal(df_sched_stage_layers(&parts, 3), 6);
}

/* What is left has all layers, each where it was, and at most one stage without: the logits'. */
static void idle_stages_are_left_out(void **state)
{
    (void)state;
    for (int64_t layers = 1; layers <= 20; layers++) {
        for (int64_t stages = 1; stages <= 20; stages++) {
            const df_pipe whole = {layers, stages, 1, 1};
            const df_pipe busy = df_sched_trim(&whole);
            int64_t sum = 0;
            for (int64_t i = 0; i < busy.stages; i++) {
                assert_int_equal(df_sched_layers(&busy, i), df_sched_layers(&whole, i));
                sum += df_sched_layers(&busy, i);
            }
            assert_int_equal(sum, layers);
            assert_true(busy.stages == stages || df_sched_layers(&busy, busy.stages - 2) > 0);
            assert_true(busy.stages == 1 || busy.stages == stages ||
                        df_sched_layers(&busy, busy.stages - 1) == 0);
        }
    }
}

/* ---- Orders ---- */

/* Each pass once, its backward pass after its forward pass; as many in flight as the row says. */
static void check_stage(const df_order *order, const df_pipe *pipe, int64_t stage)
{
    int8_t done[PASSES_MAX] = {0};
    int64_t in_flight = 0;
    int64_t most = 0;
    const int64_t count = df_sched_count(order, pipe);
    assert_int_equal(count, 2 * pipe->batches * pipe->virtual_stages);
    for (int64_t i = 0; i < count; i++) {
        const df_task task = order->task(pipe, stage, i);
        int8_t *const pass = &done[task.part * pipe->batches + task.batch];
        assert_int_equal(task.part % pipe->stages, stage);
        assert_in_range(task.batch, 0, pipe->batches - 1);
        assert_in_range(task.part, 0, pipe->stages * pipe->virtual_stages - 1);
        assert_int_equal(*pass, task.kind == DF_TASK_FORWARD ? 0 : 1);
        ++*pass;
        in_flight += task.kind == DF_TASK_FORWARD ? 1 : -1;
        most = in_flight > most ? in_flight : most;
    }
    assert_int_equal(order->in_flight(pipe, stage), most);
    df_assert_rel(df_sched_kept(order, pipe, stage),
                  (double)most * (double)df_sched_layers(pipe, stage), 0);
}

static void rows_are_orders(void **state)
{
    (void)state;
    for (int id = 0; id < df_order_count; id++) {
        const bool interleaved = id == DF_ORDER_INTERLEAVED;
        for (int64_t stages = 1; stages <= 5; stages++) {
            for (int64_t rounds = 1; rounds <= 4; rounds++) {
                for (int64_t parts = 1; parts <= (interleaved ? 3 : 1); parts++) {
                    const df_pipe pipe = {12 * parts * stages, stages, parts,
                                          interleaved ? rounds * stages : 2 * rounds - 1};
                    for (int64_t i = 0; i < stages; i++) {
                        check_stage(&df_orders[id], &pipe, i);
                    }
                }
            }
        }
    }
}

/* Narayanan et al., 2021, figure 4: device 1 of 4 with 8 micro-batches and 2 parts. The first
 * backward pass comes after (4 - 1) * 2 + 4 + 1 = 11 forward passes. */
static void interleaved_is_as_published(void **state)
{
    (void)state;
    static const int64_t batches[] = {0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 0, 7, 1, 4, 2};
    static const int64_t parts[] = {0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 4, 0, 4, 4, 4};
    static const char kinds[] = "FFFFFFFFFFFBFBFB";
    const df_pipe pipe = {8, 4, 2, 8};
    for (int64_t i = 0; i < 16; i++) {
        const df_task task = df_orders[DF_ORDER_INTERLEAVED].task(&pipe, 0, i);
        assert_int_equal(task.batch, batches[i]);
        assert_int_equal(task.part, parts[i]);
        assert_int_equal("FBW"[task.kind], kinds[i]);
    }
}

/* ---- Steps ---- */

/* The formula of orders that do all forward passes first. */
static void flow_shops_take_as_long_as_their_tasks(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 21);
    df_order by_task = df_orders[DF_ORDER_GPIPE];
    by_task.forward_first = false;
    for (int i = 0; i < CASES; i++) {
        df_step step = df_step_case_random(&rng, 1);
        step.training = true;
        const double formula_s = time_s(&step);
        step.order = &by_task;
        df_assert_rel(time_s(&step), formula_s, 0);
    }
}

/* One stage of two layers: forward 2 s, backward 4 s; link times count from 2 s on. */
static df_step reducing(void)
{
    return (df_step){.t = {.block = {1, 2},
                           .reduce.embedding = 4,
                           .reduce.layer = 5,
                           .reduce.logits = 3,
                           .gather.embedding = 2,
                           .gather.layer = 1,
                           .gather.logits = 2},
                     .pipe = {2, 1, 1, 1},
                     .order = &df_orders[DF_ORDER_GPIPE],
                     .training = true,
                     .data_parallel = true};
}

static void reductions_queue(void **state)
{
    (void)state;
    df_step step = reducing();
    df_assert_rel(time_s(&step), 2 + 3 + 5 + 5 + 4, 0);
    step.zero_stage = 2; /* each followed by a gather */
    df_assert_rel(time_s(&step), 2 + 5 + 6 + 6 + 6, 0);
    step.tied = true;
    df_assert_rel(time_s(&step), 2 + 3 + 6 + 6 + 6, 0);
    /* Backward passes last as long as reductions, 10 s each, the second one from 14 s on. Its
     * reductions: the logits' until 17 s, the first layer's from 19 s on. */
    step = reducing();
    step.pipe.batches = 2;
    step.reduces_every_batch = true;
    df_assert_rel(time_s(&step), 19 + 5 + 5 + 4, 0);
    step.order = &df_orders[DF_ORDER_1F1B];
    df_assert_rel(time_s(&step), 19 + 5 + 5 + 4, 0);
}

static void reductions_run_side_by_side(void **state)
{
    (void)state;
    df_step step = reducing();
    step.reduces_side_by_side = true;
    df_assert_rel(time_s(&step), 6 + 5, 0); /* the last layer's */
    step.t.reduce.embedding = 6;
    df_assert_rel(time_s(&step), 6 + 6, 0);
    step.t.reduce.logits = 11;
    df_assert_rel(time_s(&step), 2 + 11, 0);
    step.data_parallel = false;
    df_assert_rel(time_s(&step), 6, 0);
}

/* ZeRO 3: the first gather comes before, that of the next layer beside each. */
static void gathers_come_first(void **state)
{
    (void)state;
    df_step step = reducing();
    step.zero_stage = 3;
    step.reduces_side_by_side = true;
    step.t.reduce.layer = 0;
    step.t.reduce.embedding = step.t.reduce.logits = 0;
    /* 2 for the embedding's table, 1 for the first layer's parameters, 1 and 2 for two layers,
     * of which the last has the logits' gather beside; then 4 */
    df_assert_rel(time_s(&step), 2 + 1 + 1 + 2 + 4, 0);
    step.first_gather_free = true;
    df_assert_rel(time_s(&step), 1 + 1 + 2 + 4, 0);
    step.training = false; /* has its parameters */
    step.data_parallel = false;
    df_assert_rel(time_s(&step), 2, 0);
}

/* ---- Orders that split the backward pass ---- */

/* One forward, one backward, the gradients of the weights straight after those of the inputs. */
static df_task split_task(const df_pipe *pipe, int64_t stage, int64_t number)
{
    const int64_t behind = pipe->stages - stage - 1;
    const int64_t warm = behind < pipe->batches ? behind : pipe->batches;
    const int64_t after = number - warm;
    const int64_t trios = pipe->batches - warm;
    if (after < 0) {
        return (df_task){DF_TASK_FORWARD, stage, number};
    }
    if (after < 3 * trios) {
        const int64_t batch = after / 3 + (after % 3 == 0 ? warm : 0);
        return (df_task){(df_task_kind)(after % 3), stage, batch};
    }
    return (df_task){after % 2 == trios % 2 ? DF_TASK_BACKWARD : DF_TASK_WEIGHTS, stage,
                     trios + (after - 3 * trios) / 2};
}

static int64_t split_in_flight(const df_pipe *pipe, int64_t stage)
{
    return pipe->stages - stage;
}

/* A stage hands the gradients of its inputs on before it comes to the weights: of the bubble only
 * forward and input passes are left (Qi et al., ICLR 2024). Reductions follow the weights. */
static void an_order_is_a_row(void **state)
{
    (void)state;
    static const df_order split = {.name = "split",
                                   .forward_first = false,
                                   .splits_backward = true,
                                   .task = split_task,
                                   .in_flight = split_in_flight};
    for (int64_t p = 1; p <= 4; p++) {
        const int64_t m = 4 * p;
        df_step step = {.t = {.block = {3, 4, 2}, .reduce.layer = 7},
                        .pipe = {p, p, 1, m},
                        .order = &split,
                        .training = true};
        const double whole_s = (double)((p - 1) * (3 + 4) + m * (3 + 4 + 2));
        df_assert_rel(time_s(&step), whole_s, 0);
        step.data_parallel = true;
        df_assert_rel(time_s(&step), whole_s + 7, 0);
    }
}

/* ---- Memory ---- */

static void memory_runs_out(void **state)
{
    (void)state;
    df_sched_ws ws = {NULL, 0};
    df_err err;
    double s;
    df_step step = reducing();
    step.order = &df_orders[DF_ORDER_1F1B];
    step.pipe = (df_pipe){INT64_C(1) << 20, INT64_C(1) << 20, 1, INT64_C(1) << 20};
    assert_int_equal(df_sched_time(&ws, &step, &s, &err), DF_ENOMEM);
    assert_non_null(strstr(err.text, "out of memory"));
    df_sched_ws_free(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_stages_are_full),
        cmocka_unit_test(idle_stages_are_left_out),
        cmocka_unit_test(rows_are_orders),
        cmocka_unit_test(interleaved_is_as_published),
        cmocka_unit_test(flow_shops_take_as_long_as_their_tasks),
        cmocka_unit_test(reductions_queue),
        cmocka_unit_test(reductions_run_side_by_side),
        cmocka_unit_test(gathers_come_first),
        cmocka_unit_test(an_order_is_a_row),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
