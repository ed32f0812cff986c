#include "chakra/et_export.h"

#include <stdio.h>

#include "chakra/et.h"

enum { NS_PER_US = 1000, MAX_ATTRS = 5, NAME_ROOM = 256, GROUP_ROOM = 16 };

typedef struct {
    df_et_writer *writer;
    df_et_namer *namer;
    const void *context;
    int32_t rank;
} exporter;

int32_t df_et_collective_number(df_net_collective collective)
{
    static const int32_t numbers[] = {[DF_NET_ALL_REDUCE] = 0,
                                      [DF_NET_ALL_GATHER] = 2,
                                      [DF_NET_BROADCAST] = 5,
                                      [DF_NET_ALL_TO_ALL] = 6,
                                      [DF_NET_REDUCE_SCATTER] = 7};
    return numbers[collective];
}

static df_et_type type_of(df_net_node_type type)
{
    static const df_et_type types[] = {[DF_NET_MARK] = DF_ET_INVALID,
                                       [DF_NET_COMPUTE] = DF_ET_COMPUTE,
                                       [DF_NET_SEND] = DF_ET_SEND,
                                       [DF_NET_RECEIVE] = DF_ET_RECEIVE,
                                       [DF_NET_COMM] = DF_ET_COLLECTIVE};
    return types[type];
}

static df_et_attr number(const char *name, uint64_t value)
{
    return (df_et_attr){.name = name, .kind = DF_ET_INT, .number = (int64_t)value};
}

/* Lists the attributes that say what the node does; returns how many there are. */
static size_t
list_attrs(const df_net_node *node, int32_t rank, char *group, df_et_attr attrs[MAX_ATTRS])
{
    size_t count = 0;
    attrs[count++] = (df_et_attr){.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = node->on_cpu};
    if (node->type == DF_NET_COMM) {
        attrs[count++] = number("comm_type", (uint64_t)df_et_collective_number(node->collective));
        attrs[count++] = number("comm_size", node->bytes);
        if (node->group > 0) {
            snprintf(group, GROUP_ROOM, "%d", (int)node->group);
            attrs[count++] = (df_et_attr){.name = "pg_name", .kind = DF_ET_TEXT, .text = group};
        }
    } else if (node->type == DF_NET_SEND || node->type == DF_NET_RECEIVE) {
        const bool sends = node->type == DF_NET_SEND;
        attrs[count++] = number("comm_size", node->bytes);
        attrs[count++] = number("comm_src", (uint64_t)(sends ? rank : node->peer));
        attrs[count++] = number("comm_dst", (uint64_t)(sends ? node->peer : rank));
        attrs[count++] = number("comm_tag", node->tag);
    }
    return count;
}

static void name_by_type(const df_net_node *node, char *name, size_t size)
{
    static const char *const names[] = {[DF_NET_MARK] = "mark",
                                        [DF_NET_COMPUTE] = "compute",
                                        [DF_NET_SEND] = "send",
                                        [DF_NET_RECEIVE] = "receive",
                                        [DF_NET_COMM] = "collective"};
    snprintf(name, size, "%s_%llu", names[node->type], (unsigned long long)node->id);
}

static df_status write_node(void *context, int32_t rank, const df_net_node *node, df_err *err)
{
    const exporter *const e = context;
    char name[NAME_ROOM];
    char group[GROUP_ROOM];
    df_et_attr attrs[MAX_ATTRS];
    if (node->timing != DF_NET_BY_TYPE) {
        return df_fail(err, DF_EINVAL,
                       "rank %d: node %llu: expected a node that is timed by its type, as in "
                       "traces, found one that is not",
                       (int)rank, (unsigned long long)node->id);
    }
    if (node->duration_ns % NS_PER_US != 0) {
        return df_fail(err, DF_EINVAL,
                       "rank %d: node %llu: expected a duration in whole microseconds, found %llu "
                       "ns",
                       (int)rank, (unsigned long long)node->id,
                       (unsigned long long)node->duration_ns);
    }
    if (e->namer) {
        e->namer(e->context, node, name, sizeof name);
    } else {
        name_by_type(node, name, sizeof name);
    }
    /* Dependencies are written as both kinds, since AstraSim to August 2025 follows data
     * dependencies alone. */
    const df_et_node out = {.id = node->id,
                            .name = name,
                            .type = (int32_t)type_of(node->type),
                            .duration_micros = node->duration_ns / NS_PER_US,
                            .ctrl_deps = node->deps,
                            .num_ctrl_deps = (size_t)node->num_deps,
                            .data_deps = node->deps,
                            .num_data_deps = (size_t)node->num_deps,
                            .attrs = attrs,
                            .num_attrs = list_attrs(node, rank, group, attrs)};
    return df_et_write(e->writer, &out, err);
}

df_status df_et_write_rank(const df_net_program *program,
                           int32_t rank,
                           df_et_namer *namer,
                           const void *context,
                           const char *path,
                           df_err *err)
{
    exporter e = {NULL, namer, context, rank};
    df_err ignored;
    DF_TRY(df_et_create(path, &e.writer, err));
    const df_status status = df_net_program_visit(program, rank, write_node, &e, err);
    const df_status finished = df_et_finish(e.writer, status == DF_OK ? err : &ignored);
    return status == DF_OK ? finished : status;
}
