/* Collectives become streams, one for each chunk; a rank has some of them under way. */
#include <string.h>

#include "net/net_impl.h"

/* In a group smaller than the whole, the endpoint delay is not that of the system. */
enum { GROUP_DELAY_NS = 10 };

const df_net_group *df_net_smaller_group(const df_net_program *program, const df_net_op *op)
{
    if (op->group < 0 || program->groups[op->group].count == program->num_ranks) {
        return NULL;
    }
    return &program->groups[op->group];
}

/* ---- Chunks ---- */

typedef struct {
    uint64_t bytes; /* size of a chunk; 0: the collective cannot be cut */
    uint64_t count;
} chunks;

/* Every chunk has the same size: there is one more chunk in place of a smaller rest. */
static chunks
cut(const df_net_system *system, int32_t ranks, df_net_collective kind, uint64_t bytes)
{
    const uint64_t splits = (uint64_t)system->splits;
    chunks c = {bytes / splits, 0};
    if (kind != DF_NET_ALL_GATHER && c.bytes < (uint64_t)ranks) {
        c.bytes = (uint64_t)ranks; /* also for smaller groups */
        bytes = splits * c.bytes;
    }
    if (c.bytes > 0) {
        c.count = bytes / c.bytes + (bytes % c.bytes != 0);
    }
    return c;
}

/* ---- Checks ---- */

static bool power_of_two(int32_t n)
{
    return (n & (n - 1)) == 0;
}

df_status df_net_check_algorithm(
    const df_net_system *system, df_net_collective kind, int32_t ranks, int32_t all, df_err *err)
{
    const df_net_algorithm_kind algorithm = system->algorithm[kind].kind;
    if (algorithm == DF_NET_ALG_NONE) {
        return df_fail(err, DF_EINVAL, "expected an algorithm in the system, found none");
    }
    if (algorithm == DF_NET_ALG_HALVING_DOUBLING && kind == DF_NET_ALL_TO_ALL) {
        return df_fail(err, DF_EINVAL, "expected another algorithm, found halvingDoubling");
    }
    if (algorithm == DF_NET_ALG_BINARY_TREE && ranks < all) {
        return df_fail(err, DF_EINVAL,
                       "expected all ranks with doubleBinaryTree, found a group of %d", (int)ranks);
    }
    if ((algorithm == DF_NET_ALG_HALVING_DOUBLING || algorithm == DF_NET_ALG_BINARY_TREE) &&
        !power_of_two(ranks)) {
        return df_fail(err, DF_EINVAL,
                       "expected a power of two of ranks with this algorithm, found %d",
                       (int)ranks);
    }
    return DF_OK;
}

static df_status check_algorithm(
    const df_net_system *system, df_net_collective kind, int32_t ranks, int32_t all, df_err *err)
{
    df_err cause;
    const df_status status = df_net_check_algorithm(system, kind, ranks, all, &cause);
    return status == DF_OK
               ? DF_OK
               : df_fail(err, status, "%s: %s", df_net_collective_name(kind), cause.text);
}

df_status df_net_check_collective(const df_net_system *system,
                                  const df_net_program *program,
                                  const df_net_op *op,
                                  df_err *err)
{
    const df_net_collective kind = (df_net_collective)op->collective;
    if (kind == DF_NET_BROADCAST) {
        return DF_OK;
    }
    const df_net_group *const group = df_net_smaller_group(program, op);
    const int32_t size = group ? group->count : program->num_ranks;
    const chunks c = cut(system, program->num_ranks, kind, op->bytes);
    if (size < 2) {
        return df_fail(err, DF_EINVAL, "group %d: expected at least 2 ranks, found 1",
                       (int)group->id);
    }
    if (c.bytes == 0) {
        return df_fail(err, DF_EINVAL,
                       "all-gather: expected at least %d bytes (one for each split), found %d",
                       (int)system->splits, (int)op->bytes);
    }
    /* Messages may grow up to the whole. */
    if (c.bytes >= DF_NET_TIME_MAX / (uint64_t)size) {
        return df_fail(err, DF_EINVAL, "%s: expected fewer than 2^62 bytes in total, found more",
                       df_net_collective_name(kind));
    }
    return check_algorithm(system, kind, size, program->num_ranks, err);
}

/* ---- Setting up ---- */

static int32_t log2_of(int32_t n)
{
    int32_t log = 0;
    while (n >> (log + 1) != 0) {
        log++;
    }
    return log;
}

/* Window, round and number of sends of the machine in stream.c. */
static void set_counts(df_net_coll *coll, int32_t asked_window, bool smaller)
{
    const int32_t n = coll->size;
    const bool reduce_and_gather = coll->kind == DF_NET_ALL_REDUCE;
    coll->window = 1;
    switch (coll->algorithm) {
    case DF_NET_ALG_HALVING_DOUBLING:
        coll->round = log2_of(n) - 1;
        coll->sends = (reduce_and_gather ? 2 : 1) * log2_of(n);
        return;
    case DF_NET_ALG_RING:
        coll->round = n - 1;
        coll->sends = reduce_and_gather                 ? 2 * (n - 1)
                      : coll->kind == DF_NET_ALL_TO_ALL ? n * (n - 1) / 2
                                                        : n - 1;
        return;
    case DF_NET_ALG_DIRECT:
        coll->window = asked_window > 0 && asked_window < n - 1 ? asked_window : n - 1;
        coll->round = smaller ? (n - 1) * coll->window : coll->window;
        coll->sends = reduce_and_gather ? 2 * (n - 1) : n - 1;
        return;
    case DF_NET_ALG_BINARY_TREE:
    case DF_NET_ALG_NONE:
        return;
    }
}

