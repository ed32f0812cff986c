#include <math.h>
#include <stdlib.h>

#include "predict/predict_impl.h"

/* ---- The predictor ---- */

df_predictor *df_predictor_new(void)
{
    df_predictor *const predictor = calloc(1, sizeof *predictor);
    if (!predictor) {
        return NULL;
    }
    predictor->search = df_gemm_search_new();
    predictor->pipe = df_pipeline_new();
    predictor->cache = df_gemm_cache_new();
    predictor->kernels = df_kernel_memo_new();
    if (!predictor->search || !predictor->pipe || !predictor->cache || !predictor->kernels) {
        df_predictor_free(predictor);
        return NULL;
    }
    return predictor;
}

void df_predictor_free(df_predictor *predictor)
{
    if (predictor) {
        df_gemm_search_free(predictor->search);
        df_pipeline_free(predictor->pipe);
        df_gemm_cache_free(predictor->cache);
        df_kernel_memo_free(predictor->kernels);
        df_sched_ws_free(&predictor->sched);
        df_simulator_free(predictor->net);
        free(predictor);
    }
}

void df_predictor_clear(df_predictor *predictor)
{
    df_gemm_cache_clear(predictor->cache);
    df_kernel_memo_clear(predictor->kernels);
}

void df_predictor_use(df_predictor *predictor, df_runner *runner)
{
    predictor->runner = runner;
}

void df_predictor_show(df_predictor *predictor, const df_llm_watch *watch)
{
    predictor->watch = watch;
}

/* ---- Splits ---- */

df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err)
{
    const df_compat_options options = df_compat_read(rules);
    df_gemm_mode gemm;
    df_lstm lstm;
    df_status status = DF_OK;
    switch (cfg->mode) {
    case DF_MODE_GEMM:
        return df_read_gemm(cfg, &gemm, err);
    case DF_MODE_LSTM:
        return df_read_lstm(cfg, &options, &lstm, err);
    case DF_MODE_LLM:
        status = df_cfg_check(cfg, err);
        break;
    }
    return status == DF_EINVAL ? DF_INFEASIBLE : status;
}

/* ---- Micro-batches ---- */

df_status df_predict_best_batch(df_predictor *predictor,
                                const df_hw_device *dev,
                                const df_rules *rules,
                                df_cfg *cfg,
                                df_err *err)
{
    const int64_t replica = cfg->llm.batch_size / cfg->sched.dp;
    const df_design design = {cfg, dev, rules};
    df_prediction one;
    double best_s = HUGE_VAL;
    int64_t best = 0;
    df_status status = df_fail(err, DF_INFEASIBLE,
                               "scheduling_param.mb: expected a size of micro-batches, a power of "
                               "two up to %d, that divides the batch of a replica, found none",
                               (int)DF_BEST_BATCH_MOST);
    for (int64_t size = 1; size <= DF_BEST_BATCH_MOST && size <= replica; size *= 2) {
        cfg->sched.mb = replica / size;
        if (replica % size != 0 || !df_cfg_takes_batches(cfg)) {
            continue;
        }
        status = df_predict(predictor, &design, DF_WANT_TIMES, &one, err);
        if (status == DF_OK && one.time_s < best_s) {
            best_s = one.time_s;
            best = cfg->sched.mb;
        }
    }
    cfg->sched.mb = best;
    return best > 0 ? DF_OK : status;
}

/* ---- A prediction ---- */

/* Whether any rate that every kernel needs is missing. Measured kernels say so themselves. */
static bool lacks_rate(const df_job *job)
{
    const df_hw_device *const dev = job->coster.dev;
    if (job->options.calibrated) {
        return false;
    }
    bool missing = !(dev->core.throughput_flops_ps > 0.0);
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        missing = missing || !(dev->mem[i].throughput_bytes_ps > 0.0);
    }
    return missing;
}

