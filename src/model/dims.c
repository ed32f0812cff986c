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

/* A size of a layer, or the model's. */
static double own(int32_t size, int64_t usual)
{
    return size > 0 ? (double)size : (double)usual;
}

static double or_else(int64_t given, double absent)
{
    return given > 0 ? (double)given : absent;
}

static bool is_there(df_by_type given, bool by_type)
{
    return given == DF_BY_TYPE ? by_type : given == DF_IS_THERE;
}

static df_scan scan_of(const df_cfg_llm *m)
{
    const df_cfg_shape *const s = &m->shape;
    return (df_scan){.heads = (double)s->linear_heads,
                     .head_dim = (double)s->linear_head_dim,
                     .key_heads = or_else(s->linear_key_heads, (double)s->linear_heads),
                     .key_dim = or_else(s->linear_key_dim, (double)s->linear_head_dim),
                     .state = (double)s->linear_state,
                     .groups = (double)s->linear_groups,
                     .inner = (double)s->linear_inner,
                     .dt_rank = or_else(s->linear_dt_rank, ceil((double)m->hidden_dim / 16.0)),
                     .gate_rank = (double)s->linear_gate_rank,
                     .conv = (double)s->linear_conv,
                     .chunk = (double)s->linear_chunk,
                     .bytes = s->linear_state_bytes};
}

static void read_heads(const df_cfg_llm *m, const df_layer_kind *kind, df_dims *dims)
{
    const df_cfg_attention *const a = &m->attention;
    dims->heads = own(kind->heads, a->num_heads);
    dims->kv_heads = a->attention_type == DF_ATTENTION_GQA ? (double)a->kv_heads : dims->heads;
    dims->kv_heads = kind->kv_heads > 0 ? (double)kind->kv_heads : dims->kv_heads;
    dims->head_dim = or_else(a->head_dim, (double)m->hidden_dim / (double)a->num_heads);
    dims->head_dim = kind->head_dim > 0 ? (double)kind->head_dim : dims->head_dim;
    dims->window = kind->mixer == DF_MIX_CHUNKED ? (double)a->chunk : own(kind->window, a->window);
    if (kind->mixer == DF_MIX_FULL && kind->window == 0) {
        dims->window = 0.0;
    }
    dims->ratio = (double)kind->ratio;
    dims->latent = (df_latent){.q_rank = (double)a->q_rank,
                               .kv_rank = (double)a->kv_rank,
                               .nope = (double)a->nope_dim,
                               .rope = (double)a->rope_dim,
                               .value = (double)a->value_dim};
}

/* Width of a feed-forward network, or of one of its experts. */
static void read_ffn(const df_cfg_llm *m, const df_layer_kind *kind, df_dims *dims)
{
    const df_cfg_shape *const s = &m->shape;
    const df_ffn_kind usual = m->num_experts > 1 ? DF_FFN_EXPERTS : DF_FFN_DENSE;
    dims->ffn_kind = kind->ffn == DF_FFN_USUAL ? usual : (df_ffn_kind)kind->ffn;
    const bool experts = dims->ffn_kind == DF_FFN_EXPERTS;
    const double expert = or_else(s->expert_size, (double)m->intermediate_size);
    const double usual_width = experts ? expert : (double)m->intermediate_size;
    dims->ffn = kind->width > 0 ? (double)kind->width : usual_width;
    dims->ffn = dims->ffn_kind == DF_FFN_NONE ? 0.0 : dims->ffn;
    dims->experts = experts ? (double)m->num_experts : 1.0;
    dims->top_k = experts ? (double)m->top_k : 1.0;
    dims->group_limit = experts && s->groups > 1 ? (double)s->group_limit : 0.0;
    dims->shared = experts ? (double)s->shared_experts * or_else(s->shared_size, dims->ffn) : 0.0;
    dims->expert_hidden = experts ? (double)s->latent_dim : 0.0;
    dims->gated = is_there(s->gated, m->model_type == DF_LLM_LLAMA);
    dims->dropout = is_there(s->dropout, m->model_type == DF_LLM_GPT);
    dims->ffn_in = dims->gated ? 2.0 * dims->ffn : dims->ffn;
}

