#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/algorithm.h"
#include "compat/lstm.h"
#include "predict/predict_impl.h"

struct df_predictor {
    df_gemm_search *gemm;
    df_netcoll *net;  /* NULL until it is needed */
    df_runner *astra; /* borrowed; NULL: net has its own */
    df_pipeline *pipe;
    df_lstm_list list;
    df_compat_history history; /* of the current prediction */
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

static df_status read_model(const df_cfg *cfg,
                            const df_compat_options *options,
                            df_predict_model *model,
                            df_err *err)
{
    switch (cfg->mode) {
    case DF_MODE_GEMM:
        return df_read_gemm(cfg, &model->gemm, err);
    case DF_MODE_LSTM:
        return df_read_lstm(cfg, options, &model->lstm, err);
    case DF_MODE_LLM:
        break;
    }
    return df_fail(err, DF_EINVAL, "model_param.mode: expected GEMM or LSTM, found %s",
                   df_mode_name(cfg->mode));
}

df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err)
{
    const df_compat_options options = df_compat_read(rules);
    df_predict_model model;
    return read_model(cfg, &options, &model, err);
}

void df_predict_footprint(const df_cfg *cfg, const df_rules *rules, df_footprint *out)
{
    df_lstm model;
    df_lstm_read(cfg, &model);
    df_compat_footprint(rules, &model, out);
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

/* Where the configuration asks for it. */
static df_status use_simulator(df_predictor *predictor, df_predict_job *job)
{
    if (!df_backend_simulates(&job->cfg->backend)) {
        return DF_OK;
    }
    if (!predictor->net) {
        predictor->net = df_netcoll_new(predictor->astra);
    }
    if (!predictor->net) {
        return df_fail(job->coster.err, DF_ENOMEM, "out of memory for the network simulator");
    }
    predictor->history.count = 0;
    job->simulated = (df_simulated){
        .net = predictor->net,
        .backend = &job->cfg->backend,
        .links_underated = job->options.links_underated,
        .algorithm_ranks = job->options.stale_algorithms ? df_compat_history_ranks : NULL,
        .context = &predictor->history};
    job->coster.simulated = &job->simulated;
    return DF_OK;
}

static void fill_memory(const df_predict_job *job, df_prediction *out)
{
    const double dram_bytes = job->coster.dev->mem[DF_HW_LEVELS - 1].size_bytes;
    df_compat_footprint(job->rules, &job->model.lstm, &out->footprint);
    out->memory_overflow = dram_bytes > 0.0 ? out->footprint.total_bytes / dram_bytes : HUGE_VAL;
}

/* The job has its inputs: the configuration, the device, the rules. */
static df_status predict(df_predictor *predictor, df_predict_job *job, df_prediction *out)
{
    df_coster *const coster = &job->coster;
    const df_gemm_traffic traffic = df_compat_gemm_traffic(job->rules);
    df_prediction result = {.mode = job->cfg->mode};
    job->options = df_compat_read(job->rules);
    DF_TRY(read_model(job->cfg, &job->options, &job->model, coster->err));
    job->list = &predictor->list;
    job->pipe = predictor->pipe;
    coster->model = df_compat_cost(job->rules, job->cfg, &job->prices);
    coster->options = &job->prices;
    coster->search = predictor->gemm;
    df_topo_derive(job->cfg, coster->dev, &coster->topo);
    DF_TRY(use_simulator(predictor, job));
    DF_TRY(df_gemm_search_use(predictor->gemm, coster->dev, &traffic, coster->err));
    if (job->cfg->mode == DF_MODE_GEMM) {
        DF_TRY(df_predict_gemm(job, &result));
    } else {
        DF_TRY(df_predict_lstm(job, &result));
        fill_memory(job, &result);
    }
    result.time_s = cannot_compute(coster->dev) ? HUGE_VAL : result.time_s;
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
    df_predict_job job = {.cfg = cfg, .rules = rules, .coster = {.dev = dev, .err = err}};
    return predict(predictor, &job, out);
}

df_status df_predict_usages(df_predictor *predictor,
                            const df_cfg *cfg,
                            const df_hw_device *dev,
                            const df_rules *rules,
                            df_usages *usages,
                            df_err *err)
{
    df_predict_job job = {
        .cfg = cfg, .rules = rules, .coster = {.dev = dev, .err = err}, .usages = usages};
    df_prediction result;
    usages->count = 0;
    return predict(predictor, &job, &result);
}
