/* The micro-batches of a GPipe pipeline (Huang et al., NeurIPS 2019) as a graph, with the
 * collectives of data parallelism and ZeRO (Rajbhandari et al., SC 2020), as the Python
 * DeepFlow links them: the order of linking decides ties. Simulated where no formula stands for
 * it: with stages that have no layers, by some rules (llm_step.c). */
#include <stdlib.h>

#include "graph/dag.h"
#include "llm/llm_impl.h"

/* The graph under construction: element numbers by micro-batch, and by layer. */
typedef struct {
    df_dag *dag;
    const df_step *step;
    const df_llm_traffic *traffic;
    int64_t layers, batches, stages, layers_of_part;
    int32_t *embedding[2], *logits[2]; /* [batch] */
    int32_t *block[2];                 /* [batch * layers + layer] */
    int32_t *reductions;               /* [layer], of the current batch */
    int32_t *room;                     /* of all these */
    int32_t root;
    int64_t batch, layer; /* what elements are made for at the moment */
} pipeline;

enum { FORWARD = DF_TASK_FORWARD, BACKWARD = DF_TASK_BACKWARD };

static int32_t stage_of(const pipeline *p, int64_t layer)
{
    return (int32_t)(layer / p->layers_of_part % p->stages);
}

static int32_t block_at(const pipeline *p, int pass, int64_t batch, int64_t layer)
{
    return p->block[pass][batch * p->layers + layer];
}

/* Attaches info, with the current micro-batch and layer, to an element. */
static void describe(pipeline *p, int32_t number, const df_dag_info *info)
{
    df_dag_info whole = *info;
    whole.batch = (int32_t)p->batch;
    whole.layer = (int32_t)p->layer;
    df_dag_tell(p->dag, number, &whole);
}

static int32_t add_compute(pipeline *p, df_llm_role role, int direction, int32_t stage)
{
    const df_step_times *const t = &p->step->t;
    const double *const durations = role == DF_LLM_ROLE_EMBEDDING ? t->embedding
                                    : role == DF_LLM_ROLE_LOGITS  ? t->logits
                                                                  : t->block;
    const int32_t number = df_dag_add(p->dag, DF_DAG_COMPUTE, stage, durations[direction]);
    describe(p, number, &(df_dag_info){.role = (int32_t)role, .label = direction, .home = -1});
    return number;
}

static bool is_gather(df_llm_role role)
{
    return role >= DF_LLM_ROLE_GATHER_EMBEDDING && role <= DF_LLM_ROLE_GATHER_REDUCED_LAYER;
}

/* A collective of data parallelism. `home` is the stage that it belongs to, -1: none. */
static int32_t add_collective(pipeline *p, df_llm_role role, int32_t home)
{
    const df_step_times *const t = &p->step->t;
    const double duration_s[DF_LLM_ROLES] = {
        [DF_LLM_ROLE_REDUCE_EMBEDDING] = t->reduce_embedding,
        [DF_LLM_ROLE_REDUCE_LAYER] = t->reduce_layer,
        [DF_LLM_ROLE_REDUCE_LOGITS] = t->reduce_logits,
        [DF_LLM_ROLE_GATHER_EMBEDDING] = t->gather_embedding,
        [DF_LLM_ROLE_GATHER_LAYER] = t->gather_layer,
        [DF_LLM_ROLE_GATHER_LOGITS] = t->gather_logits,
        [DF_LLM_ROLE_GATHER_REDUCED_LAYER] = t->gather_layer,
    };
    const df_llm_sizes *const sizes =
        is_gather(role) ? &p->traffic->gathered : &p->traffic->reduced;
    const bool embedding =
        role == DF_LLM_ROLE_REDUCE_EMBEDDING || role == DF_LLM_ROLE_GATHER_EMBEDDING;
    const bool logits = role == DF_LLM_ROLE_REDUCE_LOGITS || role == DF_LLM_ROLE_GATHER_LOGITS;
    const df_coll_kind reduction =
        p->step->zero_stage >= 2 ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    const df_dag_info info = {.role = (int32_t)role,
                              .home = home,
                              .collective =
                                  (int32_t)(is_gather(role) ? DF_COLL_ALL_GATHER : reduction),
                              .participants = (int32_t)p->traffic->replicas,
                              .bytes = embedding ? sizes->embedding
                                       : logits  ? sizes->logits
                                                 : sizes->layer};
    const int32_t number = df_dag_add(p->dag, DF_DAG_COLLECTIVE, 0, duration_s[role]);
    describe(p, number, &info);
    return number;
}

