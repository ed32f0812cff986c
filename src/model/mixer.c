/* Attention with its projections, or what stands in its place. */
#include <math.h>

#include "model/build.h"

static double tokens_of(const df_builder *b)
{
    return b->split->batch * b->span->tokens;
}

/* Keys and values of the whole sequence, or what they are made of, which context-parallel devices
 * gather. */
static void build_kv_gather(df_builder *b, df_op_pass pass)
{
    const df_dims *const d = b->dims;
    const double own = 2.0 * d->sequence * b->split->batch * df_split_kv_heads(b->split, d) *
                       d->head_dim * d->bytes.cache / b->split->tp;
    const double latent =
        d->sequence * b->split->batch * (d->latent.kv_rank + d->latent.rope) * d->bytes.cache;
    if (b->split->cp > 1.0) {
        df_tail_collective(&b->to, pass, DF_COLL_ALL_GATHER, DF_OVER_CP,
                           df_dims_is_latent(d) ? latent : own);
    }
}

static void build_output(df_builder *b, double width)
{
    df_projection out = df_project(b, true, tokens_of(b), width, b->dims->hidden);
    out.memory.saved_bytes = df_build_inner_bytes(b, width);
    b->to.row = DF_ROW_OUT;
    df_build_projection(b, &out);
    if (!df_dims_is_scan(b->dims)) {
        build_kv_gather(b, DF_PASS_INPUT_GRAD);
    }
    df_build_projection_sum(b, &out);
}

/* ---- Heads with keys and values of their own ---- */

static double qkv_width(const df_builder *b)
{
    const df_dims *const d = b->dims;
    const double heads = d->attention->gate ? 2.0 * d->heads : d->heads;
    const double both = d->attention->keys_are_values && d->mixer == DF_MIX_FULL ? 1.0 : 2.0;
    const double kv = d->reuse ? 0.0 : both * df_split_kv_heads(b->split, d);
    return (heads + kv) * d->head_dim;
}

/* Queries of a latent width: a product to it, which all devices have, and one of it. */
static void build_latent_queries(df_builder *b, double width)
{
    const df_dims *const d = b->dims;
    const df_projection narrow = df_project_whole(b, tokens_of(b), d->hidden, d->latent.q_rank);
    const df_projection wide = df_project(b, false, tokens_of(b), d->latent.q_rank, width);
    df_build_projection(b, &narrow);
    df_build_projection(b, &wide);
}

static void build_heads(df_builder *b)
{
    const df_dims *const d = b->dims;
    const bool latent = d->latent.q_rank > 0.0;
    const double queries = (d->attention->gate ? 2.0 : 1.0) * d->heads * d->head_dim;
    const double width = qkv_width(b);
    df_projection qkv =
        df_project(b, false, tokens_of(b), d->hidden, latent ? width - queries : width);
    /* its input; and what attention reads, even where that is computed again */
    qkv.memory.saved_bytes = df_build_outer_bytes(b) + df_build_inner_bytes(b, width);
    qkv.memory.live_bytes = 2.0 * df_build_outer_bytes(b) + df_build_inner_bytes(b, width);
    b->to.row = DF_ROW_QKV;
    if (latent) {
        build_latent_queries(b, queries);
    }
    df_build_projection(b, &qkv);
    build_kv_gather(b, DF_PASS_FORWARD);
    df_build_projection_sum(b, &qkv);
    build_output(b, d->heads * d->head_dim);
}

/* ---- Latent keys and values: DeepSeek-V2, arXiv:2405.04434, section 2.1 ---- */

/* The same for each head: batched products. */
static void build_each_head(df_builder *b, double k, double n)
{
    const df_op_gemm shape = {df_split_tokens(b->split, tokens_of(b)), k, n, 0.0};
    df_op *const op = df_tail_gemm(&b->to, DF_PASS_FORWARD, &shape,
                                   df_split_width(b->split, b->dims->heads), 1.0);
    op->memory.params = b->dims->heads * k * n / b->split->tp;
}

