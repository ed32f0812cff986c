/* dag.h: a graph of work on devices and of transfers, and its discrete event simulation.
 *
 * A compute element needs its device, one at a time. An edge element (a transfer or a collective)
 * needs nothing, and waits only for its parents. */
#ifndef DF_DAG_H
#define DF_DAG_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "net/net.h"

typedef struct df_dag df_dag;

typedef enum { DF_DAG_COMPUTE, DF_DAG_PIPELINE, DF_DAG_COLLECTIVE } df_dag_kind;

/* Which children df_dag_attach takes. */
typedef enum { DF_DAG_ALL, DF_DAG_ONLY_PIPELINE, DF_DAG_NO_PIPELINE } df_dag_filter;

enum { DF_DAG_NOWHERE = -1 };

/* An element. df_dag_run reads the first three fields and the batch of a repeated graph; the others
 * say what the element stands for, for code that takes a graph apart. */
typedef struct {
    df_dag_kind kind;
    int32_t device; /* device on which it computes or to which, as an edge, it belongs;
                       DF_DAG_NOWHERE: none */
    double duration_s;
    int32_t role, label; /* the caller's */
    const char *name;    /* the caller's, borrowed; NULL: none */
    df_net_collective collective;
    int32_t participants; /* participants of a collective */
    int32_t batch, layer; /* micro-batch and layer to which the element belongs */
    double bytes;         /* bytes of an edge */
    int32_t mate; /* how far back the element lies that this one copies for another device */
} df_dag_element;

/* NULL when out of memory. */
df_dag *df_dag_new(int num_devices);
void df_dag_free(df_dag *dag);

/* Adds a copy of an element and returns its number, from 0 on. When memory runs out, this call and
 * all that follow do nothing, elements read as blank, and df_dag_run fails. */
int32_t df_dag_add(df_dag *dag, const df_dag_element *element);
/* The second waits for the first. */
void df_dag_link(df_dag *dag, int32_t from, int32_t to);
/* Makes `edge` run in parallel with h: after the parents of h, and before those children of h that
 * the filter accepts. Elements that are already linked are not linked again. */
void df_dag_attach(df_dag *dag, int32_t h, int32_t edge, df_dag_filter filter);
void df_dag_retime(df_dag *dag, int32_t element, double duration_s);

/* Reading a graph. Elements are valid until the next one is added; children and parents are in the
 * order of linking and valid until the next link. */
const df_dag_element *df_dag_at(const df_dag *dag, int32_t element);
const int32_t *df_dag_children(const df_dag *dag, int32_t element, int32_t *count);
const int32_t *df_dag_parents(const df_dag *dag, int32_t element, int32_t *count);
int32_t df_dag_count(const df_dag *dag);
int df_dag_devices(const df_dag *dag);
/* Whether memory ran out at some time: then the graph is not whole. */
bool df_dag_failed(const df_dag *dag);

/* Time of the last event if root starts at 0. Root does not occupy its device. Ties go to the
 * element that started first. Elements to which root does not lead are left out. DF_ENOMEM.
 *
 * batches 0: the graph is whole. Otherwise it stands for a graph that is too long to be held: `dag`
 * has DF_DAG_SHOWN batches (of its elements) and represents one of `batches`, at least as many, in
 * which the middle batch is repeated. Elements of each batch must have been added in the same
 * order, and what is special about the first or last batch must not reach beyond it. Memory grows
 * with what is under way, not with `batches`. */
enum { DF_DAG_SHOWN = 5 };
DF_NODISCARD df_status
df_dag_run(const df_dag *dag, int32_t root, int64_t batches, double *time_s, df_err *err);

#endif
