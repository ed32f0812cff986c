/* The network of a machine, with expected values worked out by hand. */
#include <string.h>

#include "support/support.h"
#include "topo/topo.h"

/* Two nodes of four devices; links of 80 GB/s and 1 us inside, of 10 GB/s and 5 us between. */
static const df_hw_device device = {.intra = {.throughput_bytes_ps = 80e9, .latency_s = 1e-6},
                                    .inter = {.throughput_bytes_ps = 10e9, .latency_s = 5e-6}};

static df_cfg machine(void)
{
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    cfg.system.num_devices_per_node = 4;
    cfg.system.num_nodes = 2;
    cfg.system.intra_derate = 1;
    cfg.system.inter_derate = 1;
    cfg.intra_topology = DF_TOPO_RING;
    cfg.inter_topology = DF_TOPO_SWITCH;
    cfg.tech.intra.nominal_energy_per_link_j = 2e-12;
    cfg.tech.inter.nominal_energy_per_link_j = 7e-12;
    cfg.sched.dp = cfg.sched.lp = 1;
    cfg.mode = DF_MODE_LLM;
    return cfg;
}

static df_topo derive_by(const df_cfg *cfg, bool flags_alone)
{
    df_topo topo;
    memset(&topo, 0x5a, sizeof topo);
    df_topo_derive(cfg, &device, flags_alone, &topo);
    return topo;
}

static df_topo derive(const df_cfg *cfg)
{
    return derive_by(cfg, false);
}

static void assert_link(const df_hw_link *link, double bytes_ps, double latency_s)
{
    df_assert_rel(link->bytes_ps, bytes_ps, 0);
    df_assert_rel(link->latency_s, latency_s, 0);
}

/* ---- Dimensions ---- */

static void dimensions_are_those_of_the_file(void **state)
{
    (void)state;
    const df_cfg cfg = machine();
    const df_topo topo = derive(&cfg);
    const df_topo_dim *const inside = &topo.dim[DF_TOPO_INSIDE];
    const df_topo_dim *const between = &topo.dim[DF_TOPO_BETWEEN];
    assert_int_equal(inside->kind, DF_TOPO_RING);
    assert_int_equal(between->kind, DF_TOPO_SWITCH);
    assert_int_equal(inside->size, 4);
    assert_int_equal(between->size, 2);
    assert_true(inside->exists && between->exists);
    assert_link(&inside->link, 80e9, 1e-6);
    assert_link(&between->link, 10e9, 5e-6);
    df_assert_rel(inside->energy_per_bit_j, 2e-12, 0);
    df_assert_rel(between->energy_per_bit_j, 7e-12, 0);
}

/* 80 / 2 and 10 / 4 GB/s; latencies are not shared. */
static void derates_divide_the_speed(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.system.intra_derate = 2;
    cfg.system.inter_derate = 4;
    const df_topo topo = derive(&cfg);
    assert_link(&topo.dim[DF_TOPO_INSIDE].link, 40e9, 1e-6);
    assert_link(&topo.dim[DF_TOPO_BETWEEN].link, 2.5e9, 5e-6);
    assert_link(&topo.dim[DF_TOPO_INSIDE].undivided, 80e9, 1e-6);
    assert_link(&topo.dim[DF_TOPO_BETWEEN].undivided, 10e9, 5e-6);
}

/* One device has no network, one node none between nodes, and a derate of 0 takes one away.
 * What a link could do stays known. */
static void networks_may_be_missing(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.system.dp_inter = true;
    cfg.system.num_nodes = 1;
    const df_topo node = derive(&cfg);
    assert_true(node.dim[DF_TOPO_INSIDE].exists && !node.dim[DF_TOPO_BETWEEN].exists);
    assert_link(&node.axis[DF_AXIS_TP].link, 80e9, 1e-6);
    assert_link(&node.axis[DF_AXIS_DP].link, 0, 5e-6);
    assert_link(&node.dim[DF_TOPO_BETWEEN].undivided, 10e9, 5e-6);
    cfg.system.num_devices_per_node = 1;
    const df_topo alone = derive(&cfg);
    assert_false(alone.dim[DF_TOPO_INSIDE].exists);
    assert_link(&alone.axis[DF_AXIS_TP].link, 0, 1e-6);
    assert_link(&alone.dim[DF_TOPO_INSIDE].undivided, 80e9, 1e-6);
    cfg = machine();
    cfg.system.dp_inter = true;
    cfg.system.inter_derate = 0;
    const df_topo apart = derive(&cfg);
    assert_true(apart.dim[DF_TOPO_INSIDE].exists && !apart.dim[DF_TOPO_BETWEEN].exists);
    assert_link(&apart.axis[DF_AXIS_DP].link, 0, 5e-6);
}

