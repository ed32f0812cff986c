/* Number formats of a run, under the calibrated rules: what a file says of them, and what they do
 * to bytes, wires and memory. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "framework/framework.h"
#include "predict/predict.h"
#include "support/support.h"

/* An LLM on a device of the program, with a line of precision. */
static df_status
parse(const char *device, const char *precision, const char *run, df_cfg *cfg, df_err *err)
{
    static const char form[] =
        "device: %s\n"
        "sw_param:\n"
        "  precision: {tensor_format: bf16, %s}\n"
        "scheduling_param: {dp: 2, lp: 2, tp: 2, mb: 4}\n"
        "system_hierarchy: {num_devices_per_node: 8}\n"
        "model_param: {mode: LLM, run_type: %s, model_type: llama, tied_embeddings: no,\n"
        "  num_layers: 4, hidden_dim: 4096, batch_size: 8, seq_len: 2048, decode_len: 64,\n"
        "  intermediate_size: 11008, vocab_size: 32000, num_experts: 1,\n"
        "  attention: {attention_type: mha, num_heads: 32, use_flashattention: true,\n"
        "              attention_tile_size: 128}}\n";
    char text[2048];
    const int length = snprintf(text, sizeof text, form, device, precision, run);
    assert_in_range(length, 1, sizeof text - 1);
    const df_cfg_text file = {text, "run.yaml"};
    return df_cfg_parse(&file, NULL,
                        DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | (unsigned)DF_CFG_ANY_KIND, cfg,
                        err);
}

