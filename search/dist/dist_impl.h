/* dist_impl.h: inside the distribution of work.
 *
 *   dist.c         start, end, agreement; which side a rank is on
 *   dist_rank0.c   hands out items, takes results, works between
 *   dist_worker.c  asks for items, sends results
 *
 * A worker asks for more when it begins the last item that it has, so that the answer is
 * there when it needs it. Results go out one by one as they come.
 *
 *     worker                        rank 0
 *       ASK ------------------------>
 *          <----- BATCH (items; none: there are no more)
 *       RESULT (item, result) ------>
 *       FAILURE (status, text) ----->   then, to all workers:
 *          <----- STOP
 *       BYE (all was sent) --------->   */
#ifndef DF_DIST_IMPL_H
#define DF_DIST_IMPL_H
#include <mpi.h>

#include "dist/dist.h"

typedef enum { TAG_ASK = 1, TAG_BATCH, TAG_RESULT, TAG_FAILURE, TAG_STOP, TAG_BYE } df_dist_tag;

enum { DF_DIST_BATCH = 64 };

/* How a run ended on a rank. */
typedef struct {
    int32_t status; /* a df_status */
    char text[DF_ERR_TEXT];
} df_dist_end;

struct df_dist {
    int rank, size;
    bool mpi;               /* started by df_dist_init */
    const df_dist_job *job; /* the run at work */
    bool stopping;
    df_dist_end end;
    /* rank 0 */
    int64_t next;           /* item to hand out */
    int workers;            /* that have not said BYE */
    bool stop_sent;         /* on a worker: received */
    unsigned char *message; /* room for one RESULT */
    double last_tick_s;
    /* worker */
    MPI_Request sending[2]; /* results under way */
    unsigned char *sent[2]; /* their bytes */
};

/* Bytes of a RESULT: the item's number, then the result. */
size_t df_dist_message_bytes(const df_dist_job *job);
/* Notes how the run ends, unless something did before; begins to stop. */
void df_dist_end_with(df_dist *dist, df_status status, const df_err *err);
/* Sleeps a moment, so that a waiting rank leaves the core to a working one. */
void df_dist_rest(void);
/* Whether somebody asked to stop. */
bool df_dist_interrupted(df_dist *dist);

/* The two sides. Everything is in dist->end afterwards. */
void df_dist_rank0(df_dist *dist);
void df_dist_worker(df_dist *dist);
/* What df_dist_poll does on either. */
void df_dist_serve(df_dist *dist);
void df_dist_listen(df_dist *dist);
/* A worker takes the STOP that is certain to come. */
void df_dist_take_stop(df_dist *dist);

#endif
