#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/merge.h"
#include "store/merge_settings.h"
#include "store/store_image.h"
#include "store/store_impl.h"

enum { TEXTS = 3 };
static const char *const text_names[TEXTS] = {"settings", "hardware_yaml", "model_yaml"};

/* The rows of one strategy in /searches: they are consecutive and sorted by index. */
typedef struct {
    int64_t first, count, next;
} span;

/* One of the files. */
typedef struct {
    df_store_image image;
    df_image_table strategies, searches, iterates;
    int32_t trajectory_rows;
    char *text[TEXTS];
    int32_t *whole; /* where a strategy of this file is in the whole */
    span *spans;    /* rows of each strategy of the whole */
} source;

typedef struct {
    source *sources;
    int count;
    df_strategy_row *strategies; /* strategies of the whole */
    int32_t num_strategies;
    df_merge_indices indices;
    df_merge_counts counts;
    df_store_account spent;
    int32_t ranks;
    df_iterate_row *iterates; /* room for those of two searches */
} merge;

/* ---- Opening ---- */

static df_status find_table(
    const source *s, const char *name, bool required, hid_t type, df_image_table *out, df_err *err)
{
    const df_status status = df_image_find(&s->image, name, required, out, err);
    const bool same_type = status == DF_OK && (!out->rows || H5Tequal(out->type, type) > 0);
    df_h5_close(type, H5Tclose);
    if (status == DF_OK) {
        df_h5_close(out->type, H5Tclose);
    }
    if (status != DF_OK || same_type) {
        return status;
    }
    return df_fail(err, DF_EINVAL,
                   "%s: /%s: expected the columns that this version writes, found others",
                   s->image.path, name);
}

static df_status find_tables(source *s, df_err *err)
{
    DF_TRY(find_table(s, "strategies", true, df_strategy_row_type(), &s->strategies, err));
    DF_TRY(find_table(s, "searches", true, df_search_row_type(), &s->searches, err));
    DF_TRY(find_table(s, "trajectories", false, df_iterate_row_type(), &s->iterates, err));
    if (s->searches.count > 0) {
        s->trajectory_rows = (int32_t)(s->iterates.count / s->searches.count);
    }
    for (int i = 0; i < TEXTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "config/%s", text_names[i]);
        s->text[i] = df_h5_read_text(s->image.file, name);
        if (!s->text[i]) {
            return df_h5_fail(s->image.path, "is not a results file", err);
        }
    }
    return DF_OK;
}

/* What the runs of the file took; 0 if it does not say. */
static df_status add_spent(merge *m, const source *s, df_err *err)
{
    const char *const path = s->image.path;
    const hid_t file = s->image.file;
    df_store_account spent = {0, 0};
    int32_t ranks = 0;
    DF_TRY(df_h5_read_number(path, file, "provenance/evaluations", H5T_NATIVE_INT64,
                             &spent.evaluations, err));
    DF_TRY(
        df_h5_read_number(path, file, "provenance/wall_s", H5T_NATIVE_DOUBLE, &spent.wall_s, err));
    DF_TRY(df_h5_read_number(path, file, "provenance/ranks", H5T_NATIVE_INT32, &ranks, err));
    m->spent.evaluations += spent.evaluations;
    m->spent.wall_s += spent.wall_s;
    m->ranks += ranks;
    return DF_OK;
}

static df_status check_inputs(const source *first, const source *s, df_err *err)
{
    df_err what;
    if (df_settings_check(first->text[0], s->text[0], &what) != DF_OK) {
        return df_fail(err, DF_EINVAL, "%.300s: made from other inputs than %.300s; %.300s",
                       s->image.path, first->image.path, what.text);
    }
    what.text[0] = '\0';
    bool same = true;
    for (int i = 1; i < TEXTS; i++) {
        same = df_store_same_text(text_names[i], first->text[i], s->text[i], &what) && same;
    }
    return same ? DF_OK
                : df_fail(err, DF_EINVAL, "%.300s: made from other inputs than %.300s%.400s",
                          s->image.path, first->image.path, what.text);
}

static df_status open_source(merge *m, const char *path, df_err *err)
{
    source *const s = &m->sources[m->count];
    DF_TRY(df_image_open(path, &s->image, err));
    m->count++;
    DF_TRY(find_tables(s, err));
    DF_TRY(check_inputs(&m->sources[0], s, err));
    return add_spent(m, s, err);
}

