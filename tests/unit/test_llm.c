/* Properties that any LLM prediction has. */
#include <math.h>

#include "support/llm_case.h"

/* On one replica there is nothing to shard. */
static void zero_needs_replicas(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 2, 1, 2, 2);
    const double plain_s = df_llm_case_reference(&cfg).time_s;
    for (int stage = 1; stage <= 3; stage++) {
        cfg.sw.dp_zero_stage = stage;
        df_assert_rel(df_llm_case_reference(&cfg).time_s, plain_s, 0);
    }
}

/* A link or a DRAM of twice the speed never takes longer. */
static void time_falls_with_bandwidth(void **state)
{
    (void)state;
    for (int run_type = DF_RUN_TRAINING; run_type <= DF_RUN_INFERENCE; run_type++) {
        df_cfg cfg = df_llm_case((df_run_type)run_type);
        df_llm_case_split(&cfg, 2, 2, 2, 2);
        double last_s = df_llm_case_reference(&cfg).time_s;
        for (int i = 0; i < 4; i++) {
            cfg.tech.intra.bandwidth_bytes_ps *= 2;
            const double link_s = df_llm_case_reference(&cfg).time_s;
            cfg.tech.dram.bandwidth_bytes_ps *= 2;
            const double both_s = df_llm_case_reference(&cfg).time_s;
            assert_true(link_s < last_s);
            assert_true(both_s <= link_s);
            last_s = both_s;
        }
    }
}

/* More tensor-parallel devices never compute longer, communication aside. */
static void shards_compute_no_longer(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    double last_s = HUGE_VAL;
    for (int64_t tp = 1; tp <= 8; tp *= 2) {
        df_llm_case_split(&cfg, tp, 1, 1, 1);
        const df_breakdown pass = df_llm_case_reference(&cfg).pass;
        const df_row *const mha = &pass.row[DF_ROW_MHA];
        const df_row *const mlp = &pass.row[DF_ROW_MLP];
        const double compute_s = mha->side[DF_FORWARD].time_s - mha->side[DF_FORWARD].comm_s +
                                 mlp->side[DF_FORWARD].time_s - mlp->side[DF_FORWARD].comm_s;
        assert_true(compute_s <= last_s * (1 + 1e-12));
        last_s = compute_s;
    }
}

/* A device without registers computes nothing, whatever the pipeline. */
static void what_cannot_compute_never_ends(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    for (int64_t lp = 1; lp <= 2; lp++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_llm_case_split(&cfg, 1, 2, lp, 2);
        df_hw_device dev = df_llm_case_device(&cfg);
        df_predictor *predictor = df_predictor_new();
        df_prediction result;
        dev.mem[0].tile_dim = 0;
        dev.mem[0].size_bytes = 0;
        dev.mem[0].throughput_bytes_ps = 0;
        assert_int_equal(df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS,
                                    &result, NULL),
                         DF_OK);
        assert_true(isinf(result.time_s));
        df_predictor_free(predictor);
    }
}

/* Without a pipeline and replicas a step is its parts, one after another. */
static void one_stage_adds_up(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_row *const row = r.pass.row;
    df_assert_rel(r.time_s,
                  row[DF_ROW_EMBEDDING].side[DF_FORWARD].time_s +
                      row[DF_ROW_EMBEDDING].side[DF_BACKWARD].time_s +
                      row[DF_ROW_LOGITS].side[DF_FORWARD].time_s +
                      row[DF_ROW_LOGITS].side[DF_BACKWARD].time_s +
                      4 * (r.pass.block_s[DF_FORWARD] + r.pass.block_s[DF_BACKWARD]),
                  1e-12);
}

/* GPipe with equal stages and without layers to spare: m micro-batches on p stages take at
 * least m + p - 1 turns of a stage, forward and backward. */
static void pipelines_have_bubbles(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 4, 4);
    const df_llm_result r = df_llm_case_reference(&cfg);
    assert_true(r.time_s >=
                (4 + 4 - 1) * (r.pass.block_s[DF_FORWARD] + r.pass.block_s[DF_BACKWARD]));
}

/* Every step sampled, or every second one: the trapezoidal rule over steps that grow nearly
 * evenly differs little. */
