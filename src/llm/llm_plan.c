#include "llm/llm_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "llm/llm_net.h"

/* An element on the way up, and whether a collective lies between. */
typedef struct {
    int32_t element;
    bool through;
} ancestor;

typedef struct {
    const df_dag *dag;
    df_llm_plan *plan;
    df_llm_numbers order; /* what the root leads to, depth first */
    int32_t *seen[2];     /* [element]: when last looked at, directly or through a collective */
    int32_t stamp;
    bool skips; /* what leaves a device is not behind its collectives (rules) */
    ancestor *stack;
    int32_t depth, stack_room;
    bool failed; /* out of memory */
} planner;

static void append(planner *p, df_llm_numbers *list, int32_t number)
{
    int32_t *const all = df_grow(list->all, list->count, &list->room, sizeof *all);
    if (!all) {
        p->failed = true;
        return;
    }
    list->all = all;
    all[list->count++] = number;
}

/* ---- Where elements run ---- */

bool df_llm_is_compute(const df_dag *dag, int32_t element)
{
    return df_dag_kind_of(dag, element) == DF_DAG_COMPUTE;
}

static bool is_mark(const df_dag *dag, int32_t e)
{
    return df_dag_told(dag, e)->role == DF_LLM_ROLE_MARK;
}

static bool is_collective(const df_dag *dag, int32_t e)
{
    return df_dag_kind_of(dag, e) == DF_DAG_COLLECTIVE && !is_mark(dag, e);
}

static bool has_home(const df_dag *dag, int32_t e)
{
    return is_collective(dag, e) && df_dag_told(dag, e)->home >= 0;
}

bool df_llm_is_data_parallel(const df_dag *dag, int32_t element)
{
    return is_collective(dag, element) &&
           df_dag_told(dag, element)->role != DF_LLM_ROLE_OPERATOR_COLLECTIVE;
}

static void push(planner *p, int32_t e, bool through)
{
    ancestor *const stack = df_grow(p->stack, p->depth, &p->stack_room, sizeof *stack);
    if (!stack) {
        p->failed = true;
        return;
    }
    p->stack = stack;
    stack[p->depth++] = (ancestor){e, through};
}

/* Depth first, each element before its children. */
static void collect(planner *p, int32_t root)
{
    p->stamp++;
    push(p, root, false);
    while (p->depth > 0 && !p->failed) {
        const int32_t e = p->stack[--p->depth].element;
        if (p->seen[0][e] == p->stamp) {
            continue;
        }
        p->seen[0][e] = p->stamp;
        append(p, &p->order, e);
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
    int32_t parents;
    int32_t children;
    const int32_t *const parent = df_dag_parents(dag, e, &parents);
    const int32_t *const child = df_dag_children(dag, e, &children);
    for (int32_t i = 0; i < parents; i++) {
        if (df_llm_is_compute(dag, parent[i])) {
            return df_dag_device(dag, parent[i]);
        }
    }
    for (int32_t i = 0; i < children; i++) {
        if (df_llm_is_compute(dag, child[i])) {
            return df_dag_device(dag, child[i]);
        }
    }
    return DF_LLM_NOWHERE;
}

/* The number, in the graph, of the device that an element runs on. */
static int32_t home_of(const df_dag *dag, int32_t e)
{
    if (df_llm_is_compute(dag, e)) {
        return df_dag_device(dag, e);
    }
    if (!is_collective(dag, e)) {
        return DF_LLM_NOWHERE;
    }
    return has_home(dag, e) ? df_dag_told(dag, e)->home : neighbour_device(dag, e);
}

/* Numbers the devices that compute from 0 on; number[] is of all devices of the graph. */
static void number_devices(planner *p, int32_t *number, int32_t most)
{
    for (int32_t i = 0; i < p->order.count; i++) {
        if (df_llm_is_compute(p->dag, p->order.all[i])) {
            number[df_dag_device(p->dag, p->order.all[i])] = 1;
        }
    }
    for (int32_t d = 0; d < most; d++) {
        number[d] = number[d] ? p->plan->devices++ : DF_LLM_NOWHERE;
    }
}

static void place_elements(planner *p, bool exchanges)
{
    int32_t most = 0;
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t e = p->order.all[i];
        if (df_llm_is_compute(p->dag, e) && df_dag_device(p->dag, e) >= most) {
            most = df_dag_device(p->dag, e) + 1;
        }
    }
    int32_t *const number = calloc((size_t)most + 1, sizeof *number);
    if (!number) {
        p->failed = true;
        return;
    }
    number_devices(p, number, most);
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t e = p->order.all[i];
        const bool dropped = !exchanges && df_llm_is_data_parallel(p->dag, e);
        const int32_t home = dropped ? DF_LLM_NOWHERE : home_of(p->dag, e);
        p->plan->device[e] = home >= 0 && home < most ? number[home] : DF_LLM_NOWHERE;
    }
    free(number);
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

