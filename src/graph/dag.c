#include "graph/dag.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

enum { FEW = 2 };

/* Numbers in the order in which they came; most lists are of one or two. */
typedef struct {
    int32_t *many; /* when room > 0 */
    int32_t few[FEW];
    int32_t count, room;
} numbers;

typedef struct {
    df_dag_kind kind;
    int32_t device;
    double duration_s;
    numbers children, parents;
    df_dag_info info;
} element;

struct df_dag {
    element *all;
    int32_t count, room;
    int num_devices;
    bool failed; /* out of memory */
};

df_dag *df_dag_new(int num_devices)
{
    df_dag *const dag = calloc(1, sizeof *dag);
    if (dag) {
        dag->num_devices = num_devices;
    }
    return dag;
}

void df_dag_free(df_dag *dag)
{
    if (!dag) {
        return;
    }
    for (int32_t i = 0; i < dag->count; i++) {
        free(dag->all[i].children.many);
        free(dag->all[i].parents.many);
    }
    free(dag->all);
    free(dag);
}

static const int32_t *items(const numbers *list)
{
    return list->room > 0 ? list->many : list->few;
}

static bool append(numbers *list, int32_t number)
{
    if (list->room == 0 && list->count < FEW) {
        list->few[list->count++] = number;
        return true;
    }
    const bool first = list->room == 0;
    int32_t *const many =
        df_grow(first ? NULL : list->many, first ? 0 : list->count, &list->room, sizeof *many);
    if (!many) {
        return false;
    }
    if (first) {
        memcpy(many, list->few, sizeof list->few);
    }
    list->many = many;
    many[list->count++] = number;
    return true;
}

static bool has(const numbers *list, int32_t number)
{
    for (int32_t i = 0; i < list->count; i++) {
        if (items(list)[i] == number) {
            return true;
        }
    }
    return false;
}

int32_t df_dag_add(df_dag *dag, df_dag_kind kind, int32_t device, double duration_s)
{
    const element fresh = {
        .kind = kind, .device = device, .duration_s = duration_s, .info = {.home = -1}};
    if (dag->failed || !DF_LIST_ADD(dag, fresh)) {
        dag->failed = true;
        return 0;
    }
    return dag->count - 1;
}

void df_dag_link(df_dag *dag, int32_t from, int32_t to)
{
    if (!dag->failed) {
        dag->failed = !append(&dag->all[from].children, to) || !append(&dag->all[to].parents, from);
    }
}

static bool taken(const df_dag *dag, int32_t child, df_dag_filter filter)
{
    const bool pipeline = dag->all[child].kind == DF_DAG_PIPELINE;
    return filter == DF_DAG_ALL || pipeline == (filter == DF_DAG_ONLY_PIPELINE);
}

void df_dag_attach(df_dag *dag, int32_t h, int32_t edge, df_dag_filter filter)
{
    if (dag->failed) {
        return;
    }
    const int32_t parents = dag->all[h].parents.count;
    const int32_t children = dag->all[h].children.count;
    for (int32_t i = 0; i < parents; i++) {
        const int32_t parent = items(&dag->all[h].parents)[i];
        if (!has(&dag->all[parent].children, edge)) {
            df_dag_link(dag, parent, edge);
        }
    }
    for (int32_t i = 0; i < children; i++) {
        const int32_t child = items(&dag->all[h].children)[i];
        if (taken(dag, child, filter) && !has(&dag->all[child].parents, edge)) {
            df_dag_link(dag, edge, child);
        }
    }
}

int32_t df_dag_device(const df_dag *dag, int32_t element_number)
{
    return dag->failed ? 0 : dag->all[element_number].device;
}

void df_dag_describe(df_dag *dag, int32_t element_number, const df_dag_info *info)
{
    if (!dag->failed) {
        dag->all[element_number].info = *info;
    }
}

const df_dag_info *df_dag_info_of(const df_dag *dag, int32_t element_number)
{
    return &dag->all[element_number].info;
}

int df_dag_devices(const df_dag *dag)
{
    return dag->num_devices;
}

int32_t df_dag_count(const df_dag *dag)
{
    return dag->count;
}

df_dag_kind df_dag_kind_of(const df_dag *dag, int32_t element_number)
{
    return dag->all[element_number].kind;
}

double df_dag_duration_s(const df_dag *dag, int32_t element_number)
{
    return dag->all[element_number].duration_s;
}

void df_dag_retime(df_dag *dag, int32_t element_number, double duration_s)
{
    dag->all[element_number].duration_s = duration_s;
}

const int32_t *df_dag_children(const df_dag *dag, int32_t element_number, int32_t *count)
{
    *count = dag->all[element_number].children.count;
    return items(&dag->all[element_number].children);
}

const int32_t *df_dag_parents(const df_dag *dag, int32_t element_number, int32_t *count)
{
    *count = dag->all[element_number].parents.count;
    return items(&dag->all[element_number].parents);
}

bool df_dag_failed(const df_dag *dag)
{
    return dag->failed;
}
