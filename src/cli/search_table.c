#include "search_table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "search_split.h"

void df_search_layout_text(const df_store_strategy *row, char text[DF_SEARCH_LAYOUT])
{
    const df_axis *const axes = df_strategy_placed(df_strategy_kind_of(&row->strategy));
    size_t used = 0;
    if (row->size.devices_per_node == 0) {
        df_layout_name(&row->layout, text);
        return;
    }
    snprintf(text, DF_SEARCH_LAYOUT, "none");
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        if (row->layout.inter[i]) {
            used += (size_t)snprintf(text + used, DF_SEARCH_LAYOUT - used, "%s%s",
                                     used > 0 ? " " : "", df_axis_table[axes[i]].name);
        }
    }
}

const char *df_search_layout_head(const df_store_strategy *row)
{
    return row->size.devices_per_node > 0 ? "leave node" : "layout";
}

static void system_text(const df_system_size *size, char text[DF_SEARCH_LAYOUT])
{
    const int64_t each = size->devices_per_node > 0 ? size->devices_per_node : size->wafer_dim;
    snprintf(text, DF_SEARCH_LAYOUT, "%" PRId64 "x%" PRId64, size->num_wafer, each);
}

/* ---- Columns that rows have by what is searched ---- */

static void print_heads(const df_sweep_plan *plan, const df_store_search *best, int width)
{
    const df_store_strategy *const row = &plan->strategies[best->strategy_id];
    printf("%3s %12s  %-*s %-10s %-8s", "", "time (s)", width, "strategy",
           df_search_layout_head(row), row->size.devices_per_node > 0 ? "nodes" : "wafers");
    if (plan->options.cfg.mode == DF_MODE_LLM) {
        printf(" %10s %10s %8s", "tokens/s", "energy (J)", "need GiB");
    }
    if (!plan->options.eval.fix_hardware) {
        printf(" %5s %8s %8s %8s %8s %8s %8s", "index", "Tflop/s", "DRAM GiB", "GB/s", "L2 MiB",
               "intra", "inter");
    }
    putchar('\n');
}

static df_status print_device(const df_sweep_plan *plan, const df_store_search *search, df_err *err)
{
    df_eval *eval;
    df_cfg cfg;
    df_hw_device dev;
    df_sweep_config(plan, search->strategy_id, &cfg);
    DF_TRY(df_eval_new(&cfg, &plan->options.eval, &eval, err));
    df_eval_config(eval, &search->descent.best, &cfg);
    df_eval_free(eval);
    DF_TRY(df_hw_derive(&cfg, &plan->options.eval.rules, &dev, err));
    printf(" %5d %8.4g %8.4g %8.4g %8.4g %8.4g %8.4g", search->index,
           dev.core.throughput_flops_ps / 1e12, dev.mem[DF_MEM_DRAM].size_bytes / DF_GIB,
           dev.mem[DF_MEM_DRAM].throughput_bytes_ps / DF_GB,
           dev.mem[DF_MEM_SRAM_L2].size_bytes / DF_MIB, dev.intra.throughput_bytes_ps / DF_GB,
           dev.inter.throughput_bytes_ps / DF_GB);
    return DF_OK;
}

static df_status print_row(
    const df_sweep_plan *plan, int rank, const df_store_search *search, int width, df_err *err)
{
    const df_store_strategy *const row = &plan->strategies[search->strategy_id];
    const df_eval_metrics *const m = &search->descent.metrics;
    char name[DF_STRATEGY_NAME];
    char layout[DF_SEARCH_LAYOUT];
    char size[DF_SEARCH_LAYOUT];
    df_strategy_name(&row->strategy, name, sizeof name);
    df_search_layout_text(row, layout);
    system_text(&row->size, size);
    printf("%3d %12.6g  %-*s %-10s %-8s", rank, search->descent.best_time_s, width, name, layout,
           size);
    if (plan->options.cfg.mode == DF_MODE_LLM) {
        printf(" %10.4g %10.4g %8.4g", m->tokens_ps, m->energy_j, m->memory_bytes / DF_GIB);
    }
    if (!plan->options.eval.fix_hardware) {
        DF_TRY(print_device(plan, search, err));
    }
    return DF_OK;
}

