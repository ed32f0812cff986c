#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "search_run.h"

typedef struct {
    df_search_args common;
    int64_t index, wafer_dim;
    int64_t kp_type;
    df_strategy strategy;
    int64_t inter_derate, intra_derate;
    bool inter[DF_LAYOUT_AXES];
    const char *recompute, *schedule;
    bool kp1_inter;
} gd_args;

static const char EXAMPLES[] =
    "  deepflow GD_search --exp_config configs/search/lstm_4x4.yaml --exp_dir output/one \\\n"
    "    --index 3 --dp 16 --wafer_dim 4 --intra_derate 2 --inter_derate 0\n"
    "\n`deepflow strategies` lists strategies with their derates and flags.\n";

static bool read_args(int argc, char **argv, gd_args *a, int *exit_code)
{
    const df_arg own[] = {
        df_arg_required(df_arg_int("index", &a->index, 0, 2147483647, "which starting point")),
        df_arg_real("data_scale", &a->common.data_scale, 0, 1e12,
                    "growth of the data set, for the record; 0: the file's"),
        df_arg_required(
            df_arg_int("dp", &a->strategy.dp, 1, DF_SYSTEM_DEVICES_MAX, "data-parallel replicas")),
        df_arg_int("lp", &a->strategy.lp, 1, DF_SYSTEM_DEVICES_MAX, "pipeline stages"),
        df_arg_int("kp_type", &a->kp_type, -1, 2,
                   "kernels are split: -1 not, 1 by column and row, 2 by row and column"),
        df_arg_int("kp1", &a->strategy.kp1, 1, DF_SYSTEM_DEVICES_MAX,
                   "ways to split the first dimension"),
        df_arg_int("kp2", &a->strategy.kp2, 1, DF_SYSTEM_DEVICES_MAX,
                   "ways to split the second one"),
        df_arg_int("inter_derate", &a->inter_derate, 0, DF_SYSTEM_DEVICES_MAX,
                   "streams that share a link between wafers; 0: no such network"),
        df_arg_int("intra_derate", &a->intra_derate, 0, DF_SYSTEM_DEVICES_MAX,
                   "streams that share a link on a wafer; 0: no such network"),
        df_arg_int("tp", &a->strategy.tp, 1, DF_SYSTEM_DEVICES_MAX,
                   "of an LLM: tensor parallelism"),
        df_arg_int("cp", &a->strategy.cp, 1, DF_SYSTEM_DEVICES_MAX,
                   "of an LLM: context parallelism"),
        df_arg_int("mb", &a->strategy.mb, 1, DF_ARG_INT_MAX, "of an LLM: micro-batches"),
        df_arg_bool("tp_sp", &a->strategy.tp_sp, "of an LLM: sequence parallelism"),
        df_arg_int("zero_stage", &a->strategy.zero_stage, 0, 3, "of an LLM: stage of ZeRO"),
        df_arg_choice("recompute", &a->recompute, "none|selective|full", "of an LLM"),
        df_arg_choice("schedule", &a->schedule, "gpipe|1f1b|interleaved",
                      "of an LLM: the pipeline"),
        df_arg_int("virtual_stages", &a->strategy.virtual_stages, 1, DF_ARG_INT_MAX,
                   "of an LLM: parts of the model on a stage, interleaved"),
        df_arg_bool("tp_inter", &a->inter[0], "of an LLM: tp runs between wafers"),
        df_arg_bool("kp1_inter", &a->kp1_inter, "kp1 runs between wafers"),
        df_arg_bool("kp2_inter", &a->inter[1], "kp2 runs between wafers"),
        df_arg_bool("dp_inter", &a->inter[2], "data parallelism runs between wafers"),
        df_arg_bool("lp_inter", &a->inter[3], "the pipeline runs between wafers"),
        df_arg_int("wafer_dim", &a->wafer_dim, 1, 1024, "devices along a wafer's edge"),
    };
    df_arg args[DF_SEARCH_COMMON_ARGS + sizeof own / sizeof own[0]];
    const int common = df_search_common_args(&a->common, args);
    memcpy(args + common, own, sizeof own);
    const df_command command = {"GD_search", "searches the best device for one strategy", EXAMPLES,
                                args, common + (int)(sizeof own / sizeof own[0])};
    return df_cli_parse(&command, argc, argv, exit_code);
}

