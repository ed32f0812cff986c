/* HuggingFace's config.json: keys, forms and errors. The files in data/hf are written from the
 * models' published figures; they must describe models of the published number of parameters,
 * exactly. */
#include <stdlib.h>
#include <string.h>

#include "hf/hf.h"
#include "model/describe.h"
#include "support/support.h"

#define FOLDER DF_TEST_DATA "/data/hf/"

static df_hf_model read_file(const char *path)
{
    const df_hf_source source = {.name = path, .revision = "main"};
    const df_hf_options options = {.family = NULL};
    df_hf_file file;
    df_hf_model model;
    df_err err;
    if (df_hf_find(&source, &file, &err) != DF_OK ||
        df_hf_read(&file, &options, &model, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    free(file.text);
    return model;
}

static df_status
read_text(const char *text, const df_hf_options *options, df_hf_model *model, df_err *err)
{
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", text);
    df_hf_file file = {.text = copy, .size = strlen(copy), .from = "it"};
    return df_hf_read(&file, options, model, err);
}

static df_hf_model model_of(const char *text)
{
    const df_hf_options options = {.family = NULL};
    df_hf_model model;
    df_err err;
    if (read_text(text, &options, &model, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return model;
}

static void refuses(const char *text, const char *message)
{
    const df_hf_options options = {.family = NULL};
    df_hf_model model;
    df_err err;
    assert_int_equal(read_text(text, &options, &model, &err), DF_EINVAL);
    if (!strstr(err.text, message)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, message);
    }
}

/* ---- Known models ---- */

static void known_models_have_their_parameters(void **state)
{
    (void)state;
    const struct {
        const char *path;
        double published;
    } models[] = {
        {FOLDER "llama2_7b.json", 6738415616},
        {FOLDER "llama3_1_405b.json", 405853388800},
        {FOLDER "mistral_7b.json", 7241732096},
        {FOLDER "mixtral_8x7b.json", 46702792704},
        {FOLDER "qwen2_5_3b.json", 3085938688},
        {FOLDER "qwen2_5_7b.json", 7615616512},
        {FOLDER "qwen1_5_moe_a2_7b.json", 14315784192},
        {FOLDER "phi3_mini_4k.json", 3821079552},
        {FOLDER "gpt2.json", 124439808},
        {FOLDER "opt_6_7b.json", 6658473984},
        {FOLDER "gpt_neox_20b.json", 20554567680},
        {FOLDER "falcon_7b.json", 6921720704},
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        df_cfg cfg = {.sw.precision.tensor_bytes = 2.0};
        df_description d;
        cfg.llm = read_file(models[i].path).llm;
        df_describe(&cfg, 1024, &d);
        if (d.total.params != models[i].published) {
            fail_msg("%s: %.0f parameters", models[i].path, d.total.params);
        }
    }
}

static void contexts_and_experts_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_file(FOLDER "gpt2.json").context, 1024);
    assert_int_equal(read_file(FOLDER "qwen2_5_3b.json").context, 32768);
    assert_int_equal(read_file(FOLDER "falcon_7b.json").context, 0);
    assert_int_equal(read_file(FOLDER "mixtral_8x7b.json").llm.top_k, 2);
    assert_int_equal(read_file(FOLDER "qwen1_5_moe_a2_7b.json").llm.top_k, 4);
    assert_int_equal(read_file(FOLDER "llama2_7b.json").llm.top_k, 1);
    assert_string_equal(read_file(FOLDER "phi3_mini_4k.json").type, "phi3");
}

/* A window counts for mistral and phi3 as soon as it is there, for qwen2 when it is used. */
static void windows_are_meant_or_not(void **state)
{
    (void)state;
    const df_hf_model mistral = read_file(FOLDER "mistral_7b.json");
    assert_int_equal(mistral.llm.attention.window, 4096);
    assert_int_equal(mistral.llm.layers.kind[0].mixer, DF_MIX_WINDOW);
    assert_int_equal(mistral.llm.layers.count, 32);
    assert_int_equal(read_file(FOLDER "phi3_mini_4k.json").llm.attention.window, 2047);
    assert_int_equal(read_file(FOLDER "mixtral_8x7b.json").llm.attention.window, 0);
    assert_int_equal(read_file(FOLDER "qwen2_5_3b.json").llm.layers.count, 0);
}

/* ---- Forms ---- */

#define SIZES                                                                                      \
    "\"hidden_size\": 64, \"num_attention_heads\": 4, \"num_hidden_layers\": 2, "                  \
    "\"vocab_size\": 100"

/* What HuggingFace's classes assume: llama unties, has as many key and value heads as heads, and a
 * network of 11008; bloom's network is four times as wide. */
static void missing_keys_have_the_familys_values(void **state)
{
    (void)state;
    const df_hf_model llama = model_of("{\"model_type\": \"llama\", " SIZES "}");
    const df_hf_model bloom = model_of("{\"model_type\": \"bloom\", " SIZES ", \"n_inner\": null}");
    assert_false(llama.llm.tied_embeddings);
    assert_int_equal(llama.llm.model_type, DF_LLM_LLAMA);
    assert_int_equal(llama.llm.attention.attention_type, DF_ATTENTION_MHA);
    assert_int_equal(llama.llm.intermediate_size, 11008);
    assert_string_equal(llama.note[0],
                        "not in the file, so as its class assumes: intermediate_size 11008");
    assert_true(bloom.llm.tied_embeddings);
    assert_int_equal(bloom.llm.model_type, DF_LLM_GPT);
    assert_int_equal(bloom.llm.intermediate_size, 256);
}

static int64_t kv_heads_of(const char *text)
{
    return model_of(text).llm.attention.kv_heads;
}

static void key_and_value_heads_have_several_names(void **state)
{
    (void)state;
    assert_int_equal(
        kv_heads_of("{\"model_type\": \"gpt_bigcode\", " SIZES ", \"multi_query\": true}"), 1);
    assert_int_equal(kv_heads_of("{\"model_type\": \"falcon\", " SIZES
                                 ", \"multi_query\": true, \"new_decoder_architecture\": true,"
                                 " \"num_kv_heads\": 2}"),
                     2);
    assert_int_equal(kv_heads_of("{\"model_type\": \"mpt\", \"d_model\": 64, \"n_heads\": 4,"
                                 " \"n_layers\": 2, \"vocab_size\": 100, \"expansion_ratio\": 3,"
                                 " \"attn_config\": {\"kv_n_heads\": 2}}"),
                     2);
    assert_int_equal(kv_heads_of("{\"model_type\": \"chatglm\", \"num_layers\": 2, "
                                 "\"padded_vocab_size\": 100, \"hidden_size\": 64, "
                                 "\"num_attention_heads\": 4, \"multi_query_attention\": true, "
                                 "\"multi_query_group_num\": 2}"),
                     2);
}

/* The language model's part says more about it than the whole. */
static void language_model_may_be_a_part(void **state)
{
    (void)state;
    const df_hf_model m = model_of(
        "{\"model_type\": \"llava\", \"vocab_size\": 7, \"hidden_size\": 3, "
        "\"tie_word_embeddings\": true, \"text_config\": {\"model_type\": \"llama\", " SIZES "}}");
    assert_string_equal(m.type, "llama");
    assert_int_equal(m.llm.hidden_dim, 64);
    assert_int_equal(m.llm.vocab_size, 100);
    assert_true(m.llm.tied_embeddings);
    assert_int_equal(model_of("{\"model_type\": \"a\", \"thinker_config\": {\"text_config\": "
                              "{\"model_type\": \"internlm2\", " SIZES "}}}")
                         .llm.hidden_dim,
                     64);
    assert_int_equal(
        model_of("{\"model_type\": \"llava\", \"text_config\": {\"model_type\": \"llama\"}}")
            .llm.num_layers,
        32);
}

/* 64.0 is a whole number, and so is a list of the same for each layer. */
static void whole_numbers_have_several_forms(void **state)
{
    (void)state;
    assert_int_equal(
        model_of("{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": 170.0}")
            .llm.intermediate_size,
        170);
    assert_int_equal(
        model_of("{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": [170, 170]}")
            .llm.intermediate_size,
        170);
    refuses(
        "{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": [170, 171]}",
        "it: intermediate_size: expected a whole number from 1 to 2147483647, found [170, 171]");
}

