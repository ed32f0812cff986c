/* dist_impl.h: inside the distribution of work.
 *
 *   dist.c         start, end, agreement; which side a rank is on
 *   dist_rank0.c   hands out items, takes results, works in between
 *   dist_worker.c  asks for items, works, asks ahead
 *   dist_room.c    the finished results of a worker on their way
 *   dist_both.c    what rank 0 and the workers share
 *
 * A worker says how long its items take, and gets a quarter of a second's worth of them, or less
 * when few are left. It asks for more when those it has last 10 ms (10 us for each rank, if that
 * is more) or it has only one, so that the answer arrives before it is needed. Its results are
 * collected in a room, which is sent when it is full, when its first result has waited for a beat,
 * and before BYE and FAILURE; meanwhile, results are collected in the other room. A room that has
 * waited is kept while the other one is still under way, so that a rank 0 that falls behind gets
 * few large messages. MPI_Issend makes sure that MPI holds no more rooms than there are. So a rank
 * holds a bounded amount of data, and rank 0 gets a few messages per second from each rank, however
 * long items take, up to what fits in rooms.
 *
 *     worker                        rank 0
 *       ASK (seconds of an item) --->
 *          <----- BATCH (ranges of items; none: there are no more)
 *       RESULTS (item, result, ...) ->
 *       FAILURE (status, text) ----->   then, to all workers:
 *          <----- STOP
 *       BYE (all was sent) --------->   */
#ifndef DF_DIST_IMPL_H
#define DF_DIST_IMPL_H
#include <mpi.h>

#include "dist/dist.h"

typedef enum { TAG_ASK = 1, TAG_BATCH, TAG_RESULTS, TAG_FAILURE, TAG_STOP, TAG_BYE } df_dist_tag;

enum {
    DF_DIST_RANGES = 64,           /* most ranges in a batch */
    DF_DIST_ROOM_BYTES = 256 << 10 /* size of a room, unless one result is larger */
};

/* Consecutive items. */
typedef struct {
    int64_t first, count;
} df_dist_range;

/* How a run ended on a rank. */
typedef struct {
    int32_t status; /* a df_status */
    char text[DF_ERR_TEXT];
} df_dist_end;

/* Finished results of a worker that travel together. */
typedef struct {
    unsigned char *bytes;
    MPI_Request sending;
} df_dist_room;

struct df_dist {
    int rank, size;
    bool mpi;               /* started by df_dist_init */
    const df_dist_job *job; /* the run at work */
    double beat_s;          /* of the job */
    double polled_s;        /* when the rank last looked for messages */
    bool stopping;
    df_dist_end end;
    void *result;       /* room for one that is being made */
    size_t entry_bytes; /* size of an item and its result in a message */
    int room_results;   /* results that fit in a room */
    bool stop_sent;     /* on a worker: STOP was received */
    /* rank 0 */
    int64_t next;           /* item to hand out */
    int workers;            /* workers that have not said BYE */
    unsigned char *message; /* room for a RESULTS */
    double last_tick_s;
    df_dist_load load;
    double weighed_s, weighed_served_s; /* when its load was looked at, and the load then */
    bool only_serves;
    /* worker */
    df_dist_room rooms[2];
    int filling; /* which of them */
    int held;    /* results in it */
    double held_since_s;
};

/* Notes how the run ends, unless that was noted before, and begins to stop. */
void df_dist_end_with(df_dist *dist, df_status status, const df_err *err);
/* Begins to stop if the caller asked for it. */
void df_dist_heed_interrupt(df_dist *dist);
/* Whether it is time to look for messages again. */
bool df_dist_poll_is_due(const df_dist *dist);
/* Sleeps a moment, so that a waiting rank leaves the core to a working one. */
void df_dist_rest(void);
/* Seconds in which rank 0 certainly answers every rank once. */
double df_dist_round_s(const df_dist *dist);

/* The two sides. Everything is in dist->end afterwards. */
void df_dist_rank0(df_dist *dist);
void df_dist_worker(df_dist *dist);
/* What df_dist_poll does on either side when it is due: both sides look for messages and for a
 * request to stop. Rank 0 answers messages; a worker also sends results that have waited. */
void df_dist_serve(df_dist *dist);
void df_dist_listen(df_dist *dist);
/* A worker receives the STOP that is certain to come. */
void df_dist_take_stop(df_dist *dist);

/* Puts dist->result into a room, which must be free (no longer being sent); sends the room if it is
 * full. */
void df_dist_keep(df_dist *dist, int64_t item);
/* Sends the results that will have waited for a beat `ahead_s` from now, if the other room is free.
 */
void df_dist_send_old(df_dist *dist, double ahead_s);
/* Sends whatever results there are. */
void df_dist_send_held(df_dist *dist);

#endif
