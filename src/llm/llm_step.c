#include <math.h>
#include <string.h>

#include "llm/llm_impl.h"

bool df_llm_accumulates(const df_llm *x)
{
    return df_compat_accumulates(x->rules, x->cfg);
}

/* All gradients' norm is needed first, so that the step begins when all are reduced. */
static df_status time_optimizer(const df_llm *x, double *time_s)
{
    const double shards = x->cfg->sw.dp_zero_stage >= 1 ? x->exchange.replicas : 1.0;
    const double params = df_exchange_stage_params(&x->dims, &x->split) / shards;
    const df_op step = df_exchange_optimizer(&x->dims, params);
    df_price price;
    DF_TRY(df_price_op(&x->coster, &step, &price));
    *time_s = price.time_s;
    return DF_OK;
}

/* ---- The step ---- */

static df_llm_durations read_durations(const df_llm *x, const df_breakdown *table, double hop_bytes)
{
    const df_exchange *const e = &x->exchange;
    const double n = e->replicas;
    const df_hw_link *const link = &x->coster.topo.axis[DF_AXIS_DP].link;
    const df_coll_kind kind =
        x->cfg->sw.dp_zero_stage >= 2 ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    const df_row_side *const embedding = table->row[DF_ROW_EMBEDDING].side;
    const df_row_side *const logits = table->row[DF_ROW_LOGITS].side;
    df_llm_durations t;
    memset(&t, 0, sizeof t);
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        t.embedding[i] = embedding[i].time_s;
        t.block[i] = table->block_s[i];
        t.logits[i] = logits[i].time_s;
    }
    if (x->split.pp > 1) {
        t.hop =
            df_llm_coll_s(x, DF_COLL_P2P, hop_bytes, 2.0, &x->coster.topo.axis[DF_AXIS_LP].link);
    }
    if (x->cfg->llm.run_type == DF_RUN_TRAINING && n > 1) {
        t.reduce_embedding = df_llm_coll_s(x, kind, e->gradients.embedding, n, link);
        t.reduce_layer = df_llm_coll_s(x, kind, e->gradients.layer, n, link);
        t.reduce_logits = df_llm_coll_s(x, kind, e->gradients.head, n, link);
        t.gather_embedding = df_llm_coll_s(x, DF_COLL_ALL_GATHER, e->parameters.embedding, n, link);
        t.gather_layer = df_llm_coll_s(x, DF_COLL_ALL_GATHER, e->parameters.layer, n, link);
        t.gather_logits = t.gather_embedding;
    }
    return t;
}

/* Stages that have layers come to fewer than there are. */
static bool has_empty_stages(const df_llm_step *s)
{
    const int64_t most = (s->layers + s->stages - 1) / s->stages;
    return (s->stages - 1) * most >= s->layers && s->stages > 1;
}

df_status df_llm_run_order(df_llm *x, const df_llm_step *step, double *time_s)
{
    const bool gathers = step->training && step->data_parallel && step->zero_stage >= 3;
    const bool gates = gathers && x->rules->llm_gathers_gate_reductions;
    const bool wraps = step->batches > 1 && x->rules->llm_backward_index_wraps;
    const double begin_s =
        gathers && !x->rules->llm_first_gather_free ? step->t.gather_embedding : 0.0;
    if (step->alternates) {
        return df_llm_run_schedule(x, step, begin_s, time_s);
    }
    if (step->stages == 1 && step->batches > 1 && !df_llm_accumulates(x)) {
        *time_s = df_llm_first_batch_s(step, begin_s);
        return DF_OK;
    }
    if (has_empty_stages(step) && (gates || wraps)) {
        return df_llm_run_graph(x, step, begin_s, time_s);
    }
    if (gates) {
        DF_TRY(df_llm_make_room(x, (double)step->stages));
        *time_s = df_llm_gated_s(step, begin_s, x->memory->finish_s);
        return DF_OK;
    }
    return df_llm_run_schedule(x, step, begin_s, time_s);
}

