/* An order of communication that all devices keep.
 *
 * A device does one collective or sends one message at a time, and takes the first that is
 * ready. Where one device takes A and then B, and another one B and then A, both wait for ever;
 * so do two that wait for messages which are to be sent after their collectives. So all are put
 * into one order in which each comes after what it waits for: by the earliest time at which it
 * could begin if nothing but its sources held it up. Where no collective begins before those
 * that precede it, and what is sent before it, the first that is not done can always be done. */
#include <stdlib.h>

#include "lower/lower_impl.h"

/* Elements that are done as a whole: those of a team, copies for several devices, or one alone. */
typedef struct {
    double begin_s;
    int32_t place; /* in an order in which each comes after its sources */
    int32_t waits; /* sources that have no place yet */
} unit;

/* A collective on a device, or what an element of it sends. */
typedef struct {
    int32_t device, element;
    double begin_s;
    int32_t place;
    bool sends;
} turn;

typedef struct {
    const df_lower_plan *plan;
    const df_lower_teams *teams;
    unit *units;
    int32_t *queue;                    /* units that have their place */
    int32_t *next_member;              /* [element]: another element of its unit, -1 */
    int32_t *member;                   /* [unit]: its last element, -1 */
    int32_t *follower_end, *followers; /* elements that wait for an element */
    turn *turns;
} scheduler;

static int32_t unit_of(const scheduler *s, int32_t e)
{
    return s->teams->team[e] >= 0 ? s->plan->elements + s->teams->team[e]
                                  : e - df_dag_info_of(s->plan->dag, e)->mate;
}

static int32_t num_units(const scheduler *s)
{
    return s->plan->elements + s->teams->teams;
}

/* The i-th that an element waits for, on its device or elsewhere. */
static int32_t source_of(const df_lower_plan *plan, int32_t e, int32_t i)
{
    return i < plan->near[e].count
               ? plan->sources.all[plan->near[e].first + i]
               : plan->remotes.all[plan->far[e].first + i - plan->near[e].count].source;
}

static int32_t num_sources(const df_lower_plan *plan, int32_t e)
{
    return plan->near[e].count + plan->far[e].count;
}

static void list_members(scheduler *s)
{
    for (int32_t e = s->plan->elements - 1; e >= 0; e--) {
        const int32_t u = unit_of(s, e);
        s->next_member[e] = s->member[u];
        s->member[u] = e;
    }
}

/* Followers of e are those from follower_end[e - 1] to follower_end[e] afterwards. */
static void list_followers(scheduler *s)
{
    const df_lower_plan *const plan = s->plan;
    for (int32_t e = 0; e < plan->elements; e++) {
        for (int32_t i = 0; i < num_sources(plan, e); i++) {
            s->follower_end[source_of(plan, e, i) + 1]++;
            s->units[unit_of(s, e)].waits++;
        }
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        s->follower_end[e + 1] += s->follower_end[e];
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        for (int32_t i = 0; i < num_sources(plan, e); i++) {
            s->followers[s->follower_end[source_of(plan, e, i)]++] = e;
        }
    }
}

/* Lets those that wait for e go on. */
static int32_t count_off(scheduler *s, int32_t e, double end_s, int32_t placed)
{
    for (int32_t i = e > 0 ? s->follower_end[e - 1] : 0; i < s->follower_end[e]; i++) {
        const int32_t follower = unit_of(s, s->followers[i]);
        unit *const u = &s->units[follower];
        u->begin_s = end_s > u->begin_s ? end_s : u->begin_s;
        if (--u->waits == 0) {
            s->queue[placed++] = follower;
        }
    }
    return placed;
}

/* Gives each unit its time and its place; false when some wait for each other. */
static bool place_units(scheduler *s)
{
    int32_t all = 0;
    int32_t placed = 0;
    for (int32_t u = 0; u < num_units(s); u++) {
        all += s->member[u] >= 0;
        if (s->member[u] >= 0 && s->units[u].waits == 0) {
            s->queue[placed++] = u;
        }
    }
    for (int32_t i = 0; i < placed; i++) {
        unit *const u = &s->units[s->queue[i]];
        u->place = i;
        for (int32_t e = s->member[s->queue[i]]; e >= 0; e = s->next_member[e]) {
            placed = count_off(s, e, u->begin_s + df_dag_duration_s(s->plan->dag, e), placed);
        }
    }
    return placed == all;
}

/* A send has the place of its element, but goes when that ends. */
static int by_device_and_time(const void *a, const void *b)
{
    const turn *const x = a;
    const turn *const y = b;
    if (x->device != y->device) {
        return x->device < y->device ? -1 : 1;
    }
    if (x->begin_s != y->begin_s) {
        return x->begin_s < y->begin_s ? -1 : 1;
    }
    if (x->place != y->place) {
        return x->place < y->place ? -1 : 1;
    }
    return (x->sends > y->sends) - (x->sends < y->sends);
}

static size_t list_turns(scheduler *s)
{
    const df_dag *const dag = s->plan->dag;
    size_t count = 0;
    for (int32_t e = 0; e < s->plan->elements; e++) {
        const unit *const u = &s->units[unit_of(s, e)];
        const int32_t device = s->plan->device[e];
        if (device == DF_LOWER_NOWHERE) {
            continue;
        }
        if (!df_lower_is_compute(dag, e)) {
            s->turns[count++] = (turn){device, e, u->begin_s, u->place, false};
        }
        s->turns[count++] =
            (turn){device, e, u->begin_s + df_dag_duration_s(dag, e), u->place, true};
    }
    qsort(s->turns, count, sizeof *s->turns, by_device_and_time);
    return count;
}

static void order_devices(scheduler *s, const df_lower_turns *turns)
{
    const size_t count = list_turns(s);
    int32_t last = -1; /* collective of the device */
    size_t sent = 0;   /* the first turn that no collective has followed */
    for (size_t i = 0; i < count; i++) {
        const turn *const t = &s->turns[i];
        if (i > 0 && t->device != t[-1].device) {
            last = -1;
            sent = i;
        }
        if (!t->sends) {
            turns->previous[t->element] = last;
            last = t->element;
            for (; sent < i; sent++) {
                if (s->turns[sent].sends) {
                    turns->next[s->turns[sent].element] = last;
                }
            }
        }
    }
}

df_status df_lower_take_turns(df_arena *arena,
                              const df_lower_plan *plan,
                              const df_lower_teams *teams,
                              const df_lower_turns *turns,
                              df_err *err)
{
    scheduler s = {.plan = plan, .teams = teams};
    const size_t elements = (size_t)plan->elements;
    const size_t units = (size_t)num_units(&s);
    const size_t edges = (size_t)plan->sources.count + (size_t)plan->remotes.count;
    s.units = df_arena_take(arena, units, sizeof *s.units);
    s.queue = df_arena_numbers(arena, units, 0);
    s.next_member = df_arena_numbers(arena, elements, -1);
    s.member = df_arena_numbers(arena, units, -1);
    s.follower_end = df_arena_numbers(arena, elements + 1, 0);
    s.followers = df_arena_numbers(arena, edges, 0);
    s.turns = df_arena_take(arena, 2 * elements, sizeof *s.turns);
    if (arena->failed) {
        return df_lower_fail_memory(err);
    }
    list_members(&s);
    list_followers(&s);
    if (!place_units(&s)) {
        return df_fail(err, DF_ERUNTIME,
                       "expected collectives in an order, found some that wait for each other");
    }
    order_devices(&s, turns);
    return DF_OK;
}
