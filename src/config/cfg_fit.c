#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/cfg_impl.h"

/* How far from the value that stands there a fitting one is looked for. */
enum { FAR = 4096, OTHERS = 4 };

/* What else may be changed where one key is reported. */
static const struct {
    const char *key;
    const char *instead[OTHERS]; /* in this order */
} choices[] = {
    {"scheduling_param.dp",
     {"scheduling_param.dp", "scheduling_param.tp", "scheduling_param.lp",
      "system_hierarchy.num_devices_per_node"}},
    {"scheduling_param.mb", {"scheduling_param.mb", "model_param.batch_size"}},
    {"scheduling_param.lp", {"scheduling_param.lp", "model_param.num_layers"}},
    {"model_param.batch_size", {"model_param.batch_size", "scheduling_param.mb"}},
    {"model_param.attention.kv_heads",
     {"model_param.attention.kv_heads", "model_param.attention.num_heads"}},
};

static int64_t *field_of(df_cfg *cfg, const df_opt *opt)
{
    return (int64_t *)(void *)((char *)cfg + opt->offset);
}

/* Whether it passes all checks, and an LLM is split evenly. */
static bool fits(const df_cfg *cfg, bool degrees)
{
    const char *key;
    df_cfg_misfit misfit;
    if (cfg->mode == DF_MODE_LLM && degrees &&
        df_cfg_find_misfit(&cfg->llm, cfg->sched.degree, cfg->sched.ep, cfg->sched.tp_sp,
                           DF_SPLIT_EVEN, &misfit)) {
        return false;
    }
    return df_cfg_cross_check(cfg, degrees, &key, NULL) == DF_OK;
}

/* The value nearest to the option's with which the configuration fits, of two the larger;
 * -1: there is none near. */
static int64_t nearest_fit(const df_cfg *cfg, bool degrees, const df_opt *opt)
{
    df_cfg changed = *cfg;
    int64_t *const field = field_of(&changed, opt);
    const int64_t now = *field;
    for (int64_t step = 1; now >= 1 && step <= FAR; step++) { /* less than 1: not given */
        const int64_t near[] = {now + step, now - step};
        for (int i = 0; i < 2; i++) {
            *field = near[i];
            if (near[i] >= 1 && (double)near[i] <= opt->range.high && fits(&changed, degrees)) {
                return near[i];
            }
        }
    }
    return -1;
}

static bool suggest_value(const df_cfg *cfg, bool degrees, const char *key, char text[DF_FIT_TEXT])
{
    const int index = df_opt_find(key, DF_OPT_IN(cfg->mode));
    if (index < 0 || df_opts[index].kind != DF_OPT_INT) {
        return false;
    }
    const int64_t value = nearest_fit(cfg, degrees, &df_opts[index]);
    if (value >= 0) {
        snprintf(text, DF_FIT_TEXT, "; %s %" PRId64 " would fit", strrchr(key, '.') + 1, value);
    }
    return value >= 0;
}

/* Devices of context parallelism can do tensor or data parallelism instead. */
static bool suggest_for_context(const df_cfg *cfg, bool degrees, char text[DF_FIT_TEXT])
{
    df_cfg changed = *cfg;
    changed.sched.cp = 1;
    changed.sched.tp = (cfg->sched.tp > 1 ? cfg->sched.tp : 1) * cfg->sched.cp;
    if (fits(&changed, degrees)) {
        snprintf(text, DF_FIT_TEXT, "; cp 1 with tp %" PRId64 " would fit", changed.sched.tp);
        return true;
    }
    changed.sched.tp = cfg->sched.tp;
    changed.sched.dp = cfg->sched.dp * cfg->sched.cp;
    if (fits(&changed, degrees)) {
        snprintf(text, DF_FIT_TEXT, "; cp 1 with dp %" PRId64 " would fit", changed.sched.dp);
        return true;
    }
    return false;
}

/* Gives an axis another degree, and another one or the number of devices of a node what makes up
 * for it. Writes it where that fits. */
static bool try_degree(const df_cfg *cfg, df_axis axis, int64_t degree, char text[DF_FIT_TEXT])
{
    static const df_axis others[] = {DF_AXIS_DP, DF_AXIS_TP, DF_AXIS_LP};
    const char *const name = df_axis_table[axis].name;
    const double least = (double)(cfg->sched.degree[axis] > 1 ? cfg->sched.degree[axis] : 1);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        df_cfg changed = *cfg;
        int64_t *const other = &changed.sched.degree[others[i]];
        const double wanted = least * (double)(*other > 1 ? *other : 1) / (double)degree;
        changed.sched.degree[axis] = degree;
        *other = (int64_t)wanted;
        if (others[i] != axis && wanted == (double)*other && fits(&changed, true)) {
            snprintf(text, DF_FIT_TEXT, "; %s %" PRId64 " with %s %" PRId64 " would fit", name,
                     degree, df_axis_table[others[i]].name, *other);
            return true;
        }
    }
    df_cfg changed = *cfg;
    int64_t *const devices = &changed.system.num_devices_per_node;
    const double wanted = (double)*devices / least * (double)degree;
    changed.sched.degree[axis] = degree;
    *devices = (int64_t)wanted;
    if (wanted != (double)*devices || *devices < 1 || !fits(&changed, true)) {
        return false;
    }
    snprintf(text, DF_FIT_TEXT, "; %s %" PRId64 " with num_devices_per_node %" PRId64 " would fit",
             name, degree, *devices);
    return true;
}

void df_cfg_suggest_split(const df_cfg *cfg, const char *key, char text[DF_FIT_TEXT])
{
    static const struct {
        const char *key;
        df_axis axis;
    } degrees[] = {{"scheduling_param.tp", DF_AXIS_TP},
                   {"scheduling_param.cp", DF_AXIS_CP},
                   {"scheduling_param.lp", DF_AXIS_LP}};
    text[0] = '\0';
    for (size_t i = 0; i < sizeof degrees / sizeof degrees[0]; i++) {
        const int64_t now = cfg->sched.degree[degrees[i].axis];
        const bool named = strcmp(degrees[i].key, key) == 0;
        for (int64_t step = 1; named && step <= FAR; step++) {
            if (try_degree(cfg, degrees[i].axis, now + step, text) ||
                (now > step && try_degree(cfg, degrees[i].axis, now - step, text))) {
                return;
            }
        }
    }
}

void df_cfg_suggest(const df_cfg *cfg, bool degrees, const char *key, char text[DF_FIT_TEXT])
{
    text[0] = '\0';
    if (strcmp(key, "scheduling_param.cp") == 0) {
        (void)suggest_for_context(cfg, degrees, text);
        return;
    }
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (strcmp(choices[i].key, key) == 0) {
            bool found = false;
            for (int k = 0; k < OTHERS && choices[i].instead[k] && !found; k++) {
                found = suggest_value(cfg, degrees, choices[i].instead[k], text);
            }
            return;
        }
    }
    (void)suggest_value(cfg, degrees, key, text);
}
