/* Energy of a run on all devices, by component: each counted by hand with one energy alone. */
#include <math.h>

#include "support/llm_case.h"

enum { B = 8, S = 256, D = 512, H = 8, HK = 4, E = 64, I = 1024, V = 1000, L = 4 };

static df_cfg without_energies(df_run_type run_type)
{
    df_cfg cfg = df_llm_case(run_type);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.tech.core.nominal_energy_per_flop_j = 0;
    cfg.tech.dram.dynamic_energy_per_bit_j = 0;
    cfg.tech.dram.static_power_per_bit_w = 0;
    cfg.tech.intra.nominal_energy_per_link_j = 0;
    for (int i = 0; i < DF_CFG_SRAMS; i++) {
        cfg.tech.sram[i].dynamic_energy_per_bit_j = 0;
        cfg.tech.sram[i].static_power_per_bit_w = 0;
    }
    return cfg;
}

/* Forward products take 2 m k n flops less a sum each, backward twice as many: the whole is
 * within the pointwise work of three times the forward products. */
static void compute_is_three_forward_passes(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.tech.core.nominal_energy_per_flop_j = 1e-12;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const double params = D * (H + 2.0 * HK) * E + D * D + 3.0 * D * I;
    const double forward = 2.0 * B * S * (L * (params + 2.0 * S * D) + (double)V * D);
    df_assert_rel(r.model_flops, 3 * forward, 1e-12);
    df_assert_rel(r.energy.compute_j, 3e-12 * forward, 0.02);
    df_assert_rel(r.energy.total_j, r.energy.compute_j, 0);
}

/* Splitting the work over devices leaves the products' flops as they are. */
static void flops_do_not_depend_on_the_split(void **state)
{
    (void)state;
    static const int64_t splits[][4] = {{2, 1, 1, 1}, {1, 4, 1, 1}, {1, 1, 2, 2}, {2, 2, 2, 2}};
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.tech.core.nominal_energy_per_flop_j = 1e-12;
    const double whole_j = df_llm_case_reference(&cfg).energy.compute_j;
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        df_llm_case_split(&cfg, splits[i][0], splits[i][1], splits[i][2], splits[i][3]);
        df_assert_rel(df_llm_case_reference(&cfg).energy.compute_j, whole_j, 0.02);
    }
}

/* Two replicas in a ring send each gradient once each; two stages hand on all activations,
 * forward and backward. */
static void networks_carry_what_is_sent(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.tech.intra.nominal_energy_per_link_j = 1e-12;
    df_llm_case_split(&cfg, 1, 2, 1, 1);
    df_rules rules = df_rules_corrected();
    const double params = L * (D * (H + 2.0 * HK) * E + D * D + 3.0 * D * I) + 2.0 * V * D;
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, 8e-12 * 2 * 2 * params,
                  1e-12);
    df_llm_case_split(&cfg, 1, 1, 2, 4);
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, 8e-12 * 2 * 2 * B * S * D,
                  1e-12);
}

/* Stages on two nodes, with an energy between nodes alone: all activations once forward and once
 * backward, from devices that split the sequence or that each have all of it. */
static void each_device_sends_its_own_hop(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    rules.axes_follow_flags = true; /* lp alone leaves a node */
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.llm.tied_embeddings = false; /* else the ends of the pipeline exchange gradients */
    cfg.tech.inter.nominal_energy_per_link_j = 1e-12;
    cfg.sched.tp_sp = false;
    df_llm_case_split(&cfg, 4, 1, 2, 1);
    cfg.system.num_devices_per_node = 4;
    cfg.system.num_nodes = 2;
    cfg.system.lp_inter = true;
    const double all_j = 8e-12 * 2 * 2 * B * S * D;
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, 4 * all_j, 1e-12);
    cfg.sched.tp_sp = true;
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, all_j, 1e-12);
    df_llm_case_split(&cfg, 2, 1, 2, 1);
    cfg.sched.cp = 2;
    cfg.system.num_devices_per_node = 4;
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, all_j, 1e-12);
    rules.llm_hop_whole = true;
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, all_j, 1e-12);
}

