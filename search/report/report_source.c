#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "predict/predict.h"
#include "report/report_impl.h"

/* ---- Settings ---- */

static int64_t whole_setting(const df_results *results, const char *key)
{
    char text[64] = "0";
    df_results_setting(results, key, text, sizeof text);
    return strtoll(text, NULL, 10);
}

/* What flags have changed. */
static void apply_settings(df_report_source *s)
{
    char text[64];
    df_cfg *const cfg = &s->cfg;
    const int64_t batch_size = whole_setting(s->results, "batch_size");
    const int64_t hidden_dim = whole_setting(s->results, "hidden_dim");
    if (batch_size > 0) {
        *(cfg->mode == DF_MODE_LLM ? &cfg->llm.batch_size : &cfg->lstm.batch_size) = batch_size;
    }
    if (hidden_dim > 0) {
        cfg->lstm.layer_size = hidden_dim;
    }
    if (df_results_setting(s->results, "data_scale", text, sizeof text)) {
        cfg->lstm.data_scale = strtod(text, NULL);
    }
    if (df_results_setting(s->results, "chip_area", text, sizeof text)) {
        s->options.limits.chip_mm2 = strtod(text, NULL);
    }
    s->options.ignore_memory = whole_setting(s->results, "ignore_memory") != 0;
    s->options.fix_hardware = whole_setting(s->results, "fix_hardware") != 0;
}

static df_status read_config(df_report_source *s, df_err *err)
{
    const df_results *const r = s->results;
    const unsigned need = DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES |
                          DF_CFG_ANY_SHARES | df_compat_reading(&s->options.rules);
    const df_cfg_text hardware = {r->hardware_yaml, "results.h5:/config/hardware_yaml"};
    const df_cfg_text model = {r->model_yaml, "results.h5:/config/model_yaml"};
    return df_cfg_parse(&hardware, r->model_yaml[0] != '\0' ? &model : NULL, need, &s->cfg, err);
}

df_status df_report_source_init(df_report_source *s, const df_results *results, df_err *err)
{
    memset(s, 0, sizeof *s);
    s->results = results;
    s->at = -1;
    if (!df_results_setting(results, "rules", s->rules, sizeof s->rules)) {
        return df_fail(err, DF_EINVAL,
                       "results.h5: /config/settings: expected rules=..., found "
                       "none");
    }
    DF_TRY(df_rules_parse(s->rules, &s->options.rules, err));
    DF_TRY(read_config(s, err));
    apply_settings(s);
    s->eval = df_eval_alloc(&s->options);
    return s->eval ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory");
}

void df_report_source_fini(df_report_source *s)
{
    df_eval_free(s->eval);
    s->eval = NULL;
}

/* ---- Designs ---- */

static void use_strategy(df_report_source *s, int32_t id)
{
    const df_store_strategy *const row = &s->results->strategies[id];
    df_err ignored;
    s->at_cfg = s->cfg;
    df_strategy_apply(&row->strategy, &s->at_cfg);
    df_layout_apply(&row->layout, &row->size, &row->strategy, &s->options.rules, &s->at_cfg);
    s->works = df_eval_use(s->eval, &s->at_cfg, &ignored) == DF_OK;
    s->at = id;
}

bool df_report_config(df_report_source *s, const df_store_search *search, df_cfg *out)
{
    if (s->at != search->strategy_id) {
        use_strategy(s, search->strategy_id);
    }
    if (!s->works) {
        return false;
    }
    *out = s->at_cfg;
    if (!s->options.fix_hardware) {
        df_eval_config(s->eval, &search->descent.best, out);
    }
    return true;
}

static df_status
find_design(df_report_source *s, const df_store_search *search, df_cfg *out, df_err *err)
{
    const int64_t id = search->work_id;
    if (search->descent.status == DF_SEARCH_PENDING) {
        return df_fail(err, DF_EINVAL,
                       "--design: expected a search that has finished, found %" PRId64, id);
    }
    if (search->descent.status == DF_SEARCH_INFEASIBLE) {
        return df_fail(err, DF_INFEASIBLE, "search %" PRId64 " found no device that works", id);
    }
    return df_report_config(s, search, out)
               ? DF_OK
               : df_fail(err, DF_INFEASIBLE,
                         "the strategy of search %" PRId64 " does not work with this version", id);
}

df_status df_report_design(const df_results *results, int64_t work_id, df_cfg *out, df_err *err)
{
    df_report_source source;
    df_store_search search;
    if (work_id < 0 || work_id >= results->num_searches) {
        return df_fail(err, DF_EINVAL,
                       "--design: expected a work_id from 0 to %" PRId64 ", found %" PRId64,
                       results->num_searches - 1, work_id);
    }
    DF_TRY(df_results_read(results, work_id, 1, &search, err));
    df_status status = df_report_source_init(&source, results, err);
    if (status == DF_OK) {
        status = find_design(&source, &search, out, err);
    }
    df_report_source_fini(&source);
    return status;
}

/* ---- What predictions rest on ---- */

bool df_report_is_measured(const df_report_source *source)
{
    const df_compat_options options = df_compat_read(&source->options.rules);
    return options.calibrated;
}

df_status df_report_rests_on(const df_results *results, char text[DF_REPORT_REST], df_err *err)
{
    df_report_source source;
    df_rests_on on;
    df_status status = df_report_source_init(&source, results, err);
    if (status == DF_OK) {
        const int used = snprintf(text, DF_REPORT_REST, "rules %s", source.rules);
        if (df_report_is_measured(&source) && used < DF_REPORT_REST - 2) {
            text[used] = ':';
            text[used + 1] = ' ';
            df_predict_rests_on(&source.cfg, &on);
            df_predict_rests_on_text(&on, text + used + 2, (size_t)(DF_REPORT_REST - used - 2));
        }
    }
    df_report_source_fini(&source);
    return status;
}
