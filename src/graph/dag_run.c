/* The event simulation of a graph. What it remembers of an element is how many of its parents
 * are still to end, from the first that ends to the last; so memory goes with what is under
 * way, however often the middle batch of a repeated graph comes. */
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/heap.h"
#include "graph/dag.h"

/* An element of the graph and the batch that it is done for. */
typedef struct {
    int32_t element, batch;
} instance;

/* What is under way, ordered by end, then by start. */
typedef struct {
    double end_s;
    int64_t sequence;
    instance what;
} event;

/* Instances that wait for a device, first come first served: from `begin` to `end`. */
typedef struct {
    instance *all;
    int32_t begin, end, room;
} waiting;

/* Parents that are still to end, of an instance with a key; key 0: a free place. */
typedef struct {
    uint64_t key;
    int32_t left;
} countdown;

typedef struct {
    const df_dag *dag;
    int64_t batches;
    /* elements of each batch that is shown, in the order in which they were added */
    int32_t *by_batch, *place; /* place: an element's among those of its batch */
    int32_t first[DF_DAG_SHOWN + 1];
    bool repeated, failed; /* out of memory */
    struct {
        event *all;
        int32_t count, room;
    } under_way;
    int64_t sequence;
    double last_s;
    waiting *queues; /* [device] */
    bool *busy;      /* [device] */
    countdown *table;
    uint64_t size, used; /* size: a power of two */
} run;

/* ---- Batches that repeat ---- */

enum { MIDDLE = DF_DAG_SHOWN / 2 };

static int32_t batch_of(const run *r, int32_t element)
{
    return r->repeated ? df_dag_info_of(r->dag, element)->batch : 0;
}

/* The batch of the graph that stands for a batch. */
static int64_t shown_for(const run *r, int64_t batch)
{
    const int64_t from_end = r->batches - 1 - batch;
    return !r->repeated        ? 0
           : batch < MIDDLE    ? batch
           : from_end < MIDDLE ? DF_DAG_SHOWN - 1 - from_end
                               : MIDDLE;
}

/* The child of an instance, given the child of its element. */
static instance child_of(const run *r, const instance *parent, int32_t child)
{
    const int32_t shown = batch_of(r, child);
    const int32_t batch = parent->batch + shown - batch_of(r, parent->element);
    const int64_t stands = shown_for(r, batch);
    const int32_t element =
        stands == shown ? child : r->by_batch[r->first[stands] + r->place[child]];
    return (instance){element, r->repeated ? batch : 0};
}

static bool sort_by_batch(run *r)
{
    const int32_t count = df_dag_count(r->dag);
    int32_t end[DF_DAG_SHOWN];
    r->by_batch = malloc(((size_t)count + 1) * sizeof *r->by_batch);
    r->place = malloc(((size_t)count + 1) * sizeof *r->place);
    if (!r->by_batch || !r->place) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        r->first[batch_of(r, i) + 1]++;
    }
    for (int b = 0; b < DF_DAG_SHOWN; b++) {
        r->first[b + 1] += r->first[b];
        end[b] = r->first[b];
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t b = batch_of(r, i);
        r->place[i] = end[b] - r->first[b];
        r->by_batch[end[b]++] = i;
    }
    return true;
}

/* ---- Parents that are still to end ---- */

/* Where a key lies unless others were there before. */
static uint64_t home_of(const run *r, uint64_t key)
{
    const uint64_t mixed = key * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
    return (mixed >> 32) & (r->size - 1);
}

static uint64_t place_of(const run *r, uint64_t key)
{
    uint64_t at = home_of(r, key);
    while (r->table[at].key != 0 && r->table[at].key != key) {
        at = (at + 1) & (r->size - 1);
    }
    return at;
}

static bool enlarge_table(run *r)
{
    const run old = *r;
    r->size = old.size > 0 ? 2 * old.size : 256;
    r->table = calloc(r->size, sizeof *r->table);
    if (!r->table) {
        r->table = old.table;
        r->size = old.size;
        return false;
    }
    for (uint64_t i = 0; i < old.size; i++) {
        if (old.table[i].key != 0) {
            r->table[place_of(r, old.table[i].key)] = old.table[i];
        }
    }
    free(old.table);
    return true;
}

/* Takes an entry out; those behind it that it had pushed on move up. */
static void take_out(run *r, uint64_t hole)
{
    const uint64_t mask = r->size - 1;
    r->used--;
    for (uint64_t at = (hole + 1) & mask; r->table[at].key != 0; at = (at + 1) & mask) {
        if (((at - home_of(r, r->table[at].key)) & mask) >= ((at - hole) & mask)) {
            r->table[hole] = r->table[at];
            hole = at;
        }
    }
    r->table[hole].key = 0;
}

