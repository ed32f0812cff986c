#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "dist/dist_impl.h"

/* A worker asks for more when what it has lasts this long, or as long as rank 0 may take to answer.
 */
static const double AHEAD_S = 0.01;

/* The items that a worker has, and whether more are on their way. */
typedef struct {
    df_dist_range ranges[DF_DIST_RANGES];
    int count, at;
    int64_t left; /* items */
    df_dist_range arriving[DF_DIST_RANGES];
    MPI_Request request;
    bool asked, no_more;
    double item_s; /* recent duration of one item; 0: unknown */
} queue;

void df_dist_take_stop(df_dist *dist)
{
    MPI_Recv(NULL, 0, MPI_BYTE, 0, TAG_STOP, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    dist->stop_sent = true; /* on a worker: STOP was received */
}

void df_dist_listen(df_dist *dist)
{
    int waiting = 0;
    df_dist_heed_interrupt(dist);
    MPI_Iprobe(0, TAG_STOP, MPI_COMM_WORLD, &waiting, MPI_STATUS_IGNORE);
    if (waiting) {
        df_dist_take_stop(dist);
        df_dist_end_with(dist, DF_EINTERRUPTED, NULL); /* rank 0 already knows why */
    }
    df_dist_send_old(dist, 0);
    dist->polled_s = df_clock_s();
}

/* Waits for a message to go or come, and looks for others meanwhile. */
static void wait_for(df_dist *dist, MPI_Request *request, MPI_Status *status)
{
    int done = 0;
    while (MPI_Test(request, &done, status) == MPI_SUCCESS && !done) {
        df_dist_listen(dist);
        df_dist_rest();
    }
}

static void ask(queue *q)
{
    MPI_Irecv(q->arriving, (int)sizeof q->arriving, MPI_BYTE, 0, TAG_BATCH, MPI_COMM_WORLD,
              &q->request);
    MPI_Send(&q->item_s, 1, MPI_DOUBLE, 0, TAG_ASK, MPI_COMM_WORLD);
    q->asked = true;
}

/* Receives the items that were asked for, when the queue is empty. */
static void refill(df_dist *dist, queue *q)
{
    MPI_Status status;
    int bytes;
    wait_for(dist, &q->request, &status);
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    memcpy(q->ranges, q->arriving, (size_t)bytes);
    q->count = bytes / (int)sizeof q->ranges[0];
    q->at = 0;
    for (int i = 0; i < q->count; i++) {
        q->left += q->ranges[i].count;
    }
    q->asked = false;
    q->no_more = q->count == 0;
}

static int64_t take(queue *q)
{
    df_dist_range *const range = &q->ranges[q->at];
    const int64_t item = range->first++;
    range->count--;
    q->left--;
    q->at += range->count == 0;
    return item;
}

/* The next item, or -1. Asks for more in time. */
static int64_t next_item(df_dist *dist, queue *q)
{
    if (q->left == 0 && !q->asked && !q->no_more) {
        ask(q);
    }
    if (q->left == 0 && q->asked) {
        refill(dist, q);
    }
    if (dist->stopping || q->left == 0) {
        return -1;
    }
    const int64_t item = take(q);
    const bool soon =
        q->item_s > 0 && (double)q->left * q->item_s < fmax(AHEAD_S, df_dist_round_s(dist));
    if (!q->asked && (q->left == 0 || soon)) {
        ask(q);
    }
    return item;
}

/* The mean of the last ten or so. */
static void note_time(queue *q, double item_s)
{
    q->item_s = q->item_s == 0 ? item_s : q->item_s + 0.1 * (item_s - q->item_s);
}

static void send_failure(df_dist *dist, df_status status, const df_err *err)
{
    df_dist_end_with(dist, status, err);
    MPI_Send(&dist->end, (int)sizeof dist->end, MPI_BYTE, 0, TAG_FAILURE, MPI_COMM_WORLD);
}

/* An interrupted or failed worker sends this to rank 0 once, after its results. */
static void tell_end(df_dist *dist, df_status status, const df_err *err)
{
    df_dist_send_held(dist);
    if (!dist->stop_sent) {
        send_failure(dist, status, err);
    }
}

static void keep(df_dist *dist, int64_t item)
{
    if (dist->held == 0) { /* the room may still be on its way */
        wait_for(dist, &dist->rooms[dist->filling].sending, MPI_STATUS_IGNORE);
    }
    df_dist_keep(dist, item);
}

static void work_off(df_dist *dist, queue *q)
{
    const df_dist_job *const job = dist->job;
    for (int64_t item = next_item(dist, q); item >= 0; item = next_item(dist, q)) {
        df_err err = {"interrupted"};
        const double begin_s = df_clock_s();
        const df_status status = job->work(job->ctx, item, dist->result, &err);
        if (status != DF_OK) {
            tell_end(dist, status, &err);
            return;
        }
        keep(dist, item);
        note_time(q, df_clock_s() - begin_s);
        if (df_dist_poll_is_due(dist)) {
            df_dist_listen(dist);
        }
        df_dist_send_old(dist, q->item_s); /* the next one may not poll */
    }
    if (dist->stopping) {
        tell_end(dist, DF_EINTERRUPTED, &(df_err){"interrupted"});
    }
}

/* Every message that is on its way here must be taken before MPI may end. */
static void finish(df_dist *dist, queue *q)
{
    df_dist_send_held(dist);
    for (int room = 0; room < 2; room++) {
        wait_for(dist, &dist->rooms[room].sending, MPI_STATUS_IGNORE);
    }
    if (q->asked) {
        wait_for(dist, &q->request, MPI_STATUS_IGNORE);
    }
    while (dist->stopping && !dist->stop_sent) { /* a STOP of some rank is coming */
        df_dist_listen(dist);
        df_dist_rest();
    }
    MPI_Send(NULL, 0, MPI_BYTE, 0, TAG_BYE, MPI_COMM_WORLD);
}

void df_dist_worker(df_dist *dist)
{
    queue q = {.request = MPI_REQUEST_NULL};
    dist->rooms[0].sending = MPI_REQUEST_NULL;
    dist->rooms[1].sending = MPI_REQUEST_NULL;
    dist->filling = 0;
    dist->held = 0;
    dist->stop_sent = false;
    work_off(dist, &q);
    finish(dist, &q);
}
