/* deepflow-search: the commands that search. deepflow starts it; see companion.c. */
#include <stdio.h>
#include <string.h>

#include <gsl/gsl_errno.h>

#include "cli.h"
#include "commands.h"
#include "spec/spec.h"

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv);
} subcommand;

static const subcommand commands[] = {
    {"GD_search", df_cmd_gd_search}, {"arch_search", df_cmd_arch_search},
    {"query", df_cmd_query},         {"top", df_cmd_top},
    {"merge", df_cmd_merge},         {"report", df_cmd_report},
    {"calibrate", df_cmd_calibrate},
};

int main(int argc, char **argv)
{
    gsl_set_error_handler_off(); /* the default handler would abort; every status is checked */
    const char *const name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    if (strcmp(name, "help_search") == 0) {
        df_spec_print_help(stdout);
        return df_cli_finish(0);
    }
    df_err err;
    const df_status status =
        df_fail(&err, DF_EINVAL,
                "%s: expected GD_search, arch_search or a command that works on their results "
                "(deepflow has the other commands), found something else",
                name[0] != '\0' ? name : "command");
    return df_cli_fail(status, &err);
}
