/* Heads, latent widths, biases and norms of attention; widths of layers with a state. */
#include "hf/hf_impl.h"

#include <inttypes.h>
#include <string.h>

static df_cfg_attention *attention_of(df_hf_reader *r)
{
    return &r->model->llm.attention;
}

static bool is(const df_hf_reader *r, unsigned what)
{
    return (r->family.is & what) != 0;
}

/* ---- Heads ---- */

static bool has_one_kv_head(df_hf_reader *r)
{
    const char *const type = df_hf_text(r, "attn_type"); /* mpt */
    const bool is_new =
        df_hf_flag(r, "new_decoder_architecture", strcmp(r->family.type, "RefinedWeb") == 0);
    const bool one = df_hf_flag(r, "multi_query", is(r, DF_HF_HEAD_PER_HEAD));
    return (one && !is_new) || (type && strcmp(type, "multiquery_attention") == 0);
}

static int64_t read_kv_heads(df_hf_reader *r, int64_t heads)
{
    const bool one = has_one_kv_head(r);
    const bool groups = df_hf_flag(r, "multi_query_attention", true); /* chatglm */
    const int64_t given = df_hf_count_or(r, "num_key_value_heads", 1, heads);
    return one ? 1 : groups ? given : heads;
}

/* Where values are narrower than keys: as wide as both in the mean. */
static int64_t mean_width(df_hf_reader *r, int64_t head_dim, const char *key)
{
    const int64_t value_dim = df_hf_count_or(r, key, 1, head_dim);
    if ((head_dim + value_dim) % 2 != 0) {
        df_hf_fail(r, key, "one that has a mean with head_dim", df_hf_value(r, key));
    }
    if (value_dim != head_dim) {
        df_hf_note(r,
                   "queries and keys of a head have %" PRId64 " numbers, values %" PRId64
                   "; their mean has the same parameters, cache and operations",
                   head_dim, value_dim);
    }
    return (head_dim + value_dim) / 2;
}

static void read_latent(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    a->attention_type = DF_ATTENTION_MLA;
    a->kv_heads = 0;
    a->head_dim = 0;
    df_hf_ignore(r, "num_key_value_heads");
    df_hf_ignore(r, "qk_head_dim");
    a->kv_rank = df_hf_count(r, "kv_lora_rank");
    a->q_rank = df_hf_count_or(r, "q_lora_rank", 0, 0);
    a->nope_dim = df_hf_count(r, "qk_nope_head_dim");
    a->rope_dim = df_hf_count(r, "qk_rope_head_dim");
    a->value_dim = df_hf_count(r, "v_head_dim");
}

/* One key is the value, too, and queries and outputs have low rank (DeepSeek-V4). */
static void read_compressed(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    df_hf_ignore(r, "qk_rope_head_dim");
    a->q_rank = df_hf_count(r, "q_lora_rank");
    a->out_rank = df_hf_count(r, "o_lora_rank");
    a->out_groups = df_hf_count_or(r, "o_groups", 1, 1);
}

static void read_indexer(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    a->index_heads = df_hf_count_or(r, "index_n_heads", 0, 0);
    a->index_dim = df_hf_count_or(r, "index_head_dim", 0, 0);
    a->index_top_k = df_hf_count_or(r, "index_topk", 0, 0);
}

static void read_heads(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    const int64_t hidden = r->model->llm.hidden_dim;
    a->num_heads = df_hf_count(r, "num_attention_heads");
    const int64_t kv_heads = read_kv_heads(r, a->num_heads);
    const int64_t head_dim = df_hf_count_or(r, "head_dim", 1, 0);
    const bool latent = df_hf_count_or(r, "kv_lora_rank", 0, 0) > 0;
    if (latent) {
        read_latent(r);
        return;
    }
    if (a->num_heads % kv_heads != 0) {
        char expected[96];
        snprintf(expected, sizeof expected, "a divisor of num_attention_heads %" PRId64,
                 a->num_heads);
        df_hf_fail(r, "num_key_value_heads", expected, df_hf_value(r, "num_key_value_heads"));
    }
    if (head_dim == 0 && hidden % a->num_heads != 0) {
        char expected[96];
        snprintf(expected, sizeof expected, "a divisor of hidden_size %" PRId64, hidden);
        df_hf_fail(r, "num_attention_heads", expected, df_hf_value(r, "num_attention_heads"));
    }
    a->attention_type = kv_heads == a->num_heads ? DF_ATTENTION_MHA : DF_ATTENTION_GQA;
    a->kv_heads = kv_heads == a->num_heads ? 0 : kv_heads;
    a->head_dim = mean_width(r, head_dim > 0 ? head_dim : hidden / a->num_heads, "v_head_dim");
    a->q_rank = df_hf_count_or(r, "share_q_dim", 0, 0);
    if (r->family.state == DF_MIX_COMPRESSED) {
        read_compressed(r);
    }
}

