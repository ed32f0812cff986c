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
enum { EMBEDDING, LAYER, LOGITS }; /* parts of the model */

/* The graph under construction. A pass of a micro-batch has places: 0 is the embedding, layer l is
 * at l + 1, and the logits come after the last layer. */
typedef struct {
    df_dag *dag;
    const df_step *step;
    const df_lower_traffic *traffic;
    int64_t layers, batches, stages;
    int64_t logits;       /* their place */
    int32_t *elements[2]; /* [batch * (layers + 2) + place] */
} pipeline;

static int32_t *at(const pipeline *p, int direction, int64_t batch, int64_t place)
{
    return &p->elements[direction][batch * (p->layers + 2) + place];
}

static int part_of(const pipeline *p, int64_t place)
{
    return place == 0 ? EMBEDDING : place == p->logits ? LOGITS : LAYER;
}

static int32_t stage_of(const pipeline *p, int64_t place)
{
    const int64_t of_part[] = {[EMBEDDING] = 0, [LOGITS] = p->stages - 1};
    const int part = part_of(p, place);
    return (int32_t)(part == LAYER ? df_sched_stage_of(&p->step->pipe, place - 1) : of_part[part]);
}

/* ---- Passes ---- */

static void add_compute(const pipeline *p, int direction, int64_t batch, int64_t place)
{
    const df_step_times *const t = &p->step->t;
    const double *const durations_s[] = {t->embedding, t->block, t->logits};
    const int part = part_of(p, place);
    const df_dag_element pass = {.kind = DF_DAG_COMPUTE,
                                 .device = stage_of(p, place),
                                 .duration_s = durations_s[part][direction],
                                 .role = DF_LOWER_EMBEDDING + part,
                                 .label = direction,
                                 .batch = (int32_t)batch,
                                 .layer = (int32_t)place - 1};
    *at(p, direction, batch, place) = df_dag_add(p->dag, &pass);
}

/* Hands activations from a place to the next, or their gradients back; free on one device. */
static void add_hop(const pipeline *p, int direction, int64_t batch, int64_t place)
{
    const int back = direction == BACKWARD;
    const bool crosses = stage_of(p, place) != stage_of(p, place + 1);
    const int32_t hop =
        df_dag_add(p->dag, &(df_dag_element){.kind = DF_DAG_PIPELINE,
                                             .device = DF_DAG_NOWHERE,
                                             .duration_s = crosses ? p->step->t.hop : 0.0,
                                             .role = DF_LOWER_HOP,
                                             .batch = (int32_t)batch,
                                             .layer = (int32_t)place,
                                             .bytes = crosses ? p->traffic->hop_bytes : 0.0});
    df_dag_link(p->dag, *at(p, direction, batch, place + back), hop);
    df_dag_link(p->dag, hop, *at(p, direction, batch, place + 1 - back));
}

/* A micro-batch through all places, of which the last is made first. */
static void add_pass(const pipeline *p, int direction, int64_t batch)
{
    const bool back = direction == BACKWARD;
    add_compute(p, direction, batch, back ? 0 : p->logits);
    add_compute(p, direction, batch, back ? p->logits : 0);
    if (back) {
        df_dag_link(p->dag, *at(p, FORWARD, batch, p->logits), *at(p, BACKWARD, batch, p->logits));
    }
    for (int64_t i = 1; i <= p->layers; i++) {
        add_compute(p, direction, batch, back ? p->logits - i : i);
    }
    for (int64_t i = 1; i < p->layers; i++) {
        add_hop(p, direction, batch, back ? p->layers - i : i);
    }
    add_hop(p, direction, batch, 0);
    add_hop(p, direction, batch, p->layers);
}

/* ---- All forward, then all backward ---- */

/* A stage begins with a batch when it has ended with the one before. (On a single stage the
 * reference links past the embedding, to which nothing leads then.) */
static void order_forward(const pipeline *p, int64_t batch)
{
    int64_t first = 0; /* place of the current stage */
    for (int64_t place = 1; place < p->layers; place++) {
        if (stage_of(p, place) != stage_of(p, place + 1)) {
            df_dag_link(p->dag, *at(p, FORWARD, batch, place), *at(p, FORWARD, batch + 1, first));
            first = place + 1;
        }
    }
    df_dag_link(p->dag, *at(p, FORWARD, batch, p->logits),
                *at(p, FORWARD, batch + 1, first > 0 ? first : 1));
}

