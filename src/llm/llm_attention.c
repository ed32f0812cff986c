#include <math.h>
#include <string.h>

#include "llm/llm_impl.h"

/* A batch of equal GEMMs, one for each key/value head of each sequence. */
typedef struct {
    double batch, m, k, n;
} batched;

/* GEMMs of the batch that one device has; no whole number, where heads do not divide. */
static double share_of(const df_llm *x, const batched *b)
{
    return df_llm_splits_tensor(x) ? b->batch / x->tp : b->batch;
}

/* The traffic that energy counts: of all the device's heads, or what the reference counts. */
static void count_traffic(const df_llm *x, const df_gemm_cost *cost, double share, df_llm_row *row)
{
    const double times = x->rules->llm_energy_one_head ? 1.0 : share;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        row->traffic_bytes[level] = cost->traffic_bytes[level] * times;
    }
}

static void time_batched(df_llm *x, const batched *b, df_llm_row *row)
{
    const double m = df_llm_splits_context(x) ? ceil(b->m / x->cp) : b->m;
    const double share = share_of(x, b);
    const bool as_forward = x->mode == DF_LLM_SINGLE && x->rules->llm_single_gradient_as_forward;
    const df_gemm_cost forward = df_llm_gemm(x, m, b->k, b->n);
    const df_gemm_cost by_input =
        as_forward ? df_llm_gradient(x, m, b->k, b->n) : df_llm_gradient(x, m, b->n, b->k);
    const df_gemm_cost by_weight = df_llm_gradient(x, b->k, m, b->n);
    row->present = true;
    row->forward_s = forward.time_s * share + df_llm_launches(x, row, DF_LLM_FORWARD, 1.0);
    row->backward_s =
        (by_input.time_s * share + x->launch_s) + (by_weight.time_s * share + x->launch_s);
    df_llm_launches(x, row, DF_LLM_BACKWARD, 2.0);
    df_llm_add_gemm(&row->work[DF_LLM_FORWARD], &forward, share);
    df_llm_add_gemm(&row->work[DF_LLM_BACKWARD], &by_input, share);
    df_llm_add_gemm(&row->work[DF_LLM_BACKWARD], &by_weight, share);
    if (!df_llm_splits_context(x)) {
        row->flops = 2.0 * b->batch * b->m * b->k * b->n;
        count_traffic(x, &forward, share, row);
    }
}

/* Backward of the second product when tensor and context parallel: launches scale too. */
static void scale_hybrid_launches(df_llm *x, const batched *b, df_llm_row *row)
{
    const double m = ceil(b->m / x->cp);
    const double share = share_of(x, b);
    row->launch_s[DF_LLM_BACKWARD] = 0.0;
    row->backward_s = (df_llm_gradient(x, m, b->n, b->k).time_s + x->launch_s) * share +
                      (df_llm_gradient(x, b->k, m, b->n).time_s + x->launch_s) * share;
    df_llm_launches(x, row, DF_LLM_BACKWARD, 2.0 * share);
}

/* Gradients of keys and values, summed over those that share a sequence. */
static void add_score_scatter(df_llm *x, const batched *score, df_llm_row *row)
{
    if (df_llm_splits_context(x)) {
        df_llm_add_coll(x, row, DF_LLM_BACKWARD, DF_COLL_REDUCE_SCATTER,
                        2.0 * x->bytes.gradient_comm * score->k * score->n * share_of(x, score),
                        &x->topo.axis[DF_AXIS_CP]);
    }
}

static void time_softmax(const df_llm *x, const batched *score, df_llm_row *row)
{
    const double n = ceil(score->batch * score->m * score->n / (x->tp * x->cp));
    const double a = x->bytes.activation;
    row->present = true;
    row->forward_s = df_llm_stream(x, &row->work[DF_LLM_FORWARD], 8.0 * n, 4.0 * a * n) +
                     df_llm_launches(x, row, DF_LLM_FORWARD, 1.0);
    row->backward_s = df_llm_stream(x, &row->work[DF_LLM_BACKWARD], 5.0 * n, 3.0 * a * n) +
                      df_llm_launches(x, row, DF_LLM_BACKWARD, 1.0);
}

/* The products of the attention: queries by keys, and the result by values. */
static void shapes_of(const df_llm *x, const df_llm_span *span, batched *score, batched *output)
{
    const double batch = x->batch * x->h_kv;
    const double queries = span->tokens * x->g;
    *score = (batched){batch, queries, x->e, span->context};
    *output = (batched){batch, queries, span->context, x->e};
}

