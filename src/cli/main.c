#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "cli.h"
#include "commands.h"

typedef struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} subcommand;

static int help(int argc, char **argv);
static int version(int argc, char **argv);

static const subcommand commands[] = {
    {"predict", "predicts the time of one workload on one system", df_cmd_predict},
    {"stand_alone", "predicts from one combined file, and writes a summary file",
     df_cmd_stand_alone},
    {"device", "shows the device that a technology and its budgets yield", df_cmd_device},
    {"model", "shows what a model is: parameters, cache, operations", df_cmd_model},
    {"list", "lists the models and the hardware that have names", df_cmd_list},
    {"gemm", "shows time, tiles and traffic of one GEMM", df_cmd_gemm},
    {"strategies", "lists the strategies and layouts that a sweep visits", df_cmd_strategies},
    {"GD_search", "searches for the best device for one strategy", df_cmd_gd_search},
    {"arch_search", "searches for the best strategy, layout and device, also over MPI",
     df_cmd_arch_search},
    {"report", "makes a page for the browser from the results of a search", df_cmd_report},
    {"query", "prints the rows of results.h5 that meet a condition", df_cmd_query},
    {"top", "watches a running search", df_cmd_top},
    {"merge", "merges results files of the same inputs into one", df_cmd_merge},
    {"astra", "simulates Chakra traces as AstraSim does, and prints traces", df_cmd_astra},
    {"calibrate", "fits constants of a device to measured kernels", df_cmd_calibrate},
    {"validate", "shows how far predictions are off from measured runs", df_cmd_validate},
    {"import-hf", "makes a model file from a HuggingFace model", df_cmd_import_hf},
    {"version", "prints the version of this program (also --version, -V, -v)", version},
    {"help",
     "prints this text; `help config`, `devices`, `profiles`, `rules` and `search` print tables",
     help},
};
enum {
    COMMANDS = sizeof commands / sizeof commands[0],
    OPTIONED = COMMANDS - 1, /* all but help have a --help of their own */
};

static void print_usage(FILE *out)
{
    fputs("usage: deepflow COMMAND [--OPTION VALUE ...]\n\n"
          "Predicts how long training or inference takes on hardware that may not exist\n"
          "yet, and searches for the best parallelism strategy and the best hardware.\n\n",
          out);
    for (int i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n`deepflow COMMAND --help` lists a command's options. Exit codes: 0 done, 1 failed\n"
          "while running, 2 bad usage or input, 3 nothing feasible, 75 interrupted (go on\n"
          "with --resume).\n",
          out);
}

static int fail_usage(const char *format, const char *word, const char *near)
{
    df_err err;
    const df_status status =
        df_fail(&err, DF_EINVAL, "%s: %s%s%s%s, found an unknown one", word, format,
                near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return df_cli_fail(status, &err);
}

static int help(int argc, char **argv)
{
    const char *const topic = argc > 0 ? argv[0] : "";
    if (strcmp(topic, "config") == 0) {
        df_cfg_print_help(stdout);
    } else if (strcmp(topic, "rules") == 0) {
        df_rules_print_help(stdout);
    } else if (strcmp(topic, "devices") == 0) {
        return df_cmd_help_devices();
    } else if (strcmp(topic, "profiles") == 0) {
        return df_cmd_help_profiles();
    } else if (strcmp(topic, "search") == 0) {
        return df_cmd_help_search();
    } else if (argc == 0) {
        print_usage(stdout);
    } else {
        for (int i = 0; i < OPTIONED; i++) {
            if (strcmp(topic, commands[i].name) == 0) {
                char option[] = "--help";
                char *words[] = {option};
                return commands[i].run(1, words);
            }
        }
        return fail_usage("expected config, devices, profiles, rules, search or a command", topic,
                          NULL);
    }
    return df_cli_finish(0);
}

static int version(int argc, char **argv)
{
    const df_command command = {"version", "prints the version of this program", NULL, NULL, 0};
    int exit_code;
    if (!df_cli_parse(&command, argc, argv, &exit_code)) {
        return exit_code;
    }
    puts("deepflow " DF_VERSION);
    return df_cli_finish(0);
}

/* Words that programs of other people take, by the command that they stand for. */
static const char *command_of(const char *word)
{
    static const struct {
        const char *word, *command;
    } others[] = {{"--version", "version"},
                  {"-V", "version"},
                  {"-v", "version"},
                  {"--help", "help"},
                  {"-h", "help"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(word, others[i].word) == 0) {
            return others[i].command;
        }
    }
    return word;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return df_status_exit_code(DF_EINVAL);
    }
    const char *const name = command_of(argv[1]);
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    const int near = df_nearest(name, &commands[0].name, COMMANDS, sizeof commands[0]);
    return near >= 0 ? fail_usage("expected a command", name, commands[near].name)
                     : fail_usage("expected a command that `deepflow help` lists", name, NULL);
}
