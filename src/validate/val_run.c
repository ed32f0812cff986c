/* val_run.c: end-to-end runs of transformers. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/units.h"
#include "predict/predict.h"
#include "validate/val_impl.h"

static df_status predict(df_val_row *r, const df_cfg *cfg, int rules, df_prediction *out)
{
    df_hw_device dev;
    const df_design design = {cfg, &dev, &r->rules[rules]};
    DF_TRY(df_hw_derive(cfg, design.rules, &dev, r->err));
    return df_predict(r->data->predictor, &design, DF_WANT_TIMES, out, r->err);
}

/* Runs of the same work on the same machines compete. */
static df_status name_group(df_val_row *r, const df_cfg *cfg)
{
    char text[256];
    if (cfg->llm.run_type != DF_RUN_TRAINING || *r->point.group != '\0') {
        return DF_OK;
    }
    snprintf(text, sizeof text,
             "%.80s on %" PRId64 " %.40s, batch %" PRId64 ", %" PRId64 " tokens, %.20s",
             df_csv_text(r->csv, r->row, "model"), df_cfg_workers(cfg),
             df_csv_text(r->csv, r->row, "device"), cfg->llm.batch_size, cfg->llm.seq_len,
             df_csv_text(r->csv, r->row, "precision"));
    r->point.group = df_val_keep(r->data, text);
    return r->point.group ? DF_OK : df_fail(r->err, DF_ENOMEM, "out of memory");
}

/* ---- Times ---- */

static double step_s(const df_cfg *cfg, const df_llm_result *result)
{
    (void)cfg;
    return result->time_s;
}

static double prefill_s(const df_cfg *cfg, const df_llm_result *result)
{
    (void)cfg;
    return result->prefill_s;
}

static double token_s(const df_cfg *cfg, const df_llm_result *result)
{
    return result->decode_s / (double)cfg->llm.decode_len;
}

static double decode_s(const df_cfg *cfg, const df_llm_result *result)
{
    (void)cfg;
    return result->decode_s;
}

static double tokens(const df_cfg *cfg)
{
    return (double)cfg->llm.batch_size * (double)cfg->llm.decode_len;
}

static double decode_rate(const df_cfg *cfg, const df_llm_result *result)
{
    const double rate = (double)cfg->llm.batch_size * result->tokens_ps.overall;
    return result->decode_s > 0.0 ? rate : (double)NAN; /* of no tokens */
}

static double total_rate(const df_cfg *cfg, const df_llm_result *result)
{
    return tokens(cfg) / result->time_s;
}

/* Of boards: no value where nothing is known of them. */
static double board_w(const df_cfg *cfg, const df_llm_result *result)
{
    (void)cfg;
    return result->board_w > 0.0 ? result->board_w : (double)NAN;
}

static double energy_j(const df_cfg *cfg, const df_llm_result *result)
{
    (void)cfg;
    return result->board_w > 0.0 ? result->energy.total_j : (double)NAN;
}

typedef struct {
    const char *name;
    double (*value)(const df_cfg *cfg, const df_llm_result *result);
} time_metric;

static const time_metric time_metrics[] = {
    {"step_s", step_s},
    {"total_s", step_s},
    {"ttft_s", prefill_s},
    {"itl_s", token_s},
    {"decode_s", decode_s},
    {"decode_tok_per_s", decode_rate},
    {"tok_per_s_total", total_rate},
    {"avg_power_w", board_w},
    {"energy_j", energy_j},
};

/* Where nobody says how a replica's share of the batch is cut. */
static df_status find_batch(df_val_row *r, int rules, df_cfg *cfg)
{
    df_hw_device dev;
    DF_TRY(df_hw_derive(cfg, &r->rules[rules], &dev, r->err));
    return df_predict_best_batch(r->data->predictor, &dev, &r->rules[rules], cfg, r->err);
}

static df_status predict_run(
    df_val_row *r, const df_val_case *c, int rules, const time_metric *metric, double *value)
{
    df_cfg cfg;
    df_prediction result;
    DF_TRY(df_val_configure(r, c, rules, &cfg));
    df_status status = cfg.sched.mb == 0 ? find_batch(r, rules, &cfg) : DF_OK;
    status = status == DF_OK ? predict(r, &cfg, rules, &result) : status;
    if (status != DF_OK) {
        return status == DF_EINVAL ? DF_INFEASIBLE : status; /* the reason stays */
    }
    *value = metric->value(&cfg, &result.llm);
    return isnan(*value) /* a rate of no tokens */
               ? df_fail(r->err, DF_INFEASIBLE, "%s has no value for this run", metric->name)
               : DF_OK;
}

static df_status
run_time(df_val_row *r, const df_val_case *c, const time_metric *metric, double measured)
{
    df_val_values values;
    DF_TRY(name_group(r, &c->cfg));
    for (int i = 0; i < r->num_rules; i++) {
        const df_status status = predict_run(r, c, i, metric, &values.value[i]);
        DF_TRY(df_val_take(r, status, i, &values));
    }
    return df_val_add(r, metric->name, measured, &values);
}

/* ---- Memory of the first stage ---- */

static double static_bytes(const df_memory *memory)
{
    const double *const part = memory->part_bytes;
    return part[DF_MEMORY_WEIGHTS] + part[DF_MEMORY_MASTER] + part[DF_MEMORY_GRADIENTS] +
           part[DF_MEMORY_OPTIMIZER];
}

static double activation_bytes(const df_cfg *cfg, const df_rules *rules)
{
    df_memory memory;
    df_predict_memory_of_stage(cfg, rules, 0, &memory);
    return memory.part_bytes[DF_MEMORY_ACTIVATIONS] + memory.part_bytes[DF_MEMORY_RECOMPUTED];
}

