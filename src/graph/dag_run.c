/* The event simulation of a graph. For an element, it remembers how many parents have yet to end,
 * from the first that ends to the last. Memory therefore grows with what is under way, however
 * often the middle batch of a repeated graph comes. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/grow.h"
#include "base/heap.h"
#include "graph/dag.h"

/* An element of the graph and the batch that it is done for, which is 0 in a whole graph. */
typedef struct {
    int32_t element, batch;
} instance;

/* An instance that is under way. */
typedef struct {
    double end_s;
    int64_t sequence; /* of starts */
    instance what;
} event;

/* A device, and the instances that wait for it, first come first served: from `begin` on. */
typedef struct {
    instance *all;
    int32_t count, room, begin;
    bool busy;
} device;

/* How many parents of an instance have yet to end. */
typedef struct {
    uint64_t key; /* 0: the place is free */
    int32_t left; /* 0: the place is free once the table is rebuilt */
} countdown;

typedef struct {
    const df_dag *dag;
    int64_t batches; /* 0: the graph is whole */
    /* [element]: its number among the elements of its batch; and the element of each batch that
     * has a number. */
    int32_t *place, (*alike)[DF_DAG_SHOWN];
    bool failed; /* out of memory */
    struct {
        event *all;
        int32_t count, room;
    } under_way;
    int64_t sequence;
    double last_s;
    device *devices;
    countdown *table;
    uint64_t size, used, live; /* places of the table: size is a power of two */
} run;

/* ---- Batches that repeat ---- */

enum { MIDDLE = DF_DAG_SHOWN / 2 };

static int32_t batch_of(const run *r, int32_t element)
{
    return r->batches > 0 ? df_dag_at(r->dag, element)->batch : 0;
}

/* The batch of the graph that stands for a batch. */
static int64_t shown_for(const run *r, int64_t batch)
{
    const int64_t from_end = r->batches - 1 - batch;
    if (batch < MIDDLE) {
        return batch;
    }
    return from_end < MIDDLE ? DF_DAG_SHOWN - 1 - from_end : MIDDLE;
}

/* The child of an instance, given the child of its element. */
static instance child_of(const run *r, const instance *parent, int32_t child)
{
    if (r->batches == 0) {
        return (instance){child, 0};
    }
    const int32_t shown = batch_of(r, child);
    const int32_t batch = parent->batch + shown - batch_of(r, parent->element);
    const int64_t stands = shown_for(r, batch);
    return (instance){stands == shown ? child : r->alike[r->place[child]][stands], batch};
}

static void find_alike(run *r, df_arena *arena)
{
    const int32_t count = r->batches > 0 ? df_dag_count(r->dag) : 0;
    int32_t found[DF_DAG_SHOWN] = {0};
    r->place = df_arena_take(arena, (size_t)count, sizeof *r->place);
    r->alike = df_arena_take(arena, (size_t)count, sizeof *r->alike);
    for (int32_t i = 0; i < count && !arena->failed; i++) {
        const int32_t batch = batch_of(r, i);
        r->place[i] = found[batch]++;
        r->alike[r->place[i]][batch] = i;
    }
}

/* ---- Parents that have yet to end ---- */

/* The place of a key: the first free one behind others that were inserted before. */
static countdown *place_of(const run *r, uint64_t key)
{
    const uint64_t mixed = key * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
    uint64_t at = (mixed >> 32) & (r->size - 1);
    while (r->table[at].key != 0 && r->table[at].key != key) {
        at = (at + 1) & (r->size - 1);
    }
    return &r->table[at];
}

/* Rebuilds the table without the countdowns that have ended, and makes it larger if it would soon
 * be full again. */
static bool renew_table(run *r)
{
    const run old = *r;
    r->size = old.size == 0 ? 256 : 4 * old.live >= old.size ? 2 * old.size : old.size;
    r->table = calloc(r->size, sizeof *r->table);
    if (!r->table) {
        *r = old;
        return false;
    }
    for (uint64_t i = 0; i < old.size; i++) {
        if (old.table[i].left > 0) {
            *place_of(r, old.table[i].key) = old.table[i];
        }
    }
    r->used = r->live;
    free(old.table);
    return true;
}

