/* The time of a step. Each stage does its tasks in a fixed order, so that when a task ends follows
 * from what its stage did before and from what it is handed. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "sched/sched.h"

enum { FORWARD = DF_TASK_FORWARD, BACKWARD = DF_TASK_BACKWARD, WEIGHTS = DF_TASK_WEIGHTS };

static const double not_yet = -1.0;

typedef struct {
    int64_t layers;
    int64_t left;                /* micro-batches whose gradients are still to come */
    double duration_s[DF_TASKS]; /* duration of one micro-batch */
} part;

typedef struct {
    double free_s;      /* end of its last task */
    double link_free_s; /* end of its last reduction, where they queue */
    int64_t next;       /* number of its next task */
} stage;

typedef struct {
    const df_step *step;
    df_pipe pipe;  /* trimmed */
    int64_t last;  /* part, which has the logits */
    int gradients; /* kind of the task that the gradients of weights come from */
    double begin_s, hop_s;
    double layer_s[DF_TASKS];  /* including the gathers and reductions in parallel with a layer */
    double beside_embedding_s; /* what the first layer's gather takes beyond the embedding */
    double before_logits_s;    /* what the last layer's forward pass takes beyond layer_s */
    part *parts;
    stage *stages;
    double *arrival_s; /* [part, kind, batch % window]: of what a task waits for, or not_yet */
    int64_t window;    /* micro-batches that a stage may be ahead of the next */
} run;

/* ---- Durations ---- */

bool df_sched_gathers(const df_step *step)
{
    return step->training && step->data_parallel && step->zero_stage >= 3;
}

double df_sched_begin_s(const df_step *step)
{
    return df_sched_gathers(step) && !step->first_gather_free ? step->t.gather.embedding : 0.0;
}

/* A layer takes as long as its own work, or as what the link does beside it: gathers of the next
 * layer's parameters (ZeRO 3), reductions of each micro-batch's gradients. */
static void overlap_layers(run *r)
{
    const df_step *const s = r->step;
    const df_step_times *const t = &s->t;
    const bool gathers = df_sched_gathers(s);
    const bool each = s->zero_stage >= 2 || s->reduces_every_batch;
    const bool queues = each && s->pipe.batches > 1 && !s->reduces_side_by_side;
    double link_s[DF_TASKS] = {0.0, 0.0, 0.0};
    link_s[r->gradients] = s->data_parallel && queues ? t->reduce.layer : 0.0;
    link_s[FORWARD] += gathers ? t->gather.layer : 0.0;
    link_s[BACKWARD] += gathers ? t->gather.layer : 0.0;
    for (int kind = 0; kind < DF_TASKS; kind++) {
        r->layer_s[kind] = fmax(t->block[kind], link_s[kind]);
    }
    if (gathers) {
        r->beside_embedding_s = fmax(0.0, t->gather.layer - t->embedding[FORWARD]);
        /* no layer follows the last, but the logits do */
        const double logits_s = s->tied ? 0.0 : t->gather.logits;
        r->before_logits_s = fmax(t->block[FORWARD], logits_s) - r->layer_s[FORWARD];
    }
}

static part part_of(const run *r, int64_t number)
{
    const df_step_times *const t = &r->step->t;
    part p = {.layers = df_sched_layers(&r->pipe, number), .left = r->pipe.batches};
    for (int kind = 0; kind < DF_TASKS; kind++) {
        p.duration_s[kind] = (double)p.layers * r->layer_s[kind];
        p.duration_s[kind] += number == 0 ? t->embedding[kind] : 0.0;
        p.duration_s[kind] += number == r->last ? t->logits[kind] : 0.0;
    }
    p.duration_s[FORWARD] += number == 0 && p.layers > 0 ? r->beside_embedding_s : 0.0;
    p.duration_s[FORWARD] += number == r->last && p.layers > 0 ? r->before_logits_s : 0.0;
    return p;
}

/* ---- Reductions after the last micro-batch ---- */