static void samples_stand_for_steps(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.llm.sample_every = 1;
    const df_llm_result all = df_llm_case_reference(&cfg);
    cfg.llm.sample_every = -1;
    const df_llm_result two = df_llm_case_reference(&cfg);
    assert_true(all.decode_s > 0);
    df_assert_rel(all.decode_s, two.decode_s, 0.01);
    df_assert_rel(all.first_token_s, two.first_token_s, 0);
    df_assert_rel(all.time_s, all.prefill_s + all.decode_s, 0);
}

static void phases_may_be_empty(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.llm.decode_len = 0;
    const df_llm_result prompt = df_llm_case_reference(&cfg);
    df_assert_rel(prompt.time_s, prompt.prefill_s, 0);
    cfg.llm.decode_len = cfg.llm.seq_len;
    const df_llm_result tokens = df_llm_case_reference(&cfg);
    assert_true(tokens.prefill_s == 0);
    df_assert_rel(tokens.time_s, tokens.decode_s, 0);
}

/* Two by two devices on two nodes, tensor or context parallelism between them, or both. */
static df_llm_result split_over_nodes(df_cfg *cfg, bool tensor, bool context)
{
    df_rules rules = df_rules_corrected();
    rules.axes_follow_flags = true; /* else one of them leaves the node in any case */
    rules.llm_head_split_twice = true;
    cfg->sched.cp = 2;
    df_llm_case_split(cfg, 2, 1, 1, 1);
    cfg->system.num_devices_per_node = 2;
    cfg->system.num_nodes = 2;
    cfg->system.tp_inter = tensor;
    cfg->system.cp_inter = context;
    return df_llm_case_predict(cfg, &rules);
}

/* Norms gather over tensor parallelism, keys and values over context parallelism, and logits over
 * both where the rules have that, which is between nodes as soon as one of the two is. */
static void axes_have_links_of_their_own(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        cfg.backend.model = simulated ? DF_BACKEND_ASTRA : DF_BACKEND_ANALYTICAL;
        const df_llm_result none = split_over_nodes(&cfg, false, false);
        const df_llm_result all = split_over_nodes(&cfg, true, true);
        for (int tensor = 0; tensor < 2; tensor++) {
            const df_llm_result r = split_over_nodes(&cfg, tensor, !tensor);
            const df_row *const by_tensor = tensor ? all.pass.row : none.pass.row;
            const df_row *const by_context = tensor ? none.pass.row : all.pass.row;
            df_assert_rel(r.pass.row[DF_ROW_NORM1].side[DF_FORWARD].comm_s,
                          by_tensor[DF_ROW_NORM1].side[DF_FORWARD].comm_s, 0);
            df_assert_rel(r.pass.row[DF_ROW_FFN2].side[DF_FORWARD].comm_s,
                          by_tensor[DF_ROW_FFN2].side[DF_FORWARD].comm_s, 0);
            df_assert_rel(r.pass.row[DF_ROW_QKV].side[DF_FORWARD].comm_s,
                          by_context[DF_ROW_QKV].side[DF_FORWARD].comm_s, 0);
            df_assert_rel(r.pass.row[DF_ROW_SCORE].side[DF_BACKWARD].comm_s,
                          by_context[DF_ROW_SCORE].side[DF_BACKWARD].comm_s, 0);
            df_assert_rel(r.pass.row[DF_ROW_LOGITS].side[DF_FORWARD].comm_s,
                          all.pass.row[DF_ROW_LOGITS].side[DF_FORWARD].comm_s, 0);
        }
        assert_true(all.pass.row[DF_ROW_NORM1].side[DF_FORWARD].comm_s >
                    none.pass.row[DF_ROW_NORM1].side[DF_FORWARD].comm_s);
        assert_true(all.pass.row[DF_ROW_QKV].side[DF_FORWARD].comm_s >
                    none.pass.row[DF_ROW_QKV].side[DF_FORWARD].comm_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_needs_replicas),
        cmocka_unit_test(what_cannot_compute_never_ends),
        cmocka_unit_test(time_falls_with_bandwidth),
        cmocka_unit_test(shards_compute_no_longer),
        cmocka_unit_test(one_stage_adds_up),
        cmocka_unit_test(pipelines_have_bubbles),
        cmocka_unit_test(samples_stand_for_steps),
        cmocka_unit_test(phases_may_be_empty),
        cmocka_unit_test(axes_have_links_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
