/* Keys of a run under the calibrated rules: launches, load, parts that are computed again. */
#include <stdlib.h>
#include <string.h>

#include "predict/predict.h"
#include "support/support.h"

static df_cfg read(const char *text)
{
    const df_cfg_text file = {text, "run.yaml"};
    df_cfg cfg;
    df_err err;
    if (df_cfg_parse(&file, NULL, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static void predict(const df_cfg *cfg, df_prediction *out)
{
    const df_rules rules = df_rules_calibrated();
    df_hw_device dev;
    df_err err;
    df_predictor *const predictor = df_predictor_new();
    assert_non_null(predictor);
    assert_int_equal(df_hw_derive(cfg, &rules, &dev, &err), DF_OK);
    if (df_predict(predictor, &(df_design){cfg, &dev, &rules}, DF_WANT_OPERATORS, out, &err) !=
        DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predictor_free(predictor);
}

/* A product on an H100, with lines of its software and schedule. */
static double product_s(int edge, const char *software, const char *schedule)
{
    char text[1024];
    df_prediction result;
    snprintf(text, sizeof text,
             "device: h100_sxm\n"
             "sw_param: {kernel_launch_overhead: 9e-6%s}\n"
             "scheduling_param: {dp: 1, lp: 1%s}\n"
             "model_param: {mode: GEMM, M: %d, K: %d, N: %d}\n",
             software, schedule, edge, edge, edge);
    const df_cfg cfg = read(text);
    predict(&cfg, &result);
    return result.time_s;
}

/* Launched one by one, small products take the host's 9 us, and another 9 where they quantise. */
static void eager_products_wait_for_the_host(void **state)
{
    (void)state;
    static const char eager[] = ", launch: eager";
    static const char fp8[] = ", launch: eager, precision: {tensor_format: bf16, products: fp8}";
    assert_true(product_s(64, "", "") < 4e-6);
    df_assert_rel(product_s(64, eager, ""), 9e-6, 1e-12);
    df_assert_rel(product_s(64, fp8, ""), 18e-6, 1e-12);
    df_assert_rel(product_s(4096, eager, ""), product_s(4096, "", ""), 0);
}

/* A product of 8,192 alone keeps a higher clock; for seconds it takes 1,624.89 us and a launch (as
 * unit.kernels has it). */
static void a_product_may_run_for_seconds(void **state)
{
    (void)state;
    const double long_s = product_s(8192, "", ", load: long");
    df_assert_rel(long_s, 1627.319e-6, 1e-4); /* the peak of the file is rounded otherwise */
    assert_true(product_s(8192, "", "") < 0.95 * long_s);
    df_assert_rel(product_s(8192, "", ", load: short"), product_s(8192, "", ""), 0);
}

static void training(const char *schedule, df_cfg *cfg, df_prediction *out)
{
    char text[2048];
    snprintf(text, sizeof text,
             "device: h100_sxm\n"
             "scheduling_param: {dp: 1, lp: 1%s}\n"
             "model_param: {mode: LLM, run_type: training, model_type: llama, tied_embeddings: "
             "no,\n"
             "  num_layers: 4, hidden_dim: 4096, batch_size: 1, seq_len: 2048,\n"
             "  intermediate_size: 11008, vocab_size: 32000, num_experts: 1,\n"
             "  attention: {attention_type: mha, num_heads: 32, use_flashattention: true,\n"
             "              attention_tile_size: 128}}\n",
             schedule);
    *cfg = read(text);
    predict(cfg, out);
}

static double again_s(const char *schedule)
{
    df_cfg cfg;
    df_prediction p;
    training(schedule, &cfg, &p);
    return p.llm.pass.recompute_s;
}

/* Norms stream 8 bytes an element in two kernels: 8 x 2048 x 4096 / (3350e9 x 0.8245) and 2 x 2.432
 * us. Attention and the products of the feed-forward network are those of the forward pass. */
static void parts_of_a_layer_are_computed_again(void **state)
{
    (void)state;
    df_cfg cfg;
    df_prediction p;
    training("", &cfg, &p);
    const df_row *const row = p.llm.pass.row;
    const double norms_s = 8.0 * 2048 * 4096 / (3350e9 * 0.8245) + 2 * 2.432e-6;
    const double attention_s = row[DF_ROW_ATTENTION].side[DF_FORWARD].time_s;
    const double ffn_s =
        row[DF_ROW_FFN1].side[DF_FORWARD].time_s + row[DF_ROW_FFN2].side[DF_FORWARD].time_s;
    df_assert_rel(again_s(", recompute_modules: layernorm"), norms_s, 1e-9);
    df_assert_rel(again_s(", recompute_modules: [core_attn]"), attention_s, 1e-9);
    df_assert_rel(again_s(", recompute_modules: [mlp, layernorm]"), ffn_s + norms_s, 1e-9);
    assert_true(again_s(", recompute_modules: [moe, mla_up_proj, moe_act]") == 0); /* none here */
}

/* A layer keeps 22 h and 6.7 f bytes a token: without what is inside, and results of two norms. */
static void what_is_computed_again_is_not_kept(void **state)
{
    (void)state;
    const df_rules rules = df_rules_calibrated();
    const double tokens = 2048;
    df_prediction p;
    df_memory all;
    df_memory less;
    df_cfg cfg;
    training("", &cfg, &p);
    df_predict_memory_of_stage(&cfg, &rules, 0, &all);
    training(", recompute_modules: [mlp, layernorm]", &cfg, &p);
    df_predict_memory_of_stage(&cfg, &rules, 0, &less);
    df_assert_rel(all.total_bytes - less.total_bytes, 4 * tokens * (6.7 * 11008 + 4.0 * 4096),
                  1e-9);
}

static void modules_are_known_and_alone(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *message;
    } cases[] = {{"recompute_modules: [mlp, mpl]",
                  "run.yaml:2: scheduling_param.recompute_modules: expected a list of core_attn, "
                  "mlp, layernorm, mla_up_proj, moe_act or moe, found a list"},
                 {"recompute: full, recompute_modules: [mlp]",
                  "run.yaml:2: scheduling_param.recompute_modules: expected none beside "
                  "scheduling_param.recompute, found some"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        df_cfg cfg;
        df_err err;
        snprintf(text, sizeof text,
                 "device: h100_sxm\nscheduling_param: {dp: 1, lp: 1, %s}\n"
                 "model_param: {mode: LLM, run_type: training, model_type: llama, "
                 "tied_embeddings: no, num_layers: 4, hidden_dim: 64, batch_size: 1, seq_len: 64, "
                 "intermediate_size: 64, vocab_size: 64, num_experts: 1, "
                 "attention: {attention_type: mha, num_heads: 4}}\n",
                 cases[i].schedule);
        const df_cfg_text file = {text, "run.yaml"};
        assert_int_equal(
            df_cfg_parse(&file, NULL, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err),
            DF_EINVAL);
        assert_string_equal(err.text, cases[i].message);
    }
}

/* What is read is what was written. */
static void keys_are_written_as_they_are_read(void **state)
{
    (void)state;
    df_cfg cfg;
    df_prediction p;
    char *text = NULL;
    size_t size = 0;
    training(", recompute_modules: [layernorm, core_attn], load: short", &cfg, &p);
    cfg.sw.precision.products = DF_FORMAT_FP8; /* apart from its section in the table */
    cfg.sw.framework.own.ops_forward = 50;
    snprintf(cfg.calibration.source, sizeof cfg.calibration.source, "here, by us");
    FILE *const out = open_memstream(&text, &size);
    assert_non_null(out);
    df_cfg_write(&cfg, out);
    fclose(out);
    const df_cfg again = read(text);
    assert_true(again.sched.recompute_modules == DF_AGAIN_LAYERNORM + DF_AGAIN_CORE_ATTENTION);
    assert_int_equal(again.sched.load, DF_LOAD_SHORT);
    assert_int_equal(again.sw.precision.products, DF_FORMAT_FP8);
    df_assert_rel(again.sw.framework.own.ops_forward, 50, 0);
    assert_string_equal(again.calibration.source, "here, by us");
    free(text);
}

static int setup(void **state)
{
    (void)state;
    return setenv("DEEPFLOW_DATA_DIR", DF_CONFIGS "/..", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eager_products_wait_for_the_host),
        cmocka_unit_test(a_product_may_run_for_seconds),
        cmocka_unit_test(parts_of_a_layer_are_computed_again),
        cmocka_unit_test(what_is_computed_again_is_not_kept),
        cmocka_unit_test(modules_are_known_and_alone),
        cmocka_unit_test(keys_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
