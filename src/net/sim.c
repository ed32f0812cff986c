/* A run, from start to result. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_impl.h"

/* What one simulator may hold by default, so that a short file cannot ask for all memory. */
#define DEFAULT_LIMIT_BYTES (UINT64_C(8) << 30)

const char *df_net_topology_name(df_net_topology topology)
{
    static const char *const names[] = {[DF_NET_RING] = "Ring",
                                        [DF_NET_FULLY_CONNECTED] = "FullyConnected",
                                        [DF_NET_SWITCH] = "Switch"};
    return names[topology];
}

const char *df_net_collective_name(df_net_collective collective)
{
    static const char *const names[] = {[DF_NET_ALL_REDUCE] = "all-reduce",
                                        [DF_NET_ALL_GATHER] = "all-gather",
                                        [DF_NET_REDUCE_SCATTER] = "reduce-scatter",
                                        [DF_NET_ALL_TO_ALL] = "all-to-all",
                                        [DF_NET_BROADCAST] = "broadcast"};
    return names[collective];
}

const char *df_net_algorithm_name(df_net_algorithm_kind algorithm)
{
    static const char *const names[] = {[DF_NET_ALG_RING] = "ring",
                                        [DF_NET_ALG_DIRECT] = "direct",
                                        [DF_NET_ALG_HALVING_DOUBLING] = "halvingDoubling",
                                        [DF_NET_ALG_BINARY_TREE] = "doubleBinaryTree",
                                        [DF_NET_ALG_NONE] = "none"};
    return names[algorithm];
}

void df_net_fail(df_net_sim *sim, df_status status, const char *format, ...)
{
    if (sim->status != DF_OK) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(sim->err.text, sizeof sim->err.text, format, args);
    va_end(args);
    sim->status = status;
}

void df_net_fail_memory(df_net_sim *sim)
{
    df_net_fail(sim, DF_ENOMEM,
                "out of memory for the simulation of the network, after %" PRIu64
                " bytes of at most %" PRIu64
                " (fewer active chunks at once need less; so do messages that are received)",
                sim->memory.bytes, sim->memory.limit_bytes);
}

void df_net_schedule(df_net_sim *sim, uint64_t delay_ns, df_net_event_kind kind, uint32_t what)
{
    if (delay_ns >= DF_NET_TIME_MAX - sim->now_ns) {
        df_net_fail(sim, DF_EINVAL, "the run takes more than 2^62 ns");
    } else if (!df_net_queue_push(&sim->queue, sim->now_ns + delay_ns, kind, what)) {
        df_net_fail_memory(sim);
    }
}

/* ---- Workspace ---- */

df_net_sim *df_net_sim_new(void)
{
    df_net_sim *const sim = calloc(1, sizeof *sim);
    if (!sim) {
        return NULL;
    }
    sim->memory.limit_bytes = DEFAULT_LIMIT_BYTES;
    sim->max_events = UINT64_MAX;
    bool made = df_net_queue_init(&sim->queue, &sim->memory);
    made = df_net_pool_init(&sim->buckets, sizeof(df_net_bucket), &sim->memory) && made;
    made = df_net_pool_init(&sim->dos, sizeof(df_net_do), &sim->memory) && made;
    made = df_net_pool_init(&sim->channels, sizeof(df_net_channel), &sim->memory) && made;
    made = df_net_pool_init(&sim->receipts, sizeof(df_net_receipt), &sim->memory) && made;
    made = df_net_pool_init(&sim->messages, sizeof(df_net_message), &sim->memory) && made;
    made = df_net_pool_init(&sim->streams, sizeof(df_net_stream), &sim->memory) && made;
    made = df_net_pool_init(&sim->links, sizeof(df_net_link), &sim->memory) && made;
    made = df_net_table_init(&sim->bucket_table) && made;
    made = df_net_table_init(&sim->channel_table) && made;
    made = df_net_table_init(&sim->link_table) && made;
    if (!made) {
        df_net_sim_free(sim);
        return NULL;
    }
    return sim;
}

