/* store_read.h: a results file for readers, at any moment: while a search writes it, and after the
 * search was killed. Nothing is locked, and nothing is written. */
#ifndef DF_STORE_READ_H
#define DF_STORE_READ_H
#include "store/store.h"

typedef struct df_results_file df_results_file;

/* All but the rows of /searches. */
typedef struct {
    df_store_strategy *strategies; /* reasons are "" where there is none */
    int64_t num_strategies;
    int64_t num_searches;
    int32_t trajectory_rows; /* of each search; 0: no /trajectories */
    /* Texts are "" where the file has none. */
    char *hardware_yaml, *model_yaml, *settings;
    char *version, *command, *start, *host;
    int32_t ranks;
    int64_t evaluations;
    double wall_s;
    df_results_file *file;
} df_results;

/* DF_EIO: not readable, or not a results file. On failure there is nothing to close. */
DF_NODISCARD df_status df_results_open(const char *path, df_results *out, df_err *err);
void df_results_close(df_results *results);

/* `count` rows of /searches from row `first` on. Rows that are being written are pending. */
DF_NODISCARD df_status df_results_read(const df_results *results,
                                       int64_t first,
                                       int64_t count,
                                       df_store_search *searches,
                                       df_err *err);

/* The iterates of a search that is done; room for trajectory_rows of them. */
DF_NODISCARD df_status df_results_iterates(
    const df_results *results, int64_t work_id, df_iterate *iterates, int32_t *count, df_err *err);

/* The searches of /pareto, starting with the best in the first objective, in *work_ids, which the
 * caller frees. There are none while a search runs, if it was stopped, and if it has one objective.
 */
DF_NODISCARD df_status df_results_pareto(const df_results *results,
                                         int64_t **work_ids,
                                         int64_t *count,
                                         df_err *err);

/* The value of "KEY=VALUE" in the settings, to the end of its line. False: there is none. */
bool df_results_setting(const df_results *results, const char *key, char *value, size_t room);

#endif
