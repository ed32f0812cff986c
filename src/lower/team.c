/* Which devices do a collective together: those of the elements with one label, as many at a time
 * as take part, in the order of the elements. */
#include <string.h>

#include "lower/lower_impl.h"

typedef struct {
    df_lower_plan *plan;
    /* Groups by the device that they begin with, newest first: -1 ends a list. */
    int32_t *newest; /* [device] */
    int32_t *older;  /* [group] */
} former;

/* Whether a group has the devices of the fresh one, which lie behind all. */
static bool same_members(const df_lower_plan *plan, int32_t group, int32_t count)
{
    const int32_t *const first = &plan->first_member[group];
    return first[1] - first[0] == count &&
           memcmp(&plan->members[first[0]], &plan->members[plan->first_member[plan->groups]],
                  (size_t)count * sizeof *plan->members) == 0;
}

/* The group of the `count` devices that lie behind those of all groups. */
static int32_t group_of(former *f, int32_t count)
{
    df_lower_plan *const plan = f->plan;
    const int32_t begin = plan->first_member[plan->groups];
    int32_t *const newest = &f->newest[plan->members[begin]];
    for (int32_t group = *newest; group >= 0; group = f->older[group]) {
        if (same_members(plan, group, count)) {
            return group;
        }
    }
    f->older[plan->groups] = *newest;
    *newest = plan->groups;
    plan->first_member[plan->groups + 1] = begin + count;
    return plan->groups++;
}

/* Takes the team of the first elements of a list, which then ends; returns where the rest begins.
 * (There is one group for all teams of the same devices: the reference makes one for each team,
 * which gives the same time with a hundred times as many groups.) */
static int32_t cut_team(former *f, int32_t first)
{
    df_lower_plan *const plan = f->plan;
    const int32_t wanted = df_dag_at(plan->dag, first)->participants;
    int32_t *const members = &plan->members[plan->first_member[plan->groups]];
    int32_t count = 0;
    int32_t last = first;
    int32_t rest = first;
    while (rest >= 0 && (count == 0 || count < wanted)) {
        last = rest;
        rest = plan->next_of_unit[last];
        plan->unit[last] = first;
        members[count++] = plan->device[last];
    }
    plan->next_of_unit[last] = -1;
    const int32_t group = group_of(f, count);
    for (int32_t e = first; e >= 0; e = plan->next_of_unit[e]) {
        plan->group[e] = group;
    }
    return rest;
}

/* The label of an operator's collective, -1 for other elements. */
static int32_t label_of(const df_lower_plan *plan, int32_t e)
{
    return plan->device[e] != DF_DAG_NOWHERE &&
                   df_dag_at(plan->dag, e)->role == DF_LOWER_OPERATOR_COLLECTIVE
               ? df_dag_at(plan->dag, e)->label
               : -1;
}

/* Lists the elements of each label, of which teams are cut, and links those of other units. */
static void list_elements(df_lower_plan *plan, int32_t *first_of_label)
{
    for (int32_t e = plan->elements - 1; e >= 0; e--) {
        const int32_t label = label_of(plan, e);
        const int32_t unit = e - df_dag_at(plan->dag, e)->mate;
        plan->unit[e] = unit;
        if (label >= 0) {
            plan->next_of_unit[e] = first_of_label[label];
            first_of_label[label] = e;
        } else if (unit != e) {
            plan->next_of_unit[e] = plan->next_of_unit[unit];
            plan->next_of_unit[unit] = e;
        }
    }
}

void df_lower_make_teams(df_arena *arena, df_lower_plan *plan)
{
    const size_t n = (size_t)plan->elements;
    former f = {.plan = plan,
                .newest = df_arena_numbers(arena, (size_t)plan->devices, -1),
                .older = df_arena_numbers(arena, n, -1)};
    int32_t labels = 0;
    for (int32_t e = 0; e < plan->elements; e++) {
        labels = label_of(plan, e) >= labels ? label_of(plan, e) + 1 : labels;
    }
    int32_t *const first_of_label = df_arena_numbers(arena, (size_t)labels, -1);
    plan->unit = df_arena_numbers(arena, n, 0);
    plan->next_of_unit = df_arena_numbers(arena, n, -1);
    plan->group = df_arena_numbers(arena, n, 0);
    plan->members = df_arena_numbers(arena, n, 0);
    plan->first_member = df_arena_numbers(arena, n + 1, 0);
    if (arena->failed) {
        return;
    }
    list_elements(plan, first_of_label);
    for (int32_t label = 0; label < labels; label++) {
        for (int32_t e = first_of_label[label]; e >= 0;) {
            e = cut_team(&f, e);
        }
    }
}
