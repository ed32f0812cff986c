#include <math.h>
#include <string.h>

#include "llm/llm_impl.h"

/* A batch of equal GEMMs, one for each key/value head of each sequence. */
typedef struct {
    double batch, m, k, n;
} batched;

static bool has_context(const df_llm *x)
{
    return x->mode == DF_LLM_CONTEXT || x->mode == DF_LLM_HYBRID;
}

/* GEMMs of the batch that one device has; no whole number, where heads do not divide. */
static double share_of(const df_llm *x, const batched *b)
{
    return x->mode == DF_LLM_SINGLE || x->mode == DF_LLM_CONTEXT ? b->batch : b->batch / x->tp;
}

static void time_batched(df_llm *x, const batched *b, df_llm_row *row)
{
    const double m = has_context(x) ? ceil(b->m / x->cp) : b->m;
    const double share = share_of(x, b);
    const df_gemm_cost forward = df_llm_gemm_cost(x, m, b->k, b->n);
    /* on a single device the reference takes the forward shape for the first gradient */
    const bool as_forward = x->mode == DF_LLM_SINGLE;
    const double by_input =
        as_forward ? df_llm_bare_s(x, m, b->k, b->n) : df_llm_bare_s(x, m, b->n, b->k);
    const double by_weight = df_llm_bare_s(x, b->k, m, b->n);
    row->present = true;
    row->forward_s = forward.time_s * share + x->launch_s;
    row->backward_s = (by_input * share + x->launch_s) + (by_weight * share + x->launch_s);
    if (!has_context(x)) {
        row->flops = 2.0 * b->batch * b->m * b->k * b->n;
        memcpy(row->traffic_bytes, forward.traffic_bytes, sizeof row->traffic_bytes);
    }
}

/* Backward of the second product when tensor and context parallel: launches scale too. */
static void time_hybrid_backward(df_llm *x, const batched *b, df_llm_row *row)
{
    const double m = ceil(b->m / x->cp);
    const double share = share_of(x, b);
    row->backward_s =
        df_llm_gemm_s(x, m, b->n, b->k) * share + df_llm_gemm_s(x, b->k, m, b->n) * share;
}

static void add_score_scatter(const df_llm *x, const batched *score, df_llm_row *row)
{
    if (!has_context(x)) {
        return;
    }
    const double share = x->mode == DF_LLM_HYBRID ? score->batch / x->tp : score->batch;
    row->backward_comm_bytes = 2.0 * x->bytes.gradient_comm * score->k * score->n * share;
    row->backward_comm_s =
        df_llm_coll_s(x, DF_COLL_REDUCE_SCATTER, row->backward_comm_bytes, x->cp, &x->tensor);
    row->backward_s += row->backward_comm_s;
}

static void time_softmax(const df_llm *x, const batched *score, df_llm_row *row)
{
    const double n = ceil(score->batch * score->m * score->n / (x->tp * x->cp));
    const double a = x->bytes.activation;
    row->present = true;
    row->forward_s = df_llm_stream_s(x, 8.0 * n, 4.0 * a * n) + x->launch_s;
    row->backward_s = df_llm_stream_s(x, 5.0 * n, 3.0 * a * n) + x->launch_s;
}

static void add_part(df_llm_row *sum, const df_llm_row *part, bool traffic)
{
    sum->forward_s += part->forward_s;
    sum->backward_s += part->backward_s;
    sum->forward_comm_s += part->forward_comm_s;
    sum->backward_comm_s += part->backward_comm_s;
    sum->forward_comm_bytes += part->forward_comm_bytes;
    sum->backward_comm_bytes += part->backward_comm_bytes;
    sum->flops += part->flops;
    for (int level = 0; traffic && level < DF_HW_LEVELS; level++) {
        sum->traffic_bytes[level] += part->traffic_bytes[level];
    }
}

static void plain_attention(df_llm *x, const df_llm_span *span, df_llm_row *rows)
{
    const double batch = x->batch * x->h_kv;
    const double queries = span->tokens * x->g;
    const batched score = {batch, queries, x->e, span->context};
    const batched av = {batch, queries, span->context, x->e};
    const bool tensor = x->mode == DF_LLM_TENSOR || x->mode == DF_LLM_SEQUENCE;
    time_batched(x, &score, &rows[DF_LLM_SCORE]);
    time_batched(x, &av, &rows[DF_LLM_AV]);
    if (x->mode == DF_LLM_HYBRID) {
        time_hybrid_backward(x, &av, &rows[DF_LLM_AV]);
    }
    add_score_scatter(x, &score, &rows[DF_LLM_SCORE]);
    time_softmax(x, &score, &rows[DF_LLM_SOFTMAX]);
    add_part(&rows[DF_LLM_ATTENTION], &rows[DF_LLM_SCORE], tensor);
    add_part(&rows[DF_LLM_ATTENTION], &rows[DF_LLM_SOFTMAX], false);
    add_part(&rows[DF_LLM_ATTENTION], &rows[DF_LLM_AV], tensor);
}

