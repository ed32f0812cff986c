/* The pipeline graph is a grid of nodes: a row for the embedding, one for each layer, and one for
 * the softmax; a column for each time step. It is kept as an array of operations, the nodes row by
 * row and then the edges, grouped by the node that they start from:
 *
 *     ops: [node 0][node 1]...[node n-1][edges of a node][edges of the next]...
 *
 * Every edge starts from one node and leads to one node, or to none (reductions). Every operation
 * occupies one resource for one duration. Resources are the devices 0..lp-1, the links lp..3lp-2,
 * and the memory 3lp-1, which takes any number of edges at a time. */
#include "graph/pipeline.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/heap.h"

/* Bounds of what is built: a cell takes about 120 bytes, and the number of a resource must fit op.
 */
enum { MAX_CELLS = 10 * 1000 * 1000, MAX_LP = UINT16_MAX / 3 };

enum { NOWHERE = -1 };

/* Which duration an operation takes. The reductions come in the order of what they reduce. */
typedef enum {
    NOTHING,
    HOP,   /* between the embedding and a cell, or a cell and the softmax */
    CROSS, /* between layers on different devices */
    EMBEDDING,
    CELL,
    SOFTMAX,
    REDUCE_EMBEDDING,
    REDUCE_CELL,
    REDUCE_SOFTMAX,
    DURATIONS
} duration;

typedef struct {
    int32_t
        first; /* for a node, its first edge; for an edge, the node to which it leads, or NOWHERE */
    uint16_t resource;
    uint8_t takes;     /* duration */
    uint8_t num_edges; /* number of edges of a node */
} op;

typedef struct {
    int32_t num_nodes, num_ops;
    int32_t root;
    op *ops;           /* [num_ops] */
    uint16_t *parents; /* [num_nodes]: edges that lead to each node */
} graph;

/* An operation that started and finishes at end_s; seq counts the starts. */
typedef struct {
    double end_s;
    uint32_t seq;
    int32_t op;
} event;

typedef struct {
    uint32_t seq;
    int32_t op;
} instant;

/* A device, a link, or the memory. Waiting operations form a list. */
typedef struct {
    int32_t head, tail; /* head NOWHERE: nothing waits */
    bool busy;          /* never the memory */
} resource;

/* A simulation under way. */
typedef struct {
    const op *ops;
    int32_t num_nodes;
    int32_t memory;        /* number of the memory resource */
    bool frees_last_link;  /* the end of a memory edge sets the last link free */
    const double *takes_s; /* [DURATIONS] */
    event *heap;           /* running operations that take time */
    instant *instants;     /* [num_ops]: operations that take none, as they started */
    uint16_t *parents;     /* [num_nodes]: parents that have yet to finish */
    int32_t *next;         /* [num_ops]: the operation that waits behind this one */
    resource *resources;   /* [memory + 1] */
    int32_t heap_len;
    int32_t instant_head, instant_tail;
    uint32_t seq;
    double now_s;
} simulation;

/* When a reduction on a single device may start: how many operations of each kind have finished by
 * then. That does not depend on their durations as long as these are positive, because the device
 * runs what became ready first. */
typedef struct {
    double embeddings, cells, softmaxes;
} ready_after;

struct df_pipeline {
    df_pipeline_shape shape; /* seq_len 0: nothing is built */
    df_arena arena;          /* memory of everything that follows */
    graph forward, backward;
    simulation fresh; /* with room for either graph */
    /* [num_layers + 2], filled for lp = 1: softmax, last cell, .., embedding */
    ready_after *reductions;
};

/* ---- Building ---- */

/* A shape with what follows from it, and the graph that is filled. The backward graph leads from
 * the last node to the first. */
typedef struct {
    int32_t steps, layers, lp;
    int32_t layers_per_device;
    bool two_stages; /* lp = 2 with two devices that hold cells */
    bool backward;
    graph *graph;
} builder;

/* A node of a row. Cells follow the embedding's device and precede the softmax's; where stages are
 * too few for that they share those devices. */
