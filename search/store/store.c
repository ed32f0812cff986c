#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_impl.h"

enum {
    CHUNK_ROWS = 1024,
    HELD_ROWS = 256,          /* most rows that wait to be written */
    HELD_BYTES = 1024 * 1024, /* or fewer, with at most this many bytes of iterates; at least one */
};

/* ---- Bytes ---- */

static df_status fail_errno(const char *path, const char *what, int why, df_err *err)
{
    return df_fail(err, DF_EIO, "%s: %s: %s", path, what, strerror(why));
}

df_status
df_store_write_at(const df_store *store, int64_t at, const void *bytes, size_t size, df_err *err)
{
    const char *from = bytes;
    while (size > 0) {
        const ssize_t written = pwrite(store->fd, from, size, at);
        if (written > 0) {
            from += written;
            at += written;
            size -= (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            return fail_errno(store->path, "cannot be written", written == 0 ? ENOSPC : errno, err);
        }
    }
    return DF_OK;
}

static df_status read_at(const df_store *store, int64_t at, void *bytes, size_t size, df_err *err)
{
    char *to = bytes;
    while (size > 0) {
        const ssize_t got = pread(store->fd, to, size, at);
        if (got > 0) {
            to += got;
            at += got;
            size -= (size_t)got;
        } else if (got == 0) {
            return df_fail(err, DF_EIO, "%s: cannot be read: the file ends too early", store->path);
        } else if (errno != EINTR) {
            return fail_errno(store->path, "cannot be read", errno, err);
        }
    }
    return DF_OK;
}

static df_status sync_file(const df_store *store, df_err *err)
{
    if (fdatasync(store->fd) != 0) {
        return fail_errno(store->path, "cannot be written", errno, err);
    }
    return DF_OK;
}

static int64_t search_at(const df_store *store, int64_t row)
{
    return store->at.searches + row * (int64_t)sizeof(df_search_row);
}

static size_t iterates_bytes(const df_store *store)
{
    return (size_t)store->trajectory_rows * sizeof(df_iterate_row);
}

static int64_t iterates_at(const df_store *store, int64_t row)
{
    return store->at.trajectories + row * (int64_t)iterates_bytes(store);
}

/* ---- Making ---- */

void df_store_pending_row(int64_t work_id, int32_t strategy_id, int32_t index, df_search_row *row)
{
    df_store_search search;
    memset(&search, 0, sizeof search);
    search.work_id = work_id;
    search.strategy_id = strategy_id;
    search.index = index;
    search.descent.start_time_s = (double)NAN;
    search.descent.best_time_s = (double)NAN;
    search.descent.best_value = (double)NAN;
    search.descent.memory_overflow = (double)NAN;
    search.descent.metrics =
        (df_eval_metrics){(double)NAN, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    df_search_to_row(&search, row);
}

static void pending_row(const df_store_plan *plan, int64_t work_id, df_search_row *row)
{
    df_store_pending_row(work_id, plan->searched[work_id / plan->num_indices],
                         plan->first_index + (int32_t)(work_id % plan->num_indices), row);
}

static df_status write_pending(const df_store *store, const df_store_plan *plan, df_err *err)
{
    df_search_row *const chunk = malloc(CHUNK_ROWS * sizeof *chunk);
    df_status status = DF_OK;
    if (!chunk) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t first = 0; status == DF_OK && first < store->rows; first += CHUNK_ROWS) {
        const int64_t left = store->rows - first;
        const size_t count = left < CHUNK_ROWS ? (size_t)left : CHUNK_ROWS;
        for (size_t i = 0; i < count; i++) {
            pending_row(plan, first + (int64_t)i, &chunk[i]);
        }
        status =
            df_store_write_at(store, search_at(store, first), chunk, count * sizeof *chunk, err);
    }
    free(chunk);
    return status;
}

static df_status write_strategies(const df_store *store, const df_store_plan *plan, df_err *err)
{
    df_strategy_row *const chunk = malloc(CHUNK_ROWS * sizeof *chunk);
    df_status status = DF_OK;
    if (!chunk) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t first = 0; status == DF_OK && first < plan->num_strategies; first += CHUNK_ROWS) {
        const int64_t left = plan->num_strategies - first;
        const size_t count = left < CHUNK_ROWS ? (size_t)left : CHUNK_ROWS;
        for (size_t i = 0; i < count; i++) {
            df_strategy_to_row(&plan->strategies[first + (int64_t)i], &chunk[i]);
        }
        status = df_store_write_at(store, store->at.strategies + first * (int64_t)sizeof *chunk,
                                   chunk, count * sizeof *chunk, err);
    }
    free(chunk);
    return status;
}

