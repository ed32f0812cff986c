/* The network simulator's rules, each by a case that is computed by hand.
 *
 * Where nothing else is said a link carries 100 GiB/s, that is 107.3741824 bytes a ns, and has
 * a latency of 500 ns. 1 MiB takes 9765.625 ns on it: the link is busy for 9765 ns, and the
 * message arrives after 500 + 9765.625, cut to 10265 ns. */
#include "support/net_case.h"

enum { MIB = DF_NET_CASE_BYTES };
static const uint64_t BUSY = 9765;
static const uint64_t TRAVEL = 10265;

static df_net_case all_ranks(df_net_topology topology,
                             int32_t ranks,
                             df_net_algorithm_kind algorithm,
                             df_net_collective kind,
                             uint64_t bytes)
{
    df_net_case c = df_net_case_new(topology, ranks, algorithm);
    for (int32_t rank = 0; rank < ranks; rank++) {
        df_net_case_collective(&c, rank, 0, kind, bytes);
    }
    return c;
}

static void check_equal(df_net_case *c, uint64_t cycles_ns)
{
    uint64_t all[16];
    for (int32_t rank = 0; rank < c->network.ranks; rank++) {
        all[rank] = cycles_ns;
    }
    df_net_case_check(c, all);
    df_net_case_free(c);
}

static void check(df_net_case *c, const uint64_t *cycles_ns)
{
    df_net_case_check(c, cycles_ns);
    df_net_case_free(c);
}

/* What the link from a rank to another carried; all zeros where there is none. */
static df_net_link_use use_of(const df_net_sim *sim, int32_t from, int32_t to)
{
    for (uint32_t i = 0; i < df_net_links_made(sim); i++) {
        const df_net_link_use use = df_net_link_used(sim, i);
        if (use.from == from && use.to == to) {
            return use;
        }
    }
    return (df_net_link_use){from, to, 0, 0, 0};
}

/* ---- Messages ---- */

static void message_takes_latency_and_size(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    check_equal(&c, TRAVEL);
}

/* A send ends when its message has arrived, and holds its unit until then. */
static void sends_of_a_rank_follow_each_other(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 3, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_send(&c, 0, 1, NO_DEP, 2);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    df_net_case_receive(&c, 2, 0, NO_DEP, 0);
    check(&c, (uint64_t[]){2 * TRAVEL, TRAVEL, 2 * TRAVEL});
}

/* Receives need no unit: both wait at once, and the second to be posted ends first. */
static void receives_wait_beside_each_other(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 3, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 3000);
    df_net_case_send(&c, 0, 1, 0, 2);
    df_net_case_send(&c, 1, 0, NO_DEP, 2);
    df_net_case_receive(&c, 2, 0, NO_DEP, 0);
    df_net_case_receive(&c, 2, 1, NO_DEP, 1);
    df_net_case_compute(&c, 2, 2, 1, 1000); /* behind rank 1's message */
    check(&c, (uint64_t[]){3000 + TRAVEL, TRAVEL, 3000 + TRAVEL});
}

static void message_waits_for_its_receive(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_compute(&c, 1, 0, NO_DEP, 50000);
    df_net_case_receive(&c, 1, 1, 0, 0);
    check(&c, (uint64_t[]){TRAVEL, 50000});
}

/* Of equal messages the first that arrives is for the first receive: behind it are 100 ns,
 * behind the second 1 ns. */
static void equal_messages_match_in_order(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_compute(&c, 0, 1, 0, 20000);
    df_net_case_send(&c, 0, 2, 1, 1);
    df_net_case_receive(&c, 1, 5, NO_DEP, 0);
    df_net_case_receive(&c, 1, 6, NO_DEP, 0);
    df_net_case_compute(&c, 1, 7, 5, 100);
    df_net_case_compute(&c, 1, 8, 6, 1);
    check(&c, (uint64_t[]){2 * TRAVEL + 20000, 2 * TRAVEL + 20000 + 1});
}

/* Sizes tell messages apart: the receives are in the other order than the sends. */
static void sizes_tell_messages_apart(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_node large = {.id = 0, .type = DF_NET_SEND, .bytes = MIB, .peer = 1};
    df_net_node small = {.id = 1, .type = DF_NET_SEND, .bytes = 1, .peer = 1};
    df_net_case_add(&c, 0, &large);
    df_net_case_add(&c, 0, &small);
    large.type = small.type = DF_NET_RECEIVE;
    large.peer = small.peer = 0;
    small.id = 0;
    large.id = 1;
    df_net_case_add(&c, 1, &small);
    df_net_case_add(&c, 1, &large);
    check_equal(&c, TRAVEL + 500); /* one byte takes 500.009 ns */
}

