#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "predict/predict.h"
#include "report/report_impl.h"

/* YAML is long: the first designs alone have theirs. */
enum { BEST_SHOWN = 300, FRONT_SHOWN = 100, YAML_SHOWN = 60 };

/* What predictions need. */
typedef struct {
    df_report_source *source;
    df_predictor *predictor;
    json_t *all;
    int64_t *ids;
    int64_t count;
} maker;

/* ---- Device ---- */

static json_t *memory_json(const char *name, const df_hw_mem *mem)
{
    json_t *const o = json_object();
    json_object_set_new(o, "name", json_string(name));
    df_report_real(o, "size_bytes", mem->size_bytes);
    df_report_real(o, "bytes_ps", mem->throughput_bytes_ps);
    df_report_real(o, "copies", mem->copies);
    json_object_set_new(o, "size_limit", json_string(df_hw_limit_name(mem->size_limit)));
    json_object_set_new(o, "bandwidth_limit", json_string(df_hw_limit_name(mem->bandwidth_limit)));
    return o;
}

static json_t *device_json(const df_hw_device *dev)
{
    static const char *const names[DF_HW_LEVELS] = {"registers", "L1", "L2", "DRAM"};
    json_t *const o = json_object();
    json_t *const levels = json_array();
    df_report_real(o, "flops_ps", dev->core.throughput_flops_ps);
    df_report_real(o, "frequency_hz", dev->core.operating_freq_hz);
    df_report_real(o, "num_mcu", dev->core.num_mcu);
    df_report_real(o, "num_bundle", dev->core.num_bundle);
    json_object_set_new(o, "count_limit", json_string(df_hw_limit_name(dev->core.count_limit)));
    json_object_set_new(o, "freq_limit", json_string(df_hw_limit_name(dev->core.freq_limit)));
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        json_array_append_new(levels, memory_json(names[i], &dev->mem[i]));
    }
    json_object_set_new(o, "levels", levels);
    df_report_real(o, "intra_bytes_ps", dev->intra.throughput_bytes_ps);
    df_report_real(o, "inter_bytes_ps", dev->inter.throughput_bytes_ps);
    return o;
}

/* ---- Operators ---- */

static json_t *op_json(const df_usage *op)
{
    json_t *const o = json_object();
    json_t *const traffic = json_array();
    json_t *const cost = json_array();
    json_object_set_new(o, "name", json_string(op->name));
    json_object_set_new(o, "phase", json_string(op->phase));
    df_report_real(o, "runs", op->runs);
    df_report_real(o, "flops", op->flops);
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        json_array_append_new(traffic, json_real(op->traffic_bytes[i]));
    }
    for (int i = 0; i < DF_COSTS; i++) {
        const double cost_s = op->cost_s[i];
        json_array_append_new(cost, isfinite(cost_s) ? json_real(cost_s) : json_null());
    }
    json_object_set_new(o, "traffic_bytes", traffic);
    json_object_set_new(o, "cost_s", cost);
    return o;
}

static void add_llm_result(json_t *o, const df_design *design, const df_llm_result *r)
{
    df_memory memory;
    json_t *const parts = json_object();
    if (r->run_type == DF_RUN_INFERENCE) {
        df_report_real(o, "prefill_s", r->prefill_s);
        df_report_real(o, "decode_s", r->decode_s);
    } else {
        df_report_real(o, "optimizer_s", r->optimizer_s);
    }
    df_report_real(o, "mfu", df_llm_flops_use(design, r));
    if (r->board_w > 0) {
        df_report_real(o, "board_w", r->board_w);
    }
    df_predict_memory_peak(design->cfg, design->rules, &memory);
    for (int i = 0; i < DF_MEMORY_PARTS; i++) {
        if (memory.part_bytes[i] > 0) {
            df_report_real(parts, df_memory_names[i], memory.part_bytes[i]);
        }
    }
    json_object_set_new(o, "memory_bytes", parts);
}

