/* Three kinds of steps are linked in a way that differs from their order: gathers of ZeRO 3
 * (Rajbhandari et al., SC 2020) hold up reductions and other micro-batches; no link leads to the
 * further micro-batches of a single stage; and stages without layers take part in none of the
 * links. In the first two kinds, the links leave no device a choice: each element of the graph
 * (lower/graph.c) begins when its parents have ended. This file follows that from stage to stage
 * without the graph, and unit.compat compares the two. In the third kind, the graph is simulated.
 */
#include <math.h>

#include "compat/compat.h"

enum { FORWARD = DF_TASK_FORWARD, BACKWARD = DF_TASK_BACKWARD };

/* ---- Gathers that hold up ---- */

typedef struct {
    const df_step *step;
    int64_t layers, layers_of_last; /* layers of each stage but the last, and of the last */
    double
        layer_s[2]; /* time from one layer to the next, including the gather in parallel with it */
    double gather_logits_s; /* gather in parallel with the last layer; 0: the table is already on
                               the device */
    double *free_s;         /* [stage]: when it ended with the last micro-batch */
    double held_s;          /* when a gather lets other micro-batches continue */
    double logits_s;        /* when the last forward pass of logits began */
} gated;

/* Time from the beginning of a stage's first layer to that of its last. */
static double between_s(const gated *g, int64_t stage, int direction)
{
    const int64_t layers = stage < g->step->pipe.stages - 1 ? g->layers : g->layers_of_last;
    return (double)(layers - 1) * g->layer_s[direction];
}

/* A micro-batch through all stages. A layer's gather begins with the layer before, and holds up
 * the hop to it; the next micro-batch's gather of the embedding begins with the last layer
 * before the last stage, and holds up that micro-batch before that stage. */
static void go_forward(gated *g, double begin_s)
{
    const df_step_times *const t = &g->step->t;
    const int64_t last = g->step->pipe.stages - 1;
    const double held_s = g->held_s;
    double at_s = begin_s;
    for (int64_t stage = 0; stage <= last; stage++) {
        at_s = fmax(at_s, fmax(g->free_s[stage], stage < last ? held_s : 0.0));
        if (stage == 0) {
            at_s += fmax(t->embedding[FORWARD], t->gather.layer);
        }
        at_s += between_s(g, stage, FORWARD);
        if (stage < last) {
            g->free_s[stage] = at_s + t->block[FORWARD];
            g->held_s = at_s + t->gather.embedding;
            at_s += g->layer_s[FORWARD] + t->hop;
        }
    }
    g->logits_s = at_s + fmax(t->block[FORWARD], g->gather_logits_s);
    g->free_s[last] = g->logits_s + t->logits[FORWARD];
}

/* The backward pass of a micro-batch whose logits can begin at ready_s. Returns the end of what
 * comes last. The gather of the logits for the next micro-batch begins with the last layer before
 * the first stage, and delays that micro-batch before that stage. */
static double go_backward(gated *g, double ready_s)
{
    const df_step_times *const t = &g->step->t;
    const int64_t last = g->step->pipe.stages - 1;
    const double held_s = g->held_s;
    double at_s = fmax(ready_s, held_s) + fmax(t->logits[BACKWARD], t->gather.layer);
    double end_s = at_s + t->reduce.logits;
    for (int64_t stage = last; stage >= 0; stage--) {
        if (stage < last) {
            at_s = fmax(at_s, fmax(g->free_s[stage], stage > 0 ? held_s : 0.0));
        }
        at_s += between_s(g, stage, BACKWARD);
        if (stage > 0) {
            g->free_s[stage] = at_s + t->block[BACKWARD];
            g->held_s = g->step->tied ? 0.0 : at_s + t->gather.logits;
            at_s += g->layer_s[BACKWARD] + t->hop;
        }
    }
    at_s += fmax(t->block[BACKWARD], t->gather.embedding);
    end_s = fmax(end_s, at_s + t->reduce.layer);
    g->free_s[0] = at_s + t->embedding[BACKWARD];
    return fmax(end_s, g->free_s[0] + t->reduce.embedding);
}

