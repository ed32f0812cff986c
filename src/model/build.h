/* build.h: a list of operators under construction, the kernels of pointwise work, and what the
 * builders of a transformer share. */
#ifndef DF_MODEL_BUILD_H
#define DF_MODEL_BUILD_H
#include "model/dims.h"
#include "op/op.h"

/* Operations and accesses of one element, and the total number of kernels that are launched. */
typedef struct {
    double flops, accesses, launches;
} df_work;

/* Pointwise work, forward and backward where there are two; sources: build.c. */
struct df_pointwise {
    df_work norm[DF_DIRECTIONS], residual[DF_DIRECTIONS];
    df_work gelu[DF_DIRECTIONS], swiglu[DF_DIRECTIONS];
    df_work attention_softmax[DF_DIRECTIONS], head_softmax[DF_DIRECTIONS];
    df_work lstm_softmax[DF_DIRECTIONS];
    df_work lstm_cell, weight_sum; /* the critical path of a cell, also for each direction */
    df_work apply, clip;           /* what becomes of a reduced gradient */
    df_work touch[DF_DIRECTIONS];  /* an element is read or written */
    df_work move, copy; /* the element is read and written, in a kernel of its own, or in one that
                           runs anyway */
};
extern const struct df_pointwise df_pointwise;

/* The end of a list, and what the operators that follow have in common. */
typedef struct {
    df_ops *ops;
    df_block block;
    int row;              /* a df_row_name, df_lstm_row or df_gemm_row */
    uint8_t stream_flags; /* of streams: DF_OP_WHOLE_BYTES, or none */
} df_tail;

/* Each appends an operator and returns it. Without its shape: one repeat, no launch, no memory. */
df_op *df_tail_add(const df_tail *t, df_op_kind kind, df_op_pass pass);
/* `repeats` products, for which `launches` kernels are launched. */
df_op *df_tail_gemm(
    const df_tail *t, df_op_pass pass, const df_op_gemm *shape, double repeats, double launches);
/* Work that streams `elements` through DRAM. */
df_op *df_tail_stream(
    const df_tail *t, df_op_pass pass, const df_work *work, double elements, double element_bytes);
/* A collective of all devices along the axes, bits of df_axis, unless the caller sets members. */
df_op *df_tail_collective(
    const df_tail *t, df_op_pass pass, df_coll_kind kind, unsigned axes, double bytes);

/* ---- Transformers ---- */

enum {
    DF_OVER_TP = 1U << DF_AXIS_TP,
    DF_OVER_CP = 1U << DF_AXIS_CP,
    DF_OVER_EP = 1U << DF_AXES, /* the devices that share the experts */
};

typedef struct {
    const df_dims *dims;
    const df_split *split;
    const df_span *span;
    df_tail to;
} df_builder;

/* The product, and those of its two gradients, each `repeats` times; returns the forward one. */
df_op *df_build_products(df_builder *b, const df_op_gemm *g, double repeats, double launches);

/* Adds pointwise work forward and backward, on elements of forward_bytes and backward_bytes.
 * Returns the forward half; the backward half follows it. */
df_op *df_build_pointwise(df_builder *b,
                          const df_work work[DF_DIRECTIONS],
                          double elements,
                          double forward_bytes,
                          double backward_bytes);

/* What a device keeps of `bytes` for each position of its micro-batch, where tp splits them. */
double df_build_share(const df_builder *b, double bytes);

/* ---- Products with weights ---- */

/* An activation between the products of a half of a layer, `width` elements for each position; one
 * between layers and their halves, which plain tensor parallelism leaves whole; and the mask of a
 * dropout, a byte for each of its elements. */
double df_build_inner_bytes(const df_builder *b, double width);
double df_build_outer_bytes(const df_builder *b);
double df_build_mask_bytes(const df_builder *b);

/* One device's shard: of columns (n over tp) or of rows (k over tp). */
typedef struct {
    df_op_gemm shape;
    bool by_rows;
    double repeats; /* experts */
    df_op_memory memory;
} df_projection;

df_projection df_project(const df_builder *b, bool by_rows, double m, double k, double n);
/* One that every tensor-parallel device has whole. */
df_projection df_project_whole(const df_builder *b, double m, double k, double n);
void df_build_projection(df_builder *b, const df_projection *p);
/* Sums over tp: the partial outputs of a projection by rows, and the gradients of the input of one
 * by columns. If each device needs only its part of the sequence, it gets no more. */
void df_build_sum(df_builder *b, bool forward, double elements);
void df_build_projection_sum(df_builder *b, const df_projection *p);

/* ---- Halves of a layer ---- */

/* Attention, or what stands in its place, with its projections (mixer.c). */
void df_build_mixer(df_builder *b);
/* The feed-forward network, or experts (ffn.c). */
void df_build_ffn(df_builder *b);
/* The operators of attention between its projections (attention.c). */
void df_build_attention(df_builder *b);

#endif
