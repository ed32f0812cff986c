/* The strategies of an LLM against counts that are made in another way, and their placement in
 * nodes. */
#include <stdlib.h>
#include <string.h>

#include "layout/layout.h"
#include "support/support.h"
#include "topo/topo.h"

static df_cfg model(void)
{
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    cfg.mode = DF_MODE_LLM;
    cfg.llm.run_type = DF_RUN_TRAINING;
    cfg.llm.num_layers = 12;
    cfg.llm.batch_size = 24;
    cfg.llm.seq_len = 64;
    cfg.llm.intermediate_size = 96;
    cfg.llm.num_experts = 1;
    cfg.llm.attention.num_heads = 8;
    cfg.sched.virtual_stages = 1;
    return cfg;
}

typedef struct {
    df_strategy_choice *list;
    size_t count, feasible;
} found;

static found
list_of(const df_cfg *cfg, int64_t workers, const df_rules *rules, const df_strategy_space *space)
{
    const df_system_size size = {.num_wafer = 1, .devices_per_node = workers, .num_worker = -1};
    df_strategy_choices choices;
    df_err err;
    if (df_strategy_list_llm(&size, cfg, rules, space, &choices, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    found f = {choices.all, choices.count, 0};
    for (size_t i = 0; i < f.count; i++) {
        f.feasible += !f.list[i].reason;
    }
    return f;
}

static bool divides(int64_t d, int64_t n)
{
    return n % d == 0;
}

/* Sequence parallelism where there is tp and no cp, four stages of ZeRO where there are
 * replicas: how many variants the degrees have beside micro-batches and schedules. */
static size_t variants(int64_t tp, int64_t cp, int64_t dp)
{
    const size_t sequences = tp > 1 && cp == 1 ? 2 : 1;
    return sequences * (dp * cp > 1 ? 4 : 1);
}

/* Whether the model has what each degree divides: 8 key/value heads and 96 heads, 64 tokens, 24
 * sequences, 12 layers. */
static bool fits(int64_t tp, int64_t cp, int64_t dp, int64_t lp, bool even)
{
    const bool stages = even ? divides(lp, 12) : lp <= 12;
    return divides(tp, 8) && divides(tp, 96) && divides(cp, 64) && divides(dp, 24) && stages;
}

/* Every degree up to the number of workers is tried; mb up to the batch. */
static size_t count_all(const df_cfg *cfg, int64_t workers, bool even, size_t *refused)
{
    size_t count = 0;
    *refused = 0;
    for (int64_t tp = 1; tp <= workers; tp++) {
        for (int64_t cp = 1; cp <= workers; cp++) {
            for (int64_t dp = 1; dp <= workers; dp++) {
                if (!divides(tp * cp * dp, workers)) {
                    continue;
                }
                if (!fits(tp, cp, dp, workers / (tp * cp * dp), even)) {
                    *refused += 1;
                    continue;
                }
                for (int64_t mb = 1; mb <= cfg->llm.batch_size; mb++) {
                    count += divides(dp * mb, 24) ? variants(tp, cp, dp) : 0;
                }
            }
        }
    }
    return count;
}

static void all_that_divide_are_listed(void **state)
{
    (void)state;
    const df_cfg cfg = model();
    df_rules rules = df_rules_corrected();
    const df_strategy_space space = {.tp_sp = 0};
    const int64_t workers[] = {1, 2, 6, 16, 24, 30, 36, 64, 7};
    for (size_t i = 0; i < 2 * sizeof workers / sizeof workers[0]; i++) {
        size_t refused;
        rules.uneven_stages_left_out = i % 2 == 1;
        const size_t count = count_all(&cfg, workers[i / 2], i % 2 == 1, &refused);
        const found f = list_of(&cfg, workers[i / 2], &rules, &space);
        assert_int_equal(f.feasible, count);
        assert_int_equal(f.count - f.feasible, refused);
        free(f.list);
    }
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(df_strategy));
}

/* None twice, each on all workers, those with one tp, cp and micro-batch behind one another. */
static void each_is_listed_once(void **state)
{
    (void)state;
    const df_cfg cfg = model();
    const df_rules rules = df_rules_corrected();
    const df_strategy_space space = {
        .recompute = 7, .schedule = 7, .virtual_stages = {.value = {2, 3}, .count = 2}};
    const found f = list_of(&cfg, 24, &rules, &space);
    df_strategy *const sorted = calloc(f.count, sizeof *sorted);
    size_t count = 0;
    int64_t last[3] = {0, 0, 0};
    for (size_t i = 0; i < f.count; i++) {
        const df_strategy *const s = &f.list[i].strategy;
        assert_int_equal(s->tp * s->cp * s->dp * s->lp, 24);
        if (!f.list[i].reason) {
            const int64_t key[] = {s->tp, s->cp, cfg.llm.batch_size / s->dp / s->mb};
            int order = 0;
            for (int k = 0; k < 3 && order == 0; k++) {
                order = (key[k] > last[k]) - (key[k] < last[k]);
            }
            assert_true(order >= 0);
            memcpy(last, key, sizeof last);
            memcpy(&sorted[count++], s, sizeof *s);
        }
    }
    qsort(sorted, count, sizeof *sorted, by_bytes);
    for (size_t i = 1; i < count; i++) {
        assert_true(by_bytes(&sorted[i - 1], &sorted[i]) != 0);
    }
    free(sorted);
    free(f.list);
}

static size_t count_where(const found *f, df_order_id schedule, int64_t lp, int64_t parts)
{
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++) {
        const df_strategy *const s = &f->list[i].strategy;
        count += !f->list[i].reason && s->schedule == schedule && s->lp == lp &&
                 s->virtual_stages == parts;
    }
    return count;
}

