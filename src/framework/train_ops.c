/* The operators of a training step as a framework runs them. */
#include <math.h>

#include "framework/framework.h"
#include "model/build.h"

/* What devices have of a micro-batch. */
typedef struct {
    double tokens;      /* in products */
    double whole_bytes; /* of all activations between layers */
    double outside;     /* elements outside of products */
    double width;       /* of attention's output */
    double kv_bytes;    /* keys and values of the whole sequence */
} shares;

static double kv_heads_of(const df_train *t)
{
    return df_split_kv_heads(t->split, t->dims) / t->split->tp;
}

static shares shares_of(const df_train *t)
{
    const df_dims *const d = t->dims;
    const df_split *const s = t->split;
    const double tokens = s->batch * d->sequence / s->cp;
    return (shares){.tokens = tokens,
                    .whole_bytes = df_train_activation_bytes(t) * tokens * d->hidden,
                    .outside = tokens * d->hidden / (t->sequence ? s->tp : 1.0),
                    .width = tokens * d->heads * d->head_dim / s->tp,
                    .kv_bytes = df_train_activation_bytes(t) * s->batch * d->sequence *
                                (df_dims_is_latent(d) ? d->latent.kv_rank + d->latent.rope
                                                      : 2.0 * kv_heads_of(t) * d->head_dim)};
}

/* Traffic of pointwise kernels was counted for elements of 16 bits. */
static double scale_of(const df_train *t)
{
    return df_train_activation_bytes(t) / 2.0;
}

/* Two norms read and write what is outside of products. */
double df_train_norms_s(const df_calibrated *c, const df_train *t)
{
    const shares s = shares_of(t);
    return df_calibrated_stream_s(c, 8.0 * scale_of(t) * s.outside, 2.0);
}

/* Products with weights are the model's; the rest is the framework's, and so are experts. */
static bool keeps(const df_train *t, const df_op *op)
{
    const bool ffn = op->row == DF_ROW_FFN1 || op->row == DF_ROW_FFN2;
    const bool projects = op->row == DF_ROW_QKV || op->row == DF_ROW_OUT ||
                          op->row == DF_ROW_LOGITS || (ffn && !(t->dims->experts > 1.0));
    return op->kind == DF_OP_GEMM && projects;
}

static void keep_products(const df_train *t, df_ops *ops)
{
    int kept = 0;
    for (int i = 0; i < ops->count; i++) {
        if (keeps(t, &ops->op[i])) {
            ops->op[kept++] = ops->op[i];
        }
    }
    ops->count = kept;
}

/* ---- Pointwise kernels ---- */

static df_tail tail_of(df_ops *ops, df_block block, int row)
{
    return (df_tail){ops, block, row, 0};
}

static void
stream(df_ops *ops, df_block block, int row, df_op_pass pass, double bytes, double kernels)
{
    const df_tail to = tail_of(ops, block, row);
    const df_work work = {0.0, 1.0, kernels};
    df_tail_stream(&to, pass, &work, 1.0, bytes);
}

/* Bytes of a layer's kernels for each element outside of products, of attention's output and inside
 * the feed-forward network, and how many there are. */
typedef struct {
    double outside, attention, inner, kernels;
} pointwise;

/* gpt: counted in Megatron-LM; gated_fused: in Transformer Engine; gated_eager: a kernel for each
 * operation, whose count was fitted. */
static const pointwise pointwise_of[][DF_DIRECTIONS] = {
    [DF_POINTWISE_GPT] = {{22, 4, 4, 6}, {48, 16, 8, 14}},
    [DF_POINTWISE_GATED_EAGER] = {{34, 34, 17, 20}, {48, 34, 44, 34}},
    [DF_POINTWISE_GATED_FUSED] = {{22, 6, 6, 6}, {40, 12, 10, 12}},
};

