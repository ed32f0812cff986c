#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/predict_impl.h"

struct df_predictor {
    df_gemm_search *gemm;
    df_netcoll *net;  /* NULL until it is needed */
    df_runner *astra; /* borrowed; NULL: net has its own */
    df_pipeline *pipe;
};

df_predictor *df_predictor_new(void)
{
    df_predictor *predictor = calloc(1, sizeof *predictor);
    if (!predictor) {
        return NULL;
    }
    predictor->gemm = df_gemm_search_new();
    predictor->pipe = df_pipeline_new();
    if (!predictor->gemm || !predictor->pipe) {
        df_predictor_free(predictor);
        return NULL;
    }
    return predictor;
}

void df_predictor_use(df_predictor *predictor, df_runner *astra)
{
    predictor->astra = astra;
}

void df_predictor_free(df_predictor *predictor)
{
    if (predictor) {
        df_gemm_search_free(predictor->gemm);
        df_pipeline_free(predictor->pipe);
        df_netcoll_free(predictor->net);
        free(predictor);
    }
}

/* Prices an operator and writes it down; its time. */
static double price(df_job *job, const df_op *op)
{
    df_price price;
    if (job->status != DF_OK) {
        return 0.0;
    }
    job->status = df_price_op(&job->coster, op, &price);
    if (job->status != DF_OK) {
        return 0.0;
    }
    if (job->usage) {
        df_usage_add_price(job->usage, job->dev, op, &price);
    }
    return price.time_s;
}

const df_hw_link *df_job_link(const df_job *job, df_axis axis)
{
    return &job->coster.topo.axis[axis].link;
}

double df_job_gemm(df_job *job, double m, double k, double n)
{
    return price(
        job, &(df_op){.kind = DF_OP_GEMM, .repeats = 1.0, .launches = 1.0, .gemm = {m, k, n, 0.0}});
}

void df_job_begin_op(df_job *job, const char *name, double runs)
{
    if (job->usages) {
        job->usage = df_usages_add(job->usages, name, runs);
    }
}

void df_job_end_op(df_job *job, double time_s)
{
    if (job->usage) {
        df_usage_fill(job->usage, time_s);
        job->usage = NULL;
    }
}

void df_job_repeat_op(df_job *job)
{
    if (job->usage) {
        df_usage_scale(job->usage, 2.0);
    }
}

double df_job_transfer(const df_job *job, double time_s)
{
    if (job->usage) {
        job->usage->cost_s[DF_COST_NETWORK] += time_s;
    }
    return time_s;
}

double df_job_stream(df_job *job, double flops, double bytes)
{
    return price(job,
                 &(df_op){.kind = DF_OP_STREAM, .repeats = 1.0, .stream = {1.0, flops, bytes}});
}

double df_job_coll(
    df_job *job, df_coll_kind kind, double bytes, double participants, const df_hw_link *link)
{
    const df_op op = {.kind = DF_OP_COLLECTIVE, .repeats = 1.0, .coll = {kind, 0, bytes}};
    const df_topo_group group = {.members = participants, .link = *link};
    df_price result = {.time_s = 0.0};
    if (job->status == DF_OK) {
        job->status = df_price_collective(&job->coster, &op, &group, &result);
    }
    return job->status == DF_OK ? df_job_transfer(job, result.time_s) : 0.0;
}

double df_job_gather(df_job *job, double shard_bytes, double participants, const df_hw_link *link)
{
    return df_job_coll(job, DF_COLL_ALL_GATHER, shard_bytes * participants, participants, link);
}

df_split_time df_job_cr_forward(df_job *job, const df_split_gemm *g)
{
    df_split_time t;
    t.compute_s = df_job_gemm(job, g->m, floor(g->k / g->dim1), g->n);
    t.comm_s = df_job_coll(job, DF_COLL_REDUCE_SCATTER, ceil(job->q * g->m * g->n), g->dim1,
                           df_job_link(job, DF_AXIS_KP1));
    return t;
}