/* Python writes these words, also inside of texts, which stay as they are. */
static void numbers_may_be_pythons(void **state)
{
    (void)state;
    const df_hf_model m =
        model_of("{\"model_type\": \"llama\", \"time_step_limit\": [0.0, Infinity], "
                 "\"a\": [NaN, -Infinity], \"b\": \"NaN \\\" Infinity\", " SIZES "}");
    assert_int_equal(m.llm.hidden_dim, 64);
    refuses("{\"model_type\": \"llama\", \"hidden_size\": NaN}", "found \"NaN\"");
}

/* ---- Families ---- */

static void unknown_families_are_refused_or_given(void **state)
{
    (void)state;
    const df_hf_options as_llama = {.family = "llama"};
    const df_hf_options as_gpt = {.family = "gpt"};
    df_hf_model model;
    df_err err;
    refuses("{\"model_type\": \"lama\", " SIZES "}",
            "it: model_type: expected a known one such as llama");
    refuses("{" SIZES "}", "found none");
    assert_int_equal(read_text("{\"model_type\": \"x\", " SIZES "}", &as_llama, &model, &err),
                     DF_OK);
    assert_int_equal(model.llm.model_type, DF_LLM_LLAMA);
    assert_int_equal(read_text("{\"model_type\": \"x\", " SIZES "}", &as_gpt, &model, &err), DF_OK);
    assert_int_equal(model.llm.model_type, DF_LLM_GPT);
    assert_int_equal(read_text("{\"model_type\": \"qwen3\", " SIZES "}", &as_gpt, &model, &err),
                     DF_EINVAL);
    assert_string_equal(err.text, "--model_type: expected none, since the model_type qwen3 is "
                                  "known, found gpt");
    assert_int_equal(read_text("{\"model_type\": \"bert\", " SIZES "}", &as_gpt, &model, &err),
                     DF_EINVAL);
}

