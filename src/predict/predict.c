#include <math.h>

#include "predict/predict_impl.h"

/* ---- GEMMs and LSTMs ---- */

static df_status read_model(const df_cfg *cfg,
                            const df_compat_options *options,
                            df_predict_model *model,
                            df_err *err)
{
    return cfg->mode == DF_MODE_GEMM ? df_read_gemm(cfg, &model->gemm, err)
                                     : df_read_lstm(cfg, options, &model->lstm, err);
}

df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err)
{
    const df_compat_options options = df_compat_read(rules);
    df_predict_model model;
    if (cfg->mode != DF_MODE_LLM) {
        return read_model(cfg, &options, &model, err);
    }
    const df_status status = df_cfg_check(cfg, err);
    return status == DF_EINVAL ? DF_INFEASIBLE : status;
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
    DF_TRY(df_predictor_need_net(predictor, job->coster.err));
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

/* The job has its design. */
static df_status begin(df_predictor *predictor, df_predict_job *job)
{
    df_coster *const coster = &job->coster;
    const df_gemm_traffic traffic = df_compat_gemm_traffic(job->rules);
    job->options = df_compat_read(job->rules);
    DF_TRY(read_model(job->cfg, &job->options, &job->model, coster->err));
    job->list = &predictor->list;
    job->pipe = predictor->pipe;
    coster->model = df_compat_cost(job->rules, job->cfg, &job->prices);
    coster->options = &job->prices;
    coster->search = predictor->search;
    df_topo_derive(job->cfg, coster->dev, job->options.axes_follow_flags, &coster->topo);
    DF_TRY(use_simulator(predictor, job));
    return df_gemm_search_use(predictor->search, coster->dev, &traffic, coster->err);
}

static df_status predict_list(df_predictor *predictor, df_predict_job *job, df_prediction *out)
{
    double time_s;
    DF_TRY(begin(predictor, job));
    if (job->cfg->mode == DF_MODE_GEMM) {
        DF_TRY(df_predict_gemm(job, &out->gemm));
        time_s = out->gemm.time_s;
    } else {
        DF_TRY(df_predict_lstm(job, &out->lstm));
        time_s = out->lstm.time_s;
    }
    out->time_s = cannot_compute(job->coster.dev) ? HUGE_VAL : time_s;
    return DF_OK;
}

/* ---- All modes ---- */

df_status df_predict(
    df_predictor *predictor, const df_design *design, df_want want, df_prediction *out, df_err *err)
{
    const df_mode mode = design->cfg->mode;
    if (mode == DF_MODE_LLM) {
        DF_TRY(df_predict_llm(predictor, design, want, &out->llm, err));
        out->time_s = out->llm.time_s;
        if (want == DF_WANT_OPERATORS) {
            df_llm_list_usages(design, &out->llm, &out->usages);
        }
    } else {
        df_predict_job job = {.cfg = design->cfg,
                              .rules = design->rules,
                              .coster = {.dev = design->dev, .err = err},
                              .usages = want == DF_WANT_OPERATORS ? &out->usages : NULL};
        DF_TRY(predict_list(predictor, &job, out));
    }
    out->mode = mode;
    return DF_OK;
}
