/* llm_plan.h: what a graph's elements mean for the devices that they run on: where each runs,
 * what it waits for there and elsewhere, and in which order a device comes to its own. */
#ifndef DF_LLM_PLAN_H
#define DF_LLM_PLAN_H
#include "graph/dag.h"
#include "rules/rules.h"

enum { DF_LLM_NOWHERE = -1 };

/* Some items of a list. */
typedef struct {
    int32_t first, count;
} df_llm_stretch;

/* An element of another device that one waits for, and the edge between, DF_LLM_NOWHERE: none. */
typedef struct {
    int32_t source, edge;
} df_llm_remote;

typedef struct {
    int32_t *all;
    int32_t count, room;
} df_llm_numbers;

typedef struct {
    df_llm_remote *all;
    int32_t count, room;
} df_llm_remotes;

typedef struct {
    const df_dag *dag;
    int32_t elements, devices;
    int32_t *device;        /* [element]: number of its device, DF_LLM_NOWHERE: it does not run */
    df_llm_stretch *near;   /* [element]: in sources, what it waits for on its device */
    df_llm_stretch *far;    /* [element]: in remotes, what it waits for elsewhere */
    df_llm_numbers sources; /* elements */
    df_llm_remotes remotes;
    int32_t *queue; /* elements in the order of their device, device by device */
    int32_t *begin; /* [devices + 1]: where a device's begin in the queue */
} df_llm_plan;

/* Plans what root leads to. Without `exchanges`, collectives of data parallelism are nothing.
 * Free the plan after a failure too. DF_ENOMEM; DF_ERUNTIME: elements wait for each other. */
DF_NODISCARD df_status df_llm_plan_make(const df_dag *dag,
                                        int32_t root,
                                        bool exchanges,
                                        const df_rules *rules,
                                        df_llm_plan *plan,
                                        df_err *err);
void df_llm_plan_free(df_llm_plan *plan);

bool df_llm_is_compute(const df_dag *dag, int32_t element);
/* A collective among replicas. */
bool df_llm_is_data_parallel(const df_dag *dag, int32_t element);

#endif