static op node_of(const builder *b, int32_t row)
{
    if (row == 0) {
        return (op){.resource = 0, .takes = EMBEDDING};
    }
    if (row > b->layers) {
        return (op){.resource = (uint16_t)(b->lp - 1), .takes = SOFTMAX};
    }
    const int32_t group = (row - 1) / b->layers_per_device;
    const int32_t device = b->lp == 1 || b->two_stages ? group : group + 1;
    return (op){.resource = (uint16_t)device, .takes = CELL};
}

/* Through memory; with no duration the edge only orders operations. */
static op local_edge(const builder *b, duration takes)
{
    return (op){.resource = (uint16_t)(3 * b->lp - 1), .takes = (uint8_t)takes};
}

static op link_edge(const builder *b, int32_t link, duration takes)
{
    return (op){.resource = (uint16_t)(b->lp + link), .takes = (uint8_t)takes};
}

/* The hops between a row and the one above, in either direction. Rows on one device need no link. A
 * hop takes its duration even on a single device; and on two devices with one layer, both hops
 * share the only link. */
static op edge_above(const builder *b, int32_t row)
{
    const int32_t device = node_of(b, row).resource;
    const bool hop = row == 0 || row == b->layers;
    if (hop ? b->two_stages : device == node_of(b, row + 1).resource) {
        return local_edge(b, NOTHING);
    }
    if (b->lp == 1) {
        return local_edge(b, HOP);
    }
    return link_edge(b, device < b->lp - 1 ? device : b->lp - 2, hop ? HOP : CROSS);
}

/* Each device reduces its gradients on a link of its own, behind those of the pipeline. */
static op reduction_of(const builder *b, op node)
{
    return link_edge(b, b->lp - 1 + node.resource, node.takes + (REDUCE_CELL - CELL));
}

static void add_edge(graph *g, op edge, int32_t to)
{
    edge.first = to;
    g->ops[g->num_ops++] = edge;
    if (to != NOWHERE) {
        g->parents[to]++;
    }
}

/* The order of a node's edges decides ties; it is the Python DeepFlow's. In the first row: to the
 * next row, then to the next step. In the others: to the next step, to the next row, then the edge
 * that lets the row before go on first, if it is on the same device. */
static void add_row(const builder *b, int32_t row)
{
    graph *const g = b->graph;
    const int32_t ahead = b->backward ? -1 : 1;
    const int32_t row_ahead = ahead * b->steps; /* counted in nodes */
    const int32_t first_row = b->backward ? b->layers + 1 : 0;
    const bool is_last = row == b->layers + 1 - first_row;
    const bool inner = row != first_row && !is_last;
    const bool leads = inner && row - ahead != first_row &&
                       node_of(b, row - ahead).resource == node_of(b, row).resource;
    const op order = local_edge(b, NOTHING);
    const op onward = is_last ? order : edge_above(b, b->backward ? row - 1 : row);
    op node = node_of(b, row);
    for (int32_t i = 0; i < b->steps; i++) {
        const bool last_step = i == b->steps - 1;
        const int32_t at = row * b->steps + (b->backward ? b->steps - 1 - i : i);
        node.first = g->num_ops;
        if (row == first_row) {
            add_edge(g, onward, at + row_ahead);
        }
        if (!is_last && !last_step) {
            add_edge(g, order, at + ahead);
        }
        if (inner) {
            add_edge(g, onward, at + row_ahead);
        }
        if (leads && !last_step) {
            add_edge(g, order, at - row_ahead + ahead);
        }
        if (b->backward && last_step) {
            add_edge(g, reduction_of(b, node), NOWHERE);
        }
        node.num_edges = (uint8_t)(g->num_ops - node.first);
        g->ops[at] = node;
    }
}

static void build_graph(const builder *b)
{
    graph *const g = b->graph;
    const int32_t rows = b->layers + 2;
    g->num_nodes = rows * b->steps;
    g->num_ops = g->num_nodes;
    g->root = b->backward ? g->num_nodes - 1 : 0;
    for (int32_t i = 0; i < rows; i++) {
        add_row(b, b->backward ? rows - 1 - i : i);
    }
}

