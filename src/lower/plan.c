#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "lower/lower_impl.h"

/* An element on the way up, and whether a collective lies between. */
typedef struct {
    int32_t element;
    bool through;
} ancestor;

typedef struct {
    const df_dag *dag;
    df_lower_plan *plan;
    bool skips;             /* as df_lower_make_plan */
    df_lower_numbers order; /* what the root leads to, depth first */
    int32_t *seen[2]; /* [element]: stamp of the last visit, directly or through a collective */
    int32_t stamp;
    struct {
        ancestor *all;
        int32_t count, room;
    } stack;
    bool failed; /* out of memory */
} planner;

/* ---- Where elements run ---- */

bool df_lower_is_compute(const df_dag *dag, int32_t element)
{
    return df_dag_kind_of(dag, element) == DF_DAG_COMPUTE;
}

static bool is_mark(const df_dag *dag, int32_t e)
{
    return df_dag_info_of(dag, e)->role == DF_LOWER_MARK;
}

static bool is_collective(const df_dag *dag, int32_t e)
{
    return df_dag_kind_of(dag, e) == DF_DAG_COLLECTIVE && !is_mark(dag, e);
}

static bool has_home(const df_dag *dag, int32_t e)
{
    return is_collective(dag, e) && df_dag_info_of(dag, e)->home >= 0;
}

bool df_lower_is_data_parallel(const df_dag *dag, int32_t element)
{
    return is_collective(dag, element) &&
           df_dag_info_of(dag, element)->role != DF_LOWER_OPERATOR_COLLECTIVE;
}

static void push(planner *p, int32_t e, bool through)
{
    p->failed = !DF_LIST_ADD(&p->stack, (ancestor){e, through}) || p->failed;
}

/* Depth first, each element before its children. */
static void collect(planner *p, int32_t root)
{
    p->stamp++;
    push(p, root, false);
    while (p->stack.count > 0 && !p->failed) {
        const int32_t e = p->stack.all[--p->stack.count].element;
        if (p->seen[0][e] == p->stamp) {
            continue;
        }
        p->seen[0][e] = p->stamp;
        p->failed = !DF_LIST_ADD(&p->order, e);
        int32_t count;
        const int32_t *const children = df_dag_children(p->dag, e, &count);
        for (int32_t i = count - 1; i >= 0; i--) {
            push(p, children[i], false);
        }
    }
}

/* The device of the first neighbour that computes. */
static int32_t neighbour_device(const df_dag *dag, int32_t e)
{
    int32_t count[2];
    const int32_t *const near[] = {df_dag_parents(dag, e, &count[0]),
                                   df_dag_children(dag, e, &count[1])};
    for (int side = 0; side < 2; side++) {
        for (int32_t i = 0; i < count[side]; i++) {
            if (df_lower_is_compute(dag, near[side][i])) {
                return df_dag_device(dag, near[side][i]);
            }
        }
    }
    return DF_LOWER_NOWHERE;
}

/* The number, in the graph, of the device that an element runs on. */
static int32_t home_of(const df_dag *dag, int32_t e)
{
    if (df_lower_is_compute(dag, e)) {
        return df_dag_device(dag, e);
    }
    if (!is_collective(dag, e)) {
        return DF_LOWER_NOWHERE;
    }
    return has_home(dag, e) ? df_dag_info_of(dag, e)->home : neighbour_device(dag, e);
}

/* Numbers the devices that compute from 0 on; `number` has all devices of the graph. */
static void place_elements(planner *p, bool exchanges, int32_t *number)
{
    enum { COMPUTES = 1 };
    for (int32_t i = 0; i < p->order.count; i++) {
        if (df_lower_is_compute(p->dag, p->order.all[i])) {
            number[df_dag_device(p->dag, p->order.all[i])] = COMPUTES;
        }
    }
    for (int32_t d = 0; d < df_dag_devices(p->dag); d++) {
        number[d] = number[d] == COMPUTES ? p->plan->devices++ : DF_LOWER_NOWHERE;
    }
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t e = p->order.all[i];
        const bool dropped = !exchanges && df_lower_is_data_parallel(p->dag, e);
        const int32_t home = dropped ? DF_LOWER_NOWHERE : home_of(p->dag, e);
        p->plan->device[e] = home < 0 ? DF_LOWER_NOWHERE : number[home];
    }
}

/* ---- What elements wait for ---- */