static void add_prediction(json_t *o, const df_design *design, const df_prediction *prediction)
{
    json_t *const list = json_array();
    df_report_real(o, "predicted_s", prediction->time_s);
    if (design->cfg->mode == DF_MODE_LLM) {
        add_llm_result(o, design, &prediction->llm);
    }
    for (int i = 0; i < prediction->usages.count; i++) {
        json_array_append_new(list, op_json(&prediction->usages.item[i]));
    }
    json_object_set_new(o, "ops", list);
}

/* ---- Designs ---- */

/* The configuration as text; NULL when out of memory. */
static char *yaml_text(const df_cfg *cfg)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    if (!out) {
        return NULL;
    }
    df_cfg_write(cfg, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static df_status fill(maker *m, const df_store_search *search, json_t *o, df_err *err)
{
    df_cfg cfg;
    df_hw_device dev;
    df_prediction prediction;
    if (!df_report_config(m->source, search, &cfg)) {
        return df_fail(err, DF_INFEASIBLE, "it does not work with this version");
    }
    DF_TRY(df_hw_derive(&cfg, &m->source->options.rules, &dev, err));
    const df_design design = {&cfg, &dev, &m->source->options.rules};
    DF_TRY(df_predict(m->predictor, &design, DF_WANT_OPERATORS, &prediction, err));
    add_prediction(o, &design, &prediction);
    json_object_set_new(o, "device", device_json(&dev));
    if (m->count < YAML_SHOWN) {
        char *const yaml = yaml_text(&cfg);
        json_object_set_new(o, "yaml", yaml ? json_string(yaml) : NULL);
        free(yaml);
    }
    return DF_OK;
}

/* A design that this version cannot predict is left out. */
static df_status add_design(maker *m, int64_t work_id, df_err *err)
{
    df_store_search search;
    df_err ignored;
    for (int64_t i = 0; i < m->count; i++) {
        if (m->ids[i] == work_id) {
            return DF_OK;
        }
    }
    DF_TRY(df_results_read(m->source->results, work_id, 1, &search, err));
    json_t *const o = json_object();
    char name[DF_STRATEGY_NAME];
    df_strategy_name(&m->source->results->strategies[search.strategy_id].strategy, name,
                     sizeof name);
    json_object_set_new(o, "work_id", json_integer(work_id));
    json_object_set_new(o, "strategy", json_string(name));
    if (fill(m, &search, o, &ignored) != DF_OK) {
        json_decref(o);
        return DF_OK;
    }
    m->ids[m->count++] = work_id;
    json_array_append_new(m->all, o);
    return DF_OK;
}

static df_status add_all(maker *m, const df_report_picked *picked, df_err *err)
{
    for (int64_t i = 0; i < BEST_SHOWN && i < picked->num_ranked; i++) {
        DF_TRY(add_design(m, picked->best[picked->ranked[i]], err));
    }
    /* evenly over the front */
    const int64_t shown = picked->num_front < FRONT_SHOWN ? picked->num_front : FRONT_SHOWN;
    for (int64_t i = 0; i < shown; i++) {
        DF_TRY(add_design(m, picked->front[i * picked->num_front / shown].work_id, err));
    }
    return DF_OK;
}

df_status df_report_add_designs(json_t *root,
                                df_report_source *source,
                                const df_report_picked *picked,
                                df_err *err)
{
    maker m = {.source = source, .all = json_array()};
    json_t *const names = json_array();
    for (int i = 0; i < DF_COSTS; i++) {
        json_array_append_new(names, json_string(df_cost_names[i]));
    }
    json_object_set_new(root, "cost_names", names);
    json_object_set_new(root, "designs", m.all);
    m.predictor = df_predictor_new();
    m.ids = malloc((BEST_SHOWN + FRONT_SHOWN) * sizeof *m.ids);
    const df_status status =
        m.predictor && m.ids ? add_all(&m, picked, err) : df_fail(err, DF_ENOMEM, "out of memory");
    df_predictor_free(m.predictor);
    free(m.ids);
    return status;
}
