/* runner_impl.h: inside the module.
 *
 *   runner.c       a job: found on disk, or run
 *   cache.c        results on disk
 *   external.c     AstraSim itself, as a process
 *   artifacts.c    folders for people
 *   files.c        a job as AstraSim's files
 *   path.c         names of files */
#ifndef DF_RUNNER_IMPL_H
#define DF_RUNNER_IMPL_H
#include "runner/runner.h"

enum { DF_RUNNER_PATH = 4096 };

/* A hash of everything that the result of a job depends on, by which it is recognised. */
typedef struct {
    char text[33];
} df_runner_key;

/* ---- path.c ---- */

/* Prints a path, such as "DIR/NAME", according to the format. DF_EINVAL: it is too long. */
DF_NODISCARD df_status df_runner_path(char path[DF_RUNNER_PATH],
                                      df_err *err,
                                      const char *format,
                                      ...) DF_PRINTF(3, 4);

/* ---- cache.c ---- */

/* salt: what else the result depends on (the binary). DF_ENOMEM. */
DF_NODISCARD df_status df_runner_key_of(const df_runner_job *job,
                                        const char *salt,
                                        df_runner_key *key,
                                        df_err *err);
/* Whether the result is in the cache, and then *max_ns. A file that cannot be read, or that is not
 * complete, counts as missing. */
bool df_runner_cache_find(const char *dir,
                          const df_runner_key *key,
                          int32_t ranks,
                          uint64_t *max_ns);
/* Writes an entry; other processes may do so at the same time. DF_EIO. */
DF_NODISCARD df_status df_runner_cache_keep(
    const char *dir, const df_runner_key *key, int32_t ranks, uint64_t max_ns, df_err *err);
/* A hash of a file. DF_EIO. */
DF_NODISCARD df_status df_runner_hash_file(const char *path, df_runner_key *key, df_err *err);

/* ---- files.c ---- */

#define DF_ASTRA_PREFIX "llm_graph"
#define DF_ASTRA_SYSTEM "system_native_collectives.json"
#define DF_ASTRA_GROUPS "comm_groups.json"

/* Writes the traces DIR/llm_graph.RANK.et, the groups if there are any, manifest, system and
 * network. DF_EIO, DF_ENOMEM. */
DF_NODISCARD df_status df_runner_write_files(const char *dir,
                                             const df_runner_job *job,
                                             df_err *err);

/* ---- external.c ---- */

typedef struct {
    char *path, *temporary_dir;
    double time_limit_s;
    df_runner_key key;
} df_runner_binary;

/* Runs the binary on the job's files, in a folder of their own. *max_ns: the last rank's end. */
DF_NODISCARD df_status df_runner_run_binary(const df_runner_binary *binary,
                                            const df_runner_job *job,
                                            uint64_t *max_ns,
                                            df_err *err);

/* ---- artifacts.c ---- */

/* Puts the files of the job and, with `draw`, pictures and texts of the first ranks, into
 * DIR/FOLDER, in place of what was there before. */
DF_NODISCARD df_status df_runner_keep_artifacts(const char *dir,
                                                bool draw,
                                                const df_runner_job *job,
                                                df_err *err);

#endif
