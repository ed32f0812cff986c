#include "llm/llm.h"

#include <stdlib.h>
#include <string.h>

#include "compat/algorithm.h"
#include "compat/energy.h"
#include "llm/llm_impl.h"

/* ---- A pass ---- */

static double recompute_s(df_recompute kind, const df_breakdown *table)
{
    const df_row *const row = table->row;
    switch (kind) {
    case DF_RECOMPUTE_FULL:
        return table->block_s[DF_FORWARD];
    case DF_RECOMPUTE_SELECTIVE: /* the products of attention; FlashAttention does so anyway */
        return row[DF_ROW_SCORE].side[DF_FORWARD].time_s +
               row[DF_ROW_SOFTMAX].side[DF_FORWARD].time_s + row[DF_ROW_AV].side[DF_FORWARD].time_s;
    case DF_RECOMPUTE_NONE:
        break;
    }
    return 0.0;
}

df_status df_llm_time_pass(df_llm *x, const df_span *span, df_llm_pass *pass)
{
    pass->span = *span;
    df_compat_span(x->rules, &x->dims, &x->split, &pass->span);
    const df_compat_case of = {&x->dims, &x->split, &pass->span};
    df_transformer_build(&x->dims, &x->split, &pass->span, &pass->ops);
    df_compat_edit(x->rules, &of, &pass->ops);
    x->coster.forward_only = span->decode;
    DF_TRY(df_price_ops(&x->coster, &pass->ops, pass->price));
    df_breakdown_fill(&pass->ops, pass->price, &pass->table);
    df_compat_count(x->rules, &of, &pass->ops, pass->price, &pass->table);
    if (x->cfg->llm.run_type == DF_RUN_TRAINING) {
        df_breakdown_recompute(&pass->table, recompute_s(x->cfg->sched.recompute, &pass->table));
    }
    return DF_OK;
}

double df_llm_coll_s(
    const df_llm *x, df_coll_kind kind, double bytes, double participants, const df_hw_link *link)
{
    const df_op_collective what = {kind, 0, bytes};
    const df_topo_group group = {.members = participants, .link = *link};
    return df_price_collective_s(&x->coster, &what, &group);
}

double df_llm_collective_s(const df_hw_device *dev,
                           const df_rules *rules,
                           const df_op_collective *what,
                           const df_topo_group *group)
{
    static const df_cfg llm = {.mode = DF_MODE_LLM};
    df_compat_prices prices;
    const df_coster coster = {
        .model = df_compat_cost(rules, &llm, &prices), .options = &prices, .dev = dev};
    return df_price_collective_s(&coster, what, group);
}

/* ---- Set-up ---- */

static void read_coster(df_llm *x, const df_hw_device *dev)
{
    df_coster *const c = &x->coster;
    *c = (df_coster){.model = df_compat_cost(x->rules, x->cfg, &x->prices),
                     .options = &x->prices,
                     .dev = dev,
                     .cache = x->memory->gemm,
                     .err = x->err};
    const df_gemm_traffic traffic = df_compat_gemm_traffic(x->rules);
    df_gemm_cache_use(c->cache, dev, &traffic);
    df_topo_derive(x->cfg, dev, &c->topo);
}

static df_status use_simulator(df_llm *x)
{
    df_llm_predictor *const memory = x->memory;
    const bool stale = x->rules->astra_algorithm_stale;
    x->simulated = (df_simulated){.backend = &x->cfg->backend,
                                  .links_underated = x->rules->astra_links_underated,
                                  .gather_whole = x->rules->llm_all_gather_whole_steps,
                                  .algorithm_ranks = stale ? df_compat_split_ranks : NULL,
                                  .context = &x->split};
    if (!df_backend_simulates(&x->cfg->backend)) {
        return DF_OK;
    }
    if (!memory->net) {
        memory->net = df_netcoll_new(memory->astra);
    }
    if (!memory->net) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the network simulator");
    }
    x->simulated.net = memory->net;
    x->coster.simulated = &x->simulated;
    return DF_OK;
}

static df_status train(df_llm *x, df_llm_result *out)
{
    df_llm_pass *const pass = &x->memory->pass;
    const df_span span = df_span_of(&x->dims, &x->split, x->dims.sequence, x->dims.sequence, false);
    const double sequences = (double)x->cfg->llm.batch_size;
    DF_TRY(df_llm_time_pass(x, &span, pass));
    out->cut_short = x->split.pp == 1.0 && x->split.micro_batches > 1.0 && !df_llm_accumulates(x);
    DF_TRY(df_llm_run_step(x, pass, &out->optimizer_s, &out->time_s));
    out->pass = pass->table;
    df_llm_pass_energy(x, pass, &out->energy);
    df_llm_add_exchange_energy(x, &out->energy);
    /* backward takes twice the products: Chowdhery et al., JMLR 24, 2023, appendix B */
    out->model_flops = 3.0 * df_transformer_flops(&x->dims, &span, sequences);
    return DF_OK;
}