/* Hands activations or their gradients on; free on the same device. */
static void trunk(pipeline *p, int32_t from, int32_t to)
{
    const bool hop = df_dag_device(p->dag, from) != df_dag_device(p->dag, to);
    const int32_t edge = df_dag_add(p->dag, DF_DAG_PIPELINE, 0, hop ? p->step->t.hop : 0.0);
    const df_dag_info info = {.role = DF_LLM_ROLE_HOP,
                              .home = -1,
                              .collective = DF_COLL_P2P,
                              .participants = 2,
                              .bytes = hop ? p->traffic->hop_bytes : 0.0};
    describe(p, edge, &info);
    df_dag_link(p->dag, from, edge);
    df_dag_link(p->dag, edge, to);
}

/* ---- Forward ---- */

static void add_forward(pipeline *p, int64_t b)
{
    const int32_t last = (int32_t)(p->stages - 1);
    p->batch = b;
    p->layer = 0;
    p->logits[FORWARD][b] = add_compute(p, DF_LLM_ROLE_LOGITS, FORWARD, last);
    p->embedding[FORWARD][b] = add_compute(p, DF_LLM_ROLE_EMBEDDING, FORWARD, 0);
    for (int64_t l = 0; l < p->layers; l++) {
        p->layer = l;
        p->block[FORWARD][b * p->layers + l] =
            add_compute(p, DF_LLM_ROLE_BLOCK, FORWARD, stage_of(p, l));
    }
    for (int64_t l = 1; l < p->layers; l++) {
        p->layer = l;
        trunk(p, block_at(p, FORWARD, b, l - 1), block_at(p, FORWARD, b, l));
    }
    p->layer = 0;
    trunk(p, p->embedding[FORWARD][b], block_at(p, FORWARD, b, 0));
    p->layer = p->layers;
    trunk(p, block_at(p, FORWARD, b, p->layers - 1), p->logits[FORWARD][b]);
}

/* A stage begins with a batch when it has ended with the one before. */
static void order_forward(pipeline *p, int64_t b)
{
    int64_t first = 0; /* layer of the stage at hand */
    for (int64_t l = 0; l + 1 < p->layers; l++) {
        if (stage_of(p, l) == stage_of(p, l + 1)) {
            continue;
        }
        df_dag_link(p->dag, block_at(p, FORWARD, b, l),
                    stage_of(p, l) == 0 ? p->embedding[FORWARD][b + 1]
                                        : block_at(p, FORWARD, b + 1, first));
        first = l + 1;
    }
    df_dag_link(p->dag, p->logits[FORWARD][b], block_at(p, FORWARD, b + 1, first));
}

/* ---- Backward ---- */

static void add_backward(pipeline *p, int64_t b)
{
    df_dag *const dag = p->dag;
    const int32_t last = (int32_t)(p->stages - 1);
    p->batch = b;
    p->layer = p->layers - 1;
    p->embedding[BACKWARD][b] = add_compute(p, DF_LLM_ROLE_EMBEDDING, BACKWARD, 0);
    p->logits[BACKWARD][b] = add_compute(p, DF_LLM_ROLE_LOGITS, BACKWARD, last);
    df_dag_link(dag, p->logits[FORWARD][b], p->logits[BACKWARD][b]);
    for (int64_t l = p->layers - 1; l >= 0; l--) {
        p->layer = l;
        p->block[BACKWARD][b * p->layers + l] =
            add_compute(p, DF_LLM_ROLE_BLOCK, BACKWARD, stage_of(p, l));
    }
    for (int64_t l = p->layers - 1; l >= 1; l--) {
        p->layer = l;
        trunk(p, block_at(p, BACKWARD, b, l), block_at(p, BACKWARD, b, l - 1));
    }
    p->layer = 0;
    trunk(p, block_at(p, BACKWARD, b, 0), p->embedding[BACKWARD][b]);
    p->layer = p->layers;
    trunk(p, p->logits[BACKWARD][b], block_at(p, BACKWARD, b, p->layers - 1));
}