/* Two devices as two stages: no tp, cp or dp. The batch of 24 has 8 divisors, 6 of them even;
 * each of three recomputations. The 6 layers of a stage make 2, 3 or 6 parts,
 * and 7 with one less at both ends; 4 are uneven, and 8 too many. */
static void schedules_and_recomputation_multiply(void **state)
{
    (void)state;
    const df_cfg cfg = model();
    df_rules rules = df_rules_corrected();
    df_strategy_space space = {.lp = {.value = {2}, .count = 1}, .recompute = 7, .schedule = 7};
    found f = list_of(&cfg, 2, &rules, &space);
    assert_int_equal(f.count, 3 * (8 + 8 + 4 * 6));
    assert_int_equal(count_where(&f, DF_ORDER_GPIPE, 2, 1), 24);
    assert_int_equal(count_where(&f, DF_ORDER_1F1B, 2, 1), 24);
    assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 2, 3), 18);
    assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 2, 7), 18);
    free(f.list);
    space.virtual_stages = (df_int_list){.value = {2, 4, 8}, .count = 3};
    f = list_of(&cfg, 2, &rules, &space);
    assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 2, 2), 18);
    assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 2, 4), 18);
    assert_int_equal(f.count, 3 * (8 + 8 + 2 * 6));
    free(f.list);
    rules.uneven_stages_left_out = true;
    f = list_of(&cfg, 2, &rules, &space);
    assert_int_equal(f.count, 3 * (8 + 8 + 6));
    free(f.list);
}

/* 126 layers on 2,048 x 8 devices, as Llama 3 405B was trained: also interleaved, with every number
 * of parts that is named up to (126 + 2) / 16 = 8. Of those that are not, 126 = 2 * 63 has none for
 * 16 stages, and of 128 the parts 2, 4 and 8. By the rule there is none. */
