/* What mixes tokens in each layer. */
#include "hf/hf_impl.h"

#include <inttypes.h>
#include <string.h>

/* ---- Lists of words ---- */

enum { STATE = DF_MIXERS }; /* whatever the family has in layers that do not attend */

static const struct {
    const char *word;
    int mixer;
} words[] = {
    {"full_attention", DF_MIX_FULL},
    {"attention", DF_MIX_FULL},
    {"global", DF_MIX_FULL},
    {"global_attention", DF_MIX_FULL},
    {"sliding_attention", DF_MIX_WINDOW},
    {"sliding_window", DF_MIX_WINDOW},
    {"local", DF_MIX_WINDOW},
    {"local_attention", DF_MIX_WINDOW},
    {"chunked_attention", DF_MIX_CHUNKED},
    {"linear_attention", STATE},
    {"mamba", STATE},
    {"mamba2", STATE},
};

/* Layers of DeepSeek-V4, by the tokens of a group (its paper, section 2.3). */
static const struct {
    const char *word;
    int32_t ratio;
} compressed[] = {{"sliding_attention", 0},
                  {"compressed_sparse_attention", 4},
                  {"heavily_compressed_attention", 128}};

static bool take_compressed(const char *word, df_layer_kind *kind)
{
    for (size_t i = 0; word && i < sizeof compressed / sizeof compressed[0]; i++) {
        if (strcmp(compressed[i].word, word) == 0) {
            kind->mixer = DF_MIX_COMPRESSED;
            kind->ratio = compressed[i].ratio;
            return true;
        }
    }
    return false;
}

static bool take_word(const df_hf_reader *r, const char *word, df_layer_kind *kind)
{
    if (r->family.state == DF_MIX_COMPRESSED) {
        return take_compressed(word, kind);
    }
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++) {
        const bool state = words[i].mixer == STATE;
        if (strcmp(words[i].word, word) == 0 && (!state || r->family.state != DF_MIX_FULL)) {
            kind->mixer = state ? r->family.state : (uint8_t)words[i].mixer;
            return true;
        }
    }
    return false;
}

/* False: there is no list. */
static bool take_list(df_hf_reader *r, const char *key, df_hf_layers *layers)
{
    const json_t *const list = df_hf_list(r, key);
    if (!list) {
        return false;
    }
    if (json_array_size(list) < (size_t)layers->count) {
        df_hf_fail(r, key, "a word for each layer", list);
        return true;
    }
    for (int32_t i = 0; i < layers->count; i++) {
        const json_t *const word = json_array_get(list, (size_t)i);
        if (!take_word(r, json_string_value(word), &layers->at[i])) {
            df_hf_fail(r, key, "kinds of layers that are known", word);
            return true;
        }
    }
    return true;
}

/* ---- Patterns ---- */

/* Every period-th layer attends to all, the others are of another kind. */
static void take_period(df_hf_layers *layers, int64_t period, uint8_t other)
{
    for (int32_t i = 0; i < layers->count; i++) {
        layers->at[i].mixer = (i + 1) % period == 0 ? DF_MIX_FULL : other;
    }
}

/* A number; or letters, of which L is local and G global, as in EXAONE's "LLLG". */
static bool take_sliding_pattern(df_hf_reader *r, df_hf_layers *layers)
{
    const char *const letters = df_hf_text(r, "sliding_window_pattern");
    if (letters) {
        const size_t length = strlen(letters);
        for (int32_t i = 0; length > 0 && i < layers->count; i++) {
            layers->at[i].mixer = letters[(size_t)i % length] == 'L' ? DF_MIX_WINDOW : DF_MIX_FULL;
        }
        return length > 0;
    }
    const int64_t period = df_hf_count_or(r, "sliding_window_pattern", 0, 0);
    if (period > 0 && r->model->llm.attention.window > 0) {
        take_period(layers, period, DF_MIX_WINDOW);
    }
    return period > 0;
}