static void build_graphs(df_pipeline *pipe)
{
    const int32_t layers = (int32_t)pipe->shape.num_layers;
    const int32_t lp = (int32_t)pipe->shape.lp;
    const int32_t holders = lp > 2 ? lp - 2 : lp; /* devices that hold cells */
    builder b = {.steps = (int32_t)pipe->shape.seq_len,
                 .layers = layers,
                 .lp = lp,
                 .layers_per_device = (layers + holders - 1) / holders,
                 .two_stages = lp == 2 && layers > 1,
                 .graph = &pipe->forward};
    build_graph(&b);
    b.backward = true;
    b.graph = &pipe->backward;
    build_graph(&b);
}

/* Takes memory for a shape: every cell has at most three edges, the first row has two at each
 * step, and there is one reduction for each layer and two more. At most these operations that take
 * time run at once: one on each device and link, the reductions (memory edges may free their link
 * early), and on a single device the hops, which go through memory there. */
static bool reserve(df_pipeline *pipe, const df_pipeline_shape *shape)
{
    df_arena *const arena = &pipe->arena;
    simulation *const sim = &pipe->fresh;
    const size_t steps = (size_t)shape->seq_len;
    const size_t rows = (size_t)shape->num_layers + 2;
    const size_t resources = 3 * (size_t)shape->lp;
    const size_t nodes = steps * rows;
    const size_t ops = nodes + 3 * (nodes - 2 * steps) + 2 * steps + rows;
    pipe->forward.ops = df_arena_take(arena, ops, sizeof(op));
    pipe->forward.parents = df_arena_take(arena, nodes, sizeof(uint16_t));
    pipe->backward.ops = df_arena_take(arena, ops, sizeof(op));
    pipe->backward.parents = df_arena_take(arena, nodes, sizeof(uint16_t));
    pipe->reductions = df_arena_take(arena, rows, sizeof(ready_after));
    sim->heap = df_arena_take(arena, resources + rows + 2 * steps, sizeof(event));
    sim->instants = df_arena_take(arena, ops, sizeof(instant));
    sim->parents = df_arena_take(arena, nodes, sizeof(uint16_t));
    sim->next = df_arena_take(arena, ops, sizeof(int32_t));
    sim->resources = df_arena_take(arena, resources, sizeof(resource));
    return !arena->failed;
}

/* ---- Simulation ----
 *
 * By definition, the simulation keeps one list of ready operations. Whenever an event has finished
 * and released its resource, it goes through the list in order and starts whatever finds its
 * resource free; each start takes the next sequence number, and events finish in the order of
 * (time, sequence number).
 *
 * Two observations make that fast without changing the order:
 * - After such a pass, every operation on the list waits for a busy resource. So the next pass can
 * start at most one old waiter: the first that waits for the resource just released. It stands
 * before the operations that the event made ready, which come at the end of the list. A queue for
 * each resource gives the same starts: first the released resource's first waiter, then the new
 *   operations in order, each if its resource is free.
 * - An operation that takes no time finishes at the time of its start, behind what is due at that
 *   time already and before anything later. These form a plain queue in the order of their starts;
 *   only operations that take time need a heap. Among equal times the sequence number decides
 *   between the two. */

static bool earlier(const event *a, const event *b)
{
    return a->end_s < b->end_s || (a->end_s == b->end_s && a->seq < b->seq);
}

DF_HEAP(heap, event, earlier)

/* Starts an operation that has its resource. */
static inline void start(simulation *sim, int32_t number)
{
    const double takes_s = sim->takes_s[sim->ops[number].takes];
    const uint32_t seq = sim->seq++;
    if (takes_s > 0.0) {
        heap_push(sim->heap, &sim->heap_len, (event){sim->now_s + takes_s, seq, number});
    } else {
        sim->instants[sim->instant_tail++] = (instant){seq, number};
    }
}

/* Starts a ready operation, or lets it wait for its resource. */
static inline void request(simulation *sim, int32_t number)
{
    const int32_t on = sim->ops[number].resource;
    resource *const res = &sim->resources[on];
    if (on == sim->memory || !res->busy) {
        res->busy = true;
        start(sim, number);
        return;
    }
    sim->next[number] = NOWHERE;
    if (res->head == NOWHERE) {
        res->head = number;
    } else {
        sim->next[res->tail] = number;
    }
    res->tail = number;
}

