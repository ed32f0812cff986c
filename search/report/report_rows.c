#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_impl.h"

/* Adds the columns to a table, and frees them all. */
static df_status
add_columns(json_t *table, df_column *columns, int count, df_status status, df_err *err)
{
    json_t *const names = json_array();
    for (int i = 0; i < count; i++) {
        json_t *const json = df_column_json(&columns[i]);
        const bool added = json && json_object_set_new(table, columns[i].name, json) == 0 &&
                           json_array_append_new(names, json_string(columns[i].name)) == 0;
        if (status == DF_OK && !added) {
            status = df_fail(err, DF_ENOMEM, "out of memory");
        }
    }
    json_object_set_new(table, "columns", names);
    return status;
}

/* A value and the column that it goes to: names and values cannot get out of step. */
typedef struct {
    const char *name;
    double value;
    df_column_kind kind;
} cell;

static df_status add_cells(df_column *columns, const cell *cells, int count, df_err *err)
{
    for (int i = 0; i < count; i++) {
        DF_TRY(df_column_add(&columns[i], cells[i].value, err));
    }
    return DF_OK;
}

static void name_columns(df_column *columns, const cell *cells, int count)
{
    memset(columns, 0, (size_t)count * sizeof columns[0]);
    for (int i = 0; i < count; i++) {
        columns[i].name = cells[i].name;
        columns[i].kind = cells[i].kind;
    }
}

/* ---- Reasons ---- */

enum { REASONS = 60, OTHER = REASONS };

/* Why strategies are infeasible; those that differ in numbers alone are one. */
typedef struct {
    const char *text[REASONS];
    int64_t count[REASONS + 1];
    int used;
} reason_list;

/* 0 of feasible ones, else 1 and up. */
static int note_reason(reason_list *list, const df_store_strategy *row)
{
    int at = 0;
    if (row->feasible) {
        return 0;
    }
    while (at < list->used && !df_strategy_same_reason(list->text[at], row->reason)) {
        at++;
    }
    if (at == list->used && at < REASONS) {
        list->text[list->used++] = row->reason;
    }
    list->count[at]++;
    return at + 1;
}

static json_t *reasons_json(const reason_list *list)
{
    json_t *const all = json_array();
    for (int i = 0; i < list->used + (list->count[OTHER] > 0); i++) {
        json_t *const one = json_object();
        const bool other = i == OTHER;
        json_object_set_new(one, "text", json_string(other ? "other reasons" : list->text[i]));
        json_object_set_new(one, "count", json_integer(list->count[i]));
        json_array_append_new(all, one);
    }
    return all;
}

/* ---- Strategies ---- */

enum { STRATEGY_COLUMNS = DF_STRATEGY_FIELDS + DF_LAYOUT_AXES + 10 };

static cell whole(const char *name, double value)
{
    return (cell){name, value, DF_COLUMN_WHOLE};
}

/* The order as digits, a number. */
static double layout_number(const df_layout *layout)
{
    double number = 0;
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        number = 10 * number + layout->order[i];
    }
    return number;
}

static int list_fields(const df_strategy *s, cell *cells)
{
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy_columns(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        cells[i] = whole(fields[i].name, (double)df_strategy_get(s, &fields[i]));
    }
    return DF_STRATEGY_FIELDS;
}

static int list_layout(const df_layout *l, cell *cells)
{
    const df_axis *const axes = df_strategy_placed(DF_STRATEGY_KERNELS);
    int count = 0;
    cells[count++] = whole("layout", layout_number(l));
    cells[count++] = whole("inter_derate", (double)l->inter_derate);
    cells[count++] = whole("intra_derate", (double)l->intra_derate);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        cells[count++] = whole(df_axis_table[axes[i]].inter, l->inter[i]);
    }
    return count;
}

static void list_cells(const df_store_strategy *row,
                       int reason,
                       int64_t best_work,
                       cell cells[STRATEGY_COLUMNS])
{
    int count = 0;
    cells[count++] = whole("strategy_id", row->strategy_id);
    cells[count++] = whole("reason", reason);
    count += list_fields(&row->strategy, cells + count);
    count += list_layout(&row->layout, cells + count);
    cells[count++] = whole("wafer_dim", (double)row->size.wafer_dim);
    cells[count++] = whole("num_wafer", (double)row->size.num_wafer);
    cells[count++] = whole("devices_per_node", (double)row->size.devices_per_node);
    cells[count++] = whole("num_worker", (double)row->size.num_worker);
    cells[count++] = whole("best_work", (double)best_work);
    assert(count == STRATEGY_COLUMNS);
}

static df_status add_strategy(
    df_column *columns, const df_store_strategy *row, int reason, int64_t best_work, df_err *err)
{
    cell cells[STRATEGY_COLUMNS];
    list_cells(row, reason, best_work, cells);
    return add_cells(columns, cells, STRATEGY_COLUMNS, err);
}

