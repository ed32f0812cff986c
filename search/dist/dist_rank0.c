#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "dist/dist_impl.h"

/* Duration of a batch. If it is short, ranks end together and results arrive soon; if it is long,
 * there are few messages. */
static const double BATCH_S = 0.25;
enum {
    FIRST_ITEMS = 16, /* for a rank that does not know yet how long its items take */
    SPREAD = 4, /* a batch is at most a fourth of a rank's fair share of the remaining items */
};

/* When messages take more than this share of rank 0's time, it does no items of its own: these
 * would take ever longer, and the other ranks would wait for the last one. The share is measured
 * once per WEIGH_S. */
static const double SERVES_SHARE = 0.25;
static const double WEIGH_S = 0.5;

/* Rank 0 looks up after this time, however many messages wait. */
static const double SERVE_S = 0.01;

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
    if (!dist->job->tick || now - dist->last_tick_s < dist->beat_s) {
        return;
    }
    dist->last_tick_s = now;
    const df_status status = dist->job->tick(dist->job->ctx, &err);
    if (status != DF_OK) {
        df_dist_end_with(dist, status, &err);
    }
}

static int64_t batch_items(const df_dist *dist, double item_s)
{
    const int64_t left = dist->job->num_items - dist->next;
    const double fair = (double)left / (SPREAD * (double)dist->size);
    const double least = item_s > 0 ? df_dist_round_s(dist) / item_s : 0;
    const double timed = item_s > 0 ? BATCH_S / item_s : FIRST_ITEMS;
    return (int64_t)fmax(1, fmin(fmin(timed, fmax(fair, least)), (double)left));
}

/* Large batches at first, which saves messages; small ones at the end, so that all ranks finish
 * together, but none that would be done before rank 0 can answer all. */
static void answer(df_dist *dist, int worker, double item_s)
{
    df_dist_range ranges[DF_DIST_RANGES];
    int count = 0;
    for (int64_t left = batch_items(dist, item_s); left > 0; left--) {
        const int64_t item = take_item(dist);
        if (item < 0) {
            break;
        }
        if (count > 0 && item == ranges[count - 1].first + ranges[count - 1].count) {
            ranges[count - 1].count++;
            continue;
        }
        ranges[count++] = (df_dist_range){item, 1};
        if (count == DF_DIST_RANGES) {
            break;
        }
    }
    MPI_Send(ranges, count * (int)sizeof ranges[0], MPI_BYTE, worker, TAG_BATCH, MPI_COMM_WORLD);
}

static void receive_results(df_dist *dist, MPI_Status *message)
{
    int bytes;
    MPI_Get_count(message, MPI_BYTE, &bytes);
    MPI_Recv(dist->message, bytes, MPI_BYTE, message->MPI_SOURCE, TAG_RESULTS, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    const unsigned char *const end = dist->message + bytes;
    for (const unsigned char *at = dist->message; at < end; at += dist->entry_bytes) {
        int64_t item;
        memcpy(&item, at, sizeof item);
        take_result(dist, item, at + sizeof item);
        dist->load.results++;
    }
    dist->load.messages++;
}

static void receive(df_dist *dist, MPI_Status *message)
{
    const int from = message->MPI_SOURCE;
    double item_s;
    df_dist_end end;
    df_err err;
    switch ((df_dist_tag)message->MPI_TAG) {
    case TAG_ASK:
        MPI_Recv(&item_s, 1, MPI_DOUBLE, from, TAG_ASK, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        answer(dist, from, item_s);
        dist->load.asks++;
        return;
    case TAG_RESULTS:
        receive_results(dist, message);
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

/* Takes the next message; false: there is none. */
static bool serve_one(df_dist *dist)
{
    MPI_Status message;
    int waiting = 0;
    const double begin_s = df_clock_s();
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &waiting, &message);
    if (waiting) {
        receive(dist, &message);
        *(message.MPI_TAG == TAG_ASK ? &dist->load.ask_s : &dist->load.result_s) +=
            df_clock_s() - begin_s;
    }
    return waiting;
}

void df_dist_serve(df_dist *dist)
{
    df_dist_heed_interrupt(dist);
    const double until_s = df_clock_s() + SERVE_S;
    while (dist->size > 1 && serve_one(dist) && df_clock_s() < until_s) {
        tick(dist);
    }
    if (dist->stopping && !dist->stop_sent) {
        send_stop(dist);
    }
    tick(dist);
    dist->polled_s = df_clock_s();
}

/* One item of rank 0's own. A result that is not whole is dropped. */
static void work_on(df_dist *dist, int64_t item)
{
    const df_dist_job *const job = dist->job;
    df_err err;
    const df_status status = job->work(job->ctx, item, dist->result, &err);
    if (status == DF_OK) {
        take_result(dist, item, dist->result);
    } else if (status != DF_EINTERRUPTED || !dist->stopping) {
        df_dist_end_with(dist, status, &err);
    }
    if (df_dist_poll_is_due(dist)) {
        df_dist_serve(dist);
    }
}

/* Decides now and then whether rank 0 has time for items of its own. */
static void weigh(df_dist *dist)
{
    const double now_s = df_clock_s();
    const double passed_s = now_s - dist->weighed_s;
    const double served_s = dist->load.ask_s + dist->load.result_s;
    if (passed_s < WEIGH_S) {
        return;
    }
    dist->only_serves = served_s - dist->weighed_served_s > SERVES_SHARE * passed_s;
    dist->weighed_s = now_s;
    dist->weighed_served_s = served_s;
}

/* Rank 0's own share. */
static void work_between(df_dist *dist)
{
    while (!dist->stopping && dist->next < dist->job->num_items) {
        const int64_t item = dist->only_serves ? -1 : take_item(dist);
        if (item >= 0) {
            work_on(dist, item);
        } else {
            df_dist_serve(dist);
            df_dist_rest();
        }
        weigh(dist);
    }
}

void df_dist_rank0(df_dist *dist)
{
    dist->next = 0;
    dist->workers = dist->size - 1;
    dist->stop_sent = false;
    dist->last_tick_s = df_clock_s();
    dist->load = (df_dist_load){0, 0, 0, 0, 0};
    dist->weighed_s = dist->last_tick_s;
    dist->weighed_served_s = 0;
    dist->only_serves = false;
    work_between(dist);
    while (dist->workers > 0) {
        df_dist_serve(dist);
        df_dist_rest();
    }
    if (dist->stopping && !dist->stop_sent) {
        send_stop(dist);
    }
}
