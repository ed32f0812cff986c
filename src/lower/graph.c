/* The micro-batches of a pipeline as a graph, with the collectives of data parallelism and ZeRO
 * (Rajbhandari et al., SC 2020), as the Python DeepFlow links them: the order of linking decides
 * ties. One micro-batch on two stages, of one layer each:
 *
 *     device 0                 device 1
 *     embedding - block 0 - hop - block 1 - logits     forward: embedding, layers, logits
 *                                              |
 *     embedding - block 0 - hop - block 1 - logits     backward, from right to left
 *         |          |               |         |
 *       reduce     reduce          reduce    reduce    ZeRO 2: each with a gather behind
 *
 * With ZeRO 3 the parameters of a layer are gathered beside the element h before it:
 *
 *     on the same device                    on another device
 *     a ----- h ----- next                  a ----- h ----- hop - next
 *       |           |                         |   |       |
 *       +- gather --+                         |   +---- others
 *                                             +- gather --+
 *
 * There the gather holds up the hop alone; the others that follow h, which are the next micro-batch
 * of the stage, wait for a gather of their own kind. */
#include <stdlib.h>

#include "lower/lower_impl.h"

enum { FORWARD = DF_TASK_FORWARD, BACKWARD = DF_TASK_BACKWARD };

/* The graph under construction. A pass of a micro-batch has places: 0 is the embedding, layer l is
 * at l + 1, and the logits come after the last layer. */
typedef struct {
    df_dag *dag;
    const df_step *step;
    const df_lower_traffic *traffic;
    int64_t layers, batches, stages, layers_of_part;
    int64_t logits;       /* their place */
    int32_t *elements[2]; /* [batch * (layers + 2) + place] */
    int32_t root;
    int64_t batch, layer; /* what elements are made for at the moment */
} pipeline;

int32_t df_lower_add(
    df_dag *dag, df_dag_kind kind, int32_t device, double duration_s, const df_dag_info *info)
{
    const int32_t made = df_dag_add(dag, kind, device, duration_s);
    df_dag_describe(dag, made, info);
    return made;
}

static int32_t *at(const pipeline *p, int direction, int64_t batch, int64_t place)
{
    return &p->elements[direction][batch * (p->layers + 2) + place];
}

static int32_t stage_of(const pipeline *p, int64_t layer)
{
    return (int32_t)(layer / p->layers_of_part % p->stages);
}

/* Describes an element, with the current micro-batch and layer. */
static int32_t describe(const pipeline *p, int32_t element, const df_dag_info *info)
{
    df_dag_info whole = *info;
    whole.batch = (int32_t)p->batch;
    whole.layer = (int32_t)p->layer;
    df_dag_describe(p->dag, element, &whole);
    return element;
}

/* ---- Passes ---- */

static void add_compute(const pipeline *p, int direction, int64_t place)
{
    const df_step_times *const t = &p->step->t;
    df_lower_role role = DF_LOWER_BLOCK;
    double duration_s = t->block[direction];
    int32_t stage = stage_of(p, place - 1);
    if (place == 0) {
        role = DF_LOWER_EMBEDDING;
        duration_s = t->embedding[direction];
        stage = 0;
    } else if (place == p->logits) {
        role = DF_LOWER_LOGITS;
        duration_s = t->logits[direction];
        stage = (int32_t)(p->stages - 1);
    }
    *at(p, direction, p->batch, place) =
        describe(p, df_dag_add(p->dag, DF_DAG_COMPUTE, stage, duration_s),
                 &(df_dag_info){.role = (int32_t)role, .label = direction, .home = -1});
}

/* Hands activations from a place to the next, or their gradients back; free on one device. */
static void add_hop(pipeline *p, int direction, int64_t place)
{
    const int32_t near = *at(p, direction, p->batch, place);
    const int32_t far = *at(p, direction, p->batch, place + 1);
    const bool hop = df_dag_device(p->dag, near) != df_dag_device(p->dag, far);
    p->layer = place;
    const int32_t edge =
        describe(p, df_dag_add(p->dag, DF_DAG_PIPELINE, 0, hop ? p->step->t.hop : 0.0),
                 &(df_dag_info){.role = DF_LOWER_HOP,
                                .home = -1,
                                .participants = 2,
                                .bytes = hop ? p->traffic->hop_bytes : 0.0});
    df_dag_link(p->dag, direction == FORWARD ? near : far, edge);
    df_dag_link(p->dag, edge, direction == FORWARD ? far : near);
}

