#include <stdlib.h>
#include <string.h>

#include "sweep/sweep.h"

void df_sweep_plan_init(df_sweep_plan *plan, const df_sweep_options *options)
{
    df_sweep_options *const o = &plan->options;
    memset(plan, 0, sizeof *plan);
    *o = *options;
    if (o->eval.fix_hardware) {
        o->num_search = 1;
        o->first_index = 0;
        o->trajectory = false;
    }
}

void df_sweep_plan_fini(df_sweep_plan *plan)
{
    for (int64_t i = 0; i < plan->num_reasons; i++) {
        free(plan->reasons[i]);
    }
    free(plan->reasons);
    free(plan->strategies);
    free(plan->searched);
    df_eval_free(plan->eval);
    memset(plan, 0, sizeof *plan);
}

/* ---- Rows ---- */

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

/* A copy of the text that lives as long as the plan; NULL when out of memory. */
static const char *keep_reason(df_sweep_plan *plan, const char *text)
{
    if (plan->num_reasons > 0 && strcmp(plan->reasons[plan->num_reasons - 1], text) == 0) {
        return plan->reasons[plan->num_reasons - 1];
    }
    if (plan->num_reasons == plan->reasons_room) {
        const int64_t room = plan->reasons_room > 0 ? 2 * plan->reasons_room : 64;
        char **const reasons = realloc(plan->reasons, (size_t)room * sizeof *reasons);
        if (!reasons) {
            return NULL;
        }
        plan->reasons = reasons;
        plan->reasons_room = room;
    }
    char *const copy = strdup(text);
    if (copy) {
        plan->reasons[plan->num_reasons++] = copy;
    }
    return copy;
}

static void write_into(const df_sweep_plan *plan, const df_store_strategy *row, df_cfg *cfg)
{
    df_strategy_apply(&row->strategy, cfg);
    df_layout_apply(&row->layout, &row->size, &row->strategy, &plan->options.eval.rules, cfg);
}

void df_sweep_config(const df_sweep_plan *plan, int64_t row, df_cfg *out)
{
    *out = plan->options.cfg;
    write_into(plan, &plan->strategies[row], out);
}

/* Whether the model can be split so, and fits. */
static df_status check_row(df_sweep_plan *plan, df_store_strategy *row, df_err *err)
{
    df_cfg cfg = plan->options.cfg;
    df_err why;
    if (!plan->eval) {
        plan->eval = df_eval_alloc(&plan->options.eval);
        if (!plan->eval) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
    }
    write_into(plan, row, &cfg);
    const df_status status = df_eval_use(plan->eval, &cfg, &why);
    row->feasible = status == DF_OK;
    if (status == DF_INFEASIBLE) {
        row->reason = keep_reason(plan, why.text);
        return row->reason ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory");
    }
    return status == DF_OK ? DF_OK : df_fail(err, status, "%s", why.text);
}

/* Adds a row; with a reason it is infeasible for that. */
static df_status add_row(df_sweep_plan *plan,
                         const df_system_size *size,
                         const df_strategy *strategy,
                         const df_layout *layout,
                         const char *reason,
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
    row->reason = reason;
    if (!reason) {
        DF_TRY(check_row(plan, row, err));
    }
    if (row->feasible) {
        plan->searched[plan->num_searched++] = row->strategy_id;
    }
    plan->num_strategies++;
    return DF_OK;
}

void df_sweep_unplaced(df_layout *layout)
{
    memset(layout, 0, sizeof *layout);
    layout->reason = "";
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        layout->order[i] = i;
    }
}

df_status df_sweep_plan_add(df_sweep_plan *plan,
                            const df_system_size *size,
                            const df_strategy *strategy,
                            const df_layout *layout,
                            df_err *err)
{
    return add_row(plan, size, strategy, layout, layout->feasible ? NULL : layout->reason, err);
}

/* ---- Systems ---- */

/* All layouts of the strategies that are made up of the same degrees. */
typedef struct {
    int64_t axes[DF_LAYOUT_AXES];
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
} layout_set;

/* The sets of one tp and cp; strategies that differ in dp and lp alternate. */
typedef struct {
    layout_set *sets;
    size_t count, room;
} layout_memo;

/* The set of these axes; NULL: there is none. */
static const layout_set *find_set(const layout_memo *memo, const int64_t axes[DF_LAYOUT_AXES])
{
    for (size_t i = 0; i < memo->count; i++) {
        if (memcmp(memo->sets[i].axes, axes, DF_LAYOUT_AXES * sizeof axes[0]) == 0) {
            return &memo->sets[i];
        }
    }
    return NULL;
}