/* ---- Strategies ---- */

static void copy_strategy(const source *s, int64_t i, df_strategy_row *out)
{
    memcpy(out, s->strategies.rows + (size_t)i * sizeof *out, sizeof *out);
}

static bool same_strategy(const df_strategy_row *a, const df_strategy_row *b)
{
    const size_t id = sizeof a->strategy_id;
    return memcmp((const char *)a + id, (const char *)b + id, sizeof *a - id) == 0;
}

/* The place of a strategy in the whole, which it joins if it is new. Parts of one sweep have it at
 * the same place as the whole. */
static int32_t place_strategy(merge *m, int64_t guess, df_strategy_row *row)
{
    if (guess < m->num_strategies && same_strategy(&m->strategies[guess], row)) {
        return (int32_t)guess;
    }
    for (int32_t i = 0; i < m->num_strategies; i++) {
        if (same_strategy(&m->strategies[i], row)) {
            return i;
        }
    }
    row->strategy_id = m->num_strategies;
    m->strategies[m->num_strategies] = *row;
    return m->num_strategies++;
}

static df_status place_strategies(merge *m, df_err *err)
{
    int64_t most = 0;
    for (int i = 0; i < m->count; i++) {
        most += m->sources[i].strategies.count;
    }
    /* parts have the same rows, so this is far more than is used; the system provides the memory
     * only when it is written to */
    m->strategies = most <= INT32_MAX ? malloc((size_t)(most + 1) * sizeof *m->strategies) : NULL;
    if (!m->strategies) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int i = 0; i < m->count; i++) {
        source *const s = &m->sources[i];
        s->whole = malloc((size_t)(s->strategies.count + 1) * sizeof *s->whole);
        if (!s->whole) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        for (int64_t k = 0; k < s->strategies.count; k++) {
            df_strategy_row row;
            copy_strategy(s, k, &row);
            s->whole[k] = place_strategy(m, k, &row);
        }
    }
    m->counts.strategies = m->num_strategies;
    return DF_OK;
}

/* ---- Searches ---- */

static void copy_search(const source *s, int64_t i, df_search_row *out)
{
    memcpy(out, s->searches.rows + (size_t)i * sizeof *out, sizeof *out);
}

static df_status fail_order(const source *s, int64_t row, df_err *err)
{
    return df_fail(err, DF_EIO,
                   "%s: /searches, row %" PRId64 ": expected rows by strategy and "
                   "index, found another order",
                   s->image.path, row);
}

/* Where the rows of each strategy are. */
static df_status find_spans(const merge *m, source *s, df_err *err)
{
    df_search_row last = {.strategy_id = -1};
    s->spans = calloc((size_t)m->num_strategies + 1, sizeof *s->spans);
    if (!s->spans) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t i = 0; i < s->searches.count; i++) {
        df_search_row row;
        copy_search(s, i, &row);
        if (row.strategy_id < 0 || row.strategy_id >= s->strategies.count) {
            return fail_order(s, i, err);
        }
        span *const at = &s->spans[s->whole[row.strategy_id]];
        if (at->count == 0) {
            at->first = i;
            at->next = i;
        } else if (row.strategy_id != last.strategy_id || row.index <= last.index) {
            return fail_order(s, i, err);
        }
        at->count++;
        last = row;
    }
    return DF_OK;
}

static bool is_pending(const df_search_row *row)
{
    return strncmp(row->status, df_search_status_names[DF_SEARCH_PENDING], sizeof row->status) == 0;
}

/* The iterates of a row, NULL if none are kept. */
static const df_iterate_row *copy_iterates(const source *s, int64_t row, df_iterate_row *to)
{
    const size_t bytes = (size_t)s->trajectory_rows * sizeof *to;
    if (bytes == 0) {
        return NULL;
    }
    memcpy(to, s->iterates.rows + (size_t)row * bytes, bytes);
    return to;
}

/* Done, and whole. */
static bool is_done(merge *m, const source *s, int64_t at, df_search_row *row, df_iterate_row *to)
{
    if (is_pending(row)) {
        return false;
    }
    if (row->checksum != df_row_checksum(row, copy_iterates(s, at, to), s->trajectory_rows)) {
        m->counts.damaged++;
        return false;
    }
    return true;
}

