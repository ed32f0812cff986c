/* netcoll.h: a collective timed by the network simulator, and the machine as the simulator has
 * it.
 *
 * The simulator's files have six decimals of a GiB a second and three of a nanosecond; its
 * inputs are rounded to those, so that times do not depend on the way that they take. */
#ifndef DF_NETCOLL_H
#define DF_NETCOLL_H
#include "op/op.h"
#include "runner/runner.h"
#include "topo/topo.h"

/* One simulator, and the times of the last collectives that it solved. For one thread. */
typedef struct df_netcoll df_netcoll;

/* What is asked for, whole: equal ones take equal times. */
typedef struct {
    df_coll_kind kind; /* P2P: rank 0 sends to rank 1 */
    double bytes;      /* rounded up; of an all-gather, of one shard */
    df_net_network network;
    df_net_system system;
} df_netcoll_op;

typedef struct {
    uint64_t solved, kept; /* collectives that were simulated, and that were found again */
} df_netcoll_counts;

/* astra runs the programs; it is borrowed. NULL: one of its own, in process.
 * NULL when out of memory. */
df_netcoll *df_netcoll_new(df_runner *astra);
void df_netcoll_free(df_netcoll *netcoll);

/* The link that the simulator uses for a group that has `link`: with `underated` (the rule
 * astra_links_underated) it is the one inside a node before the derate, whatever the group. Both
 * are borrowed. */
const df_hw_link *df_netcoll_link(const df_topo *topo, bool underated, const df_hw_link *link);

/* A network of `ranks` devices of the topology inside a node, connected by such links. Two
 * devices on a ring are connected to each other. */
df_net_network df_netcoll_network(const df_topo *topo, double ranks, const df_hw_link *link);

/* The options of the backend; an algorithm that is not given is the one for the topology of
 * `ranks` devices. */
df_net_system df_netcoll_system(const df_topo *topo, const df_cfg_backend *backend, double ranks);

/* The simulator's kind of a collective. */
df_net_collective df_netcoll_kind(df_coll_kind kind);

/* Seconds from the start to the end of the last rank, without launch overhead. Allocates unless
 * the time is kept.
 * DF_EINVAL: a link without bandwidth or latency, an algorithm that the collective or the number
 * of ranks does not have. DF_ENOMEM. */
DF_NODISCARD df_status df_netcoll_time(df_netcoll *netcoll,
                                       const df_netcoll_op *op,
                                       double *time_s,
                                       df_err *err);

/* Seconds that a program takes. Errors: those of df_runner_time. */
DF_NODISCARD df_status df_netcoll_run(df_netcoll *netcoll,
                                      const df_runner_job *job,
                                      double *time_s,
                                      df_err *err);

df_netcoll_counts df_netcoll_count(const df_netcoll *netcoll);

#endif