static void stages_may_be_uneven(void **state)
{
    (void)state;
    df_cfg cfg = model();
    df_rules rules = df_rules_corrected();
    df_strategy_space space = {.tp = {.value = {8}, .count = 1},
                               .lp = {.value = {16}, .count = 1},
                               .dp = {.value = {128}, .count = 1},
                               .mb = {.value = {16}, .count = 1},
                               .tp_sp = 2,
                               .zero_stage = 2,
                               .schedule = 6,
                               .virtual_stages = {.value = {3, 8, 9}, .count = 3}};
    cfg.llm.num_layers = 126;
    cfg.llm.batch_size = 2048;
    found f = list_of(&cfg, 16384, &rules, &space);
    assert_int_equal(f.count, 3);
    assert_int_equal(f.feasible, 3);
    assert_int_equal(count_where(&f, DF_ORDER_1F1B, 16, 1), 1);
    assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 16, 3), 1);
    assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 16, 8), 1);
    free(f.list);
    space.virtual_stages.count = 0;
    f = list_of(&cfg, 16384, &rules, &space);
    assert_int_equal(f.feasible, 4);
    for (int64_t parts = 2; parts <= 8; parts *= 2) {
        assert_int_equal(count_where(&f, DF_ORDER_INTERLEAVED, 16, parts), 1);
    }
    free(f.list);
    rules.uneven_stages_left_out = true;
    f = list_of(&cfg, 16384, &rules, &space);
    assert_int_equal(f.feasible, 0);
    assert_string_equal(f.list[0].reason, "lp does not divide num_layers");
    free(f.list);
}

/* Lists and sets of the space. Of 8 devices tp 2 and dp 4 alone; mb 1, 2 or 3, stage 1. */
static void the_space_bounds_the_list(void **state)
{
    (void)state;
    const df_cfg cfg = model();
    const df_rules rules = df_rules_corrected();
    const df_strategy_space space = {.tp = {.value = {2}, .count = 1},
                                     .cp = {.value = {1}, .count = 1},
                                     .dp = {.value = {4, 3}, .count = 2},
                                     .mb = {.value = {1, 2, 3, 4}, .count = 4},
                                     .tp_sp = 2,
                                     .zero_stage = 2};
    const found f = list_of(&cfg, 8, &rules, &space);
    assert_int_equal(f.count, 3);
    for (size_t i = 0; i < f.count; i++) {
        const df_strategy *const s = &f.list[i].strategy;
        assert_true(!f.list[i].reason && s->tp == 2 && s->dp == 4 && s->lp == 1);
        assert_true(s->tp_sp && s->zero_stage == 1);
    }
    free(f.list);
}

/* Where the rules leave micro-batches out, a strategy that counts on them is refused, unless a
 * schedule runs them all. */
/* 6 experts on 4 devices: one each of (tp, dp, lp) = (1, 4, 1), (2, 2, 1), (4, 1, 1), (1, 2, 2),
 * (2, 1, 2) has its experts on one device or on two, since 4 does not divide 6; (1, 1, 4) on one.
 */
static void experts_are_shared_by_devices_of_tp_and_dp(void **state)
{
    (void)state;
    df_cfg cfg = model();
    df_rules corrected = df_rules_corrected();
    const df_strategy_space space = {.cp = {.value = {1}, .count = 1},
                                     .mb = {.value = {1}, .count = 1},
                                     .tp_sp = 1U << 0,
                                     .zero_stage = 1U << 0,
                                     .recompute = 1U << DF_RECOMPUTE_NONE,
                                     .schedule = 1U << DF_ORDER_GPIPE};
    cfg.llm.num_experts = 6;
    cfg.llm.top_k = 2;
    const found f = list_of(&cfg, 4, &corrected, &space);
    int shared = 0;
    for (size_t i = 0; i < f.count; i++) {
        const df_strategy *const s = &f.list[i].strategy;
        assert_true(s->ep == 1 || (s->ep == 2 && s->tp * s->dp % 2 == 0));
        shared += s->ep == 2;
    }
    assert_int_equal(f.feasible, 11);
    assert_int_equal(shared, 5);
    free(f.list);
    corrected.llm_layers_alike = true; /* as the Python DeepFlow */
    const found none = list_of(&cfg, 4, &corrected, &space);
    assert_int_equal(none.feasible, 0);
    free(none.list);
}

