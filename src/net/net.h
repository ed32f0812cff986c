/* net.h: simulates programs of many ranks (compute, messages, collectives) on one network.
 *
 * The rules are those of AstraSim with its congestion-aware analytical network, to the last
 * nanosecond: messages are stored and forwarded whole, a link carries one at a time, and
 * whatever happens at one tick happens in the order in which it was scheduled. Time is a
 * whole number of nanoseconds. No I/O, no MPI, no shared state: every simulator is its own. */
#ifndef DF_NET_H
#define DF_NET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* ---- The machine ---- */

enum { DF_NET_RANKS_MAX = 32768 };

typedef enum { DF_NET_RING, DF_NET_FULLY_CONNECTED, DF_NET_SWITCH } df_net_topology;

typedef struct {
    df_net_topology topology;
    int32_t ranks;           /* 2 to DF_NET_RANKS_MAX, on a ring at least 3 */
    double bandwidth_gib_ps; /* of a link in one direction; GiB = 2^30 bytes */
    double latency_ns;       /* of one hop */
} df_net_network;

typedef enum {
    DF_NET_ALL_REDUCE,
    DF_NET_ALL_GATHER,
    DF_NET_REDUCE_SCATTER,
    DF_NET_ALL_TO_ALL,
    DF_NET_BROADCAST, /* lasts its duration and sends nothing */
} df_net_collective;
enum { DF_NET_IMPLEMENTED = DF_NET_BROADCAST }; /* those that have an algorithm */

typedef enum {
    DF_NET_ALG_RING,
    DF_NET_ALG_DIRECT,
    DF_NET_ALG_HALVING_DOUBLING, /* powers of two; not for all-to-all */
    DF_NET_ALG_BINARY_TREE,      /* two trees; powers of two, all ranks; always all-reduces */
    DF_NET_ALG_NONE,             /* a collective that needs one is refused */
} df_net_algorithm_kind;

typedef struct {
    df_net_algorithm_kind kind;
    int32_t window; /* for direct: messages under way at once; 0: one to every member */
} df_net_algorithm;

typedef struct {
    int64_t endpoint_delay_ns; /* delay before every message of a collective of all ranks */
    int32_t splits;            /* chunks that a collective is cut into, >= 1 */
    int32_t active_chunks;     /* chunks under way at once, >= 1 */
    double local_mem_gb_ps;    /* rate of reductions; GB = 1e9 bytes; 0: they take no time */
    df_net_algorithm algorithm[DF_NET_IMPLEMENTED];
} df_net_system;

/* ---- The program ---- */

typedef enum {
    DF_NET_MARK,    /* ends at once, but its children wait until another node has ended */
    DF_NET_COMPUTE, /* duration_ns */
    DF_NET_SEND,    /* bytes to peer; ends when they have arrived */
    DF_NET_RECEIVE, /* bytes from peer */
    DF_NET_COMM,    /* collective of bytes, in group */
} df_net_node_type;

/* What a node's duration_ns means. */
typedef enum {
    DF_NET_BY_TYPE,  /* it applies only to computation and broadcasts; 0 lasts 1 ns */
    DF_NET_REPLAYED, /* the node lasts it, whatever its type; 0 lasts 1 ns; nothing is sent */
    DF_NET_MODELLED, /* it applies only to computation; 0 lasts 0 ns */
} df_net_timing;

typedef struct {
    uint64_t id; /* the node with the lowest id among those that can start does so first */
    df_net_node_type type;
    df_net_collective collective;
    bool on_cpu; /* computes beside the GPU */
    df_net_timing timing;
    uint64_t duration_ns; /* meaning as `timing` says */
    uint64_t bytes;
    int32_t peer;
    uint32_t tag;         /* a message is received by tag, ranks and size */
    int32_t group;        /* id of a group; 0: all ranks */
    uint32_t label;       /* the builder's own; the simulator does not look at it */
    const uint64_t *deps; /* ids of the nodes of this rank that must have ended */
    int32_t num_deps;
} df_net_node;

typedef struct df_net_program df_net_program;

/* DF_EINVAL: less than 1 or more than DF_NET_RANKS_MAX ranks. */
DF_NODISCARD df_status df_net_check_ranks(double ranks, df_err *err);

/* Whether `ranks` of `all` can run a collective with the algorithm that the system has for it.
 * DF_EINVAL: "expected ..., found ...". */
DF_NODISCARD df_status df_net_check_algorithm(
    const df_net_system *system, df_net_collective kind, int32_t ranks, int32_t all, df_err *err);

/* DF_EINVAL: as df_net_check_ranks. DF_ENOMEM. */
DF_NODISCARD df_status df_net_program_new(int32_t ranks, df_net_program **program, df_err *err);
void df_net_program_free(df_net_program *program);

/* Adds a node to a rank; copies what it points to. A node whose id exists already replaces that one
 * and inherits its dependencies. DF_EINVAL, DF_ENOMEM. */
