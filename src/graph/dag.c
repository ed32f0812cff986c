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
    bool queued, done;
} element;

/* What is under way, ordered by end, then by start. */
typedef struct {
    double end_s;
    int64_t sequence;
    int32_t element;
} event;

/* Elements that wait for a device, first come first served. */
typedef struct {
    int32_t *all;
    int32_t begin, end, room;
} waiting;

struct df_dag {
    element *elements;
    int32_t count, room;
    int num_devices;
    bool failed; /* out of memory */
    /* of a run */
    event *heap;
    int32_t under_way, heap_room;
    int64_t sequence;
    waiting *queues;
    bool *busy;
};

df_dag *df_dag_new(int num_devices)
{
    df_dag *const dag = calloc(1, sizeof *dag);
    if (!dag) {
        return NULL;
    }
    dag->num_devices = num_devices;
    dag->queues = calloc((size_t)num_devices, sizeof *dag->queues);
    dag->busy = calloc((size_t)num_devices, sizeof *dag->busy);
    if (!dag->queues || !dag->busy) {
        df_dag_free(dag);
        return NULL;
    }
    return dag;
}

void df_dag_free(df_dag *dag)
{
    if (!dag) {
        return;
    }
    for (int32_t i = 0; i < dag->count; i++) {
        free(dag->elements[i].children.many);
        free(dag->elements[i].parents.many);
    }
    for (int i = 0; dag->queues && i < dag->num_devices; i++) {
        free(dag->queues[i].all);
    }
    free(dag->elements);
    free(dag->heap);
    free(dag->queues);
    free(dag->busy);
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
    element *const all =
        dag->failed ? NULL : df_grow(dag->elements, dag->count, &dag->room, sizeof *all);
    if (!all) {
        dag->failed = true;
        return 0;
    }
    dag->elements = all;
    memset(&all[dag->count], 0, sizeof all[0]);
    all[dag->count].kind = kind;
    all[dag->count].device = device;
    all[dag->count].duration_s = duration_s;
    all[dag->count].info.home = -1;
    return dag->count++;
}

void df_dag_link(df_dag *dag, int32_t from, int32_t to)
{
    if (!dag->failed) {
        dag->failed =
            !append(&dag->elements[from].children, to) || !append(&dag->elements[to].parents, from);
    }
}

static bool taken(const df_dag *dag, int32_t child, df_dag_filter filter)
{
    const bool pipeline = dag->elements[child].kind == DF_DAG_PIPELINE;
    return filter == DF_DAG_ALL || pipeline == (filter == DF_DAG_ONLY_PIPELINE);
}

void df_dag_attach(df_dag *dag, int32_t h, int32_t edge, df_dag_filter filter)
{
    if (dag->failed) {
        return;
    }
    const int32_t parents = dag->elements[h].parents.count;
    const int32_t children = dag->elements[h].children.count;
    for (int32_t i = 0; i < parents; i++) {
        const int32_t parent = items(&dag->elements[h].parents)[i];
        if (!has(&dag->elements[parent].children, edge)) {
            df_dag_link(dag, parent, edge);
        }
    }
    for (int32_t i = 0; i < children; i++) {
        const int32_t child = items(&dag->elements[h].children)[i];
        if (taken(dag, child, filter) && !has(&dag->elements[child].parents, edge)) {
            df_dag_link(dag, edge, child);
        }
    }
}

int32_t df_dag_device(const df_dag *dag, int32_t element_number)
{
    return dag->failed ? 0 : dag->elements[element_number].device;
}

void df_dag_tell(df_dag *dag, int32_t element_number, const df_dag_info *info)
{
    if (!dag->failed) {
        dag->elements[element_number].info = *info;
    }
}

const df_dag_info *df_dag_told(const df_dag *dag, int32_t element_number)
{
    return &dag->elements[element_number].info;
}

int32_t df_dag_count(const df_dag *dag)
{
    return dag->count;
}

df_dag_kind df_dag_kind_of(const df_dag *dag, int32_t element_number)
{
    return dag->elements[element_number].kind;
}