df_split_time df_job_cr_backward(df_job *job, const df_split_gemm *g)
{
    df_split_time t;
    const double shard_bytes = ceil(ceil(job->q * g->m * g->n) / g->dim1);
    t.compute_s = df_job_gemm(job, g->k, floor(g->m / g->dim1), g->n) +
                  df_job_gemm(job, g->m, floor(g->n / g->dim1), g->k);
    t.comm_s = df_job_gather(job, shard_bytes, g->dim1, df_job_link(job, DF_AXIS_KP1));
    return t;
}

df_split_time df_job_rc_forward(df_job *job, const df_split_gemm *g)
{
    df_split_time t;
    const double rows = floor(g->m / g->dim1);
    const double shard_bytes = ceil(ceil(job->q * rows * g->n) / g->dim2);
    t.compute_s = df_job_gemm(job, rows, g->k, floor(g->n / g->dim2));
    t.comm_s = df_job_gather(job, shard_bytes, g->dim2, df_job_link(job, DF_AXIS_KP2));
    return t;
}

df_split_time df_job_rc_backward(df_job *job, const df_split_gemm *g)
{
    const double q = job->q;
    const double a = g->dim1;
    const double b = g->dim2;
    const double along_rows[] = {q * g->k * g->m, q * g->m * (g->n / b)};
    const double along_columns[] = {q * (g->m / a) * g->n, q * g->k * g->n};
    df_split_time t = {0.0, 0.0};
    for (int i = 0; i < 2; i++) {
        t.comm_s +=
            df_job_gather(job, ceil(ceil(along_rows[i]) / a), a, df_job_link(job, DF_AXIS_KP1));
    }
    for (int i = 0; i < 2; i++) {
        t.comm_s +=
            df_job_gather(job, ceil(ceil(along_columns[i]) / b), b, df_job_link(job, DF_AXIS_KP2));
    }
    t.compute_s =
        df_job_gemm(job, g->k / a, g->m, g->n / b) + df_job_gemm(job, g->m / a, g->n, g->k / b);
    return t;
}

double df_job_cell(df_job *job, double m, double k, double n)
{
    return df_job_gemm(job, m, k, n) + df_job_stream(job, 5.0 * m * n, 13.0 * job->q * m * n) +
           5.0 * job->launch_s;
}

/* Applies a gradient of x * y weights, then clips it. */
static double update_s(df_job *job, double x, double y)
{
    const double n = x * y;
    return df_job_stream(job, 3.0 * n, 4.0 * n * job->q) +
           df_job_stream(job, 4.0 * n, 3.0 * n * job->q);
}

double
df_job_reduce_gradient(df_job *job, double k, double n, const df_kp_split *part, df_kp_type type)
{
    const double q = job->q;
    const double dp = (double)job->cfg->sched.dp;
    const double a = part->dim1;
    const double b = part->dim2;
    switch (type) {
    case DF_KP_CR:
        return df_job_coll(job, DF_COLL_ALL_REDUCE, ceil(q * (k / a) * n), dp,
                           df_job_link(job, DF_AXIS_DP)) +
               update_s(job, k / a, n);
    case DF_KP_RC: {
        const double reduce_s = df_job_coll(job, DF_COLL_ALL_REDUCE, ceil(q * (k / a) * (n / b)),
                                            dp, df_job_link(job, DF_AXIS_DP));
        const double gather_s =
            df_job_gather(job, ceil(ceil(q * k * (n / b)) / a), a, df_job_link(job, DF_AXIS_KP1));
        return gather_s + reduce_s + update_s(job, k, n / b);
    }
    case DF_KP_NONE:
        break;
    }
    return df_job_coll(job, DF_COLL_ALL_REDUCE, ceil(q * k * n), dp, df_job_link(job, DF_AXIS_DP)) +
           update_s(job, k, n);
}

df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err)
{
    switch (cfg->mode) {
    case DF_MODE_GEMM:
        return df_check_gemm(cfg, err);
    case DF_MODE_LSTM:
        return df_check_lstm(cfg, rules, err);
    case DF_MODE_LLM:
        break;
    }
    return df_fail(err, DF_EINVAL, "model_param.mode: expected GEMM or LSTM, found %s",
                   df_mode_name(cfg->mode));
}