/* The last layer of a stage, by its place among the stages that have layers; the last layer
 * of all where there is none (the reference indexes with -1). */
static int64_t last_of_stage(const pipeline *p, int64_t place)
{
    int64_t c = p->stages - 1;
    for (int64_t l = p->layers - 1; l >= 1; l--) {
        if (stage_of(p, l) != stage_of(p, l - 1)) {
            c--;
            if (c == place) {
                return l - 1;
            }
        }
    }
    return p->layers - 1;
}

static void order_backward(pipeline *p, int64_t b)
{
    int64_t c = p->stages - 1;
    for (int64_t l = p->layers - 1; l >= 1; l--) {
        if (stage_of(p, l) == stage_of(p, l - 1)) {
            continue;
        }
        df_dag_link(p->dag, block_at(p, BACKWARD, b, l),
                    stage_of(p, l) == p->stages - 1
                        ? p->logits[BACKWARD][b - 1]
                        : block_at(p, BACKWARD, b - 1, last_of_stage(p, c)));
        c--;
    }
    df_dag_link(p->dag, p->embedding[BACKWARD][b],
                block_at(p, BACKWARD, b - 1, last_of_stage(p, 0)));
}

/* ---- One forward, one backward ---- */

/* Layers of a part: first to last; none when last is before first. */
static void layers_of(const pipeline *p, int64_t part, int64_t *first, int64_t *last)
{
    *first = part * p->layers_of_part;
    *last = *first + p->layers_of_part - 1;
    *last = *last < p->layers - 1 ? *last : p->layers - 1;
}

/* What a task begins with, and what it ends with. */
static int32_t begin_of(const pipeline *p, const df_task *i, bool last_part)
{
    int64_t first;
    int64_t last;
    layers_of(p, i->part, &first, &last);
    if (i->kind == DF_TASK_FORWARD) {
        return i->part == 0    ? p->embedding[FORWARD][i->batch]
               : last >= first ? block_at(p, FORWARD, i->batch, first)
                               : p->logits[FORWARD][i->batch];
    }
    return last_part ? p->logits[BACKWARD][i->batch] : block_at(p, BACKWARD, i->batch, last);
}

static int32_t end_of(const pipeline *p, const df_task *i, bool last_part)
{
    int64_t first;
    int64_t last;
    layers_of(p, i->part, &first, &last);
    if (i->kind == DF_TASK_FORWARD) {
        return last_part ? p->logits[FORWARD][i->batch] : block_at(p, FORWARD, i->batch, last);
    }
    return i->part == 0    ? p->embedding[BACKWARD][i->batch]
           : last >= first ? block_at(p, BACKWARD, i->batch, first)
                           : p->logits[BACKWARD][i->batch];
}

/* Each stage does its tasks one after another. */
static void order_tasks(pipeline *p)
{
    const df_order *const order = p->step->order;
    const df_pipe pipe = df_sched_trim(&p->step->pipe);
    const int64_t last_part = pipe.stages * pipe.virtual_stages - 1;
    for (int64_t stage = 0; stage < pipe.stages; stage++) {
        for (int64_t n = 1; n < df_sched_count(order, &pipe); n++) {
            const df_task before = order->task(&pipe, stage, n - 1);
            const df_task after = order->task(&pipe, stage, n);
            const int32_t from = end_of(p, &before, before.part == last_part);
            const int32_t to = begin_of(p, &after, after.part == last_part);
            if (from != p->logits[FORWARD][after.batch] || to != p->logits[BACKWARD][after.batch]) {
                df_dag_link(p->dag, from, to); /* those two are linked already */
            }
        }
    }
}

/* ---- Data parallelism ---- */

