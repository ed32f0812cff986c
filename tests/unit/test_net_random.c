/* Random programs: what must hold whatever they are, and AstraSim's own answer.
 *
 * DEEPFLOW_TEST_ASTRASIM names AstraSim's program (analytical network, congestion aware);
 * without it that test is skipped. DEEPFLOW_TEST_PROGRAMS: how many programs to try.
 * DEEPFLOW_TEST_SEED: which ones. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/net_random.h"

enum { RANKS_MAX = 16, NODES_MAX = 1024 };

static uint32_t setting(const char *name, uint32_t otherwise)
{
    const char *const text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static df_random seed_of(uint32_t program)
{
    return (df_random){setting("DEEPFLOW_TEST_SEED", 1) * UINT64_C(1000003) + program};
}

/* ---- What must hold ---- */

typedef struct {
    const df_net_case *c;
    uint64_t last_ns;
    uint64_t free_ns[RANKS_MAX + 1][RANKS_MAX + 1]; /* of the link from a device to another */
    uint64_t link_bytes[RANKS_MAX + 1][RANKS_MAX + 1];
    uint64_t sent[RANKS_MAX][RANKS_MAX], received[RANKS_MAX][RANKS_MAX]; /* bytes, by ranks */
    uint64_t unit_free_ns[RANKS_MAX][3];
    uint64_t gpu_ns[RANKS_MAX], end_ns[RANKS_MAX];
    df_net_span spans[NODES_MAX];
    size_t num_spans;
} witness;

/* One message after the other on a link; time goes on. */
static void see_transfer(void *context, const df_net_transfer *t)
{
    witness *const w = context;
    assert_true(t->start_ns >= w->last_ns);
    w->last_ns = t->start_ns;
    assert_true(t->start_ns >= w->free_ns[t->from][t->to]);
    assert_true(t->start_ns <= t->free_ns && t->free_ns <= t->arrival_ns);
    w->free_ns[t->from][t->to] = t->free_ns;
    w->link_bytes[t->from][t->to] += t->bytes;
    if (t->from == t->src) {
        w->sent[t->src][t->dst] += t->bytes;
    }
    if (t->to == t->dst) {
        w->received[t->src][t->dst] += t->bytes;
    }
}

/* One node after the other on a unit. */
static void see_node(void *context, const df_net_span *span)
{
    witness *const w = context;
    const df_net_node *const node = &span->node;
    assert_true(span->end_ns >= w->last_ns && span->start_ns <= span->end_ns);
    w->last_ns = span->end_ns;
    if (node->type != DF_NET_RECEIVE) {
        const int unit = node->type != DF_NET_COMPUTE ? 0 : node->on_cpu ? 1 : 2;
        assert_true(span->start_ns >= w->unit_free_ns[span->rank][unit]);
        w->unit_free_ns[span->rank][unit] = span->end_ns;
    }
    if (node->type == DF_NET_COMPUTE) {
        const uint64_t lasts_ns = node->duration_ns > 0 ? node->duration_ns : 1;
        assert_int_equal(span->end_ns - span->start_ns, lasts_ns);
        w->gpu_ns[span->rank] += node->on_cpu ? 0 : lasts_ns;
    }
    w->end_ns[span->rank] = span->end_ns;
    assert_true(w->num_spans < NODES_MAX);
    w->spans[w->num_spans++] = *span;
}

static const df_net_span *span_of(const witness *w, int32_t rank, uint64_t id)
{
    const df_net_span *found = NULL;
    for (size_t i = 0; i < w->num_spans; i++) {
        if (w->spans[i].rank == rank && w->spans[i].node.id == id) {
            assert_null(found); /* told once */
            found = &w->spans[i];
        }
    }
    assert_non_null(found);
    return found;
}

/* Every node has run once, after all that it depends on. */
static void check_nodes(const witness *w)
{
    assert_int_equal(w->num_spans, w->c->num_nodes);
    for (size_t i = 0; i < w->c->num_nodes; i++) {
        const df_net_case_node *const n = &w->c->nodes[i];
        const df_net_span *const span = span_of(w, n->rank, n->node.id);
        for (int32_t k = 0; k < n->node.num_deps; k++) {
            assert_true(span->start_ns >= span_of(w, n->rank, n->node.deps[k])->end_ns);
        }
    }
}

/* Bytes that a member of a collective sends, as its algorithm has it; 0 where that is not so
 * simple. Chunks are of equal size, and at least one byte for each rank of the network. */
