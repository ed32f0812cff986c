#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "compat/compat.h"
#include "search_run.h"

/* The place into which the flags of one field of the strategy are read. */
typedef struct {
    df_strategy_field field;
    int64_t number;
    bool truth;
    const char *word;
    char choices[64]; /* "gpipe|1f1b|interleaved" */
} field_flag;

typedef struct {
    df_search_args common;
    int64_t index, wafer_dim;
    field_flag flags[DF_STRATEGY_FIELDS];
    int64_t inter_derate, intra_derate;
    bool inter[DF_AXES];
} gd_args;

static const char EXAMPLES[] =
    "  deepflow GD_search --exp_config configs/search/lstm_4x4.yaml --exp_dir output/one \\\n"
    "    --index 3 --dp 16 --wafer_dim 4 --intra_derate 2 --inter_derate 0\n"
    "\n`deepflow strategies` lists strategies with their derates and flags.\n";

/* ---- Flags ---- */

enum { MORE_FLAGS = 5, OWN_FLAGS = MORE_FLAGS + DF_STRATEGY_FIELDS + DF_AXES };

/* A list of flags that grows. */
typedef struct {
    df_arg arg[DF_SEARCH_COMMON_ARGS + OWN_FLAGS];
    int count;
} flag_list;

static void add_flag(flag_list *list, df_arg arg)
{
    list->arg[list->count++] = arg;
}

static void init_flags(field_flag flags[DF_STRATEGY_FIELDS])
{
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy_columns(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        field_flag *const flag = &flags[i];
        *flag = (field_flag){
            .field = fields[i], .number = fields[i].preset, .truth = fields[i].preset != 0};
        if (fields[i].kind != DF_FIELD_WORD) {
            continue;
        }
        size_t used = 0;
        for (const df_word *w = fields[i].words; w->word; w++) {
            used += (size_t)snprintf(flag->choices + used, sizeof flag->choices - used, "%s%s",
                                     used > 0 ? "|" : "", w->word);
        }
        flag->word = df_opt_word_of(fields[i].words, (double)fields[i].preset);
    }
}

static df_arg field_arg(field_flag *flag)
{
    const df_strategy_field *const field = &flag->field;
    if (field->kind == DF_FIELD_TRUTH) {
        return df_arg_bool(field->name, &flag->truth, field->flag);
    }
    if (field->kind == DF_FIELD_WORD) {
        return df_arg_choice(field->name, &flag->word, flag->choices, field->flag);
    }
    const df_arg arg = df_arg_int(field->name, &flag->number, field->low, field->high, field->flag);
    const bool required = field->at == offsetof(df_strategy, dp); /* as in the Python DeepFlow */
    return required ? df_arg_required(arg) : arg;
}

static void add_field_flags(flag_list *list, gd_args *a, df_strategy_kind of)
{
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        if (a->flags[i].field.of == of) {
            add_flag(list, field_arg(&a->flags[i]));
        }
    }
}

/* cp has no flag: a layout places it together with tp. */
static void add_inter_flags(flag_list *list, gd_args *a, df_strategy_kind of)
{
    static const char *const meaning[DF_AXES] = {
        [DF_AXIS_DP] = "data parallelism runs between wafers",
        [DF_AXIS_LP] = "the pipeline runs between wafers",
        [DF_AXIS_TP] = "for an LLM, tensor parallelism runs between wafers",
        [DF_AXIS_KP1] = "kp1 runs between wafers",
        [DF_AXIS_KP2] = "kp2 runs between wafers",
    };
    for (int axis = 0; axis < DF_AXES; axis++) {
        if (meaning[axis] && df_strategy_axis_kind((df_axis)axis) == of) {
            add_flag(list, df_arg_bool(df_axis_table[axis].inter, &a->inter[axis], meaning[axis]));
        }
    }
}

