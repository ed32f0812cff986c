#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "search_run.h"

/* A search of this many descents takes about this long to plan for. */
static const double CALIBRATION_S = 1.0;

typedef struct {
    df_search_args common;
    int64_t num_search, num_worker;
    df_int_list num_wafer, wafer_dim, num_nodes, devices_per_node;
    bool no_launch;
    const char *part;
} arch_args;

/* How the program was called, and with whom. */
typedef struct {
    int argc;
    char **argv;
    df_dist *dist;
} call;

static const char EXAMPLES[] =
    "  mpirun deepflow arch_search --exp_config configs/search/lstm_4x4.yaml \\\n"
    "    --exp_dir output/mine --wafer_dim 4 --num_search 20\n"
    "  deepflow arch_search --exp_config configs/search/lstm_4x4.yaml --wafer_dim 4 --no_launch\n"
    "  deepflow arch_search --search configs/search/llama2_7b_a100.yaml\n\n"
    "With lists, every number of wafers is searched with every size. Results do not depend\n"
    "on the number of ranks.\n";

/* Fails in the same way on every rank; the caller lets rank 0 print the error. */
static df_status read_args(int argc, char **argv, arch_args *a, bool *help, df_err *err)
{
    const df_arg own[] = {
        df_arg_int("num_search", &a->num_search, 1, 1000000,
                   "descents of each strategy and layout"),
        df_arg_list("num_wafer", &a->num_wafer, 1, DF_SYSTEM_DEVICES_MAX,
                    "number of wafers, in systems of wafers; 1 if left out"),
        df_arg_list("wafer_dim", &a->wafer_dim, 1, 1024,
                    "devices along a wafer's edge; 8 if left out"),
        df_arg_list("num_nodes", &a->num_nodes, 1, DF_SYSTEM_DEVICES_MAX,
                    "number of nodes with switches, in place of wafers"),
        df_arg_list("devices_per_node", &a->devices_per_node, 1, DF_SYSTEM_DEVICES_MAX,
                    "devices in a node; by default, an LLM is placed on the nodes of the file"),
        df_arg_int("num_worker", &a->num_worker, -1, DF_SYSTEM_DEVICES_MAX,
                   "number of devices that work; -1: all"),
        df_arg_text(
            "part", &a->part,
            "K/N: run only the K-th of N parts of the sweep; `deepflow merge` combines the parts"),
        df_arg_bool("no_launch", &a->no_launch,
                    "print the plan and an estimate of the time, then stop"),
    };
    df_arg args[DF_SEARCH_COMMON_ARGS + sizeof own / sizeof own[0]];
    const int common = df_search_common_args(&a->common, args);
    memcpy(args + common, own, sizeof own);
    const df_command command = {"arch_search",
                                "searches every strategy, layout and device, on all ranks",
                                EXAMPLES, args, common + (int)(sizeof own / sizeof own[0])};
    const df_status status = df_args_parse(&command, argc, argv, help, err);
    if (status == DF_OK && *help) {
        df_args_print_help(&command, stdout);
    }
    return status;
}

/* What the description says about systems, until flags say otherwise. */
static void take_spec(arch_args *a)
{
    const df_spec *const spec = &a->common.spec;
    a->num_search = spec->num_search;
    a->num_worker = spec->num_worker;
    a->num_wafer = spec->num_wafer;
    a->wafer_dim = spec->wafer_dim;
    a->num_nodes = spec->num_nodes;
    a->devices_per_node = spec->devices_per_node;
}

static void preset(df_int_list *list, int64_t value)
{
    if (list->count == 0) {
        *list = (df_int_list){{value}, 1};
    }
}

/* Which systems there are: wafers or nodes, one list empty of each kind that is not meant. */
static df_status choose_systems(arch_args *a, const df_cfg *cfg, df_err *err)
{
    const bool wafers = a->num_wafer.count + a->wafer_dim.count > 0;
    const bool nodes = a->num_nodes.count + a->devices_per_node.count > 0;
    if (wafers && nodes) {
        return df_fail(err, DF_EINVAL,
                       "--num_nodes, --devices_per_node: expected them without --num_wafer and "
                       "--wafer_dim, found both");
    }
    if (nodes || (cfg->mode == DF_MODE_LLM && !wafers)) {
        preset(&a->num_nodes, cfg->system.num_nodes);
        preset(&a->devices_per_node, cfg->system.num_devices_per_node);
    } else {
        preset(&a->num_wafer, 1);
        preset(&a->wafer_dim, 8);
    }
    return DF_OK;
}