void df_net_sim_free(df_net_sim *sim)
{
    if (!sim) {
        return;
    }
    df_net_queue_fini(&sim->queue);
    df_net_pool_fini(&sim->buckets);
    df_net_pool_fini(&sim->dos);
    df_net_pool_fini(&sim->channels);
    df_net_pool_fini(&sim->receipts);
    df_net_pool_fini(&sim->messages);
    df_net_pool_fini(&sim->streams);
    df_net_pool_fini(&sim->links);
    df_net_table_fini(&sim->bucket_table);
    df_net_table_fini(&sim->channel_table);
    df_net_table_fini(&sim->link_table);
    free(sim->ranks);
    free(sim->parents_left);
    free(sim->ready_items);
    free(sim->op_state);
    free(sim->op_start_ns);
    free(sim->freed);
    free(sim->group_ids);
    free(sim->slots);
    free(sim->cycles_ns);
    free(sim->exposed_ns);
    free(sim->finish_order);
    free(sim);
}

void df_net_sim_observe(df_net_sim *sim, const df_net_observer *observer)
{
    sim->observer = observer ? *observer : (df_net_observer){NULL, NULL, NULL};
}

void df_net_sim_limit(df_net_sim *sim, uint64_t bytes, uint64_t events)
{
    sim->max_events = events;
    sim->memory.limit_bytes = bytes > sim->memory.bytes ? bytes : sim->memory.bytes;
}

/* Replaces an array by one of count items; its content is lost. */
static bool replace(void **items, uint64_t count, size_t size)
{
    free(*items);
    *items = calloc(count > 0 ? count : 1, size);
    return *items != NULL;
}

static bool make_room(df_net_sim *sim)
{
    const df_net_program *const p = sim->program;
    bool made = true;
    if (p->num_ranks > sim->ranks_room) {
        const uint64_t n = (uint64_t)p->num_ranks;
        made = replace((void **)&sim->ranks, n, sizeof *sim->ranks) &&
               replace((void **)&sim->cycles_ns, n, sizeof *sim->cycles_ns) &&
               replace((void **)&sim->exposed_ns, n, sizeof *sim->exposed_ns) &&
               replace((void **)&sim->finish_order, n, sizeof *sim->finish_order);
        sim->ranks_room = made ? p->num_ranks : 0;
    }
    if (made && p->num_ops > sim->ops_room) {
        made = replace((void **)&sim->parents_left, p->num_ops, sizeof *sim->parents_left) &&
               replace((void **)&sim->ready_items, p->num_ops, sizeof *sim->ready_items) &&
               replace((void **)&sim->op_state, p->num_ops, sizeof *sim->op_state);
        sim->ops_room = made ? p->num_ops : 0;
    }
    if (made && p->max_ops > sim->freed_room) {
        made = replace((void **)&sim->freed, p->max_ops, sizeof *sim->freed);
        sim->freed_room = made ? p->max_ops : 0;
    }
    if (made && p->num_members > sim->members_room) {
        made = replace((void **)&sim->group_ids, p->num_members, sizeof *sim->group_ids);
        sim->members_room = made ? p->num_members : 0;
    }
    if (made && sim->observer.node && p->num_ops > sim->starts_room) {
        made = replace((void **)&sim->op_start_ns, p->num_ops, sizeof *sim->op_start_ns);
        sim->starts_room = made ? p->num_ops : 0;
    }
    const size_t words = ((size_t)sim->widest_direct + 63) / 64;
    const size_t stream_bytes = sizeof(df_net_stream) + words * sizeof(uint64_t);
    return made && df_net_links_prepare(sim) && df_net_slots_prepare(sim) &&
           df_net_pool_resize(&sim->streams, stream_bytes);
}

/* ---- Checks ---- */

static df_status check_network(const df_net_network *network, df_err *err)
{
    const int32_t least = network->topology == DF_NET_RING ? 3 : 2;
    if (network->ranks < least) {
        return df_fail(err, DF_EINVAL, "network: expected at least %d ranks on a %s, found %d",
                       (int)least, df_net_topology_name(network->topology), (int)network->ranks);
    }
    if (!(network->bandwidth_gib_ps > 0) || !isfinite(network->bandwidth_gib_ps)) {
        return df_fail(err, DF_EINVAL, "network: expected a bandwidth > 0, found %g",
                       network->bandwidth_gib_ps);
    }
    if (!(network->latency_ns >= 0) || !isfinite(network->latency_ns)) {
        return df_fail(err, DF_EINVAL, "network: expected a latency >= 0, found %g",
                       network->latency_ns);
    }
    return DF_OK;
}

