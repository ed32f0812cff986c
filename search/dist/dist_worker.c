#include <string.h>

#include "dist/dist_impl.h"

/* The items at hand, and whether more are on their way. */
typedef struct {
    int64_t items[DF_DIST_BATCH];
    int count, next;
    int64_t arriving[DF_DIST_BATCH];
    MPI_Request request;
    bool asked, no_more;
} queue;

void df_dist_take_stop(df_dist *dist)
{
    MPI_Recv(NULL, 0, MPI_BYTE, 0, TAG_STOP, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    dist->stop_sent = true; /* that is, received */
}

void df_dist_listen(df_dist *dist)
{
    int waiting = 0;
    MPI_Iprobe(0, TAG_STOP, MPI_COMM_WORLD, &waiting, MPI_STATUS_IGNORE);
    if (waiting) {
        df_dist_take_stop(dist);
        df_dist_end_with(dist, DF_EINTERRUPTED, NULL); /* rank 0 knows why */
    }
}

static void wait_for(df_dist *dist, MPI_Request *request, MPI_Status *status)
{
    int done = 0;
    while (MPI_Test(request, &done, status) == MPI_SUCCESS && !done) {
        df_dist_poll(dist);
        df_dist_rest();
    }
}

static void ask(queue *q)
{
    MPI_Irecv(q->arriving, DF_DIST_BATCH, MPI_INT64_T, 0, TAG_BATCH, MPI_COMM_WORLD, &q->request);
    MPI_Send(NULL, 0, MPI_BYTE, 0, TAG_ASK, MPI_COMM_WORLD);
    q->asked = true;
}

/* Takes in what was asked for, when the queue is empty. */
static void refill(df_dist *dist, queue *q)
{
    MPI_Status status;
    wait_for(dist, &q->request, &status);
    MPI_Get_count(&status, MPI_INT64_T, &q->count);
    memcpy(q->items, q->arriving, (size_t)q->count * sizeof q->items[0]);
    q->next = 0;
    q->asked = false;
    q->no_more = q->count == 0;
}

/* The next item, or -1. Asks for more with the last one, to have it in time. */
static int64_t next_item(df_dist *dist, queue *q)
{
    if (!q->asked && !q->no_more && q->next >= q->count) {
        ask(q);
    }
    if (q->next == q->count && q->asked) {
        refill(dist, q);
    }
    if (dist->stopping || q->next == q->count) {
        return -1;
    }
    const int64_t item = q->items[q->next++];
    if (q->next == q->count) {
        ask(q);
    }
    return item;
}

/* Sends from one of two rooms, so that the next item can be worked on meanwhile. */
static void send_result(df_dist *dist, int room, int64_t item)
{
    memcpy(dist->sent[room], &item, sizeof item);
    MPI_Isend(dist->sent[room], (int)df_dist_message_bytes(dist->job), MPI_BYTE, 0, TAG_RESULT,
              MPI_COMM_WORLD, &dist->sending[room]);
}

static void send_failure(df_dist *dist, df_status status, const df_err *err)
{
    df_dist_end_with(dist, status, err);
    MPI_Send(&dist->end, (int)sizeof dist->end, MPI_BYTE, 0, TAG_FAILURE, MPI_COMM_WORLD);
}

/* What the interrupted and the failed tell rank 0, once. */
static void tell_end(df_dist *dist, df_status status, const df_err *err)
{
    if (!dist->stop_sent) {
        send_failure(dist, status, err);
    }
}

static void work_off(df_dist *dist, queue *q)
{
    const df_dist_job *const job = dist->job;
    int room = 0;
    for (int64_t item = next_item(dist, q); item >= 0; item = next_item(dist, q)) {
        df_err err = {"interrupted"};
        wait_for(dist, &dist->sending[room], MPI_STATUS_IGNORE);
        const df_status status = job->work(job->ctx, item, dist->sent[room] + sizeof item, &err);
        if (status != DF_OK) {
            tell_end(dist, status, &err);
            return;
        }
        send_result(dist, room, item);
        room = 1 - room;
    }
    if (dist->stopping) {
        tell_end(dist, DF_EINTERRUPTED, &(df_err){"interrupted"});
    }
}

/* Every message that is on its way here must be taken before MPI may end. */
static void finish(df_dist *dist, queue *q)
{
    for (int room = 0; room < 2; room++) {
        wait_for(dist, &dist->sending[room], MPI_STATUS_IGNORE);
    }
    if (q->asked) {
        wait_for(dist, &q->request, MPI_STATUS_IGNORE);
    }
    while (dist->stopping && !dist->stop_sent) { /* somebody's STOP is coming */
        df_dist_listen(dist);
        df_dist_rest();
    }
    MPI_Send(NULL, 0, MPI_BYTE, 0, TAG_BYE, MPI_COMM_WORLD);
}

void df_dist_worker(df_dist *dist)
{
    queue q = {.request = MPI_REQUEST_NULL};
    dist->sending[0] = MPI_REQUEST_NULL;
    dist->sending[1] = MPI_REQUEST_NULL;
    dist->stop_sent = false;
    work_off(dist, &q);
    finish(dist, &q);
}
