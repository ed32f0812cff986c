#include "hf/hf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/nearest.h"

#define MOST INT64_C(2147483647) /* largest count; products of two do not overflow */

/* What HuggingFace's classes assume where a config.json does not say it. */
typedef struct {
    const char *type;
    bool gated, tied;
    bool window; /* sliding_window counts without use_sliding_window */
} family;

static const family families[] = {
    {"llama", true, false, true},      {"mistral", true, false, true},
    {"mixtral", true, false, true},    {"qwen2", true, false, false},
    {"qwen2_moe", true, false, false}, {"qwen3", true, false, false},
    {"qwen3_moe", true, false, false}, {"phi3", true, false, true},
    {"gemma", true, true, true},       {"gemma2", true, true, true},
    {"olmo", true, false, true},       {"olmo2", true, false, true},
    {"stablelm", true, false, true},   {"gpt2", false, true, true},
    {"gpt_neo", false, true, true},    {"gptj", false, false, true},
    {"gpt_neox", false, false, true},  {"gpt_bigcode", false, true, true},
    {"opt", false, true, true},        {"bloom", false, true, true},
    {"falcon", false, true, true},     {"mpt", false, true, true},
    {"phi", false, false, true},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* A config.json being read. The first failure is kept in status; later calls do nothing. */
typedef struct {
    const char *from;
    const json_t *root;
    const json_t *text; /* the language model of a model of several; NULL: it is root */
    df_status status;
    df_err *err;
} reader;

/* ---- Values ---- */

/* NULL: there is none, or it is null. */
static const json_t *find(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->root, key);
    if ((!value || json_is_null(value)) && r->text) {
        value = json_object_get(r->text, key);
    }
    return json_is_null(value) ? NULL : value;
}

/* Some files hold whole numbers with a fraction of zero. */
static bool as_count(const json_t *value, int64_t *count)
{
    if (json_is_integer(value)) {
        *count = json_integer_value(value);
        return true;
    }
    const double real = json_is_real(value) ? json_real_value(value) : -1.0;
    if (real >= 0.0 && real <= (double)MOST && real == (double)(int64_t)real) {
        *count = (int64_t)real;
        return true;
    }
    return false;
}

static void refuse(reader *r, const char *key, int64_t low, const json_t *value)
{
    char *const found = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    r->status =
        df_fail(r->err, DF_EINVAL,
                "%s: %s: expected a whole number from %" PRId64 " to %" PRId64 ", found %.200s",
                r->from, key, low, MOST, found ? found : "another value");
    free(found);
}

/* The count under the first of the keys that exists; `missing` if none does. */
static int64_t count_or(reader *r, const char *const *keys, int64_t low, int64_t missing)
{
    for (; *keys && r->status == DF_OK; keys++) {
        const json_t *const value = find(r, *keys);
        int64_t count = 0;
        if (!value) {
            continue;
        }
        if (!as_count(value, &count) || count < low || count > MOST) {
            refuse(r, *keys, low, value);
            break;
        }
        return count;
    }
    return missing;
}

/* One of the keys must be there; 1 on failure. */
static int64_t count(reader *r, const char *const *keys)
{
    const int64_t value = count_or(r, keys, 1, 0);
    if (value == 0 && r->status == DF_OK) {
        r->status =
            df_fail(r->err, DF_EINVAL, "%s: %s: expected a whole number >= 1, found nothing",
                    r->from, keys[0]);
    }
    return value > 0 ? value : 1;
}

static bool flag(reader *r, const char *key, bool missing)
{
    const json_t *const value = find(r, key);
    if (!value || r->status != DF_OK) {
        return missing;
    }
    if (!json_is_boolean(value)) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: %s: expected true or false, found another value", r->from, key);
    }
    return json_is_true(value);
}

#define KEYS(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* ---- The family ---- */

static const family *find_family(const char *type)
{
    for (int i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i].type, type) == 0) {
            return &families[i];
        }
    }
    return NULL;
}

static void fail_type(reader *r, const char *type)
{
    const int near = df_nearest(type, &families[0].type, FAMILIES, sizeof families[0]);
    r->status = df_fail(r->err, DF_EINVAL,
                        "%s: model_type: expected a known one such as %s (for another, give "
                        "--model_type llama or gpt), found %.60s",
                        r->from, near >= 0 ? families[near].type : "llama", type);
}

/* The language model's part, where there is one. */
static void find_text(reader *r)
{
    static const char *const keys[] = {"text_config", "language_config", "llm_config"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && !r->text; i++) {
        const json_t *const part = json_object_get(r->root, keys[i]);
        r->text = json_is_object(part) ? part : NULL;
    }
}

static family read_family(reader *r, const char *given, df_hf_model *model)
{
    const char *type = json_string_value(json_object_get(r->text, "model_type"));
    if (!type) {
        type = json_string_value(find(r, "model_type"));
    }
    if (flag(r, "is_encoder_decoder", false) && r->status == DF_OK) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: is_encoder_decoder: expected a model that decodes only, found "
                            "true",
                            r->from);
    }
    snprintf(model->type, sizeof model->type, "%s", type ? type : "none");
    const family *const known = find_family(model->type);
    family result = known ? *known : (family){.tied = true, .window = true};
    if (given) {
        result.gated = strcmp(given, "llama") == 0;
    } else if (!known && r->status == DF_OK) {
        fail_type(r, model->type);
    }
    return result;
}

