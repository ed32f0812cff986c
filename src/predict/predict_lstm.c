#include <math.h>

#include "predict/predict_impl.h"

/* The model's dimensions as doubles, and the splits of its parts. */
typedef struct {
    double b; /* of one data-parallel replica */
    double d, g, l, s, v;
    df_kp_split hidden, softmax, embedding;
} lstm;

typedef struct {
    double forward_s, backward_s;
} pass_times;

df_kp_split df_lstm_split(const df_cfg *cfg, df_part part)
{
    const df_cfg_sched *sched = &cfg->sched;
    const int64_t dim1 = sched->kp1 > 0 ? sched->kp1 : sched->kp_dim1[part];
    const int64_t dim2 = sched->kp2 > 0 ? sched->kp2 : sched->kp_dim2[part];
    df_kp_split split = {sched->kp_type[part], (double)dim1, (double)dim2};
    if (sched->t == DF_T_RC) {
        split.type = DF_KP_RC;
    } else if (sched->t == DF_T_CR) {
        split.type = DF_KP_CR;
    }
    if (cfg->mode == DF_MODE_LSTM && dim1 == 1 && dim2 == 1) {
        split.type = DF_KP_NONE;
    }
    return split;
}

static lstm read_model(const df_cfg *cfg)
{
    const df_cfg_lstm *m = &cfg->lstm;
    lstm x;
    x.b = ceil((double)m->batch_size / (double)cfg->sched.dp);
    x.d = (double)m->layer_size;
    x.g = (double)m->num_gates;
    x.l = (double)m->num_layers;
    x.s = (double)m->seq_len;
    x.v = (double)m->vocab_size;
    x.hidden = df_lstm_split(cfg, DF_PART_HIDDEN);
    x.softmax = df_lstm_split(cfg, DF_PART_SOFTMAX);
    x.embedding = df_lstm_split(cfg, DF_PART_EMBEDDING);
    return x;
}

static double gather_s(df_job *job, double whole_bytes, double n, const df_hw_link *link)
{
    return df_job_gather(job, ceil(ceil(whole_bytes) / n), n, link);
}

/* The four gates' activations change hands before the pointwise work. Unlike a
 * collective, which takes for ever without a link, this is refused (the Python DeepFlow
 * divides by the link's speed). */
static double exchange_s(df_job *job, double bytes, const df_hw_link *link)
{
    if (!(link->bytes_ps > 0.0)) {
        if (job->status == DF_OK) {
            const bool first = link == &job->coster.links.kp1;
            job->status = df_fail(job->err, DF_INFEASIBLE,
                                  "system_hierarchy.kp%d_inter: expected a network with "
                                  "bandwidth for kp%d, found none",
                                  first ? 1 : 2, first ? 1 : 2);
        }
        return 0.0;
    }
    return df_job_stream(job, 0.0, 2.0 * bytes) + df_job_transfer(job, bytes / link->bytes_ps);
}

static pass_times hidden_whole(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double n = x->g * x->d;
    const double weights = 2.0 * x->d * x->g * x->d;
    pass_times t;
    t.forward_s = df_job_cell(job, x->b, 2.0 * x->d, n);
    t.backward_s = df_job_gemm(job, x->b, n, 2.0 * x->d) + df_job_gemm(job, 2.0 * x->d, x->b, n) +
                   df_job_stream(job, 5.0 * x->b * x->d + weights,
                                 13.0 * q * x->b * x->d + 3.0 * q * weights) +
                   5.0 * job->launch_s;
    return t;
}

static pass_times hidden_cr(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double h1 = x->hidden.dim1;
    const double w = x->g * x->d / h1;
    const double weights = 2.0 * x->d * x->g * x->d / h1;
    const double work = 5.0 * x->b * w;
    const double bytes = 13.0 * q * x->b * w;
    const df_split_gemm g = {x->b, 2.0 * x->d, x->g * x->d, h1, 1.0};
    const double exchanged = 4.0 * x->b * w * q;
    const df_hw_link *link = &job->coster.links.kp1;
    const df_split_time f = df_job_cr_forward(job, &g);
    const df_split_time b = df_job_cr_backward(job, &g);
    pass_times t;
    t.forward_s = f.compute_s + f.comm_s + df_job_stream(job, work, bytes) + 5.0 * job->launch_s +
                  exchange_s(job, exchanged, link);
    t.backward_s = b.compute_s + b.comm_s +
                   df_job_stream(job, work + weights, bytes + 3.0 * q * weights) +
                   5.0 * job->launch_s + exchange_s(job, exchanged, link);
    return t;
}

