/* What the network simulator refuses, and what it says when a run cannot finish. */
#include <math.h>
#include <string.h>

#include "support/net_case.h"

enum { MIB = DF_NET_CASE_BYTES };

/* The case must fail so, with these words in its text, and leave nothing behind. */
static void refuse(df_net_case *c, df_status status, const char *const *words)
{
    df_err err;
    assert_int_equal(df_net_case_refused(c, &err), status);
    for (int i = 0; words[i]; i++) {
        if (!strstr(err.text, words[i])) {
            fail_msg("expected \"%s\" in: %s", words[i], err.text);
        }
    }
    df_net_case_free(c);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Ranks that compute a little. */
static df_net_case idle(df_net_topology topology, int32_t ranks)
{
    df_net_case c = df_net_case_new(topology, ranks, DF_NET_ALG_RING);
    for (int32_t rank = 0; rank < ranks; rank++) {
        df_net_case_compute(&c, rank, 100, NO_DEP, 10);
    }
    return c;
}

/* ---- Runs that cannot finish ---- */

static void receive_without_send(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 2);
    df_net_case_receive(&c, 1, 5, NO_DEP, 0);
    df_net_case_compute(&c, 1, 6, 5, 1);
    df_net_case_compute(&c, 1, 7, 6, 1);
    refuse(&c, DF_ESTUCK,
           WORDS("1 of 2 ranks are stuck at 10 ns",
                 "rank 1: node 5 waits for 1048576 bytes from rank 0 with tag 0", "and 2 more"));
}

/* The sizes differ, so the message is not what the receive waits for. */
static void receive_of_another_size(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 2);
    const df_net_node receive = {.id = 5, .type = DF_NET_RECEIVE, .bytes = 99, .tag = 3};
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_add(&c, 1, &receive);
    refuse(&c, DF_ESTUCK, WORDS("rank 1: node 5 waits for 99 bytes from rank 0 with tag 3"));
}

/* Each rank sends only when it has received. */
static void ranks_that_wait_for_each_other(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    for (int32_t rank = 0; rank < 2; rank++) {
        df_net_case_receive(&c, rank, 1, NO_DEP, 1 - rank);
        df_net_case_send(&c, rank, 2, 1, 1 - rank);
    }
    refuse(&c, DF_ESTUCK,
           WORDS("2 of 2 ranks are stuck at 0 ns", "rank 0: node 1 waits for 1048576 bytes",
                 "from rank 1", "rank 1: node 1 waits for", "from rank 0", "(and 1 more)"));
}

static void collective_without_a_member(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 4);
    const df_net_node node = {.id = 8, .type = DF_NET_COMM, .bytes = MIB, .group = 12};
    df_net_case_add_group(&c, 12, (int32_t[]){0, 2, 3}, 3);
    df_net_case_add(&c, 0, &node);
    df_net_case_add(&c, 3, &node);
    refuse(&c, DF_ESTUCK,
           WORDS("2 of 4 ranks are stuck",
                 "rank 0: node 8 waits for the other ranks in its "
                 "all-reduce of 1048576 bytes in group 12",
                 "rank 3: node 8"));
}

/* Ranks number their chunks, also those of groups, and chunks of all ranks meet by number. So
 * after a group's collective, which rank 2 has no part in, they miss each other. */
static void collective_of_all_behind_one_of_a_group(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 3, DF_NET_ALG_RING);
    const df_net_node node = {.id = 0, .type = DF_NET_COMM, .bytes = MIB, .group = 1};
    df_net_case_add_group(&c, 1, (int32_t[]){0, 1}, 2);
    df_net_case_add(&c, 0, &node);
    df_net_case_add(&c, 1, &node);
    for (int32_t rank = 0; rank < 3; rank++) {
        df_net_case_collective(&c, rank, 1, DF_NET_ALL_REDUCE, MIB);
    }
    refuse(&c, DF_ESTUCK, WORDS("3 of 3 ranks are stuck", "rank 2: node 1 waits"));
}

static void many_stuck_ranks_are_counted(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 8);
    for (int32_t rank = 1; rank < 8; rank++) {
        df_net_case_receive(&c, rank, 0, NO_DEP, 0);
    }
    refuse(&c, DF_ESTUCK,
           WORDS("7 of 8 ranks are stuck", "rank 1:", "rank 4:", "and 3 more ranks"));
}

