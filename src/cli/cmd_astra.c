#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "astra_files.h"
#include "chakra/et.h"
#include "chakra/et_program.h"
#include "cli.h"
#include "commands.h"
#include "json_out.h"

/* ---- astra run ---- */

typedef struct {
    const char *workload, *system, *network, *comm_group, *format;
} run_args;

static bool read_run_args(int argc, char **argv, run_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_required(
            df_arg_text("workload", &a->workload, "traces: this, a point, the rank and .et")),
        df_arg_required(df_arg_text("system", &a->system, "AstraSim's system file (JSON)")),
        df_arg_required(df_arg_text("network", &a->network, "AstraSim's network file (YAML)")),
        df_arg_text("comm_group", &a->comm_group, "groups of ranks (JSON)"),
        df_arg_choice("format", &a->format, "text|json", "how the result is printed"),
    };
    const df_command command = {
        "astra run", "simulates the traces of all ranks on one network",
        "  deepflow astra run --workload traces/llama --system system.json --network network.yml\n"
        "\nOne cycle is 1 ns. Exposed communication is a rank's time less that of its compute.\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

static df_status load_traces(const run_args *a, int32_t ranks, df_net_program *program, df_err *err)
{
    const size_t room = strlen(a->workload) + 32;
    char *const path = malloc(room);
    df_status status = path ? df_astra_read_groups(a->comm_group, program, err)
                            : df_fail(err, DF_ENOMEM, "out of memory");
    for (int32_t rank = 0; rank < ranks && status == DF_OK; rank++) {
        snprintf(path, room, "%s.%d.et", a->workload, (int)rank);
        status = df_et_add_rank(program, rank, path, err);
    }
    free(path);
    if (status != DF_OK) {
        return status;
    }
    df_err cause;
    status = df_net_program_seal(program, &cause);
    return status == DF_OK ? DF_OK : df_fail(err, status, "%s: %.900s", a->workload, cause.text);
}

static df_status simulate(const run_args *a, df_net_sim *sim, df_net_result *result, df_err *err)
{
    df_net_network network;
    df_net_system system;
    memset(&network, 0, sizeof network);
    DF_TRY(df_astra_read_network(a->network, &network, err));
    DF_TRY(df_astra_read_system(a->system, &system, err));
    df_net_program *const program = df_net_program_new(network.ranks);
    if (!program) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = load_traces(a, network.ranks, program, err);
    if (status == DF_OK) {
        df_err cause;
        status = df_net_run(sim, program, &network, &system, result, &cause);
        if (status != DF_OK) {
            status = df_fail(err, status, "%s: %.900s", a->workload, cause.text);
        }
    }
    df_net_program_free(program);
    return status;
}

static json_t *cycles_array(const uint64_t *values, int32_t count)
{
    json_t *const list = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer((json_int_t)values[i]));
    }
    return list;
}

static int print_run_json(const df_net_result *r)
{
    json_t *const root = json_object();
    json_t *const order = json_array();
    for (int32_t i = 0; i < r->ranks; i++) {
        json_array_append_new(order, json_integer(r->finish_order[i]));
    }
    json_object_set_new(root, "per_rank_cycles", cycles_array(r->cycles_ns, r->ranks));
    json_object_set_new(root, "max_cycles", json_integer((json_int_t)r->max_ns));
    json_object_set_new(root, "finish_order", order);
    json_object_set_new(root, "exposed_comm_cycles", cycles_array(r->exposed_ns, r->ranks));
    json_object_set_new(root, "events", json_integer((json_int_t)r->events));
    return df_json_print(root);
}

static int print_run_text(const df_net_result *r)
{
    printf("%6s %20s %20s\n", "rank", "cycles (ns)", "exposed comm.");
    for (int32_t i = 0; i < r->ranks; i++) {
        const int32_t rank = r->finish_order[i];
        printf("%6d %20" PRIu64 " %20" PRIu64 "\n", (int)rank, r->cycles_ns[rank],
               r->exposed_ns[rank]);
    }
    printf("\nthe last rank ends after %" PRIu64 " ns; %" PRIu64 " events\n", r->max_ns, r->events);
    return df_cli_finish(0);
}

