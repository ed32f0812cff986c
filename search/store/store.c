#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/rows.h"

enum { CHUNK_ROWS = 1024, PATH_ROOM = 4096, PROVENANCE_TEXT = 4096 };

struct df_store {
    hid_t file;
    hid_t searches, trajectories; /* datasets; trajectories may be invalid */
    hid_t search_type, iterate_type;
    int32_t trajectory_rows;
    int64_t rows; /* of /searches */
    char path[PATH_ROOM];
};

/* A table in the file with all its rows, and the type of its rows in memory. */
typedef struct {
    hid_t dataset, type;
} table;

/* ---- Failures ---- */

/* The innermost message of HDF5's error stack. */
static herr_t keep_text(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n == 0 && entry->desc) {
        snprintf(text, DF_ERR_TEXT / 2, "%s", entry->desc);
    }
    return 0;
}

static df_status fail_io(const char *path, const char *what, df_err *err)
{
    char text[DF_ERR_TEXT / 2] = "unknown HDF5 error";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_text, text);
    return df_fail(err, DF_EIO, "%s: %s: %s", path, what, text);
}

/* HDF5 prints its errors unless told not to. */
static void be_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void close_if(hid_t id, herr_t (*close)(hid_t))
{
    if (id >= 0) {
        close(id);
    }
}

/* ---- Creating ---- */

/* Readers may open the file while we write: no lock. What is written goes to the operating
 * system at once: no sieve buffer. */
static hid_t access_list(void)
{
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list >= 0 &&
        (H5Pset_file_locking(list, false, true) < 0 || H5Pset_sieve_buf_size(list, 0) < 0)) {
        H5Pclose(list);
        return H5I_INVALID_HID;
    }
    return list;
}

/* Room from the start, in one piece, and no times: later only data are written. Unwritten
 * rows are holes that read as 0. */
static hid_t dataset_list(void)
{
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list >= 0 && (H5Pset_layout(list, H5D_CONTIGUOUS) < 0 ||
                      H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) < 0 ||
                      H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0 ||
                      H5Pset_obj_track_times(list, false) < 0)) {
        H5Pclose(list);
        return H5I_INVALID_HID;
    }
    return list;
}

static hid_t create_dataset(hid_t parent, const char *name, hid_t type, hid_t space)
{
    const hid_t list = dataset_list();
    const hid_t dataset = list < 0 || space < 0 ? H5I_INVALID_HID
                                                : H5Dcreate2(parent, name, type, space, H5P_DEFAULT,
                                                             list, H5P_DEFAULT);
    close_if(list, H5Pclose);
    return dataset;
}

/* Rows lie in the file as in memory, padding included: HDF5 would need a megabyte of buffers
 * for each write to convert them. */
static hid_t create_table(hid_t file, const char *name, hid_t row_type, int64_t rows)
{
    const hsize_t size = (hsize_t)rows;
    const hid_t space = H5Screate_simple(1, &size, NULL);
    const hid_t dataset = create_dataset(file, name, row_type, space);
    close_if(space, H5Sclose);
    return dataset;
}

/* A text in a room of fixed size; what does not fit is cut. */
static bool write_text(hid_t group, const char *name, const char *text, size_t room)
{
    char *const padded = calloc(1, room);
    const hid_t type = H5Tcopy(H5T_C_S1);
    const hid_t space = H5Screate(H5S_SCALAR);
    hid_t dataset = H5I_INVALID_HID;
    if (padded && type >= 0 && H5Tset_size(type, room) >= 0) {
        snprintf(padded, room, "%s", text);
        dataset = create_dataset(group, name, type, space);
    }
    const bool written =
        dataset >= 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, padded) >= 0;
    close_if(dataset, H5Dclose);
    close_if(space, H5Sclose);
    close_if(type, H5Tclose);
    free(padded);
    return written;
}

static bool write_int(hid_t group, const char *name, int32_t value)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t dataset = create_dataset(group, name, H5T_NATIVE_INT32, space);
    const bool written = dataset >= 0 && H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL,
                                                  H5P_DEFAULT, &value) >= 0;
    close_if(dataset, H5Dclose);
    close_if(space, H5Sclose);
    return written;
}

static hid_t create_group(hid_t file, const char *name)
{
    const hid_t list = H5Pcreate(H5P_GROUP_CREATE);
    const hid_t group = list >= 0 && H5Pset_obj_track_times(list, false) >= 0
                            ? H5Gcreate2(file, name, H5P_DEFAULT, list, H5P_DEFAULT)
                            : H5I_INVALID_HID;
    close_if(list, H5Pclose);
    return group;
}

