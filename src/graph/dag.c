#include "graph/dag.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

/* Numbers in the order in which they came, from `begin` on in the pool of their graph; a list that
 * is full moves to the pool's end. */
typedef struct {
    int32_t begin, count, room;
} numbers;

typedef struct {
    df_dag_element element;
    numbers children, parents;
} node;

struct df_dag {
    node *all;
    int32_t count, room;
    struct {
        int32_t *all;
        int32_t count, room;
    } pool;
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
    if (dag) {
        free(dag->pool.all);
        free(dag->all);
        free(dag);
    }
}

static bool append(df_dag *dag, numbers *list, int32_t number)
{
    if (list->count == list->room) {
        const int32_t room = list->room > 0 ? 2 * list->room : 2; /* most lists have one or two */
        while (dag->pool.room - dag->pool.count < room) {
            if (!df_list_grow(&dag->pool.all, &dag->pool.room, sizeof *dag->pool.all)) {
                return false;
            }
        }
        if (list->count > 0) {
            memcpy(&dag->pool.all[dag->pool.count], &dag->pool.all[list->begin],
                   (size_t)list->count * sizeof *dag->pool.all);
        }
        *list = (numbers){dag->pool.count, list->count, room};
        dag->pool.count += room;
    }
    dag->pool.all[list->begin + list->count++] = number;
    return true;
}

static bool has(const df_dag *dag, const numbers *list, int32_t number)
{
    for (int32_t i = 0; i < list->count; i++) {
        if (dag->pool.all[list->begin + i] == number) {
            return true;
        }
    }
    return false;
}

int32_t df_dag_add(df_dag *dag, const df_dag_element *element)
{
    const node fresh = {.element = *element};
    if (dag->failed || !DF_LIST_ADD(dag, fresh)) {
        dag->failed = true;
        return 0;
    }
    return dag->count - 1;
}

void df_dag_link(df_dag *dag, int32_t from, int32_t to)
{
    if (!dag->failed) {
        dag->failed =
            !append(dag, &dag->all[from].children, to) || !append(dag, &dag->all[to].parents, from);
    }
}

static bool taken(const df_dag *dag, int32_t child, df_dag_filter filter)
{
    const bool pipeline = dag->all[child].element.kind == DF_DAG_PIPELINE;
    return filter == DF_DAG_ALL || pipeline == (filter == DF_DAG_ONLY_PIPELINE);
}

void df_dag_attach(df_dag *dag, int32_t h, int32_t edge, df_dag_filter filter)
{
    if (dag->failed) {
        return;
    }
    const node around = dag->all[h];
    for (int32_t i = 0; i < around.parents.count; i++) {
        const int32_t parent = dag->pool.all[around.parents.begin + i];
        if (!has(dag, &dag->all[parent].children, edge)) {
            df_dag_link(dag, parent, edge);
        }
    }
    for (int32_t i = 0; i < around.children.count; i++) {
        const int32_t child = dag->pool.all[around.children.begin + i];
        if (taken(dag, child, filter) && !has(dag, &dag->all[child].parents, edge)) {
            df_dag_link(dag, edge, child);
        }
    }
}

static const node *node_at(const df_dag *dag, int32_t element)
{
    static const node blank;
    return dag->failed ? &blank : &dag->all[element];
}

const df_dag_element *df_dag_at(const df_dag *dag, int32_t element)
{
    return &node_at(dag, element)->element;
}

void df_dag_retime(df_dag *dag, int32_t element, double duration_s)
{
    dag->all[element].element.duration_s = duration_s;
}

static const int32_t *items(const df_dag *dag, const numbers *list, int32_t *count)
{
    *count = list->count;
    return list->count > 0 ? &dag->pool.all[list->begin] : NULL;
}

const int32_t *df_dag_children(const df_dag *dag, int32_t element, int32_t *count)
{
    return items(dag, &node_at(dag, element)->children, count);
}

const int32_t *df_dag_parents(const df_dag *dag, int32_t element, int32_t *count)
{
    return items(dag, &node_at(dag, element)->parents, count);
}

int32_t df_dag_count(const df_dag *dag)
{
    return dag->count;
}

int df_dag_devices(const df_dag *dag)
{
    return dag->num_devices;
}

bool df_dag_failed(const df_dag *dag)
{
    return dag->failed;
}
