/* A program for test_dist: squares numbers over all ranks.
 *   dist_work ITEMS [fail ITEM | die ITEM | stop ITEM]
 * Rank 0 prints how often each item came, and how the run ended. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/dist.h"

typedef struct {
    df_dist *dist;
    int64_t items;
    const char *what;
    int64_t at;
    int *times; /* each item came */
    bool wrong;
    bool interrupted;
} program;

typedef struct {
    int64_t square;
    char padding[20000]; /* larger than MPI sends at once */
} result;

static df_status work(void *ctx, int64_t item, void *out, df_err *err)
{
    program *p = ctx;
    result *r = out;
    memset(r, 0, sizeof *r);
    r->square = item * item;
    if (item == p->at && strcmp(p->what, "fail") == 0) {
        return df_fail(err, DF_ERUNTIME, "item %lld failed", (long long)item);
    }
    if (item == p->at && strcmp(p->what, "die") == 0) {
        raise(SIGKILL);
    }
    if (item == p->at && strcmp(p->what, "stop") == 0) {
        p->interrupted = true;
    }
    for (int i = 0; i < 3; i++) {
        const struct timespec moment = {0, 300000};
        nanosleep(&moment, NULL);
        if (!df_dist_poll(p->dist)) {
            return df_fail(err, DF_EINTERRUPTED, "interrupted");
        }
    }
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
    (void)err;
    p->times[item]++;
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
    for (int64_t i = 0; i < p->items; i++) {
        once += p->times[i] == 1;
        more += p->times[i] > 1;
    }
    printf("status %d once %lld more %lld wrong %d: %s\n", (int)status, (long long)once,
           (long long)more, p->wrong, status == DF_OK ? "" : err->text);
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
                             .result_bytes = sizeof(result),
                             .work = work,
                             .skip = skip,
                             .sink = sink,
                             .interrupted = interrupted,
                             .ctx = &p};
    const df_status status = df_dist_run(p.dist, &job, &err);
    const int code = df_status_exit_code(status);
    if (df_dist_rank(p.dist) == 0) {
        print(&p, status, &err);
    }
    df_dist_fini(p.dist);
    free(p.times);
    return code;
}