static void push_parents(planner *p, int32_t e, bool through)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(p->dag, e, &count);
    for (int32_t i = 0; i < count; i++) {
        push(p, parents[i], through);
    }
}

/* e waits for `source` on the same device. e is the current element, whose list is the last. */
static void add_near(planner *p, int32_t e, int32_t source)
{
    df_lower_numbers *const sources = &p->plan->sources;
    df_lower_stretch *const span = &p->plan->near[e];
    for (int32_t i = span->first; i < sources->count; i++) {
        if (sources->all[i] == source) {
            return;
        }
    }
    p->failed = !DF_LIST_ADD(sources, source) || p->failed;
    span->count = sources->count - span->first;
}

/* One message is enough from each source: the one over an edge that is known. */
static void add_far(planner *p, int32_t e, df_lower_remote source)
{
    df_lower_remotes *const list = &p->plan->remotes;
    df_lower_stretch *const span = &p->plan->far[e];
    for (int32_t i = span->first; i < list->count; i++) {
        if (list->all[i].source == source.source) {
            list->all[i].edge = source.edge == DF_LOWER_NOWHERE ? list->all[i].edge : source.edge;
            return;
        }
    }
    p->failed = !DF_LIST_ADD(list, source) || p->failed;
    span->count = list->count - span->first;
}

/* e waits for `source`, which works where e does or elsewhere. */
static void add_source(planner *p, int32_t e, ancestor source, int32_t edge)
{
    const int32_t *const device = p->plan->device;
    if (device[source.element] == DF_LOWER_NOWHERE) {
        return;
    }
    if (device[source.element] != device[e]) {
        add_far(p, e, (df_lower_remote){source.element, edge});
    } else if (!source.through) {
        add_near(p, e, source.element);
    }
}

static void add_collective(planner *p, int32_t e, int32_t collective)
{
    if (p->plan->device[collective] == p->plan->device[e]) {
        add_near(p, e, collective);
    }
}

/* Whether others wait for a collective of operators as they do for what computes. */
static bool sends(const planner *p, int32_t e)
{
    return !p->skips && p->plan->device[e] != DF_LOWER_NOWHERE &&
           df_dag_info_of(p->dag, e)->role == DF_LOWER_OPERATOR_COLLECTIVE;
}

/* Across a hop: what computes before it, and collectives before it on the same device. */
static void look_across(planner *p, int32_t e, ancestor hop)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(p->dag, hop.element, &count);
    for (int32_t i = 0; i < count; i++) {
        if (df_lower_is_compute(p->dag, parents[i]) || sends(p, parents[i])) {
            add_source(p, e, (ancestor){parents[i], hop.through}, hop.element);
        } else if (has_home(p->dag, parents[i]) && !hop.through) {
            add_collective(p, e, parents[i]);
        }
    }
}

static void look_at(planner *p, int32_t e, ancestor a)
{
    const df_dag *const dag = p->dag;
    if (df_lower_is_compute(dag, a.element)) {
        add_source(p, e, a, is_collective(dag, e) ? a.element : DF_LOWER_NOWHERE);
    } else if (is_collective(dag, e) && has_home(dag, a.element)) {
        add_source(p, e, a, a.element);
    } else if (df_dag_kind_of(dag, a.element) == DF_DAG_PIPELINE) {
        look_across(p, e, a);
    } else if (is_mark(dag, a.element)) {
        push_parents(p, a.element, a.through);
    } else if (sends(p, a.element)) {
        add_source(p, e, a, DF_LOWER_NOWHERE);
    } else {
        add_collective(p, e, a.element);
        push_parents(p, a.element, true);
    }
}

static void find_sources(planner *p)
{
    for (int32_t i = 0; i < p->order.count && !p->failed; i++) {
        const int32_t e = p->order.all[i];
        p->plan->near[e].first = p->plan->sources.count;
        p->plan->far[e].first = p->plan->remotes.count;
        if (p->plan->device[e] == DF_LOWER_NOWHERE) {
            continue;
        }
        p->stamp++;
        push_parents(p, e, false);
        while (p->stack.count > 0 && !p->failed) {
            const ancestor a = p->stack.all[--p->stack.count];
            int32_t *const seen = &p->seen[a.through][a.element];
            if (*seen != p->stamp) {
                *seen = p->stamp;
                look_at(p, e, a);
            }
        }
    }
}

/* ---- The order in which a device comes to its elements ---- */

/* Elements that wait for each element on its device: count[e] of them, in `all` before end[e]. */
typedef struct {
    int32_t *all, *end, *count;
} followers;