static void read_kind(const df_cfg *cfg, const df_layer_kind *kind, double layers, df_dims *dims)
{
    const df_cfg_llm *const m = &cfg->llm;
    *dims = (df_dims){.layers = layers,
                      .sequence = (double)m->seq_len,
                      .hidden = (double)m->hidden_dim,
                      .vocab = (double)m->vocab_size,
                      .mixer = (df_mixer)kind->mixer,
                      .reuse = kind->reuse,
                      .scan = scan_of(m),
                      .tied = m->tied_embeddings,
                      .attention = &m->attention,
                      .fetch_overlaps = cfg->kv_fetch_overlap,
                      .bytes = formats_of(&cfg->sw.precision)};
    read_heads(m, kind, dims);
    read_ffn(m, kind, dims);
}

static const df_layer_kind usual_kind = {.mixer = DF_MIX_FULL, .ffn = DF_FFN_USUAL};

void df_dims_read(const df_cfg *cfg, df_dims *dims)
{
    const df_cfg_layers *const l = &cfg->llm.layers;
    const df_layer_kind *const first = l->count > 0 ? &l->kind[0] : &usual_kind;
    read_kind(cfg, first, (double)cfg->llm.num_layers, dims);
}

void df_stack_of(const df_dims *dims, df_stack *stack)
{
    stack->kinds = 1;
    stack->layers = dims->layers;
    stack->of = NULL;
    stack->kind[0] = *dims;
}

void df_stack_read(const df_cfg *cfg, df_stack *stack)
{
    const df_cfg_layers *const l = &cfg->llm.layers;
    stack->layers = (double)cfg->llm.num_layers;
    stack->kinds = l->count > 0 ? l->kinds : 1;
    stack->of = l->count > 0 ? l->of : NULL;
    if (l->count == 0) {
        read_kind(cfg, &usual_kind, stack->layers, &stack->kind[0]);
        return;
    }
    for (int k = 0; k < l->kinds; k++) {
        read_kind(cfg, &l->kind[k], 0.0, &stack->kind[k]);
    }
    for (int32_t i = 0; i < l->count; i++) {
        stack->kind[l->of[i]].layers += 1.0;
    }
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
                        .ep = (double)cfg->sched.ep,
                        .micro_batches = (double)cfg->sched.mb,
                        .batch = (double)cfg->llm.batch_size / dp / (double)cfg->sched.mb,
                        .sequence = sequence && tp > 1.0,
                        .sequence_ways = sequence ? tp : cp};
}

/* Routing is random and even: a token misses an expert with probability 1 - top_k / experts. Where
 * devices share the experts, the tokens of all of them come together. */
void df_span_experts(const df_dims *dims, const df_split *split, df_span *span)
{
    const double ep = df_split_ep(split);
    const double tokens = split->batch * span->tokens;
    const double own = ep > 1.0 && split->sequence ? tokens / split->tp : tokens;
    const double rows = own * ep;
    span->busy_experts = 1.0;
    span->expert_rows = tokens;
    if (dims->experts > 1.0) {
        const double missed = pow(1.0 - dims->top_k / dims->experts, rows);
        const double busy = dims->experts * (1.0 - missed);
        span->busy_experts = busy / ep;
        span->expert_rows = ceil(rows * dims->top_k / busy);
    }
}

df_span
df_span_of(const df_dims *dims, const df_split *split, double tokens, double context, bool decode)
{
    df_span span = {.tokens = tokens, .context = context, .scored = tokens, .decode = decode};
    df_span_experts(dims, split, &span);
    return span;
}

void df_span_infer(df_span *span)
{
    span->cached = true;
    span->sampled = true;
    span->scored = 1.0;
}

/* ---- What mixes tokens ---- */

bool df_dims_is_latent(const df_dims *dims)
{
    return dims->mixer <= DF_MIX_CROSS && dims->latent.kv_rank > 0.0 &&
           dims->attention->attention_type == DF_ATTENTION_MLA;
}

bool df_dims_is_scan(const df_dims *dims)
{
    return dims->mixer == DF_MIX_MAMBA1 || dims->mixer == DF_MIX_MAMBA2 ||
           dims->mixer == DF_MIX_DELTA || dims->mixer == DF_MIX_LINEAR;
}

double df_dims_scan_width(const df_dims *dims)
{
    const df_scan *const s = &dims->scan;
    return dims->mixer == DF_MIX_MAMBA1 ? s->inner : s->heads * s->head_dim;
}