static void left_out_batches_are_refused(void **state)
{
    (void)state;
    df_cfg cfg = model();
    df_rules rules = df_rules_corrected();
    df_strategy_space space = {.lp = {.value = {1}, .count = 1}};
    rules.llm_one_stage_one_batch = true;
    found f = list_of(&cfg, 1, &rules, &space);
    assert_int_equal(f.count, 8);
    assert_int_equal(f.feasible, 1);
    assert_non_null(
        strstr(f.list[0].reason ? f.list[0].reason : f.list[1].reason, "llm_one_stage_one_batch"));
    free(f.list);
    space.schedule = 3;
    f = list_of(&cfg, 1, &rules, &space);
    assert_int_equal(f.feasible, 8);
    assert_int_equal(count_where(&f, DF_ORDER_1F1B, 1, 1), 8);
    free(f.list);
}

static void inference_has_fewer_choices(void **state)
{
    (void)state;
    df_cfg cfg = model();
    const df_rules rules = df_rules_corrected();
    const df_strategy_space space = {.recompute = 7, .schedule = 7};
    cfg.llm.run_type = DF_RUN_INFERENCE;
    cfg.llm.decode_len = 8;
    const found f = list_of(&cfg, 4, &rules, &space);
    for (size_t i = 0; i < f.count; i++) {
        const df_strategy *const s = &f.list[i].strategy;
        assert_true((s->cp > 1) == (f.list[i].reason != NULL));
        assert_true(s->zero_stage == 0 && s->recompute == DF_RECOMPUTE_NONE);
    }
    free(f.list);
}

/* ---- In nodes ---- */

/* tp 2, dp 3, lp 2 on two nodes of six, in all six orders. Innermost first:
 *   tp dp lp, dp tp lp: a node has all of tp and dp; lp leaves.
 *   tp lp dp: 4 devices to an index of dp, so dp leaves; of lp the pairs 0-2, 1-3 and so on
 *     stay, 4-6 and 5-7 would be of one index of dp: 4-5-6-7, lp 0 and 1: they leave.
 *   lp tp dp: lp stays in pairs; tp 4-6 leaves; dp leaves.
 *   dp lp tp: dp stays in threes; lp stays in sixes; tp leaves.
 *   lp dp tp: the same.
 * So four sets of axes. */
static void axes_leave_nodes(void **state)
{
    (void)state;
    const df_system_size size = {.num_wafer = 2, .devices_per_node = 6, .num_worker = -1};
    const df_strategy s = {
        .kp_type = DF_KP_NONE, .kp1 = 1, .kp2 = 1, .tp = 2, .cp = 1, .dp = 3, .lp = 2, .mb = 1};
    static const struct {
        const char *order;
        bool tp, dp, lp;
    } expected[] = {{"0231", false, false, true},
                    {"0321", false, true, true},
                    {"2301", true, false, false},
                    {"3021", true, true, false}};
    const df_rules rules = df_rules_reference();
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
    df_err err;
    assert_int_equal(df_layout_list(&size, &s, &rules, layouts, &count, &err), DF_OK);
    assert_int_equal(count, 4);
    for (int i = 0; i < count; i++) {
        char name[DF_LAYOUT_AXES + 1];
        df_layout_name(&layouts[i], name);
        assert_string_equal(name, expected[i].order);
        assert_true(layouts[i].feasible && layouts[i].inter_derate == 1);
        assert_int_equal(layouts[i].inter[0], expected[i].tp);
        assert_int_equal(layouts[i].inter[2], expected[i].dp);
        assert_int_equal(layouts[i].inter[3], expected[i].lp);
    }
}