/* The rows of all files for one search of the whole. */
typedef struct {
    int64_t work_id; /* number of the row in the whole */
    int32_t strategy_id, index;
    df_search_row row;  /* the one that is taken */
    const source *from; /* NULL: none is done */
} gathered;

/* Numbers of rows: in the whole they may be others. */
static void renumber(df_search_row *row, df_iterate_row *iterates, int32_t n, const gathered *g)
{
    row->work_id = g->work_id;
    row->strategy_id = g->strategy_id;
    for (int32_t i = 0; i < n; i++) {
        iterates[i].work_id = iterates[i].used ? g->work_id : iterates[i].work_id;
    }
    row->checksum = df_row_checksum(row, iterates, n);
}

static df_status take_row(merge *m, gathered *g, const source *s, int64_t at, df_err *err)
{
    const int32_t n = s->trajectory_rows;
    df_iterate_row *const mine = m->iterates + (g->from ? n : 0);
    df_search_row row;
    copy_search(s, at, &row);
    if (!is_done(m, s, at, &row, mine)) {
        return DF_OK;
    }
    renumber(&row, mine, n, g);
    if (!g->from) {
        g->row = row;
        g->from = s;
        return DF_OK;
    }
    /* size of all columns, and of the iterates */
    if (row.checksum != g->row.checksum) {
        return df_fail(err, DF_EINVAL,
                       "%.300s: strategy %d, index %d: expected the result that %.300s has "
                       "(%.16s, best value %.17g), found %.16s, %.17g",
                       s->image.path, g->strategy_id, g->index, g->from->image.path, g->row.status,
                       g->row.best_value, row.status, row.best_value);
    }
    m->counts.repeated++;
    return DF_OK;
}

/* The least index that a file still has of the strategy; false: none has any. */
static bool next_index(const merge *m, int32_t strategy, int32_t *index)
{
    bool found = false;
    for (int i = 0; i < m->count; i++) {
        const source *const s = &m->sources[i];
        const span *const at = &s->spans[strategy];
        if (at->next < at->first + at->count) {
            df_search_row row;
            copy_search(s, at->next, &row);
            *index = found && *index < row.index ? *index : row.index;
            found = true;
        }
    }
    return found;
}

/* Combines one search from all files that have it. */
static df_status gather(merge *m, gathered *g, df_err *err)
{
    for (int i = 0; i < m->count; i++) {
        source *const s = &m->sources[i];
        span *const at = &s->spans[g->strategy_id];
        df_search_row row;
        if (at->next == at->first + at->count) {
            continue;
        }
        copy_search(s, at->next, &row);
        if (row.index == g->index) {
            DF_TRY(take_row(m, g, s, at->next++, err));
        }
    }
    return DF_OK;
}

/* ---- Counting ---- */

static void rewind_spans(merge *m)
{
    for (int i = 0; i < m->count; i++) {
        for (int32_t k = 0; k < m->num_strategies; k++) {
            m->sources[i].spans[k].next = m->sources[i].spans[k].first;
        }
    }
}

static void skip_index(merge *m, int32_t strategy, int32_t index)
{
    for (int i = 0; i < m->count; i++) {
        span *const at = &m->sources[i].spans[strategy];
        df_search_row row;
        if (at->next < at->first + at->count) {
            copy_search(&m->sources[i], at->next, &row);
            at->next += row.index == index;
        }
    }
}

/* Computes how many rows the whole has, and whether all strategies have the same indices. */
static void count_searches(merge *m)
{
    bool uniform = true;
    for (int32_t k = 0; k < m->num_strategies; k++) {
        df_merge_indices here = {0, 0};
        int32_t index;
        while (next_index(m, k, &index)) {
            here.first = here.count == 0 ? index : here.first;
            uniform = uniform && index == here.first + here.count;
            here.count++;
            skip_index(m, k, index);
        }
        m->counts.searches += here.count;
        if (here.count > 0 && m->indices.count == 0) {
            m->indices = here;
        }
        uniform = uniform && (here.count == 0 ||
                              (here.first == m->indices.first && here.count == m->indices.count));
    }
    if (!uniform) {
        m->indices = (df_merge_indices){0, 0};
    }
    rewind_spans(m);
}

/* ---- Writing ---- */

