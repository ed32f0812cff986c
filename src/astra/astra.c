#include "astra/astra_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct df_astra {
    df_net_sim *sim;
    char *cache_dir, *artifact_dir;
    bool cache_read_only, draw_artifacts;
    df_astra_binary binary; /* path NULL: none */
    df_astra_stats stats;
};

df_status df_astra_path(char path[DF_ASTRA_PATH], df_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(path, DF_ASTRA_PATH, format, args);
    va_end(args);
    return length < DF_ASTRA_PATH ? DF_OK
                                  : df_fail(err, DF_EINVAL,
                                            "%.200s...: expected a path of "
                                            "fewer than %d bytes",
                                            path, DF_ASTRA_PATH);
}

static bool copy_text(const char *text, char **copy)
{
    *copy = text ? strdup(text) : NULL;
    return !text || *copy;
}

static df_status open_binary(df_astra *astra, df_err *err)
{
    const df_astra_binary *const binary = &astra->binary;
    if (!binary->path) {
        return DF_OK;
    }
    if (access(binary->path, X_OK) != 0) {
        return df_fail(err, DF_EINVAL,
                       "execution_backend.astra.binary: expected a program that can be run, found "
                       "%s: %s",
                       binary->path, strerror(errno));
    }
    return df_astra_hash_file(binary->path, &astra->binary.key, err);
}

df_status df_astra_new(const df_astra_options *options, df_astra **out, df_err *err)
{
    const df_astra_options none = {0};
    const df_astra_options *const o = options ? options : &none;
    df_astra *const astra = calloc(1, sizeof *astra);
    if (!astra) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    astra->sim = df_net_sim_new();
    astra->binary.time_limit_s = o->time_limit_s;
    astra->cache_read_only = o->cache_read_only;
    astra->draw_artifacts = o->draw_artifacts;
    const bool copied =
        copy_text(o->binary, &astra->binary.path) &&
        copy_text(o->temporary_dir ? o->temporary_dir : "/tmp", &astra->binary.temporary_dir) &&
        copy_text(o->cache_off ? NULL : o->cache_dir, &astra->cache_dir) &&
        copy_text(o->artifact_dir, &astra->artifact_dir);
    const df_status status =
        astra->sim && copied ? open_binary(astra, err) : df_fail(err, DF_ENOMEM, "out of memory");
    if (status != DF_OK) {
        df_astra_free(astra);
        return status;
    }
    *out = astra;
    return DF_OK;
}

void df_astra_free(df_astra *astra)
{
    if (astra) {
        df_net_sim_free(astra->sim);
        free(astra->binary.path);
        free(astra->binary.temporary_dir);
        free(astra->cache_dir);
        free(astra->artifact_dir);
        free(astra);
    }
}

const df_astra_stats *df_astra_stats_of(const df_astra *astra)
{
    return &astra->stats;
}

static df_status run(df_astra *astra, const df_astra_job *job, uint64_t *max_ns, df_err *err)
{
    astra->stats.simulated++;
    if (astra->binary.path) {
        return df_astra_run_binary(&astra->binary, job, max_ns, err);
    }
    df_net_result result;
    DF_TRY(df_net_run(astra->sim, job->program, job->network, job->system, &result, err));
    *max_ns = result.max_ns;
    return DF_OK;
}

static df_status
find_or_run(df_astra *astra, const df_astra_job *job, uint64_t *max_ns, df_err *err)
{
    const int32_t ranks = df_net_program_ranks(job->program);
    df_astra_key key;
    if (!astra->cache_dir) {
        return run(astra, job, max_ns, err);
    }
    DF_TRY(df_astra_key_of(job, astra->binary.key.text, &key, err));
    if (df_astra_cache_find(astra->cache_dir, &key, ranks, max_ns)) {
        astra->stats.found++;
        return DF_OK;
    }
    DF_TRY(run(astra, job, max_ns, err));
    /* A result is a result, kept or not. */
    df_err cause;
    if (!astra->cache_read_only &&
        df_astra_cache_keep(astra->cache_dir, &key, ranks, *max_ns, &cause) != DF_OK) {
        astra->stats.unkept++;
        astra->stats.unkept_cause = cause;
    }
    return DF_OK;
}

df_status df_astra_time(df_astra *astra, const df_astra_job *job, double *time_s, df_err *err)
{
    uint64_t max_ns = 0;
    if (astra->artifact_dir && job->folder) {
        DF_TRY(df_astra_keep_artifacts(astra->artifact_dir, astra->draw_artifacts, job, err));
    }
    DF_TRY(find_or_run(astra, job, &max_ns, err));
    *time_s = (double)max_ns * 1e-9;
    return DF_OK;
}