/* ---- FlashAttention: Dao et al., NeurIPS 2022 ---- */

static double busy_bundles(const df_llm *x, double tiles)
{
    const double busy = fmin(x->dev->core.num_bundle, tiles);
    return busy > 0.0 ? busy : 1.0;
}

/* L1 traffic of one bundle with a pair of tiles. */
static double
l1_share(const df_llm *x, const df_gemm_shape *s, const df_gemm_tile *l1, const df_gemm_tile *l2)
{
    const double m2 = fmin(l2->m, s->m);
    const double k2 = fmin(l2->k, s->k);
    const double n2 = fmin(l2->n, s->n);
    const double m1 = fmin(l1->m, m2);
    const double k1 = fmin(l1->k, k2);
    const double n1 = fmin(l1->n, n2);
    const double tiles = ceil(s->m / m2) * ceil(s->k / k2) * ceil(s->n / n2);
    const double outputs = ceil(m2 / m1) * ceil(n2 / n1);
    const double moved = (m1 + n1) * k1 * ceil(k2 / k1) + m1 * n1;
    return moved * outputs * tiles * x->bytes.activation / busy_bundles(x, tiles);
}

/* Time of a GEMM inside the kernel: no DRAM traffic, and this much of L2. */
static double tile_gemm_s(df_llm *x, const df_gemm_shape *shape, double l2_bytes)
{
    const df_gemm_cost cost = df_llm_gemm_cost(x, shape->m, shape->k, shape->n);
    df_gemm_tile l1[DF_TILES];
    df_gemm_tile l2[DF_TILES];
    const df_hw_mem *const mem = x->dev->mem;
    const int count1 =
        df_gemm_tiles(1, mem[1].size_per_bundle_bytes / x->dev->elem_bytes, mem[1].tile_dim, l1);
    const int count2 =
        df_gemm_tiles(2, mem[2].size_per_bundle_bytes / x->dev->elem_bytes, mem[2].tile_dim, l2);
    double least = HUGE_VAL;
    for (int y = 0; y < count1; y++) {
        for (int z = 0; z < count2; z++) {
            least = fmin(least, l1_share(x, shape, &l1[y], &l2[z]));
        }
    }
    const double bytes[DF_HW_LEVELS] = {cost.traffic_bytes[0], least, l2_bytes, 0.0};
    return df_roof_levels(x->dev, cost.flops, bytes);
}

static void flash_attention(df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double a = x->bytes.activation;
    const double tile = (double)x->m->attention.attention_tile_size;
    const double rows = fmin(tile, x->e);
    const double sequence = ceil(span->tokens / x->cp);
    const double tiles = ceil(sequence / rows) * ceil(sequence / tile);
    const double bundles = (double)x->cfg->tech.core.num_bundles;
    const double heads = x->batch * x->h / x->tp;
    const df_gemm_shape score = {rows, x->e, tile};
    const df_gemm_shape output = {rows, tile, x->e};
    const double load_s = df_llm_stream_s(x, 0.0, 2.0 * tile * x->e * bundles * a) *
                          ceil(ceil(sequence / tile) / bundles) * x->batch * x->h_kv / x->tp;
    const double score_s = tile_gemm_s(x, &score, rows * x->e * a) * tiles * (heads + x->launch_s);
    const double softmax_s = df_llm_stream_s(x, 7.0 * rows * tile, 1.0) * tiles * heads;
    const double output_s =
        tile_gemm_s(x, &output, 2.0 * rows * x->e * a) * tiles * (heads + x->launch_s);
    row->forward_s = load_s + score_s + softmax_s + output_s;
    row->backward_s = 2.0 * row->forward_s;
    row->flops = 2.0 * (x->batch * span->tokens * x->d * x->d +
                        x->batch * span->tokens * span->tokens * x->d);
    row->traffic_bytes[DF_HW_LEVELS - 1] = 2.0 * span->tokens * (x->d + x->e * x->h_kv) * a;
}

void df_llm_attention(df_llm *x, const df_llm_span *span, df_llm_row rows[DF_LLM_ROWS])
{
    rows[DF_LLM_ATTENTION].present = true;
    if (x->m->attention.use_flashattention && !span->decode) {
        flash_attention(x, span, &rows[DF_LLM_ATTENTION]);
    } else {
        plain_attention(x, span, rows);
    }
}