/* Numbers of the state for each element inside the layer. */
static double state_depth(const df_dims *dims)
{
    switch (dims->mixer) {
    case DF_MIX_MAMBA1:
    case DF_MIX_MAMBA2:
        return dims->scan.state;
    case DF_MIX_DELTA:
        return dims->scan.key_dim;
    case DF_MIX_LINEAR:
        return dims->scan.head_dim;
    default:
        return 0.0;
    }
}

double df_dims_state_numbers(const df_dims *dims)
{
    return df_dims_scan_width(dims) * state_depth(dims);
}

/* A number of the state decays, takes in and gives out: Dao and Gu, arXiv:2405.21060, section 6,
 * whose products over chunks Mamba-1 cannot use. */
double df_dims_scan_flops(const df_dims *dims, bool decode)
{
    const df_scan *const s = &dims->scan;
    const double states = df_dims_state_numbers(dims);
    const double key_heads = dims->mixer == DF_MIX_MAMBA2  ? s->groups
                             : dims->mixer == DF_MIX_DELTA ? s->key_heads
                                                           : s->heads;
    if (decode || dims->mixer == DF_MIX_MAMBA1) {
        return 6.0 * states;
    }
    return 2.0 * s->chunk * (key_heads * state_depth(dims) + df_dims_scan_width(dims)) +
           4.0 * states;
}

double df_dims_cache_numbers(const df_dims *dims)
{
    const bool one = dims->attention->keys_are_values && dims->mixer == DF_MIX_FULL;
    if (dims->reuse || dims->mixer == DF_MIX_CROSS || dims->mixer == DF_MIX_NONE ||
        df_dims_is_scan(dims)) {
        return 0.0;
    }
    if (dims->mixer == DF_MIX_COMPRESSED) {
        return dims->head_dim;
    }
    return df_dims_is_latent(dims) ? dims->latent.kv_rank + dims->latent.rope
                                   : (one ? 1.0 : 2.0) * dims->kv_heads * dims->head_dim;
}

double df_dims_entries(const df_dims *dims, double context)
{
    const double near = dims->window > 0.0 ? fmin(context, dims->window) : context;
    return dims->ratio > 0.0 ? near + floor(context / dims->ratio) : near;
}

/* In DeepSeek-V4 (HuggingFace's transformers, models/deepseek_v4; its paper, section 2.3) groups of
 * 4 tokens overlap the ones before, and an indexer with keys of its own groups chooses among them;
 * groups of 128 do neither. */
static const double OVERLAPPING_RATIO = 4.0;

bool df_dims_is_indexed(const df_dims *dims)
{
    const bool chooses = dims->attention->index_top_k > 0;
    return chooses && (dims->mixer != DF_MIX_COMPRESSED ||
                       (dims->ratio > 0.0 && dims->ratio <= OVERLAPPING_RATIO));
}

double df_dims_group_series(const df_dims *dims)
{
    return dims->ratio == 0.0 ? 0.0 : dims->ratio <= OVERLAPPING_RATIO ? 2.0 : 1.0;
}

/* As many as an indexer chooses. */
static double chosen(const df_dims *dims, double keys)
{
    const double most = (double)dims->attention->index_top_k;
    return df_dims_is_indexed(dims) ? fmin(keys, most) : keys;
}

double df_dims_keys(const df_dims *dims, double context)
{
    if (dims->mixer == DF_MIX_CHUNKED) {
        return fmod(context - 1.0, dims->window) + 1.0;
    }
    if (dims->ratio > 0.0) {
        return fmin(context, dims->window) + chosen(dims, floor(context / dims->ratio));
    }
    return chosen(dims, dims->window > 0.0 ? fmin(context, dims->window) : context);
}

/* Pairs of the first `tokens` of a sequence where each sees at most `most` before it. */
static double pairs(double tokens, double most)
{
    const double rising = fmin(tokens, most);
    return 0.5 * rising * (rising + 1.0) + (tokens - rising) * rising;
}