/* Tags count modulo 500 million. */
static void tags_wrap(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    const df_net_node send = {.type = DF_NET_SEND, .bytes = MIB, .peer = 1, .tag = 1500000007};
    const df_net_node receive = {.type = DF_NET_RECEIVE, .bytes = MIB, .peer = 0, .tag = 7};
    df_net_case_add(&c, 0, &send);
    df_net_case_add(&c, 1, &receive);
    check_equal(&c, TRAVEL);
}

/* ---- Routes and links ---- */

static void switch_takes_two_hops(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_SWITCH, 2, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    check_equal(&c, 2 * TRAVEL);
}

static void switch_carries_to_oneself(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_SWITCH, 2, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 0);
    df_net_case_receive(&c, 0, 1, NO_DEP, 0);
    df_net_case_compute(&c, 1, 0, NO_DEP, 5);
    check(&c, (uint64_t[]){2 * TRAVEL, 5});
}

static void check_route(int32_t ranks, int32_t to, const int32_t *devices, int hops)
{
    df_net_case c = df_net_case_new(DF_NET_RING, ranks, DF_NET_ALG_RING);
    for (int32_t rank = 0; rank < ranks; rank++) {
        df_net_case_compute(&c, rank, 9, NO_DEP, 1);
    }
    df_net_case_send(&c, 0, 0, NO_DEP, to);
    df_net_case_receive(&c, to, 0, NO_DEP, 0);
    df_net_sim *const sim = df_net_sim_new();
    const df_net_result r = df_net_case_run(&c, sim);
    assert_int_equal(r.cycles_ns[0], (uint64_t)hops * TRAVEL);
    assert_int_equal(r.cycles_ns[to], (uint64_t)hops * TRAVEL);
    uint64_t messages = 0;
    for (uint32_t i = 0; i < r.links_made; i++) {
        messages += df_net_link_used(sim, i).messages;
    }
    assert_int_equal(messages, hops);
    for (int i = 0; i < hops; i++) {
        assert_int_equal(use_of(sim, devices[i], devices[i + 1]).bytes, MIB);
    }
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

/* The shorter way round, and with increasing ranks when both are equal. */
static void ring_goes_the_shorter_way(void **state)
{
    (void)state;
    check_route(4, 2, (int32_t[]){0, 1, 2}, 2);
    check_route(5, 3, (int32_t[]){0, 4, 3}, 2);
    check_route(6, 3, (int32_t[]){0, 1, 2, 3}, 3);
    check_route(3, 2, (int32_t[]){0, 2}, 1);
}

/* Rank 1 sends at 5000 and occupies 1 -> 2 until 14765. Rank 0's message for rank 2 reaches
 * rank 1 at 10265 and waits for it. */
static void link_carries_one_message_at_a_time(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_RING, 8, DF_NET_ALG_RING);
    for (int32_t rank = 3; rank < 8; rank++) {
        df_net_case_compute(&c, rank, 0, NO_DEP, 1);
    }
    df_net_case_send(&c, 0, 0, NO_DEP, 2);
    df_net_case_compute(&c, 1, 0, NO_DEP, 5000);
    df_net_case_send(&c, 1, 1, 0, 2);
    df_net_case_receive(&c, 2, 0, NO_DEP, 0);
    df_net_case_receive(&c, 2, 1, NO_DEP, 1);
    const uint64_t last = 5000 + BUSY + TRAVEL;
    check(&c, (uint64_t[]){last, 5000 + TRAVEL, last, 1, 1, 1, 1, 1});
}

/* What ranks do at one tick shares an event, at the place of what was noted first. Rank 0's
 * computing to 1000 is noted before rank 1's; the end of node 2, which its send is behind,
 * only at 400, but for the same tick. So rank 0 sends first, reaches the switch first
 * (both arrive there at 1000 + 10265), and rank 1's message waits for it on the way down. */
