#include "chakra/et_program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chakra/et.h"

typedef struct {
    const char *path;
    df_net_program *program;
    int32_t rank;
    df_et_options options;
    df_et_names *names;
    uint64_t *deps; /* dependencies of both kinds, for one node */
    size_t deps_room;
} loader;

static const char *kind_name(df_et_kind kind)
{
    static const char *const names[] = {
        [DF_ET_INT] = "a whole number", [DF_ET_BOOL] = "a truth value", [DF_ET_REAL] = "a fraction",
        [DF_ET_TEXT] = "a text",        [DF_ET_LIST] = "a list",        [DF_ET_NOTHING] = "nothing",
    };
    return names[kind];
}

/* ---- Attributes ---- */

/* A whole number from 0 to max; the default where there is none, if default_value >= 0. */
static df_status read_number(const df_et_node *node,
                             const char *name,
                             int64_t max,
                             int64_t default_value,
                             int64_t *value,
                             df_err *err)
{
    const df_et_attr *const attr = df_et_find(node, name);
    if (!attr && default_value >= 0) {
        *value = default_value;
        return DF_OK;
    }
    if (!attr || (attr->kind != DF_ET_INT && attr->kind != DF_ET_BOOL)) {
        return df_fail(err, DF_EINVAL, "%s: expected a whole number, found %s", name,
                       kind_name(attr ? attr->kind : DF_ET_NOTHING));
    }
    if (attr->number < 0 || attr->number > max) {
        return df_fail(err, DF_EINVAL, "%s: expected a number from 0 to %lld, found %lld", name,
                       (long long)max, (long long)attr->number);
    }
    *value = attr->number;
    return DF_OK;
}

static df_status read_size(const df_et_node *node, uint64_t *bytes, df_err *err)
{
    int64_t value = 0;
    DF_TRY(read_number(node, "comm_size", INT64_MAX, -1, &value, err));
    *bytes = (uint64_t)value;
    return DF_OK;
}

/* The group of a collective, as a text that holds its id. Without one, with an empty one or with 0,
 * the name of PyTorch's default group, it is 0: that of all ranks. */
static df_status read_group(const df_et_node *node, int32_t *group, df_err *err)
{
    const df_et_attr *const attr = df_et_find(node, "pg_name");
    *group = 0;
    if (!attr || (attr->kind == DF_ET_TEXT && attr->text[0] == '\0')) {
        return DF_OK;
    }
    char *end = NULL;
    errno = 0;
    const long value = attr->kind == DF_ET_TEXT ? strtol(attr->text, &end, 10) : -1;
    if (errno != 0 || value < 0 || value > INT32_MAX || end == attr->text || *end != '\0') {
        return df_fail(err, DF_EINVAL, "pg_name: expected a text with a number >= 0, found %s",
                       attr->kind == DF_ET_TEXT ? attr->text : kind_name(attr->kind));
    }
    *group = (int32_t)value;
    return DF_OK;
}

/* ---- Nodes ---- */

static df_status read_collective(const df_et_node *node, df_net_node *out, df_err *err)
{
    int64_t type = -1;
    DF_TRY(read_number(node, "comm_type", INT32_MAX, -1, &type, err));
    switch (type) { /* numbered as in Chakra */
    case 0:
        out->collective = DF_NET_ALL_REDUCE;
        break;
    case 2:
        out->collective = DF_NET_ALL_GATHER;
        break;
    case 5:
        out->collective = DF_NET_BROADCAST;
        break;
    case 6:
        out->collective = DF_NET_ALL_TO_ALL;
        break;
    case 7:
        out->collective = DF_NET_REDUCE_SCATTER;
        break;
    default:
        return df_fail(err, DF_EINVAL,
                       "comm_type: expected 0 (all-reduce), 2 (all-gather), 5 (broadcast), 6 "
                       "(all-to-all) or 7 (reduce-scatter), found %lld",
                       (long long)type);
    }
    out->type = DF_NET_COMM;
    DF_TRY(read_size(node, &out->bytes, err));
    return read_group(node, &out->group, err);
}

/* `own` and `other` name the attributes with this rank and its peer. */
static df_status read_message(const df_et_node *node,
                              int32_t rank,
                              const char *own,
                              const char *other,
                              df_net_node *out,
                              df_err *err)
{
    int64_t here = rank;
    int64_t peer = -1;
    int64_t tag = 0;
    DF_TRY(read_size(node, &out->bytes, err));
    DF_TRY(read_number(node, own, INT32_MAX, rank, &here, err));
    DF_TRY(read_number(node, other, INT32_MAX, -1, &peer, err));
    DF_TRY(read_number(node, "comm_tag", UINT32_MAX, -1, &tag, err));
    if (here != rank) {
        return df_fail(err, DF_EINVAL, "%s: expected the trace's own rank %d, found %lld", own,
                       (int)rank, (long long)here);
    }
    out->peer = (int32_t)peer;
    out->tag = (uint32_t)tag;
    return DF_OK;
}

