/* What each rule changes: the same case under the reference rules and with this one rule
 * corrected. Rules of strategies, layouts and descents are tested with those. */
#include <math.h>
#include <string.h>

#include "predict/predict.h"
#include "support/cost_case.h"
#include "support/lstm_case.h"

static df_cfg load(const char *hardware, const char *model)
{
    df_cfg cfg;
    df_err err;
    const unsigned need = model ? DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES
                                : DF_CFG_NEED_HARDWARE;
    if (df_cfg_load(hardware, model, need, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static df_cfg detailed(void)
{
    return load(DF_CONFIGS "/hardware/detailed_2023.yaml", NULL);
}

/* Banks of 32 KB that have no power: none, or as many as the size has. */
static void sram_banks_come_back(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = detailed();
    cfg.power.of.l2 = 0;
    const df_hw_mem reference = df_case_device(&cfg, &rules).mem[2];
    assert_true(reference.num_units > 0);
    df_assert_rel(reference.num_units,
                  reference.size_bytes / cfg.tech.sram[DF_MEM_SRAM_L2].bank_capacity_bytes, 0);
    rules.sram_banks_come_back = false;
    assert_true(df_case_device(&cfg, &rules).mem[2].num_units == 0);
}

/* A tenth of a percent of the perimeter holds fewer links than a stack has. */
static void dram_links_recomputed(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = detailed();
    cfg.perimeter.dram = 0.001;
    const df_hw_mem reference = df_case_device(&cfg, &rules).mem[3];
    df_assert_rel(reference.num_links, reference.num_units * cfg.tech.dram.num_links_per_stack, 0);
    rules.dram_links_recomputed = false;
    const df_hw_mem corrected = df_case_device(&cfg, &rules).mem[3];
    df_assert_rel(corrected.num_links,
                  trunc(4 * sqrt(cfg.area.chip_mm2) * 0.001 * cfg.tech.dram.num_links_per_mm), 0);
    df_assert_rel(corrected.throughput_bytes_ps, reference.throughput_bytes_ps, 0);
}

/* A network with very little power runs at the lowest supply. */
static void network_voltage_unclamped(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = detailed();
    const df_cfg_link *tech = &cfg.tech.intra;
    const double lowest_v = tech->threshold_voltage_v + tech->margin_voltage_v;
    cfg.power.of.intra *= 0.01;
    const df_hw_net reference = df_case_device(&cfg, &rules).intra;
    rules.network_voltage_unclamped = false;
    const df_hw_net corrected = df_case_device(&cfg, &rules).intra;
    assert_true(reference.operating_voltage_v < lowest_v);
    df_assert_rel(corrected.operating_voltage_v, lowest_v, 1e-12);
    assert_true(corrected.operating_freq_hz > reference.operating_freq_hz);
}

/* A thousandth of the power is far below the lowest supply: twice of it buys twice the frequency,
 * and none buys none. */
static void lowest_supply_outruns_power(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    df_cfg cfg = detailed();
    cfg.power.of.intra *= 0.001;
    const double once_hz = df_case_device(&cfg, &rules).intra.operating_freq_hz;
    cfg.power.of.intra *= 2;
    const df_hw_net twice = df_case_device(&cfg, &rules).intra;
    const df_cfg_link *const tech = &cfg.tech.intra;
    df_assert_rel(twice.operating_freq_hz, 2 * once_hz, 1e-12);
    /* energy of a bit at nominal voltage, by the square of the lowest: 0.7 of 1 V */
    df_assert_rel(twice.operating_freq_hz * twice.num_links * tech->nominal_energy_per_link_j *
                      0.7 * 0.7,
                  cfg.power.of.intra, 1e-12);
    cfg.power.of.intra = 0;
    assert_true(df_case_device(&cfg, &rules).intra.operating_freq_hz == 0);
    rules.lowest_supply_outruns_power = true;
    assert_true(df_case_device(&cfg, &rules).intra.operating_freq_hz > 0);
}

/* 1 MB: over 80 TB/s in registers, over 1000 GB/s * 0.9 of DRAM and its latency. */
static void pointwise_on_registers(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    const df_cfg cfg = df_lstm_case();
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const double bytes = 1048576;
    const double gib = 1073741824;
    df_assert_rel(df_case_stream_s(&dev, &rules, 0, bytes), bytes / (80 * 1024 * gib), 1e-12);
    rules.pointwise_on_registers = false;
    df_assert_rel(df_case_stream_s(&dev, &rules, 0, bytes), bytes / (900 * gib) + 100e-9, 1e-12);
}

/* With an L2 of 64 KB. */
static df_gemm_cost solve(const df_rules *rules, double m, double k, double n)
{
    df_cfg cfg = df_lstm_case();
    cfg.tech.sram[DF_MEM_SRAM_L2].size_bytes = 65536;
    const df_hw_device dev = df_case_device(&cfg, rules);
    return df_case_gemm(&dev, rules, m, k, n);
}

/* Everything fits one tile: A and B are read once, C is written once, 2 bytes each. */
static void gemm_output_uncounted(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_assert_rel(solve(&rules, 128, 64, 32).traffic_bytes[3], 2 * (128 * 64 + 64 * 32), 0);
    rules.gemm_output_uncounted = false;
    df_assert_rel(solve(&rules, 128, 64, 32).traffic_bytes[3], 2 * (128 * 64 + 64 * 32 + 128 * 32),
                  0);
}

static double passes(double length, double tile, bool floored)
{
    return floored ? fmax(floor(length / tile), 1) : ceil(length / tile);
}

/* Traffic of A and B (2 bytes an element) with the tiles that were chosen. */
static double inputs_bytes(const df_gemm_cost *cost, double m, double k, double n, bool floored)
{
    const double of_a = cost->inner == DF_LOOP_N ? 1 : passes(n, cost->l2.n, floored);
    const double of_b = cost->inner == DF_LOOP_M ? 1 : passes(m, cost->l2.m, floored);
    return 2 * (of_a * m * k + of_b * k * n);
}

/* Tiles are powers of two, and 100,001 never is a whole number of them. */
static void gemm_dram_reuse_floored(void **state)
{
    (void)state;
    const double m = 100001;
    const double k = 64;
    df_rules rules = df_rules_reference();
    const df_gemm_cost reference = solve(&rules, m, k, m);
    df_assert_rel(reference.traffic_bytes[3], inputs_bytes(&reference, m, k, m, true), 1e-12);
    assert_true(inputs_bytes(&reference, m, k, m, false) > reference.traffic_bytes[3]);
    rules.gemm_dram_reuse_floored = false;
    const df_gemm_cost corrected = solve(&rules, m, k, m);
    df_assert_rel(corrected.traffic_bytes[3], inputs_bytes(&corrected, m, k, m, false), 1e-12);
    assert_true(corrected.traffic_bytes[3] > reference.traffic_bytes[3]);
}

/* Level-1 tiles of the result of one level-2 tile. */
static double outputs(const df_gemm_cost *cost, double m, double n)
{
    return ceil(fmin(cost->l2.m, m) / cost->l1.m) * ceil(fmin(cost->l2.n, n) / cost->l1.n);
}

/* A slow L1 binds: each bundle at work has 1 GB/s of its own, or its part of 1 GB/s. */
static void l1_rate_of_each_bundle(void **state)
{
    (void)state;
    const double edge = 3000;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    cfg.tech.sram[DF_MEM_SRAM_L1].bandwidth_bytes_ps = 1e9 / cfg.tech.sram[DF_MEM_SRAM_L1].util;
    const df_hw_device each = df_case_device(&cfg, &rules);
    const df_gemm_cost reference = df_case_gemm(&each, &rules, edge, edge, edge);
    const double bundles = each.core.num_bundle;
    const double tiles =
        ceil(edge / reference.l2.m) * ceil(edge / reference.l2.k) * ceil(edge / reference.l2.n);
    df_assert_rel(reference.time_s, reference.traffic_bytes[1] / fmin(bundles, tiles) / 1e9, 1e-12);
    rules.l1_rate_of_each_bundle = false;
    const df_hw_device all = df_case_device(&cfg, &rules);
    const df_gemm_cost corrected = df_case_gemm(&all, &rules, edge, edge, edge);
    const double busy = fmin(bundles, outputs(&corrected, edge, edge)) / bundles;
    df_assert_rel(corrected.time_s, corrected.traffic_bytes[1] / 1e9 / busy, 1e-12);
}

/* 1 MB over 900 GB/s of DRAM takes 50 ns less than the flops, and 50 ns more with its latency. */
static void latency_if_memory_bound(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    rules.pointwise_on_registers = false;
    const df_cfg cfg = df_lstm_case();
    const df_hw_device dropped = df_case_device(&cfg, &rules);
    const double bytes = 1048576;
    const double memory_s = bytes / (900 * 1073741824.0);
    const double flops = (memory_s + 50e-9) * dropped.core.throughput_flops_ps;
    df_assert_rel(df_case_stream_s(&dropped, &rules, flops, bytes), memory_s + 50e-9, 1e-12);
    rules.latency_if_memory_bound = false;
    const df_hw_device added = df_case_device(&cfg, &rules);
    df_assert_rel(df_case_stream_s(&added, &rules, flops, bytes), memory_s + 100e-9, 1e-12);
}

/* 32,768 elements hold two squares of 128, or three of 64; and tiles of A, B and C together. */
static void gemm_output_takes_no_room(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    cfg.tech.sram[DF_MEM_SRAM_L2].size_bytes = 65536;
    assert_true(df_case_device(&cfg, &rules).mem[2].tile_dim == 128);
    const df_gemm_tile whole = solve(&rules, 5000, 5000, 5000).l2;
    assert_true(whole.m * whole.k + whole.k * whole.n + whole.m * whole.n > 32768);
    rules.gemm_output_takes_no_room = false;
    assert_true(df_case_device(&cfg, &rules).mem[2].tile_dim == 64);
    const df_gemm_tile fits = solve(&rules, 5000, 5000, 5000).l2;
    assert_true(fits.m * fits.k + fits.k * fits.n + fits.m * fits.n <= 32768);
}

/* Each of n - 1 steps copies the shard (2 S bytes moved), not a fourth of it. */
static void all_gather_staging_divided(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    const df_cfg cfg = df_lstm_case();
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const df_op_collective shards = {DF_COLL_ALL_GATHER, 0, 4e6};
    const df_topo_group four = {.members = 4, .link = {1e9, 5e-6}};
    const double reference = df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &shards, &four);
    rules.all_gather_staging_divided = false;
    const double corrected = df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &shards, &four);
    df_assert_rel(
        corrected - reference,
        3 * (df_case_stream_s(&dev, &rules, 0, 2e6) - df_case_stream_s(&dev, &rules, 0, 5e5)),
        1e-9);
}

/* 64 rows of 1024 elements of 2 bytes to the next of 4 stages, over 400 Gb/s. */
static void pipeline_hop_free(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    cfg.sched.dp = 1;
    cfg.sched.lp = 4;
    assert_true(df_case_predict(&cfg, &rules).lstm.components.tf == 0);
    rules.pipeline_hop_free = false;
    df_assert_rel(df_case_predict(&cfg, &rules).lstm.components.tf,
                  64 * 1024 * 2 / (400 * 1073741824.0 / 8) + 5e-6, 1e-12);
}

static df_cfg gemm(int64_t m, int64_t k, int64_t n)
{
    df_cfg cfg = df_lstm_case();
    cfg.mode = DF_MODE_GEMM;
    cfg.gemm = (df_cfg_gemm){m, k, n, true};
    cfg.sched.dp = 4;
    return cfg;
}

/* 5 flops and 13 elements for each output, and five launches of 9 us. */
static void gemm_mode_adds_lstm_cell(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    const df_cfg cfg = gemm(512, 256, 128);
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const double outputs = 512 * 128;
    const double reference = df_case_predict(&cfg, &rules).gemm.forward_compute_s;
    rules.gemm_mode_adds_lstm_cell = false;
    const double corrected = df_case_predict(&cfg, &rules).gemm.forward_compute_s;
    df_assert_rel(reference - corrected,
                  df_case_stream_s(&dev, &rules, 5 * outputs, 13 * 2 * outputs) + 5 * 9e-6, 1e-9);
}

/* A row-column split whose parts have degrees of their own. */
static df_cfg row_column(int64_t hidden2, int64_t softmax2)
{
    df_cfg cfg = df_lstm_case();
    cfg.sched.dp = 1;
    cfg.sched.kp1 = 0;
    cfg.sched.kp2 = 0;
    for (int part = 0; part < DF_PARTS; part++) {
        cfg.sched.kp_type[part] = DF_KP_RC;
        cfg.sched.kp_dim1[part] = 2;
        cfg.sched.kp_dim2[part] = part == DF_PART_SOFTMAX ? softmax2 : hidden2;
    }
    return cfg;
}

/* Backward the exchange is of 64 rows, corrected of the device's own 32: of 4 * rows * 2048
 * gates of 2 bytes, copied (twice the bytes) and sent over 400 Gb/s. */
static void rc_backward_exchange_whole(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    const df_cfg cfg = row_column(2, 2);
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const double half = 4.0 * 32 * 2048 * 2;
    const double reference = df_case_predict(&cfg, &rules).lstm.components.cb;
    rules.rc_backward_exchange_whole = false;
    const double corrected = df_case_predict(&cfg, &rules).lstm.components.cb;
    df_assert_rel(reference - corrected,
                  df_case_stream_s(&dev, &rules, 0, 4 * half) -
                      df_case_stream_s(&dev, &rules, 0, 2 * half) + half / (400 * 1073741824.0 / 8),
                  1e-9);
}

/* The softmax is not split along kp2, the cell is: no exchange, corrected one. */
static void rc_exchange_follows_softmax(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    const df_cfg cfg = row_column(2, 1);
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const double bytes = 4.0 * 32 * 2048 * 2;
    const double reference = df_case_predict(&cfg, &rules).lstm.components.cf;
    rules.rc_exchange_follows_softmax = false;
    const double corrected = df_case_predict(&cfg, &rules).lstm.components.cf;
    df_assert_rel(corrected - reference,
                  df_case_stream_s(&dev, &rules, 0, 2 * bytes) + bytes / (400 * 1073741824.0 / 8),
                  1e-9);
}

/* The cell is split by column and row over 2, the softmax not: with the cell's kind of
 * split its gradient is divided by its own degree of 1, so only the kind may matter; with
 * row-column cells it is gathered over the softmax's dim1. */
static void reduction_follows_hidden(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = row_column(2, 2);
    cfg.sched.kp_type[DF_PART_SOFTMAX] = DF_KP_CR;
    cfg.sched.kp_dim2[DF_PART_SOFTMAX] = 1;
    cfg.sched.dp = 2;
    const double reference = df_case_predict(&cfg, &rules).lstm.components.rs;
    rules.reduction_follows_hidden = false;
    const double corrected = df_case_predict(&cfg, &rules).lstm.components.rs;
    /* column-row reduces half of the weights, and gathers nothing */
    assert_true(corrected < reference);
}

/* Reductions after the backward pass share one link, unless an edge through memory frees it
 * under them. Four replicas on one stage. */
static void memory_edge_frees_last_link(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    const df_cfg cfg = df_lstm_case();
    const df_lstm_times reference = df_case_predict(&cfg, &rules).lstm;
    rules.memory_edge_frees_last_link = false;
    const df_lstm_times corrected = df_case_predict(&cfg, &rules).lstm;
    assert_true(corrected.backward_s > reference.backward_s);
    /* all of them one after another, and no more than that longer */
    const df_pipeline_times *c = &reference.components;
    assert_true(corrected.backward_s - reference.backward_s <= 2 * c->rc + c->rs + c->re);
}

static void two_stages_rejected(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    df_err err;
    cfg.sched.dp = 2;
    cfg.sched.lp = 2;
    assert_int_equal(df_predict_check(&cfg, &rules, &err), DF_INFEASIBLE);
    assert_non_null(strstr(err.text, "scheduling_param.lp"));
    rules.two_stages_rejected = false;
    assert_int_equal(df_predict_check(&cfg, &rules, &err), DF_OK);
    assert_true(isfinite(df_case_predict(&cfg, &rules).time_s));
}

/* A vocabulary of a million words makes the softmax the largest part by far. */
static void footprint_omits_softmax(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    cfg.lstm.vocab_size = 1000000;
    cfg.sched.dp = 1;
    cfg.sched.lp = 4;
    df_need need;
    df_predict_need(&cfg, &rules, &need);
    df_assert_rel(need.total_bytes,
                  fmax(need.lstm.part[DF_PART_HIDDEN].total_bytes,
                       need.lstm.part[DF_PART_EMBEDDING].total_bytes),
                  0);
    rules.footprint_omits_softmax = false;
    df_predict_need(&cfg, &rules, &need);
    df_assert_rel(need.total_bytes, need.lstm.part[DF_PART_SOFTMAX].total_bytes, 0);
}

static void footprint_lp2_zero(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    df_cfg cfg = df_lstm_case();
    cfg.sched.dp = 2;
    cfg.sched.lp = 2;
    df_need need;
    df_predict_need(&cfg, &rules, &need);
    assert_true(need.total_bytes == 0);
    rules.footprint_lp2_zero = false;
    df_predict_need(&cfg, &rules, &need);
    assert_true(need.total_bytes >= need.lstm.part[DF_PART_HIDDEN].total_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sram_banks_come_back),        cmocka_unit_test(dram_links_recomputed),
        cmocka_unit_test(network_voltage_unclamped),   cmocka_unit_test(pointwise_on_registers),
        cmocka_unit_test(gemm_output_uncounted),       cmocka_unit_test(gemm_dram_reuse_floored),
        cmocka_unit_test(lowest_supply_outruns_power), cmocka_unit_test(l1_rate_of_each_bundle),
        cmocka_unit_test(latency_if_memory_bound),     cmocka_unit_test(gemm_output_takes_no_room),
        cmocka_unit_test(all_gather_staging_divided),  cmocka_unit_test(pipeline_hop_free),
        cmocka_unit_test(gemm_mode_adds_lstm_cell),    cmocka_unit_test(rc_backward_exchange_whole),
        cmocka_unit_test(rc_exchange_follows_softmax), cmocka_unit_test(reduction_follows_hidden),
        cmocka_unit_test(memory_edge_frees_last_link), cmocka_unit_test(two_stages_rejected),
        cmocka_unit_test(footprint_omits_softmax),     cmocka_unit_test(footprint_lp2_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