static void work_of_a_tick_shares_an_event(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_SWITCH, 3, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 1000);
    df_net_node cpu = {.id = 1, .type = DF_NET_COMPUTE, .on_cpu = true, .duration_ns = 400};
    df_net_case_add(&c, 0, &cpu);
    cpu = (df_net_node){.id = 2,
                        .type = DF_NET_COMPUTE,
                        .on_cpu = true,
                        .duration_ns = 600,
                        .deps = (uint64_t[]){1},
                        .num_deps = 1};
    df_net_case_add(&c, 0, &cpu);
    df_net_case_send(&c, 0, 3, 2, 2);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1000);
    df_net_case_send(&c, 1, 1, 0, 2);
    df_net_case_receive(&c, 2, 0, NO_DEP, 0);
    df_net_case_receive(&c, 2, 1, NO_DEP, 1);
    const uint64_t first = 1000 + 2 * TRAVEL;
    const uint64_t second = 1000 + TRAVEL + BUSY + TRAVEL;
    check(&c, (uint64_t[]){first, second, second});
}

/* ---- Nodes ---- */

static void computing_of_nothing_takes_one_ns(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 0);
    df_net_case_compute(&c, 0, 1, 0, 0);
    df_net_case_compute(&c, 1, 0, NO_DEP, 7);
    check(&c, (uint64_t[]){2, 7});
}

/* Nodes 5 and 3 want the GPU: 3 gets it first, whatever was added first. */
static void lowest_id_goes_first(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 5, NO_DEP, 1000);
    df_net_case_compute(&c, 0, 3, NO_DEP, 2000);
    df_net_case_send(&c, 0, 1, 5, 1);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    check_equal(&c, 2000 + 1000 + TRAVEL);
}

/* The CPU's node runs beside the GPU's, and only the GPU's computing is not exposed. */
static void cpu_runs_beside_gpu(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    for (int32_t rank = 0; rank < 2; rank++) {
        const df_net_node cpu = {
            .id = 7, .type = DF_NET_COMPUTE, .on_cpu = true, .duration_ns = 1500};
        df_net_case_compute(&c, rank, 0, NO_DEP, 400);
        df_net_case_compute(&c, rank, 1, NO_DEP, 500);
        df_net_case_add(&c, rank, &cpu);
    }
    df_net_sim *const sim = df_net_sim_new();
    const df_net_result r = df_net_case_run(&c, sim);
    assert_int_equal(r.cycles_ns[0], 1500);
    assert_int_equal(r.exposed_ns[0], 1500 - 400 - 500);
    assert_int_equal(r.max_ns, 1500);
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

/* A mark ends at once, but what is behind it starts when the next node ends: node 2. */
static void mark_holds_its_children(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    const df_net_node mark = {.id = 0, .type = DF_NET_MARK};
    df_net_case_add(&c, 0, &mark);
    df_net_case_compute(&c, 0, 1, 0, 1000);
    df_net_case_compute(&c, 0, 2, NO_DEP, 300);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1);
    check(&c, (uint64_t[]){300 + 1000, 1});
}

/* A mark on the CPU waits for the CPU alone, so the broadcast does not hold it up: its child starts
 * when node 3 ends, at 50. */
static void mark_takes_the_unit_it_is_on(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    const df_net_node broadcast = {
        .id = 0, .type = DF_NET_COMM, .collective = DF_NET_BROADCAST, .duration_ns = 600};
    const df_net_node mark = {.id = 1, .type = DF_NET_MARK, .on_cpu = true};
    df_net_case_add(&c, 0, &broadcast);
    df_net_case_add(&c, 0, &mark);
    df_net_case_compute(&c, 0, 2, 1, 1000);
    df_net_case_compute(&c, 0, 3, NO_DEP, 50);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1);
    check(&c, (uint64_t[]){50 + 1000, 1});
}

/* It lasts its duration, sends nothing, and the send waits for its unit. */
static void broadcast_is_a_delay(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    const df_net_node broadcast = {.id = 0,
                                   .type = DF_NET_COMM,
                                   .collective = DF_NET_BROADCAST,
                                   .bytes = MIB,
                                   .duration_ns = 2000};
    df_net_case_add(&c, 0, &broadcast);
    df_net_case_send(&c, 0, 1, NO_DEP, 1);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    check_equal(&c, 2000 + TRAVEL);
}

/* What is replayed sends nothing and needs no peer, group or algorithm. Of rank 0 both nodes count
 * as the GPU's, 2500 ns in 1500; of rank 1 only that off the CPU. */
