/* Rings. */
#include <math.h>

#include "cost/cost.h"
#include "hw/roof.h"

/* A step moves one n-th of the data. */
static df_ring pieces_of(double bytes, double n, double steps)
{
    const double whole = ceil(bytes);
    return (df_ring){.steps = steps,
                     .sent_bytes = whole / n,
                     .staged_bytes = ceil(2.0 * whole / n),
                     .reductions = n - 1.0,
                     .reduced_flops = whole / n,
                     .reduced_bytes = ceil(3.0 * whole / n),
                     .launches = 1.0};
}

/* A step moves a shard. */
static df_ring gather_of(double bytes, double n)
{
    const double shard = ceil(bytes / n);
    return (df_ring){
        .steps = n - 1.0, .sent_bytes = shard, .staged_bytes = ceil(2.0 * shard), .launches = 1.0};
}

df_ring df_ring_of(df_coll_kind kind, double bytes, double n)
{
    switch (kind) {
    case DF_COLL_ALL_REDUCE:
        return pieces_of(bytes, n, 2.0 * (n - 1.0));
    case DF_COLL_REDUCE_SCATTER:
        return pieces_of(bytes, n, n - 1.0);
    case DF_COLL_ALL_GATHER:
        return gather_of(bytes, n);
    case DF_COLL_ALL_TO_ALL:
        return (df_ring){.steps = n - 1.0, .sent_bytes = ceil(bytes) / n};
    case DF_COLL_P2P:
        break;
    }
    return (df_ring){.steps = 1.0, .sent_bytes = ceil(bytes)};
}

double
df_ring_time_s(const df_ring *ring, const df_hw_device *dev, int level, const df_hw_link *link)
{
    if (!(link->bytes_ps > 0.0)) {
        return HUGE_VAL;
    }
    const double launch_s = dev->launch_overhead_s;
    double step_s = ring->sent_bytes / link->bytes_ps + link->latency_s;
    double reduce_s = 0.0;
    if (ring->staged_bytes > 0.0) {
        step_s += df_roof_level(dev, level, 0.0, ring->staged_bytes);
    }
    if (ring->reductions > 0.0) {
        reduce_s = df_roof_level(dev, level, ring->reduced_flops, ring->reduced_bytes) + launch_s;
    }
    return step_s * ring->steps + reduce_s * ring->reductions + launch_s * ring->launches;
}