/* A micro-batch through all places, of which the last is made first. */
static void add_pass(pipeline *p, int64_t batch, int direction)
{
    const bool back = direction == BACKWARD;
    p->batch = batch;
    p->layer = back ? p->layers - 1 : 0;
    add_compute(p, direction, back ? 0 : p->logits);
    add_compute(p, direction, back ? p->logits : 0);
    if (back) {
        df_dag_link(p->dag, *at(p, FORWARD, batch, p->logits), *at(p, BACKWARD, batch, p->logits));
    }
    for (int64_t i = 1; i <= p->layers; i++) {
        const int64_t place = back ? p->logits - i : i;
        p->layer = place - 1;
        add_compute(p, direction, place);
    }
    for (int64_t i = 1; i < p->layers; i++) {
        add_hop(p, direction, back ? p->layers - i : i);
    }
    add_hop(p, direction, 0);
    add_hop(p, direction, p->layers);
}

/* ---- All forward, then all backward ---- */

/* A stage begins with a batch when it has ended with the one before. (On a single stage the
 * reference links past the embedding, to which nothing leads then.) */
static void order_forward(const pipeline *p, int64_t batch)
{
    int64_t first = 0; /* place of the current stage */
    for (int64_t place = 1; place < p->layers; place++) {
        if (stage_of(p, place - 1) != stage_of(p, place)) {
            df_dag_link(p->dag, *at(p, FORWARD, batch, place), *at(p, FORWARD, batch + 1, first));
            first = place + 1;
        }
    }
    df_dag_link(p->dag, *at(p, FORWARD, batch, p->logits),
                *at(p, FORWARD, batch + 1, first > 0 ? first : 1));
}

/* Place of the last layer of a stage, by its number among the stages that have layers; the last
 * layer of all where there is none (the reference indexes with -1). */
static int64_t last_of_stage(const pipeline *p, int64_t number)
{
    int64_t c = p->stages - 1;
    for (int64_t l = p->layers - 1; l >= 1; l--) {
        if (stage_of(p, l) != stage_of(p, l - 1) && --c == number) {
            return l;
        }
    }
    return p->layers;
}

static void order_backward(const pipeline *p, int64_t batch)
{
    int64_t c = p->stages - 1;
    for (int64_t l = p->layers - 1; l >= 1; l--) {
        if (stage_of(p, l) != stage_of(p, l - 1)) {
            const bool last = stage_of(p, l) == p->stages - 1;
            df_dag_link(p->dag, *at(p, BACKWARD, batch, l + 1),
                        *at(p, BACKWARD, batch - 1, last ? p->logits : last_of_stage(p, c)));
            c--;
        }
    }
    df_dag_link(p->dag, *at(p, BACKWARD, batch, 0),
                *at(p, BACKWARD, batch - 1, last_of_stage(p, 0)));
}

/* ---- Any other order ---- */

/* The element that a task begins or ends with. */
static int32_t end_of(const pipeline *p, const df_pipe *pipe, const df_task *task, bool begin)
{
    const int64_t first = task->part * p->layers_of_part;
    const int64_t last = first + df_sched_layers(pipe, task->part);
    const bool to_logits = task->part == pipe->stages * pipe->virtual_stages - 1;
    if (begin == (task->kind == DF_TASK_FORWARD)) {
        return *at(p, (int)task->kind, task->batch,
                   task->part == 0     ? 0
                   : first < p->layers ? first + 1
                                       : p->logits);
    }
    return *at(p, (int)task->kind, task->batch, to_logits ? p->logits : last);
}

/* Each stage does its tasks one after another. */
static void order_tasks(const pipeline *p)
{
    const df_order *const order = p->step->order;
    const df_pipe pipe = df_sched_trim(&p->step->pipe);
    for (int64_t stage = 0; stage < pipe.stages; stage++) {
        for (int64_t n = 1; n < df_sched_count(order, &pipe); n++) {
            const df_task before = order->task(&pipe, stage, n - 1);
            const df_task after = order->task(&pipe, stage, n);
            const int32_t from = end_of(p, &pipe, &before, false);
            const int32_t to = end_of(p, &pipe, &after, true);
            if (from != *at(p, FORWARD, after.batch, p->logits) ||
                to != *at(p, BACKWARD, after.batch, p->logits)) {
                df_dag_link(p->dag, from, to); /* those two are linked already */
            }
        }
    }
}

