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

/* Whether it passes all checks; and heads are split evenly, layers over no more stages. */
static bool fits(const df_cfg *cfg, bool degrees)
{
    const char *key;
    const df_cfg_llm *const m = &cfg->llm;
    const int64_t tp = cfg->sched.tp > 1 ? cfg->sched.tp : 1;
    if (cfg->mode == DF_MODE_LLM &&
        (m->attention.num_heads % tp != 0 || cfg->sched.lp > m->num_layers)) {
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