static void absent_energies_are_0(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.tech.inter.nominal_energy_per_link_j = DF_CFG_ABSENT_J;
    cfg.system.dp_inter = true;
    const df_topo topo = derive(&cfg);
    df_assert_rel(topo.axis[DF_AXIS_DP].energy_per_bit_j, 0, 0);
    df_assert_rel(topo.axis[DF_AXIS_LP].energy_per_bit_j, 2e-12, 0);
}

/* ---- Groups ---- */

/* Each axis by its own flag, context parallelism too. */
static void axes_have_their_own_links(void **state)
{
    (void)state;
    for (int between = 0; between < DF_AXES; between++) {
        df_cfg cfg = machine();
        cfg.system.inter[between] = true;
        cfg.sched.degree[between] = 2;
        const df_topo topo = derive(&cfg);
        for (int axis = 0; axis < DF_AXES; axis++) {
            const df_topo_group *const group = &topo.axis[axis];
            const bool leaves = axis == between;
            assert_link(&group->link, leaves ? 10e9 : 80e9, leaves ? 5e-6 : 1e-6);
            assert_int_equal(group->dim, leaves ? DF_TOPO_BETWEEN : DF_TOPO_INSIDE);
            df_assert_rel(group->energy_per_bit_j, leaves ? 7e-12 : 2e-12, 0);
            df_assert_rel(group->members, leaves ? 2 : 1, 0); /* degrees of 0 are 1 */
        }
    }
}

/* Whether the axis runs between nodes. */
static bool leaves(const df_cfg *cfg, df_axis axis)
{
    return derive(cfg).axis[axis].dim == DF_TOPO_BETWEEN;
}

/* Nodes hold four devices. */
static void axes_leave_nodes_that_cannot_hold_them(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.sched.tp = 4; /* fills a node, so that replicas are in different ones */
    cfg.sched.dp = 2;
    assert_true(!leaves(&cfg, DF_AXIS_TP) && leaves(&cfg, DF_AXIS_DP));
    assert_link(&derive(&cfg).axis[DF_AXIS_DP].link, 10e9, 5e-6);
    assert_link(&derive_by(&cfg, true).axis[DF_AXIS_DP].link, 80e9, 1e-6);
    cfg.sched.tp = 8; /* alone in two nodes */
    cfg.sched.dp = 1;
    assert_true(leaves(&cfg, DF_AXIS_TP));
    cfg.sched.tp = 2; /* context parallelism next to it, then replicas, then stages */
    cfg.sched.cp = 2;
    cfg.sched.lp = 2;
    assert_true(!leaves(&cfg, DF_AXIS_TP) && !leaves(&cfg, DF_AXIS_CP) && leaves(&cfg, DF_AXIS_LP));
    cfg.sched.cp = 4;
    cfg.sched.lp = 1;
    assert_true(!leaves(&cfg, DF_AXIS_TP) && leaves(&cfg, DF_AXIS_CP));
    cfg.system.dp_inter = true; /* outside of the stages, which then have room in a node */
    cfg.sched.cp = 1;
    cfg.sched.dp = 2;
    cfg.sched.lp = 2;
    assert_true(leaves(&cfg, DF_AXIS_DP) && !leaves(&cfg, DF_AXIS_LP));
    cfg.sched.tp = 3; /* three of four: groups lie across the edge */
    cfg.sched.dp = 1;
    cfg.sched.lp = 1;
    cfg.system.num_devices_per_node = 4;
    cfg.system.num_nodes = 3;
    cfg.sched.lp = 4;
    assert_true(leaves(&cfg, DF_AXIS_TP));
}

/* 80 / 16 = 5 GB/s inside limit the 10 between. Where there is no network inside, nothing does. */
static void what_is_below_limits_the_speed(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.system.dp_inter = true;
    cfg.system.intra_derate = 16;
    const df_topo limited = derive(&cfg);
    assert_link(&limited.axis[DF_AXIS_DP].link, 5e9, 5e-6);
    assert_link(&limited.dim[DF_TOPO_BETWEEN].link, 10e9, 5e-6);
    cfg.system.intra_derate = 0;
    const df_topo unlimited = derive(&cfg);
    assert_link(&unlimited.axis[DF_AXIS_DP].link, 10e9, 5e-6);
    assert_link(&unlimited.axis[DF_AXIS_LP].link, 0, 1e-6);
}

