/* Layers that are lists of blocks: Nemotron's of one part each, those that a search has made of
 * Llama's, and layers with attention and a state side by side. */
#include "hf/hf_impl.h"

#include <math.h>
#include <string.h>

static void add(df_hf_reader *r, df_hf_layers *layers, df_layer_kind kind)
{
    if (layers->count == DF_LAYERS_MAX) {
        df_hf_fail(r, "num_hidden_layers", "at most 1024 layers", NULL);
        return;
    }
    layers->at[layers->count++] = kind;
}

/* ---- One part each ---- */

/* A letter of hybrid_override_pattern, or a word of layers_block_type. */
static bool one_part(const df_hf_reader *r, const char *word, df_layer_kind *kind)
{
    const bool one = strlen(word) == 1;
    *kind = (df_layer_kind){.mixer = DF_MIX_NONE, .ffn = DF_FFN_NONE};
    if ((one && word[0] == 'M') || strcmp(word, "linear_attention") == 0 ||
        strcmp(word, "mamba") == 0) {
        kind->mixer = r->family.state;
    } else if ((one && word[0] == '*') || strcmp(word, "full_attention") == 0 ||
               strcmp(word, "attention") == 0) {
        kind->mixer = DF_MIX_FULL;
    } else if ((one && word[0] == '-') || strcmp(word, "mlp") == 0) {
        kind->ffn = DF_FFN_DENSE;
    } else if ((one && word[0] == 'E') || strcmp(word, "moe") == 0) {
        kind->ffn = DF_FFN_EXPERTS;
    } else {
        return false;
    }
    return true;
}

static void read_letters(df_hf_reader *r, const char *pattern, df_hf_layers *layers)
{
    layers->count = 0;
    for (; *pattern != '\0' && r->status == DF_OK; pattern++) {
        const char word[2] = {*pattern, '\0'};
        df_layer_kind kind;
        if (!one_part(r, word, &kind)) {
            df_hf_fail(r, "hybrid_override_pattern", "letters M, *, - and E",
                       df_hf_value(r, "hybrid_override_pattern"));
            return;
        }
        add(r, layers, kind);
    }
}

static void read_words(df_hf_reader *r, const json_t *list, df_hf_layers *layers)
{
    layers->count = 0;
    for (size_t i = 0; i < json_array_size(list) && r->status == DF_OK; i++) {
        const char *const word = json_string_value(json_array_get(list, i));
        df_layer_kind kind;
        if (!word || !one_part(r, word, &kind)) {
            df_hf_fail(r, "layer_types", "mamba, attention, mlp and moe", json_array_get(list, i));
            return;
        }
        add(r, layers, kind);
    }
}

/* Experts where no layer has them are none. */
static void forget_experts(df_hf_reader *r, const df_hf_layers *layers)
{
    df_cfg_llm *const m = &r->model->llm;
    for (int32_t i = 0; i < layers->count; i++) {
        if (layers->at[i].ffn == DF_FFN_EXPERTS) {
            return;
        }
    }
    m->num_experts = 1;
    m->top_k = 1;
    m->shape.expert_size = 0;
    m->shape.shared_experts = 0;
    m->shape.shared_size = 0;
    m->shape.latent_dim = 0;
    m->shape.groups = 1;
    m->shape.group_limit = 0;
}

/* ---- What a search has made of Llama (block_configs) ---- */

static int64_t count_in(const json_t *part, const char *key)
{
    const json_t *const value = json_object_get(part, key);
    return json_is_integer(value) && json_integer_value(value) > 0 &&
                   json_integer_value(value) <= DF_HF_MOST
               ? json_integer_value(value)
               : 0;
}

/* A product of hidden_dim by hidden_dim in place of a part: a gated network of a third of it has as
 * many parameters, and as many operations. */
static void add_product(df_hf_reader *r, df_hf_layers *layers)
{
    const int64_t third = (r->model->llm.hidden_dim + 1) / 3;
    add(r, layers,
        (df_layer_kind){.mixer = DF_MIX_NONE, .ffn = DF_FFN_DENSE, .width = (int32_t)third});
}

/* 2/3 of the factor, as SwiGLU has three matrices, rounded up to 256 (Nemotron's own code). */
static int64_t searched_width(const df_hf_reader *r, const json_t *ffn)
{
    const double multiple = 256.0;
    const int64_t given = count_in(ffn, "intermediate_size");
    const double factor = json_number_value(json_object_get(ffn, "ffn_mult"));
    const double width = floor(2.0 * factor * (double)r->model->llm.hidden_dim / 3.0);
    return given > 0 ? given : (int64_t)(ceil(width / multiple) * multiple);
}