/* Nothing ends after the mark, so what is behind it is never started. */
static void mark_alone_starts_nothing(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    const df_net_node mark = {.id = 0, .type = DF_NET_MARK};
    df_net_case_add(&c, 0, &mark);
    df_net_case_compute(&c, 0, 1, 0, 10);
    df_net_case_compute(&c, 1, 0, NO_DEP, 10);
    refuse(&c, DF_ESTUCK, WORDS("1 of 2 ranks", "rank 0: 1 nodes have not ended"));
}

/* ---- Programs ---- */

/* Too many ranks are not a lack of memory. */
static void ranks_have_a_bound(void **state)
{
    (void)state;
    static const int32_t refused[] = {-1, 0, 32769, INT32_MAX};
    df_net_program *program = NULL;
    df_err err;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char words[96];
        snprintf(words, sizeof words,
                 "expected 1 to 32768 devices for the network simulator, found %d",
                 (int)refused[i]);
        assert_int_equal(df_net_program_new(refused[i], &program, &err), DF_EINVAL);
        assert_string_equal(err.text, words);
    }
    assert_int_equal(df_net_program_new(32768, &program, &err), DF_OK);
    df_net_program_free(program);
}

static void rank_without_nodes(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 3, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 1);
    df_net_case_compute(&c, 2, 0, NO_DEP, 1);
    refuse(&c, DF_EINVAL, WORDS("rank 1: expected at least one node"));
}

static void dependencies_in_a_cycle(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 2);
    df_net_case_compute(&c, 1, 3, 5, 1);
    df_net_case_compute(&c, 1, 4, 3, 1);
    df_net_case_compute(&c, 1, 5, 4, 1);
    refuse(&c, DF_EINVAL, WORDS("rank 1: node 3:", "cycle"));

    c = idle(DF_NET_FULLY_CONNECTED, 2);
    df_net_case_compute(&c, 0, 3, 3, 1);
    refuse(&c, DF_EINVAL, WORDS("rank 0: node 3:", "cycle"));
}

static void dependency_that_is_not_there(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 2);
    df_net_case_compute(&c, 1, 3, 77, 1);
    refuse(&c, DF_EINVAL, WORDS("rank 1: node 3:", "found no node 77"));
}

static void refuse_node(const df_net_node *node, const char *words)
{
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 2);
    df_net_case_add(&c, 1, node);
    refuse(&c, DF_EINVAL, WORDS("rank 1: node 3:", words));
}

static void nodes_out_of_bounds(void **state)
{
    (void)state;
    const uint64_t huge = UINT64_C(1) << 62;
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_SEND, .bytes = 1, .peer = 2},
                "expected a peer from 0 to 1, found 2");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_RECEIVE, .bytes = 1, .peer = -1},
                "found -1");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_SEND, .bytes = 0, .peer = 0},
                "at least 1 byte");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_SEND, .bytes = 1, .peer = 1},
                "expected a peer other");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_COMPUTE, .duration_ns = huge}, "2^62");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_COMM, .bytes = huge}, "2^62");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_COMM, .bytes = 1, .group = -4}, "-4");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_COMM, .bytes = 1, .group = 4},
                "group 4: expected an existing group");
    refuse_node(&(df_net_node){.id = 3, .type = DF_NET_COMM, .bytes = 1, .on_cpu = true}, "CPU");
}

static void refuse_group(int32_t id, const int32_t *ranks, int32_t count, const char *words)
{
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 4);
    df_net_case_add_group(&c, 2, (int32_t[]){0, 1}, 2);
    df_net_case_add_group(&c, id, ranks, count);
    refuse(&c, DF_EINVAL, WORDS(words));
}

