/* A program for test_dist: squares numbers over all ranks.
 *   dist_work ITEMS [fail ITEM | die ITEM | stop ITEM | quick 0 | slow COUNT]
 * quick: items take no time, and results are small. slow: the item that a worker does after COUNT
 * others takes two seconds. Each rank prints how many items it finished; rank 0 how often each
 * came, how the run ended, how many messages brought results, and the longest way of one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "dist/dist.h"

typedef struct {
    df_dist *dist;
    int64_t items;
    const char *what;
    int64_t at;
    int *times; /* each item came */
    int64_t finished;
    double longest_s; /* from its end to sink */
    bool wrong;
    bool interrupted;
} program;

typedef struct {
    int64_t square;
    double finished_s;   /* all ranks have the same clock here */
    char padding[20000]; /* larger than MPI sends at once */
} result;

static bool does(const program *p, const char *what)
{
    return strcmp(p->what, what) == 0;
}

/* A millisecond or, for a worker's slow item, two seconds. False: stop. */
static bool spend_time(const program *p)
{
    const bool slow = does(p, "slow") && df_dist_rank(p->dist) > 0 && p->finished == p->at;
    const double end_s = df_clock_s() + (slow ? 2 : 0.001);
    while (df_clock_s() < end_s) {
        const struct timespec moment = {0, 300000};
        nanosleep(&moment, NULL);
        if (!df_dist_poll(p->dist)) {
            return false;
        }
    }
    return true;
}

static df_status work(void *ctx, int64_t item, void *out, df_err *err)
{
    program *p = ctx;
    result *r = out;
    r->square = item * item;
    if (item == p->at && does(p, "fail")) {
        return df_fail(err, DF_ERUNTIME, "item %lld failed", (long long)item);
    }
    if (item == p->at && does(p, "die")) {
        raise(SIGKILL);
    }
    if (item == p->at && does(p, "stop")) {
        p->interrupted = true;
    }
    if (!does(p, "quick") && !spend_time(p)) {
        return df_fail(err, DF_EINTERRUPTED, "interrupted");
    }
    r->finished_s = df_clock_s();
    p->finished++;
    return DF_OK;
}

/* Every seventh was done before. */
static bool skip(void *ctx, int64_t item)
{
    (void)ctx;
    return item % 7 == 0;
}

static df_status sink(void *ctx, int64_t item, const void *in, df_err *err)
{
    program *p = ctx;
    const result *r = in;
    const double way_s = df_clock_s() - r->finished_s;
    (void)err;
    p->times[item]++;
    p->longest_s = way_s > p->longest_s ? way_s : p->longest_s;
    p->wrong = p->wrong || r->square != item * item;
    return DF_OK;
}

static bool interrupted(void *ctx)
{
    const program *p = ctx;
    return p->interrupted;
}

static void print(const program *p, df_status status, const df_err *err)
{
    int64_t once = 0;
    int64_t more = 0;
    const df_dist_load load = df_dist_served(p->dist);
    for (int64_t i = 0; i < p->items; i++) {
        once += p->times[i] == 1;
        more += p->times[i] > 1;
    }
    printf("status %d once %lld more %lld wrong %d: %s\n", (int)status, (long long)once,
           (long long)more, p->wrong, status == DF_OK ? "" : err->text);
    printf("messages %lld longest %.3f\n", (long long)load.messages, p->longest_s);
}

int main(int argc, char **argv)
{
    program p = {.dist = df_dist_init(&argc, &argv), .what = "", .at = -1};
    df_err err = {""};
    if (!p.dist || argc < 2) {
        return 2;
    }
    p.items = strtoll(argv[1], NULL, 10);
    if (argc == 4) {
        p.what = argv[2];
        p.at = strtoll(argv[3], NULL, 10);
    }
    p.times = calloc((size_t)p.items + 1, sizeof *p.times);
    const df_dist_job job = {.num_items = p.items,
                             .result_bytes =
                                 does(&p, "quick") ? offsetof(result, padding) : sizeof(result),
                             .work = work,
                             .skip = skip,
                             .sink = sink,
                             .interrupted = interrupted,
                             .beat_s = 0.1,
                             .ctx = &p};
    const df_status status = df_dist_run(p.dist, &job, &err);
    const int code = df_status_exit_code(status);
    if (df_dist_rank(p.dist) == 0) {
        print(&p, status, &err);
    }
    printf("finished %lld\n", (long long)p.finished);
    df_dist_fini(p.dist);
    free(p.times);
    return code;
}
