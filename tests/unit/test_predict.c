/* Predictions: cost models, devices that cannot work, splits that
 * cannot be. */
#include <math.h>
#include <string.h>

#include "support/cost_case.h"
#include "support/lstm_case.h"

static df_hw_device derive(const df_cfg *cfg)
{
    const df_rules rules = df_rules_reference();
    return df_case_device(cfg, &rules);
}

/* ---- A cost model of our own ---- */

/* Whatever the shape: a second for each product. */
static df_status gemm_in_a_second(const df_coster *c, const df_op *op, df_price *price)
{
    (void)c;
    price->time_s = op->repeats;
    return DF_OK;
}

static df_status attention_in_an_hour(const df_coster *c, const df_op *op, df_price *price)
{
    (void)c;
    (void)op;
    price->time_s = 3600;
    return DF_OK;
}

static double stream_at_a_byte_a_second(const df_coster *c, double flops, double bytes)
{
    (void)c;
    (void)flops;
    return bytes;
}

static double
ring_in_a_minute(const df_coster *c, const df_op_collective *what, const df_topo_group *group)
{
    (void)c;
    (void)what;
    return 60 * group->members + group->link.latency_s;
}

/* Three products in two launches of 9 us; 100.5 bytes, whole or not; collectives of four members
 * of two axes on the outer of two links, of three members, of two neighbours among four stages
 * with a latency of a second and without, of a stage alone; an attention; and six bytes over the
 * outer link. */
static void a_cost_model_is_a_table(void **state)
{
    (void)state;
    static const df_cost_model own = {gemm_in_a_second, attention_in_an_hour,
                                      stream_at_a_byte_a_second, ring_in_a_minute, false};
    const df_cfg cfg = df_lstm_case();
    const df_hw_device dev = derive(&cfg);
    const df_op list[] = {
        {.kind = DF_OP_GEMM, .repeats = 3, .launches = 2},
        {.kind = DF_OP_STREAM, .stream = {201, 1, 0.5}},
        {.kind = DF_OP_STREAM, .flags = DF_OP_WHOLE_BYTES, .stream = {201, 1, 0.5}},
        {.kind = DF_OP_COLLECTIVE,
         .coll = {DF_COLL_ALL_REDUCE, 1U << DF_AXIS_TP | 1U << DF_AXIS_CP, 8}},
        {.kind = DF_OP_ATTENTION},
        {.kind = DF_OP_GEMM, .pass = DF_PASS_WEIGHT_GRAD, .repeats = 3, .launches = 2},
        {.kind = DF_OP_COLLECTIVE, .members = 3, .coll = {DF_COLL_P2P, 1U << DF_AXIS_TP, 8}},
        {.kind = DF_OP_COLLECTIVE, .coll = {DF_COLL_P2P, 1U << DF_AXIS_LP, 8}},
        {.kind = DF_OP_COLLECTIVE,
         .flags = DF_OP_NO_LATENCY,
         .coll = {DF_COLL_P2P, 1U << DF_AXIS_LP, 8}},
        {.kind = DF_OP_COLLECTIVE, .coll = {DF_COLL_P2P, 1U << DF_AXIS_DP, 8}},
        {.kind = DF_OP_LINK, .link = {DF_AXIS_CP, 6}},
    };
    const double expected_s[] = {3 + 2 * 9e-6, 100.5, 100, 240, 3600, 2 * 9e-6,
                                 180,          121,   120, 0,   6};
    df_coster coster = {.model = &own, .dev = &dev, .forward_only = true};
    df_ops ops = {.count = 0};
    df_price price[DF_OPS_MAX];
    coster.topo.axis[DF_AXIS_DP] = (df_topo_group){1, DF_TOPO_INSIDE, {2, 1}, 0};
    coster.topo.axis[DF_AXIS_LP] = (df_topo_group){4, DF_TOPO_INSIDE, {2, 1}, 0};
    coster.topo.axis[DF_AXIS_TP] = (df_topo_group){2, DF_TOPO_INSIDE, {2, 0}, 0};
    coster.topo.axis[DF_AXIS_CP] = (df_topo_group){2, DF_TOPO_BETWEEN, {1, 0}, 0};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        df_op *const op = df_ops_append(&ops);
        *op = list[i];
        op->share = 1.0;
    }
    assert_int_equal(df_price_ops(&coster, ops.op, ops.count, price), DF_OK);
    for (int i = 0; i < ops.count; i++) {
        df_assert_rel(price[i].time_s, expected_s[i], 1e-15);
    }
    df_assert_rel(price[3].sent_bytes, 2 * 8 * 3 / 4.0, 1e-15);
    df_assert_rel(df_topo_over(&coster.topo, list[3].coll.axes).link.bytes_ps, 1, 0);
}

