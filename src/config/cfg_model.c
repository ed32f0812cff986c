/* Whether the description of an LLM has what its layers need. */
#include <inttypes.h>

#include "config/cfg_impl.h"

/* A key that a layer of some kind needs. */
typedef struct {
    bool needed;
    int64_t value;
    const char *key, *by; /* what needs it */
} need;

static df_status check_needs(const need *needs, int count, const char **key, df_err *err)
{
    for (int i = 0; i < count; i++) {
        if (needs[i].needed && needs[i].value == 0) {
            *key = needs[i].key;
            return df_fail(err, DF_EINVAL, "expected a whole number >= 1 for %s, found nothing",
                           needs[i].by);
        }
    }
    return DF_OK;
}

static df_status check_latent(const df_cfg_attention *a, const char **key, df_err *err)
{
    const bool latent = a->attention_type == DF_ATTENTION_MLA;
    const bool indexed = a->index_heads > 0 || a->index_dim > 0 || a->index_top_k > 0;
    const need needs[] = {
        {latent, a->kv_rank, "model_param.attention.kv_rank", "mla"},
        {latent, a->nope_dim, "model_param.attention.nope_dim", "mla"},
        {latent, a->rope_dim, "model_param.attention.rope_dim", "mla"},
        {latent, a->value_dim, "model_param.attention.value_dim", "mla"},
        {indexed, a->index_heads, "model_param.attention.index_heads", "an indexer"},
        {indexed, a->index_dim, "model_param.attention.index_dim", "an indexer"},
        {indexed, a->index_top_k, "model_param.attention.index_top_k", "an indexer"}};
    return check_needs(needs, sizeof needs / sizeof needs[0], key, err);
}

static df_status check_heads(const df_cfg_llm *m, const char **key, df_err *err)
{
    const df_cfg_attention *const a = &m->attention;
    if (a->attention_type == DF_ATTENTION_GQA && a->kv_heads == 0) {
        *key = "model_param.attention.kv_heads";
        return df_fail(err, DF_EINVAL, "expected a whole number >= 1 for gqa, found nothing");
    }
    if (a->attention_type == DF_ATTENTION_GQA && a->num_heads % a->kv_heads != 0) {
        *key = "model_param.attention.kv_heads";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of num_heads %" PRId64 ", found %" PRId64, a->num_heads,
                       a->kv_heads);
    }
    if (a->use_flashattention && a->attention_tile_size == 0) {
        *key = "model_param.attention.attention_tile_size";
        return df_fail(err, DF_EINVAL,
                       "expected a whole number >= 1 with use_flashattention, found nothing");
    }
    if (a->head_dim == 0 && a->attention_type != DF_ATTENTION_MLA &&
        m->hidden_dim % a->num_heads != 0) {
        *key = "model_param.attention.num_heads";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of hidden_dim %" PRId64
                       " without head_dim, found %" PRId64,
                       m->hidden_dim, a->num_heads);
    }
    return DF_OK;
}

/* What the kinds of layers need that the list may leave to the model. */
static df_status
check_kind(const df_cfg_llm *m, const df_layer_kind *kind, const char **key, df_err *err)
{
    const df_cfg_attention *const a = &m->attention;
    const df_cfg_shape *const s = &m->shape;
    const bool scans =
        kind->mixer == DF_MIX_MAMBA2 || kind->mixer == DF_MIX_DELTA || kind->mixer == DF_MIX_LINEAR;
    const bool mamba = kind->mixer == DF_MIX_MAMBA1 || kind->mixer == DF_MIX_MAMBA2;
    const bool windowed = kind->mixer == DF_MIX_WINDOW || kind->mixer == DF_MIX_COMPRESSED;
    const need needs[] = {
        {windowed && kind->window == 0, a->window, "model_param.attention.window",
         "layers with a window"},
        {kind->mixer == DF_MIX_CHUNKED, a->chunk, "model_param.attention.chunk",
         "layers of kind chunked"},
        {scans, s->linear_heads, "model_param.linear.heads", "layers with a state"},
        {scans, s->linear_head_dim, "model_param.linear.head_dim", "layers with a state"},
        {mamba, s->linear_state, "model_param.linear.state", "layers of Mamba"},
        {kind->mixer == DF_MIX_MAMBA1, s->linear_inner, "model_param.linear.inner",
         "layers of kind mamba1"}};
    DF_TRY(check_needs(needs, sizeof needs / sizeof needs[0], key, err));
    if (kind->ffn == DF_FFN_EXPERTS && m->num_experts == 1) {
        *key = "model_param.num_experts";
        return df_fail(err, DF_EINVAL, "expected at least 2 for layers with experts, found 1");
    }
    const int64_t heads = kind->heads > 0 ? kind->heads : a->num_heads;
    if (kind->kv_heads > 0 && heads % kind->kv_heads != 0) {
        *key = "model_param.layers";
        return df_fail(err, DF_EINVAL,
                       "expected kv_heads= to divide the heads of its layer, %" PRId64 ", found %d",
                       heads, (int)kind->kv_heads);
    }
    return DF_OK;
}

