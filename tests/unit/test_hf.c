/* HuggingFace's config.json. The files in data/hf are written from the models' published
 * figures; the number of parameters that they make must be the published one, exactly. */
#include <stdlib.h>
#include <string.h>

#include "hf/hf.h"
#include "support/support.h"

#define FOLDER DF_TEST_DATA "/data/hf/"

static df_hf_model read_file(const char *path)
{
    const df_hf_source source = {.name = path, .revision = "main"};
    df_hf_file file;
    df_hf_model model;
    df_err err;
    if (df_hf_find(&source, &file, &err) != DF_OK ||
        df_hf_read(&file, NULL, &model, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    free(file.text);
    return model;
}

static df_status read_text(const char *text, const char *family, df_hf_model *model, df_err *err)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", text);
    df_hf_file file = {.text = copy, .size = strlen(copy), .from = "it"};
    return df_hf_read(&file, family, model, err);
}

static df_hf_model model_of(const char *text)
{
    df_hf_model model;
    df_err err;
    if (read_text(text, NULL, &model, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return model;
}

static void refuses(const char *text, const char *message)
{
    df_hf_model model;
    df_err err;
    assert_int_equal(read_text(text, NULL, &model, &err), DF_EINVAL);
    if (!strstr(err.text, message)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, message);
    }
}

/* ---- Known models ---- */

/* What the number of parameters depends on besides. */
typedef struct {
    const char *path;
    int64_t published;
    int64_t positions; /* that have an embedding */
    int norms;         /* of a layer */
    bool qkv_bias;
    bool biases; /* of all other GEMMs and of the norms */
} known;

static int64_t layer_params(const known *k, const df_hf_model *m)
{
    const int64_t d = m->hidden;
    const int64_t kv = d / m->heads * m->kv_heads;
    const int64_t norm = k->biases ? 2 * d : d;
    int64_t params = 2 * d * d + 2 * d * kv + k->norms * norm;
    params += m->experts * (m->gated ? 3 : 2) * d * m->intermediate;
    params += m->experts > 1 ? d * m->experts : 0;                                 /* the router */
    params += m->shared_intermediate > 0 ? 3 * d * m->shared_intermediate + d : 0; /* its gate */
    params += k->qkv_bias ? d + 2 * kv : 0;
    params += k->biases ? d + m->intermediate + d : 0;
    return params;
}

static int64_t count_params(const known *k, const df_hf_model *m)
{
    const int64_t tables = m->tied ? 1 : 2;
    return m->vocab * m->hidden * tables + k->positions * m->hidden +
           m->layers * layer_params(k, m) + (k->biases ? 2 : 1) * m->hidden;
}

/* Falcon's only biases are those of its norms, of which a layer has one: they count as a second
 * norm of each layer, and leave the last norm's out. */
static void known_models_have_their_parameters(void **state)
{
    (void)state;
    const known models[] = {
        {FOLDER "llama2_7b.json", 6738415616, 0, 2, false, false},
        {FOLDER "llama3_1_405b.json", 405853388800, 0, 2, false, false},
        {FOLDER "mistral_7b.json", 7241732096, 0, 2, false, false},
        {FOLDER "mixtral_8x7b.json", 46702792704, 0, 2, false, false},
        {FOLDER "qwen2_5_3b.json", 3085938688, 0, 2, true, false},
        {FOLDER "qwen2_5_7b.json", 7615616512, 0, 2, true, false},
        {FOLDER "qwen1_5_moe_a2_7b.json", 14315784192, 0, 2, true, false},
        {FOLDER "phi3_mini_4k.json", 3821079552, 0, 2, false, false},
        {FOLDER "gpt2.json", 124439808, 1024, 2, true, true},
        {FOLDER "opt_6_7b.json", 6658473984, 2050, 2, true, true},
        {FOLDER "gpt_neox_20b.json", 20554567680, 0, 2, true, true},
        {FOLDER "falcon_7b.json", 6921720704 - 4544, 0, 2, false, false},
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        const df_hf_model m = read_file(models[i].path);
        if (count_params(&models[i], &m) != models[i].published) {
            fail_msg("%s: %lld parameters", models[i].path,
                     (long long)count_params(&models[i], &m));
        }
    }
}

static void contexts_and_experts_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_file(FOLDER "gpt2.json").context, 1024);
    assert_int_equal(read_file(FOLDER "qwen2_5_3b.json").context, 32768);
    assert_int_equal(read_file(FOLDER "falcon_7b.json").context, 0);
    assert_int_equal(read_file(FOLDER "mixtral_8x7b.json").top_k, 2);
    assert_int_equal(read_file(FOLDER "qwen1_5_moe_a2_7b.json").top_k, 4);
    assert_int_equal(read_file(FOLDER "llama2_7b.json").top_k, 1);
    assert_string_equal(read_file(FOLDER "phi3_mini_4k.json").type, "phi3");
}