/* A reduction, with ZeRO 2 followed by a gather. */
static int32_t
add_reduction(pipeline *p, df_llm_role role, df_llm_role gather, int32_t home, bool gathered)
{
    const int32_t reduction = add_collective(p, role, home);
    if (p->step->zero_stage == 2 && gathered) {
        /* the embedding's reduction follows its backward pass wherever that is */
        df_dag_link(p->dag, reduction, add_collective(p, gather, home < 0 ? 0 : home));
    }
    return reduction;
}

/* Lets a gather run beside h: before what follows on the same device, or else before the
 * hop; `other`, if there is one, before the rest. */
static void gather_beside(pipeline *p, int32_t h, int32_t device, int32_t other)
{
    const int32_t gather = add_collective(p, DF_LLM_ROLE_GATHER_LAYER, device);
    if (df_dag_device(p->dag, h) == device) {
        df_dag_attach(p->dag, h, gather, DF_DAG_ALL);
        return;
    }
    df_dag_attach(p->dag, h, gather, DF_DAG_ONLY_PIPELINE);
    if (other >= 0) {
        df_dag_attach(p->dag, h, other, DF_DAG_NO_PIPELINE);
    }
}

static void gather_forward(pipeline *p, int64_t b)
{
    const bool more = b < p->batches - 1;
    p->layer = 0;
    const int32_t next = more ? add_collective(p, DF_LLM_ROLE_GATHER_EMBEDDING, 0) : -1;
    df_dag_attach(p->dag, p->embedding[FORWARD][b], add_collective(p, DF_LLM_ROLE_GATHER_LAYER, 0),
                  DF_DAG_ALL);
    for (int64_t l = 1; l < p->layers; l++) {
        p->layer = l;
        gather_beside(p, block_at(p, FORWARD, b, l - 1), stage_of(p, l), next);
    }
}

static void add_data_parallel(pipeline *p, int64_t b)
{
    p->batch = b;
    const int32_t embedding =
        add_reduction(p, DF_LLM_ROLE_REDUCE_EMBEDDING, DF_LLM_ROLE_GATHER_EMBEDDING, -1, true);
    for (int64_t l = 0; l < p->layers; l++) {
        p->layer = l;
        p->reductions[l] = add_reduction(p, DF_LLM_ROLE_REDUCE_LAYER,
                                         DF_LLM_ROLE_GATHER_REDUCED_LAYER, stage_of(p, l), true);
    }
    if (p->step->zero_stage >= 3) {
        gather_forward(p, b);
    }
    const int32_t logits = add_reduction(p, DF_LLM_ROLE_REDUCE_LOGITS, DF_LLM_ROLE_GATHER_LOGITS,
                                         (int32_t)(p->stages - 1), !p->step->tied);
    if (p->step->zero_stage >= 3 && !p->step->tied) {
        df_dag_attach(p->dag, block_at(p, FORWARD, b, p->layers - 1),
                      add_collective(p, DF_LLM_ROLE_GATHER_LOGITS, stage_of(p, p->layers - 1)),
                      DF_DAG_ALL);
    }
    df_dag_link(p->dag, p->logits[BACKWARD][b], logits);
    df_dag_link(p->dag, p->embedding[BACKWARD][b], embedding);
    for (int64_t l = 0; l < p->layers; l++) {
        df_dag_link(p->dag, block_at(p, BACKWARD, b, l), p->reductions[l]);
    }
}

static void gather_backward(pipeline *p, int64_t b)
{
    const bool next = b > 0 && !p->step->tied;
    p->batch = b;
    const int32_t logits =
        next ? add_collective(p, DF_LLM_ROLE_GATHER_LOGITS, (int32_t)(p->stages - 1)) : -1;
    for (int64_t l = p->layers - 1; l >= 0; l--) {
        p->layer = l;
        const int32_t h =
            l == p->layers - 1 ? p->logits[BACKWARD][b] : block_at(p, BACKWARD, b, l + 1);
        gather_beside(p, h, stage_of(p, l), logits);
    }
    df_dag_attach(p->dag, block_at(p, BACKWARD, b, 0),
                  add_collective(p, DF_LLM_ROLE_GATHER_EMBEDDING, stage_of(p, 0)), DF_DAG_ALL);
}

