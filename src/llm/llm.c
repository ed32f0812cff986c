#include "llm/llm.h"

#include <stdlib.h>
#include <string.h>

#include "llm/llm_impl.h"

static int64_t at_least_1(int64_t degree)
{
    return degree > 0 ? degree : 1;
}

static df_llm_mode mode_of(const df_cfg_sched *s)
{
    const bool tensor = s->tp > 1;
    const bool context = s->cp > 1;
    if (tensor && context) {
        return DF_LLM_HYBRID;
    }
    if (context) {
        return DF_LLM_CONTEXT;
    }
    if (tensor) {
        return s->tp_sp ? DF_LLM_SEQUENCE : DF_LLM_TENSOR;
    }
    return DF_LLM_SINGLE;
}

/* Mixed precision keeps statistics, and with fp32_params weights and gradients, in 4 bytes. */
static df_llm_bytes bytes_of(const df_cfg_precision *p)
{
    const double fp32 = 4.0;
    const double t = p->tensor_bytes;
    const bool wide = p->mixed_precision && p->param_storage == DF_STORE_FP32;
    return (df_llm_bytes){
        .activation = t,
        .parameter = wide ? fp32 : t,
        .gradient = wide ? fp32 : t,
        .gradient_comm = wide ? fp32 : t,
        .statistics = p->mixed_precision ? fp32 : t,
        .kv = p->kv_cache_bytes > 0 ? p->kv_cache_bytes : t,
        .optimizer = p->mixed_precision ? fp32 : t,
        .master =
            p->mixed_precision && p->param_storage == DF_STORE_TENSOR_FP32_MASTER ? fp32 : 0.0};
}

static void read_degrees(df_llm *x)
{
    const df_cfg_sched *const s = &x->cfg->sched;
    x->mode = mode_of(s);
    x->tp = (double)at_least_1(s->tp);
    x->cp = (double)at_least_1(s->cp);
    x->dp = (double)s->dp;
    x->lp = (double)s->lp;
    x->mb = (double)s->mb;
    x->sequence_degree = 1;
    if (s->tp_sp && x->cp == 1) {
        x->sequence_degree = x->tp;
    } else if (x->cp > 1) {
        x->sequence_degree = x->cp;
    }
}

static void read_model(df_llm *x)
{
    const df_cfg_llm *const m = x->m;
    const double replica = (double)m->batch_size / x->dp;
    x->batch = df_llm_accumulates(x) ? replica / x->mb : replica;
    x->s = (double)m->seq_len;
    x->d = (double)m->hidden_dim;
    x->h = (double)m->attention.num_heads;
    x->h_kv =
        m->attention.attention_type == DF_ATTENTION_GQA ? (double)m->attention.kv_heads : x->h;
    x->e = x->d / x->h;
    x->g = x->h / x->h_kv;
    x->ffn = (double)m->intermediate_size;
    x->ffn1 = m->model_type == DF_LLM_LLAMA ? 2.0 * x->ffn : x->ffn;
    x->experts = (double)m->num_experts;
    x->top_k = (double)m->top_k;
}

static void read_links(df_llm *x)
{
    df_hw_links links;
    df_hw_derive_links(x->cfg, x->dev, &links);
    x->tensor = links.tp;
    x->data = links.dp;
    x->pipeline = links.lp;
}

static df_status train(df_llm *x, df_llm_result *out)
{
    const df_llm_span span = {x->s, x->s, false};
    df_llm_time_pass(x, &span, &out->pass);
    out->cut_short = x->lp == 1 && x->mb > 1 && !df_llm_accumulates(x);
    DF_TRY(df_llm_run_step(x, &out->pass, x->s, &out->optimizer_s, &out->time_s));
    df_llm_pass_energy(x, &out->pass, &span, &out->energy);
    /* backward takes twice the products: Chowdhery et al., JMLR 24, 2023, appendix B */
    out->model_flops = 3.0 * df_llm_model_flops(x, &span);
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
        df_sched_ws_free(&predictor->sched);
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
    df_llm x = {.memory = predictor,
                .cfg = cfg,
                .m = &cfg->llm,
                .dev = dev,
                .rules = rules,
                .launch_s = dev->launch_overhead_s,
                .bytes = bytes_of(&cfg->sw.precision),
                .status = DF_OK,
                .err = err};
    memset(&result, 0, sizeof result);
    result.run_type = cfg->llm.run_type;
    read_degrees(&x);
    read_model(&x);
    read_links(&x);
    result.micro_batch = x.batch;
    df_gemm_cache_use(predictor->gemm, dev, rules);
    x.simulated = df_backend_simulates(&cfg->backend);
    if (x.simulated && !predictor->net) {
        predictor->net = df_netcoll_new(predictor->astra);
        if (!predictor->net) {
            return df_fail(err, DF_ENOMEM, "out of memory for the network simulator");
        }
    }
    if (cfg->llm.run_type == DF_RUN_TRAINING) {
        DF_TRY(train(&x, &result));
    } else {
        DF_TRY(df_llm_infer(&x, &result));
    }
    df_llm_finish_energy(&x, result.time_s, &result.energy);
    *out = result;
    return DF_OK;
}
