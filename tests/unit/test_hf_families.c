/* Families of models: from the keys of their config.json to layers. The files are made for this
 * test: 4 layers of hidden_size 64 with 4 heads; what is written of them is the families' own way
 * to say which layers are of which kind. */
#include <string.h>

#include "hf/hf.h"
#include "support/support.h"

#define SIZES                                                                                      \
    "\"hidden_size\": 64, \"num_attention_heads\": 4, \"num_hidden_layers\": 4, "                  \
    "\"vocab_size\": 100, \"intermediate_size\": 96, \"num_key_value_heads\": 2, "

static df_cfg_llm model_of(const char *keys)
{
    char text[4096];
    const df_hf_options options = {.family = NULL};
    df_hf_model model;
    df_err err;
    const int length = snprintf(text, sizeof text, "{" SIZES "%s}", keys);
    df_hf_file file = {.text = text, .size = (size_t)length, .from = "it"};
    if (df_hf_read(&file, &options, &model, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return model.llm;
}

static void assert_layers(const char *keys, const char *expected)
{
    char found[DF_LAYERS_TEXT];
    const df_cfg_llm m = model_of(keys);
    assert_true(df_cfg_layers_text(&m.layers, found, sizeof found));
    if (strcmp(found, expected) != 0) {
        fail_msg("%s: layers %s, expected %s", keys, found, expected);
    }
}

/* ---- Windows and chunks ---- */

static void windows_come_in_patterns(void **state)
{
    (void)state;
    assert_layers("\"model_type\": \"mistral\", \"sliding_window\": 9", "4 window");
    assert_layers("\"model_type\": \"mistral\", \"sliding_window\": null", "");
    assert_layers("\"model_type\": \"phi3\", \"sliding_window\": 9, \"max_position_embeddings\": 9",
                  "");
    assert_layers("\"model_type\": \"qwen2\", \"sliding_window\": 9, \"use_sliding_window\": true, "
                  "\"max_window_layers\": 3",
                  "3 full, 1 window");
    assert_layers("\"model_type\": \"gemma2\"", "1 window, 1 full, 1 window, 1 full");
    assert_layers("\"model_type\": \"gemma3_text\", \"sliding_window_pattern\": 3",
                  "2 window, 1 full, 1 window");
    assert_layers("\"model_type\": \"cohere2\"", "3 window, 1 full");
    assert_layers("\"model_type\": \"exaone4\", \"sliding_window\": 9, "
                  "\"sliding_window_pattern\": \"LLG\"",
                  "2 window, 1 full, 1 window");
    assert_layers("\"model_type\": \"gpt_neo\", \"max_position_embeddings\": 512, "
                  "\"attention_layers\": [\"global\", \"local\", \"global\", \"local\"]",
                  "1 full, 1 window, 1 full, 1 window");
    assert_layers("\"model_type\": \"gpt_oss\", \"layer_types\": [\"full_attention\", "
                  "\"full_attention\", \"sliding_attention\", \"full_attention\"]",
                  "2 full, 1 window, 1 full");
}

static void llama4_has_chunks_and_some_experts(void **state)
{
    (void)state;
    const char *const keys = "\"model_type\": \"llama4_text\", \"interleave_moe_layer_step\": 2, "
                             "\"intermediate_size_mlp\": 192, \"head_dim\": 16, "
                             "\"num_key_value_heads\": 2, \"num_local_experts\": 8, "
                             "\"no_rope_layers\": []";
    const df_cfg_llm m = model_of(keys);
    assert_layers(keys, "1 chunked dense, 1 chunked experts, 1 chunked dense, 1 full experts");
    assert_int_equal(m.shape.expert_size, 96);
    assert_int_equal(m.intermediate_size, 192);
    assert_int_equal(m.shape.shared_experts, 1);
    assert_int_equal(m.attention.chunk, 8192);
}

/* ---- Experts ---- */

#define MOE "\"num_experts\": 8, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 24, "

static void experts_are_placed_in_many_ways(void **state)
{
    (void)state;
    const char *const first = "1 full dense, 3 full experts";
    assert_layers("\"model_type\": \"qwen3_moe\", " MOE "\"decoder_sparse_step\": 1", "");
    assert_layers("\"model_type\": \"qwen3_moe\", " MOE "\"decoder_sparse_step\": 2",
                  "1 full dense, 1 full experts, 1 full dense, 1 full experts");
    assert_layers("\"model_type\": \"qwen2_moe\", " MOE "\"mlp_only_layers\": [0]", first);
    assert_layers("\"model_type\": \"deepseek\", " MOE "\"first_k_dense_replace\": 1", first);
    assert_layers("\"model_type\": \"deepseek\", " MOE
                  "\"first_k_dense_replace\": 1, \"moe_layer_freq\": 2",
                  "2 full dense, 1 full experts, 1 full dense");
    assert_layers("\"model_type\": \"deepseek\", " MOE "\"moe_layer_freq\": [0, 1, 1, 1]", first);
    assert_layers("\"model_type\": \"step3_text\", \"share_q_dim\": 8, " MOE
                  "\"moe_layers_enum\": \"1,2,3\"",
                  first);
    assert_layers("\"model_type\": \"ernie4_5_moe\", " MOE
                  "\"moe_layer_start_index\": 1, \"moe_layer_end_index\": -1",
                  first);
    assert_layers("\"model_type\": \"ernie4_5_moe\", " MOE
                  "\"moe_layer_start_index\": 1, \"moe_layer_end_index\": 2",
                  "1 full dense, 2 full experts, 1 full dense");
    assert_layers("\"model_type\": \"glm4_moe\", " MOE
                  "\"mlp_layer_types\": [\"dense\", \"sparse\", \"sparse\", \"sparse\"]",
                  first);
}

/* Where no layer is dense, the experts' width is the model's. */
static void widths_of_experts_are_read(void **state)
{
    (void)state;
    const df_cfg_llm all = model_of("\"model_type\": \"qwen3_moe\", " MOE "\"x\": 0");
    const df_cfg_llm some =
        model_of("\"model_type\": \"deepseek\", " MOE
                 "\"first_k_dense_replace\": 1, \"n_shared_experts\": 2, \"n_group\": 4, "
                 "\"topk_group\": 2");
    const df_cfg_llm shared =
        model_of("\"model_type\": \"qwen2_moe\", " MOE "\"shared_expert_intermediate_size\": 50");
    assert_int_equal(all.intermediate_size, 24);
    assert_int_equal(all.shape.expert_size, 0);
    assert_int_equal(some.intermediate_size, 96);
    assert_int_equal(some.shape.expert_size, 24);
    assert_int_equal(some.shape.shared_experts, 2);
    assert_int_equal(some.shape.shared_size, 0);
    assert_int_equal(some.shape.groups, 4);
    assert_int_equal(some.shape.group_limit, 2);
    assert_int_equal(shared.shape.shared_experts, 1);
    assert_int_equal(shared.shape.shared_size, 50);
    assert_true(shared.shape.shared_gate);
}

/* ---- Layers with a state ---- */

static void hybrids_have_states(void **state)
{
    (void)state;
    assert_layers("\"model_type\": \"qwen3_5_text\", \"head_dim\": 16, "
                  "\"full_attention_interval\": 2",
                  "1 delta, 1 full, 1 delta, 1 full");
    assert_layers("\"model_type\": \"jamba\", \"num_experts\": 4, \"num_experts_per_tok\": 2, "
                  "\"attn_layer_period\": 4, \"attn_layer_offset\": 2",
                  "1 mamba1 dense, 1 mamba1 experts, 1 full dense, 1 mamba1 experts");
    assert_layers("\"model_type\": \"bamba\", \"mamba_n_heads\": 8, \"attn_layer_indices\": [2]",
                  "2 mamba2, 1 full, 1 mamba2");
    assert_layers("\"model_type\": \"granitemoehybrid\", \"mamba_n_heads\": 8, \"layer_types\": "
                  "[\"mamba\", \"attention\", \"mamba\", \"mamba\"]",
                  "1 mamba2, 1 full, 2 mamba2");
    assert_layers("\"model_type\": \"minimax_m1\", \"attn_type_list\": [0, 0, 0, 1]",
                  "3 linear, 1 full");
    assert_layers("\"model_type\": \"mamba\", \"state_size\": 4", "4 mamba1 no_ffn");
    assert_layers("\"model_type\": \"falcon_h1\", \"mamba_n_heads\": 8, \"mamba_d_ssm\": 128, "
                  "\"num_hidden_layers\": 2",
                  "1 mamba2 no_ffn, 1 full, 1 mamba2 no_ffn, 1 full");
}

/* 2 * 64 / 8 numbers a head; 64 / 16 for the step. */
static void widths_of_states_are_read(void **state)
{
    (void)state;
    const df_cfg_llm bamba = model_of("\"model_type\": \"bamba\", \"mamba_n_heads\": 8, "
                                      "\"mamba_d_head\": \"auto\", \"attn_layer_indices\": [2]");
    const df_cfg_llm jamba = model_of("\"model_type\": \"jamba\", \"mamba_dt_rank\": \"auto\"");
    const df_cfg_llm kimi = model_of(
        "\"model_type\": \"kimi_linear\", \"kv_lora_rank\": 8, \"qk_nope_head_dim\": 4, "
        "\"qk_rope_head_dim\": 2, \"v_head_dim\": 4, \"linear_attn_config\": {\"num_heads\": 2, "
        "\"head_dim\": 8, \"short_conv_kernel_size\": 3, \"full_attn_layers\": [4]}");
    assert_int_equal(bamba.shape.linear_head_dim, 16);
    assert_int_equal(jamba.shape.linear_inner, 128);
    assert_int_equal(jamba.shape.linear_dt_rank, 4);
    assert_int_equal(kimi.shape.linear_heads, 2);
    assert_int_equal(kimi.shape.linear_gate_rank, 8);
    assert_int_equal(kimi.shape.linear_conv, 3);
    assert_int_equal(kimi.layers.kind[kimi.layers.of[3]].mixer, DF_MIX_FULL);
    assert_int_equal(kimi.layers.kind[kimi.layers.of[0]].mixer, DF_MIX_DELTA);
}

static void nemotrons_layers_have_one_part(void **state)
{
    (void)state;
    const char *const expected = "1 mamba2 no_ffn, 1 full no_ffn, 1 no_attention dense, "
                                 "1 no_attention experts";
    assert_layers("\"model_type\": \"nemotron_h\", " MOE "\"hybrid_override_pattern\": \"M*-E\"",
                  expected);
    assert_layers("\"model_type\": \"nemotron_h\", " MOE
                  "\"layers_block_type\": [\"mamba\", \"attention\", \"mlp\", \"moe\"]",
                  expected);
    const df_cfg_llm dense =
        model_of("\"model_type\": \"nemotron_h\", " MOE "\"hybrid_override_pattern\": \"M*--\"");
    assert_int_equal(dense.num_experts, 1);
    assert_int_equal(dense.model_type, DF_LLM_GPT);
    assert_int_equal(dense.shape.norm, DF_NORM_RMS);
    assert_int_equal(dense.shape.dropout, DF_IS_NOT_THERE);
}

/* 2 * 3 * 64 / 3 = 128 is below 256, 2 * 7 * 64 / 3 = 298.7 below 512; a product of 64 * 64 is a
 * gated network of 64 / 3, rounded up. */
static void searched_blocks_are_layers(void **state)
{
    (void)state;
    assert_layers("\"model_type\": \"nemotron-nas\", \"block_configs\": ["
                  "{\"attention\": {\"n_heads_in_group\": 2}, \"ffn\": {\"ffn_mult\": 3.0}}, "
                  "{\"attention\": {\"no_op\": true}, \"ffn\": {\"ffn_mult\": 7.0}}, "
                  "{\"attention\": {\"n_heads_in_group\": 4}, \"ffn\": {\"no_op\": true}}, "
                  "{\"attention\": {\"replace_with_linear\": true}, \"ffn\": {\"no_op\": true}}]",
                  "1 full dense kv_heads=2 width=256, 1 no_attention dense width=512, "
                  "1 full no_ffn kv_heads=1, 1 no_attention dense width=21");
}

/* ---- Attention ---- */

static void latent_attention_is_read(void **state)
{
    (void)state;
    const df_cfg_llm m =
        model_of("\"model_type\": \"deepseek_v32\", \"kv_lora_rank\": 8, \"q_lora_rank\": null, "
                 "\"qk_nope_head_dim\": 4, \"qk_rope_head_dim\": 2, \"v_head_dim\": 5, "
                 "\"index_n_heads\": 2, \"index_head_dim\": 3, \"index_topk\": 6, "
                 "\"num_nextn_predict_layers\": 1");
    assert_int_equal(m.attention.attention_type, DF_ATTENTION_MLA);
    assert_int_equal(m.attention.kv_rank, 8);
    assert_int_equal(m.attention.q_rank, 0);
    assert_int_equal(m.attention.value_dim, 5);
    assert_int_equal(m.attention.index_top_k, 6);
    assert_int_equal(m.shape.prediction_layers, 1);
}

static void compressed_attention_is_read(void **state)
{
    (void)state;
    const char *const words =
        "\"model_type\": \"deepseek_v4\", " MOE "\"num_key_value_heads\": 1, \"layer_types\": "
        "[\"sliding_attention\", \"compressed_sparse_attention\", "
        "\"heavily_compressed_attention\", \"sliding_attention\"]";
    const char *const expected = "1 compressed, 1 compressed ratio=4, 1 compressed ratio=128, "
                                 "1 compressed";
    assert_layers(words, expected);
    assert_layers("\"model_type\": \"deepseek_v4\", " MOE
                  "\"num_key_value_heads\": 1, \"compress_ratios\": [0, 4, 128, 0, 0]",
                  expected);
    assert_true(model_of(words).attention.sinks);
    assert_int_equal(model_of(words).attention.out_rank, 1024);
}

/* Gemma 4: global layers have wider heads and keys that are values; the last layers take those of
 * others, and twice the width. */
static void layers_may_differ_in_heads(void **state)
{
    (void)state;
    const df_cfg_llm m = model_of(
        "\"model_type\": \"gemma4_text\", \"head_dim\": 16, \"global_head_dim\": 32, "
        "\"num_key_value_heads\": 2, \"num_global_key_value_heads\": 1, \"attention_k_eq_v\": true,"
        " \"sliding_window_pattern\": 2, \"num_kv_shared_layers\": 2, \"use_double_wide_mlp\": "
        "true");
    char text[DF_LAYERS_TEXT];
    assert_true(df_cfg_layers_text(&m.layers, text, sizeof text));
    assert_string_equal(text, "1 window, 1 full kv_heads=1 head_dim=32, 1 window reuse width=192, "
                              "1 full reuse kv_heads=1 head_dim=32 width=192");
    assert_true(m.attention.keys_are_values);
    assert_layers("\"model_type\": \"mimo_v2_flash\", \"head_dim\": 24, \"v_head_dim\": 16, "
                  "\"num_key_value_heads\": 1, \"swa_num_attention_heads\": 4, "
                  "\"swa_num_key_value_heads\": 2, \"swa_head_dim\": 24, \"swa_v_head_dim\": 16, "
                  "\"sliding_window\": 9, \"hybrid_layer_pattern\": [0, 1, 1, 0]",
                  "1 full, 2 window kv_heads=2, 1 full");
    assert_layers("\"model_type\": \"mllama_text_model\", \"cross_attention_layers\": [1]",
                  "1 full, 1 cross, 2 full");
    assert_layers("\"model_type\": \"hunyuan\", \"use_cla\": true, \"cla_share_factor\": 2",
                  "1 full, 1 full reuse, 1 full, 1 full reuse");
}

static void biases_and_norms_are_the_familys(void **state)
{
    (void)state;
    const df_cfg_llm qwen = model_of("\"model_type\": \"qwen2\"");
    const df_cfg_llm oss = model_of("\"model_type\": \"gpt_oss\"");
    const df_cfg_llm glm = model_of("\"model_type\": \"glm4_moe\", \"attention_bias\": true, "
                                    "\"use_qk_norm\": true");
    const df_cfg_llm olmo = model_of("\"model_type\": \"olmo\"");
    const df_cfg_llm old = model_of("\"model_type\": \"qwen\"");
    assert_int_equal(qwen.attention.bias, DF_ATTENTION_BIAS_QKV);
    assert_int_equal(oss.attention.bias, DF_ATTENTION_BIAS_ALL);
    assert_true(oss.shape.ffn_bias && oss.attention.sinks);
    assert_int_equal(glm.attention.bias, DF_ATTENTION_BIAS_QKV);
    assert_int_equal(glm.attention.qk_norm, DF_QK_NORM_HEAD);
    assert_int_equal(olmo.shape.norm, DF_NORM_PLAIN);
    assert_int_equal(old.intermediate_size, 48); /* 96 counts both halves of the gate */
    assert_int_equal(model_of("\"model_type\": \"gemma3_text\"").shape.norms, 4);
    assert_int_equal(model_of("\"model_type\": \"gptj\"").shape.norms, 1);
    assert_int_equal(model_of("\"model_type\": \"step3_text\"").attention.q_rank, 2048);
    assert_int_equal(model_of("\"model_type\": \"opt\", \"max_position_embeddings\": 30, "
                              "\"word_embed_proj_dim\": 32")
                         .shape.positions,
                     32);
}

/* ---- Errors ---- */

static void assert_refuses(const char *keys, const char *message)
{
    char text[4096];
    const df_hf_options options = {.family = NULL};
    df_hf_model model;
    df_err err;
    const int length = snprintf(text, sizeof text, "{" SIZES "%s}", keys);
    df_hf_file file = {.text = text, .size = (size_t)length, .from = "it"};
    assert_int_equal(df_hf_read(&file, &options, &model, &err), DF_EINVAL);
    if (!strstr(err.text, message)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, message);
    }
}

static void bad_structures_are_named(void **state)
{
    (void)state;
    assert_refuses("\"model_type\": \"qwen3\", \"layer_types\": [\"full_attention\"]",
                   "it: layer_types: expected a word for each layer");
    assert_refuses("\"model_type\": \"qwen3\", \"layer_types\": [\"full_attention\", \"conv\", "
                   "\"full_attention\", \"full_attention\"]",
                   "it: layer_types: expected kinds of layers that are known, found \"conv\"");
    assert_refuses("\"model_type\": \"qwen3\", \"layer_types\": [\"linear_attention\", \"x\", "
                   "\"x\", \"x\"]",
                   "found \"linear_attention\"");
    assert_refuses("\"model_type\": \"nemotron_h\", \"hybrid_override_pattern\": \"M?\"",
                   "it: hybrid_override_pattern: expected letters M, *, - and E");
    assert_refuses("\"model_type\": \"deci\", \"block_configs\": [{\"attention\": {}, \"ffn\": "
                   "{\"ffn_mult\": 1.0}}]",
                   "it: block_configs: expected attention with n_heads_in_group");
    assert_refuses("\"model_type\": \"deepseek_v3\", \"kv_lora_rank\": 8",
                   "it: qk_nope_head_dim: expected a whole number >= 1, found nothing");
    assert_refuses("\"model_type\": \"jamba\", \"expert_layer_period\": 0, " MOE "\"x\": 0",
                   "it: expert_layer_period: expected a whole number from 1");
    assert_refuses("\"model_type\": \"llama\", \"num_hidden_layers\": 2000",
                   "it: num_hidden_layers: expected at most 1024 layers");
    assert_refuses("\"model_type\": \"step3_text\", " MOE "\"moe_layers_enum\": \"1;2\"",
                   "it: moe_layers_enum: expected layers such as \"4,5,6\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_come_in_patterns),
        cmocka_unit_test(llama4_has_chunks_and_some_experts),
        cmocka_unit_test(experts_are_placed_in_many_ways),
        cmocka_unit_test(widths_of_experts_are_read),
        cmocka_unit_test(hybrids_have_states),
        cmocka_unit_test(widths_of_states_are_read),
        cmocka_unit_test(nemotrons_layers_have_one_part),
        cmocka_unit_test(searched_blocks_are_layers),
        cmocka_unit_test(latent_attention_is_read),
        cmocka_unit_test(compressed_attention_is_read),
        cmocka_unit_test(layers_may_differ_in_heads),
        cmocka_unit_test(biases_and_norms_are_the_familys),
        cmocka_unit_test(bad_structures_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
