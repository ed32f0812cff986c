/* Keys that no reader has asked for. A config.json has many that cost nothing: tokens, rates of
 * dropout, constants of norms and positions. One whose name speaks of layers, heads, widths and the
 * like might change what a model costs, unless it is known that it does not. */
#include "hf/hf_impl.h"

#include <string.h>

/* Parts of names that speak of a structure. */
static const char *const structural[] = {
    "layer",    "head",   "hidden", "_size",  "size_",     "dim",   "expert", "num_",   "rank",
    "window",   "ffn",    "mlp",    "attn",   "attention", "conv",  "state",  "moe",    "pattern",
    "interval", "period", "offset", "ratio",  "mtp",       "nextn", "group",  "latent", "lora",
    "kv_",      "_kv",    "shared", "sparse", "block",     "chunk", "index",  "mult",   "width",
    "depth",    "n_",     "factor", "mamba",  "ssm",       "vocab", "memory", "adapter"};

/* Known ones that cost nothing, or that a reader has under another name. */
static const char *const harmless[] = {"architectures",
                                       "model_type",
                                       "auto_map",
                                       "torch_dtype",
                                       "dtype",
                                       "transformers_version",
                                       "_name_or_path",
                                       "id2label",
                                       "label2id",
                                       "task_specific_params",
                                       "use_cache",
                                       "layer_norm_eps",
                                       "layer_norm_epsilon",
                                       "rms_norm_eps",
                                       "norm_eps",
                                       "norm_epsilon",
                                       "layernorm_epsilon",
                                       "rope_scaling",
                                       "rope_parameters",
                                       "rope_theta",
                                       "rope_local_base_freq",
                                       "initializer_range",
                                       "attention_dropout",
                                       "hidden_dropout",
                                       "ffn_dropout",
                                       "output_router_logits",
                                       "router_aux_loss_coef",
                                       "head_dtype",
                                       "pretraining_tp",
                                       "ep_size",
                                       "num_hash_layers",
                                       "scale_attn_weights",
                                       "scale_attn_by_inverse_layer_idx",
                                       "reorder_and_upcast_attn",
                                       "attention_softmax_in_fp32",
                                       "scale_attention_softmax_in_fp32",
                                       "summary_activation",
                                       "apply_residual_connection_post_layernorm",
                                       "do_layer_norm_before",
                                       "layerdrop",
                                       "use_parallel_residual",
                                       "rotary_dim",
                                       "partial_rotary_factor",
                                       "attention_types",
                                       "attn_logit_softcapping",
                                       "final_logit_softcapping",
                                       "query_pre_attn_scalar",
                                       "hidden_act",
                                       "hidden_activation",
                                       "num_logits_to_keep",
                                       "residual_in_fp32",
                                       "rescale_prenorm_residual",
                                       "use_mamba_kernels",
                                       "use_conv_bias",
                                       "mamba_conv_bias",
                                       "mamba_proj_bias",
                                       "mamba_hidden_act",
                                       "mlp_hidden_act",
                                       "mamba_dt_min",
                                       "mamba_dt_max",
                                       "mamba_dt_limit",
                                       "mamba_dt_init_floor",
                                       "time_step_min",
                                       "time_step_max",
                                       "time_step_floor",
                                       "time_step_limit",
                                       "initial_context_length",
                                       "original_max_position_embeddings",
                                       "max_window_layers",
                                       "norm_topk_prob",
                                       "topk_method",
                                       "routed_scaling_factor",
                                       "router_jitter_noise",
                                       "seq_aux",
                                       "aux_loss_alpha",
                                       "scoring_func",
                                       "hc_mult",
                                       "hc_sinkhorn_iters",
                                       "hc_eps",
                                       "expert_dtype",
                                       "compress_rope_theta",
                                       "attention_multiplier",
                                       "embedding_multiplier",
                                       "residual_multiplier",
                                       "logits_scaling",
                                       "logit_scale",
                                       "scale_depth",
                                       "scale_emb",
                                       "dim_model_base",
                                       "mup_denominator",
                                       "num_beams",
                                       "num_beam_groups",
                                       "num_return_sequences",
                                       "no_repeat_ngram_size",
                                       "encoder_no_repeat_ngram_size",
                                       "chunk_size_feed_forward",
                                       "output_attentions",
                                       "output_hidden_states",
                                       "add_cross_attention",
                                       "cross_attention_hidden_size",
                                       "top_k",
                                       "attn_impl",
                                       "attn_type",
                                       "attn_uses_sequence_id",
                                       "attn_pdrop",
                                       "resid_pdrop",
                                       "embd_pdrop",
                                       "clip_qkv",
                                       "qk_ln",
                                       "softmax_scale",
                                       "prefix_lm",
                                       "alibi_bias_max",
                                       "rope_impl",
                                       "moe_jitter_eps",
                                       "moe_loss_weight",
                                       "moe_normalize_expert_weights",
                                       "ffn_act_fn",
                                       "rope_interleaved",
                                       "rope_interleave",
                                       "mtp_use_dedicated_embeddings",
                                       "attn_temperature_tuning",
                                       "attn_scale",
                                       "floor_scale",
                                       "no_rope_layer_interval",
                                       "rope_ratio",
                                       "original_rope",
                                       "apply_query_key_layer_scaling",
                                       "attention_head_size",
                                       "kv_cache_quantization",
                                       "hidden_size_per_attention_head",
                                       "prefix_projection",
                                       "pre_seq_len",
                                       "post_layer_norm",
                                       "interleaved_qkv",
                                       "use_dynamic_ntk",
                                       "use_logn_attn",
                                       "use_flash_attn",
                                       "use_dynamic_attn",
                                       "use_cache_quantization",
                                       "softmax_in_fp32",
                                       "emb_dropout_prob",
                                       "attn_dropout_prob",
                                       "altup_active_idx",
                                       "altup_coef_clip",
                                       "altup_correct_scale",
                                       "activation_sparsity_pattern",
                                       "layer_scale",
                                       "swiglu_limit",
                                       "cache_implementation",
                                       "sliding_window_size",
                                       "rope_type",
                                       "bidirectional",
                                       "use_bidirectional_attention",
                                       "mrope_section",
                                       "norm_type",
                                       "org_vocab_size",
                                       "num_media_embeds",
                                       "lora_rank",
                                       "lora_alpha",
                                       "vision_lora",
                                       "speech_lora",
                                       "embd_layer",
                                       "img_processor",
                                       "audio_processor",
                                       "mlp_bias",
                                       "mlp_dropout",
                                       "embedding_dropout",
                                       "moe_router_enable_expert_bias",
                                       "moe_router_enable_shared_expert",
                                       "norm_head",
                                       "router_dtype",
                                       "router_bias_update_rate",
                                       "num_parallel_blocks",
                                       "rotary_emb_base",
                                       "rotary_pct",
                                       "layernorm_full_attention_alpha",
                                       "layernorm_full_attention_beta",
                                       "layernorm_linear_attention_alpha",
                                       "layernorm_linear_attention_beta",
                                       "layernorm_mlp_alpha",
                                       "layernorm_mlp_beta",
                                       "full_attn_alpha_factor",
                                       "full_attn_beta_factor",
                                       "linear_attn_alpha_factor",
                                       "linear_attn_beta_factor",
                                       "mlp_alpha_factor",
                                       "mlp_beta_factor",
                                       "postnorm",
                                       "shared_moe_mode",
                                       "attention_value_scale",
                                       "swa_rope_theta",
                                       "vision_config",
                                       "audio_config",
                                       "add_swa_attention_sink_bias",
                                       "add_full_attention_sink_bias",
                                       "attention_projection_layout",
                                       "hybrid_block_size",
                                       "use_mixed_mlp_moe",
                                       "moe_drop_tokens",
                                       "moe_random_routing_dropped_token",
                                       "capacity_factor",
                                       "cla_share_factor",
                                       "ssm_in_multiplier",
                                       "ssm_out_multiplier",
                                       "ssm_multipliers",
                                       "mlp_multipliers",
                                       "key_multiplier",
                                       "lm_head_multiplier",
                                       "attention_in_multiplier",
                                       "attention_out_multiplier",
                                       "mamba_norm_before_gate",
                                       "mamba_use_mlp",
                                       "projectors_bias",
                                       "attn_rotary_emb",
                                       "mamba_inner_layernorms",
                                       "moe_use_aux_free",
                                       "moe_norm_min",
                                       "moe_capacity",
                                       "qk_rope_head_dim",
                                       "lm_head_bias",
                                       "use_residual_scaling",
                                       "expert_dropout",
                                       "input_jitter_noise",
                                       "num_mem_blocks",
                                       "position_embedding_type",
                                       "mtp_loss_scaling_factor",
                                       "max_position_embeddings_original",
                                       "attention_layers",
                                       "sliding_window_pattern",
                                       "_sliding_window_pattern",
                                       "layer_types",
                                       "mlp_expansion_factor",
                                       "num_query_groups",
                                       "moe_shared_expert_overlap",
                                       "mamba_rms_norm",
                                       "use_head_wise_attn_gate_scale",
                                       "mtp_layers_block_type",
                                       "mtp_hybrid_override_pattern",
                                       "mamba_ssm_cache_dtype",
                                       "shared_expert_gate",
                                       "layer_norm_elementwise_affine",
                                       "offset_alibi",
                                       "use_pad_tok_in_ffn",
                                       "pad_vocab_size_multiple",
                                       "layer_switch",
                                       "add_tail_layers",
                                       "num_key_value_groups",
                                       "num_labels",
                                       "use_layer_norm",
                                       "qk_norm_type",
                                       "rotary_emb_fraction",
                                       "no_rope_layers",
                                       "moe_every_n_layer",
                                       "time_step_rank",
                                       "linear_attn_config",
                                       "hidden_size_per_layer_input",
                                       "attention_head_dim",
                                       "moe_layer_num_skipped",
                                       "class_num",
                                       "altup_lr_multiplier",
                                       "mm_tokens_per_image",
                                       "image_token_len",
                                       "max_batch_size",
                                       "num_sink_tokens",
                                       "vocab_size_per_layer_input",
                                       "expand",
                                       "bias_update_speed",
                                       "use_flash_attention",
                                       "z_loss_weight",
                                       "tokens_per_image",
                                       "max_num_images",
                                       "vision_feature_layer",
                                       "projector_hidden_act",
                                       "multimodal_projector_bias",
                                       "embedding_size_per_patch",
                                       "text_model_type",
                                       "quantization",
                                       "indexer_rope_interleave",
                                       "num_nextn_predict_layers"};

