#include "fold/usage.h"

#include <assert.h>
#include <math.h>

const char *const df_cost_names[DF_COSTS + 1] = {
    [DF_COST_COMPUTE] = "compute", [DF_COST_REGISTERS] = "registers",
    [DF_COST_L1] = "L1",           [DF_COST_L2] = "L2",
    [DF_COST_DRAM] = "DRAM",       [DF_COST_NETWORK] = "network",
    [DF_COST_LAUNCH] = "launch",   [DF_COST_NONE] = "-",
};

/* Seconds of each: what would be left if all the others were infinitely fast. */
static void find_shares(const df_hw_device *dev,
                        double flops,
                        const double bytes[DF_HW_LEVELS],
                        double share_s[DF_COSTS])
{
    share_s[DF_COST_COMPUTE] = flops / dev->core.throughput_flops_ps;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        const df_hw_mem *const mem = &dev->mem[level];
        share_s[DF_COST_REGISTERS + level] = bytes[level] / mem->copies / mem->throughput_bytes_ps;
    }
}

/* The first of the largest shares up to `last`; DF_COST_NONE when there is none above 0. */
static df_cost largest(const double share_s[DF_COSTS], int last)
{
    df_cost most = DF_COST_NONE;
    double most_s = 0.0;
    for (int i = DF_COST_COMPUTE; i <= last; i++) {
        if (share_s[i] > most_s) {
            most = (df_cost)i;
            most_s = share_s[i];
        }
    }
    return most;
}

df_cost df_usage_of_kernel(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS])
{
    double share_s[DF_COSTS];
    find_shares(dev, flops, bytes, share_s);
    const df_cost most = largest(share_s, DF_COST_DRAM);
    return most == DF_COST_NONE ? DF_COST_COMPUTE : most;
}

df_cost df_usage_bound(const df_hw_device *dev, const df_row_side *side)
{
    double share_s[DF_COSTS];
    find_shares(dev, side->flops, side->traffic_bytes, share_s);
    share_s[DF_COST_NETWORK] = side->comm_s;
    share_s[DF_COST_LAUNCH] = side->launch_s;
    return largest(share_s, DF_COST_LAUNCH);
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

static void add_kernel(df_usage *usage,
                       const df_hw_device *dev,
                       double time_s,
                       double flops,
                       const double bytes[DF_HW_LEVELS])
{
    usage->flops += flops;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        usage->traffic_bytes[level] += bytes[level];
    }
    usage->cost_s[df_usage_of_kernel(dev, flops, bytes)] += time_s;
}

void df_usage_add_side(df_usage *usage, const df_hw_device *dev, const df_row_side *side)
{
    usage->cost_s[DF_COST_NETWORK] += side->comm_s;
    usage->cost_s[DF_COST_LAUNCH] += side->launch_s;
    add_kernel(usage, dev, fmax(side->time_s - side->comm_s - side->launch_s, 0.0), side->flops,
               side->traffic_bytes);
}

static void
add_price(df_usage *usage, const df_hw_device *dev, const df_op *op, const df_price *price)
{
    if (op->kind == DF_OP_COLLECTIVE || op->kind == DF_OP_HOST || op->kind == DF_OP_LINK) {
        usage->cost_s[DF_COST_NETWORK] += price->time_s;
        return;
    }
    usage->cost_s[DF_COST_LAUNCH] += price->launch_s;
    add_kernel(usage, dev, price->time_s - price->launch_s, price->flops, price->traffic_bytes);
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
