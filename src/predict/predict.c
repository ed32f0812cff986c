#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/predict_impl.h"

struct df_predictor {
    df_gemm_model *gemm;
    const df_coll_model *coll;
    df_netcoll *net; /* NULL until it is needed */
    df_astra *astra; /* borrowed; NULL: net has its own */
    df_pipeline *pipe;
};

df_predictor *df_predictor_new(void)
{
    df_predictor *predictor = calloc(1, sizeof *predictor);
    if (!predictor) {
        return NULL;
    }
    predictor->gemm = df_gemm_tiled_new();
    predictor->coll = &df_coll_ring;
    predictor->pipe = df_pipeline_new();
    if (!predictor->gemm || !predictor->pipe) {
        df_predictor_free(predictor);
        return NULL;
    }
    return predictor;
}

void df_predictor_set_models(df_predictor *predictor,
                             df_gemm_model *gemm,
                             const df_coll_model *coll)
{
    if (gemm && gemm != predictor->gemm) {
        predictor->gemm->free(predictor->gemm);
        predictor->gemm = gemm;
    }
    if (coll) {
        predictor->coll = coll;
    }
}

void df_predictor_use(df_predictor *predictor, df_astra *astra)
{
    predictor->astra = astra;
}

void df_predictor_free(df_predictor *predictor)
{
    if (!predictor) {
        return;
    }
    if (predictor->gemm) {
        predictor->gemm->free(predictor->gemm);
    }
    df_pipeline_free(predictor->pipe);
    df_netcoll_free(predictor->net);
    free(predictor);
}

double df_job_gemm(df_job *job, double m, double k, double n)
{
    const df_gemm_shape shape = {m, k, n};
    df_gemm_cost cost;
    if (job->status != DF_OK) {
        return 0.0;
    }
    job->status = job->gemm->solve(job->gemm, &shape, &cost, job->err);
    if (job->op && job->status == DF_OK) {
        df_op_add_kernel(job->op, job->dev, cost.time_s - job->launch_s, cost.flops,
                         cost.traffic_bytes);
    }
    return job->status == DF_OK ? cost.time_s : 0.0;
}

void df_job_begin_op(df_job *job, const char *name, double runs)
{
    if (job->ops) {
        job->op = df_ops_add(job->ops, name, runs);
    }
}

void df_job_end_op(df_job *job, double time_s)
{
    if (job->op) {
        df_op_fill(job->op, time_s);
        job->op = NULL;
    }
}

void df_job_repeat_op(df_job *job)
{
    if (job->op) {
        df_op_scale(job->op, 2.0);
    }
}

double df_job_transfer(const df_job *job, double time_s)
{
    if (job->op) {
        job->op->cost_s[DF_COST_NETWORK] += time_s;
    }
    return time_s;
}

double df_job_stream(const df_job *job, double flops, double bytes)
{
    const double time_s = df_roof_stream(job->dev, job->rules, flops, bytes);
    if (job->op) {
        double traffic[DF_HW_LEVELS] = {0};
        traffic[job->rules->pointwise_on_registers ? 0 : DF_HW_LEVELS - 1] = bytes;
        df_op_add_kernel(job->op, job->dev, time_s, flops, traffic);
    }
    return time_s;
}

double df_job_coll(
    df_job *job, df_coll_kind kind, double bytes, double participants, const df_hw_link *link)
{
    const df_coll_op op = {kind, bytes, participants, *link};
    if (job->net.sim) {
        return df_job_transfer(job, df_job_simulated_s(job, &op));
    }
    return df_job_transfer(job, job->coll->time_s(job->coll, job->dev, job->rules, &op));
}

df_split_time df_job_cr_forward(df_job *job, const df_split_gemm *g)
{
    df_split_time t;
    t.compute_s = df_job_gemm(job, g->m, floor(g->k / g->dim1), g->n);
    t.comm_s = df_job_coll(job, DF_COLL_REDUCE_SCATTER, ceil(job->q * g->m * g->n), g->dim1,
                           &job->topo.axis[DF_AXIS_KP1].link);
    return t;
}

df_split_time df_job_cr_backward(df_job *job, const df_split_gemm *g)
{
    df_split_time t;
    const double shard_bytes = ceil(ceil(job->q * g->m * g->n) / g->dim1);
    t.compute_s = df_job_gemm(job, g->k, floor(g->m / g->dim1), g->n) +
                  df_job_gemm(job, g->m, floor(g->n / g->dim1), g->k);
    t.comm_s = df_job_coll(job, DF_COLL_ALL_GATHER, shard_bytes, g->dim1,
                           &job->topo.axis[DF_AXIS_KP1].link);
    return t;
}

