/* runner.h: runs programs of the network simulator, either in process or with an AstraSim binary.
 * Results may be kept on disk, and what was simulated may be written for people to look at. No MPI;
 * the environment is not read. */
#ifndef DF_RUNNER_H
#define DF_RUNNER_H
#include "chakra/et_export.h"

typedef struct {
    const char *binary;        /* AstraSim with its congestion-aware analytical network; NULL: the
                                * simulator in process */
    double time_limit_s;       /* longest time of one run of the binary; 0: no limit */
    const char *temporary_dir; /* for the binary's files; NULL: /tmp */
    const char *cache_dir;
    bool cache_off, cache_read_only; /* cache_dir NULL is off too */
    const char *artifact_dir;        /* NULL: none are kept */
    bool draw_artifacts;             /* also pictures and texts of the traces */
} df_runner_options;

/* A program and the machine that it runs on. */
typedef struct {
    const df_net_program *program; /* sealed */
    const df_net_network *network;
    const df_net_system *system;
    const char *folder;     /* folder of its artifacts, below artifact_dir; NULL: none */
    df_et_namer *name_node; /* NULL: nodes are named by their type */
    const void *name_context;
} df_runner_job;

typedef struct {
    uint64_t simulated, found; /* runs, and results that were on disk */
    uint64_t unkept;           /* results that could not be written to the cache */
    df_err unkept_cause;       /* cause of the last failure to keep one */
} df_runner_stats;

/* The workspace: one a thread. */
typedef struct df_runner df_runner;

/* Options are copied; NULL: all zero. DF_ENOMEM; DF_EINVAL: the binary cannot be run. */
DF_NODISCARD df_status df_runner_new(const df_runner_options *options,
                                     df_runner **runner,
                                     df_err *err);
void df_runner_free(df_runner *runner);

/* *time_s: when the last rank ends. DF_EINVAL: the machine cannot run the program. DF_ERUNTIME: the
 * run cannot finish, or the binary failed, or took longer than the limit. DF_EIO: a file. */
DF_NODISCARD df_status df_runner_time(df_runner *runner,
                                      const df_runner_job *job,
                                      double *time_s,
                                      df_err *err);

/* Whether jobs are written as Chakra traces, for a binary or as artifacts: these have whole
 * microseconds alone. */
bool df_runner_writes_traces(const df_runner *runner);

const df_runner_stats *df_runner_stats_of(const df_runner *runner);

#endif