/* ---- Norms and biases ---- */

static void read_qk_norm(df_hf_reader *r)
{
    static const df_qk_norm norms[] = {[DF_HF_QK_NONE] = DF_QK_NORM_NONE,
                                       [DF_HF_QK_HEAD] = DF_QK_NORM_HEAD,
                                       [DF_HF_QK_ALL] = DF_QK_NORM_ALL,
                                       [DF_HF_QK_HEAD_IF] = DF_QK_NORM_HEAD,
                                       [DF_HF_QK_ALL_IF] = DF_QK_NORM_ALL};
    const bool depends = r->family.qk == DF_HF_QK_HEAD_IF || r->family.qk == DF_HF_QK_ALL_IF;
    const bool given = df_hf_flag(r, "use_qk_norm", false);
    attention_of(r)->qk_norm = depends && !given ? DF_QK_NORM_NONE : norms[r->family.qk];
}

/* Keys have many names; those of a family that has biases anyhow are not asked for. */
static void read_biases(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    const bool all = df_hf_flag(r, "use_bias", false) | df_hf_flag(r, "bias", false) |
                     df_hf_flag(r, "add_bias_linear", false) | !df_hf_flag(r, "no_bias", true);
    const bool qkv = df_hf_flag(r, "qkv_bias", false) | df_hf_flag(r, "use_qkv_bias", false) |
                     df_hf_flag(r, "add_qkv_bias", false);
    const bool attention = df_hf_flag(r, "attention_bias", false);
    const bool whole = all || is(r, DF_HF_BIAS_ALL) || df_hf_flag(r, "attention_out_bias", false) ||
                       (attention && !is(r, DF_HF_BIAS_IS_QKV));
    a->bias = whole                                       ? DF_ATTENTION_BIAS_ALL
              : qkv || attention || is(r, DF_HF_BIAS_QKV) ? DF_ATTENTION_BIAS_QKV
                                                          : DF_ATTENTION_BIAS_NONE;
    r->model->llm.shape.ffn_bias = all || is(r, DF_HF_FFN_BIAS) | df_hf_flag(r, "mlp_bias", false);
}

static void read_window(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    const bool used = df_hf_flag(r, "use_sliding_window", true);
    const int64_t window = df_hf_count_or(r, "sliding_window", 0, 0);
    const int64_t context = r->model->context;
    a->window = used && (context == 0 || window < context) ? window : 0;
    a->chunk = df_hf_count_or(r, "attention_chunk_size", 0, 0);
}

void df_hf_read_attention(df_hf_reader *r)
{
    df_cfg_attention *const a = attention_of(r);
    if (is(r, DF_HF_STATE_ONLY)) {
        a->attention_type = DF_ATTENTION_MHA;
        a->num_heads = 1;
        df_hf_ignore(r, "num_attention_heads"); /* Mamba-1 has no heads */
        df_hf_ignore(r, "num_key_value_heads");
        df_hf_ignore(r, "intermediate_size");
        return;
    }
    read_heads(r);
    read_indexer(r);
    read_qk_norm(r);
    read_biases(r);
    read_window(r);
    a->gate = df_hf_flag(r, "attn_output_gate", is(r, DF_HF_OUT_GATE));
    a->sinks = is(r, DF_HF_SINKS);
    a->keys_are_values = df_hf_flag(r, "attention_k_eq_v", false);
}

/* ---- Layers with a state ---- */