static void add_pointwise(const df_framework *w, const df_train *t, const shares *s, df_ops *ops)
{
    const int kind = t->dims->gated ? (int)w->elementwise : DF_POINTWISE_GPT;
    const double dense = t->dims->experts > 1.0 ? 0.0 : t->dims->ffn;
    const double inner = s->tokens * dense / t->split->tp;
    const double scale = w->elementwise_scale * scale_of(t);
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        const pointwise *const p = &pointwise_of[kind][i];
        const df_op_pass pass = i == DF_FORWARD ? DF_PASS_FORWARD : DF_PASS_INPUT_GRAD;
        const double norm_bytes = 0.5 * scale * p->outside * s->outside;
        const double inner_bytes = scale * (p->attention * s->width + p->inner * inner);
        stream(ops, DF_BLOCK_LAYER, DF_ROW_NORM1, pass, norm_bytes, 0.5 * p->kernels);
        stream(ops, DF_BLOCK_LAYER, DF_ROW_NORM2, pass, norm_bytes, 0.5 * p->kernels);
        stream(ops, DF_BLOCK_LAYER, DF_ROW_ACTIVATION, pass, inner_bytes, 0.0);
    }
}

/* Of a layer that is only one half of others, as hybrids have them: a norm with its residual, and
 * what its products have between them. */
static void
add_half_pointwise(const df_framework *w, const df_train *t, const shares *s, df_ops *ops)
{
    static const double kernels[][DF_DIRECTIONS] = {{3.0, 6.0}, {4.0, 8.0}, {10.0, 18.0}};
    const df_dims *const d = t->dims;
    const bool scan = df_dims_is_scan(d);
    const bool mixes = d->mixer != DF_MIX_NONE;
    const double scale = w->elementwise_scale * scale_of(t);
    const double scanned = s->tokens * df_dims_scan_width(d) / t->split->tp;
    const double inner = d->experts > 1.0 ? 0.0 : s->tokens * d->ffn / t->split->tp;
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        const pointwise *const p = &pointwise_of[DF_POINTWISE_GATED_FUSED][i];
        const df_op_pass pass = i == DF_FORWARD ? DF_PASS_FORWARD : DF_PASS_INPUT_GRAD;
        const double scan_bytes = i == DF_FORWARD ? w->scan_forward_bytes : w->scan_backward_bytes;
        const double inner_bytes = scan    ? scan_bytes * scanned
                                   : mixes ? scale * p->attention * s->width
                                           : scale * p->inner * inner;
        stream(ops, DF_BLOCK_LAYER, mixes ? DF_ROW_NORM1 : DF_ROW_NORM2, pass,
               0.5 * scale * p->outside * s->outside,
               kernels[scan    ? 2
                       : mixes ? 1
                               : 0][i]);
        stream(ops, DF_BLOCK_LAYER, DF_ROW_ACTIVATION, pass, inner_bytes, 0.0);
    }
}

static bool is_half(const df_dims *d)
{
    return d->mixer == DF_MIX_NONE || d->ffn_kind == DF_FFN_NONE;
}

/* ---- Attention ---- */

static void add_kernel(const df_train *t, df_op_pass pass, df_ops *ops)
{
    const df_tail to = tail_of(ops, DF_BLOCK_LAYER, DF_ROW_ATTENTION);
    df_op *const op = df_tail_add(&to, DF_OP_ATTENTION, pass);
    op->attention = (df_op_attention){.queries = t->dims->sequence / t->split->cp,
                                      .keys = t->dims->sequence,
                                      .heads = t->split->batch * t->dims->heads / t->split->tp,
                                      .kv_heads = t->split->batch * kv_heads_of(t),
                                      .head_dim = df_dims_pair_width(t->dims),
                                      .unseen = df_dims_unseen(t->dims, t->dims->sequence),
                                      .causal = true};
}

static void add_batch(df_ops *ops, df_row_name row, df_op_pass pass, df_op_gemm shape, double count)
{
    const df_tail to = tail_of(ops, DF_BLOCK_LAYER, row);
    df_tail_gemm(&to, pass, &shape, count, 0.0);
}