static void groups_out_of_bounds(void **state)
{
    (void)state;
    refuse_group(0, (int32_t[]){0, 1}, 2, "group 0: expected an id > 0");
    refuse_group(-1, (int32_t[]){0, 1}, 2, "group -1: expected an id > 0");
    refuse_group(3, (int32_t[]){0, 1}, 0, "group 3: expected");
    refuse_group(3, (int32_t[]){0, 4}, 2, "group 3: expected ranks from 0 to 3, found 4");
    refuse_group(3, (int32_t[]){0, -1}, 2, "found -1");
    refuse_group(3, (int32_t[]){2, 0, 2}, 3, "group 3: expected each rank once, found 2 twice");
    refuse_group(2, (int32_t[]){2, 3}, 2, "group 2: expected once");
}

static void group_of_others(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 4);
    const df_net_node node = {.id = 8, .type = DF_NET_COMM, .bytes = MIB, .group = 2};
    df_net_case_add_group(&c, 2, (int32_t[]){0, 1}, 2);
    df_net_case_add(&c, 3, &node);
    refuse(&c, DF_EINVAL, WORDS("rank 3: node 8: group 2: expected the rank to be a member"));
}

static void program_is_sealed_once(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 2);
    df_net_program *const program = df_net_case_program(&c);
    df_err err;
    assert_int_equal(df_net_program_seal(program, &err), DF_OK);
    assert_int_equal(df_net_program_add(program, 0, &c.nodes[0].node, &err), DF_EINVAL);
    assert_int_equal(df_net_program_add_group(program, 1, (int32_t[]){0}, 1, &err), DF_EINVAL);
    df_net_program_free(program);
    df_net_case_free(&c);
}

static void number_of_ranks_is_bounded(void **state)
{
    (void)state;
    df_net_program *program = NULL;
    df_err err;
    assert_int_equal(df_net_program_new(0, &program, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "expected 1 to 32768 devices"));
    assert_int_equal(df_net_program_new(DF_NET_RANKS_MAX + 1, &program, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "found 32769"));
    assert_null(program);
}

static void program_must_fit_the_network(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_FULLY_CONNECTED, 3);
    df_net_program *const program = df_net_case_program(&c);
    df_net_sim *const sim = df_net_sim_new();
    df_net_result result;
    df_err err;
    c.network.ranks = 4;
    assert_int_equal(df_net_run(sim, program, &c.network, &c.system, &result, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "4 ranks, found 3"));
    df_net_program_free(program);
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

/* ---- Machines ---- */

static void networks_out_of_bounds(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_RING, 2);
    refuse(&c, DF_EINVAL, WORDS("at least 3 ranks on a Ring, found 2"));
    c = idle(DF_NET_SWITCH, 1);
    refuse(&c, DF_EINVAL, WORDS("at least 2 ranks on a Switch, found 1"));
    const double bandwidths[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        c = idle(DF_NET_SWITCH, 2);
        c.network.bandwidth_gib_ps = bandwidths[i];
        refuse(&c, DF_EINVAL, WORDS("bandwidth > 0"));
    }
    const double latencies[] = {-1, NAN, INFINITY};
    for (int i = 0; i < 3; i++) {
        c = idle(DF_NET_SWITCH, 2);
        c.network.latency_ns = latencies[i];
        refuse(&c, DF_EINVAL, WORDS("latency >= 0"));
    }
}

static void systems_out_of_bounds(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_SWITCH, 2);
    c.system.splits = 0;
    refuse(&c, DF_EINVAL, WORDS("splits"));
    c = idle(DF_NET_SWITCH, 2);
    c.system.active_chunks = 0;
    refuse(&c, DF_EINVAL, WORDS("active chunks"));
    c = idle(DF_NET_SWITCH, 2);
    c.system.endpoint_delay_ns = -1;
    refuse(&c, DF_EINVAL, WORDS("endpoint delay"));
    c = idle(DF_NET_SWITCH, 2);
    c.system.local_mem_gb_ps = NAN;
    refuse(&c, DF_EINVAL, WORDS("memory bandwidth"));
}

/* A collective of all of so many ranks. */
static void refuse_collective(int32_t ranks,
                              df_net_algorithm_kind algorithm,
                              df_net_collective kind,
                              uint64_t bytes,
                              const char *words)
{
    df_net_case c = df_net_case_new(DF_NET_SWITCH, ranks, algorithm);
    c.system.splits = 4;
    for (int32_t rank = 0; rank < ranks; rank++) {
        df_net_case_collective(&c, rank, 0, kind, bytes);
    }
    refuse(&c, DF_EINVAL, WORDS(words));
}