/* 2 x 4 devices reach as far as the axis that reaches further, whichever it is. */
static void joined_groups_reach_further(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.sched.tp = 2;
    cfg.sched.cp = 4;
    cfg.system.cp_inter = true;
    const df_topo topo = derive(&cfg);
    const df_topo_group *const tp = &topo.axis[DF_AXIS_TP];
    const df_topo_group *const cp = &topo.axis[DF_AXIS_CP];
    const df_topo_group both[] = {df_topo_join(tp, cp), df_topo_join(cp, tp)};
    for (int i = 0; i < 2; i++) {
        df_assert_rel(both[i].members, 8, 0);
        assert_int_equal(both[i].dim, DF_TOPO_BETWEEN);
        assert_link(&both[i].link, 10e9, 5e-6);
        df_assert_rel(both[i].energy_per_bit_j, 7e-12, 0);
    }
    const df_topo_group inside = df_topo_join(tp, tp);
    df_assert_rel(inside.members, 4, 0);
    assert_link(&inside.link, 80e9, 1e-6);
}

/* A flag of an axis of degree 1 says nothing about what the other does. */
static void groups_of_one_reach_nowhere(void **state)
{
    (void)state;
    df_cfg cfg = machine();
    cfg.sched.tp = 4;
    cfg.sched.cp = 1;
    cfg.system.cp_inter = true;
    const df_topo topo = derive(&cfg);
    const df_topo_group *const tp = &topo.axis[DF_AXIS_TP];
    const df_topo_group *const cp = &topo.axis[DF_AXIS_CP];
    const df_topo_group both[] = {df_topo_join(tp, cp), df_topo_join(cp, tp)};
    for (int i = 0; i < 2; i++) {
        df_assert_rel(both[i].members, 4, 0);
        assert_int_equal(both[i].dim, DF_TOPO_INSIDE);
        assert_link(&both[i].link, 80e9, 1e-6);
    }
    cfg.system.cp_inter = false;
    cfg.system.tp_inter = true;
    cfg.sched.tp = 1;
    cfg.sched.cp = 4;
    const df_topo swapped = derive(&cfg);
    const df_topo_group context =
        df_topo_join(&swapped.axis[DF_AXIS_TP], &swapped.axis[DF_AXIS_CP]);
    assert_int_equal(context.dim, DF_TOPO_INSIDE);
}

/* ---- Placement ---- */

enum { PLACED = 4 };
static const df_axis llm[PLACED] = {DF_AXIS_TP, DF_AXIS_CP, DF_AXIS_DP, DF_AXIS_LP};

static df_topo_placement place(int64_t node_devices, int64_t tp, int64_t cp, int64_t dp, int64_t lp)
{
    const int64_t degree[DF_AXES] = {
        [DF_AXIS_TP] = tp, [DF_AXIS_CP] = cp, [DF_AXIS_DP] = dp, [DF_AXIS_LP] = lp};
    df_topo_placement placed;
    memset(&placed, 0x5a, sizeof placed);
    df_topo_place(node_devices, llm, PLACED, degree, &placed);
    return placed;
}

/* Nodes of 8. tp 4 lies in half a node; of dp 4, whose members are 4 apart, a node holds 2, which
 * leave it by 2 ports; lp 2 has a stage on two nodes each. */
static void outer_axes_leave_nodes(void **state)
{
    (void)state;
    const df_topo_placement p = place(8, 4, 1, 4, 2);
    assert_true(!p.split[DF_AXIS_TP] && !p.split[DF_AXIS_CP]);
    assert_true(p.split[DF_AXIS_DP] && p.split[DF_AXIS_LP]);
    for (int axis = 0; axis < DF_AXES; axis++) {
        assert_int_equal(p.crossing[axis], p.split[axis]);
    }
    df_assert_rel(p.inside[DF_AXIS_TP], 4, 0);
    df_assert_rel(p.inside[DF_AXIS_CP], 1, 0);
    df_assert_rel(p.inside[DF_AXIS_DP], 2, 0);
    df_assert_rel(p.inside[DF_AXIS_LP], 1, 0);
    df_assert_rel(p.inside[DF_AXIS_KP1], 1, 0); /* not placed */
    df_assert_rel(p.ports, 2, 0);
    assert_true(p.used[DF_TOPO_INSIDE] && p.used[DF_TOPO_BETWEEN]);
}

/* tp 16 fills two nodes of 8: it leaves by 8 ports, and dp, further out, by one. */
static void the_innermost_has_the_ports(void **state)
{
    (void)state;
    const df_topo_placement p = place(8, 16, 1, 2, 1);
    assert_true(p.split[DF_AXIS_TP] && p.split[DF_AXIS_DP]);
    df_assert_rel(p.inside[DF_AXIS_TP], 8, 0);
    df_assert_rel(p.inside[DF_AXIS_DP], 1, 0);
    df_assert_rel(p.ports, 8, 0);
}