/* e waits for `source` on the same device; it is the element at hand, whose list is last. */
static void add_near(planner *p, int32_t e, int32_t source)
{
    df_llm_numbers *const sources = &p->plan->sources;
    df_llm_stretch *const span = &p->plan->near[e];
    for (int32_t i = span->first; i < sources->count; i++) {
        if (sources->all[i] == source) {
            return;
        }
    }
    append(p, sources, source);
    span->count = sources->count - span->first;
}

/* One message is enough from each source: the one over an edge that is known. */
static void add_far(planner *p, int32_t e, df_llm_remote source)
{
    df_llm_remotes *const list = &p->plan->remotes;
    for (int32_t i = p->plan->far[e].first; i < list->count; i++) {
        if (list->all[i].source == source.source) {
            list->all[i].edge = source.edge == DF_LLM_NOWHERE ? list->all[i].edge : source.edge;
            return;
        }
    }
    df_llm_remote *const all = df_grow(list->all, list->count, &list->room, sizeof *all);
    if (!all) {
        p->failed = true;
        return;
    }
    list->all = all;
    all[list->count++] = source;
    p->plan->far[e].count++;
}

/* e waits for `source`, which works where e does or elsewhere. */
static void add_source(planner *p, int32_t e, ancestor source, int32_t edge)
{
    const int32_t *const device = p->plan->device;
    if (device[source.element] == DF_LLM_NOWHERE) {
        return;
    }
    if (device[source.element] != device[e]) {
        add_far(p, e, (df_llm_remote){source.element, edge});
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
    return !p->skips && p->plan->device[e] != DF_LLM_NOWHERE &&
           df_dag_told(p->dag, e)->role == DF_LLM_ROLE_OPERATOR_COLLECTIVE;
}

/* Across a hop: what computes before it, and collectives before it on the same device. */
static void look_across(planner *p, int32_t e, ancestor hop)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(p->dag, hop.element, &count);
    for (int32_t i = 0; i < count; i++) {
        if (df_llm_is_compute(p->dag, parents[i]) || sends(p, parents[i])) {
            add_source(p, e, (ancestor){parents[i], hop.through}, hop.element);
        } else if (has_home(p->dag, parents[i]) && !hop.through) {
            add_collective(p, e, parents[i]);
        }
    }
}