static void collectives_that_are_not_possible(void **state)
{
    (void)state;
    refuse_collective(4, DF_NET_ALG_NONE, DF_NET_ALL_REDUCE, MIB,
                      "rank 0: node 0: all-reduce: expected an algorithm");
    refuse_collective(6, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALL_REDUCE, MIB, "power of two");
    refuse_collective(6, DF_NET_ALG_BINARY_TREE, DF_NET_ALL_REDUCE, MIB, "power of two");
    refuse_collective(4, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALL_TO_ALL, MIB, "all-to-all");
    refuse_collective(4, DF_NET_ALG_RING, DF_NET_ALL_GATHER, 3, "at least 4 bytes");
    refuse_collective(4, DF_NET_ALG_RING, DF_NET_ALL_GATHER, UINT64_C(1) << 62, "below 2^62");
    refuse_collective(8, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALL_GATHER, UINT64_C(1) << 61,
                      "fewer than 2^62 bytes in total");
    /* 8 bytes of 8 ranks go out as 4, 2 and 1; the way back starts with twice half of 1: 0. */
    refuse_collective(8, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALL_REDUCE, 4, "at least 1 byte");
}

static void collectives_of_groups_that_are_not_possible(void **state)
{
    (void)state;
    df_net_case c = idle(DF_NET_SWITCH, 4);
    const df_net_node node = {.id = 8, .type = DF_NET_COMM, .bytes = MIB, .group = 2};
    df_net_case_add_group(&c, 2, (int32_t[]){1}, 1);
    df_net_case_add(&c, 1, &node);
    refuse(&c, DF_EINVAL, WORDS("rank 1: node 8: group 2: expected at least 2 ranks"));

    c = idle(DF_NET_SWITCH, 4);
    c.system.algorithm[DF_NET_ALL_REDUCE].kind = DF_NET_ALG_BINARY_TREE;
    df_net_case_add_group(&c, 2, (int32_t[]){1, 3}, 2);
    df_net_case_add(&c, 1, &node);
    df_net_case_add(&c, 3, &node);
    refuse(&c, DF_EINVAL, WORDS("rank 1: node 8:", "found a group of 2"));
}

/* ---- Bounds of a run ---- */

static void times_stay_below_2_to_the_62(void **state)
{
    (void)state;
    const uint64_t long_ns = (UINT64_C(1) << 62) - 1;
    df_net_case c = idle(DF_NET_SWITCH, 2);
    df_net_case_compute(&c, 0, 1, NO_DEP, long_ns);
    df_net_case_compute(&c, 0, 2, 1, long_ns);
    refuse(&c, DF_EINVAL, WORDS("2^62 ns"));

    c = idle(DF_NET_FULLY_CONNECTED, 2);
    c.network.bandwidth_gib_ps = 1e-300;
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    refuse(&c, DF_EINVAL, WORDS("rank 0: a message of 1.04858e+06 bytes", "2^62 ns"));

    c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    c.system.local_mem_gb_ps = 1e-300;
    df_net_case_collective(&c, 0, 0, DF_NET_REDUCE_SCATTER, MIB);
    df_net_case_collective(&c, 1, 0, DF_NET_REDUCE_SCATTER, MIB);
    refuse(&c, DF_EINVAL, WORDS("2^62 ns"));
}

/* A few lines can ask for 2^31 chunks at once. */
static void memory_is_bounded(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 4, DF_NET_ALG_DIRECT);
    c.system.splits = c.system.active_chunks = INT32_MAX;
    for (int32_t rank = 0; rank < 4; rank++) {
        df_net_case_collective(&c, rank, 0, DF_NET_ALL_TO_ALL, UINT64_C(1) << 61);
    }
    df_net_program *const program = df_net_case_program(&c);
    df_net_sim *const sim = df_net_sim_new();
    df_net_result result;
    df_err err;
    df_net_sim_limit(sim, 1 << 24, UINT64_MAX);
    assert_int_equal(df_net_run(sim, program, &c.network, &c.system, &result, &err), DF_ENOMEM);
    assert_non_null(strstr(err.text, "at most 16777216"));
    /* The same one after the other is no matter of memory. */
    c.system.splits = 1000;
    c.system.active_chunks = 2;
    assert_int_equal(df_net_run(sim, program, &c.network, &c.system, &result, &err), DF_OK);
    df_net_program_free(program);
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