static uint64_t bytes_sent(const df_net_case *c, const df_net_node *node, uint64_t members)
{
    const uint64_t splits = (uint64_t)c->system.splits;
    uint64_t bytes = node->bytes;
    uint64_t chunk = bytes / splits;
    if (node->collective != DF_NET_ALL_GATHER && chunk < (uint64_t)c->network.ranks) {
        chunk = (uint64_t)c->network.ranks;
        bytes = splits * chunk;
    }
    const uint64_t chunks = (bytes + chunk - 1) / chunk;
    const bool ring = c->system.algorithm[node->collective].kind == DF_NET_ALG_RING;
    switch (node->collective) {
    case DF_NET_ALL_REDUCE:
        return chunks * 2 * (members - 1) * (chunk / members);
    case DF_NET_ALL_GATHER:
        return chunks * (members - 1) * chunk;
    case DF_NET_REDUCE_SCATTER:
        return chunks * (members - 1) * (chunk / members);
    case DF_NET_ALL_TO_ALL: /* on a ring all goes by all */
        return chunks * (ring ? members * (members - 1) / 2 : members - 1) * (chunk / members);
    case DF_NET_BROADCAST:
        break;
    }
    return 0;
}

static uint64_t members_of(const df_net_case *c, int32_t group)
{
    for (size_t i = 0; i < c->num_groups; i++) {
        if (c->groups[i].id == group) {
            return (uint64_t)c->groups[i].count;
        }
    }
    return (uint64_t)c->network.ranks;
}

/* Bytes that each rank sends, where all algorithms are simple. */
static void check_sent(const witness *w)
{
    uint64_t expected[RANKS_MAX] = {0};
    for (size_t i = 0; i < w->c->num_nodes; i++) {
        const df_net_case_node *const n = &w->c->nodes[i];
        if (n->node.type == DF_NET_COMM) {
            const df_net_algorithm_kind kind = w->c->system.algorithm[n->node.collective].kind;
            if (kind != DF_NET_ALG_RING && kind != DF_NET_ALG_DIRECT) {
                return;
            }
            expected[n->rank] += bytes_sent(w->c, &n->node, members_of(w->c, n->node.group));
        } else if (n->node.type == DF_NET_SEND) {
            expected[n->rank] += n->node.bytes;
        }
    }
    for (int32_t src = 0; src < w->c->network.ranks; src++) {
        uint64_t sent = 0;
        for (int32_t dst = 0; dst < w->c->network.ranks; dst++) {
            sent += w->sent[src][dst];
        }
        assert_int_equal(sent, expected[src]);
    }
}

static void check_conservation(const witness *w, const df_net_sim *sim)
{
    uint64_t told = 0;
    assert_memory_equal(w->sent, w->received, sizeof w->sent);
    for (uint32_t i = 0; i < df_net_links_made(sim); i++) {
        const df_net_link_use use = df_net_link_used(sim, i);
        assert_int_equal(use.bytes, w->link_bytes[use.from][use.to]);
        told += use.bytes;
    }
    for (int from = 0; from <= RANKS_MAX; from++) {
        for (int to = 0; to <= RANKS_MAX; to++) {
            told -= w->link_bytes[from][to];
        }
    }
    assert_int_equal(told, 0); /* no other link was used */
    check_sent(w);
}

static void check_result(const witness *w, const df_net_result *r)
{
    bool ended[RANKS_MAX] = {false};
    uint64_t last_ns = 0;
    for (int32_t i = 0; i < r->ranks; i++) {
        const int32_t rank = r->finish_order[i];
        assert_false(ended[rank]);
        ended[rank] = true;
        assert_true(r->cycles_ns[rank] >= last_ns);
        last_ns = r->cycles_ns[rank];
        assert_int_equal(r->cycles_ns[rank], w->end_ns[rank]);
        assert_int_equal(r->exposed_ns[rank], w->end_ns[rank] - w->gpu_ns[rank]);
    }
    assert_int_equal(r->max_ns, last_ns);
    assert_true(r->events > 0);
}

