/* Products, by the tile search, and FlashAttention, which consists of them. */
#include <math.h>

#include "cost/cost.h"
#include "hw/roof.h"

enum { DRAM = DF_HW_LEVELS - 1 };

static df_status solve(const df_coster *c, const df_gemm_shape *shape, df_gemm_cost *cost)
{
    return c->cache ? df_gemm_cache_solve(c->cache, shape, cost, c->err)
                    : df_gemm_search_solve(c->search, shape, cost, c->err);
}

static df_status least_l1_bytes(const df_coster *c, const df_gemm_shape *shape, double *bytes)
{
    if (c->cache) {
        return df_gemm_cache_least_l1_bytes(c->cache, shape, bytes, c->err);
    }
    *bytes = df_gemm_search_least_l1_bytes(c->search, shape);
    return DF_OK;
}

static df_status price_product(const df_coster *c, const df_op_gemm *g, df_gemm_cost *cost)
{
    const df_gemm_shape shape = {g->m, g->k, g->n};
    DF_TRY(solve(c, &shape, cost));
    if (g->chip_bytes > 0.0) {
        double least_bytes;
        DF_TRY(least_l1_bytes(c, &shape, &least_bytes));
        const double bytes[DF_HW_LEVELS] = {cost->traffic_bytes[0], least_bytes, g->chip_bytes, 0};
        if (c->dev->mem[1].copies <= 1.0) {
            cost->traffic_bytes[1] = least_bytes; /* otherwise they are those of a single copy */
        }
        cost->traffic_bytes[2] = g->chip_bytes;
        cost->traffic_bytes[DRAM] = 0.0;
        cost->time_s = df_roof_levels(c->dev, cost->flops, bytes);
    }
    return DF_OK;
}

static void count_product(const df_gemm_cost *cost, double times, df_price *price)
{
    price->flops += cost->flops * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        price->traffic_bytes[level] += cost->traffic_bytes[level] * times;
    }
}

df_status df_price_gemm(const df_coster *c, const df_op *op, df_price *price)
{
    df_gemm_cost cost;
    DF_TRY(price_product(c, &op->gemm, &cost));
    price->time_s = op->repeats * cost.time_s;
    count_product(&cost, op->repeats, price);
    return DF_OK;
}

/* ---- FlashAttention ---- */

static df_status
tile_products(const df_coster *c, const df_op_attention *a, double rows, df_flash *flash)
{
    const double tile_bytes = rows * a->head_dim * c->dev->elem_bytes;
    const df_op_gemm score = {rows, a->head_dim, a->tile, tile_bytes};
    const df_op_gemm output = {rows, a->tile, a->head_dim, 2.0 * tile_bytes};
    DF_TRY(price_product(c, &score, &flash->score));
    return price_product(c, &output, &flash->output);
}

df_status df_flash_tile(const df_coster *c, const df_op_attention *a, df_flash *flash)
{
    const double softmax_flops = 7.0; /* scale, mask, maximum, exponent, sum, two corrections */
    const double rows = fmin(a->tile, a->head_dim);
    const double across = ceil(a->keys / a->tile);
    /* the mask leaves a row of tiles those up to its own, on average half and half a tile */
    const double used = a->causal ? 0.5 * (across + 1.0) : across;
    flash->pairs = ceil(a->queries / rows) * used * (1.0 - a->unseen);
    flash->softmax_flops = softmax_flops * rows * a->tile;
    flash->dram_bytes =
        2.0 * c->dev->elem_bytes * a->head_dim * (a->queries * a->heads + a->keys * a->kv_heads);
    return tile_products(c, a, rows, flash);
}

void df_flash_count(const df_flash *flash, const df_op_attention *a, double times, df_price *price)
{
    const double pairs = flash->pairs * a->heads * times;
    count_product(&flash->score, pairs, price);
    count_product(&flash->output, pairs, price);
    price->flops += flash->softmax_flops * pairs;
    price->traffic_bytes[DRAM] += flash->dram_bytes * times;
}
