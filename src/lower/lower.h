/* lower.h: a step of a pipeline as programs of the network simulator.
 *
 *     df_step ── graph.c ──> a graph of blocks, hops, reductions and gathers; a stage is a device
 *     chains ─── flat.c ───> the same taken apart: the operators of a layer on each of its devices
 *                plan.c      where elements run, what each waits for, and in which order they run
 *                team.c      which devices do a collective together; turn.c: in which order
 *                trace.c ──> the programs of the ranks
 *
 * simulate.c has all of it done and timed; name.c names what traces and pictures show. */
#ifndef DF_LOWER_H
#define DF_LOWER_H
#include "graph/dag.h"
#include "op/op.h"
#include "runner/runner.h"
#include "sched/sched.h"

/* ---- A step as a graph ---- */

/* The role of an element of a step's graph. Roles of the embedding, of layers and of the logits
 * follow one another. */
typedef enum {
    DF_LOWER_MARK,
    DF_LOWER_EMBEDDING,
    DF_LOWER_BLOCK,
    DF_LOWER_LOGITS,
    DF_LOWER_HOP,
    DF_LOWER_REDUCE_EMBEDDING,
    DF_LOWER_REDUCE_LAYER,
    DF_LOWER_REDUCE_LOGITS,
    DF_LOWER_GATHER_EMBEDDING,
    DF_LOWER_GATHER_LAYER, /* of ZeRO 3, before the layer */
    DF_LOWER_GATHER_LOGITS,
    DF_LOWER_GATHER_REDUCED_LAYER, /* of ZeRO 2, after its reduction */
    DF_LOWER_OPERATOR,             /* a part of a layer */
    DF_LOWER_OPERATOR_COLLECTIVE,  /* among the devices that share a layer */
    DF_LOWER_ROLES
} df_lower_role;

/* What each device of a stage sends to the next stage, and what is moved among replicas, in bytes.
 */
typedef struct {
    double replicas, hop_bytes;
    df_step_parts reduced, gathered;
} df_lower_traffic;

/* The graph of a step, with *root as its root. The label of an element that computes is its
 * direction. traffic NULL: transfers carry nothing. NULL when out of memory. */
df_dag *df_lower_graph(const df_step *step, const df_lower_traffic *traffic, int32_t *root);

/* Writes the name of an element, such as "transformer_b0_layer3". */
void df_lower_name_element(const df_dag *dag, int32_t element, char *name, size_t size);

/* ---- A layer as operators ---- */

/* An operator on each device that shares a layer, or a collective behind it. */
typedef struct {
    int32_t op;       /* number of the operator, the caller's */
    const char *name; /* name of the operator, borrowed */
    bool is_collective;
    double duration_s;            /* of an operator */
    df_net_collective collective; /* and its bytes and participants */
    double bytes;
    int32_t participants;
} df_lower_item;

enum { DF_LOWER_CHAIN_MAX = 16 };

/* What a device does for a layer, in order. */
typedef struct {
    int direction;
    int32_t count;
    df_lower_item item[DF_LOWER_CHAIN_MAX];
} df_lower_chain;

void df_lower_add_item(df_lower_chain *chain, const df_lower_item *item);

/* The devices of a layer. They are divided into `shares` parts with the same parameters, which
 * exchange gradients as replicas do; the first device of a part acts for the whole part. */
typedef struct {
    const df_lower_chain *chains; /* [DF_DIRECTIONS] */
    int32_t ranks, shares;
} df_lower_layer;

/* ---- The simulation of both ---- */

typedef struct {
    bool hop_divided; /* the bytes of a hop are those of all devices that share a layer, not those
                         of each */
    bool hop_skips_collective;        /* stages do not wait for collectives at the end of a layer */
    bool reductions_on_first_devices; /* reductions of stage i run on device i */
    bool tags_meet;                   /* messages may share a tag, unless the run cannot end then */
    bool whole_microseconds; /* operators last whole microseconds, as in Chakra's traces, in place
                              * of whole nanoseconds */
    bool order_open;         /* a run in which devices wait for each other's collectives fails */
} df_lower_options;

/* The caller: it runs programs, and may watch. */
typedef struct {
    df_lower_options options;
    const char *where; /* folder of artifacts: a prefix, "" or with a slash at its end */
    void *context;
    /* Times a job, whose machine it fills in. */
    df_status (*run)(void *context, const df_runner_job *job, double *time_s, df_err *err);
    /* Is shown each graph before it is simulated. */
    df_status (*show)(void *context, const char *name, const df_dag *dag, df_err *err);
} df_lower_host;

/* Time of a step; with layer NULL a stage is one device that takes the durations of *step.
 * DF_ENOMEM; DF_EINVAL: it is too large for the simulator; DF_ESTUCK with order_open. */
DF_NODISCARD df_status df_lower_time_step(const df_lower_host *host,
                                          const df_step *step,
                                          const df_lower_traffic *traffic,
                                          const df_lower_layer *layer,
                                          double *time_s,
                                          df_err *err);
/* Time of a layer's chain of a direction, alone. */
DF_NODISCARD df_status df_lower_time_block(const df_lower_host *host,
                                           const df_lower_layer *layer,
                                           int direction,
                                           double *time_s,
                                           df_err *err);

#endif