/* Two stages of two parts each hand activations on three times, not once. */
static void interleaved_parts_send_more_often(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.llm.tied_embeddings = false;
    cfg.tech.intra.nominal_energy_per_link_j = 1e-12;
    df_llm_case_split(&cfg, 1, 1, 2, 4);
    cfg.sched.schedule = DF_ORDER_INTERLEAVED;
    cfg.sched.virtual_stages = 2;
    df_assert_rel(df_llm_case_predict(&cfg, &rules).energy.network_j, 8e-12 * 3 * 2 * 2 * B * S * D,
                  1e-12);
}

/* With an energy between nodes alone, what tensor and context parallelism send there adds up to
 * what both send, but for the logits over both (llm_head_split_twice): counted twice, as each of
 * the two alone takes them between nodes. Each of the 4 devices runs them once. */
static void axes_pay_for_their_own_links(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    double network_j[2][2];
    df_llm_result r;
    rules.axes_follow_flags = true;    /* else one of them leaves the node in any case */
    rules.llm_head_split_twice = true; /* collectives over both */
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.tech.inter.nominal_energy_per_link_j = 1e-12;
    cfg.sched.cp = 2;
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    cfg.system.num_devices_per_node = 2;
    cfg.system.num_nodes = 2;
    for (int tensor = 0; tensor < 2; tensor++) {
        for (int context = 0; context < 2; context++) {
            cfg.system.tp_inter = tensor != 0;
            cfg.system.cp_inter = context != 0;
            r = df_llm_case_predict(&cfg, &rules);
            network_j[tensor][context] = r.energy.network_j;
        }
    }
    const df_row *const logits = &r.pass.row[DF_ROW_LOGITS];
    const double logits_bytes =
        logits->side[DF_FORWARD].sum.sent_bytes + logits->side[DF_BACKWARD].sum.sent_bytes;
    df_assert_rel(network_j[0][0], 0, 0);
    assert_true(network_j[1][0] > 0 && network_j[0][1] > 0);
    df_assert_rel(network_j[1][0] + network_j[0][1] - network_j[1][1], 8e-12 * 4 * logits_bytes,
                  1e-12);
}

/* The DRAM's bits leak as long as the step takes, on every device. */
static void memories_leak(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.tech.dram.static_power_per_bit_w = 1e-12;
    df_llm_case_split(&cfg, 2, 2, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    df_assert_rel(r.energy.static_j, 4 * 1e-12 * 8 * 40 * 1073741824.0 * r.time_s, 1e-12);
    df_assert_rel(r.energy.total_j, r.energy.static_j, 0);
}

/* An inference is its prefill and its steps, and without leakage their energies by the
 * corrected rules. */
static void phases_add_up(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_rules rules = df_rules_corrected();
    df_llm_case_split(&cfg, 2, 2, 1, 1);
    cfg.tech.dram.static_power_per_bit_w = 0;
    for (int i = 0; i < DF_CFG_SRAMS; i++) {
        cfg.tech.sram[i].static_power_per_bit_w = 0;
    }
    const df_llm_result r = df_llm_case_predict(&cfg, &rules);
    assert_true(r.prefill_energy_j > 0 && r.decode_energy_j > 0);
    df_assert_rel(r.energy.total_j, r.prefill_energy_j + r.decode_energy_j, 1e-12);
}

/* Recomputation does forward work once more, and moves its bytes. */
static void recomputing_costs_energy(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_TRAINING);
    cfg.tech.core.nominal_energy_per_flop_j = 1e-12;
    const df_llm_result none = df_llm_case_reference(&cfg);
    cfg.sched.recompute = DF_RECOMPUTE_FULL;
    const df_llm_result full = df_llm_case_reference(&cfg);
    double layer = 0;
    static const df_row_name block[] = {DF_ROW_MHA, DF_ROW_MLP, DF_ROW_NORM1, DF_ROW_NORM2};
    for (int i = 0; i < 4; i++) {
        layer += none.pass.row[block[i]].side[DF_FORWARD].sum.flops;
    }
    df_assert_rel(full.energy.compute_j - none.energy.compute_j, 1e-12 * L * layer, 1e-9);
    assert_true(full.model_flops == none.model_flops);
}