static df_cfg training(const char *precision)
{
    df_cfg cfg;
    df_err err;
    if (parse("h100_sxm", precision, "training", &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static df_cfg inference(const char *precision)
{
    df_cfg cfg;
    df_err err;
    if (parse("h100_sxm", precision, "inference", &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

/* ---- Files ---- */

static df_cfg_formats formats_of(const char *precision)
{
    const df_cfg cfg = training(precision);
    df_cfg_formats f;
    df_cfg_formats_of(&cfg, &f);
    return f;
}

static void absent_formats_are_those_of_tensors(void **state)
{
    (void)state;
    df_cfg cfg = training("kv_cache: bf16");
    df_cfg_formats f;
    cfg.sw.precision.tensor_bytes = 4;
    df_cfg_formats_of(&cfg, &f);
    assert_true(f.products == DF_FORMAT_TF32 && f.activations == DF_FORMAT_TF32 &&
                f.logits == DF_FORMAT_TF32 && f.attention == DF_FORMAT_TF32);
    cfg.sw.precision.tensor_bytes = 1; /* which models compute with, but do not keep */
    df_cfg_formats_of(&cfg, &f);
    assert_true(f.products == DF_FORMAT_FP8 && f.weights == DF_FORMAT_FP8);
    assert_true(f.activations == DF_FORMAT_BF16 && f.logits == DF_FORMAT_BF16 &&
                f.attention == DF_FORMAT_BF16);
}

static void each_kind_of_number_has_a_format(void **state)
{
    (void)state;
    const df_cfg_formats f = formats_of("weights: int4, activations: fp16, products: int8, "
                                        "logits: tf32, attention: fp8, gradients: fp32");
    assert_int_equal(f.weights, DF_FORMAT_INT4);
    assert_int_equal(f.activations, DF_FORMAT_BF16);
    assert_int_equal(f.products, DF_FORMAT_INT8);
    assert_int_equal(f.logits, DF_FORMAT_TF32);
    assert_int_equal(f.attention, DF_FORMAT_FP8);
    df_assert_rel(df_format_bytes(f.weights), 4.125 / 8, 0); /* a scale of 16 bits for 128 */
}

static void a_format_without_a_rate_names_key_and_file(void **state)
{
    (void)state;
    df_cfg cfg;
    df_err err;
    assert_int_equal(parse("h100_sxm", "products: int4", "training", &cfg, &err), DF_EINVAL);
    assert_string_equal(err.text,
                        "run.yaml:1: tech_param.core.format_rate.int4: expected the dense rate of "
                        "int4 over bf16's, for products in int4 (calibrated rules), found none");
    assert_int_equal(parse("a100_80gb", "attention: fp8", "inference", &cfg, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "for attention in fp8"));
    assert_int_equal(parse("a100_80gb", "products: int4", "training", &cfg, &err), DF_OK);
    assert_int_equal(parse("a100_80gb", "logits: fp9", "training", &cfg, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "sw_param.precision.logits: expected bf16"));
}

/* ---- Training ---- */

typedef struct {
    df_cfg cfg;
    df_framework framework;
    df_cfg_formats formats;
    df_dims dims;
    df_split split;
    df_train train;
    df_ops ops;
} trained;

static void build(trained *x, const char *precision)
{
    x->cfg = training(precision);
    df_framework_of(&x->cfg, &x->framework);
    df_cfg_formats_of(&x->cfg, &x->formats);
    df_dims_read(&x->cfg, &x->dims);
    df_split_read(&x->cfg, &x->split);
    x->train = (df_train){.dims = &x->dims,
                          .split = &x->split,
                          .sequence = true,
                          .fused = true,
                          .formats = &x->formats};
    const df_span span = df_span_of(&x->dims, &x->split, x->dims.sequence, x->dims.sequence, false);
    df_transformer_build(&x->dims, &x->split, &span, &x->ops);
    df_train_edit(&x->framework, &x->train, &x->ops);
}

/* Bytes of a layer's collectives, or streams, of the forward pass. */
static double sum_bytes(const trained *x, df_op_kind kind)
{
    double bytes = 0;
    for (int i = 0; i < x->ops.count; i++) {
        const df_op *const op = &x->ops.op[i];
        if (op->block == DF_BLOCK_LAYER && op->pass == DF_PASS_FORWARD && op->kind == kind) {
            bytes += kind == DF_OP_STREAM ? op->stream.elements * op->stream.bytes : op->coll.bytes;
        }
    }
    return bytes;
}

/* A micro-batch is one sequence of 2,048 tokens of 4,096: two gathers and two scatters of it. */
static void activations_are_on_the_wire(void **state)
{
    (void)state;
    trained usual;
    trained wide;
    trained narrow;
    build(&usual, "kv_cache: bf16");
    build(&wide, "activations: fp32");
    build(&narrow, "activations: fp8");
    df_assert_rel(sum_bytes(&usual, DF_OP_COLLECTIVE), 4 * 2.0 * 2048 * 4096, 1e-12);
    df_assert_rel(sum_bytes(&wide, DF_OP_COLLECTIVE), 4 * 4.0 * 2048 * 4096, 1e-12);
    df_assert_rel(sum_bytes(&narrow, DF_OP_COLLECTIVE), 4 * 1.0 * 2048 * 4096, 1e-12);
    df_assert_rel(sum_bytes(&wide, DF_OP_STREAM), 2 * sum_bytes(&usual, DF_OP_STREAM), 1e-12);
}

static double predict_s(const df_cfg *cfg)
{
    const df_rules rules = df_rules_calibrated();
    df_hw_device dev;
    df_prediction result;
    df_err err;
    df_predictor *const predictor = df_predictor_new();
    assert_non_null(predictor);
    assert_int_equal(df_hw_derive(cfg, &rules, &dev, &err), DF_OK);
    const df_design design = {cfg, &dev, &rules};
    if (df_predict(predictor, &design, DF_WANT_TIMES, &result, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predictor_free(predictor);
    return result.time_s;
}

/* The newest framework has gradients of two bytes on the wire. */
static void gradients_are_on_the_wire(void **state)
{
    (void)state;
    df_cfg cfg = training("kv_cache: bf16");
    const double usual_s = predict_s(&cfg);
    cfg.sw.framework.own.gradient_bytes = 4;
    const double four_s = predict_s(&cfg);
    assert_true(four_s > usual_s);
    const df_cfg fp32 = training("gradients: fp32");
    df_assert_rel(predict_s(&fp32), four_s, 1e-12);
    cfg = training("gradients: fp32"); /* a number in the framework's section counts more */
    cfg.sw.framework.own.gradient_bytes = 2;
    df_assert_rel(predict_s(&cfg), usual_s, 1e-12);
}

/* Two replicas without ZeRO keep 21.7 bytes of a parameter: two of the weight and four of its
 * gradient are among them. */
static void state_is_kept_in_its_format(void **state)
{
    (void)state;
    const df_rules rules = df_rules_calibrated();
    static const struct {
        const char *precision;
        double bytes;
    } cases[] = {{"kv_cache: bf16", 21.7},
                 {"gradients: bf16", 19.7},
                 {"weights: fp8", 20.7},
                 {"weights: fp32, gradients: bf16", 21.7}};
    df_memory first;
    df_memory m;
    df_cfg cfg = training(cases[0].precision);
    df_predict_memory_of_stage(&cfg, &rules, 0, &first);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cfg = training(cases[i].precision);
        df_predict_memory_of_stage(&cfg, &rules, 0, &m);
        df_assert_rel(m.part_bytes[DF_MEMORY_OPTIMIZER],
                      first.part_bytes[DF_MEMORY_OPTIMIZER] * cases[i].bytes / 21.7, 1e-12);
        df_assert_rel(m.part_bytes[DF_MEMORY_ACTIVATIONS], first.part_bytes[DF_MEMORY_ACTIVATIONS],
                      1e-12);
    }
    cfg = training("activations: fp32");
    df_predict_memory_of_stage(&cfg, &rules, 0, &m);
    df_assert_rel(m.part_bytes[DF_MEMORY_ACTIVATIONS], 2 * first.part_bytes[DF_MEMORY_ACTIVATIONS],
                  1e-12);
}

/* ---- Inference ---- */

/* A layer of 4 h h + 3 h f = 202.4 M parameters; a stage has two of the four and one table, and
 * shares both between two devices. */
static void weights_are_kept_in_their_format(void **state)
{
    (void)state;
    const double layers = 2.0 * (4.0 * 4096 * 4096 + 3.0 * 4096 * 11008);
    const double table = 2.0 * 4096 * 32000;
    static const struct {
        const char *precision;
        double bytes;
    } cases[] = {{"kv_cache: bf16", 2},
                 {"products: fp8", 1},
                 {"weights: int4", 4.125 / 8},
                 {"weights: mxfp4", 4.25 / 8},
                 {"weights: bf16, products: fp8", 2}};
    const df_rules rules = df_rules_calibrated();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const df_cfg cfg = inference(cases[i].precision);
        df_memory m;
        df_predict_memory_peak(&cfg, &rules, &m);
        df_assert_rel(m.part_bytes[DF_MEMORY_WEIGHTS], (cases[i].bytes * layers + table) / 2,
                      1e-12);
    }
}

/* Narrow weights make decoding faster, which waits for them, and not its products. */
static void narrow_weights_are_read_faster(void **state)
{
    (void)state;
    const df_cfg wide = inference("kv_cache: bf16");
    const df_cfg narrow = inference("weights: int4");
    const df_cfg fp32 = inference("activations: fp32");
    assert_true(predict_s(&narrow) < 0.97 * predict_s(&wide));
    assert_true(predict_s(&fp32) > predict_s(&wide));
}

static int setup(void **state)
{
    (void)state;
    return setenv("DEEPFLOW_DATA_DIR", DF_CONFIGS "/..", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_formats_are_those_of_tensors),
        cmocka_unit_test(each_kind_of_number_has_a_format),
        cmocka_unit_test(a_format_without_a_rate_names_key_and_file),
        cmocka_unit_test(activations_are_on_the_wire),
        cmocka_unit_test(gradients_are_on_the_wire),
        cmocka_unit_test(state_is_kept_in_its_format),
        cmocka_unit_test(weights_are_kept_in_their_format),
        cmocka_unit_test(narrow_weights_are_read_faster),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