df_status
df_store_write_pareto_row(const df_store *store, int64_t at, const df_pareto_row *row, df_err *err)
{
    return df_store_write_at(store, store->at.pareto + at * (int64_t)sizeof *row, row, sizeof *row,
                             err);
}

df_status df_store_clear_pareto(const df_store *store, int64_t first, df_err *err)
{
    df_pareto_row none;
    memset(&none, 0, sizeof none);
    none.work_id = -1;
    none.strategy_id = -1;
    none.index = -1;
    for (int goal = 0; goal < DF_GOALS; goal++) {
        none.figure[goal] = (double)NAN;
    }
    for (int64_t i = first; i < store->pareto_rows; i++) {
        DF_TRY(df_store_write_pareto_row(store, i, &none, err));
    }
    return DF_OK;
}

/* Reserves the bytes on the disk for the file, now, so that a disk that fills up later does
 * no harm. */
static df_status reserve(const char *path, int fd, int64_t bytes, df_err *err)
{
    const int why = posix_fallocate(fd, 0, bytes);
    return why == 0
               ? DF_OK
               : df_fail(err, DF_EIO, "%s: cannot be created, as it takes %" PRId64 " bytes: %s",
                         path, bytes, strerror(why));
}

/* Whether there is room at all, before HDF5 writes anything. */
static df_status try_room(const char *path, const df_store_plan *plan, df_err *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return fail_errno(path, "cannot be created", errno, err);
    }
    const df_status status = reserve(path, fd, df_store_bytes(plan), err);
    close(fd);
    return status;
}

static df_status reserve_all(const df_store *store, df_err *err)
{
    struct stat is;
    if (fstat(store->fd, &is) != 0) {
        return fail_errno(store->path, "cannot be read", errno, err);
    }
    return reserve(store->path, store->fd, is.st_size, err);
}

/* ---- Opening ---- */

/* Makes room for what waits to be written; false: out of memory. */
static bool allocate_held(df_store *store)
{
    df_store_held *const held = &store->held;
    const int64_t each = (int64_t)iterates_bytes(store);
    held->most = each * HELD_ROWS <= HELD_BYTES ? HELD_ROWS : HELD_BYTES / each;
    held->most = held->most < 1 ? 1 : held->most;
    held->rows = calloc((size_t)held->most, sizeof *held->rows);
    held->pending = calloc((size_t)held->most, sizeof *held->pending);
    held->iterates = calloc((size_t)held->most, (size_t)each + 1);
    return held->rows && held->pending && held->iterates;
}

/* Opens a file that has all its tables. */
static df_status new_store(const char *path, const df_store_plan *plan, df_store **out, df_err *err)
{
    df_store *const store = calloc(1, sizeof *store);
    if (!store) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    store->fd = -1;
    store->rows = df_store_rows(plan);
    store->trajectory_rows = plan->trajectory_rows;
    store->goals = df_store_goals(plan->settings);
    store->pareto_rows = df_store_pareto_rows(plan);
    snprintf(store->path, sizeof store->path, "%s", path);
    df_status status = allocate_held(store) ? df_store_find(path, plan, &store->at, err)
                                            : df_fail(err, DF_ENOMEM, "out of memory");
    if (status == DF_OK) {
        store->fd = open(path, O_RDWR | O_CLOEXEC);
        status = store->fd < 0 ? fail_errno(path, "cannot be opened", errno, err) : DF_OK;
    }
    if (status != DF_OK) {
        df_store_free(store);
        return status;
    }
    *out = store;
    return DF_OK;
}

