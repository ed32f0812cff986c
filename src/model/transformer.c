#include "model/transformer.h"

#include <math.h>

#include "model/build.h"

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
        ->memory.saved_bytes = df_build_outer_bytes(b);
    df_op *const residual =
        df_build_pointwise(b, df_pointwise.residual, n, bytes->activation, bytes->gradient);
    residual[0].part = residual[1].part = DF_OP_PART_RESIDUAL;
    residual->memory.saved_bytes = df_build_mask_bytes(b);
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
    forward->memory.saved_bytes = df_build_mask_bytes(b);
    df_tail_add(&b->to, DF_OP_HOST, DF_PASS_FORWARD)->host_bytes = id_bytes * tokens;
}

/* The inputs of the last norm and of the product, and the logits as they come. */
static df_op_memory head_memory(const df_builder *b)
{
    const df_dims *const d = b->dims;
    const bool shared = d->tied && b->split->pp == 1.0; /* the table is the embedding's */
    return (df_op_memory){.params = shared ? 0.0 : df_dims_table_params(d) / b->split->tp,
                          .saved_bytes =
                              2.0 * df_build_outer_bytes(b) + df_build_inner_bytes(b, d->vocab)};
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
static void build_head_input(df_builder *b, const df_projection *head)
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
static void build_head_sums(df_builder *b, const df_projection *head)
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
    df_projection head =
        df_project(b, false, b->split->batch * b->span->scored, d->hidden, d->vocab);
    head.memory = head_memory(b);
    b->to.block = DF_BLOCK_HEAD;
    b->to.row = DF_ROW_LOGITS;
    build_head_input(b, &head);
    df_build_projection(b, &head);
    build_head_sums(b, &head);
    df_build_pointwise(b, df_pointwise.head_softmax, head.shape.m * d->vocab / b->split->tp, bytes,
                       bytes)
        ->memory = head_softmax_memory(b);
}

/* ---- Lists ---- */

void df_transformer_build_layer(const df_dims *dims,
                                const df_split *split,
                                const df_span *span,
                                df_ops *ops)
{
    df_builder b = {dims, split, span, {ops, DF_BLOCK_LAYER, 0, DF_OP_WHOLE_BYTES}};
    df_build_mixer(&b);
    if (dims->mixer != DF_MIX_NONE) {
        build_norm(&b, DF_ROW_NORM1);
    }
    if (dims->ffn_kind != DF_FFN_NONE) {
        build_norm(&b, DF_ROW_NORM2);
    }
    df_build_ffn(&b);
}

static void build_ends(const df_dims *dims, const df_split *split, const df_span *span, df_ops *ops)
{
    df_builder b = {dims, split, span, {ops, DF_BLOCK_LAYER, 0, DF_OP_WHOLE_BYTES}};
    if (!span->decode) {
        build_embedding(&b);
    }
    build_head(&b);
}

void df_transformer_build(const df_dims *dims,
                          const df_split *split,
                          const df_span *span,
                          df_ops *ops)
{
    ops->count = 0;
    df_transformer_build_layer(dims, split, span, ops);
    build_ends(dims, split, span, ops);
}

/* Turns the operators of a kind of layer from `first` on into a share of those of all layers. */
static void take_share(df_ops *ops, int first, double share)
{
    for (int i = first; i < ops->count; i++) {
        df_op_memory *const m = &ops->op[i].memory;
        ops->op[i].share = share;
        m->params *= share;
        m->experts *= share;
        m->saved_bytes *= share;
        m->cache_bytes *= share;
    }
}

void df_transformer_build_stack(const df_stack *stack,
                                const df_split *split,
                                const df_span *span,
                                df_ops *ops)
{
    ops->count = 0;
    if (stack->kinds == 1) {
        df_transformer_build(&stack->kind[0], split, span, ops);
        return;
    }
    for (int k = 0; k < stack->kinds; k++) {
        const int first = ops->count;
        df_span own = *span;
        df_span_experts(&stack->kind[k], split, &own);
        df_transformer_build_layer(&stack->kind[k], split, &own, ops);
        take_share(ops, first, stack->kind[k].layers / stack->layers);
    }
    build_ends(&stack->kind[0], split, span, ops);
}

/* ---- Of the whole model ---- */

/* Flops of a token of the span between its projections, at the mean of the positions, which are the
 * last of the context: the first of them sees tokens - 1 keys less than the last, which sees all.
 */
static double mixing_flops(const df_dims *d, const df_span *span, bool unmasked)
{
    const double keys = unmasked ? span->context : span->context - 0.5 * (span->tokens - 1.0);
    if (df_dims_is_scan(d)) {
        return df_dims_scan_flops(d, span->decode);
    }
    if (d->mixer == DF_MIX_NONE) {
        return 0.0;
    }
    const double seen = span->decode ? df_dims_keys(d, span->context) / span->context
                                     : 1.0 - df_dims_unseen(d, span->tokens);
    return 2.0 * 2.0 * keys * seen * d->heads * df_dims_pair_width(d);
}

double
df_transformer_flops(const df_stack *stack, const df_span *span, double sequences, bool unmasked)
{
    double layers = 0.0;
    for (int k = 0; k < stack->kinds; k++) {
        const df_dims *const d = &stack->kind[k];
        const double weights = df_dims_attention_params(d) + d->top_k * df_dims_ffn_params(d) +
                               df_dims_shared_params(d);
        layers += d->layers * (2.0 * weights + mixing_flops(d, span, unmasked));
    }
    const double table = df_dims_table_params(&stack->kind[0]) * (span->scored / span->tokens);
    return sequences * span->tokens * (layers + 2.0 * table);
}
