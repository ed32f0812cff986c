/* Which devices do a collective together: of the elements with one label, in their order, as
 * many as take part; the next ones are the next team. */
#include "llm/llm_team.h"

#include <stdlib.h>
#include <string.h>

#include "llm/llm_net.h"

/* Collectives of operators by label, and then by number. */
typedef struct {
    int32_t *count, *end; /* [label]: of its members, how many and where they end */
    int32_t labels;
    int32_t *members; /* elements */
    int32_t num_members;
} listing;

/* Groups by the device that they begin with: [device] the last of them, [group] the one before
 * it; -1. */
typedef struct {
    int32_t *last, *before;
} finder;

static bool is_member(const df_llm_plan *plan, int32_t e)
{
    return plan->device[e] != DF_LLM_NOWHERE &&
           df_dag_told(plan->dag, e)->role == DF_LLM_ROLE_OPERATOR_COLLECTIVE;
}

static bool count_members(const df_llm_plan *plan, listing *l)
{
    for (int32_t e = 0; e < plan->elements; e++) {
        const int32_t label = df_dag_told(plan->dag, e)->label;
        l->labels = label >= l->labels ? label + 1 : l->labels;
    }
    l->count = calloc((size_t)l->labels + 1, sizeof *l->count);
    l->end = calloc((size_t)l->labels + 1, sizeof *l->end);
    if (!l->count || !l->end) {
        return false;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        if (is_member(plan, e)) {
            l->count[df_dag_told(plan->dag, e)->label]++;
            l->num_members++;
        }
    }
    return true;
}

static bool list_members(const df_llm_plan *plan, listing *l)
{
    l->members = malloc(((size_t)l->num_members + 1) * sizeof *l->members);
    if (!l->members) {
        return false;
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < l->labels; i++) {
        l->end[i] = sum;
        sum += l->count[i];
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        if (is_member(plan, e)) {
            l->members[l->end[df_dag_told(plan->dag, e)->label]++] = e;
        }
    }
    return true;
}

static void fill(int32_t *numbers, size_t count, int32_t number)
{
    for (size_t i = 0; i < count; i++) {
        numbers[i] = number;
    }
}

static bool open_teams(const df_llm_plan *plan, const listing *l, df_llm_teams *t, finder *f)
{
    const size_t elements = (size_t)plan->elements + 1;
    const size_t most = (size_t)l->num_members + 1;
    const size_t devices = (size_t)plan->devices + 1;
    t->team = malloc(elements * sizeof *t->team);
    t->group = calloc(elements, sizeof *t->group);
    t->devices = malloc(most * sizeof *t->devices);
    t->first = calloc(most, sizeof *t->first);
    f->last = malloc(devices * sizeof *f->last);
    f->before = malloc(most * sizeof *f->before);
    if (!t->team || !t->group || !t->devices || !t->first || !f->last || !f->before) {
        return false;
    }
    fill(t->team, elements, -1);
    fill(f->last, devices, -1);
    return true;
}

/* Whether a group has the devices of the fresh one, which lie behind all. */
static bool same_devices(const df_llm_teams *t, int32_t group, int32_t count)
{
    const int32_t *const known = &t->devices[t->first[group]];
    return t->first[group + 1] - t->first[group] == count &&
           memcmp(known, &t->devices[t->first[t->groups]], (size_t)count * sizeof *known) == 0;
}

/* The group of the devices of some elements. */
static int32_t group_of(
    const df_llm_plan *plan, df_llm_teams *t, finder *f, const int32_t *elements, int32_t count)
{
    int32_t *const devices = &t->devices[t->first[t->groups]];
    for (int32_t i = 0; i < count; i++) {
        devices[i] = plan->device[elements[i]];
    }
    for (int32_t group = f->last[devices[0]]; group >= 0; group = f->before[group]) {
        if (same_devices(t, group, count)) {
            return group;
        }
    }
    f->before[t->groups] = f->last[devices[0]];
    f->last[devices[0]] = t->groups;
    t->first[t->groups + 1] = t->first[t->groups] + count;
    return t->groups++;
}

/* One group for all teams of the same devices. (The reference makes one for each team: the same
 * time, with a hundred times the groups.) */
static void cut_teams(const df_llm_plan *plan, const listing *l, df_llm_teams *t, finder *f)
{
    for (int32_t label = 0; label < l->labels; label++) {
        for (int32_t i = l->end[label] - l->count[label]; i < l->end[label];) {
            const int32_t *const members = &l->members[i];
            const int32_t wanted = df_dag_told(plan->dag, members[0])->participants;
            const int32_t size = wanted < 1 ? 1 : wanted;
            const int32_t count = size < l->end[label] - i ? size : l->end[label] - i;
            const int32_t group = group_of(plan, t, f, members, count);
            for (int32_t m = 0; m < count; m++) {
                t->group[members[m]] = group;
                t->team[members[m]] = t->teams;
            }
            t->teams++;
            i += count;
        }
    }
}

df_status df_llm_teams_make(const df_llm_plan *plan, df_llm_teams *teams, df_err *err)
{
    listing l = {.labels = 0};
    finder f = {NULL, NULL};
    memset(teams, 0, sizeof *teams);
    const bool made =
        count_members(plan, &l) && list_members(plan, &l) && open_teams(plan, &l, teams, &f);
    if (made) {
        cut_teams(plan, &l, teams, &f);
    }
    free(l.count);
    free(l.end);
    free(l.members);
    free(f.last);
    free(f.before);
    return made ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
}

void df_llm_teams_free(df_llm_teams *teams)
{
    free(teams->team);
    free(teams->group);
    free(teams->devices);
    free(teams->first);
    memset(teams, 0, sizeof *teams);
}

df_status df_llm_teams_add(const df_llm_plan *plan,
                           const df_llm_teams *teams,
                           int32_t replicas,
                           int32_t first_id,
                           df_net_program *program,
                           df_err *err)
{
    int32_t *const ranks = malloc(((size_t)plan->devices + 1) * sizeof *ranks);
    if (!ranks) {
        return df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
    }
    df_status status = DF_OK;
    for (int32_t i = 0; i < teams->groups * replicas && status == DF_OK; i++) {
        const int32_t *const first = &teams->first[i / replicas];
        for (int32_t m = first[0]; m < first[1]; m++) {
            ranks[m - first[0]] = i % replicas * plan->devices + teams->devices[m];
        }
        status = df_net_program_add_group(program, first_id + i, ranks, first[1] - first[0], err);
    }
    free(ranks);
    return status;
}
