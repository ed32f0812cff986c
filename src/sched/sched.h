/* sched.h: the orders in which the stages of a pipeline work on micro-batches, and the time of a
 * step in an order. It knows only durations: no model, no rules, no simulator.
 *
 * Two stages and four micro-batches; forward passes are digits, backward passes letters:
 *
 *     gpipe   stage 0   0 1 2 3 - - - D D C C B B A A     1f1b   0 1 - - A A 2 B B 3 C C - D D
 *             stage 1   - 0 1 2 3 D D C C B B A A - -            - 0 A A 1 B B 2 C C 3 D D - - */
#ifndef DF_SCHED_H
#define DF_SCHED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/word.h"

/* ---- Orders ---- */

/* Part i of the model, out of stages * virtual_stages, is on stage i % stages. If the layers cannot
 * be dealt out evenly, the last parts have fewer or none if virtual_stages is 1; otherwise parts
 * differ by at most one layer, and those at both ends have one less. Then layers >= parts - 2: only
 * the first and the last part, which have the embedding and the logits, may have none. */
typedef struct {
    int64_t layers, stages, virtual_stages, batches;
} df_pipe;

/* Layers of a part, and of all parts of a stage. */
int64_t df_sched_layers(const df_pipe *pipe, int64_t part);
int64_t df_sched_stage_layers(const df_pipe *pipe, int64_t stage);
/* Layers before a part, and the stage that a layer, counted from 0, is on. */
int64_t df_sched_first_layer(const df_pipe *pipe, int64_t part);
int64_t df_sched_stage_of(const df_pipe *pipe, int64_t layer);
/* The first stage that has more layers than the one before; 0: there is none. */
int64_t df_sched_first_full(const df_pipe *pipe);
/* The pipeline without the stages that have neither layers nor the logits. */
df_pipe df_sched_trim(const df_pipe *pipe);

typedef enum {
    DF_TASK_FORWARD,
    DF_TASK_BACKWARD, /* all of it, or the gradients of the inputs where an order splits it */
    DF_TASK_WEIGHTS,  /* the gradients of the weights where an order splits the backward pass */
    DF_TASKS
} df_task_kind;

/* One micro-batch's pass through a part of the model. */
typedef struct {
    df_task_kind kind;
    int64_t part, batch;
} df_task;

/* An order of training. The evaluator, the memory model, the graphs, files and flags all read it
 * from its row. */
typedef struct {
    const char *name;
    bool several_parts;   /* stages may have several parts of the model */
    bool forward_first;   /* every stage does all forward passes before its first backward pass */
    bool splits_backward; /* it has tasks of kind DF_TASK_WEIGHTS */
    /* The number-th task of a stage, from 0 on. */
    df_task (*task)(const df_pipe *pipe, int64_t stage, int64_t number);
    /* Most passes whose activations a stage keeps at the same time; each pass is of one part. */
    int64_t (*in_flight)(const df_pipe *pipe, int64_t stage);
} df_order;

/* Row of an order; those that something else refers to have a name. */
typedef enum { DF_ORDER_GPIPE, DF_ORDER_1F1B, DF_ORDER_INTERLEAVED } df_order_id;
extern const df_order df_orders[];
extern const int df_order_count;
/* The orders as files and flags write them, by row. */
extern const df_word df_order_words[];

/* Tasks of each stage in a training step. */
int64_t df_sched_count(const df_order *order, const df_pipe *pipe);
/* Micro-batches times layers whose activations a stage keeps at once. */
double df_sched_kept(const df_order *order, const df_pipe *pipe, int64_t stage);

/* ---- The step ---- */

/* A number for each part of the model that has parameters: the embedding, a layer, the logits. */
typedef struct {
    double embedding, layer, logits;
} df_step_parts;

/* Seconds of what a step consists of. */
typedef struct {
    double embedding[DF_TASKS], block[DF_TASKS], logits[DF_TASKS];
    double hop;                   /* from one stage to the next */
    df_step_parts reduce, gather; /* among replicas */
} df_step_times;

typedef struct {
    df_step_times t;
    df_pipe pipe;
    const df_order *order;
    int64_t zero_stage;
    bool training;      /* if false, there are only forward passes */
    bool data_parallel; /* replicas reduce gradients */
    bool tied;          /* the logits use the embedding's table */
    /* Options. */
    bool first_gather_free;    /* ZeRO 3: the first micro-batch waits for no parameters */
    bool reduces_every_batch;  /* gradients are reduced after each micro-batch, as with ZeRO 2 */
    bool reduces_side_by_side; /* reductions of a stage do not queue for a link */
} df_step;

/* Whether parameters are gathered before they are used. */
bool df_sched_gathers(const df_step *step);
/* When the first micro-batch can begin. */
double df_sched_begin_s(const df_step *step);

/* Memory for steps, kept from one to the next. It works zeroed. */
typedef struct {
    void *memory;
    size_t bytes;
} df_sched_ws;

void df_sched_ws_free(df_sched_ws *ws);
/* Makes ws->memory at least that large. DF_ENOMEM; DF_INFEASIBLE: 16 GiB are not enough. */
DF_NODISCARD df_status df_sched_ws_reserve(df_sched_ws *ws, double bytes, df_err *err);

/* Time of a step whose durations are finite. It allocates only for a step that is larger than all
 * previous ones. Errors as df_sched_ws_reserve. */
DF_NODISCARD df_status df_sched_time(df_sched_ws *ws,
                                     const df_step *step,
                                     double *time_s,
                                     df_err *err);

#endif