/* One more parent of an instance has ended. Whether it was the last. */
static bool count_down(run *r, const instance *what)
{
    int32_t parents;
    (void)df_dag_parents(r->dag, what->element, &parents);
    if (parents == 1) {
        return true;
    }
    if (2 * r->used >= r->size && !enlarge_table(r)) {
        r->failed = true;
        return false;
    }
    const uint64_t key = ((uint64_t)what->batch << 32 | (uint32_t)what->element) + 1;
    const uint64_t at = place_of(r, key);
    if (r->table[at].key == 0) {
        r->table[at] = (countdown){key, parents};
        r->used++;
    }
    if (--r->table[at].left > 0) {
        return false;
    }
    take_out(r, at);
    return true;
}

/* ---- Events ---- */

static bool earlier(const event *a, const event *b)
{
    return a->end_s < b->end_s || (a->end_s == b->end_s && a->sequence < b->sequence);
}

DF_HEAP(heap, event, earlier)

static void start(run *r, const instance *what, double now_s)
{
    const double end_s = now_s + df_dag_duration_s(r->dag, what->element);
    const event e = {end_s, r->sequence++, *what};
    int32_t children;
    (void)df_dag_children(r->dag, what->element, &children);
    r->last_s = end_s > r->last_s ? end_s : r->last_s;
    if (children == 0 && df_dag_kind_of(r->dag, what->element) != DF_DAG_COMPUTE) {
        return; /* nothing waits for its end */
    }
    event *const all =
        df_grow(r->under_way.all, r->under_way.count, &r->under_way.room, sizeof *all);
    if (!all) {
        r->failed = true;
        return;
    }
    r->under_way.all = all;
    heap_push(all, &r->under_way.count, e);
}

static void wait_for_device(run *r, waiting *q, const instance *what)
{
    if (q->end == q->room && q->begin > q->room / 2) {
        memmove(q->all, q->all + q->begin, (size_t)(q->end - q->begin) * sizeof *q->all);
        q->end -= q->begin;
        q->begin = 0;
    }
    instance *const all = df_grow(q->all, q->end, &q->room, sizeof *all);
    if (!all) {
        r->failed = true;
        return;
    }
    q->all = all;
    all[q->end++] = *what;
}

/* Starts an instance whose parents are done, or has it wait for its device. */
static void start_ready(run *r, const instance *what, double now_s)
{
    const int32_t device = df_dag_device(r->dag, what->element);
    if (df_dag_kind_of(r->dag, what->element) != DF_DAG_COMPUTE) {
        start(r, what, now_s);
    } else if (!r->busy[device]) {
        r->busy[device] = true;
        start(r, what, now_s);
    } else {
        wait_for_device(r, &r->queues[device], what);
    }
}

/* Ends an instance. What has waited longest for its device goes first, then what became
 * ready by it. */
static void finish(run *r, const event *ended)
{
    const int32_t element = ended->what.element;
    int32_t count;
    const int32_t *const children = df_dag_children(r->dag, element, &count);
    if (df_dag_kind_of(r->dag, element) == DF_DAG_COMPUTE) {
        const int32_t device = df_dag_device(r->dag, element);
        waiting *const q = &r->queues[device];
        r->busy[device] = false;
        if (q->begin < q->end) {
            r->busy[device] = true;
            start(r, &q->all[q->begin++], ended->end_s);
        }
    }
    for (int32_t i = 0; i < count; i++) {
        const instance child = child_of(r, &ended->what, children[i]);
        if (count_down(r, &child)) {
            start_ready(r, &child, ended->end_s);
        }
    }
}

static void simulate(run *r, int32_t root)
{
    const int devices = df_dag_devices(r->dag);
    r->queues = calloc((size_t)devices, sizeof *r->queues);
    r->busy = calloc((size_t)devices, sizeof *r->busy);
    r->failed = df_dag_failed(r->dag) || !r->queues || !r->busy || !sort_by_batch(r);
    if (!r->failed) {
        start(r, &(instance){root, batch_of(r, root)}, 0);
    }
    while (!r->failed && r->under_way.count > 0) {
        const event ended = heap_pop(r->under_way.all, &r->under_way.count);
        finish(r, &ended);
    }
    for (int i = 0; r->queues && i < devices; i++) {
        free(r->queues[i].all);
    }
    free(r->by_batch);
    free(r->place);
    free(r->under_way.all);
    free(r->queues);
    free(r->busy);
    free(r->table);
}

static df_status finish_run(run *r, int32_t root, double *time_s, df_err *err)
{
    simulate(r, root);
    if (r->failed) {
        return df_fail(err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    *time_s = r->last_s;
    return DF_OK;
}

df_status df_dag_run(const df_dag *dag, int32_t root, double *time_s, df_err *err)
{
    run r = {.dag = dag, .batches = 1};
    return finish_run(&r, root, time_s, err);
}

df_status
df_dag_run_repeated(const df_dag *dag, int32_t root, int64_t batches, double *time_s, df_err *err)
{
    run r = {.dag = dag, .batches = batches, .repeated = true};
    return finish_run(&r, root, time_s, err);
}
