#include "search_table.h"

#include <inttypes.h>
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
    putchar('\n');
    return DF_OK;
}

/* Of the longest name. */
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

df_status df_search_print_best(
    const df_sweep_plan *plan, df_store *store, int32_t top, int32_t *found, df_err *err)
{
    const int32_t most = top > 0 ? top : 1;
    df_store_search *const best = malloc((size_t)most * sizeof *best);
    if (!best) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = df_sweep_best(plan, store, most, best, found, err);
    const int width = status == DF_OK ? name_width(plan, best, *found) : 0;
    if (status == DF_OK && top > 0 && *found > 0) {
        print_heads(plan, best, width);
    }
    for (int32_t i = 0; status == DF_OK && top > 0 && i < *found; i++) {
        status = print_row(plan, i + 1, &best[i], width, err);
    }
    if (status == DF_OK && top > 0 && *found > 0 && !plan->options.eval.fix_hardware) {
        status = df_search_print_split(plan, best, *found, err);
    }
    free(best);
    return status;
}