/* A number, or "auto". */
static int64_t count_or_auto(df_hf_reader *r, const char *key, int64_t automatic)
{
    const char *const text = df_hf_text(r, key);
    return text && strcmp(text, "auto") == 0 ? automatic : df_hf_count_or(r, key, 1, automatic);
}

static void read_mamba1(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    df_cfg_shape *const s = &m->shape;
    const int64_t wide = df_hf_count_or(r, "expand", 1, 2) * m->hidden_dim;
    s->linear_inner =
        is(r, DF_HF_STATE_ONLY) ? df_hf_count_or(r, "intermediate_size", 1, wide) : wide;
    s->linear_dt_rank = count_or_auto(r, "time_step_rank", (m->hidden_dim + 15) / 16);
    s->linear_state = df_hf_count_or(r, "state_size", 1, 16);
}

static void read_mamba2(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    df_cfg_shape *const s = &m->shape;
    const bool alone = is(r, DF_HF_STATE_ONLY);
    s->linear_heads = df_hf_count(r, alone ? "num_attention_heads" : "state_heads");
    const int64_t wide =
        df_hf_count_or(r, "mamba_d_ssm", 1, df_hf_count_or(r, "expand", 1, 2) * m->hidden_dim);
    s->linear_head_dim =
        count_or_auto(r, alone ? "head_dim" : "state_head_dim", wide / s->linear_heads);
    s->linear_state = df_hf_count(r, "state_size");
    s->linear_groups = df_hf_count_or(r, "n_groups", 1, 1);
}

/* Kimi describes its delta layers in an object of their own, one head of keys for each of values.
 */
static bool read_kimi_delta(df_hf_reader *r)
{
    df_cfg_shape *const s = &r->model->llm.shape;
    const json_t *const own = df_hf_value(r, "linear_attn_config");
    int64_t heads;
    int64_t head_dim;
    int64_t conv;
    if (json_unpack((json_t *)own, "{s:I, s:I, s:I}", "num_heads", &heads, "head_dim", &head_dim,
                    "short_conv_kernel_size", &conv) != 0) {
        return false;
    }
    s->linear_heads = heads;
    s->linear_head_dim = head_dim;
    s->linear_conv = conv;
    if (heads < 1 || head_dim < 1 || conv < 0 || heads > DF_HF_MOST || head_dim > DF_HF_MOST) {
        df_hf_fail(r, "linear_attn_config", "heads and widths >= 1", own);
    }
    s->linear_gate_rank = head_dim;
    return true;
}

static void read_delta(df_hf_reader *r)
{
    df_cfg_shape *const s = &r->model->llm.shape;
    s->linear_conv = df_hf_count_or(r, "conv_kernel", 0, 4);
    if (read_kimi_delta(r)) {
        return;
    }
    s->linear_heads = df_hf_count(r, "state_heads");
    s->linear_head_dim = df_hf_count(r, "state_head_dim");
    s->linear_key_heads = df_hf_count_or(r, "linear_num_key_heads", 1, s->linear_heads);
    s->linear_key_dim = df_hf_count_or(r, "linear_key_head_dim", 1, s->linear_head_dim);
}

static void read_state_bytes(df_hf_reader *r)
{
    const char *const type = df_hf_text(r, "mamba_ssm_cache_dtype");
    const char *const other = df_hf_text(r, "mamba_ssm_dtype");
    const char *const given = type ? type : other;
    if (given && strstr(given, "16")) {
        r->model->llm.shape.linear_state_bytes = 2;
    }
}

void df_hf_read_state(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    df_cfg_shape *const s = &m->shape;
    switch (r->family.state) {
    case DF_MIX_MAMBA1:
        read_mamba1(r);
        break;
    case DF_MIX_MAMBA2:
        read_mamba2(r);
        break;
    case DF_MIX_DELTA:
        read_delta(r);
        return;
    case DF_MIX_LINEAR:
        s->linear_heads = m->attention.num_heads;
        s->linear_head_dim = m->attention.head_dim;
        s->linear_chunk = df_hf_count_or(r, "block_size", 1, 256);
        return;
    default:
        return;
    }
    s->linear_conv = df_hf_count_or(r, "conv_kernel", 0, 4);
    s->linear_chunk = df_hf_count_or(r, "chunk_size", 1, 256);
    read_state_bytes(r);
}
