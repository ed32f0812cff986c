#include "fold/usage.h"

#include <assert.h>
#include <math.h>

const char *const df_cost_names[DF_COSTS + 1] = {
    [DF_COST_COMPUTE] = "compute", [DF_COST_REGISTERS] = "registers",
    [DF_COST_L1] = "L1",           [DF_COST_L2] = "L2",
    [DF_COST_DRAM] = "DRAM",       [DF_COST_NETWORK] = "network",
    [DF_COST_LAUNCH] = "launch",   [DF_COST_NONE] = "-",
};

/* The first of the largest, DF_COST_NONE when there is none above 0: of each, what would be left if
 * all the others were infinitely fast. */
static df_cost
largest(const df_hw_device *dev, const df_price *price, double launch_s, double comm_s)
{
    double share_s[DF_COSTS] = {[DF_COST_COMPUTE] = price->flops / dev->core.throughput_flops_ps,
                                [DF_COST_NETWORK] = comm_s,
                                [DF_COST_LAUNCH] = launch_s};
    df_cost most = DF_COST_NONE;
    double most_s = 0.0;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        const df_hw_mem *const mem = &dev->mem[level];
        share_s[DF_COST_REGISTERS + level] =
            price->traffic_bytes[level] / mem->copies / mem->throughput_bytes_ps;
    }
    for (int i = 0; i < DF_COSTS; i++) {
        if (share_s[i] > most_s) {
            most = (df_cost)i;
            most_s = share_s[i];
        }
    }
    return most;
}

df_cost df_usage_bound(const df_hw_device *dev, const df_row_side *side)
{
    return largest(dev, &side->sum, side->sum.launch_s, side->comm_s);
}

df_usage *df_usages_add(df_usages *all, const char *name, double runs)
{
    assert(all->count < DF_USAGES_MAX);
    df_usage *const usage = &all->item[all->count++];
    *usage = (df_usage){.name = name, .phase = "", .runs = runs};
    return usage;
}

double df_usage_time_s(const df_usage *usage)
{
    double sum_s = 0;
    for (int i = 0; i < DF_COSTS; i++) {
        sum_s += usage->cost_s[i];
    }
    return sum_s;
}

/* A kernel that takes time_s is bound by compute, or a level of the memory. */
static void
add_kernel(df_usage *usage, const df_hw_device *dev, double time_s, const df_price *price)
{
    const df_cost bound = largest(dev, price, 0.0, 0.0);
    usage->cost_s[bound == DF_COST_NONE ? DF_COST_COMPUTE : bound] += time_s;
    usage->cost_s[DF_COST_LAUNCH] += price->launch_s;
    usage->flops += price->flops;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        usage->traffic_bytes[level] += price->traffic_bytes[level];
    }
}

void df_usage_add_kernels(df_usage *usage, const df_hw_device *dev, const df_price *price)
{
    add_kernel(usage, dev, price->time_s - price->launch_s, price);
}

void df_usage_add_side(df_usage *usage, const df_hw_device *dev, const df_row_side *side)
{
    usage->cost_s[DF_COST_NETWORK] += side->comm_s;
    add_kernel(usage, dev, fmax(side->time_s - side->comm_s - side->sum.launch_s, 0.0), &side->sum);
}

static void
add_price(df_usage *usage, const df_hw_device *dev, const df_op *op, const df_price *price)
{
    if (op->kind == DF_OP_COLLECTIVE || op->kind == DF_OP_HOST || op->kind == DF_OP_LINK) {
        usage->cost_s[DF_COST_NETWORK] += price->time_s;
    } else {
        df_usage_add_kernels(usage, dev, price);
    }
}

void df_usages_list(df_usages *all,
                    const df_hw_device *dev,
                    const df_ops *ops,
                    const df_price price[],
                    const df_usage_row row[],
                    int count)
{
    all->count = 0;
    for (int i = 0; i < count; i++) {
        df_usages_add(all, row[i].name, row[i].runs);
    }
    for (int i = 0; i < ops->count; i++) {
        add_price(&all->item[ops->op[i].row], dev, &ops->op[i], &price[i]);
    }
}