/* The time of AstraSim's roofline, in its order of operations, so that the last digit is the same.
 * AstraSim's own time is undefined without operations; then the time is that of moving the tensor
 * through memory. */
static double roofline_ns(const df_et_options *o, double flops, double bytes)
{
    if (flops == 0) {
        return bytes / o->local_mem_bytes_ps * 1e9;
    }
    const double by_memory = o->local_mem_bytes_ps * (flops / bytes);
    const double flops_ps = by_memory < o->peak_flops_ps ? by_memory : o->peak_flops_ps;
    return flops / flops_ps * 1e9;
}

/* Computing without operations and bytes lasts its duration. */
static df_status
read_compute(const df_et_options *o, const df_et_node *node, df_net_node *out, df_err *err)
{
    const bool counted = df_et_find(node, "num_ops") || df_et_find(node, "tensor_size");
    int64_t flops = 0;
    int64_t bytes = 0;
    out->type = DF_NET_COMPUTE;
    if (!o->roofline || out->on_cpu || !counted) {
        return DF_OK;
    }
    DF_TRY(read_number(node, "num_ops", INT64_MAX, -1, &flops, err));
    DF_TRY(read_number(node, "tensor_size", INT64_MAX, -1, &bytes, err));
    if (!(o->peak_flops_ps > 0) || !(o->local_mem_bytes_ps > 0)) {
        return df_fail(err, DF_EINVAL,
                       "num_ops: expected peak-perf and local-mem-bw > 0 in the system file, since "
                       "roofline-enabled is 1, found %g TFLOP/s and %g GB/s",
                       o->peak_flops_ps * 1e-12, o->local_mem_bytes_ps * 1e-9);
    }
    const double ns = roofline_ns(o, (double)flops, (double)bytes);
    if (!(ns < 0x1p62)) {
        return df_fail(err, DF_EINVAL, "num_ops: expected less than 2^62 ns of work, found %g", ns);
    }
    out->timing = DF_NET_MODELLED;
    out->duration_ns = (uint64_t)ns;
    return DF_OK;
}

static df_status
read_type(const loader *l, const df_et_node *node, int32_t type, df_net_node *out, df_err *err)
{
    switch (type) {
    case DF_ET_INVALID:
        out->type = DF_NET_MARK;
        return DF_OK;
    case DF_ET_COMPUTE:
        return read_compute(&l->options, node, out, err);
    case DF_ET_SEND:
        out->type = DF_NET_SEND;
        return read_message(node, l->rank, "comm_src", "comm_dst", out, err);
    case DF_ET_RECEIVE:
        out->type = DF_NET_RECEIVE;
        return read_message(node, l->rank, "comm_dst", "comm_src", out, err);
    case DF_ET_COLLECTIVE:
        return read_collective(node, out, err);
    default:
        return df_fail(err, DF_EINVAL,
                       "type: expected 4 (compute), 5 (send), 6 (receive) or 7 (collective), found "
                       "%d",
                       (int)type);
    }
}

/* PyTorch marks the calls that launch communication as communication on the CPU. They send
 * nothing: that is what the nodes do that the calls launch. */
static int32_t type_on_cpu(int32_t type)
{
    const bool computes = type == DF_ET_METADATA || type == DF_ET_SEND || type == DF_ET_RECEIVE ||
                          type == DF_ET_COLLECTIVE;
    return computes ? DF_ET_COMPUTE : type;
}

/* Nodes of memory, which are not simulated, can be replayed; they take the unit of communication.
 */
static df_status read_replayed(const df_et_node *node, df_net_node *out, df_err *err)
{
    static const df_net_node_type types[] = {
        [DF_ET_INVALID] = DF_NET_MARK,    [DF_ET_METADATA] = DF_NET_MARK,
        [DF_ET_MEM_LOAD] = DF_NET_MARK,   [DF_ET_MEM_STORE] = DF_NET_MARK,
        [DF_ET_COMPUTE] = DF_NET_COMPUTE, [DF_ET_SEND] = DF_NET_SEND,
        [DF_ET_RECEIVE] = DF_NET_RECEIVE, [DF_ET_COLLECTIVE] = DF_NET_COMM,
    };
    if (node->type < 0 || node->type > DF_ET_COLLECTIVE) {
        return df_fail(err, DF_EINVAL, "type: expected a number from 0 to %d, found %d",
                       (int)DF_ET_COLLECTIVE, (int)node->type);
    }
    out->type = types[node->type];
    out->timing = DF_NET_REPLAYED;
    return DF_OK;
}

