/* Which devices do a collective together: those of the elements with one label, as many at a time
 * as take part, in the order of the elements. */
#include <string.h>

#include "lower/lower_impl.h"

typedef struct {
    const df_lower_plan *plan;
    df_lower_teams *teams;
    int32_t labels, count;
    int32_t *members; /* elements by label, and then by number */
    int32_t *end;     /* [label]: where its members end */
    /* Groups by the device that they begin with, newest first: -1 ends a list. */
    int32_t *newest; /* [device] */
    int32_t *older;  /* [group] */
} former;

/* The label of an operator's collective, -1 for other elements. */
static int32_t label_of(const df_lower_plan *plan, int32_t e)
{
    const df_dag_info *const info = df_dag_info_of(plan->dag, e);
    return plan->device[e] != DF_LOWER_NOWHERE && info->role == DF_LOWER_OPERATOR_COLLECTIVE
               ? info->label
               : -1;
}

static void count_members(former *f)
{
    for (int32_t e = 0; e < f->plan->elements; e++) {
        const int32_t label = label_of(f->plan, e);
        f->labels = label >= f->labels ? label + 1 : f->labels;
        f->count += label >= 0;
    }
}

static void list_members(former *f)
{
    for (int32_t e = 0; e < f->plan->elements; e++) {
        f->end[label_of(f->plan, e) + 1]++;
    }
    f->end[0] = 0; /* where those without a label were counted */
    for (int32_t label = 0; label < f->labels; label++) {
        f->end[label + 1] += f->end[label];
    }
    for (int32_t e = 0; e < f->plan->elements; e++) {
        const int32_t label = label_of(f->plan, e);
        if (label >= 0) {
            f->members[f->end[label]++] = e;
        }
    }
}

/* Whether a group has the devices of the fresh one, which lie behind all. */
static bool same_devices(const df_lower_teams *t, int32_t group, int32_t count)
{
    const int32_t *const known = &t->devices[t->first[group]];
    return t->first[group + 1] - t->first[group] == count &&
           memcmp(known, &t->devices[t->first[t->groups]], (size_t)count * sizeof *known) == 0;
}

/* The group of the devices of some elements. */
static int32_t group_of(former *f, const int32_t *elements, int32_t count)
{
    df_lower_teams *const t = f->teams;
    int32_t *const devices = &t->devices[t->first[t->groups]];
    for (int32_t i = 0; i < count; i++) {
        devices[i] = f->plan->device[elements[i]];
    }
    for (int32_t group = f->newest[devices[0]]; group >= 0; group = f->older[group]) {
        if (same_devices(t, group, count)) {
            return group;
        }
    }
    f->older[t->groups] = f->newest[devices[0]];
    f->newest[devices[0]] = t->groups;
    t->first[t->groups + 1] = t->first[t->groups] + count;
    return t->groups++;
}

/* One group for all teams of the same devices. (The reference makes one for each team: the same
 * time, with a hundred times the groups.) */
static void cut_teams(former *f)
{
    df_lower_teams *const t = f->teams;
    int32_t begin = 0;
    for (int32_t label = 0; label < f->labels; label++) {
        while (begin < f->end[label]) {
            const int32_t *const members = &f->members[begin];
            const int32_t left = f->end[label] - begin;
            const int32_t wanted = df_dag_info_of(f->plan->dag, members[0])->participants;
            const int32_t size = wanted < 1 ? 1 : wanted < left ? wanted : left;
            const int32_t group = group_of(f, members, size);
            for (int32_t m = 0; m < size; m++) {
                t->group[members[m]] = group;
                t->team[members[m]] = t->teams;
            }
            t->teams++;
            begin += size;
        }
    }
}

df_status
df_lower_make_teams(df_arena *arena, const df_lower_plan *plan, df_lower_teams *teams, df_err *err)
{
    former f = {.plan = plan, .teams = teams};
    const size_t elements = (size_t)plan->elements;
    count_members(&f);
    const size_t count = (size_t)f.count;
    f.members = df_arena_numbers(arena, count, 0);
    f.end = df_arena_numbers(arena, (size_t)f.labels + 1, 0);
    f.newest = df_arena_numbers(arena, (size_t)plan->devices, -1);
    f.older = df_arena_numbers(arena, count, -1);
    teams->team = df_arena_numbers(arena, elements, -1);
    teams->group = df_arena_numbers(arena, elements, 0);
    teams->devices = df_arena_numbers(arena, count, 0);
    teams->first = df_arena_numbers(arena, count + 1, 0);
    if (arena->failed) {
        return df_lower_fail_memory(err);
    }
    list_members(&f);
    cut_teams(&f);
    return DF_OK;
}
