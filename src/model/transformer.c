#include "model/transformer.h"

#include <math.h>

#include "model/build.h"

/* ---- Pointwise work of an element ---- */

/* Operations and accesses of an element, and kernels, forward and backward. The figures are
 * those of the Python DeepFlow, which counts the elementary operations of each formula. */
typedef struct {
    double flops[DF_DIRECTIONS], accesses[DF_DIRECTIONS], kernels[DF_DIRECTIONS];
} pointwise;

static const pointwise norm = {{7, 14}, {2, 4}, {3, 4}};
static const pointwise residual = {{2, 1}, {3, 3}, {1, 1}};
static const pointwise gelu = {{10, 20}, {2, 3}, {2, 3}};
static const pointwise swiglu = {{11, 22}, {3, 5}, {2, 3}};
static const pointwise head_softmax = {{7, 4}, {4, 3}, {4, 4}};

/* One direction of pointwise work on n elements of element_bytes each. */
static df_op *build_pointwise(df_builder *b,
                              df_row_name row,
                              df_op_pass pass,
                              const pointwise *p,
                              double n,
                              double element_bytes)
{
    const int direction = pass == DF_PASS_FORWARD ? DF_FORWARD : DF_BACKWARD;
    const df_op_stream work = {n, p->flops[direction], p->accesses[direction] * element_bytes};
    return df_build_stream(b, row, pass, &work, p->kernels[direction]);
}

/* ---- Memory: Korthikanti et al., MLSys 2023, table 2, for any widths ---- */

/* An activation between the products of a half of a layer, `width` elements for each position. */
static double inner_bytes(const df_builder *b, double width)
{
    return df_build_share(b, b->dims->bytes.activation * width);
}

/* An activation between layers and their halves, which plain tensor parallelism leaves whole. */
static double outer_bytes(const df_builder *b)
{
    const double share = inner_bytes(b, b->dims->hidden);
    return df_split_is_plain_tensor(b->split) ? b->split->tp * share : share;
}

/* The mask of a dropout, a byte for each element. */
static double mask_bytes(const df_builder *b)
{
    return b->dims->dropout ? outer_bytes(b) / b->dims->bytes.activation : 0.0;
}

/* ---- Products with weights ---- */

/* One device's shard: of columns (n over tp) or of rows (k over tp). */
typedef struct {
    double m, k, n;
    double repeats; /* experts */
    df_op_memory memory;
} projection;

static projection by_columns(const df_builder *b, double m, double k, double n)
{
    const df_op_memory memory = {.params = k * n / b->split->tp};
    return (projection){df_split_tokens(b->split, m), k, df_split_width(b->split, n), 1.0, memory};
}

static projection by_rows(const df_builder *b, double m, double k, double n)
{
    const df_op_memory memory = {.params = k * n / b->split->tp};
    return (projection){df_split_tokens(b->split, m), df_split_width(b->split, k), n, 1.0, memory};
}

static void build_projection(df_builder *b, df_row_name row, const projection *p)
{
    const df_formats *const bytes = &b->dims->bytes;
    const double n = p->repeats;
    df_op *const forward =
        df_build_gemm(b, row, DF_PASS_FORWARD, &(df_op_gemm){p->m, p->k, p->n, 0.0}, n, n);
    forward->memory = p->memory;
    df_build_gemm(b, row, DF_PASS_INPUT_GRAD, &(df_op_gemm){p->m, p->n, p->k, 0.0}, n, n);
    df_build_gemm(b, row, DF_PASS_WEIGHT_GRAD, &(df_op_gemm){p->k, p->m, p->n, 0.0}, n, n);
    if (bytes->parameter > bytes->activation) {
        /* Micikevicius et al., ICLR 2018: read, and written as they are used */
        const df_op_stream moved = {n * p->k * p->n, 0.0, bytes->parameter + bytes->activation};
        df_op *const cast = df_build_stream(b, row, DF_PASS_FORWARD, &moved, 1.0);
        cast->part = DF_OP_PART_CAST;
    }
}

/* Sums over tp: partial outputs of a projection by rows, and gradients of the input of one by
 * columns. Where each device needs only its part of the sequence, it gets no more. */
static void build_sum(df_builder *b, df_row_name row, df_op_pass pass, double bytes)
{
    const df_coll_kind kind =
        df_split_is_plain_tensor(b->split) ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER;
    if (b->split->tp > 1.0) {
        df_build_collective(b, row, pass, &(df_op_collective){kind, DF_OVER_TP, ceil(bytes)});
    }
}

static void build_column_sum(df_builder *b, df_row_name row, double m, double k)
{
    const double element_bytes = b->dims->bytes.exchanged_gradient;
    build_sum(b, row, DF_PASS_INPUT_GRAD, element_bytes * df_split_tokens(b->split, m) * k);
}

