/* store.h: results.h5. This is the only module that knows HDF5.
 *
 * All rows exist from the start, with status "pending" and room on the disk. They are overwritten
 * in place, and their status is written last. Nothing else in the file changes after it was
 * created. So whenever the writer ends, and whatever reads the file meanwhile: the file opens, each
 * row is pending or complete, and the bytes do not depend on the order in which results came. Rows
 * have checksums because a machine that loses power may leave part of a row. docs/results.md
 * describes the file. */
#ifndef DF_STORE_H
#define DF_STORE_H
#include "grad/grad.h"
#include "layout/layout.h"

typedef struct df_store df_store;

enum { DF_STORE_REASON = 256 }; /* longer ones are cut */

/* A row of /strategies: one strategy in one layout. */
typedef struct {
    int32_t strategy_id; /* row number */
    df_strategy strategy;
    df_system_size size; /* num_worker resolved */
    df_layout layout;
    bool feasible;
    const char *reason; /* NULL: none */
} df_store_strategy;

/* A row of /searches. */
typedef struct {
    int64_t work_id; /* row number */
    int32_t strategy_id, index;
    df_descent descent; /* its start point is not kept */
} df_store_search;

/* What the file is made from; borrowed for the call. */
typedef struct {
    const df_store_strategy *strategies;
    int64_t num_strategies;
    /* /searches has num_indices rows, index first_index and so on, for each of these rows of
     * /strategies in turn. */
    const int32_t *searched;
    int64_t num_searched;
    int32_t num_indices, first_index;
    int32_t trajectory_rows; /* iterates kept of each descent; 0: no /trajectories */
    /* /config: texts of the files, and what else decides the numbers. */
    const char *hardware_yaml, *model_yaml; /* model_yaml NULL: combined file */
    const char *settings;                   /* canonical text: rules, optimizer, ... */
    /* /provenance */
    const char *version, *command, *start, *host;
    int32_t ranks;
} df_store_plan;

/* Number of rows of /searches. */
int64_t df_store_rows(const df_store_plan *plan);

/* What runs have spent, in /provenance. */
typedef struct {
    int64_t evaluations;
    double wall_s;
} df_store_account;

/* Creates path with all rows pending, or not at all. An existing file is replaced (the
 * caller has asked the user). DF_EIO: cannot be written; the disk has no room for all rows. */
DF_NODISCARD df_status df_store_create(const char *path,
                                       const df_store_plan *plan,
                                       df_store **out,
                                       df_err *err);

/* Opens the file of an interrupted run for more. Rows that are not whole become pending, and
 * /pareto has none until it is written again.
 * DF_EINVAL: made from other inputs (err has the first line that differs in each text).
 * DF_EIO: not readable, or not a results file. */
DF_NODISCARD df_status df_store_resume(const char *path,
                                       const df_store_plan *plan,
                                       df_store **out,
                                       df_err *err);

/* A finished search as it lies in the file: its row with its checksum, then its iterates. Any
 * rank makes it, so that rank 0 has but to put it there. */
size_t df_store_entry_bytes(int32_t trajectory_rows);
/* Keeps at most trajectory_rows iterates (NULL where that is 0). `entry` is aligned to 8 bytes. */
void df_store_pack(const df_store_search *search,
                   const df_iterate *iterates,
                   int32_t num_iterates,
                   int32_t trajectory_rows,
                   void *entry);

/* Takes an entry into memory, so that consecutive entries are written together. They are written
 * when an entry does not follow the last one, when there are many, and by the functions below. */
DF_NODISCARD df_status df_store_put(df_store *store, const void *entry, df_err *err);

/* Writes all entries that were put. They survive the end of this process and, after df_store_sync,
 * that of the machine. */
DF_NODISCARD df_status df_store_flush(df_store *store, df_err *err);

/* Reads `count` rows of /searches from row `first` on, after writing all entries that were put. */
DF_NODISCARD df_status
df_store_get(df_store *store, int64_t first, int64_t count, df_store_search *searches, df_err *err);

/* Writes /pareto from all finished rows, where the settings name several objectives. */
DF_NODISCARD df_status df_store_write_pareto(df_store *store, df_err *err);

/* Brings all entries that were put to the disk, and what this run has spent so far. */
DF_NODISCARD df_status df_store_sync(df_store *store, const df_store_account *run, df_err *err);

/* NULL is allowed. Entries that were put since the last flush are lost. */
void df_store_free(df_store *store);

#endif