static void what_does_not_decode_is_named(void **state)
{
    (void)state;
    refuses("{\"model_type\": \"bert\", " SIZES "}",
            "it: model_type: expected a model that decodes, found bert, an encoder");
    refuses("{\"model_type\": \"t5\", " SIZES "}", "found t5, an encoder and a decoder");
    refuses("{\"model_type\": \"whisper\"}", "found whisper, an encoder and a decoder");
    refuses("{\"model_type\": \"siglip\"}", "found siglip, an encoder of pictures or sound");
    refuses("{\"model_type\": \"llada\"}", "found llada, a model of diffusion");
    refuses("{\"_class_name\": \"UNet2DConditionModel\"}", "found UNet2DConditionModel, a part of");
    refuses("{\"model_type\": \"x\", \"is_encoder_decoder\": true, " SIZES "}",
            "it: is_encoder_decoder: expected a model that decodes only");
}

/* ---- Errors ---- */

static void bad_values_are_named(void **state)
{
    (void)state;
    refuses("{\"model_type\": \"olmo2\"}",
            "it: num_hidden_layers: expected a whole number >= 1, found nothing");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": 1.5}",
            "it: intermediate_size: expected a whole number from 1 to 2147483647, found 1.5");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": \"12\"}",
            "found \"12\"");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": -1}", "found -1");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"intermediate_size\": 1e300}", "found 1e300");
    refuses("{\"model_type\": \"mpt\", " SIZES ", \"expansion_ratio\": 2147483647}",
            "it: hidden_size: expected a feed-forward network of at most 2147483647");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"tie_word_embeddings\": 1}",
            "it: tie_word_embeddings: expected true or false");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"num_key_value_heads\": 3}",
            "it: num_key_value_heads: expected a divisor of num_attention_heads 4, found 3");
    refuses("{\"model_type\": \"llama\", \"hidden_size\": 63, \"num_attention_heads\": 4,"
            " \"num_hidden_layers\": 2, \"vocab_size\": 100}",
            "it: num_attention_heads: expected a divisor of hidden_size 63, found 4");
    refuses("{\"model_type\": \"olmoe\", " SIZES
            ", \"num_local_experts\": 2, \"num_experts_per_tok\": 3}",
            "it: num_experts_per_tok: expected at most num_experts 2, found 3");
    refuses("[1]", "it:1: expected a JSON object, found another value");
    refuses("{\n\"a\": }", "it:2: expected a JSON object, found");
    refuses("", "expected a JSON object");
}

/* A key that might cost something is not passed over; tokens, words and what is off are. */
static void unknown_keys_are_not_passed_over(void **state)
{
    (void)state;
    const df_hf_options allow = {.allow_unknown = true};
    df_hf_model model;
    df_err err;
    refuses("{\"model_type\": \"llama\", " SIZES ", \"num_memory_slots\": 4}",
            "it: num_memory_slots: expected a key that is known (--allow_unknown leaves out what "
            "it stands for), found 4");
    refuses("{\"model_type\": \"olmo\", " SIZES ", \"linear_layers\": [1]}", "it: linear_layers");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"use_sparse_attention\": true}", "found true");
    refuses("{\"model_type\": \"llama\", " SIZES ", \"kv_compression\": {\"rank\": 2}}",
            "it: kv_compression");
    (void)model_of(
        "{\"model_type\": \"llama\", " SIZES
        ", \"num_memory_slots\": 0, \"use_sparse_attention\": false, \"bos_token_id\": 1,"
        " \"adapter_layers\": null, \"attention_dropout\": 0.1, \"fizz\": 3}");
    assert_int_equal(read_text("{\"model_type\": \"llama\", " SIZES ", \"num_memory_slots\": 4}",
                               &allow, &model, &err),
                     DF_OK);
    assert_int_equal(model.num_warnings, 1);
    assert_string_equal(model.warning[0],
                        "num_memory_slots is not known: what it stands for is left out");
}

/* ---- Quantization ---- */

