/* Which devices do a collective together: those of the elements with one label, as many at a time
 * as take part, in the order of the elements. */
#include <string.h>

#include "lower/lower_impl.h"

typedef struct {
    df_lower_plan *plan;
    int32_t count;
    int32_t *elements; /* by label, and then by number */
    int32_t *end;      /* [label]: where its elements end */
    /* Groups by the device that they begin with, newest first: -1 ends a list. */
    int32_t *newest; /* [device] */
    int32_t *older;  /* [group] */
} former;

/* The label of an operator's collective, -1 for other elements. */
static int32_t label_of(const df_lower_plan *plan, int32_t e)
{
    return plan->device[e] != DF_LOWER_NOWHERE && df_lower_is_operators(plan->dag, e)
               ? df_dag_info_of(plan->dag, e)->label
               : -1;
}

static void sort_elements(former *f, int32_t labels)
{
    for (int32_t e = 0; e < f->plan->elements; e++) {
        f->end[label_of(f->plan, e) + 1]++;
    }
    f->end[0] = 0; /* where those without a label were counted */
    for (int32_t label = 0; label < labels; label++) {
        f->end[label + 1] += f->end[label];
    }
    for (int32_t e = 0; e < f->plan->elements; e++) {
        const int32_t label = label_of(f->plan, e);
        if (label >= 0) {
            f->elements[f->end[label]++] = e;
        }
    }
}

/* Whether a group has the devices of the fresh one, which lie behind all. */
static bool same_members(const df_lower_plan *plan, int32_t group, int32_t count)
{
    const int32_t *const first = &plan->first_member[group];
    return first[1] - first[0] == count &&
           memcmp(&plan->members[first[0]], &plan->members[plan->first_member[plan->groups]],
                  (size_t)count * sizeof *plan->members) == 0;
}

/* The group of the devices of some elements. */
static int32_t group_of(former *f, const int32_t *elements, int32_t count)
{
    df_lower_plan *const plan = f->plan;
    int32_t *const members = &plan->members[plan->first_member[plan->groups]];
    for (int32_t i = 0; i < count; i++) {
        members[i] = plan->device[elements[i]];
    }
    for (int32_t group = f->newest[members[0]]; group >= 0; group = f->older[group]) {
        if (same_members(plan, group, count)) {
            return group;
        }
    }
    f->older[plan->groups] = f->newest[members[0]];
    f->newest[members[0]] = plan->groups;
    plan->first_member[plan->groups + 1] = plan->first_member[plan->groups] + count;
    return plan->groups++;
}

/* One group for all teams of the same devices. (The reference makes one for each team: the same
 * time, with a hundred times the groups.) */
static void cut_teams(former *f)
{
    df_lower_plan *const plan = f->plan;
    int32_t size;
    for (int32_t i = 0; i < f->count; i += size) {
        const int32_t *const team = &f->elements[i];
        const int32_t left = f->end[label_of(plan, *team)] - i;
        const int32_t wanted = df_dag_info_of(plan->dag, *team)->participants;
        size = wanted < 1 ? 1 : wanted < left ? wanted : left;
        const int32_t group = group_of(f, team, size);
        for (int32_t m = 0; m < size; m++) {
            plan->group[team[m]] = group;
            plan->unit[team[m]] = *team;
        }
    }
}

void df_lower_make_teams(df_arena *arena, df_lower_plan *plan)
{
    former f = {.plan = plan};
    int32_t labels = 0;
    plan->unit = df_arena_numbers(arena, (size_t)plan->elements, 0);
    plan->group = df_arena_numbers(arena, (size_t)plan->elements, 0);
    for (int32_t e = 0; plan->unit && e < plan->elements; e++) {
        const int32_t label = label_of(plan, e);
        labels = label >= labels ? label + 1 : labels;
        f.count += label >= 0;
        plan->unit[e] = e - df_dag_info_of(plan->dag, e)->mate; /* unless it gets a team */
    }
    f.elements = df_arena_numbers(arena, (size_t)f.count, 0);
    f.end = df_arena_numbers(arena, (size_t)labels + 1, 0);
    f.newest = df_arena_numbers(arena, (size_t)plan->devices, -1);
    f.older = df_arena_numbers(arena, (size_t)f.count, -1);
    plan->members = df_arena_numbers(arena, (size_t)f.count, 0);
    plan->first_member = df_arena_numbers(arena, (size_t)f.count + 1, 0);
    if (!arena->failed) {
        sort_elements(&f, labels);
        cut_teams(&f);
    }
}
