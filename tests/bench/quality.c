/* quality.c: how good the designs are that optimizers find, on a fixed set of problems, by
 * evaluations spent; and how far from the optimum they end, where that can be found by trying
 * all. Prints two tables in Markdown and leaves quality.csv, all curves, in the folder that it is
 * called with (analysis/quality.py draws them). A second word, full or reduced, leaves the other
 * table out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>

#include "base/clock.h"
#include "bench/quality_set.h"
#include "grad/grad.h"

/* The Python DeepFlow's budget: 100 starts of 1,901 evaluations; and a tenth of it. */
enum { REFERENCE_BUDGET = 190100, BUDGET = REFERENCE_BUDGET / 10 };
enum { MARKS = 23 };

static _Noreturn void stop(const char *what, const df_err *err)
{
    fprintf(stderr, "quality: %s: %s\n", what, err->text);
    exit(1);
}

/* ---- One optimizer on one problem ---- */

typedef struct {
    const char *name;
    df_optimizer optimizer;
    df_start_kind starts;
    int64_t budget;
} contender;

static const contender contenders[] = {
    {"reference", DF_OPT_REFERENCE, DF_START_RANDOM, REFERENCE_BUDGET},
    {"steepest_descent", DF_OPT_STEEPEST, DF_START_RANDOM, BUDGET},
    {"conjugate_fr", DF_OPT_CONJUGATE_FR, DF_START_RANDOM, BUDGET},
    {"vector_bfgs2", DF_OPT_BFGS2, DF_START_RANDOM, BUDGET},
    {"nmsimplex2", DF_OPT_NMSIMPLEX2, DF_START_RANDOM, BUDGET},
    {"nmsimplex2, sobol", DF_OPT_NMSIMPLEX2, DF_START_SOBOL, BUDGET},
    {"cma", DF_OPT_CMA, DF_START_SOBOL, BUDGET},
};
enum { CONTENDERS = sizeof contenders / sizeof contenders[0] };

/* The best so far when so many evaluations, 100 * sqrt(2)^i, were made. */
typedef struct {
    double at[MARKS];
    int passed;
    double best;
    int64_t spent; /* before the descent at hand */
    const df_eval *eval;
    int64_t begin; /* count of the evaluations then */
} curve;

static double mark(int i)
{
    return 100 * pow(2, i / 2.0);
}

static void note(curve *c, int64_t evaluations)
{
    while (c->passed < MARKS && (double)evaluations >= mark(c->passed)) {
        c->at[c->passed++] = c->best;
    }
}

static bool watch(void *ctx, const df_iterate *iterate)
{
    curve *const c = ctx;
    note(c, c->spent + df_eval_count(c->eval) - c->begin);
    if (iterate->result.shortfall == 0) {
        c->best = fmin(c->best, iterate->result.value);
    }
    return true;
}

/* Descents from start 0 on, as many as the budget has room for. */
static curve compete(const contender *who, const df_quality_problem *problem, df_eval *eval)
{
    df_err err;
    curve c = {.best = HUGE_VAL, .eval = eval};
    const df_grad_options options = {who->optimizer, 0, who->starts};
    int searched = 0;
    for (int i = 0; i < DF_PARAMS; i++) {
        searched += df_eval_searched(eval)[i];
    }
    const int64_t most = df_grad_max_evaluations(&options, searched);
    for (uint32_t index = 0; c.spent + most <= who->budget; index++) {
        const df_grad_watch watching = {watch, &c};
        df_point start;
        df_descent d;
        c.begin = df_eval_count(eval);
        if (df_grad_start(eval, &options, index, &start, &err) != DF_OK ||
            df_grad_descend(eval, &options, &start, &watching, &d, &err) != DF_OK) {
            stop(problem->name, &err);
        }
        c.spent += d.evaluations;
        c.best = fmin(c.best, d.best_value);
        note(&c, c.spent);
    }
    return c;
}