/* Makes the file under another name, whole and on the disk. */
static df_status make_draft(const char *draft,
                            const df_store_plan *plan,
                            df_store_fill *fill,
                            void *ctx,
                            df_store **out,
                            df_err *err)
{
    df_store *store = NULL;
    DF_TRY(try_room(draft, plan, err));
    DF_TRY(df_store_make(draft, plan, err));
    const df_status status = new_store(draft, plan, &store, err);
    if (!store) {
        return status;
    }
    *out = store;
    DF_TRY(reserve_all(store, err));
    DF_TRY(df_store_clear_pareto(store, 0, err));
    DF_TRY(fill(ctx, store, err));
    return sync_file(store, err);
}

/* After a rename, the entry in the folder must reach the disk. */
static df_status sync_folder(const char *path, df_err *err)
{
    char folder[DF_STORE_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    char *const slash = strrchr(folder, '/');
    if (slash) {
        slash[slash == folder] = '\0';
    }
    const int fd = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC);
    /* EINVAL: a file system without */
    const bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    return synced ? DF_OK : fail_errno(path, "cannot be created", why, err);
}

df_status df_store_create_with(const char *path,
                               const df_store_plan *plan,
                               df_store_fill *fill,
                               void *ctx,
                               df_store **out,
                               df_err *err)
{
    char draft[DF_STORE_PATH];
    df_store *store = NULL;
    if ((size_t)snprintf(draft, sizeof draft, "%s.part", path) >= sizeof draft) {
        return df_fail(err, DF_EIO, "%s: the path is too long", path);
    }
    df_status status = make_draft(draft, plan, fill, ctx, &store, err);
    if (status == DF_OK && rename(draft, path) != 0) {
        status = fail_errno(path, "cannot be created", errno, err);
    }
    if (status != DF_OK) {
        df_store_free(store);
        unlink(draft);
        return status;
    }
    snprintf(store->path, sizeof store->path, "%s", path);
    *out = store;
    return sync_folder(path, err);
}

/* All rows pending. */
static df_status fill_pending(void *ctx, df_store *store, df_err *err)
{
    const df_store_plan *const plan = ctx;
    DF_TRY(write_strategies(store, plan, err));
    return write_pending(store, plan, err);
}

df_status df_store_create(const char *path, const df_store_plan *plan, df_store **out, df_err *err)
{
    df_store_plan filled = *plan;
    return df_store_create_with(path, plan, fill_pending, &filled, out, err);
}

/* ---- Resuming ---- */

static bool is_pending(const df_search_row *row)
{
    return strncmp(row->status, df_search_status_names[DF_SEARCH_PENDING], sizeof row->status) == 0;
}

/* A row is whole when its checksum, and that of its iterates, is right. */
static df_status repair_row(
    const df_store *store, const df_store_plan *plan, int64_t id, df_search_row *row, df_err *err)
{
    df_search_row pending;
    if (is_pending(row)) {
        return DF_OK;
    }
    if (store->trajectory_rows > 0) {
        DF_TRY(read_at(store, iterates_at(store, id), store->held.iterates, iterates_bytes(store),
                       err));
    }
    if (row->work_id == id &&
        row->checksum == df_row_checksum(row, store->held.iterates, store->trajectory_rows)) {
        return DF_OK;
    }
    pending_row(plan, id, &pending);
    return df_store_write_at(store, search_at(store, id), &pending, sizeof pending, err);
}

/* Makes rows pending again that a crash left torn. */
static df_status repair(const df_store *store, const df_store_plan *plan, df_err *err)
{
    df_search_row *const chunk = malloc(CHUNK_ROWS * sizeof *chunk);
    df_status status = DF_OK;
    if (!chunk) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t first = 0; status == DF_OK && first < store->rows; first += CHUNK_ROWS) {
        const int64_t left = store->rows - first;
        const int64_t count = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        status = read_at(store, search_at(store, first), chunk, (size_t)count * sizeof *chunk, err);
        for (int64_t i = 0; status == DF_OK && i < count; i++) {
            status = repair_row(store, plan, first + i, &chunk[i], err);
        }
    }
    free(chunk);
    return status;
}

static df_status read_account(df_store *store, df_err *err)
{
    df_store_account *const before = &store->before;
    DF_TRY(read_at(store, store->at.evaluations, &before->evaluations, sizeof before->evaluations,
                   err));
    return read_at(store, store->at.wall_s, &before->wall_s, sizeof before->wall_s, err);
}

