/* A transformer: training, and what a step's time goes to. */
#include <stddef.h>
#include <string.h>

#include "predict/predict_impl.h"

/* ---- What a step's time goes to ---- */

double df_llm_runs(const df_cfg *cfg, const df_llm_result *result, df_row_name row)
{
    const df_cfg_llm *const m = &cfg->llm;
    const df_cfg_sched *const s = &cfg->sched;
    const double batches = (double)m->batch_size / (double)s->dp / result->micro_batch;
    const bool once = row == DF_ROW_EMBEDDING || row == DF_ROW_LOGITS;
    return batches * (once ? 1.0 : (double)m->num_layers) / (double)s->lp;
}

bool df_llm_runs_backward(const df_llm_result *result, df_row_name row)
{
    return result->run_type == DF_RUN_TRAINING && (!result->cut_short || row == DF_ROW_LOGITS);
}

/* A pass whose operators run `scale` times as often as in one step. */
typedef struct {
    const df_breakdown *rows;
    const char *phase;
    double scale;
} phase;

static void list_phase(const df_job *x, const df_llm_result *result, const phase *p)
{
    for (int i = 0; i < DF_BREAKDOWN_LEAVES; i++) {
        const df_row_name name = df_breakdown_leaves[i];
        const df_row *const row = &p->rows->row[name];
        if (!row->present) {
            continue;
        }
        const double runs = p->scale * df_llm_runs(x->cfg, result, name);
        df_usage *const usage = df_usages_add(x->usages, df_row_names[name], runs);
        usage->phase = p->phase;
        df_usage_add_side(usage, x->coster.dev, &row->side[DF_FORWARD]);
        if (df_llm_runs_backward(result, name)) {
            df_usage_add_side(usage, x->coster.dev, &row->side[DF_BACKWARD]);
        }
    }
}

/* The forward work that the backward pass does again: of a whole layer, or of attention between its
 * projections. */
static void list_recomputed(const df_job *x, const df_llm_result *result)
{
    static const df_row_name core[] = {DF_ROW_SCORE, DF_ROW_SOFTMAX, DF_ROW_AV};
    const bool all = x->cfg->sched.recompute == DF_RECOMPUTE_FULL;
    const df_row_name *const rows = all ? df_breakdown_leaves : core;
    const int count = all ? DF_BREAKDOWN_LEAVES : sizeof core / sizeof core[0];
    df_usage *const usage = df_usages_add(x->usages, "recomputed forward work",
                                          df_llm_runs(x->cfg, result, DF_ROW_MHA));
    for (int i = 0; i < count; i++) {
        if (rows[i] != DF_ROW_EMBEDDING && rows[i] != DF_ROW_LOGITS) {
            df_usage_add_side(usage, x->coster.dev, &result->pass.row[rows[i]].side[DF_FORWARD]);
        }
    }
}

/* What a step goes to, operator by operator; of an inference prefill and decode, all decode steps
 * being as the last. What stages wait, hops and reductions are not in it. */
static void list_usages(const df_job *x, const df_llm_result *result)
{
    x->usages->count = 0;
    if (result->run_type == DF_RUN_INFERENCE) {
        /* the last decode step, for as long as all take */
        const double steps = result->decode_s * result->tokens_ps.end;
        list_phase(x, result, &(phase){&result->pass, "prefill", 1.0});
        list_phase(x, result, &(phase){&result->decode, "decode", steps});
        return;
    }
    list_phase(x, result, &(phase){&result->pass, "", 1.0});
    if (result->pass.recompute_s > 0 && !result->cut_short) {
        list_recomputed(x, result);
    }
    if (result->optimizer_s > 0) {
        df_usage *const usage = df_usages_add(x->usages, "optimizer", 1.0);
        df_usage_add_kernels(usage, x->coster.dev, &x->optimizer);
    }
}

/* ---- A prediction ---- */

static void read_model(df_job *x)
{
    const int64_t zero_stage = x->cfg->sw.dp_zero_stage;
    x->training = x->cfg->llm.run_type == DF_RUN_TRAINING;
    x->where[0] = '\0';
    x->pipe = df_pipe_read(x->cfg);
    x->order = df_pipe_order(x->cfg);
    df_stack_read(x->cfg, &x->stack);
    x->dims = x->stack.kind[0];
    x->dims.layers = x->stack.layers;
    df_split_read(x->cfg, &x->split);
    df_compat_split(x->rules, &x->split);
    if (df_compat_first_batch_only(x->rules, &x->pipe, x->order)) {
        x->split.batch = (double)x->cfg->llm.batch_size / x->split.dp;
    }
    if (x->training) {
        x->exchange = df_exchange_of(&x->stack, &x->split, zero_stage);
        df_compat_exchange(x->rules, &x->dims, &x->split, zero_stage, &x->exchange);
    } else {
        memset(&x->exchange, 0, sizeof x->exchange);
    }
    x->tariff = df_llm_tariff(x->cfg, x->coster.dev, &x->coster.topo);
}

static df_status train(df_job *x, df_llm_result *out)
{
    const df_span span = df_span_of(&x->dims, &x->split, x->dims.sequence, x->dims.sequence, false);
    const double sequences = (double)x->cfg->llm.batch_size;
    if (x->options.calibrated) {
        DF_TRY(df_llm_train_calibrated(x, &span, out));
    } else {
        DF_TRY(df_llm_time_pass(x, &span, &out->pass));
        DF_TRY(df_llm_run_step(x, &out->optimizer_s, &out->time_s));
    }
    out->cut_short = df_llm_batches(x) < x->split.micro_batches;
    df_llm_pass_energy(x, &out->energy);
    df_llm_add_exchange_energy(x, &out->energy);
    /* backward takes twice the products: Chowdhery et al., JMLR 24, 2023, appendix B */
    out->model_flops =
        3.0 * df_transformer_flops(&x->stack, &span, sequences, x->options.flops_unmasked);
    return DF_OK;
}

static df_status infer(df_job *x, df_llm_result *out)
{
    return x->options.calibrated ? df_llm_infer_calibrated(x, out) : df_llm_infer(x, out);
}

df_status df_predict_llm(df_job *x, df_llm_result *out)
{
    df_llm_result result;
    const size_t wanted = x->usages ? sizeof result : offsetof(df_llm_result, pass);
    memset(&result, 0, wanted);
    read_model(x);
    result.run_type = x->cfg->llm.run_type;
    result.micro_batch = x->split.batch;
    DF_TRY(x->training ? train(x, &result) : infer(x, &result));
    df_energy_finish(&x->tariff, x->split.tp * x->split.cp * x->split.dp * x->split.pp,
                     result.time_s, &result.energy);
    if (x->options.calibrated) {
        df_llm_board_power(x, &result);
    }
    memcpy(out, &result, wanted);
    if (x->usages) {
        list_usages(x, out);
    }
    return DF_OK;
}

double df_llm_flops_use(const df_design *design, const df_llm_result *result)
{
    const df_cfg *const cfg = design->cfg;
    const df_compat_options options = df_compat_read(design->rules);
    df_cfg_formats f;
    df_cfg_formats_of(cfg, &f);
    const double rate = options.calibrated ? df_format_rate(&cfg->tech.core, f.products) : 0.0;
    const double flops_ps = design->dev->core.operating_throughput_flops_ps *
                            (rate > 0.0 ? rate : 1.0) * (double)df_cfg_workers(cfg);
    return result->model_flops / (result->time_s * flops_ps);
}
