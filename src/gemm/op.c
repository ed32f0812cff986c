#include "gemm/op.h"

#include <math.h>

const char *const df_cost_names[DF_COSTS] = {
    [DF_COST_COMPUTE] = "compute", [DF_COST_REGISTERS] = "registers", [DF_COST_L1] = "L1",
    [DF_COST_L2] = "L2",           [DF_COST_DRAM] = "DRAM",           [DF_COST_NETWORK] = "network",
    [DF_COST_LAUNCH] = "launch",
};

df_op *df_ops_add(df_ops *ops, const char *name, double runs)
{
    if (ops->count == DF_OPS_MAX) {
        return &ops->op[DF_OPS_MAX - 1];
    }
    df_op *const op = &ops->op[ops->count++];
    *op = (df_op){.name = name, .phase = "", .runs = runs};
    return op;
}

double df_op_time_s(const df_op *op)
{
    double sum_s = 0;
    for (int i = 0; i < DF_COSTS; i++) {
        sum_s += op->cost_s[i];
    }
    return sum_s;
}

df_cost df_cost_of_kernel(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS])
{
    const double bundles = fmax(dev->core.num_bundle, 1.0);
    double most_s = flops / dev->core.throughput_flops_ps;
    df_cost cost = DF_COST_COMPUTE;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        const double share = bytes[level] / (level == 1 ? bundles : 1.0); /* each has its L1 */
        const double time_s = share / dev->mem[level].throughput_bytes_ps;
        if (time_s > most_s) {
            most_s = time_s;
            cost = (df_cost)(DF_COST_REGISTERS + level);
        }
    }
    return cost;
}

void df_op_add_kernel(df_op *op,
                      const df_hw_device *dev,
                      double time_s,
                      double flops,
                      const double bytes[DF_HW_LEVELS])
{
    op->flops += flops;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        op->traffic_bytes[level] += bytes[level];
    }
    op->cost_s[df_cost_of_kernel(dev, flops, bytes)] += time_s;
}

void df_op_scale(df_op *op, double factor)
{
    op->flops *= factor;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        op->traffic_bytes[level] *= factor;
    }
    for (int i = 0; i < DF_COSTS; i++) {
        op->cost_s[i] *= factor;
    }
}

void df_op_fill(df_op *op, double time_s)
{
    op->cost_s[DF_COST_LAUNCH] += fmax(time_s - df_op_time_s(op), 0.0);
}
