/* store_impl.h: inside the store.
 *
 *   h5.c              what all callers of HDF5 need
 *   rows.c            rows, their HDF5 types and checksums
 *   store_plan.c      how large the tables of a plan are
 *   store_check.c     whether a file was made from these inputs, with HDF5
 *   store_h5.c        makes the file and finds places in it, with HDF5
 *   store.c           rows in and out, with plain reads and writes
 *   store_pareto.c    /pareto, from the rows of /searches
 *   store_read.c      reads a file without writing to it, with HDF5
 *   store_image.c     a whole file in memory, for readers
 *   table.c           a file as one table
 *   filter.c          selects rows of the table
 *   merge_settings.c  whether files can be merged, and the settings of the whole
 *   store_merge.c     several files into one
 *
 * HDF5 makes the file with room for every row and closes it. After that only the bytes of
 * rows change, so that whatever happens to the writer cannot harm the rest. */
#ifndef DF_STORE_IMPL_H
#define DF_STORE_IMPL_H
#include "store/rows.h"

enum { DF_STORE_PATH = 4096 };

/* Where the data of the tables begin in the file. */
typedef struct {
    int64_t strategies, searches, trajectories; /* trajectories: -1 if there are none */
    int64_t pareto;                             /* the same */
    int64_t evaluations, wall_s;                /* as in /provenance */
} df_store_places;

/* Searches with consecutive work_ids that wait to be written. */
typedef struct {
    int64_t first; /* work_id */
    int64_t count, most;
    df_search_row *rows, *pending;
    df_iterate_row *iterates; /* trajectory_rows of each */
} df_store_held;

struct df_store {
    int fd;
    df_store_places at;
    int64_t rows; /* of /searches */
    int32_t trajectory_rows;
    df_goals goals;      /* of the settings */
    int64_t pareto_rows; /* 0: no /pareto */
    df_store_held held;
    df_store_account before; /* what earlier runs have spent */
    char path[DF_STORE_PATH];
};

/* Makes a file with all tables in it, and their rows not yet written. */
DF_NODISCARD df_status df_store_make(const char *path, const df_store_plan *plan, df_err *err);
/* An upper bound of the bytes that such a file takes. */
int64_t df_store_bytes(const df_store_plan *plan);

/* The tables of a file. DF_EIO: it is no results file. DF_EINVAL: not one of this plan. */
DF_NODISCARD df_status df_store_find(const char *path,
                                     const df_store_plan *plan,
                                     df_store_places *at,
                                     df_err *err);

/* Writes the rows of a file that has just been made. */
typedef df_status df_store_fill(void *ctx, df_store *store, df_err *err);
/* df_store_create with rows of the caller's. */
DF_NODISCARD df_status df_store_create_with(const char *path,
                                            const df_store_plan *plan,
                                            df_store_fill *fill,
                                            void *ctx,
                                            df_store **out,
                                            df_err *err);
void df_store_pending_row(int64_t work_id, int32_t strategy_id, int32_t index, df_search_row *row);
DF_NODISCARD df_status
df_store_write_at(const df_store *store, int64_t at, const void *bytes, size_t size, df_err *err);

/* The objectives that settings name; none where they name none. */
df_goals df_store_goals(const char *settings);
/* Room of /pareto; 0: there is none, for there are not several objectives. */
int64_t df_store_pareto_rows(const df_store_plan *plan);
DF_NODISCARD df_status df_store_write_pareto_row(const df_store *store,
                                                 int64_t at,
                                                 const df_pareto_row *row,
                                                 df_err *err);
/* Rows of /pareto from `first` on become unused. */
DF_NODISCARD df_status df_store_clear_pareto(const df_store *store, int64_t first, df_err *err);

/* Whether the texts are equal; if not, the first line that differs is appended to *err. */
bool df_store_same_text(const char *name, const char *made_from, const char *wanted, df_err *err);

/* DF_EINVAL: the file was made from other inputs; err says what differs. */
DF_NODISCARD df_status df_store_check(const char *path,
                                      hid_t file,
                                      const df_store_plan *plan,
                                      df_err *err);

bool df_h5_has(hid_t file, const char *name);
/* A number of the file; *value stays unchanged if there is none of that name. DF_EIO: it exists and
 * cannot be read. */
DF_NODISCARD df_status df_h5_read_number(
    const char *path, hid_t file, const char *name, hid_t type, void *value, df_err *err);
/* A malloc'ed text of the file; NULL when it has none of that name, or one that cannot be read. */
char *df_h5_read_text(hid_t file, const char *name);

/* Without this, HDF5 prints its errors. */
void df_h5_be_quiet(void);
/* How files are opened: no lock, for there may be other readers and a writer. */
hid_t df_h5_access_list(void);
/* Opens a file to read it. DF_EIO: there is none, or it is not HDF5. */
DF_NODISCARD df_status df_h5_open(const char *path, hid_t *file, df_err *err);
/* DF_EIO with the innermost message of HDF5, which the next call of HDF5 clears. */
df_status df_h5_fail(const char *path, const char *what, df_err *err);
void df_h5_close(hid_t id, herr_t (*close)(hid_t)); /* if it is one */

#endif
