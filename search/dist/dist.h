/* dist.h: hands numbered items of work to all ranks, gathers their results at
 * rank 0. The only module that knows MPI. Item and result are the caller's. */
#ifndef DF_DIST_H
#define DF_DIST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct df_dist df_dist;

/* Starts MPI (collective over all ranks; without mpirun there is one rank).
 * NULL when MPI cannot start. */
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
    size_t result_bytes; /* of one item; aligned to 8 bytes where work and sink get it */
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
    /* Finished results wait on their rank so long at the most, to travel together. 0: 0.25 s. */
    double beat_s;
    /* Any rank: true asks all to stop (a signal came). */
    bool (*interrupted)(void *ctx);
    void *ctx;
} df_dist_job;

/* Collective. Does all items, each once, on whichever rank is free; rank 0 works too, and
 * serves the others between, or, when they are many, only serves. A failure on any rank stops all
 * and is returned on every rank (err with the text of the first). DF_EINTERRUPTED: stopped; every
 * result that was finished went to sink. */
DF_NODISCARD df_status df_dist_run(df_dist *dist, const df_dist_job *job, df_err *err);

/* From within work(): keeps messages moving; cheap when it was just called. False: stop. */
bool df_dist_poll(df_dist *dist);

/* What other ranks' messages cost rank 0 in the last run. */
typedef struct {
    int64_t asks, messages, results; /* for work; with results; results in them */
    double ask_s, result_s;          /* that they took, sink included */
} df_dist_load;
df_dist_load df_dist_served(const df_dist *dist);

#endif
