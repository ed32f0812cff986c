#include "model/footprint.h"

#include <math.h>

/* A device's part of a product: what is not split by row and column is split by column and row
 * (model/lstm.h). */
static df_op_gemm part_of(const df_product *p, df_kp_type given)
{
    const df_kp_split *const s = &p->split;
    return given == DF_KP_RC
               ? (df_op_gemm){ceil(p->m / s->dim1), ceil(p->k), ceil(p->n / s->dim2), 0.0}
               : (df_op_gemm){ceil(p->m), ceil(p->k / s->dim1), ceil(p->n), 0.0};
}

/* Weights of k rows, `outputs` rows of activations, and pointwise work on them; n columns. */
static df_footprint_part count(double bytes, double k, double n, double outputs, double pointwise)
{
    df_footprint_part part = {bytes * k * n, bytes * outputs * n, bytes * pointwise, 0.0};
    part.total_bytes = part.weight_bytes + part.activation_bytes + part.pointwise_bytes;
    return part;
}

/* Pointwise work on the gates' outputs is three sigmoids, two tanh, three products and one sum,
 * each of half the size of the gates' output. Of three and more devices the first holds the
 * embedding and the last the softmax. */
static df_footprint_part hidden_part(const df_lstm *x)
{
    const double operations = 9.0;
    const df_op_gemm g = part_of(&x->part[DF_PART_HIDDEN], x->given[DF_PART_HIDDEN]);
    const double layers = x->layers / (x->stages > 2.0 ? x->stages - 2.0 : x->stages);
    const double outputs = g.m * x->steps;
    const double bias = 1.0;
    return count(x->element_bytes * layers, g.k + bias, g.n, outputs,
                 outputs * g.n / 2.0 * operations);
}

/* Exponentials and quotients, and the sum of each row. */
static df_footprint_part softmax_part(const df_lstm *x)
{
    const df_op_gemm g = part_of(&x->part[DF_PART_SOFTMAX], x->given[DF_PART_SOFTMAX]);
    const double outputs = g.m * x->steps;
    const double bias = 1.0;
    return count(x->element_bytes, g.k + bias, g.n, outputs, 2.0 * outputs * g.n + outputs);
}

/* The width is split only where the hidden layers, which take the embedding's output, are
 * row-column. */
static df_footprint_part embedding_part(const df_lstm *x)
{
    const df_product *const p = &x->part[DF_PART_EMBEDDING];
    const df_op_gemm g = part_of(p, x->given[DF_PART_EMBEDDING]);
    const double ways = x->given[DF_PART_HIDDEN] == DF_KP_RC ? p->split.dim2 : 1.0;
    return count(x->element_bytes, g.k, ceil(p->n / ways), g.m * x->steps, 0.0);
}

/* Two devices both hold half of the layers; of three and more each holds one kind of part. */
double df_footprint_fullest_bytes(const df_footprint *parts, double stages)
{
    const double hidden = parts->part[DF_PART_HIDDEN].total_bytes;
    const double softmax = parts->part[DF_PART_SOFTMAX].total_bytes;
    const double embedding = parts->part[DF_PART_EMBEDDING].total_bytes;
    if (stages == 1.0) {
        return hidden + softmax + embedding;
    }
    const double ends = fmax(embedding, softmax);
    return stages == 2.0 ? hidden + ends : fmax(hidden, ends);
}

void df_footprint_lstm(const df_lstm *x, df_footprint *out)
{
    *out = (df_footprint){.part = {[DF_PART_HIDDEN] = hidden_part(x),
                                   [DF_PART_SOFTMAX] = softmax_part(x),
                                   [DF_PART_EMBEDDING] = embedding_part(x)}};
    out->total_bytes = df_footprint_fullest_bytes(out, x->stages);
}

double df_footprint_gemm_bytes(const df_gemm_mode *g)
{
    const df_op_gemm p = part_of(&g->product, g->product.split.type);
    return g->product.element_bytes * (p.m * p.k + p.k * p.n + p.m * p.n);
}