/* The file's derates stay, of networks that are used. tp 2 fills a node, dp 2 connects them. */
static void nodes_are_written_into_cfg(void **state)
{
    (void)state;
    const df_system_size size = {.num_wafer = 2, .devices_per_node = 2, .num_worker = -1};
    df_strategy s = {
        .kp_type = DF_KP_NONE, .kp1 = 1, .kp2 = 1, .tp = 2, .cp = 1, .dp = 2, .lp = 1, .mb = 4};
    const df_rules rules = df_rules_reference();
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
    df_err err;
    df_cfg cfg = model();
    s.zero_stage = 2;
    s.virtual_stages = 1;
    cfg.system.inter_derate = 2.5;
    cfg.system.intra_derate = 1;
    assert_int_equal(df_layout_list(&size, &s, &rules, layouts, &count, &err), DF_OK);
    df_strategy_apply(&s, &cfg);
    df_layout_apply(&layouts[0], &size, &s, &rules, &cfg);
    assert_false(cfg.system.tp_inter);
    assert_false(cfg.system.cp_inter);
    assert_true(cfg.system.dp_inter);
    assert_int_equal(cfg.system.num_nodes, 2);
    assert_int_equal(cfg.system.num_devices_per_node, 2);
    df_assert_rel(cfg.system.inter_derate, 2.5, 0);
    df_assert_rel(cfg.system.intra_derate, 1, 0);
    assert_int_equal(cfg.sched.tp, 2);
    assert_int_equal(cfg.sched.mb, 4);
    assert_int_equal(cfg.sw.dp_zero_stage, 2);
}

/* Four devices of a layer in two nodes of two: the inner axis stays inside, the outer one reaches
 * out. Where nodes hold three,
 * both cross their edges. */
static void axes_have_links_of_their_own(void **state)
{
    (void)state;
    static const struct {
        int64_t node, nodes;
        df_axis inner; /* DF_AXES: none */
    } cases[] = {{2, 2, DF_AXIS_TP}, {2, 2, DF_AXIS_CP}, {3, 2, DF_AXES}};
    const df_strategy s = {.kp_type = DF_KP_NONE,
                           .kp1 = 1,
                           .kp2 = 1,
                           .tp = 2,
                           .cp = 2,
                           .dp = 1,
                           .lp = 1,
                           .mb = 1,
                           .virtual_stages = 1};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const df_system_size size = {.num_wafer = cases[i / 2].nodes,
                                     .devices_per_node = cases[i / 2].node,
                                     .num_worker = 4};
        const bool joined = i % 2 == 1;
        const df_axis inner = cases[i / 2].inner;
        const df_rules rules = joined ? df_rules_reference() : df_rules_corrected();
        df_layout layouts[DF_MAX_LAYOUTS];
        int count;
        int at = 0;
        df_err err;
        df_cfg cfg = model();
        assert_int_equal(df_layout_list(&size, &s, &rules, layouts, &count, &err), DF_OK);
        while (inner != DF_AXES && layouts[at].order[0] != (inner == DF_AXIS_TP ? 0 : 1)) {
            assert_true(++at < count);
        }
        df_strategy_apply(&s, &cfg);
        df_layout_apply(&layouts[at], &size, &s, &rules, &cfg);
        assert_int_equal(cfg.system.tp_inter, joined || inner != DF_AXIS_TP);
        assert_int_equal(cfg.system.cp_inter, joined || inner != DF_AXIS_CP);
        if (!joined) { /* nor does the network of a prediction take them further */
            bool reaches[DF_AXES];
            df_topo_reaches(&cfg, false, reaches);
            assert_int_equal(reaches[DF_AXIS_TP], inner != DF_AXIS_TP);
            assert_int_equal(reaches[DF_AXIS_CP], inner != DF_AXIS_CP);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_divide_are_listed),
        cmocka_unit_test(each_is_listed_once),
        cmocka_unit_test(schedules_and_recomputation_multiply),
        cmocka_unit_test(stages_may_be_uneven),
        cmocka_unit_test(the_space_bounds_the_list),
        cmocka_unit_test(experts_are_shared_by_devices_of_tp_and_dp),
        cmocka_unit_test(left_out_batches_are_refused),
        cmocka_unit_test(inference_has_fewer_choices),
        cmocka_unit_test(axes_leave_nodes),
        cmocka_unit_test(nodes_are_written_into_cfg),
        cmocka_unit_test(axes_have_links_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
