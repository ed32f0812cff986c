/* deepflow-import: the command that reads models of others. deepflow starts it; see
 * companion.c. */
#include <string.h>

#include "cli.h"
#include "commands.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "import-hf") == 0) {
        return df_cmd_import_hf(argc - 2, argv + 2);
    }
    df_err err;
    return df_cli_fail(
        df_fail(&err, DF_EINVAL,
                "%s: expected import-hf (deepflow has the other commands), found something else",
                argc > 1 ? argv[1] : "command"),
        &err);
}
