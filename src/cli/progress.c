#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR = 30 };
static const double LINE_EVERY_S = 10;

void df_progress_begin(df_progress *progress)
{
    progress->terminal = isatty(STDERR_FILENO) == 1;
    progress->begin_s = df_clock_s();
    progress->last_s = progress->begin_s;
}

double df_progress_elapsed_s(const df_progress *progress)
{
    return df_clock_s() - progress->begin_s;
}

/* "12 s", "3 min 20 s", "5 h 10 min". */
static const char *duration(double seconds, char text[32])
{
    const int64_t s = (int64_t)(seconds + 0.5);
    if (s < 60) {
        snprintf(text, 32, "%" PRId64 " s", s);
    } else if (s < 3600) {
        snprintf(text, 32, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    } else {
        snprintf(text, 32, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    }
    return text;
}

static void print(const df_progress *progress, const df_sweep_progress *at)
{
    const double elapsed_s = df_progress_elapsed_s(progress);
    const int64_t fresh = at->done - at->done_before;
    const double rate = elapsed_s > 0 ? (double)fresh / elapsed_s : 0;
    const double part = at->descents > 0 ? (double)at->done / (double)at->descents : 1;
    char left[32] = "?";
    if (rate > 0) {
        duration((double)(at->descents - at->done) / rate, left);
    }
    if (progress->terminal) {
        char bar[BAR + 1];
        for (int i = 0; i < BAR; i++) {
            bar[i] = i < (int)(part * BAR) ? '#' : '.';
        }
        bar[BAR] = '\0';
        fprintf(stderr, "\r[%s] ", bar);
    } else {
        fputs("deepflow: ", stderr);
    }
    fprintf(stderr,
            "%3.0f %%  %" PRId64 "/%" PRId64 " descents, %.4g/s, %.4g evaluations/s, %s left",
            100 * part, at->done, at->descents, rate,
            elapsed_s > 0 ? (double)at->evaluations / elapsed_s : 0, left);
    if (at->best_value > 0) {
        fprintf(stderr, ", best %.6g", at->best_value);
    }
    fputs(progress->terminal ? "  " : "\n", stderr);
}

void df_progress_show(df_progress *progress, const df_sweep_progress *at)
{
    if (progress->terminal || df_clock_s() - progress->last_s >= LINE_EVERY_S) {
        progress->last_s = df_clock_s();
        print(progress, at);
    }
}

void df_progress_end(df_progress *progress, const df_sweep_progress *at)
{
    print(progress, at);
    if (progress->terminal) {
        fputc('\n', stderr);
    }
}
