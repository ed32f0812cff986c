#include "support/net_case.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_impl.h"

/* ---- Building ---- */

df_net_case df_net_case_new(df_net_topology topology, int32_t ranks, df_net_algorithm_kind kind)
{
    df_net_case c;
    memset(&c, 0, sizeof c);
    c.network.topology = topology;
    c.network.ranks = ranks;
    c.network.bandwidth_gib_ps = 100;
    c.network.latency_ns = 500;
    c.system.endpoint_delay_ns = 10;
    c.system.splits = 1;
    c.system.active_chunks = 1;
    c.system.local_mem_gb_ps = 1600;
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        c.system.algorithm[i].kind = kind;
    }
    return c;
}

void df_net_case_free(df_net_case *c)
{
    for (size_t i = 0; i < c->num_nodes; i++) {
        free((void *)c->nodes[i].node.deps);
    }
    for (size_t i = 0; i < c->num_groups; i++) {
        free(c->groups[i].ranks);
    }
    free(c->nodes);
    free(c->groups);
}

static void *copy_of(const void *items, size_t size)
{
    void *const copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0) {
        memcpy(copy, items, size);
    }
    return copy;
}

void df_net_case_add(df_net_case *c, int32_t rank, const df_net_node *node)
{
    df_net_case_node *const nodes = realloc(c->nodes, (c->num_nodes + 1) * sizeof *nodes);
    assert_non_null(nodes);
    c->nodes = nodes;
    df_net_case_node *const added = &nodes[c->num_nodes++];
    added->rank = rank;
    added->node = *node;
    added->node.deps = copy_of(node->deps, (size_t)node->num_deps * sizeof *node->deps);
}

void df_net_case_add_group(df_net_case *c, int32_t id, const int32_t *ranks, int32_t count)
{
    df_net_case_group *const groups = realloc(c->groups, (c->num_groups + 1) * sizeof *groups);
    assert_non_null(groups);
    c->groups = groups;
    groups[c->num_groups++] =
        (df_net_case_group){id, count, copy_of(ranks, (size_t)count * sizeof *ranks)};
}

static void add_behind(df_net_case *c, int32_t rank, uint64_t dep, df_net_node node)
{
    node.deps = &dep;
    node.num_deps = dep != NO_DEP;
    df_net_case_add(c, rank, &node);
}

void df_net_case_compute(
    df_net_case *c, int32_t rank, uint64_t id, uint64_t dep, uint64_t duration_ns)
{
    add_behind(c, rank, dep,
               (df_net_node){.id = id, .type = DF_NET_COMPUTE, .duration_ns = duration_ns});
}

void df_net_case_send(df_net_case *c, int32_t rank, uint64_t id, uint64_t dep, int32_t peer)
{
    add_behind(
        c, rank, dep,
        (df_net_node){.id = id, .type = DF_NET_SEND, .bytes = DF_NET_CASE_BYTES, .peer = peer});
}

void df_net_case_receive(df_net_case *c, int32_t rank, uint64_t id, uint64_t dep, int32_t peer)
{
    add_behind(
        c, rank, dep,
        (df_net_node){.id = id, .type = DF_NET_RECEIVE, .bytes = DF_NET_CASE_BYTES, .peer = peer});
}

void df_net_case_collective(
    df_net_case *c, int32_t rank, uint64_t id, df_net_collective kind, uint64_t bytes)
{
    const df_net_node node = {.id = id, .type = DF_NET_COMM, .collective = kind, .bytes = bytes};
    df_net_case_add(c, rank, &node);
}

/* ---- Running ---- */

static df_status build(const df_net_case *c, df_net_program **program, df_err *err)
{
    df_status status = df_net_program_new(c->network.ranks, program, err);
    assert_int_equal(status, DF_OK);
    for (size_t i = 0; i < c->num_groups && status == DF_OK; i++) {
        const df_net_case_group *const g = &c->groups[i];
        status = df_net_program_add_group(*program, g->id, g->ranks, g->count, err);
    }
    for (size_t i = 0; i < c->num_nodes && status == DF_OK; i++) {
        status = df_net_program_add(*program, c->nodes[i].rank, &c->nodes[i].node, err);
    }
    return status == DF_OK ? df_net_program_seal(*program, err) : status;
}

df_net_program *df_net_case_program(const df_net_case *c)
{
    df_net_program *program;
    df_err err;
    if (build(c, &program, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return program;
}

df_net_result df_net_case_run(const df_net_case *c, df_net_sim *sim)
{
    df_net_program *const program = df_net_case_program(c);
    df_net_result result;
    df_err err;
    if (df_net_run(sim, program, &c->network, &c->system, &result, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_net_program_free(program);
    return result;
}

df_status df_net_case_refused(const df_net_case *c, df_err *err)
{
    df_net_program *program;
    df_net_result result;
    df_net_sim *const sim = df_net_sim_new();
    assert_non_null(sim);
    df_status status = build(c, &program, err);
    if (status == DF_OK) {
        status = df_net_run(sim, program, &c->network, &c->system, &result, err);
    }
    assert_int_not_equal(status, DF_OK);
    df_net_program_free(program);
    df_net_sim_free(sim);
    return status;
}

void df_net_case_check(const df_net_case *c, const uint64_t *cycles_ns)
{
    df_net_sim *const sim = df_net_sim_new();
    assert_non_null(sim);
    const df_net_result r = df_net_case_run(c, sim);
    for (int32_t rank = 0; rank < r.ranks; rank++) {
        if (r.cycles_ns[rank] != cycles_ns[rank]) {
            fail_msg("rank %d: expected %" PRIu64 " ns, found %" PRIu64, (int)rank, cycles_ns[rank],
                     r.cycles_ns[rank]);
        }
    }
    df_net_sim_free(sim);
}

/* ---- AstraSim's files ---- */

static void rename_file(const char *folder, const char *from, const char *to)
{
    char old_path[512];
    char new_path[512];
    snprintf(old_path, sizeof old_path, "%s/%s", folder, from);
    snprintf(new_path, sizeof new_path, "%s/%s", folder, to);
    if (rename(old_path, new_path) != 0) {
        fail_msg("cannot rename %s", old_path);
    }
}

void df_net_case_write(const df_net_case *c, const char *folder)
{
    df_net_program *const program = df_net_case_program(c);
    const df_runner_job job = {.program = program, .network = &c->network, .system = &c->system};
    char from[64];
    char to[64];
    df_err err;
    if (df_runner_write_files(folder, &job, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    for (int32_t rank = 0; rank < c->network.ranks; rank++) {
        snprintf(from, sizeof from, DF_ASTRA_PREFIX ".%d.et", (int)rank);
        snprintf(to, sizeof to, "workload.%d.et", (int)rank);
        rename_file(folder, from, to);
    }
    snprintf(from, sizeof from, "network_analytical_%d.yml", (int)c->network.ranks);
    rename_file(folder, from, "network.yml");
    rename_file(folder, DF_ASTRA_SYSTEM, "system.json");
    if (c->num_groups > 0) {
        rename_file(folder, DF_ASTRA_GROUPS, "comm_group.json");
    }
    df_net_program_free(program);
}