/* Products of each head, and between them a softmax with its mask and dropout. Causality saves
 * nothing there. */
static void add_unfused(const df_train *t, df_ops *ops)
{
    const double queries = t->dims->sequence / t->split->cp;
    const double keys = t->dims->sequence;
    const double d = t->dims->head_dim;
    const double count = t->split->batch * t->dims->heads / t->split->tp;
    const df_op_gemm score = {queries, d, keys, 0.0};
    const df_op_gemm output = {queries, keys, d, 0.0};
    const df_op_gemm of_keys = {keys, queries, d, 0.0};
    const double scores = scale_of(t) * count * queries * keys;
    add_batch(ops, DF_ROW_SCORE, DF_PASS_FORWARD, score, count);
    add_batch(ops, DF_ROW_AV, DF_PASS_FORWARD, output, count);
    add_batch(ops, DF_ROW_SCORE, DF_PASS_INPUT_GRAD, output, count);
    add_batch(ops, DF_ROW_SCORE, DF_PASS_INPUT_GRAD, output, count);
    add_batch(ops, DF_ROW_AV, DF_PASS_INPUT_GRAD, of_keys, count);
    add_batch(ops, DF_ROW_AV, DF_PASS_INPUT_GRAD, score, count);
    stream(ops, DF_BLOCK_LAYER, DF_ROW_SOFTMAX, DF_PASS_FORWARD, 9.0 * scores, 2.0);
    stream(ops, DF_BLOCK_LAYER, DF_ROW_SOFTMAX, DF_PASS_INPUT_GRAD, 11.0 * scores, 2.0);
}

static void add_attention(const df_train *t, df_ops *ops)
{
    if (t->dims->mixer == DF_MIX_NONE || df_dims_is_scan(t->dims)) {
        return; /* train_layer.c has the time of a scan */
    }
    if (t->fused) {
        add_kernel(t, DF_PASS_FORWARD, ops);
        add_kernel(t, DF_PASS_INPUT_GRAD, ops);
    } else {
        add_unfused(t, ops);
    }
}

/* ---- Collectives ---- */

/* Where a collective belongs. */
static df_tail layer_row(df_ops *ops, int row)
{
    return tail_of(ops, DF_BLOCK_LAYER, row);
}

static void collect(df_tail to, df_op_pass pass, df_coll_kind kind, unsigned axes, double bytes)
{
    df_tail_collective(&to, pass, kind, axes, bytes);
}

/* Of a half of a layer, whose products are in the rows `in` and `out`. With sequence parallelism
 * the inputs of products are gathered, and again for the gradients of weights (Korthikanti et al.,
 * MLSys 2023, section 4.2.2). */
static void add_tensor_half(const df_train *t, double bytes, int in, int out, df_ops *ops)
{
    if (!t->sequence) {
        collect(layer_row(ops, out), DF_PASS_FORWARD, DF_COLL_ALL_REDUCE, DF_OVER_TP, bytes);
        collect(layer_row(ops, in), DF_PASS_INPUT_GRAD, DF_COLL_ALL_REDUCE, DF_OVER_TP, bytes);
        return;
    }
    collect(layer_row(ops, in), DF_PASS_FORWARD, DF_COLL_ALL_GATHER, DF_OVER_TP, bytes);
    collect(layer_row(ops, out), DF_PASS_FORWARD, DF_COLL_REDUCE_SCATTER, DF_OVER_TP, bytes);
    collect(layer_row(ops, out), DF_PASS_INPUT_GRAD, DF_COLL_ALL_GATHER, DF_OVER_TP, bytes);
    collect(layer_row(ops, in), DF_PASS_INPUT_GRAD, DF_COLL_REDUCE_SCATTER, DF_OVER_TP, bytes);
    collect(layer_row(ops, in), DF_PASS_WEIGHT_GRAD, DF_COLL_ALL_GATHER, DF_OVER_TP, bytes);
}