static void plain_attention(df_llm *x, const df_llm_span *span, df_llm_row *rows)
{
    batched score;
    batched av;
    shapes_of(x, span, &score, &av);
    const bool tensor = x->mode == DF_LLM_TENSOR || x->mode == DF_LLM_SEQUENCE;
    const bool traffic = tensor || !x->rules->llm_energy_one_head;
    time_batched(x, &score, &rows[DF_LLM_SCORE]);
    time_batched(x, &av, &rows[DF_LLM_AV]);
    if (x->mode == DF_LLM_HYBRID && x->rules->llm_hybrid_launches_scaled) {
        scale_hybrid_launches(x, &av, &rows[DF_LLM_AV]);
    }
    add_score_scatter(x, &score, &rows[DF_LLM_SCORE]);
    time_softmax(x, &score, &rows[DF_LLM_SOFTMAX]);
    df_llm_add_row(&rows[DF_LLM_ATTENTION], &rows[DF_LLM_SCORE], traffic);
    df_llm_add_row(&rows[DF_LLM_ATTENTION], &rows[DF_LLM_SOFTMAX], false);
    df_llm_add_row(&rows[DF_LLM_ATTENTION], &rows[DF_LLM_AV], traffic);
}

/* ---- FlashAttention: Dao et al., NeurIPS 2022 ---- */

/* A GEMM inside a kernel: no DRAM traffic, and this much of L2. */
static df_gemm_cost tile_gemm(df_llm *x, const df_gemm_shape *shape, double l2_bytes)
{
    df_gemm_cost cost = df_llm_gemm(x, shape->m, shape->k, shape->n);
    if (x->status == DF_OK) {
        const double least = df_gemm_cache_least_l1_bytes(x->memory->gemm, shape);
        const double bytes[DF_HW_LEVELS] = {cost.traffic_bytes[0], least, l2_bytes, 0.0};
        cost.traffic_bytes[2] = l2_bytes;
        cost.traffic_bytes[3] = 0.0;
        cost.time_s = df_roof_levels(x->dev, cost.flops, bytes);
    }
    return cost;
}

/* The tiles of one device's kernel. */
typedef struct {
    double rows, columns;   /* of queries, of keys in a tile */
    double queries, keys;   /* of a sequence */
    double pairs;           /* of tiles, of one head of one sequence */
    double heads, kv_heads; /* of all sequences */
} flash_tiles;

static flash_tiles tiles_of(const df_llm *x, const df_llm_span *span)
{
    flash_tiles t = {.columns = (double)x->m->attention.attention_tile_size,
                     .queries = ceil(span->tokens / x->cp),
                     .heads = x->batch * x->h / x->tp,
                     .kv_heads = x->batch * x->h_kv / x->tp};
    t.rows = fmin(t.columns, x->e);
    t.keys = x->rules->llm_flash_context_own_keys ? t.queries : span->tokens;
    const double across = ceil(t.keys / t.columns);
    /* the mask leaves a row of tiles those up to its own, on average half and half a tile */
    t.pairs =
        ceil(t.queries / t.rows) * (x->rules->llm_flash_unmasked ? across : 0.5 * (across + 1.0));
    return t;
}

/* Loads before the products: of as many tiles as the device has bundles. */
static double load_waves_s(const df_llm *x, const flash_tiles *t)
{
    const double bundles = (double)x->cfg->tech.core.num_bundles;
    const double bytes = 2.0 * t->columns * x->e * bundles * x->bytes.activation;
    const double loads = ceil(ceil(t->queries / t->columns) / bundles) * t->kv_heads;
    return df_llm_stream_s(x, 0.0, bytes) * loads;
}

/* What the kernel does on one device, apart from launching. */
static double flash_kernel_s(df_llm *x, const df_llm_span *span, df_llm_work *work)
{
    const df_rules *const rules = x->rules;
    const double a = x->bytes.activation;
    const flash_tiles t = tiles_of(x, span);
    const double tile_bytes = t.rows * x->e * a;
    const double times =
        t.pairs * (rules->llm_flash_launch_on_heads ? t.heads + x->launch_s : t.heads);
    const df_gemm_cost score = tile_gemm(x, &(df_gemm_shape){t.rows, x->e, t.columns}, tile_bytes);
    const df_gemm_cost output =
        tile_gemm(x, &(df_gemm_shape){t.rows, t.columns, x->e}, 2.0 * tile_bytes);
    const double softmax_flops = 7.0 * t.rows * t.columns;
    const double flop_ratio = rules->llm_flash_softmax_as_products ? 1.0 : 16.0;
    const double softmax_s =
        df_llm_stream_s(x, flop_ratio * softmax_flops, 1.0) * t.pairs * t.heads;
    const double products_s = score.time_s * times + softmax_s + output.time_s * times;
    /* queries and outputs, keys and values each once */
    const double dram_bytes = 2.0 * a * x->e * (t.queries * t.heads + t.keys * t.kv_heads);
    df_llm_add_gemm(work, &score, t.pairs * t.heads);
    df_llm_add_gemm(work, &output, t.pairs * t.heads);
    work->flops += softmax_flops * t.pairs * t.heads;
    work->traffic_bytes[DF_HW_LEVELS - 1] += dram_bytes;
    return rules->llm_flash_loads_waves ? load_waves_s(x, &t) + products_s
                                        : fmax(df_llm_stream_s(x, 0.0, dram_bytes), products_s);
}

