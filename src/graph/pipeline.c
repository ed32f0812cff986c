#include "graph/pipeline.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "graph/pipeline_impl.h"

/* Bounds of what is built: some 120 bytes a cell, and numbers of resources that
 * fit df_pipeline_op. */
enum { MAX_CELLS = 10 * 1000 * 1000, MAX_LP = UINT16_MAX / 3 };

/* On one device, when a reduction may start: how many operations of each kind have
 * finished by then. That does not depend on their durations as long as these are
 * positive: the device runs what became ready first. */
typedef struct {
    double embeddings, cells, softmaxes;
} ready_after;

struct df_pipeline {
    df_pipeline_shape shape; /* seq_len 0: nothing built */
    df_pipeline_graph forward, backward;
    df_pipeline_buffers buf;
    ready_after
        *reductions; /* [num_layers + 2], filled for lp = 1: softmax, last cell, .., embedding */
};

/* ---- Building ---- */

/* A shape with what follows from it, and the graph that is being filled. */
typedef struct {
    int32_t steps, layers, lp;
    int32_t layers_per_device;
    bool two_stages; /* lp = 2 with two devices that hold cells */
    df_pipeline_graph *graph;
} builder;

static int32_t embedding_node(const builder *b, int32_t j)
{
    (void)b;
    return j;
}

static int32_t cell_node(const builder *b, int32_t i, int32_t j)
{
    return (i + 1) * b->steps + j;
}

static int32_t softmax_node(const builder *b, int32_t j)
{
    return (b->layers + 1) * b->steps + j;
}

static int32_t link_resource(const builder *b, int32_t link)
{
    return b->lp + link;
}

static int32_t memory_resource(int64_t lp)
{
    return (int32_t)(3 * lp - 1);
}

/* Cells follow the embedding's device and precede the softmax's; where stages
 * are too few for that they share those devices. */
static int32_t cell_device(const builder *b, int32_t i)
{
    const int32_t group = i / b->layers_per_device;
    return b->lp == 1 || b->two_stages ? group : group + 1;
}

/* Each device reduces its gradients on a link of its own, behind the lp - 1
 * links of the pipeline. */
static int32_t reduction_link(const builder *b, int32_t device)
{
    return link_resource(b, b->lp - 1 + device);
}

static void set_node(const builder *b, int32_t node, int32_t device, df_pipeline_takes takes)
{
    b->graph->ops[node] = (df_pipeline_op){.resource = (uint16_t)device, .takes = (uint8_t)takes};
}

static void
add_edge(const builder *b, int32_t from, int32_t to, int32_t resource, df_pipeline_takes takes)
{
    df_pipeline_graph *const graph = b->graph;
    df_pipeline_op *const node = &graph->ops[from];
    const int32_t edge = graph->num_ops++;
    if (node->num_edges == 0) {
        node->first = edge;
    }
    node->num_edges++;
    graph->ops[edge] =
        (df_pipeline_op){.first = to, .resource = (uint16_t)resource, .takes = (uint8_t)takes};
    if (to != DF_PIPELINE_NOWHERE) {
        graph->parents[to]++;
    }
}

/* An edge that only orders operations. */
static void add_order(const builder *b, int32_t from, int32_t to)
{
    add_edge(b, from, to, memory_resource(b->lp), DF_TAKES_NOTHING);
}

/* Between the embedding and the first layer (link 0), or the last layer and the
 * softmax (link lp - 2). On one device it goes through memory, and still takes
 * the hop's duration; two stages have both ends on the same device. */
static void add_hop(const builder *b, int32_t link, int32_t from, int32_t to)
{
    if (b->two_stages) {
        add_order(b, from, to);
    } else if (b->lp == 1) {
        add_edge(b, from, to, memory_resource(b->lp), DF_TAKES_HOP);
    } else {
        add_edge(b, from, to, link_resource(b, link), DF_TAKES_HOP);
    }
}

/* Between layers i and i + 1, in either direction. */
static void add_cross(const builder *b, int32_t i, int32_t from, int32_t to)
{
    if (b->lp == 1 || (i + 1) % b->layers_per_device != 0) {
        add_order(b, from, to);
        return;
    }
    const int32_t device = cell_device(b, i);
    add_edge(b, from, to, link_resource(b, device), DF_TAKES_CROSS);
}

