/* The nodes of one rank: those that are ready are issued in the order of their ids, to units that
 * are free. */
#include "net/net_impl.h"

/* ---- Ready nodes ---- */

static void push(df_net_ready *ready, uint32_t node)
{
    uint32_t at = ready->count++;
    while (at > 0 && node < ready->items[(at - 1) / 2]) {
        ready->items[at] = ready->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    ready->items[at] = node;
}

static uint32_t pop(df_net_ready *ready)
{
    const uint32_t first = ready->items[0];
    const uint32_t last = ready->items[--ready->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < ready->count && ready->items[child + 1] < ready->items[child]) {
            child++;
        }
        if (child >= ready->count || ready->items[child] > last) {
            break;
        }
        ready->items[at] = ready->items[child];
        at = child;
    }
    ready->items[at] = last;
    return first;
}

static void make_ready(df_net_sim *sim, uint32_t rank, uint32_t node)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    sim->op_state[p->first_op + node] = DF_OP_READY;
    push(&sim->ranks[rank].ready[p->ops[node].unit], node);
}

/* Takes the lowest ready node whose unit is free; false when there is none. */
static bool take_ready(df_net_rank *r, uint32_t *node)
{
    int best = -1;
    for (int unit = 0; unit < DF_UNITS; unit++) {
        const df_net_ready *const ready = &r->ready[unit];
        if (ready->count > 0 && !r->busy[unit] &&
            (best < 0 || ready->items[0] < r->ready[best].items[0])) {
            best = unit;
        }
    }
    if (best < 0) {
        return false;
    }
    *node = pop(&r->ready[best]);
    return true;
}

/* ---- Issue ---- */

static uint64_t duration_of(const df_net_op *op)
{
    return op->duration_ns > 0 || op->timing == DF_NET_MODELLED ? op->duration_ns : 1;
}

static bool is_mark(const df_net_op *op)
{
    return op->type == DF_NET_MARK && op->timing != DF_NET_REPLAYED;
}

/* AstraSim counts whatever it replays off the CPU as computing of the GPU. */
static bool counts_as_gpu(const df_net_op *op)
{
    return op->unit == DF_UNIT_GPU || (op->timing == DF_NET_REPLAYED && op->unit != DF_UNIT_CPU);
}

/* The node lasts its duration. */
static void issue_delay(df_net_sim *sim, uint32_t rank, uint32_t node, const df_net_op *op)
{
    if (counts_as_gpu(op)) {
        sim->ranks[rank].gpu_ns += duration_of(op);
    }
    df_net_do_later(sim, rank, duration_of(op), DF_DO_END_NODE, node);
}

/* Tags of messages and of collectives keep apart. */
static uint32_t message_tag(const df_net_op *op)
{
    return op->tag % DF_NET_TAG_BASE;
}

static void issue_send(df_net_sim *sim, uint32_t rank, uint32_t node, const df_net_op *op)
{
    const df_net_key key = {op->bytes, message_tag(op), (uint16_t)rank, (uint16_t)op->peer};
    df_net_send(sim, key, node, 0);
}

static void issue_receive(df_net_sim *sim, uint32_t rank, uint32_t node, const df_net_op *op)
{
    const df_net_key key = {op->bytes, message_tag(op), (uint16_t)op->peer, (uint16_t)rank};
    df_net_receive(sim, key, node);
}

/* Counts a node off its children. Those that become ready are noted behind `freed`. */
static uint32_t
count_off(df_net_sim *sim, uint32_t rank, const df_net_op *op, uint32_t *freed, uint32_t count)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    uint32_t *const parents_left = &sim->parents_left[p->first_op];
    for (uint32_t i = 0; i < op->num_children; i++) {
        const uint32_t child = p->children[op->first_child + i];
        if (--parents_left[child] > 0) {
            continue;
        }
        if (freed) {
            freed[count++] = child;
        } else {
            make_ready(sim, rank, child);
        }
    }
    return count;
}