static df_status check_system(const df_net_system *system, df_err *err)
{
    if (system->splits < 1 || system->active_chunks < 1) {
        return df_fail(err, DF_EINVAL,
                       "system: expected splits and active chunks >= 1, found %d and %d",
                       (int)system->splits, (int)system->active_chunks);
    }
    if (system->endpoint_delay_ns < 0) {
        return df_fail(err, DF_EINVAL, "system: expected an endpoint delay >= 0, found %" PRId64,
                       system->endpoint_delay_ns);
    }
    if (!(system->local_mem_gb_ps >= 0) || !isfinite(system->local_mem_gb_ps)) {
        return df_fail(err, DF_EINVAL, "system: expected a memory bandwidth >= 0, found %g",
                       system->local_mem_gb_ps);
    }
    return DF_OK;
}

static void widen_direct(df_net_sim *sim, const df_net_op *op)
{
    if (op->collective != DF_NET_BROADCAST &&
        sim->system.algorithm[op->collective].kind == DF_NET_ALG_DIRECT) {
        const df_net_group *const group = df_net_smaller_group(sim->program, op);
        const int32_t size = group ? group->count : sim->program->num_ranks;
        sim->widest_direct = size > sim->widest_direct ? size : sim->widest_direct;
    }
}

static df_status check_op(df_net_sim *sim, int32_t rank, const df_net_op *op, df_err *err)
{
    if (op->timing == DF_NET_REPLAYED) {
        return DF_OK;
    }
    if (op->type == DF_NET_COMM) {
        widen_direct(sim, op);
        return df_net_check_collective(&sim->system, sim->program, op, err);
    }
    const bool message = op->type == DF_NET_SEND || op->type == DF_NET_RECEIVE;
    if (message && op->peer == rank && sim->network.topology != DF_NET_SWITCH) {
        return df_fail(err, DF_EINVAL,
                       "expected a peer other than the rank itself, found the rank itself");
    }
    return DF_OK;
}

/* Also notes how many members direct collectives have. */
static df_status check_ops(df_net_sim *sim, df_err *err)
{
    sim->widest_direct = 0;
    for (int32_t rank = 0; rank < sim->program->num_ranks; rank++) {
        const df_net_rank_program *const p = &sim->program->ranks[rank];
        for (uint32_t i = 0; i < p->num_ops; i++) {
            df_err cause;
            const df_status status = check_op(sim, rank, &p->ops[i], &cause);
            if (status != DF_OK) {
                return df_fail(err, status, "rank %d: node %" PRIu64 ": %s", (int)rank,
                               p->ops[i].id, cause.text);
            }
        }
    }
    return DF_OK;
}

/* ---- Run ---- */

static void reset_rank(df_net_sim *sim, int32_t rank)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    df_net_rank *const r = &sim->ranks[rank];
    uint32_t *items = &sim->ready_items[p->first_op];
    memset(r, 0, sizeof *r);
    for (int unit = 0; unit < DF_UNITS; unit++) {
        r->ready[unit].items = items;
        items += p->unit_ops[unit];
    }
    for (uint32_t i = 0; i < p->num_ops; i++) {
        sim->parents_left[p->first_op + i] = p->ops[i].num_parents;
    }
}

/* A group counts its streams from a million times its id, in 32 bits. */
static void reset_groups(df_net_sim *sim)
{
    for (uint32_t i = 0; i < sim->program->num_groups; i++) {
        const df_net_group *const group = &sim->program->groups[i];
        for (int32_t k = 0; k < group->count; k++) {
            sim->group_ids[group->first_member + (uint64_t)k] = (uint32_t)group->id * 1000000U;
        }
    }
}

