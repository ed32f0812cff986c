#include "cost/flash.h"

#include <math.h>

static df_status
tile_products(const df_coster *c, const df_op_attention *a, double rows, df_flash *flash)
{
    const double tile_bytes = rows * a->head_dim * c->dev->elem_bytes;
    const df_op_gemm score = {rows, a->head_dim, a->tile, tile_bytes};
    const df_op_gemm output = {rows, a->tile, a->head_dim, 2.0 * tile_bytes};
    DF_TRY(df_price_product(c, &score, &flash->score));
    return df_price_product(c, &output, &flash->output);
}

df_status df_flash_tile(const df_coster *c, const df_op_attention *a, df_flash *flash)
{
    const double softmax_flops = 7.0; /* scale, mask, maximum, exponent, sum, two corrections */
    const double rows = fmin(a->tile, a->head_dim);
    const double across = ceil(a->keys / a->tile);
    /* the mask leaves a row of tiles those up to its own, on average half and half a tile */
    const double used = a->causal ? 0.5 * (across + 1.0) : across;
    flash->pairs = ceil(a->queries / rows) * used;
    flash->softmax_flops = softmax_flops * rows * a->tile;
    flash->dram_bytes =
        2.0 * c->dev->elem_bytes * a->head_dim * (a->queries * a->heads + a->keys * a->kv_heads);
    return tile_products(c, a, rows, flash);
}

static void count_product(const df_gemm_cost *cost, double times, df_price *price)
{
    price->flops += cost->flops * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        price->traffic_bytes[level] += cost->traffic_bytes[level] * times;
    }
}

void df_flash_count(const df_flash *flash, const df_op_attention *a, double times, df_price *price)
{
    const double pairs = flash->pairs * a->heads * times;
    count_product(&flash->score, pairs, price);
    count_product(&flash->output, pairs, price);
    price->flops += flash->softmax_flops * pairs;
    price->traffic_bytes[DF_HW_LEVELS - 1] += flash->dram_bytes * times;
}