static df_status read_node(const loader *l, const df_et_node *node, df_net_node *out, df_err *err)
{
    int64_t on_cpu = 0;
    DF_TRY(read_number(node, "is_cpu_op", 1, 0, &on_cpu, err));
    out->id = node->id;
    out->on_cpu = on_cpu != 0;
    if (node->duration_micros > INT64_MAX / 1000) {
        return df_fail(err, DF_EINVAL, "duration_micros: expected below 2^63 / 1000, found %llu",
                       (unsigned long long)node->duration_micros);
    }
    out->duration_ns = node->duration_micros * 1000;
    if (l->options.replay) {
        return read_replayed(node, out, err);
    }
    return read_type(l, node, out->on_cpu ? type_on_cpu(node->type) : node->type, out, err);
}

static df_status read_deps(loader *l, const df_et_node *node, df_net_node *out, df_err *err)
{
    const size_t control = l->options.data_deps_only ? 0 : node->num_ctrl_deps;
    const size_t count = control + node->num_data_deps;
    if (count > INT32_MAX) {
        return df_fail(err, DF_EINVAL, "expected fewer than 2^31 dependencies, found more");
    }
    if (count > l->deps_room) {
        uint64_t *const grown = realloc(l->deps, 2 * count * sizeof *grown);
        if (!grown) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        l->deps = grown;
        l->deps_room = 2 * count;
    }
    for (size_t i = 0; i < count; i++) {
        l->deps[i] = i < control ? node->ctrl_deps[i] : node->data_deps[i - control];
    }
    out->deps = l->deps;
    out->num_deps = (int32_t)count;
    return DF_OK;
}

/* ---- Names ---- */

/* Characters of the name without the id. */
static size_t plain_length(const df_et_node *node)
{
    char id[24];
    const size_t all = strlen(node->name);
    const size_t end = (size_t)snprintf(id, sizeof id, "_%llu", (unsigned long long)node->id);
    const bool numbered = all > end && strcmp(node->name + all - end, id) == 0;
    return numbered ? all - end : all;
}

/* Nodes beyond what labels can count have the name of the first node. */
static df_status keep_name(df_et_names *names, const df_et_node *node, uint32_t *label, df_err *err)
{
    const size_t length = plain_length(node);
    if (names->used + length >= UINT32_MAX) {
        return DF_OK;
    }
    if (names->used + length + 1 > names->room) {
        const size_t room = 2 * (names->used + length + 1);
        char *const text = realloc(names->text, room);
        if (!text) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        names->text = text;
        names->room = room;
    }
    *label = (uint32_t)names->used;
    memcpy(names->text + names->used, node->name, length);
    names->used += length;
    names->text[names->used++] = '\0';
    return DF_OK;
}

static df_status add_node(loader *l, const df_et_node *node, df_err *err)
{
    df_net_node out;
    df_err cause;
    memset(&out, 0, sizeof out);
    df_status status = read_node(l, node, &out, &cause);
    if (status == DF_OK) {
        status = read_deps(l, node, &out, &cause);
    }
    if (status == DF_OK && l->names) {
        status = keep_name(l->names, node, &out.label, &cause);
    }
    if (status != DF_OK) {
        return df_fail(err, status, "%s: node %llu: %.900s", l->path, (unsigned long long)node->id,
                       cause.text);
    }
    status = df_net_program_add(l->program, l->rank, &out, &cause);
    return status == DF_OK ? DF_OK : df_fail(err, status, "%s: %.900s", l->path, cause.text);
}

df_status df_et_add_rank(df_net_program *program,
                         int32_t rank,
                         const char *path,
                         const df_et_options *options,
                         df_et_names *names,
                         df_err *err)
{
    loader l = {.path = path, .program = program, .rank = rank, .names = names};
    if (options) {
        l.options = *options;
    }
    df_et_reader *reader;
    df_et_node node;
    bool more = true;
    DF_TRY(df_et_open(path, &reader, err));
    df_status status = DF_OK;
    while (status == DF_OK && more) {
        status = df_et_next(reader, &node, &more, err);
        if (status == DF_OK && more) {
            status = add_node(&l, &node, err);
        }
    }
    df_et_close(reader);
    free(l.deps);
    return status;
}