static void reset(df_net_sim *sim)
{
    df_net_queue_clear(&sim->queue);
    df_net_pool_clear(&sim->buckets);
    df_net_pool_clear(&sim->dos);
    df_net_pool_clear(&sim->channels);
    df_net_pool_clear(&sim->receipts);
    df_net_pool_clear(&sim->messages);
    df_net_table_clear(&sim->bucket_table);
    df_net_table_clear(&sim->channel_table);
    memset(sim->op_state, DF_OP_WAITS, sim->program->num_ops);
    sim->times = (df_net_times){0, 0, 0};
    sim->now_ns = 0;
    sim->finished = 0;
    sim->events = 0;
    for (int32_t rank = 0; rank < sim->program->num_ranks; rank++) {
        reset_rank(sim, rank);
    }
    reset_groups(sim);
}

static void dispatch(df_net_sim *sim, df_net_event_kind kind, uint32_t what)
{
    switch (kind) {
    case DF_EVENT_ARRIVAL:
        df_net_arrive(sim, what);
        break;
    case DF_EVENT_LINK_FREE:
        df_net_link_free(sim, what);
        break;
    case DF_EVENT_BUCKET:
        df_net_run_bucket(sim, what);
        break;
    case DF_EVENT_RECEIVED:
        df_net_received(sim, what);
        break;
    }
}

static void run_events(df_net_sim *sim)
{
    uint32_t kind;
    uint32_t what;
    for (int32_t rank = 0; rank < sim->program->num_ranks; rank++) {
        df_net_start_rank(sim, (uint32_t)rank);
    }
    while (sim->status == DF_OK && df_net_queue_pop(&sim->queue, &sim->now_ns, &kind, &what)) {
        if (sim->events == sim->max_events) {
            df_net_fail(sim, DF_ERUNTIME, "the run takes more than %" PRIu64 " events",
                        sim->max_events);
            return;
        }
        sim->events++;
        dispatch(sim, (df_net_event_kind)kind, what);
    }
    if (sim->status == DF_OK && !df_net_queue_empty(&sim->queue)) {
        df_net_fail_memory(sim);
    }
}

/* ---- Result ---- */

static uint64_t topology_links(const df_net_network *network)
{
    const uint64_t n = (uint64_t)network->ranks;
    return network->topology == DF_NET_FULLY_CONNECTED ? n * (n - 1) : 2 * n;
}

static void fill_result(const df_net_sim *sim, df_net_result *result)
{
    result->ranks = sim->program->num_ranks;
    result->max_ns = sim->cycles_ns[sim->finish_order[sim->finished - 1]];
    result->events = sim->events;
    result->cycles_ns = sim->cycles_ns;
    result->exposed_ns = sim->exposed_ns;
    result->finish_order = sim->finish_order;
    result->links = topology_links(&sim->network);
    result->links_made = df_net_links_made(sim);
}

uint32_t df_net_links_made(const df_net_sim *sim)
{
    return sim->links.count - 1;
}

df_net_link_use df_net_link_used(const df_net_sim *sim, uint32_t number)
{
    return df_net_link_at(sim, number + 1)->use;
}

df_status df_net_run(df_net_sim *sim,
                     const df_net_program *program,
                     const df_net_network *network,
                     const df_net_system *system,
                     df_net_result *result,
                     df_err *err)
{
    DF_TRY(check_network(network, err));
    DF_TRY(check_system(system, err));
    if (!program->sealed || program->num_ranks != network->ranks) {
        return df_fail(err, DF_EINVAL, "expected a finished program of %d ranks, found %d ranks",
                       (int)network->ranks, (int)program->num_ranks);
    }
    sim->program = program;
    sim->network = *network;
    sim->system = *system;
    /* The order of operations is AstraSim's, so that the last digit is too. */
    sim->bytes_per_ns = network->bandwidth_gib_ps * 1073741824.0 / 1e9;
    sim->status = DF_OK;
    DF_TRY(check_ops(sim, err));
    if (!make_room(sim)) {
        return df_fail(err, DF_ENOMEM, "out of memory for the simulation of the network");
    }
    reset(sim);
    run_events(sim);
    if (sim->status == DF_OK && sim->finished < program->num_ranks) {
        df_net_fail_stuck(sim);
    }
    if (sim->status != DF_OK) {
        return df_fail(err, sim->status, "%s", sim->err.text);
    }
    fill_result(sim, result);
    return DF_OK;
}