/* What the simulator's programs do not have yet. */
static df_status check_simulated(const df_job *job)
{
    const df_cfg *const cfg = job->cfg;
    if (cfg->mode != DF_MODE_LLM || !df_backend_simulates(&cfg->backend)) {
        return DF_OK;
    }
    if (cfg->llm.layers.kinds > 1) {
        return df_fail(job->err, DF_EINVAL,
                       "execution_backend.model: expected analytical for a model with layers of "
                       "several kinds, found astra");
    }
    if (cfg->sched.ep > 1) { /* other strategies of a search go on */
        return df_fail(job->err, DF_INFEASIBLE,
                       "execution_backend.model: expected analytical with scheduling_param.ep "
                       "above 1, found astra");
    }
    return DF_OK;
}

/* Where the configuration asks for it. */
static df_status use_simulator(df_job *job)
{
    df_predictor *const memory = job->memory;
    df_simulated *const s = &job->simulated;
    const bool simulates = df_backend_simulates(&job->cfg->backend);
    if (simulates && !memory->net) {
        memory->net = df_simulator_new(memory->runner);
        if (!memory->net) {
            return df_fail(job->err, DF_ENOMEM, "out of memory for the network simulator");
        }
    }
    DF_TRY(check_simulated(job));
    memory->history.count = 0;
    s->net = memory->net;
    s->backend = &job->cfg->backend;
    s->context = &memory->history;
    df_compat_simulated(job->rules, job->cfg->mode, s);
    job->coster.simulated = simulates ? s : NULL;
    return DF_OK;
}

/* GEMMs are kept for LLMs, which have many of the same shape; in other modes each device has its
 * own. */
static df_status use_products(df_job *job)
{
    const df_gemm_traffic traffic = df_compat_gemm_traffic(job->rules);
    df_coster *const coster = &job->coster;
    coster->cache = job->cfg->mode == DF_MODE_LLM ? job->memory->cache : NULL;
    coster->search = job->memory->search;
    if (coster->cache) {
        df_gemm_cache_use(coster->cache, coster->dev, &traffic);
        return DF_OK;
    }
    return df_gemm_search_use(job->memory->search, coster->dev, &traffic, job->err);
}

static df_status begin(df_predictor *predictor, const df_design *design, df_err *err, df_job *job)
{
    df_coster *const coster = &job->coster;
    job->memory = predictor;
    job->cfg = design->cfg;
    job->rules = design->rules;
    job->options = df_compat_read(design->rules);
    job->err = err;
    coster->model = df_compat_cost(design->rules, design->cfg->mode, &job->prices);
    coster->options = &job->prices;
    coster->dev = design->dev;
    coster->forward_only = false;
    coster->eager_s = 0.0;
    coster->err = err;
    df_topo_derive(design->cfg, design->dev, job->options.flags_alone, &coster->topo);
    DF_TRY(use_simulator(job));
    return job->options.calibrated ? df_calibrated_begin(job) : use_products(job);
}

df_status df_predict(
    df_predictor *predictor, const df_design *design, df_want want, df_prediction *out, df_err *err)
{
    df_job job; /* large */
    double time_s = HUGE_VAL;
    job.usages = want == DF_WANT_OPERATORS ? &out->usages : NULL;
    DF_TRY(begin(predictor, design, err, &job));
    switch (design->cfg->mode) {
    case DF_MODE_GEMM:
        DF_TRY(df_predict_gemm(&job, &out->gemm));
        time_s = lacks_rate(&job) ? HUGE_VAL : out->gemm.time_s;
        break;
    case DF_MODE_LSTM:
        DF_TRY(df_predict_lstm(&job, &out->lstm));
        time_s = lacks_rate(&job) ? HUGE_VAL : out->lstm.time_s;
        break;
    case DF_MODE_LLM:
        DF_TRY(df_predict_llm(&job, &out->llm));
        time_s = out->llm.time_s;
        break;
    }
    out->time_s = time_s;
    out->mode = design->cfg->mode;
    return DF_OK;
}
