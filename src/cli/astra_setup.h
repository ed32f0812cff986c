/* astra_setup.h: what runs the simulator's programs, and what is kept of them, according to the
 * configuration and the environment. */
#ifndef DF_ASTRA_SETUP_H
#define DF_ASTRA_SETUP_H
#include "config/cfg.h"
#include "runner/runner.h"

/* Reads DEEPFLOW_ASTRA_CACHE_MODE, ASTRA_CACHE_DIR, DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS and
 * DEEPFLOW_PERSIST_ARTIFACT_VIZ. out_dir: where artifacts go. DF_EINVAL, and those of
 * df_runner_new. */
DF_NODISCARD df_status df_cli_open_astra(const df_cfg *cfg,
                                         const char *out_dir,
                                         df_runner **astra,
                                         df_err *err);

/* Frees it; warns on stderr when results could not be kept. */
void df_cli_close_astra(df_runner *astra);

/* Whether a variable of the environment is set to anything but an empty text, 0, false or no. */
bool df_cli_env_flag(const char *name);

#endif
