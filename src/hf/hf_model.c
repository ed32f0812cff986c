#include "hf/hf_impl.h"

#include <inttypes.h>
#include <string.h>

/* ---- The family ---- */

static void fail_type(df_hf_reader *r, const char *type, const char *near)
{
    const char *const what = df_hf_not_a_decoder(type);
    if (r->status == DF_OK && what) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: model_type: expected a model that decodes, found %.60s, %s",
                            r->from, type, what);
    } else if (r->status == DF_OK) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: model_type: expected a known one such as %s (for another, give "
                            "--model_type llama or gpt), found %.60s",
                            r->from, near, type);
    }
}

static void check_decodes(df_hf_reader *r)
{
    const json_t *const class = json_object_get(r->config, "_class_name"); /* of diffusers */
    if (class && r->status == DF_OK) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: _class_name: expected a model that decodes, found %.60s, a part "
                            "of a model of diffusion",
                            r->from, json_string_value(class) ? json_string_value(class) : "one");
    }
    if (df_hf_flag(r, "is_encoder_decoder", false) && r->status == DF_OK) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "%s: is_encoder_decoder: expected a model that decodes only, found "
                            "true",
                            r->from);
    }
}

static void read_family(df_hf_reader *r, const char *given)
{
    const char *const type = df_hf_text(r, "model_type");
    const char *near = "llama";
    snprintf(r->model->type, sizeof r->model->type, "%s", type ? type : "none");
    const df_hf_family *const known = df_hf_find_family(r->model->type, &near);
    const bool other = df_hf_not_a_decoder(r->model->type) != NULL;
    check_decodes(r);
    if (known && given && r->status == DF_OK) {
        r->status = df_fail(r->err, DF_EINVAL,
                            "--model_type: expected none, since the model_type %s is known, "
                            "found %s",
                            r->model->type, given);
    } else if (known) {
        r->family = *known;
    } else if (other || !given) {
        fail_type(r, r->model->type, near);
    } else {
        const bool gpt = strcmp(given, "gpt") == 0;
        r->family = (df_hf_family){.type = "",
                                   .is = DF_HF_TIED | DF_HF_SLIDES |
                                         (gpt ? DF_HF_NOT_GATED | DF_HF_LAYER_NORM : 0U),
                                   .norms = 2,
                                   .qk = DF_HF_QK_HEAD_IF,
                                   .state = DF_MIX_FULL};
    }
}

/* ---- Beside the layers ---- */

static void read_gate(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    const bool gated = (r->family.is & DF_HF_NOT_GATED) == 0;
    const bool parallel = df_hf_flag(r, "parallel_attn", true); /* falcon */
    const bool two = df_hf_flag(r, "new_decoder_architecture", false);
    const bool falcon =
        (r->family.is & DF_HF_HEAD_PER_HEAD) != 0 && strcmp(r->family.type, "gpt_bigcode") != 0;
    m->model_type = gated ? DF_LLM_LLAMA : DF_LLM_GPT;
    m->shape.norms = falcon && parallel && !two ? 1 : r->family.norms;
    m->shape.norm = (r->family.is & DF_HF_PLAIN_NORM) != 0   ? DF_NORM_PLAIN
                    : (r->family.is & DF_HF_LAYER_NORM) != 0 ? DF_NORM_LAYER
                                                             : DF_NORM_RMS;
    if (!gated && (r->family.is & DF_HF_LAYER_NORM) == 0) { /* what the file calls gpt drops some */
        m->shape.dropout = DF_IS_NOT_THERE;
    }
    if (strcmp(r->family.type, "mpt") == 0 && df_hf_flag(r, "no_bias", true)) {
        m->shape.norm = DF_NORM_RMS; /* as many parameters: no shift */
    }
}

/* Rows that OPT puts before the first position (OPTLearnedPositionalEmbedding). */
enum { OPT_OFFSET = 2 };

static void read_ends(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    const bool learned = df_hf_flag(r, "learned_pos_emb", false); /* mpt, without ALiBi */
    const bool positions =
        (r->family.is & DF_HF_POSITIONS) != 0 || (learned && !df_hf_flag(r, "alibi", false));
    const int64_t narrow = df_hf_count_or(r, "word_embed_proj_dim", 1, m->hidden_dim);
    m->tied_embeddings = df_hf_flag(r, "tie_word_embeddings", (r->family.is & DF_HF_TIED) != 0);
    m->shape.embedding_dim = narrow != m->hidden_dim ? narrow : 0;
    if (positions) {
        m->shape.positions =
            r->model->context + (strcmp(r->family.type, "opt") == 0 ? OPT_OFFSET : 0);
    }
    m->shape.layer_embedding_dim = df_hf_count_or(r, "hidden_size_per_layer_input", 0, 0);
    if (m->shape.layer_embedding_dim > 0) {
        const int64_t vocab = df_hf_count_or(r, "vocab_size_per_layer_input", 1, m->vocab_size);
        m->shape.layer_embedding_vocab = vocab != m->vocab_size ? vocab : 0;
    } else {
        df_hf_ignore(r, "vocab_size_per_layer_input");
    }
}

