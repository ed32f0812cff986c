#include "llm/llm.h"

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
    return (df_llm_bytes){.activation = t,
                          .parameter = wide ? fp32 : t,
                          .gradient = wide ? fp32 : t,
                          .gradient_comm = wide ? fp32 : t,
                          .statistics = p->mixed_precision ? fp32 : t,
                          .kv = p->kv_cache_bytes > 0 ? p->kv_cache_bytes : t};
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
    x->batch = x->lp > 1 ? replica / x->mb : replica;
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
    df_cfg cfg = *x->cfg;
    df_hw_links links;
    cfg.system.kp1_inter = cfg.system.tp_inter; /* whatever its name, a group is a group */
    df_hw_derive_links(&cfg, x->dev, &links);
    x->tensor = links.kp1;
    x->data = links.dp;
    x->pipeline = links.lp;
}

static df_status train(df_llm *x, df_llm_result *out)
{
    const df_llm_span span = {x->s, x->s, false};
    df_llm_time_pass(x, &span, &out->pass);
    return df_llm_run_graph(x, &out->pass, x->s, true, &out->time_s);
}

df_status df_llm_predict(const df_cfg *cfg,
                         const df_hw_device *dev,
                         const df_rules *rules,
                         df_llm_result *out,
                         df_err *err)
{
    df_llm_result result;
    df_hw_device bare = *dev;
    df_llm x = {.cfg = cfg,
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
    bare.launch_overhead_s = 0;
    x.gemm = df_gemm_tiled_new();
    if (!x.gemm) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = x.gemm->prepare(x.gemm, &bare, rules, err);
    if (status == DF_OK) {
        status =
            cfg->llm.run_type == DF_RUN_TRAINING ? train(&x, &result) : df_llm_infer(&x, &result);
    }
    x.gemm->free(x.gemm);
    if (status == DF_OK) {
        *out = result;
    }
    return status;
}