static void formats_of_weights_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *config, *quantized, *formats;
    } cases[] = {
        {"{\"quant_method\": \"mxfp4\"}", "mxfp4", "tensor_format: 0.53125"},
        {"{\"quant_method\": \"fp8\"}", "fp8", "tensor_format: fp8"},
        {"{\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]}", "fp8, fp8_block",
         "tensor_format: fp8"},
        {"{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}", "modelopt, nvfp4",
         "tensor_format: 0.5625"},
        {"{\"quant_method\": \"modelopt\", \"quant_algo\": \"FP8\"}", "modelopt, fp8",
         "tensor_format: fp8"},
        {"{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128}", "awq, int4",
         "tensor_format: 0.515625"},
        {"{\"quant_method\": \"gptq\", \"bits\": 8, \"group_size\": -1}", "gptq, int8",
         "tensor_format: 1"},
        {"{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true}", "bitsandbytes, int4",
         "tensor_format: 0.5"},
        {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\": {\"weights\":"
         " {\"num_bits\": 4, \"group_size\": 32, \"type\": \"int\"}}}}",
         "compressed-tensors, int4", "tensor_format: 0.5625"},
        {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\": {\"weights\":"
         " {\"num_bits\": 8, \"type\": \"float\", \"strategy\": \"channel\"}}}}",
         "compressed-tensors, fp8", "tensor_format: fp8"},
        {"{\"quant_method\": \"new\"}", "new", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"model_type\": \"llama\", " SIZES ", \"quantization_config\": %s}",
                 cases[i].config);
        const df_hf_model m = model_of(text);
        assert_string_equal(m.quantized, cases[i].quantized);
        assert_memory_equal(m.formats, cases[i].formats, strlen(cases[i].formats));
    }
}

/* ---- Any text ---- */

/* Good files with a byte changed, cut or doubled are read, or refused in one line. */
static void any_file_is_read_or_refused(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"model_type\": \"deepseek_v3\", " SIZES
        ", \"kv_lora_rank\": 8, \"q_lora_rank\": 8, \"qk_nope_head_dim\": 4, \"qk_rope_head_dim\": "
        "2, \"v_head_dim\": 4, \"n_routed_experts\": 4, \"num_experts_per_tok\": 2, "
        "\"moe_intermediate_size\": 8, \"first_k_dense_replace\": 1, \"n_shared_experts\": 1}",
        "{\"model_type\": \"nemotron_h\", " SIZES ", \"hybrid_override_pattern\": \"M*-E\", "
        "\"n_routed_experts\": 4, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 8}",
        "{\"model_type\": \"gemma3\", \"text_config\": {" SIZES
        ", \"layer_types\": [\"sliding_attention\", \"full_attention\"]}}",
        "{\"model_type\": \"nemotron-nas\", " SIZES ", \"block_configs\": [{\"attention\": "
        "{\"n_heads_in_group\": 2}, \"ffn\": {\"ffn_mult\": 2.5}}, {\"attention\": {\"no_op\": "
        "true}, \"ffn\": {\"replace_with_linear\": true}}]}"};
    const df_hf_options options = {.allow_unknown = true};
    uint32_t random = 1;
    for (int round = 0; round < 8000; round++) {
        char text[1024];
        const size_t length = (size_t)snprintf(text, sizeof text, "%s", good[round % 4]);
        df_hf_model model;
        df_err err;
        for (int change = 0; change < 1 + round % 3; change++) {
            random = random * 1664525U + 1013904223U;
            const size_t at = (random >> 8) % length;
            static const char bytes[] = "0123456789-\"{}[],:.eNI \\tn*M";
            if (round % 7 == 0) {
                text[at] = '\0'; /* cut */
            } else {
                text[at] = bytes[(random >> 3) % (sizeof bytes - 1)];
            }
        }
        df_hf_file file = {
            .text = text, .size = round % 7 == 0 ? strlen(text) : length, .from = "it"};
        if (df_hf_read(&file, &options, &model, &err) != DF_OK) {
            assert_non_null(strstr(err.text, "expected"));
            assert_null(strchr(err.text, '\n'));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_models_have_their_parameters),
        cmocka_unit_test(contexts_and_experts_are_read),
        cmocka_unit_test(windows_are_meant_or_not),
        cmocka_unit_test(missing_keys_have_the_familys_values),
        cmocka_unit_test(key_and_value_heads_have_several_names),
        cmocka_unit_test(language_model_may_be_a_part),
        cmocka_unit_test(whole_numbers_have_several_forms),
        cmocka_unit_test(numbers_may_be_pythons),
        cmocka_unit_test(unknown_families_are_refused_or_given),
        cmocka_unit_test(what_does_not_decode_is_named),
        cmocka_unit_test(bad_values_are_named),
        cmocka_unit_test(unknown_keys_are_not_passed_over),
        cmocka_unit_test(formats_of_weights_are_told),
        cmocka_unit_test(any_file_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
