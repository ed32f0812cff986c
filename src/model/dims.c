#include "model/dims.h"

#include <math.h>

static double degree(const df_cfg *cfg, df_axis axis)
{
    const int64_t given = cfg->sched.degree[axis];
    return given > 0 ? (double)given : 1.0;
}

/* Mixed precision keeps statistics, and with fp32_params weights and gradients, in 4 bytes. */
static df_formats formats_of(const df_cfg_precision *p)
{
    const double element = p->tensor_bytes;
    const double wide = p->mixed_precision ? DF_FP32_BYTES : element;
    const double weight = p->param_storage == DF_STORE_FP32 ? wide : element;
    const bool master = p->mixed_precision && p->param_storage == DF_STORE_TENSOR_FP32_MASTER;
    return (df_formats){.activation = element,
                        .parameter = weight,
                        .gradient = weight,
                        .exchanged_gradient = weight,
                        .statistics = wide,
                        .cache = p->kv_cache_bytes > 0 ? p->kv_cache_bytes : element,
                        .optimizer = wide,
                        .master = master ? DF_FP32_BYTES : 0.0};
}

void df_dims_read(const df_cfg *cfg, df_dims *dims)
{
    const df_cfg_llm *const m = &cfg->llm;
    const df_cfg_attention *const a = &m->attention;
    const double heads = (double)a->num_heads;
    const bool grouped = a->attention_type == DF_ATTENTION_GQA;
    *dims = (df_dims){.layers = (double)m->num_layers,
                      .sequence = (double)m->seq_len,
                      .hidden = (double)m->hidden_dim,
                      .vocab = (double)m->vocab_size,
                      .heads = heads,
                      .kv_heads = grouped ? (double)a->kv_heads : heads,
                      .head_dim = (double)m->hidden_dim / heads,
                      .ffn = (double)m->intermediate_size,
                      .experts = (double)m->num_experts,
                      .top_k = (double)m->top_k,
                      .gated = m->model_type == DF_LLM_LLAMA,
                      .dropout = m->model_type == DF_LLM_GPT,
                      .tied = m->tied_embeddings,
                      .attention = a,
                      .fetch_overlaps = cfg->kv_fetch_overlap,
                      .bytes = formats_of(&cfg->sw.precision)};
    dims->ffn_in = dims->gated ? 2.0 * dims->ffn : dims->ffn;
}

void df_split_read(const df_cfg *cfg, df_split *split)
{
    const double tp = degree(cfg, DF_AXIS_TP);
    const double cp = degree(cfg, DF_AXIS_CP);
    const double dp = degree(cfg, DF_AXIS_DP);
    const bool sequence = cfg->sched.tp_sp && cp == 1.0;
    *split = (df_split){.tp = tp,
                        .cp = cp,
                        .dp = dp,
                        .pp = degree(cfg, DF_AXIS_LP),
                        .micro_batches = (double)cfg->sched.mb,
                        .batch = (double)cfg->llm.batch_size / dp / (double)cfg->sched.mb,
                        .sequence = sequence && tp > 1.0,
                        .sequence_ways = sequence ? tp : cp};
}

/* Routing is random and even: a token misses an expert with probability 1 - top_k / experts. */
df_span
df_span_of(const df_dims *dims, const df_split *split, double tokens, double context, bool decode)
{
    const double rows = split->batch * tokens;
    df_span span = {.tokens = tokens,
                    .context = context,
                    .scored = tokens,
                    .decode = decode,
                    .busy_experts = 1.0,
                    .expert_rows = rows};
    if (dims->experts > 1.0) {
        const double missed = pow(1.0 - dims->top_k / dims->experts, rows);
        span.busy_experts = dims->experts * (1.0 - missed);
        span.expert_rows = ceil(rows * dims->top_k / span.busy_experts);
    }
    return span;
}

void df_span_infer(df_span *span)
{
    span->cached = true;
    span->sampled = true;
    span->scored = 1.0;
}

/* ---- Parameters ---- */

static double attention_params(const df_dims *dims, double kv_heads)
{
    const double qkv = (dims->heads + 2.0 * kv_heads) * dims->head_dim;
    return dims->hidden * qkv + dims->hidden * dims->hidden;
}

double df_dims_attention_params(const df_dims *dims)
{
    return attention_params(dims, dims->kv_heads);
}

double df_dims_ffn_params(const df_dims *dims)
{
    return dims->hidden * dims->ffn_in + dims->ffn * dims->hidden;
}

double df_dims_layer_params(const df_dims *dims)
{
    return df_dims_attention_params(dims) + dims->experts * df_dims_ffn_params(dims);
}

double df_dims_table_params(const df_dims *dims)
{
    return dims->vocab * dims->hidden;
}

/* ---- A device's share ---- */

double df_split_tokens(const df_split *split, double tokens)
{
    return split->cp > 1.0 ? ceil(tokens / split->cp) : tokens;
}

double df_split_width(const df_split *split, double width)
{
    return split->tp > 1.0 ? ceil(width / split->tp) : width;
}

double df_split_outside(const df_split *split, double tokens, double width)
{
    const double shared = split->batch * ceil(tokens / split->sequence_ways) * width;
    return split->cp > 1.0 ? shared / split->tp : shared;
}

double df_split_kv_heads(const df_split *split, const df_dims *dims)
{
    return split->parts_kv_heads ? dims->kv_heads : fmax(dims->kv_heads, split->tp);
}

double df_split_layer_params(const df_split *split, const df_dims *dims)
{
    const double attention = attention_params(dims, df_split_kv_heads(split, dims));
    return (attention + dims->experts * df_dims_ffn_params(dims)) / split->tp;
}

bool df_split_is_plain_tensor(const df_split *split)
{
    return split->tp > 1.0 && split->cp == 1.0 && !split->sequence;
}

double df_split_replicas(const df_split *split)
{
    return split->dp * split->cp;
}