/* ---- The whole ---- */

static void build_training(pipeline *p)
{
    const bool gathers = df_sched_gathers(p->step);
    for (int64_t b = p->batches - 1; b >= 0; b--) {
        add_backward(p, b);
    }
    if (gathers) {
        p->root = add_collective(p, DF_LLM_ROLE_GATHER_EMBEDDING, 0);
        df_dag_link(p->dag, p->root, p->embedding[FORWARD][0]);
    }
    for (int64_t b = 0; p->step->data_parallel && b < p->batches; b++) {
        add_data_parallel(p, b);
    }
    if (!p->step->order->forward_first) {
        order_tasks(p);
    }
    for (int64_t b = p->batches - 1; b >= 1 && p->step->order->forward_first; b--) {
        order_backward(p, b);
    }
    if (gathers) {
        if (!p->step->tied) {
            df_dag_attach(p->dag, p->logits[FORWARD][p->batches - 1],
                          add_collective(p, DF_LLM_ROLE_GATHER_LOGITS, (int32_t)(p->stages - 1)),
                          DF_DAG_ALL);
        }
        for (int64_t b = 0; b < p->batches; b++) {
            gather_backward(p, b);
        }
    }
}

static void build(pipeline *p)
{
    const bool forward_first = p->step->order->forward_first || !p->step->training;
    for (int64_t b = 0; b < p->batches; b++) {
        add_forward(p, b);
    }
    for (int64_t b = 0; b + 1 < p->batches && forward_first; b++) {
        order_forward(p, b);
    }
    p->root = p->embedding[FORWARD][0];
    if (p->step->training) {
        build_training(p);
    }
}

/* One piece of memory for all numbers. */
static bool allocate(pipeline *p)
{
    const size_t batches = (size_t)p->batches;
    const size_t layers = (size_t)p->layers;
    const size_t pass_size = 2 * batches + batches * layers;
    p->dag = df_dag_new((int)p->stages);
    p->room = calloc(2 * pass_size + layers, sizeof *p->room);
    if (!p->dag || !p->room) {
        return false;
    }
    for (int pass = FORWARD; pass <= BACKWARD; pass++) {
        p->embedding[pass] = p->room + (size_t)pass * pass_size;
        p->logits[pass] = p->embedding[pass] + batches;
        p->block[pass] = p->logits[pass] + batches;
    }
    p->reductions = p->room + 2 * pass_size;
    return true;
}

df_dag *df_llm_build_graph(const df_step *step, const df_llm_traffic *traffic, int32_t *root)
{
    static const df_llm_traffic nothing = {.replicas = 1.0};
    pipeline p = {.step = step,
                  .traffic = traffic ? traffic : &nothing,
                  .layers = step->pipe.layers,
                  .batches = step->pipe.batches,
                  .stages = step->pipe.stages,
                  .layers_of_part = df_sched_layers(&step->pipe, 0)};
    if (allocate(&p)) {
        build(&p);
        *root = p.root;
    }
    const bool whole = p.dag && p.room && !df_dag_failed(p.dag);
    free(p.room);
    if (!whole) {
        df_dag_free(p.dag);
        return NULL;
    }
    return p.dag;
}

df_status df_llm_run_graph(df_llm *x, const df_step *step, double *time_s)
{
    const bool repeats = step->pipe.batches > DF_DAG_SHOWN;
    df_step shown = *step;
    int32_t root = 0;
    if (repeats) {
        shown.pipe.batches = DF_DAG_SHOWN;
    }
    df_dag *const dag = df_llm_build_graph(&shown, NULL, &root);
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    if (df_sched_gathers(step)) {
        df_dag_retime(dag, root, df_sched_begin_s(step));
    }
    const df_status status =
        repeats ? df_dag_run_repeated(dag, root, step->pipe.batches, time_s, x->err)
                : df_dag_run(dag, root, time_s, x->err);
    df_dag_free(dag);
    return status;
}
