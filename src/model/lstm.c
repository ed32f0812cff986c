#include "model/lstm.h"

#include <math.h>
#include <string.h>

/* The figures are those of the Python DeepFlow (time_calculation.py), which counts an operation
 * with two operands as three accesses and one with a single operand as two. */

/* The critical path of a cell: two products, a sum; the bias or a sigmoid, a tanh. */
const df_pointwise df_lstm_cell_work = {5, 13, 5};
/* A step's gradient is added to those of the steps before it. */
static const df_pointwise weight_sum = {1, 3, 0};
/* Forward an exponential, a sum that is written back to each element, a division; backward the two
 * gradients of the division (3 operations), a sum, an exponential. */
static const df_pointwise softmax_work[DF_DIRECTIONS] = {{3, 7, 4}, {5, 11, 4}};
/* An element is read and written. */
static const df_pointwise copy = {0, 2, 0};
static const df_pointwise lookup = {0, 2, 1};

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
static void build_exchange(const df_lstm *x, double columns, df_op_pass pass, df_tail *t)
{
    const bool row_column = x->part[DF_PART_HIDDEN].split.type == DF_KP_RC;
    const int direction = pass == DF_PASS_FORWARD ? DF_FORWARD : DF_BACKWARD;
    const double gates = 4.0 * x->exchanged_rows[direction] * columns;
    t->pass = pass;
    if (gates > 0.0) {
        df_tail_stream(t, &copy, gates);
        df_tail_add(t, DF_OP_LINK)->link =
            (df_op_link){row_column ? DF_AXIS_KP2 : DF_AXIS_KP1, gates * t->element_bytes};
    }
}

/* Backward, the pointwise work and the sum of the weights' gradients are one kernel. For a cell
 * that is not split, the backward work is counted by the width, not by the gates. */
static void build_cell(const df_lstm *x, df_tail *t)
{
    const df_product *const p = &x->part[DF_PART_HIDDEN];
    const df_kp_ways s = df_kp_ways_of(p->split.type, &p->split);
    const double ways = s.inner * s.columns;
    const double columns = p->n / ways;
    const double outputs = p->m / s.rows * columns;
    const double weights = p->k * p->n / ways;
    const double again = p->split.type == DF_KP_NONE ? p->m * x->width : outputs;
    const df_pointwise *const cell = &df_lstm_cell_work;
    const df_pointwise backward = {cell->flops * again + weight_sum.flops * weights,
                                   cell->accesses * again + weight_sum.accesses * weights,
                                   cell->kernels};
    build_exchange(x, columns, DF_PASS_FORWARD, t);
    df_product_build(p, DF_PASS_FORWARD, t);
    df_tail_stream(t, cell, outputs);
    build_exchange(x, columns, DF_PASS_INPUT_GRAD, t);
    df_product_build(p, DF_PASS_WEIGHT_GRAD, t);
    df_product_build(p, DF_PASS_INPUT_GRAD, t);
    df_tail_stream(t, &backward, 1.0);
}

/* The sum of a row of n numbers takes n - 1 additions. Where the rows are split, n are counted, and
 * one kernel in place of four. Devices that share rows exchange their sums. */
static void build_softmax(const df_lstm *x, df_tail *t)
{
    const df_product *const p = &x->part[DF_PART_SOFTMAX];
    const df_kp_ways s = df_kp_ways_of(p->split.type, &p->split);
    const double rows = p->m / (s.rows * s.inner);
    const double outputs = rows * (p->n / s.columns);
    const double sums_bytes = t->element_bytes * rows * s.columns;
    df_pointwise forward = softmax_work[DF_FORWARD];
    df_pointwise backward = softmax_work[DF_BACKWARD];
    if (p->split.type == DF_KP_NONE) {
        forward.flops -= 1.0 / p->n;
    } else {
        forward.kernels = backward.kernels = 1.0;
    }
    df_product_build(p, DF_PASS_FORWARD, t);
    df_tail_stream(t, &forward, outputs);
    df_tail_gather(t, DF_AXIS_KP1, t->element_bytes * p->m, s.inner);
    if (s.columns > 1.0) {
        df_op *const op = df_tail_collective(t, DF_COLL_ALL_TO_ALL, DF_AXIS_KP2, sums_bytes);
        op->flags = DF_OP_NO_LATENCY;
        op->members = s.columns;
    }
    df_product_build(p, DF_PASS_WEIGHT_GRAD, t);
    df_product_build(p, DF_PASS_INPUT_GRAD, t);
    df_tail_stream(t, &backward, outputs);
}

/* Rows of the table are read and written, and again for their gradients. The host sends the rows of
 * a table that is not split; devices gather those of a split one. */
static void build_embedding(const df_lstm *x, df_tail *t)
{
    const df_product *const p = &x->part[DF_PART_EMBEDDING];
    const df_kp_ways s = df_kp_ways_of(p->split.type, &p->split);
    const double bytes = t->element_bytes * x->batch * x->width;
    const double elements = x->batch / s.rows * (x->width / s.columns);
    t->pass = DF_PASS_FORWARD;
    df_tail_stream(t, &lookup, elements);
    if (p->split.type == DF_KP_NONE) {
        df_tail_add(t, DF_OP_HOST)->host_bytes = 2.0 * bytes;
    }
    df_tail_gather(t, DF_AXIS_KP1, bytes, s.inner);
    t->pass = DF_PASS_WEIGHT_GRAD;
    df_tail_stream(t, &lookup, elements);
    df_tail_gather(t, DF_AXIS_KP1, bytes / s.columns, s.inner * s.rows);
}

void df_lstm_build(const df_lstm *x, df_ops *ops)
{
    df_tail t = {.ops = ops, .row = DF_LSTM_CELL, .element_bytes = x->element_bytes};
    ops->count = 0;
    build_cell(x, &t);
    t.row = DF_LSTM_SOFTMAX;
    build_softmax(x, &t);
    t.row = DF_LSTM_EMBEDDING;
    build_embedding(x, &t);
    if (x->hop_bytes > 0.0) {
        t.row = DF_LSTM_HOP;
        t.pass = DF_PASS_FORWARD;
        df_tail_collective(&t, DF_COLL_P2P, DF_AXIS_LP, x->hop_bytes);
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