static df_net_result
run_program(df_net_sim *sim, const df_net_program *program, const df_net_case *c)
{
    df_net_result result;
    df_err err;
    if (df_net_run(sim, program, &c->network, &c->system, &result, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return result;
}

static void assert_same(const df_net_result *a, const df_net_result *b)
{
    const size_t n = (size_t)a->ranks;
    assert_int_equal(a->events, b->events);
    assert_memory_equal(a->cycles_ns, b->cycles_ns, n * sizeof *a->cycles_ns);
    assert_memory_equal(a->exposed_ns, b->exposed_ns, n * sizeof *a->exposed_ns);
    assert_memory_equal(a->finish_order, b->finish_order, n * sizeof *a->finish_order);
}

/* A simulator that is used for all programs, and one for each. */
static void invariants_hold(void **state)
{
    static witness w; /* large */
    (void)state;
    df_net_sim *const used = df_net_sim_new();
    const uint32_t programs = setting("DEEPFLOW_TEST_PROGRAMS", 400);
    for (uint32_t i = 0; i < programs; i++) {
        df_random random = seed_of(i);
        df_net_case c = df_net_random_case(&random, false);
        df_net_program *const program = df_net_case_program(&c);
        df_net_sim *const fresh = df_net_sim_new();
        const df_net_observer observer = {&w, see_node, see_transfer};
        memset(&w, 0, sizeof w);
        w.c = &c;
        df_net_sim_observe(fresh, &observer);
        const df_net_result told = run_program(fresh, program, &c);
        check_nodes(&w);
        check_conservation(&w, fresh);
        check_result(&w, &told);
        const df_net_result again = run_program(used, program, &c);
        assert_same(&told, &again);
        df_net_sim_free(fresh);
        df_net_program_free(program);
        df_net_case_free(&c);
    }
    df_net_sim_free(used);
}

/* ---- Several simulators at once ---- */

typedef struct {
    const df_net_case *c;
    const df_net_program *program;
    df_net_sim *sim;
    df_net_result result;
    df_status status;
} job;

static void *run_job(void *context)
{
    job *const j = context;
    df_err err;
    for (int i = 0; i < 5; i++) {
        j->status = df_net_run(j->sim, j->program, &j->c->network, &j->c->system, &j->result, &err);
    }
    return NULL;
}

/* They share nothing but the program, which is constant. */
static void simulators_do_not_meet(void **state)
{
    enum { THREADS = 4, PROGRAMS = 20 };
    (void)state;
    for (uint32_t i = 0; i < PROGRAMS; i++) {
        df_random random = seed_of(i);
        df_net_case c = df_net_random_case(&random, false);
        df_net_program *const program = df_net_case_program(&c);
        pthread_t threads[THREADS];
        job jobs[THREADS];
        for (int k = 0; k < THREADS; k++) {
            jobs[k] = (job){.c = &c, .program = program, .sim = df_net_sim_new()};
            assert_int_equal(pthread_create(&threads[k], NULL, run_job, &jobs[k]), 0);
        }
        for (int k = 0; k < THREADS; k++) {
            assert_int_equal(pthread_join(threads[k], NULL), 0);
            assert_int_equal(jobs[k].status, DF_OK);
            assert_same(&jobs[0].result, &jobs[k].result);
        }
        for (int k = 0; k < THREADS; k++) {
            df_net_sim_free(jobs[k].sim);
        }
        df_net_program_free(program);
        df_net_case_free(&c);
    }
}

/* ---- Symmetry ---- */

/* Ranks that all do the same end at the same time where no two of them share a link: on fully
 * connected networks, and with neighbours only. */
static void equal_ranks_end_together(void **state)
{
    (void)state;
    df_net_sim *const sim = df_net_sim_new();
    for (uint32_t i = 0; i < 300; i++) {
        df_random random = seed_of(i);
        df_net_case c = df_net_random_case(&random, true);
        const df_net_topology topology = c.network.topology;
        const df_net_network network = c.network;
        const df_net_system system = c.system;
        df_net_case_free(&c);
        c = df_net_case_new(topology, network.ranks, DF_NET_ALG_RING);
        c.network = network;
        const df_net_algorithm ring = {DF_NET_ALG_RING, 0};
        for (int k = 0; k < DF_NET_IMPLEMENTED; k++) {
            const bool keeps = topology == DF_NET_FULLY_CONNECTED &&
                               system.algorithm[k].kind != DF_NET_ALG_BINARY_TREE;
            c.system.algorithm[k] = keeps ? system.algorithm[k] : ring;
        }
        c.system.splits = system.splits;
        c.system.active_chunks = system.active_chunks;
        for (uint64_t id = 0; id < 3; id++) {
            const df_net_collective kind =
                (df_net_collective)df_random_below(&random, DF_NET_IMPLEMENTED);
            const uint64_t bytes = 40000 + df_random_below(&random, 1000000);
            for (int32_t rank = 0; rank < network.ranks; rank++) {
                df_net_case_collective(&c, rank, id, kind, bytes);
            }
        }
        const df_net_result r = df_net_case_run(&c, sim);
        for (int32_t rank = 1; rank < r.ranks; rank++) {
            assert_int_equal(r.cycles_ns[rank], r.cycles_ns[0]);
        }
        df_net_case_free(&c);
    }
    df_net_sim_free(sim);
}

/* ---- AstraSim ---- */

typedef struct {
    uint64_t cycles_ns[RANKS_MAX], exposed_ns[RANKS_MAX];
    int32_t order[RANKS_MAX];
    int32_t ranks;
} answer;

/* The number behind some words of a line; false when they are not next. */
static bool number_behind(const char **at, const char *words, uint64_t *number)
{
    const size_t length = strlen(words);
    char *end;
    if (strncmp(*at, words, length) != 0) {
        return false;
    }
    *number = strtoull(*at + length, &end, 10);
    const bool found = end > *at + length;
    *at = end;
    return found;
}

/* Reads "sys[R] finished, T cycles, exposed communication E cycles." of all lines. */
static answer read_answer(const char *text)
{
    answer a = {.ranks = 0};
    for (const char *next = strstr(text, "sys["); next; next = strstr(next + 1, "sys[")) {
        const char *at = next;
        uint64_t rank;
        uint64_t cycles;
        uint64_t exposed;
        if (number_behind(&at, "sys[", &rank) && number_behind(&at, "] finished, ", &cycles) &&
            number_behind(&at, " cycles, exposed communication ", &exposed) && rank < RANKS_MAX &&
            a.ranks < RANKS_MAX) {
            a.cycles_ns[rank] = cycles;
            a.exposed_ns[rank] = exposed;
            a.order[a.ranks++] = (int32_t)rank;
        }
    }
    return a;
}

/* False when it crashed, which it does on some programs that use groups. */
static bool ask_astrasim(const char *program, const char *dir, bool groups, answer *a)
{
    char command[2048];
    int exit_code;
    char *out;
    snprintf(command, sizeof command,
             "cd %s && '%s' --workload-configuration=workload --system-configuration=system.json "
             "--network-configuration=network.yml --remote-memory-configuration=memory.json%s 2>&1",
             dir, program, groups ? " --comm-group-configuration=comm_group.json" : "");
    df_run(command, &exit_code, &out, NULL);
    *a = read_answer(out);
    free(out);
    return exit_code == 0;
}

static void compare(const df_net_case *c, uint32_t number, const df_net_result *r, const answer *a)
{
    bool same = a->ranks == r->ranks;
    for (int32_t i = 0; i < r->ranks && same; i++) {
        same = a->cycles_ns[i] == r->cycles_ns[i] && a->exposed_ns[i] == r->exposed_ns[i] &&
               a->order[i] == r->finish_order[i];
    }
    if (!same) {
        for (int32_t i = 0; i < r->ranks; i++) {
            print_error("rank %d: AstraSim %" PRIu64 " ns (%" PRIu64 " exposed), here %" PRIu64
                        " (%" PRIu64 ")\n",
                        (int)i, a->cycles_ns[i], a->exposed_ns[i], r->cycles_ns[i],
                        r->exposed_ns[i]);
        }
        fail_msg("program %u (seed %u): %s of %d ranks differs", number,
                 setting("DEEPFLOW_TEST_SEED", 1), df_net_topology_name(c->network.topology),
                 (int)c->network.ranks);
    }
}

static void astrasim_agrees(void **state)
{
    (void)state;
    const char *const astrasim = getenv("DEEPFLOW_TEST_ASTRASIM");
    if (!astrasim || !*astrasim) {
        print_message("skipped: DEEPFLOW_TEST_ASTRASIM does not name AstraSim's program\n");
        skip();
    }
    df_net_sim *const sim = df_net_sim_new();
    const uint32_t programs = setting("DEEPFLOW_TEST_PROGRAMS", 100);
    uint32_t compared = 0;
    for (uint32_t i = 0; i < programs; i++) {
        char dir[256];
        char path[300];
        df_random random = seed_of(i);
        df_net_case c = df_net_random_case(&random, true);
        df_make_dir(dir);
        snprintf(path, sizeof path, "%s/memory.json", dir);
        df_write_file(path, "{\"memory-type\": \"NO_MEMORY_EXPANSION\"}\n");
        df_net_case_write(&c, dir);
        const df_net_result r = df_net_case_run(&c, sim);
        answer a;
        if (ask_astrasim(astrasim, dir, c.num_groups > 0, &a)) {
            compare(&c, i, &r, &a);
            compared++;
        } else {
            print_message("program %u: AstraSim crashes\n", i);
        }
        df_remove_dir(dir);
        df_net_case_free(&c);
    }
    print_message("AstraSim agrees on %u of %u programs\n", compared, programs);
    assert_true(compared > programs / 2);
    df_net_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariants_hold),
        cmocka_unit_test(simulators_do_not_meet),
        cmocka_unit_test(equal_ranks_end_together),
        cmocka_unit_test(astrasim_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
