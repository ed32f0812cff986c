#include "model/lstm.h"

#include <math.h>
#include <string.h>

/* ---- Dimensions ---- */

static void read_part(const df_cfg_sched *s, df_part part, double k, double n, df_lstm *x)
{
    const int64_t dim1 = s->kp1 > 0 ? s->kp1 : s->kp_dim1[part];
    const int64_t dim2 = s->kp2 > 0 ? s->kp2 : s->kp_dim2[part];
    const bool whole = dim1 == 1 && dim2 == 1;
    df_product *const p = &x->part[part];
    p->m = x->batch;
    p->k = k;
    p->n = n;
    p->element_bytes = x->element_bytes;
    x->given[part] = s->t == DF_T_RC ? DF_KP_RC : s->t == DF_T_CR ? DF_KP_CR : s->kp_type[part];
    p->split.type = whole ? DF_KP_NONE : x->given[part];
    p->split.dim1 = (double)dim1;
    p->split.dim2 = (double)dim2;
    p->reduction = p->split.type;
}

void df_lstm_read(const df_cfg *cfg, df_lstm *x)
{
    const df_cfg_lstm *const m = &cfg->lstm;
    memset(x, 0, sizeof *x);
    x->batch = ceil((double)m->batch_size / (double)cfg->sched.dp);
    x->width = (double)m->layer_size;
    x->gates = (double)m->num_gates;
    x->words = (double)m->vocab_size;
    x->layers = (double)m->num_layers;
    x->steps = (double)m->seq_len;
    x->stages = (double)cfg->sched.lp;
    x->element_bytes = cfg->sw.precision.tensor_bytes;
    read_part(&cfg->sched, DF_PART_HIDDEN, 2.0 * x->width, x->gates * x->width, x);
    read_part(&cfg->sched, DF_PART_SOFTMAX, x->width, x->words, x);
    read_part(&cfg->sched, DF_PART_EMBEDDING, x->words, x->width, x);
    const df_kp_split *const cell = &x->part[DF_PART_HIDDEN].split;
    const df_kp_ways ways = df_kp_ways_of(cell->type, cell);
    const double output_bytes = x->element_bytes * x->batch * x->width;
    const bool apart = cell->type == DF_KP_CR || ways.columns > 1.0;
    x->exchanged_rows[DF_FORWARD] = apart ? x->batch / ways.rows : 0.0;
    x->exchanged_rows[DF_BACKWARD] = x->exchanged_rows[DF_FORWARD];
    x->hop_bytes = x->stages > 1.0 ? output_bytes / (ways.rows * ways.inner * ways.columns) : 0.0;
}

/* ---- The cell ---- */

/* The four gates' activations change hands. The exchange precedes the product in the list, so that
 * a missing link is reported as one. */
static void build_exchange(const df_lstm *x, double columns, df_op_pass pass, const df_tail *t)
{
    const bool row_column = x->part[DF_PART_HIDDEN].split.type == DF_KP_RC;
    const int direction = pass == DF_PASS_FORWARD ? DF_FORWARD : DF_BACKWARD;
    const double gates = 4.0 * x->exchanged_rows[direction] * columns;
    if (gates > 0.0) {
        df_tail_stream(t, pass, &df_pointwise.copy, gates, x->element_bytes);
        df_tail_add(t, DF_OP_LINK, pass)->link =
            (df_op_link){row_column ? DF_AXIS_KP2 : DF_AXIS_KP1, gates * x->element_bytes};
    }
}

/* Backward, the pointwise work and the sum of the weights' gradients are one kernel. For a cell
 * that is not split, the backward work is counted by the width, not by the gates. */
static void build_cell(const df_lstm *x, const df_tail *t)
{
    const df_product *const p = &x->part[DF_PART_HIDDEN];
    const df_kp_ways s = df_kp_ways_of(p->split.type, &p->split);
    const double ways = s.inner * s.columns;
    const double columns = p->n / ways;
    const double outputs = p->m / s.rows * columns;
    const double weights = p->k * p->n / ways;
    const double again = p->split.type == DF_KP_NONE ? p->m * x->width : outputs;
    const df_work *const cell = &df_pointwise.lstm_cell;
    const df_work *const sum = &df_pointwise.weight_sum;
    const df_work backward = {cell->flops * again + sum->flops * weights,
                              cell->accesses * again + sum->accesses * weights, cell->launches};
    build_exchange(x, columns, DF_PASS_FORWARD, t);
    df_product_build(p, DF_PASS_FORWARD, t);
    df_tail_stream(t, DF_PASS_FORWARD, cell, outputs, x->element_bytes);
    build_exchange(x, columns, DF_PASS_INPUT_GRAD, t);
    df_product_build(p, DF_PASS_WEIGHT_GRAD, t);
    df_product_build(p, DF_PASS_INPUT_GRAD, t);
    df_tail_stream(t, DF_PASS_INPUT_GRAD, &backward, 1.0, x->element_bytes);
}

/* The sum of a row of n numbers takes n - 1 additions. Where the rows are split, n are counted, and
 * one kernel in place of four. Devices that share rows exchange their sums. */
