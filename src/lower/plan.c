/* Where the elements of a graph run, what each waits for, and in which order devices come to them.
 *
 * An element waits for what computes before it, across hops, and for collectives before it on its
 * device. What a collective waits for on that device, it need not wait for again. */
#include "lower/lower_impl.h"

/* An element on the way up, and whether a collective lies between. */
typedef struct {
    int32_t element;
    bool through;
} ancestor;

typedef struct {
    df_arena *arena;
    const df_dag *dag;
    df_lower_plan *plan;
    bool skips;      /* what leaves a device does not wait for its collectives */
    int32_t *number; /* [device of the graph]: in the plan */
    int32_t *order;  /* what the root leads to, depth first */
    int32_t reached;
    int32_t *waits;   /* [element]: for how many others on its device */
    int32_t *seen[2]; /* [element]: stamp of the last search, directly or through a collective */
    int32_t stamp;
    struct {
        ancestor *all;
        int32_t count, room;
    } stack; /* where a search continues */
} planner;

/* ---- Searches ---- */

static void push(planner *p, int32_t e, bool through)
{
    DF_ARENA_ADD(p->arena, &p->stack, (ancestor){e, through});
}

static void push_parents(planner *p, int32_t e, bool through)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(p->dag, e, &count);
    for (int32_t i = 0; i < count; i++) {
        push(p, parents[i], through);
    }
}

/* The next element that this search has not seen. */
static bool pop(planner *p, ancestor *a)
{
    while (p->stack.count > 0) {
        *a = p->stack.all[--p->stack.count];
        if (p->seen[a->through][a->element] != p->stamp) {
            p->seen[a->through][a->element] = p->stamp;
            return true;
        }
    }
    return false;
}

/* Depth first, each element before its children. */
static void collect(planner *p, int32_t root)
{
    ancestor a;
    p->stamp++;
    push(p, root, false);
    while (pop(p, &a)) {
        int32_t count;
        const int32_t *const children = df_dag_children(p->dag, a.element, &count);
        p->order[p->reached++] = a.element;
        for (int32_t i = count - 1; i >= 0; i--) {
            push(p, children[i], false);
        }
    }
}

/* ---- Where elements run ---- */

static bool is_collective(const df_dag *dag, int32_t e)
{
    return df_dag_at(dag, e)->kind == DF_DAG_COLLECTIVE;
}

/* Numbers the devices that compute from 0 on. */
static void place_elements(planner *p)
{
    enum { COMPUTES = 1 };
    df_lower_plan *const plan = p->plan;
    int32_t *const number = p->number;
    for (int32_t i = 0; i < p->reached; i++) {
        if (df_dag_at(p->dag, p->order[i])->kind == DF_DAG_COMPUTE) {
            number[df_dag_at(p->dag, p->order[i])->device] = COMPUTES;
        }
    }
    for (int32_t d = 0; d < df_dag_devices(p->dag); d++) {
        number[d] = number[d] == COMPUTES ? plan->devices++ : DF_DAG_NOWHERE;
    }
    for (int32_t i = 0; i < p->reached; i++) {
        const int32_t e = p->order[i];
        const int32_t home = df_dag_at(p->dag, e)->device;
        plan->device[e] = home < 0 ? DF_DAG_NOWHERE : number[home];
    }
}

/* ---- What elements wait for ---- */

/* e, whose list is the last, waits for `source`. One message is enough from each source: the one
 * over an edge that is known. */
static void add_source(planner *p, int32_t e, int32_t source, int32_t edge)
{
    df_lower_plan *const plan = p->plan;
    for (int32_t i = plan->first[e]; i < plan->sources.count; i++) {
        df_lower_source *const known = &plan->sources.all[i];
        if (known->element == source) {
            known->edge = edge == DF_DAG_NOWHERE ? known->edge : edge;
            return;
        }
    }
    p->waits[e] += plan->device[source] == plan->device[e];
    DF_ARENA_ADD(p->arena, &plan->sources, (df_lower_source){source, e, edge, -1});
}

/* e waits for an element that works elsewhere, or where e does unless a collective is between. */
static void wait_for(planner *p, int32_t e, ancestor a, int32_t edge)
{
    const int32_t *const device = p->plan->device;
    const bool far = device[a.element] != device[e];
    if (device[a.element] != DF_DAG_NOWHERE && (far || !a.through)) {
        add_source(p, e, a.element, edge);
    }
}

static void wait_for_collective(planner *p, int32_t e, int32_t collective)
{
    if (p->plan->device[collective] == p->plan->device[e]) {
        add_source(p, e, collective, DF_DAG_NOWHERE);
    }
}

/* Whether others wait for a collective of operators as they do for what computes. */
static bool sends(const planner *p, int32_t e)
{
    return !p->skips && p->plan->device[e] != DF_DAG_NOWHERE &&
           df_dag_at(p->dag, e)->role == DF_LOWER_OPERATOR_COLLECTIVE;
}

/* Follows a hop: to what computes before it, and to collectives before it on the same device. */
static void look_across(planner *p, int32_t e, ancestor hop)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(p->dag, hop.element, &count);
    for (int32_t i = 0; i < count; i++) {
        if (df_dag_at(p->dag, parents[i])->kind == DF_DAG_COMPUTE || sends(p, parents[i])) {
            wait_for(p, e, (ancestor){parents[i], hop.through}, hop.element);
        } else if (is_collective(p->dag, parents[i]) && !hop.through) {
            wait_for_collective(p, e, parents[i]);
        }
    }
}