/* Attention at an offset of each period; elsewhere a state. */
static bool take_offset(df_hf_reader *r, df_hf_layers *layers)
{
    const int64_t period = df_hf_count_or(r, "attn_layer_period", 0, 0);
    const int64_t offset = df_hf_count_or(r, "attn_layer_offset", 0, 0);
    for (int32_t i = 0; period > 0 && i < layers->count; i++) {
        layers->at[i].mixer = i % period == offset ? DF_MIX_FULL : r->family.state;
    }
    return period > 0;
}

/* Layers that a list names, counted from `first`, attend; the others have a state. */
static bool take_attending(
    df_hf_reader *r, const char *key, const json_t *list, int64_t first, df_hf_layers *layers)
{
    if (json_array_size(list) == 0) {
        return false;
    }
    for (int32_t i = 0; i < layers->count; i++) {
        layers->at[i].mixer = r->family.state;
    }
    for (size_t i = 0; i < json_array_size(list) && r->status == DF_OK; i++) {
        const int64_t at = df_hf_at(r, key, list, i) - first;
        if (at >= 0 && at < layers->count) {
            layers->at[at].mixer = DF_MIX_FULL;
        }
    }
    return true;
}

/* A list of numbers, one for each layer; those that are `special` are of the kind `mixer`. */
static bool
take_numbers(df_hf_reader *r, const char *key, int64_t special, uint8_t mixer, df_hf_layers *layers)
{
    const json_t *const list = df_hf_list(r, key);
    for (int32_t i = 0; list && i < layers->count && r->status == DF_OK; i++) {
        layers->at[i].mixer =
            df_hf_at(r, key, list, (size_t)i) == special ? mixer : (uint8_t)DF_MIX_FULL;
    }
    return list != NULL;
}

/* Llama 4 attends to a chunk where it has positions, and to all in the others, every fourth. */
static bool take_interleaved(df_hf_reader *r, df_hf_layers *layers)
{
    if ((r->family.is & DF_HF_INTERLEAVED) == 0) {
        df_hf_ignore(r, "no_rope_layers"); /* elsewhere they say where positions are */
        return false;
    }
    const int64_t period = df_hf_count_or(r, "no_rope_layer_interval", 1, 4);
    if (r->model->llm.attention.chunk == 0) {
        df_hf_ignore(r, "no_rope_layers");
        return true;
    }
    if (!take_numbers(r, "no_rope_layers", 1, DF_MIX_CHUNKED, layers)) {
        take_period(layers, period, DF_MIX_CHUNKED);
    }
    return true;
}

/* Layers that are all alike, or with Qwen those behind max_window_layers, see a window. */
static void take_window(df_hf_reader *r, df_hf_layers *layers)
{
    const bool used = df_hf_flag(r, "use_sliding_window", (r->family.is & DF_HF_SLIDES) != 0);
    const int64_t first = df_hf_count_or(r, "max_window_layers", 0, 0);
    for (int32_t i = 0; used && r->model->llm.attention.window > 0 && i < layers->count; i++) {
        layers->at[i].mixer = i >= first ? DF_MIX_WINDOW : DF_MIX_FULL;
    }
}

static bool take_kimi(df_hf_reader *r, df_hf_layers *layers)
{
    const json_t *const own = df_hf_value(r, "linear_attn_config");
    return take_attending(r, "linear_attn_config", json_object_get(own, "full_attn_layers"), 1,
                          layers);
}

static bool take_all_state(const df_hf_reader *r, df_hf_layers *layers)
{
    const bool all = (r->family.is & DF_HF_STATE_ONLY) != 0;
    for (int32_t i = 0; all && i < layers->count; i++) {
        layers->at[i].mixer = r->family.state;
        layers->at[i].ffn = DF_FFN_NONE;
    }
    return all;
}

