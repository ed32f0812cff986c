/* Steps as the Python DeepFlow links them, where that is not the order of sched: gathers
 * of ZeRO 3 (Rajbhandari et al., SC 2020) that hold up reductions and other micro-batches, and
 * micro-batches of a single stage that nothing leads to. The same as simulating the graph of
 * llm_graph.c, whose links leave no device a choice: each element begins when its parents have
 * ended, which is followed here from stage to stage. unit.llm.graph compares the two. */
#include <math.h>

#include "llm/llm_impl.h"

enum { FORWARD = DF_TASK_FORWARD, BACKWARD = DF_TASK_BACKWARD };

typedef struct {
    const df_step *step;
    int64_t layers, layers_of_last;    /* of each stage but the last, of the last */
    double layer_s[DF_LLM_DIRECTIONS]; /* from one layer to the next, its gather beside */
    double gather_logits_s;            /* beside the last layer; 0: the table is there */
    double *free_s;                    /* [stage]: when it ended with the last micro-batch */
    double held_s;                     /* when a gather lets other micro-batches go on */
    double logits_s;                   /* when the last forward pass of logits began */
} gated;

/* From the beginning of a stage's first layer to that of its last. */
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
            at_s += fmax(t->embedding[FORWARD], t->gather_layer);
        }
        at_s += between_s(g, stage, FORWARD);
        if (stage < last) {
            g->free_s[stage] = at_s + t->block[FORWARD];
            g->held_s = at_s + t->gather_embedding;
            at_s += g->layer_s[FORWARD] + t->hop;
        }
    }
    g->logits_s = at_s + fmax(t->block[FORWARD], g->gather_logits_s);
    g->free_s[last] = g->logits_s + t->logits[FORWARD];
}

/* A micro-batch backward, whose logits can begin at ready_s. Returns the end of what comes last.
 * The logits' gather for the next micro-batch begins with the last layer before the first stage,
 * and holds that one up before that stage. */
static double go_backward(gated *g, double ready_s)
{
    const df_step_times *const t = &g->step->t;
    const int64_t last = g->step->pipe.stages - 1;
    const double held_s = g->held_s;
    double at_s = fmax(ready_s, held_s) + fmax(t->logits[BACKWARD], t->gather_layer);
    double end_s = at_s + t->reduce_logits;
    for (int64_t stage = last; stage >= 0; stage--) {
        if (stage < last) {
            at_s = fmax(at_s, fmax(g->free_s[stage], stage > 0 ? held_s : 0.0));
        }
        at_s += between_s(g, stage, BACKWARD);
        if (stage > 0) {
            g->free_s[stage] = at_s + t->block[BACKWARD];
            g->held_s = g->step->tied ? 0.0 : at_s + t->gather_logits;
            at_s += g->layer_s[BACKWARD] + t->hop;
        }
    }
    at_s += fmax(t->block[BACKWARD], t->gather_embedding);
    end_s = fmax(end_s, at_s + t->reduce_layer);
    g->free_s[0] = at_s + t->embedding[BACKWARD];
    return fmax(end_s, g->free_s[0] + t->reduce_embedding);
}

double df_llm_gated_s(const df_step *step, double *room)
{
    const df_step_times *const t = &step->t;
    gated g = {.step = step,
               .layers = df_sched_layers(&step->pipe, 0),
               .layers_of_last = df_sched_layers(&step->pipe, step->pipe.stages - 1),
               .layer_s = {fmax(t->block[FORWARD], t->gather_layer),
                           fmax(t->block[BACKWARD], t->gather_layer)},
               .gather_logits_s = step->tied ? 0.0 : t->gather_logits,
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

double df_llm_first_batch_s(const df_step *step)
{
    const df_step_times *const t = &step->t;
    const bool gates = df_sched_gathers(step);
    const bool gathered = step->zero_stage == 2 && !step->tied;
    const double gather_s = gates ? t->gather_layer : 0.0;
    const double gather_logits_s = gates && !step->tied ? t->gather_logits : 0.0;
    double at_s = df_sched_begin_s(step) + fmax(t->embedding[FORWARD], gather_s);
    at_s += (double)(step->pipe.layers - 1) * fmax(t->block[FORWARD], gather_s);
    at_s += fmax(t->block[FORWARD], gather_logits_s) + t->logits[FORWARD];
    if (!step->training) {
        return at_s;
    }
    at_s += fmax(t->logits[BACKWARD], gather_s);
    return step->data_parallel ? at_s + t->reduce_logits + (gathered ? t->gather_logits : 0.0)
                               : at_s;
}
