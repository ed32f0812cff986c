/* The reference's cost model: prices that differ from those of cost/cost.c by a rule each. */
#include <math.h>

#include "compat/compat.h"
#include "hw/roof.h"

enum { REGISTERS = 0, DRAM = DF_HW_LEVELS - 1 };

static const df_compat_prices *options_of(const df_coster *c)
{
    return c->options;
}

static double stream_s(const df_coster *c, double flops, double bytes)
{
    const df_compat_prices *const o = options_of(c);
    return !o->llm && o->rules->pointwise_on_registers
               ? df_roof_level(c->dev, REGISTERS, flops, trunc(bytes))
               : df_roof_level(c->dev, DRAM, flops, bytes);
}

/* Each step of an LLM's all-gather moves all bytes, in place of a shard, and a step of any may copy
 * one n-th of what it moves. */
static df_ring gather_of(const df_compat_prices *o, double bytes, double n)
{
    const bool whole = o->llm && o->rules->llm_all_gather_whole_steps;
    const double sent_bytes = ceil(whole ? bytes : bytes / n);
    const bool divided = whole || (!o->llm && o->rules->all_gather_staging_divided);
    return (df_ring){.steps = n - 1.0,
                     .sent_bytes = sent_bytes,
                     .staged_bytes = ceil(divided ? 2.0 * sent_bytes / n : 2.0 * sent_bytes),
                     .launches = 1.0};
}

static double
collective_s(const df_coster *c, const df_op_collective *what, const df_topo_group *group)
{
    const df_compat_prices *const o = options_of(c);
    const df_ring ring = what->kind == DF_COLL_ALL_GATHER
                             ? gather_of(o, what->bytes, group->members)
                             : df_ring_of(what->kind, what->bytes, group->members);
    return df_ring_time_s(&ring, c->dev, o->rules->pointwise_on_registers ? REGISTERS : DRAM,
                          &group->link);
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
    const df_rules *const rules = options_of(c)->rules;
    const double launch_s = rules->llm_flash_launch_on_heads ? c->dev->launch_overhead_s : 0.0;
    const double slowdown = rules->llm_flash_softmax_as_products ? 1.0 : 16.0;
    /* the reference reads it as one byte, whose latency must not count for each pair of tiles */
    const double softmax_bytes = c->dev->latency_if_memory_bound ? 1.0 : 0.0;
    const double softmax_s =
        df_roof_level(c->dev, DRAM, slowdown * f->softmax_flops, softmax_bytes);
    const double products_s =
        (f->score.time_s + f->output.time_s) * f->pairs * (a->heads + launch_s) +
        softmax_s * f->pairs * a->heads;
    const double dram_s = df_roof_level(c->dev, DRAM, 0.0, trunc(f->dram_bytes));
    return rules->llm_flash_loads_waves ? load_waves_s(c, a) + products_s
                                        : fmax(dram_s, products_s);
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

const df_cost_model *df_compat_cost(const df_rules *rules, df_mode mode, df_compat_prices *options)
{
    *options = (df_compat_prices){rules, mode == DF_MODE_LLM};
    const bool gathers =
        options->llm ? rules->llm_all_gather_whole_steps : rules->all_gather_staging_divided;
    const bool differs = rules->pointwise_on_registers || gathers ||
                         rules->llm_flash_launch_on_heads || rules->llm_flash_loads_waves ||
                         rules->llm_flash_softmax_as_products;
    return differs ? &reference : &df_cost_roofline;
}

double df_compat_collective_s(const df_rules *rules,
                              df_mode mode,
                              const df_hw_device *dev,
                              const df_op_collective *what,
                              const df_topo_group *group)
{
    df_compat_prices prices;
    const df_coster coster = {
        .model = df_compat_cost(rules, mode, &prices), .options = &prices, .dev = dev};
    return df_price_collective_s(&coster, what, group);
}
