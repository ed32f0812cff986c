#include "sweep/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { CHUNK_ROWS = 1024 };

/* A result waits an eighth of flush_s on its rank, as long in the store, and half of flush_s for
 * the disk; within bounds that keep messages few, and readers up to date. */
static const double BEAT_LEAST_S = 0.05;
static const double BEAT_MOST_S = 0.25;

/* The result that a descent sends back: its rows in the file, and two figures for rank 0. */
typedef struct {
    int64_t evaluations;
    double best_value;
    int64_t entry[];
} result;

/* A sweep at work on one rank. */
typedef struct {
    const df_sweep_plan *plan;
    const df_sweep_watch *watch;
    df_dist *dist;
    int32_t trajectory_rows;
    /* the search that is prepared: consecutive descents share their strategy */
    df_eval *eval;
    int64_t eval_row;     /* -1: none */
    df_iterate *iterates; /* iterates of the current descent, at most trajectory_rows */
    int32_t num_iterates;
    /* rank 0 */
    df_store *store;
    uint8_t *done; /* a bit for each descent */
    double begin_s, synced_s;
    df_sweep_progress progress;
} sweep;

/* ---- One descent ---- */

static df_status prepare_row(sweep *s, int64_t row, df_err *err)
{
    df_cfg cfg;
    if (row == s->eval_row) {
        return DF_OK;
    }
    s->eval_row = -1;
    if (!s->eval) {
        s->eval = df_eval_alloc(&s->plan->options.eval);
        if (!s->eval) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
    }
    df_sweep_config(s->plan, row, &cfg);
    DF_TRY(df_eval_use(s->eval, &cfg, err));
    s->eval_row = row;
    return DF_OK;
}

/* The single evaluation of a strategy on fixed hardware, as a descent that ends where it starts. */
static df_status evaluate_once(df_eval *eval, df_descent *out, df_err *err)
{
    df_eval_result r;
    const df_point *const point = df_eval_template(eval);
    df_eval_point(eval, point, &r);
    DF_TRY(df_eval_failure(eval, err));
    const bool works = r.shortfall == 0;
    memset(out, 0, sizeof *out);
    out->status = works ? DF_SEARCH_CONVERGED : DF_SEARCH_INFEASIBLE;
    out->evaluations = 1;
    out->start_time_s = r.time_s;
    out->best_time_s = works ? r.time_s : HUGE_VAL;
    out->best_value = works ? r.value : HUGE_VAL;
    out->memory_overflow = r.memory_overflow;
    out->metrics = r.metrics;
    out->start = *point;
    out->best = *point;
    return DF_OK;
}

/* Keeps the iterate if iterates are kept, and lets the ranks talk. */
static bool on_iterate(void *ctx, const df_iterate *iterate)
{
    sweep *const s = ctx;
    if (s->num_iterates < s->trajectory_rows) {
        s->iterates[s->num_iterates++] = *iterate;
    }
    return df_dist_poll(s->dist);
}

/* With several objectives each descent weighs them differently, so that together they find the
 * Pareto set; what it found is ranked with equal weights. */
static df_status
descend(sweep *s, uint32_t index, const df_point *start, df_descent *found, df_err *err)
{
    const df_grad_watch watch = {on_iterate, s};
    const df_sweep_options *const o = &s->plan->options;
    if (o->eval.goals.count < 2) {
        return df_grad_descend(s->eval, &o->descent, start, &watch, found, err);
    }
    double weight[DF_GOALS];
    DF_TRY(df_grad_weights(index, weight, err));
    df_eval_weigh(s->eval, weight);
    DF_TRY(df_grad_descend(s->eval, &o->descent, start, &watch, found, err));
    if (isfinite(found->best_value)) {
        double equal[DF_GOALS];
        for (int goal = 0; goal < DF_GOALS; goal++) {
            equal[goal] = 1;
        }
        found->best_value =
            df_goals_mean(&o->eval.goals, equal, found->best_time_s, &found->metrics);
    }
    return DF_OK;
}

/* Fills in what follows from the number of an item: which search it is. */
static void identify(const sweep *s, int64_t item, df_store_search *search)
{
    const df_sweep_options *const o = &s->plan->options;
    memset(search, 0, sizeof *search);
    search->work_id = item;
    search->strategy_id = s->plan->searched[item / o->num_search];
    search->index = o->first_index + (int32_t)(item % o->num_search);
}

static df_status do_search(sweep *s, df_store_search *search, df_err *err)
{
    const df_sweep_options *const o = &s->plan->options;
    const uint32_t index = (uint32_t)search->index;
    df_point start;
    DF_TRY(prepare_row(s, search->strategy_id, err));
    s->num_iterates = 0;
    if (o->eval.fix_hardware) {
        return evaluate_once(s->eval, &search->descent, err);
    }
    DF_TRY(df_grad_start(s->eval, &o->descent, index, &start, err));
    return descend(s, index, &start, &search->descent, err);
}

