/* simulated.h: collectives timed by the network simulator in place of a closed form, and the
 * machine as the simulator sees it. The simulator's files have six decimals of a GiB per second and
 * three of a nanosecond; its inputs are rounded to those, so that times do not depend on whether
 * they pass through a file. */
#ifndef DF_SIMULATED_H
#define DF_SIMULATED_H
#include "cost/cost.h"
#include "runner/runner.h"

/* One simulator, and the times of the last collectives that it solved. For one thread. */
typedef struct df_simulator df_simulator;

/* The runner runs the programs; it is borrowed. NULL: the simulator makes one of its own, in
 * process. NULL when out of memory. */
df_simulator *df_simulator_new(df_runner *runner);
void df_simulator_free(df_simulator *simulator);

/* Seconds that a program takes. DF_EINVAL: a link without bandwidth; and the errors of
 * df_runner_time. */
DF_NODISCARD df_status df_simulator_run(df_simulator *simulator,
                                        const df_runner_job *job,
                                        double *time_s,
                                        df_err *err);

/* All that the time of a collective depends on: equal ones take equal times. */
typedef struct {
    df_coll_kind kind; /* P2P: rank 0 sends to rank 1 */
    double bytes;      /* rounded up; for an all-gather, the bytes of one shard */
    df_net_network network;
    df_net_system system;
} df_simulator_op;

/* Seconds from the start to the end of the last rank, without launch overhead. Allocates unless
 * the time is kept.
 * DF_EINVAL: a link without bandwidth, more ranks than the simulator takes, an algorithm that the
 * collective or the number of ranks does not have. DF_ENOMEM. */
DF_NODISCARD df_status df_simulator_time(df_simulator *simulator,
                                         const df_simulator_op *op,
                                         double *time_s,
                                         df_err *err);

struct df_simulated {
    df_simulator *net;
    const df_cfg_backend *backend;
    bool links_underated; /* every group has the links inside a node, underated */
    bool gather_whole; /* for an all-gather, pass all bytes to the simulator in place of a shard */
    double reduction_bytes_ps; /* rate of the memory in reductions; 0: that of the device's DRAM */
    /* Number of ranks whose algorithm a collective takes; NULL: that of its own members. */
    double (*algorithm_ranks)(void *context, const df_op *op, double members);
    void *context;
    /* The graph of a step has the algorithms for the devices that share a layer, if several do. */
    bool graph_as_layer;
};

/* Seconds of a collective of more than one member, with its launch. */
DF_NODISCARD df_status df_simulated_time(const df_coster *c,
                                         const df_op *op,
                                         const df_topo_group *group,
                                         double *time_s);

/* DF_EINVAL: more ranks than the simulator takes. The error names the largest degree of `axes`
 * (bit a for df_axis a), over which the ranks are. */
DF_NODISCARD df_status df_simulated_check_ranks(const df_topo *topo,
                                                unsigned axes,
                                                double ranks,
                                                df_err *err);

/* Bytes to pass to the simulator for a collective; for an all-gather, those of one shard. */
double df_simulated_bytes(const df_simulated *s, df_coll_kind kind, double bytes, double members);

/* The link that the simulator uses for a group that has `link`: with `underated` (the rule
 * astra_links_underated) it is the one inside a node before the derate, whatever the group. Both
 * are borrowed. */
const df_hw_link *df_simulated_link(const df_topo *topo, bool underated, const df_hw_link *link);

/* A network of `ranks` devices of the topology inside a node, connected by such links. Two
 * devices on a ring are connected to each other. */
df_net_network df_simulated_network(const df_topo *topo, double ranks, const df_hw_link *link);

/* The rate of the memory over which a device adds up what it receives: three times the bytes that
 * are added up, since it reads both summands and writes the sum. */
double df_simulated_reduction_bytes_ps(const df_simulated *s, const df_hw_device *dev);

/* The options of the backend; an algorithm that is not given is the one for the topology of
 * `ranks` devices. */
df_net_system df_simulated_system(const df_topo *topo,
                                  const df_cfg_backend *backend,
                                  double ranks,
                                  double reduction_bytes_ps);

/* The simulator's kind of a collective. */
df_net_collective df_simulated_kind(df_coll_kind kind);

#endif