/* ---- Data parallelism ---- */

static double of_role(const df_step_parts *parts, df_lower_role role)
{
    if (role == DF_LOWER_REDUCE_EMBEDDING || role == DF_LOWER_GATHER_EMBEDDING) {
        return parts->embedding;
    }
    return role == DF_LOWER_REDUCE_LOGITS || role == DF_LOWER_GATHER_LOGITS ? parts->logits
                                                                            : parts->layer;
}

/* A collective of data parallelism. `home` is the stage that it belongs to, -1: none. */
static int32_t add_collective(const pipeline *p, df_lower_role role, int32_t home)
{
    const bool gather = role >= DF_LOWER_GATHER_EMBEDDING;
    const df_net_collective reduction =
        p->step->zero_stage >= 2 ? DF_NET_REDUCE_SCATTER : DF_NET_ALL_REDUCE;
    const double duration_s = of_role(gather ? &p->step->t.gather : &p->step->t.reduce, role);
    return describe(
        p, df_dag_add(p->dag, DF_DAG_COLLECTIVE, 0, duration_s),
        &(df_dag_info){.role = (int32_t)role,
                       .home = home,
                       .collective = gather ? DF_NET_ALL_GATHER : reduction,
                       .participants = (int32_t)p->traffic->replicas,
                       .bytes =
                           of_role(gather ? &p->traffic->gathered : &p->traffic->reduced, role)});
}

/* A reduction after the backward pass of a place, with ZeRO 2 followed by a gather. */
static void add_reduction(const pipeline *p, df_lower_role role, int64_t place, int32_t home)
{
    static const df_lower_role gathers[] = {[DF_LOWER_REDUCE_EMBEDDING] = DF_LOWER_GATHER_EMBEDDING,
                                            [DF_LOWER_REDUCE_LAYER] = DF_LOWER_GATHER_REDUCED_LAYER,
                                            [DF_LOWER_REDUCE_LOGITS] = DF_LOWER_GATHER_LOGITS};
    const int32_t reduction = add_collective(p, role, home);
    df_dag_link(p->dag, *at(p, BACKWARD, p->batch, place), reduction);
    if (p->step->zero_stage == 2 && !(role == DF_LOWER_REDUCE_LOGITS && p->step->tied)) {
        /* the embedding's reduction follows its backward pass wherever that is */
        df_dag_link(p->dag, reduction, add_collective(p, gathers[role], home < 0 ? 0 : home));
    }
}

/* Lets the gather of a layer run beside h (see above); `other`, if there is one, is for the rest.
 */
static void gather_beside(const pipeline *p, int32_t h, int32_t stage, int32_t other)
{
    const int32_t gather = add_collective(p, DF_LOWER_GATHER_LAYER, stage);
    const bool same = df_dag_device(p->dag, h) == stage;
    df_dag_attach(p->dag, h, gather, same ? DF_DAG_ALL : DF_DAG_ONLY_PIPELINE);
    if (!same && other >= 0) {
        df_dag_attach(p->dag, h, other, DF_DAG_NO_PIPELINE);
    }
}

static void gather_forward(pipeline *p)
{
    const bool more = p->batch < p->batches - 1;
    p->layer = 0;
    const int32_t next = more ? add_collective(p, DF_LOWER_GATHER_EMBEDDING, 0) : -1;
    df_dag_attach(p->dag, *at(p, FORWARD, p->batch, 0), add_collective(p, DF_LOWER_GATHER_LAYER, 0),
                  DF_DAG_ALL);
    for (int64_t l = 1; l < p->layers; l++) {
        p->layer = l;
        gather_beside(p, *at(p, FORWARD, p->batch, l), stage_of(p, l), next);
    }
}

