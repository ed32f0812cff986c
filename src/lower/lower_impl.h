/* lower_impl.h: inside src/lower. */
#ifndef DF_LOWER_IMPL_H
#define DF_LOWER_IMPL_H
#include "base/arena.h"
#include "lower/lower.h"

/* A graph that is to be simulated. */
typedef struct {
    const df_dag *dag;
    int32_t root;
    int32_t replicas;             /* of each device */
    int32_t first_id;             /* number of the first element, which messages are tagged with */
    const char *name, *artifacts; /* for host->show, and the folder of its files */
    df_lower_options options;
    bool in_turns; /* devices do their collectives in one order */
} df_lower_job;

/* ---- flat.c ---- */

/* The step that *root leads to, on layer->ranks devices for each of its own; *root becomes the root
 * of that graph. NULL when out of memory. */
df_dag *df_lower_flatten(const df_dag *step,
                         int32_t *root,
                         const df_lower_layer *layer,
                         const df_lower_options *options);

/* ---- plan.c ---- */

/* An element for which another one waits. */
typedef struct {
    int32_t element, waiter;
    int32_t edge; /* between them, DF_DAG_NOWHERE: none is known */
    int32_t next; /* source that is the same element; -1: none */
} df_lower_source;

/* What a graph's elements mean for the devices that they run on. */
typedef struct {
    const df_dag *dag;
    int32_t elements, devices;
    int32_t *device; /* [element]: its device, DF_DAG_NOWHERE: it does not run */
    struct {
        df_lower_source *all;
        int32_t count, room;
    } sources;
    int32_t *first; /* [elements + 1]: where an element's begin in the sources */
    int32_t *queue; /* elements in the order of their device, device by device */
    int32_t *begin; /* [devices + 1]: where a device's begin in the queue */
    /* A unit consists of elements that are executed as a whole: a single element, copies of one for
     * several devices, or a team, which executes one collective of an operator. A group is the
     * devices of some teams. */
    int32_t *unit;         /* [element]: the first of its unit */
    int32_t *next_of_unit; /* [element]: -1 ends the unit */
    int32_t *group;        /* [element], an operator's collective: its team's, from 0 on */
    int32_t *members;      /* devices of all groups, one after another */
    int32_t *first_member; /* [groups + 1]: of a group */
    int32_t groups;
    /* The order in which devices come to their collectives; -1: none, or they do not keep one. */
    int32_t *previous; /* [element], a collective: the one before it on its device */
    int32_t *next;     /* [element]: the first on its device that waits for what it sends */
} df_lower_plan;

/* Plans what the root of a job leads to. Here and below, when memory runs out the arena has failed.
 * False as well when elements wait for each other. */
bool df_lower_make_plan(df_arena *arena, const df_lower_job *job, df_lower_plan *plan);

/* Links the sources that are the same element, in the order in which the `count` elements of
 * `order` (NULL: all) wait for it. Returns the first source of each element; -1: none. */
int32_t *
df_lower_link_sources(df_arena *arena, df_lower_plan *plan, const int32_t *order, int32_t count);

/* ---- team.c ---- */

/* Finds the units and groups of a plan. */
void df_lower_make_teams(df_arena *arena, df_lower_plan *plan);

/* ---- turn.c ---- */

/* Fills previous and next of a plan with one order for all devices, so that no two wait for each
 * other. False when there is none, since elements do. */
bool df_lower_take_turns(df_arena *arena, df_lower_plan *plan);

/* ---- trace.c ---- */

/* The programs of a graph's ranks. A rank alone has a twin. DF_ENOMEM; DF_EINVAL: more than the
 * simulator can hold; DF_ERUNTIME. */
DF_NODISCARD df_status df_lower_trace(const df_lower_job *job,
                                      df_net_program **program,
                                      df_err *err);

/* ---- name.c ---- */

/* Names the nodes of a program that df_lower_trace made: a df_et_namer, with the graph as its
 * context. */
void df_lower_name_node(const void *dag, const df_net_node *node, char *name, size_t size);

#endif
