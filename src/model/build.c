#include "model/build.h"

/* The figures are those of the Python DeepFlow (time_calculation.py and its LLM counterpart), which
 * counts the elementary operations of each formula. An operation with two operands makes three
 * accesses, one with a single operand two, unless a kernel keeps them. In each pair, forward comes
 * first. */
const struct df_pointwise df_pointwise = {
    .norm = {{7, 2, 3}, {14, 4, 4}},
    .residual = {{2, 3, 1}, {1, 3, 1}},
    .gelu = {{10, 2, 2}, {20, 3, 3}},
    .swiglu = {{11, 3, 2}, {22, 5, 3}},
    .attention_softmax = {{8, 4, 1}, {5, 3, 1}}, /* forward one of the 8 scales the scores */
    .head_softmax = {{7, 4, 4}, {4, 3, 4}},
    /* an exponential, a sum that is written back to each element, a division; the two gradients of
     * the division (3 operations), a sum, an exponential */
    .lstm_softmax = {{3, 7, 4}, {5, 11, 4}},
    .lstm_cell = {5, 13, 5}, /* two products, a sum; the bias or a sigmoid, a tanh */
    .weight_sum = {1, 3, 0}, /* a step's gradient is added to those of the steps before it */
    .apply = {3, 4, 0},      /* divided by the replicas, times the learning rate, added */
    .clip = {4, 3, 0},       /* squared, summed; multiplied, divided */
    .touch = {{0, 1, 1}, {0, 1, 1}},
    .move = {0, 2, 1},
    .copy = {0, 2, 0},
};

df_op *df_tail_add(const df_tail *t, df_op_kind kind, df_op_pass pass)
{
    df_op *const op = df_ops_append(t->ops);
    op->kind = (uint8_t)kind;
    op->pass = (uint8_t)pass;
    op->block = (uint8_t)t->block;
    op->row = (uint8_t)t->row;
    op->part = DF_OP_PART_MAIN;
    op->flags = 0;
    op->share = 1.0;
    op->repeats = 1.0;
    op->launches = 0.0;
    op->members = 0.0;
    op->memory = (df_op_memory){.params = 0.0};
    return op;
}

df_op *df_tail_gemm(
    const df_tail *t, df_op_pass pass, const df_op_gemm *shape, double repeats, double launches)
{
    df_op *const op = df_tail_add(t, DF_OP_GEMM, pass);
    op->repeats = repeats;
    op->launches = launches;
    op->gemm.m = shape->m;
    op->gemm.k = shape->k;
    op->gemm.n = shape->n;
    op->gemm.chip_bytes = shape->chip_bytes;
    return op;
}

df_op *df_tail_stream(
    const df_tail *t, df_op_pass pass, const df_work *work, double elements, double element_bytes)
{
    df_op *const op = df_tail_add(t, DF_OP_STREAM, pass);
    op->flags = t->stream_flags;
    op->launches = work->launches;
    op->stream.elements = elements;
    op->stream.flops = work->flops;
    op->stream.bytes = work->accesses * element_bytes;
    return op;
}

df_op *df_tail_collective(
    const df_tail *t, df_op_pass pass, df_coll_kind kind, unsigned axes, double bytes)
{
    df_op *const op = df_tail_add(t, DF_OP_COLLECTIVE, pass);
    op->coll.kind = kind;
    op->coll.axes = axes;
    op->coll.bytes = bytes;
    return op;
}

df_op *df_build_products(df_builder *b, const df_op_gemm *g, double repeats, double launches)
{
    const df_op_gemm of_inputs = {g->m, g->n, g->k, 0.0};
    const df_op_gemm of_weights = {g->k, g->m, g->n, 0.0};
    df_op *const forward = df_tail_gemm(&b->to, DF_PASS_FORWARD, g, repeats, launches);
    df_tail_gemm(&b->to, DF_PASS_INPUT_GRAD, &of_inputs, repeats, launches);
    df_tail_gemm(&b->to, DF_PASS_WEIGHT_GRAD, &of_weights, repeats, launches);
    return forward;
}

df_op *df_build_pointwise(df_builder *b,
                          const df_work work[DF_DIRECTIONS],
                          double elements,
                          double forward_bytes,
                          double backward_bytes)
{
    df_op *const forward =
        df_tail_stream(&b->to, DF_PASS_FORWARD, &work[DF_FORWARD], elements, forward_bytes);
    df_tail_stream(&b->to, DF_PASS_INPUT_GRAD, &work[DF_BACKWARD], elements, backward_bytes);
    return forward;
}

double df_build_share(const df_builder *b, double bytes)
{
    const double tokens = df_split_tokens(b->split, b->span->tokens);
    return b->split->batch * tokens * bytes / b->split->tp;
}