static void replayed_nodes_are_delays(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_NONE);
    const df_net_node send = {
        .id = 0, .type = DF_NET_SEND, .peer = -1, .timing = DF_NET_REPLAYED, .duration_ns = 1500};
    const df_net_node reduce = {
        .id = 1, .type = DF_NET_COMM, .group = 9, .timing = DF_NET_REPLAYED, .duration_ns = 600};
    const df_net_node cpu = {.id = 2,
                             .type = DF_NET_COMM,
                             .on_cpu = true,
                             .timing = DF_NET_REPLAYED,
                             .duration_ns = 800};
    df_net_case_add(&c, 0, &send);
    df_net_case_compute(&c, 0, 1, NO_DEP, 1000);
    df_net_case_add(&c, 1, &reduce);
    df_net_case_add(&c, 1, &cpu);
    df_net_sim *const sim = df_net_sim_new();
    const df_net_result r = df_net_case_run(&c, sim);
    assert_int_equal(r.cycles_ns[0], 1500);
    assert_int_equal(r.exposed_ns[0], 0);
    assert_int_equal(r.cycles_ns[1], 800);
    assert_int_equal(r.exposed_ns[1], 800 - 600);
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

/* Computing that a model times may take no time at all. */
static void modelled_computing_may_take_no_time(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    const df_net_node nothing = {.id = 1,
                                 .type = DF_NET_COMPUTE,
                                 .timing = DF_NET_MODELLED,
                                 .deps = (uint64_t[]){0},
                                 .num_deps = 1};
    df_net_case_compute(&c, 0, 0, NO_DEP, 50);
    df_net_case_add(&c, 0, &nothing);
    df_net_case_compute(&c, 0, 2, 1, 7);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1);
    check(&c, (uint64_t[]){57, 1});
}

/* A node added twice: the last one counts, with the dependencies of both. */
static void repeated_id_replaces(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 100);
    df_net_case_compute(&c, 0, 1, NO_DEP, 30);
    df_net_case_compute(&c, 0, 2, 0, 5000);
    df_net_case_compute(&c, 0, 2, 1, 7);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1);
    check(&c, (uint64_t[]){100 + 30 + 7, 1});
}

/* ---- Collectives ---- */

/* Six messages of 256 KiB: 500 + 2441.40625 ns each. Three are reduced, in 3 * 163.84 ns, each
 * part cut. 10 ns before each message and at the end. */
static void all_reduce_on_a_ring(void **state)
{
    (void)state;
    enum { MESSAGE = 2941, REDUCE = 3 * 163 };
    static const df_net_topology topologies[] = {DF_NET_RING, DF_NET_FULLY_CONNECTED};
    static const int32_t order[] = {2, 3, 0, 1};
    for (int i = 0; i < 2; i++) {
        df_net_case c = all_ranks(topologies[i], 4, DF_NET_ALG_RING, DF_NET_ALL_REDUCE, MIB);
        df_net_sim *const sim = df_net_sim_new();
        const df_net_result r = df_net_case_run(&c, sim);
        assert_memory_equal(r.finish_order, order, sizeof order);
        df_net_sim_free(sim);
        check_equal(&c, 10 + 6 * MESSAGE + 3 * (10 + REDUCE) + 3 * 10);
    }
}

/* Three messages enter the uplink 2441 ns after each other, and each takes another downlink.
 * The second phase starts when the last of the first is reduced. */
static void direct_all_reduce_over_a_switch(void **state)
{
    (void)state;
    enum { MESSAGE = 2941, ENTER = 2441, REDUCE = 3 * 163 };
    df_net_case c = all_ranks(DF_NET_SWITCH, 4, DF_NET_ALG_DIRECT, DF_NET_ALL_REDUCE, MIB);
    const uint64_t phase = 2 * ENTER + 2 * MESSAGE;
    check_equal(&c, 10 + phase + 10 + REDUCE + phase + 10);
}

/* Halves go out and come back: 512, 256, 256, 512 KiB in 5382, 2941, 2941, 5382 ns. Only the
 * second packet is reduced. */
static void halving_doubling_all_reduce(void **state)
{
    (void)state;
    enum { LARGE = 5382, SMALL = 2941, REDUCE = 3 * 163 };
    df_net_case c =
        all_ranks(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALL_REDUCE, MIB);
    check_equal(&c, 10 + LARGE + 10 + REDUCE + SMALL + 10 + SMALL + 10 + LARGE + 10);
}

/* The tree's root is rank 3, below it rank 1, below that ranks 0 and 2; each message is the
 * whole, and each reduction 3 * 655 ns. Up: 0 and 2 at 10, 1 when it has reduced. Down: 3 ends
 * when it has sent, so does 1. */
