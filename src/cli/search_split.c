#include "search_split.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BINDS_ROOM = 160 };

static const double MORE = 1.01; /* factor of a budget */
static const double FULL = 0.99; /* share of a limit */
static const double TELLING = 1e-4;

static void add_text(char text[BINDS_ROOM], const char *name, double percent)
{
    const size_t used = strlen(text);
    if (used > 0 && used + 2 < BINDS_ROOM) {
        strncat(text, ", ", 3);
    }
    const size_t at = strlen(text);
    snprintf(text + at, BINDS_ROOM - at, "%s %.3g %%", name, percent);
}

/* How much better the design gets with 1 % more of a class's budget. */
static double gain(df_eval *eval, int klass, const df_point *best, double value)
{
    df_point more = *best;
    df_eval_result r;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        more.p[i] *= MORE;
    }
    df_eval_point(eval, &more, &r);
    return r.shortfall == 0 && isfinite(r.value) ? 1 - r.value / value : 0;
}

static void binding(df_eval *eval,
                    const df_eval_limits *limits,
                    const df_store_search *search,
                    char text[BINDS_ROOM])
{
    static const char *const classes[DF_CLASSES] = {"area", "power", "perimeter"};
    const df_eval_metrics *const m = &search->descent.metrics;
    const struct {
        const char *name;
        double value, limit;
    } reached[] = {{"memory", search->descent.memory_overflow, 1},
                   {"time limit", search->descent.best_time_s, limits->time_s},
                   {"energy limit", m->energy_j, limits->energy_j},
                   {"power limit", m->power_w, limits->power_w},
                   {"area limit", m->area_mm2, limits->area_mm2},
                   {"memory limit", m->memory_bytes, limits->memory_bytes}};
    df_eval_result here;
    text[0] = '\0';
    df_eval_point(eval, &search->descent.best, &here);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        const double better = gain(eval, klass, &search->descent.best, here.value);
        if (better > TELLING) {
            add_text(text, classes[klass], 100 * better);
        }
    }
    for (size_t i = 0; i < sizeof reached / sizeof reached[0]; i++) {
        if (reached[i].limit > 0 && reached[i].value >= FULL * reached[i].limit) {
            add_text(text, reached[i].name, 100 * reached[i].value / reached[i].limit);
        }
    }
    if (text[0] == '\0') {
        snprintf(text, BINDS_ROOM, "steps (sizes, tiles)");
    }
}

static df_status
print_split(const df_sweep_plan *plan, int rank, const df_store_search *search, df_err *err)
{
    df_eval *eval;
    df_cfg cfg;
    char binds[BINDS_ROOM];
    df_sweep_config(plan, search->strategy_id, &cfg);
    DF_TRY(df_eval_new(&cfg, &plan->options.eval, &eval, err));
    binding(eval, &plan->options.eval.limits, search, binds);
    const df_status status = df_eval_failure(eval, err);
    df_eval_free(eval);
    DF_TRY(status);
    printf("%3d", rank);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        printf("  ");
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            printf(" %5.1f", 100 * search->descent.best.p[i]);
        }
    }
    printf("   %s\n", binds);
    return DF_OK;
}

df_status df_search_print_split(const df_sweep_plan *plan,
                                const df_store_search *best,
                                int32_t count,
                                df_err *err)
{
    printf("\n%3s   %-41s   %-41s   %-17s\n%3s  ", "", "area %", "power %", "perimeter %", "");
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        printf("%s", klass > 0 ? "  " : "");
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            printf(" %5.5s", strchr(df_param_names[i], '_') + 1);
        }
    }
    puts("   what binds (better by, with 1 % more)");
    for (int32_t i = 0; i < count; i++) {
        DF_TRY(print_split(plan, i + 1, &best[i], err));
    }
    return DF_OK;
}
