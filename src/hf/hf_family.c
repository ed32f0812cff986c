/* What the classes of HuggingFace's transformers (src/transformers/models, version 5.0, and the
 * code that models bring along) assume of each family where a config.json does not say it, and what
 * their layers are made of. Defaults are given where published files rely on them. */
#include "hf/hf_impl.h"

#include <string.h>

#include "base/nearest.h"

enum {
    GPT = DF_HF_NOT_GATED | DF_HF_LAYER_NORM,
    GPT_BIAS = GPT | DF_HF_BIAS_ALL | DF_HF_FFN_BIAS,
    MLA = DF_HF_BIAS_IS_QKV,
};

#define LLAMA_DEFAULTS                                                                             \
    "{\"hidden_size\": 4096, \"num_hidden_layers\": 32, \"num_attention_heads\": 32, "             \
    "\"intermediate_size\": 11008, \"vocab_size\": 32000}"
#define MISTRAL_DEFAULTS                                                                           \
    "{\"hidden_size\": 4096, \"num_hidden_layers\": 32, \"num_attention_heads\": 32, "             \
    "\"num_key_value_heads\": 8, \"intermediate_size\": 14336, \"vocab_size\": 32000, "            \
    "\"sliding_window\": 4096}"
#define MIXTRAL_DEFAULTS                                                                           \
    "{\"num_key_value_heads\": 8, \"num_experts\": 8, \"num_experts_per_tok\": 2}"
#define LLAMA4_DEFAULTS                                                                            \
    "{\"hidden_size\": 5120, \"num_hidden_layers\": 48, \"num_attention_heads\": 40, "             \
    "\"num_key_value_heads\": 8, \"head_dim\": 128, \"intermediate_size\": 8192, "                 \
    "\"intermediate_size_mlp\": 16384, \"vocab_size\": 202048, \"num_experts\": 16, "              \
    "\"num_experts_per_tok\": 1, \"attention_chunk_size\": 8192, \"n_shared_experts\": 1, "        \
    "\"interleave_moe_layer_step\": 1}"
#define MLLAMA_DEFAULTS                                                                            \
    "{\"hidden_size\": 4096, \"num_hidden_layers\": 40, \"num_attention_heads\": 32, "             \
    "\"num_key_value_heads\": 8, \"intermediate_size\": 14336, \"vocab_size\": 128256, "           \
    "\"cross_attention_layers\": [3, 8, 13, 18, 23, 28, 33, 38]}"
#define QWEN2_DEFAULTS                                                                             \
    "{\"hidden_size\": 4096, \"num_hidden_layers\": 32, \"num_attention_heads\": 32, "             \
    "\"num_key_value_heads\": 32, \"intermediate_size\": 22016, \"vocab_size\": 151936, "          \
    "\"max_window_layers\": 28}"
#define QWEN3_DEFAULTS                                                                             \
    "{\"hidden_size\": 4096, \"num_hidden_layers\": 32, \"num_attention_heads\": 32, "             \
    "\"num_key_value_heads\": 32, \"head_dim\": 128, \"intermediate_size\": 22016, "               \
    "\"vocab_size\": 151936, \"max_window_layers\": 28}"
#define QWEN3_NEXT_DEFAULTS                                                                        \
    "{\"head_dim\": 256, \"num_key_value_heads\": 2, \"conv_kernel\": 4, "                         \
    "\"linear_key_head_dim\": 128, \"state_head_dim\": 128, \"linear_num_key_heads\": 16, "        \
    "\"state_heads\": 32, \"full_attention_interval\": 4}"
#define GEMMA_DEFAULTS                                                                             \
    "{\"hidden_size\": 3072, \"num_hidden_layers\": 28, \"num_attention_heads\": 16, "             \
    "\"num_key_value_heads\": 16, \"head_dim\": 256, \"intermediate_size\": 24576, "               \
    "\"vocab_size\": 256000}"
#define GEMMA2_DEFAULTS                                                                            \
    "{\"hidden_size\": 2304, \"num_hidden_layers\": 26, \"num_attention_heads\": 8, "              \
    "\"num_key_value_heads\": 4, \"head_dim\": 256, \"intermediate_size\": 9216, "                 \
    "\"vocab_size\": 256000, \"sliding_window\": 4096, \"sliding_window_pattern\": 2}"