double df_dims_unseen(const df_dims *dims, double tokens)
{
    const double most = df_dims_is_indexed(dims) ? (double)dims->attention->index_top_k : 0.0;
    const double all = pairs(tokens, tokens);
    double seen = all;
    if (dims->mixer == DF_MIX_CHUNKED) {
        const double rest = fmod(tokens, dims->window);
        seen = floor(tokens / dims->window) * pairs(dims->window, dims->window) + pairs(rest, rest);
    } else if (dims->ratio > 0.0) {
        const double far = most > 0.0 ? pairs(tokens, most * dims->ratio) : all;
        seen = pairs(tokens, dims->window) + far / dims->ratio;
    } else if (dims->window > 0.0) {
        seen = pairs(tokens, dims->window);
    } else if (most > 0.0) {
        seen = pairs(tokens, most);
    }
    return fmax(0.0, 1.0 - seen / all);
}

double df_dims_pair_width(const df_dims *dims)
{
    const df_latent *const l = &dims->latent;
    return df_dims_is_latent(dims) ? 0.5 * (l->nope + l->rope + l->value) : dims->head_dim;
}

/* ---- Parameters ---- */

/* Keys and values are the layer's own, or one projection gives both. */
static double kv_width(const df_dims *dims, double kv_heads)
{
    const bool one = dims->attention->keys_are_values && dims->mixer == DF_MIX_FULL;
    return dims->reuse ? 0.0 : (one ? 1.0 : 2.0) * kv_heads * dims->head_dim;
}

static double heads_params(const df_dims *dims, double kv_heads)
{
    const double width = dims->heads * dims->head_dim;
    const double q = dims->attention->gate ? 2.0 * width : width;
    const double rank = dims->latent.q_rank;
    const double query = rank > 0.0 ? rank * (dims->hidden + q) : dims->hidden * q;
    return query + dims->hidden * kv_width(dims, kv_heads) + width * dims->hidden;
}

/* What chooses the tokens to attend to (DeepSeek-V3.2, arXiv:2512.02556, section 2.1): queries of
 * `from` numbers, one key, and a weight for each head. */
static double index_params(const df_dims *dims)
{
    const df_cfg_attention *const a = dims->attention;
    const double from = dims->latent.q_rank > 0 ? dims->latent.q_rank : dims->hidden;
    const double heads = (double)a->index_heads;
    return from * heads * (double)a->index_dim + dims->hidden * ((double)a->index_dim + heads);
}

static double latent_params(const df_dims *dims)
{
    const df_latent *const l = &dims->latent;
    const double query = dims->heads * (l->nope + l->rope);
    const double q =
        l->q_rank > 0 ? dims->hidden * l->q_rank + l->q_rank * query : dims->hidden * query;
    const double kv =
        dims->hidden * (l->kv_rank + l->rope) + l->kv_rank * dims->heads * (l->nope + l->value);
    return q + kv + dims->heads * l->value * dims->hidden + index_params(dims);
}

/* What compresses a group: values and gates, of two groups where they overlap. */
static double group_params(const df_dims *dims, double width)
{
    return dims->hidden * 2.0 * df_dims_group_series(dims) * width;
}

static double group_index_params(const df_dims *dims)
{
    const df_cfg_attention *const a = dims->attention;
    const double heads = (double)a->index_heads;
    const double dim = (double)a->index_dim;
    return df_dims_is_indexed(dims)
               ? dims->latent.q_rank * heads * dim + dims->hidden * heads + group_params(dims, dim)
               : 0.0;
}

/* Latent queries, one key that is the value, too, what compresses groups of them, and an output in
 * groups of low rank. */
static double compressed_params(const df_dims *dims)
{
    const df_cfg_attention *const a = dims->attention;
    const double width = dims->heads * dims->head_dim;
    const double rank = (double)a->out_rank;
    const double q = dims->latent.q_rank * (dims->hidden + width);
    const double out = rank > 0 ? width * rank + (double)a->out_groups * rank * dims->hidden
                                : width * dims->hidden;
    return q + dims->hidden * dims->head_dim + group_params(dims, dims->head_dim) + out +
           group_index_params(dims);
}

/* Queries, keys, values and the output; a gate, and what decays and writes: of each head, or with a
 * rank a decay of each key (Kimi Linear, arXiv:2510.26692, section 4). */
static double delta_params(const df_dims *dims)
{
    const df_scan *const s = &dims->scan;
    const double inner = s->heads * s->head_dim;
    const double keys = s->key_heads * s->key_dim;
    const double gates = s->gate_rank > 0.0 ? s->gate_rank * (2.0 * dims->hidden + inner + keys)
                                            : dims->hidden * (inner + s->heads);
    return dims->hidden * (2.0 * keys + 2.0 * inner + s->heads) + gates;
}

