/* deepflow-search: the commands that search. deepflow starts it; see companion.c. */
#include <stdio.h>
#include <string.h>

#include <gsl/gsl_errno.h>

#include "cli.h"
#include "commands.h"

int main(int argc, char **argv)
{
    gsl_set_error_handler_off(); /* it would abort; we look at every status */
    const char *const name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "GD_search") == 0) {
        return df_cmd_gd_search(argc - 2, argv + 2);
    }
    if (strcmp(name, "arch_search") == 0) {
        return df_cmd_arch_search(argc - 2, argv + 2);
    }
    if (strcmp(name, "report") == 0) {
        return df_cmd_report(argc - 2, argv + 2);
    }
    df_err err;
    const df_status status =
        df_fail(&err, DF_EINVAL,
                "%s: expected GD_search, arch_search or report (deepflow has the "
                "other commands), found another",
                name[0] != '\0' ? name : "command");
    return df_cli_fail(status, &err);
}
