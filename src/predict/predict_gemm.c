#include <math.h>

#include "predict/predict_impl.h"

/* kp1 = kp2 = 1, literally: a null is not 1. */
static bool is_whole(const df_cfg_sched *sched)
{
    return sched->kp1 == 1 && sched->kp2 == 1;
}

static double dim(int64_t kp)
{
    return kp > 0 ? (double)kp : 1.0;
}

static df_split_gemm split_of(const df_cfg *cfg)
{
    const df_cfg_gemm *g = &cfg->gemm;
    return (df_split_gemm){(double)g->m, (double)g->k, (double)g->n, dim(cfg->sched.kp1),
                           dim(cfg->sched.kp2)};
}

static void forward(df_job *job, const df_split_gemm *g, df_gemm_times *out)
{
    df_split_time t = {0.0, 0.0};
    if (is_whole(&job->cfg->sched)) {
        t.compute_s = job->rules->gemm_mode_adds_lstm_cell ? df_job_cell(job, g->m, g->k, g->n)
                                                           : df_job_gemm(job, g->m, g->k, g->n);
    } else if (job->cfg->sched.t == DF_T_CR) {
        t = df_job_cr_forward(job, g);
    } else {
        t = df_job_rc_forward(job, g);
    }
    out->forward_compute_s = t.compute_s;
    out->forward_comm_s = t.comm_s;
}

static void backward(df_job *job, const df_split_gemm *g, df_gemm_times *out)
{
    df_split_time t = {0.0, 0.0};
    const df_cfg_sched *sched = &job->cfg->sched;
    if (is_whole(sched)) {
        t.compute_s = df_job_gemm(job, g->m, g->n, g->k) + df_job_gemm(job, g->k, g->m, g->n);
    } else if (sched->t == DF_T_CR) {
        t = df_job_cr_backward(job, g);
    } else {
        t = df_job_rc_backward(job, g);
    }
    out->backward_compute_s = t.compute_s;
    out->backward_comm_s = t.comm_s;
}

static void reduce(df_job *job, const df_split_gemm *g, df_gemm_times *out)
{
    if (job->cfg->sched.dp > 1) {
        const df_kp_split hidden = df_lstm_split(job->cfg, DF_PART_HIDDEN);
        const df_kp_split split = {hidden.type, g->dim1, g->dim2};
        df_job_begin_op(job, "reduction of gradients", 1.0);
        out->dp_comm_s = df_job_reduce_gradient(job, g->k, g->n, &split, hidden.type);
        df_job_end_op(job, out->dp_comm_s);
    }
}

void df_predict_gemm(df_job *job, df_gemm_times *out)
{
    const df_split_gemm g = split_of(job->cfg);
    *out = (df_gemm_times){0};
    df_job_begin_op(job, "GEMM forward", 1.0);
    forward(job, &g, out);
    df_job_end_op(job, out->forward_compute_s + out->forward_comm_s);
    if (job->cfg->gemm.backward) {
        df_job_begin_op(job, "GEMM backward", 1.0);
        backward(job, &g, out);
        df_job_end_op(job, out->backward_compute_s + out->backward_comm_s);
        reduce(job, &g, out);
    }
    out->time_s = out->forward_compute_s + out->forward_comm_s + out->backward_compute_s +
                  out->backward_comm_s + out->dp_comm_s;
}

static df_status check_at_least(const char *what, double length, double parts, df_err *err)
{
    if (floor(length / parts) >= 1.0) {
        return DF_OK;
    }
    return df_fail(err, DF_INFEASIBLE,
                   "model_param.%s: expected at least %g to split over as many devices, found %g",
                   what, parts, length);
}

/* A whole number of rows or columns must be left for each device. */
df_status df_check_gemm(const df_cfg *cfg, df_err *err)
{
    const df_split_gemm g = split_of(cfg);
    if (is_whole(&cfg->sched)) {
        return DF_OK;
    }
    if (cfg->sched.t == DF_T_NONE) {
        return df_fail(err, DF_EINVAL,
                       "scheduling_param.t: expected CR or RC to split a GEMM over kp1, kp2, "
                       "found none");
    }
    if (cfg->sched.t == DF_T_CR) {
        DF_TRY(check_at_least("K", g.k, g.dim1, err));
        if (cfg->gemm.backward) {
            DF_TRY(check_at_least("M", g.m, g.dim1, err));
            DF_TRY(check_at_least("N", g.n, g.dim1, err));
        }
        return DF_OK;
    }
    DF_TRY(check_at_least("M", g.m, g.dim1, err));
    return check_at_least("N", g.n, g.dim2, err);
}
