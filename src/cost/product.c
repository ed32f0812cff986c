/* Products, by the tile search. */
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

df_status df_price_product(const df_coster *c, const df_op_gemm *g, df_gemm_cost *cost)
{
    const df_gemm_shape shape = {g->m, g->k, g->n};
    DF_TRY(solve(c, &shape, cost));
    if (g->chip_bytes > 0.0) {
        double least_bytes;
        DF_TRY(least_l1_bytes(c, &shape, &least_bytes));
        const double bytes[DF_HW_LEVELS] = {cost->traffic_bytes[0], least_bytes, g->chip_bytes, 0};
        if (c->dev->mem[1].copies <= 1.0) {
            cost->traffic_bytes[1] = least_bytes; /* else they are those of one copy alone */
        }
        cost->traffic_bytes[2] = g->chip_bytes;
        cost->traffic_bytes[DRAM] = 0.0;
        cost->time_s = df_roof_levels(c->dev, cost->flops, bytes);
    }
    return DF_OK;
}

df_status df_price_gemm(const df_coster *c, const df_op *op, df_price *price)
{
    df_gemm_cost cost;
    DF_TRY(df_price_product(c, &op->gemm, &cost));
    price->time_s = op->repeats * cost.time_s;
    price->flops = op->repeats * cost.flops;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        price->traffic_bytes[level] = op->repeats * cost.traffic_bytes[level];
    }
    return DF_OK;
}
