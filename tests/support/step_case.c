#include "support/step_case.h"

int64_t df_step_case_draw(df_mt19937 *rng, int64_t least, int64_t most)
{
    return least + (int64_t)(df_mt_next(rng) % (uint32_t)(most - least + 1));
}

df_step df_step_case_random(df_mt19937 *rng, int64_t least_batches)
{
    df_step s = {.pipe = {.layers = df_step_case_draw(rng, 1, 9),
                          .batches = df_step_case_draw(rng, least_batches, 20),
                          .stages = df_step_case_draw(rng, 1, 6),
                          .virtual_stages = 1},
                 .order = &df_orders[DF_ORDER_GPIPE],
                 .zero_stage = df_step_case_draw(rng, 0, 3),
                 .training = df_step_case_draw(rng, 0, 4) > 0,
                 .tied = df_step_case_draw(rng, 0, 1) > 0,
                 .first_gather_free = df_step_case_draw(rng, 0, 1) > 0,
                 .reduces_every_batch = df_step_case_draw(rng, 0, 1) > 0,
                 .reduces_side_by_side = df_step_case_draw(rng, 0, 1) > 0};
    double *const t = (double *)&s.t;
    for (size_t i = 0; i < sizeof s.t / sizeof *t; i++) {
        t[i] = (double)df_step_case_draw(rng, 0, 4);
    }
    s.data_parallel = s.training && df_step_case_draw(rng, 0, 2) > 0;
    return s;
}

double df_step_case_graph_s(const df_step *step)
{
    int32_t root;
    double time_s;
    df_err err;
    df_dag *const dag = df_lower_graph(step, NULL, &root);
    assert_non_null(dag);
    if (df_sched_gathers(step)) {
        df_dag_retime(dag, root, df_sched_begin_s(step));
    }
    assert_int_equal(df_dag_run(dag, root, 0, &time_s, &err), DF_OK);
    df_dag_free(dag);
    return time_s;
}

void df_step_case_assert(int number, const df_step *s, double time_s)
{
    const double graph_s = df_step_case_graph_s(s);
    if (graph_s != time_s) {
        fail_msg("case %d: %s, layers %d, batches %d, stages %d, ZeRO %d, training %d, dp %d, tied "
                 "%d: %.17g s for the whole graph, %.17g s for what stands for it",
                 number, s->order->name, (int)s->pipe.layers, (int)s->pipe.batches,
                 (int)s->pipe.stages, (int)s->zero_stage, s->training, s->data_parallel, s->tied,
                 graph_s, time_s);
    }
}