/* Training with ZeRO 3, all forward first, where each stage has layers. room: a number a stage. */
static double gated_s(const df_step *step, double *room)
{
    const df_step_times *const t = &step->t;
    gated g = {.step = step,
               .layers = df_sched_layers(&step->pipe, 0),
               .layers_of_last = df_sched_layers(&step->pipe, step->pipe.stages - 1),
               .layer_s = {fmax(t->block[FORWARD], t->gather.layer),
                           fmax(t->block[BACKWARD], t->gather.layer)},
               .gather_logits_s = step->tied ? 0.0 : t->gather.logits,
               .free_s = room};
    const int64_t last = step->pipe.stages - 1;
    for (int64_t stage = 0; stage <= last; stage++) {
        g.free_s[stage] = 0.0;
    }
    for (int64_t b = 0; b < step->pipe.batches; b++) {
        go_forward(&g, df_sched_begin_s(step));
    }
    double ready_s = g.logits_s + fmax(t->logits[FORWARD], g.gather_logits_s);
    double end_s = 0.0;
    g.held_s = 0.0;
    for (int64_t stage = 0; stage <= last; stage++) {
        g.free_s[stage] = 0.0;
    }
    for (int64_t b = 0; b < step->pipe.batches; b++) {
        end_s = go_backward(&g, ready_s);
        ready_s = g.free_s[last];
    }
    return end_s;
}

/* ---- One stage ---- */

static double first_batch_s(const df_step *step)
{
    const df_step_times *const t = &step->t;
    const bool gates = df_sched_gathers(step);
    const bool gathered = step->zero_stage == 2 && !step->tied;
    const double gather_s = gates ? t->gather.layer : 0.0;
    const double gather_logits_s = gates && !step->tied ? t->gather.logits : 0.0;
    double at_s = df_sched_begin_s(step) + fmax(t->embedding[FORWARD], gather_s);
    at_s += (double)(step->pipe.layers - 1) * fmax(t->block[FORWARD], gather_s);
    at_s += fmax(t->block[FORWARD], gather_logits_s) + t->logits[FORWARD];
    if (!step->training) {
        return at_s;
    }
    at_s += fmax(t->logits[BACKWARD], gather_s);
    return step->data_parallel ? at_s + t->reduce.logits + (gathered ? t->gather.logits : 0.0)
                               : at_s;
}

/* ---- Graphs ---- */

static df_status simulate(const df_step *step, double *time_s, df_err *err)
{
    const int64_t batches = step->pipe.batches;
    const bool repeats = batches > DF_DAG_SHOWN;
    df_step shown = *step;
    int32_t root = 0;
    shown.pipe.batches = repeats ? DF_DAG_SHOWN : batches;
    df_dag *const dag = df_lower_graph(&shown, NULL, &root);
    if (!dag) {
        return df_fail(err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    if (df_sched_gathers(step)) {
        df_dag_retime(dag, root, df_sched_begin_s(step));
    }
    const df_status status = df_dag_run(dag, root, repeats ? batches : 0, time_s, err);
    df_dag_free(dag);
    return status;
}

/* ---- The choice ---- */

bool df_compat_first_batch_only(const df_rules *rules, const df_pipe *pipe, const df_order *order)
{
    return rules->llm_one_stage_one_batch && pipe->stages == 1 && order->forward_first;
}

df_status df_compat_step(
    df_sched_ws *ws, const df_rules *rules, const df_step *step, double *time_s, df_err *err)
{
    df_step s = *step;
    s.first_gather_free = rules->llm_first_gather_free;
    s.reduces_every_batch = rules->llm_reductions_every_batch;
    s.reduces_side_by_side = rules->llm_reductions_at_once;
    if (s.training && !s.order->forward_first) {
        return df_sched_time(ws, &s, time_s, err);
    }
    const df_pipe *const pipe = &s.pipe;
    const bool gates = df_sched_gathers(&s) && rules->llm_gathers_gate_reductions;
    const bool wraps = pipe->batches > 1 && rules->llm_backward_index_wraps;
    const bool idle = pipe->stages > 1 && df_sched_layers(pipe, pipe->stages - 1) == 0;
    if (pipe->batches > 1 && df_compat_first_batch_only(rules, pipe, s.order)) {
        *time_s = first_batch_s(&s);
        return DF_OK;
    }
    if (idle && (gates || wraps)) {
        return simulate(&s, time_s, err);
    }
    if (gates) {
        DF_TRY(df_sched_ws_reserve(ws, (double)pipe->stages * (double)sizeof(double), err));
        *time_s = gated_s(&s, ws->memory);
        return DF_OK;
    }
    return df_sched_time(ws, &s, time_s, err);
}
