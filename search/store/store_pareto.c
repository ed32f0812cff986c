/* /pareto: of a search for several objectives the designs of /searches that no other beats in
 * all of them. Computed from the rows alone, so it is the same however they came about. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

enum { CHUNK_ROWS = 1024 };

/* The designs that have not been beaten so far. */
typedef struct {
    const df_goals *goals;
    df_pareto_row *rows;
    int64_t count, room;
} front;

static double cost(df_goal goal, const df_pareto_row *row)
{
    return goal == DF_GOAL_TOKENS_PER_S_PER_W ? -row->figure[goal] : row->figure[goal];
}

/* Whether a is as good as b in every objective. */
static bool covers(const df_goals *goals, const df_pareto_row *a, const df_pareto_row *b)
{
    for (int i = 0; i < goals->count; i++) {
        if (!(cost(goals->of[i], a) <= cost(goals->of[i], b))) {
            return false;
        }
    }
    return true;
}

/* Rows come in order, so the first of equal ones stays. */
static df_status enter(front *f, const df_pareto_row *row, df_err *err)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < f->count; i++) {
        if (covers(f->goals, &f->rows[i], row)) {
            return DF_OK;
        }
    }
    for (int64_t i = 0; i < f->count; i++) {
        if (!covers(f->goals, row, &f->rows[i])) {
            f->rows[kept++] = f->rows[i];
        }
    }
    f->count = kept;
    if (f->count == f->room) {
        const int64_t room = f->room > 0 ? 2 * f->room : 64;
        df_pareto_row *const rows = realloc(f->rows, (size_t)room * sizeof *rows);
        if (!rows) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        f->rows = rows;
        f->room = room;
    }
    f->rows[f->count++] = *row;
    return DF_OK;
}

static df_status enter_search(front *f, const df_store_search *search, df_err *err)
{
    const df_descent *const d = &search->descent;
    df_pareto_row row;
    memset(&row, 0, sizeof row);
    if (d->status == DF_SEARCH_PENDING || !isfinite(d->best_value)) {
        return DF_OK;
    }
    row.work_id = search->work_id;
    row.strategy_id = search->strategy_id;
    row.index = search->index;
    for (int goal = 0; goal < DF_GOALS; goal++) {
        row.figure[goal] = df_goal_figure((df_goal)goal, d->best_time_s, &d->metrics);
    }
    return enter(f, &row, err);
}

static df_status find_front(df_store *store, front *f, df_err *err)
{
    df_store_search *const chunk = malloc(CHUNK_ROWS * sizeof *chunk);
    df_status status = DF_OK;
    if (!chunk) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t first = 0; status == DF_OK && first < store->rows; first += CHUNK_ROWS) {
        const int64_t left = store->rows - first;
        const int64_t count = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        status = df_store_get(store, first, count, chunk, err);
        for (int64_t i = 0; status == DF_OK && i < count; i++) {
            status = enter_search(f, &chunk[i], err);
        }
    }
    free(chunk);
    return status;
}

/* Best in the first objective first; equal ones, which differ in another, by number. */
static void sort_front(front *f)
{
    const df_goal goal = f->goals->of[0];
    for (int64_t i = 1; i < f->count; i++) {
        const df_pareto_row row = f->rows[i];
        int64_t at = i;
        while (at > 0 && cost(goal, &f->rows[at - 1]) > cost(goal, &row)) {
            f->rows[at] = f->rows[at - 1];
            at--;
        }
        f->rows[at] = row;
    }
}

df_status df_store_write_pareto(df_store *store, df_err *err)
{
    front f = {.goals = &store->goals};
    if (store->pareto_rows == 0) {
        return DF_OK;
    }
    df_status status = find_front(store, &f, err);
    if (status == DF_OK) {
        sort_front(&f);
        f.count = f.count < store->pareto_rows ? f.count : store->pareto_rows;
    }
    for (int64_t i = 0; status == DF_OK && i < f.count; i++) {
        status = df_store_write_pareto_row(store, i, &f.rows[i], err);
    }
    if (status == DF_OK) {
        status = df_store_clear_pareto(store, f.count, err);
    }
    free(f.rows);
    return status;
}