static void add_data_parallel(pipeline *p, int64_t batch)
{
    p->batch = batch;
    add_reduction(p, DF_LOWER_REDUCE_EMBEDDING, 0, -1);
    for (int64_t l = 0; l < p->layers; l++) {
        p->layer = l;
        add_reduction(p, DF_LOWER_REDUCE_LAYER, l + 1, stage_of(p, l));
    }
    if (p->step->zero_stage >= 3) {
        gather_forward(p);
    }
    add_reduction(p, DF_LOWER_REDUCE_LOGITS, p->logits, (int32_t)(p->stages - 1));
    if (p->step->zero_stage >= 3 && !p->step->tied) {
        df_dag_attach(p->dag, *at(p, FORWARD, batch, p->layers),
                      add_collective(p, DF_LOWER_GATHER_LOGITS, stage_of(p, p->layers - 1)),
                      DF_DAG_ALL);
    }
}

static void gather_backward(pipeline *p, int64_t batch)
{
    const bool next = batch > 0 && !p->step->tied;
    p->batch = batch;
    const int32_t logits =
        next ? add_collective(p, DF_LOWER_GATHER_LOGITS, (int32_t)(p->stages - 1)) : -1;
    for (int64_t l = p->layers - 1; l >= 0; l--) {
        p->layer = l;
        gather_beside(p, *at(p, BACKWARD, batch, l + 2), stage_of(p, l), logits);
    }
    df_dag_attach(p->dag, *at(p, BACKWARD, batch, 1),
                  add_collective(p, DF_LOWER_GATHER_EMBEDDING, stage_of(p, 0)), DF_DAG_ALL);
}

/* ---- The whole ---- */

static void build_training(pipeline *p)
{
    const bool gathers = df_sched_gathers(p->step);
    for (int64_t b = p->batches - 1; b >= 0; b--) {
        add_pass(p, b, BACKWARD);
    }
    if (gathers) {
        p->root = add_collective(p, DF_LOWER_GATHER_EMBEDDING, 0);
        df_dag_link(p->dag, p->root, *at(p, FORWARD, 0, 0));
    }
    for (int64_t b = 0; p->step->data_parallel && b < p->batches; b++) {
        add_data_parallel(p, b);
    }
    for (int64_t b = p->batches - 1; b >= 1 && p->step->order->forward_first; b--) {
        order_backward(p, b);
    }
    if (!p->step->order->forward_first) {
        order_tasks(p);
    }
    if (gathers && !p->step->tied) {
        df_dag_attach(p->dag, *at(p, FORWARD, p->batches - 1, p->logits),
                      add_collective(p, DF_LOWER_GATHER_LOGITS, (int32_t)(p->stages - 1)),
                      DF_DAG_ALL);
    }
    for (int64_t b = 0; gathers && b < p->batches; b++) {
        gather_backward(p, b);
    }
}

static void build(pipeline *p)
{
    const bool forward_first = p->step->order->forward_first || !p->step->training;
    for (int64_t b = 0; b < p->batches; b++) {
        add_pass(p, b, FORWARD);
    }
    for (int64_t b = 0; b + 1 < p->batches && forward_first; b++) {
        order_forward(p, b);
    }
    p->root = *at(p, FORWARD, 0, 0);
    if (p->step->training) {
        build_training(p);
    }
}

df_dag *df_lower_graph(const df_step *step, const df_lower_traffic *traffic, int32_t *root)
{
    static const df_lower_traffic nothing = {.replicas = 1.0};
    const df_pipe *const pipe = &step->pipe;
    pipeline p = {.step = step,
                  .traffic = traffic ? traffic : &nothing,
                  .layers = pipe->layers,
                  .batches = pipe->batches,
                  .stages = pipe->stages,
                  .layers_of_part = df_sched_layers(pipe, 0),
                  .logits = pipe->layers + 1};
    const size_t size = (size_t)pipe->batches * ((size_t)pipe->layers + 2);
    int32_t *const elements = calloc(2 * size, sizeof *elements);
    p.dag = df_dag_new((int)pipe->stages);
    if (elements && p.dag) {
        p.elements[FORWARD] = elements;
        p.elements[BACKWARD] = elements + size;
        build(&p);
        *root = p.root;
    }
    const bool whole = elements && p.dag && !df_dag_failed(p.dag);
    free(elements);
    if (!whole) {
        df_dag_free(p.dag);
        return NULL;
    }
    return p.dag;
}
