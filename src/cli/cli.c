#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int df_cli_fail(df_status status, const df_err *err)
{
    fprintf(stderr, "deepflow: error: %s\n", err->text);
    return df_status_exit_code(status);
}

static df_status
load(const char *hardware, const char *model, unsigned need, df_cfg *cfg, df_err *err)
{
    DF_TRY(df_cfg_load(hardware, model, need, cfg, err));
    if (err->text[0] != '\0') {
        fprintf(stderr, "deepflow: warning: %s\n", err->text);
    }
    return DF_OK;
}

df_status df_cli_load(const df_cli_files *files, unsigned need, df_cfg *cfg, df_err *err)
{
    if (files->exp_config) {
        if (files->hardware_config || files->model_config) {
            return df_fail(err, DF_EINVAL,
                           "--exp_config: expected it alone, found --hardware_config or "
                           "--model_config too");
        }
        return load(files->exp_config, NULL, need, cfg, err);
    }
    if (!files->hardware_config) {
        return df_fail(err, DF_EINVAL, "--hardware_config: expected a file, found nothing");
    }
    return load(files->hardware_config, files->model_config, need, cfg, err);
}

static df_status make_one(const char *path, df_err *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) {
        return DF_OK;
    }
    return df_fail(err, DF_EIO, "%s: cannot be made: %s", path, strerror(errno));
}

df_status df_cli_make_dir(const char *path, df_err *err)
{
    char part[4096];
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return df_fail(err, DF_EINVAL, "--exp_dir: expected a path of 1 to %zu characters",
                       sizeof part - 1);
    }
    memcpy(part, path, length + 1);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        DF_TRY(make_one(part, err));
        *slash = '/';
    }
    DF_TRY(make_one(part, err));
    struct stat is;
    if (stat(path, &is) != 0 || !S_ISDIR(is.st_mode)) {
        return df_fail(err, DF_EIO, "%s: expected a folder, found something else", path);
    }
    if (access(path, W_OK | X_OK) != 0) {
        return df_fail(err, DF_EIO, "%s: cannot be written to: %s", path, strerror(errno));
    }
    return DF_OK;
}

bool df_cli_parse(const df_command *command, int argc, char **argv, int *exit_code)
{
    bool help = false;
    df_err err;
    const df_status status = df_args_parse(command, argc, argv, &help, &err);
    if (status != DF_OK) {
        *exit_code = df_cli_fail(status, &err);
        return false;
    }
    if (help) {
        df_args_print_help(command, stdout);
        *exit_code = df_cli_finish(0);
        return false;
    }
    return true;
}

int df_cli_finish(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return exit_code;
    }
    df_err err;
    return df_cli_fail(df_fail(&err, DF_EIO, "stdout: cannot be written: %s", strerror(errno)),
                       &err);
}
