/* roof.h: the roofline of a device (Williams et al., CACM 52(4), 2009). */
#ifndef DF_ROOF_H
#define DF_ROOF_H
#include "hw/hw.h"

/* Over all levels: the largest of flops/throughput and each level's bytes/bandwidth + latency, so
 * that a faster part never makes it longer. A device with latency_if_memory_bound leaves the
 * latency out where bytes/bandwidth is below flops/throughput. inf where a needed rate is 0. */
double df_roof_levels(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS]);

/* The roofline of one level, for work that streams `bytes` through it once. */
double df_roof_level(const df_hw_device *dev, int level, double flops, double bytes);

#endif