/* Sets a resource free, for its first waiter if there is one. */
static inline void release(simulation *sim, int32_t number)
{
    resource *const res = &sim->resources[number];
    const int32_t waiter = res->head;
    if (waiter == NOWHERE) {
        res->busy = false;
        return;
    }
    res->head = sim->next[waiter];
    res->busy = true;
    start(sim, waiter);
}

static inline void finish(simulation *sim, int32_t number)
{
    const op done = sim->ops[number];
    if (done.resource != sim->memory) {
        release(sim, done.resource);
    } else if (sim->frees_last_link) {
        release(sim, sim->memory - 1);
    }
    if (number < sim->num_nodes) {
        for (int32_t edge = done.first; edge < done.first + done.num_edges; edge++) {
            request(sim, edge);
        }
    } else if (done.first != NOWHERE && --sim->parents[done.first] == 0) {
        request(sim, done.first);
    }
}

/* Finishes the next operation and starts what can start then. Returns its number, or NOWHERE when
 * all is done. */
static inline int32_t advance(simulation *sim)
{
    const event *const top = sim->heap;
    const instant *const now = &sim->instants[sim->instant_head];
    int32_t number;
    if (sim->instant_head < sim->instant_tail &&
        (sim->heap_len == 0 || top->end_s > sim->now_s || now->seq < top->seq)) {
        number = now->op;
        sim->instant_head++;
    } else if (sim->heap_len > 0) {
        const event ended = heap_pop(sim->heap, &sim->heap_len);
        sim->now_s = ended.end_s;
        number = ended.op;
    } else {
        return NOWHERE;
    }
    finish(sim, number);
    return number;
}

/* Sets a simulation to time 0 and starts the root. */
static void begin(simulation *sim,
                  const df_pipeline *pipe,
                  const graph *g,
                  const double takes_s[DURATIONS],
                  bool frees_last_link)
{
    *sim = pipe->fresh;
    sim->ops = g->ops;
    sim->num_nodes = g->num_nodes;
    sim->memory = 3 * (int32_t)pipe->shape.lp - 1;
    sim->frees_last_link = frees_last_link;
    sim->takes_s = takes_s;
    for (int32_t i = 0; i <= sim->memory; i++) {
        sim->resources[i] = (resource){.head = NOWHERE};
    }
    memcpy(sim->parents, g->parents, (size_t)g->num_nodes * sizeof *g->parents);
    request(sim, g->root);
}

/* Returns the time of the last event. */
static double end_s(const simulation *begun)
{
    simulation sim = *begun; /* a copy that no buffer can alias, to be kept in registers */
    while (advance(&sim) != NOWHERE) {
    }
    return sim.now_s;
}

static double simulated_forward_s(const df_pipeline *pipe, const df_pipeline_times *times)
{
    const double takes_s[DURATIONS] = {[HOP] = times->tf,
                                       [CROSS] = times->tf,
                                       [EMBEDDING] = times->ef,
                                       [CELL] = times->cf,
                                       [SOFTMAX] = times->sf};
    simulation sim;
    begin(&sim, pipe, &pipe->forward, takes_s, false);
    return end_s(&sim);
}

/* The hops take tf in both directions, as in the Python DeepFlow (where tf = tb); only the cross
 * edges take tb. */
static double
simulated_backward_s(const df_pipeline *pipe, const df_pipeline_times *times, bool frees_last_link)
{
    const double takes_s[DURATIONS] = {
        [HOP] = times->tf,         [CROSS] = times->tb,         [EMBEDDING] = times->eb,
        [CELL] = times->cb,        [SOFTMAX] = times->sb,       [REDUCE_EMBEDDING] = times->re,
        [REDUCE_CELL] = times->rc, [REDUCE_SOFTMAX] = times->rs};
    simulation sim;
    begin(&sim, pipe, &pipe->backward, takes_s, frees_last_link);
    return end_s(&sim);
}

/* ---- One device ---- */