/* The width of the longest name. */
static int name_width(const df_sweep_plan *plan, const df_store_search *best, int32_t count)
{
    int width = 18;
    for (int32_t i = 0; i < count; i++) {
        char name[DF_STRATEGY_NAME];
        const int length =
            df_strategy_name(&plan->strategies[best[i].strategy_id].strategy, name, sizeof name);
        width = length > width ? length : width;
    }
    return width;
}

/* ---- Rows with the same results are one ---- */

/* The best rows, one for each result, and how many more rows have that result. */
typedef struct {
    df_store_search *best;
    int64_t *more;
    int32_t count, room;
} results_list;

/* Combines rows with the same result. Only neighbours, which have the same value, can have it. */
static void join_equals(results_list *list)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < list->count; i++) {
        const df_descent *const d = &list->best[i].descent;
        int32_t at = kept - 1;
        while (at >= 0 && list->best[at].descent.best_value == d->best_value &&
               !df_descent_same_result(&list->best[at].descent, d)) {
            at--;
        }
        if (at >= 0 && list->best[at].descent.best_value == d->best_value) {
            list->more[at]++;
        } else {
            list->more[kept] = 0;
            list->best[kept++] = list->best[i];
        }
    }
    list->count = kept;
}

/* Fills the list with the best `room` rows, joined. *all: the list has every working row. */
static df_status
find_best(const df_sweep_plan *plan, df_store *store, results_list *list, bool *all, df_err *err)
{
    df_store_search *const best = realloc(list->best, (size_t)list->room * sizeof *list->best);
    list->best = best ? best : list->best;
    int64_t *const more = realloc(list->more, (size_t)list->room * sizeof *list->more);
    list->more = more ? more : list->more;
    if (!best || !more) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    DF_TRY(df_sweep_best(plan, store, list->room, list->best, &list->count, err));
    *all = list->count < list->room;
    join_equals(list);
    return DF_OK;
}

/* The best `top` results and one more, so that all rows that have these results are counted; or as
 * many results as there are. */
static df_status find_results(
    const df_sweep_plan *plan, df_store *store, int32_t top, results_list *list, df_err *err)
{
    enum { ROWS_A_RESULT = 8, MOST_ROWS = 1 << 14 };
    bool all = false;
    list->room = top + 1 < MOST_ROWS / ROWS_A_RESULT ? ROWS_A_RESULT * (top + 1) : top + 1;
    DF_TRY(find_best(plan, store, list, &all, err));
    while (!all && list->count <= top && list->room < MOST_ROWS) {
        list->room *= ROWS_A_RESULT;
        DF_TRY(find_best(plan, store, list, &all, err));
    }
    list->count = list->count < top ? list->count : top;
    return DF_OK;
}

static df_status print_results(const df_sweep_plan *plan, const results_list *list, df_err *err)
{
    const int width = name_width(plan, list->best, list->count);
    print_heads(plan, list->best, width);
    for (int32_t i = 0; i < list->count; i++) {
        DF_TRY(print_row(plan, i + 1, &list->best[i], width, err));
        if (list->more[i] > 0) {
            printf("  and %" PRId64 " more", list->more[i]);
        }
        putchar('\n');
    }
    return plan->options.eval.fix_hardware
               ? DF_OK
               : df_search_print_split(plan, list->best, list->count, err);
}

df_status df_search_print_best(
    const df_sweep_plan *plan, df_store *store, int32_t top, int32_t *found, df_err *err)
{
    results_list list = {.count = 0};
    df_status status = find_results(plan, store, top > 0 ? top : 1, &list, err);
    *found = list.count;
    if (status == DF_OK && top > 0 && list.count > 0) {
        status = print_results(plan, &list, err);
    }
    free(list.best);
    free(list.more);
    return status;
}
