#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "search_run.h"

/* A search of this many descents takes about this long to plan for. */
static const double CALIBRATION_S = 1.0;

typedef struct {
    df_search_args common;
    int64_t num_search, num_worker;
    df_int_list num_wafer, wafer_dim;
    bool no_launch;
} arch_args;

static const char EXAMPLES[] =
    "  mpirun deepflow arch_search --exp_config configs/search/lstm_4x4.yaml \\\n"
    "    --exp_dir output/mine --wafer_dim 4 --num_search 20\n"
    "  deepflow arch_search --exp_config configs/search/lstm_4x4.yaml --wafer_dim 4 --no_launch\n"
    "\nWith lists every number of wafers is searched with every size. Results are the same\n"
    "for any number of ranks.\n";

static bool read_args(int argc, char **argv, arch_args *a, bool quiet, int *exit_code)
{
    const df_arg own[] = {
        df_arg_int("num_search", &a->num_search, 1, 1000000,
                   "descents of each strategy and layout"),
        df_arg_list("num_wafer", &a->num_wafer, 1, DF_SYSTEM_DEVICES_MAX, "wafers"),
        df_arg_list("wafer_dim", &a->wafer_dim, 1, 1024, "devices along a wafer's edge"),
        df_arg_int("num_worker", &a->num_worker, -1, DF_SYSTEM_DEVICES_MAX,
                   "devices that work; -1: all"),
        df_arg_bool("no_launch", &a->no_launch,
                    "print the plan and an estimate of the time, and stop"),
    };
    df_arg args[DF_SEARCH_COMMON_ARGS + sizeof own / sizeof own[0]];
    const int common = df_search_common_args(&a->common, args);
    memcpy(args + common, own, sizeof own);
    const df_command command = {"arch_search",
                                "searches every strategy, layout and device, over all ranks",
                                EXAMPLES, args, common + (int)(sizeof own / sizeof own[0])};
    if (!quiet) {
        return df_cli_parse(&command, argc, argv, exit_code);
    }
    bool help = false; /* rank 0 says what is wrong */
    df_err err;
    const df_status status = df_args_parse(&command, argc, argv, &help, &err);
    *exit_code = df_status_exit_code(status);
    return status == DF_OK && !help;
}

static df_status make_plan(const arch_args *a, df_sweep_plan *plan, df_err *err)
{
    for (int w = 0; w < a->num_wafer.count; w++) {
        for (int d = 0; d < a->wafer_dim.count; d++) {
            const df_system_size size = {a->num_wafer.value[w], a->wafer_dim.value[d],
                                         a->num_worker};
            DF_TRY(df_sweep_plan_system(plan, &size, err));
        }
    }
    return DF_OK;
}

static void append_list(char *text, const char *name, const df_int_list *list)
{
    size_t used = strlen(text);
    used += (size_t)snprintf(text + used, DF_SEARCH_SETTINGS - used, "%s=", name);
    for (int i = 0; i < list->count && used < DF_SEARCH_SETTINGS; i++) {
        used += (size_t)snprintf(text + used, DF_SEARCH_SETTINGS - used, "%s%" PRId64,
                                 i > 0 ? "," : "", list->value[i]);
    }
    if (used < DF_SEARCH_SETTINGS) {
        snprintf(text + used, DF_SEARCH_SETTINGS - used, "\n");
    }
}

/* --no_launch: what would be done, and how long it would take. */
static int print_plan(const df_sweep_plan *plan, int ranks)
{
    double descent_s;
    df_err err;
    const df_status status = df_sweep_calibrate(plan, CALIBRATION_S, &descent_s, &err);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    const double core_s = descent_s * (double)df_sweep_descents(plan);
    printf("strategies   %" PRId64 "\n", plan->num_listed);
    printf("layouts      %" PRId64 ", %" PRId64 " of them feasible\n", plan->num_strategies,
           plan->num_searched);
    printf("descents     %" PRId64 "\n", df_sweep_descents(plan));
    printf("evaluations  about %" PRId64 "\n", df_sweep_evaluations(plan));
    printf("time         about %.3g s on %d rank(s): %.3g core hours\n", core_s / ranks, ranks,
           core_s / 3600);
    return df_cli_finish(0);
}

/* What all ranks have in common. */
typedef struct {
    arch_args args;
    df_sweep_options options;
    df_search_texts texts;
    df_sweep_plan plan;
    char settings[DF_SEARCH_SETTINGS];
} search;

static df_status prepare(search *s, df_err *err)
{
    arch_args *const a = &s->args;
    DF_TRY(df_search_options(&a->common, &s->options, &s->texts, err));
    s->options.num_search = (int32_t)a->num_search;
    df_sweep_plan_init(&s->plan, &s->options);
    DF_TRY(make_plan(a, &s->plan, err));
    df_search_settings(&s->options, s->settings);
    append_list(s->settings, "num_wafer", &a->num_wafer);
    append_list(s->settings, "wafer_dim", &a->wafer_dim);
    const df_int_list workers = {{a->num_worker}, 1};
    append_list(s->settings, "num_worker", &workers);
    return DF_OK;
}

static int run_search(search *s, int argc, char **argv, df_dist *dist)
{
    const bool first = df_dist_rank(dist) == 0;
    df_err err;
    const df_status status = prepare(s, &err);
    int exit_code = status == DF_OK ? 0 : df_status_exit_code(status);
    if (status != DF_OK && first) {
        exit_code = df_cli_fail(status, &err);
    } else if (status == DF_OK && s->plan.num_searched == 0) {
        exit_code =
            first ? df_search_fail_infeasible(&s->plan) : df_status_exit_code(DF_INFEASIBLE);
    }
    exit_code = df_dist_agree(dist, exit_code);
    if (exit_code != 0) {
        return exit_code;
    }
    if (s->args.no_launch) {
        return df_dist_agree(dist, first ? print_plan(&s->plan, df_dist_size(dist)) : 0);
    }
    const df_search_run run = {&s->args.common, &s->plan, &s->texts, s->settings, argc, argv};
    return df_search_execute(&run, dist);
}

int df_cmd_arch_search(int argc, char **argv)
{
    search s = {.args = {.common = df_search_args_init(),
                         .num_search = 100,
                         .num_worker = -1,
                         .num_wafer = {{1}, 1},
                         .wafer_dim = {{8}, 1}}};
    s.args.common.exp_dir = "output/arch_search";
    int exit_code = 0;
    df_search_catch_signals();
    df_dist *const dist = df_dist_init(&argc, &argv);
    if (!dist) {
        df_err err;
        return df_cli_fail(df_fail(&err, DF_ERUNTIME, "MPI cannot start"), &err);
    }
    if (read_args(argc, argv, &s.args, df_dist_rank(dist) != 0, &exit_code)) {
        exit_code = run_search(&s, argc, argv, dist);
    }
    df_sweep_plan_fini(&s.plan);
    df_search_texts_free(&s.texts);
    df_dist_fini(dist);
    return exit_code;
}
