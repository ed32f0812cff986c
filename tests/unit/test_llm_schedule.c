/* Orders of micro-batches in a pipeline: what the papers' figures give, and what recomputing
 * adds. Hops are made free, so that a stage's turn is a round number of layers. */
#include <math.h>

#include "support/llm_case.h"

enum { LAYERS = 8 };

/* Embedding and logits as small as can be; links that cost nothing to speak of. */
static df_cfg load(int64_t stages, int64_t batches, df_order_id schedule, int64_t parts)
{
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.llm.num_layers = LAYERS;
    cfg.llm.batch_size = batches;
    cfg.llm.vocab_size = 1;
    cfg.tech.intra.bandwidth_bytes_ps = 1e30;
    cfg.tech.intra.latency_s = 0;
    df_llm_case_split(&cfg, 1, 1, stages, batches);
    cfg.sched.schedule = schedule;
    cfg.sched.virtual_stages = parts;
    return cfg;
}

/* Forward and backward of all layers of one stage. */
static double turn_s(const df_llm_result *r, int64_t stages)
{
    return (r->pass.block_s[DF_FORWARD] + r->pass.block_s[DF_BACKWARD]) * LAYERS / (double)stages;
}

/* What the ends of the pipeline add at most: they are on its critical path once a batch. */
static double ends_s(const df_llm_result *r, double batches)
{
    const df_row *const e = &r->pass.row[DF_ROW_EMBEDDING];
    const df_row *const s = &r->pass.row[DF_ROW_LOGITS];
    return batches * (e->side[DF_FORWARD].time_s + e->side[DF_BACKWARD].time_s +
                      s->side[DF_FORWARD].time_s + s->side[DF_BACKWARD].time_s);
}

/* m micro-batches on p stages: (m + p - 1) turns (Huang et al., 2019), whether all go forward
 * first or not (Narayanan et al., 2021, section 2.2.1). */
