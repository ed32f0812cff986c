/* pipeline_sim.c: the event simulation of a pipeline graph.
 *
 * As defined, a simulation keeps one list of ready operations. Whenever an event
 * has finished and released its resource, it goes through the list in order and
 * starts whatever finds its resource free; each start takes the next sequence
 * number, and events finish in the order of (time, sequence number).
 *
 * Two observations make that fast without changing the order:
 * - After such a pass everybody on the list waits for a busy resource. So the
 *   next pass can start at most one old waiter: the first that waits for the
 *   resource just released. It stands before the operations that the event made
 *   ready, which come at the end of the list. A queue for each resource gives
 *   the same starts: first the released resource's first waiter, then the new
 *   operations in order, each if its resource is free.
 * - An operation that takes no time finishes at the time of its start, behind
 *   what is due at that time already and before anything later. These form a
 *   plain queue in the order of their starts; only operations that take time
 *   need a heap. Among equal times the sequence number decides between the two. */
#include <string.h>

#include "base/heap.h"
#include "graph/pipeline_impl.h"

static bool earlier(const df_pipeline_event *a, const df_pipeline_event *b)
{
    return a->time < b->time || (a->time == b->time && a->seq < b->seq);
}

DF_HEAP(heap, df_pipeline_event, earlier)

/* Starts an operation whose resource is its own by now. */
static inline void start(df_pipeline_sim *sim, int32_t op)
{
    const double takes_s = sim->takes_s[sim->graph->ops[op].takes];
    const uint32_t seq = sim->seq++;
    if (takes_s > 0.0) {
        heap_push(sim->buf.heap, &sim->heap_len,
                  (df_pipeline_event){sim->now_s + takes_s, seq, op});
    } else {
        sim->buf.instants[sim->instant_tail++] = (df_pipeline_instant){seq, op};
    }
}

/* Starts a ready operation, or lets it wait for its resource. */
static inline void request(df_pipeline_sim *sim, int32_t op)
{
    df_pipeline_resource *const res = &sim->buf.resources[sim->graph->ops[op].resource];
    if (!res->busy) {
        res->busy = res->exclusive;
        start(sim, op);
        return;
    }
    sim->buf.next[op] = DF_PIPELINE_NOWHERE;
    if (res->head == DF_PIPELINE_NOWHERE) {
        res->head = op;
    } else {
        sim->buf.next[res->tail] = op;
    }
    res->tail = op;
}

/* Sets a resource free, for its first waiter if there is one. */
static inline void release(df_pipeline_sim *sim, int32_t resource)
{
    const int32_t freed = resource == sim->memory ? sim->memory_release : resource;
    df_pipeline_resource *const res = &sim->buf.resources[freed];
    const int32_t op = res->head;
    if (op == DF_PIPELINE_NOWHERE) {
        res->busy = false;
        return;
    }
    res->head = sim->buf.next[op];
    res->busy = true;
    start(sim, op);
}

static inline void finish(df_pipeline_sim *sim, int32_t op)
{
    const df_pipeline_op done = sim->graph->ops[op];
    release(sim, done.resource);
    if (op < sim->graph->num_nodes) {
        for (int32_t edge = done.first; edge < done.first + done.num_edges; edge++) {
            request(sim, edge);
        }
    } else if (done.first != DF_PIPELINE_NOWHERE && --sim->buf.parents[done.first] == 0) {
        request(sim, done.first);
    }
}

void df_pipeline_sim_start(df_pipeline_sim *sim)
{
    for (int32_t i = 0; i <= sim->memory; i++) {
        sim->buf.resources[i] = (df_pipeline_resource){
            .head = DF_PIPELINE_NOWHERE, .tail = DF_PIPELINE_NOWHERE, .exclusive = i < sim->memory};
    }
    memcpy(sim->buf.parents, sim->graph->parents,
           (size_t)sim->graph->num_nodes * sizeof *sim->buf.parents);
    sim->heap_len = 0;
    sim->instant_head = 0;
    sim->instant_tail = 0;
    sim->seq = 0;
    sim->now_s = 0.0;
    request(sim, sim->graph->root);
}

/* The body of df_pipeline_sim_step, for inlining. */
static inline int32_t step(df_pipeline_sim *sim)
{
    const df_pipeline_event *const top = sim->buf.heap;
    const df_pipeline_instant *const instant = &sim->buf.instants[sim->instant_head];
    int32_t op;
    if (sim->instant_head < sim->instant_tail &&
        (sim->heap_len == 0 || top->time > sim->now_s || instant->seq < top->seq)) {
        op = instant->op;
        sim->instant_head++;
    } else if (sim->heap_len > 0) {
        const df_pipeline_event event = heap_pop(sim->buf.heap, &sim->heap_len);
        sim->now_s = event.time;
        op = event.op;
    } else {
        return DF_PIPELINE_NOWHERE;
    }
    finish(sim, op);
    return op;
}

int32_t df_pipeline_sim_step(df_pipeline_sim *sim)
{
    return step(sim);
}

double df_pipeline_sim_finish(const df_pipeline_sim *sim)
{
    /* A copy that no buffer can alias, for the compiler to keep in registers. */
    df_pipeline_sim local = *sim;
    while (step(&local) != DF_PIPELINE_NOWHERE) {
    }
    return local.now_s;
}
