#include "model/product.h"

#include <math.h>

/* The figures are those of the Python DeepFlow (time_calculation.py). A gradient is divided by the
 * number of replicas, multiplied with the learning rate and added to its weight. Clipping squares
 * and sums it, then multiplies and divides it. */
static const df_pointwise applying = {3, 4, 0};
static const df_pointwise clipping = {4, 3, 0};

/* ---- Appending ---- */

df_op *df_tail_add(const df_tail *t, df_op_kind kind)
{
    df_op *const op = df_ops_append(t->ops);
    *op = (df_op){
        .kind = (uint8_t)kind, .pass = (uint8_t)t->pass, .row = (uint8_t)t->row, .repeats = 1.0};
    return op;
}

df_op *df_tail_stream(const df_tail *t, const df_pointwise *p, double elements)
{
    df_op *const op = df_tail_add(t, DF_OP_STREAM);
    op->launches = p->kernels;
    op->stream = (df_op_stream){elements, p->flops, p->accesses * t->element_bytes};
    return op;
}

df_op *df_tail_collective(const df_tail *t, df_coll_kind kind, df_axis axis, double bytes)
{
    df_op *const op = df_tail_add(t, DF_OP_COLLECTIVE);
    op->coll = (df_op_collective){kind, 1U << axis, ceil(bytes)};
    return op;
}

void df_tail_gather(const df_tail *t, df_axis axis, double bytes, double members)
{
    if (members > 1.0) {
        const double whole = ceil(ceil(bytes) / members) * members;
        df_tail_collective(t, DF_COLL_ALL_GATHER, axis, whole)->members = members;
    }
}

/* ---- A split product ---- */

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

/* What a gradient needs from other devices. By column and row that is all of C'. By row and column
 * A^T C' needs A^T and columns of C'; and C' B^T needs rows of C', and B^T. */
static void build_operands(const df_op_gemm *g, const df_kp_ways *w, const df_tail *t)
{
    const double q = t->element_bytes;
    if (t->pass == DF_PASS_WEIGHT_GRAD) {
        df_tail_gather(t, DF_AXIS_KP1, q * g->k * g->n, w->inner);
        df_tail_gather(t, DF_AXIS_KP1, q * g->m * g->k, w->rows);
        df_tail_gather(t, DF_AXIS_KP1, q * g->k * (g->n / w->columns), w->rows);
    } else if (t->pass == DF_PASS_INPUT_GRAD) {
        df_tail_gather(t, DF_AXIS_KP2, q * (g->m / w->rows) * g->k, w->columns);
        df_tail_gather(t, DF_AXIS_KP2, q * g->k * g->n, w->columns);
    }
}

/* By column and row each device has a summand of C; by row and column it has a block. */
void df_product_build(const df_product *p, df_op_pass pass, df_tail *t)
{
    const df_kp_ways w = df_kp_ways_of(p->split.type, &p->split);
    const df_op_gemm whole = whole_of(p, pass);
    const df_op_gemm share = share_of(&whole, &w, pass == DF_PASS_FORWARD);
    const double rows_bytes = t->element_bytes * share.m * whole.n;
    t->pass = pass;
    build_operands(&whole, &w, t);
    df_op *const op = df_tail_add(t, DF_OP_GEMM);
    op->launches = 1.0;
    op->gemm = share;
    if (pass == DF_PASS_FORWARD && w.inner > 1.0) {
        df_tail_collective(t, DF_COLL_REDUCE_SCATTER, DF_AXIS_KP1, rows_bytes)->members = w.inner;
    } else if (pass == DF_PASS_FORWARD) {
        df_tail_gather(t, DF_AXIS_KP2, rows_bytes, w.columns);
    }
}

/* By row and column each device applies the gradient of its columns, whose rows it gathers. */
void df_product_reduce(const df_product *p, df_tail *t)
{
    const df_kp_ways w = df_kp_ways_of(p->reduction, &p->split);
    const double q = t->element_bytes;
    const double columns = p->n / w.columns;
    const double updated = p->k / w.inner * columns;
    t->pass = DF_PASS_WEIGHT_GRAD;
    df_tail_collective(t, DF_COLL_ALL_REDUCE, DF_AXIS_DP,
                       q * (p->k / (w.rows * w.inner)) * columns);
    df_tail_gather(t, DF_AXIS_KP1, q * p->k * columns, w.rows);
    df_tail_stream(t, &applying, updated);
    df_tail_stream(t, &clipping, updated);
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
    *g = (df_gemm_mode){.product = {(double)m->m, (double)m->k, (double)m->n, split, split.type},
                        .element_bytes = cfg->sw.precision.tensor_bytes,
                        .backward = m->backward,
                        .reduces = m->backward && s->dp > 1};
}

void df_gemm_mode_build(const df_gemm_mode *g, df_ops *ops)
{
    df_tail t = {.ops = ops, .row = DF_GEMM_FORWARD, .element_bytes = g->element_bytes};
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
