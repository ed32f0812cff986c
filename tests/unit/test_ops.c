/* What a step's time goes to. */
#include <string.h>

#include "predict/predict.h"
#include "support/support.h"

static void load(const char *hardware, const char *model, df_cfg *cfg)
{
    char paths[2][512];
    df_err err;
    snprintf(paths[0], sizeof paths[0], "%s/hardware/%s.yaml", DF_CONFIGS, hardware);
    snprintf(paths[1], sizeof paths[1], "%s/model/%s.yaml", DF_CONFIGS, model);
    if (df_cfg_load(paths[0], paths[1], DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, cfg, &err) !=
        DF_OK) {
        fail_msg("%s", err.text);
    }
}

static void derive(const df_cfg *cfg, const df_rules *rules, df_hw_device *dev)
{
    df_err err;
    assert_int_equal(df_hw_derive(cfg, rules, dev, &err), DF_OK);
}

static double sum_s(const df_usages *ops)
{
    double sum = 0;
    for (int i = 0; i < ops->count; i++) {
        sum += ops->item[i].runs * df_usage_time_s(&ops->item[i]);
    }
    return sum;
}

static const df_usage *find(const df_usages *ops, const char *name)
{
    for (int i = 0; i < ops->count; i++) {
        if (strcmp(ops->item[i].name, name) == 0) {
            return &ops->item[i];
        }
    }
    fail_msg("no operator %s", name);
    return NULL;
}

/* Lists the operators; returns the time of the whole. */
static double list(const df_cfg *cfg, const df_rules *rules, df_usages *ops)
{
    df_predictor *const predictor = df_predictor_new();
    df_prediction whole;
    df_hw_device dev;
    df_err err;
    derive(cfg, rules, &dev);
    assert_int_equal(
        df_predict(predictor, &(df_design){cfg, &dev, rules}, DF_WANT_OPERATORS, &whole, &err),
        DF_OK);
    df_predictor_free(predictor);
    *ops = whole.usages;
    return whole.time_s;
}

/* A GEMM is one operator after another. */
static void operators_of_a_gemm_add_up(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const df_rules rules = i == 0 ? df_rules_reference() : df_rules_corrected();
        df_cfg cfg;
        df_usages ops;
        load("a100_80gb", "gemm_4096", &cfg);
        cfg.gemm.backward = true;
        const double time_s = list(&cfg, &rules, &ops);
        df_assert_rel(sum_s(&ops), time_s, 1e-12);
    }
}

/* On one device an LSTM waits for nothing; some of the reductions overlap with other work. */
static void operators_of_an_lstm_add_up(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const df_rules rules = i == 0 ? df_rules_reference() : df_rules_corrected();
        df_cfg cfg;
        df_usages ops;
        load("a100_80gb", "lstm_2048", &cfg);
        const double time_s = list(&cfg, &rules, &ops);
        assert_true(sum_s(&ops) * (1 + 1e-12) >= time_s);
        double work_s = 0;
        for (int op = 0; op < ops.count; op++) {
            const bool reduction = strncmp(ops.item[op].name, "reduction", 9) == 0;
            work_s += reduction ? 0 : ops.item[op].runs * df_usage_time_s(&ops.item[op]);
        }
        assert_true(work_s <= time_s);
        assert_true(work_s >= 0.9 * time_s);
    }
}

/* Forward 4096^2 (2 4096 - 1) flops, backward twice that. */
static void products_are_counted(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const double flops = 4096.0 * 4096 * (2 * 4096 - 1);
    df_cfg cfg;
    df_usages ops;
    load("a100_80gb", "gemm_4096", &cfg);
    cfg.gemm.backward = true;
    list(&cfg, &rules, &ops);
    df_assert_rel(find(&ops, "GEMM forward")->flops, flops, 1e-15);
    df_assert_rel(find(&ops, "GEMM backward")->flops, 2 * flops, 1e-15);
}

