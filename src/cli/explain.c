#include "explain.h"

#include <math.h>
#include <string.h>

#include "cli.h"
#include "compat/compat.h"
#include "json_out.h"
#include "predict/predict.h"

/* The figures of a prediction that rules change. */
typedef enum {
    TIME,
    PREFILL,
    DECODE,
    PREFILL_ENERGY,
    DECODE_ENERGY,
    ENERGY,
    BATCH_RATE,
    FOOTPRINT,
    FIGURES
} figure;

static const char *const keys[FIGURES] = {
    "time_s",          "prefill_s", "decode_s",           "energy_prefill_j",
    "energy_decode_j", "energy_j",  "batch_tokens_per_s", "memory_bytes"};

static void figures_of_llm(const df_cfg *cfg,
                           const df_rules *rules,
                           const df_llm_result *r,
                           double figures[FIGURES])
{
    figures[PREFILL] = r->prefill_s;
    figures[DECODE] = r->decode_s;
    figures[PREFILL_ENERGY] = r->prefill_energy_j;
    figures[DECODE_ENERGY] = r->decode_energy_j;
    figures[ENERGY] = r->energy.total_j;
    figures[BATCH_RATE] = r->tokens_ps.overall * df_compat_rated_sequences(rules, cfg);
}

static df_status predict(df_predictor *predictor,
                         const df_cfg *cfg,
                         const df_rules *rules,
                         double figures[FIGURES],
                         df_err *err)
{
    df_hw_device dev;
    df_need need;
    df_prediction result;
    const df_design design = {cfg, &dev, rules};
    memset(figures, 0, FIGURES * sizeof figures[0]);
    DF_TRY(df_hw_derive(cfg, rules, &dev, err));
    DF_TRY(df_predict_check(cfg, rules, err));
    DF_TRY(df_predict(predictor, &design, DF_WANT_TIMES, &result, err));
    df_predict_need(cfg, rules, &need);
    figures[TIME] = result.time_s;
    figures[FOOTPRINT] = need.total_bytes;
    if (cfg->mode == DF_MODE_LLM) {
        figures_of_llm(cfg, rules, &result.llm, figures);
    }
    return DF_OK;
}

static bool differs(double a, double b)
{
    return a != b && !(fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b)));
}

static void print_change(figure f, double here, double there, const char *comma)
{
    printf("%s %s %.6g -> %.6g", comma, keys[f], here, there);
    if (here > 0 && isfinite(here) && isfinite(there)) {
        printf(" (%+.3g %%)", 100 * (there / here - 1));
    }
}

static void print_rule(const df_rule *rule, bool now, const double here[], const double there[])
{
    const char *comma = "";
    printf("\n%s\n  now %s: %s\n  %s: %s\n ", rule->name, now ? "reference" : "corrected",
           now ? rule->reference : rule->corrected, now ? "corrected" : "reference",
           now ? rule->corrected : rule->reference);
    for (int f = 0; f < FIGURES; f++) {
        if (differs(here[f], there[f])) {
            print_change((figure)f, here[f], there[f], comma);
            comma = ",";
        }
    }
    putchar('\n');
}

/* refused: why there is no prediction with the other value, which then changes nothing; NULL where
 * there is one. */
static void add_rule(json_t *rules,
                     const char *name,
                     bool now,
                     const char *refused,
                     const double here[],
                     const double there[])
{
    json_t *const o = df_json_object(rules, name);
    df_json_text(o, "value", now ? "reference" : "corrected");
    if (refused) {
        df_json_text(o, "refused", refused);
    }
    json_t *const changes = df_json_object(o, "with_the_other");
    for (int f = 0; f < FIGURES; f++) {
        if (differs(here[f], there[f])) {
            df_json_real(changes, keys[f], there[f]);
        }
    }
}

static bool any_differs(const double here[], const double there[])
{
    bool any = false;
    for (int f = 0; f < FIGURES; f++) {
        any = any || differs(here[f], there[f]);
    }
    return any;
}

/* `object` is NULL when text is printed. */
static df_status
explain(df_predictor *p, const df_cfg *cfg, const df_rules *rules, json_t *object, df_err *err)
{
    double here[FIGURES];
    bool any = false;
    DF_TRY(predict(p, cfg, rules, here, err));
    for (size_t i = 0; i < df_rule_count; i++) {
        double there[FIGURES];
        df_rules other = *rules;
        df_err refused;
        const bool now = df_rules_flip(&other, i);
        const df_status status = predict(p, cfg, &other, there, &refused);
        if (status == DF_ENOMEM) {
            return df_fail(err, status, "%s", refused.text);
        }
        if (object) {
            add_rule(object, df_rule_table[i].name, now, status == DF_OK ? NULL : refused.text,
                     here, status == DF_OK ? there : here);
        } else if (status != DF_OK) {
            printf("\n%s\n  with the other value: %s\n", df_rule_table[i].name, refused.text);
            any = true;
        } else if (any_differs(here, there)) {
            print_rule(&df_rule_table[i], now, here, there);
            any = true;
        }
    }
    if (!object && !any) {
        puts("none does");
    }
    return DF_OK;
}

int df_cli_explain_rules(const df_cfg *cfg, const df_rules *rules, bool json)
{
    df_err err;
    df_predictor *const predictor = df_predictor_new();
    json_t *const root = json ? json_object() : NULL;
    df_status status = DF_OK;
    if (!predictor) {
        status = df_fail(&err, DF_ENOMEM, "out of memory");
    }
    if (status == DF_OK && !json) {
        puts("Each rule that changes this prediction, and what its other value would do:");
    }
    if (status == DF_OK) {
        status = explain(predictor, cfg, rules, root ? df_json_object(root, "rules") : NULL, &err);
    }
    df_predictor_free(predictor);
    if (status != DF_OK) {
        json_decref(root);
        return df_cli_fail(status, &err);
    }
    return root ? df_json_print(root) : df_cli_finish(0);
}
