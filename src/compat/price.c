/* The reference's cost model: prices that differ from those of cost/cost.c by a rule each. */
#include <math.h>

#include "compat/compat.h"
#include "cost/flash.h"
#include "cost/ring.h"
#include "hw/roof.h"

enum { REGISTERS = 0, DRAM = DF_HW_LEVELS - 1 };

static const df_compat_prices *options_of(const df_coster *c)
{
    return c->options;
}

static double stream_s(const df_coster *c, double flops, double bytes)
{
    return options_of(c)->streams_on_registers
               ? df_roof_level(c->dev, REGISTERS, flops, trunc(bytes))
               : df_roof_level(c->dev, DRAM, flops, bytes);
}

/* An all-gather's bytes are cut to one shard, or each step moves all of them; either way, a step
 * may copy one n-th of what it moves. */
static double
collective_s(const df_coster *c, const df_op_collective *what, const df_topo_group *group)
{
    const df_compat_prices *const o = options_of(c);
    df_ring ring = df_ring_of(what->kind, what->bytes, group->members);
    if (what->kind == DF_COLL_ALL_GATHER && o->gather_whole_steps) {
        ring.sent_bytes = ceil(what->bytes);
    }
    if (what->kind == DF_COLL_ALL_GATHER && o->gather_staging_divided) {
        ring.staged_bytes = ceil(2.0 * ring.sent_bytes / group->members);
    }
    return df_ring_time_s(&ring, c->dev, o->staging_on_registers ? REGISTERS : DRAM, &group->link);
}

/* Loads before the products: of as many tiles as the device has bundles. */
static double load_waves_s(const df_coster *c, const df_op_attention *a)
{
    const double bundles = fmax(c->dev->core.num_bundle, 1.0);
    const double bytes = 2.0 * a->tile * a->head_dim * bundles * c->dev->elem_bytes;
    const double loads = ceil(ceil(a->queries / a->tile) / bundles) * a->kv_heads;
    return df_roof_level(c->dev, DRAM, 0.0, trunc(bytes)) * loads;
}

static double kernel_s(const df_coster *c, const df_op_attention *a, const df_flash *f)
{
    const df_compat_prices *const o = options_of(c);
    const double launch_s = o->flash_launch_on_heads ? c->dev->launch_overhead_s : 0.0;
    const double slowdown = o->flash_softmax_as_products ? 1.0 : 16.0;
    const double softmax_s = df_roof_level(c->dev, DRAM, slowdown * f->softmax_flops, 1.0);
    const double products_s =
        (f->score.time_s + f->output.time_s) * f->pairs * (a->heads + launch_s) +
        softmax_s * f->pairs * a->heads;
    const double dram_s = df_roof_level(c->dev, DRAM, 0.0, trunc(f->dram_bytes));
    return o->flash_loads_waves ? load_waves_s(c, a) + products_s : fmax(dram_s, products_s);
}

static df_status price_attention(const df_coster *c, const df_op *op, df_price *price)
{
    df_flash f;
    DF_TRY(df_flash_tile(c, &op->attention, &f));
    df_flash_count(&f, &op->attention, op->repeats, price);
    price->time_s = op->repeats * kernel_s(c, &op->attention, &f);
    return DF_OK;
}

static const df_cost_model reference = {
    .gemm = df_price_gemm,
    .attention = price_attention,
    .stream_s = stream_s,
    .collective_s = collective_s,
};

const df_cost_model *
df_compat_cost(const df_rules *rules, const df_cfg *cfg, df_compat_prices *options)
{
    const bool llm = cfg->mode == DF_MODE_LLM; /* whose streams and gathers have rules apart */
    *options =
        (df_compat_prices){.streams_on_registers = !llm && rules->pointwise_on_registers,
                           .staging_on_registers = rules->pointwise_on_registers,
                           .gather_whole_steps = llm && rules->llm_all_gather_whole_steps,
                           .gather_staging_divided = llm ? rules->llm_all_gather_whole_steps
                                                         : rules->all_gather_staging_divided,
                           .flash_launch_on_heads = rules->llm_flash_launch_on_heads,
                           .flash_loads_waves = rules->llm_flash_loads_waves,
                           .flash_softmax_as_products = rules->llm_flash_softmax_as_products};
    const bool differs = options->streams_on_registers || options->staging_on_registers ||
                         options->gather_staging_divided || options->flash_launch_on_heads ||
                         options->flash_loads_waves || options->flash_softmax_as_products;
    return differs ? &reference : &df_cost_roofline;
}