/* Seven layers of the LSTM on four replicas: their reduction is on the network. */
static void reductions_are_on_the_network(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg;
    df_usages ops;
    load("a100_80gb", "lstm_2048", &cfg);
    cfg.sched.dp = 4;
    cfg.system.num_devices_per_node = 4;
    list(&cfg, &rules, &ops);
    const df_usage *const op = find(&ops, "reduction of cell gradients");
    assert_true(op->cost_s[DF_COST_NETWORK] > 0);
    assert_true(op->cost_s[DF_COST_LAUNCH] >= 0);
    df_assert_rel(op->runs, (double)cfg.lstm.num_layers, 0);
    df_assert_rel(find(&ops, "LSTM cell")->runs,
                  (double)cfg.lstm.num_layers * (double)cfg.lstm.seq_len, 0);
}

/* Split by column and row over four, a cell exchanges its gates forward and backward. Nothing but
 * three products and ten pointwise kernels is launched: collectives are on the network. */
static void a_split_cell_exchanges_twice(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg;
    df_usages ops;
    df_hw_device dev;
    load("a100_80gb", "lstm_2048", &cfg);
    cfg.sched.kp1 = 4;
    cfg.sched.t = DF_T_CR;
    cfg.system.num_devices_per_node = 4;
    list(&cfg, &rules, &ops);
    derive(&cfg, &rules, &dev);
    assert_true(dev.launch_overhead_s > 0);
    df_assert_rel(find(&ops, "LSTM cell")->cost_s[DF_COST_LAUNCH], 13 * dev.launch_overhead_s,
                  1e-9);
}

static void llm_operators_add_up(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg;
    df_usages ops;
    load("a100_80gb", "llama2_7b", &cfg);
    for (int inference = 0; inference < 2; inference++) {
        if (inference) {
            cfg.llm.run_type = DF_RUN_INFERENCE;
            cfg.llm.decode_len = 100;
            cfg.llm.sample_every = 1;
        }
        const double time_s = list(&cfg, &rules, &ops);
        df_assert_rel(sum_s(&ops), time_s, 1e-9);
    }
}

/* Of Llama 2 7B, each of 4 * 32 heads again has 4096 x 4096 scores of 128 products, their softmax
 * of 8 flops, and 4096 x 128 sums of 4096 products, of which the first needs no sum. The softmax,
 * whose scores in 2 bytes are moved four times, is bound by the DRAM. */
static void attention_again_is_what_it_was(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const double s = 4096;
    df_cfg cfg;
    df_usages ops;
    df_hw_device dev;
    load("a100_80gb", "llama2_7b", &cfg);
    cfg.llm.attention.use_flashattention = false;
    cfg.sched.recompute = DF_RECOMPUTE_SELECTIVE;
    const double time_s = list(&cfg, &rules, &ops);
    derive(&cfg, &rules, &dev);
    df_assert_rel(sum_s(&ops), time_s, 1e-9);
    const df_usage *const again = find(&ops, "recomputed forward work");
    df_assert_rel(again->runs, 32, 0);
    df_assert_rel(again->flops, 4 * 32 * (s * s * (255 + 8) + s * 128 * (2 * s - 1)), 1e-12);
    df_assert_rel(again->cost_s[DF_COST_LAUNCH], 3 * dev.launch_overhead_s, 1e-12);
    const double softmax_bytes = 4 * 2 * (4 * 32 * s * s);
    assert_true(again->traffic_bytes[3] > softmax_bytes);
    assert_true(again->cost_s[DF_COST_DRAM] > softmax_bytes / dev.mem[3].throughput_bytes_ps);
}

/* A layer again: 15 kernels: four projections, FlashAttention, two of SwiGLU, and for each half
 * three of the norm and one of the residual; split over two devices, the two collectives that it
 * has forward. */
