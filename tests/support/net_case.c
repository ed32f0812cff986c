#include "support/net_case.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chakra/et.h"

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
    df_status status = DF_OK;
    *program = df_net_program_new(c->network.ranks);
    assert_non_null(*program);
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

static FILE *open_file(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    if (!file) {
        fail_msg("cannot write %s", path);
    }
    return file;
}

static void write_network(const df_net_case *c, const char *folder)
{
    FILE *const file = open_file(folder, "network.yml");
    fprintf(file,
            "topology: [ %s ]\nnpus_count: [ %d ]\nbandwidth: [ %.17g ]\nlatency: [ %.17g ]\n",
            df_net_topology_name(c->network.topology), (int)c->network.ranks,
            c->network.bandwidth_gib_ps, c->network.latency_ns);
    assert_int_equal(fclose(file), 0);
}

static void write_system(const df_net_case *c, const char *folder)
{
    FILE *const file = open_file(folder, "system.json");
    fprintf(file,
            "{\"scheduling-policy\": \"LIFO\", \"endpoint-delay\": %" PRId64
            ", \"active-chunks-per-dimension\": %d, \"preferred-dataset-splits\": %d, "
            "\"collective-optimization\": \"localBWAware\", \"boost-mode\": 0, "
            "\"roofline-enabled\": 0, \"peak-perf\": 900, \"local-mem-bw\": %.17g",
            c->system.endpoint_delay_ns, (int)c->system.active_chunks, (int)c->system.splits,
            c->system.local_mem_gb_ps);
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        const df_net_algorithm *const a = &c->system.algorithm[i];
        fprintf(file, ",\n\"%s-implementation\": [\"%s",
                df_net_collective_name((df_net_collective)i), df_net_algorithm_name(a->kind));
        if (a->kind == DF_NET_ALG_DIRECT && a->window > 0) {
            fprintf(file, "%d", (int)a->window);
        }
        fputs("\"]", file);
    }
    fputs("}\n", file);
    assert_int_equal(fclose(file), 0);
}

static void write_groups(const df_net_case *c, const char *folder)
{
    FILE *const file = open_file(folder, "comm_group.json");
    for (size_t i = 0; i < c->num_groups; i++) {
        fprintf(file, "%s\"%d\": [", i == 0 ? "{" : ",\n", (int)c->groups[i].id);
        for (int32_t k = 0; k < c->groups[i].count; k++) {
            fprintf(file, "%s%d", k == 0 ? "" : ", ", (int)c->groups[i].ranks[k]);
        }
        fputc(']', file);
    }
    fputs("}\n", file);
    assert_int_equal(fclose(file), 0);
}

static df_et_attr whole(const char *name, int64_t number)
{
    return (df_et_attr){.name = name, .kind = DF_ET_INT, .number = number};
}

enum { ATTRS_MAX = 6 };

/* Attributes of a node as AstraSim reads them; returns how many. */
static size_t attributes(const df_net_case_node *n, char group[16], df_et_attr attrs[ATTRS_MAX])
{
    static const int64_t kinds[] = {[DF_NET_ALL_REDUCE] = 0,
                                    [DF_NET_ALL_GATHER] = 2,
                                    [DF_NET_REDUCE_SCATTER] = 7,
                                    [DF_NET_ALL_TO_ALL] = 6,
                                    [DF_NET_BROADCAST] = 5};
    size_t count = 0;
    attrs[count++] =
        (df_et_attr){.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = n->node.on_cpu};
    if (n->node.type == DF_NET_COMM) {
        attrs[count++] = whole("comm_type", kinds[n->node.collective]);
        attrs[count++] = whole("comm_size", (int64_t)n->node.bytes);
    }
    if (n->node.type == DF_NET_SEND || n->node.type == DF_NET_RECEIVE) {
        const bool send = n->node.type == DF_NET_SEND;
        attrs[count++] = whole("comm_size", (int64_t)n->node.bytes);
        attrs[count++] = whole("comm_tag", n->node.tag);
        attrs[count++] = whole(send ? "comm_dst" : "comm_src", n->node.peer);
        attrs[count++] = whole(send ? "comm_src" : "comm_dst", n->rank);
    }
    if (n->node.group > 0) {
        snprintf(group, 16, "%d", (int)n->node.group);
        attrs[count++] = (df_et_attr){.name = "pg_name", .kind = DF_ET_TEXT, .text = group};
    }
    return count;
}

static void write_node(df_et_writer *writer, const df_net_case_node *n)
{
    static const int32_t types[] = {[DF_NET_MARK] = DF_ET_INVALID,
                                    [DF_NET_COMPUTE] = DF_ET_COMPUTE,
                                    [DF_NET_SEND] = DF_ET_SEND,
                                    [DF_NET_RECEIVE] = DF_ET_RECEIVE,
                                    [DF_NET_COMM] = DF_ET_COLLECTIVE};
    df_et_attr attrs[ATTRS_MAX];
    char group[16];
    char name[32];
    df_err err;
    assert_int_equal(n->node.duration_ns % 1000, 0);
    snprintf(name, sizeof name, "node%" PRIu64, n->node.id);
    const df_et_node node = {.id = n->node.id,
                             .name = name,
                             .type = types[n->node.type],
                             .duration_micros = n->node.duration_ns / 1000,
                             .data_deps = n->node.deps,
                             .num_data_deps = (size_t)n->node.num_deps,
                             .attrs = attrs,
                             .num_attrs = attributes(n, group, attrs)};
    if (df_et_write(writer, &node, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
}

static void write_rank(const df_net_case *c, const char *folder, int32_t rank)
{
    char path[512];
    df_et_writer *writer;
    df_err err;
    snprintf(path, sizeof path, "%s/workload.%d.et", folder, (int)rank);
    if (df_et_create(path, &writer, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < c->num_nodes; i++) {
        if (c->nodes[i].rank == rank) {
            write_node(writer, &c->nodes[i]);
        }
    }
    assert_int_equal(df_et_finish(writer, &err), DF_OK);
}

void df_net_case_write(const df_net_case *c, const char *folder)
{
    write_network(c, folder);
    write_system(c, folder);
    if (c->num_groups > 0) {
        write_groups(c, folder);
    }
    for (int32_t rank = 0; rank < c->network.ranks; rank++) {
        write_rank(c, folder, rank);
    }
}
