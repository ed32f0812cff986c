/* What rank 0 and the workers share. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "dist/dist_impl.h"

/* Looking for messages costs a microsecond or so, which is too much after each short item. */
static const double POLL_S = 0.0002;

void df_dist_end_with(df_dist *dist, df_status status, const df_err *err)
{
    dist->stopping = true;
    if (dist->end.status == DF_OK) {
        dist->end.status = (int32_t)status;
        snprintf(dist->end.text, sizeof dist->end.text, "%s", err ? err->text : "");
    }
}

void df_dist_heed_interrupt(df_dist *dist)
{
    const df_dist_job *const job = dist->job;
    if (!dist->stopping && job->interrupted && job->interrupted(job->ctx)) {
        df_dist_end_with(dist, DF_EINTERRUPTED, &(df_err){"interrupted"});
    }
}

bool df_dist_poll_is_due(const df_dist *dist)
{
    return df_clock_s() - dist->polled_s >= POLL_S;
}

void df_dist_rest(void)
{
    const struct timespec moment = {0, 100000}; /* 0.1 ms */
    nanosleep(&moment, NULL);
}

double df_dist_round_s(const df_dist *dist)
{
    return 1e-5 * dist->size; /* measured, on a busy machine: 3 us to answer, 5 us for results */
}