/* Simulates the backward pass with durations of 1 and notes what has finished when the parents of
 * the reductions finish. These follow from each other (softmax, last cell, .., first cell,
 * embedding), so that is their order. */
static void note_reductions(const df_pipeline *pipe)
{
    static const double takes_s[DURATIONS] = {[EMBEDDING] = 1.0, [CELL] = 1.0, [SOFTMAX] = 1.0};
    simulation sim;
    begin(&sim, pipe, &pipe->backward, takes_s, false);
    ready_after done = {0};
    ready_after *note = pipe->reductions;
    for (int32_t number; (number = advance(&sim)) != NOWHERE;) {
        const duration kind = pipe->backward.ops[number].takes;
        done.embeddings += kind == EMBEDDING;
        done.cells += kind == CELL;
        done.softmaxes += kind == SOFTMAX;
        if (number < pipe->backward.num_nodes && number % pipe->shape.seq_len == 0) {
            *note++ = done;
        }
    }
}

/* The pass without reductions: the one device never idles, since hops take no time and each node
 * makes another one ready. */
static double one_device_s(const df_pipeline_shape *shape, double e_s, double c_s, double x_s)
{
    const double steps = (double)shape->seq_len;
    return steps * e_s + steps * (double)shape->num_layers * c_s + steps * x_s;
}

/* The reductions share the one link, in order. Where memory edges free it they all overlap: each
 * but the last has a memory edge for a sibling, which frees the link at the moment at which the
 * reduction takes it. */
static double
one_device_backward_s(const df_pipeline *pipe, const df_pipeline_times *times, bool frees_last_link)
{
    const int64_t layers = pipe->shape.num_layers;
    double end_s = one_device_s(&pipe->shape, times->eb, times->cb, times->sb);
    if (isinf(end_s)) { /* counts of 0 below would make it NaN */
        return end_s;
    }
    double link_s = 0.0;
    for (int64_t r = 0; r < layers + 2; r++) {
        const ready_after *after = &pipe->reductions[r];
        const double ready_s =
            after->embeddings * times->eb + after->cells * times->cb + after->softmaxes * times->sb;
        const double takes_s = r == 0 ? times->rs : r == layers + 1 ? times->re : times->rc;
        link_s = (frees_last_link ? ready_s : fmax(ready_s, link_s)) + takes_s;
        end_s = fmax(end_s, link_s);
    }
    return end_s;
}

/* ---- One layer on a device ----
 *
 * With a device for each layer, the embedding and the softmax, every device and every link passes
 * the time steps on in one order: a flow shop in which each stage takes the same time for all
 * steps. There the last step leaves the last stage after the sum of all stages plus (steps - 1)
 * times the slowest one. */

/* sum_s over the stages passed, slowest_s among them. */
static double last_step_s(const df_pipeline_shape *shape, double sum_s, double slowest_s)
{
    const double others = (double)(shape->seq_len - 1);
    return others > 0.0 ? sum_s + others * slowest_s : sum_s; /* 0 * inf is NaN */
}

/* Cells and the links between them. */
static double cells_s(const df_pipeline_shape *shape, double cell_s, double cross_s)
{
    const double layers = (double)shape->num_layers;
    return layers * cell_s + (layers > 1.0 ? (layers - 1.0) * cross_s : 0.0);
}

static double chain_forward_s(const df_pipeline_shape *shape, const df_pipeline_times *times)
{
    const double sum_s =
        times->ef + times->tf + cells_s(shape, times->cf, times->tf) + times->tf + times->sf;
    const double slowest_s = fmax(fmax(times->ef, times->cf), fmax(times->sf, times->tf));
    return last_step_s(shape, sum_s, slowest_s);
}

/* Each device has a link of its own for its reduction, which starts after the last step; among the
 * cells those of the last layer to finish end last. */
static double chain_backward_s(const df_pipeline_shape *shape, const df_pipeline_times *times)
{
    double end_s = last_step_s(shape, times->sb, times->sb) + times->rs;
    double sum_s = times->sb + times->tf + cells_s(shape, times->cb, times->tb);
    double slowest_s = fmax(fmax(times->sb, times->tf), times->cb);
    if (shape->num_layers > 1) {
        slowest_s = fmax(slowest_s, times->tb);
    }
    end_s = fmax(end_s, last_step_s(shape, sum_s, slowest_s) + times->rc);
    sum_s += times->tf + times->eb;
    slowest_s = fmax(slowest_s, times->eb);
    return fmax(end_s, last_step_s(shape, sum_s, slowest_s) + times->re);
}