/* The first way that the file knows. */
static void take_pattern(df_hf_reader *r, df_hf_layers *layers)
{
    const int64_t interval = df_hf_count_or(r, "full_attention_interval", 0, 0);
    if (strcmp(r->family.type, "nemotron_h") == 0) {
        return; /* its list is of blocks */
    }
    if (take_all_state(r, layers) || take_list(r, "layer_types", layers) ||
        take_list(r, "attention_layers", layers)) {
        df_hf_ignore(r, "max_window_layers");
        df_hf_ignore(r, "sliding_window_pattern");
        return;
    }
    if (interval > 0) {
        take_period(layers, interval, r->family.state);
        return;
    }
    if (take_offset(r, layers) || take_kimi(r, layers) ||
        take_attending(r, "attn_layer_indices", df_hf_list(r, "attn_layer_indices"), 0, layers) ||
        take_numbers(r, "attn_type_list", 0, r->family.state, layers) ||
        take_numbers(r, "hybrid_layer_pattern", 1, DF_MIX_WINDOW, layers) ||
        take_interleaved(r, layers) || take_sliding_pattern(r, layers)) {
        return;
    }
    take_window(r, layers);
}

/* ---- What some layers have of their own ---- */

static void take_ratios(df_hf_reader *r, df_hf_layers *layers)
{
    const json_t *const list = df_hf_list(r, "compress_ratios");
    for (int32_t i = 0; list && i < layers->count && r->status == DF_OK; i++) {
        layers->at[i].mixer = DF_MIX_COMPRESSED;
        layers->at[i].ratio = (int32_t)df_hf_at(r, "compress_ratios", list, (size_t)i);
    }
}

static void take_cross(df_hf_reader *r, df_hf_layers *layers)
{
    const json_t *const list = df_hf_list(r, "cross_attention_layers");
    for (size_t i = 0; i < json_array_size(list) && r->status == DF_OK; i++) {
        const int64_t at = df_hf_at(r, "cross_attention_layers", list, i);
        if (at >= 0 && at < layers->count) {
            layers->at[at].mixer = DF_MIX_CROSS;
        }
    }
}

/* The last layers, or all but the first of a few, take keys and values of one before. */
static void take_shared(df_hf_reader *r, df_hf_layers *layers)
{
    const int64_t last = df_hf_count_or(r, "num_kv_shared_layers", 0, 0);
    const int64_t factor = df_hf_count_or(r, "cla_share_factor", 1, 1);
    const bool cla = df_hf_flag(r, "use_cla", false);
    const bool wide = df_hf_flag(r, "use_double_wide_mlp", false);
    for (int32_t i = 0; i < layers->count; i++) {
        const bool late = i >= layers->count - last && last < layers->count;
        layers->at[i].reuse = late || (cla && i % factor != 0);
        if (late && wide) {
            layers->at[i].width = (int32_t)(2 * r->model->llm.intermediate_size);
        }
    }
}

/* Heads of the kinds of attention: global layers of Gemma 4, windows of MiMo. */
static void take_heads(df_hf_reader *r, df_hf_layers *layers)
{
    df_cfg_attention *const a = &r->model->llm.attention;
    const int32_t wide = (int32_t)df_hf_count_or(r, "global_head_dim", 0, 0);
    const int32_t few = (int32_t)df_hf_count_or(r, "num_global_key_value_heads", 0, 0);
    const int32_t heads = (int32_t)df_hf_count_or(r, "swa_num_attention_heads", 0, 0);
    const int32_t kv_heads = (int32_t)df_hf_count_or(r, "swa_num_key_value_heads", 0, 0);
    const int64_t keys = df_hf_count_or(r, "swa_head_dim", 0, 0);
    const int64_t values = df_hf_count_or(r, "swa_v_head_dim", 0, keys);
    for (int32_t i = 0; i < layers->count; i++) {
        df_layer_kind *const kind = &layers->at[i];
        if (kind->mixer == DF_MIX_WINDOW) {
            kind->heads = heads != a->num_heads ? heads : 0;
            kind->kv_heads = kv_heads != a->kv_heads ? kv_heads : 0;
            kind->head_dim =
                (keys + values) / 2 != a->head_dim ? (int32_t)((keys + values) / 2) : 0;
        } else if (kind->mixer == DF_MIX_FULL) {
            kind->head_dim = wide != a->head_dim ? wide : 0;
            kind->kv_heads = few != a->kv_heads && a->keys_are_values ? few : 0;
        }
    }
}