static void build_row_sum(df_builder *b, df_row_name row, double m, double n)
{
    const double element_bytes = b->dims->bytes.activation;
    build_sum(b, row, DF_PASS_FORWARD, element_bytes * df_split_tokens(b->split, m) * n);
}

/* Keys and values of the whole sequence, which context-parallel devices gather. */
static void build_kv_gather(df_builder *b, df_row_name row, df_op_pass pass)
{
    const df_dims *const d = b->dims;
    const double bytes = 2.0 * d->sequence * b->split->batch * d->kv_heads * d->head_dim *
                         d->bytes.cache / b->split->tp;
    if (b->split->cp > 1.0) {
        df_build_collective(b, row, pass,
                            &(df_op_collective){DF_COLL_ALL_GATHER, DF_OVER_CP, bytes});
    }
}

static void build_attention_projections(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double m = b->split->batch * b->span->tokens;
    const double width = (d->heads + 2.0 * d->kv_heads) * d->head_dim;
    projection qkv = by_columns(b, m, d->hidden, width);
    projection out = by_rows(b, m, d->hidden, d->hidden);
    /* its input; and what attention reads, even where that is computed again */
    qkv.memory.saved_bytes = outer_bytes(b) + inner_bytes(b, width);
    qkv.memory.live_bytes = 2.0 * outer_bytes(b) + inner_bytes(b, width);
    out.memory.saved_bytes = inner_bytes(b, d->hidden);
    build_projection(b, DF_ROW_QKV, &qkv);
    build_kv_gather(b, DF_ROW_QKV, DF_PASS_FORWARD);
    build_column_sum(b, DF_ROW_QKV, m, d->hidden);
    build_projection(b, DF_ROW_OUT, &out);
    build_kv_gather(b, DF_ROW_OUT, DF_PASS_INPUT_GRAD);
    build_row_sum(b, DF_ROW_OUT, m, d->hidden);
}

/* GELU, or SwiGLU, between the two products of the feed-forward network. */
static void build_activation(df_builder *b)
{
    const df_dims *const d = b->dims;
    const pointwise *const p = d->gated ? &swiglu : &gelu;
    const double n = b->span->busy_experts * df_split_tokens(b->split, b->span->expert_rows) *
                     df_split_width(b->split, d->ffn);
    df_op *const forward =
        build_pointwise(b, DF_ROW_ACTIVATION, DF_PASS_FORWARD, p, n, d->bytes.activation);
    forward->memory.saved_bytes = inner_bytes(b, d->top_k * d->ffn_in);
    forward->memory.live_bytes = 2.0 * outer_bytes(b) + inner_bytes(b, d->ffn_in + d->ffn);
    build_pointwise(b, DF_ROW_ACTIVATION, DF_PASS_INPUT_GRAD, p, n, d->bytes.gradient);
}

static void build_ffn(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double m = b->span->expert_rows;
    projection ffn1 = by_columns(b, m, d->hidden, d->ffn_in);
    projection ffn2 = by_rows(b, m, d->ffn, d->hidden);
    ffn1.repeats = b->span->busy_experts;
    ffn2.repeats = b->span->busy_experts;
    ffn1.memory.params *= d->experts;
    ffn2.memory.params *= d->experts;
    ffn1.memory.saved_bytes = outer_bytes(b);
    ffn2.memory.saved_bytes = inner_bytes(b, d->top_k * d->ffn);
    build_projection(b, DF_ROW_FFN1, &ffn1);
    build_column_sum(b, DF_ROW_FFN1, m, d->hidden);
    build_activation(b);
    build_projection(b, DF_ROW_FFN2, &ffn2);
    build_row_sum(b, DF_ROW_FFN2, m, d->hidden);
}

/* ---- Norms ---- */

/* A norm and the residual that is counted with it. With a sequence split outside of products,
 * its parts are gathered behind it (Korthikanti et al., MLSys 2023, section 4.2). */
static void build_norm(df_builder *b, df_row_name row)
{
    const df_formats *const bytes = &b->dims->bytes;
    const double n = df_split_outside(b->split, b->span->tokens, b->dims->hidden);
    df_op *op = build_pointwise(b, row, DF_PASS_FORWARD, &norm, n, bytes->statistics);
    op->memory.saved_bytes = outer_bytes(b);
    build_pointwise(b, row, DF_PASS_INPUT_GRAD, &norm, n, bytes->statistics);
    op = build_pointwise(b, row, DF_PASS_FORWARD, &residual, n, bytes->activation);
    op->part = DF_OP_PART_RESIDUAL;
    op->memory.saved_bytes = mask_bytes(b);
    op = build_pointwise(b, row, DF_PASS_INPUT_GRAD, &residual, n, bytes->gradient);
    op->part = DF_OP_PART_RESIDUAL;
    if (b->split->tp > 1.0 && !df_split_is_plain_tensor(b->split)) {
        const double whole = n * b->split->tp;
        df_build_collective(
            b, row, DF_PASS_FORWARD,
            &(df_op_collective){DF_COLL_ALL_GATHER, DF_OVER_TP, ceil(bytes->statistics * whole)});
        df_build_collective(b, row, DF_PASS_INPUT_GRAD,
                            &(df_op_collective){DF_COLL_ALL_GATHER, DF_OVER_TP,
                                                ceil(bytes->exchanged_gradient * whole)});
    }
}