/* A window counts for mistral and phi3 as soon as it is there, for qwen2 when it is used. */
static void what_is_not_modelled_is_told(void **state)
{
    (void)state;
    assert_int_equal(read_file(FOLDER "mistral_7b.json").sliding_window, 4096);
    assert_int_equal(read_file(FOLDER "phi3_mini_4k.json").sliding_window, 2047);
    assert_int_equal(read_file(FOLDER "mixtral_8x7b.json").sliding_window, 0);
    assert_int_equal(read_file(FOLDER "qwen2_5_3b.json").sliding_window, 0);
    assert_int_equal(read_file(FOLDER "qwen1_5_moe_a2_7b.json").shared_intermediate, 5632);
    const df_hf_model m = model_of(
        "{\"model_type\": \"qwen3_moe\", \"hidden_size\": 2048, \"num_attention_heads\": 32,"
        " \"num_key_value_heads\": 4, \"head_dim\": 128, \"num_hidden_layers\": 48,"
        " \"vocab_size\": 151936, \"num_experts\": 128, \"num_experts_per_tok\": 8,"
        " \"intermediate_size\": 6144, \"moe_intermediate_size\": 768,"
        " \"mlp_only_layers\": [0], \"use_sliding_window\": true, \"sliding_window\": 1000,"
        " \"kv_lora_rank\": 512}");
    assert_int_equal(m.head_size, 128);
    assert_int_equal(m.intermediate, 768);
    assert_int_equal(m.sliding_window, 1000);
    assert_true(m.dense_layers);
    assert_true(m.latent_attention);
}

/* ---- Forms ---- */

#define SHAPE                                                                                      \
    "\"hidden_size\": 64, \"num_attention_heads\": 4, \"num_hidden_layers\": 2, "                  \
    "\"vocab_size\": 100"

/* What HuggingFace's classes assume: llama unties and has as many key and value heads as heads;
 * the feed-forward network is four times as wide. */
static void missing_keys_have_the_familys_values(void **state)
{
    (void)state;
    const df_hf_model llama = model_of("{\"model_type\": \"llama\", " SHAPE "}");
    const df_hf_model bloom = model_of("{\"model_type\": \"bloom\", " SHAPE ", \"n_inner\": null}");
    assert_false(llama.tied);
    assert_true(llama.gated);
    assert_int_equal(llama.kv_heads, 4);
    assert_true(bloom.tied);
    assert_false(bloom.gated);
    assert_int_equal(bloom.intermediate, 256);
}

static void key_and_value_heads_have_several_names(void **state)
{
    (void)state;
    assert_int_equal(
        model_of("{\"model_type\": \"gpt_bigcode\", " SHAPE ", \"multi_query\": true}").kv_heads,
        1);
    assert_int_equal(model_of("{\"model_type\": \"falcon\", " SHAPE
                              ", \"multi_query\": true, \"new_decoder_architecture\": true,"
                              " \"num_kv_heads\": 2}")
                         .kv_heads,
                     2);
    assert_int_equal(model_of("{\"model_type\": \"mpt\", \"d_model\": 64, \"n_heads\": 4,"
                              " \"n_layers\": 2, \"vocab_size\": 100, \"expansion_ratio\": 3,"
                              " \"attn_config\": {\"kv_n_heads\": 2}}")
                         .kv_heads,
                     2);
}