df_split_time df_job_rc_forward(df_job *job, const df_split_gemm *g)
{
    df_split_time t;
    const double rows = floor(g->m / g->dim1);
    const double shard_bytes = ceil(ceil(job->q * rows * g->n) / g->dim2);
    t.compute_s = df_job_gemm(job, rows, g->k, floor(g->n / g->dim2));
    t.comm_s = df_job_coll(job, DF_COLL_ALL_GATHER, shard_bytes, g->dim2,
                           &job->topo.axis[DF_AXIS_KP2].link);
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
        t.comm_s += df_job_coll(job, DF_COLL_ALL_GATHER, ceil(ceil(along_rows[i]) / a), a,
                                &job->topo.axis[DF_AXIS_KP1].link);
    }
    for (int i = 0; i < 2; i++) {
        t.comm_s += df_job_coll(job, DF_COLL_ALL_GATHER, ceil(ceil(along_columns[i]) / b), b,
                                &job->topo.axis[DF_AXIS_KP2].link);
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
static double update_s(const df_job *job, double x, double y)
{
    const double n = x * y;
    return df_job_stream(job, 3.0 * n, 4.0 * n * job->q) +
           df_job_stream(job, 4.0 * n, 3.0 * n * job->q);
}

double
df_job_reduce_gradient(df_job *job, double k, double n, const df_split *part, df_kp_type type)
{
    const double q = job->q;
    const double dp = (double)job->cfg->sched.dp;
    const double a = part->dim1;
    const double b = part->dim2;
    switch (type) {
    case DF_KP_CR:
        return df_job_coll(job, DF_COLL_ALL_REDUCE, ceil(q * (k / a) * n), dp,
                           &job->topo.axis[DF_AXIS_DP].link) +
               update_s(job, k / a, n);
    case DF_KP_RC: {
        const double reduce_s = df_job_coll(job, DF_COLL_ALL_REDUCE, ceil(q * (k / a) * (n / b)),
                                            dp, &job->topo.axis[DF_AXIS_DP].link);
        const double gather_s =
            df_job_coll(job, DF_COLL_ALL_GATHER, ceil(ceil(q * k * (n / b)) / a), a,
                        &job->topo.axis[DF_AXIS_KP1].link);
        return gather_s + reduce_s + update_s(job, k, n / b);
    }
    case DF_KP_NONE:
        break;
    }
    return df_job_coll(job, DF_COLL_ALL_REDUCE, ceil(q * k * n), dp,
                       &job->topo.axis[DF_AXIS_DP].link) +
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
static df_status
use_simulator(df_predictor *predictor, const df_cfg *cfg, df_job_net *net, df_err *err)
{
    if (!df_backend_simulates(&cfg->backend)) {
        return DF_OK;
    }
    if (!predictor->net) {
        predictor->net = df_netcoll_new(predictor->astra);
    }
    net->sim = predictor->net;
    return net->sim ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory for the network simulator");
}

typedef struct {
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_rules *rules;
} design;

/* ops: NULL, or where operators are written down. */
static df_status
predict(df_predictor *predictor, const design *d, df_prediction *out, df_ops *ops, df_err *err)
{
    const df_cfg *const cfg = d->cfg;
    const df_hw_device *const dev = d->dev;
    const df_rules *const rules = d->rules;
    df_prediction result;
    memset(&result, 0, sizeof result);
    result.mode = cfg->mode;
    DF_TRY(df_predict_check(cfg, rules, err));
    df_job job = {.gemm = predictor->gemm,
                  .coll = predictor->coll,
                  .pipe = predictor->pipe,
                  .cfg = cfg,
                  .dev = dev,
                  .rules = rules,
                  .launch_s = dev->launch_overhead_s,
                  .q = dev->elem_bytes,
                  .ops = ops,
                  .err = err};
    df_topo_derive(cfg, dev, &job.topo);
    DF_TRY(use_simulator(predictor, cfg, &job.net, err));
    DF_TRY(job.gemm->prepare(job.gemm, dev, rules, err));
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

df_status df_predict_ops(df_predictor *predictor,
                         const df_cfg *cfg,
                         const df_hw_device *dev,
                         const df_rules *rules,
                         df_ops *ops,
                         df_err *err)
{
    df_prediction result;
    ops->count = 0;
    return predict(predictor, &(design){cfg, dev, rules}, &result, ops, err);
}