static void read_width(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    const int64_t ratio = df_hf_count_or(r, "expansion_ratio", 1, 4);
    const bool others =
        df_hf_value(r, "moe_intermediate_size") != NULL || df_hf_value(r, "block_configs") != NULL;
    const int64_t usual = others ? 0 : ratio * m->hidden_dim;
    const int64_t given = df_hf_count_or(r, "intermediate_size", 1, usual);
    const int64_t dense = df_hf_count_or(r, "intermediate_size_mlp", 1, given); /* llama 4 */
    m->intermediate_size = given;
    if (given > DF_HF_MOST) {
        df_hf_fail(r, "hidden_size", "a feed-forward network of at most 2147483647",
                   df_hf_value(r, "hidden_size"));
    }
    if ((r->family.is & DF_HF_HALF_FFN) != 0) {
        m->intermediate_size = given / 2;
    }
    df_hf_read_experts(r);
    m->intermediate_size = dense != given ? dense : m->intermediate_size;
}

/* Models without experts whose networks are those that others share (Granite 4, dense). */
static void read_shared_alone(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    const int64_t shared = df_hf_count_or(r, "shared_intermediate_size", 0, 0);
    if (m->num_experts == 1 && shared > 0) {
        m->intermediate_size = shared;
    }
    df_hf_ignore(r, "shared_expert_intermediate_size");
    m->shape.prediction_layers = df_hf_count_or(r, "num_nextn_predict_layers", 0, 0) *
                                 df_hf_count_or(r, "mtp_transformer_layers", 1, 1);
    if (m->shape.prediction_layers > 16) {
        df_hf_fail(r, "num_nextn_predict_layers", "at most 16", NULL);
    }
}

/* Products that mix residual streams. Hyper-connections of DeepSeek-V4: before attention and before
 * the experts, of N streams to N weights of each of two kinds and N * N of a third, and once more
 * in the end (transformers, models/deepseek_v4). Gemma 3n: AltUp's products of hidden_size into and
 * out of each stream but the first, and LAuReL's of low rank in each layer (models/gemma3n). */
static void read_streams(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    const int64_t streams = df_hf_count_or(r, "hc_mult", 1, 1);
    const int64_t inputs = df_hf_count_or(r, "altup_num_inputs", 1, 1);
    const int64_t rank = df_hf_count_or(r, "laurel_rank", 0, 0);
    const double hidden = (double)m->hidden_dim;
    const double layers = (double)m->num_layers;
    const double n = (double)streams;
    const double mixed = streams > 1 ? (2.0 * layers * (2.0 + n) * n + n) * n * hidden : 0.0;
    const double others =
        2.0 * ((double)inputs - 1.0) * hidden * hidden + 2.0 * layers * (double)rank * hidden;
    const double most = 0x1p52;
    if (mixed + others > most) {
        df_hf_fail(r, "hidden_size", "one whose residual streams can be counted", NULL);
        return;
    }
    m->shape.other_params = (int64_t)(mixed + others);
    if (streams > 1) {
        df_hf_note(r, "other_params: products that mix %" PRId64 " residual streams", streams);
    } else if (inputs > 1 || rank > 0) {
        df_hf_note(r, "other_params: products of AltUp and LAuReL");
    }
}

static void read_layers(df_hf_reader *r)
{
    df_hf_layers layers = {.count = 0};
    df_hf_read_mixers(r, &layers);
    df_hf_read_ffns(r, &layers);
    df_hf_read_blocks(r, &layers);
    if ((r->family.is & DF_HF_STATE_ONLY) != 0) {
        r->model->llm.intermediate_size = 1;
    }
    if (r->status == DF_OK) {
        df_hf_store_layers(r, &layers);
    }
}

/* nemotron_h counts its layers by its list alone. */
static int64_t count_layers(df_hf_reader *r)
{
    const char *const pattern = df_hf_text(r, "hybrid_override_pattern");
    const json_t *const blocks = df_hf_value(r, "block_configs");
    const json_t *const list = df_hf_value(r, "layer_types");
    const size_t listed = pattern  ? strlen(pattern)
                          : blocks ? json_array_size(blocks)
                          : list   ? json_array_size(list)
                                   : 0;
    return listed > 0 && listed <= DF_LAYERS_MAX
               ? df_hf_count_or(r, "num_hidden_layers", 1, (int64_t)listed)
               : df_hf_count(r, "num_hidden_layers");
}

static void read_model(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    m->shape.linear_conv = 4;
    m->shape.linear_chunk = 128;
    m->shape.linear_groups = 1;
    m->shape.linear_state_bytes = 4;
    m->shape.groups = 1;
    m->attention.out_groups = 1;
    m->num_layers = count_layers(r);
    m->hidden_dim = df_hf_count(r, "hidden_size");
    m->vocab_size = df_hf_count(r, "vocab_size");
    r->model->context = df_hf_count_or(r, "max_position_embeddings", 1, 0);
    read_gate(r);
    read_ends(r);
    df_hf_read_attention(r);
    df_hf_read_state(r);
    read_width(r);
    read_shared_alone(r);
    read_layers(r);
    read_streams(r);
    df_hf_read_quantization(r);
}

df_status
df_hf_read(const df_hf_file *file, const df_hf_options *options, df_hf_model *model, df_err *err)
{
    df_hf_model result = {.type = ""};
    json_t *root = NULL;
    DF_TRY(df_hf_parse(file, &root, err));
    df_hf_reader r = {.from = file->from,
                      .config = df_hf_flatten(root),
                      .used = json_object(),
                      .model = &result,
                      .err = err};
    df_hf_rename(r.config);
    read_family(&r, options->family);
    if (r.status == DF_OK) {
        df_hf_complete(&r);
        read_model(&r);
    }
    if (r.status == DF_OK) {
        df_hf_check_keys(&r, options->allow_unknown);
    }
    json_decref(r.used);
    json_decref(r.config);
    json_decref(root);
    if (r.status == DF_OK) {
        *model = result;
    }
    return r.status;
}
