/* What the parts of a pipeline hold, layers that predict further tokens, and attention in fp8: keys
 * of a training step under the calibrated rules. The times themselves are in golden.experts. */
#include <stdlib.h>
#include <string.h>

#include "config/cfg_layout.h"
#include "predict/predict.h"
#include "support/support.h"

/* ---- Layouts as texts ---- */

static void counts_and_brackets_are_written_out(void **state)
{
    (void)state;
    df_cfg_layout layout;
    df_err err;
    assert_int_equal(df_cfg_layout_parse("Et*4|(t*4|)*2tmL", &layout, &err), DF_OK);
    static const char expected[] = "Etttt|tttt|tttt|tmL";
    assert_int_equal(layout.length, strlen(expected));
    assert_memory_equal(layout.thing, expected, strlen(expected));
    assert_int_equal(layout.parts, 4);
    assert_int_equal(df_cfg_layout_count(&layout, 't'), 13);
    /* DeepSeek-V3 as NVIDIA's recipes cut it: 61 layers in 16 parts */
    assert_int_equal(df_cfg_layout_parse("Et*4|(t*4|)*14tmL", &layout, &err), DF_OK);
    assert_int_equal(df_cfg_layout_count(&layout, 't'), 61);
    assert_int_equal(layout.parts, 16);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Ex", "t*", "t*0", "(t", "(t)", "((t)*2)*2", "t*5000", "|*2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        df_cfg_layout layout;
        df_err err;
        assert_int_equal(df_cfg_layout_parse(bad[i], &layout, &err), DF_EINVAL);
        assert_non_null(strstr(err.text, "expected"));
    }
}

/* ---- Runs ---- */

static df_status
read(const char *model, const char *schedule, const char *software, df_cfg *cfg, df_err *err)
{
    char text[2048];
    snprintf(
        text, sizeof text,
        "device: gb200\n"
        "network: {like: nvl72}\n"
        "scheduling_param: {dp: 8, ep: 8, mb: 4, lp: 2%s}\n"
        "sw_param: {%s}\n"
        "model_param: {mode: LLM, run_type: training, model_type: llama, tied_embeddings: no,\n"
        "  num_layers: 8, hidden_dim: 2048, batch_size: 32, seq_len: 4096,\n"
        "  intermediate_size: 6144, vocab_size: 32000, num_experts: 64, top_k: 8%s,\n"
        "  attention: {attention_type: gqa, num_heads: 32, kv_heads: 4, head_dim: 128,\n"
        "              use_flashattention: true, attention_tile_size: 128}}\n",
        schedule, software, model);
    const df_cfg_text file = {text, "run.yaml"};
    return df_cfg_parse(&file, NULL, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_LAYERS,
                        cfg, err);
}

static double
step_s(const char *model, const char *schedule, const char *software, df_prediction *out)
{
    const df_rules rules = df_rules_calibrated();
    df_cfg cfg;
    df_hw_device dev;
    df_err err;
    if (read(model, schedule, software, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predictor *const predictor = df_predictor_new();
    assert_non_null(predictor);
    assert_int_equal(df_hw_derive(&cfg, &rules, &dev, &err), DF_OK);
    if (df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS, out, &err) !=
        DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predictor_free(predictor);
    return out->llm.time_s;
}

/* Four layers on each stage are what there is without a layout. With 6 and 2 the step is longer:
 * the first stage has half as many layers more. */
static void a_layout_says_what_stages_have(void **state)
{
    (void)state;
    df_prediction p;
    const double even_s = step_s("", "", "", &p);
    df_assert_rel(step_s("", ", layout: \"Et*4|t*4L\"", "", &p), even_s, 0);
    assert_true(step_s("", ", layout: \"Et*6|t*2L\"", "", &p) > 1.2 * even_s);
}

static void a_layout_is_of_the_model(void **state)
{
    (void)state;
    static const struct {
        const char *layout, *why;
    } bad[] = {{", layout: \"Et*4|t*3L\"", "expected 8 times t"},
               {", layout: \"Et*4|t*4mL\"", "expected 0 times m"},
               {", layout: \"t*4|t*4L\"", "expected 1 times E"},
               {", layout: \"Et*4|t*4\"", "expected 1 times L"},
               {", layout: \"Et*4|t*3|tL\"", "expected a multiple of lp 2 parts, found 3"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        df_cfg cfg;
        df_err err;
        assert_int_equal(read("", bad[i].layout, "", &cfg, &err), DF_EINVAL);
        assert_non_null(strstr(err.text, "run.yaml:3: scheduling_param.layout: "));
        assert_non_null(strstr(err.text, bad[i].why));
    }
}

/* A layer that predicts a further token takes more than another layer: it has logits, too. Without
 * a layout it is on the last stage. */
static void predictions_take_time(void **state)
{
    (void)state;
    static const char one[] = ", prediction_layers: 1";
    df_prediction p;
    const double with_s = step_s(one, "", "", &p);
    assert_true(with_s > step_s("", ", layout: \"Et*4|t*4L\"", "", &p));
    df_assert_rel(step_s(one, ", layout: \"Et*4|t*4mL\"", "", &p), with_s, 0);
    assert_true(step_s(one, ", layout: \"Emt*4|t*4L\"", "", &p) != with_s);
}

/* The framework's switch is the format of attention, unless a file names one. */
static void attention_in_fp8_is_the_framework_s_choice(void **state)
{
    (void)state;
    static const char chosen[] = "framework: {fp8_attention: true}, precision: {products: mxfp8}";
    static const char named[] = "precision: {products: mxfp8, attention: fp8}";
    static const char both[] =
        "framework: {fp8_attention: true}, precision: {products: mxfp8, attention: bf16}";
    static const char neither[] = "precision: {products: mxfp8}";
    df_prediction p;
    const double fp8_s = step_s("", "", named, &p);
    const double bf16_s = step_s("", "", neither, &p);
    assert_true(fp8_s < 0.99 * bf16_s);
    df_assert_rel(step_s("", "", chosen, &p), fp8_s, 0);
    df_assert_rel(step_s("", "", both, &p), bf16_s, 0);
}

static double again_s(const char *modules)
{
    char schedule[128];
    df_prediction p;
    snprintf(schedule, sizeof schedule, ", recompute_modules: [%s]", modules);
    (void)step_s("", schedule, "", &p);
    return p.llm.pass.recompute_s;
}

/* Experts have their activation in them. It streams 2 bytes of 3 times 6144 elements of
 * each of 8 x 4096 rows, in a kernel of 2.432 us; GB200: 8e12 B/s, of which 0.8245 are reached. */
static void parts_of_experts_are_computed_again(void **state)
{
    (void)state;
    const double rows = 8.0 * 4096;
    const double activation_s = 2.0 * 3 * rows * 6144 / (8000e9 * 0.8245) + 2.432e-6;
    df_assert_rel(again_s("moe_act"), activation_s, 1e-3);
    assert_true(again_s("moe") > 2 * activation_s);
    df_assert_rel(again_s("moe, moe_act"), again_s("moe"), 0);
    assert_true(again_s("mla_up_proj") == 0.0); /* there is no latent attention */
}

static int setup(void **state)
{
    (void)state;
    return setenv("DEEPFLOW_DATA_DIR", DF_CONFIGS "/..", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_brackets_are_written_out),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(a_layout_says_what_stages_have),
        cmocka_unit_test(a_layout_is_of_the_model),
        cmocka_unit_test(predictions_take_time),
        cmocka_unit_test(attention_in_fp8_is_the_framework_s_choice),
        cmocka_unit_test(parts_of_experts_are_computed_again),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