static pass_times hidden_rc(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double r = x->b / x->hidden.dim1;
    const double w = x->g * x->d / x->hidden.dim2;
    const double weights = 2.0 * x->d * x->g * x->d / x->hidden.dim2;
    const double work = 5.0 * r * w;
    const double bytes = 13.0 * q * r * w;
    const double rows_back = job->rules->rc_backward_exchange_whole ? x->b : r;
    const df_kp_split *decides = job->rules->rc_exchange_follows_softmax ? &x->softmax : &x->hidden;
    const bool exchanged = decides->dim2 > 1.0;
    const df_hw_link *link = &job->coster.links.kp2;
    const df_split_gemm g = {x->b, 2.0 * x->d, x->g * x->d, x->hidden.dim1, x->hidden.dim2};
    const df_split_time f = df_job_rc_forward(job, &g);
    const df_split_time b = df_job_rc_backward(job, &g);
    pass_times t;
    t.forward_s = f.compute_s + f.comm_s + df_job_stream(job, work, trunc(bytes)) +
                  5.0 * job->launch_s + (exchanged ? exchange_s(job, 4.0 * r * w * q, link) : 0.0);
    t.backward_s = b.compute_s + b.comm_s +
                   df_job_stream(job, work + weights, trunc(bytes + 3.0 * q * weights)) +
                   5.0 * job->launch_s +
                   (exchanged ? exchange_s(job, trunc(4.0 * rows_back * w * q), link) : 0.0);
    return t;
}

static pass_times softmax_whole(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double bv = x->b * x->v;
    pass_times t;
    t.forward_s = df_job_gemm(job, x->b, x->d, x->v) +
                  df_job_stream(job, x->b * (3.0 * x->v - 1.0), 7.0 * q * bv) + 4.0 * job->launch_s;
    t.backward_s = df_job_gemm(job, x->d, x->b, x->v) + df_job_gemm(job, x->b, x->v, x->d) +
                   df_job_stream(job, 5.0 * bv, 11.0 * q * bv) + 4.0 * job->launch_s;
    return t;
}

static pass_times softmax_cr(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double s1 = x->softmax.dim1;
    const double share = x->b / s1 * x->v;
    const df_split_gemm g = {x->b, x->d, x->v, s1, 1.0};
    pass_times t;
    const df_split_time f = df_job_cr_forward(job, &g);
    t.forward_s = f.compute_s + f.comm_s + df_job_stream(job, 3.0 * share, 7.0 * q * share) +
                  job->launch_s + gather_s(job, q * x->b, s1, &job->coster.links.kp1);
    const df_split_time b = df_job_cr_backward(job, &g);
    t.backward_s = b.compute_s + b.comm_s +
                   df_job_stream(job, 5.0 * x->b * x->v / s1, 11.0 * q * x->b * x->v / s1) +
                   job->launch_s;
    return t;
}

static pass_times softmax_rc(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double rows = x->b / x->softmax.dim1;
    const double share = rows * (x->v / x->softmax.dim2);
    const df_split_gemm g = {x->b, x->d, x->v, x->softmax.dim1, x->softmax.dim2};
    const df_hw_link no_latency = {job->coster.links.kp2.bytes_ps, 0.0};
    pass_times t;
    const df_split_time f = df_job_rc_forward(job, &g);
    t.forward_s = f.compute_s + f.comm_s + df_job_stream(job, 3.0 * share, 7.0 * q * share) +
                  job->launch_s +
                  df_job_coll(job, DF_COLL_ALL_TO_ALL, q * rows * x->softmax.dim2, x->softmax.dim2,
                              &no_latency);
    const df_split_time b = df_job_rc_backward(job, &g);
    t.backward_s =
        b.compute_s + b.comm_s + df_job_stream(job, 5.0 * share, 11.0 * q * share) + job->launch_s;
    return t;
}

/* Backward takes what forward takes, and what each alone has. */
static pass_times embedding_times(df_job *job, const lstm *x)
{
    const double q = job->q;
    const double bytes = x->b * x->d * q; /* read from the table, written out */
    const double e1 = x->embedding.dim1;
    const double rows =
        x->embedding.type == DF_KP_RC ? (x->b / e1) * (x->d / x->embedding.dim2) * q : bytes;
    const double move_s = df_job_stream(job, 0.0, 2.0 * rows) + job->launch_s;
    pass_times t = {move_s, move_s};
    switch (x->embedding.type) {
    case DF_KP_CR:
        t.forward_s += gather_s(job, bytes, e1, &job->coster.links.kp1);
        t.backward_s = t.forward_s;
        df_job_repeat_op(job);
        return t;
    case DF_KP_RC:
        df_job_repeat_op(job);
        t.backward_s +=
            gather_s(job, q * x->b * x->d / x->embedding.dim2, e1, &job->coster.links.kp1);
        return t;
    case DF_KP_NONE:
        break;
    }
    df_job_repeat_op(job);
    if (job->dev->h2d_bytes_ps > 0.0) {
        t.forward_s += df_job_transfer(job, 2.0 * bytes / job->dev->h2d_bytes_ps);
    }
    return t;
}