static void double_binary_tree_all_reduce(void **state)
{
    (void)state;
    enum { REDUCE = 3 * 655 };
    df_net_case c =
        all_ranks(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_BINARY_TREE, DF_NET_ALL_REDUCE, MIB);
    const uint64_t at_root = 10 + TRAVEL + 10 + REDUCE + TRAVEL + 10 + REDUCE;
    const uint64_t at_inner = at_root + TRAVEL + 10 + REDUCE;
    const uint64_t at_leaves = at_inner + TRAVEL + 10;
    check(&c, (uint64_t[]){at_leaves, at_inner, at_leaves, at_root});
}

/* 1000003 bytes in 4 splits are five chunks of 250000 and not a small rest: 62500 bytes a
 * message in 500 + 582.07 ns, reduced in 3 * 39 ns; one chunk after the other. */
static void rest_is_a_whole_chunk(void **state)
{
    (void)state;
    enum { MESSAGE = 1082, REDUCE = 3 * 39 };
    df_net_case c = all_ranks(DF_NET_RING, 4, DF_NET_ALG_RING, DF_NET_ALL_REDUCE, 1000003);
    c.system.splits = 4;
    const uint64_t chunks = 5;
    check_equal(&c, chunks * (10 + 6 * MESSAGE + 3 * (10 + REDUCE) + 3 * 10));
}

/* Nothing to reduce becomes a chunk of as many bytes as there are ranks: 1 byte a message. */
static void all_reduce_of_nothing_sends_bytes(void **state)
{
    (void)state;
    df_net_case c = all_ranks(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_DIRECT, DF_NET_ALL_REDUCE, 0);
    check_equal(&c, 10 + 500 + 10 + 500 + 10);
}

/* Shards of 1 MiB each go round: three messages, nothing is reduced. */
static void all_gather_on_a_ring(void **state)
{
    (void)state;
    df_net_case c = all_ranks(DF_NET_RING, 4, DF_NET_ALG_RING, DF_NET_ALL_GATHER, MIB);
    check_equal(&c, 10 + 3 * (TRAVEL + 10));
}

/* Three messages of 256 KiB; all that are received are reduced. */
static void reduce_scatter_on_a_ring(void **state)
{
    (void)state;
    enum { MESSAGE = 2941, REDUCE = 3 * 163 };
    df_net_case c = all_ranks(DF_NET_RING, 4, DF_NET_ALG_RING, DF_NET_REDUCE_SCATTER, MIB);
    check_equal(&c, 10 + 3 * (MESSAGE + 10 + REDUCE));
}

/* Each rank sends 256 KiB to each of the others at once, each over its own link. */
static void direct_all_to_all(void **state)
{
    (void)state;
    enum { MESSAGE = 2941 };
    df_net_case c = all_ranks(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_DIRECT, DF_NET_ALL_TO_ALL, MIB);
    check_equal(&c, 10 + MESSAGE + 10);
}

/* With a window of 1 the three messages of a direct all-to-all follow each other. */
static void window_bounds_direct(void **state)
{
    (void)state;
    enum { MESSAGE = 2941 };
    df_net_case c = all_ranks(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_DIRECT, DF_NET_ALL_TO_ALL, MIB);
    c.system.algorithm[DF_NET_ALL_TO_ALL].window = 1;
    check_equal(&c, 10 + 3 * (MESSAGE + 10));
}

/* Chunks that are under way together share the links: of two of 128 KiB (busy 1220, travel
 * 1720) one is always ready to go on when the other's message leaves the link. So the six
 * messages of a rank enter its link 1220 ns after each other. */
static void chunks_overlap(void **state)
{
    (void)state;
    enum { BUSY_EIGHTH = 1220, TRAVEL_EIGHTH = 1720 };
    df_net_case c = all_ranks(DF_NET_RING, 4, DF_NET_ALG_RING, DF_NET_ALL_GATHER, MIB / 4);
    c.system.splits = 2;
    c.system.active_chunks = 2;
    check_equal(&c, 10 + 5 * BUSY_EIGHTH + TRAVEL_EIGHTH + 10);
}

/* ---- Groups ---- */

/* Ranks 0 and 1 reduce 1 MiB: two messages of 512 KiB (5382 ns), one is reduced (3 * 327 ns).
 * A smaller group's delay is 10 ns, whatever the system's. */