/* ---- Collectives ---- */

/* Among n = 4, with S = 1,000,000 bytes at 10^9 bytes/s and 5 us a hop; x moves 2 S / n
 * bytes through the registers, y adds S / n numbers there. */
static void collectives_follow_their_formulas(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    const df_cfg cfg = df_lstm_case();
    const df_hw_device dev = derive(&cfg);
    const double launch_s = 9e-6;
    const double x = df_case_stream_s(&dev, &rules, 0, 500000);
    const double y = df_case_stream_s(&dev, &rules, 250000, 750000) + launch_s;
    const double piece_s = 250000 / 1e9 + x + 5e-6;
    const struct {
        df_coll_kind kind;
        double time_s;
    } cases[] = {
        {DF_COLL_ALL_REDUCE, 6 * piece_s + 3 * y + launch_s},
        {DF_COLL_REDUCE_SCATTER, 3 * piece_s + 3 * y + launch_s},
        {DF_COLL_ALL_GATHER, 3 * (1e6 / 1e9 + x + 5e-6) + launch_s},
        {DF_COLL_ALL_TO_ALL, 3 * (250000 / 1e9 + 5e-6)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const bool gather = cases[i].kind == DF_COLL_ALL_GATHER; /* of a shard from each */
        const df_op_collective what = {cases[i].kind, 0, gather ? 4e6 : 1e6};
        df_topo_group group = {.members = 4, .link = {1e9, 5e-6}};
        df_assert_rel(df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &what, &group), cases[i].time_s,
                      1e-12);
        group.members = 1;
        assert_true(df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &what, &group) == 0);
        group.members = 4;
        group.link.bytes_ps = 0;
        assert_true(isinf(df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &what, &group)));
    }
}

/* ---- One predictor after another model ---- */

/* Number `variant` of some that differ from the first one in one thing each. */
static df_cfg variant_of(int variant, df_rules *rules)
{
    df_cfg cfg = df_lstm_case();
    *rules = df_rules_corrected();
    cfg.sched.t = DF_T_RC;
    cfg.sched.kp1 = cfg.sched.kp2 = 2;
    cfg.sched.dp = cfg.sched.lp = 4;
    switch (variant) {
    case 1:
        cfg.lstm.batch_size *= 2;
        break;
    case 2:
        cfg.lstm.layer_size *= 2;
        break;
    case 3:
        cfg.lstm.vocab_size *= 2;
        break;
    case 4:
        cfg.sw.precision.tensor_bytes = 4;
        break;
    case 5:
        cfg.sched.lp = 1;
        break;
    case 6:
        cfg.sched.kp1 = 4;
        break;
    case 7:
        rules->rc_backward_exchange_whole = true;
        break;
    case 8:
        rules->pipeline_hop_free = true;
        break;
    case 9:
        cfg.mode = DF_MODE_GEMM;
        cfg.gemm = (df_cfg_gemm){512, 256, 128, true};
        break;
    default:
        break;
    }
    return cfg;
}

static void a_predictor_forgets_the_last_model(void **state)
{
    (void)state;
    enum { VARIANTS = 10 };
    df_predictor *const predictor = df_predictor_new();
    for (int i = 0; i < 2 * VARIANTS; i++) {
        df_rules rules;
        df_prediction result;
        df_err err;
        const df_cfg cfg = variant_of(i % 2 == 0 ? 0 : i / 2, &rules);
        const df_hw_device dev = df_case_device(&cfg, &rules);
        assert_int_equal(
            df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_TIMES, &result, &err),
            DF_OK);
        df_assert_rel(result.time_s, df_case_predict(&cfg, &rules).time_s, 0);
    }
    df_predictor_free(predictor);
}

/* ---- What cannot work ---- */

