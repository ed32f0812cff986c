#include "model/describe.h"

#include <math.h>
#include <string.h>

const char *const df_count_names[DF_COUNTS] = {
    [DF_COUNT_EMBEDDING] = "embedding", [DF_COUNT_ATTENTION] = "attention",
    [DF_COUNT_STATE] = "state",         [DF_COUNT_FFN] = "feed_forward",
    [DF_COUNT_EXPERTS] = "experts",     [DF_COUNT_SHARED] = "shared_experts",
    [DF_COUNT_ROUTER] = "router",       [DF_COUNT_NORMS] = "norms",
    [DF_COUNT_HEAD] = "head",           [DF_COUNT_OTHER] = "other"};

/* A description being made. */
typedef struct {
    const df_cfg_llm *m;
    df_description *out;
} counting;

/* `used` of `params` are what a token's products read. */
static void add(counting *c, df_counted part, double params, double used)
{
    c->out->part[part].params += params;
    c->out->part[part].active += used;
    c->out->part[part].flops += 2.0 * used;
}

/* ---- Norms and biases ---- */

static double norm_params(const df_cfg_llm *m, double width)
{
    const df_norm_kind by_type = m->model_type == DF_LLM_GPT ? DF_NORM_LAYER : DF_NORM_RMS;
    const df_norm_kind kind = m->shape.norm == DF_NORM_BY_TYPE ? by_type : m->shape.norm;
    return kind == DF_NORM_PLAIN ? 0.0 : kind == DF_NORM_LAYER ? 2.0 * width : width;
}

/* Of queries and keys, of latent ones, biases and sinks. */
static double attention_extras(const df_dims *d)
{
    const df_cfg_attention *const a = d->attention;
    const double kv_heads = d->reuse ? 0.0 : d->kv_heads;
    double extras = a->sinks ? d->heads : 0.0;
    if (a->attention_type == DF_ATTENTION_MLA) {
        return extras + d->latent.q_rank + d->latent.kv_rank;
    }
    if (d->mixer ==
        DF_MIX_COMPRESSED) { /* norms of queries, keys and groups, and places in these */
        const double series = df_dims_group_series(d);
        return extras + d->latent.q_rank + d->head_dim +
               (d->ratio > 0.0 ? d->head_dim * (1.0 + series * d->ratio) : 0.0);
    }
    extras += d->latent.q_rank;
    extras += a->qk_norm == DF_QK_NORM_HEAD  ? 2.0 * d->head_dim
              : a->qk_norm == DF_QK_NORM_ALL ? (d->heads + kv_heads) * d->head_dim
                                             : 0.0;
    extras += a->bias == DF_ATTENTION_BIAS_NONE ? 0.0 : (d->heads + 2.0 * kv_heads) * d->head_dim;
    return extras + (a->bias == DF_ATTENTION_BIAS_ALL ? d->hidden : 0.0);
}

/* The convolution, the decay, the step's bias, the skip and the norm before the output. */
static double scan_extras(const df_dims *d)
{
    const df_scan *const s = &d->scan;
    const double inner = s->heads * s->head_dim;
    switch (d->mixer) {
    case DF_MIX_MAMBA1:
        return s->inner * (s->conv + 1.0) + s->inner * (s->state + 2.0);
    case DF_MIX_MAMBA2:
        return (inner + 2.0 * s->groups * s->state) * (s->conv + 1.0) + 3.0 * s->heads + inner;
    case DF_MIX_DELTA:
        return (2.0 * s->key_heads * s->key_dim + inner) * s->conv + 2.0 * s->heads + s->head_dim;
    case DF_MIX_LINEAR:
        return inner;
    default:
        return 0.0;
    }
}

/* ---- The cache, and what mixes tokens ---- */

/* Flops of the last of `context` tokens between its projections. */
static double mixing_flops(const df_dims *d, double context)
{
    if (df_dims_is_scan(d)) {
        return df_dims_scan_flops(d, true);
    }
    return d->mixer == DF_MIX_NONE
               ? 0.0
               : 4.0 * d->heads * df_dims_pair_width(d) * df_dims_keys(d, context);
}

/* The mean over all of `context` tokens: a straight line up to where the window is full, and a
 * level or, with what is compressed, another line behind it. */
static double mean_mixing_flops(const df_dims *d, double context)
{
    const double chosen = df_dims_is_indexed(d) ? (double)d->attention->index_top_k : 0.0;
    const double limit = d->window > 0.0 ? d->window : chosen > 0.0 ? chosen : context;
    const double knee = df_dims_is_scan(d) ? context : fmin(limit, context);
    const double rising = mixing_flops(d, 0.5 * (1.0 + knee));
    if (d->mixer == DF_MIX_CHUNKED) {
        return rising;
    }
    const double level = mixing_flops(d, 0.5 * (knee + 1.0 + context));
    return (rising * knee + level * (context - knee)) / context;
}

/* ---- Layers ---- */