static void smaller_group_has_its_own_delay(void **state)
{
    (void)state;
    enum { MESSAGE = 5382, REDUCE = 3 * 327 };
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_RING);
    const df_net_node node = {.type = DF_NET_COMM, .bytes = MIB, .group = 7};
    c.system.endpoint_delay_ns = 1000;
    df_net_case_add_group(&c, 7, (int32_t[]){0, 1}, 2);
    df_net_case_add(&c, 0, &node);
    df_net_case_add(&c, 1, &node);
    df_net_case_compute(&c, 2, 0, NO_DEP, 1);
    df_net_case_compute(&c, 3, 0, NO_DEP, 1);
    const uint64_t end = 10 + MESSAGE + 10 + REDUCE + MESSAGE + 10;
    check(&c, (uint64_t[]){end, end, 1, 1});
}

/* A group of all ranks goes in the order of ranks, so neighbours exchange. */
static void group_of_all_ignores_its_order(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_RING, 4, DF_NET_ALG_RING);
    const df_net_node node = {.type = DF_NET_COMM, .bytes = MIB, .group = 3};
    df_net_case_add_group(&c, 3, (int32_t[]){0, 2, 1, 3}, 4);
    for (int32_t rank = 0; rank < 4; rank++) {
        df_net_case_add(&c, rank, &node);
    }
    check_equal(&c, 10 + 6 * 2941 + 3 * (10 + 3 * 163) + 3 * 10);
}

/* A smaller group goes in the order of its list: 0 -> 2 (over 1), 2 -> 1, 1 -> 0, four messages
 * each. In the order of ranks 2 would send to 0 over 3. */
static void smaller_group_keeps_its_order(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_RING, 4, DF_NET_ALG_RING);
    const df_net_node node = {.type = DF_NET_COMM, .bytes = 3000, .group = 3};
    df_net_case_add_group(&c, 3, (int32_t[]){0, 2, 1}, 3);
    for (int32_t rank = 0; rank < 3; rank++) {
        df_net_case_add(&c, rank, &node);
    }
    df_net_case_compute(&c, 3, 0, NO_DEP, 1);
    df_net_sim *const sim = df_net_sim_new();
    (void)df_net_case_run(&c, sim);
    assert_int_equal(use_of(sim, 0, 1).bytes, 4000);
    assert_int_equal(use_of(sim, 1, 2).bytes, 4000);
    assert_int_equal(use_of(sim, 2, 1).bytes, 4000);
    assert_int_equal(use_of(sim, 1, 0).bytes, 4000);
    assert_int_equal(use_of(sim, 2, 3).messages, 0);
    assert_int_equal(use_of(sim, 3, 0).messages, 0);
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_takes_latency_and_size),
        cmocka_unit_test(sends_of_a_rank_follow_each_other),
        cmocka_unit_test(receives_wait_beside_each_other),
        cmocka_unit_test(message_waits_for_its_receive),
        cmocka_unit_test(equal_messages_match_in_order),
        cmocka_unit_test(sizes_tell_messages_apart),
        cmocka_unit_test(tags_wrap),
        cmocka_unit_test(switch_takes_two_hops),
        cmocka_unit_test(switch_carries_to_oneself),
        cmocka_unit_test(ring_goes_the_shorter_way),
        cmocka_unit_test(link_carries_one_message_at_a_time),
        cmocka_unit_test(work_of_a_tick_shares_an_event),
        cmocka_unit_test(computing_of_nothing_takes_one_ns),
        cmocka_unit_test(lowest_id_goes_first),
        cmocka_unit_test(cpu_runs_beside_gpu),
        cmocka_unit_test(mark_holds_its_children),
        cmocka_unit_test(mark_takes_the_unit_it_is_on),
        cmocka_unit_test(broadcast_is_a_delay),
        cmocka_unit_test(replayed_nodes_are_delays),
        cmocka_unit_test(modelled_computing_may_take_no_time),
        cmocka_unit_test(repeated_id_replaces),
        cmocka_unit_test(all_reduce_on_a_ring),
        cmocka_unit_test(direct_all_reduce_over_a_switch),
        cmocka_unit_test(halving_doubling_all_reduce),
        cmocka_unit_test(double_binary_tree_all_reduce),
        cmocka_unit_test(rest_is_a_whole_chunk),
        cmocka_unit_test(all_reduce_of_nothing_sends_bytes),
        cmocka_unit_test(all_gather_on_a_ring),
        cmocka_unit_test(reduce_scatter_on_a_ring),
        cmocka_unit_test(direct_all_to_all),
        cmocka_unit_test(window_bounds_direct),
        cmocka_unit_test(chunks_overlap),
        cmocka_unit_test(smaller_group_has_its_own_delay),
        cmocka_unit_test(group_of_all_ignores_its_order),
        cmocka_unit_test(smaller_group_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