static df_status
predict(const df_cfg *cfg, const df_hw_device *dev, df_prediction *out, df_err *err)
{
    const df_rules rules = df_rules_reference();
    df_predictor *predictor = df_predictor_new();
    assert_non_null(predictor);
    const df_status status =
        df_predict(predictor, &(df_design){cfg, dev, &rules}, DF_WANT_TIMES, out, err);
    df_predictor_free(predictor);
    return status;
}

static void missing_rates_take_for_ever(void **state)
{
    (void)state;
    const df_cfg cfg = df_lstm_case();
    df_err err;
    for (int level = -1; level < DF_HW_LEVELS; level++) {
        df_hw_device dev = derive(&cfg);
        df_prediction result;
        if (level < 0) {
            dev.core.throughput_flops_ps = 0;
        } else {
            dev.mem[level].throughput_bytes_ps = 0;
        }
        assert_int_equal(predict(&cfg, &dev, &result, &err), DF_OK);
        assert_true(isinf(result.time_s));
    }
}

static void impossible_splits_are_refused(void **state)
{
    (void)state;
    static const struct {
        df_gemm_split t;
        int64_t kp1, kp2;
        const char *message;
    } cases[] = {
        {DF_T_CR, 6, 1, "scheduling_param.kp_hidden_dim1: expected 2 or a multiple of 4, found 6"},
        {DF_T_CR, 1, 4, "scheduling_param.kp_hidden_dim1: expected more than 1, found 1"},
        {DF_T_CR, 4096, 1,
         "scheduling_param.kp_hidden_dim1: expected a divisor of 2 x layer_size = 2048, found "
         "4096"},
        {DF_T_RC, 3, 1,
         "scheduling_param.kp_hidden_dim1: expected a divisor of the batch of a replica, 16, "
         "found 3"},
        {DF_T_RC, 1, 6,
         "scheduling_param.kp_hidden_dim2: expected 1, 2 or a multiple of num_gates = 4, found 6"},
        {DF_T_RC, 1, 2048,
         "scheduling_param.kp_softmax_dim2: expected a divisor of layer_size = 1024, found 2048"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_cfg cfg = df_lstm_case();
        const df_hw_device dev = derive(&cfg);
        df_prediction result;
        df_err err;
        cfg.sched.t = cases[i].t;
        cfg.sched.kp1 = cases[i].kp1;
        cfg.sched.kp2 = cases[i].kp2;
        assert_int_equal(predict(&cfg, &dev, &result, &err), DF_INFEASIBLE);
        assert_string_equal(err.text, cases[i].message);
    }
}

/* A softmax of its own kind of split: by columns and rows over one device it is none. */
static void a_split_softmax_needs_devices(void **state)
{
    (void)state;
    df_cfg cfg = df_lstm_case();
    const df_hw_device dev = derive(&cfg);
    df_prediction result;
    df_err err;
    cfg.sched.t = DF_T_NONE;
    cfg.sched.kp1 = 1;
    cfg.sched.kp2 = 4;
    cfg.sched.dp = 1;
    cfg.sched.kp_type[DF_PART_SOFTMAX] = DF_KP_CR;
    assert_int_equal(predict(&cfg, &dev, &result, &err), DF_INFEASIBLE);
    assert_string_equal(err.text,
                        "scheduling_param.kp_softmax_dim1: expected more than 1, found 1");
}

/* kp1 runs over the network between nodes, and there is one node. */
static void a_split_needs_its_network(void **state)
{
    (void)state;
    df_cfg cfg = df_lstm_case();
    df_prediction result;
    df_err err;
    cfg.sched.t = DF_T_CR;
    cfg.sched.kp1 = 4;
    cfg.sched.dp = 1;
    cfg.system.kp1_inter = true;
    const df_hw_device dev = derive(&cfg);
    assert_int_equal(predict(&cfg, &dev, &result, &err), DF_INFEASIBLE);
    assert_string_equal(err.text, "system_hierarchy.kp1_inter: expected a network with bandwidth "
                                  "for kp1, found none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cost_model_is_a_table),
        cmocka_unit_test(collectives_follow_their_formulas),
        cmocka_unit_test(a_predictor_forgets_the_last_model),
        cmocka_unit_test(missing_rates_take_for_ever),
        cmocka_unit_test(impossible_splits_are_refused),
        cmocka_unit_test(a_split_softmax_needs_devices),
        cmocka_unit_test(a_split_needs_its_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