static bool write_config(hid_t file, const df_store_plan *plan)
{
    const hid_t group = create_group(file, "config");
    const char *const model = plan->model_yaml ? plan->model_yaml : "";
    const bool written =
        group >= 0 &&
        write_text(group, "hardware_yaml", plan->hardware_yaml, strlen(plan->hardware_yaml) + 1) &&
        write_text(group, "model_yaml", model, strlen(model) + 1) &&
        write_text(group, "settings", plan->settings, strlen(plan->settings) + 1);
    close_if(group, H5Gclose);
    return written;
}

/* Last in the file and of fixed size, so that all else lies at the same place. */
static bool write_provenance(hid_t file, const df_store_plan *plan)
{
    const hid_t group = create_group(file, "provenance");
    const bool written = group >= 0 &&
                         write_text(group, "version", plan->version, PROVENANCE_TEXT) &&
                         write_text(group, "command", plan->command, PROVENANCE_TEXT) &&
                         write_text(group, "start", plan->start, PROVENANCE_TEXT) &&
                         write_text(group, "host", plan->host, PROVENANCE_TEXT) &&
                         write_int(group, "ranks", plan->ranks);
    close_if(group, H5Gclose);
    return written;
}

/* ---- Rows ---- */

typedef enum { READ, WRITE } direction;

static bool move_rows(const table *t, direction way, int64_t first, int64_t count, void *rows)
{
    const hsize_t start = (hsize_t)first;
    const hsize_t size = (hsize_t)count;
    const hid_t there = H5Dget_space(t->dataset);
    const hid_t here = H5Screate_simple(1, &size, NULL);
    bool moved = there >= 0 && here >= 0 &&
                 H5Sselect_hyperslab(there, H5S_SELECT_SET, &start, NULL, &size, NULL) >= 0;
    if (moved && way == READ) {
        moved = H5Dread(t->dataset, t->type, here, there, H5P_DEFAULT, rows) >= 0;
    } else if (moved) {
        moved = H5Dwrite(t->dataset, t->type, here, there, H5P_DEFAULT, rows) >= 0;
    }
    close_if(here, H5Sclose);
    close_if(there, H5Sclose);
    return moved;
}

static bool write_strategies(hid_t file, const df_store_plan *plan)
{
    table t = {H5I_INVALID_HID, df_strategy_row_type()};
    if (t.type >= 0) {
        t.dataset = create_table(file, "strategies", t.type, plan->num_strategies);
    }
    bool written = t.dataset >= 0;
    for (int64_t i = 0; written && i < plan->num_strategies; i++) {
        df_strategy_row row;
        df_strategy_to_row(&plan->strategies[i], &row);
        written = move_rows(&t, WRITE, i, 1, &row);
    }
    close_if(t.dataset, H5Dclose);
    close_if(t.type, H5Tclose);
    return written;
}

int64_t df_store_rows(const df_store_plan *plan)
{
    return plan->num_searched * plan->num_indices;
}

static void pending_row(const df_store_plan *plan, int64_t work_id, df_search_row *row)
{
    df_store_search search;
    memset(&search, 0, sizeof search);
    search.work_id = work_id;
    search.strategy_id = plan->searched[work_id / plan->num_indices];
    search.index = plan->first_index + (int32_t)(work_id % plan->num_indices);
    search.descent.start_time_s = (double)NAN;
    search.descent.best_time_s = (double)NAN;
    search.descent.memory_overflow = (double)NAN;
    df_search_to_row(&search, row);
}

static bool write_pending(hid_t file, const df_store_plan *plan)
{
    const int64_t rows = df_store_rows(plan);
    table t = {H5I_INVALID_HID, df_search_row_type()};
    df_search_row *const chunk = calloc(CHUNK_ROWS, sizeof *chunk);
    if (chunk && t.type >= 0) {
        t.dataset = create_table(file, "searches", t.type, rows);
    }
    bool written = t.dataset >= 0;
    for (int64_t first = 0; written && first < rows; first += CHUNK_ROWS) {
        const int64_t count = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
        for (int64_t i = 0; i < count; i++) {
            pending_row(plan, first + i, &chunk[i]);
        }
        written = move_rows(&t, WRITE, first, count, chunk);
    }
    close_if(t.dataset, H5Dclose);
    close_if(t.type, H5Tclose);
    free(chunk);
    return written;
}

