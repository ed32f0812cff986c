#include "grad/grad.h"

#include <math.h>
#include <string.h>

#include "base/nearest.h"
#include "grad/grad_impl.h"

const char *const df_optimizer_names[DF_OPTIMIZERS] = {
    "reference", "vector_bfgs2", "conjugate_fr", "steepest_descent", "nmsimplex2", "cma"};

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
                   "steepest_descent, nmsimplex2 or cma%s%s%s, found %s",
                   near >= 0 ? " (did you mean " : "", near >= 0 ? df_optimizer_names[near] : "",
                   near >= 0 ? "?)" : "", text);
}

/* Compares figures; one that is not modelled is NaN in both. */
static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_metrics(const df_eval_metrics *a, const df_eval_metrics *b)
{
    return same(a->energy_j, b->energy_j) && same(a->power_w, b->power_w) &&
           same(a->area_mm2, b->area_mm2) && same(a->memory_bytes, b->memory_bytes) &&
           same(a->tokens_ps, b->tokens_ps);
}

bool df_descent_same_result(const df_descent *a, const df_descent *b)
{
    bool same_point = true;
    for (int i = 0; i < DF_PARAMS; i++) {
        same_point = same_point && same(a->best.p[i], b->best.p[i]);
    }
    return same_point && a->best_value == b->best_value && a->best_time_s == b->best_time_s &&
           same_metrics(&a->metrics, &b->metrics);
}

static int count_searched(const df_eval *eval)
{
    int count = 0;
    for (int i = 0; i < DF_PARAMS; i++) {
        count += df_eval_searched(eval)[i];
    }
    return count;
}

static df_status descend(df_run *run, df_err *err)
{
    switch (run->options->optimizer) {
    case DF_OPT_REFERENCE:
        return df_descend_reference(run, err);
    case DF_OPT_CMA:
        return df_descend_cma(run, err);
    default:
        return df_descend_gsl(run, err);
    }
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
    df_run run = {eval, options, options->max_iterations, before, watch, out, 0, 0};
    run.max_iterations = run.max_iterations > 0 ? run.max_iterations : DF_GRAD_ITERATIONS;
    run.every = count_searched(eval) + 2;
    run.next_report = before + 1 + run.every;
    run.budget += df_grad_max_evaluations(options, count_searched(eval));
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
    } else {
        status = descend(&run, err);
    }
    if (status == DF_OK) {
        status = df_eval_failure(eval, err);
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