DF_NODISCARD df_status df_net_program_add(df_net_program *program,
                                          int32_t rank,
                                          const df_net_node *node,
                                          df_err *err);

/* Adds a group. id > 0; the order of the ranks is their order on the ring. */
DF_NODISCARD df_status df_net_program_add_group(
    df_net_program *program, int32_t id, const int32_t *ranks, int32_t count, df_err *err);

/* Ends the building: resolves groups and dependencies. Then the program is constant and may
 * be run any number of times, by several simulators at once.
 * DF_EINVAL: a dependency or group that is not there, a cycle, a rank without nodes. */
DF_NODISCARD df_status df_net_program_seal(df_net_program *program, df_err *err);

/* Reading a sealed program (export.c). */
int32_t df_net_program_ranks(const df_net_program *program);
/* Calls `visit` for each node of a rank, by id; the node's deps are its own until it returns.
 * Ends at the first failure. DF_ENOMEM, or what visit says. */
DF_NODISCARD df_status df_net_program_visit(
    const df_net_program *program,
    int32_t rank,
    df_status (*visit)(void *context, int32_t rank, const df_net_node *node, df_err *err),
    void *context,
    df_err *err);
/* The number-th group, by id; NULL when there are no more. */
const int32_t *
df_net_program_group(const df_net_program *program, int32_t number, int32_t *id, int32_t *count);
/* Hands all that a run depends on, without labels, to `take`, piece by piece: equal bytes in
 * equal order are equal programs. */
void df_net_program_digest(const df_net_program *program,
                           void (*take)(void *context, const void *bytes, size_t size),
                           void *context);

/* ---- The run ---- */

typedef struct df_net_sim df_net_sim; /* the workspace; grows to what the largest run needs */

typedef struct {
    int32_t ranks;
    uint64_t max_ns;           /* end of the last rank */
    uint64_t events;           /* how many were simulated */
    const uint64_t *cycles_ns; /* end of each rank */
    const uint64_t
        *exposed_ns; /* end less the computation of the GPU of this rank (and less what is replayed
                        off the CPU); 0 if these take longer, because they overlap */
    const int32_t *finish_order; /* ranks in the order in which they ended */
    uint64_t links;              /* links in the topology, each one-way */
    uint32_t links_made;         /* df_net_links_made */
} df_net_result;

/* A link from a device to another. Devices are the ranks; a switch is number `ranks`. */
typedef struct {
    int32_t from, to;
    uint64_t messages, bytes; /* what the link carried */
    uint64_t busy_ns;         /* time in which the link could take no other message */
} df_net_link_use;

/* ---- Observing a run ---- */

/* A node that has ended; marks are not observed. */
typedef struct {
    int32_t rank;
    uint64_t start_ns, end_ns;
    df_net_node node; /* without its dependencies */
} df_net_span;

/* A message that enters a link. */
typedef struct {
    int32_t from, to; /* ends of the link, as in df_net_link_use */
    int32_t src, dst; /* ends of the message */
    uint32_t tag;     /* tag of the node; collectives have tags of their own, by chunk */
    uint64_t bytes;
    uint64_t start_ns, free_ns, arrival_ns; /* free: the link takes another message */
} df_net_transfer;

/* Either function may be NULL. They must not use the simulator. */
typedef struct {
    void *context;
    void (*node)(void *context, const df_net_span *span);
    void (*transfer)(void *context, const df_net_transfer *transfer);
} df_net_observer;

/* NULL when out of memory. */
df_net_sim *df_net_sim_new(void);
void df_net_sim_free(df_net_sim *sim);

/* Makes subsequent runs call the functions of this observer, which is copied. NULL: no observer. */
void df_net_sim_observe(df_net_sim *sim, const df_net_observer *observer);
/* Bounds the memory for what is under way in a run (8 GiB by default), and the number of events in
 * a run (unlimited by default). A run that needs more fails with DF_ENOMEM or DF_ERUNTIME. */
void df_net_sim_limit(df_net_sim *sim, uint64_t bytes, uint64_t events);

/* Runs a sealed program. The arrays of *result are the simulator's, until its next run.
 * DF_EINVAL: what program, network or system ask for is not possible.
 * DF_ESTUCK: the run cannot finish; the text names ranks, nodes and what they wait for. */
DF_NODISCARD df_status df_net_run(df_net_sim *sim,
                                  const df_net_program *program,
                                  const df_net_network *network,
                                  const df_net_system *system,
                                  df_net_result *result,
                                  df_err *err);

/* How many links the last run has made: on a fully connected network those that were used. */
uint32_t df_net_links_made(const df_net_sim *sim);
/* What one of them carried, also when the run failed; number < df_net_links_made. */
df_net_link_use df_net_link_used(const df_net_sim *sim, uint32_t number);

const char *df_net_topology_name(df_net_topology topology);
const char *df_net_collective_name(df_net_collective collective);
/* The name that system files have for it. */
const char *df_net_algorithm_name(df_net_algorithm_kind algorithm);

#endif
