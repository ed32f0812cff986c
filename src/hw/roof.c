#include "hw/roof.h"

#include <math.h>

/* One level's bound. The comparison decides whether the latency counts. */
static double
roof(double flops, double throughput_flops_ps, double bytes, double bytes_ps, double latency_s)
{
    const double inflection = bytes_ps > 0.0 ? throughput_flops_ps / bytes_ps : HUGE_VAL;
    const double intensity = bytes > 0.0 ? flops / bytes : HUGE_VAL;
    if (intensity < inflection) {
        return bytes_ps > 0.0 ? bytes / bytes_ps + latency_s : HUGE_VAL;
    }
    return throughput_flops_ps > 0.0 ? flops / throughput_flops_ps : HUGE_VAL;
}

double df_roof_level(const df_hw_device *dev, int level, double flops, double bytes)
{
    const df_hw_mem *mem = &dev->mem[level];
    return roof(flops, dev->core.throughput_flops_ps, bytes, mem->throughput_bytes_ps,
                mem->latency_s);
}

double df_roof_levels(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS])
{
    double slowest_s = 0.0;
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        slowest_s = fmax(slowest_s, df_roof_level(dev, i, flops, bytes[i]));
    }
    return slowest_s;
}