static void name_strategy_columns(df_column columns[STRATEGY_COLUMNS])
{
    static const df_store_strategy none = {.strategy_id = 0};
    cell cells[STRATEGY_COLUMNS];
    list_cells(&none, 0, 0, cells);
    name_columns(columns, cells, STRATEGY_COLUMNS);
}

/* What numbers in the columns recompute and schedule mean: "recompute_words" and so on. */
static void add_words(json_t *table)
{
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy_columns(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        char key[64];
        if (fields[i].kind != DF_FIELD_WORD) {
            continue;
        }
        json_t *const words = json_array();
        for (const df_word *w = fields[i].words; w->word; w++) {
            json_array_append_new(words, json_string(w->word));
        }
        snprintf(key, sizeof key, "%s_words", fields[i].name);
        json_object_set_new(table, key, words);
    }
}

df_status df_report_add_strategies(json_t *root,
                                   df_report_source *source,
                                   const df_report_picked *picked,
                                   int64_t most,
                                   df_err *err)
{
    const df_results *const r = source->results;
    df_column columns[STRATEGY_COLUMNS];
    reason_list reasons = {.used = 0};
    df_status status = DF_OK;
    int64_t shown = 0;
    name_strategy_columns(columns);
    for (int64_t id = 0; status == DF_OK && id < r->num_strategies; id++) {
        const df_store_strategy *const row = &r->strategies[id];
        const int reason = note_reason(&reasons, row);
        if (picked->shown[id] || r->num_strategies <= most) {
            status = add_strategy(columns, row, reason, picked->best[id], err);
            shown++;
        }
    }
    json_t *const table = json_object();
    json_object_set_new(root, "strategies", table);
    json_object_set_new(root, "reasons", reasons_json(&reasons));
    json_object_set_new(table, "rows", json_integer(shown));
    json_object_set_new(table, "of", json_integer(r->num_strategies));
    add_words(table);
    return add_columns(table, columns, STRATEGY_COLUMNS, status, err);
}

/* ---- Searches ---- */

enum {
    SEARCH_COLUMNS = 14,
    DEVICE_COLUMNS = 6,
    ALL_COLUMNS = SEARCH_COLUMNS + DEVICE_COLUMNS + DF_PARAMS
};

typedef struct {
    df_report_source *source;
    df_report_picked *picked;
    df_column columns[ALL_COLUMNS];
    int64_t rows;
} table;

static cell rounded(const char *name, double value)
{
    return (cell){name, value, DF_COLUMN_ROUNDED};
}

static int list_search(const df_store_search *search, bool front, cell *cells)
{
    const df_descent *const d = &search->descent;
    const df_eval_metrics *const m = &d->metrics;
    int n = 0;
    cells[n++] = whole("work_id", (double)search->work_id);
    cells[n++] = whole("strategy_id", search->strategy_id);
    cells[n++] = whole("index", search->index);
    cells[n++] = whole("status", d->status);
    cells[n++] = whole("front", front);
    cells[n++] = whole("iterations", d->iterations);
    cells[n++] = whole("evaluations", (double)d->evaluations);
    cells[n++] = (cell){"best_time_s", d->best_time_s, DF_COLUMN_REAL};
    cells[n++] = rounded("best_value", d->best_value);
    cells[n++] = rounded("start_time_s", d->start_time_s);
    cells[n++] = rounded("memory_overflow", d->memory_overflow);
    cells[n++] = rounded("energy_j", m->energy_j);
    cells[n++] = rounded("area_mm2", m->area_mm2);
    cells[n++] = rounded("memory_bytes",
                         m->memory_bytes > 0 ? m->memory_bytes : (double)NAN); /* not modelled */
    return n;
}

/* dev: NULL where there is none. */
static int list_device(const df_hw_device *dev, cell *cells)
{
    const double none = (double)NAN;
    const df_hw_mem *const dram = dev ? &dev->mem[DF_MEM_DRAM] : NULL;
    int n = 0;
    cells[n++] = rounded("device_flops_ps", dev ? dev->core.throughput_flops_ps : none);
    cells[n++] = rounded("device_dram_bytes", dev ? dram->size_bytes : none);
    cells[n++] = rounded("device_dram_bytes_ps", dev ? dram->throughput_bytes_ps : none);
    cells[n++] = rounded("device_l2_bytes", dev ? dev->mem[DF_MEM_SRAM_L2].size_bytes : none);
    cells[n++] = rounded("device_intra_bytes_ps", dev ? dev->intra.throughput_bytes_ps : none);
    cells[n++] = rounded("device_inter_bytes_ps", dev ? dev->inter.throughput_bytes_ps : none);
    return n;
}

static void list_all(const df_store_search *search,
                     bool front,
                     const df_hw_device *dev,
                     cell cells[ALL_COLUMNS])
{
    int n = list_search(search, front, cells);
    n += list_device(dev, cells + n);
    for (int i = 0; i < DF_PARAMS; i++) {
        cells[n++] = rounded(df_param_names[i], search->descent.best.p[i]);
    }
    assert(n == ALL_COLUMNS);
}

