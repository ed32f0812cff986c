#include "coll/coll.h"

#include <math.h>

#include "gemm/gemm.h"

/* Figures that the ring algorithms share. A step moves one n-th of the data. */
typedef struct {
    double size_bytes, n;
    double send_s;   /* one n-th over the link */
    double stage_s;  /* copy one n-th to where the link finds it: read and write */
    double reduce_s; /* add one n-th to what is there: read two, write one */
    double latency_s, launch_s;
} ring;

static double staging_s(const df_hw_device *dev, const df_rules *rules, double bytes)
{
    return df_roof_stream(dev, rules, 0.0, ceil(2.0 * bytes));
}

static ring prepare_ring(const df_hw_device *dev, const df_rules *rules, const df_coll_op *op)
{
    ring r;
    r.size_bytes = ceil(op->bytes);
    r.n = op->participants;
    r.send_s = r.size_bytes / r.n / op->link.bytes_ps;
    r.stage_s = df_roof_stream(dev, rules, 0.0, ceil(2.0 * r.size_bytes / r.n));
    r.launch_s = dev->launch_overhead_s;
    r.reduce_s =
        df_roof_stream(dev, rules, r.size_bytes / r.n, ceil(3.0 * r.size_bytes / r.n)) + r.launch_s;
    r.latency_s = op->link.latency_s;
    return r;
}

static double all_reduce_s(const ring *r)
{
    return (r->send_s + r->stage_s + r->latency_s) * 2.0 * (r->n - 1.0) +
           r->reduce_s * (r->n - 1.0) + r->launch_s;
}

static double reduce_scatter_s(const ring *r)
{
    return (r->send_s + r->stage_s + r->latency_s) * (r->n - 1.0) + r->reduce_s * (r->n - 1.0) +
           r->launch_s;
}

/* op->bytes is one shard, which moves whole in every step. */
static double
all_gather_s(const ring *r, const df_hw_device *dev, const df_rules *rules, const df_coll_op *op)
{
    const double stage_s =
        rules->all_gather_staging_divided ? r->stage_s : staging_s(dev, rules, r->size_bytes);
    const double send_s = r->size_bytes / op->link.bytes_ps;
    return (send_s + stage_s + r->latency_s) * (r->n - 1.0) + r->launch_s;
}

static double ring_time_s(const df_coll_model *self,
                          const df_hw_device *dev,
                          const df_rules *rules,
                          const df_coll_op *op)
{
    (void)self;
    if (!(op->bytes > 0.0) || !(op->participants > 1.0)) {
        return 0.0;
    }
    if (!(op->link.bytes_ps > 0.0)) {
        return HUGE_VAL;
    }
    const ring r = prepare_ring(dev, rules, op);
    switch (op->kind) {
    case DF_COLL_ALL_REDUCE:
        return all_reduce_s(&r);
    case DF_COLL_REDUCE_SCATTER:
        return reduce_scatter_s(&r);
    case DF_COLL_ALL_GATHER:
        return all_gather_s(&r, dev, rules, op);
    case DF_COLL_ALL_TO_ALL:
        return (r.send_s + r.latency_s) * (r.n - 1.0);
    case DF_COLL_P2P:
        break;
    }
    return r.size_bytes / op->link.bytes_ps + r.latency_s;
}

const df_coll_model df_coll_ring = {ring_time_s};