df_status df_store_resume(const char *path, const df_store_plan *plan, df_store **out, df_err *err)
{
    df_store *store = NULL;
    df_status status = new_store(path, plan, &store, err);
    if (!store) {
        return status;
    }
    status = repair(store, plan, err);
    if (status == DF_OK) {
        status = read_account(store, err);
    }
    if (status == DF_OK) {
        status = df_store_clear_pareto(store, 0, err); /* /pareto would come from fewer rows */
    }
    if (status != DF_OK) {
        df_store_free(store);
        return status;
    }
    *out = store;
    return DF_OK;
}

/* ---- Rows of a run ---- */

size_t df_store_entry_bytes(int32_t trajectory_rows)
{
    return sizeof(df_search_row) + (size_t)trajectory_rows * sizeof(df_iterate_row);
}

void df_store_pack(const df_store_search *search,
                   const df_iterate *iterates,
                   int32_t num_iterates,
                   int32_t trajectory_rows,
                   void *entry)
{
    df_search_row *const row = entry;
    df_iterate_row *const kept = (df_iterate_row *)(row + 1);
    memset(entry, 0, df_store_entry_bytes(trajectory_rows)); /* iterates that are not used too */
    for (int32_t i = 0; i < num_iterates && i < trajectory_rows; i++) {
        df_iterate_to_row(search->work_id, &iterates[i], &kept[i]);
    }
    df_search_to_row(search, row);
    row->checksum = df_row_checksum(row, kept, trajectory_rows);
}

df_status df_store_put(df_store *store, const void *entry, df_err *err)
{
    const df_search_row *const row = entry;
    df_store_held *const held = &store->held;
    if (held->count == held->most || row->work_id != held->first + held->count) {
        DF_TRY(df_store_flush(store, err));
        held->first = row->work_id;
    }
    memcpy(held->iterates + held->count * store->trajectory_rows, row + 1, iterates_bytes(store));
    held->rows[held->count] = *row;
    held->pending[held->count] = *row;
    df_row_set_status(&held->pending[held->count], DF_SEARCH_PENDING);
    held->count++;
    return DF_OK;
}

df_status df_store_flush(df_store *store, df_err *err)
{
    df_store_held *const held = &store->held;
    const size_t count = (size_t)held->count;
    const int64_t at = search_at(store, held->first);
    held->count = 0; /* a row that cannot be written is searched again on --resume */
    if (store->trajectory_rows > 0 && count > 0) {
        DF_TRY(df_store_write_at(store, iterates_at(store, held->first), held->iterates,
                                 count * iterates_bytes(store), err));
    }
    /* the status is written last, so that a reader sees a row that is either pending or complete */
    DF_TRY(df_store_write_at(store, at, held->pending, count * sizeof *held->pending, err));
    return df_store_write_at(store, at, held->rows, count * sizeof *held->rows, err);
}

df_status
df_store_get(df_store *store, int64_t first, int64_t count, df_store_search *searches, df_err *err)
{
    const size_t size = (size_t)count * sizeof(df_search_row);
    DF_TRY(df_store_flush(store, err));
    df_search_row *const rows = malloc(size);
    if (!rows) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = read_at(store, search_at(store, first), rows, size, err);
    for (int64_t i = 0; status == DF_OK && i < count; i++) {
        if (!df_search_from_row(&rows[i], &searches[i])) {
            status = df_fail(err, DF_EIO, "%s: row %" PRId64 " has an unknown status", store->path,
                             first + i);
        }
    }
    free(rows);
    return status;
}

df_status df_store_sync(df_store *store, const df_store_account *run, df_err *err)
{
    const int64_t evaluations = store->before.evaluations + run->evaluations;
    const double wall_s = store->before.wall_s + run->wall_s;
    DF_TRY(df_store_flush(store, err));
    DF_TRY(df_store_write_at(store, store->at.evaluations, &evaluations, sizeof evaluations, err));
    DF_TRY(df_store_write_at(store, store->at.wall_s, &wall_s, sizeof wall_s, err));
    return sync_file(store, err);
}

void df_store_free(df_store *store)
{
    if (store) {
        if (store->fd >= 0) {
            close(store->fd);
        }
        free(store->held.rows);
        free(store->held.pending);
        free(store->held.iterates);
        free(store);
    }
}
