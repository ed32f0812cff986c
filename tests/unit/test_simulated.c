/* One collective by the simulator. Links have 100 GiB/s and 500 ns, which makes 107.3741824
 * bytes a ns: 1 MiB takes 9765.625 ns, a quarter of it 2441.40625, and a quarter arrives
 * 2941 ns after it was sent. A reduction of a quarter at 1600 GB/s takes 3 * 163 = 489 ns. */
#include <string.h>

#include "base/units.h"
#include "cost/simulated.h"
#include "support/support.h"

static const double mib = 1048576;
static const df_hw_link link_100 = {100.0 * DF_GIB, 500e-9};

static df_cfg machine(df_topology topology)
{
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    cfg.intra_topology = topology;
    cfg.backend.endpoint_delay = 10;
    cfg.backend.active_chunks_per_dimension = 1;
    cfg.backend.preferred_dataset_splits = 1;
    return cfg;
}

static df_simulator_op op_of(const df_cfg *cfg, df_coll_kind kind, double bytes, double ranks)
{
    const df_topo topo = {.dim = {[DF_TOPO_INSIDE] = {.kind = cfg->intra_topology}}};
    return (df_simulator_op){kind, bytes, df_simulated_network(&topo, ranks, &link_100),
                             df_simulated_system(&topo, &cfg->backend, ranks, 1600e9)};
}

static double timed(df_simulator *simulator, const df_simulator_op *op)
{
    double time_s = 0;
    df_err err;
    if (df_simulator_time(simulator, op, &time_s, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return time_s;
}

/* By a fresh simulator. */
static double time_of(const df_cfg *cfg, df_coll_kind kind, double bytes, double ranks)
{
    const df_simulator_op op = op_of(cfg, kind, bytes, ranks);
    df_simulator *const simulator = df_simulator_new(NULL);
    const double time_s = timed(simulator, &op);
    df_simulator_free(simulator);
    return time_s;
}

/* Ring: 2 (n - 1) = 6 sends one after another, each behind a delay of 10 ns, of which the three
 * of what was received reduce first, and 10 ns at the end.
 * Direct, each rank connected to each: the three sends of a phase run at once, so there are two
 * phases, with a reduction between them. */
static void all_reduce_follows_the_topology(void **state)
{
    (void)state;
    const df_cfg ring = machine(DF_TOPO_RING);
    const df_cfg full = machine(DF_TOPO_FC);
    df_assert_rel(time_of(&ring, DF_COLL_ALL_REDUCE, mib, 4), 19183e-9, 1e-14);
    df_assert_rel(time_of(&full, DF_COLL_ALL_REDUCE, mib, 4),
                  (10 + 2941 + 10 + 489 + 2941 + 10) * 1e-9, 1e-14);
}

/* On a switch all that a rank sends shares its uplink: the three quarters leave at 10, 2451 and
 * 4892; the last one arrives two hops later, and so again after the reduction. */
static void algorithms_can_be_chosen(void **state)
{
    (void)state;
    df_cfg cfg = machine(DF_TOPO_SWITCH);
    cfg.backend.all_reduce = DF_ALGO_DIRECT;
    df_assert_rel(time_of(&cfg, DF_COLL_ALL_REDUCE, mib, 4), (10774 + 499 + 10774 - 10 + 10) * 1e-9,
                  1e-14);
    /* Halves, quarters, quarters, halves; only the second message reduces first. */
    cfg = machine(DF_TOPO_FC);
    cfg.backend.all_reduce = DF_ALGO_HALVING_DOUBLING;
    df_assert_rel(time_of(&cfg, DF_COLL_ALL_REDUCE, mib, 4), 17185e-9, 1e-14);
}

/* Three quarters to three others, one after another, and AstraSim reduces every other one that
 * comes in; or all at once, as there are no more than three. */
static void direct_may_have_a_window(void **state)
{
    (void)state;
    df_cfg cfg = machine(DF_TOPO_FC);
    cfg.backend.reduce_scatter = (df_coll_algo)(DF_ALGO_DIRECT_OF + 1);
    df_assert_rel(time_of(&cfg, DF_COLL_REDUCE_SCATTER, mib, 4),
                  (10 + 2941 + (10 + 489) + 2941 + 10 + 2941 + (10 + 489)) * 1e-9, 1e-14);
    cfg.backend.reduce_scatter = (df_coll_algo)(DF_ALGO_DIRECT_OF + 3);
    df_assert_rel(time_of(&cfg, DF_COLL_REDUCE_SCATTER, mib, 4), (10 + 2941 + 10 + 489) * 1e-9,
                  1e-14);
}

/* A shard of 256 KiB makes n - 1 = 3 hops round a ring; nothing is reduced. */
static void all_gather_moves_a_shard_in_each_step(void **state)
{
    (void)state;
    const df_cfg cfg = machine(DF_TOPO_RING);
    df_assert_rel(time_of(&cfg, DF_COLL_ALL_GATHER, mib / 4, 4), (3 * (10 + 2941) + 10) * 1e-9,
                  1e-14);
}

/* 9765.625 + 500, whole nanoseconds; no delay before a message that is no collective's. */
static void hop_is_one_message(void **state)
{
    (void)state;
    const df_cfg cfg = machine(DF_TOPO_RING);
    df_assert_rel(time_of(&cfg, DF_COLL_P2P, mib, 2), 10265e-9, 1e-14);
}

/* Two on a ring have a link to each other: a half each way, reduced, and each half back. */
static void two_on_a_ring_are_connected(void **state)
{
    (void)state;
    const df_cfg cfg = machine(DF_TOPO_RING);
    const df_simulator_op op = op_of(&cfg, DF_COLL_ALL_REDUCE, mib, 2);
    assert_int_equal(op.network.topology, DF_NET_FULLY_CONNECTED);
    assert_int_equal(op.system.algorithm[DF_NET_ALL_REDUCE].kind, DF_NET_ALG_DIRECT);
    df_assert_rel(time_of(&cfg, DF_COLL_ALL_REDUCE, mib, 2),
                  (10 + 5382 + 10 + 3 * 327 + 5382 + 10) * 1e-9, 1e-14);
}

/* What was solved is found again, and nothing else is. */
static void equal_collectives_are_solved_once(void **state)
{
    (void)state;
    const df_cfg ring = machine(DF_TOPO_RING);
    df_cfg slow = ring;
    slow.backend.endpoint_delay = 110;
    df_simulator_op ops[7];
    ops[0] = op_of(&ring, DF_COLL_ALL_REDUCE, mib, 4);
    ops[1] = op_of(&slow, DF_COLL_ALL_REDUCE, mib, 4);
    ops[2] = ops[3] = ops[4] = ops[5] = ops[6] = ops[0];
    ops[2].bytes = mib + 4;
    ops[3].kind = DF_COLL_REDUCE_SCATTER;
    ops[4].network.latency_ns = 600;
    ops[5].network.bandwidth_gib_ps = 50;
    ops[6].system.splits = 2;
    df_runner *astra;
    assert_int_equal(df_runner_new(NULL, &astra, NULL), DF_OK);
    df_simulator *const simulator = df_simulator_new(astra);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 7; i++) {
            const double time_s = timed(simulator, &ops[i]);
            df_simulator *const fresh = df_simulator_new(NULL);
            df_assert_rel(time_s, timed(fresh, &ops[i]), 0);
            df_simulator_free(fresh);
            const double again_s = timed(simulator, &ops[i]);
            df_assert_rel(again_s, time_s, 0);
        }
    }
    /* of 28 */
    assert_in_range(df_runner_stats_of(astra)->simulated, 7, 14);
    df_simulator_free(simulator);
    df_runner_free(astra);
}

