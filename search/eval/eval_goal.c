#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "eval/eval_impl.h"

const char *const df_goal_names[DF_GOALS] = {"time", "energy", "edp", "time_per_area",
                                             "tokens_per_s_per_w"};
const char *const df_goal_columns[DF_GOALS] = {"time_s", "energy_j", "edp_js", "time_per_area_mm2s",
                                               "tokens_per_s_per_w"};

/* ---- Goals ---- */

double df_goal_figure(df_goal goal, double time_s, const df_eval_metrics *m)
{
    switch (goal) {
    case DF_GOAL_TIME:
        return time_s;
    case DF_GOAL_ENERGY:
        return m->energy_j;
    case DF_GOAL_EDP:
        return m->energy_j * time_s;
    case DF_GOAL_TIME_PER_AREA:
        return time_s * m->area_mm2;
    case DF_GOAL_TOKENS_PER_S_PER_W:
    case DF_GOALS:
        break;
    }
    return isfinite(time_s) ? m->tokens_ps / m->power_w : 0;
}

static double cost_of(df_goal goal, double time_s, const df_eval_metrics *m)
{
    const double figure = df_goal_figure(goal, time_s, m);
    return goal == DF_GOAL_TOKENS_PER_S_PER_W ? 1 / figure : figure;
}

double df_eval_value(const df_eval *eval, double time_s, const df_eval_metrics *metrics)
{
    return df_goals_mean(&eval->options.goals, eval->weight, time_s, metrics);
}

double df_goals_mean(const df_goals *goals,
                     const double weight[DF_GOALS],
                     double time_s,
                     const df_eval_metrics *metrics)
{
    if (isinf(time_s)) {
        return HUGE_VAL;
    }
    if (goals->count <= 1) {
        return cost_of(goals->count == 0 ? DF_GOAL_TIME : goals->of[0], time_s, metrics);
    }
    double sum = 0;
    double weights = 0;
    for (int i = 0; i < goals->count; i++) {
        sum += weight[i] * log(cost_of(goals->of[i], time_s, metrics));
        weights += weight[i];
    }
    return exp(sum / weights);
}

static int find_goal(const char *text, size_t length)
{
    for (int i = 0; i < DF_GOALS; i++) {
        if (strlen(df_goal_names[i]) == length && strncmp(df_goal_names[i], text, length) == 0) {
            return i;
        }
    }
    return -1;
}

static bool has_goal(const df_goals *goals, int goal)
{
    for (int i = 0; i < goals->count; i++) {
        if ((int)goals->of[i] == goal) {
            return true;
        }
    }
    return false;
}

df_status df_goals_parse(const char *text, df_goals *out, df_err *err)
{
    df_goals goals = {.count = 0};
    const char *at = text;
    for (;;) {
        const size_t length = strcspn(at, ",");
        const int goal = find_goal(at, length);
        if (goal < 0 || has_goal(&goals, goal)) {
            char word[64];
            snprintf(word, sizeof word, "%.*s", (int)length, at);
            const int near = df_nearest(word, df_goal_names, DF_GOALS, sizeof(char *));
            return df_fail(err, DF_EINVAL,
                           "expected time, energy, edp, time_per_area, tokens_per_s_per_w, or "
                           "several of them separated by commas%s%s%s, found %s%s",
                           near >= 0 && goal < 0 ? " (did you mean " : "",
                           near >= 0 && goal < 0 ? df_goal_names[near] : "",
                           near >= 0 && goal < 0 ? "?)" : "", text, goal < 0 ? "" : ": one twice");
        }
        goals.of[goals.count++] = (df_goal)goal;
        if (at[length] == '\0') {
            *out = goals;
            return DF_OK;
        }
        at += length + 1;
    }
}

/* ---- What figures there are ---- */

static bool needs_energy(df_goal goal)
{
    return goal == DF_GOAL_ENERGY || goal == DF_GOAL_EDP || goal == DF_GOAL_TOKENS_PER_S_PER_W;
}