#define GEMMA3_DEFAULTS                                                                            \
    "{\"hidden_size\": 2304, \"num_hidden_layers\": 26, \"num_attention_heads\": 8, "              \
    "\"num_key_value_heads\": 4, \"head_dim\": 256, \"intermediate_size\": 9216, "                 \
    "\"vocab_size\": 262208, \"sliding_window\": 4096, \"sliding_window_pattern\": 6, "            \
    "\"max_position_embeddings\": 131072}"
#define GEMMA3N_DEFAULTS                                                                           \
    "{\"hidden_size\": 2048, \"num_hidden_layers\": 35, \"num_attention_heads\": 8, "              \
    "\"num_key_value_heads\": 2, \"head_dim\": 256, \"intermediate_size\": 16384, "                \
    "\"vocab_size\": 262400, \"sliding_window\": 512, \"sliding_window_pattern\": 5, "             \
    "\"max_position_embeddings\": 32768, \"vocab_size_per_layer_input\": 262144, "                 \
    "\"hidden_size_per_layer_input\": 256, \"num_kv_shared_layers\": 15, "                         \
    "\"altup_num_inputs\": 4, \"laurel_rank\": 64}"
#define GEMMA4_DEFAULTS                                                                            \
    "{\"hidden_size\": 2304, \"num_hidden_layers\": 30, \"num_attention_heads\": 8, "              \
    "\"num_key_value_heads\": 4, \"head_dim\": 256, \"intermediate_size\": 9216, "                 \
    "\"vocab_size\": 262144, \"sliding_window\": 512, \"sliding_window_pattern\": 6, "             \
    "\"max_position_embeddings\": 131072, \"global_head_dim\": 512, "                              \
    "\"vocab_size_per_layer_input\": 262144, \"hidden_size_per_layer_input\": 256}"
#define GPT_OSS_DEFAULTS                                                                           \
    "{\"head_dim\": 64, \"num_key_value_heads\": 8, \"sliding_window\": 128, "                     \
    "\"sliding_window_pattern\": 2}"
#define DEEPSEEK_V4_DEFAULTS                                                                       \
    "{\"head_dim\": 512, \"q_lora_rank\": 1024, \"o_groups\": 8, \"o_lora_rank\": 1024, "          \
    "\"index_n_heads\": 64, \"index_head_dim\": 128, \"index_topk\": 512, \"sliding_window\": "    \
    "128, \"n_shared_experts\": 1}"
#define NEMOTRON_H_DEFAULTS                                                                        \
    "{\"head_dim\": 128, \"num_key_value_heads\": 8, \"state_size\": 128, \"state_heads\": 128, "  \
    "\"state_head_dim\": 64, \"n_groups\": 8, \"conv_kernel\": 4, \"chunk_size\": 128, "           \
    "\"intermediate_size\": 21504}"
#define MAMBA2_DEFAULTS                                                                            \
    "{\"num_attention_heads\": 128, \"head_dim\": 64, \"n_groups\": 8, \"state_size\": 128, "      \
    "\"conv_kernel\": 4, \"chunk_size\": 256}"
#define HYBRID_DEFAULTS                                                                            \
    "{\"state_heads\": 128, \"state_size\": 256, \"n_groups\": 1, \"conv_kernel\": 4, "            \
    "\"expand\": 2, \"chunk_size\": 256}"
#define JAMBA_DEFAULTS                                                                             \
    "{\"attn_layer_period\": 8, \"attn_layer_offset\": 4, \"expert_layer_period\": 2, "            \
    "\"expert_layer_offset\": 1, \"state_size\": 16, \"conv_kernel\": 4, \"expand\": 2}"
#define STEP3_DEFAULTS                                                                             \
    "{\"num_key_value_heads\": 1, \"head_dim\": 256, \"share_q_dim\": 2048, "                      \
    "\"share_expert_dim\": 5120}"