static void read_block(df_hf_reader *r, const json_t *block, df_hf_layers *layers)
{
    const json_t *const attention = json_object_get(block, "attention");
    const json_t *const ffn = json_object_get(block, "ffn");
    const int64_t heads = r->model->llm.attention.num_heads;
    const int64_t group = count_in(attention, "n_heads_in_group");
    const int64_t given = count_in(attention, "num_key_value_heads");
    const int64_t kv_heads = group > 0 ? heads / group : given;
    const int64_t width = searched_width(r, ffn);
    df_layer_kind kind = {.mixer = DF_MIX_NONE, .ffn = DF_FFN_NONE};
    if (json_is_true(json_object_get(attention, "replace_with_linear"))) {
        add_product(r, layers);
    } else if (!json_is_true(json_object_get(attention, "no_op"))) {
        kind.mixer = DF_MIX_FULL;
        kind.kv_heads = (int32_t)kv_heads;
    }
    const bool product = json_is_true(json_object_get(ffn, "replace_with_linear"));
    if (!product && !json_is_true(json_object_get(ffn, "no_op"))) {
        kind.ffn = DF_FFN_DENSE;
        kind.width = (int32_t)width;
    }
    const bool bad_attention =
        kind.mixer == DF_MIX_FULL && (kv_heads == 0 || heads % kv_heads != 0);
    if (bad_attention || (kind.ffn == DF_FFN_DENSE && (width < 1 || width > DF_HF_MOST))) {
        df_hf_fail(r, "block_configs",
                   "attention with n_heads_in_group and ffn with ffn_mult in each block", block);
    }
    if (kind.mixer != DF_MIX_NONE || kind.ffn != DF_FFN_NONE) {
        add(r, layers, kind);
    }
    if (product) {
        add_product(r, layers);
    }
}

/* Most layers are as the most frequent one. */
static void read_searched(df_hf_reader *r, const json_t *blocks, df_hf_layers *layers)
{
    df_cfg_llm *const m = &r->model->llm;
    layers->count = 0;
    for (size_t i = 0; i < json_array_size(blocks) && r->status == DF_OK; i++) {
        read_block(r, json_array_get(blocks, i), layers);
    }
    int64_t widest = 1;
    for (int32_t i = 0; i < layers->count; i++) {
        widest = layers->at[i].width > widest ? layers->at[i].width : widest;
    }
    m->intermediate_size = widest;
    if (layers->count == 0) {
        df_hf_fail(r, "block_configs", "blocks that do something", blocks);
    }
    if ((size_t)layers->count != json_array_size(blocks)) {
        df_hf_note(r,
                   "%zu blocks: those without a part are left out, and a product in place of "
                   "one is a layer of its own",
                   json_array_size(blocks));
    }
}

/* ---- Side by side ---- */

static void split_layers(df_hf_reader *r, df_hf_layers *layers)
{
    const int32_t count = layers->count;
    layers->count = 0;
    for (int32_t i = 0; i < count; i++) {
        add(r, layers, (df_layer_kind){.mixer = r->family.state, .ffn = DF_FFN_NONE});
        add(r, layers, (df_layer_kind){.mixer = DF_MIX_FULL, .ffn = DF_FFN_USUAL});
    }
    df_hf_note(r, "each of %d layers has attention and a state side by side: two layers here",
               (int)count);
}

void df_hf_read_blocks(df_hf_reader *r, df_hf_layers *layers)
{
    const char *const pattern = df_hf_text(r, "hybrid_override_pattern");
    const json_t *const blocks = df_hf_list(r, "block_configs");
    const bool nemotron = strcmp(r->family.type, "nemotron_h") == 0;
    const json_t *const list = nemotron ? df_hf_list(r, "layer_types") : NULL;
    if (blocks) {
        read_searched(r, blocks, layers);
    } else if (list) {
        read_words(r, list, layers);
    } else if (pattern) {
        read_letters(r, pattern, layers);
    } else if ((r->family.is & DF_HF_PARALLEL_MAMBA) != 0) {
        split_layers(r, layers);
    }
    if (nemotron) {
        forget_experts(r, layers);
    }
}