/* With fixed hardware, where all points are the same, there is none. */
static bool
derive_device(df_report_source *source, const df_store_search *search, df_hw_device *dev)
{
    df_cfg cfg;
    df_err ignored;
    return !source->options.fix_hardware && df_report_config(source, search, &cfg) &&
           df_hw_derive(&cfg, &source->options.rules, dev, &ignored) == DF_OK;
}

static df_status add_search(void *ctx, const df_store_search *search, df_err *err)
{
    table *const t = ctx;
    df_hw_device dev;
    cell cells[ALL_COLUMNS];
    t->picked->count[search->descent.status]++;
    if (!df_report_is_shown(t->picked, search)) {
        return DF_OK;
    }
    const bool derived = derive_device(t->source, search, &dev);
    list_all(search, df_report_is_front(t->picked, search->work_id), derived ? &dev : NULL, cells);
    t->rows++;
    t->picked->shown[search->strategy_id] = true;
    return add_cells(t->columns, cells, ALL_COLUMNS, err);
}

static void name_search_columns(df_column columns[ALL_COLUMNS])
{
    static const df_store_search none = {.work_id = 0};
    cell cells[ALL_COLUMNS];
    list_all(&none, false, NULL, cells);
    name_columns(columns, cells, ALL_COLUMNS);
}

df_status df_report_add_searches(json_t *root,
                                 df_report_source *source,
                                 df_report_picked *picked,
                                 df_err *err)
{
    table t = {.source = source, .picked = picked};
    name_search_columns(t.columns);
    memset(picked->count, 0, sizeof picked->count); /* others may have been done meanwhile */
    const df_status status = df_report_visit(source->results, add_search, &t, err);
    json_t *const json = json_object();
    json_t *const words = json_array();
    json_object_set_new(root, "searches", json);
    json_object_set_new(json, "rows", json_integer(t.rows));
    json_object_set_new(json, "of", json_integer(source->results->num_searches));
    for (int i = 0; i <= DF_SEARCH_INFEASIBLE; i++) {
        json_array_append_new(words, json_string(df_search_status_names[i]));
    }
    json_object_set_new(json, "status_words", words);
    return add_columns(json, t.columns, ALL_COLUMNS, status, err);
}

/* ---- Trajectories ---- */

enum { STRATEGIES_FOLLOWED = 10, STARTS_FOLLOWED = 20 };

static df_status add_trajectory(json_t *all,
                                const df_results *r,
                                const df_store_search *search,
                                df_iterate *iterates,
                                df_err *err)
{
    int32_t count;
    DF_TRY(df_results_iterates(r, search->work_id, iterates, &count, err));
    json_t *const times = json_array();
    for (int32_t i = 0; i < count; i++) {
        const double time_s = iterates[i].result.time_s;
        json_array_append_new(times, isfinite(time_s) ? json_real(time_s) : json_null());
    }
    json_t *const one = json_object();
    json_object_set_new(one, "work_id", json_integer(search->work_id));
    json_object_set_new(one, "strategy_id", json_integer(search->strategy_id));
    json_object_set_new(one, "time_s", times);
    json_array_append_new(all, one);
    return DF_OK;
}

/* Adds the best descent of a strategy, and those next to it. */
static df_status follow(
    json_t *all, const df_results *r, int64_t best, int starts, df_iterate *iterates, df_err *err)
{
    df_store_search searches[STARTS_FOLLOWED];
    const int64_t from = best - starts / 2 > 0 ? best - starts / 2 : 0;
    const int64_t left = r->num_searches - from;
    const int64_t count = left < starts ? left : starts;
    DF_TRY(df_results_read(r, from, count, searches, err));
    const int32_t strategy_id =
        r->num_strategies > 0 && best - from < count ? searches[best - from].strategy_id : 0;
    for (int64_t i = 0; i < count; i++) {
        if (searches[i].strategy_id == strategy_id &&
            searches[i].descent.status != DF_SEARCH_PENDING) {
            DF_TRY(add_trajectory(all, r, &searches[i], iterates, err));
        }
    }
    return DF_OK;
}

df_status df_report_add_trajectories(json_t *root,
                                     const df_results *r,
                                     const df_report_picked *picked,
                                     df_err *err)
{
    json_t *const all = json_array();
    df_status status = DF_OK;
    json_object_set_new(root, "trajectories", all);
    if (r->trajectory_rows == 0) {
        return DF_OK;
    }
    df_iterate *const iterates = malloc((size_t)r->trajectory_rows * sizeof *iterates);
    if (!iterates) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int i = 0; status == DF_OK && i < STRATEGIES_FOLLOWED && i < picked->num_ranked; i++) {
        const int64_t best = picked->best[picked->ranked[i]];
        status = follow(all, r, best, i == 0 ? STARTS_FOLLOWED : 1, iterates, err);
    }
    free(iterates);
    return status;
}
