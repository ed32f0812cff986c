#include "model/product.h"

#include <math.h>

df_kp_ways df_kp_ways_of(df_kp_type type, const df_kp_split *split)
{
    const bool row_column = type == DF_KP_RC;
    return (df_kp_ways){.rows = row_column ? split->dim1 : 1.0,
                        .inner = type == DF_KP_CR ? split->dim1 : 1.0,
                        .columns = row_column ? split->dim2 : 1.0};
}

/* Without split: C = A B, the gradient A^T C' of B, the gradient C' B^T of A. */
static df_op_gemm whole_of(const df_product *p, df_op_pass pass)
{
    const bool forward = pass == DF_PASS_FORWARD;
    return pass == DF_PASS_WEIGHT_GRAD
               ? (df_op_gemm){p->k, p->m, p->n, 0.0}
               : (df_op_gemm){p->m, forward ? p->k : p->n, forward ? p->n : p->k, 0.0};
}

/* A device's part of it. That of a gradient may have fractions of rows and columns. */
static df_op_gemm share_of(const df_op_gemm *g, const df_kp_ways *w, bool whole)
{
    const double m = g->m / w->rows;
    const double n = g->n / w->columns;
    return (df_op_gemm){whole ? floor(m) : m, floor(g->k / w->inner), whole ? floor(n) : n, 0.0};
}

void df_product_gather(
    const df_tail *t, df_op_pass pass, df_axis axis, double bytes, double members)
{
    if (members > 1.0) {
        const double whole = ceil(ceil(bytes) / members) * members;
        df_tail_collective(t, pass, DF_COLL_ALL_GATHER, 1U << axis, whole)->members = members;
    }
}

/* What a gradient needs from other devices. By column and row that is all of C'. By row and column
 * A^T C' needs A^T and columns of C'; and C' B^T needs rows of C', and B^T. */
static void build_operands(
    const df_op_gemm *g, const df_kp_ways *w, double q, df_op_pass pass, const df_tail *t)
{
    if (pass == DF_PASS_WEIGHT_GRAD) {
        df_product_gather(t, pass, DF_AXIS_KP1, q * g->k * g->n, w->inner);
        df_product_gather(t, pass, DF_AXIS_KP1, q * g->m * g->k, w->rows);
        df_product_gather(t, pass, DF_AXIS_KP1, q * g->k * (g->n / w->columns), w->rows);
    } else if (pass == DF_PASS_INPUT_GRAD) {
        df_product_gather(t, pass, DF_AXIS_KP2, q * (g->m / w->rows) * g->k, w->columns);
        df_product_gather(t, pass, DF_AXIS_KP2, q * g->k * g->n, w->columns);
    }
}

/* If split by column and row, each device has a summand of C; if split by row and column, it has a
 * block. */
void df_product_build(const df_product *p, df_op_pass pass, const df_tail *t)
{
    const df_kp_ways w = df_kp_ways_of(p->split.type, &p->split);
    const df_op_gemm whole = whole_of(p, pass);
    const df_op_gemm share = share_of(&whole, &w, pass == DF_PASS_FORWARD);
    const double rows_bytes = p->element_bytes * share.m * whole.n;
    build_operands(&whole, &w, p->element_bytes, pass, t);
    df_tail_gemm(t, pass, &share, 1.0, 1.0);
    if (pass == DF_PASS_FORWARD && w.inner > 1.0) {
        df_tail_collective(t, pass, DF_COLL_REDUCE_SCATTER, 1U << DF_AXIS_KP1, ceil(rows_bytes))
            ->members = w.inner;
    } else if (pass == DF_PASS_FORWARD) {
        df_product_gather(t, pass, DF_AXIS_KP2, rows_bytes, w.columns);
    }
}

/* If split by row and column, each device applies the gradient of its columns, whose rows it
 * gathers. */
void df_product_reduce(const df_product *p, const df_tail *t)
{
    const df_kp_ways w = df_kp_ways_of(p->reduction, &p->split);
    const df_op_pass pass = DF_PASS_WEIGHT_GRAD;
    const double q = p->element_bytes;
    const double columns = p->n / w.columns;
    const double updated = p->k / w.inner * columns;
    df_tail_collective(t, pass, DF_COLL_ALL_REDUCE, 1U << DF_AXIS_DP,
                       ceil(q * (p->k / (w.rows * w.inner)) * columns));
    df_product_gather(t, pass, DF_AXIS_KP1, q * p->k * columns, w.rows);
    df_tail_stream(t, pass, &df_pointwise.apply, updated, q);
    df_tail_stream(t, pass, &df_pointwise.clip, updated, q);
}

df_op_gemm df_product_part(const df_product *p, df_kp_type given)
{
    const df_kp_split *const s = &p->split;
    return given == DF_KP_RC
               ? (df_op_gemm){ceil(p->m / s->dim1), ceil(p->k), ceil(p->n / s->dim2), 0.0}
               : (df_op_gemm){ceil(p->m), ceil(p->k / s->dim1), ceil(p->n), 0.0};
}

/* ---- Mode GEMM ---- */

void df_gemm_mode_read(const df_cfg *cfg, df_gemm_mode *g)
{
    const df_cfg_gemm *const m = &cfg->gemm;
    const df_cfg_sched *const s = &cfg->sched;
    const bool whole = s->kp1 == 1 && s->kp2 == 1; /* literally: a null is not 1 */
    const df_kp_type type = s->t == DF_T_RC ? DF_KP_RC : DF_KP_CR;
    const df_kp_split split = {whole ? DF_KP_NONE : type, fmax((double)s->kp1, 1.0),
                               fmax((double)s->kp2, 1.0)};
    *g = (df_gemm_mode){.product = {(double)m->m, (double)m->k, (double)m->n,
                                    cfg->sw.precision.tensor_bytes, split, split.type},
                        .backward = m->backward,
                        .reduces = m->backward && s->dp > 1};
}

void df_gemm_mode_build(const df_gemm_mode *g, df_ops *ops)
{
    df_tail t = {.ops = ops, .row = DF_GEMM_FORWARD};
    ops->count = 0;
    df_product_build(&g->product, DF_PASS_FORWARD, &t);
    if (g->backward) {
        t.row = DF_GEMM_BACKWARD;
        df_product_build(&g->product, DF_PASS_WEIGHT_GRAD, &t);
        df_product_build(&g->product, DF_PASS_INPUT_GRAD, &t);
    }
    if (g->reduces) {
        t.row = DF_GEMM_REDUCTION;
        df_product_reduce(&g->product, &t);
    }
}

double df_gemm_mode_bytes(const df_gemm_mode *g)
{
    const df_op_gemm p = df_product_part(&g->product, g->product.split.type);
    return g->product.element_bytes * (p.m * p.k + p.k * p.n + p.m * p.n);
}