static void look_at(planner *p, int32_t e, ancestor a)
{
    const df_dag *const dag = p->dag;
    if (df_dag_at(dag, a.element)->kind == DF_DAG_COMPUTE) {
        wait_for(p, e, a, is_collective(dag, e) ? a.element : DF_DAG_NOWHERE);
    } else if (is_collective(dag, e) && is_collective(dag, a.element)) {
        wait_for(p, e, a, a.element);
    } else if (df_dag_at(dag, a.element)->kind == DF_DAG_PIPELINE) {
        look_across(p, e, a);
    } else if (sends(p, a.element)) {
        wait_for(p, e, a, DF_DAG_NOWHERE);
    } else {
        wait_for_collective(p, e, a.element);
        push_parents(p, a.element, true);
    }
}

static void find_sources(planner *p)
{
    df_lower_plan *const plan = p->plan;
    for (int32_t e = 0; e < plan->elements; e++) {
        plan->first[e] = plan->sources.count;
        if (plan->device[e] != DF_DAG_NOWHERE) {
            ancestor a;
            p->stamp++;
            push_parents(p, e, false);
            while (pop(p, &a)) {
                look_at(p, e, a);
            }
        }
    }
    plan->first[plan->elements] = plan->sources.count;
}

/* ---- The order in which a device comes to its elements ---- */

int32_t *
df_lower_link_sources(df_arena *arena, df_lower_plan *plan, const int32_t *order, int32_t count)
{
    int32_t *const first = df_arena_numbers(arena, (size_t)plan->elements, -1);
    for (int32_t i = count - 1; first && i >= 0; i--) {
        const int32_t e = order ? order[i] : i;
        for (int32_t k = plan->first[e]; k < plan->first[e + 1]; k++) {
            df_lower_source *const source = &plan->sources.all[k];
            source->next = first[source->element];
            first[source->element] = k;
        }
    }
    return first;
}

/* Places each element after those for which it waits on its device; among those that could come
 * next, the one that could come first. Returns how many were placed. */
static int32_t line_up(planner *p, const int32_t *first_source, int32_t *line)
{
    const df_lower_plan *const plan = p->plan;
    int32_t count = 0;
    for (int32_t i = 0; i < p->reached; i++) {
        const int32_t e = p->order[i];
        if (plan->device[e] != DF_DAG_NOWHERE && p->waits[e] == 0) {
            line[count++] = e;
        }
    }
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = first_source[line[i]]; k >= 0; k = plan->sources.all[k].next) {
            const int32_t e = plan->sources.all[k].waiter;
            if (plan->device[e] == plan->device[line[i]] && --p->waits[e] == 0) {
                line[count++] = e;
            }
        }
    }
    return count;
}

/* Fills the queue; returns whether all elements found a place in it. */
static bool order_devices(planner *p)
{
    df_lower_plan *const plan = p->plan;
    const int32_t *const first_source = df_lower_link_sources(p->arena, plan, p->order, p->reached);
    int32_t *const line = df_arena_numbers(p->arena, (size_t)plan->elements, 0);
    if (p->arena->failed) {
        return false;
    }
    int32_t *const end = plan->begin + 1; /* while the queue is filled, device d's end at end[d] */
    int32_t running = 0;
    for (int32_t e = 0; e < plan->elements; e++) {
        if (plan->device[e] != DF_DAG_NOWHERE) {
            end[plan->device[e] + 1]++;
            running++;
        }
    }
    for (int32_t d = 0; d < plan->devices; d++) {
        end[d + 1] += end[d];
    }
    const int32_t count = line_up(p, first_source, line);
    for (int32_t i = 0; i < count; i++) {
        plan->queue[end[plan->device[line[i]]]++] = line[i];
    }
    return count == running;
}

/* ---- The whole ---- */

static bool open_planner(planner *p)
{
    df_lower_plan *const plan = p->plan;
    const size_t n = (size_t)df_dag_count(p->dag);
    plan->dag = p->dag;
    plan->elements = (int32_t)n;
    plan->device = df_arena_numbers(p->arena, n, DF_DAG_NOWHERE);
    plan->first = df_arena_numbers(p->arena, n + 1, 0);
    plan->queue = df_arena_numbers(p->arena, n, 0);
    plan->begin = df_arena_numbers(p->arena, (size_t)df_dag_devices(p->dag) + 2, 0);
    plan->previous = df_arena_numbers(p->arena, n, -1);
    plan->next = df_arena_numbers(p->arena, n, -1);
    p->number = df_arena_numbers(p->arena, (size_t)df_dag_devices(p->dag), 0);
    p->order = df_arena_numbers(p->arena, n, 0);
    p->waits = df_arena_numbers(p->arena, n, 0);
    p->seen[0] = df_arena_numbers(p->arena, n, 0);
    p->seen[1] = df_arena_numbers(p->arena, n, 0);
    return !p->arena->failed;
}

bool df_lower_make_plan(df_arena *arena, const df_lower_job *job, df_lower_plan *plan)
{
    planner p = {
        .arena = arena, .dag = job->dag, .plan = plan, .skips = job->options.hop_skips_collective};
    if (!open_planner(&p)) {
        return false;
    }
    collect(&p, job->root);
    place_elements(&p);
    find_sources(&p);
    return order_devices(&p);
}
