#include <string.h>

#include "base/clock.h"
#include "dist/dist_impl.h"

void df_dist_send_held(df_dist *dist)
{
    df_dist_room *const room = &dist->rooms[dist->filling];
    if (dist->held == 0) {
        return;
    }
    MPI_Issend(room->bytes, (int)((size_t)dist->held * dist->entry_bytes), MPI_BYTE, 0, TAG_RESULTS,
               MPI_COMM_WORLD, &room->sending);
    dist->held = 0;
    dist->filling = 1 - dist->filling;
}

void df_dist_send_old(df_dist *dist, double ahead_s)
{
    int done = 0;
    if (dist->held == 0 || df_clock_s() + ahead_s - dist->held_since_s < dist->beat_s) {
        return;
    }
    MPI_Test(&dist->rooms[1 - dist->filling].sending, &done, MPI_STATUS_IGNORE);
    if (done) {
        df_dist_send_held(dist);
    }
}

void df_dist_keep(df_dist *dist, int64_t item)
{
    if (dist->held == 0) {
        dist->held_since_s = df_clock_s();
    }
    unsigned char *const entry =
        dist->rooms[dist->filling].bytes + (size_t)dist->held * dist->entry_bytes;
    memcpy(entry, &item, sizeof item);
    memcpy(entry + sizeof item, dist->result, dist->job->result_bytes);
    dist->held++;
    if (dist->held == dist->room_results) {
        df_dist_send_held(dist);
    }
}
