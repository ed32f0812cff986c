#include "astra_setup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool df_cli_env_flag(const char *name)
{
    static const char *const no[] = {"", "0", "false", "no"};
    const char *const value = getenv(name);
    bool yes = value != NULL;
    for (size_t i = 0; yes && i < sizeof no / sizeof no[0]; i++) {
        yes = strcasecmp(value, no[i]) != 0;
    }
    return yes;
}

static df_status read_cache_mode(df_runner_options *options, df_err *err)
{
    const char *const mode = getenv("DEEPFLOW_ASTRA_CACHE_MODE");
    if (!mode || mode[0] == '\0' || strcasecmp(mode, "CACHE_READWRITE") == 0) {
        return DF_OK;
    }
    options->cache_off = strcasecmp(mode, "NO_CACHE") == 0;
    options->cache_read_only = strcasecmp(mode, "CACHE_READONLY") == 0;
    return options->cache_off || options->cache_read_only
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "DEEPFLOW_ASTRA_CACHE_MODE: expected NO_CACHE, CACHE_READONLY or "
                         "CACHE_READWRITE, found %s",
                         mode);
}

df_status df_cli_open_astra(const df_cfg *cfg, const char *out_dir, df_runner **astra, df_err *err)
{
    const char *const dir = getenv("ASTRA_CACHE_DIR");
    const bool draw = df_cli_env_flag("DEEPFLOW_PERSIST_ARTIFACT_VIZ");
    df_runner_options options = {
        .binary = cfg->backend.binary[0] != '\0' ? cfg->backend.binary : NULL,
        .time_limit_s = cfg->backend.time_limit_s,
        .temporary_dir = getenv("TMPDIR"),
        .cache_dir = dir && dir[0] != '\0' ? dir : "astra_cache",
        .artifact_dir =
            draw || df_cli_env_flag("DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS") ? out_dir : NULL,
        .draw_artifacts = draw};
    DF_TRY(read_cache_mode(&options, err));
    return df_runner_new(&options, astra, err);
}

void df_cli_close_astra(df_runner *astra)
{
    const df_runner_stats *const stats = astra ? df_runner_stats_of(astra) : NULL;
    if (stats && stats->unkept > 0) {
        fprintf(stderr,
                "deepflow: warning: %" PRIu64 " simulated result(s) could not be kept: %s\n",
                stats->unkept, stats->unkept_cause.text);
    }
    df_runner_free(astra);
}
