/* The keys of a config.json. */
#include "hf/hf_impl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON as Python writes it ---- */

/* Length of a word that Python writes for a number which JSON does not know; 0: it is none. */
static size_t python_number(const char *text, size_t left)
{
    static const char *const words[] = {"NaN", "-Infinity", "Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t length = strlen(words[i]);
        if (left >= length && memcmp(text, words[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

/* A copy in which these words stand in quotes. */
static char *quote_numbers(const char *text, size_t size, size_t *length)
{
    char *const copy = malloc(2 * size + 1);
    bool inside = false;
    size_t out = 0;
    for (size_t i = 0; copy && i < size; i++) {
        const size_t word = inside ? 0 : python_number(text + i, size - i);
        if (word > 0) {
            copy[out++] = '"';
            memcpy(copy + out, text + i, word);
            out += word;
            copy[out++] = '"';
            i += word - 1;
            continue;
        }
        copy[out++] = text[i];
        if (inside && text[i] == '\\' && i + 1 < size) {
            copy[out++] = text[++i];
        } else if (text[i] == '"') {
            inside = !inside;
        }
    }
    *length = out;
    return copy;
}

df_status df_hf_parse(const df_hf_file *file, json_t **root, df_err *err)
{
    json_error_t where;
    size_t length = 0;
    char *const text = quote_numbers(file->text, file->size, &length);
    if (!text) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    *root = json_loadb(text, length, 0, &where);
    free(text);
    if (json_is_object(*root)) {
        return DF_OK;
    }
    const bool other = *root != NULL;
    json_decref(*root);
    *root = NULL;
    return df_fail(err, DF_EINVAL, "%s:%d: expected a JSON object, found %s", file->from,
                   other ? 1 : where.line, other ? "another value" : where.text);
}

/* ---- One name for each key ---- */

static const json_t *find_text(const json_t *root)
{
    static const char *const keys[] = {"text_config", "language_config", "llm_config",
                                       "thinker_config"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *const part = json_object_get(root, keys[i]);
        if (json_is_object(part)) {
            const json_t *const inner = find_text(part);
            return inner ? inner : part;
        }
    }
    return NULL;
}

/* Keys of the whole that are also the language model's, where its own part does not have them. */
static const char *const of_both[] = {"tie_word_embeddings", "quantization_config", "vocab_size",
                                      "is_encoder_decoder"};

json_t *df_hf_flatten(const json_t *root)
{
    static const char *const nested[] = {"attn_config", "ffn_config"}; /* mpt, dbrx */
    const json_t *const text = find_text(root);
    json_t *const config = json_copy((json_t *)(text ? text : root));
    for (size_t i = 0; text && i < sizeof of_both / sizeof of_both[0]; i++) {
        json_t *const value = json_object_get(root, of_both[i]);
        if (value && !json_object_get(config, of_both[i])) {
            json_object_set(config, of_both[i], value);
        }
    }
    if (!json_object_get(config, "model_type") && json_object_get(root, "model_type")) {
        json_object_set(config, "model_type", json_object_get(root, "model_type"));
    }
    for (size_t i = 0; i < sizeof nested / sizeof nested[0]; i++) {
        json_t *const part = json_object_get(config, nested[i]);
        if (json_is_object(part)) {
            json_object_update_missing(config, part);
            json_object_del(config, nested[i]);
        }
    }
    return config;
}

/* Names of a key, the one that readers ask for first. */
static const char *const names[][12] = {
    {"num_hidden_layers", "n_layer", "n_layers", "num_layers"},
    {"hidden_size", "n_embd", "n_embed", "d_model", "dim"},
    {"num_attention_heads", "n_head", "n_heads", "num_heads"},
    {"num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv", "kv_n_heads",
     "multi_query_group_num", "num_attention_groups"},
    {"head_dim", "kv_channels", "attention_head_dim"},
    {"intermediate_size", "ffn_dim", "n_inner", "mlp_dim", "ffn_hidden_size"},
    {"vocab_size", "padded_vocab_size"},
    {"max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len",
     "model_max_length", "max_position_embedding", "seq_length", "sequence_length"},
    {"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "expert_count"},
    {"num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_top_k", "moe_topk",
     "moe_k", "top_k_experts", "router_top_k", "gate_top_k"},
    {"n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"},
    {"n_group", "num_expert_group"},
    {"num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", "mtp_num_layers"},
    {"quantization_config", "compression_config"},
    {"state_size", "ssm_state_size", "mamba_d_state"},
    {"conv_kernel", "mamba_d_conv", "linear_conv_kernel_dim"},
    {"state_heads", "mamba_num_heads", "mamba_n_heads", "linear_num_value_heads"},
    {"state_head_dim", "mamba_head_dim", "mamba_d_head", "linear_value_head_dim"},
    {"n_groups", "mamba_n_groups"},
    {"expand", "mamba_expand"},
    {"chunk_size", "mamba_chunk_size"},
    {"time_step_rank", "mamba_dt_rank"},
    {"layer_types", "layers_block_type"},
    {"use_qk_norm", "qk_layernorm", "use_qk_layernorm"},
    {"sliding_window", "sliding_window_size", "window_size"},
};
enum { NAMES = sizeof names / sizeof names[0], SYNONYMS = sizeof names[0] / sizeof names[0][0] };

void df_hf_rename(json_t *config)
{
    for (size_t i = 0; i < NAMES; i++) {
        for (size_t k = 1; k < SYNONYMS && names[i][k]; k++) {
            json_t *const value = json_object_get(config, names[i][k]);
            const json_t *const first = json_object_get(config, names[i][0]);
            if (value && !json_is_null(value) && (!first || json_is_null(first))) {
                json_object_set(config, names[i][0], value);
            }
            json_object_del(config, names[i][k]);
        }
    }
}

/* ---- Values ---- */

void df_hf_fail(df_hf_reader *r, const char *key, const char *expected, const json_t *found)
{
    char *const text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)) : NULL;
    if (r->status == DF_OK) {
        r->status =
            df_fail(r->err, DF_EINVAL, "%s: %s: expected %s, found %.200s", r->from, key, expected,
                    !found ? "nothing"
                    : text ? text
                           : "another value");
    }
    free(text);
}

const json_t *df_hf_value(df_hf_reader *r, const char *key)
{
    const json_t *const value = json_object_get(r->config, key);
    if (value) {
        json_object_set_new(r->used, key, json_true());
    }
    return json_is_null(value) ? NULL : value;
}

void df_hf_ignore(df_hf_reader *r, const char *key)
{
    (void)df_hf_value(r, key);
}

/* Some files hold whole numbers with a fraction of zero, and some a list of one for each layer. */
static bool as_count(const json_t *value, int64_t *count)
{
    if (json_is_integer(value)) {
        *count = json_integer_value(value);
        return true;
    }
    if (json_is_false(value)) { /* of a part that is off */
        *count = 0;
        return true;
    }
    if (json_is_array(value) && json_array_size(value) > 0) {
        const json_t *const first = json_array_get(value, 0);
        for (size_t i = 1; i < json_array_size(value); i++) {
            if (!json_equal(first, json_array_get(value, i))) {
                return false;
            }
        }
        return !json_is_array(first) && as_count(first, count);
    }
    const double real = json_is_real(value) ? json_real_value(value) : -1.0;
    if (real >= 0.0 && real <= (double)DF_HF_MOST && real == (double)(int64_t)real) {
        *count = (int64_t)real;
        return true;
    }
    return false;
}

static int64_t take_count(df_hf_reader *r, const char *key, int64_t low, const json_t *value)
{
    char expected[96];
    int64_t count = 0;
    if (as_count(value, &count) && count >= low && count <= DF_HF_MOST) {
        return count;
    }
    snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, low,
             DF_HF_MOST);
    df_hf_fail(r, key, expected, value);
    return low;
}

int64_t df_hf_count_or(df_hf_reader *r, const char *key, int64_t low, int64_t missing)
{
    const json_t *const value = df_hf_value(r, key);
    return value ? take_count(r, key, low, value) : missing;
}

int64_t df_hf_count_of(df_hf_reader *r, const char *const *keys, int64_t low, int64_t missing)
{
    int64_t count = missing;
    bool found = false;
    for (; *keys; keys++) {
        const json_t *const value = df_hf_value(r, *keys);
        if (value && !found) {
            count = take_count(r, *keys, low, value);
            found = true;
        }
    }
    return count;
}

int64_t df_hf_count(df_hf_reader *r, const char *key)
{
    const int64_t value = df_hf_count_or(r, key, 1, 0);
    if (value == 0) {
        df_hf_fail(r, key, "a whole number >= 1", NULL);
    }
    return value > 0 ? value : 1;
}

bool df_hf_flag(df_hf_reader *r, const char *key, bool missing)
{
    const json_t *const value = df_hf_value(r, key);
    if (!value) {
        return missing;
    }
    if (!json_is_boolean(value)) {
        df_hf_fail(r, key, "true or false", value);
    }
    return json_is_true(value);
}

const char *df_hf_text(df_hf_reader *r, const char *key)
{
    return json_string_value(df_hf_value(r, key));
}

const json_t *df_hf_list(df_hf_reader *r, const char *key)
{
    const json_t *const value = df_hf_value(r, key);
    if (value && !json_is_array(value)) {
        df_hf_fail(r, key, "a list", value);
        return NULL;
    }
    return json_array_size(value) > 0 ? value : NULL;
}

int64_t df_hf_at(df_hf_reader *r, const char *key, const json_t *list, size_t index)
{
    const json_t *const value = json_array_get(list, index);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > DF_HF_MOST) {
        df_hf_fail(r, key, "a list of whole numbers", value ? value : list);
        return -1;
    }
    return json_integer_value(value);
}

void df_hf_note(df_hf_reader *r, const char *format, ...)
{
    df_hf_model *const m = r->model;
    va_list args;
    if (m->num_notes == DF_HF_NOTES) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(m->note[m->num_notes++], DF_HF_NOTE, format, args);
    va_end(args);
}

/* ---- What the class assumes ---- */

void df_hf_complete(df_hf_reader *r)
{
    char missing[DF_HF_NOTE] = "";
    size_t length = 0;
    const char *key;
    json_t *value;
    json_t *const defaults =
        r->family.defaults ? json_loads(r->family.defaults, 0, NULL) : json_object();
    json_object_foreach(defaults, key, value)
    {
        if (!json_object_get(r->config, key)) {
            json_object_set(r->config, key, value);
            json_object_set_new(r->used, key, json_true());
            if (json_is_integer(value) && length < sizeof missing) {
                length += (size_t)snprintf(missing + length, sizeof missing - length,
                                           "%s%s %" JSON_INTEGER_FORMAT, length > 0 ? ", " : "",
                                           key, json_integer_value(value));
            }
        }
    }
    json_decref(defaults);
    if (length > 0) {
        df_hf_note(r, "not in the file, so as its class assumes: %s", missing);
    }
}