static void turns_are_counted(void **state)
{
    (void)state;
    static const int64_t cases[][2] = {{2, 2}, {2, 8}, {4, 4}, {4, 16}, {8, 8}, {4, 1}, {4, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int64_t p = cases[i][0];
        const int64_t m = cases[i][1];
        const df_cfg all = load(p, m, DF_ORDER_GPIPE, 1);
        const df_cfg alternating = load(p, m, DF_ORDER_1F1B, 1);
        const df_llm_result a = df_llm_case_reference(&all);
        const df_llm_result b = df_llm_case_reference(&alternating);
        const double least_s = (double)(m + p - 1) * turn_s(&a, p);
        const double most_s = least_s + ends_s(&a, (double)(m + p - 1));
        assert_true(a.time_s >= least_s && a.time_s <= most_s);
        assert_true(b.time_s >= least_s && b.time_s <= most_s);
    }
}

/* With v parts of each stage the bubble is (p - 1) / v turns (Narayanan et al., 2021, section
 * 2.2.2). */
static void interleaving_divides_the_bubble(void **state)
{
    (void)state;
    static const int64_t cases[][3] = {{2, 4, 2}, {2, 4, 4}, {4, 8, 2}, {4, 4, 2}, {2, 16, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int64_t p = cases[i][0];
        const int64_t m = cases[i][1];
        const int64_t v = cases[i][2];
        const df_cfg cfg = load(p, m, DF_ORDER_INTERLEAVED, v);
        const df_llm_result r = df_llm_case_reference(&cfg);
        const double least_s = ((double)m + (double)(p - 1) / (double)v) * turn_s(&r, p);
        assert_true(r.time_s >= least_s * (1 - 1e-12));
        assert_true(r.time_s <= least_s + ends_s(&r, (double)(m + p)));
    }
}

/* Without a pipeline the order of the micro-batches changes nothing. */
static void one_stage_has_no_order(void **state)
{
    (void)state;
    const df_cfg alternating = load(1, 4, DF_ORDER_1F1B, 1);
    const df_llm_result r = df_llm_case_reference(&alternating);
    df_assert_rel(r.time_s, 4 * turn_s(&r, 1) + ends_s(&r, 4), 1e-12);
}

/* Reductions run beside the backward pass: only the last of them can show. */
static void reductions_only_trail(void **state)
{
    (void)state;
    df_cfg cfg = load(2, 4, DF_ORDER_1F1B, 1);
    df_llm_case_split(&cfg, 1, 2, 2, 2);
    cfg.sw.dp_zero_stage = 2;
    const df_llm_result with = df_llm_case_reference(&cfg);
    df_llm_case_split(&cfg, 1, 1, 2, 2);
    cfg.llm.batch_size /= 2;
    const df_llm_result without = df_llm_case_reference(&cfg);
    assert_true(with.time_s > without.time_s);
    assert_true(with.time_s < without.time_s + without.pass.block_s[DF_BACKWARD]);
}

/* Full: the forward pass of each layer once more. Selective: the attention's core. */
static void recomputing_repeats_forward_work(void **state)
{
    (void)state;
    df_cfg cfg = load(1, 1, DF_ORDER_GPIPE, 1);
    const df_llm_result none = df_llm_case_reference(&cfg);
    cfg.sched.recompute = DF_RECOMPUTE_FULL;
    const df_llm_result full = df_llm_case_reference(&cfg);
    cfg.sched.recompute = DF_RECOMPUTE_SELECTIVE;
    const df_llm_result selective = df_llm_case_reference(&cfg);
    const df_row *const row = none.pass.row;
    const double core_s = row[DF_ROW_SCORE].side[DF_FORWARD].time_s +
                          row[DF_ROW_SOFTMAX].side[DF_FORWARD].time_s +
                          row[DF_ROW_AV].side[DF_FORWARD].time_s;
    df_assert_rel(full.time_s - none.time_s, LAYERS * none.pass.block_s[DF_FORWARD], 1e-9);
    df_assert_rel(selective.time_s - none.time_s, LAYERS * core_s, 1e-9);
    cfg.llm.attention.use_flashattention = true; /* which recomputes in any case */
    df_assert_rel(df_llm_case_reference(&cfg).pass.recompute_s, 0, 0);
}

/* A replayed prediction is the same to the bit, whatever was predicted between. */
static void predictors_remember_nothing_but_gemms(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    const df_cfg large = load(4, 16, DF_ORDER_1F1B, 1);
    const df_cfg small = load(2, 4, DF_ORDER_INTERLEAVED, 2);
    const df_hw_device dev = df_llm_case_device(&large);
    df_predictor *const predictor = df_predictor_new();
    df_prediction first;
    df_prediction again;
    df_err err;
    assert_int_equal(
        df_predict(predictor, &(df_design){&small, &dev, &rules}, DF_WANT_OPERATORS, &first, &err),
        DF_OK);
    assert_int_equal(
        df_predict(predictor, &(df_design){&large, &dev, &rules}, DF_WANT_OPERATORS, &again, &err),
        DF_OK);
    assert_int_equal(
        df_predict(predictor, &(df_design){&small, &dev, &rules}, DF_WANT_OPERATORS, &again, &err),
        DF_OK);
    df_assert_rel(first.time_s, again.time_s, 0);
    df_predictor_clear(predictor);
    assert_int_equal(
        df_predict(predictor, &(df_design){&small, &dev, &rules}, DF_WANT_OPERATORS, &again, &err),
        DF_OK);
    df_assert_rel(first.time_s, again.time_s, 0);
    df_predictor_free(predictor);
}

/* The simulator runs the stages' orders as graphs: the same turns, but for a hop of 1 ns, and
 * durations in whole microseconds, which are off by half of one at most. */
static void the_simulator_keeps_the_orders(void **state)
{
    (void)state;
    static const struct {
        int64_t stages, batches;
        df_order_id schedule;
        int64_t parts;
    } cases[] = {{4, 8, DF_ORDER_GPIPE, 1},
                 {4, 8, DF_ORDER_1F1B, 1},
                 {3, 5, DF_ORDER_1F1B, 1}, /* 3, 3 and 2 layers */
                 {4, 8, DF_ORDER_INTERLEAVED, 2},
                 {2, 6, DF_ORDER_INTERLEAVED, 4}};
    static const df_astra_mode modes[] = {DF_ASTRA_HIERARCHICAL, DF_ASTRA_FLATTENED};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        df_cfg cfg = load(cases[i / 2].stages, cases[i / 2].batches, cases[i / 2].schedule,
                          cases[i / 2].parts);
        cfg.tech.intra.latency_s = 1e-9;
        const df_llm_result formula = df_llm_case_reference(&cfg);
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = modes[i % 2];
        const df_llm_result simulated = df_llm_case_reference(&cfg);
        /* a layer is four operators when it is taken apart */
        const double turns = (double)(cfg.sched.mb + cfg.sched.lp - 1);
        const double most = turns * (4.0 * 2.0 * LAYERS + 4.0) * (0.5e-6 + 1e-9);
        assert_true(fabs(simulated.time_s - formula.time_s) < most);
        assert_true(most < 0.05 * formula.time_s); /* a turn more or less is more than that */
    }
}

/* Where the simulator times transfers by the links inside a node, or they are free, it does not
 * matter that links between nodes carry nothing. */
static void simulated_edges_need_no_other_links(void **state)
{
    (void)state;
    static const df_astra_mode modes[] = {DF_ASTRA_HYBRID, DF_ASTRA_HIERARCHICAL,
                                          DF_ASTRA_FLATTENED};
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 2, 2, 1);
    cfg.backend.model = DF_BACKEND_ASTRA;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        cfg.backend.mode = modes[i];
        cfg.system.dp_inter = cfg.system.lp_inter = false;
        const df_llm_result inside = df_llm_case_predict(&cfg, &rules);
        cfg.system.dp_inter = cfg.system.lp_inter = true;
        const df_llm_result between = df_llm_case_predict(&cfg, &rules);
        assert_true(isfinite(inside.time_s));
        df_assert_rel(between.time_s, inside.time_s, 0);
    }
    rules.astra_hybrid_edges_free = false;
    cfg.backend.mode = DF_ASTRA_HYBRID;
    assert_true(isinf(df_llm_case_predict(&cfg, &rules).time_s));
}

