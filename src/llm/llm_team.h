/* llm_team.h: the devices that do a collective together, and in which order each device comes
 * to its collectives. */
#ifndef DF_LLM_TEAM_H
#define DF_LLM_TEAM_H
#include "llm/llm_plan.h"
#include "net/net.h"

/* A team does one collective of an operator; a group is the devices of some teams. */
typedef struct {
    int32_t *team;    /* [element]: its team, -1: it is no operator's collective */
    int32_t *group;   /* [element]: its team's group, from 0 on */
    int32_t *devices; /* of all groups, behind one another */
    int32_t *first;   /* [groups + 1]: of a group's devices */
    int32_t teams, groups;
} df_llm_teams;

/* Free the teams after a failure too. DF_ENOMEM. */
DF_NODISCARD df_status df_llm_teams_make(const df_llm_plan *plan, df_llm_teams *teams, df_err *err);
void df_llm_teams_free(df_llm_teams *teams);

/* Adds the groups of each replica to a program: group g of replica r has the id
 * first_id + g * replicas + r. */
DF_NODISCARD df_status df_llm_teams_add(const df_llm_plan *plan,
                                        const df_llm_teams *teams,
                                        int32_t replicas,
                                        int32_t first_id,
                                        df_net_program *program,
                                        df_err *err);

/* The order in which devices come to their collectives; -1: none. */
typedef struct {
    int32_t *previous; /* [element], a collective: the one before it on its device */
    int32_t *next;     /* [element]: the first on its device that waits for what it sends */
} df_llm_turns;

/* Fills the arrays with one order for all devices, so that no two wait for each other. DF_ENOMEM;
 * DF_ERUNTIME: elements wait for each other. */
DF_NODISCARD df_status df_llm_take_turns(const df_llm_plan *plan,
                                         const df_llm_teams *teams,
                                         const df_llm_turns *turns,
                                         df_err *err);

#endif