static void add_context(double bytes, df_ops *ops)
{
    const int row = DF_ROW_ATTENTION;
    collect(layer_row(ops, row), DF_PASS_FORWARD, DF_COLL_ALL_GATHER, DF_OVER_CP, bytes);
    collect(layer_row(ops, row), DF_PASS_INPUT_GRAD, DF_COLL_ALL_GATHER, DF_OVER_CP, bytes);
    collect(layer_row(ops, row), DF_PASS_INPUT_GRAD, DF_COLL_REDUCE_SCATTER, DF_OVER_CP, bytes);
}

/* ---- Both ends ---- */

/* The softmax of logits that tensor-parallel devices share needs three sums of a token. */
static void add_end_sums(const df_train *t, const shares *s, df_ops *ops)
{
    const double sum_bytes = 4.0;
    const df_coll_kind kind = t->sequence ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    collect(tail_of(ops, DF_BLOCK_EMBEDDING, DF_ROW_EMBEDDING), DF_PASS_FORWARD, kind, DF_OVER_TP,
            s->whole_bytes);
    for (int i = 0; i < 3; i++) {
        collect(tail_of(ops, DF_BLOCK_HEAD, DF_ROW_LOGITS), DF_PASS_FORWARD, DF_COLL_ALL_REDUCE,
                DF_OVER_TP, sum_bytes * s->tokens);
    }
    collect(tail_of(ops, DF_BLOCK_HEAD, DF_ROW_LOGITS), DF_PASS_INPUT_GRAD, kind, DF_OVER_TP,
            s->whole_bytes);
}

static void add_ends(const df_framework *w, const df_train *t, const shares *s, df_ops *ops)
{
    const df_block first = DF_BLOCK_EMBEDDING;
    const double element_bytes[DF_DIRECTIONS] = {6.0, 12.0}; /* of an embedding */
    const double loss_bytes = w->loss_bytes * s->tokens * t->dims->vocab / t->split->tp;
    const double elements = scale_of(t) * s->tokens * t->dims->hidden;
    stream(ops, first, DF_ROW_EMBEDDING, DF_PASS_FORWARD, element_bytes[0] * elements, 3.0);
    if (!t->frozen) {
        stream(ops, first, DF_ROW_EMBEDDING, DF_PASS_INPUT_GRAD, element_bytes[1] * elements, 3.0);
    }
    stream(ops, DF_BLOCK_HEAD, DF_ROW_LOGITS, DF_PASS_FORWARD, 0.6 * loss_bytes, 8.0);
    stream(ops, DF_BLOCK_HEAD, DF_ROW_LOGITS, DF_PASS_INPUT_GRAD, 0.4 * loss_bytes, 6.0);
    if (t->split->tp > 1.0) {
        add_end_sums(t, s, ops);
    }
}

void df_train_edit(const df_framework *w, const df_train *t, df_ops *ops)
{
    const shares s = shares_of(t);
    keep_products(t, ops);
    if (is_half(t->dims)) {
        add_half_pointwise(w, t, &s, ops);
    } else {
        add_pointwise(w, t, &s, ops);
    }
    add_attention(t, ops);
    if (t->split->tp > 1.0 && t->dims->mixer != DF_MIX_NONE) {
        add_tensor_half(t, s.whole_bytes, DF_ROW_QKV, DF_ROW_OUT, ops);
    }
    if (t->split->tp > 1.0 && t->dims->ffn_kind != DF_FFN_NONE && !(t->dims->experts > 1.0)) {
        add_tensor_half(t, s.whole_bytes, DF_ROW_FFN1, DF_ROW_FFN2, ops);
    }
    if (t->split->cp > 1.0 && df_dims_cache_numbers(t->dims) > 0.0) {
        add_context(s.kv_bytes, ops);
    }
    add_ends(w, t, &s, ops);
}
