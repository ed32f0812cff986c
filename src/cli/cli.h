/* cli.h: what all subcommands share: failures, configuration flags, output folders. */
#ifndef DF_CLI_H
#define DF_CLI_H
#include "args.h"
#include "config/cfg.h"
#include "hw/hw.h"
#include "rules/rules.h"

/* Prints "deepflow: error: TEXT" to stderr; returns the exit code of the status. */
int df_cli_fail(df_status status, const df_err *err);

/* The flags that name configuration files; any may be NULL. */
typedef struct {
    const char *exp_config;      /* one combined file */
    const char *hardware_config; /* or two */
    const char *model_config;
    const char *hardware, *model; /* names of files that come with the program, in their place */
    char hardware_path[DF_DATA_PATH], model_path[DF_DATA_PATH];
} df_cli_files;

/* Rows of the two names. */
df_arg df_cli_hardware_arg(df_cli_files *files);
df_arg df_cli_model_arg(df_cli_files *files);
/* Finds the files of names; hardware_config and model_config then are their paths, inside *files.
 * DF_EINVAL: a name that is not known, or a name and a path. DF_EIO: the folder is not found. */
DF_NODISCARD df_status df_cli_find_files(df_cli_files *files, df_err *err);

/* Reads the files. Either exp_config, or hardware_config and, where `need` asks for a
 * model, model_config (hardware_config may then be a combined file too).
 * DF_EINVAL: another combination of flags, or a bad file. */
/* DF_INFEASIBLE, with what the device lacks, if a figure is not finite; if the rules print it all
 * the same, only a warning. */
DF_NODISCARD df_status df_cli_check_finite(double figure,
                                           const df_hw_device *dev,
                                           const df_rules *rules,
                                           df_err *err);

DF_NODISCARD df_status df_cli_load(
    const df_cli_files *files, const df_rules *rules, unsigned need, df_cfg *cfg, df_err *err);

/* Writes a file by `write`, whole or not at all: into PATH.part, which then takes its name.
 * DF_EIO: it cannot be written. */
DF_NODISCARD df_status df_cli_write_file(const char *path,
                                         void (*write)(FILE *out, const void *what),
                                         const void *what,
                                         df_err *err);

/* Parses a command line. Returns true if the command may proceed; otherwise *exit_code is the exit
 * code of the process (after --help, or a failure that has been printed). */
bool df_cli_parse(const df_command *command, int argc, char **argv, int *exit_code);

/* Closes stdout. Returns exit_code, or 1 after a message when it could not be written. */
int df_cli_finish(int exit_code);

#endif
