/* How large the tables of a plan are. */
#include <stdio.h>
#include <string.h>

#include "store/store_impl.h"

enum { PARETO_ROWS_MAX = 4096, OVERHEAD_BYTES = 1 << 16 };

int64_t df_store_rows(const df_store_plan *plan)
{
    return plan->num_searched * plan->num_indices;
}

df_goals df_store_goals(const char *settings)
{
    static const char key[] = "objective=";
    df_goals goals = {.count = 0};
    char text[256];
    df_err ignored;
    for (const char *line = settings; line && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, sizeof key - 1) == 0) {
            const char *const value = line + sizeof key - 1;
            snprintf(text, sizeof text, "%.*s", (int)strcspn(value, "\n"), value);
            if (df_goals_parse(text, &goals, &ignored) != DF_OK) {
                goals.count = 0;
            }
            return goals;
        }
    }
    return goals;
}

int64_t df_store_pareto_rows(const df_store_plan *plan)
{
    const int64_t rows = df_store_rows(plan);
    if (df_store_goals(plan->settings).count < 2) {
        return 0;
    }
    return rows < PARETO_ROWS_MAX ? rows : PARETO_ROWS_MAX;
}

int64_t df_store_bytes(const df_store_plan *plan)
{
    const int64_t rows = df_store_rows(plan);
    const size_t texts = strlen(plan->hardware_yaml) + strlen(plan->settings) +
                         (plan->model_yaml ? strlen(plan->model_yaml) : 0);
    return OVERHEAD_BYTES + (int64_t)texts + rows * (int64_t)sizeof(df_search_row) +
           plan->num_strategies * (int64_t)sizeof(df_strategy_row) +
           rows * plan->trajectory_rows * (int64_t)sizeof(df_iterate_row) +
           df_store_pareto_rows(plan) * (int64_t)sizeof(df_pareto_row);
}
