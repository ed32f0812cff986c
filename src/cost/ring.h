/* ring.h: collectives by ring algorithms in closed form (Thakur et al., IJHPCA 19(1), 2005). */
#ifndef DF_RING_H
#define DF_RING_H
#include "hw/hw.h"
#include "op/op.h"

/* `steps` times a piece is sent and copied to where the link finds it; `reductions` of the pieces
 * are added to what is there: two are read and one is written. */
typedef struct {
    double steps, sent_bytes, staged_bytes;
    double reductions, reduced_flops, reduced_bytes;
    double launches;
} df_ring;

/* Of a collective of `bytes` (op/op.h) among n members, more than one. */
df_ring df_ring_of(df_coll_kind kind, double bytes, double n);

/* Its time, where local work streams through `level` of the device. inf on a link of speed 0. */
double
df_ring_time_s(const df_ring *ring, const df_hw_device *dev, int level, const df_hw_link *link);

#endif
