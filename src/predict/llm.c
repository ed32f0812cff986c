#include "predict/llm.h"

#include <stddef.h>
#include <string.h>

#include "predict/llm_impl.h"

/* ---- Set-up ---- */

static void read_model(df_llm *x)
{
    const int64_t zero_stage = x->cfg->sw.dp_zero_stage;
    x->pipe = df_pipe_read(x->cfg);
    x->order = df_pipe_order(x->cfg);
    df_dims_read(x->cfg, &x->dims);
    df_split_read(x->cfg, &x->split);
    if (df_compat_first_batch_only(x->rules, &x->pipe, x->order)) {
        df_compat_whole_batch(x->cfg, &x->split);
    }
    if (df_llm_is_training(x)) {
        x->exchange = df_exchange_of(&x->dims, &x->split, zero_stage);
        df_compat_exchange(x->rules, &x->dims, &x->split, zero_stage, &x->exchange);
    }
}

static void read_coster(df_llm *x, const df_hw_device *dev)
{
    const df_gemm_traffic traffic = df_compat_gemm_traffic(x->rules);
    df_coster *const c = &x->coster;
    c->model = df_compat_cost(x->rules, x->cfg, &x->prices);
    c->options = &x->prices;
    c->dev = dev;
    c->cache = x->memory->cache;
    c->err = x->err;
    df_gemm_cache_use(c->cache, dev, &traffic);
    df_topo_derive(x->cfg, dev, x->options.axes_follow_flags, &c->topo);
    x->tariff = df_llm_tariff(x->cfg, dev, &c->topo);
}

static df_status use_simulator(df_llm *x)
{
    const df_compat_options *const o = &x->options;
    x->simulated =
        (df_simulated){.backend = &x->cfg->backend,
                       .links_underated = o->links_underated,
                       .gather_whole = o->gathers_whole,
                       .algorithm_ranks = o->stale_algorithms ? df_compat_split_ranks : NULL,
                       .context = &x->split};
    if (!df_backend_simulates(&x->cfg->backend)) {
        return DF_OK;
    }
    DF_TRY(df_predictor_need_net(x->memory, x->err));
    x->simulated.net = x->memory->net;
    x->coster.simulated = &x->simulated;
    return DF_OK;
}

static df_status train(df_llm *x, df_llm_result *out)
{
    const df_span span = df_span_of(&x->dims, &x->split, x->dims.sequence, x->dims.sequence, false);
    const double sequences = (double)x->cfg->llm.batch_size;
    DF_TRY(df_llm_time_pass(x, &span));
    DF_TRY(df_llm_run_step(x, &out->optimizer_s, &out->time_s));
    out->cut_short = df_llm_batches(x) < x->split.micro_batches;
    df_llm_pass_energy(x, &out->energy);
    df_llm_add_exchange_energy(x, &out->energy);
    /* backward takes twice the products: Chowdhery et al., JMLR 24, 2023, appendix B */
    out->model_flops = 3.0 * df_transformer_flops(&x->dims, &span, sequences);
    if (x->want == DF_WANT_OPERATORS) {
        x->memory->first = x->memory->pass.breakdown;
    }
    return DF_OK;
}

/* ---- A prediction ---- */

df_status df_predict_llm(
    df_predictor *predictor, const df_design *design, df_want want, df_llm_result *out, df_err *err)
{
    const size_t figures = offsetof(df_llm_result, pass);
    df_llm_result result;
    df_llm x = {.memory = predictor,
                .cfg = design->cfg,
                .rules = design->rules,
                .options = df_compat_read(design->rules),
                .want = want,
                .err = err};
    memset(&result, 0, figures);
    if (want == DF_WANT_OPERATORS) {
        memset(&predictor->first, 0, sizeof predictor->first);
        memset(&predictor->last, 0, sizeof predictor->last);
    }
    read_model(&x);
    read_coster(&x, design->dev);
    DF_TRY(use_simulator(&x));
    result.run_type = x.cfg->llm.run_type;
    result.micro_batch = x.split.batch;
    DF_TRY(df_llm_is_training(&x) ? train(&x, &result) : df_llm_infer(&x, &result));
    df_energy_finish(&x.tariff, x.split.tp * x.split.cp * x.split.dp * x.split.pp, result.time_s,
                     &result.energy);
    memcpy(out, &result, figures);
    if (want == DF_WANT_OPERATORS) {
        out->pass = predictor->first;
        out->decode = predictor->last;
    }
    return DF_OK;
}

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

static void
list_phase(const df_design *design, const df_llm_result *result, const phase *p, df_usages *usages)
{
    for (int i = 0; i < DF_BREAKDOWN_LEAVES; i++) {
        const df_row_name name = df_breakdown_leaves[i];
        const df_row *const row = &p->rows->row[name];
        if (!row->present) {
            continue;
        }
        const double runs = p->scale * df_llm_runs(design->cfg, result, name);
        df_usage *const usage = df_usages_add(usages, df_row_names[name], runs);
        usage->phase = p->phase;
        df_usage_add_side(usage, design->dev, &row->side[DF_FORWARD]);
        if (df_llm_runs_backward(result, name)) {
            df_usage_add_side(usage, design->dev, &row->side[DF_BACKWARD]);
        }
    }
}

void df_llm_list_usages(const df_design *design, const df_llm_result *result, df_usages *usages)
{
    usages->count = 0;
    if (result->run_type == DF_RUN_INFERENCE) {
        /* the last decode step, for as long as all take */
        const double steps = result->decode_s * result->tokens_ps.end;
        list_phase(design, result, &(phase){&result->pass, "prefill", 1.0}, usages);
        list_phase(design, result, &(phase){&result->decode, "decode", steps}, usages);
        return;
    }
    list_phase(design, result, &(phase){&result->pass, "", 1.0}, usages);
    if (result->pass.recompute_s > 0 && !result->cut_short) {
        df_usage *const usage = df_usages_add(usages, "recomputed forward work",
                                              df_llm_runs(design->cfg, result, DF_ROW_MHA));
        usage->cost_s[DF_COST_COMPUTE] = result->pass.recompute_s;
    }
    if (result->optimizer_s > 0) {
        df_usage *const usage = df_usages_add(usages, "optimizer", 1.0);
        usage->cost_s[DF_COST_DRAM] = result->optimizer_s;
    }
}
