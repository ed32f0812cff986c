/* A pipeline whose stages each do their work in a fixed order: all micro-batches forward and
 * then backward (GPipe: Huang et al., NeurIPS 2019), or one forward, one backward, plain or
 * with several parts of the model on each stage (Narayanan et al., SC 2021). When each piece
 * of work ends then follows from what its stage did before and from what it is handed. */
#include <math.h>
#include <stdlib.h>

#include "llm/llm_impl.h"

enum { FORWARD = DF_FORWARD, BACKWARD = DF_BACKWARD };

/* A part of the model: consecutive layers on one stage. */
typedef struct {
    int64_t layers;
    bool first, last;                 /* it has the embedding, the logits */
    double duration_s[DF_DIRECTIONS]; /* of one micro-batch */
} part;

typedef struct {
    const df_llm_step *step;
    int64_t stages;  /* that have something to do */
    int64_t virtual; /* parts of each */
    int64_t batches;
    double hop_s;
    double layer_s[DF_DIRECTIONS]; /* gathers and reductions beside included */
    double beside_embedding_s;     /* what the first layer's gather takes beyond it */
    double before_logits_s;        /* what the last layer's forward takes beyond layer_s */
    bool serial;                   /* reductions run one after another */
} plan;

/* ---- Parts ---- */

static int64_t layers_of(const plan *p, int64_t number)
{
    const df_llm_step *const s = p->step;
    if (p->virtual > 1) {
        return s->layers / (p->stages * p->virtual);
    }
    const int64_t most = (s->layers + s->stages - 1) / s->stages;
    const int64_t left = s->layers - number * most;
    return left <= 0 ? 0 : left < most ? left : most;
}

static part part_of(const plan *p, int64_t number)
{
    part q;
    const df_llm_durations *const t = &p->step->t;
    q.layers = layers_of(p, number);
    q.first = number == 0;
    q.last = number == p->stages * p->virtual - 1;
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        q.duration_s[i] = (double)q.layers * p->layer_s[i] + (q.first ? t->embedding[i] : 0.0);
    }
    q.duration_s[FORWARD] += q.first ? p->beside_embedding_s : 0.0;
    q.duration_s[FORWARD] += q.last ? t->logits[FORWARD] : 0.0;
    q.duration_s[FORWARD] += q.last && q.layers > 0 ? p->before_logits_s : 0.0;
    q.duration_s[BACKWARD] += q.last ? t->logits[BACKWARD] : 0.0;
    return q;
}

/* ---- Reductions after the last micro-batch ---- */

/* Latest end of a part whose last backward pass began at start_s, its reductions included.
 * *link_s is when the stage's link is free again, for those that run one after another. */
static double reduced_s(const plan *p, const part *q, double start_s, double *link_s)
{
    const df_llm_step *const s = p->step;
    const df_llm_durations *const t = &s->t;
    const double end_s = start_s + q->duration_s[BACKWARD];
    if (!s->data_parallel) {
        return end_s;
    }
    const bool gathered = s->zero_stage == 2;
    const double layer_s = t->reduce_layer + (gathered ? t->gather_layer : 0.0);
    const double embedding_s = t->reduce_embedding + (gathered ? t->gather_embedding : 0.0);
    const double logits_s = t->reduce_logits + (gathered && !s->tied ? t->gather_logits : 0.0);
    double at_s = start_s;
    double last_s = end_s;
    if (q->last) {
        at_s += t->logits[BACKWARD];
        *link_s = fmax(*link_s, at_s) + logits_s;
        last_s = fmax(last_s, at_s + logits_s);
    }
    for (int64_t layer = 0; p->serial && layer < q->layers; layer++) {
        *link_s = fmax(*link_s, at_s + (double)(layer + 1) * p->layer_s[BACKWARD]) + layer_s;
    }
    at_s += (double)q->layers * p->layer_s[BACKWARD];
    last_s = q->layers > 0 ? fmax(last_s, at_s + layer_s) : last_s;
    if (q->first) {
        *link_s = fmax(*link_s, end_s) + embedding_s;
        last_s = fmax(last_s, end_s + embedding_s);
    }
    return p->serial ? fmax(end_s, *link_s) : last_s;
}

