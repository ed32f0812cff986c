/* An order of communication that all devices keep.
 *
 * A device does one collective or sends one message at a time, and takes the first that is ready.
 * If one device takes A and then B, and another one B and then A, both wait for ever; so do two
 * devices that wait for messages which are to be sent after their collectives. So all collectives
 * and messages are put into one order, in which each comes after what it waits for: they are sorted
 * by the earliest time at which they could begin if nothing but their sources held them up. If no
 * collective begins before those that precede it, and before what is sent before it, then the first
 * that is not done can always be done. */
#include <stdlib.h>

#include "lower/lower_impl.h"

/* A unit of the plan, which has the number of its first element. */
typedef struct {
    double begin_s;
    int32_t place; /* place in an order in which each comes after its sources */
    int32_t waits; /* sources that have no place yet */
} unit;

/* A collective of a device, or what an element of it sends. */
typedef struct {
    double begin_s;
    int32_t element, place;
    bool sends;
} turn;

typedef struct {
    const df_lower_plan *plan;
    const int32_t *first_source; /* [element]: the first source that it is, -1 */
    unit *units;                 /* [element] */
    int32_t *queue;              /* units that wait for nothing any more */
    int32_t queued;
    turn *turns; /* of a device */
} scheduler;

/* Lets the elements that wait for e continue. */
static void count_off(scheduler *s, int32_t e, double end_s)
{
    const df_lower_source *const sources = s->plan->sources.all;
    for (int32_t k = s->first_source[e]; k >= 0; k = sources[k].next) {
        const int32_t waiter = s->plan->unit[sources[k].waiter];
        unit *const u = &s->units[waiter];
        u->begin_s = end_s > u->begin_s ? end_s : u->begin_s;
        if (--u->waits == 0) {
            s->queue[s->queued++] = waiter;
        }
    }
}

/* Gives each unit its time and its place; false when some wait for each other. */
static bool place_units(scheduler *s)
{
    const df_lower_plan *const plan = s->plan;
    int32_t count = 0;
    for (int32_t k = 0; k < plan->sources.count; k++) {
        s->units[plan->unit[plan->sources.all[k].waiter]].waits++;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        const bool first = plan->unit[e] == e;
        count += first;
        if (first && s->units[e].waits == 0) {
            s->queue[s->queued++] = e;
        }
    }
    for (int32_t i = 0; i < s->queued; i++) {
        unit *const u = &s->units[s->queue[i]];
        u->place = i;
        for (int32_t e = s->queue[i]; e >= 0; e = plan->next_of_unit[e]) {
            count_off(s, e, u->begin_s + df_dag_at(plan->dag, e)->duration_s);
        }
    }
    return s->queued == count;
}

/* A send has the place of its element, but goes when that ends. */
static int by_time(const void *a, const void *b)
{
    const turn *const x = a;
    const turn *const y = b;
    if (x->begin_s != y->begin_s) {
        return x->begin_s < y->begin_s ? -1 : 1;
    }
    if (x->place != y->place) {
        return x->place < y->place ? -1 : 1;
    }
    return (x->sends > y->sends) - (x->sends < y->sends);
}

static size_t list_turns(scheduler *s, int32_t device)
{
    const df_lower_plan *const plan = s->plan;
    size_t count = 0;
    for (int32_t i = plan->begin[device]; i < plan->begin[device + 1]; i++) {
        const int32_t e = plan->queue[i];
        const unit *const u = &s->units[s->plan->unit[e]];
        const double end_s = u->begin_s + df_dag_at(plan->dag, e)->duration_s;
        if (df_dag_at(plan->dag, e)->kind != DF_DAG_COMPUTE) {
            s->turns[count++] = (turn){u->begin_s, e, u->place, false};
        }
        s->turns[count++] = (turn){end_s, e, u->place, true};
    }
    qsort(s->turns, count, sizeof *s->turns, by_time);
    return count;
}

static void order_device(scheduler *s, int32_t device)
{
    int32_t next = -1; /* the collective behind */
    for (size_t i = list_turns(s, device); i-- > 0;) {
        const int32_t e = s->turns[i].element;
        if (s->turns[i].sends) {
            s->plan->next[e] = next;
            continue;
        }
        if (next >= 0) {
            s->plan->previous[next] = e;
        }
        next = e;
    }
}

bool df_lower_take_turns(df_arena *arena, df_lower_plan *plan)
{
    const size_t n = (size_t)plan->elements;
    scheduler s = {.plan = plan,
                   .first_source = df_lower_link_sources(arena, plan, NULL, plan->elements),
                   .units = df_arena_take(arena, n, sizeof *s.units),
                   .queue = df_arena_numbers(arena, n, 0),
                   .turns = df_arena_take(arena, 2 * n, sizeof *s.turns)};
    if (arena->failed || !place_units(&s)) {
        return false;
    }
    for (int32_t d = 0; d < plan->devices; d++) {
        order_device(&s, d);
    }
    return true;
}