/* NOLINTBEGIN(bugprone-macro-parentheses): a row */
#define ROW(type, is, norms, qk, state, defaults)                                                  \
    {                                                                                              \
        type, is, norms, DF_HF_QK_##qk, DF_MIX_##state, defaults                                   \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
static const df_hf_family families[] = {
    ROW("llama", 0, 2, NONE, FULL, LLAMA_DEFAULTS),
    ROW("llama4_text", DF_HF_INTERLEAVED, 2, NONE, FULL, LLAMA4_DEFAULTS),
    ROW("llama4", DF_HF_INTERLEAVED, 2, NONE, FULL, LLAMA4_DEFAULTS),
    ROW("mllama_text_model", 0, 2, NONE, FULL, MLLAMA_DEFAULTS),
    ROW("mllama", 0, 2, NONE, FULL, MLLAMA_DEFAULTS),
    ROW("deci", 0, 2, NONE, FULL, NULL),
    ROW("nemotron-nas", 0, 2, NONE, FULL, NULL),
    ROW("mistral", DF_HF_SLIDES, 2, NONE, FULL, MISTRAL_DEFAULTS),
    ROW("ministral", DF_HF_SLIDES, 2, NONE, FULL, MISTRAL_DEFAULTS),
    ROW("ministral3", DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("mistral3", DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("mixtral", DF_HF_SLIDES, 2, NONE, FULL, MIXTRAL_DEFAULTS),
    ROW("phimoe", DF_HF_LAYER_NORM | DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("qwen", DF_HF_BIAS_QKV | DF_HF_HALF_FFN, 2, NONE, FULL, NULL),
    ROW("qwen2", DF_HF_BIAS_QKV, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen2_vl", DF_HF_BIAS_QKV, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen2_vl_text", DF_HF_BIAS_QKV, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen2_5_vl", DF_HF_BIAS_QKV, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen2_5_vl_text", DF_HF_BIAS_QKV, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen2_5_omni_text", DF_HF_BIAS_QKV, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen2_moe", DF_HF_BIAS_QKV | DF_HF_SHARED_GATE, 2, NONE, FULL, QWEN2_DEFAULTS),
    ROW("qwen3", 0, 2, HEAD, FULL, QWEN3_DEFAULTS),
    ROW("qwen3_vl", 0, 2, HEAD, FULL, QWEN3_DEFAULTS),
    ROW("qwen3_vl_text", 0, 2, HEAD, FULL, QWEN3_DEFAULTS),
    ROW("qwen3_moe", 0, 2, HEAD, FULL, NULL),
    ROW("qwen3_vl_moe", 0, 2, HEAD, FULL, NULL),
    ROW("qwen3_vl_moe_text", 0, 2, HEAD, FULL, NULL),
    ROW("qwen3_omni_moe_text", 0, 2, HEAD, FULL, NULL),
    ROW("qwen3_next", DF_HF_OUT_GATE | DF_HF_SHARED_GATE, 2, HEAD, DELTA, QWEN3_NEXT_DEFAULTS),
    ROW("qwen3_5", DF_HF_OUT_GATE, 2, HEAD, DELTA, QWEN3_NEXT_DEFAULTS),
    ROW("qwen3_5_text", DF_HF_OUT_GATE, 2, HEAD, DELTA, QWEN3_NEXT_DEFAULTS),
    ROW("qwen3_5_moe", DF_HF_OUT_GATE | DF_HF_SHARED_GATE, 2, HEAD, DELTA, QWEN3_NEXT_DEFAULTS),
    ROW("qwen3_5_moe_text",
        DF_HF_OUT_GATE | DF_HF_SHARED_GATE,
        2,
        HEAD,
        DELTA,
        QWEN3_NEXT_DEFAULTS),
    ROW("deepseek", 0, 2, NONE, FULL, NULL),
    ROW("deepseek_v2", MLA, 2, NONE, FULL, NULL),
    ROW("deepseek_v3", MLA, 2, NONE, FULL, NULL),
    ROW("deepseek_v32", MLA, 2, NONE, FULL, NULL),
    ROW("deepseek_vl_v2", MLA, 2, NONE, FULL, NULL),
    ROW("deepseek_v4", DF_HF_SINKS, 2, NONE, COMPRESSED, DEEPSEEK_V4_DEFAULTS),
    ROW("kimi_k2", MLA, 2, NONE, FULL, NULL),
    ROW("kimi_k25", MLA, 2, NONE, FULL, NULL),
    ROW("kimi_vl", MLA, 2, NONE, FULL, NULL),
    ROW("kimi_linear", MLA, 2, NONE, DELTA, NULL),
    ROW("minicpm", 0, 2, NONE, FULL, NULL),
    ROW("minicpm3", MLA, 2, NONE, FULL, NULL),
    ROW("chatglm", 0, 2, NONE, FULL, NULL),
    ROW("glm", DF_HF_BIAS_IS_QKV, 2, NONE, FULL, "{\"attention_bias\": true}"),
    ROW("glm4", DF_HF_BIAS_IS_QKV, 4, NONE, FULL, NULL),
    ROW("glm4v", DF_HF_BIAS_QKV, 4, NONE, FULL, NULL),
    ROW("glm4v_text", DF_HF_BIAS_QKV, 4, NONE, FULL, NULL),
    ROW("glm4_moe", DF_HF_BIAS_IS_QKV, 2, HEAD_IF, FULL, NULL),
    ROW("glm4v_moe", DF_HF_BIAS_IS_QKV, 2, HEAD_IF, FULL, NULL),
    ROW("glm4v_moe_text", DF_HF_BIAS_IS_QKV, 2, HEAD_IF, FULL, NULL),
    ROW("glm4_moe_lite", MLA, 2, NONE, FULL, NULL),
    ROW("glm_moe_dsa", MLA, 2, NONE, FULL, NULL),
    ROW("gemma", DF_HF_TIED, 2, NONE, FULL, GEMMA_DEFAULTS),
    ROW("gemma2", DF_HF_TIED, 4, NONE, FULL, GEMMA2_DEFAULTS),
    ROW("gemma3", DF_HF_TIED, 4, HEAD, FULL, GEMMA3_DEFAULTS),
    ROW("gemma3_text", DF_HF_TIED, 4, HEAD, FULL, GEMMA3_DEFAULTS),
    ROW("gemma3n", DF_HF_TIED, 4, HEAD, FULL, GEMMA3N_DEFAULTS),
    ROW("gemma3n_text", DF_HF_TIED, 4, HEAD, FULL, GEMMA3N_DEFAULTS),
    ROW("gemma4", DF_HF_TIED, 4, HEAD, FULL, GEMMA4_DEFAULTS),
    ROW("gemma4_text", DF_HF_TIED, 4, HEAD, FULL, GEMMA4_DEFAULTS),
    ROW("phi", GPT_BIAS, 1, HEAD_IF, FULL, NULL),
    ROW("phi3", DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("phi3_v", DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("phi4mm", DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("phi4_multimodal", DF_HF_SLIDES, 2, NONE, FULL, NULL),
    ROW("gpt_oss", DF_HF_BIAS_ALL | DF_HF_FFN_BIAS | DF_HF_SINKS, 2, NONE, FULL, GPT_OSS_DEFAULTS),
    ROW("falcon", GPT | DF_HF_TIED | DF_HF_HEAD_PER_HEAD, 2, NONE, FULL, NULL),
    ROW("RefinedWeb", GPT | DF_HF_TIED | DF_HF_HEAD_PER_HEAD, 2, NONE, FULL, NULL),
    ROW("RefinedWebModel", GPT | DF_HF_TIED | DF_HF_HEAD_PER_HEAD, 2, NONE, FULL, NULL),
    ROW("falcon_h1", DF_HF_PARALLEL_MAMBA, 2, NONE, MAMBA2, HYBRID_DEFAULTS),
    ROW("falcon_mamba", DF_HF_STATE_ONLY | DF_HF_TIED, 2, NONE, MAMBA1, NULL),
    ROW("bloom", GPT_BIAS | DF_HF_TIED, 2, NONE, FULL, NULL),
    ROW("opt", GPT_BIAS | DF_HF_TIED | DF_HF_POSITIONS, 2, NONE, FULL, NULL),
    ROW("gpt2",
        GPT_BIAS | DF_HF_TIED | DF_HF_POSITIONS,
        2,
        NONE,
        FULL,
        "{\"hidden_size\": 768, \"num_hidden_layers\": 12, \"num_attention_heads\": 12, "
        "\"vocab_size\": 50257, \"max_position_embeddings\": 1024}"),
    ROW("gpt_neo",
        GPT | DF_HF_FFN_BIAS | DF_HF_TIED | DF_HF_POSITIONS,
        2,
        NONE,
        FULL,
        "{\"sliding_window\": 256}"),
    ROW("gptj", GPT | DF_HF_FFN_BIAS, 1, NONE, FULL, NULL),
    ROW("codegen", GPT | DF_HF_FFN_BIAS, 1, NONE, FULL, NULL),
    ROW("gpt_neox", GPT_BIAS, 2, NONE, FULL, NULL),
    ROW("gpt_bigcode",
        GPT_BIAS | DF_HF_TIED | DF_HF_POSITIONS | DF_HF_HEAD_PER_HEAD,
        2,
        NONE,
        FULL,
        "{\"multi_query\": true}"),
    ROW("starcoder2",
        GPT | DF_HF_TIED | DF_HF_SLIDES,
        2,
        NONE,
        FULL,
        "{\"use_bias\": true, \"num_key_value_heads\": 2}"),
    ROW("mpt", GPT | DF_HF_TIED, 2, NONE, FULL, "{\"no_bias\": true, \"alibi\": true}"),
    ROW("dbrx", DF_HF_LAYER_NORM, 2, NONE, FULL, "{\"num_key_value_heads\": 1}"),
    ROW("olmo", DF_HF_PLAIN_NORM, 2, NONE, FULL, NULL),
    ROW("olmo2", 0, 2, ALL, FULL, NULL),
    ROW("olmo3", 0, 2, ALL, FULL, "{\"sliding_window\": 4096, \"sliding_window_pattern\": 4}"),
    ROW("olmoe", 0, 2, ALL, FULL, "{\"num_experts\": 64, \"num_experts_per_tok\": 8}"),
    ROW("granite", 0, 2, NONE, FULL, NULL),
    ROW("granitemoe", 0, 2, NONE, FULL, "{\"num_experts\": 8, \"num_experts_per_tok\": 2}"),
    ROW("granitemoeshared", 0, 2, NONE, FULL, "{\"num_experts\": 8, \"num_experts_per_tok\": 2}"),
    ROW("granitemoehybrid", 0, 2, NONE, MAMBA2, HYBRID_DEFAULTS),
    ROW("bamba", 0, 2, NONE, MAMBA2, HYBRID_DEFAULTS),
    ROW("cohere", DF_HF_TIED, 1, ALL_IF, FULL, NULL),
    ROW("cohere2",
        DF_HF_TIED,
        1,
        NONE,
        FULL,
        "{\"sliding_window\": 4096, \"sliding_window_pattern\": 4}"),
    ROW("internlm", DF_HF_BIAS_ALL, 2, NONE, FULL, NULL),
    ROW("internlm2", 0, 2, NONE, FULL, NULL),
    ROW("internlm3", 0, 2, NONE, FULL, NULL),
    ROW("baichuan", 0, 2, NONE, FULL, NULL),
    ROW("nemotron", GPT, 2, NONE, FULL, NULL),
    ROW("nemotron_h", DF_HF_NOT_GATED, 2, NONE, MAMBA2, NEMOTRON_H_DEFAULTS),
    ROW("jamba", 0, 2, NONE, MAMBA1, JAMBA_DEFAULTS),
    ROW("mamba", DF_HF_STATE_ONLY | DF_HF_TIED, 2, NONE, MAMBA1, NULL),
    ROW("mamba2", DF_HF_STATE_ONLY, 2, NONE, MAMBA2, MAMBA2_DEFAULTS),
    ROW("minimax", DF_HF_SLIDES, 2, NONE, LINEAR, NULL),
    ROW("minimax_text_01", 0, 2, NONE, LINEAR, NULL),
    ROW("MiniMaxText01", 0, 2, NONE, LINEAR, NULL),
    ROW("minimax_m1", 0, 2, NONE, LINEAR, NULL),
    ROW("MiniMaxM1", 0, 2, NONE, LINEAR, NULL),
    ROW("minimax_m2", 0, 2, ALL_IF, LINEAR, NULL),
    ROW("mimo", DF_HF_BIAS_IS_QKV, 2, NONE, FULL, "{\"attention_bias\": true}"),
    ROW("mimo_v2_flash", DF_HF_BIAS_IS_QKV, 2, NONE, FULL, NULL),
    ROW("step3_text", 0, 2, NONE, FULL, STEP3_DEFAULTS),
    ROW("step3_vl", 0, 2, NONE, FULL, STEP3_DEFAULTS),
    ROW("stablelm", DF_HF_LAYER_NORM, 2, HEAD_IF, FULL, NULL),
    ROW("stablelm_epoch", DF_HF_LAYER_NORM, 2, HEAD_IF, FULL, NULL),
    ROW("exaone", 0, 2, NONE, FULL, NULL),
    ROW("exaone4", 0, 2, HEAD, FULL, NULL),
    ROW("hunyuan", 0, 2, HEAD_IF, FULL, NULL),
    ROW("hunyuan_v1_dense", 0, 2, HEAD, FULL, NULL),
    ROW("hunyuan_v1_moe", 0, 2, HEAD, FULL, NULL),
    ROW("ernie4_5", DF_HF_TIED, 2, NONE, FULL, NULL),
    ROW("ernie4_5_moe",
        DF_HF_TIED,
        2,
        NONE,
        FULL,
        "{\"moe_layer_start_index\": 1, \"moe_layer_interval\": 1}"),
    ROW("smollm3", DF_HF_TIED, 2, NONE, FULL, NULL),
    ROW("dots1", 0, 2, HEAD, FULL, NULL),
    ROW("bailing_moe", 0, 2, HEAD_IF, FULL, NULL),
    ROW("bailing_moe_v2", 0, 2, HEAD, FULL, NULL),
    ROW("seed_oss", DF_HF_BIAS_IS_QKV, 2, NONE, FULL, "{\"attention_bias\": true}"),
    ROW("apertus", DF_HF_NOT_GATED, 2, HEAD, FULL, NULL),
    ROW("arcee", DF_HF_NOT_GATED, 2, NONE, FULL, NULL),
    ROW("helium", 0, 2, NONE, FULL, NULL),
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const df_hf_family *df_hf_find_family(const char *type, const char **near)
{
    for (int i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i].type, type) == 0) {
            return &families[i];
        }
    }
    const int nearest = df_nearest(type, &families[0].type, FAMILIES, sizeof families[0]);
    *near = nearest >= 0 ? families[nearest].type : "llama";
    return NULL;
}

/* ---- What does not decode ---- */

static const struct {
    const char *what;
    const char *types[32];
} others[] = {
    {"an encoder",
     {"bert",        "roberta",    "distilbert", "albert", "electra",    "deberta",  "deberta-v2",
      "xlm-roberta", "camembert",  "modernbert", "mpnet",  "nomic_bert", "esm",      "longformer",
      "big_bird",    "layoutlmv3", "ernie",      "xlm",    "new",        "eurobert", "neobert"}},
    {"an encoder and a decoder",
     {"t5",
      "mt5",
      "umt5",
      "longt5",
      "bart",
      "mbart",
      "pegasus",
      "marian",
      "m2m_100",
      "nllb-moe",
      "whisper",
      "blenderbot",
      "led",
      "prophetnet",
      "switch_transformers",
      "t5gemma",
      "bigbird_pegasus",
      "speech_to_text",
      "encoder-decoder",
      "seamless_m4t",
      "seamless_m4t_v2",
      "florence2",
      "moonshine"}},
    {"an encoder of pictures or sound",
     {"clip",       "siglip",         "siglip2",
      "vit",        "vit_mae",        "deit",
      "beit",       "swin",           "dinov2",
      "dinov3_vit", "convnext",       "resnet",
      "sam",        "detr",           "wav2vec2",
      "hubert",     "wavlm",          "audio-spectrogram-transformer",
      "clap",       "depth_anything", "mask2former"}},
    {"a model of diffusion", {"llada", "llada_moe", "Dream", "dream", "diffusion_gemma", "sdar"}},
};

const char *df_hf_not_a_decoder(const char *type)
{
    enum { KINDS = sizeof others / sizeof others[0], TYPES = 32 };
    for (int i = 0; i < KINDS; i++) {
        for (int k = 0; k < TYPES && others[i].types[k]; k++) {
            if (strcmp(others[i].types[k], type) == 0) {
                return others[i].what;
            }
        }
    }
    return NULL;
}
