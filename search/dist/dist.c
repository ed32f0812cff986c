#include "dist/dist.h"

#include <stdlib.h>

#include "dist/dist_impl.h"

static const double BEAT_S = 0.25;

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

df_dist_load df_dist_served(const df_dist *dist)
{
    return dist->load;
}

bool df_dist_poll(df_dist *dist)
{
    if (!dist->job) {
        return true;
    }
    if (df_dist_poll_is_due(dist)) {
        dist->rank == 0 ? df_dist_serve(dist) : df_dist_listen(dist);
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

/* Room for messages: small results are many to a room. */
static void size_rooms(df_dist *dist)
{
    const size_t result_bytes = (dist->job->result_bytes + 7) / 8 * 8;
    dist->entry_bytes = sizeof(int64_t) + result_bytes;
    const size_t fit = DF_DIST_ROOM_BYTES / dist->entry_bytes;
    dist->room_results = fit < 1 ? 1 : (int)fit;
}

static bool allocate(df_dist *dist)
{
    size_rooms(dist);
    const size_t bytes = (size_t)dist->room_results * dist->entry_bytes;
    dist->result = calloc(1, dist->entry_bytes);
    if (dist->size == 1) {
        return dist->result;
    }
    if (dist->rank == 0) {
        dist->message = malloc(bytes);
        return dist->result && dist->message;
    }
    dist->rooms[0].bytes = malloc(bytes);
    dist->rooms[1].bytes = malloc(bytes);
    return dist->result && dist->rooms[0].bytes && dist->rooms[1].bytes;
}

static void release(df_dist *dist)
{
    free(dist->result);
    free(dist->message);
    free(dist->rooms[0].bytes);
    free(dist->rooms[1].bytes);
    dist->result = NULL;
    dist->message = NULL;
    dist->rooms[0].bytes = NULL;
    dist->rooms[1].bytes = NULL;
    dist->job = NULL;
}

df_status df_dist_run(df_dist *dist, const df_dist_job *job, df_err *err)
{
    dist->job = job;
    dist->beat_s = job->beat_s > 0 ? job->beat_s : BEAT_S;
    dist->polled_s = 0;
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
        df_dist_take_stop(dist); /* STOP was sent before our BYE arrived */
    }
    release(dist);
    return dist->end.status == DF_OK
               ? DF_OK
               : df_fail(err, (df_status)dist->end.status, "%s", dist->end.text);
}