void df_hf_read_mixers(df_hf_reader *r, df_hf_layers *layers)
{
    if (r->model->llm.num_layers > DF_LAYERS_MAX) {
        df_hf_fail(r, "num_hidden_layers", "at most 1024 layers",
                   df_hf_value(r, "num_hidden_layers"));
        return;
    }
    layers->count = (int32_t)r->model->llm.num_layers;
    for (int32_t i = 0; i < layers->count; i++) {
        layers->at[i] = (df_layer_kind){.mixer = DF_MIX_FULL, .ffn = DF_FFN_USUAL};
    }
    take_pattern(r, layers);
    take_ratios(r, layers);
    take_cross(r, layers);
    take_shared(r, layers);
    take_heads(r, layers);
    const bool windowless = r->model->llm.attention.window == 0;
    for (int32_t i = 0; windowless && i < layers->count; i++) {
        layers->at[i].mixer =
            layers->at[i].mixer == DF_MIX_WINDOW ? (uint8_t)DF_MIX_FULL : layers->at[i].mixer;
    }
}

/* ---- Into the model ---- */

static bool is_usual(const df_layer_kind *kind, df_ffn_kind usual)
{
    return kind->mixer == DF_MIX_FULL && !kind->reuse &&
           (kind->ffn == DF_FFN_USUAL || kind->ffn == usual) && kind->heads == 0 &&
           kind->kv_heads == 0 && kind->head_dim == 0 && kind->window == 0 && kind->ratio == 0 &&
           kind->width == 0;
}

static bool alike(const df_layer_kind *a, const df_layer_kind *b)
{
    return a->mixer == b->mixer && a->ffn == b->ffn && a->reuse == b->reuse &&
           a->heads == b->heads && a->kv_heads == b->kv_heads && a->head_dim == b->head_dim &&
           a->window == b->window && a->ratio == b->ratio && a->width == b->width;
}

static void append(df_hf_reader *r, df_cfg_layers *to, const df_layer_kind *kind)
{
    int k = 0;
    while (k < to->kinds && !alike(&to->kind[k], kind)) {
        k++;
    }
    if (k == DF_LAYER_KINDS || to->count == DF_LAYERS_MAX) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most %d layers of %d kinds", DF_LAYERS_MAX,
                 DF_LAYER_KINDS);
        df_hf_fail(r, "num_hidden_layers", expected, NULL);
        return;
    }
    to->kind[k] = *kind;
    to->kinds = k == to->kinds ? k + 1 : to->kinds;
    to->of[to->count++] = (uint8_t)k;
}

void df_hf_store_layers(df_hf_reader *r, const df_hf_layers *layers)
{
    df_cfg_llm *const m = &r->model->llm;
    const df_ffn_kind usual = m->num_experts > 1 ? DF_FFN_EXPERTS : DF_FFN_DENSE;
    bool all_usual = true;
    bool dense = false;
    bool same = true;
    for (int32_t i = 0; i < layers->count; i++) {
        const df_layer_kind *const kind = &layers->at[i];
        all_usual = all_usual && is_usual(kind, usual);
        dense = dense || kind->ffn == DF_FFN_DENSE;
        same = same && (kind->ffn == DF_FFN_USUAL || kind->ffn == usual);
    }
    m->num_layers = layers->count;
    if (m->num_experts > 1 && !dense) { /* nothing else has a width */
        m->intermediate_size = m->shape.expert_size;
        m->shape.expert_size = 0;
    }
    for (int32_t i = 0; !all_usual && i < layers->count; i++) {
        df_layer_kind kind = layers->at[i];
        kind.ffn = same ? DF_FFN_USUAL : layers->at[i].ffn;
        append(r, &m->layers, &kind);
    }
}