double df_dag_duration_s(const df_dag *dag, int32_t element_number)
{
    return dag->elements[element_number].duration_s;
}

void df_dag_retime(df_dag *dag, int32_t element_number, double duration_s)
{
    dag->elements[element_number].duration_s = duration_s;
}

const int32_t *df_dag_children(const df_dag *dag, int32_t element_number, int32_t *count)
{
    *count = dag->elements[element_number].children.count;
    return items(&dag->elements[element_number].children);
}

const int32_t *df_dag_parents(const df_dag *dag, int32_t element_number, int32_t *count)
{
    *count = dag->elements[element_number].parents.count;
    return items(&dag->elements[element_number].parents);
}

bool df_dag_failed(const df_dag *dag)
{
    return dag->failed;
}

/* ---- Simulation ---- */

static bool earlier(const event *a, const event *b)
{
    return a->end_s < b->end_s || (a->end_s == b->end_s && a->sequence < b->sequence);
}

static void start(df_dag *dag, int32_t number, double now_s)
{
    event *const heap = df_grow(dag->heap, dag->under_way, &dag->heap_room, sizeof *heap);
    if (!heap) {
        dag->failed = true;
        return;
    }
    const event e = {now_s + dag->elements[number].duration_s, dag->sequence++, number};
    int32_t at = dag->under_way++;
    dag->heap = heap;
    while (at > 0 && earlier(&e, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = e;
}

static event take_earliest(df_dag *dag)
{
    event *const heap = dag->heap;
    const event first = heap[0];
    const event last = heap[--dag->under_way];
    int32_t at = 0;
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child + 1 < dag->under_way && earlier(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= dag->under_way || !earlier(&heap[child], &last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static bool parents_done(const df_dag *dag, const element *e)
{
    for (int32_t i = 0; i < e->parents.count; i++) {
        if (!dag->elements[items(&e->parents)[i]].done) {
            return false;
        }
    }
    return true;
}

static void wait_for_device(df_dag *dag, int32_t number)
{
    waiting *const q = &dag->queues[dag->elements[number].device];
    int32_t *const all = df_grow(q->all, q->end, &q->room, sizeof *all);
    if (!all) {
        dag->failed = true;
        return;
    }
    q->all = all;
    all[q->end++] = number;
}

/* Starts an element whose parents are done, or has it wait for its device. */
static void start_ready(df_dag *dag, int32_t number, double now_s)
{
    const element *const e = &dag->elements[number];
    if (e->kind != DF_DAG_COMPUTE) {
        start(dag, number, now_s);
    } else if (!dag->busy[e->device]) {
        dag->busy[e->device] = true;
        start(dag, number, now_s);
    } else {
        wait_for_device(dag, number);
    }
}

/* Ends an element. What has waited longest for its device goes first, then what became
 * ready by it. */
static void finish(df_dag *dag, const event *ended)
{
    element *const e = &dag->elements[ended->element];
    e->done = true;
    if (e->kind == DF_DAG_COMPUTE) {
        waiting *const q = &dag->queues[e->device];
        dag->busy[e->device] = false;
        if (q->begin < q->end) {
            dag->busy[e->device] = true;
            start(dag, q->all[q->begin++], ended->end_s);
        }
    }
    for (int32_t i = 0; i < e->children.count; i++) {
        const int32_t number = items(&e->children)[i];
        element *const child = &dag->elements[number];
        if (!child->queued && parents_done(dag, child)) {
            child->queued = true;
            start_ready(dag, number, ended->end_s);
        }
    }
}

df_status df_dag_run(df_dag *dag, int32_t root, double *time_s, df_err *err)
{
    double last_s = 0;
    dag->sequence = 0;
    dag->under_way = 0;
    if (!dag->failed) {
        dag->elements[root].queued = true;
        start(dag, root, 0);
    }
    while (!dag->failed && dag->under_way > 0) {
        const event ended = take_earliest(dag);
        last_s = ended.end_s;
        finish(dag, &ended);
    }
    if (dag->failed) {
        return df_fail(err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    *time_s = last_s;
    return DF_OK;
}
