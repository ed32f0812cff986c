/* The end of a descent: whatever no part of the device needs goes to those that can use it. Parts
 * come in whole units (cores, banks, links, stacks), so near an optimum each has a remainder of its
 * budget that is useless by itself, and only several remainders together make a unit. So every
 * parameter of a class shrinks as far as possible without making anything worse, and the budget
 * that this frees goes to one of them or, if that gains nothing, to all of them. */
#include <math.h>

#include "grad/grad_impl.h"

enum { CUTS = 5 };
static const double FIRST_CUT =
    0.2; /* share of a parameter; each further cut is a third of the previous one */
static const double WORTH_A_ROUND = 1e-6;

typedef struct {
    df_run *run;
    df_point at;
    double objective;      /* there */
    df_eval_result result; /* there */
} finish;

static void move_to(finish *f, const df_point *point, const df_eval_result *result)
{
    f->at = *point;
    f->result = *result;
    f->objective = df_run_objective(result);
}

/* Lets a parameter be smaller while nothing gets worse; returns by how much it is. Points
 * with a part of the budget unused are no candidates. */
static double shrink(finish *f, int param)
{
    const double before = f->at.p[param];
    double cut = FIRST_CUT;
    for (int i = 0; i < CUTS && !df_run_spent(f->run); i++) {
        df_point less = f->at;
        df_eval_result result;
        less.p[param] *= 1 - cut;
        df_eval_point(f->run->eval, &less, &result);
        if (df_run_objective(&result) <= f->objective) {
            move_to(f, &less, &result);
        }
        cut /= 3;
    }
    return before - f->at.p[param];
}

/* Gives the free budget of a class to the parameter that gains most from it. */
static bool give_to_one(finish *f, int klass, double freed)
{
    const bool *const searched = df_eval_searched(f->run->eval);
    const df_point base = f->at;
    bool given = false;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        if (searched[i] && !df_run_spent(f->run)) {
            df_point more = base;
            more.p[i] += freed;
            df_eval_result result;
            df_run_try(f->run, &more, &result);
            if (df_run_objective(&result) < f->objective) {
                move_to(f, &more, &result);
                given = true;
            }
        }
    }
    return given;
}

/* Gives the free budget to all parameters of the class, in proportion. */
static void give_to_all(finish *f, int klass, double freed)
{
    const bool *const searched = df_eval_searched(f->run->eval);
    const double budget = df_eval_budget(f->run->eval, klass);
    df_point more = f->at;
    df_eval_result result;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        more.p[i] *= searched[i] ? budget / (budget - freed) : 1;
    }
    df_eval_fit(f->run->eval, &more);
    df_run_try(f->run, &more, &result);
    move_to(f, &more, &result);
}

static void finish_class(finish *f, int klass)
{
    const bool *const searched = df_eval_searched(f->run->eval);
    const finish before = *f;
    double freed = 0;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        freed += searched[i] ? shrink(f, i) : 0;
    }
    if (freed > 0 && !give_to_one(f, klass, freed)) {
        give_to_all(f, klass, freed);
    }
    if (f->objective > before.objective) { /* a larger part need not be a better one */
        *f = before;
    }
}

df_status df_descend_finish(df_run *run, df_err *err)
{
    finish f = {.run = run};
    df_eval_result result;
    double before = HUGE_VAL;
    if (isinf(run->out->best_value) || df_run_spent(run)) {
        return DF_OK; /* no working device was met */
    }
    df_eval_point(run->eval, &run->out->best, &result);
    move_to(&f, &run->out->best, &result);
    while (f.objective < before - WORTH_A_ROUND && !df_run_spent(run)) {
        before = f.objective;
        for (int klass = 0; klass < DF_CLASSES; klass++) {
            finish_class(&f, klass);
            DF_TRY(df_run_report_now(run, &f.at, &f.result, err));
        }
    }
    return DF_OK;
}