/* The operators, and the graph that stands for the step whether it is simulated or not. */
static df_status show_step(df_llm *x, const df_llm_pass *pass, const df_llm_step *step)
{
    const df_llm_watch *const watch = x->memory->watch;
    int32_t root;
    DF_TRY(watch->pass(watch->context, x->where, &pass->table, x->err));
    df_dag *const dag = df_llm_build_graph(step, &root);
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    const df_status status = df_llm_show(x, "pipeline", dag);
    df_dag_free(dag);
    return status;
}

/* Whether what stages and replicas exchange takes the times in t; the simulator has its own. */
static bool edges_timed(const df_llm *x)
{
    const bool hybrid = x->cfg->backend.mode == DF_ASTRA_HYBRID;
    return !x->coster.simulated || (hybrid && !x->rules->astra_hybrid_edges_free);
}

/* Infinite where the device lacks something: no order of events then. */
static bool can_end(const df_llm *x, const df_llm_durations *t)
{
    double sum = 0.0;
    if (edges_timed(x)) {
        sum += t->hop + t->reduce_embedding + t->reduce_layer + t->reduce_logits +
               t->gather_embedding + t->gather_layer + t->gather_logits;
    }
    for (int direction = 0; direction < DF_DIRECTIONS; direction++) {
        sum += t->embedding[direction] + t->block[direction] + t->logits[direction];
    }
    return isfinite(sum);
}

/* Bytes of the simulator's gathers of parameters. */
static df_exchange_bytes gathered(const df_llm *x)
{
    const df_exchange_bytes *const p = &x->exchange.parameters;
    const double n = x->exchange.replicas;
    return (df_exchange_bytes){
        .embedding = ceil(df_simulated_bytes(&x->simulated, DF_COLL_ALL_GATHER, p->embedding, n)),
        .layer = ceil(df_simulated_bytes(&x->simulated, DF_COLL_ALL_GATHER, p->layer, n)),
        .head = ceil(df_simulated_bytes(&x->simulated, DF_COLL_ALL_GATHER, p->head, n))};
}

df_status
df_llm_run_step(df_llm *x, const df_llm_pass *pass, double *optimizer_time_s, double *time_s)
{
    const bool training = optimizer_time_s != NULL;
    const bool alternates = training && x->cfg->sched.schedule != DF_SCHEDULE_GPIPE;
    const double hop_bytes =
        x->dims.bytes.activation * x->split.batch * x->dims.hidden * pass->span.tokens;
    df_llm_step step = {.t = read_durations(x, &pass->table, hop_bytes),
                        .layers = x->cfg->llm.num_layers,
                        .batches = x->cfg->sched.mb,
                        .stages = x->cfg->sched.lp,
                        .virtual_stages = alternates ? x->cfg->sched.virtual_stages : 1,
                        .alternates = alternates,
                        .zero_stage = x->cfg->sw.dp_zero_stage,
                        .training = training,
                        .data_parallel = training && x->exchange.replicas > 1.0,
                        .tied = !x->exchange.head_apart,
                        .replicas = x->exchange.replicas,
                        .hop_bytes = hop_bytes,
                        .reduced = x->exchange.gradients,
                        .gathered = gathered(x)};
    if (!can_end(x, &step.t)) {
        *time_s = HUGE_VAL;
        return DF_OK;
    }
    if (x->memory->watch) {
        DF_TRY(show_step(x, pass, &step));
    }
    DF_TRY(x->coster.simulated ? df_llm_run_net_step(x, pass, &step, time_s)
                               : df_llm_run_order(x, &step, time_s));
    if (training) {
        *time_s += df_llm_coll_s(x, DF_COLL_ALL_REDUCE, x->exchange.shared_bytes, 2.0,
                                 &x->coster.topo.axis[DF_AXIS_LP].link);
    }
    if (training && !x->rules->llm_optimizer_free) {
        DF_TRY(time_optimizer(x, optimizer_time_s));
        *time_s += *optimizer_time_s;
    }
    return DF_OK;
}