static df_status check_layers(const df_cfg_llm *m, const char **key, df_err *err)
{
    const df_cfg_layers *const l = &m->layers;
    if (l->count > 0 && l->count != m->num_layers) {
        *key = "model_param.layers";
        return df_fail(err, DF_EINVAL, "expected num_layers %" PRId64 " layers, found %d",
                       m->num_layers, (int)l->count);
    }
    for (int i = 0; i < l->kinds; i++) {
        DF_TRY(check_kind(m, &l->kind[i], key, err));
    }
    return DF_OK;
}

static df_status check_experts(const df_cfg_llm *m, const char **key, df_err *err)
{
    const df_cfg_shape *const s = &m->shape;
    if (m->top_k > m->num_experts) {
        *key = "model_param.top_k";
        return df_fail(err, DF_EINVAL, "expected at most num_experts %" PRId64 ", found %" PRId64,
                       m->num_experts, m->top_k);
    }
    if (s->groups > 1 && m->num_experts % s->groups != 0) {
        *key = "model_param.moe.groups";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of num_experts %" PRId64 ", found %" PRId64,
                       m->num_experts, s->groups);
    }
    if (s->groups > 0 && s->group_limit > s->groups) {
        *key = "model_param.moe.group_limit";
        return df_fail(err, DF_EINVAL, "expected at most moe.groups %" PRId64 ", found %" PRId64,
                       s->groups, s->group_limit);
    }
    return DF_OK;
}

df_status df_cfg_check_model(const df_cfg_llm *m, const char **key, df_err *err)
{
    DF_TRY(check_latent(&m->attention, key, err));
    DF_TRY(check_heads(m, key, err));
    DF_TRY(check_experts(m, key, err));
    return check_layers(m, key, err);
}

df_status df_cfg_check_plain(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    const df_cfg_llm *const m = &cfg->llm;
    const df_cfg_attention *const a = &m->attention;
    const df_cfg_shape *const s = &m->shape;
    const int64_t usual_dim = m->hidden_dim / a->num_heads;
    const struct {
        bool present;
        const char *key;
    } parts[] = {
        {m->layers.count > 0, "model_param.layers"},
        {a->attention_type == DF_ATTENTION_MLA, "model_param.attention.attention_type"},
        {a->head_dim > 0 && a->head_dim != usual_dim, "model_param.attention.head_dim"},
        {a->gate, "model_param.attention.gate"},
        {a->keys_are_values, "model_param.attention.keys_are_values"},
        {a->index_heads > 0, "model_param.attention.index_heads"},
        {s->gated != DF_BY_TYPE, "model_param.gated"},
        {s->dropout != DF_BY_TYPE, "model_param.dropout"},
        {s->expert_size > 0, "model_param.moe.expert_size"},
        {s->shared_experts > 0, "model_param.moe.shared_experts"},
        {s->latent_dim > 0, "model_param.moe.latent_dim"},
        {s->embedding_dim > 0, "model_param.embedding_dim"},
        {s->layer_embedding_dim > 0, "model_param.layer_embedding.dim"},
        {s->prediction_layers > 0, "model_param.prediction_layers"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].present) {
            *key = parts[i].key;
            return df_fail(err, DF_EINVAL,
                           "expected a model without it under the rules of the reference, found "
                           "one; --rules calibrated and corrected know what it costs");
        }
    }
    if (degrees && m->num_experts > 1 && df_cfg_workers(cfg) > 1) {
        *key = "model_param.num_experts";
        return df_fail(err, DF_EINVAL,
                       "expected 1 on several devices under the rules of the reference, found "
                       "%" PRId64 "; --rules calibrated and corrected know more",
                       m->num_experts);
    }
    return DF_OK;
}