/* Activations as a percentage of those with tensor parallelism only. */
static double activation_percent(const df_cfg *cfg, const df_rules *rules)
{
    df_cfg plain = *cfg;
    plain.sched.tp_sp = false;
    plain.sched.recompute = DF_RECOMPUTE_NONE;
    return 100.0 * activation_bytes(cfg, rules) / activation_bytes(&plain, rules);
}

enum { MEMORY_METRICS = 3 };
static const char *const memory_metrics[MEMORY_METRICS] = {
    "param_opt_mem_gib", "activation_mem_gib", "activation_mem_pct_of_none"};

static double memory_value(const df_cfg *cfg, const df_rules *rules, int metric)
{
    df_memory memory;
    switch (metric) {
    case 0:
        df_predict_memory_of_stage(cfg, rules, 0, &memory);
        return static_bytes(&memory) / DF_GIB;
    case 1:
        return activation_bytes(cfg, rules) / DF_GIB;
    default:
        return activation_percent(cfg, rules);
    }
}

/* The metric of the row is none of those above: it may be one that is not modelled, or a misspelt
 * one, which is then named with its line. */
static df_status fail_metric(df_val_row *r, const char *metric)
{
    enum { TIMES = sizeof time_metrics / sizeof time_metrics[0] };
    const int time = df_nearest(metric, &time_metrics[0].name, TIMES, sizeof time_metrics[0]);
    const int memory = df_nearest(metric, memory_metrics, MEMORY_METRICS, sizeof memory_metrics[0]);
    char expected[128];
    if (time < 0 && memory < 0) {
        return df_fail(r->err, DF_INFEASIBLE, "metric %s is not modelled", metric);
    }
    snprintf(expected, sizeof expected, "a metric that is modelled (did you mean %s?)",
             time >= 0 ? time_metrics[time].name : memory_metrics[memory]);
    const df_status status = df_csv_refuse(r->csv, r->row, "metric", expected, r->err);
    return status == DF_EINVAL ? DF_INFEASIBLE : status; /* the reason stays */
}

static df_status run_stage(df_val_row *r, const df_val_case *c, const char *metric, double measured)
{
    df_val_values values;
    int known = 0;
    while (known < MEMORY_METRICS && strcmp(metric, memory_metrics[known]) != 0) {
        known++;
    }
    if (known == MEMORY_METRICS) {
        return fail_metric(r, metric);
    }
    for (int i = 0; i < r->num_rules; i++) {
        df_cfg cfg;
        const df_status status = df_val_configure(r, c, i, &cfg);
        cfg.sched.mb = cfg.sched.mb == 0 ? 1 : cfg.sched.mb;
        values.value[i] = status == DF_OK ? memory_value(&cfg, &r->rules[i], known) : (double)NAN;
        DF_TRY(df_val_take(r, status, i, &values));
    }
    return df_val_add(r, metric, measured, &values);
}

/* ---- Rows ---- */

df_status df_val_run_case(df_val_row *r)
{
    const char *const metric = df_csv_text(r->csv, r->row, "metric");
    df_val_case c;
    double measured;
    DF_TRY(df_val_number(r, "value", NAN, &measured));
    DF_TRY(df_val_read_case(r, &c));
    for (size_t i = 0; i < sizeof time_metrics / sizeof time_metrics[0]; i++) {
        if (strcmp(time_metrics[i].name, metric) == 0) {
            return run_time(r, &c, &time_metrics[i], measured);
        }
    }
    return run_stage(r, &c, metric, measured);
}

df_status df_val_run_training(df_val_row *r)
{
    df_val_case c;
    double measured;
    DF_TRY(df_val_number(r, "step_s", NAN, &measured));
    DF_TRY(df_val_read_case(r, &c));
    return run_time(r, &c, &time_metrics[0], measured);
}

/* What the fullest stage needs, and what was measured: where a framework keeps the allocator's
 * reserve in mind, that of the first stage. */
static df_status
run_memory(df_val_row *r, const df_val_case *c, int rules, double *fits, double *peak)
{
    df_cfg cfg;
    df_memory memory;
    df_memory first;
    const bool calibrated = df_val_is_calibrated(r, rules);
    DF_TRY(df_val_configure(r, c, rules, &cfg));
    cfg.sched.mb = cfg.sched.mb == 0 ? 1 : cfg.sched.mb;
    const double room = calibrated ? cfg.tech.dram.usable : 1.0;
    df_predict_memory_peak(&cfg, &r->rules[rules], &memory);
    df_predict_memory_of_stage(&cfg, &r->rules[rules], 0, &first);
    *fits = memory.total_bytes <= room * cfg.tech.dram.size_bytes;
    *peak = (calibrated ? first.total_bytes : memory.total_bytes) / DF_GIB;
    return DF_OK;
}

df_status df_val_run_memory(df_val_row *r)
{
    df_val_case c;
    double measured_fits;
    double measured_gb;
    df_val_values fits;
    df_val_values peak;
    DF_TRY(df_val_number(r, "fits", NAN, &measured_fits));
    DF_TRY(df_val_number(r, "peak_mem_gb", NAN, &measured_gb));
    DF_TRY(df_val_read_case(r, &c));
    for (int i = 0; i < r->num_rules; i++) {
        const df_status status = run_memory(r, &c, i, &fits.value[i], &peak.value[i]);
        DF_TRY(df_val_take(r, status, i, &fits));
        DF_TRY(df_val_take(r, status, i, &peak));
    }
    DF_TRY(df_val_add(r, "fits", measured_fits, &fits));
    return isnan(measured_gb) ? DF_OK : df_val_add(r, "peak_mem_gb", measured_gb, &peak);
}
