/* simulated.h: collectives timed by the network simulator in place of a closed form. */
#ifndef DF_SIMULATED_H
#define DF_SIMULATED_H
#include "cost/cost.h"
#include "netcoll/netcoll.h"

struct df_simulated {
    df_netcoll *net;
    const df_cfg_backend *backend;
    bool links_underated; /* every group has the links inside a node, underated */
    bool gather_whole;    /* of an all-gather, the simulator gets all bytes in place of a shard */
    /* Number of ranks whose algorithm a collective takes; NULL: that of its own members. */
    double (*algorithm_ranks)(void *context, const df_op *op, double members);
    void *context;
};

/* Seconds of a collective of more than one member, with its launch. */
DF_NODISCARD df_status df_simulated_time(const df_coster *c,
                                         const df_op *op,
                                         const df_topo_group *group,
                                         double *time_s);

/* Bytes that the simulator is given for a collective: of an all-gather, of one shard. */
double df_simulated_bytes(const df_simulated *s, df_coll_kind kind, double bytes, double members);

#endif
