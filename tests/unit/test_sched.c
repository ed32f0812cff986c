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

/* Of 126 layers on 16 stages of 8 parts, as Llama 3 has them, the first and the last part have
 * none: stages 0 and 15 have 7 layers. 9 layers on 2 stages of 3 parts: of 6 parts with 2 layers
 * the first, the last and the second lose one: 1, 1, 2, 2, 2, 1; so stage 0 has 1 + 2 + 2. */
static void parts_at_both_ends_are_short(void **state)
{
    (void)state;
    const df_pipe llama = {.layers = 126, .stages = 16, .virtual_stages = 8, .batches = 16};
    for (int64_t i = 0; i < 128; i++) {
        assert_int_equal(df_sched_layers(&llama, i), i > 0 && i < 127);
        assert_int_equal(df_sched_first_layer(&llama, i), i == 0 ? 0 : i - 1);
    }
    for (int64_t i = 0; i < 16; i++) {
        assert_int_equal(df_sched_stage_layers(&llama, i), i == 0 || i == 15 ? 7 : 8);
    }
    assert_int_equal(df_sched_first_full(&llama), 1);
    static const int64_t expected[] = {1, 1, 2, 2, 2, 1};
    static const int64_t stages[] = {0, 1, 0, 0, 1, 1, 0, 0, 1};
    const df_pipe odd = {.layers = 9, .stages = 2, .virtual_stages = 3, .batches = 2};
    for (int64_t i = 0; i < 6; i++) {
        assert_int_equal(df_sched_layers(&odd, i), expected[i]);
    }
    for (int64_t i = 0; i < 9; i++) {
        assert_int_equal(df_sched_stage_of(&odd, i), stages[i]);
    }
    assert_int_equal(df_sched_stage_layers(&odd, 0), 5);
    assert_int_equal(df_sched_stage_layers(&odd, 1), 4);
    assert_int_equal(df_sched_first_full(&odd), 0);
}

/* The same by counting, for all small pipelines of several parts: all layers once, in order, parts
 * that differ by one at most and are shorter only towards the ends. */
static void layers_are_dealt_out_evenly(void **state)
{
    (void)state;
    for (int64_t layers = 1; layers <= 30; layers++) {
        for (int64_t parts = 2; parts <= layers + 2; parts++) {
            for (int64_t stages = 1; stages <= parts / 2; stages++) {
                const df_pipe pipe = {layers, stages, parts / stages, 1};
                const int64_t least = layers / parts;
                int64_t layer = 0;
                for (int64_t i = 0; i < parts && parts % stages == 0; i++) {
                    const int64_t own = df_sched_layers(&pipe, i);
                    assert_in_range(own, least, least + 1);
                    assert_int_equal(df_sched_first_layer(&pipe, i), layer);
                    for (int64_t end = layer + own; layer < end; layer++) {
                        assert_int_equal(df_sched_stage_of(&pipe, layer), i % stages);
                    }
                    if (i > 0 && i < parts / 2) {
                        assert_true(own >= df_sched_layers(&pipe, i - 1));
                    }
                }
                assert_int_equal(layer, parts % stages == 0 ? layers : 0);
            }
        }
    }
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
    int64_t layers = 0;
    int64_t most_layers = 0;
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
        layers += (task.kind == DF_TASK_FORWARD ? 1 : -1) * df_sched_layers(pipe, task.part);
        most_layers = layers > most_layers ? layers : most_layers;
    }
    assert_int_equal(order->in_flight(pipe, stage), most);
    df_assert_rel(df_sched_kept(order, pipe, stage), (double)most_layers, 0);
}

static void check_stages(const df_order *order, const df_pipe *pipe)
{
    for (int64_t i = 0; i < pipe->stages; i++) {
        check_stage(order, pipe, i);
    }
}

/* With parts of 12 layers each, and, where stages have several, with fewer layers than parts take.
 */