/* ---- Beside the layers ---- */

/* A row of the table is read and a row written for each token, whose number the host sends. */
static void build_embedding(df_builder *b)
{
    const double id_bytes = 4.0;
    const double tokens = b->span->tokens * b->split->batch;
    const double n = 2.0 * tokens * b->dims->hidden;
    const df_formats *const bytes = &b->dims->bytes;
    b->block = DF_BLOCK_EMBEDDING;
    df_op *const forward = df_build_stream(b, DF_ROW_EMBEDDING, DF_PASS_FORWARD,
                                           &(df_op_stream){n, 0.0, bytes->activation}, 1.0);
    forward->memory.params = df_dims_table_params(b->dims) / b->split->tp;
    forward->memory.saved_bytes = mask_bytes(b);
    df_build_stream(b, DF_ROW_EMBEDDING, DF_PASS_INPUT_GRAD,
                    &(df_op_stream){n, 0.0, bytes->gradient}, 1.0);
    df_build_op(b, DF_OP_HOST, DF_ROW_EMBEDDING, DF_PASS_FORWARD)->host_bytes = id_bytes * tokens;
}

/* The inputs of the last norm and of the product, and the logits as they come. */
static df_op_memory head_memory(const df_builder *b)
{
    const df_dims *const d = b->dims;
    const bool shared = d->tied && b->split->pp == 1.0; /* the table is the embedding's */
    return (df_op_memory){.params = shared ? 0.0 : df_dims_table_params(d) / b->split->tp,
                          .saved_bytes = 2.0 * outer_bytes(b) + inner_bytes(b, d->vocab)};
}

/* The logits in fp32, and their softmax, which becomes the gradient. Inference has logits of the
 * last position of each sequence alone. */
static df_op_memory head_softmax_memory(const df_builder *b)
{
    const double position_bytes = DF_FP32_BYTES * b->dims->vocab;
    return (df_op_memory){.saved_bytes = df_build_share(b, 2.0 * position_bytes),
                          .live_bytes = b->split->batch * position_bytes / b->split->tp};
}

/* The last projection, over all tensor- and context-parallel devices, and its softmax. */
static void build_head(df_builder *b)
{
    const df_dims *const d = b->dims;
    const df_formats *const bytes = &d->bytes;
    const double members = b->split->tp * b->split->cp;
    const double m = b->split->batch * b->span->tokens;
    const double n = m * d->vocab / members;
    const projection head = {m, d->hidden, ceil(d->vocab / members), 1.0, head_memory(b)};
    const df_op_collective gather = {DF_COLL_ALL_GATHER, DF_OVER_TP | DF_OVER_CP,
                                     ceil(bytes->activation * m * d->vocab)};
    const df_op_collective sum = {DF_COLL_ALL_REDUCE, DF_OVER_TP | DF_OVER_CP,
                                  ceil(bytes->exchanged_gradient * m * d->hidden)};
    b->block = DF_BLOCK_HEAD;
    build_projection(b, DF_ROW_LOGITS, &head);
    df_build_collective(b, DF_ROW_LOGITS, DF_PASS_FORWARD, &gather);
    df_build_collective(b, DF_ROW_LOGITS, DF_PASS_INPUT_GRAD, &sum);
    df_op *const softmax =
        build_pointwise(b, DF_ROW_LOGITS, DF_PASS_FORWARD, &head_softmax, n, bytes->activation);
    softmax->memory = head_softmax_memory(b);
    build_pointwise(b, DF_ROW_LOGITS, DF_PASS_INPUT_GRAD, &head_softmax, n, bytes->activation);
}

void df_transformer_build(const df_dims *dims,
                          const df_split *split,
                          const df_span *span,
                          df_ops *ops)
{
    df_builder b = {dims, split, span, ops, DF_BLOCK_LAYER};
    ops->count = 0;
    build_attention_projections(&b);
    df_build_attention(&b);
    build_norm(&b, DF_ROW_NORM1);
    build_norm(&b, DF_ROW_NORM2);
    build_ffn(&b);
    if (!span->decode) {
        build_embedding(&b);
    }
    build_head(&b);
}

/* ---- Of the whole model ---- */

double df_transformer_flops(const df_dims *dims, const df_span *span, double sequences)
{
    const double layer = df_dims_attention_params(dims) + dims->top_k * df_dims_ffn_params(dims);
    const double weights = dims->layers * layer + df_dims_table_params(dims);
    const double attention = dims->layers * 2.0 * span->context * dims->hidden;
    return 2.0 * sequences * span->tokens * (weights + attention);
}
