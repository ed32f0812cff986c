/* The Python DeepFlow's descent: a normalised gradient from growing each parameter by half,
 * a step of length 1 in each class, an average over the steps, and renormalisation. */
#include <math.h>

#include "grad/grad_impl.h"

static const double GROWTH = 1.5;
static const double STEP = 1.0;
static const double AVERAGE = 0.9;
static const double FLOOR = 0.01; /* what a parameter that is not above 0 becomes */

/* Computes the slopes of one class; returns their Euclidean norm. */
static double class_slopes(const bool searched[],
                           const df_point *point,
                           double t,
                           const double t_grown[],
                           int klass,
                           double slope[])
{
    double sum = 0;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        const double p = point->p[i];
        const bool flat = !searched[i] || p == 0 || (isinf(t) && isinf(t_grown[i]));
        slope[i] = flat ? 0 : (t_grown[i] - t) / ((GROWTH - 1) * p);
        sum += slope[i] * slope[i];
    }
    return sqrt(sum);
}

/* Where one of the times is infinite, slope / norm is inf / inf: no number, which is not
 * above 0. So the parameter whose growth would help shrinks (rule infinite_start_shrinks). */
static double moved(double p, double slope, double norm)
{
    const double next = norm == 0 ? p - STEP * slope : p - STEP * slope / norm;
    return next > 0 ? next : FLOOR;
}

/* Divides the class's searched parameters so that they sum to the budget. */
static void renormalise(const bool searched[], double budget, int klass, df_point *point)
{
    double sum = 0;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        sum += searched[i] ? point->p[i] : 0;
    }
    const double factor = sum / budget;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        if (searched[i] && factor != 0) {
            point->p[i] /= factor;
        }
    }
}

bool df_reference_step(const bool searched[DF_PARAMS],
                       const double budget[DF_CLASSES],
                       const df_reference_times *times,
                       df_reference_state *state,
                       df_point *point)
{
    static const int dram[DF_CLASSES] = {DF_P_AREA_DRAM, DF_P_POWER_DRAM, DF_P_PERIM_DRAM};
    bool enough = true;
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        double slope[DF_PARAMS];
        const double norm = class_slopes(searched, point, times->t, times->t_grown, klass, slope);
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            if (searched[i]) {
                double *const m = &state->moment[i];
                *m = AVERAGE * *m + (1 - AVERAGE) * moved(point->p[i], slope[i], norm);
                point->p[i] = *m;
            }
        }
        if (times->overflow > 1) {
            const double wanted = point->p[dram[klass]] * (klass == 0 ? times->overflow : 1);
            enough = enough && !(wanted > 1);
            point->p[dram[klass]] = wanted > 1 ? point->p[dram[klass]] : wanted;
        }
        renormalise(searched, budget[klass], klass, point);
    }
    return enough;
}

static bool shrinks_at_infinity(const df_run *run)
{
    const df_rules *const rules = df_eval_rules(run->eval);
    return rules->infinite_start_shrinks;
}

/* What the descent sees of an evaluation. When corrected, it sees how far a device is from working,
 * so that whatever is missing grows. */
static double seen(const df_run *run, const df_eval_result *r)
{
    if (shrinks_at_infinity(run) || !isinf(r->time_s)) {
        return r->time_s;
    }
    const double out_of_reach = 1e100;
    return out_of_reach * (1 + r->shortfall);
}

/* Times at the point, and with each parameter grown; these break the budget, so none of
 * them is a candidate. */
static void measure(df_run *run, const df_point *point, df_reference_times *times)
{
    const bool *const searched = df_eval_searched(run->eval);
    df_eval_result r;
    df_eval_point(run->eval, point, &r);
    times->t = seen(run, &r);
    /* a DRAM of size 0 cannot be scaled up; the shortfall leads out of there */
    const bool hopeless = isinf(r.memory_overflow) && !shrinks_at_infinity(run);
    times->overflow = hopeless ? 0 : r.memory_overflow;
    for (int i = 0; i < DF_PARAMS; i++) {
        if (searched[i]) {
            df_point grown = *point;
            grown.p[i] *= GROWTH;
            df_eval_point(run->eval, &grown, &r);
            times->t_grown[i] = seen(run, &r);
        }
    }
}

df_status df_descend_reference(df_run *run, df_err *err)
{
    const bool *const searched = df_eval_searched(run->eval);
    df_reference_state state = {{0}};
    df_reference_times times = {0, 0, {0}};
    df_point point = run->out->start;
    double budget[DF_CLASSES];
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        budget[klass] = df_eval_budget(run->eval, klass);
    }
    run->out->status = DF_SEARCH_ITERATIONS;
    for (int32_t iteration = 1; iteration <= run->max_iterations; iteration++) {
        df_eval_result r;
        measure(run, &point, &times);
        const bool enough = df_reference_step(searched, budget, &times, &state, &point);
        df_run_try(run, &point, &r);
        if (!df_run_report(run, iteration, &point, &r)) {
            return df_fail(err, DF_EINTERRUPTED, "stopped");
        }
        if (!enough || (shrinks_at_infinity(run) && isinf(r.time_s))) {
            run->out->status = DF_SEARCH_STOPPED;
            break;
        }
    }
    return DF_OK;
}