static void check_layers(const df_order *order, int64_t stages, int64_t parts, int64_t batches)
{
    check_stages(order, &(df_pipe){12 * parts * stages, stages, parts, batches});
    for (int64_t less = 1; parts > 1 && less < parts * stages; less++) {
        check_stages(order, &(df_pipe){3 * parts * stages - less, stages, parts, batches});
    }
}

static void rows_are_orders(void **state)
{
    (void)state;
    for (int id = 0; id < df_order_count; id++) {
        const bool interleaved = id == DF_ORDER_INTERLEAVED;
        for (int64_t stages = 1; stages <= 5; stages++) {
            for (int64_t rounds = 1; rounds <= 4; rounds++) {
                const int64_t batches = interleaved ? rounds * stages : 2 * rounds - 1;
                for (int64_t parts = 1; parts <= (interleaved ? 3 : 1); parts++) {
                    check_layers(&df_orders[id], stages, parts, batches);
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

/* Two stages of two parts, of 0, 1, 1 and 0 layers, and two micro-batches, whose forward pass takes
 * 1 s a layer and backward pass 2 s; embedding and logits take 3 s, and 5 s backward; a hop 1 s.
 *
 *     stage 0: embedding of batch 0 from 0 to 3, of batch 1 from 3 to 6; part 2 of batch 0, which
 *              part 1 had from 4 to 5, from 6 to 7; of batch 1, there from 7 to 8, from 9 to 10
 *     stage 1: logits of batch 0 from 8 to 11, of batch 1 from 11 to 14; then backward 14-19 and
 *              19-24 (all forward passes are first: as many micro-batches as stages)
 *     stage 0: part 2 backward from 20 to 22 and from 25 to 27
 *     stage 1: part 1 backward, handed on at 23 and 28, from 24 to 26 and from 28 to 30
 *     stage 0: embedding backward of batch 0 from 27 to 32, of batch 1 from 32 to 37 */
static void parts_without_layers_have_the_ends(void **state)
{
    (void)state;
    const df_step step = {.t = {.embedding = {3, 5}, .block = {1, 2}, .logits = {3, 5}, .hop = 1},
                          .pipe = {2, 2, 2, 2},
                          .order = &df_orders[DF_ORDER_INTERLEAVED],
                          .training = true};
    df_assert_rel(time_s(&step), 37, 0);
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

/* A schedule of more than 16 GiB is a pipeline that is too large, not a machine that is too small:
 * 2^20 stages of 2^20 micro-batches. */
static void schedules_have_a_limit(void **state)
{
    (void)state;
    df_sched_ws ws = {NULL, 0};
    df_err err;
    double s;
    df_step step = reducing();
    step.order = &df_orders[DF_ORDER_1F1B];
    step.pipe = (df_pipe){INT64_C(1) << 20, INT64_C(1) << 20, 1, INT64_C(1) << 20};
    assert_int_equal(df_sched_time(&ws, &step, &s, &err), DF_INFEASIBLE);
    assert_non_null(strstr(err.text, "scheduling_param.mb: expected a schedule of at most 16 GiB"));
    assert_int_equal(df_sched_ws_reserve(&ws, 4096, &err), DF_OK);
    df_sched_ws_free(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_stages_are_full),
        cmocka_unit_test(parts_at_both_ends_are_short),
        cmocka_unit_test(layers_are_dealt_out_evenly),
        cmocka_unit_test(idle_stages_are_left_out),
        cmocka_unit_test(rows_are_orders),
        cmocka_unit_test(interleaved_is_as_published),
        cmocka_unit_test(flow_shops_take_as_long_as_their_tasks),
        cmocka_unit_test(parts_without_layers_have_the_ends),
        cmocka_unit_test(reductions_queue),
        cmocka_unit_test(reductions_run_side_by_side),
        cmocka_unit_test(gathers_come_first),
        cmocka_unit_test(an_order_is_a_row),
        cmocka_unit_test(schedules_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
