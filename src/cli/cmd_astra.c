#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "astra_files.h"
#include "astra_report.h"
#include "astra_timeline.h"
#include "chakra/et_program.h"
#include "chakra/et_text.h"
#include "cli.h"
#include "commands.h"

/* ---- astra run ---- */

typedef struct {
    const char *workload, *system, *network, *comm_group, *format;
    bool control_deps;
    df_astra_timeline_options timeline;
} run_args;

static bool read_run_args(int argc, char **argv, run_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_required(df_arg_text("workload", &a->workload,
                                    "prefix of the traces; the file names are PREFIX.RANK.et")),
        df_arg_required(df_arg_text("system", &a->system, "AstraSim's system file (JSON)")),
        df_arg_required(df_arg_text("network", &a->network, "AstraSim's network file (YAML)")),
        df_arg_text("comm_group", &a->comm_group, "groups of ranks (JSON)"),
        df_arg_bool("control_deps", &a->control_deps,
                    "follow control dependencies, not only data dependencies"),
        df_arg_choice("format", &a->format, "text|json", "how the result is printed"),
        df_arg_text("timeline", &a->timeline.path,
                    "file to write for Perfetto or the Performance panel of Chromium (JSON)"),
        df_arg_bool("timeline_links", &a->timeline.links,
                    "include the messages on each link in the timeline"),
        df_arg_int("timeline_events", &a->timeline.max_events, 1, DF_ARG_INT_MAX,
                   "most events in the timeline; later ones are left out"),
    };
    const df_command command = {
        "astra run", "simulates the traces of all ranks on one network",
        "  deepflow astra run --workload traces/llama --system system.json --network "
        "network.yml\n\n"
        "One cycle is 1 ns. Exposed communication is the time of a rank less that of its "
        "computation.\n"
        "Links are one-way, from one rank to another; a switch is numbered after the last rank.\n"
        "AstraSim up to August 2025 (c459ab6) follows only data dependencies, as --control_deps "
        "false does.\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

typedef struct {
    df_net_network network;
    df_net_system system;
    df_et_options traces;
} machine;

static df_status add_ranks(const run_args *a,
                           const df_et_options *options,
                           df_net_program *program,
                           df_et_names *names,
                           df_err *err)
{
    const size_t room = strlen(a->workload) + 32;
    char *const path = malloc(room);
    df_status status = path ? df_astra_read_groups(a->comm_group, program, err)
                            : df_fail(err, DF_ENOMEM, "out of memory");
    for (int32_t rank = 0; rank < df_net_program_ranks(program) && status == DF_OK; rank++) {
        snprintf(path, room, "%s.%d.et", a->workload, (int)rank);
        status = df_et_add_rank(program, rank, path, options, names, err);
    }
    free(path);
    if (status != DF_OK) {
        return status;
    }
    df_err cause;
    status = df_net_program_seal(program, &cause);
    return status == DF_OK ? DF_OK : df_fail(err, status, "%s: %.900s", a->workload, cause.text);
}

static df_status load_program(
    const run_args *a, const machine *m, df_et_names *names, df_net_program **program, df_err *err)
{
    DF_TRY(df_net_program_new(m->network.ranks, program, err));
    const df_status status = add_ranks(a, &m->traces, *program, names, err);
    if (status != DF_OK) {
        df_net_program_free(*program);
        *program = NULL;
    }
    return status;
}

/* Says so where a program that was refused would be accepted without its control dependencies:
 * those of PyTorch's traces may be in a cycle. */
static df_status
advise(const run_args *a, const machine *m, df_status status, const df_err *cause, df_err *err)
{
    machine other = *m;
    df_net_program *program = NULL;
    df_err ignored;
    other.traces.data_deps_only = true;
    const bool helps = status == DF_EINVAL && !m->traces.data_deps_only &&
                       load_program(a, &other, NULL, &program, &ignored) == DF_OK;
    df_net_program_free(program);
    return df_fail(err, status, "%.900s%s", cause->text,
                   helps ? " (with --control_deps false these traces are accepted)" : "");
}

/* Runs the program, with a timeline where one is asked for. */
static df_status run_program(const run_args *a,
                             df_net_sim *sim,
                             const df_net_program *program,
                             const machine *m,
                             df_net_result *result,
                             df_err *err)
{
    df_err cause;
    df_astra_timeline *timeline = NULL;
    uint64_t left_out = 0;
    if (a->timeline.path) {
        DF_TRY(df_astra_timeline_new(&a->timeline, &m->network, &m->system, &timeline, err));
        const df_net_observer observer = df_astra_timeline_observer(timeline);
        df_net_sim_observe(sim, &observer);
    }
    df_status status = df_net_run(sim, program, &m->network, &m->system, result, &cause);
    if (status != DF_OK) {
        status = df_fail(err, status, "%s: %.900s", a->workload, cause.text);
    }
    if (timeline) {
        const df_status written =
            df_astra_timeline_finish(timeline, sim, &left_out, status == DF_OK ? err : &cause);
        status = status == DF_OK ? written : status;
    }
    if (left_out > 0) {
        fprintf(stderr,
                "deepflow: note: %s: %" PRIu64 " events after the first %" PRId64
                " are left out (--timeline_events)\n",
                a->timeline.path, left_out, a->timeline.max_events);
    }
    return status;
}

static df_status simulate(run_args *a, df_net_sim *sim, df_net_result *result, df_err *err)
{
    machine m;
    df_et_names names = {.used = 0};
    df_net_program *program = NULL;
    df_err cause;
    memset(&m, 0, sizeof m);
    DF_TRY(df_astra_read_network(a->network, &m.network, err));
    DF_TRY(df_astra_read_system(a->system, &m.system, &m.traces, err));
    m.traces.data_deps_only = !a->control_deps;
    df_status status = load_program(a, &m, a->timeline.path ? &names : NULL, &program, &cause);
    if (status == DF_OK) {
        a->timeline.names = &names;
        status = run_program(a, sim, program, &m, result, err);
    } else {
        status = advise(a, &m, status, &cause, err);
    }
    df_net_program_free(program);
    a->timeline.names = NULL;
    free(names.text);
    return status;
}

static int run(int argc, char **argv)
{
    run_args a = {.format = "text", .control_deps = true, .timeline = {.max_events = 1000000}};
    df_net_result result;
    df_err err;
    int exit_code;
    memset(&result, 0, sizeof result);
    if (!read_run_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_net_sim *const sim = df_net_sim_new();
    const df_status status =
        sim ? simulate(&a, sim, &result, &err) : df_fail(&err, DF_ENOMEM, "out of memory");
    if (status != DF_OK) {
        exit_code = df_cli_fail(status, &err);
    } else {
        exit_code = a.format[0] == 'j' ? df_astra_print_json(sim, &result)
                                       : df_astra_print_text(sim, &result);
    }
    df_net_sim_free(sim);
    return exit_code;
}

/* ---- astra dump ---- */

static int dump(int argc, char **argv)
{
    df_words files = {.count = 0};
    df_arg args[] = {df_arg_words("FILE", &files, 1, 1, "a Chakra trace")};
    const df_command command = {
        "astra dump", "prints a Chakra trace as text, one node on each line",
        "  deepflow astra dump traces/llama.0.et\n"
        "\nA line: ID TYPE \"NAME\" [after CONTROL,...] [needs DATA,...] [lasts Nus] "
        "[ATTRIBUTE=VALUE ...]\n",
        args, sizeof args / sizeof args[0]};
    int exit_code;
    df_err err;
    if (!df_cli_parse(&command, argc, argv, &exit_code)) {
        return exit_code;
    }
    const df_status status = df_et_print_file(stdout, files.word[0], &err);
    return status == DF_OK ? df_cli_finish(0) : df_cli_fail(status, &err);
}

int df_cmd_astra(int argc, char **argv)
{
    const char *const verb = argc > 0 ? argv[0] : "";
    if (strcmp(verb, "run") == 0) {
        return run(argc - 1, argv + 1);
    }
    if (strcmp(verb, "dump") == 0) {
        return dump(argc - 1, argv + 1);
    }
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        puts(
            "deepflow astra: Chakra traces and AstraSim's network model\n\n"
            "  deepflow astra run    simulates the traces of all ranks (--help lists its options)\n"
            "  deepflow astra dump   prints a trace as text");
        return df_cli_finish(0);
    }
    df_err err;
    return df_cli_fail(df_fail(&err, DF_EINVAL, "astra: expected run or dump, found %s",
                               argc > 0 ? verb : "nothing"),
                       &err);
}
