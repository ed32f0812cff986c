#include "model/transformer.h"

#include <math.h>

#include "model/build.h"

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
    df_op_gemm shape;
    bool by_rows;
    double repeats; /* experts */
    df_op_memory memory;
} projection;

static projection project(const df_builder *b, bool by_rows, double m, double k, double n)
{
    const double own_k = by_rows ? df_split_width(b->split, k) : k;
    const double own_n = by_rows ? n : df_split_width(b->split, n);
    return (projection){.shape = {df_split_tokens(b->split, m), own_k, own_n, 0.0},
                        .by_rows = by_rows,
                        .repeats = 1.0,
                        .memory = {.params = k * n / b->split->tp}};
}

static void build_projection(df_builder *b, const projection *p)
{
    const df_formats *const bytes = &b->dims->bytes;
    df_build_products(b, &p->shape, p->repeats, p->repeats)->memory = p->memory;
    if (bytes->parameter > bytes->activation) {
        /* Micikevicius et al., ICLR 2018: read, and written as they are used */
        df_op *const cast = df_tail_stream(&b->to, DF_PASS_FORWARD, df_pointwise.touch,
                                           p->repeats * p->shape.k * p->shape.n,
                                           bytes->parameter + bytes->activation);
        cast->part = DF_OP_PART_CAST;
    }
}

/* Sums over tp: the partial outputs of a projection by rows, and the gradients of the input of one
 * by columns. If each device needs only its part of the sequence, it gets no more. */
static void build_sum(df_builder *b, const projection *p)
{
    const df_formats *const bytes = &b->dims->bytes;
    const df_coll_kind kind =
        df_split_is_plain_tensor(b->split) ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER;
    const double summed = p->by_rows ? bytes->activation * p->shape.m * p->shape.n
                                     : bytes->exchanged_gradient * p->shape.m * p->shape.k;
    if (b->split->tp > 1.0) {
        df_tail_collective(&b->to, p->by_rows ? DF_PASS_FORWARD : DF_PASS_INPUT_GRAD, kind,
                           DF_OVER_TP, ceil(summed));
    }
}

/* Keys and values of the whole sequence, which context-parallel devices gather. */
static void build_kv_gather(df_builder *b, df_op_pass pass)
{
    const df_dims *const d = b->dims;
    const double bytes = 2.0 * d->sequence * b->split->batch * df_split_kv_heads(b->split, d) *
                         d->head_dim * d->bytes.cache / b->split->tp;
    if (b->split->cp > 1.0) {
        df_tail_collective(&b->to, pass, DF_COLL_ALL_GATHER, DF_OVER_CP, bytes);
    }
}

static void build_attention_projections(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double m = b->split->batch * b->span->tokens;
    const double width = (d->heads + 2.0 * df_split_kv_heads(b->split, d)) * d->head_dim;
    projection qkv = project(b, false, m, d->hidden, width);
    projection out = project(b, true, m, d->hidden, d->hidden);
    /* its input; and what attention reads, even where that is computed again */
    qkv.memory.saved_bytes = outer_bytes(b) + inner_bytes(b, width);
    qkv.memory.live_bytes = 2.0 * outer_bytes(b) + inner_bytes(b, width);
    out.memory.saved_bytes = inner_bytes(b, d->hidden);
    b->to.row = DF_ROW_QKV;
    build_projection(b, &qkv);
    build_kv_gather(b, DF_PASS_FORWARD);
    build_sum(b, &qkv);
    b->to.row = DF_ROW_OUT;
    build_projection(b, &out);
    build_kv_gather(b, DF_PASS_INPUT_GRAD);
    build_sum(b, &out);
}

/* GELU, or SwiGLU, between the two products of the feed-forward network. */
static void build_activation(df_builder *b)
{
    const df_dims *const d = b->dims;
    const df_work *const work = d->gated ? df_pointwise.swiglu : df_pointwise.gelu;
    const double n = b->span->busy_experts * df_split_tokens(b->split, b->span->expert_rows) *
                     df_split_width(b->split, d->ffn);
    df_op *const forward = df_build_pointwise(b, work, n, d->bytes.activation, d->bytes.gradient);
    forward->memory.saved_bytes = inner_bytes(b, d->top_k * d->ffn_in);
    forward->memory.live_bytes = 2.0 * outer_bytes(b) + inner_bytes(b, d->ffn_in + d->ffn);
}

static void build_ffn(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double m = b->span->expert_rows;
    projection ffn1 = project(b, false, m, d->hidden, d->ffn_in);
    projection ffn2 = project(b, true, m, d->ffn, d->hidden);
    ffn1.repeats = b->span->busy_experts;
    ffn2.repeats = b->span->busy_experts;
    ffn1.memory.params *= d->experts;
    ffn2.memory.params *= d->experts;
    ffn1.memory.saved_bytes = outer_bytes(b);
    ffn2.memory.saved_bytes = inner_bytes(b, d->top_k * d->ffn);
    b->to.row = DF_ROW_FFN1;
    build_projection(b, &ffn1);
    build_sum(b, &ffn1);
    b->to.row = DF_ROW_ACTIVATION;
    build_activation(b);
    b->to.row = DF_ROW_FFN2;
    build_projection(b, &ffn2);
    build_sum(b, &ffn2);
}

/* ---- Norms ---- */

/* A norm and the residual that is counted with it. With a sequence split outside of products,
 * its parts are gathered behind it (Korthikanti et al., MLSys 2023, section 4.2). Its statistics,
 * of a row each, are negligible. */