/* ---- All forward, then all backward ---- */

static double run_gpipe(const plan *p, double begin_s, double *finish_s)
{
    double last_s = 0.0;
    for (int64_t b = 0; b < p->batches; b++) {
        finish_s[b] = begin_s;
    }
    for (int64_t stage = 0; stage < p->stages; stage++) {
        const part q = part_of(p, stage);
        const double hop_s = q.first ? 0.0 : p->hop_s;
        double free_s = 0.0;
        for (int64_t b = 0; b < p->batches; b++) {
            free_s = fmax(free_s, finish_s[b] + hop_s) + q.duration_s[FORWARD];
            finish_s[b] = free_s;
        }
        last_s = free_s;
    }
    if (!p->step->training) {
        return last_s;
    }
    for (int64_t b = 0; b < p->batches; b++) {
        finish_s[b] = last_s;
    }
    last_s = 0.0;
    for (int64_t stage = p->stages - 1; stage >= 0; stage--) {
        const part q = part_of(p, stage);
        const double hop_s = q.last ? 0.0 : p->hop_s;
        double free_s = 0.0;
        double link_s = 0.0;
        for (int64_t b = p->batches - 1; b >= 0; b--) {
            free_s = fmax(free_s, finish_s[b] + hop_s) + q.duration_s[BACKWARD];
            finish_s[b] = free_s;
        }
        last_s = fmax(last_s, reduced_s(p, &q, free_s - q.duration_s[BACKWARD], &link_s));
    }
    return last_s;
}

/* ---- One forward, one backward ---- */

/* When work on each part ended, of the last `window` micro-batches. */
typedef struct {
    const plan *p;
    int64_t window;
    double *finish_s[DF_DIRECTIONS]; /* [part * window + batch % window] */
    double *done[DF_DIRECTIONS];     /* [part]: micro-batches done */
    double *free_s, *link_s, *next;  /* [stage] */
    double begin_s, last_s;
} run_state;

/* When what the item needs from elsewhere is there; false: not known yet. */
static bool ready_s(const run_state *r, const df_llm_item *i, double *time_s)
{
    const int64_t last = r->p->stages * r->p->virtual - 1;
    if (i->direction == FORWARD && i->part == 0) {
        *time_s = r->begin_s;
        return true;
    }
    const bool turn = i->direction == BACKWARD && i->part == last;
    const int from = turn ? FORWARD : i->direction;
    const int64_t from_part = turn ? last : i->direction == FORWARD ? i->part - 1 : i->part + 1;
    *time_s = r->finish_s[from][from_part * r->window + i->batch % r->window] +
              (turn ? 0.0 : r->p->hop_s);
    return r->done[from][from_part] > (double)i->batch;
}

/* Does the next work of a stage; false: it must wait for another stage, or is done. */
static bool advance(run_state *r, int64_t stage)
{
    const plan *const p = r->p;
    if (r->next[stage] >= (double)(2 * p->batches * p->virtual)) {
        return false;
    }
    const df_llm_order order = {p->stages, p->virtual, p->batches};
    const df_llm_item i = df_llm_item_of(&order, stage, (int64_t)r->next[stage]);
    double start_s;
    if (!ready_s(r, &i, &start_s)) {
        return false;
    }
    const part q = part_of(p, i.part);
    start_s = fmax(start_s, r->free_s[stage]);
    r->free_s[stage] = start_s + q.duration_s[i.direction];
    r->finish_s[i.direction][i.part * r->window + i.batch % r->window] = r->free_s[stage];
    r->done[i.direction][i.part]++;
    r->next[stage]++;
    if (i.direction == BACKWARD && i.batch == p->batches - 1) {
        r->last_s = fmax(r->last_s, reduced_s(p, &q, start_s, &r->link_s[stage]));
    }
    return true;
}

/* Micro-batches that a part may be ahead of the next: at most what is in flight. */
static int64_t window_of(const plan *p)
{
    const int64_t most = (p->virtual + 2) * p->stages;
    return most < p->batches ? most : p->batches;
}

