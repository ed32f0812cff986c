/* llm_net.h: inside the LLM model, what goes to the network simulator.
 *
 *   llm_flat.c   a step's graph taken apart into devices
 *   llm_plan.c   a graph's elements: where they run, what for they wait, in which order
 *   llm_team.c   which devices do a collective together; llm_turn.c: in which order
 *   llm_trace.c  a graph as programs of the simulator's ranks
 *   llm_name.c   what elements are called, in traces and pictures
 *   llm_astra.c  collectives, blocks and steps timed by the simulator */
#ifndef DF_LLM_NET_H
#define DF_LLM_NET_H
#include "llm/llm_impl.h"
#include "net/net.h"

/* Operators of a layer on one device and the collectives between them, in order. */
typedef struct {
    bool is_collective;
    double duration_s; /* of an operator */
    df_coll_kind kind; /* of a collective */
    double bytes;
    int32_t participants;
    int32_t label; /* equal for the same one of all devices and layers */
} df_llm_chain_item;

enum { DF_LLM_CHAIN_MAX = 16 };

typedef struct {
    df_llm_chain_item item[DF_LLM_CHAIN_MAX];
    int32_t count;
} df_llm_chain;

/* Appends a chain on a device; returns its first element, -1 if it is empty. It has the batch
 * and layer of `block`. */
int32_t
df_llm_add_chain(df_dag *dag, const df_llm_chain *chain, int32_t device, const df_dag_info *block);

/* Of an operator (kind P2P), or of a collective behind it. */
int32_t df_llm_label_of(df_row_name op, int direction, df_coll_kind kind);

/* How many devices share a layer. They fall into `shares` parts with the same parameters, which
 * exchange gradients as replicas do; the first device of a part does it for the part. */
typedef struct {
    int32_t stages, ranks, shares;
} df_llm_split;

/* The step that *root leads to, by devices; *root becomes the root of that graph. NULL when
 * out of memory. */
df_dag *df_llm_flatten(const df_dag *step,
                       int32_t *root,
                       const df_llm_chain chains[DF_DIRECTIONS],
                       const df_llm_split *split,
                       const df_rules *rules);

/* Names the nodes of a program that df_llm_trace made: a df_et_namer, with the graph as its
 * context. */
void df_llm_name_node(const void *dag, const df_net_node *node, char *name, size_t size);

/* A graph that is to be simulated. */
typedef struct {
    const df_dag *dag;
    int32_t root;
    int32_t replicas; /* of each device */
    bool exchanges;   /* collectives of data parallelism are done */
    int32_t first_id; /* number of the first element, which messages are tagged with */
    const df_rules *rules;
    bool in_turns; /* devices do their collectives in one order (llm_team.h) */
} df_llm_traced;

/* The simulator's programs of a graph. A rank alone has a twin. */
DF_NODISCARD df_status df_llm_trace(const df_llm_traced *what,
                                    df_net_program **program,
                                    df_err *err);

#endif