/* (Where stages have no layers, the reference takes the last layer of all for that of the first.)
 */
static void order_backward(const pipeline *p, int64_t batch)
{
    int64_t stages = 1;
    int64_t last = p->layers; /* place of the current stage's last layer */
    for (int64_t place = p->layers; place > 1; place--) {
        if (stage_of(p, place) != stage_of(p, place - 1)) {
            const bool top = stage_of(p, place) == p->stages - 1;
            df_dag_link(p->dag, *at(p, BACKWARD, batch, place),
                        *at(p, BACKWARD, batch - 1, top ? p->logits : last));
            last = place - 1;
            stages++;
        }
    }
    df_dag_link(p->dag, *at(p, BACKWARD, batch, 0),
                *at(p, BACKWARD, batch - 1, stages == p->stages ? last : p->layers));
}

/* ---- Any other order ---- */

/* The element that a task begins or ends with. */
static int32_t end_of(const pipeline *p, const df_pipe *pipe, const df_task *task, bool begin)
{
    const bool lowest = begin == (task->kind == DF_TASK_FORWARD);
    const bool last = task->part == pipe->stages * pipe->virtual_stages - 1;
    int64_t place = df_sched_first_layer(pipe, task->part); /* of the last layer before the part */
    if (lowest) {
        place = task->part == 0 ? 0 : place + 1;
    } else {
        place += df_sched_layers(pipe, task->part);
    }
    return *at(p, (int)task->kind, task->batch,
               place > p->layers || (last && !lowest) ? p->logits : place);
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

/* A collective of data parallelism on the stage of a place. */
static int32_t add_collective(const pipeline *p, df_lower_role role, int64_t batch, int64_t place)
{
    const bool gather = role >= DF_LOWER_GATHER_EMBEDDING;
    const df_net_collective reduction =
        p->step->zero_stage >= 2 ? DF_NET_REDUCE_SCATTER : DF_NET_ALL_REDUCE;
    const df_dag_element collective = {
        .kind = DF_DAG_COLLECTIVE,
        .device = stage_of(p, place),
        .duration_s = of_role(gather ? &p->step->t.gather : &p->step->t.reduce, role),
        .role = (int32_t)role,
        .collective = gather ? DF_NET_ALL_GATHER : reduction,
        .batch = (int32_t)batch,
        .layer = (int32_t)place - 1,
        .bytes = of_role(gather ? &p->traffic->gathered : &p->traffic->reduced, role)};
    return df_dag_add(p->dag, &collective);
}

/* A reduction after the backward pass of a place, with ZeRO 2 followed by a gather. */
static void add_reduction(const pipeline *p, int64_t batch, int64_t place)
{
    static const df_lower_role gathers[] = {DF_LOWER_GATHER_EMBEDDING,
                                            DF_LOWER_GATHER_REDUCED_LAYER, DF_LOWER_GATHER_LOGITS};
    const int part = part_of(p, place);
    const int32_t reduction =
        add_collective(p, (df_lower_role)(DF_LOWER_REDUCE_EMBEDDING + part), batch, place);
    df_dag_link(p->dag, *at(p, BACKWARD, batch, place), reduction);
    if (p->step->zero_stage == 2 && !(part == LOGITS && p->step->tied)) {
        df_dag_link(p->dag, reduction, add_collective(p, gathers[part], batch, place));
    }
}

/* Lets the gather for a place run beside h. */
static void attach(const pipeline *p, df_lower_role role, int64_t batch, int64_t place, int32_t h)
{
    df_dag_attach(p->dag, h, add_collective(p, role, batch, place), DF_DAG_ALL);
}

/* Lets the gather of a layer run beside h (see above); `other`, if there is one, is for the rest.
 * Where a stage has several parts, it holds up the first stage that the micro-batch leaves, which
 * is the one that it gathers for: another one may have to work for this micro-batch, or one before,
 * ere the next crossing is reached. */
static void
gather_beside(const pipeline *p, int32_t h, int64_t batch, int64_t place, int32_t *other)
{
    const int32_t gather = add_collective(p, DF_LOWER_GATHER_LAYER, batch, place);
    const bool same = df_dag_at(p->dag, h)->device == stage_of(p, place);
    df_dag_attach(p->dag, h, gather, same ? DF_DAG_ALL : DF_DAG_ONLY_PIPELINE);
    if (!same && *other >= 0) {
        df_dag_attach(p->dag, h, *other, DF_DAG_NO_PIPELINE);
        *other = p->step->order->several_parts ? -1 : *other;
    }
}

static void gather_forward(const pipeline *p, int64_t batch)
{
    int32_t next =
        batch < p->batches - 1 ? add_collective(p, DF_LOWER_GATHER_EMBEDDING, batch, 0) : -1;
    for (int64_t place = 1; place <= p->layers; place++) {
        gather_beside(p, *at(p, FORWARD, batch, place - 1), batch, place, &next);
    }
}

static void gather_backward(const pipeline *p, int64_t batch)
{
    int32_t next = batch > 0 && !p->step->tied
                       ? add_collective(p, DF_LOWER_GATHER_LOGITS, batch, p->logits)
                       : -1;
    for (int64_t place = p->layers; place >= 1; place--) {
        gather_beside(p, *at(p, BACKWARD, batch, place + 1), batch, place, &next);
    }
    attach(p, DF_LOWER_GATHER_EMBEDDING, batch, 0, *at(p, BACKWARD, batch, 1));
}

static void add_data_parallel(const pipeline *p, int64_t batch)
{
    const bool gathers = df_sched_gathers(p->step);
    for (int64_t place = 0; place <= p->layers; place++) {
        add_reduction(p, batch, place);
    }
    if (gathers) {
        gather_forward(p, batch);
    }
    add_reduction(p, batch, p->logits);
    if (gathers && !p->step->tied) { /* (on the stage of the last layer) */
        attach(p, DF_LOWER_GATHER_LOGITS, batch, p->layers, *at(p, FORWARD, batch, p->layers));
    }
}

/* ---- The whole ---- */

/* Adds backward passes and collectives; returns the root. */
static int32_t build_training(const pipeline *p)
{
    const int64_t last = p->batches - 1;
    const bool gathers = df_sched_gathers(p->step);
    int32_t root = *at(p, FORWARD, 0, 0);
    for (int64_t b = last; b >= 0; b--) {
        add_pass(p, BACKWARD, b);
    }
    if (gathers) {
        root = add_collective(p, DF_LOWER_GATHER_EMBEDDING, 0, 0);
        df_dag_link(p->dag, root, *at(p, FORWARD, 0, 0));
    }
    for (int64_t b = 0; p->step->data_parallel && b <= last; b++) {
        add_data_parallel(p, b);
    }
    for (int64_t b = last; b >= 1 && p->step->order->forward_first; b--) {
        order_backward(p, b);
    }
    if (!p->step->order->forward_first) {
        order_tasks(p);
    }
    if (gathers && !p->step->tied) {
        attach(p, DF_LOWER_GATHER_LOGITS, last, p->logits, *at(p, FORWARD, last, p->logits));
    }
    for (int64_t b = 0; gathers && b <= last; b++) {
        gather_backward(p, b);
    }
    return root;
}

static int32_t build(const pipeline *p)
{
    const bool forward_first = p->step->order->forward_first || !p->step->training;
    for (int64_t b = 0; b < p->batches; b++) {
        add_pass(p, FORWARD, b);
    }
    for (int64_t b = 0; b + 1 < p->batches && forward_first; b++) {
        order_forward(p, b);
    }
    return p->step->training ? build_training(p) : *at(p, FORWARD, 0, 0);
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
                  .logits = pipe->layers + 1};
    const size_t size = (size_t)pipe->batches * ((size_t)pipe->layers + 2);
    int32_t *const elements = calloc(2 * size, sizeof *elements);
    p.dag = df_dag_new((int)pipe->stages);
    if (elements && p.dag) {
        p.elements[FORWARD] = elements;
        p.elements[BACKWARD] = elements + size;
        *root = build(&p);
    }
    const bool whole = elements && p.dag && !df_dag_failed(p.dag);
    free(elements);
    if (!whole) {
        df_dag_free(p.dag);
        return NULL;
    }
    return p.dag;
}