static void links_are_underated_by_rule(void **state)
{
    (void)state;
    const df_topo topo = {
        .dim = {[DF_TOPO_INSIDE] = {.link = {1e9, 3e-6}, .undivided = {2e9, 3e-6}}}};
    const df_hw_link own = {5e8, 7e-6};
    df_assert_rel(df_simulated_link(&topo, true, &own)->bytes_ps, 2e9, 0);
    df_assert_rel(df_simulated_link(&topo, true, &own)->latency_s, 3e-6, 0);
    df_assert_rel(df_simulated_link(&topo, false, &own)->bytes_ps, 5e8, 0);
    df_assert_rel(df_simulated_link(&topo, false, &own)->latency_s, 7e-6, 0);
}

static void link_without_bandwidth_is_refused(void **state)
{
    (void)state;
    const df_cfg cfg = machine(DF_TOPO_RING);
    df_simulator_op op = op_of(&cfg, DF_COLL_ALL_REDUCE, mib, 4);
    op.network.bandwidth_gib_ps = 0;
    df_simulator *const simulator = df_simulator_new(NULL);
    double time_s = -1;
    df_err err;
    assert_int_equal(df_simulator_time(simulator, &op, &time_s, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "expected links with a bandwidth between 4 devices"));
    df_assert_rel(time_s, -1, 0);
    df_simulator_free(simulator);
}

static void too_many_ranks_are_refused(void **state)
{
    (void)state;
    const df_cfg cfg = machine(DF_TOPO_RING);
    const df_simulator_op op = op_of(&cfg, DF_COLL_ALL_REDUCE, mib, 32769);
    df_simulator *const simulator = df_simulator_new(NULL);
    double time_s = -1;
    df_err err;
    assert_int_equal(df_simulator_time(simulator, &op, &time_s, &err), DF_EINVAL);
    assert_string_equal(err.text,
                        "expected 1 to 32768 devices for the network simulator, found 32769");
    df_simulator_free(simulator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_reduce_follows_the_topology),
        cmocka_unit_test(algorithms_can_be_chosen),
        cmocka_unit_test(direct_may_have_a_window),
        cmocka_unit_test(all_gather_moves_a_shard_in_each_step),
        cmocka_unit_test(hop_is_one_message),
        cmocka_unit_test(two_on_a_ring_are_connected),
        cmocka_unit_test(equal_collectives_are_solved_once),
        cmocka_unit_test(links_are_underated_by_rule),
        cmocka_unit_test(link_without_bandwidth_is_refused),
        cmocka_unit_test(too_many_ranks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
