#include "dist/dist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/dist_impl.h"

df_dist *df_dist_init(int *argc, char ***argv)
{
    df_dist *const dist = df_dist_serial();
    if (!dist || MPI_Init(argc, argv) != MPI_SUCCESS) {
        free(dist);
        return NULL;
    }
    dist->mpi = true;
    MPI_Comm_rank(MPI_COMM_WORLD, &dist->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &dist->size);
    return dist;
}

df_dist *df_dist_serial(void)
{
    df_dist *const dist = calloc(1, sizeof *dist);
    if (dist) {
        dist->size = 1;
    }
    return dist;
}

void df_dist_fini(df_dist *dist)
{
    if (dist && dist->mpi) {
        MPI_Finalize();
    }
    free(dist);
}

void df_dist_abort(df_dist *dist, int exit_code)
{
    if (dist->mpi) {
        MPI_Abort(MPI_COMM_WORLD, exit_code);
    }
    exit(exit_code);
}

int df_dist_rank(const df_dist *dist)
{
    return dist->rank;
}

int df_dist_size(const df_dist *dist)
{
    return dist->size;
}

int df_dist_agree(df_dist *dist, int code)
{
    int worst = code;
    if (dist->size > 1) {
        MPI_Allreduce(&code, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    }
    return worst;
}

size_t df_dist_message_bytes(const df_dist_job *job)
{
    return sizeof(int64_t) + job->result_bytes;
}

void df_dist_end_with(df_dist *dist, df_status status, const df_err *err)
{
    dist->stopping = true;
    if (dist->end.status == DF_OK) {
        dist->end.status = (int32_t)status;
        snprintf(dist->end.text, sizeof dist->end.text, "%s", err ? err->text : "");
    }
}

void df_dist_rest(void)
{
    const struct timespec moment = {0, 100000}; /* 0.1 ms */
    nanosleep(&moment, NULL);
}

bool df_dist_interrupted(df_dist *dist)
{
    return dist->job->interrupted && dist->job->interrupted(dist->job->ctx);
}

bool df_dist_poll(df_dist *dist)
{
    if (!dist->job) {
        return true;
    }
    if (!dist->stopping && df_dist_interrupted(dist)) {
        df_dist_end_with(dist, DF_EINTERRUPTED, &(df_err){"interrupted"});
    }
    if (dist->rank == 0) {
        df_dist_serve(dist);
    } else {
        df_dist_listen(dist);
    }
    return !dist->stopping;
}

/* All ranks learn how rank 0 ended. Waiting ranks sleep: a broadcast would spin. */
static void share_end(df_dist *dist)
{
    MPI_Request request;
    int done = 0;
    if (dist->size == 1) {
        return;
    }
    MPI_Ibcast(&dist->end, (int)sizeof dist->end, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
        df_dist_rest();
    }
}

static bool allocate(df_dist *dist)
{
    const size_t bytes = df_dist_message_bytes(dist->job);
    dist->message = malloc(bytes);
    dist->sent[0] = malloc(bytes);
    dist->sent[1] = malloc(bytes);
    return dist->message && dist->sent[0] && dist->sent[1];
}

static void release(df_dist *dist)
{
    free(dist->message);
    free(dist->sent[0]);
    free(dist->sent[1]);
    dist->message = NULL;
    dist->sent[0] = NULL;
    dist->sent[1] = NULL;
    dist->job = NULL;
}

df_status df_dist_run(df_dist *dist, const df_dist_job *job, df_err *err)
{
    dist->job = job;
    dist->stopping = false;
    dist->end.status = DF_OK;
    if (df_dist_agree(dist, allocate(dist) ? 0 : 1) != 0) {
        release(dist);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    if (dist->rank == 0) {
        df_dist_rank0(dist);
    } else {
        df_dist_worker(dist);
    }
    share_end(dist);
    if (dist->rank != 0 && dist->end.status != DF_OK && !dist->stop_sent) {
        df_dist_take_stop(dist); /* it crossed our BYE */
    }
    release(dist);
    return dist->end.status == DF_OK
               ? DF_OK
               : df_fail(err, (df_status)dist->end.status, "%s", dist->end.text);
}