/* Activations of one time step handed to the next pipeline stage. */
static double hop_s(df_job *job, const lstm *x)
{
    if (job->rules->pipeline_hop_free || job->cfg->sched.lp == 1) {
        return 0.0;
    }
    double bytes = job->q * x->b * x->d;
    if (x->hidden.type == DF_KP_CR) {
        bytes /= x->hidden.dim1;
    } else if (x->hidden.type == DF_KP_RC) {
        bytes /= x->hidden.dim1 * x->hidden.dim2;
    }
    const double participants = 2.0;
    return df_job_coll(job, DF_COLL_P2P, bytes, participants, &job->coster.links.lp);
}

static pass_times hidden_times(df_job *job, const lstm *x)
{
    switch (x->hidden.type) {
    case DF_KP_CR:
        return hidden_cr(job, x);
    case DF_KP_RC:
        return hidden_rc(job, x);
    case DF_KP_NONE:
        break;
    }
    return hidden_whole(job, x);
}

static pass_times softmax_times(df_job *job, const lstm *x)
{
    switch (x->softmax.type) {
    case DF_KP_CR:
        return softmax_cr(job, x);
    case DF_KP_RC:
        return softmax_rc(job, x);
    case DF_KP_NONE:
        break;
    }
    return softmax_whole(job, x);
}

/* The weights of a part of the model, k x n, and how it is split. */
typedef struct {
    const char *name; /* of their reduction */
    double k, n;
    const df_kp_split *split;
    double runs;
} weights;

static double reduction_s(df_job *job, const lstm *x, const weights *w)
{
    const df_kp_type type = job->rules->reduction_follows_hidden ? x->hidden.type : w->split->type;
    df_job_begin_op(job, w->name, w->runs);
    const double time_s = df_job_reduce_gradient(job, w->k, w->n, w->split, type);
    df_job_end_op(job, time_s);
    return time_s;
}

static void time_components(df_job *job, const lstm *x, df_pipeline_times *c)
{
    const double lp = (double)job->cfg->sched.lp;
    const double steps = x->s / lp;
    const weights cell_weights = {"reduction of cell gradients", 2.0 * x->d, x->g * x->d,
                                  &x->hidden, x->l / lp};
    const weights softmax_weights = {"reduction of softmax gradients", x->d, x->v, &x->softmax,
                                     1.0 / lp};
    const weights embedding_weights = {"reduction of embedding gradients", x->v, x->d,
                                       &x->embedding, 1.0 / lp};
    df_job_begin_op(job, "LSTM cell", steps * x->l);
    const pass_times cell = hidden_times(job, x);
    df_job_end_op(job, cell.forward_s + cell.backward_s);
    df_job_begin_op(job, "softmax", steps);
    const pass_times softmax = softmax_times(job, x);
    df_job_end_op(job, softmax.forward_s + softmax.backward_s);
    df_job_begin_op(job, "embedding", steps);
    const pass_times embedding = embedding_times(job, x);
    df_job_end_op(job, embedding.forward_s + embedding.backward_s);
    c->cf = cell.forward_s;
    c->cb = cell.backward_s;
    c->sf = softmax.forward_s;
    c->sb = softmax.backward_s;
    c->ef = embedding.forward_s;
    c->eb = embedding.backward_s;
    df_job_begin_op(job, "hop to the next stage", 2.0 * steps);
    c->tf = hop_s(job, x);
    df_job_end_op(job, c->tf);
    c->tb = c->tf;
    c->rc = reduction_s(job, x, &cell_weights);
    c->rs = reduction_s(job, x, &softmax_weights);
    c->re = reduction_s(job, x, &embedding_weights);
}

static double count_params(const lstm *x, double projection)
{
    return x->v * x->d + (2.0 * x->d + 1.0) * x->g * x->d * x->l + x->d * projection +
           (x->d + 1.0) * x->v;
}