static void flash_attention(df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double backward = x->rules->llm_flash_backward_double ? 2.0 : 2.5;
    const double launch_s =
        x->rules->llm_flash_launch_on_heads ? 0.0 : df_llm_launches(x, row, DF_LLM_FORWARD, 1.0);
    df_llm_work *const work = row->work;
    const double kernel_s = flash_kernel_s(x, span, &work[DF_LLM_FORWARD]);
    row->forward_s = kernel_s + launch_s;
    row->backward_s = backward * kernel_s + launch_s;
    row->launch_s[DF_LLM_BACKWARD] = launch_s;
    work[DF_LLM_BACKWARD].flops = backward * work[DF_LLM_FORWARD].flops;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        work[DF_LLM_BACKWARD].traffic_bytes[level] =
            backward * work[DF_LLM_FORWARD].traffic_bytes[level];
    }
    row->flops = 2.0 * (x->batch * span->tokens * x->d * x->d +
                        x->batch * span->tokens * span->tokens * x->d);
    row->traffic_bytes[DF_HW_LEVELS - 1] =
        2.0 * span->tokens * (x->d + x->e * x->h_kv) * x->bytes.activation;
    if (!x->rules->llm_energy_one_head) {
        row->traffic_bytes[DF_HW_LEVELS - 1] = work[DF_LLM_FORWARD].traffic_bytes[3];
    }
    if (!x->rules->llm_flash_context_unreduced) {
        batched score;
        batched av;
        shapes_of(x, span, &score, &av);
        add_score_scatter(x, &score, row);
    }
}

/* ---- The cache of keys and values: Pope et al., MLSys 2023 ---- */

/* Bytes of keys and values of so many positions on a device. Heads are split over devices as
 * long as there are heads. */
static double cache_bytes(const df_llm *x, double positions)
{
    const double heads = fmax(x->h_kv / x->tp, 1.0);
    return 2.0 * x->batch * positions * heads * x->e * x->bytes.kv;
}

/* Products of a decode step whose keys and values come from the cache: all heads' at once, at
 * the cache's precision. */
static void cached_attention(df_llm *x, const df_llm_span *span, df_llm_row *rows)
{
    static const df_llm_op ops[] = {DF_LLM_SCORE, DF_LLM_AV};
    df_llm_row *const sum = &rows[DF_LLM_ATTENTION];
    batched products[2];
    shapes_of(x, span, &products[0], &products[1]);
    for (int i = 0; i < 2; i++) {
        const batched *const b = &products[i];
        df_llm_row *const row = &rows[ops[i]];
        const double share = share_of(x, b);
        const df_gemm_shape shape = {b->m, b->k, b->n};
        const double on_chip = (b->m * b->k + b->m * b->n) * x->bytes.activation;
        const df_gemm_cost cost = tile_gemm(x, &shape, on_chip);
        row->present = true;
        row->flops = 2.0 * b->batch * b->m * b->k * b->n;
        row->forward_s = cost.time_s * share + df_llm_launches(x, row, DF_LLM_FORWARD, 1.0);
        df_llm_add_gemm(&row->work[DF_LLM_FORWARD], &cost, share);
        count_traffic(x, &cost, share, row);
    }
    time_softmax(x, &products[0], &rows[DF_LLM_SOFTMAX]);
    df_llm_add_row(sum, &rows[DF_LLM_SCORE], true);
    df_llm_add_row(sum, &rows[DF_LLM_SOFTMAX], false);
    df_llm_add_row(sum, &rows[DF_LLM_AV], true);
    const double bytes = cache_bytes(x, span->context);
    const double fetch_s = df_llm_stream(x, &sum->work[DF_LLM_FORWARD], 0.0, bytes);
    sum->traffic_bytes[DF_HW_LEVELS - 1] += bytes;
    sum->forward_s =
        x->cfg->kv_fetch_overlap ? fmax(sum->forward_s, fetch_s) : sum->forward_s + fetch_s;
    sum->backward_s = 0.0;
}

static void store_keys_and_values(const df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double bytes = cache_bytes(x, span->tokens);
    row->forward_s += df_llm_stream(x, &row->work[DF_LLM_FORWARD], 0.0, bytes);
    row->traffic_bytes[DF_HW_LEVELS - 1] += bytes;
}

void df_llm_attention(df_llm *x, const df_llm_span *span, df_llm_row rows[DF_LLM_ROWS])
{
    const bool cached = x->m->run_type == DF_RUN_INFERENCE && !x->rules->llm_kv_cache_free;
    rows[DF_LLM_ATTENTION].present = true;
    if (span->decode && cached) {
        cached_attention(x, span, rows);
    } else if (x->m->attention.use_flashattention && !span->decode) {
        flash_attention(x, span, &rows[DF_LLM_ATTENTION]);
    } else {
        plain_attention(x, span, rows);
    }
    if (cached) {
        store_keys_and_values(x, span, &rows[DF_LLM_ATTENTION]);
    }
}