/* End of a part whose last gradients began at start_s, its reductions included. */
static double reduced_s(const run *r, int64_t number, double start_s, double *link_free_s)
{
    const df_step *const s = r->step;
    const df_step_times *const t = &s->t;
    const part *const p = &r->parts[number];
    const double end_s = start_s + p->duration_s[r->gradients];
    if (!s->data_parallel) {
        return end_s;
    }
    const bool serial = !s->reduces_side_by_side;
    const bool gathered = s->zero_stage == 2;
    const double layer_s = t->reduce.layer + (gathered ? t->gather.layer : 0.0);
    const double embedding_s = t->reduce.embedding + (gathered ? t->gather.embedding : 0.0);
    const double logits_s = t->reduce.logits + (gathered && !s->tied ? t->gather.logits : 0.0);
    double at_s = start_s;
    double last_s = end_s;
    if (number == r->last) {
        at_s += t->logits[r->gradients];
        *link_free_s = fmax(*link_free_s, at_s) + logits_s;
        last_s = fmax(last_s, at_s + logits_s);
    }
    for (int64_t layer = 1; serial && layer <= p->layers; layer++) {
        *link_free_s =
            fmax(*link_free_s, at_s + (double)layer * r->layer_s[r->gradients]) + layer_s;
    }
    at_s += (double)p->layers * r->layer_s[r->gradients];
    last_s = p->layers > 0 ? fmax(last_s, at_s + layer_s) : last_s;
    if (number == 0) {
        *link_free_s = fmax(*link_free_s, end_s) + embedding_s;
        last_s = fmax(last_s, end_s + embedding_s);
    }
    return serial ? fmax(end_s, *link_free_s) : last_s;
}

/* ---- All forward, then all backward ---- */

/* The stages are a flow shop in which every micro-batch takes equally long on a stage: the first
 * one leaves a stage after the sum of all stages so far, and each of the others after the slowest
 * of them. This is what run_tasks gives for such an order (unit.sched), in O(stages) instead of
 * O(stages * batches). That matters to searches, because most of their steps are of this order. */
static double run_flow_shop(run *r)
{
    const double others = (double)(r->pipe.batches - 1);
    double last_s = r->begin_s;
    double slowest_s = 0.0;
    for (int64_t i = 0; i < r->pipe.stages; i++) {
        const double duration_s = r->parts[i].duration_s[FORWARD];
        last_s += (i > 0 ? r->hop_s : 0.0) + duration_s;
        slowest_s = fmax(slowest_s, duration_s);
    }
    last_s += others * slowest_s;
    if (!r->step->training) {
        return last_s;
    }
    double first_s = last_s;
    slowest_s = 0.0;
    for (int64_t i = r->last; i >= 0; i--) {
        const double duration_s = r->parts[i].duration_s[BACKWARD];
        double link_free_s = 0.0;
        first_s += i < r->last ? r->hop_s : 0.0;
        slowest_s = fmax(slowest_s, duration_s);
        const double start_s = first_s + others * slowest_s;
        first_s += duration_s;
        last_s = fmax(last_s, reduced_s(r, i, start_s, &link_free_s));
    }
    return last_s;
}

/* ---- Any order ---- */

static double *arrival_at(const run *r, df_task_kind kind, int64_t number, int64_t batch)
{
    return &r->arrival_s[(2 * number + (int64_t)kind) * r->window + batch % r->window];
}

/* Hands the result of a task to the next part, or from the forward pass of the last part to its
 * backward pass. */
static void hand_on(const run *r, const df_task *task, double end_s)
{
    if (task->kind == DF_TASK_FORWARD && task->part < r->last) {
        *arrival_at(r, DF_TASK_FORWARD, task->part + 1, task->batch) = end_s + r->hop_s;
    } else if (task->kind == DF_TASK_FORWARD) {
        *arrival_at(r, DF_TASK_BACKWARD, task->part, task->batch) = end_s;
    } else if (task->kind == DF_TASK_BACKWARD && task->part > 0) {
        *arrival_at(r, DF_TASK_BACKWARD, task->part - 1, task->batch) = end_s + r->hop_s;
    }
}

/* Takes what a task needs from elsewhere; not_yet where that has not been handed on. */
static double take(const run *r, const df_task *task)
{
    if (task->kind == DF_TASK_WEIGHTS || (task->kind == DF_TASK_FORWARD && task->part == 0)) {
        return r->begin_s;
    }
    double *const arrival = arrival_at(r, task->kind, task->part, task->batch);
    const double arrival_s = *arrival;
    *arrival = not_yet;
    return arrival_s;
}