static void add_reduction(const builder *b, int32_t from, df_pipeline_takes takes)
{
    const int32_t device = b->graph->ops[from].resource;
    add_edge(b, from, DF_PIPELINE_NOWHERE, reduction_link(b, device), takes);
}

static void set_nodes(const builder *b)
{
    for (int32_t j = 0; j < b->steps; j++) {
        set_node(b, embedding_node(b, j), 0, DF_TAKES_EMBEDDING);
        set_node(b, softmax_node(b, j), b->lp - 1, DF_TAKES_SOFTMAX);
    }
    for (int32_t i = 0; i < b->layers; i++) {
        for (int32_t j = 0; j < b->steps; j++) {
            set_node(b, cell_node(b, i, j), cell_device(b, i), DF_TAKES_CELL);
        }
    }
    b->graph->num_nodes = (b->layers + 2) * b->steps;
    b->graph->num_ops = b->graph->num_nodes;
}

/* The order of a node's edges decides ties; it is the Python DeepFlow's: within
 * the layer, to embedding or softmax, across layers, then the order edge that
 * lets the neighbouring layer of the same device go on first. */
static void add_forward_cell(const builder *b, int32_t i, int32_t j)
{
    const int32_t cell = cell_node(b, i, j);
    const bool last_step = j == b->steps - 1;
    if (!last_step) {
        add_order(b, cell, cell_node(b, i, j + 1));
    }
    if (i == b->layers - 1) {
        add_hop(b, b->lp - 2, cell, softmax_node(b, j));
    } else {
        add_cross(b, i, cell, cell_node(b, i + 1, j));
    }
    if (!last_step && i % b->layers_per_device != 0) {
        add_order(b, cell, cell_node(b, i - 1, j + 1));
    }
}

static void build_forward(const builder *b)
{
    set_nodes(b);
    for (int32_t j = 0; j < b->steps; j++) {
        add_hop(b, 0, embedding_node(b, j), cell_node(b, 0, j));
        if (j < b->steps - 1) {
            add_order(b, embedding_node(b, j), embedding_node(b, j + 1));
        }
    }
    for (int32_t i = 0; i < b->layers; i++) {
        for (int32_t j = 0; j < b->steps; j++) {
            add_forward_cell(b, i, j);
        }
    }
    b->graph->root = embedding_node(b, 0);
}

static void add_backward_cell(const builder *b, int32_t i, int32_t j)
{
    const int32_t cell = cell_node(b, i, j);
    if (j > 0) {
        add_order(b, cell, cell_node(b, i, j - 1));
    }
    if (i == 0) {
        add_hop(b, 0, cell, embedding_node(b, j));
    } else {
        add_cross(b, i - 1, cell, cell_node(b, i - 1, j));
    }
    if (j > 0 && i < b->layers - 1 && (i + 1) % b->layers_per_device != 0) {
        add_order(b, cell, cell_node(b, i + 1, j - 1));
    }
    if (j == 0) {
        add_reduction(b, cell, DF_TAKES_RED_CELL);
    }
}

static void build_backward(const builder *b)
{
    set_nodes(b);
    for (int32_t j = b->steps - 1; j >= 0; j--) {
        add_hop(b, b->lp - 2, softmax_node(b, j), cell_node(b, b->layers - 1, j));
        if (j > 0) {
            add_order(b, softmax_node(b, j), softmax_node(b, j - 1));
        }
    }
    add_reduction(b, softmax_node(b, 0), DF_TAKES_RED_SOFTMAX);
    for (int32_t i = b->layers - 1; i >= 0; i--) {
        for (int32_t j = b->steps - 1; j >= 0; j--) {
            add_backward_cell(b, i, j);
        }
    }
    add_reduction(b, embedding_node(b, 0), DF_TAKES_RED_EMBEDDING);
    b->graph->root = softmax_node(b, b->steps - 1);
}

/* ---- Memory ---- */

static void graph_fini(df_pipeline_graph *graph)
{
    free(graph->ops);
    free(graph->parents);
    graph->ops = NULL;
    graph->parents = NULL;
}