/* ---- Interface ---- */

df_pipeline *df_pipeline_new(void)
{
    return calloc(1, sizeof(df_pipeline));
}

static void clear(df_pipeline *pipe)
{
    df_arena_free(&pipe->arena);
    *pipe = (df_pipeline){0};
}

void df_pipeline_free(df_pipeline *pipe)
{
    if (pipe) {
        clear(pipe);
        free(pipe);
    }
}

static df_status check_shape(const df_pipeline_shape *shape, bool two_stages_rejected, df_err *err)
{
    const int64_t steps = shape->seq_len;
    const int64_t layers = shape->num_layers;
    const int64_t lp = shape->lp;
    if (steps < 1 || layers < 1 || lp < 1) {
        return df_fail(err, DF_EINVAL,
                       "pipeline: expected seq_len, num_layers and scheduling_param.lp >= 1, "
                       "found %" PRId64 ", %" PRId64 " and %" PRId64,
                       steps, layers, lp);
    }
    if (steps > MAX_CELLS / layers) {
        return df_fail(err, DF_INFEASIBLE,
                       "model_param: expected seq_len * num_layers <= %d for the pipeline "
                       "simulation, found %" PRId64 " * %" PRId64,
                       MAX_CELLS, steps, layers);
    }
    if (lp > MAX_LP) {
        return df_fail(err, DF_INFEASIBLE,
                       "scheduling_param.lp: expected at most %d stages, found %" PRId64, MAX_LP,
                       lp);
    }
    if (two_stages_rejected && lp == 2 && layers > 1) {
        return df_fail(err, DF_INFEASIBLE,
                       "scheduling_param.lp: expected 1 or at least 3 stages for a model of "
                       "%" PRId64 " layers (rule two_stages_rejected), found 2",
                       layers);
    }
    return DF_OK;
}

df_status df_pipeline_build(df_pipeline *pipe,
                            const df_pipeline_shape *shape,
                            bool two_stages_rejected,
                            df_err *err)
{
    DF_TRY(check_shape(shape, two_stages_rejected, err));
    if (pipe->shape.seq_len == shape->seq_len && pipe->shape.num_layers == shape->num_layers &&
        pipe->shape.lp == shape->lp) {
        return DF_OK;
    }
    clear(pipe);
    if (!reserve(pipe, shape)) {
        clear(pipe);
        return df_fail(err, DF_ENOMEM,
                       "out of memory for the pipeline of %" PRId64 " steps, %" PRId64
                       " layers, %" PRId64 " stages",
                       shape->seq_len, shape->num_layers, shape->lp);
    }
    pipe->shape = *shape;
    build_graphs(pipe);
    if (shape->lp == 1) {
        note_reductions(pipe);
    }
    return DF_OK;
}

void df_pipeline_run(df_pipeline *pipe,
                     const df_pipeline_times *times,
                     bool frees_last_link,
                     double *forward_s,
                     double *backward_s)
{
    const df_pipeline_shape *const shape = &pipe->shape;
    assert(shape->seq_len > 0);
    if (shape->lp >= 3 && shape->num_layers <= shape->lp - 2) {
        *forward_s = chain_forward_s(shape, times);
        *backward_s = chain_backward_s(shape, times);
        return;
    }
    const bool closed = shape->lp == 1 && times->tf <= 0.0;
    /* Nodes that take no time may overtake each other. */
    const bool in_order = times->eb > 0.0 && times->cb > 0.0 && times->sb > 0.0;
    *forward_s = closed ? one_device_s(shape, times->ef, times->cf, times->sf)
                        : simulated_forward_s(pipe, times);
    *backward_s = closed && in_order ? one_device_backward_s(pipe, times, frees_last_link)
                                     : simulated_backward_s(pipe, times, frees_last_link);
}