/* Four stages of one device on nodes of 2: a pipeline is no ring, so one port carries its hop. */
static void pipelines_have_one_port(void **state)
{
    (void)state;
    const df_topo_placement p = place(2, 1, 1, 1, 4);
    assert_true(p.split[DF_AXIS_LP]);
    df_assert_rel(p.inside[DF_AXIS_LP], 2, 0);
    df_assert_rel(p.ports, 1, 0);
}

static void one_node_is_left_by_nothing(void **state)
{
    (void)state;
    const df_topo_placement p = place(8, 2, 2, 2, 1);
    for (int axis = 0; axis < DF_AXES; axis++) {
        assert_true(!p.split[axis] && !p.crossing[axis]);
    }
    assert_true(p.used[DF_TOPO_INSIDE] && !p.used[DF_TOPO_BETWEEN]);
    df_assert_rel(p.ports, 1, 0);
    const df_topo_placement single = place(1, 1, 1, 1, 1);
    assert_true(!single.used[DF_TOPO_INSIDE] && !single.used[DF_TOPO_BETWEEN]);
    const df_topo_placement apart = place(1, 1, 1, 4, 1); /* no two devices share a node */
    assert_true(!apart.used[DF_TOPO_INSIDE] && apart.used[DF_TOPO_BETWEEN]);
}

/* Of three groups of 4 on nodes of 6, the second has the devices 4 to 7, of two nodes, although a
 * node can hold a group. */
static void groups_may_lie_across_an_edge(void **state)
{
    (void)state;
    const df_topo_placement p = place(6, 4, 1, 3, 1);
    assert_true(p.crossing[DF_AXIS_TP] && !p.split[DF_AXIS_TP]);
    assert_true(p.crossing[DF_AXIS_DP] && p.split[DF_AXIS_DP]);
}

/* What is true of the devices when they are numbered one by one. */
typedef struct {
    bool crossing[PLACED];
    bool used[DF_TOPO_DIMS];
} counted;

static void count_pairs(int64_t node, const int64_t degree[PLACED], int axis, counted *out)
{
    int64_t workers = 1;
    int64_t stride = 1;
    for (int i = 0; i < PLACED; i++) {
        stride *= i < axis ? degree[i] : 1;
        workers *= degree[i];
    }
    for (int64_t number = 0; number < workers; number++) {
        if (number / stride % degree[axis] < degree[axis] - 1) { /* it has a next one */
            const bool same = number / node == (number + stride) / node;
            out->crossing[axis] = out->crossing[axis] || !same;
            out->used[same ? DF_TOPO_INSIDE : DF_TOPO_BETWEEN] = true;
        }
    }
}

static void placement_is_that_of_numbered_devices(void **state)
{
    (void)state;
    enum { NODES = 14, DEGREES = 5 };
    const int cases = NODES * DEGREES * DEGREES * DEGREES * DEGREES;
    int alike[2] = {0, 0};
    for (int64_t code = 0; code < cases; code++) {
        int64_t degree[PLACED];
        int64_t rest = code / NODES;
        counted expected;
        memset(&expected, 0, sizeof expected);
        for (int i = 0; i < PLACED; i++) {
            degree[i] = 1 + rest % DEGREES;
            rest /= DEGREES;
        }
        const int64_t node = 1 + code % NODES;
        for (int i = 0; i < PLACED; i++) {
            count_pairs(node, degree, i, &expected);
        }
        const df_topo_placement p = place(node, degree[0], degree[1], degree[2], degree[3]);
        for (int i = 0; i < PLACED; i++) {
            assert_int_equal(p.crossing[llm[i]], expected.crossing[i]);
            assert_true(!p.split[llm[i]] || p.crossing[llm[i]]);
            alike[p.crossing[llm[i]]]++;
        }
        assert_memory_equal(p.used, expected.used, sizeof p.used);
    }
    assert_true(alike[false] > 1000 && alike[true] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimensions_are_those_of_the_file),
        cmocka_unit_test(derates_divide_the_speed),
        cmocka_unit_test(networks_may_be_missing),
        cmocka_unit_test(absent_energies_are_0),
        cmocka_unit_test(axes_have_their_own_links),
        cmocka_unit_test(axes_leave_nodes_that_cannot_hold_them),
        cmocka_unit_test(what_is_below_limits_the_speed),
        cmocka_unit_test(joined_groups_reach_further),
        cmocka_unit_test(groups_of_one_reach_nowhere),
        cmocka_unit_test(outer_axes_leave_nodes),
        cmocka_unit_test(the_innermost_has_the_ports),
        cmocka_unit_test(pipelines_have_one_port),
        cmocka_unit_test(one_node_is_left_by_nothing),
        cmocka_unit_test(groups_may_lie_across_an_edge),
        cmocka_unit_test(placement_is_that_of_numbered_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
