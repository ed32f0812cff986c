/* build.h: private to model: a list of operators under construction. */
#ifndef DF_MODEL_BUILD_H
#define DF_MODEL_BUILD_H
#include "model/dims.h"
#include "op/op.h"

enum { DF_OVER_TP = 1U << DF_AXIS_TP, DF_OVER_CP = 1U << DF_AXIS_CP };

typedef struct {
    const df_dims *dims;
    const df_split *split;
    const df_span *span;
    df_ops *ops;
    df_block block; /* of the operators that follow */
} df_builder;

/* An operator without its shape: one repeat, no launch, no memory. */
df_op *df_build_op(df_builder *b, df_op_kind kind, df_row_name row, df_op_pass pass);

/* Adds `repeats` products, for which `launches` kernels are launched; returns the operator. */
df_op *df_build_gemm(df_builder *b,
                     df_row_name row,
                     df_op_pass pass,
                     const df_op_gemm *shape,
                     double repeats,
                     double launches);

/* Work that streams through DRAM, in `launches` kernels; returns the operator. */
df_op *df_build_stream(
    df_builder *b, df_row_name row, df_op_pass pass, const df_op_stream *work, double launches);

void df_build_collective(df_builder *b,
                         df_row_name row,
                         df_op_pass pass,
                         const df_op_collective *what);

/* What a device keeps of `bytes` for each position of its micro-batch, where tp splits them. */
double df_build_share(const df_builder *b, double bytes);

/* The operators of attention between its projections. */
void df_build_attention(df_builder *b);

#endif
