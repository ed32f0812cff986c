/* GSL's minimisers, in the coordinates of grad_space.c. */
#include <math.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_multimin.h>

#include "grad/grad_impl.h"

/* The model counts units (MCUs, banks, links), so its slopes are those of a staircase, and the
 * differences must span several steps. Each round starts again from the best point, with smaller
 * differences. */
static const double FIRST_DIFFERENCE = 0.1;
static const double LEAST_DIFFERENCE = 0.003;
static const double FIRST_STEP = 0.3;
static const double LINE_TOLERANCE = 0.1;
static const double SMALL_SIMPLEX = 1e-3;
static const double WORTH_A_ROUND = 1e-4; /* relative gain */

typedef struct {
    df_run *run;
    double difference; /* half the width of a central difference */
    size_t dimensions;
    gsl_vector *moved;     /* room for a point beside another */
    df_point at;           /* the last point that was evaluated, */
    df_eval_result result; /* and what came out */
} problem;

/* ---- Coordinates ---- */

static void to_point(const df_eval *eval, const gsl_vector *x, df_point *point)
{
    double at[DF_PARAMS] = {0};
    for (size_t i = 0; i < x->size; i++) {
        at[i] = gsl_vector_get(x, i);
    }
    df_space_point(eval, at, point);
}

static void from_point(const df_eval *eval, const df_point *point, gsl_vector *x)
{
    double at[DF_PARAMS] = {0};
    df_space_vector(eval, point, at);
    for (size_t i = 0; i < x->size; i++) {
        gsl_vector_set(x, i, at[i]);
    }
}

/* ---- Functions as GSL wants them ---- */

static double evaluate(problem *p, const gsl_vector *x)
{
    to_point(p->run->eval, x, &p->at);
    df_run_try(p->run, &p->at, &p->result);
    return df_run_objective(&p->result);
}

/* A line search may take a hundred evaluations with their slopes: when there are no more to
 * spend, it gets no numbers and gives up. */
static double value(const gsl_vector *x, void *params)
{
    return df_run_spent(((const problem *)params)->run) ? (double)GSL_NAN : evaluate(params, x);
}

/* Central difference; beside a cliff the difference on the near side alone. */
static double slope(double below, double here, double above, double h)
{
    if (df_run_works(here) && !df_run_works(below)) {
        return df_run_works(above) ? (above - here) / h : 0;
    }
    if (df_run_works(here) && !df_run_works(above)) {
        return (here - below) / h;
    }
    return (above - below) / (2 * h);
}

static void value_and_slopes(const gsl_vector *x, void *params, double *f, gsl_vector *g)
{
    problem *const p = params;
    gsl_vector *const moved = p->moved;
    gsl_vector_memcpy(moved, x);
    *f = value(x, params);
    const df_point at = p->at;
    const df_eval_result result = p->result;
    for (size_t i = 0; i < p->dimensions; i++) {
        const double xi = gsl_vector_get(x, i);
        gsl_vector_set(moved, i, xi + p->difference);
        const double above = value(moved, params);
        gsl_vector_set(moved, i, xi - p->difference);
        const double below = value(moved, params);
        gsl_vector_set(moved, i, xi);
        gsl_vector_set(g, i, slope(below, *f, above, p->difference));
    }
    p->at = at;
    p->result = result;
}

static void slopes(const gsl_vector *x, void *params, gsl_vector *g)
{
    double f;
    value_and_slopes(x, params, &f, g);
}

/* ---- Rounds ---- */

/* Reports the minimiser's own point, which may not be the last one evaluated. */
static df_status report(problem *p, const gsl_vector *x, df_err *err)
{
    df_run *const run = p->run;
    evaluate(p, x);
    return df_run_report(run, run->out->iterations + 1, &p->at, &p->result)
               ? DF_OK
               : df_fail(err, DF_EINTERRUPTED, "stopped");
}

static bool may_go_on(const problem *p)
{
    return !df_run_spent(p->run) && p->run->out->iterations < p->run->max_iterations;
}

static const gsl_multimin_fdfminimizer_type *gradient_type(df_optimizer optimizer)
{
    switch (optimizer) {
    case DF_OPT_BFGS2:
        return gsl_multimin_fdfminimizer_vector_bfgs2;
    case DF_OPT_CONJUGATE_FR:
        return gsl_multimin_fdfminimizer_conjugate_fr;
    default:
        return gsl_multimin_fdfminimizer_steepest_descent;
    }
}

