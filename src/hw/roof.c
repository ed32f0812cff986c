#include "hw/roof.h"

#include <math.h>

static double compute_s(const df_hw_device *dev, double flops)
{
    const double flops_ps = dev->core.throughput_flops_ps;
    return flops_ps > 0.0 ? flops / flops_ps : HUGE_VAL;
}

static double memory_s(const df_hw_mem *mem, double bytes)
{
    const double bytes_ps = mem->throughput_bytes_ps;
    return bytes_ps > 0.0 ? bytes / bytes_ps + mem->latency_s : HUGE_VAL;
}

static bool
is_memory_bound(const df_hw_device *dev, const df_hw_mem *mem, double flops, double bytes)
{
    const double bytes_ps = mem->throughput_bytes_ps;
    const double inflection = bytes_ps > 0.0 ? dev->core.throughput_flops_ps / bytes_ps : HUGE_VAL;
    const double intensity = bytes > 0.0 ? flops / bytes : HUGE_VAL;
    return intensity < inflection;
}

double df_roof_level(const df_hw_device *dev, int level, double flops, double bytes)
{
    const df_hw_mem *const mem = &dev->mem[level];
    if (dev->latency_if_memory_bound) {
        return is_memory_bound(dev, mem, flops, bytes) ? memory_s(mem, bytes)
                                                       : compute_s(dev, flops);
    }
    const double computing_s = flops > 0.0 ? compute_s(dev, flops) : 0.0;
    return bytes > 0.0 ? fmax(memory_s(mem, bytes), computing_s) : computing_s;
}

double df_roof_levels(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS])
{
    double slowest_s = 0.0;
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        slowest_s = fmax(slowest_s, df_roof_level(dev, i, flops, bytes[i]));
    }
    return slowest_s;
}
