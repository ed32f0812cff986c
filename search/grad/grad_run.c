/* What all descents share. */
#include <math.h>

#include "grad/grad_impl.h"

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

df_status
df_run_report_now(df_run *run, const df_point *point, const df_eval_result *r, df_err *err)
{
    if (df_eval_count(run->eval) < run->next_report) {
        return DF_OK;
    }
    run->next_report += run->every;
    return df_run_report(run, run->out->iterations + 1, point, r)
               ? DF_OK
               : df_fail(err, DF_EINTERRUPTED, "stopped");
}

bool df_run_spent(const df_run *run)
{
    return df_eval_count(run->eval) >= run->budget;
}

/* This is above the logarithm of any time that matters to anybody, and of any other goal. */
static const double OUT_OF_REACH = 1e3;

double df_run_objective(const df_eval_result *result)
{
    return result->shortfall > 0 ? OUT_OF_REACH * (1 + result->shortfall) : log(result->value);
}

bool df_run_works(double objective)
{
    return objective < OUT_OF_REACH;
}