df_status df_eval_check_goals(const df_eval *eval, df_err *err)
{
    const df_goals *const goals = &eval->options.goals;
    const df_eval_limits *const limits = &eval->options.limits;
    bool energy = limits->energy_j > 0 || limits->power_w > 0;
    bool area = limits->area_mm2 > 0;
    for (int i = 0; i < goals->count; i++) {
        energy = energy || needs_energy(goals->of[i]);
        area = area || goals->of[i] == DF_GOAL_TIME_PER_AREA;
    }
    if (energy && eval->cfg.mode != DF_MODE_LLM) {
        return df_fail(err, DF_EINVAL,
                       "objective: expected a model of mode LLM for energy and power, found %s",
                       df_mode_name(eval->cfg.mode));
    }
    if (area && !eval->cfg.has_breakdown) {
        return df_fail(err, DF_EINVAL,
                       "area_breakdown.device_area_budget: expected this key (and the other "
                       "budgets) for an objective or limit of area, found nothing");
    }
    if (limits->memory_bytes > 0 && eval->cfg.mode == DF_MODE_GEMM) {
        return df_fail(err, DF_EINVAL,
                       "constraints.memory: expected a model of mode LSTM or LLM, found GEMM");
    }
    return DF_OK;
}

/* ---- Limits ---- */

/* 1 - limit/value where the value is above: in (0, 1], so that less is better. */
static double above(double value, double limit)
{
    return limit > 0 && value > limit ? 1 - limit / value : 0;
}

double df_eval_excess(const df_eval *eval, double time_s, const df_eval_metrics *m)
{
    const df_eval_limits *const limits = &eval->options.limits;
    return above(time_s, limits->time_s) + above(m->energy_j, limits->energy_j) +
           above(m->power_w, limits->power_w) + above(m->area_mm2, limits->area_mm2) +
           above(m->memory_bytes, limits->memory_bytes);
}

/* ---- Ranges ---- */

static double low_of(const df_eval *eval, int param)
{
    return eval->options.range[param].given ? eval->options.range[param].low : 0;
}

static double high_of(const df_eval *eval, int param)
{
    return eval->options.range[param].given ? eval->options.range[param].high : 1;
}

/* A fraction that is out by less than this is as good as in: rounding. */
static const double CLOSE = 1e-9;

double df_eval_strays(const df_eval *eval, const df_point *point)
{
    double sum = 0;
    for (int i = 0; i < DF_PARAMS; i++) {
        if (eval->searched[i] && eval->options.range[i].given) {
            const double below = low_of(eval, i) - point->p[i];
            const double over = point->p[i] - high_of(eval, i);
            sum += below > CLOSE ? below : over > CLOSE ? over : 0;
        }
    }
    return sum;
}

df_status df_eval_check_ranges(const df_eval *eval, df_err *err)
{
    static const char *const names[DF_CLASSES] = {"area", "power", "perimeter"};
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        double low = 0;
        double high = 0;
        bool any = false;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            any = any || eval->searched[i];
            low += eval->searched[i] ? low_of(eval, i) : 0;
            high += eval->searched[i] ? high_of(eval, i) : 0;
        }
        if (!any) {
            continue; /* fractions that are not searched need not sum to anything */
        }
        if (low > eval->budget[klass] + CLOSE || high < eval->budget[klass] - CLOSE) {
            return df_fail(err, DF_EINVAL,
                           "parameters: expected ranges of %s_* that can sum to %.6g, found %.6g "
                           "to %.6g",
                           names[klass], eval->budget[klass], low, high);
        }
    }
    return DF_OK;
}

/* What must be added to the class's searched fractions, scaled by `factor` and held in their
 * ranges, to reach the budget. */
static double missing(const df_eval *eval, const df_point *point, int klass, double factor)
{
    double sum = 0;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        if (eval->searched[i]) {
            sum += fmin(fmax(point->p[i] * factor, low_of(eval, i)), high_of(eval, i));
        }
    }
    return eval->budget[klass] - sum;
}

void df_eval_fit(const df_eval *eval, df_point *point)
{
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        bool given = false;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            given = given || (eval->searched[i] && eval->options.range[i].given);
        }
        if (!given) {
            continue;
        }
        /* the sum grows with the factor: halve between too small and too large */
        double low = 0;
        double high = 1;
        while (high < 0x1p60 && missing(eval, point, klass, high) > 0) {
            high *= 2;
        }
        for (int step = 0; step < 120; step++) {
            const double middle = (low + high) / 2;
            *(missing(eval, point, klass, middle) > 0 ? &low : &high) = middle;
        }
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            if (eval->searched[i]) {
                point->p[i] = fmin(fmax(point->p[i] * high, low_of(eval, i)), high_of(eval, i));
            }
        }
    }
}