static bool graph_init(df_pipeline_graph *graph, size_t max_nodes, size_t max_ops)
{
    graph->ops = calloc(max_ops, sizeof *graph->ops);
    graph->parents = calloc(max_nodes, sizeof *graph->parents);
    return graph->ops && graph->parents;
}

static void buffers_fini(df_pipeline_buffers *buf)
{
    free(buf->heap);
    free(buf->instants);
    free(buf->parents);
    free(buf->next);
    free(buf->resources);
    buf->heap = NULL;
    buf->instants = NULL;
    buf->parents = NULL;
    buf->next = NULL;
    buf->resources = NULL;
}

/* At most these operations that take time run at once: one on each device and link,
 * the reductions (memory edges may free their link early), and on a single device the
 * hops, which go through memory there. */
static size_t heap_room(const df_pipeline_shape *shape)
{
    return (size_t)(3 * shape->lp + (shape->num_layers + 2) + 2 * shape->seq_len);
}

static bool
buffers_init(df_pipeline_buffers *buf, const df_pipeline_shape *shape, size_t nodes, size_t ops)
{
    buf->heap = malloc(heap_room(shape) * sizeof *buf->heap);
    buf->instants = malloc(ops * sizeof *buf->instants);
    buf->parents = malloc(nodes * sizeof *buf->parents);
    buf->next = malloc(ops * sizeof *buf->next);
    buf->resources = malloc((size_t)(3 * shape->lp) * sizeof *buf->resources);
    return buf->heap && buf->instants && buf->parents && buf->next && buf->resources;
}

static void clear(df_pipeline *pipe)
{
    graph_fini(&pipe->forward);
    graph_fini(&pipe->backward);
    buffers_fini(&pipe->buf);
    free(pipe->reductions);
    pipe->reductions = NULL;
    pipe->shape = (df_pipeline_shape){0};
}

/* Room for a shape: every cell has at most three edges, embeddings and softmaxes
 * have at most two and there is one reduction for each layer and two more. */
static bool reserve(df_pipeline *pipe, const df_pipeline_shape *shape)
{
    const size_t steps = (size_t)shape->seq_len;
    const size_t layers = (size_t)shape->num_layers;
    const size_t nodes = steps * (layers + 2);
    const size_t ops = nodes + 3 * steps * layers + 4 * steps + layers + 2;
    pipe->reductions = malloc((layers + 2) * sizeof *pipe->reductions);
    return pipe->reductions && graph_init(&pipe->forward, nodes, ops) &&
           graph_init(&pipe->backward, nodes, ops) && buffers_init(&pipe->buf, shape, nodes, ops);
}

/* ---- One device ---- */

static df_pipeline_sim new_sim(const df_pipeline *pipe, const df_pipeline_graph *graph)
{
    const int32_t memory = memory_resource(pipe->shape.lp);
    return (df_pipeline_sim){
        .graph = graph, .buf = pipe->buf, .memory = memory, .memory_release = memory};
}

/* Plays the backward pass with durations of 1 and notes what has finished when
 * the parents of the reductions finish. These follow from each other (softmax,
 * last cell, .., first cell, embedding), so that is their order. */
static void note_reductions(df_pipeline *pipe)
{
    df_pipeline_sim sim = new_sim(pipe, &pipe->backward);
    sim.takes_s[DF_TAKES_EMBEDDING] = 1.0;
    sim.takes_s[DF_TAKES_CELL] = 1.0;
    sim.takes_s[DF_TAKES_SOFTMAX] = 1.0;
    ready_after done = {0};
    ready_after *note = pipe->reductions;
    df_pipeline_sim_start(&sim);
    for (int32_t op; (op = df_pipeline_sim_step(&sim)) != DF_PIPELINE_NOWHERE;) {
        if (op >= pipe->backward.num_nodes) {
            continue;
        }
        const df_pipeline_op *node = &pipe->backward.ops[op];
        done.embeddings += node->takes == DF_TAKES_EMBEDDING;
        done.cells += node->takes == DF_TAKES_CELL;
        done.softmaxes += node->takes == DF_TAKES_SOFTMAX;
        if (op % pipe->shape.seq_len == 0) { /* time step 0 */
            *note++ = done;
        }
    }
}

