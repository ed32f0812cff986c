#include <math.h>

#include "compat/step_reference.h"
#include "llm/llm_impl.h"

bool df_llm_accumulates(const df_llm *x)
{
    const df_pipe pipe = df_llm_pipe(x->cfg);
    return !df_compat_first_batch_only(x->rules, &pipe, df_llm_order(x->cfg));
}

double df_llm_layer_params(const df_llm *x)
{
    const double attention = x->d * (x->h + 2.0 * x->h_kv) * x->e + x->d * x->d;
    const double ffn = x->d * x->ffn1 + x->ffn * x->d;
    return (attention + x->experts * ffn) / x->tp;
}

double df_llm_replicas(const df_llm *x)
{
    return x->rules->llm_context_gradients_unreduced ? x->dp : x->dp * x->cp;
}

/* ---- Bytes that replicas exchange ---- */

df_step_parts df_llm_gradient_bytes(const df_llm *x)
{
    const double gc = x->bytes.gradient_comm;
    const double d = x->d;
    const double table = ceil(gc * (double)x->m->vocab_size * d);
    df_step_parts s = {table,
                       ceil(3.0 * gc * d * d) + ceil(gc * d * d) + ceil(gc * x->ffn1 * d) +
                           ceil(gc * x->ffn * d),
                       table};
    if (!x->rules->llm_gradients_unsharded) {
        s.layer = ceil(gc * df_llm_layer_params(x));
        s.embedding = ceil(gc * (double)x->m->vocab_size * d / x->tp);
        s.logits = s.embedding;
    }
    if (x->m->tied_embeddings && x->lp == 1 && !x->rules->llm_tied_gradients_apart) {
        s.logits = 0.0; /* added to the embedding's */
    }
    if (x->rules->llm_embedding_gradient_with_activations) {
        s.embedding += ceil(gc * x->s * d * x->batch);
    }
    return s;
}

df_step_parts df_llm_parameter_bytes(const df_llm *x)
{
    const double w = x->bytes.parameter;
    const double d = x->d;
    const double f = x->m->model_type == DF_LLM_LLAMA ? 3.0 : 2.0;
    const double table = ceil(w * ((double)x->m->vocab_size * d / x->tp));
    const double layer = x->rules->llm_gradients_unsharded ? (4.0 * d * d + f * x->ffn * d) / x->tp
                                                           : df_llm_layer_params(x);
    return (df_step_parts){table, ceil(w * layer), table};
}

/* ---- The optimizer: Adam (Kingma and Ba, ICLR 2015), gradients clipped by their norm ---- */

double df_llm_stage_params(const df_llm *x)
{
    const double table = (double)x->m->vocab_size * x->d / x->tp;
    const double layers = ceil((double)x->m->num_layers / x->lp);
    const double tables = x->lp > 1 || x->m->tied_embeddings ? 1.0 : 2.0;
    return layers * df_llm_layer_params(x) + tables * table;
}

df_llm_per_param df_llm_optimizer_work(const df_llm *x)
{
    const double flops = 15.0; /* norm 2, clipping 1, moments 3 and 4, update 5 */
    const df_llm_bytes *const b = &x->bytes;
    const double gradients = 2.0 * b->gradient; /* for the norm, and for the step */
    const double moments = 4.0 * b->optimizer;
    const double values = b->master > 0.0 ? 2.0 * b->master + b->parameter : 2.0 * b->parameter;
    return (df_llm_per_param){flops, gradients + moments + values};
}

/* All gradients' norm is needed first, so that the step begins when all are reduced. */
static double optimizer_s(const df_llm *x)
{
    const double shards = x->cfg->sw.dp_zero_stage >= 1 ? df_llm_replicas(x) : 1.0;
    const double n = df_llm_stage_params(x) / shards;
    const df_llm_per_param each = df_llm_optimizer_work(x);
    return df_llm_stream_s(x, each.flops * n, each.bytes * n) + 2.0 * x->launch_s;
}

/* Bytes of a table that both ends of a pipeline have: they add up its gradients. */
double df_llm_shared_table_bytes(const df_llm *x)
{
    const bool shared = x->m->tied_embeddings && x->lp > 1 && !x->rules->llm_tied_gradients_apart;
    const double table = (double)x->m->vocab_size * x->d / x->tp;
    return shared ? ceil(x->bytes.gradient_comm * table) : 0.0;
}

/* ---- The step ---- */

df_pipe df_llm_pipe(const df_cfg *cfg)
{
    const bool interleaved =
        cfg->llm.run_type == DF_RUN_TRAINING && cfg->sched.schedule == DF_SCHEDULE_INTERLEAVED;
    return (df_pipe){.layers = cfg->llm.num_layers,
                     .stages = cfg->sched.lp,
                     .virtual_stages = interleaved ? cfg->sched.virtual_stages : 1,
                     .batches = cfg->sched.mb};
}

const df_order *df_llm_order(const df_cfg *cfg)
{
    static const df_order_id orders[] = {[DF_SCHEDULE_GPIPE] = DF_ORDER_GPIPE,
                                         [DF_SCHEDULE_1F1B] = DF_ORDER_1F1B,
                                         [DF_SCHEDULE_INTERLEAVED] = DF_ORDER_INTERLEAVED};
    return &df_orders[orders[cfg->sched.schedule]];
}

