#include <math.h>

#include "predict/predict_impl.h"

/* All gradients' norm is needed first, so that the step begins when all are reduced. */
static df_status price_optimizer(df_job *x)
{
    const double shards = x->cfg->sw.dp_zero_stage >= 1 ? x->exchange.replicas : 1.0;
    const double params = df_exchange_stage_params(&x->stack, &x->split) / shards;
    const df_op step = df_exchange_optimizer(&x->dims, params);
    return df_price_ops(&x->coster, &step, 1, &x->optimizer);
}

/* Seconds of a collective among replicas for each part of the model. */
static df_step_parts time_exchange(const df_job *x, df_coll_kind kind, const df_exchange_bytes *b)
{
    const double n = x->exchange.replicas;
    return (df_step_parts){.embedding = df_llm_coll_s(x, kind, b->embedding, n, DF_AXIS_DP),
                           .layer = df_llm_coll_s(x, kind, b->layer, n, DF_AXIS_DP),
                           .logits = df_llm_coll_s(x, kind, b->head, n, DF_AXIS_DP)};
}

/* An order may split the backward pass in two. */
static void read_block(const df_job *x, df_block block, double time_s[DF_TASKS])
{
    const double *const pass_s = x->memory->pass.times.block_s[block];
    const bool splits = x->order->splits_backward;
    time_s[DF_TASK_FORWARD] = pass_s[DF_PASS_FORWARD];
    time_s[DF_TASK_BACKWARD] =
        pass_s[DF_PASS_INPUT_GRAD] + (splits ? 0.0 : pass_s[DF_PASS_WEIGHT_GRAD]);
    time_s[DF_TASK_WEIGHTS] = splits ? pass_s[DF_PASS_WEIGHT_GRAD] : 0.0;
}

static df_step_times read_times(const df_job *x)
{
    const df_coll_kind reduction =
        x->cfg->sw.dp_zero_stage >= 2 ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    df_step_times t = {.hop = 0.0};
    read_block(x, DF_BLOCK_EMBEDDING, t.embedding);
    read_block(x, DF_BLOCK_LAYER, t.block);
    read_block(x, DF_BLOCK_HEAD, t.logits);
    if (x->pipe.stages > 1) {
        t.hop = df_llm_coll_s(x, DF_COLL_P2P, df_llm_hop_bytes(x), 2.0, DF_AXIS_LP);
    }
    if (x->training && x->exchange.replicas > 1.0) {
        t.reduce = time_exchange(x, reduction, &x->exchange.gradients);
        t.gather = time_exchange(x, DF_COLL_ALL_GATHER, &x->exchange.parameters);
    }
    return t;
}

static double gathered_bytes(const df_job *x, double bytes)
{
    return ceil(df_simulated_bytes(&x->simulated, DF_COLL_ALL_GATHER, bytes, x->exchange.replicas));
}

static df_lower_traffic traffic_of(const df_job *x)
{
    const df_exchange_bytes *const g = &x->exchange.gradients;
    const df_exchange_bytes *const p = &x->exchange.parameters;
    return (df_lower_traffic){.replicas = x->exchange.replicas,
                              .hop_bytes = df_llm_hop_bytes(x),
                              .reduced = {g->embedding, g->layer, g->head},
                              .gathered = {gathered_bytes(x, p->embedding),
                                           gathered_bytes(x, p->layer),
                                           gathered_bytes(x, p->head)}};
}

/* The operators, and the graph that stands for the step whether it is simulated or not. */
static df_status show_step(df_job *x, const df_step *step, const df_lower_traffic *traffic)
{
    const df_llm_watch *const watch = x->memory->watch;
    int32_t root;
    DF_TRY(watch->pass(watch->context, x->where, x->memory->pass.breakdown, x->err));
    df_dag *const dag = df_lower_graph(step, traffic, &root);
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    const df_status status = watch->graph(watch->context, x->where, "pipeline", dag, x->err);
    df_dag_free(dag);
    return status;
}

/* Whether what stages and replicas exchange takes the times in t; the simulator has its own. */
static bool edges_timed(const df_job *x)
{
    const bool hybrid = x->cfg->backend.mode == DF_ASTRA_HYBRID;
    return !x->coster.simulated || (hybrid && !x->options.edges_free);
}

/* A step is infinite where the device lacks something: there is no order of events then. */
static bool can_end(const df_job *x, const df_step_times *t)
{
    double sum = 0.0;
    if (edges_timed(x)) {
        sum += t->hop + t->reduce.embedding + t->reduce.layer + t->reduce.logits +
               t->gather.embedding + t->gather.layer + t->gather.logits;
    }
    for (int task = 0; task < DF_TASKS; task++) {
        sum += t->embedding[task] + t->block[task] + t->logits[task];
    }
    return isfinite(sum);
}

/* Adds what follows the last reduction: the ends of a pipeline add up the gradients of a table that
 * both have, devices with copies of a head those of all their layers, and the optimizer runs. */
static df_status add_update(df_job *x, double *optimizer_s, double *time_s)
{
    *time_s += df_llm_coll_s(x, DF_COLL_ALL_REDUCE, x->exchange.shared_bytes, 2.0, DF_AXIS_LP);
    if (x->exchange.copies > 1.0) {
        const double layers = ceil(x->dims.layers / x->split.pp);
        *time_s += df_llm_coll_s(x, DF_COLL_ALL_REDUCE, layers * x->exchange.copied_bytes,
                                 x->exchange.copies, DF_AXIS_TP);
    }
    if (x->exchange.optimizes) {
        DF_TRY(price_optimizer(x));
        *optimizer_s = x->optimizer.time_s;
        *time_s += *optimizer_s;
    }
    return DF_OK;
}

df_status df_llm_run_step(df_job *x, double *optimizer_s, double *time_s)
{
    df_step step = {.t = read_times(x),
                    .pipe = x->pipe,
                    .order = x->order,
                    .zero_stage = x->cfg->sw.dp_zero_stage,
                    .training = x->training,
                    .data_parallel = x->training && x->exchange.replicas > 1.0,
                    .tied = !x->exchange.head_apart};
    if (!can_end(x, &step.t)) {
        *time_s = HUGE_VAL;
        return DF_OK;
    }
    const df_lower_traffic traffic = traffic_of(x);
    if (x->memory->watch) {
        DF_TRY(show_step(x, &step, &traffic));
    }
    DF_TRY(x->coster.simulated
               ? df_llm_run_net_step(x, &step, &traffic, time_s)
               : df_compat_step(&x->memory->sched, x->rules, &step, time_s, x->err));
    return x->training ? add_update(x, optimizer_s, time_s) : DF_OK;
}