/* A message is an event when it arrives and one when its link is free. */
static void events_are_bounded(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_send(&c, 0, 0, NO_DEP, 1);
    df_net_case_receive(&c, 1, 0, NO_DEP, 0);
    df_net_program *const program = df_net_case_program(&c);
    df_net_sim *const sim = df_net_sim_new();
    df_net_result result;
    df_err err;
    df_net_sim_limit(sim, 1 << 24, 2);
    assert_int_equal(df_net_run(sim, program, &c.network, &c.system, &result, &err), DF_OK);
    assert_int_equal(result.events, 2);
    df_net_sim_limit(sim, 1 << 24, 1);
    assert_int_equal(df_net_run(sim, program, &c.network, &c.system, &result, &err), DF_ERUNTIME);
    assert_non_null(strstr(err.text, "more than 1 events"));
    df_net_program_free(program);
    df_net_sim_free(sim);
    df_net_case_free(&c);
}

/* Failures of all kinds leave the simulator as good as new. */
static void simulator_is_good_after_failures(void **state)
{
    (void)state;
    df_net_case good = df_net_case_new(DF_NET_RING, 4, DF_NET_ALG_RING);
    df_net_case stuck = df_net_case_new(DF_NET_FULLY_CONNECTED, 8, DF_NET_ALG_DIRECT);
    df_net_sim *const sim = df_net_sim_new();
    df_net_result result;
    df_err err;
    for (int32_t rank = 0; rank < 4; rank++) {
        df_net_case_collective(&good, rank, 0, DF_NET_ALL_REDUCE, MIB);
    }
    for (int32_t rank = 0; rank < 8; rank++) {
        df_net_case_collective(&stuck, rank, 0, DF_NET_ALL_TO_ALL, MIB);
        df_net_case_receive(&stuck, rank, 1, NO_DEP, (rank + 1) % 8);
    }
    df_net_program *const program = df_net_case_program(&stuck);
    for (int i = 0; i < 3; i++) {
        stuck.network.bandwidth_gib_ps = i == 1 ? 1e-300 : 100;
        assert_int_not_equal(df_net_run(sim, program, &stuck.network, &stuck.system, &result, &err),
                             DF_OK);
        assert_int_equal(df_net_case_run(&good, sim).max_ns, 19183); /* as in test_net.c */
    }
    df_net_program_free(program);
    df_net_sim_free(sim);
    df_net_case_free(&good);
    df_net_case_free(&stuck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receive_without_send),
        cmocka_unit_test(receive_of_another_size),
        cmocka_unit_test(ranks_that_wait_for_each_other),
        cmocka_unit_test(collective_without_a_member),
        cmocka_unit_test(collective_of_all_behind_one_of_a_group),
        cmocka_unit_test(many_stuck_ranks_are_counted),
        cmocka_unit_test(mark_alone_starts_nothing),
        cmocka_unit_test(ranks_have_a_bound),
        cmocka_unit_test(rank_without_nodes),
        cmocka_unit_test(dependencies_in_a_cycle),
        cmocka_unit_test(dependency_that_is_not_there),
        cmocka_unit_test(nodes_out_of_bounds),
        cmocka_unit_test(groups_out_of_bounds),
        cmocka_unit_test(group_of_others),
        cmocka_unit_test(program_is_sealed_once),
        cmocka_unit_test(number_of_ranks_is_bounded),
        cmocka_unit_test(program_must_fit_the_network),
        cmocka_unit_test(networks_out_of_bounds),
        cmocka_unit_test(systems_out_of_bounds),
        cmocka_unit_test(collectives_that_are_not_possible),
        cmocka_unit_test(collectives_of_groups_that_are_not_possible),
        cmocka_unit_test(times_stay_below_2_to_the_62),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(events_are_bounded),
        cmocka_unit_test(simulator_is_good_after_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
