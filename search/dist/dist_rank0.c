#include <string.h>

#include "base/clock.h"
#include "dist/dist_impl.h"

static const double TICK_S = 0.25;

/* The next item that needs work, or -1. */
static int64_t take_item(df_dist *dist)
{
    const df_dist_job *const job = dist->job;
    while (!dist->stopping && dist->next < job->num_items) {
        const int64_t item = dist->next++;
        if (!job->skip || !job->skip(job->ctx, item)) {
            return item;
        }
    }
    return -1;
}

static void take_result(df_dist *dist, int64_t item, const void *result)
{
    df_err err;
    const df_status status = dist->job->sink(dist->job->ctx, item, result, &err);
    if (status != DF_OK) {
        df_dist_end_with(dist, status, &err);
    }
}

static void tick(df_dist *dist)
{
    const double now = df_clock_s();
    df_err err;
    if (!dist->job->tick || now - dist->last_tick_s < TICK_S) {
        return;
    }
    dist->last_tick_s = now;
    const df_status status = dist->job->tick(dist->job->ctx, &err);
    if (status != DF_OK) {
        df_dist_end_with(dist, status, &err);
    }
}

/* Large batches at first, which saves messages; single items at the end, so that all
 * ranks finish together. */
static void answer(df_dist *dist, int worker)
{
    int64_t items[DF_DIST_BATCH];
    int count = 0;
    const int64_t left = dist->job->num_items - dist->next;
    const int64_t fair = left / (8 * (int64_t)dist->size);
    const int64_t most = fair < 1 ? 1 : fair > DF_DIST_BATCH ? DF_DIST_BATCH : fair;
    while (count < most) {
        const int64_t item = take_item(dist);
        if (item < 0) {
            break;
        }
        items[count++] = item;
    }
    MPI_Send(items, count, MPI_INT64_T, worker, TAG_BATCH, MPI_COMM_WORLD);
}

static void receive(df_dist *dist, const MPI_Status *message)
{
    const int from = message->MPI_SOURCE;
    int64_t item;
    df_dist_end end;
    df_err err;
    switch ((df_dist_tag)message->MPI_TAG) {
    case TAG_ASK:
        MPI_Recv(NULL, 0, MPI_BYTE, from, TAG_ASK, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        answer(dist, from);
        return;
    case TAG_RESULT:
        MPI_Recv(dist->message, (int)df_dist_message_bytes(dist->job), MPI_BYTE, from, TAG_RESULT,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        memcpy(&item, dist->message, sizeof item);
        take_result(dist, item, dist->message + sizeof item);
        return;
    case TAG_FAILURE:
        MPI_Recv(&end, (int)sizeof end, MPI_BYTE, from, TAG_FAILURE, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
        memcpy(err.text, end.text, sizeof err.text);
        df_dist_end_with(dist, (df_status)end.status, &err);
        return;
    case TAG_BYE:
        MPI_Recv(NULL, 0, MPI_BYTE, from, TAG_BYE, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        dist->workers--;
        return;
    case TAG_BATCH:
    case TAG_STOP:
        break; /* go the other way */
    }
}

static void send_stop(df_dist *dist)
{
    for (int worker = 1; worker < dist->size; worker++) {
        MPI_Send(NULL, 0, MPI_BYTE, worker, TAG_STOP, MPI_COMM_WORLD);
    }
    dist->stop_sent = true;
}

void df_dist_serve(df_dist *dist)
{
    int waiting = dist->size > 1;
    while (waiting) {
        MPI_Status message;
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &waiting, &message);
        if (waiting) {
            receive(dist, &message);
        }
    }
    if (dist->stopping && !dist->stop_sent) {
        send_stop(dist);
    }
    tick(dist);
}

/* Rank 0's own share. A result that is not whole is dropped. */
static void work_between(df_dist *dist)
{
    const df_dist_job *const job = dist->job;
    /* not dist->message: messages arrive while this is filled */
    unsigned char *const result = dist->sent[0];
    for (int64_t item = take_item(dist); item >= 0; item = take_item(dist)) {
        df_err err;
        const df_status status = job->work(job->ctx, item, result, &err);
        if (status == DF_OK) {
            take_result(dist, item, result);
        } else if (status != DF_EINTERRUPTED || !dist->stopping) {
            df_dist_end_with(dist, status, &err);
        }
        df_dist_poll(dist);
    }
}

void df_dist_rank0(df_dist *dist)
{
    dist->next = 0;
    dist->workers = dist->size - 1;
    dist->stop_sent = false;
    dist->last_tick_s = df_clock_s();
    work_between(dist);
    while (dist->workers > 0) {
        df_dist_poll(dist);
        df_dist_rest();
    }
    if (dist->stopping && !dist->stop_sent) {
        send_stop(dist);
    }
}