/* ---- The optimum of a problem of few dimensions ---- */

enum { GRID = 72, ZOOM_GRID = 9, ZOOMS = 7, KEPT = 24, DIMENSIONS = 3 };

/* A place in the cube: what each parameter takes of what those before it of its class leave;
 * the last of a class takes the rest. */
typedef struct {
    double u[DIMENSIONS];
    double value;
} place;

static int point_of(const df_eval *eval, const double *u, df_point *point)
{
    const bool *const searched = df_eval_searched(eval);
    int used = 0;
    *point = *df_eval_template(eval);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        double left = df_eval_budget(eval, klass);
        int last = -1;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            last = searched[i] ? i : last;
        }
        for (int i = df_class_begin[klass]; i <= last; i++) {
            if (searched[i]) {
                point->p[i] = i == last ? left : left * u[used++];
                left -= point->p[i];
            }
        }
    }
    return used;
}

static void keep(place *kept, const place *found)
{
    int at = KEPT;
    while (at > 0 && found->value < kept[at - 1].value) {
        at--;
    }
    if (at < KEPT) {
        memmove(kept + at + 1, kept + at, (size_t)(KEPT - 1 - at) * sizeof *kept);
        kept[at] = *found;
    }
}

/* Tries a grid of cells around a centre; the best go to `kept`. */
static void
try_grid(df_eval *eval, const double *centre, double half, int cells, int dims, place *kept)
{
    int total = 1;
    for (int d = 0; d < dims; d++) {
        total *= cells;
    }
    for (int n = 0; n < total; n++) {
        place p = {.value = 0};
        df_point point;
        df_eval_result r;
        int rest = n;
        bool inside = true;
        for (int d = 0; d < dims; d++) {
            p.u[d] = centre[d] + half * ((2.0 * (rest % cells) + 1) / cells - 1);
            inside = inside && p.u[d] > 0 && p.u[d] < 1;
            rest /= cells;
        }
        if (inside) {
            point_of(eval, p.u, &point);
            df_eval_point(eval, &point, &r);
            p.value = r.shortfall == 0 ? r.value : HUGE_VAL;
            keep(kept, &p);
        }
    }
}

static double brute_force(df_eval *eval)
{
    const double middle[DF_PARAMS] = {0.5, 0.5, 0.5};
    place kept[KEPT];
    df_point point;
    const int dims = point_of(eval, middle, &point);
    for (int i = 0; i < KEPT; i++) {
        kept[i] = (place){.value = HUGE_VAL};
    }
    /* fewer dimensions, finer cells */
    const int cells = dims == 2 ? 600 : GRID;
    double half = 0.5;
    try_grid(eval, middle, half, cells, dims, kept);
    half *= 1.5 / cells;
    for (int zoom = 0; zoom < ZOOMS; zoom++) {
        place around[KEPT];
        memcpy(around, kept, sizeof around);
        for (int i = 0; i < KEPT && isfinite(around[i].value); i++) {
            try_grid(eval, around[i].u, half, ZOOM_GRID, dims, kept);
        }
        half *= 3.0 / ZOOM_GRID;
    }
    return kept[0].value;
}

/* ---- Tables ---- */

static void
write_curve(FILE *csv, const char *set, const char *problem, const char *who, const curve *c)
{
    for (int i = 0; i < c->passed; i++) {
        fprintf(csv, "%s,\"%s\",\"%s\",%.0f,%.17g\n", set, problem, who, mark(i), c->at[i]);
    }
    fprintf(csv, "%s,\"%s\",\"%s\",%lld,%.17g\n", set, problem, who, (long long)c->spent, c->best);
}