static bool read_args(int argc, char **argv, gd_args *a, int *exit_code)
{
    flag_list list;
    list.count = df_search_common_args(&a->common, list.arg);
    add_flag(&list, df_arg_required(df_arg_int("index", &a->index, 0, 2147483647,
                                               "number of the starting point")));
    add_flag(&list, df_arg_real("data_scale", &a->common.data_scale, 0, 1e12,
                                "growth of the data set, which is only recorded; 0: the file's"));
    add_field_flags(&list, a, DF_STRATEGY_BOTH);
    add_field_flags(&list, a, DF_STRATEGY_KERNELS);
    add_flag(&list,
             df_arg_int("inter_derate", &a->inter_derate, 0, DF_SYSTEM_DEVICES_MAX,
                        "streams that share a link between wafers; 0: there is no such network"));
    add_flag(&list,
             df_arg_int("intra_derate", &a->intra_derate, 0, DF_SYSTEM_DEVICES_MAX,
                        "streams that share a link on a wafer; 0: there is no such network"));
    add_field_flags(&list, a, DF_STRATEGY_LLM);
    add_inter_flags(&list, a, DF_STRATEGY_LLM);
    add_inter_flags(&list, a, DF_STRATEGY_KERNELS);
    add_inter_flags(&list, a, DF_STRATEGY_BOTH);
    add_flag(&list,
             df_arg_int("wafer_dim", &a->wafer_dim, 1, 1024, "devices along a wafer's edge"));
    const df_command command = {"GD_search", "searches for the best device for one strategy",
                                EXAMPLES, list.arg, list.count};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- The strategy ---- */

static int64_t value_of(const field_flag *flag)
{
    int64_t value = flag->number;
    if (flag->field.kind == DF_FIELD_TRUTH) {
        return flag->truth;
    }
    if (flag->field.kind == DF_FIELD_WORD) {
        df_strategy_word_value(&flag->field, flag->word, &value); /* one of the choices */
    }
    return value;
}

/* "--kp_type: expected -1, 1 or 2, found 0". */
static df_status fail_code(const df_strategy_field *field, int64_t value, df_err *err)
{
    char codes[64] = "";
    size_t used = 0;
    for (const df_word *w = field->words; w->word; w++) {
        const char *const before = w == field->words ? "" : w[1].word ? ", " : " or ";
        used += (size_t)snprintf(codes + used, sizeof codes - used, "%s%.0f", before, w->value);
    }
    return df_fail(err, DF_EINVAL, "--%s: expected %s, found %" PRId64, field->name, codes, value);
}

/* A number between the bounds of an enum may still be none of its values. */
static df_status read_strategy(const gd_args *a, df_strategy *s, df_err *err)
{
    df_strategy_init(s, DF_STRATEGY_BOTH);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        const df_strategy_field *const field = &a->flags[i].field;
        const int64_t value = value_of(&a->flags[i]);
        if (field->kind == DF_FIELD_CODE && !df_opt_word_of(field->words, (double)value)) {
            return fail_code(field, value, err);
        }
        df_strategy_set(s, field, value);
    }
    return DF_OK;
}

/* Whichever flag of a place was given counts: kp1_inter and tp_inter are of the innermost one. */
static void place_axes(const gd_args *a, df_layout *layout)
{
    const df_axis *const kernels = df_strategy_placed(DF_STRATEGY_KERNELS);
    const df_axis *const llm = df_strategy_placed(DF_STRATEGY_LLM);
    df_sweep_unplaced(layout);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        layout->inter[i] = a->inter[kernels[i]] || a->inter[llm[i]];
    }
    layout->inter_derate = a->inter_derate;
    layout->intra_derate = a->intra_derate;
    layout->feasible = true;
}

static double count_workers(const df_strategy *s)
{
    double workers = 1;
    int64_t axes[DF_LAYOUT_AXES];
    df_strategy_axes(s, axes);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        workers *= (double)axes[i];
    }
    return workers;
}

/* As in predictions. */
static df_status check_split(const df_strategy *s, const df_sweep_options *o, df_err *err)
{
    df_cfg_misfit misfit;
    const bool any = (df_compat_reading(&o->eval.rules) & DF_CFG_ANY_SPLITS) != 0;
    if (any ||
        !df_cfg_find_misfit(&o->cfg.llm, s->degree, s->ep, s->tp_sp, DF_SPLIT_EVEN, &misfit)) {
        return DF_OK;
    }
    return df_fail(err, DF_EINVAL, "%s: %s", misfit.key, misfit.reason);
}

static df_status add_strategy(const gd_args *a, df_sweep_plan *plan, df_err *err)
{
    const bool llm = plan->options.cfg.mode == DF_MODE_LLM;
    df_strategy s;
    df_layout layout;
    DF_TRY(read_strategy(a, &s, err));
    df_strategy_settle(&s, llm ? DF_STRATEGY_LLM : DF_STRATEGY_KERNELS);
    if (llm) {
        DF_TRY(check_split(&s, &plan->options, err));
    }
    const double workers = count_workers(&s);
    if (workers > DF_SYSTEM_DEVICES_MAX) {
        return df_fail(err, DF_EINVAL, "--dp: expected at most %d devices in all, found %.17g",
                       DF_SYSTEM_DEVICES_MAX, workers);
    }
    const int64_t area = a->wafer_dim * a->wafer_dim;
    const df_system_size size = {.num_wafer = ((int64_t)workers + area - 1) / area,
                                 .wafer_dim = a->wafer_dim,
                                 .num_worker = (int64_t)workers};
    place_axes(a, &layout);
    return df_sweep_plan_add(plan, &size, &s, &layout, err);
}

