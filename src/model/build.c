#include "model/build.h"

df_op *df_build_op(df_builder *b, df_op_kind kind, df_row_name row, df_op_pass pass)
{
    df_op *const op = df_ops_append(b->ops);
    op->kind = (uint8_t)kind;
    op->pass = (uint8_t)pass;
    op->block = (uint8_t)b->block;
    op->row = (uint8_t)row;
    op->part = DF_OP_PART_MAIN;
    op->flags = 0;
    op->repeats = 1.0;
    op->launches = 0.0;
    op->memory = (df_op_memory){.params = 0.0};
    return op;
}

df_op *df_build_gemm(df_builder *b,
                     df_row_name row,
                     df_op_pass pass,
                     const df_op_gemm *shape,
                     double repeats,
                     double launches)
{
    df_op *const op = df_build_op(b, DF_OP_GEMM, row, pass);
    op->repeats = repeats;
    op->launches = launches;
    op->gemm.m = shape->m;
    op->gemm.k = shape->k;
    op->gemm.n = shape->n;
    op->gemm.chip_bytes = shape->chip_bytes;
    return op;
}

df_op *df_build_stream(
    df_builder *b, df_row_name row, df_op_pass pass, const df_op_stream *work, double launches)
{
    df_op *const op = df_build_op(b, DF_OP_STREAM, row, pass);
    op->flags = DF_OP_WHOLE_BYTES;
    op->launches = launches;
    op->stream.elements = work->elements;
    op->stream.flops = work->flops;
    op->stream.bytes = work->bytes;
    return op;
}

void df_build_collective(df_builder *b,
                         df_row_name row,
                         df_op_pass pass,
                         const df_op_collective *what)
{
    df_op *const op = df_build_op(b, DF_OP_COLLECTIVE, row, pass);
    op->coll.kind = what->kind;
    op->coll.axes = what->axes;
    op->coll.bytes = what->bytes;
}

double df_build_share(const df_builder *b, double bytes)
{
    const double tokens = df_split_tokens(b->split, b->span->tokens);
    return b->split->batch * tokens * bytes / b->split->tp;
}