static int run(int argc, char **argv)
{
    run_args a = {.format = "text"};
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
        exit_code = a.format[0] == 'j' ? print_run_json(&result) : print_run_text(&result);
    }
    df_net_sim_free(sim);
    return exit_code;
}

/* ---- astra dump ---- */

static void print_ids(const char *what, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s%" PRIu64, i == 0 ? what : ",", ids[i]);
    }
}

static void print_attr(const df_et_attr *attr)
{
    printf(" %s=", attr->name);
    switch (attr->kind) {
    case DF_ET_INT:
        printf("%" PRId64, attr->number);
        return;
    case DF_ET_BOOL:
        fputs(attr->number != 0 ? "true" : "false", stdout);
        return;
    case DF_ET_REAL:
        printf("%.17g", attr->real);
        return;
    case DF_ET_TEXT:
        printf("\"%s\"", attr->text);
        return;
    case DF_ET_LIST:
        fputs("[...]", stdout);
        return;
    case DF_ET_NOTHING:
        return;
    }
}

static void print_node(const df_et_node *node)
{
    static const char *const types[] = {
        [DF_ET_INVALID] = "invalid", [DF_ET_METADATA] = "metadata",     [DF_ET_MEM_LOAD] = "load",
        [DF_ET_MEM_STORE] = "store", [DF_ET_COMPUTE] = "compute",       [DF_ET_SEND] = "send",
        [DF_ET_RECEIVE] = "receive", [DF_ET_COLLECTIVE] = "collective",
    };
    const bool known = node->type >= 0 && node->type <= DF_ET_COLLECTIVE;
    printf("%" PRIu64 " %s", node->id, known ? types[node->type] : "unknown");
    if (!known) {
        printf("(%d)", (int)node->type);
    }
    printf(" \"%s\"", node->name);
    print_ids(" after ", node->ctrl_deps, node->num_ctrl_deps);
    print_ids(" needs ", node->data_deps, node->num_data_deps);
    if (node->duration_micros > 0) {
        printf(" lasts %" PRIu64 "us", node->duration_micros);
    }
    for (size_t i = 0; i < node->num_attrs; i++) {
        print_attr(&node->attrs[i]);
    }
    putchar('\n');
}

static df_status print_trace(const char *path, df_err *err)
{
    df_et_reader *reader;
    df_et_node node;
    bool more = true;
    DF_TRY(df_et_open(path, &reader, err));
    df_status status = DF_OK;
    while (status == DF_OK && more) {
        status = df_et_next(reader, &node, &more, err);
        if (status == DF_OK && more) {
            print_node(&node);
        }
    }
    df_et_close(reader);
    return status;
}

static int dump(int argc, char **argv)
{
    df_err err;
    if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        puts("deepflow astra dump FILE.et: a Chakra trace as text, a node a line\n\n"
             "  ID TYPE \"NAME\" [after CONTROL,...] [needs DATA,...] [lasts Nus] [ATTRIBUTE=VALUE "
             "...]");
        return df_cli_finish(0);
    }
    if (argc != 1) {
        return df_cli_fail(
            df_fail(&err, DF_EINVAL, "astra dump: expected one file, found %d words", argc), &err);
    }
    const df_status status = print_trace(argv[0], &err);
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
        puts("deepflow astra: Chakra traces and AstraSim's network model\n\n"
             "  deepflow astra run    simulates the traces of all ranks (--help: its options)\n"
             "  deepflow astra dump   prints a trace as text");
        return df_cli_finish(0);
    }
    df_err err;
    return df_cli_fail(df_fail(&err, DF_EINVAL, "astra: expected run or dump, found %s",
                               argc > 0 ? verb : "nothing"),
                       &err);
}