/* What chooses the tokens to attend to. */
static void build_index(df_builder *b)
{
    const df_cfg_attention *const a = b->dims->attention;
    const double from = b->dims->latent.q_rank > 0.0 ? b->dims->latent.q_rank : b->dims->hidden;
    const double width = (double)a->index_heads * (double)a->index_dim;
    if (a->index_heads > 0) {
        const df_projection queries = df_project_whole(b, tokens_of(b), from, width);
        /* keys of tokens; or of groups, and what weighs these */
        const double series = df_dims_group_series(b->dims);
        const df_projection keys =
            df_project_whole(b, tokens_of(b), b->dims->hidden,
                             (series > 0.0 ? 2.0 * series : 1.0) * (double)a->index_dim);
        df_build_projection(b, &queries);
        df_build_projection(b, &keys);
    }
}

static void build_latent(df_builder *b)
{
    const df_dims *const d = b->dims;
    const df_latent *const l = &d->latent;
    const double m = tokens_of(b);
    const double query = d->heads * (l->nope + l->rope);
    const bool absorbed = b->span->decode && b->span->cached && d->attention->absorbed;
    df_projection down = df_project_whole(b, m, d->hidden, l->kv_rank + l->rope);
    df_projection q = df_project(b, false, m, l->q_rank > 0.0 ? l->q_rank : d->hidden, query);
    down.memory.saved_bytes = df_build_outer_bytes(b);
    down.memory.live_bytes = 2.0 * df_build_outer_bytes(b) + df_build_inner_bytes(b, query);
    q.memory.saved_bytes = df_build_inner_bytes(b, query);
    b->to.row = DF_ROW_QKV;
    if (l->q_rank > 0.0) {
        const df_projection narrow = df_project_whole(b, m, d->hidden, l->q_rank);
        df_build_projection(b, &narrow);
    }
    df_build_projection(b, &q);
    df_build_projection(b, &down);
    build_index(b);
    if (absorbed) {
        build_each_head(b, l->nope, l->kv_rank);
        build_each_head(b, l->kv_rank, l->value);
    } else {
        /* in a decode step that is not absorbed, for all tokens before it as well */
        const double rows = b->span->decode ? b->split->batch * b->span->context : m;
        df_projection up = df_project(b, false, rows, l->kv_rank, d->heads * (l->nope + l->value));
        up.memory.saved_bytes = df_build_inner_bytes(b, d->heads * (l->nope + l->value));
        df_build_projection(b, &up);
    }
    build_kv_gather(b, DF_PASS_FORWARD);
    df_build_sum(b, false, df_split_tokens(b->split, m) * d->hidden);
    build_output(b, d->heads * l->value);
}

/* ---- Compressed keys, which are the values, too ---- */

static void build_compressed(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double rank = (double)d->attention->out_rank;
    const double groups = (double)d->attention->out_groups;
    const double width = d->heads * d->head_dim;
    const double m = tokens_of(b);
    const df_projection narrow = df_project_whole(b, m, d->hidden, d->latent.q_rank);
    const double series = df_dims_group_series(d);
    const df_projection keys =
        df_project_whole(b, m, d->hidden, (1.0 + 2.0 * series) * d->head_dim);
    df_projection q = df_project(b, false, m, d->latent.q_rank, width);
    q.memory.saved_bytes = df_build_outer_bytes(b) + df_build_inner_bytes(b, width);
    b->to.row = DF_ROW_QKV;
    df_build_projection(b, &narrow);
    df_build_projection(b, &q);
    df_build_projection(b, &keys);
    if (df_dims_is_indexed(d)) {
        build_index(b);
    }
    if (rank > 0.0) {
        const df_op_gemm each = {df_split_tokens(b->split, m), width / groups, rank, 0.0};
        b->to.row = DF_ROW_OUT;
        df_op *const op = df_build_products(b, &each, df_split_width(b->split, groups), 1.0);
        op->memory.params = width * rank / b->split->tp;
        build_output(b, groups * rank);
    } else {
        build_output(b, width);
    }
}

/* ---- States ---- */

