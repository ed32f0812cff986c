/* The operators of a pass as an engine runs them. */
#include <math.h>

#include "engine/engine_impl.h"
#include "model/build.h"

static df_tail tail_of(df_ops *ops, df_block block, int row)
{
    return (df_tail){ops, block, row, 0};
}

static void stream(df_ops *ops, df_block block, int row, double bytes)
{
    const df_tail to = tail_of(ops, block, row);
    const df_work work = {0.0, 1.0, 0.0};
    df_tail_stream(&to, DF_PASS_FORWARD, &work, 1.0, bytes);
}

static void
collect(const df_server *s, df_ops *ops, df_block block, int row, df_coll_kind kind, double bytes)
{
    const df_tail to = tail_of(ops, block, row);
    if (s->split.tp > 1.0) {
        df_tail_collective(&to, DF_PASS_FORWARD, kind, DF_OVER_TP, bytes);
    }
}

/* Products with weights are the model's; the rest is the engine's. An expert layer is one kernel.
 */
static bool keeps(const df_server *s, const df_op *op, df_block block)
{
    const bool experts = df_engine_has_experts(s);
    const bool ffn = op->row == DF_ROW_FFN1 || op->row == DF_ROW_FFN2;
    const bool projects = op->row == DF_ROW_QKV || op->row == DF_ROW_OUT ||
                          op->row == DF_ROW_LOGITS ||
                          (ffn && (!experts || op->part == DF_OP_PART_SHARED));
    return op->kind == DF_OP_GEMM && op->pass == DF_PASS_FORWARD && op->block == block && projects;
}

/* The products of a layer, or of the head, for so many tokens. */
static void build_products(const df_server *s, df_block block, double tokens, df_ops *ops)
{
    df_split split = s->split;
    split.batch = tokens;
    df_span span = df_span_of(s->dims, &split, 1.0, 1.0, true);
    span.cached = s->absorbed;
    int kept = 0;
    df_transformer_build(s->dims, &split, &span, ops);
    for (int i = 0; i < ops->count; i++) {
        if (keeps(s, &ops->op[i], block)) {
            ops->op[kept] = ops->op[i];
            /* a kernel's time has its launch; products of heads are launched together */
            ops->op[kept].launches = ops->op[kept].launches == 1.0 ? 1.0 : 0.0;
            kept++;
        }
    }
    ops->count = kept;
}

/* What attention reads and writes beside its core, or the kernels around a scan: 37 bytes of each
 * token and element inside, counted from their inputs and outputs. */
static double mixer_bytes(const df_server *s, double tokens)
{
    const double scanned_bytes = 37.0;
    const df_dims *const d = s->dims;
    const double width = (s->heads + 2.0 * s->kv_heads) * df_dims_pair_width(d);
    return df_dims_is_scan(d) ? scanned_bytes * tokens * df_dims_scan_width(d) / s->split.tp
                              : 2.0 * width * s->activation_bytes * tokens;
}

void df_engine_layer_ops(const df_server *s, double tokens, df_ops *ops)
{
    const df_dims *const d = s->dims;
    const df_block layer = DF_BLOCK_LAYER;
    const double bytes = s->activation_bytes * tokens;
    const double norm_bytes = 4.0 * d->hidden * bytes; /* and residual: a half of the layer each */
    const double inner =
        (df_engine_ffn_in(s) + 1.0) * (df_engine_has_experts(s) ? d->shared : d->ffn) / s->split.tp;
    build_products(s, layer, tokens, ops);
    if (d->mixer != DF_MIX_NONE) {
        stream(ops, layer, DF_ROW_NORM1, norm_bytes);
        stream(ops, layer, DF_ROW_ATTENTION, mixer_bytes(s, tokens));
    }
    if (d->ffn_kind != DF_FFN_NONE) {
        stream(ops, layer, DF_ROW_NORM2, norm_bytes);
    }
    if (inner > 0.0) {
        stream(ops, layer, DF_ROW_ACTIVATION, inner * bytes);
    }
    if (d->mixer != DF_MIX_NONE) {
        collect(s, ops, layer, DF_ROW_OUT, DF_COLL_ALL_REDUCE, d->hidden * bytes);
    }
    if (d->ffn_kind != DF_FFN_NONE) {
        collect(s, ops, layer, DF_ROW_FFN2, DF_COLL_ALL_REDUCE, d->hidden * bytes);
    }
}

void df_engine_head_ops(const df_server *s, double rows, df_ops *ops)
{
    const double fp32_bytes = 4.0;
    const double logits = rows * s->dims->vocab;
    build_products(s, DF_BLOCK_HEAD, rows, ops);
    collect(s, ops, DF_BLOCK_HEAD, DF_ROW_LOGITS, DF_COLL_ALL_GATHER,
            s->prices.logit_bytes * logits);
    stream(ops, DF_BLOCK_HEAD, DF_ROW_LOGITS, s->engine.sample_passes * fp32_bytes * logits);
}

static df_op_attention *
add_kernel(const df_server *s, df_ops *ops, double sequences, double queries, double keys)
{
    const df_tail to = tail_of(ops, DF_BLOCK_LAYER, DF_ROW_ATTENTION);
    df_op *const op = df_tail_add(&to, DF_OP_ATTENTION, DF_PASS_FORWARD);
    op->attention = (df_op_attention){.queries = queries,
                                      .keys = keys,
                                      .heads = sequences * s->heads,
                                      .kv_heads = sequences * s->kv_heads,
                                      .head_dim = df_dims_pair_width(s->dims)};
    return &op->attention;
}

/* Attention of a token over its cache: of heads, or of all heads over latent keys and values. */
static void add_token(const df_server *s, const df_engine_pass *pass, df_ops *ops)
{
    const df_latent *const l = &s->dims->latent;
    df_op_attention *const a =
        add_kernel(s, ops, pass->sequences, 1.0, df_dims_keys(s->dims, pass->context));
    if (df_dims_is_latent(s->dims)) {
        a->kv_heads = pass->sequences;
        a->latent = l->kv_rank + l->rope;
        a->latent_value = l->kv_rank;
    }
}

/* States are read and written once for a token that is decoded, and once for each chunk of a
 * prompt.
 */
static void add_states(const df_server *s, const df_engine_pass *pass, df_ops *ops)
{
    const df_dims *const d = s->dims;
    double times = pass->sequences;
    for (int i = 0; i < pass->kinds; i++) {
        times += pass->chunks[i].count * ceil(pass->chunks[i].fresh / d->scan.chunk);
    }
    stream(ops, DF_BLOCK_LAYER, DF_ROW_ATTENTION,
           2.0 * times * df_dims_state_numbers(d) * d->scan.bytes / s->split.tp);
}

void df_engine_attention_ops(const df_server *s, const df_engine_pass *pass, df_ops *ops)
{
    const df_dims *const d = s->dims;
    ops->count = 0;
    if (d->mixer == DF_MIX_NONE) {
        return;
    }
    if (df_dims_is_scan(d)) {
        add_states(s, pass, ops);
        return;
    }
    if (pass->sequences > 0.0) {
        add_token(s, pass, ops);
    }
    for (int i = 0; i < pass->kinds && ops->count < DF_OPS_MAX; i++) {
        const df_chunks *const c = &pass->chunks[i];
        df_op_attention *const a = add_kernel(s, ops, c->count, c->fresh, c->fresh + c->cached);
        a->unseen = df_dims_unseen(d, c->fresh + c->cached);
        a->causal = true;
    }
}
