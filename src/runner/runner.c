#include "runner/runner_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct df_runner {
    df_net_sim *sim;
    char *cache_dir, *artifact_dir;
    bool cache_read_only, draw_artifacts;
    df_runner_binary binary; /* path NULL: none */
    df_runner_stats stats;
};

static bool copy_text(const char *text, char **copy)
{
    *copy = text ? strdup(text) : NULL;
    return !text || *copy;
}

static df_status open_binary(df_runner *runner, df_err *err)
{
    const df_runner_binary *const binary = &runner->binary;
    if (!binary->path) {
        return DF_OK;
    }
    if (access(binary->path, X_OK) != 0) {
        return df_fail(err, DF_EINVAL,
                       "execution_backend.astra.binary: expected a program that can be run, found "
                       "%s: %s",
                       binary->path, strerror(errno));
    }
    return df_runner_hash_file(binary->path, &runner->binary.key, err);
}

df_status df_runner_new(const df_runner_options *options, df_runner **out, df_err *err)
{
    const df_runner_options none = {0};
    const df_runner_options *const o = options ? options : &none;
    df_runner *const runner = calloc(1, sizeof *runner);
    if (!runner) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    runner->sim = df_net_sim_new();
    runner->binary.time_limit_s = o->time_limit_s;
    runner->cache_read_only = o->cache_read_only;
    runner->draw_artifacts = o->draw_artifacts;
    const bool copied =
        copy_text(o->binary, &runner->binary.path) &&
        copy_text(o->temporary_dir ? o->temporary_dir : "/tmp", &runner->binary.temporary_dir) &&
        copy_text(o->cache_off ? NULL : o->cache_dir, &runner->cache_dir) &&
        copy_text(o->artifact_dir, &runner->artifact_dir);
    const df_status status =
        runner->sim && copied ? open_binary(runner, err) : df_fail(err, DF_ENOMEM, "out of memory");
    if (status != DF_OK) {
        df_runner_free(runner);
        return status;
    }
    *out = runner;
    return DF_OK;
}

void df_runner_free(df_runner *runner)
{
    if (runner) {
        df_net_sim_free(runner->sim);
        free(runner->binary.path);
        free(runner->binary.temporary_dir);
        free(runner->cache_dir);
        free(runner->artifact_dir);
        free(runner);
    }
}

bool df_runner_writes_traces(const df_runner *runner)
{
    return runner->binary.path || runner->artifact_dir;
}

const df_runner_stats *df_runner_stats_of(const df_runner *runner)
{
    return &runner->stats;
}

static df_status run(df_runner *runner, const df_runner_job *job, uint64_t *max_ns, df_err *err)
{
    runner->stats.simulated++;
    if (runner->binary.path) {
        return df_runner_run_binary(&runner->binary, job, max_ns, err);
    }
    df_net_result result;
    DF_TRY(df_net_run(runner->sim, job->program, job->network, job->system, &result, err));
    *max_ns = result.max_ns;
    return DF_OK;
}

static df_status
find_or_run(df_runner *runner, const df_runner_job *job, uint64_t *max_ns, df_err *err)
{
    const int32_t ranks = df_net_program_ranks(job->program);
    df_runner_key key;
    if (!runner->cache_dir) {
        return run(runner, job, max_ns, err);
    }
    DF_TRY(df_runner_key_of(job, runner->binary.key.text, &key, err));
    if (df_runner_cache_find(runner->cache_dir, &key, ranks, max_ns)) {
        runner->stats.found++;
        return DF_OK;
    }
    DF_TRY(run(runner, job, max_ns, err));
    /* A result is a result, kept or not. */
    df_err cause;
    if (!runner->cache_read_only &&
        df_runner_cache_keep(runner->cache_dir, &key, ranks, *max_ns, &cause) != DF_OK) {
        runner->stats.unkept++;
        runner->stats.unkept_cause = cause;
    }
    return DF_OK;
}

df_status df_runner_time(df_runner *runner, const df_runner_job *job, double *time_s, df_err *err)
{
    uint64_t max_ns = 0;
    if (runner->artifact_dir && job->folder) {
        DF_TRY(df_runner_keep_artifacts(runner->artifact_dir, runner->draw_artifacts, job, err));
    }
    DF_TRY(find_or_run(runner, job, &max_ns, err));
    *time_s = (double)max_ns * 1e-9;
    return DF_OK;
}