static void print_head(const char *first)
{
    printf("\n| problem | %s |", first);
    for (int k = 1; k < CONTENDERS; k++) {
        printf(" %s |", contenders[k].name);
    }
    printf("\n|---|");
    for (int k = 0; k < CONTENDERS; k++) {
        printf("---:|");
    }
    putchar('\n');
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A last row: the median of each column. */
static void print_medians(double gaps[][64], int first, int count)
{
    printf("| median |%s", first > 0 ? " |" : "");
    for (int k = first; k < CONTENDERS; k++) {
        qsort(gaps[k], (size_t)count, sizeof gaps[k][0], compare);
        const double median = (gaps[k][(count - 1) / 2] + gaps[k][count / 2]) / 2;
        printf(" %+.2f |", 100 * median);
    }
    putchar('\n');
}

static void compare_all(FILE *csv)
{
    static double gaps[CONTENDERS][64];
    int reached = 0;
    int64_t spent = 0;
    print_head("reference (s)");
    for (int i = 0; i < df_num_quality_problems; i++) {
        const df_quality_problem *const p = &df_quality_problems[i];
        df_eval *eval;
        df_err err;
        double reference = 0;
        if (df_quality_open(p, &eval, &err) != DF_OK) {
            stop(p->name, &err);
        }
        printf("| %s |", p->name);
        for (int k = 0; k < CONTENDERS; k++) {
            const curve c = compete(&contenders[k], p, eval);
            write_curve(csv, "full", p->name, contenders[k].name, &c);
            if (k == 0) {
                reference = c.best;
                printf(" %.6g |", reference);
                continue;
            }
            gaps[k][i] = c.best / reference - 1;
            printf(" %+.3f |", 100 * gaps[k][i]);
            if (contenders[k].optimizer == DF_OPT_CMA) {
                reached += c.best <= reference;
                spent = c.spent > spent ? c.spent : spent;
            }
        }
        putchar('\n');
        fflush(stdout);
        df_eval_free(eval);
    }
    print_medians(gaps, 1, df_num_quality_problems);
    printf("\ncma reaches the reference rule's time on %d of %d problems, with %lld evaluations at "
           "the most.\n",
           reached, df_num_quality_problems, (long long)spent);
}

static void compare_reduced(FILE *csv)
{
    static double gaps[CONTENDERS][64];
    print_head("optimum (s) | reference");
    for (int i = 0; i < df_num_quality_reduced; i++) {
        const df_quality_problem *const p = &df_quality_reduced[i];
        df_eval *eval;
        df_err err;
        if (df_quality_open(p, &eval, &err) != DF_OK) {
            stop(p->name, &err);
        }
        const double optimum = brute_force(eval);
        const curve all = {.best = optimum, .spent = df_eval_count(eval)};
        write_curve(csv, "reduced", p->name, "brute force", &all);
        printf("| %s | %.6g |", p->name, optimum);
        for (int k = 0; k < CONTENDERS; k++) {
            const curve c = compete(&contenders[k], p, eval);
            write_curve(csv, "reduced", p->name, contenders[k].name, &c);
            gaps[k][i] = c.best / optimum - 1;
            printf(" %+.3f |", 100 * gaps[k][i]);
        }
        putchar('\n');
        fflush(stdout);
        df_eval_free(eval);
    }
    printf("| median | |");
    for (int k = 0; k < CONTENDERS; k++) {
        qsort(gaps[k], (size_t)df_num_quality_reduced, sizeof gaps[k][0], compare);
        printf(" %+.3f |", 100 * gaps[k][df_num_quality_reduced / 2]);
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    char path[4096];
    gsl_set_error_handler_off();
    snprintf(path, sizeof path, "%s/quality.csv", argc > 1 ? argv[1] : ".");
    FILE *const csv = fopen(path, "w");
    if (!csv) {
        perror(path);
        return 1;
    }
    fputs("set,problem,optimizer,evaluations,best\n", csv);
    if (argc < 3 || strcmp(argv[2], "full") == 0) {
        compare_all(csv);
    }
    if (argc < 3 || strcmp(argv[2], "reduced") == 0) {
        compare_reduced(csv);
    }
    return fclose(csv) == 0 ? 0 : 1;
}