/* Widths of a scan's first product, and of what it gives the second one. */
static double scan_in(const df_dims *d)
{
    const df_scan *const s = &d->scan;
    const double inner = df_dims_scan_width(d);
    switch (d->mixer) {
    case DF_MIX_MAMBA1:
        return 2.0 * inner;
    case DF_MIX_MAMBA2:
        return 2.0 * inner + 2.0 * s->groups * s->state + s->heads;
    case DF_MIX_DELTA:
        return s->gate_rank > 0.0
                   ? inner + 2.0 * s->key_heads * s->key_dim + s->heads + 2.0 * s->gate_rank
                   : 2.0 * inner + 2.0 * s->key_heads * s->key_dim + 2.0 * s->heads;
    default:
        return 4.0 * inner;
    }
}

/* The convolution, the gate and the norm stream what the first product gives, several times. */
static void build_scan_streams(df_builder *b, double width)
{
    const double tokens = df_split_tokens(b->split, tokens_of(b));
    const df_work work[DF_DIRECTIONS] = {{2.0 * b->dims->scan.conv + 8.0, 4.0, 4.0},
                                         {4.0 * b->dims->scan.conv + 16.0, 8.0, 8.0}};
    df_build_pointwise(b, work, tokens * df_split_width(b->split, width), b->dims->bytes.activation,
                       b->dims->bytes.gradient);
}

/* The scan: in chunks of products where there are several tokens (Dao and Gu, arXiv:2405.21060,
 * section 6), else a state that is read and written. */
static void build_scan_core(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double tokens = df_split_tokens(b->split, tokens_of(b));
    const double states = df_dims_state_numbers(d) / b->split->tp;
    const double chunks = b->span->decode ? tokens : ceil(tokens / d->scan.chunk);
    const double flops = tokens * df_dims_scan_flops(d, b->span->decode) / b->split->tp;
    const double bytes = 2.0 * chunks * states * d->scan.bytes;
    const df_work work[DF_DIRECTIONS] = {{flops / bytes, 1.0, 1.0},
                                         {3.5 * flops / bytes, 2.0, 3.0}};
    df_op *const op = df_build_pointwise(b, work, bytes, 1.0, 1.0);
    op->memory.cache_bytes = b->span->cached ? b->split->batch * states * d->scan.bytes : 0.0;
}

static void build_scan(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double width = scan_in(d);
    const double inner = df_dims_scan_width(d);
    df_projection in = df_project(b, false, tokens_of(b), d->hidden, width);
    in.memory.saved_bytes = df_build_outer_bytes(b) + df_build_inner_bytes(b, width);
    in.memory.live_bytes = 2.0 * df_build_outer_bytes(b) + df_build_inner_bytes(b, width);
    b->to.row = DF_ROW_QKV;
    df_build_projection(b, &in);
    df_build_projection_sum(b, &in);
    if (d->mixer == DF_MIX_MAMBA1) {
        const df_scan *const s = &d->scan;
        df_projection step = df_project(b, true, tokens_of(b), inner, s->dt_rank + 2.0 * s->state);
        const df_projection back = df_project(b, false, tokens_of(b), s->dt_rank, inner);
        df_build_projection(b, &step);
        df_build_projection_sum(b, &step);
        df_build_projection(b, &back);
    }
    if (d->mixer == DF_MIX_DELTA && d->scan.gate_rank > 0.0) { /* the gate, and decays of keys */
        const double decays = d->scan.key_heads * d->scan.key_dim;
        const df_projection out =
            df_project(b, false, tokens_of(b), d->scan.gate_rank, inner + decays);
        df_build_projection(b, &out);
    }
    b->to.row = DF_ROW_ATTENTION;
    build_scan_streams(b, width);
    build_scan_core(b);
    build_output(b, inner);
}

void df_build_mixer(df_builder *b)
{
    const df_dims *const d = b->dims;
    if (d->mixer == DF_MIX_NONE) {
        return;
    }
    if (df_dims_is_scan(d)) {
        build_scan(b);
        return;
    }
    if (d->mixer == DF_MIX_COMPRESSED) {
        build_compressed(b);
    } else if (df_dims_is_latent(d)) {
        build_latent(b);
    } else {
        build_heads(b);
    }
    df_build_attention(b);
}