static double run_1f1b(const plan *p, double begin_s, double *room)
{
    const int64_t parts = p->stages * p->virtual;
    run_state r = {.p = p, .window = window_of(p), .begin_s = begin_s};
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        r.finish_s[i] = room;
        r.done[i] = room + parts * r.window;
        room += parts * (r.window + 1);
        for (int64_t k = 0; k < parts; k++) {
            r.done[i][k] = 0.0;
        }
    }
    r.free_s = room;
    r.link_s = room + p->stages;
    r.next = room + 2 * p->stages;
    for (int64_t i = 0; i < 3 * p->stages; i++) {
        room[i] = 0.0;
    }
    bool moved = true;
    while (moved) {
        moved = false;
        for (int64_t stage = 0; stage < p->stages; stage++) {
            while (advance(&r, stage)) {
                moved = true;
            }
        }
    }
    return r.last_s;
}

/* ---- The whole ---- */

df_status df_llm_make_room(df_llm *x, double doubles)
{
    df_llm_predictor *const memory = x->memory;
    const double most = 0x1p31;
    if (doubles > most) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the schedule of the pipeline");
    }
    if ((size_t)doubles > memory->room) {
        double *const larger = realloc(memory->finish_s, (size_t)doubles * sizeof *larger);
        if (!larger) {
            return df_fail(x->err, DF_ENOMEM, "out of memory for the schedule of the pipeline");
        }
        memory->finish_s = larger;
        memory->room = (size_t)doubles;
    }
    return DF_OK;
}

/* A layer takes as long as its own work, or what the link does beside it: gathers of the next
 * layer's parameters (ZeRO 3), reductions of each micro-batch's gradients. */
static void overlap_layers(const df_llm *x, plan *p)
{
    const df_llm_step *const s = p->step;
    const df_llm_durations *const t = &s->t;
    const bool each = s->zero_stage >= 2 || x->rules->llm_reductions_every_batch;
    double link_s[DF_DIRECTIONS] = {0.0, 0.0};
    p->layer_s[FORWARD] = t->block[FORWARD];
    p->layer_s[BACKWARD] = t->block[BACKWARD];
    if (!s->data_parallel) {
        return;
    }
    if (p->serial && each && p->batches > 1) {
        link_s[BACKWARD] += t->reduce_layer;
    }
    if (s->zero_stage >= 3) {
        link_s[FORWARD] += t->gather_layer;
        link_s[BACKWARD] += t->gather_layer;
    }
    p->layer_s[FORWARD] = fmax(p->layer_s[FORWARD], link_s[FORWARD]);
    p->layer_s[BACKWARD] = fmax(p->layer_s[BACKWARD], link_s[BACKWARD]);
    if (s->zero_stage >= 3) {
        p->beside_embedding_s = fmax(0.0, t->gather_layer - t->embedding[FORWARD]);
        /* no layer follows the last, but the logits do */
        const double logits_s = s->tied ? 0.0 : t->gather_logits;
        p->before_logits_s = fmax(t->block[FORWARD], logits_s) - p->layer_s[FORWARD];
    }
}

df_status df_llm_run_schedule(df_llm *x, const df_llm_step *step, double begin_s, double *time_s)
{
    const int64_t most = (step->layers + step->stages - 1) / step->stages;
    const int64_t filled = (step->layers + most - 1) / most;
    plan p = {.step = step,
              .stages = filled < step->stages ? filled + 1 : step->stages,
              .virtual = step->virtual_stages,
              .batches = step->batches,
              .serial = !x->rules->llm_reductions_at_once};
    p.hop_s = p.stages > 1 ? step->t.hop : 0.0;
    overlap_layers(x, &p);
    if (!step->alternates) {
        DF_TRY(df_llm_make_room(x, (double)p.batches));
        *time_s = run_gpipe(&p, begin_s, x->memory->finish_s);
        return DF_OK;
    }
    const double parts = (double)p.stages * (double)p.virtual;
    DF_TRY(
        df_llm_make_room(x, 2.0 * parts * ((double)window_of(&p) + 1.0) + 3.0 * (double)p.stages));
    *time_s = run_1f1b(&p, begin_s, x->memory->finish_s);
    return DF_OK;
}