static df_recompute recompute_of(const char *word)
{
    int value = DF_RECOMPUTE_NONE;
    while (strcmp(df_recompute_name((df_recompute)value), word) != 0) { /* one of the choices */
        value++;
    }
    return (df_recompute)value;
}

static df_schedule schedule_of(const char *word)
{
    int value = DF_SCHEDULE_GPIPE;
    while (strcmp(df_schedule_name((df_schedule)value), word) != 0) {
        value++;
    }
    return (df_schedule)value;
}

/* What the model's mode has no use for leaves the strategy. */
static void settle_strategy(gd_args *a, bool llm)
{
    df_strategy *const s = &a->strategy;
    a->inter[0] = a->inter[0] || a->kp1_inter;
    if (llm) {
        s->kp_type = DF_KP_NONE;
        s->kp1 = 1;
        s->kp2 = 1;
        s->recompute = recompute_of(a->recompute);
        s->schedule = schedule_of(a->schedule);
        return;
    }
    *s = (df_strategy){
        .kp_type = (df_kp_type)a->kp_type, .kp1 = s->kp1, .kp2 = s->kp2, .dp = s->dp, .lp = s->lp};
    /* kp1 counts in both splits, kp2 in the second one */
    s->kp1 = s->kp_type == DF_KP_NONE ? 1 : s->kp1;
    s->kp2 = s->kp_type == DF_KP_RC ? s->kp2 : 1;
}

static df_status add_strategy(gd_args *a, df_sweep_plan *plan, df_err *err)
{
    static const int order[DF_LAYOUT_AXES] = {0, 1, 2, 3};
    df_layout layout = {
        .inter_derate = a->inter_derate, .intra_derate = a->intra_derate, .feasible = true};
    if (a->kp_type == 0) {
        return df_fail(err, DF_EINVAL, "--kp_type: expected -1, 1 or 2, found 0");
    }
    settle_strategy(a, plan->options.cfg.mode == DF_MODE_LLM);
    int64_t axes[DF_LAYOUT_AXES];
    df_strategy_axes(&a->strategy, axes);
    const double workers = (double)axes[0] * (double)axes[1] * (double)axes[2] * (double)axes[3];
    if (workers > DF_SYSTEM_DEVICES_MAX) {
        return df_fail(err, DF_EINVAL, "--dp: expected at most %d devices in all, found %.17g",
                       DF_SYSTEM_DEVICES_MAX, workers);
    }
    const int64_t area = a->wafer_dim * a->wafer_dim;
    const df_system_size size = {.num_wafer = ((int64_t)workers + area - 1) / area,
                                 .wafer_dim = a->wafer_dim,
                                 .num_worker = (int64_t)workers};
    memcpy(layout.order, order, sizeof order);
    memcpy(layout.inter, a->inter, sizeof layout.inter);
    return df_sweep_plan_add(plan, &size, &a->strategy, &layout, err);
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
    DF_TRY(df_search_init(search, &a->common, 1, a->index, err));
    DF_TRY(add_strategy(a, &search->plan, err));
    df_strategy_name(&a->strategy, name, sizeof name);
    df_search_note(search, "strategy=%s", name);
    df_search_note(search, "wafer_dim=%" PRId64, a->wafer_dim);
    df_search_note(search, "inter_derate=%" PRId64, a->inter_derate);
    df_search_note(search, "intra_derate=%" PRId64, a->intra_derate);
    df_search_note(search, "inter=%d%d%d%d", a->inter[0], a->inter[1], a->inter[2], a->inter[3]);
    return DF_OK;
}

/* Of the one descent in the results. */
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
                 .kp_type = DF_KP_NONE,
                 .strategy = {.kp_type = DF_KP_NONE,
                              .kp1 = 1,
                              .kp2 = 1,
                              .dp = 1,
                              .lp = 1,
                              .tp = 1,
                              .cp = 1,
                              .mb = 1,
                              .virtual_stages = 1},
                 .recompute = "none",
                 .schedule = "gpipe",
                 .inter_derate = 1,
                 .intra_derate = 1};
    df_search search;
    int exit_code = 0;
    memset(&search, 0, sizeof search);
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