static double scan_params(const df_dims *dims)
{
    const df_scan *const s = &dims->scan;
    const double inner = s->heads * s->head_dim;
    switch (dims->mixer) {
    case DF_MIX_MAMBA1:
        return dims->hidden * 2.0 * s->inner + s->inner * (s->dt_rank + 2.0 * s->state) +
               s->dt_rank * s->inner + s->inner * dims->hidden;
    case DF_MIX_MAMBA2:
        return dims->hidden * (2.0 * inner + 2.0 * s->groups * s->state + s->heads) +
               inner * dims->hidden;
    case DF_MIX_DELTA:
        return delta_params(dims);
    case DF_MIX_LINEAR:
        return 5.0 * dims->hidden * inner; /* queries, keys, values, a gate; and the output */
    default:
        return 0.0;
    }
}

static double attention_params(const df_dims *dims, double kv_heads)
{
    switch (dims->mixer) {
    case DF_MIX_COMPRESSED:
        return compressed_params(dims);
    case DF_MIX_FULL:
    case DF_MIX_WINDOW:
    case DF_MIX_CHUNKED:
    case DF_MIX_CROSS:
        return df_dims_is_latent(dims) ? latent_params(dims) : heads_params(dims, kv_heads);
    default:
        return scan_params(dims);
    }
}

double df_dims_attention_params(const df_dims *dims)
{
    return attention_params(dims, dims->kv_heads);
}

double df_dims_expert_hidden(const df_dims *dims)
{
    return dims->expert_hidden > 0.0 ? dims->expert_hidden : dims->hidden;
}

double df_dims_ffn_params(const df_dims *dims)
{
    const double hidden = df_dims_expert_hidden(dims);
    return hidden * dims->ffn_in + dims->ffn * hidden;
}

/* With the products to the width of experts and back. */
double df_dims_shared_params(const df_dims *dims)
{
    const double ways = dims->gated ? 3.0 : 2.0;
    return ways * dims->hidden * dims->shared + 2.0 * dims->hidden * dims->expert_hidden;
}

double df_dims_layer_params(const df_dims *dims)
{
    return df_dims_attention_params(dims) + dims->experts * df_dims_ffn_params(dims) +
           df_dims_shared_params(dims);
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

double df_split_ep(const df_split *split)
{
    return fmax(1.0, split->ep);
}

double df_split_expert_params(const df_split *split, const df_dims *dims)
{
    const double ep = df_split_ep(split);
    const double ways = ep > 1.0 ? ep : split->tp;
    return dims->experts > 1.0 ? dims->experts * df_dims_ffn_params(dims) / ways : 0.0;
}

/* What leads to latent queries, keys and values, every device has whole. */
static double copied_params(const df_dims *dims)
{
    const df_latent *const l = &dims->latent;
    return df_dims_is_latent(dims) ? dims->hidden * (l->q_rank + l->kv_rank + l->rope) : 0.0;
}

double df_split_other_params(const df_split *split, const df_dims *dims)
{
    const double attention = attention_params(dims, df_split_kv_heads(split, dims));
    const double ffn = dims->experts > 1.0 ? 0.0 : df_dims_ffn_params(dims);
    const double copied = copied_params(dims);
    return (attention - copied + ffn + df_dims_shared_params(dims)) / split->tp + copied;
}

double df_split_layer_params(const df_split *split, const df_dims *dims)
{
    return df_split_other_params(split, dims) + df_split_expert_params(split, dims);
}

double df_split_mean_params(const df_split *split, const df_stack *stack)
{
    double sum = 0.0;
    if (stack->kinds == 1) {
        return df_split_layer_params(split, &stack->kind[0]);
    }
    for (int k = 0; k < stack->kinds; k++) {
        sum += stack->kind[k].layers * df_split_layer_params(split, &stack->kind[k]);
    }
    return sum / stack->layers;
}

bool df_split_is_plain_tensor(const df_split *split)
{
    return split->tp > 1.0 && split->cp == 1.0 && !split->sequence;
}

double df_split_replicas(const df_split *split)
{
    return split->dp * split->cp;
}
