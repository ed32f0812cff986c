#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "search_dir.h"
#include "search_table.h"
#include "store/store_read.h"

enum { BEST = 10, CHUNK = 1024, QUIET_S = 3 };

typedef struct {
    df_words file;
    bool once;
    double every_s;
} top_args;

/* How far a search is. */
typedef struct {
    int64_t done;
    df_store_search best[BEST];
    int64_t more[BEST]; /* searches with the same result */
    int count;
} standing;

static const char EXAMPLES[] =
    "  deepflow top output/sweep\n"
    "  deepflow top output/sweep --once\n\n"
    "Shows the progress of a running search, and its best result so far, until it is done.\n";

static bool read_args(int argc, char **argv, top_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_words("DIR", &a->file, 1, 1, "results.h5, or the folder that holds it"),
        df_arg_bool("once", &a->once, "show the state once, and stop"),
        df_arg_real("every_s", &a->every_s, 0.1, 3600, "seconds between updates"),
    };
    const df_command command = {"top", "watches a running search", EXAMPLES, args,
                                sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* Counts a search that found what one of the best did. */
static bool joins(standing *s, const df_store_search *search)
{
    for (int i = 0; i < s->count; i++) {
        if (df_descent_same_result(&s->best[i].descent, &search->descent)) {
            s->more[i]++;
            return true;
        }
    }
    return false;
}

static void take(standing *s, const df_store_search *search)
{
    if (search->descent.status == DF_SEARCH_PENDING) {
        return;
    }
    s->done++;
    if (!isfinite(search->descent.best_value) || joins(s, search) ||
        (s->count == BEST &&
         !(search->descent.best_value < s->best[BEST - 1].descent.best_value))) {
        return;
    }
    int at = s->count < BEST ? s->count++ : BEST - 1;
    for (; at > 0 && search->descent.best_value < s->best[at - 1].descent.best_value; at--) {
        s->best[at] = s->best[at - 1];
        s->more[at] = s->more[at - 1];
    }
    s->best[at] = *search;
    s->more[at] = 0;
}

static df_status read_standing(const df_results *r, standing *s, df_err *err)
{
    df_store_search *const chunk = malloc(CHUNK * sizeof *chunk);
    df_status status = DF_OK;
    if (!chunk) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    memset(s, 0, sizeof *s);
    for (int64_t first = 0; status == DF_OK && first < r->num_searches; first += CHUNK) {
        const int64_t left = r->num_searches - first;
        const int64_t count = left < CHUNK ? left : CHUNK;
        status = df_results_read(r, first, count, chunk, err);
        for (int64_t i = 0; status == DF_OK && i < count; i++) {
            take(s, &chunk[i]);
        }
    }
    free(chunk);
    return status;
}

/* Rates are those of all runs so far, as the search last recorded them. */
static void print_standing(const char *path, const df_results *r, const standing *s)
{
    struct stat is;
    const double rate = r->wall_s > 0 ? (double)s->done / r->wall_s : 0;
    printf("%s: %" PRId64 "/%" PRId64 " descents, %.1f %%", path, s->done, r->num_searches,
           r->num_searches > 0 ? 100.0 * (double)s->done / (double)r->num_searches : 100);
    if (rate > 0) {
        printf(", %.4g/s, %.4g evaluations/s, %.0f s left", rate,
               (double)r->evaluations / r->wall_s, (double)(r->num_searches - s->done) / rate);
    }
    if (stat(path, &is) == 0) {
        const double ago_s = difftime(time(NULL), is.st_mtime);
        printf(", written %.0f s ago", ago_s);
        /* one that has just ended, or has not begun, is no news */
        if (s->done < r->num_searches && ago_s > QUIET_S && df_search_nobody_writes(path)) {
            printf("; stopped: no search writes the file (arch_search --resume continues)");
        }
    }
    printf("\n%3s %12s %12s  %-24s %-10s %6s\n", "", "best value", "time (s)", "strategy",
           s->count > 0 ? df_search_layout_head(&r->strategies[s->best[0].strategy_id]) : "layout",
           "index");
    for (int i = 0; i < s->count; i++) {
        const df_store_search *const b = &s->best[i];
        const df_store_strategy *const row = &r->strategies[b->strategy_id];
        char name[DF_STRATEGY_NAME];
        char layout[DF_SEARCH_LAYOUT];
        df_strategy_name(&row->strategy, name, sizeof name);
        df_search_layout_text(row, layout);
        printf("%3d %12.6g %12.6g  %-24s %-10s %6d", i + 1, b->descent.best_value,
               b->descent.best_time_s, name, layout, b->index);
        if (s->more[i] > 0) {
            printf("  and %" PRId64 " more", s->more[i]);
        }
        putchar('\n');
    }
}

/* Prints the state once; *finished: nothing is pending. */
static df_status look(const char *path, bool clear, bool *finished, df_err *err)
{
    df_results r = {.num_searches = 0};
    standing s = {.done = 0};
    DF_TRY(df_results_open(path, &r, err));
    const df_status status = read_standing(&r, &s, err);
    if (status == DF_OK) {
        fputs(clear ? "\033[H\033[2J" : "", stdout);
        print_standing(path, &r, &s);
        *finished = s.done == r.num_searches;
    }
    df_results_close(&r);
    return status;
}

int df_cmd_top(int argc, char **argv)
{
    top_args a = {.every_s = 2};
    char path[DF_SEARCH_PATH];
    bool finished = false;
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_search_results_path(a.file.word[0], path);
    const bool terminal = isatty(STDOUT_FILENO) == 1;
    for (;;) {
        const df_status status = look(path, terminal && !a.once, &finished, &err);
        if (status != DF_OK) {
            return df_cli_fail(status, &err);
        }
        if (a.once || finished || fflush(stdout) != 0) {
            return df_cli_finish(0);
        }
        const struct timespec pause = {(time_t)a.every_s,
                                       (long)((a.every_s - floor(a.every_s)) * 1e9)};
        nanosleep(&pause, NULL);
    }
}
