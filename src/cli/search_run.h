/* search_run.h: what GD_search and arch_search share: the flags that decide a search, the
 * output folder, the run itself, the table of the best. */
#ifndef DF_SEARCH_RUN_H
#define DF_SEARCH_RUN_H
#include "cli.h"
#include "spec/spec.h"
#include "sweep/sweep.h"

enum { DF_SEARCH_COMMON_ARGS = 32, DF_SEARCH_SETTINGS = 16384 };

/* Flags of both commands. */
typedef struct {
    const char *command; /* whose flags these are */
    df_cli_files files;
    const char *exp_dir, *rules, *optimizer, *starts, *objective;
    const char *search;                                            /* the description, NULL: none */
    df_spec spec;                                                  /* what it says */
    double max_power_w, max_area_mm2, max_chip_mm2, max_memory_gb; /* 0: the description's */
    int64_t batch_size, hidden_dim;                                /* 0: the file's */
    double data_scale;                                             /* 0: the file's */
    double flush_s, wait_s;
    int64_t iterations, top;
    bool no_lock;
    int64_t part, parts; /* which part of the sweep is done, from 0; parts 0: all */
    bool fix_hardware, trajectory, ignore_memory, overwrite, resume, debug;
} df_search_args;

/* The defaults. */
df_search_args df_search_args_init(const char *command, const char *exp_dir);
/* Writes the rows of the option table for these; returns how many. */
int df_search_common_args(df_search_args *a, df_arg args[DF_SEARCH_COMMON_ARGS]);

/* Reads the description that --search names in argv, if there is one, so that its values become the
 * defaults of the flags. To be called before the flags are parsed. DF_EINVAL as df_spec_load. */
DF_NODISCARD df_status df_search_read_spec(df_search_args *a, int argc, char **argv, df_err *err);

/* The texts of the configuration files; of files that name a device what was read, in one. */
typedef struct {
    char *hardware, *model; /* model NULL: one combined file */
} df_search_texts;

/* One search from flags to plan. Zeroed at first. */
typedef struct {
    df_sweep_options options;
    df_search_texts texts;
    df_sweep_plan plan;
    char settings[DF_SEARCH_SETTINGS]; /* canonical text of what decides the numbers */
} df_search;

/* Reads files and flags into the options, with num_search starts from first_index on, and
 * begins an empty plan. DF_EINVAL: a bad flag or file. */
DF_NODISCARD df_status df_search_init(df_search *search,
                                      const df_search_args *a,
                                      int64_t num_search,
                                      int64_t first_index,
                                      df_err *err);
void df_search_fini(df_search *search);

/* Adds a line to the settings. */
void df_search_note(df_search *search, const char *format, ...) DF_PRINTF(2, 3);

/* Blocks SIGINT, SIGTERM and SIGUSR1, so that a search can end in order. Before df_dist_init. */
void df_search_catch_signals(void);

/* Collective. Prepares the folder, runs, prints the best, closes. argv is for /provenance.
 * Returns the exit code; rank 0 has printed what failed. */
int df_search_execute(
    const df_search *search, const df_search_args *a, int argc, char **argv, df_dist *dist);

/* Prints why strategies and layouts are not feasible, counted by reason, whatever its numbers. */
void df_search_print_reasons(FILE *out, const df_sweep_plan *plan);
/* Says that nothing is feasible, and why; returns the exit code. */
int df_search_fail_infeasible(const df_sweep_plan *plan);

#endif