/* Does tasks of a stage until one has to wait for another stage. Returns whether it did any. */
static bool advance(run *r, int64_t number, double *last_s)
{
    const df_order *const order = r->step->order;
    const int64_t count = df_sched_count(order, &r->pipe);
    stage *const s = &r->stages[number];
    const int64_t first = s->next;
    while (s->next < count) {
        const df_task task = order->task(&r->pipe, number, s->next);
        part *const p = &r->parts[task.part];
        const double arrival_s = take(r, &task);
        if (arrival_s == not_yet) {
            break;
        }
        const double start_s = fmax(arrival_s, s->free_s);
        s->free_s = start_s + p->duration_s[task.kind];
        hand_on(r, &task, s->free_s);
        s->next++;
        if ((int)task.kind == r->gradients && --p->left == 0) {
            *last_s = fmax(*last_s, reduced_s(r, task.part, start_s, &s->link_free_s));
        }
    }
    return s->next > first;
}

static double run_tasks(run *r)
{
    double last_s = 0.0;
    bool moved = true;
    for (int64_t i = 0; i < r->pipe.stages; i++) {
        r->stages[i] = (stage){0.0, 0.0, 0};
    }
    for (int64_t i = 0; i < 2 * (r->last + 1) * r->window; i++) {
        r->arrival_s[i] = not_yet;
    }
    while (moved) {
        moved = false;
        for (int64_t i = 0; i < r->pipe.stages; i++) {
            moved = advance(r, i, &last_s) || moved;
        }
    }
    assert(r->parts[0].left == 0); /* else the order has tasks that wait for each other */
    return last_s;
}

/* ---- The whole ---- */

void df_sched_ws_free(df_sched_ws *ws)
{
    free(ws->memory);
    *ws = (df_sched_ws){NULL, 0};
}

df_status df_sched_ws_reserve(df_sched_ws *ws, double bytes, df_err *err)
{
    const double most = 0x1p34;
    if (bytes <= (double)ws->bytes) {
        return DF_OK;
    }
    if (bytes > most) {
        return df_fail(
            err, DF_INFEASIBLE,
            "scheduling_param.mb: expected a schedule of at most 16 GiB, found %.3g GiB; "
            "fewer micro-batches or stages would fit",
            bytes / 0x1p30);
    }
    void *const larger = realloc(ws->memory, (size_t)bytes);
    if (!larger) {
        return df_fail(err, DF_ENOMEM, "out of memory for the schedule of the pipeline");
    }
    ws->memory = larger;
    ws->bytes = (size_t)bytes;
    return DF_OK;
}

df_status df_sched_time(df_sched_ws *ws, const df_step *step, double *time_s, df_err *err)
{
    const df_order *const order = step->order;
    const bool flows = order->forward_first || !step->training;
    run r = {.step = step,
             .pipe = df_sched_trim(&step->pipe),
             .gradients = order->splits_backward ? WEIGHTS : BACKWARD,
             .begin_s = df_sched_begin_s(step)};
    const int64_t parts = r.pipe.stages * r.pipe.virtual_stages;
    const int64_t most = order->in_flight(&r.pipe, 0);
    r.last = parts - 1;
    r.hop_s = r.pipe.stages > 1 ? step->t.hop : 0.0;
    r.window = most < r.pipe.batches ? most : r.pipe.batches;
    DF_TRY(df_sched_ws_reserve(
        ws,
        (double)parts * (double)sizeof *r.parts + (double)r.pipe.stages * (double)sizeof *r.stages +
            (flows ? 0.0 : 2.0 * (double)parts * (double)r.window * (double)sizeof *r.arrival_s),
        err));
    r.parts = ws->memory;
    r.stages = (void *)(r.parts + parts);
    r.arrival_s = (void *)(r.stages + r.pipe.stages);
    overlap_layers(&r);
    for (int64_t i = 0; i < parts; i++) {
        r.parts[i] = part_of(&r, i);
    }
    *time_s = flows ? run_flow_shop(&r) : run_tasks(&r);
    return DF_OK;
}
