/* dist.h: hands numbered items of work out to all ranks and gathers their results at rank 0. This
 * is the only module that knows MPI. The caller defines what an item and a result are. */
#ifndef DF_DIST_H
#define DF_DIST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct df_dist df_dist;

/* Starts MPI; collective over all ranks. Without mpirun there is one rank. Returns NULL if MPI
 * cannot start. */
df_dist *df_dist_init(int *argc, char ***argv);
/* One rank without MPI; df_dist_fini frees it. NULL when out of memory. */
df_dist *df_dist_serial(void);
void df_dist_fini(df_dist *dist); /* collective; ends MPI */
/* Ends all ranks at once, from any rank, with this exit code. */
_Noreturn void df_dist_abort(df_dist *dist, int exit_code);
int df_dist_rank(const df_dist *dist);
int df_dist_size(const df_dist *dist);
/* Collective: all ranks get the worst (largest) of their codes. */
int df_dist_agree(df_dist *dist, int code);

typedef struct {
    int64_t num_items;
    size_t result_bytes; /* size of one result; work and sink get results aligned to 8 bytes */
    /* Any rank: does item, fills result. Must call df_dist_poll(dist) every
     * millisecond or so (rank 0 serves the others from it) and return
     * DF_EINTERRUPTED soon when it answers false. */
    df_status (*work)(void *ctx, int64_t item, void *result, df_err *err);
    /* Rank 0: items that need no work (done earlier). NULL: none. */
    bool (*skip)(void *ctx, int64_t item);
    /* Rank 0: a result has arrived, in any order (those of a rank in the order of its work). */
    df_status (*sink)(void *ctx, int64_t item, const void *result, df_err *err);
    /* Rank 0, every beat_s: to flush, to show progress. NULL: none. */
    df_status (*tick)(void *ctx, df_err *err);
    /* Longest time that finished results wait on their rank in order to travel together. 0: 0.25 s.
     */
    double beat_s;
    /* Called on any rank: true asks all ranks to stop (a signal came). */
    bool (*interrupted)(void *ctx);
    void *ctx;
} df_dist_job;

/* Collective. Does each item once, on whichever rank is free. Rank 0 works too and serves the
 * others in between; if there are many of them, it only serves. A failure on any rank stops all
 * ranks and is returned on every rank (err has the text of the first failure). DF_EINTERRUPTED: the
 * run was stopped; every result that was finished has gone to sink. */
DF_NODISCARD df_status df_dist_run(df_dist *dist, const df_dist_job *job, df_err *err);

/* Called from within work(): keeps messages moving. It is cheap if it was called recently. False:
 * stop. */
bool df_dist_poll(df_dist *dist);

/* What the messages of other ranks cost rank 0 in the last run. */
typedef struct {
    int64_t asks, messages,
        results;            /* requests for work, messages with results, and the results in these */
    double ask_s, result_s; /* seconds that requests and results took, including sink */
} df_dist_load;
df_dist_load df_dist_served(const df_dist *dist);

#endif
