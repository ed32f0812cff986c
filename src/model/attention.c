/* Attention between its projections: as products and a softmax, as FlashAttention (Dao et al.,
 * NeurIPS 2022), and from the cache of keys and values (Pope et al., MLSys 2023). */
#include <math.h>

#include "model/build.h"
#include "model/transformer.h"

/* Whether queries are multiplied into the latent width, in which all heads share keys and values.
 */
static bool is_absorbed(const df_builder *b)
{
    return df_dims_is_latent(b->dims) && b->span->decode && b->span->cached &&
           b->dims->attention->absorbed;
}

/* Key/value heads of all devices together, with copies. */
static double kv_heads(const df_builder *b)
{
    const bool one = is_absorbed(b) || b->dims->mixer == DF_MIX_COMPRESSED;
    if (one) {
        return b->split->tp;
    }
    return df_dims_is_latent(b->dims) ? b->dims->heads : df_split_kv_heads(b->split, b->dims);
}

static double keys_of(const df_builder *b)
{
    return b->span->decode ? df_dims_keys(b->dims, b->span->context) : b->span->context;
}

/* Queries by keys, for each key/value head of a sequence. */
static df_op_gemm score_of(const df_builder *b)
{
    const df_latent *const l = &b->dims->latent;
    const double queries = b->span->tokens * (b->dims->heads / kv_heads(b));
    const double width = is_absorbed(b)               ? l->kv_rank + l->rope
                         : df_dims_is_latent(b->dims) ? l->nope + l->rope
                                                      : b->dims->head_dim;
    return (df_op_gemm){queries, width, keys_of(b), 0.0};
}

/* The scores' softmax by values. */
static df_op_gemm output_of(const df_builder *b, const df_op_gemm *score)
{
    const df_latent *const l = &b->dims->latent;
    const double width = is_absorbed(b)               ? l->kv_rank
                         : df_dims_is_latent(b->dims) ? l->value
                                                      : score->k;
    return (df_op_gemm){score->m, score->n, width, 0.0};
}

/* The number of such products on one device, which is not whole where heads do not divide. */
static double products(const df_builder *b)
{
    return b->split->batch * kv_heads(b) / b->split->tp;
}

static void build_batch(df_builder *b, df_row_name row, const df_op_gemm *g)
{
    const df_op_gemm own = {df_split_tokens(b->split, g->m), g->k, g->n, 0.0};
    b->to.row = row;
    df_build_products(b, &own, products(b), 1.0);
}

/* The softmax is kept; with dropout, its mask of a byte and its output as well. */
static df_op_memory softmax_memory(const df_builder *b)
{
    const double a = b->dims->bytes.activation;
    const double scores = df_build_share(b, b->dims->heads * b->span->context);
    return (df_op_memory){.saved_bytes = (b->dims->dropout ? 2.0 * a + 1.0 : a) * scores,
                          .live_bytes = a * scores};
}

/* Returns the forward half, which the other one follows. */
static df_op *build_softmax(df_builder *b, const df_op_gemm *score)
{
    const double count = b->split->batch * kv_heads(b);
    const double n = ceil(count * score->m * score->n / (b->split->tp * b->split->cp));
    const double a = b->dims->bytes.activation;
    b->to.row = DF_ROW_SOFTMAX;
    df_op *const forward = df_build_pointwise(b, df_pointwise.attention_softmax, n, a, a);
    forward->memory = softmax_memory(b);
    return forward;
}

/* Gradients of keys and values, summed over the devices that share a sequence: ring attention,
 * Liu et al., ICLR 2024. */
static void build_scatter(df_builder *b, df_row_name row)
{
    const df_op_gemm score = score_of(b);
    const double bytes = 2.0 * b->dims->bytes.exchanged_gradient * score.k * score.n * products(b);
    b->to.row = row;
    if (b->split->cp > 1.0) {
        df_tail_collective(&b->to, DF_PASS_INPUT_GRAD, DF_COLL_REDUCE_SCATTER, DF_OVER_CP, bytes);
    }
}

static void build_plain(df_builder *b)
{
    const df_op_gemm score = score_of(b);
    const df_op_gemm output = output_of(b, &score);
    build_batch(b, DF_ROW_SCORE, &score);
    build_batch(b, DF_ROW_AV, &output);
    build_scatter(b, DF_ROW_SCORE);
    build_softmax(b, &score);
}

