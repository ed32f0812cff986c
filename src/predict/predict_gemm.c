#include <math.h>

#include "predict/predict_impl.h"

df_status df_predict_gemm(df_job *job, df_gemm_times *out)
{
    static const df_usage_row rows[] = {[DF_GEMM_FORWARD] = {"GEMM forward", 1.0},
                                        [DF_GEMM_BACKWARD] = {"GEMM backward", 1.0},
                                        [DF_GEMM_REDUCTION] = {"reduction of gradients", 1.0}};
    df_row_times t[DF_GEMM_ROWS] = {{{0.0}, {0.0}}};
    const df_row_times *const reduction = &t[DF_GEMM_REDUCTION];
    df_gemm_mode g;
    df_ops ops;
    df_price price[DF_OPS_MAX];
    DF_TRY(df_read_gemm(job->cfg, &g, job->err));
    df_gemm_mode_build(&g, &ops);
    df_compat_edit_gemm(job->rules, &g, &ops);
    DF_TRY(df_price_ops(&job->coster, ops.op, ops.count, price));
    df_row_times_add(&ops, price, t);
    if (job->usages) {
        const int count = 1 + (g.backward ? 1 : 0) + (g.reduces ? 1 : 0);
        df_usages_list(job->usages, job->coster.dev, &ops, price, rows, count);
    }
    *out = (df_gemm_times){.forward_compute_s = t[DF_GEMM_FORWARD].compute_s[DF_FORWARD],
                           .forward_comm_s = t[DF_GEMM_FORWARD].comm_s[DF_FORWARD],
                           .backward_compute_s = t[DF_GEMM_BACKWARD].compute_s[DF_BACKWARD],
                           .backward_comm_s = t[DF_GEMM_BACKWARD].comm_s[DF_BACKWARD],
                           .dp_comm_s =
                               reduction->compute_s[DF_BACKWARD] + reduction->comm_s[DF_BACKWARD]};
    out->time_s = out->forward_compute_s + out->forward_comm_s + out->backward_compute_s +
                  out->backward_comm_s + out->dp_comm_s;
    return DF_OK;
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
df_status df_read_gemm(const df_cfg *cfg, df_gemm_mode *g, df_err *err)
{
    df_gemm_mode_read(cfg, g);
    const df_product *const p = &g->product;
    if (p->split.type == DF_KP_NONE) {
        return DF_OK;
    }
    if (cfg->sched.t == DF_T_NONE) {
        return df_fail(err, DF_EINVAL,
                       "scheduling_param.t: expected CR or RC to split a GEMM over kp1, kp2, "
                       "found none");
    }
    if (cfg->sched.t == DF_T_CR) {
        DF_TRY(check_at_least("K", p->k, p->split.dim1, err));
        if (g->backward) {
            DF_TRY(check_at_least("M", p->m, p->split.dim1, err));
            DF_TRY(check_at_least("N", p->n, p->split.dim1, err));
        }
        return DF_OK;
    }
    DF_TRY(check_at_least("M", p->m, p->split.dim1, err));
    return check_at_least("N", p->n, p->split.dim2, err);
}