void df_predict_lstm(df_job *job, df_lstm_times *out)
{
    const df_cfg *cfg = job->cfg;
    const lstm x = read_model(cfg);
    const df_pipeline_shape shape = {cfg->lstm.seq_len, cfg->lstm.num_layers, cfg->sched.lp};
    *out = (df_lstm_times){.params = count_params(&x, (double)cfg->lstm.projection)};
    job->status = df_pipeline_build(job->pipe, &shape, job->rules->two_stages_rejected, job->err);
    time_components(job, &x, &out->components);
    if (job->status != DF_OK) {
        return;
    }
    df_pipeline_run(job->pipe, &out->components, job->rules->memory_edge_frees_last_link,
                    &out->forward_s, &out->backward_s);
    out->time_s = out->forward_s + out->backward_s;
}

static bool divides(double part, double whole)
{
    return fmod(whole, part) == 0.0;
}

static df_status refuse(
    df_err *err, const char *part, const char *dim, double found, const char *expected, double of)
{
    return df_fail(err, DF_INFEASIBLE, "scheduling_param.kp_%s_%s: expected %s %g, found %g", part,
                   dim, expected, of, found);
}

static df_status check_hidden(const lstm *x, df_err *err)
{
    const df_kp_split *h = &x->hidden;
    const double n = x->g * x->d;
    if (h->type == DF_KP_CR) {
        if (!(h->dim1 > 1.0)) {
            return refuse(err, "hidden", "dim1", h->dim1, "more than", 1.0);
        }
        if (h->dim1 != 2.0 && !divides(4.0, h->dim1)) {
            return refuse(err, "hidden", "dim1", h->dim1, "2 or a multiple of", 4.0);
        }
        if (!divides(h->dim1, 2.0 * x->d)) {
            return refuse(err, "hidden", "dim1", h->dim1,
                          "a divisor of 2 x layer_size =", 2.0 * x->d);
        }
    }
    if (h->type == DF_KP_RC) {
        if (h->dim2 != 1.0 && h->dim2 != 2.0 && !divides(x->g, h->dim2)) {
            return refuse(err, "hidden", "dim2", h->dim2,
                          "1, 2 or a multiple of num_gates =", x->g);
        }
        if (!divides(h->dim1, x->b)) {
            return refuse(err, "hidden", "dim1", h->dim1, "a divisor of the batch of a replica,",
                          x->b);
        }
        if (!divides(h->dim2, n)) {
            return refuse(err, "hidden", "dim2", h->dim2,
                          "a divisor of num_gates x layer_size =", n);
        }
    }
    return DF_OK;
}

static df_status check_softmax(const lstm *x, df_err *err)
{
    const df_kp_split *s = &x->softmax;
    if (s->type == DF_KP_CR && !(s->dim1 > 1.0)) {
        return refuse(err, "softmax", "dim1", s->dim1, "more than", 1.0);
    }
    if (s->type == DF_KP_CR && !divides(s->dim1, x->d)) {
        return refuse(err, "softmax", "dim1", s->dim1, "a divisor of layer_size =", x->d);
    }
    if (s->type == DF_KP_RC) {
        if (!divides(s->dim1, x->b)) {
            return refuse(err, "softmax", "dim1", s->dim1, "a divisor of the batch of a replica,",
                          x->b);
        }
        if (!divides(s->dim2, x->d)) {
            return refuse(err, "softmax", "dim2", s->dim2, "a divisor of layer_size =", x->d);
        }
        if (s->dim2 > x->v) {
            return refuse(err, "softmax", "dim2", s->dim2, "at most vocab_size =", x->v);
        }
    }
    return DF_OK;
}

/* The backward GEMMs of a column-row split also cut batch and columns into dim1. */
static df_status
check_rows(const lstm *x, const df_kp_split *split, const char *part, double columns, df_err *err)
{
    if (split->type != DF_KP_CR) {
        return DF_OK;
    }
    if (split->dim1 > x->b) {
        return refuse(err, part, "dim1", split->dim1, "at most the batch of a replica,", x->b);
    }
    if (split->dim1 > columns) {
        return refuse(err, part, "dim1", split->dim1, "at most the columns of the weights,",
                      columns);
    }
    return DF_OK;
}

df_status df_check_lstm(const df_cfg *cfg, const df_rules *rules, df_err *err)
{
    const lstm x = read_model(cfg);
    if (rules->two_stages_rejected && cfg->sched.lp == 2 && cfg->lstm.num_layers > 1) {
        return df_fail(err, DF_INFEASIBLE,
                       "scheduling_param.lp: expected 1 or at least 3 with %lld layers, found 2",
                       (long long)cfg->lstm.num_layers);
    }
    DF_TRY(check_hidden(&x, err));
    DF_TRY(check_rows(&x, &x.hidden, "hidden", x.g * x.d, err));
    DF_TRY(check_softmax(&x, err));
    return check_rows(&x, &x.softmax, "softmax", x.v, err);
}
