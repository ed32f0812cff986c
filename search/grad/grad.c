#include "grad/grad.h"

#include <math.h>
#include <string.h>

#include "base/mt19937.h"
#include "base/nearest.h"
#include "grad/grad_impl.h"

const char *const df_optimizer_names[DF_OPTIMIZERS] = {"reference", "vector_bfgs2", "conjugate_fr",
                                                       "steepest_descent", "nmsimplex2"};

const char *const df_search_status_names[] = {"pending", "converged", "iterations", "stopped",
                                              "infeasible"};

df_status df_optimizer_parse(const char *text, df_optimizer *out, df_err *err)
{
    for (int i = 0; i < DF_OPTIMIZERS; i++) {
        if (strcmp(df_optimizer_names[i], text) == 0) {
            *out = (df_optimizer)i;
            return DF_OK;
        }
    }
    const int near = df_nearest(text, df_optimizer_names, DF_OPTIMIZERS, sizeof(char *));
    return df_fail(err, DF_EINVAL,
                   "--optimizer: expected reference, vector_bfgs2, conjugate_fr, "
                   "steepest_descent or nmsimplex2%s%s%s, found %s",
                   near >= 0 ? " (did you mean " : "", near >= 0 ? df_optimizer_names[near] : "",
                   near >= 0 ? "?)" : "", text);
}

/* ---- Starting points ---- */

/* A number from 1 to 99 that is not among the `count` drawn ones, as CPython's
 * random.sample(range(1, 100), k) finds it: 7 bits, and again if that is no good. */
static int draw(df_mt19937 *mt, const int *drawn, int count)
{
    for (;;) {
        const int value = (int)(df_mt_next(mt) >> 25) + 1;
        bool taken = value > 99;
        for (int i = 0; i < count; i++) {
            taken = taken || drawn[i] == value;
        }
        if (!taken) {
            return value;
        }
    }
}

void df_grad_start(const df_eval *eval, uint32_t index, df_point *start)
{
    const bool *const searched = df_eval_searched(eval);
    df_mt19937 mt;
    df_mt_init_by_array(&mt, &index, 1);
    *start = *df_eval_template(eval);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        int drawn[DF_PARAMS] = {0};
        int count = 0;
        int sum = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            if (searched[i]) {
                drawn[count] = draw(&mt, drawn, count);
                sum += drawn[count++];
            }
        }
        int next = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            if (searched[i]) {
                start->p[i] = (double)drawn[next++] / sum * df_eval_budget(eval, klass);
            }
        }
    }
}

/* ---- What all descents share ---- */

void df_run_try(df_run *run, const df_point *point, df_eval_result *result)
{
    df_eval_point(run->eval, point, result);
    if (result->shortfall == 0 && result->value < run->out->best_value) {
        run->out->best_value = result->value;
        run->out->best_time_s = result->time_s;
        run->out->memory_overflow = result->memory_overflow;
        run->out->metrics = result->metrics;
        run->out->best = *point;
    }
}

bool df_run_report(df_run *run, int32_t iteration, const df_point *point, const df_eval_result *r)
{
    const df_iterate iterate = {iteration, *r, *point};
    run->out->iterations = iteration;
    return !run->watch || run->watch->on_iterate(run->watch->ctx, &iterate);
}

double df_run_objective(const df_eval_result *result)
{
    /* above the logarithm of any time that anybody waits for, or of what else is sought */
    const double out_of_reach = 1e3;
    return result->shortfall > 0 ? out_of_reach * (1 + result->shortfall) : log(result->value);
}

df_status df_grad_descend(df_eval *eval,
                          const df_grad_options *options,
                          const df_point *start,
                          const df_grad_watch *watch,
                          df_descent *out,
                          df_err *err)
{
    df_eval_result result;
    const int64_t before = df_eval_count(eval);
    df_run run = {eval, options, options->max_iterations, watch, out};
    run.max_iterations = run.max_iterations > 0 ? run.max_iterations : DF_GRAD_ITERATIONS;
    memset(out, 0, sizeof *out);
    out->start = *start;
    out->best = *start;
    out->best_time_s = HUGE_VAL;
    out->best_value = HUGE_VAL;
    df_run_try(&run, start, &result);
    out->start_time_s = result.time_s;
    df_status status = DF_OK;
    if (!df_run_report(&run, 0, start, &result)) {
        status = df_fail(err, DF_EINTERRUPTED, "stopped");
    } else if (options->optimizer == DF_OPT_REFERENCE) {
        status = df_descend_reference(&run, err);
    } else {
        status = df_descend_gsl(&run, err);
    }
    out->evaluations = df_eval_count(eval) - before;
    if (isinf(out->best_time_s)) {
        out->status = DF_SEARCH_INFEASIBLE;
        out->memory_overflow = result.memory_overflow;
        out->metrics = result.metrics;
    }
    return status;
}

int64_t df_grad_max_evaluations(const df_grad_options *options, int searched)
{
    const int iterations =
        options->max_iterations > 0 ? options->max_iterations : DF_GRAD_ITERATIONS;
    return 1 + (int64_t)iterations * (searched + 2);
}
