#include <math.h>
#include <string.h>

#include "predict/predict_impl.h"

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static double sum_s(const df_row_times *t, int direction)
{
    return t->compute_s[direction] + t->comm_s[direction];
}

static df_pipeline_times durations(const df_row_times t[DF_LSTM_ROWS])
{
    const double hop_s = sum_s(&t[DF_LSTM_HOP], DF_FORWARD);
    return (df_pipeline_times){.ef = sum_s(&t[DF_LSTM_EMBEDDING], DF_FORWARD),
                               .cf = sum_s(&t[DF_LSTM_CELL], DF_FORWARD),
                               .sf = sum_s(&t[DF_LSTM_SOFTMAX], DF_FORWARD),
                               .tf = hop_s,
                               .eb = sum_s(&t[DF_LSTM_EMBEDDING], DF_BACKWARD),
                               .cb = sum_s(&t[DF_LSTM_CELL], DF_BACKWARD),
                               .sb = sum_s(&t[DF_LSTM_SOFTMAX], DF_BACKWARD),
                               .tb = hop_s,
                               .re = sum_s(&t[DF_LSTM_EMBEDDING_REDUCTION], DF_BACKWARD),
                               .rc = sum_s(&t[DF_LSTM_CELL_REDUCTION], DF_BACKWARD),
                               .rs = sum_s(&t[DF_LSTM_SOFTMAX_REDUCTION], DF_BACKWARD)};
}

/* Runs are those of a device, on average over the stages. */
static void list_usages(const df_job *job, const df_lstm *x, const df_price price[])
{
    const double steps = x->steps / x->stages;
    const double once = 1.0 / x->stages;
    const df_usage_row rows[DF_LSTM_ROWS] = {
        [DF_LSTM_CELL] = {"LSTM cell", steps * x->layers},
        [DF_LSTM_SOFTMAX] = {"softmax", steps},
        [DF_LSTM_EMBEDDING] = {"embedding", steps},
        [DF_LSTM_HOP] = {"hop to the next stage", 2.0 * steps},
        [DF_LSTM_CELL_REDUCTION] = {"reduction of cell gradients", x->layers / x->stages},
        [DF_LSTM_SOFTMAX_REDUCTION] = {"reduction of softmax gradients", once},
        [DF_LSTM_EMBEDDING_REDUCTION] = {"reduction of embedding gradients", once}};
    df_usages_list(job->usages, job->coster.dev, &job->memory->list.ops, price, rows, DF_LSTM_ROWS);
}

static df_status time_components(df_job *job, const df_lstm *x, df_pipeline_times *out)
{
    df_lstm_list *const list = &job->memory->list;
    df_row_times t[DF_LSTM_ROWS] = {{{0.0}, {0.0}}};
    df_price price[DF_OPS_MAX];
    if (!same_bytes(&list->model, x, sizeof list->model)) {
        memcpy(&list->model, x, sizeof list->model);
        df_lstm_build(&list->model, &list->ops);
    }
    DF_TRY(df_price_ops(&job->coster, list->ops.op, list->ops.count, price));
    df_row_times_add(&list->ops, price, t);
    *out = durations(t);
    if (job->usages) {
        list_usages(job, x, price);
    }
    return DF_OK;
}

df_status df_predict_lstm(df_job *job, df_lstm_times *out)
{
    const df_cfg_lstm *const m = &job->cfg->lstm;
    const df_pipeline_shape shape = {m->seq_len, m->num_layers, job->cfg->sched.lp};
    df_lstm x;
    DF_TRY(df_read_lstm(job->cfg, &job->options, &x, job->err));
    df_compat_lstm(job->rules, &x);
    DF_TRY(df_pipeline_build(job->memory->pipe, &shape, job->options.rejects_two_stages, job->err));
    DF_TRY(time_components(job, &x, &out->components));
    out->params = df_lstm_params(&x, (double)m->projection);
    df_pipeline_run(job->memory->pipe, &out->components, job->options.frees_last_link,
                    &out->forward_s, &out->backward_s);
    out->time_s = out->forward_s + out->backward_s;
    return DF_OK;
}

