/* val_score.c: errors and rankings. Kendall's tau-b: Kendall, Biometrika 33(3), 1945. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/validate.h"

static bool is_class(const char *metric)
{
    return strcmp(metric, "fits") == 0;
}

/* NAN where there is no prediction. */
static double error_of(const df_val_point *p, int rules)
{
    if (p->skipped[rules]) {
        return NAN;
    }
    if (is_class(p->metric)) {
        return (p->predicted[rules] > 0.5) == (p->measured > 0.5) ? 0.0 : 1.0;
    }
    return (p->predicted[rules] - p->measured) / p->measured;
}

static bool matches(const char *wanted, const char *found)
{
    return !wanted || strcmp(wanted, found) == 0;
}

static bool belongs(const df_val_point *p, const df_val_choice *c)
{
    return matches(c->set, p->set) && matches(c->metric, p->metric) && matches(c->part, p->part) &&
           matches(c->device, p->device) && matches(c->model, p->model);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Takes in one error. */
static void add_error(df_val_errors *e, double *sorted, double error, const char *id)
{
    const double size = fabs(error);
    sorted[e->n++] = size;
    e->bias += error;
    e->mean += size;
    if (e->n == 1 || size > e->worst) {
        e->worst = size;
        e->worst_id = id;
    }
}

static void finish_errors(df_val_errors *e, double *sorted)
{
    if (e->n == 0) {
        e->bias = e->mean = e->median = e->worst = NAN;
        return;
    }
    e->bias /= (double)e->n;
    e->mean /= (double)e->n;
    qsort(sorted, e->n, sizeof *sorted, by_value);
    e->median = 0.5 * (sorted[(e->n - 1) / 2] + sorted[e->n / 2]);
}

/* ---- Rankings ---- */

/* Pairs of a group, by how both orders have them. */
typedef struct {
    double agree, differ, tied_measured, tied_predicted;
} pairs;

static void add_pair(pairs *c, double measured, double predicted)
{
    const double both = measured * predicted;
    c->agree += both > 0;
    c->differ += both < 0;
    c->tied_measured += measured == 0 && predicted != 0;
    c->tied_predicted += predicted == 0 && measured != 0;
}

static double tau_of(const pairs *c)
{
    const double both = c->agree + c->differ;
    const double scale = sqrt((both + c->tied_measured) * (both + c->tied_predicted));
    return scale > 0 ? (c->agree - c->differ) / scale : 0.0;
}

/* The points of one set and metric that have a prediction. */
typedef struct {
    const df_val_point **point;
    size_t count;
    int rules;
} list;

static bool same_group(const df_val_point *a, const df_val_point *b)
{
    return strcmp(a->group, b->group) == 0;
}

/* Adds the group that begins at `first`. */
static void rank_group(const list *l, size_t first, df_val_ranking *out)
{
    const df_val_point *const *const p = l->point;
    pairs c = {0, 0, 0, 0};
    size_t members = 0;
    const df_val_point *fastest = p[first];
    const df_val_point *picked = p[first];
    for (size_t i = first; i < l->count; i++) {
        if (!same_group(p[first], p[i])) {
            continue;
        }
        members++;
        fastest = p[i]->measured < fastest->measured ? p[i] : fastest;
        picked = p[i]->predicted[l->rules] < picked->predicted[l->rules] ? p[i] : picked;
        for (size_t j = i + 1; j < l->count; j++) {
            if (same_group(p[i], p[j])) {
                add_pair(&c, p[i]->measured - p[j]->measured,
                         p[i]->predicted[l->rules] - p[j]->predicted[l->rules]);
            }
        }
    }
    const bool differ = c.agree + c.differ + c.tied_measured > 0; /* else repeats of one strategy */
    if (members >= DF_VAL_GROUP && differ) {
        const double regret = picked->measured / fastest->measured - 1.0;
        out->groups++;
        out->tau += tau_of(&c);
        out->regret += regret;
        out->worst_regret = fmax(out->worst_regret, regret);
    }
}

static void rank(const list *l, df_val_ranking *out)
{
    for (size_t i = 0; i < l->count; i++) {
        bool seen = *l->point[i]->group == '\0';
        for (size_t j = 0; j < i && !seen; j++) {
            seen = same_group(l->point[j], l->point[i]);
        }
        if (!seen) {
            rank_group(l, i, out);
        }
    }
    if (out->groups > 0) {
        out->tau /= (double)out->groups;
        out->regret /= (double)out->groups;
    }
}

/* ---- Both ---- */

static void
score(const df_val_points *points, list *chosen, double *all, double *trusted, df_val_score *out)
{
    for (size_t i = 0; i < points->count; i++) {
        const df_val_point *const p = &points->point[i];
        if (!belongs(p, &out->of)) {
            continue;
        }
        const double error = error_of(p, chosen->rules);
        out->total++;
        if (isnan(error)) {
            out->skipped++;
            continue;
        }
        chosen->point[chosen->count++] = p;
        add_error(&out->all, all, error, p->id);
        if (strcmp(p->quality, "trusted") == 0) {
            add_error(&out->trusted, trusted, error, p->id);
        }
    }
    finish_errors(&out->all, all);
    finish_errors(&out->trusted, trusted);
    if (!out->of.metric || !is_class(out->of.metric)) {
        rank(chosen, &out->ranking);
    }
}

df_status df_val_score_points(const df_val_points *points,
                              const df_val_choice *choice,
                              int rules,
                              df_val_score *out,
                              df_err *err)
{
    const size_t room = points->count + 1;
    double *const all = calloc(2 * room, sizeof *all);
    list chosen = {.point = calloc(room, sizeof(df_val_point *)), .rules = rules};
    if (!all || !chosen.point) {
        free(all);
        free(chosen.point);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    *out = (df_val_score){.of = *choice};
    score(points, &chosen, all, all + room, out);
    free(all);
    free(chosen.point);
    return DF_OK;
}