static bool is_in(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Off: null, false, 0, nothing, or a word. Fractions scale something. */
static bool says_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) || json_is_real(value) ||
           json_is_string(value) || (json_is_integer(value) && json_integer_value(value) <= 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static bool ends_in(const char *name, const char *end)
{
    const size_t length = strlen(name);
    return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

static bool is_harmless(const char *name)
{
    static const char *const ends[] = {"_token_id", "_token_ids", "_token_index", "_id",
                                       "_ids",      "_dropout",   "_eps",         "_epsilon",
                                       "_dtype",    "_act",       "_std",         "_theta",
                                       "_fusion",   "_token",     "_init"};
    static const char *const starts[] = {"vision_", "image_", "audio_", "video_", "mm_",
                                         "_attn",   "boi_",   "vit_",   "eoi_",   "router_",
                                         "rope_",   "init",   "tie_"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends_in(name, ends[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (strncmp(name, starts[i], strlen(starts[i])) == 0) {
            return true;
        }
    }
    return is_in(harmless, sizeof harmless / sizeof harmless[0], name);
}

static bool has_word(const char *name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(name, words[i])) {
            return true;
        }
    }
    return false;
}

/* A switch is often about how something runs; fewer of its names speak of a structure. */
static bool is_structural(const char *name, const json_t *value)
{
    static const char *const switched[] = {
        "layer",  "head",   "expert", "mlp",    "ffn",    "attn",    "attention", "conv", "state",
        "sparse", "latent", "lora",   "shared", "memory", "adapter", "mamba",     "ssm",  "hybrid"};
    return json_is_true(value)
               ? has_word(name, switched, sizeof switched / sizeof switched[0])
               : has_word(name, structural, sizeof structural / sizeof structural[0]);
}

void df_hf_check_keys(df_hf_reader *r, bool allow)
{
    df_hf_model *const m = r->model;
    const char *key;
    json_t *value;
    json_object_foreach(r->config, key, value)
    {
        if (json_object_get(r->used, key) || says_nothing(value) || is_harmless(key) ||
            !is_structural(key, value)) {
            continue;
        }
        if (!allow) {
            df_hf_fail(r, key,
                       "a key that is known (--allow_unknown leaves out what it stands for)",
                       value);
            return;
        }
        if (m->num_warnings < DF_HF_NOTES) {
            snprintf(m->warning[m->num_warnings++], DF_HF_NOTE,
                     "%.100s is not known: what it stands for is left out", key);
        }
    }
}
