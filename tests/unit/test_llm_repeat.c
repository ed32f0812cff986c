/* A step's graph with few batches stands for one with many: the same time to the last bit as
 * the whole graph, for random pipelines. Durations are small whole numbers, so that many
 * things end at once and ties matter. */
#include "base/mt19937.h"
#include "llm/llm_impl.h"
#include "support/support.h"

static int64_t draw(df_mt19937 *rng, int64_t least, int64_t most)
{
    return least + (int64_t)(df_mt_next(rng) % (uint32_t)(most - least + 1));
}

static df_llm_step random_step(df_mt19937 *rng)
{
    df_llm_step s = {.layers = draw(rng, 1, 9),
                     .batches = draw(rng, DF_DAG_SHOWN + 1, 20),
                     .stages = draw(rng, 1, 6),
                     .virtual_stages = 1,
                     .zero_stage = draw(rng, 0, 3),
                     .training = draw(rng, 0, 4) > 0,
                     .data_parallel = draw(rng, 0, 2) > 0,
                     .tied = draw(rng, 0, 1) > 0,
                     .replicas = 2};
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

static double whole_s(const df_llm_step *step)
{
    int32_t root;
    double time_s;
    df_err err;
    df_dag *const dag = df_llm_build_graph(step, &root);
    assert_non_null(dag);
    assert_int_equal(df_dag_run(dag, root, &time_s, &err), DF_OK);
    df_dag_free(dag);
    return time_s;
}

static double repeated_s(const df_llm_step *step)
{
    df_llm_step shown = *step;
    int32_t root;
    double time_s;
    df_err err;
    shown.batches = DF_DAG_SHOWN;
    df_dag *const dag = df_llm_build_graph(&shown, &root);
    assert_non_null(dag);
    assert_int_equal(df_dag_run_repeated(dag, root, step->batches, &time_s, &err), DF_OK);
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
        const df_llm_step step = random_step(&rng);
        gathered += step.training && step.data_parallel && step.zero_stage == 3;
        if (whole_s(&step) != repeated_s(&step)) {
            fail_msg("case %d: layers %d, batches %d, stages %d, ZeRO %d, training %d, dp %d, "
                     "tied %d: %.17g s for the whole graph, %.17g s for the repeated one",
                     i, (int)step.layers, (int)step.batches, (int)step.stages, (int)step.zero_stage,
                     step.training, step.data_parallel, step.tied, whole_s(&step),
                     repeated_s(&step));
        }
    }
    assert_true(gathered > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(few_batches_stand_for_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