static bool make_trajectories(hid_t file, const df_store_plan *plan)
{
    if (plan->trajectory_rows == 0) {
        return true;
    }
    const hid_t type = df_iterate_row_type();
    const hid_t dataset = type < 0 ? type
                                   : create_table(file, "trajectories", type,
                                                  df_store_rows(plan) * plan->trajectory_rows);
    close_if(type, H5Tclose);
    close_if(dataset, H5Dclose);
    return dataset >= 0;
}

static df_status write_all(const char *draft, const df_store_plan *plan, df_err *err)
{
    const hid_t access = access_list();
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    const hid_t file = access < 0 || creation < 0 || H5Pset_obj_track_times(creation, false) < 0
                           ? H5I_INVALID_HID
                           : H5Fcreate(draft, H5F_ACC_TRUNC, creation, access);
    const bool written = file >= 0 && write_strategies(file, plan) && write_pending(file, plan) &&
                         make_trajectories(file, plan) && write_config(file, plan) &&
                         write_provenance(file, plan);
    df_status status = written ? DF_OK : fail_io(draft, "cannot be written", err);
    if (file >= 0 && H5Fclose(file) < 0 && status == DF_OK) {
        status = fail_io(draft, "cannot be closed", err);
    }
    close_if(creation, H5Pclose);
    close_if(access, H5Pclose);
    return status;
}

/* ---- Opening ---- */

/* False: HDF5 could not close the file. */
static bool close_all(df_store *store)
{
    close_if(store->searches, H5Dclose);
    close_if(store->trajectories, H5Dclose);
    close_if(store->search_type, H5Tclose);
    close_if(store->iterate_type, H5Tclose);
    const bool closed = store->file < 0 || H5Fclose(store->file) >= 0;
    free(store);
    return closed;
}

static df_status check_tables(const df_store *store, const df_store_plan *plan, df_err *err)
{
    const hid_t datasets[] = {store->searches, store->trajectories};
    const int64_t expected[] = {store->rows, store->rows * store->trajectory_rows};
    for (int i = 0; i < (plan->trajectory_rows > 0 ? 2 : 1); i++) {
        const hid_t space = H5Dget_space(datasets[i]);
        const hssize_t rows = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
        close_if(space, H5Sclose);
        if (rows != expected[i]) {
            return df_fail(err, DF_EINVAL,
                           "%s: expected %" PRId64 " rows, found %lld: made by another search",
                           store->path, expected[i], (long long)rows);
        }
    }
    return DF_OK;
}

/* What df_store_create has made, or was there. */
static df_status open_store(df_store *store, const df_store_plan *plan, df_err *err)
{
    const hid_t access = access_list();
    store->file = access < 0 ? access : H5Fopen(store->path, H5F_ACC_RDWR, access);
    close_if(access, H5Pclose);
    store->search_type = df_search_row_type();
    store->iterate_type = df_iterate_row_type();
    if (store->file < 0 || store->search_type < 0 || store->iterate_type < 0) {
        return fail_io(store->path, "cannot be opened", err);
    }
    store->searches = H5Dopen2(store->file, "searches", H5P_DEFAULT);
    if (store->searches >= 0 && plan->trajectory_rows > 0) {
        store->trajectories = H5Dopen2(store->file, "trajectories", H5P_DEFAULT);
    }
    if (store->searches < 0 || (plan->trajectory_rows > 0 && store->trajectories < 0)) {
        return fail_io(store->path, "is not a results file of such a search", err);
    }
    return check_tables(store, plan, err);
}

static df_status new_store(const char *path, const df_store_plan *plan, df_store **out, df_err *err)
{
    df_store *const store = calloc(1, sizeof *store);
    if (!store) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    store->file = H5I_INVALID_HID;
    store->searches = H5I_INVALID_HID;
    store->trajectories = H5I_INVALID_HID;
    store->search_type = H5I_INVALID_HID;
    store->iterate_type = H5I_INVALID_HID;
    store->trajectory_rows = plan->trajectory_rows;
    store->rows = df_store_rows(plan);
    snprintf(store->path, sizeof store->path, "%s", path);
    const df_status status = open_store(store, plan, err);
    if (status != DF_OK) {
        close_all(store);
        return status;
    }
    *out = store;
    return DF_OK;
}

