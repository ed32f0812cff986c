/* search_run.h: what GD_search and arch_search share: the flags that decide a search, the
 * output folder, the run itself, the table of the best. */
#ifndef DF_SEARCH_RUN_H
#define DF_SEARCH_RUN_H
#include "cli.h"
#include "sweep/sweep.h"

enum { DF_SEARCH_COMMON_ARGS = 16, DF_SEARCH_SETTINGS = 4096 };

/* Flags of both commands. */
typedef struct {
    df_cli_files files;
    const char *exp_dir, *rules, *optimizer;
    int64_t batch_size, hidden_dim; /* 0: the file's */
    double data_scale;              /* 0: the file's */
    int64_t iterations, top;
    bool trajectory, ignore_memory, overwrite, resume, debug;
} df_search_args;

/* The defaults. */
df_search_args df_search_args_init(void);
/* Writes the rows of the option table for these; returns how many. */
int df_search_common_args(df_search_args *a, df_arg args[DF_SEARCH_COMMON_ARGS]);

/* The texts of the configuration files. */
typedef struct {
    char *hardware, *model; /* model NULL: one combined file */
} df_search_texts;

void df_search_texts_free(df_search_texts *texts);

/* Reads files and flags into the options of a sweep. num_search and first_index are the
 * caller's. DF_EINVAL: a bad flag or file. */
DF_NODISCARD df_status df_search_options(const df_search_args *a,
                                         df_sweep_options *options,
                                         df_search_texts *texts,
                                         df_err *err);

/* One search from plan to results. */
typedef struct {
    const df_search_args *args;
    const df_sweep_plan *plan;
    const df_search_texts *texts;
    const char *settings; /* canonical text of what else decides the numbers */
    int argc;             /* for /provenance */
    char **argv;
} df_search_run;

/* Canonical text of the options, one line each; the caller may append more. */
void df_search_settings(const df_sweep_options *options, char text[DF_SEARCH_SETTINGS]);

/* Blocks SIGINT and SIGTERM, so that a search can end in order. Before df_dist_init. */
void df_search_catch_signals(void);

/* Collective. Prepares the folder, runs, prints the best, closes. Returns the exit code;
 * rank 0 has printed what failed. */
int df_search_execute(const df_search_run *run, df_dist *dist);

/* Prints why nothing is feasible, reasons counted; returns the exit code. */
int df_search_fail_infeasible(const df_sweep_plan *plan);

#endif