/* With ZeRO 3 on two stages of two devices, the reference's tags make one message out of two, of
 * which the other never comes. Then they are told apart. */
static void messages_of_one_tag_end(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 2, 2, 2, 2);
    cfg.llm.num_layers = 2;
    cfg.llm.tied_embeddings = false;
    cfg.sw.dp_zero_stage = 3;
    cfg.backend.model = DF_BACKEND_ASTRA;
    cfg.backend.mode = DF_ASTRA_FLATTENED;
    const df_llm_result meet = df_llm_case_predict(&cfg, &rules);
    rules.astra_tags_meet = false;
    df_assert_rel(meet.time_s, df_llm_case_predict(&cfg, &rules).time_s, 0);
}

/* It communicates with nobody: durations are in whole microseconds, and else nothing differs. */
static void one_device_is_simulated(void **state)
{
    (void)state;
    static const df_astra_mode modes[] = {DF_ASTRA_HYBRID, DF_ASTRA_HIERARCHICAL,
                                          DF_ASTRA_FLATTENED};
    const df_rules rules[] = {df_rules_reference(), df_rules_corrected()};
    for (size_t i = 0; i < 2 * sizeof modes / sizeof modes[0]; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_llm_case_split(&cfg, 1, 1, 1, 1);
        const df_llm_result formula = df_llm_case_predict(&cfg, &rules[i % 2]);
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = modes[i / 2];
        const df_llm_result simulated = df_llm_case_predict(&cfg, &rules[i % 2]);
        /* four operators of a layer forward, four backward; embedding and logits */
        const double most = (8.0 * (double)cfg.llm.num_layers + 4.0) * 0.5e-6;
        assert_true(fabs(simulated.time_s - formula.time_s) < most);
        assert_true(most < 0.05 * formula.time_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_counted),
        cmocka_unit_test(interleaving_divides_the_bubble),
        cmocka_unit_test(the_simulator_keeps_the_orders),
        cmocka_unit_test(simulated_edges_need_no_other_links),
        cmocka_unit_test(messages_of_one_tag_end),
        cmocka_unit_test(one_device_is_simulated),
        cmocka_unit_test(one_stage_has_no_order),
        cmocka_unit_test(reductions_only_trail),
        cmocka_unit_test(recomputing_repeats_forward_work),
        cmocka_unit_test(predictors_remember_nothing_but_gemms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