/* ---- Parts ---- */

static void read_attention(reader *r, const family *f, df_hf_model *model)
{
    model->heads = count(r, KEYS("num_attention_heads", "n_head", "n_heads", "num_heads"));
    const bool one = flag(r, "multi_query", false) && !flag(r, "new_decoder_architecture", false);
    const int64_t all = one ? 1 : model->heads;
    model->kv_heads =
        one ? 1
            : count_or(r, KEYS("num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv"), 1,
                       all);
    const json_t *const nested = json_object_get(find(r, "attn_config"), "kv_n_heads");
    int64_t nested_heads = 0;
    if (nested && as_count(nested, &nested_heads) && nested_heads > 0) {
        model->kv_heads = nested_heads;
    }
    if (flag(r, "use_sliding_window", f->window)) {
        model->sliding_window = count_or(r, KEYS("sliding_window"), 1, 0);
    }
    model->latent_attention = count_or(r, KEYS("kv_lora_rank"), 0, 0) > 0;
    const int64_t size = count_or(r, KEYS("head_dim"), 1, 0);
    const bool usual = r->status != DF_OK || size == 0 || size * model->heads == model->hidden;
    model->head_size = usual ? 0 : size;
}

static int64_t read_intermediate(reader *r, const df_hf_model *model)
{
    const int64_t usual = 4 * model->hidden;
    const int64_t ratio = count_or(r, KEYS("expansion_ratio"), 1, 0);
    return count_or(r,
                    KEYS("intermediate_size", "ffn_dim", "n_inner", "mlp_dim", "ffn_hidden_size"),
                    1, ratio > 0 ? ratio * model->hidden : usual);
}

static void read_experts(reader *r, df_hf_model *model)
{
    model->experts = count_or(
        r, KEYS("num_local_experts", "num_experts", "n_routed_experts", "expert_count"), 1, 1);
    model->top_k = count_or(
        r, KEYS("num_experts_per_tok", "num_experts_per_token", "router_top_k", "gate_top_k"), 1,
        1);
    if (model->experts == 1) {
        model->top_k = 1;
        return;
    }
    model->intermediate = count_or(r, KEYS("moe_intermediate_size"), 1, model->intermediate);
    model->shared_intermediate =
        count_or(r, KEYS("shared_expert_intermediate_size"), 0,
                 count_or(r, KEYS("n_shared_experts"), 0, 0) * model->intermediate);
    model->dense_layers = count_or(r, KEYS("first_k_dense_replace"), 0, 0) > 0 ||
                          count_or(r, KEYS("decoder_sparse_step"), 1, 1) > 1 ||
                          json_array_size(find(r, "mlp_only_layers")) > 0;
}

static void check(reader *r, const df_hf_model *model)
{
    if (r->status != DF_OK) {
        return;
    }
    if (model->intermediate > MOST) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: hidden_size: expected a feed-forward network of at most %" PRId64
                            ", found one of %" PRId64,
                            r->from, MOST, model->intermediate);
    } else if (model->hidden % model->heads != 0) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: num_attention_heads: expected a divisor of hidden_size %" PRId64
                            ", found %" PRId64,
                            r->from, model->hidden, model->heads);
    } else if (model->heads % model->kv_heads != 0) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: num_key_value_heads: expected a divisor of num_attention_heads "
                            "%" PRId64 ", found %" PRId64,
                            r->from, model->heads, model->kv_heads);
    } else if (model->top_k > model->experts) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: num_experts_per_tok: expected at most num_experts %" PRId64
                            ", found %" PRId64,
                            r->from, model->experts, model->top_k);
    }
}

static void read_model(reader *r, const char *given, df_hf_model *model)
{
    find_text(r);
    const family f = read_family(r, given, model);
    model->gated = f.gated;
    model->tied = flag(r, "tie_word_embeddings", f.tied);
    model->layers = count(r, KEYS("num_hidden_layers", "n_layer", "n_layers", "num_layers"));
    model->hidden = count(r, KEYS("hidden_size", "n_embd", "d_model", "dim"));
    model->vocab = count(r, KEYS("vocab_size"));
    model->context =
        count_or(r,
                 KEYS("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length",
                      "max_seq_len", "seq_length", "sequence_length"),
                 1, 0);
    read_attention(r, &f, model);
    model->intermediate = read_intermediate(r, model);
    read_experts(r, model);
    check(r, model);
}

df_status df_hf_read(const df_hf_file *file, const char *given, df_hf_model *model, df_err *err)
{
    df_hf_model result = {.type = ""};
    json_error_t where;
    json_t *const root = json_loadb(file->text, file->size, 0, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return df_fail(err, DF_EINVAL, "%s:%d: expected a JSON object, found %s", file->from,
                       root ? 1 : where.line, root ? "another value" : where.text);
    }
    reader r = {.from = file->from, .root = root, .err = err};
    read_model(&r, given, &result);
    json_decref(root);
    if (r.status == DF_OK) {
        *model = result;
    }
    return r.status;
}