/* Issues a node that is no mark. */
static void issue(df_net_sim *sim, uint32_t rank, uint32_t node)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    const df_net_op *const op = &p->ops[node];
    df_net_rank *const r = &sim->ranks[rank];
    sim->op_state[p->first_op + node] = DF_OP_RUNS;
    if (op->num_children > 0) {
        __builtin_prefetch(&p->children[op->first_child]); /* long before they are counted off */
    }
    if (sim->observer.node) {
        sim->op_start_ns[p->first_op + node] = sim->now_ns;
    }
    r->running++;
    r->busy[op->unit] = op->unit != DF_UNIT_NONE;
    const bool simulated = op->timing != DF_NET_REPLAYED;
    if (simulated && op->type == DF_NET_SEND) {
        issue_send(sim, rank, node, op);
    } else if (simulated && op->type == DF_NET_RECEIVE) {
        issue_receive(sim, rank, node, op);
    } else if (simulated && op->type == DF_NET_COMM && op->collective != DF_NET_BROADCAST) {
        df_net_start_collective(sim, rank, node);
    } else {
        issue_delay(sim, rank, node, op);
    }
}

/* One pass over the nodes that are ready now. Those that marks set free wait for the next pass. */
static void issue_ready(df_net_sim *sim, uint32_t rank)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    uint32_t freed = 0;
    uint32_t node;
    while (sim->status == DF_OK && take_ready(&sim->ranks[rank], &node)) {
        if (is_mark(&p->ops[node])) {
            sim->op_state[p->first_op + node] = DF_OP_DONE;
            freed = count_off(sim, rank, &p->ops[node], sim->freed, freed);
        } else {
            issue(sim, rank, node);
        }
    }
    for (uint32_t i = 0; i < freed; i++) {
        make_ready(sim, rank, sim->freed[i]);
    }
}

/* ---- Start and end ---- */

static void observe_node(df_net_sim *sim, uint32_t rank, uint32_t node)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    const df_net_op *const op = &p->ops[node];
    const df_net_span span = {
        .rank = (int32_t)rank,
        .start_ns = sim->op_start_ns[p->first_op + node],
        .end_ns = sim->now_ns,
        .node = {.id = op->id,
                 .type = (df_net_node_type)op->type,
                 .collective = (df_net_collective)op->collective,
                 .on_cpu = op->unit == DF_UNIT_CPU,
                 .timing = (df_net_timing)op->timing,
                 .duration_ns = op->duration_ns,
                 .bytes = op->bytes,
                 .peer = op->peer,
                 .tag = op->tag,
                 .group = op->group < 0 ? 0 : sim->program->groups[op->group].id,
                 .label = op->label},
    };
    sim->observer.node(sim->observer.context, &span);
}

static void end_rank_if_idle(df_net_sim *sim, uint32_t rank)
{
    df_net_rank *const r = &sim->ranks[rank];
    if (r->done || r->running > 0) {
        return;
    }
    for (int unit = 0; unit < DF_UNITS; unit++) {
        if (r->ready[unit].count > 0) {
            return;
        }
    }
    r->done = true;
    sim->cycles_ns[rank] = sim->now_ns;
    sim->exposed_ns[rank] = sim->now_ns > r->gpu_ns ? sim->now_ns - r->gpu_ns : 0;
    sim->finish_order[sim->finished++] = (int32_t)rank;
}

void df_net_start_rank(df_net_sim *sim, uint32_t rank)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    for (uint32_t i = 0; i < p->num_ops; i++) {
        if (p->ops[i].num_parents == 0) {
            make_ready(sim, rank, i);
        }
    }
    issue_ready(sim, rank);
    end_rank_if_idle(sim, rank);
}

void df_net_end_node(df_net_sim *sim, uint32_t rank, uint32_t node)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    const df_net_op *const op = &p->ops[node];
    df_net_rank *const r = &sim->ranks[rank];
    sim->op_state[p->first_op + node] = DF_OP_DONE;
    if (sim->observer.node) {
        observe_node(sim, rank, node);
    }
    r->busy[op->unit] = false;
    r->running--;
    (void)count_off(sim, rank, op, NULL, 0);
    issue_ready(sim, rank);
    end_rank_if_idle(sim, rank);
}