/* ---- best.txt ---- */

/* "area_breakdown c: 0.192 D: 0.245 ...": the names as the Python DeepFlow shortens them. */
static void print_point(FILE *out, const df_point *point)
{
    static const char *const classes[DF_CLASSES] = {"area_breakdown", "power_breakdown",
                                                    "perimeter_breakdown"};
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        fprintf(out, " %s", classes[klass]);
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            const char *const name = strchr(df_param_names[i], '_') + 1;
            const bool inter = strcmp(name, "inter_node") == 0;
            fprintf(out, " %c: %.3f", inter ? 'o' : name[0], point->p[i]);
        }
    }
}

static df_status write_best(const char *dir, const df_descent *descent, df_err *err)
{
    char path[4096];
    char draft[4112];
    snprintf(path, sizeof path, "%s/best.txt", dir);
    snprintf(draft, sizeof draft, "%s.part", path);
    FILE *const out = fopen(draft, "w");
    if (!out) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    fprintf(out, "Best Time: %.17g\nTime Limit: %.1f\nBest Dir: %s\n ", descent->best_time_s, 1e15,
            dir);
    print_point(out, &descent->best);
    fputc('\n', out);
    const bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed || rename(draft, path) != 0) {
        const int why = errno;
        remove(draft);
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(why));
    }
    return DF_OK;
}

/* ---- The command ---- */

static df_status prepare(gd_args *a, df_search *search, df_err *err)
{
    char name[DF_STRATEGY_NAME];
    char inter[DF_LAYOUT_AXES + 1] = "";
    DF_TRY(df_search_init(search, &a->common, 1, a->index, err));
    DF_TRY(add_strategy(a, &search->plan, err));
    const df_store_strategy *const row = &search->plan.strategies[0];
    df_strategy_name(&row->strategy, name, sizeof name);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        inter[i] = row->layout.inter[i] ? '1' : '0';
    }
    df_search_note(search, "strategy=%s", name);
    df_search_note(search, "wafer_dim=%" PRId64, a->wafer_dim);
    df_search_note(search, "inter_derate=%" PRId64, a->inter_derate);
    df_search_note(search, "intra_derate=%" PRId64, a->intra_derate);
    df_search_note(search, "inter=%s", inter);
    return DF_OK;
}

/* The one descent in the results. */
static df_status
read_best(const df_search *search, const char *dir, df_descent *descent, df_err *err)
{
    char path[4096];
    df_store_plan plan;
    df_store_search found;
    df_store *store;
    snprintf(path, sizeof path, "%s/results.h5", dir);
    df_sweep_store_plan(&search->plan, &plan);
    plan.hardware_yaml = search->texts.hardware;
    plan.model_yaml = search->texts.model;
    plan.settings = search->settings;
    DF_TRY(df_store_resume(path, &plan, &store, err));
    const df_status status = df_store_get(store, 0, 1, &found, err);
    df_store_free(store);
    *descent = found.descent;
    return status;
}

static int run_search(gd_args *a, df_search *search, int argc, char **argv, df_dist *dist)
{
    df_descent best;
    df_err err;
    df_status status = prepare(a, search, &err);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    if (search->plan.num_searched == 0) {
        return df_search_fail_infeasible(&search->plan);
    }
    const int exit_code = df_search_execute(search, &a->common, argc, argv, dist);
    if (exit_code != 0) {
        return exit_code;
    }
    status = read_best(search, a->common.exp_dir, &best, &err);
    if (status == DF_OK) {
        status = write_best(a->common.exp_dir, &best, &err);
    }
    return status == DF_OK ? 0 : df_cli_fail(status, &err);
}

int df_cmd_gd_search(int argc, char **argv)
{
    gd_args a = {.common = df_search_args_init("GD_search", "output/GD_search"),
                 .wafer_dim = 1,
                 .inter_derate = 1,
                 .intra_derate = 1};
    df_search search;
    int exit_code = 0;
    memset(&search, 0, sizeof search);
    init_flags(a.flags);
    df_err err;
    const df_status status = df_search_read_spec(&a.common, argc, argv, &err);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_search_catch_signals();
    df_dist *const dist = df_dist_serial();
    if (!dist) {
        return df_cli_fail(df_fail(&err, DF_ENOMEM, "out of memory"), &err);
    }
    exit_code = run_search(&a, &search, argc, argv, dist);
    df_search_fini(&search);
    df_dist_fini(dist);
    return exit_code;
}