static void add_mixer(counting *c, const df_dims *d)
{
    if (d->mixer == DF_MIX_NONE) {
        return;
    }
    const bool scan = df_dims_is_scan(d);
    const double weights = df_dims_attention_params(d);
    const double extras = scan ? scan_extras(d) : attention_extras(d);
    add(c, scan ? DF_COUNT_STATE : DF_COUNT_ATTENTION, d->layers * (weights + extras),
        d->layers * weights);
}

static void add_ffn(counting *c, const df_dims *d)
{
    const double bias = c->m->shape.ffn_bias ? d->ffn_in + df_dims_expert_hidden(d) : 0.0;
    const double weights = df_dims_ffn_params(d);
    if (d->ffn_kind == DF_FFN_DENSE) {
        add(c, DF_COUNT_FFN, d->layers * (weights + bias), d->layers * weights);
    } else if (d->ffn_kind == DF_FFN_EXPERTS) {
        const double shared = df_dims_shared_params(d);
        const double gate = c->m->shape.shared_gate ? d->hidden : 0.0;
        add(c, DF_COUNT_EXPERTS, d->layers * d->experts * (weights + bias),
            d->layers * d->top_k * weights);
        add(c, DF_COUNT_SHARED, d->layers * (shared + gate), d->layers * (shared + gate));
        add(c, DF_COUNT_ROUTER, d->layers * d->hidden * d->experts,
            d->layers * d->hidden * d->experts);
    }
}

static void add_norms(counting *c, const df_dims *d)
{
    const bool half = d->mixer == DF_MIX_NONE || d->ffn_kind == DF_FFN_NONE;
    const double norms = (double)c->m->shape.norms / (half ? 2.0 : 1.0);
    add(c, DF_COUNT_NORMS, d->layers * ceil(norms) * norm_params(c->m, d->hidden), 0.0);
}

static void add_kind(counting *c, const df_dims *d, double context)
{
    df_description *const out = c->out;
    const double token = d->layers * df_dims_cache_numbers(d) * d->bytes.cache;
    add_mixer(c, d);
    add_ffn(c, d);
    add_norms(c, d);
    out->cache_token_bytes += token;
    out->cache_bytes += token * df_dims_entries(d, context);
    out->state_bytes += d->layers * df_dims_state_numbers(d) * d->scan.bytes;
    out->mixing_flops += d->layers * mixing_flops(d, context);
    out->mixing_mean_flops += d->layers * mean_mixing_flops(d, context);
}

/* ---- Beside the layers ---- */

/* An embedding of each layer's own (Gemma 3n): one table, and products into each layer and out. */
static void add_layer_embedding(counting *c, double layers)
{
    const df_cfg_llm *const m = c->m;
    const double width = (double)m->shape.layer_embedding_dim;
    const double vocab = m->shape.layer_embedding_vocab > 0 ? (double)m->shape.layer_embedding_vocab
                                                            : (double)m->vocab_size;
    const double products = 3.0 * layers * width * (double)m->hidden_dim;
    add(c, DF_COUNT_EMBEDDING, layers * width * vocab + products, products);
}

static void add_ends(counting *c, const df_dims *d)
{
    const df_cfg_shape *const s = &c->m->shape;
    const double narrow = (double)s->embedding_dim;
    const double width = narrow > 0.0 ? narrow : d->hidden;
    const double table = d->vocab * width;
    const double product = narrow > 0.0 ? narrow * d->hidden : 0.0;
    add(c, DF_COUNT_EMBEDDING, (d->tied ? 0.0 : table) + product, product);
    add(c, DF_COUNT_EMBEDDING, (double)s->positions * d->hidden, 0.0);
    add(c, DF_COUNT_HEAD, table + product, table + product);
    add(c, DF_COUNT_NORMS, norm_params(c->m, d->hidden), 0.0);
    add(c, DF_COUNT_OTHER, (double)s->other_params, (double)s->other_params);
}

/* A layer of the model's last kind behind a product of its input and the next token's embedding,
 * each with a norm (DeepSeek-V3, arXiv:2412.19437, section 2.2). */
static double prediction_params(const df_cfg_llm *m, const df_dims *last)
{
    const double norms = ((double)m->shape.norms + 3.0) * norm_params(m, last->hidden);
    return (double)m->shape.prediction_layers *
           (df_dims_layer_params(last) + last->hidden * 2.0 * last->hidden + norms);
}

void df_describe(const df_cfg *cfg, double context, df_description *out)
{
    df_stack stack;
    counting c = {&cfg->llm, out};
    memset(out, 0, sizeof *out);
    df_stack_read(cfg, &stack);
    for (int k = 0; k < stack.kinds; k++) {
        add_kind(&c, &stack.kind[k], context);
    }
    if (cfg->llm.shape.layer_embedding_dim > 0) {
        add_layer_embedding(&c, stack.layers);
    }
    add_ends(&c, &stack.kind[0]);
    for (int i = 0; i < DF_COUNTS; i++) {
        out->total.params += out->part[i].params;
        out->total.active += out->part[i].active;
        out->total.flops += out->part[i].flops;
    }
    const df_cfg_layers *const l = &cfg->llm.layers;
    const int last = l->count > 0 ? l->of[l->count - 1] : 0;
    out->prediction_params = prediction_params(&cfg->llm, &stack.kind[last]);
}