static void build_norm(df_builder *b, df_row_name row)
{
    const df_formats *const bytes = &b->dims->bytes;
    const double n = df_split_outside(b->split, b->span->tokens, b->dims->hidden);
    b->to.row = row;
    df_build_pointwise(b, df_pointwise.norm, n, bytes->activation, bytes->activation)
        ->memory.saved_bytes = outer_bytes(b);
    df_op *const residual =
        df_build_pointwise(b, df_pointwise.residual, n, bytes->activation, bytes->gradient);
    residual[0].part = residual[1].part = DF_OP_PART_RESIDUAL;
    residual->memory.saved_bytes = mask_bytes(b);
    if (b->split->tp > 1.0 && !df_split_is_plain_tensor(b->split)) {
        const double whole = n * b->split->tp;
        df_tail_collective(&b->to, DF_PASS_FORWARD, DF_COLL_ALL_GATHER, DF_OVER_TP,
                           ceil(bytes->activation * whole));
        df_tail_collective(&b->to, DF_PASS_INPUT_GRAD, DF_COLL_ALL_GATHER, DF_OVER_TP,
                           ceil(bytes->exchanged_gradient * whole));
    }
}

/* ---- Beside the layers ---- */

/* A row of the table is read and a row written for each token, whose number the host sends. */
static void build_embedding(df_builder *b)
{
    const double id_bytes = 4.0;
    const double tokens = b->span->tokens * b->split->batch;
    const df_formats *const bytes = &b->dims->bytes;
    b->to.block = DF_BLOCK_EMBEDDING;
    b->to.row = DF_ROW_EMBEDDING;
    df_op *const forward = df_build_pointwise(b, df_pointwise.touch, 2.0 * tokens * b->dims->hidden,
                                              bytes->activation, bytes->gradient);
    forward->memory.params = df_dims_table_params(b->dims) / b->split->tp;
    forward->memory.saved_bytes = mask_bytes(b);
    df_tail_add(&b->to, DF_OP_HOST, DF_PASS_FORWARD)->host_bytes = id_bytes * tokens;
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

/* The input of the last projection, where devices have parts of the sequence. */
static void build_head_input(df_builder *b, const projection *head)
{
    const double bytes = b->dims->bytes.activation * head->shape.m * head->shape.k;
    if (b->split->tp > 1.0 && !df_split_is_plain_tensor(b->split)) {
        df_tail_collective(&b->to, DF_PASS_FORWARD, DF_COLL_ALL_GATHER, DF_OVER_TP, ceil(bytes))
            ->part = DF_OP_PART_INPUT;
    }
}

/* The softmax of a position whose logits tensor-parallel devices share. In training they need its
 * maximum and its sum alone (Shoeybi et al., Megatron-LM, 2019, section 3); whoever draws the next
 * token of each sequence needs the logits of its last position. */
static void build_head_sums(df_builder *b, const projection *head)
{
    const df_formats *const bytes = &b->dims->bytes;
    const double sums_bytes = 2.0 * DF_FP32_BYTES;
    const df_coll_kind summed =
        df_split_is_plain_tensor(b->split) ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER;
    if (b->span->sampled) {
        df_tail_collective(&b->to, DF_PASS_FORWARD, DF_COLL_ALL_GATHER, DF_OVER_TP,
                           ceil(bytes->activation * b->split->batch * b->dims->vocab));
    } else {
        df_tail_collective(&b->to, DF_PASS_FORWARD, DF_COLL_ALL_REDUCE, DF_OVER_TP,
                           sums_bytes * head->shape.m);
    }
    df_tail_collective(&b->to, DF_PASS_INPUT_GRAD, summed, DF_OVER_TP,
                       ceil(bytes->exchanged_gradient * head->shape.m * head->shape.k));
}

/* The last projection, by columns as that into the feed-forward network is, and its softmax. */
static void build_head(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double bytes = d->bytes.activation;
    projection head = project(b, false, b->split->batch * b->span->scored, d->hidden, d->vocab);
    head.memory = head_memory(b);
    b->to.block = DF_BLOCK_HEAD;
    b->to.row = DF_ROW_LOGITS;
    build_head_input(b, &head);
    build_projection(b, &head);
    build_head_sums(b, &head);
    df_build_pointwise(b, df_pointwise.head_softmax, head.shape.m * d->vocab / b->split->tp, bytes,
                       bytes)
        ->memory = head_softmax_memory(b);
}

void df_transformer_build(const df_dims *dims,
                          const df_split *split,
                          const df_span *span,
                          df_ops *ops)
{
    df_builder b = {dims, split, span, {ops, DF_BLOCK_LAYER, 0, DF_OP_WHOLE_BYTES}};
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

double
df_transformer_flops(const df_dims *dims, const df_span *span, double sequences, bool unmasked)
{
    /* The positions are the last of the context: the first of them sees tokens - 1 keys less than
     * the last, which sees all. This is the mean over them. */
    const double keys = unmasked ? span->context : span->context - 0.5 * (span->tokens - 1.0);
    const double layer = df_dims_attention_params(dims) + dims->top_k * df_dims_ffn_params(dims);
    const double table = df_dims_table_params(dims) * (span->scored / span->tokens);
    const double weights = dims->layers * layer + table;
    const double attention = dims->layers * 2.0 * keys * dims->hidden;
    return 2.0 * sequences * span->tokens * (weights + attention);
}
