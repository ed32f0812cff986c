/* store.h: results.h5. The only module that knows HDF5.
 *
 * All rows exist from the start with status "pending" and are overwritten in
 * place, so that a killed writer leaves a file that opens, and the bytes do not
 * depend on the order in which results came. */
#ifndef DF_STORE_H
#define DF_STORE_H
#include "grad/grad.h"
#include "layout/layout.h"

typedef struct df_store df_store;

/* A row of /strategies: one strategy in one layout. */
typedef struct {
    int32_t strategy_id; /* row number */
    df_strategy strategy;
    df_system_size size; /* num_worker resolved */
    df_layout layout;
    bool feasible;
    char reason[256];
} df_store_strategy;

/* A row of /searches. */
typedef struct {
    int64_t work_id; /* row number */
    int32_t strategy_id, index;
    df_descent descent;
} df_store_search;

typedef struct {
    const df_store_strategy *strategies;
    size_t num_strategies;
    const df_store_search *searches; /* status DF_SEARCH_PENDING */
    size_t num_searches;
    int32_t trajectory_rows; /* iterates kept of each descent; 0: no /trajectories */
    /* /config: texts of the files, and what else decides the numbers. */
    const char *hardware_yaml, *model_yaml; /* model_yaml NULL: combined file */
    const char *settings; /* canonical text: rules, optimizer, num_search, ... */
    /* /provenance */
    const char *version, *command;
    int32_t ranks;
} df_store_plan;

/* Creates path with all rows pending. DF_EIO names what HDF5 said.
 * An existing file is replaced (the caller has asked the user). */
DF_NODISCARD df_status df_store_create(const char *path, const df_store_plan *plan, df_store **out,
                                       df_err *err);

/* Opens a file of an interrupted run for more. DF_EINVAL: made from other inputs (err
 * says which differ). done[i] becomes true for the searches that are finished. */
DF_NODISCARD df_status df_store_resume(const char *path, const df_store_plan *plan, bool *done,
                                       df_store **out, df_err *err);

/* Writes a finished search and its iterates (may be NULL). */
DF_NODISCARD df_status df_store_put(df_store *store, const df_store_search *search,
                                    const df_iterate *iterates, int32_t num_iterates, df_err *err);

/* Reads one row of /searches back. */
DF_NODISCARD df_status df_store_get(df_store *store, int64_t work_id, df_store_search *search,
                                    df_err *err);

/* Hands what was put to the operating system. */
DF_NODISCARD df_status df_store_flush(df_store *store, df_err *err);
/* Flushes and closes; also after a failure. */
DF_NODISCARD df_status df_store_close(df_store *store, df_err *err);

#endif