static df_step_times read_durations(const df_llm *x, const df_llm_pass *pass, double tokens)
{
    const double n = df_llm_replicas(x);
    const df_hw_link *const link = &x->data;
    const df_coll_kind kind =
        x->cfg->sw.dp_zero_stage >= 2 ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    const df_llm_row *const embedding = &pass->row[DF_LLM_EMBEDDING];
    const df_llm_row *const logits = &pass->row[DF_LLM_LOGITS];
    df_step_times t = {.embedding = {embedding->forward_s, embedding->backward_s},
                       .block = {pass->block_forward_s, pass->block_backward_s},
                       .logits = {logits->forward_s, logits->backward_s}};
    if (x->lp > 1) {
        t.hop = df_llm_coll_s(x, DF_COLL_P2P, x->bytes.activation * x->batch * x->d * tokens, 2.0,
                              &x->pipeline);
    }
    if (x->m->run_type == DF_RUN_TRAINING && n > 1) {
        const df_step_parts gradients = df_llm_gradient_bytes(x);
        const df_step_parts parameters = df_llm_parameter_bytes(x);
        t.reduce.embedding = df_llm_coll_s(x, kind, gradients.embedding, n, link);
        t.reduce.layer = df_llm_coll_s(x, kind, gradients.layer, n, link);
        t.reduce.logits = df_llm_coll_s(x, kind, gradients.logits, n, link);
        t.gather.embedding = df_llm_coll_s(x, DF_COLL_ALL_GATHER, parameters.embedding, n, link);
        t.gather.layer = df_llm_coll_s(x, DF_COLL_ALL_GATHER, parameters.layer, n, link);
        t.gather.logits = t.gather.embedding;
    }
    return t;
}

df_lower_traffic df_llm_traffic(const df_llm *x, double tokens)
{
    df_lower_traffic traffic = {.replicas = df_llm_replicas(x),
                                .hop_bytes = x->bytes.activation * x->batch * x->d * tokens,
                                .reduced = df_llm_gradient_bytes(x),
                                .gathered = df_llm_parameter_bytes(x)};
    double *const bytes[] = {&traffic.gathered.embedding, &traffic.gathered.layer,
                             &traffic.gathered.logits};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        *bytes[i] =
            ceil(df_llm_told_bytes(x->rules, DF_COLL_ALL_GATHER, *bytes[i], traffic.replicas));
    }
    return traffic;
}

/* The operators, and the graph that stands for the step whether it is simulated or not. */
static df_status show_step(df_llm *x, const df_llm_pass *pass, const df_step *step, double tokens)
{
    const df_lower_traffic traffic = df_llm_traffic(x, tokens);
    const df_llm_watch *const watch = x->memory->watch;
    int32_t root;
    DF_TRY(watch->pass(watch->context, x->where, pass, x->err));
    df_dag *const dag = df_lower_graph(step, &traffic, &root);
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    const df_status status = watch->graph(watch->context, x->where, "pipeline", dag, x->err);
    df_dag_free(dag);
    return status;
}

/* Whether what stages and replicas exchange takes the times in t; the simulator has its own. */
static bool edges_timed(const df_llm *x)
{
    const bool hybrid = x->cfg->backend.mode == DF_ASTRA_HYBRID;
    return !x->simulated || (hybrid && !x->rules->astra_hybrid_edges_free);
}

/* Infinite where the device lacks something: no order of events then. */
static bool can_end(const df_llm *x, const df_step_times *t)
{
    double sum = 0.0;
    if (edges_timed(x)) {
        sum += t->hop + t->reduce.embedding + t->reduce.layer + t->reduce.logits +
               t->gather.embedding + t->gather.layer + t->gather.logits;
    }
    for (int direction = 0; direction < DF_LLM_DIRECTIONS; direction++) {
        sum += t->embedding[direction] + t->block[direction] + t->logits[direction];
    }
    return isfinite(sum);
}

static df_step step_of(const df_llm *x, const df_llm_pass *pass, double tokens, bool training)
{
    const int64_t zero_stage = x->cfg->sw.dp_zero_stage;
    const bool apart = zero_stage >= 3 && !x->rules->llm_tied_logits_not_gathered;
    return (df_step){.t = read_durations(x, pass, tokens),
                     .pipe = df_llm_pipe(x->cfg),
                     .order = df_llm_order(x->cfg),
                     .zero_stage = zero_stage,
                     .training = training,
                     .data_parallel = training && df_llm_replicas(x) > 1.0,
                     .tied = x->m->tied_embeddings && !apart};
}

df_status df_llm_run_step(
    df_llm *x, df_llm_pass *pass, double tokens, double *optimizer_time_s, double *time_s)
{
    const bool training = optimizer_time_s != NULL;
    df_step step = step_of(x, pass, tokens, training);
    DF_TRY(x->status);
    if (!can_end(x, &step.t)) {
        *time_s = HUGE_VAL;
        return DF_OK;
    }
    if (x->memory->watch) {
        DF_TRY(show_step(x, pass, &step, tokens));
    }
    DF_TRY(x->simulated ? df_llm_run_net_step(x, pass, &step, tokens, time_s)
                        : df_compat_step(&x->memory->sched, x->rules, &step, time_s, x->err));
    if (training) {
        *time_s +=
            df_llm_coll_s(x, DF_COLL_ALL_REDUCE, df_llm_shared_table_bytes(x), 2.0, &x->pipeline);
    }
    if (training && !x->rules->llm_optimizer_free) {
        *optimizer_time_s = optimizer_s(x);
        *time_s += *optimizer_time_s;
    }
    return DF_OK;
}