/* What bounds an operator: a slow DRAM, a slow core, a slow link, or launching. */
static void bounds_are_found(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_row *const row = r.pass.row;
    const df_hw_device dev = df_llm_case_device(&cfg);
    df_hw_device slow = dev;
    slow.core.throughput_flops_ps /= 1000;
    assert_int_equal(df_usage_bound(&slow, &row[DF_ROW_QKV].side[DF_FORWARD]), DF_COST_COMPUTE);
    slow = dev;
    slow.mem[3].throughput_bytes_ps /= 1000;
    assert_int_equal(df_usage_bound(&slow, &row[DF_ROW_QKV].side[DF_FORWARD]), DF_COST_DRAM);
    cfg.tech.intra.bandwidth_bytes_ps /= 1000;
    const df_llm_result linked = df_llm_case_reference(&cfg);
    assert_int_equal(df_usage_bound(&dev, &linked.pass.row[DF_ROW_OUT].side[DF_FORWARD]),
                     DF_COST_NETWORK);
    cfg.sw.kernel_launch_overhead_s = 1;
    const df_llm_result launched = df_llm_case_reference(&cfg);
    assert_int_equal(df_usage_bound(&dev, &launched.pass.row[DF_ROW_QKV].side[DF_FORWARD]),
                     DF_COST_LAUNCH);
}

/* 64 MB of L1 traffic take 6.4 ms at the 10 GB/s of all bundles, more than the 200 us of 200 kB at
 * 1 GB/s of the DRAM. Where each of 64 bundles has 10 GB/s they take 100 us, which is less. */
static void bundles_share_the_l1_or_have_one_each(void **state)
{
    (void)state;
    const df_row row = {
        .side = {[DF_FORWARD] = {.sum = {.flops = 1e6, .traffic_bytes = {0, 64e6, 0, 200e3}}}}};
    df_hw_device dev = {.core = {.num_bundle = 64, .throughput_flops_ps = 1e12}};
    const double bytes_ps[DF_HW_LEVELS] = {1e12, 10e9, 1e12, 1e9};
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        dev.mem[level].throughput_bytes_ps = bytes_ps[level];
        dev.mem[level].copies = 1;
    }
    assert_int_equal(df_usage_bound(&dev, &row.side[DF_FORWARD]), DF_COST_L1);
    dev.mem[1].copies = 64;
    assert_int_equal(df_usage_bound(&dev, &row.side[DF_FORWARD]), DF_COST_DRAM);
}

/* Eight sequences in micro-batches of one on each of two replicas: four passes over four layers,
 * two on each of two stages; of the table and the logits each stage has half on average. */
static void stages_share_the_runs(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 2, 2, 4);
    const df_llm_result r = df_llm_case_reference(&cfg);
    df_assert_rel(r.micro_batch, 1, 0);
    df_assert_rel(df_llm_runs(&cfg, &r, DF_ROW_QKV), 4 * 2, 0);
    df_assert_rel(df_llm_runs(&cfg, &r, DF_ROW_EMBEDDING), 4 / 2.0, 0);
    df_assert_rel(df_llm_runs(&cfg, &r, DF_ROW_LOGITS), 4 / 2.0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compute_is_three_forward_passes),
        cmocka_unit_test(flops_do_not_depend_on_the_split),
        cmocka_unit_test(networks_carry_what_is_sent),
        cmocka_unit_test(each_device_sends_its_own_hop),
        cmocka_unit_test(interleaved_parts_send_more_often),
        cmocka_unit_test(axes_pay_for_their_own_links),
        cmocka_unit_test(memories_leak),
        cmocka_unit_test(phases_add_up),
        cmocka_unit_test(recomputing_costs_energy),
        cmocka_unit_test(bounds_are_found),
        cmocka_unit_test(bundles_share_the_l1_or_have_one_each),
        cmocka_unit_test(stages_share_the_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