static df_status work(void *ctx, int64_t item, void *out, df_err *err)
{
    sweep *const s = ctx;
    result *const r = out;
    df_store_search search;
    identify(s, item, &search);
    DF_TRY(do_search(s, &search, err));
    r->evaluations = search.descent.evaluations;
    r->best_value = search.descent.best_value;
    df_store_pack(&search, s->iterates, s->num_iterates, s->trajectory_rows, r->entry);
    return DF_OK;
}

static size_t result_bytes(const sweep *s)
{
    return sizeof(result) + df_store_entry_bytes(s->trajectory_rows);
}

/* ---- Rank 0 ---- */

static bool is_done(const sweep *s, int64_t item)
{
    return (s->done[item / 8] >> (item % 8) & 1) != 0;
}

static bool skip(void *ctx, int64_t item)
{
    return is_done(ctx, item);
}

static void note_best(sweep *s, double value)
{
    double *const best = &s->progress.best_value;
    if (isfinite(value) && (*best == 0 || value < *best)) {
        *best = value;
    }
}

static df_status sink(void *ctx, int64_t item, const void *in, df_err *err)
{
    sweep *const s = ctx;
    const result *const r = in;
    (void)item;
    s->progress.done++;
    s->progress.evaluations += r->evaluations;
    note_best(s, r->best_value);
    return df_store_put(s->store, r->entry, err);
}

static df_status sync_store(sweep *s, df_err *err)
{
    const df_store_account spent = {s->progress.evaluations, df_clock_s() - s->begin_s};
    return df_store_sync(s->store, &spent, err);
}

static df_status tick(void *ctx, df_err *err)
{
    sweep *const s = ctx;
    const double now_s = df_clock_s();
    if (s->watch->progress) {
        s->watch->progress(s->watch->ctx, &s->progress);
    }
    /* half of it: what the disk takes for that is on top */
    if (now_s - s->synced_s < s->watch->flush_s / 2) {
        return df_store_flush(s->store, err);
    }
    s->synced_s = now_s;
    return sync_store(s, err);
}

static bool interrupted(void *ctx)
{
    const sweep *const s = ctx;
    return s->watch->interrupted && s->watch->interrupted(s->watch->ctx);
}

/* Calls `visit` for each row of /searches. */
static df_status visit_rows(df_store *store,
                            int64_t rows,
                            void (*visit)(void *ctx, const df_store_search *search),
                            void *ctx,
                            df_err *err)
{
    df_store_search *const chunk = malloc(CHUNK_ROWS * sizeof *chunk);
    df_status status = DF_OK;
    if (!chunk) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t first = 0; status == DF_OK && first < rows; first += CHUNK_ROWS) {
        const int64_t count = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
        status = df_store_get(store, first, count, chunk, err);
        for (int64_t i = 0; status == DF_OK && i < count; i++) {
            visit(ctx, &chunk[i]);
        }
    }
    free(chunk);
    return status;
}

static bool in_part(const sweep *s, int64_t item)
{
    const int64_t row = item / s->plan->options.num_search;
    return s->watch->parts == 0 || row % s->watch->parts == s->watch->part;
}

/* Other parts need not be done either. */
static void note_done(void *ctx, const df_store_search *search)
{
    sweep *const s = ctx;
    const bool mine = in_part(s, search->work_id);
    s->progress.descents += mine;
    if (!mine || search->descent.status != DF_SEARCH_PENDING) {
        s->done[search->work_id / 8] |= (uint8_t)(1U << (search->work_id % 8));
    }
    if (mine && search->descent.status != DF_SEARCH_PENDING) {
        s->progress.done++;
        s->progress.done_before++;
        note_best(s, search->descent.best_value);
    }
}

static df_status read_done(sweep *s, df_err *err)
{
    const int64_t descents = df_sweep_descents(s->plan);
    s->progress.descents = 0;
    s->done = calloc((size_t)(descents / 8 + 1), 1);
    if (!s->done) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    return visit_rows(s->store, descents, note_done, s, err);
}

/* ---- Public ---- */

static double beat_s(const sweep *s)
{
    const double wanted_s = s->watch->flush_s / 8;
    return wanted_s < BEAT_LEAST_S ? BEAT_LEAST_S : wanted_s > BEAT_MOST_S ? BEAT_MOST_S : wanted_s;
}

static df_status run_job(sweep *s, df_err *err)
{
    const df_dist_job job = {.num_items = df_sweep_descents(s->plan),
                             .result_bytes = result_bytes(s),
                             .work = work,
                             .skip = skip,
                             .sink = sink,
                             .tick = tick,
                             .interrupted = interrupted,
                             .beat_s = beat_s(s),
                             .ctx = s};
    return df_dist_run(s->dist, &job, err);
}