static void a_layer_again_has_its_collectives(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg;
    df_usages ops;
    df_hw_device dev;
    load("a100_80gb", "llama2_7b", &cfg);
    cfg.sched.recompute = DF_RECOMPUTE_FULL;
    cfg.sched.tp_sp = false;
    const double one_s = list(&cfg, &rules, &ops);
    df_assert_rel(sum_s(&ops), one_s, 1e-9);
    assert_true(find(&ops, "recomputed forward work")->cost_s[DF_COST_NETWORK] == 0);
    cfg.sched.tp = 2;
    cfg.system.num_devices_per_node = 2;
    const double two_s = list(&cfg, &rules, &ops);
    df_assert_rel(sum_s(&ops), two_s, 1e-9);
    derive(&cfg, &rules, &dev);
    const df_usage *const again = find(&ops, "recomputed forward work");
    df_assert_rel(again->cost_s[DF_COST_LAUNCH], 15 * dev.launch_overhead_s, 1e-12);
    df_assert_rel(again->cost_s[DF_COST_NETWORK],
                  find(&ops, "output_proj")->cost_s[DF_COST_NETWORK] +
                      find(&ops, "ffn2")->cost_s[DF_COST_NETWORK],
                  1e-12);
}

/* Gradients twice, both moments read and written, and parameters: 8 numbers of 2 bytes, 15 flops.
 */
static void the_optimizer_streams_parameters(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const double layer = 4 * 4096.0 * 4096 + 3 * 4096.0 * 11008;
    const double n = 32 * layer + 2 * 32000.0 * 4096;
    df_cfg cfg;
    df_usages ops;
    df_hw_device dev;
    load("a100_80gb", "llama2_7b", &cfg);
    list(&cfg, &rules, &ops);
    derive(&cfg, &rules, &dev);
    const df_usage *const step = find(&ops, "optimizer");
    df_assert_rel(step->flops, 15 * n, 1e-12);
    df_assert_rel(step->traffic_bytes[3], 16 * n, 1e-12);
    df_assert_rel(step->cost_s[DF_COST_LAUNCH], 2 * dev.launch_overhead_s, 1e-12);
    df_assert_rel(step->cost_s[DF_COST_DRAM],
                  16 * n / dev.mem[3].throughput_bytes_ps + dev.mem[3].latency_s, 1e-9);
    assert_true(step->cost_s[DF_COST_COMPUTE] == 0);
}

/* A core of 10 flops a second, memories of 8, 4, 2 and 1 bytes a second; L1 is one of two. */
static void the_slowest_bounds(void **state)
{
    (void)state;
    df_hw_device dev;
    memset(&dev, 0, sizeof dev);
    dev.core.throughput_flops_ps = 10;
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        dev.mem[i].throughput_bytes_ps = 8 >> i;
        dev.mem[i].copies = i == 1 ? 2 : 1;
    }
    df_row_side side = {.sum = {.flops = 11, .traffic_bytes = {8, 8, 2, 1}}}; /* a second each */
    assert_int_equal(df_usage_bound(&dev, &side), DF_COST_COMPUTE);
    side.sum.flops = 10;
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const double even = side.sum.traffic_bytes[i];
        side.sum.traffic_bytes[i] *= 1.01;
        assert_int_equal(df_usage_bound(&dev, &side), DF_COST_REGISTERS + i);
        side.sum.traffic_bytes[i] = even;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_of_a_gemm_add_up),
        cmocka_unit_test(operators_of_an_lstm_add_up),
        cmocka_unit_test(products_are_counted),
        cmocka_unit_test(reductions_are_on_the_network),
        cmocka_unit_test(a_split_cell_exchanges_twice),
        cmocka_unit_test(llm_operators_add_up),
        cmocka_unit_test(attention_again_is_what_it_was),
        cmocka_unit_test(a_layer_again_has_its_collectives),
        cmocka_unit_test(the_optimizer_streams_parameters),
        cmocka_unit_test(the_slowest_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