static df_status make_plan(const arch_args *a, df_sweep_plan *plan, df_err *err)
{
    const bool nodes = a->num_nodes.count > 0;
    const df_int_list *const many = nodes ? &a->num_nodes : &a->num_wafer;
    const df_int_list *const each = nodes ? &a->devices_per_node : &a->wafer_dim;
    for (int i = 0; i < many->count; i++) {
        for (int k = 0; k < each->count; k++) {
            const df_system_size size = {.num_wafer = many->value[i],
                                         .wafer_dim = nodes ? 0 : each->value[k],
                                         .devices_per_node = nodes ? each->value[k] : 0,
                                         .num_worker = a->num_worker};
            DF_TRY(df_sweep_plan_system(plan, &size, err));
        }
    }
    return DF_OK;
}

static void note_list(df_search *search, const char *name, const df_int_list *list)
{
    char text[1024] = "";
    size_t used = 0;
    for (int i = 0; i < list->count && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, i > 0 ? "," : "",
                                 list->value[i]);
    }
    df_search_note(search, "%s=%s", name, text);
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
    if (plan->num_strategies > plan->num_searched) {
        puts("not feasible");
        df_search_print_reasons(stdout, plan);
    }
    return df_cli_finish(0);
}

/* "3/8": the third part, which is number 2. */
static df_status parse_part(arch_args *a, df_err *err)
{
    char *slash = NULL;
    char *end = NULL;
    if (!a->part) {
        return DF_OK;
    }
    const long part = strtol(a->part, &slash, 10);
    const long parts = *slash == '/' ? strtol(slash + 1, &end, 10) : 0;
    if (!end || *end != '\0' || parts < 1 || parts > INT32_MAX || part < 1 || part > parts) {
        return df_fail(err, DF_EINVAL, "--part: expected K/N with K from 1 to N, found %s",
                       a->part);
    }
    a->common.part = part - 1;
    a->common.parts = parts;
    return DF_OK;
}

static df_status prepare(arch_args *a, df_search *search, df_err *err)
{
    DF_TRY(parse_part(a, err));
    DF_TRY(df_search_init(search, &a->common, a->num_search, 0, err));
    DF_TRY(choose_systems(a, &search->options.cfg, err));
    note_list(search, "num_wafer", &a->num_wafer);
    note_list(search, "wafer_dim", &a->wafer_dim);
    note_list(search, "num_nodes", &a->num_nodes);
    note_list(search, "devices_per_node", &a->devices_per_node);
    df_search_note(search, "num_worker=%" PRId64, a->num_worker);
    return make_plan(a, &search->plan, err);
}

/* Every rank plans; rank 0 prints what is wrong. `status` is the result of reading the flags. */
static int
run_search(arch_args *a, df_search *search, const call *from, df_status status, df_err *err)
{
    df_dist *const dist = from->dist;
    const bool first = df_dist_rank(dist) == 0;
    status = status == DF_OK ? prepare(a, search, err) : status;
    int exit_code = df_status_exit_code(status);
    if (status != DF_OK && first) {
        exit_code = df_cli_fail(status, err);
    } else if (status == DF_OK && search->plan.num_searched == 0) {
        exit_code =
            first ? df_search_fail_infeasible(&search->plan) : df_status_exit_code(DF_INFEASIBLE);
    }
    exit_code = df_dist_agree(dist, exit_code);
    if (exit_code != 0) {
        return exit_code;
    }
    if (a->no_launch) {
        return df_dist_agree(dist, first ? print_plan(&search->plan, df_dist_size(dist)) : 0);
    }
    return df_search_execute(search, &a->common, from->argc, from->argv, dist);
}

int df_cmd_arch_search(int argc, char **argv)
{
    arch_args a = {.common = df_search_args_init("arch_search", "output/arch_search")};
    df_search search;
    bool help = false;
    df_err err;
    memset(&search, 0, sizeof search);
    df_status status = df_search_read_spec(&a.common, argc, argv, &err);
    if (status == DF_OK) {
        take_spec(&a);
        status = read_args(argc, argv, &a, &help, &err);
    }
    if (status == DF_OK && help) {
        return df_cli_finish(0);
    }
    df_search_catch_signals();
    call from = {argc, argv, df_dist_init(&argc, &argv)};
    if (!from.dist) {
        return df_cli_fail(df_fail(&err, DF_ERUNTIME, "MPI cannot start"), &err);
    }
    const int exit_code = run_search(&a, &search, &from, status, &err);
    df_search_fini(&search);
    df_dist_fini(from.dist);
    return exit_code;
}