/* ---- Splits ---- */

static bool cuts(double ways, double whole)
{
    return fmod(whole, ways) == 0.0;
}

static df_status
expect(bool met, const char *degree, double found, const char *expected, double of, df_err *err)
{
    return met ? DF_OK
               : df_fail(err, DF_INFEASIBLE, "scheduling_param.kp_%s: expected %s %g, found %g",
                         degree, expected, of, found);
}

/* The backward products of a column-row split cut batch and columns into dim1 as well. */
static df_status check_column_row(const df_product *p, const char *dim1, df_err *err)
{
    const double a = p->split.dim1;
    DF_TRY(expect(a <= p->m, dim1, a, "at most the batch of a replica,", p->m, err));
    return expect(a <= p->n, dim1, a, "at most the columns of the weights,", p->n, err);
}

static df_status check_cell(const df_lstm *x, df_err *err)
{
    const char *const dim1 = "hidden_dim1";
    const char *const dim2 = "hidden_dim2";
    const df_product *const p = &x->part[DF_PART_HIDDEN];
    const double a = p->split.dim1;
    const double b = p->split.dim2;
    if (p->split.type == DF_KP_CR) {
        const bool apart = a == 2.0 || cuts(4.0, a);
        DF_TRY(expect(a > 1.0, dim1, a, "more than", 1.0, err));
        DF_TRY(expect(apart, dim1, a, "2 or a multiple of", 4.0, err));
        DF_TRY(expect(cuts(a, p->k), dim1, a, "a divisor of 2 x layer_size =", p->k, err));
        return check_column_row(p, dim1, err);
    }
    if (p->split.type == DF_KP_RC) {
        const bool apart = b == 1.0 || b == 2.0 || cuts(x->gates, b);
        DF_TRY(expect(apart, dim2, b, "1, 2 or a multiple of num_gates =", x->gates, err));
        DF_TRY(expect(cuts(a, p->m), dim1, a, "a divisor of the batch of a replica,", p->m, err));
        return expect(cuts(b, p->n), dim2, b, "a divisor of num_gates x layer_size =", p->n, err);
    }
    return DF_OK;
}

static df_status check_softmax(const df_lstm *x, df_err *err)
{
    const char *const dim1 = "softmax_dim1";
    const char *const dim2 = "softmax_dim2";
    const df_product *const p = &x->part[DF_PART_SOFTMAX];
    const double a = p->split.dim1;
    const double b = p->split.dim2;
    if (p->split.type == DF_KP_CR) {
        DF_TRY(expect(a > 1.0, dim1, a, "more than", 1.0, err));
        DF_TRY(expect(cuts(a, p->k), dim1, a, "a divisor of layer_size =", p->k, err));
        return check_column_row(p, dim1, err);
    }
    if (p->split.type == DF_KP_RC) {
        DF_TRY(expect(cuts(a, p->m), dim1, a, "a divisor of the batch of a replica,", p->m, err));
        DF_TRY(expect(cuts(b, p->k), dim2, b, "a divisor of layer_size =", p->k, err));
        return expect(b <= p->n, dim2, b, "at most vocab_size =", p->n, err);
    }
    return DF_OK;
}

df_status df_read_lstm(const df_cfg *cfg, const df_compat_options *options, df_lstm *x, df_err *err)
{
    if (options->rejects_two_stages && cfg->sched.lp == 2 && cfg->lstm.num_layers > 1) {
        return df_fail(err, DF_INFEASIBLE,
                       "scheduling_param.lp: expected 1 or at least 3 with %lld layers, found 2",
                       (long long)cfg->lstm.num_layers);
    }
    df_lstm_read(cfg, x);
    DF_TRY(check_cell(x, err));
    return check_softmax(x, err);
}