/* Models of text and pictures have the language model's part below. */
static void language_model_may_be_a_part(void **state)
{
    (void)state;
    const df_hf_model m = model_of("{\"model_type\": \"llava\", \"text_config\": "
                                   "{\"model_type\": \"llama\", " SHAPE "}}");
    assert_string_equal(m.type, "llama");
    assert_int_equal(m.hidden, 64);
}

/* 64.0 is a whole number. */
static void whole_numbers_may_have_a_fraction_of_zero(void **state)
{
    (void)state;
    assert_int_equal(
        model_of("{\"model_type\": \"llama\", " SHAPE ", \"intermediate_size\": 170.0}")
            .intermediate,
        170);
}

static void unknown_families_are_refused_or_given(void **state)
{
    (void)state;
    df_hf_model model;
    df_err err;
    refuses("{\"model_type\": \"lama\", " SHAPE "}",
            "it: model_type: expected a known one such as llama");
    refuses("{" SHAPE "}", "found none");
    refuses("{\"model_type\": \"t5\", \"is_encoder_decoder\": true, " SHAPE "}",
            "it: is_encoder_decoder: expected a model that decodes only");
    assert_int_equal(read_text("{\"model_type\": \"x\", " SHAPE "}", "llama", &model, &err), DF_OK);
    assert_true(model.gated);
    assert_int_equal(read_text("{\"model_type\": \"x\", " SHAPE "}", "gpt", &model, &err), DF_OK);
    assert_false(model.gated);
}

static void bad_values_are_named(void **state)
{
    (void)state;
    refuses("{\"model_type\": \"llama\"}",
            "it: num_hidden_layers: expected a whole number >= 1, found nothing");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"intermediate_size\": 1.5}",
            "it: intermediate_size: expected a whole number from 1 to 2147483647, found 1.5");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"intermediate_size\": \"12\"}",
            "found \"12\"");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"intermediate_size\": -1}", "found -1");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"intermediate_size\": 1e300}", "found 1e300");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"expansion_ratio\": 2147483647}",
            "it: hidden_size: expected a feed-forward network of at most 2147483647");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"tie_word_embeddings\": 1}",
            "it: tie_word_embeddings: expected true or false");
    refuses("{\"model_type\": \"llama\", " SHAPE ", \"num_key_value_heads\": 3}",
            "it: num_key_value_heads: expected a divisor of num_attention_heads 4, found 3");
    refuses("{\"model_type\": \"llama\", \"hidden_size\": 63, \"num_attention_heads\": 4,"
            " \"num_hidden_layers\": 2, \"vocab_size\": 100}",
            "it: num_attention_heads: expected a divisor of hidden_size 63, found 4");
    refuses("{\"model_type\": \"mixtral\", " SHAPE
            ", \"num_local_experts\": 2, \"num_experts_per_tok\": 3}",
            "it: num_experts_per_tok: expected at most num_experts 2, found 3");
    refuses("[1]", "it:1: expected a JSON object, found another value");
    refuses("{\n\"a\": }", "it:2: expected a JSON object, found");
    refuses("", "expected a JSON object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_models_have_their_parameters),
        cmocka_unit_test(contexts_and_experts_are_read),
        cmocka_unit_test(what_is_not_modelled_is_told),
        cmocka_unit_test(missing_keys_have_the_familys_values),
        cmocka_unit_test(key_and_value_heads_have_several_names),
        cmocka_unit_test(language_model_may_be_a_part),
        cmocka_unit_test(whole_numbers_may_have_a_fraction_of_zero),
        cmocka_unit_test(unknown_families_are_refused_or_given),
        cmocka_unit_test(bad_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
