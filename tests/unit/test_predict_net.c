/* Collectives of GEMM and LSTM by the network simulator. Links inside a node have 50 GiB/s, or
 * 53.6870912 bytes a ns, and 5000 ns; a launch takes 9 us, an endpoint 10 ns; a reduction of b
 * bytes 3 * floor(b / 1600) ns by the reference rules. */
#include <string.h>

#include "cost/simulated.h"
#include "support/cost_case.h"
#include "support/lstm_case.h"

static const double launch_s = 9e-6;

static df_cfg load(void)
{
    df_cfg cfg = df_lstm_case();
    cfg.backend.model = DF_BACKEND_ASTRA;
    return cfg;
}

/* Forward and backward on kp1 x kp2 devices of each of dp replicas, all on one node. */
static df_cfg gemm(const int64_t mkn[3], df_gemm_split t, int64_t kp1, int64_t kp2, int64_t dp)
{
    df_cfg cfg = load();
    cfg.mode = DF_MODE_GEMM;
    cfg.gemm = (df_cfg_gemm){mkn[0], mkn[1], mkn[2], true};
    cfg.sched.t = t;
    cfg.sched.kp1 = kp1;
    cfg.sched.kp2 = kp2;
    cfg.sched.dp = dp;
    cfg.system.num_devices_per_node = kp1 * kp2 * dp;
    return cfg;
}

static df_prediction reference(const df_cfg *cfg)
{
    const df_rules rules = df_rules_reference();
    return df_case_predict(cfg, &rules);
}

