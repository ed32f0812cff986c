/* Predictions: other models in the place of ours, devices that cannot work, splits that
 * cannot be. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/lstm_case.h"

static df_hw_device derive(const df_cfg *cfg)
{
    const df_rules rules = df_rules_reference();
    return df_case_device(cfg, &rules);
}

/* ---- Models of our own ---- */

static df_status
prepare_nothing(df_gemm_model *self, const df_hw_device *dev, const df_rules *rules, df_err *err)
{
    (void)self;
    (void)dev;
    (void)rules;
    (void)err;
    return DF_OK;
}

/* Whatever the shape: a second. */
static df_status
solve_in_a_second(df_gemm_model *self, const df_gemm_shape *shape, df_gemm_cost *out, df_err *err)
{
    (void)self;
    (void)shape;
    (void)err;
    memset(out, 0, sizeof *out);
    out->time_s = 1;
    return DF_OK;
}

static void free_model(df_gemm_model *self)
{
    free(self);
}

static double a_minute(const df_coll_model *self,
                       const df_hw_device *dev,
                       const df_rules *rules,
                       const df_coll_op *op)
{
    (void)self;
    (void)dev;
    (void)rules;
    return op->participants > 1 ? 60 : 0;
}

/* A GEMM, forward and backward on 2 devices by column and row with 2 replicas: one GEMM
 * forward and two backward, one collective each way, one reduction; then the gradient is
 * applied: two streams over the 512 x 256 weights of a device. */
static void models_may_be_replaced(void **state)
{
    (void)state;
    static const df_coll_model coll = {a_minute};
    const df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    df_predictor *predictor = df_predictor_new();
    df_gemm_model *gemm = calloc(1, sizeof *gemm);
    df_prediction result;
    df_err err;
    assert_non_null(predictor);
    assert_non_null(gemm);
    *gemm = (df_gemm_model){prepare_nothing, solve_in_a_second, free_model};
    df_predictor_set_models(predictor, gemm, &coll);
    cfg.mode = DF_MODE_GEMM;
    cfg.gemm = (df_cfg_gemm){1024, 1024, 256, true};
    cfg.sched.t = DF_T_CR;
    cfg.sched.kp1 = 2;
    cfg.sched.dp = 2;
    const df_hw_device dev = derive(&cfg);
    assert_int_equal(df_predict(predictor, &cfg, &dev, &rules, &result, &err), DF_OK);
    const double weights = 512 * 256;
    df_assert_rel(result.gemm.forward_compute_s, 1, 0);
    df_assert_rel(result.gemm.forward_comm_s, 60, 0);
    df_assert_rel(result.gemm.backward_compute_s, 2, 0);
    df_assert_rel(result.gemm.backward_comm_s, 60, 0);
    df_assert_rel(result.gemm.dp_comm_s,
                  60 + df_roof_stream(&dev, &rules, 3 * weights, 8 * weights) +
                      df_roof_stream(&dev, &rules, 4 * weights, 6 * weights),
                  1e-12);
    df_predictor_free(predictor);
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
    const double x = df_roof_stream(&dev, &rules, 0, 500000);
    const double y = df_roof_stream(&dev, &rules, 250000, 750000) + launch_s;
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
        df_coll_op op = {cases[i].kind, 1e6, 4, {1e9, 5e-6}};
        df_assert_rel(df_coll_ring.time_s(&df_coll_ring, &dev, &rules, &op), cases[i].time_s,
                      1e-12);
        op.participants = 1;
        assert_true(df_coll_ring.time_s(&df_coll_ring, &dev, &rules, &op) == 0);
        op.participants = 4;
        op.link.bytes_ps = 0;
        assert_true(isinf(df_coll_ring.time_s(&df_coll_ring, &dev, &rules, &op)));
    }
}

/* ---- What cannot work ---- */

static df_status
predict(const df_cfg *cfg, const df_hw_device *dev, df_prediction *out, df_err *err)
{
    const df_rules rules = df_rules_reference();
    df_predictor *predictor = df_predictor_new();
    assert_non_null(predictor);
    const df_status status = df_predict(predictor, cfg, dev, &rules, out, err);
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
        cmocka_unit_test(models_may_be_replaced),
        cmocka_unit_test(collectives_follow_their_formulas),
        cmocka_unit_test(missing_rates_take_for_ever),
        cmocka_unit_test(impossible_splits_are_refused),
        cmocka_unit_test(a_split_softmax_needs_devices),
        cmocka_unit_test(a_split_needs_its_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