/* Counts one more parent of an instance that has ended; says whether it was the last. */
static bool count_down(run *r, const instance *what)
{
    int32_t parents;
    (void)df_dag_parents(r->dag, what->element, &parents);
    if (parents == 1) {
        return true;
    }
    if (2 * r->used >= r->size && !renew_table(r)) {
        r->failed = true;
        return false;
    }
    const uint64_t key = ((uint64_t)what->batch << 32 | (uint32_t)what->element) + 1;
    countdown *const parents_of = place_of(r, key);
    if (parents_of->key == 0) {
        *parents_of = (countdown){key, parents};
        r->used++;
        r->live++;
    }
    if (--parents_of->left > 0) {
        return false;
    }
    r->live--;
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
    const double end_s = now_s + df_dag_at(r->dag, what->element)->duration_s;
    const event e = {end_s, r->sequence++, *what};
    int32_t children;
    (void)df_dag_children(r->dag, what->element, &children);
    r->last_s = end_s > r->last_s ? end_s : r->last_s;
    if (children == 0 && df_dag_at(r->dag, what->element)->kind != DF_DAG_COMPUTE) {
        return; /* nothing waits for its end */
    }
    if (r->under_way.count == r->under_way.room &&
        !df_list_grow(&r->under_way.all, &r->under_way.room, sizeof e)) {
        r->failed = true;
        return;
    }
    heap_push(r->under_way.all, &r->under_way.count, e);
}

static void wait_for(run *r, device *d, const instance *what)
{
    if (d->count == d->room && d->begin > d->room / 2) {
        d->count -= d->begin;
        memmove(d->all, d->all + d->begin, (size_t)d->count * sizeof *d->all);
        d->begin = 0;
    }
    if (!DF_LIST_ADD(d, *what)) {
        r->failed = true;
    }
}

/* Starts an instance whose parents have ended, or lets it wait for its device. */
static void start_ready(run *r, const instance *what, double now_s)
{
    if (df_dag_at(r->dag, what->element)->kind == DF_DAG_COMPUTE) {
        device *const d = &r->devices[df_dag_at(r->dag, what->element)->device];
        if (d->busy) {
            wait_for(r, d, what);
            return;
        }
        d->busy = true;
    }
    start(r, what, now_s);
}

/* Ends an instance. The one that has waited longest for its device goes first, then those that
 * become ready. */
static void finish(run *r, const event *ended)
{
    const int32_t element = ended->what.element;
    int32_t count;
    const int32_t *const children = df_dag_children(r->dag, element, &count);
    if (df_dag_at(r->dag, element)->kind == DF_DAG_COMPUTE) {
        device *const d = &r->devices[df_dag_at(r->dag, element)->device];
        d->busy = d->begin < d->count;
        if (d->busy) {
            start(r, &d->all[d->begin++], ended->end_s);
        }
    }
    for (int32_t i = 0; i < count; i++) {
        const instance child = child_of(r, &ended->what, children[i]);
        if (count_down(r, &child)) {
            start_ready(r, &child, ended->end_s);
        }
    }
}

df_status df_dag_run(const df_dag *dag, int32_t root, int64_t batches, double *time_s, df_err *err)
{
    const int devices = df_dag_devices(dag);
    run r = {.dag = dag, .batches = batches};
    df_arena arena = {NULL, false};
    r.devices = df_arena_take(&arena, (size_t)devices, sizeof *r.devices);
    find_alike(&r, &arena);
    r.failed = df_dag_failed(dag) || arena.failed;
    if (!r.failed) {
        start(&r, &(instance){root, batch_of(&r, root)}, 0);
    }
    while (!r.failed && r.under_way.count > 0) {
        const event ended = heap_pop(r.under_way.all, &r.under_way.count);
        finish(&r, &ended);
    }
    for (int i = 0; r.devices && i < devices; i++) {
        free(r.devices[i].all);
    }
    free(r.under_way.all);
    free(r.table);
    df_arena_free(&arena);
    if (r.failed) {
        return df_fail(err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    *time_s = r.last_s;
    return DF_OK;
}
