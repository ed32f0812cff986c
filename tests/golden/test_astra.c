/* Recorded programs: golden/astra.txt has them and their format. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/net_case.h"

enum { RANKS_MAX = 64, DEPS_MAX = 64 };

typedef struct {
    char name[128];
    df_net_case c;
    int32_t ranks[RANKS_MAX]; /* to which nodes are added */
    int32_t num_ranks;
    uint64_t cycles_ns[RANKS_MAX], exposed_ns[RANKS_MAX];
    int32_t order[RANKS_MAX];
} recorded;

/* The next word of a line; the test fails when there is none. */
static const char *word(char **rest)
{
    const char *const found = strtok_r(NULL, " \n", rest);
    assert_non_null(found);
    return found;
}

static uint64_t number(char **rest)
{
    return strtoull(word(rest), NULL, 10);
}

static int32_t small_number(const char *text)
{
    return (int32_t)strtol(text, NULL, 10);
}

/* ---- Machine ---- */

static void read_network(recorded *r, char **rest)
{
    static const df_net_topology all[] = {DF_NET_RING, DF_NET_FULLY_CONNECTED, DF_NET_SWITCH};
    const char *const topology = word(rest);
    for (int i = 0; i < 3; i++) {
        if (strcmp(topology, df_net_topology_name(all[i])) == 0) {
            r->c.network.topology = all[i];
        }
    }
    r->c.network.ranks = (int32_t)number(rest);
    r->c.network.bandwidth_gib_ps = strtod(word(rest), NULL);
    r->c.network.latency_ns = strtod(word(rest), NULL);
    assert_in_range(r->c.network.ranks, 2, RANKS_MAX);
}

static df_net_algorithm algorithm_of(const char *name)
{
    static const df_net_algorithm_kind all[] = {DF_NET_ALG_RING, DF_NET_ALG_HALVING_DOUBLING,
                                                DF_NET_ALG_BINARY_TREE};
    if (strncmp(name, "direct", 6) == 0) {
        return (df_net_algorithm){DF_NET_ALG_DIRECT, small_number(name + 6)};
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, df_net_algorithm_name(all[i])) == 0) {
            return (df_net_algorithm){all[i], 0};
        }
    }
    fail_msg("no algorithm: %s", name);
    return (df_net_algorithm){DF_NET_ALG_NONE, 0};
}

static void read_system(recorded *r, char **rest)
{
    df_net_system *const system = &r->c.system;
    system->endpoint_delay_ns = (int64_t)number(rest);
    system->splits = (int32_t)number(rest);
    system->active_chunks = (int32_t)number(rest);
    system->local_mem_gb_ps = strtod(word(rest), NULL);
    system->algorithm[DF_NET_ALL_REDUCE] = algorithm_of(word(rest));
    system->algorithm[DF_NET_ALL_GATHER] = algorithm_of(word(rest));
    system->algorithm[DF_NET_REDUCE_SCATTER] = algorithm_of(word(rest));
    system->algorithm[DF_NET_ALL_TO_ALL] = algorithm_of(word(rest));
}

/* "0-3 7" */
static int32_t read_ranks(char **rest, int32_t ranks[RANKS_MAX])
{
    int32_t count = 0;
    for (const char *w = strtok_r(NULL, " \n", rest); w; w = strtok_r(NULL, " \n", rest)) {
        const char *const dash = strchr(w, '-');
        const int32_t last = small_number(dash ? dash + 1 : w);
        for (int32_t rank = small_number(w); rank <= last; rank++) {
            assert_in_range(count, 0, RANKS_MAX - 1);
            ranks[count++] = rank;
        }
    }
    return count;
}

static void read_group(recorded *r, char **rest)
{
    int32_t ranks[RANKS_MAX];
    const int32_t id = (int32_t)number(rest);
    const int32_t count = read_ranks(rest, ranks);
    df_net_case_add_group(&r->c, id, ranks, count);
}

/* ---- Nodes ---- */

static void read_kind(df_net_node *node, const char *kind, char **rest)
{
    if (strcmp(kind, "compute") == 0) {
        node->type = DF_NET_COMPUTE;
        node->duration_ns = 1000 * number(rest);
        return;
    }
    node->bytes = number(rest);
    if (strcmp(kind, "send") == 0 || strcmp(kind, "receive") == 0) {
        node->type = kind[0] == 's' ? DF_NET_SEND : DF_NET_RECEIVE;
        node->peer = (int32_t)number(rest);
        node->tag = (uint32_t)number(rest);
        return;
    }
    node->type = DF_NET_COMM;
    node->group = (int32_t)number(rest);
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        if (strcmp(kind, df_net_collective_name((df_net_collective)i)) == 0) {
            node->collective = (df_net_collective)i;
            return;
        }
    }
    fail_msg("no node: %s", kind);
}