/* Descends from x, and leaves the minimiser's last point there. */
static df_status gradient_round(problem *p, gsl_vector *x, df_err *err)
{
    gsl_multimin_function_fdf f = {value, slopes, value_and_slopes, p->dimensions, p};
    gsl_multimin_fdfminimizer *const m =
        gsl_multimin_fdfminimizer_alloc(gradient_type(p->run->options->optimizer), p->dimensions);
    if (!m) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = DF_OK;
    int going = gsl_multimin_fdfminimizer_set(m, &f, x, FIRST_STEP, LINE_TOLERANCE);
    while (status == DF_OK && going == GSL_SUCCESS && may_go_on(p)) {
        going = gsl_multimin_fdfminimizer_iterate(m); /* GSL_ENOPROG ends the round */
        if (going == GSL_SUCCESS) {
            status = report(p, gsl_multimin_fdfminimizer_x(m), err);
        }
    }
    gsl_vector_memcpy(x, gsl_multimin_fdfminimizer_x(m));
    gsl_multimin_fdfminimizer_free(m);
    return status;
}

/* One iterate is a move for each corner, so that iterations cost about as much as those
 * of the other optimizers. */
static df_status simplex_iterate(problem *p, gsl_multimin_fminimizer *m, bool *going, df_err *err)
{
    const size_t moves = p->dimensions + 1;
    for (size_t i = 0; i < moves && *going && !df_run_spent(p->run); i++) {
        *going = gsl_multimin_fminimizer_iterate(m) == GSL_SUCCESS &&
                 gsl_multimin_fminimizer_size(m) > SMALL_SIMPLEX;
    }
    return report(p, gsl_multimin_fminimizer_x(m), err);
}

static df_status simplex_round(problem *p, gsl_vector *x, df_err *err)
{
    gsl_multimin_function f = {value, p->dimensions, p};
    gsl_vector *const steps = gsl_vector_alloc(p->dimensions);
    gsl_multimin_fminimizer *const m =
        gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, p->dimensions);
    df_status status = DF_OK;
    if (steps && m) {
        /* the simplex of a later round shrinks along with the differences */
        gsl_vector_set_all(steps, 5 * p->difference);
        bool going = gsl_multimin_fminimizer_set(m, &f, x, steps) == GSL_SUCCESS;
        while (status == DF_OK && going && may_go_on(p)) {
            status = simplex_iterate(p, m, &going, err);
        }
        gsl_vector_memcpy(x, gsl_multimin_fminimizer_x(m));
    } else {
        status = df_fail(err, DF_ENOMEM, "out of memory");
    }
    gsl_multimin_fminimizer_free(m); /* like gsl_vector_free, it accepts NULL */
    gsl_vector_free(steps);
    return status;
}

static df_status one_round(problem *p, gsl_vector *x, df_err *err)
{
    return p->run->options->optimizer == DF_OPT_NMSIMPLEX2 ? simplex_round(p, x, err)
                                                           : gradient_round(p, x, err);
}

/* ---- Starts that do not work ---- */

/* Mixes the start with more and more of equal shares, until something works. Returns
 * whether it does; x holds the last mixture. */
static bool mix_until_it_works(problem *p, gsl_vector *x)
{
    enum { MIXTURES = 8 };
    for (int i = 1; i <= MIXTURES; i++) {
        /* in these coordinates, equal shares are the origin */
        from_point(p->run->eval, &p->run->out->start, x);
        gsl_vector_scale(x, 1 - (double)i / MIXTURES);
        if (df_run_works(evaluate(p, x))) {
            return true;
        }
    }
    return false;
}

/* Runs rounds until they gain nothing, from the best point on. */
static df_status all_rounds(problem *p, gsl_vector *x, df_err *err)
{
    df_descent *const out = p->run->out;
    while (p->difference >= LEAST_DIFFERENCE && may_go_on(p)) {
        const double before = out->best_value;
        DF_TRY(one_round(p, x, err));
        if (isfinite(out->best_time_s)) {
            from_point(p->run->eval, &out->best, x);
        }
        if (!(out->best_value < before * (1 - WORTH_A_ROUND))) {
            p->difference /= 3;
        }
    }
    out->status = may_go_on(p) ? DF_SEARCH_CONVERGED : DF_SEARCH_ITERATIONS;
    return DF_OK;
}

df_status df_descend_gsl(df_run *run, df_err *err)
{
    problem p = {.run = run,
                 .difference = FIRST_DIFFERENCE,
                 .dimensions = (size_t)df_space_dimensions(run->eval)};
    gsl_vector *const x = gsl_vector_alloc(p.dimensions);
    p.moved = gsl_vector_alloc(p.dimensions);
    if (!x || !p.moved) {
        gsl_vector_free(x);
        gsl_vector_free(p.moved);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    from_point(run->eval, &run->out->start, x);
    if (!df_run_works(evaluate(&p, x))) {
        mix_until_it_works(&p, x);
    }
    const df_status status = all_rounds(&p, x, err);
    gsl_vector_free(x);
    gsl_vector_free(p.moved);
    return status;
}