/* What this rank needs before it can work. */
static df_status begin(sweep *s, df_err *err)
{
    df_store_plan rows;
    df_sweep_store_plan(s->plan, &rows);
    s->trajectory_rows = rows.trajectory_rows;
    s->iterates = calloc((size_t)s->trajectory_rows + 1, sizeof *s->iterates);
    if (!s->iterates) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    return df_dist_rank(s->dist) == 0 ? read_done(s, err) : DF_OK;
}

/* On rank 0, however the run ended, everything that was finished goes to the disk. */
static df_status settle(sweep *s, df_status status, df_err *err)
{
    df_err failed;
    if (status == DF_OK) {
        status = df_store_write_pareto(s->store, err);
    }
    const df_status synced = sync_store(s, &failed);
    if (synced != DF_OK && (status == DF_OK || status == DF_EINTERRUPTED)) {
        return df_fail(err, synced, "%s", failed.text);
    }
    return status;
}

df_status df_sweep_run(const df_sweep_plan *plan,
                       df_dist *dist,
                       df_store *store,
                       const df_sweep_watch *watch,
                       df_err *err)
{
    sweep s = {.plan = plan, .watch = watch, .dist = dist, .eval_row = -1, .store = store};
    df_status status = begin(&s, err);
    s.begin_s = df_clock_s();
    s.synced_s = s.begin_s;
    if (df_dist_agree(dist, (int)status) == DF_OK) {
        status = run_job(&s, err);
    } else if (status == DF_OK) {
        status = df_fail(err, DF_ERUNTIME, "another rank cannot begin");
    }
    if (df_dist_rank(dist) == 0) {
        if (watch->progress) {
            watch->progress(watch->ctx, &s.progress);
        }
        status = settle(&s, status, err);
    }
    df_eval_free(s.eval);
    free(s.iterates);
    free(s.done);
    return status;
}

/* A list of the best, best first. */
typedef struct {
    df_store_search *best;
    int32_t most, count;
} ranking;

/* Where the row of this strategy is in the list, or the list's end. */
static int32_t find_row(const ranking *r, int32_t strategy_id)
{
    int32_t at = 0;
    while (at < r->count && r->best[at].strategy_id != strategy_id) {
        at++;
    }
    return at;
}

/* Takes the search into the list, if it is better than another of its row, or than the
 * last of a full list. Searches come in the order of their work_id, so the first of equal
 * ones stays. */
static void rank_search(void *ctx, const df_store_search *search)
{
    ranking *const r = ctx;
    if (search->descent.status == DF_SEARCH_PENDING || !isfinite(search->descent.best_value)) {
        return;
    }
    if (r->count == r->most &&
        !(search->descent.best_value < r->best[r->most - 1].descent.best_value)) {
        return; /* most of a long file; lists may be long too */
    }
    int32_t place = find_row(r, search->strategy_id); /* the place that becomes free */
    const bool room = place == r->count && r->count < r->most;
    place = place == r->most ? r->most - 1 : place;
    if (!room && !(search->descent.best_value < r->best[place].descent.best_value)) {
        return;
    }
    r->count += room;
    while (place > 0 && search->descent.best_value < r->best[place - 1].descent.best_value) {
        r->best[place] = r->best[place - 1];
        place--;
    }
    r->best[place] = *search;
}

df_status df_sweep_best(const df_sweep_plan *plan,
                        df_store *store,
                        int32_t most,
                        df_store_search *best,
                        int32_t *count,
                        df_err *err)
{
    ranking r = {best, most, 0};
    memset(best, 0, (size_t)most * sizeof *best);
    DF_TRY(visit_rows(store, df_sweep_descents(plan), rank_search, &r, err));
    *count = r.count;
    return DF_OK;
}

df_status
df_sweep_calibrate(const df_sweep_plan *plan, double seconds, double *descent_s, df_err *err)
{
    const df_sweep_watch nobody = {NULL, NULL, NULL, 0, 0, 0};
    const int64_t descents = df_sweep_descents(plan);
    sweep s = {.plan = plan, .watch = &nobody, .eval_row = -1};
    s.dist = df_dist_serial();
    result *const r = malloc(result_bytes(&s));
    if (!s.dist || !r) {
        df_dist_fini(s.dist);
        free(r);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = DF_OK;
    const double begin_s = df_clock_s();
    int64_t done = 0;
    /* golden section steps spread any number of samples evenly */
    const double golden = 0.6180339887498949;
    while (status == DF_OK && done < descents && (done == 0 || df_clock_s() - begin_s < seconds)) {
        const double at = golden * (double)done;
        status = work(&s, (int64_t)((at - floor(at)) * (double)descents), r, err);
        done++;
    }
    *descent_s = done > 0 ? (df_clock_s() - begin_s) / (double)done : 0;
    df_eval_free(s.eval);
    free(r);
    df_dist_fini(s.dist);
    return status;
}