/* The pass without reductions: the one device never idles, since hops take no
 * time and each node makes another one ready. */
static double one_device_s(const df_pipeline_shape *shape, double e_s, double c_s, double x_s)
{
    const double steps = (double)shape->seq_len;
    return steps * e_s + steps * (double)shape->num_layers * c_s + steps * x_s;
}

/* The reductions share the one link, in order. Where memory edges free it they
 * all overlap: each but the last has a memory edge for a sibling, which frees the
 * link at the moment at which the reduction takes it. */
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

/* ---- One layer on a device ---- */

/* With a device for each layer, the embedding and the softmax, every device and
 * every link passes the time steps on in one order: a flow shop in which each
 * stage takes the same time for all steps. There the last step leaves the last
 * stage after the sum of all stages plus (steps - 1) times the slowest one. */
static bool is_chain(const df_pipeline_shape *shape)
{
    return shape->lp >= 3 && shape->num_layers <= shape->lp - 2;
}

/* sum_s over the stages passed, slowest_s among them. */
static double last_step_s(const df_pipeline_shape *shape, double sum_s, double slowest_s)
{
    const double others = (double)(shape->seq_len - 1);
    return others > 0.0 ? sum_s + others * slowest_s : sum_s; /* 0 * inf is NaN */
}

/* Cells and the links between them: layers times cell_s, layers - 1 times cross_s. */
static double cells_sum_s(const df_pipeline_shape *shape, double cell_s, double cross_s)
{
    const double layers = (double)shape->num_layers;
    const double crosses_s = layers > 1.0 ? (layers - 1.0) * cross_s : 0.0;
    return layers * cell_s + crosses_s;
}

static double cells_slowest_s(const df_pipeline_shape *shape, double cell_s, double cross_s)
{
    return shape->num_layers > 1 ? fmax(cell_s, cross_s) : cell_s;
}

static double chain_forward_s(const df_pipeline_shape *shape, const df_pipeline_times *times)
{
    const double sum_s =
        times->ef + times->tf + cells_sum_s(shape, times->cf, times->tf) + times->tf + times->sf;
    const double slowest_s = fmax(fmax(times->ef, times->cf), fmax(times->sf, times->tf));
    return last_step_s(shape, sum_s, slowest_s);
}

/* Each device has a link of its own for its reduction, which starts after the
 * last step; among the cells those of the last layer to finish end last. */
static double chain_backward_s(const df_pipeline_shape *shape, const df_pipeline_times *times)
{
    double end_s = last_step_s(shape, times->sb, times->sb) + times->rs;
    double sum_s = times->sb + times->tf + cells_sum_s(shape, times->cb, times->tb);
    double slowest_s =
        fmax(fmax(times->sb, times->tf), cells_slowest_s(shape, times->cb, times->tb));
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

void df_pipeline_free(df_pipeline *pipe)
{
    if (pipe) {
        clear(pipe);
        free(pipe);
    }
}

static df_status check_shape(const df_pipeline_shape *shape, bool two_stages_rejected, df_err *err)
{
    if (shape->seq_len < 1 || shape->num_layers < 1 || shape->lp < 1) {
        return df_fail(err, DF_EINVAL,
                       "pipeline: expected seq_len, num_layers and scheduling_param.lp >= 1, "
                       "found %lld, %lld and %lld",
                       (long long)shape->seq_len, (long long)shape->num_layers,
                       (long long)shape->lp);
    }
    if (shape->seq_len > MAX_CELLS / shape->num_layers) {
        return df_fail(err, DF_INFEASIBLE,
                       "model_param: expected seq_len * num_layers <= %d for the pipeline "
                       "simulation, found %lld * %lld",
                       MAX_CELLS, (long long)shape->seq_len, (long long)shape->num_layers);
    }
    if (shape->lp > MAX_LP) {
        return df_fail(err, DF_INFEASIBLE,
                       "scheduling_param.lp: expected at most %d stages, found %lld", MAX_LP,
                       (long long)shape->lp);
    }
    if (two_stages_rejected && shape->lp == 2 && shape->num_layers > 1) {
        return df_fail(err, DF_INFEASIBLE,
                       "scheduling_param.lp: expected 1 or at least 3 stages for a model of %lld "
                       "layers (rule two_stages_rejected), found 2",
                       (long long)shape->num_layers);
    }
    return DF_OK;
}

static void fill(df_pipeline *pipe)
{
    const int64_t layers = pipe->shape.num_layers;
    const int64_t lp = pipe->shape.lp;
    const int64_t holders = lp > 2 ? lp - 2 : lp; /* devices that hold cells */
    builder b = {.steps = (int32_t)pipe->shape.seq_len,
                 .layers = (int32_t)layers,
                 .lp = (int32_t)lp,
                 .layers_per_device = (int32_t)((layers + holders - 1) / holders),
                 .two_stages = lp == 2 && layers > 1};
    b.graph = &pipe->forward;
    build_forward(&b);
    b.graph = &pipe->backward;
    build_backward(&b);
    if (lp == 1) {
        note_reductions(pipe);
    }
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
                       "out of memory for the pipeline of %lld steps, %lld layers, %lld stages",
                       (long long)shape->seq_len, (long long)shape->num_layers,
                       (long long)shape->lp);
    }
    pipe->shape = *shape;
    fill(pipe);
    return DF_OK;
}