df_llm_predictor *df_llm_predictor_new(void)
{
    df_llm_predictor *const predictor = calloc(1, sizeof *predictor);
    if (predictor) {
        predictor->gemm = df_gemm_cache_new();
    }
    if (predictor && !predictor->gemm) {
        free(predictor);
        return NULL;
    }
    return predictor;
}

void df_llm_predictor_free(df_llm_predictor *predictor)
{
    if (predictor) {
        df_gemm_cache_free(predictor->gemm);
        df_netcoll_free(predictor->net);
        free(predictor->finish_s);
        free(predictor);
    }
}

void df_llm_predictor_use(df_llm_predictor *predictor, df_astra *astra)
{
    predictor->astra = astra;
}

void df_llm_predictor_show(df_llm_predictor *predictor, const df_llm_watch *watch)
{
    predictor->watch = watch;
}

df_status df_llm_show(df_llm *x, const char *name, const df_dag *dag)
{
    const df_llm_watch *const watch = x->memory->watch;
    return watch ? watch->graph(watch->context, x->where, name, dag, x->err) : DF_OK;
}

void df_llm_predictor_clear(df_llm_predictor *predictor)
{
    df_gemm_cache_clear(predictor->gemm);
}

df_status df_llm_predict(df_llm_predictor *predictor,
                         const df_cfg *cfg,
                         const df_hw_device *dev,
                         const df_rules *rules,
                         df_llm_result *out,
                         df_err *err)
{
    df_llm_result result;
    df_llm x = {.memory = predictor, .cfg = cfg, .rules = rules, .err = err};
    memset(&result, 0, sizeof result);
    df_dims_read(cfg, &x.dims);
    df_split_read(cfg, &x.split);
    df_compat_split(rules, cfg, &x.split);
    df_exchange_of(&x.dims, &x.split, cfg->sw.dp_zero_stage, &x.exchange);
    df_compat_exchange(rules, &x.dims, &x.split, cfg->sw.dp_zero_stage, &x.exchange);
    read_coster(&x, dev);
    x.tariff = df_llm_tariff(cfg, dev, &x.coster.topo);
    DF_TRY(use_simulator(&x));
    result.run_type = cfg->llm.run_type;
    result.micro_batch = x.split.batch;
    if (cfg->llm.run_type == DF_RUN_TRAINING) {
        DF_TRY(train(&x, &result));
    } else {
        DF_TRY(df_llm_infer(&x, &result));
    }
    df_energy_finish(&x.tariff, x.split.tp * x.split.cp * x.split.dp * x.split.pp, result.time_s,
                     &result.energy);
    *out = result;
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
    const df_breakdown *table;
    const char *phase;
    double scale;
} phase;

static void list_phase(const df_cfg *cfg,
                       const df_hw_device *dev,
                       const df_llm_result *result,
                       const phase *p,
                       df_usages *usages)
{
    for (int i = 0; i < DF_BREAKDOWN_LEAVES; i++) {
        const df_row_name name = df_breakdown_leaves[i];
        const df_row *const row = &p->table->row[name];
        if (!row->present) {
            continue;
        }
        const double runs = p->scale * df_llm_runs(cfg, result, name);
        df_usage *const usage = df_usages_add(usages, df_row_names[name], runs);
        usage->phase = p->phase;
        df_usage_add_side(usage, dev, &row->side[DF_FORWARD]);
        if (df_llm_runs_backward(result, name)) {
            df_usage_add_side(usage, dev, &row->side[DF_BACKWARD]);
        }
    }
}

void df_llm_list_usages(const df_cfg *cfg,
                        const df_hw_device *dev,
                        const df_llm_result *result,
                        df_usages *usages)
{
    usages->count = 0;
    if (result->run_type == DF_RUN_INFERENCE) {
        /* the last decode step, for as long as all take */
        const double steps = result->decode_s * result->tokens_ps.end;
        list_phase(cfg, dev, result, &(phase){&result->pass, "prefill", 1.0}, usages);
        list_phase(cfg, dev, result, &(phase){&result->decode, "decode", steps}, usages);
        return;
    }
    list_phase(cfg, dev, result, &(phase){&result->pass, "", 1.0}, usages);
    if (result->pass.recompute_s > 0 && !result->cut_short) {
        df_usage *const usage =
            df_usages_add(usages, "recomputed forward work", df_llm_runs(cfg, result, DF_ROW_MHA));
        usage->cost_s[DF_COST_COMPUTE] = result->pass.recompute_s;
    }
    if (result->optimizer_s > 0) {
        df_usage *const usage = df_usages_add(usages, "optimizer", 1.0);
        usage->cost_s[DF_COST_DRAM] = result->optimizer_s;
    }
}