static df_status write_strategies(const merge *m, df_store *store, df_err *err)
{
    const size_t bytes = (size_t)m->num_strategies * sizeof *m->strategies;
    return df_store_write_at(store, store->at.strategies, m->strategies, bytes, err);
}

static df_status write_search(const merge *m, df_store *store, gathered *g, df_err *err)
{
    const int64_t at = store->at.searches + g->work_id * (int64_t)sizeof g->row;
    if (!g->from) {
        df_store_pending_row(g->work_id, g->strategy_id, g->index, &g->row);
    } else if (store->trajectory_rows > 0) {
        const size_t bytes = (size_t)store->trajectory_rows * sizeof *m->iterates;
        DF_TRY(df_store_write_at(store, store->at.trajectories + g->work_id * (int64_t)bytes,
                                 m->iterates, bytes, err));
    }
    return df_store_write_at(store, at, &g->row, sizeof g->row, err);
}

static df_status write_searches(merge *m, df_store *store, df_err *err)
{
    int64_t work_id = 0;
    for (int32_t k = 0; k < m->num_strategies; k++) {
        int32_t index;
        while (next_index(m, k, &index)) {
            gathered g = {.work_id = work_id, .strategy_id = k, .index = index};
            DF_TRY(gather(m, &g, err));
            m->counts.pending += !g.from;
            DF_TRY(write_search(m, store, &g, err));
            work_id++;
        }
    }
    return DF_OK;
}

static df_status fill(void *ctx, df_store *store, df_err *err)
{
    merge *const m = ctx;
    DF_TRY(write_strategies(m, store, err));
    DF_TRY(write_searches(m, store, err));
    DF_TRY(df_store_write_pareto(store, err));
    return df_store_sync(store, &m->spent, err);
}

static char *join_settings(const merge *m)
{
    const char **const settings = malloc(((size_t)m->count + 1) * sizeof *settings);
    char *text = NULL;
    for (int i = 0; settings && i < m->count; i++) {
        settings[i] = m->sources[i].text[0];
    }
    if (settings) {
        text = df_settings_join(settings, m->count, &m->indices);
    }
    free(settings);
    return text;
}

static df_status write_whole(merge *m, const char *out, const df_store_plan *made, df_err *err)
{
    char *const settings = join_settings(m);
    df_store_plan plan = *made;
    df_store *store = NULL;
    if (!settings) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    plan.num_strategies = m->num_strategies;
    plan.num_searched = m->counts.searches;
    plan.num_indices = 1;
    plan.trajectory_rows = m->sources[0].trajectory_rows;
    plan.settings = settings;
    plan.hardware_yaml = m->sources[0].text[1];
    plan.model_yaml = m->sources[0].text[2];
    plan.ranks = m->ranks;
    const df_status status = df_store_create_with(out, &plan, fill, m, &store, err);
    df_store_free(store);
    free(settings);
    return status;
}

/* ---- Public ---- */

static df_status prepare(merge *m, const char *const *paths, int count, df_err *err)
{
    m->sources = calloc((size_t)count + 1, sizeof *m->sources);
    if (!m->sources) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int i = 0; i < count; i++) {
        DF_TRY(open_source(m, paths[i], err));
    }
    DF_TRY(place_strategies(m, err));
    for (int i = 0; i < count; i++) {
        DF_TRY(find_spans(m, &m->sources[i], err));
    }
    m->iterates = calloc(2 * (size_t)m->sources[0].trajectory_rows + 1, sizeof *m->iterates);
    if (!m->iterates) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    count_searches(m);
    return DF_OK;
}

static void release(merge *m)
{
    for (int i = 0; i < m->count; i++) {
        source *const s = &m->sources[i];
        df_image_close(&s->image);
        free(s->whole);
        free(s->spans);
        for (int k = 0; k < TEXTS; k++) {
            free(s->text[k]);
        }
    }
    free(m->sources);
    free(m->strategies);
    free(m->iterates);
}

df_status df_store_merge(const char *const *paths,
                         int count,
                         const char *out,
                         const df_store_plan *made,
                         df_merge_counts *counts,
                         df_err *err)
{
    merge m = {.count = 0};
    df_status status = prepare(&m, paths, count, err);
    if (status == DF_OK) {
        status = write_whole(&m, out, made, err);
    }
    *counts = m.counts;
    release(&m);
    return status;
}
