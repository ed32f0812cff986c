/* pipeline_impl.h: what building and simulating the pipeline graph share.
 *
 * A graph is a row of operations: first the nodes (embedding, cells, softmax of
 * every time step), then the edges, grouped by the node they start from:
 *
 *     ops: [node 0][node 1]...[node n-1][edges of 0][edges of 1]...
 *
 * Every edge starts from one node and leads to one node, or to none (reductions).
 * Every operation occupies one resource for one duration. Resources are the
 * devices 0..lp-1, the links lp..3lp-2, and the memory 3lp-1, which takes any
 * number of edges at a time. */
#ifndef DF_PIPELINE_IMPL_H
#define DF_PIPELINE_IMPL_H
#include <stdbool.h>
#include <stdint.h>

#include "graph/pipeline.h"

/* Which of the durations of df_pipeline_times an operation takes. */
typedef enum {
    DF_TAKES_NOTHING,
    DF_TAKES_HOP,   /* embedding to cell, cell to softmax, and back */
    DF_TAKES_CROSS, /* between layers on different devices */
    DF_TAKES_EMBEDDING,
    DF_TAKES_CELL,
    DF_TAKES_SOFTMAX,
    DF_TAKES_RED_EMBEDDING,
    DF_TAKES_RED_CELL,
    DF_TAKES_RED_SOFTMAX,
    DF_TAKES_KINDS
} df_pipeline_takes;

enum { DF_PIPELINE_NOWHERE = -1 };

typedef struct {
    int32_t first; /* of a node: its first edge; of an edge: the node it leads to, or NOWHERE */
    uint16_t resource;
    uint8_t takes;     /* df_pipeline_takes */
    uint8_t num_edges; /* of a node */
} df_pipeline_op;

typedef struct {
    int32_t num_nodes, num_ops;
    int32_t root;
    df_pipeline_op *ops; /* [num_ops] */
    uint16_t *parents;   /* [num_nodes]: edges that lead to each node */
} df_pipeline_graph;

/* An operation that started and finishes at `time`; `seq` counts the starts. */
typedef struct {
    double time;
    uint32_t seq;
    int32_t op;
} df_pipeline_event;

typedef struct {
    uint32_t seq;
    int32_t op;
} df_pipeline_instant;

/* One device, one link, or the memory. Waiting operations form a list. */
typedef struct {
    int32_t head, tail; /* NOWHERE: nobody waits */
    bool busy;
    bool exclusive; /* false for the memory: never busy */
} df_pipeline_resource;

/* Buffers of the simulation, sized for both graphs of a shape. */
typedef struct {
    df_pipeline_event *heap;       /* running operations that take time */
    df_pipeline_instant *instants; /* [num_ops]: operations that take none, as started */
    uint16_t *parents;             /* [num_nodes]: parents yet to finish */
    int32_t *next;                 /* [num_ops]: who waits behind an operation */
    df_pipeline_resource *resources;
} df_pipeline_buffers;

/* A simulation under way. */
typedef struct {
    const df_pipeline_graph *graph;
    df_pipeline_buffers buf;
    double takes_s[DF_TAKES_KINDS];
    int32_t memory;         /* number of the memory resource */
    int32_t memory_release; /* the resource that the end of a memory edge sets free */
    int32_t heap_len;
    int32_t instant_head, instant_tail;
    uint32_t seq;
    double now_s;
} df_pipeline_sim;

/* Begins at time 0 with the root, which occupies its resource. The caller has
 * set graph, buf, takes_s, memory and memory_release. */
void df_pipeline_sim_start(df_pipeline_sim *sim);

/* Finishes the next operation and starts what can start then. Returns its
 * number, or DF_PIPELINE_NOWHERE when all is done. */
int32_t df_pipeline_sim_step(df_pipeline_sim *sim);

/* Returns the time of the last event; leaves *sim itself where it is. */
double df_pipeline_sim_finish(const df_pipeline_sim *sim);

#endif
