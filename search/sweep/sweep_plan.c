#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep/sweep.h"

void df_sweep_plan_init(df_sweep_plan *plan, const df_sweep_options *options)
{
    memset(plan, 0, sizeof *plan);
    plan->options = *options;
    plan->options.descent.infinite_start_shrinks = options->rules.infinite_start_shrinks;
}

void df_sweep_plan_fini(df_sweep_plan *plan)
{
    free(plan->strategies);
    free(plan->searched);
    memset(plan, 0, sizeof *plan);
}

static df_status make_room(df_sweep_plan *plan, df_err *err)
{
    if (plan->num_strategies < plan->room) {
        return DF_OK;
    }
    const int64_t room = plan->room > 0 ? 2 * plan->room : 64;
    df_store_strategy *const rows =
        realloc(plan->strategies, (size_t)room * sizeof plan->strategies[0]);
    if (!rows) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    plan->strategies = rows;
    int32_t *const searched = realloc(plan->searched, (size_t)room * sizeof plan->searched[0]);
    if (!searched) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    plan->searched = searched;
    plan->room = room;
    return DF_OK;
}

static void write_into(const df_store_strategy *row, df_cfg *cfg)
{
    df_strategy_apply(&row->strategy, cfg);
    df_layout_apply(&row->layout, &row->size, &row->strategy, cfg);
}

void df_sweep_config(const df_sweep_plan *plan, int64_t row, df_cfg *out)
{
    *out = plan->options.cfg;
    write_into(&plan->strategies[row], out);
}

/* Whether the model can be split so, and fits. */
static df_status check_row(const df_sweep_plan *plan, df_store_strategy *row, df_err *err)
{
    const df_sweep_options *const o = &plan->options;
    df_cfg cfg = o->cfg;
    df_eval *eval = NULL;
    df_err why;
    if (!row->layout.feasible) {
        snprintf(row->reason, sizeof row->reason, "%s", row->layout.reason);
        return DF_OK;
    }
    write_into(row, &cfg);
    const df_status status = df_eval_new(&cfg, &o->rules, o->ignore_memory, &eval, &why);
    df_eval_free(eval);
    row->feasible = status == DF_OK;
    if (status == DF_INFEASIBLE) {
        snprintf(row->reason, sizeof row->reason, "%.*s", DF_STORE_REASON - 1, why.text);
        return DF_OK;
    }
    return status == DF_OK ? DF_OK : df_fail(err, status, "%s", why.text);
}

df_status df_sweep_plan_add(df_sweep_plan *plan,
                            const df_system_size *size,
                            const df_strategy *strategy,
                            const df_layout *layout,
                            df_err *err)
{
    DF_TRY(make_room(plan, err));
    df_store_strategy *const row = &plan->strategies[plan->num_strategies];
    memset(row, 0, sizeof *row);
    row->strategy_id = (int32_t)plan->num_strategies;
    row->strategy = *strategy;
    row->size = *size;
    row->size.num_worker = df_system_workers(size);
    row->layout = *layout;
    DF_TRY(check_row(plan, row, err));
    if (row->feasible) {
        plan->searched[plan->num_searched++] = row->strategy_id;
    }
    plan->num_strategies++;
    return DF_OK;
}

static df_status
add_layouts(df_sweep_plan *plan, const df_system_size *size, const df_strategy *s, df_err *err)
{
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
    DF_TRY(df_layout_list(size, s, &plan->options.rules, layouts, &count, err));
    for (int i = 0; i < count; i++) {
        DF_TRY(df_sweep_plan_add(plan, size, s, &layouts[i], err));
    }
    return DF_OK;
}

df_status df_sweep_plan_system(df_sweep_plan *plan, const df_system_size *size, df_err *err)
{
    const df_cfg *const cfg = &plan->options.cfg;
    const int64_t batch_size = cfg->mode == DF_MODE_LSTM ? cfg->lstm.batch_size : 0;
    df_strategy *list;
    size_t count;
    DF_TRY(df_strategy_list(size, batch_size, &plan->options.rules, &list, &count, err));
    df_status status = DF_OK;
    plan->num_listed += (int64_t)count;
    for (size_t i = 0; i < count && status == DF_OK; i++) {
        status = add_layouts(plan, size, &list[i], err);
    }
    free(list);
    return status;
}

int64_t df_sweep_descents(const df_sweep_plan *plan)
{
    return plan->num_searched * plan->options.num_search;
}

/* Networks without a derate are not searched: 3 parameters each. */
static int count_searched(const df_store_strategy *row)
{
    return DF_PARAMS - (row->layout.inter_derate == 0 ? DF_CLASSES : 0) -
           (row->layout.intra_derate == 0 ? DF_CLASSES : 0);
}

int64_t df_sweep_evaluations(const df_sweep_plan *plan)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < plan->num_searched; i++) {
        const df_store_strategy *const row = &plan->strategies[plan->searched[i]];
        sum += df_grad_max_evaluations(&plan->options.descent, count_searched(row)) *
               plan->options.num_search;
    }
    return sum;
}

void df_sweep_store_plan(const df_sweep_plan *plan, df_store_plan *out)
{
    const df_sweep_options *const o = &plan->options;
    const int32_t iterations =
        o->descent.max_iterations > 0 ? o->descent.max_iterations : DF_GRAD_ITERATIONS;
    memset(out, 0, sizeof *out);
    out->strategies = plan->strategies;
    out->num_strategies = plan->num_strategies;
    out->searched = plan->searched;
    out->num_searched = plan->num_searched;
    out->num_indices = o->num_search;
    out->first_index = o->first_index;
    out->trajectory_rows = o->trajectory ? iterations + 1 : 0;
}
