#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compat/compat.h"

int df_cli_fail(df_status status, const df_err *err)
{
    fprintf(stderr, "deepflow: error: %s\n", err->text);
    return df_status_exit_code(status);
}

static df_status
load(const char *hardware, const char *model, unsigned need, df_cfg *cfg, df_err *err)
{
    DF_TRY(df_cfg_load(hardware, model, need, cfg, err));
    for (const char *line = err->text; *line != '\0';) { /* warnings, a line each */
        const size_t length = strcspn(line, "\n");
        fprintf(stderr, "deepflow: warning: %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    return DF_OK;
}

/* ---- Names of files ---- */

df_arg df_cli_hardware_arg(df_cli_files *files)
{
    return df_arg_text("hardware", &files->hardware,
                       "a hardware file by its name: `deepflow list hardware`");
}

df_arg df_cli_model_arg(df_cli_files *files)
{
    return df_arg_text("model", &files->model, "a model file by its name: `deepflow list models`");
}

static df_status find_file(df_cfg_folder kind,
                           const char *flag,
                           const char *name,
                           char *path,
                           const char **file,
                           df_err *err)
{
    if (!name) {
        return DF_OK;
    }
    if (*file && *file != path) {
        return df_fail(err, DF_EINVAL, "%s: expected it or %s_config, found both", flag, flag);
    }
    DF_TRY(df_cfg_find_named(kind, flag, name, path, err));
    *file = path;
    return DF_OK;
}

df_status df_cli_find_files(df_cli_files *files, df_err *err)
{
    DF_TRY(find_file(DF_CFG_HARDWARE_FILES, "--hardware", files->hardware, files->hardware_path,
                     &files->hardware_config, err));
    return find_file(DF_CFG_MODEL_FILES, "--model", files->model, files->model_path,
                     &files->model_config, err);
}

/* Names all flags that are missing, with an example. */
static df_status fail_missing(const df_cli_files *files, unsigned need, df_err *err)
{
    static const char hardware[] = "--hardware_config configs/hardware/a100_80gb.yaml";
    static const char model[] = " --model_config configs/model/lstm_2048.yaml";
    const bool both = (need & DF_CFG_NEED_MODEL) != 0 && !files->model_config;
    return df_fail(
        err, DF_EINVAL, "--hardware_config%s: expected a file%s, found nothing; for example %s%s",
        both ? ", --model_config" : "", both ? " each (or one with both, --exp_config)" : "",
        hardware, both ? model : "");
}

df_status df_cli_load(
    const df_cli_files *files, const df_rules *rules, unsigned need, df_cfg *cfg, df_err *err)
{
    need |= df_compat_reading(rules);
    if (files->exp_config) {
        if (files->hardware_config || files->model_config) {
            return df_fail(err, DF_EINVAL,
                           "--exp_config: expected it alone, found --hardware_config or "
                           "--model_config too");
        }
        return load(files->exp_config, NULL, need, cfg, err);
    }
    if (!files->hardware_config) {
        return fail_missing(files, need, err);
    }
    return load(files->hardware_config, files->model_config, need, cfg, err);
}

df_status
df_cli_check_finite(double figure, const df_hw_device *dev, const df_rules *rules, df_err *err)
{
    df_err lack;
    if (isfinite(figure)) {
        return DF_OK;
    }
    if (df_hw_check_rates(dev, &lack) == DF_OK) {
        const bool inside = !(dev->intra.throughput_bytes_ps > 0);
        const df_hw_net *const net = inside ? &dev->intra : &dev->inter;
        (void)df_fail(
            &lack, DF_INFEASIBLE,
            "network %s: expected bandwidth above 0, found %.4g B/s over %.0f links "
            "(limit: %s)",
            inside ? "intra_node" : "inter_node", net->throughput_bytes_ps, net->num_links,
            df_hw_limit_name(net->num_links > 0 ? net->bandwidth_limit : net->links_limit));
    }
    if (!df_compat_prints_infinite(rules)) {
        return df_fail(err, DF_INFEASIBLE, "the time is not finite: %.*s", DF_ERR_TEXT / 2,
                       lack.text);
    }
    fprintf(stderr, "deepflow: warning: the time is not finite: %s\n", lack.text);
    return DF_OK;
}

static bool
write_whole(const char *path, void (*write)(FILE *out, const void *what), const void *what)
{
    FILE *const out = fopen(path, "w");
    if (!out) {
        return false;
    }
    write(out, what);
    const bool failed = ferror(out) != 0;
    return fclose(out) == 0 && !failed;
}

df_status df_cli_write_file(const char *path,
                            void (*write)(FILE *out, const void *what),
                            const void *what,
                            df_err *err)
{
    char draft[4096];
    /* by itself, when several processes write the same file */
    if ((size_t)snprintf(draft, sizeof draft, "%s.%ld.part", path, (long)getpid()) >=
        sizeof draft) {
        return df_fail(err, DF_EIO, "%.200s: the path is too long", path);
    }
    if (!write_whole(draft, write, what) || rename(draft, path) != 0) {
        const int why = errno;
        remove(draft);
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(why));
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