/* A new set, empty; NULL when out of memory. */
static layout_set *add_set(layout_memo *memo, const int64_t axes[DF_LAYOUT_AXES])
{
    enum { OUTER = DF_LAYOUT_AXES - 2 }; /* all but dp and lp */
    if (memo->count > 0 && memcmp(memo->sets[0].axes, axes, OUTER * sizeof axes[0]) != 0) {
        memo->count = 0;
    }
    if (memo->count == memo->room) {
        const size_t room = memo->room > 0 ? 2 * memo->room : 8;
        layout_set *const sets = realloc(memo->sets, room * sizeof *sets);
        if (!sets) {
            return NULL;
        }
        memo->sets = sets;
        memo->room = room;
    }
    layout_set *const fresh = &memo->sets[memo->count++];
    memcpy(fresh->axes, axes, sizeof fresh->axes);
    fresh->count = 0;
    return fresh;
}

static df_status add_layouts(df_sweep_plan *plan,
                             const df_system_size *size,
                             const df_strategy *s,
                             layout_memo *memo,
                             df_err *err)
{
    int64_t axes[DF_LAYOUT_AXES];
    df_strategy_axes(s, axes);
    const layout_set *set = find_set(memo, axes);
    if (!set) {
        layout_set *const fresh = add_set(memo, axes);
        if (!fresh) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        DF_TRY(
            df_layout_list(size, s, &plan->options.eval.rules, fresh->layouts, &fresh->count, err));
        set = fresh;
    }
    for (int i = 0; i < set->count; i++) {
        DF_TRY(df_sweep_plan_add(plan, size, s, &set->layouts[i], err));
    }
    return DF_OK;
}

static df_status add_llm(df_sweep_plan *plan, const df_system_size *size, df_err *err)
{
    df_layout nowhere;
    const df_sweep_options *const o = &plan->options;
    df_strategy_choices list;
    layout_memo memo = {.count = 0};
    DF_TRY(df_strategy_list_llm(size, &o->cfg, &o->eval.rules, &o->space, &list, err));
    df_status status = DF_OK;
    df_sweep_unplaced(&nowhere);
    plan->num_listed += (int64_t)list.count;
    for (size_t i = 0; i < list.count && status == DF_OK; i++) {
        const df_strategy *const s = &list.all[i].strategy;
        const char *const reason = list.all[i].reason;
        status = reason ? add_row(plan, size, s, &nowhere, reason, err)
                        : add_layouts(plan, size, s, &memo, err);
    }
    free(memo.sets);
    free(list.all);
    return status;
}

static df_status add_kernels(df_sweep_plan *plan, const df_system_size *size, df_err *err)
{
    const df_cfg *const cfg = &plan->options.cfg;
    const int64_t batch_size = cfg->mode == DF_MODE_LSTM ? cfg->lstm.batch_size : 0;
    df_strategy *list;
    size_t count;
    layout_memo memo = {.count = 0};
    DF_TRY(df_strategy_list(size, batch_size, &plan->options.eval.rules, &list, &count, err));
    df_status status = DF_OK;
    plan->num_listed += (int64_t)count;
    for (size_t i = 0; i < count && status == DF_OK; i++) {
        status = add_layouts(plan, size, &list[i], &memo, err);
    }
    free(memo.sets);
    free(list);
    return status;
}

df_status df_sweep_plan_system(df_sweep_plan *plan, const df_system_size *size, df_err *err)
{
    return plan->options.cfg.mode == DF_MODE_LLM ? add_llm(plan, size, err)
                                                 : add_kernels(plan, size, err);
}

int64_t df_sweep_descents(const df_sweep_plan *plan)
{
    return plan->num_searched * plan->options.num_search;
}

/* Networks without a derate are not searched: 3 parameters each. Neither is what has one value. */
static int count_searched(const df_sweep_plan *plan, const df_store_strategy *row)
{
    int count = DF_PARAMS - (row->layout.inter_derate == 0 ? DF_CLASSES : 0) -
                (row->layout.intra_derate == 0 ? DF_CLASSES : 0);
    for (int i = 0; i < DF_PARAMS; i++) {
        const df_param_range *const range = &plan->options.eval.range[i];
        count -= range->given && range->low == range->high;
    }
    return count;
}

int64_t df_sweep_evaluations(const df_sweep_plan *plan)
{
    int64_t sum = 0;
    if (plan->options.eval.fix_hardware) {
        return plan->num_searched;
    }
    for (int64_t i = 0; i < plan->num_searched; i++) {
        const df_store_strategy *const row = &plan->strategies[plan->searched[i]];
        sum += df_grad_max_evaluations(&plan->options.descent, count_searched(plan, row)) *
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