static df_op *build_kernel(df_builder *b, df_op_pass pass)
{
    const df_dims *const d = b->dims;
    df_op *const op = df_tail_add(&b->to, DF_OP_ATTENTION, pass);
    op->launches = 1.0;
    op->attention.queries = ceil(b->span->tokens / b->split->cp);
    op->attention.keys = b->span->tokens;
    op->attention.heads = b->split->batch * d->heads / b->split->tp;
    op->attention.kv_heads = products(b);
    op->attention.head_dim = df_dims_pair_width(d);
    op->attention.unseen = df_dims_unseen(d, b->span->tokens);
    op->attention.tile = (double)d->attention->attention_tile_size;
    op->attention.causal = true;
    return op;
}

static void build_flash(df_builder *b)
{
    b->to.row = DF_ROW_ATTENTION;
    df_op *const forward = build_kernel(b, DF_PASS_FORWARD);
    /* a figure for each row of the scores, from which its softmax is computed again */
    forward->memory.saved_bytes = df_build_share(b, DF_FP32_BYTES * b->dims->heads);
    df_op *const backward = build_kernel(b, DF_PASS_INPUT_GRAD);
    backward->flags = DF_OP_AGAIN;
    backward->repeats = 2.5; /* five products instead of two: Dao, ICLR 2024, section 4.1 */
    build_scatter(b, DF_ROW_ATTENTION);
}

/* ---- The cache ---- */

double df_transformer_cache_bytes(const df_dims *dims, double positions, double devices)
{
    const double heads = fmax(dims->kv_heads / devices, 1.0);
    const double numbers = df_dims_cache_numbers(dims);
    const bool shared = df_dims_is_latent(dims) || dims->mixer == DF_MIX_COMPRESSED;
    if (!(numbers > 0.0)) {
        return 0.0;
    }
    return shared ? positions * numbers * dims->bytes.cache
                  : numbers / dims->kv_heads / dims->head_dim * positions * heads * dims->head_dim *
                        dims->bytes.cache;
}

/* So many entries of each sequence. */
static double cache_bytes(const df_builder *b, double entries)
{
    return df_transformer_cache_bytes(b->dims, b->split->batch * entries, b->split->tp);
}

static df_op *build_cache(df_builder *b, df_op_part part, double entries)
{
    b->to.row = DF_ROW_ATTENTION;
    df_op *const op =
        df_tail_stream(&b->to, DF_PASS_FORWARD, df_pointwise.touch, 1.0, cache_bytes(b, entries));
    op->launches = 0.0;
    op->part = (uint8_t)part;
    return op;
}

/* A product whose keys or values come from the cache, read for all heads at once. */
static void build_cached_product(df_builder *b, df_row_name row, df_op_gemm g)
{
    g.chip_bytes = (g.m * g.k + g.m * g.n) * b->dims->bytes.activation;
    b->to.row = row;
    df_tail_gemm(&b->to, DF_PASS_FORWARD, &g, products(b), 1.0);
}

static void build_cached(df_builder *b)
{
    const df_op_gemm score = score_of(b);
    build_cached_product(b, DF_ROW_SCORE, score);
    build_cached_product(b, DF_ROW_AV, output_of(b, &score));
    build_softmax(b, &score)[1].flags |= DF_OP_ALONE;
    df_op *const fetch = build_cache(b, DF_OP_PART_CACHE_FETCH, keys_of(b));
    fetch->flags |= b->dims->fetch_overlaps ? DF_OP_BESIDE : 0;
}

void df_build_attention(df_builder *b)
{
    if (b->span->decode && b->span->cached) {
        build_cached(b);
    } else if (b->dims->attention->use_flashattention && !b->span->decode) {
        build_flash(b);
    } else {
        build_plain(b);
    }
    if (b->span->cached && df_dims_cache_numbers(b->dims) > 0.0) {
        df_op *const store =
            build_cache(b, DF_OP_PART_CACHE_STORE, df_dims_entries(b->dims, b->span->tokens));
        store->memory.cache_bytes = cache_bytes(b, df_dims_entries(b->dims, b->dims->sequence));
    }
}