/* Whether any rate that every kernel needs is missing. */
static bool cannot_compute(const df_hw_device *dev)
{
    bool missing = !(dev->core.throughput_flops_ps > 0.0);
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        missing = missing || !(dev->mem[i].throughput_bytes_ps > 0.0);
    }
    return missing;
}

static void predict_mode(df_job *job, bool dead, df_prediction *result)
{
    if (job->cfg->mode == DF_MODE_GEMM) {
        df_predict_gemm(job, &result->gemm);
        result->time_s = result->gemm.time_s;
    } else {
        df_predict_lstm(job, &result->lstm);
        result->time_s = result->lstm.time_s;
    }
    if (dead) {
        result->time_s = HUGE_VAL;
    }
}

/* Where the configuration asks for it. */
static df_status use_simulator(df_predictor *predictor, df_job *job, df_simulated *simulated)
{
    if (!df_backend_simulates(&job->cfg->backend)) {
        return DF_OK;
    }
    if (!predictor->net) {
        predictor->net = df_netcoll_new(predictor->astra);
    }
    if (!predictor->net) {
        return df_fail(job->err, DF_ENOMEM, "out of memory for the network simulator");
    }
    *simulated = (df_simulated){
        .net = predictor->net,
        .backend = &job->cfg->backend,
        .links_underated = job->rules->astra_links_underated,
        .algorithm_ranks = job->rules->astra_algorithm_stale ? df_compat_history_ranks : NULL,
        .context = &job->history};
    job->coster.simulated = simulated;
    return DF_OK;
}

typedef struct {
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_rules *rules;
} design;

/* usages: NULL, or where operators are written down. */
static df_status predict(
    df_predictor *predictor, const design *d, df_prediction *out, df_usages *usages, df_err *err)
{
    const df_cfg *const cfg = d->cfg;
    const df_hw_device *const dev = d->dev;
    const df_rules *const rules = d->rules;
    const df_gemm_traffic traffic = df_compat_gemm_traffic(rules);
    df_prediction result;
    df_compat_prices prices;
    df_simulated simulated;
    memset(&result, 0, sizeof result);
    result.mode = cfg->mode;
    DF_TRY(df_predict_check(cfg, rules, err));
    df_job job = {.pipe = predictor->pipe,
                  .cfg = cfg,
                  .dev = dev,
                  .rules = rules,
                  .launch_s = dev->launch_overhead_s,
                  .q = dev->elem_bytes,
                  .usages = usages,
                  .err = err};
    job.coster = (df_coster){.model = df_compat_cost(rules, cfg, &prices),
                             .options = &prices,
                             .dev = dev,
                             .search = predictor->gemm,
                             .err = err};
    df_topo_derive(cfg, dev, &job.coster.topo);
    DF_TRY(use_simulator(predictor, &job, &simulated));
    DF_TRY(df_gemm_search_use(predictor->gemm, dev, &traffic, err));
    predict_mode(&job, cannot_compute(dev), &result);
    if (job.status != DF_OK) {
        return job.status;
    }
    if (cfg->mode == DF_MODE_LSTM) {
        df_footprint_lstm(cfg, rules, &result.footprint);
        const double dram_bytes = dev->mem[DF_HW_LEVELS - 1].size_bytes;
        result.memory_overflow =
            dram_bytes > 0.0 ? result.footprint.total_bytes / dram_bytes : HUGE_VAL;
    }
    *out = result;
    return DF_OK;
}

df_status df_predict(df_predictor *predictor,
                     const df_cfg *cfg,
                     const df_hw_device *dev,
                     const df_rules *rules,
                     df_prediction *out,
                     df_err *err)
{
    return predict(predictor, &(design){cfg, dev, rules}, out, NULL, err);
}

df_status df_predict_usages(df_predictor *predictor,
                            const df_cfg *cfg,
                            const df_hw_device *dev,
                            const df_rules *rules,
                            df_usages *usages,
                            df_err *err)
{
    df_prediction result;
    usages->count = 0;
    return predict(predictor, &(design){cfg, dev, rules}, &result, usages, err);
}