static void set_reduction(const df_net_sim *sim, df_net_coll *coll)
{
    const bool whole = coll->kind == DF_NET_ALL_GATHER || coll->algorithm == DF_NET_ALG_BINARY_TREE;
    const uint64_t parts = whole ? 1 : (uint64_t)coll->size;
    coll->reduce_ns = df_net_reduce_ns(sim, coll->data_bytes / parts);
}

/* Numbers the streams: every one takes a number of the rank, those of a group use a number
 * of the group instead (32 bits, wrapping). */
static void number_streams(df_net_sim *sim, uint32_t rank, const df_net_op *op)
{
    df_net_rank *const r = &sim->ranks[rank];
    r->coll.first_id = r->stream_id;
    r->stream_id += r->coll.streams;
    if (op->group >= 0) {
        const df_net_group *const group = &sim->program->groups[op->group];
        uint32_t *const next = &sim->group_ids[group->first_member + (uint64_t)op->position];
        r->coll.first_id = *next;
        *next += r->coll.streams;
    }
    r->coll.first_tree = r->trees[r->coll.kind];
    r->trees[r->coll.kind] += r->coll.streams;
}

static uint32_t tag_of(uint32_t stream_id)
{
    return (uint32_t)((int32_t)stream_id % DF_NET_TAG_BASE + DF_NET_TAG_BASE);
}

static const df_net_machine *machine_of(const df_net_coll *coll)
{
    return coll->algorithm == DF_NET_ALG_BINARY_TREE ? &df_net_tree_machine
                                                     : &df_net_window_machine;
}

static void start_streams(df_net_sim *sim, uint32_t rank)
{
    df_net_rank *const r = &sim->ranks[rank];
    while (r->active < sim->system.active_chunks && r->coll.started < r->coll.streams &&
           sim->status == DF_OK) {
        const uint32_t number = df_net_pool_take(&sim->streams);
        if (number == 0) {
            df_net_fail_memory(sim);
            return;
        }
        const uint32_t i = r->coll.started++;
        df_net_stream *const s = df_net_stream_at(sim, number);
        memset(s, 0, sim->streams.size);
        s->rank = (uint16_t)rank;
        s->tag = tag_of(r->coll.first_id + i);
        s->second_tree = (r->coll.first_tree + i) % 2 == 1;
        s->awaited[0] = s->awaited[1] = DF_NET_NOBODY;
        df_net_stream_enter(sim, number);
        r->active++;
        machine_of(&r->coll)->start(sim, number);
    }
}

void df_net_start_collective(df_net_sim *sim, uint32_t rank, uint32_t node)
{
    const df_net_op *const op = &sim->program->ranks[rank].ops[node];
    const df_net_group *const group = df_net_smaller_group(sim->program, op);
    const df_net_collective kind = (df_net_collective)op->collective;
    const chunks c = cut(&sim->system, sim->program->num_ranks, kind, op->bytes);
    df_net_coll *const coll = &sim->ranks[rank].coll;
    *coll = (df_net_coll){
        .node = node,
        .kind = kind,
        .algorithm = sim->system.algorithm[kind].kind,
        .size = group ? group->count : sim->program->num_ranks,
        .position = group ? op->position : (int32_t)rank,
        .members = group ? group->ranks : NULL,
        .data_bytes = c.bytes,
        .delay_ns = group ? GROUP_DELAY_NS : (uint64_t)sim->system.endpoint_delay_ns,
        .streams = (uint32_t)c.count,
        .left = (uint32_t)c.count,
    };
    set_counts(coll, sim->system.algorithm[kind].window, group != NULL);
    set_reduction(sim, coll);
    number_streams(sim, rank, op);
    start_streams(sim, rank);
}

/* ---- Streams ---- */

void df_net_stream_received(df_net_sim *sim, uint32_t stream)
{
    machine_of(&sim->ranks[df_net_stream_at(sim, stream)->rank].coll)->received(sim, stream);
}

void df_net_stream_bundled(df_net_sim *sim, uint32_t stream)
{
    machine_of(&sim->ranks[df_net_stream_at(sim, stream)->rank].coll)->bundled(sim, stream);
}

void df_net_stream_end(df_net_sim *sim, uint32_t number)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    const uint32_t rank = s->rank;
    df_net_rank *const r = &sim->ranks[rank];
    df_net_stream_leave(sim, number);
    df_net_pool_give(&sim->streams, number);
    if (--r->coll.left == 0) {
        /* This may start the next collective, while this stream still counts as active. */
        df_net_end_node(sim, rank, r->coll.node);
    }
    r->active--;
    start_streams(sim, rank);
}
