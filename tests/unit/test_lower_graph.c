/* Graphs of steps, for random pipelines: one with fewer batches stands for the whole, and stages
 * keep to the order of the row. */
#include "support/step_case.h"

static double repeated_s(const df_step *step)
{
    df_step shown = *step;
    int32_t root;
    double time_s;
    df_err err;
    shown.pipe.batches = DF_DAG_SHOWN;
    df_dag *const dag = df_lower_graph(&shown, NULL, &root);
    assert_non_null(dag);
    if (df_sched_gathers(step)) {
        df_dag_retime(dag, root, df_sched_begin_s(step));
    }
    assert_int_equal(df_dag_run(dag, root, step->pipe.batches, &time_s, &err), DF_OK);
    df_dag_free(dag);
    return time_s;
}

static void few_batches_stand_for_many(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 3);
    int gathered = 0;
    for (int i = 0; i < 2000; i++) {
        const df_step step = df_step_case_random(&rng, DF_DAG_SHOWN + 1);
        gathered += df_sched_gathers(&step);
        df_step_case_assert(i, &step, repeated_s(&step));
    }
    assert_true(gathered > 100);
}

/* (The reference's links leave other orders open, and others where stages have no layers or there
 * is but one: unit.compat.) */
static void orders_take_the_time_of_their_graphs(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_sched_ws ws = {NULL, 0};
    df_mt_init(&rng, 8);
    for (int i = 0; i < 3000; i++) {
        df_step step = df_step_case_random(&rng, 1);
        df_pipe *const pipe = &step.pipe;
        double time_s;
        df_err err;
        const df_order_id id = (df_order_id)(i % df_order_count);
        step.data_parallel = false;
        if (id == DF_ORDER_INTERLEAVED) {
            pipe->virtual_stages = df_step_case_draw(&rng, 1, 3);
            const int64_t parts = pipe->stages * pipe->virtual_stages;
            pipe->layers = pipe->virtual_stages == 1
                               ? parts * df_step_case_draw(&rng, 1, 2)
                               : df_step_case_draw(&rng, parts > 2 ? parts - 2 : 1, 2 * parts);
            pipe->batches = pipe->stages * df_step_case_draw(&rng, 1, 4);
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
        df_step_case_assert(i, &step, time_s);
    }
    df_sched_ws_free(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_batches_stand_for_many),
        cmocka_unit_test(orders_take_the_time_of_their_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