static void build_softmax(const df_lstm *x, const df_tail *t)
{
    const df_product *const p = &x->part[DF_PART_SOFTMAX];
    const df_kp_ways s = df_kp_ways_of(p->split.type, &p->split);
    const double rows = p->m / (s.rows * s.inner);
    const double outputs = rows * (p->n / s.columns);
    const double q = x->element_bytes;
    df_work forward = df_pointwise.lstm_softmax[DF_FORWARD];
    df_work backward = df_pointwise.lstm_softmax[DF_BACKWARD];
    if (p->split.type == DF_KP_NONE) {
        forward.flops -= 1.0 / p->n;
    } else {
        forward.launches = backward.launches = 1.0;
    }
    df_product_build(p, DF_PASS_FORWARD, t);
    df_tail_stream(t, DF_PASS_FORWARD, &forward, outputs, q);
    df_product_gather(t, DF_PASS_FORWARD, DF_AXIS_KP1, q * p->m, s.inner);
    if (s.columns > 1.0) {
        df_op *const op = df_tail_collective(t, DF_PASS_FORWARD, DF_COLL_ALL_TO_ALL,
                                             1U << DF_AXIS_KP2, ceil(q * rows * s.columns));
        op->flags = DF_OP_NO_LATENCY;
        op->members = s.columns;
    }
    df_product_build(p, DF_PASS_WEIGHT_GRAD, t);
    df_product_build(p, DF_PASS_INPUT_GRAD, t);
    df_tail_stream(t, DF_PASS_INPUT_GRAD, &backward, outputs, q);
}

/* Rows of the table are read and written, and again for their gradients. The host sends the rows of
 * a table that is not split; devices gather those of a split one. */
static void build_embedding(const df_lstm *x, const df_tail *t)
{
    const df_product *const p = &x->part[DF_PART_EMBEDDING];
    const df_kp_ways s = df_kp_ways_of(p->split.type, &p->split);
    const double q = x->element_bytes;
    const double bytes = q * x->batch * x->width;
    const double elements = x->batch / s.rows * (x->width / s.columns);
    df_tail_stream(t, DF_PASS_FORWARD, &df_pointwise.move, elements, q);
    if (p->split.type == DF_KP_NONE) {
        df_tail_add(t, DF_OP_HOST, DF_PASS_FORWARD)->host_bytes = 2.0 * bytes;
    }
    df_product_gather(t, DF_PASS_FORWARD, DF_AXIS_KP1, bytes, s.inner);
    df_tail_stream(t, DF_PASS_WEIGHT_GRAD, &df_pointwise.move, elements, q);
    df_product_gather(t, DF_PASS_WEIGHT_GRAD, DF_AXIS_KP1, bytes / s.columns, s.inner * s.rows);
}

void df_lstm_build(const df_lstm *x, df_ops *ops)
{
    df_tail t = {.ops = ops, .row = DF_LSTM_CELL};
    ops->count = 0;
    build_cell(x, &t);
    t.row = DF_LSTM_SOFTMAX;
    build_softmax(x, &t);
    t.row = DF_LSTM_EMBEDDING;
    build_embedding(x, &t);
    if (x->hop_bytes > 0.0) {
        t.row = DF_LSTM_HOP;
        df_tail_collective(&t, DF_PASS_FORWARD, DF_COLL_P2P, 1U << DF_AXIS_LP, ceil(x->hop_bytes));
    }
    for (int part = 0; part < DF_LSTM_PARTS; part++) {
        t.row = DF_LSTM_CELL_REDUCTION + part;
        df_product_reduce(&x->part[part], &t);
    }
}

double df_lstm_params(const df_lstm *x, double projection)
{
    const double cell = (2.0 * x->width + 1.0) * x->gates * x->width;
    return x->words * x->width + cell * x->layers + x->width * projection +
           (x->width + 1.0) * x->words;
}

/* ---- Memory ---- */

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
    const df_op_gemm g = df_product_part(&x->part[DF_PART_HIDDEN], x->given[DF_PART_HIDDEN]);
    const double layers = x->layers / (x->stages > 2.0 ? x->stages - 2.0 : x->stages);
    const double outputs = g.m * x->steps;
    const double bias = 1.0;
    return count(x->element_bytes * layers, g.k + bias, g.n, outputs,
                 outputs * g.n / 2.0 * operations);
}

/* Exponentials and quotients, and the sum of each row. */
static df_footprint_part softmax_part(const df_lstm *x)
{
    const df_op_gemm g = df_product_part(&x->part[DF_PART_SOFTMAX], x->given[DF_PART_SOFTMAX]);
    const double outputs = g.m * x->steps;
    const double bias = 1.0;
    return count(x->element_bytes, g.k + bias, g.n, outputs, 2.0 * outputs * g.n + outputs);
}

/* The width is split only where the hidden layers, which take the embedding's output, are
 * row-column. */
static df_footprint_part embedding_part(const df_lstm *x)
{
    const df_product *const p = &x->part[DF_PART_EMBEDDING];
    const df_op_gemm g = df_product_part(p, x->given[DF_PART_EMBEDDING]);
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