static void look_at(planner *p, int32_t e, ancestor a)
{
    const df_dag *const dag = p->dag;
    if (df_llm_is_compute(dag, a.element)) {
        add_source(p, e, a, is_collective(dag, e) ? a.element : DF_LLM_NOWHERE);
    } else if (is_collective(dag, e) && has_home(dag, a.element)) {
        add_source(p, e, a, a.element);
    } else if (df_dag_kind_of(dag, a.element) == DF_DAG_PIPELINE) {
        look_across(p, e, a);
    } else if (is_mark(dag, a.element)) {
        push_parents(p, a.element, a.through);
    } else if (sends(p, a.element)) {
        add_source(p, e, a, DF_LLM_NOWHERE);
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
        if (p->plan->device[e] == DF_LLM_NOWHERE) {
            continue;
        }
        p->stamp++;
        push_parents(p, e, false);
        while (p->depth > 0 && !p->failed) {
            const ancestor a = p->stack[--p->depth];
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
    const df_llm_plan *const plan = p->plan;
    int32_t sum = 0;
    for (int32_t i = 0; i < plan->sources.count; i++) {
        f->count[plan->sources.all[i]]++;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        f->end[e] = sum;
        sum += f->count[e];
    }
    for (int32_t i = 0; i < p->order.count; i++) {
        const df_llm_stretch near = plan->near[p->order.all[i]];
        for (int32_t k = near.first; k < near.first + near.count; k++) {
            f->all[f->end[plan->sources.all[k]]++] = p->order.all[i];
        }
    }
}

static void divide_queue(planner *p)
{
    df_llm_plan *const plan = p->plan;
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t device = plan->device[p->order.all[i]];
        if (device != DF_LLM_NOWHERE) {
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
    df_llm_plan *const plan = p->plan;
    bool whole = true;
    for (int32_t i = 0; i < p->order.count; i++) {
        const int32_t e = p->order.all[i];
        if (plan->device[e] != DF_LLM_NOWHERE && plan->near[e].count == 0) {
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

static df_status order_devices(planner *p, df_err *err)
{
    df_llm_plan *const plan = p->plan;
    const size_t elements = (size_t)plan->elements + 1;
    const size_t devices = (size_t)plan->devices + 1;
    const size_t sources = (size_t)plan->sources.count;
    int32_t *const room = calloc(sources + 2 * elements + devices, sizeof *room);
    plan->queue = calloc(elements, sizeof *plan->queue);
    plan->begin = calloc(devices, sizeof *plan->begin);
    if (!room || !plan->queue || !plan->begin) {
        free(room);
        return df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
    }
    followers f = {room, room + sources, room + sources + elements};
    int32_t *const end = f.count + elements;
    list_followers(p, &f);
    divide_queue(p);
    memcpy(end, plan->begin, devices * sizeof *end);
    const bool whole = fill_queue(p, &f, end);
    free(room);
    return whole ? DF_OK
                 : df_fail(err, DF_ERUNTIME,
                           "expected parts of the step in an order, found "
                           "some that wait for each other");
}

/* ---- The whole ---- */

static bool open_planner(planner *p)
{
    df_llm_plan *const plan = p->plan;
    const size_t n = (size_t)plan->elements + 1;
    p->seen[0] = calloc(n, sizeof *p->seen[0]);
    p->seen[1] = calloc(n, sizeof *p->seen[1]);
    plan->device = malloc(n * sizeof *plan->device);
    plan->near = calloc(n, sizeof *plan->near);
    plan->far = calloc(n, sizeof *plan->far);
    if (!p->seen[0] || !p->seen[1] || !plan->device || !plan->near || !plan->far) {
        return false;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        plan->device[e] = DF_LLM_NOWHERE;
    }
    return true;
}

df_status df_llm_plan_make(const df_dag *dag,
                           int32_t root,
                           bool exchanges,
                           const df_rules *rules,
                           df_llm_plan *plan,
                           df_err *err)
{
    planner p = {.dag = dag, .plan = plan, .skips = rules->astra_hop_skips_collective};
    memset(plan, 0, sizeof *plan);
    plan->dag = dag;
    plan->elements = df_dag_count(dag);
    p.failed = !open_planner(&p);
    if (!p.failed) {
        collect(&p, root);
    }
    if (!p.failed) {
        place_elements(&p, exchanges);
    }
    if (!p.failed) {
        find_sources(&p);
    }
    const df_status status =
        p.failed ? df_fail(err, DF_ENOMEM, "out of memory for the simulator's program")
                 : order_devices(&p, err);
    free(p.order.all);
    free(p.stack);
    free(p.seen[0]);
    free(p.seen[1]);
    return status;
}

void df_llm_plan_free(df_llm_plan *plan)
{
    free(plan->device);
    free(plan->near);
    free(plan->far);
    free(plan->sources.all);
    free(plan->remotes.all);
    free(plan->queue);
    free(plan->begin);
    memset(plan, 0, sizeof *plan);
}
