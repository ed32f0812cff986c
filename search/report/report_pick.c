#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_impl.h"

enum { BLOCK = 4096 };

/* ---- All rows ---- */

static df_status visit_block(
    const df_store_search *searches, int64_t count, df_report_visitor each, void *ctx, df_err *err)
{
    for (int64_t i = 0; i < count; i++) {
        DF_TRY(each(ctx, &searches[i], err));
    }
    return DF_OK;
}

df_status df_report_visit(const df_results *results, df_report_visitor each, void *ctx, df_err *err)
{
    df_store_search *const block = malloc(BLOCK * sizeof *block);
    if (!block) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = DF_OK;
    for (int64_t at = 0; status == DF_OK && at < results->num_searches; at += BLOCK) {
        const int64_t left = results->num_searches - at;
        const int64_t count = left < BLOCK ? left : BLOCK;
        status = df_results_read(results, at, count, block, err);
        if (status == DF_OK) {
            status = visit_block(block, count, each, ctx, err);
        }
    }
    free(block);
    return status;
}

/* ---- The front ---- */

/* Unknown values do not count. */
static bool is_better(const df_report_peak *a, const df_report_peak *b)
{
    for (int axis = 0; axis < DF_REPORT_AXES; axis++) {
        if (a->value[axis] > b->value[axis]) {
            return false;
        }
    }
    return true; /* or as good: the first of equal ones stays */
}

static df_status front_add(df_report_picked *p, const df_report_peak *peak, df_err *err)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < p->num_front; i++) {
        if (is_better(&p->front[i], peak)) {
            return DF_OK; /* then it is better than none of the front */
        }
    }
    for (int64_t i = 0; i < p->num_front; i++) {
        if (!is_better(peak, &p->front[i])) {
            p->front[kept++] = p->front[i];
        }
    }
    p->num_front = kept;
    if (p->num_front == p->front_room) {
        const int64_t room = p->front_room > 0 ? 2 * p->front_room : 64;
        df_report_peak *const front = realloc(p->front, (size_t)room * sizeof *front);
        if (!front) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        p->front = front;
        p->front_room = room;
    }
    p->front[p->num_front++] = *peak;
    return DF_OK;
}

static int by_id(const void *a, const void *b)
{
    const df_report_peak *const x = a;
    const df_report_peak *const y = b;
    return (x->work_id > y->work_id) - (x->work_id < y->work_id);
}

/* Takes the front of the file, if it has one. */
static df_status take_front(const df_results *r, df_report_picked *p, df_err *err)
{
    int64_t *ids;
    int64_t count;
    DF_TRY(df_results_pareto(r, &ids, &count, err));
    p->front = calloc((size_t)count + 1, sizeof *p->front);
    for (int64_t i = 0; p->front && i < count; i++) {
        p->front[i].work_id = ids[i];
    }
    free(ids);
    if (!p->front) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    p->front_room = count + 1;
    p->num_front = count;
    p->front_of_file = count > 0;
    return DF_OK;
}

/* ---- The best ---- */

static df_status look_at(void *ctx, const df_store_search *search, df_err *err)
{
    df_report_picked *const p = ctx;
    const df_descent *const d = &search->descent;
    const int32_t id = search->strategy_id;
    p->count[d->status]++;
    if (d->status == DF_SEARCH_PENDING || !isfinite(d->best_value)) {
        return DF_OK;
    }
    if (p->best[id] < 0 || d->best_value < p->best_value[id]) {
        p->best[id] = search->work_id;
        p->best_value[id] = d->best_value;
    }
    if (p->front_of_file) {
        return DF_OK;
    }
    const df_report_peak peak = {search->work_id,
                                 {d->best_time_s, d->metrics.energy_j, d->metrics.area_mm2}};
    return front_add(p, &peak, err);
}

/* A strategy and its value, to be sorted. */
typedef struct {
    double value;
    int64_t work_id;
    int32_t id;
} entry;

static int by_value(const void *a, const void *b)
{
    const entry *const x = a;
    const entry *const y = b;
    const int order = (x->value > y->value) - (x->value < y->value);
    return order != 0 ? order : (x->work_id > y->work_id) - (x->work_id < y->work_id);
}

static df_status rank_all(df_report_picked *p, int64_t strategies, df_err *err)
{
    entry *const entries = malloc(((size_t)strategies + 1) * sizeof *entries);
    if (!entries) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t id = 0; id < strategies; id++) {
        if (p->best[id] >= 0) {
            entries[p->num_ranked++] = (entry){p->best_value[id], p->best[id], (int32_t)id};
        }
    }
    qsort(entries, (size_t)p->num_ranked, sizeof *entries, by_value);
    for (int64_t i = 0; i < p->num_ranked; i++) {
        p->ranked[i] = entries[i].id;
    }
    free(entries);
    return DF_OK;
}

df_status df_report_pick(const df_results *r, int64_t most_rows, df_report_picked *p, df_err *err)
{
    const size_t strategies = (size_t)r->num_strategies + 1;
    memset(p, 0, sizeof *p);
    p->best = malloc(strategies * sizeof *p->best);
    p->best_value = calloc(strategies, sizeof *p->best_value);
    p->ranked = calloc(strategies, sizeof *p->ranked);
    p->shown = calloc(strategies, sizeof *p->shown);
    if (!p->best || !p->best_value || !p->ranked || !p->shown) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    memset(p->best, -1, strategies * sizeof *p->best);
    DF_TRY(take_front(r, p, err));
    DF_TRY(df_report_visit(r, look_at, p, err));
    qsort(p->front, (size_t)p->num_front, sizeof *p->front, by_id);
    DF_TRY(rank_all(p, r->num_strategies, err));
    p->stride = (r->num_searches + most_rows - 1) / most_rows;
    p->worst_shown = HUGE_VAL;
    if (p->stride > 1) { /* half of the rows for the best, half for a sample */
        const int64_t half = most_rows / 2 > 0 ? most_rows / 2 : 1;
        p->stride = (r->num_searches + half - 1) / half;
        if (p->num_ranked > half) {
            p->worst_shown = p->best_value[p->ranked[half - 1]];
        }
    }
    return DF_OK;
}

void df_report_picked_fini(df_report_picked *p)
{
    free(p->best);
    free(p->best_value);
    free(p->ranked);
    free(p->front);
    free(p->shown);
    memset(p, 0, sizeof *p);
}

bool df_report_is_front(const df_report_picked *p, int64_t work_id)
{
    const df_report_peak key = {work_id, {0}};
    return p->num_front > 0 &&
           bsearch(&key, p->front, (size_t)p->num_front, sizeof key, by_id) != NULL;
}

bool df_report_is_shown(const df_report_picked *p, const df_store_search *search)
{
    if (search->descent.status == DF_SEARCH_PENDING) {
        return false;
    }
    return p->stride <= 1 || search->work_id % p->stride == 0 ||
           (p->best[search->strategy_id] == search->work_id &&
            search->descent.best_value <= p->worst_shown) ||
           df_report_is_front(p, search->work_id);
}