static void list_followers(const planner *p, followers *f)
{
    const df_lower_plan *const plan = p->plan;
    int32_t sum = 0;
    for (int32_t i = 0; i < plan->sources.count; i++) {
        f->count[plan->sources.all[i]]++;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        f->end[e] = sum;
        sum += f->count[e];
    }
    for (int32_t i = 0; i < p->order.count; i++) {
        const df_lower_stretch near = plan->near[p->order.all[i]];
        for (int32_t k = near.first; k < near.first + near.count; k++) {
            f->all[f->end[plan->sources.all[k]]++] = p->order.all[i];
        }
    }
}

static void divide_queue(planner *p)
{
    df_lower_plan *const plan = p->plan;
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t device = plan->device[p->order.all[i]];
        if (device != DF_LOWER_NOWHERE) {
            plan->begin[device + 1]++;
        }
    }
    for (int32_t d = 0; d < plan->devices; d++) {
        plan->begin[d + 1] += plan->begin[d];
    }
}

/* Each element after those that it waits for on its device; of those that could come, the one
 * that could first. Returns whether all found a place. end[] is of a device in the queue. */
static bool fill_queue(planner *p, const followers *f, int32_t *end)
{
    df_lower_plan *const plan = p->plan;
    bool whole = true;
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t e = p->order.all[i];
        if (plan->device[e] != DF_LOWER_NOWHERE && plan->near[e].count == 0) {
            plan->queue[end[plan->device[e]]++] = e;
        }
    }
    int32_t *const waits = p->seen[0];
    for (int32_t e = 0; e < plan->elements; e++) {
        waits[e] = plan->near[e].count;
    }
    for (int32_t d = 0; d < plan->devices; d++) {
        for (int32_t i = plan->begin[d]; i < end[d]; i++) {
            const int32_t e = plan->queue[i];
            for (int32_t k = f->end[e] - f->count[e]; k < f->end[e]; k++) {
                if (--waits[f->all[k]] == 0) {
                    plan->queue[end[d]++] = f->all[k];
                }
            }
        }
        whole = whole && end[d] == plan->begin[d + 1];
    }
    return whole;
}

static df_status order_devices(planner *p, df_arena *arena, df_err *err)
{
    df_lower_plan *const plan = p->plan;
    const size_t elements = (size_t)plan->elements;
    const size_t devices = (size_t)plan->devices + 1;
    followers f = {.all = df_arena_numbers(arena, (size_t)plan->sources.count, 0),
                   .end = df_arena_numbers(arena, elements, 0),
                   .count = df_arena_numbers(arena, elements, 0)};
    int32_t *const end = df_arena_numbers(arena, devices, 0);
    plan->queue = df_arena_numbers(arena, elements, 0);
    plan->begin = df_arena_numbers(arena, devices, 0);
    if (arena->failed) {
        return df_lower_fail_memory(err);
    }
    list_followers(p, &f);
    divide_queue(p);
    memcpy(end, plan->begin, devices * sizeof *end);
    return fill_queue(p, &f, end) ? DF_OK
                                  : df_fail(err, DF_ERUNTIME,
                                            "expected parts of the step in an order, found some "
                                            "that wait for each other");
}

/* ---- The whole ---- */

df_status df_lower_make_plan(
    df_arena *arena, int32_t root, bool exchanges, bool skips, df_lower_plan *plan, df_err *err)
{
    planner p = {.dag = plan->dag, .plan = plan, .skips = skips};
    const size_t n = (size_t)df_dag_count(plan->dag);
    int32_t *const number = df_arena_numbers(arena, (size_t)df_dag_devices(plan->dag), 0);
    plan->elements = (int32_t)n;
    plan->device = df_arena_numbers(arena, n, DF_LOWER_NOWHERE);
    plan->near = df_arena_take(arena, n, sizeof *plan->near);
    plan->far = df_arena_take(arena, n, sizeof *plan->far);
    p.seen[0] = df_arena_numbers(arena, n, 0);
    p.seen[1] = df_arena_numbers(arena, n, 0);
    p.failed = arena->failed;
    if (!p.failed) {
        collect(&p, root);
    }
    if (!p.failed) {
        place_elements(&p, exchanges, number);
        find_sources(&p);
    }
    const df_status status = p.failed ? df_lower_fail_memory(err) : order_devices(&p, arena, err);
    free(p.order.all);
    free(p.stack.all);
    return status;
}