/* A collective of `ranks` over the links inside a node, with the algorithm for others. */
static double
simulated_s(const df_cfg *cfg, df_coll_kind kind, double bytes, double ranks, double chosen_for)
{
    const df_hw_link intra = {50.0 * 1073741824.0, 5e-6};
    const df_topo topo = {.dim = {[DF_TOPO_INSIDE] = {.kind = cfg->intra_topology}}};
    const df_simulator_op op = {kind, bytes, df_simulated_network(&topo, ranks, &intra),
                                df_simulated_system(&topo, &cfg->backend, chosen_for, 1600e9)};
    df_simulator *const simulator = df_simulator_new(NULL);
    double time_s = 0;
    df_err err;
    if (df_simulator_time(simulator, &op, &time_s, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_simulator_free(simulator);
    return time_s;
}

/* Forward, 1 MiB is reduced and scattered over four: quarters of 262144 bytes arrive after
 * 4882.8 + 5000 ns; each of three is reduced (489 ns). Backward, quarters are gathered. The
 * gradients of 64 x 1024 weights, 128 KiB, are reduced by two replicas, which have a link to
 * each other: a half each way (1220.7 + 5000 ns), reduced (120 ns), and each half back. */
static void gemm_takes_the_simulated_times(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    const df_cfg cfg = gemm((int64_t[]){512, 256, 1024}, DF_T_CR, 4, 1, 2);
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const df_prediction r = reference(&cfg);
    const double weights = 64 * 1024;
    df_assert_rel(r.gemm.forward_comm_s, (10 + 3 * 9882 + 3 * (10 + 489)) * 1e-9 + launch_s, 1e-12);
    df_assert_rel(r.gemm.backward_comm_s, (3 * (10 + 9882) + 10) * 1e-9 + launch_s, 1e-12);
    df_assert_rel(r.gemm.dp_comm_s,
                  (10 + 6220 + 10 + 120 + 6220 + 10) * 1e-9 + launch_s +
                      df_case_stream_s(&dev, &rules, 3 * weights, 8 * weights) +
                      df_case_stream_s(&dev, &rules, 4 * weights, 6 * weights),
                  1e-12);
    df_cfg closed = cfg;
    closed.backend.model = DF_BACKEND_ANALYTICAL;
    const df_prediction c = reference(&closed);
    df_assert_rel(r.gemm.forward_compute_s, c.gemm.forward_compute_s, 0);
    df_assert_rel(r.gemm.backward_compute_s, c.gemm.backward_compute_s, 0);
    df_assert_rel(r.time_s,
                  r.gemm.forward_compute_s + r.gemm.forward_comm_s + r.gemm.backward_compute_s +
                      r.gemm.backward_comm_s + r.gemm.dp_comm_s,
                  1e-15);
}

/* By rows and columns of 2 x 4 devices, C = A B of 64 x 128 x 256 gathers C's shards of 4096
 * bytes over four forward: on a ring. Backward, shards of A (8192 bytes) and of C's columns
 * (4096) over two, which are connected: direct. Then over four again: the shards of 4096 bytes
 * have been timed before; those of B (16384) find the algorithm of two. */
static void algorithms_are_stale_by_rule(void **state)
{
    (void)state;
    const df_cfg cfg = gemm((int64_t[]){64, 128, 256}, DF_T_RC, 2, 4, 1);
    df_rules rules = df_rules_reference();
    const double over_two_s = simulated_s(&cfg, DF_COLL_ALL_GATHER, 8192, 2, 2) +
                              simulated_s(&cfg, DF_COLL_ALL_GATHER, 4096, 2, 2);
    const double columns_s = simulated_s(&cfg, DF_COLL_ALL_GATHER, 4096, 4, 4);
    const double direct_s = simulated_s(&cfg, DF_COLL_ALL_GATHER, 16384, 4, 2);
    const double ring_s = simulated_s(&cfg, DF_COLL_ALL_GATHER, 16384, 4, 4);
    assert_true(direct_s != ring_s);
    const df_prediction stale = df_case_predict(&cfg, &rules);
    df_assert_rel(stale.gemm.forward_comm_s, columns_s + launch_s, 1e-12);
    df_assert_rel(stale.gemm.backward_comm_s, over_two_s + columns_s + direct_s + 4 * launch_s,
                  1e-12);
    rules.astra_algorithm_stale = false;
    const df_prediction own = df_case_predict(&cfg, &rules);
    df_assert_rel(own.gemm.forward_comm_s, columns_s + launch_s, 1e-12);
    df_assert_rel(own.gemm.backward_comm_s, over_two_s + columns_s + ring_s + 4 * launch_s, 1e-12);
}

/* Over nodes with half the bandwidth and 6000 ns, a quarter takes 9765.6 + 6000 ns. */
static void links_are_underated_by_rule(void **state)
{
    (void)state;
    df_cfg cfg = gemm((int64_t[]){512, 256, 1024}, DF_T_CR, 4, 1, 1);
    df_rules rules = df_rules_reference();
    cfg.system.num_devices_per_node = cfg.system.num_nodes = 2;
    cfg.system.kp1_inter = true;
    df_assert_rel(df_case_predict(&cfg, &rules).gemm.forward_comm_s,
                  (10 + 3 * 9882 + 3 * (10 + 489)) * 1e-9 + launch_s, 1e-12);
    rules.astra_links_underated = false;
    df_assert_rel(df_case_predict(&cfg, &rules).gemm.forward_comm_s,
                  (10 + 3 * 15765 + 3 * (10 + 489)) * 1e-9 + launch_s, 1e-12);
}

/* Quarters of 262144 bytes are added at 1600 GB/s: 163 ns for each of the three times that they
 * pass, or at the 900 GiB/s of the DRAM, which are 966.37 bytes a ns: 271 ns. */
static void reductions_run_at_the_rate_of_the_memory(void **state)
{
    (void)state;
    const df_cfg cfg = gemm((int64_t[]){512, 256, 1024}, DF_T_CR, 4, 1, 1);
    df_rules rules = df_rules_reference();
    df_assert_rel(df_case_predict(&cfg, &rules).gemm.forward_comm_s,
                  (10 + 3 * 9882 + 3 * (10 + 3 * 163)) * 1e-9 + launch_s, 1e-12);
    rules.astra_reductions_at_1600 = false;
    df_assert_rel(df_case_predict(&cfg, &rules).gemm.forward_comm_s,
                  (10 + 3 * 9882 + 3 * (10 + 3 * 271)) * 1e-9 + launch_s, 1e-12);
}

/* Activations of 64 sequences, 1024 units of 2 bytes: 2441.4 + 5000 ns, without launch. */
static void hop_is_simulated_unless_free(void **state)
{
    (void)state;
    df_cfg cfg = load();
    df_rules rules = df_rules_reference();
    cfg.sched.dp = 1;
    cfg.sched.lp = 4;
    df_assert_rel(df_case_predict(&cfg, &rules).lstm.components.tf, 0, 0);
    rules.pipeline_hop_free = false;
    df_assert_rel(df_case_predict(&cfg, &rules).lstm.components.tf, 7441e-9, 1e-12);
}

/* The softmax by row and column over four: its shards of 64 x 20000 / 4 elements are gathered,
 * and 64 x 4 sums go from all to all, without launch, in closed form without latency too. What
 * is computed stays as it is. */
static void softmax_keeps_what_it_computes(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    const df_hw_link intra = {50.0 * 1073741824.0, 5e-6};
    const df_hw_link no_latency = {intra.bytes_ps, 0};
    const df_op_collective gather = {DF_COLL_ALL_GATHER, 0, 4 * 640000};
    const df_op_collective exchange = {DF_COLL_ALL_TO_ALL, 0, 512};
    const df_topo_group columns = {.members = 4, .link = intra};
    const df_topo_group exchanged = {.members = 4, .link = no_latency};
    df_cfg cfg = load();
    cfg.sched.t = DF_T_RC;
    cfg.sched.dp = 1;
    cfg.sched.kp2 = 4;
    const df_hw_device dev = df_case_device(&cfg, &rules);
    const double simulated = simulated_s(&cfg, DF_COLL_ALL_GATHER, 640000, 4, 4) +
                             simulated_s(&cfg, DF_COLL_ALL_TO_ALL, 512, 4, 4) + launch_s;
    const double hybrid_s = reference(&cfg).lstm.components.sf;
    cfg.backend.model = DF_BACKEND_ANALYTICAL;
    const double closed_s = reference(&cfg).lstm.components.sf;
    df_assert_rel(hybrid_s - simulated,
                  closed_s - df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &gather, &columns) -
                      df_case_ring_s(&dev, &rules, DF_MODE_LSTM, &exchange, &exchanged),
                  1e-11);
}

/* One predictor, first simulated, then in closed form, then simulated again. */
static void backend_is_the_configurations(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_cfg cfg = gemm((int64_t[]){512, 256, 1024}, DF_T_CR, 4, 1, 2);
    df_cfg closed = cfg;
    closed.backend.model = DF_BACKEND_ANALYTICAL;
    const df_hw_device dev = df_case_device(&cfg, &rules);
    df_predictor *const predictor = df_predictor_new();
    df_prediction r[3];
    df_err err;
    assert_int_equal(
        df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_TIMES, &r[0], &err), DF_OK);
    assert_int_equal(
        df_predict(predictor, &(df_design){&closed, &dev, &rules}, DF_WANT_TIMES, &r[1], &err),
        DF_OK);
    assert_int_equal(
        df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_TIMES, &r[2], &err), DF_OK);
    df_assert_rel(r[1].time_s, reference(&closed).time_s, 0);
    df_assert_rel(r[2].time_s, r[0].time_s, 0);
    assert_true(r[0].time_s != r[1].time_s);
    df_predictor_free(predictor);
}

static void network_without_bandwidth_is_refused(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    const df_cfg cfg = gemm((int64_t[]){512, 256, 1024}, DF_T_CR, 4, 1, 1);
    df_hw_device dev = df_case_device(&cfg, &rules);
    df_predictor *const predictor = df_predictor_new();
    df_prediction result;
    df_err err;
    dev.intra.throughput_bytes_ps = 0;
    assert_int_equal(
        df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_TIMES, &result, &err),
        DF_EINVAL);
    assert_non_null(strstr(err.text, "tech_param.network: expected links with a bandwidth"));
    df_predictor_free(predictor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_takes_the_simulated_times),
        cmocka_unit_test(algorithms_are_stale_by_rule),
        cmocka_unit_test(links_are_underated_by_rule),
        cmocka_unit_test(reductions_run_at_the_rate_of_the_memory),
        cmocka_unit_test(hop_is_simulated_unless_free),
        cmocka_unit_test(softmax_keeps_what_it_computes),
        cmocka_unit_test(backend_is_the_configurations),
        cmocka_unit_test(network_without_bandwidth_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