static double simulated_forward_s(const df_pipeline *pipe, const df_pipeline_times *times)
{
    df_pipeline_sim sim = new_sim(pipe, &pipe->forward);
    sim.takes_s[DF_TAKES_HOP] = times->tf;
    sim.takes_s[DF_TAKES_CROSS] = times->tf;
    sim.takes_s[DF_TAKES_EMBEDDING] = times->ef;
    sim.takes_s[DF_TAKES_CELL] = times->cf;
    sim.takes_s[DF_TAKES_SOFTMAX] = times->sf;
    df_pipeline_sim_start(&sim);
    return df_pipeline_sim_finish(&sim);
}

/* The outer hops take tf in both directions, as in the Python DeepFlow (where
 * tf = tb); only the cross edges take tb. */
static double
simulated_backward_s(const df_pipeline *pipe, const df_pipeline_times *times, bool frees_last_link)
{
    df_pipeline_sim sim = new_sim(pipe, &pipe->backward);
    if (frees_last_link) {
        sim.memory_release = sim.memory - 1;
    }
    sim.takes_s[DF_TAKES_HOP] = times->tf;
    sim.takes_s[DF_TAKES_CROSS] = times->tb;
    sim.takes_s[DF_TAKES_EMBEDDING] = times->eb;
    sim.takes_s[DF_TAKES_CELL] = times->cb;
    sim.takes_s[DF_TAKES_SOFTMAX] = times->sb;
    sim.takes_s[DF_TAKES_RED_EMBEDDING] = times->re;
    sim.takes_s[DF_TAKES_RED_CELL] = times->rc;
    sim.takes_s[DF_TAKES_RED_SOFTMAX] = times->rs;
    df_pipeline_sim_start(&sim);
    return df_pipeline_sim_finish(&sim);
}

static void run_one_device(const df_pipeline *pipe,
                           const df_pipeline_times *times,
                           bool frees_last_link,
                           double *forward_s,
                           double *backward_s)
{
    *forward_s = one_device_s(&pipe->shape, times->ef, times->cf, times->sf);
    /* Nodes that take no time may overtake each other. */
    const bool in_order = times->eb > 0.0 && times->cb > 0.0 && times->sb > 0.0;
    *backward_s = in_order ? one_device_backward_s(pipe, times, frees_last_link)
                           : simulated_backward_s(pipe, times, frees_last_link);
}

void df_pipeline_run(df_pipeline *pipe,
                     const df_pipeline_times *times,
                     bool frees_last_link,
                     double *forward_s,
                     double *backward_s)
{
    assert(pipe->shape.seq_len > 0);
    if (pipe->shape.lp == 1 && times->tf <= 0.0) {
        run_one_device(pipe, times, frees_last_link, forward_s, backward_s);
    } else if (is_chain(&pipe->shape)) {
        *forward_s = chain_forward_s(&pipe->shape, times);
        *backward_s = chain_backward_s(&pipe->shape, times);
    } else {
        *forward_s = simulated_forward_s(pipe, times);
        *backward_s = simulated_backward_s(pipe, times, frees_last_link);
    }
}