df_status df_store_create(const char *path, const df_store_plan *plan, df_store **out, df_err *err)
{
    char draft[PATH_ROOM];
    be_quiet();
    if ((size_t)snprintf(draft, sizeof draft, "%s.part", path) >= sizeof draft) {
        return df_fail(err, DF_EIO, "%s: the path is too long", path);
    }
    const df_status status = write_all(draft, plan, err);
    if (status != DF_OK) {
        remove(draft);
        return status;
    }
    if (rename(draft, path) != 0) {
        const int why = errno;
        remove(draft);
        return df_fail(err, DF_EIO, "%s: cannot be made: %s", path, strerror(why));
    }
    return new_store(path, plan, out, err);
}

/* ---- Resuming ---- */

/* Whether the text in the file is this one. */
static bool same_text(hid_t file, const char *name, const char *text)
{
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    const size_t size = type < 0 ? 0 : H5Tget_size(type);
    bool same = size == strlen(text) + 1;
    if (same) {
        char *const found = malloc(size);
        same = found && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, found) >= 0 &&
               memcmp(found, text, size) == 0;
        free(found);
    }
    close_if(type, H5Tclose);
    close_if(dataset, H5Dclose);
    return same;
}

static df_status check_inputs(const df_store *store, const df_store_plan *plan, df_err *err)
{
    const char *const names[] = {"config/hardware_yaml", "config/model_yaml", "config/settings"};
    const char *const texts[] = {plan->hardware_yaml, plan->model_yaml ? plan->model_yaml : "",
                                 plan->settings};
    for (int i = 0; i < 3; i++) {
        if (!same_text(store->file, names[i], texts[i])) {
            return df_fail(err, DF_EINVAL,
                           "%s: expected the results of this search, found another: its %s "
                           "differs",
                           store->path, names[i]);
        }
    }
    return DF_OK;
}

df_status df_store_resume(const char *path, const df_store_plan *plan, df_store **out, df_err *err)
{
    df_store *store = NULL;
    be_quiet();
    const df_status opened = new_store(path, plan, &store, err);
    if (opened != DF_OK) {
        return opened;
    }
    assert(store);
    const df_status status = check_inputs(store, plan, err);
    if (status != DF_OK) {
        close_all(store);
        return status;
    }
    *out = store;
    return DF_OK;
}

/* ---- Rows of a run ---- */

static bool put_iterates(df_store *store, int64_t work_id, const df_iterate *iterates, int32_t n)
{
    const table t = {store->trajectories, store->iterate_type};
    const int64_t first = work_id * store->trajectory_rows;
    bool written = true;
    for (int32_t i = 0; written && i < n && i < store->trajectory_rows; i++) {
        df_iterate_row row;
        df_iterate_to_row(work_id, &iterates[i], &row);
        written = move_rows(&t, WRITE, first + i, 1, &row);
    }
    return written;
}

df_status df_store_put(df_store *store,
                       const df_store_search *search,
                       const df_iterate *iterates,
                       int32_t num_iterates,
                       df_err *err)
{
    const table t = {store->searches, store->search_type};
    df_search_row row;
    df_search_row pending;
    df_search_to_row(search, &row);
    pending = row;
    memset(pending.status, 0, sizeof pending.status);
    snprintf(pending.status, sizeof pending.status, "%s",
             df_search_status_names[DF_SEARCH_PENDING]);
    /* whatever we are killed in, a row that is not pending is whole */
    if (put_iterates(store, search->work_id, iterates, iterates ? num_iterates : 0) &&
        move_rows(&t, WRITE, search->work_id, 1, &pending) &&
        move_rows(&t, WRITE, search->work_id, 1, &row)) {
        return DF_OK;
    }
    return fail_io(store->path, "cannot be written", err);
}

df_status
df_store_get(df_store *store, int64_t first, int64_t count, df_store_search *searches, df_err *err)
{
    const table t = {store->searches, store->search_type};
    df_search_row *const rows = malloc((size_t)count * sizeof *rows);
    if (!rows) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = DF_OK;
    if (!move_rows(&t, READ, first, count, rows)) {
        status = fail_io(store->path, "cannot be read", err);
    }
    for (int64_t i = 0; status == DF_OK && i < count; i++) {
        if (!df_search_from_row(&rows[i], &searches[i])) {
            status = df_fail(err, DF_EIO, "%s: row %" PRId64 " has an unknown status", store->path,
                             first + i);
        }
    }
    free(rows);
    return status;
}

df_status df_store_close(df_store *store, df_err *err)
{
    char path[PATH_ROOM];
    if (!store) {
        return DF_OK;
    }
    memcpy(path, store->path, sizeof path);
    return close_all(store) ? DF_OK : fail_io(path, "cannot be closed", err);
}