static void read_node(recorded *r, const char *id, char **rest)
{
    uint64_t deps[DEPS_MAX];
    df_net_node node = {.id = strtoull(id, NULL, 10), .deps = deps};
    read_kind(&node, word(rest), rest);
    const char *w = strtok_r(NULL, " \n", rest);
    if (w && strcmp(w, "cpu") == 0) {
        node.on_cpu = true;
        w = strtok_r(NULL, " \n", rest);
    }
    while (w && (w = strtok_r(NULL, " \n", rest))) { /* behind "after" */
        assert_in_range(node.num_deps, 0, DEPS_MAX - 1);
        deps[node.num_deps++] = strtoull(w, NULL, 10);
    }
    for (int32_t i = 0; i < r->num_ranks; i++) {
        df_net_case_add(&r->c, r->ranks[i], &node);
    }
}

/* ---- What is expected ---- */

/* "5*3 7" */
static void read_times(const recorded *r, char **rest, uint64_t times_ns[RANKS_MAX])
{
    int32_t count = 0;
    for (const char *w = strtok_r(NULL, " \n", rest); w; w = strtok_r(NULL, " \n", rest)) {
        const char *const star = strchr(w, '*');
        for (int i = star ? small_number(star + 1) : 1; i > 0; i--) {
            assert_in_range(count, 0, RANKS_MAX - 1);
            times_ns[count++] = strtoull(w, NULL, 10);
        }
    }
    assert_int_equal(count, r->c.network.ranks);
}

static void read_expected(recorded *r, char **rest)
{
    const char *const what = word(rest);
    if (strcmp(what, "cycles") == 0) {
        read_times(r, rest, r->cycles_ns);
    } else if (strcmp(what, "exposed") == 0) {
        read_times(r, rest, r->exposed_ns);
    } else {
        assert_string_equal(what, "order");
        assert_int_equal(read_ranks(rest, r->order), r->c.network.ranks);
    }
}

static void read_line(recorded *r, char *line)
{
    char *rest;
    const char *const first = strtok_r(line, " \n", &rest);
    if (strcmp(first, "network") == 0) {
        read_network(r, &rest);
    } else if (strcmp(first, "system") == 0) {
        read_system(r, &rest);
    } else if (strcmp(first, "group") == 0) {
        read_group(r, &rest);
    } else if (strcmp(first, "ranks") == 0) {
        r->num_ranks = read_ranks(&rest, r->ranks);
    } else if (strcmp(first, ">") == 0) {
        read_expected(r, &rest);
    } else {
        read_node(r, first, &rest);
    }
}

/* Whether the simulator comes to the same, all ranks and their order. */
static bool agrees(const recorded *r, df_net_sim *sim)
{
    const df_net_result result = df_net_case_run(&r->c, sim);
    bool same = true;
    for (int32_t i = 0; i < result.ranks; i++) {
        if (result.cycles_ns[i] != r->cycles_ns[i] || result.exposed_ns[i] != r->exposed_ns[i] ||
            result.finish_order[i] != r->order[i]) {
            print_error("%s: rank %d: expected %" PRIu64 " (%" PRIu64 " exposed), found %" PRIu64
                        " (%" PRIu64 "); rank %d ends as number %d\n",
                        r->name, (int)i, r->cycles_ns[i], r->exposed_ns[i], result.cycles_ns[i],
                        result.exposed_ns[i], (int)result.finish_order[i], (int)i);
            same = false;
        }
    }
    return same;
}

/* The order of the ranks ends a case. */
static void recorded_programs_take_as_long(void **state)
{
    static recorded r; /* large */
    char line[4096];
    int cases = 0;
    int failed = 0;
    (void)state;
    df_net_sim *const sim = df_net_sim_new();
    FILE *const file = fopen(DF_TEST_DATA "/golden/astra.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_non_null(strchr(line, '\n'));
        if (sscanf(line, "@case %127s", r.name) == 1) {
            r.c = df_net_case_new(DF_NET_RING, 2, DF_NET_ALG_RING);
            continue;
        }
        const bool last = strncmp(line, "> order", 7) == 0;
        if (line[0] != '#' && line[0] != '\n') {
            read_line(&r, line);
        }
        if (last) {
            cases++;
            failed += !agrees(&r, sim);
            df_net_case_free(&r.c);
        }
    }
    fclose(file);
    assert_int_equal(cases, 62);
    assert_int_equal(failed, 0);
    df_net_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(recorded_programs_take_as_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
