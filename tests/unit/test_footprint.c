/* Bytes of device memory of LSTM training, against figures derived by hand. */
#include "base/units.h"
#include "predict/predict.h"
#include "support/support.h"

/* Batch 30, width 6, 3 steps, 2 layers, 4 gates, 10 words, 2 bytes an element;
 * one device. */
static df_cfg small_model(void)
{
    df_cfg cfg = {0};
    cfg.sw.precision.tensor_bytes = 2.0;
    cfg.mode = DF_MODE_LSTM;
    cfg.lstm = (df_cfg_lstm){.batch_size = 30,
                             .vocab_size = 10,
                             .num_layers = 2,
                             .layer_size = 6,
                             .seq_len = 3,
                             .num_gates = 4,
                             .projection = 5};
    cfg.sched.dp = 1;
    cfg.sched.lp = 1;
    for (int part = 0; part < DF_PARTS; part++) {
        cfg.sched.kp_type[part] = DF_KP_NONE;
        cfg.sched.kp_dim1[part] = 1;
        cfg.sched.kp_dim2[part] = 1;
    }
    return cfg;
}

static df_footprint footprint_of(const df_cfg *cfg, const df_rules *rules)
{
    df_need need;
    df_predict_need(cfg, rules, &need);
    df_assert_rel(need.total_bytes, need.lstm.total_bytes, 0);
    return need.lstm;
}

/* All rules as the Python DeepFlow has them, or none. */
static df_rules odd_rules(void)
{
    return (df_rules){.footprint_omits_softmax = true, .footprint_lp2_zero = true};
}

static df_rules no_rules(void)
{
    return (df_rules){0};
}

static void assert_part(const df_footprint_part *part, double weight, double act, double pointwise)
{
    df_assert_rel(part->weight_bytes, weight, 1e-15);
    df_assert_rel(part->activation_bytes, act, 1e-15);
    df_assert_rel(part->pointwise_bytes, pointwise, 1e-15);
}

/* Hidden, 2 layers, 24 = 4 * 6 gate outputs: weights 2 * 2 * (12 + 1) * 24 = 1248;
 * activations 2 * 2 * 30 * 24 * 3 = 8640; pointwise 4.5 of them = 38880.
 * Softmax: 2 * (6 + 1) * 10 = 140; 2 * 30 * 3 * 10 = 1800; 2 * (2 * 900 + 90) = 3780.
 * Embedding: 2 * 10 * 6 = 120; 2 * 30 * 3 * 6 = 1080. */
static void one_device_holds_all(void **state)
{
    (void)state;
    const df_cfg cfg = small_model();
    const df_rules rules = odd_rules();
    const df_footprint got = footprint_of(&cfg, &rules);
    assert_part(&got.part[DF_PART_HIDDEN], 1248.0, 8640.0, 38880.0);
    assert_part(&got.part[DF_PART_SOFTMAX], 140.0, 1800.0, 3780.0);
    assert_part(&got.part[DF_PART_EMBEDDING], 120.0, 1080.0, 0.0);
    df_assert_rel(got.part[DF_PART_HIDDEN].total_bytes, 48768.0, 1e-15);
    df_assert_rel(got.part[DF_PART_SOFTMAX].total_bytes, 5720.0, 1e-15);
    df_assert_rel(got.part[DF_PART_EMBEDDING].total_bytes, 1200.0, 1e-15);
    df_assert_rel(got.total_bytes, 48768.0 + 5720.0 + 1200.0, 1e-15);
}

/* dp = 4: 8 of 30 samples (rounded up). Weights stay. */
static void data_parallel_splits_batch(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    cfg.sched.dp = 4;
    const df_rules rules = odd_rules();
    const df_footprint got = footprint_of(&cfg, &rules);
    assert_part(&got.part[DF_PART_HIDDEN], 1248.0, 2.0 * 2 * 8 * 24 * 3, 4.5 * 2 * 2 * 8 * 24 * 3);
    assert_part(&got.part[DF_PART_EMBEDDING], 120.0, 2.0 * 8 * 3 * 6, 0.0);
}

/* Column-row by 5: inner dimensions 12, 6, 10 become 3, 2, 2. */
static void column_row_splits_inner_dimension(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    cfg.sched.t = DF_T_CR;
    cfg.sched.kp1 = 5;
    cfg.sched.kp2 = 7; /* has no meaning here */
    const df_rules rules = odd_rules();
    const df_footprint got = footprint_of(&cfg, &rules);
    assert_part(&got.part[DF_PART_HIDDEN], 2.0 * 2 * 4 * 24, 8640.0, 38880.0);
    assert_part(&got.part[DF_PART_SOFTMAX], 2.0 * 3 * 10, 1800.0, 3780.0);
    assert_part(&got.part[DF_PART_EMBEDDING], 2.0 * 2 * 6, 1080.0, 0.0);
}

/* Row-column by 4 x 5: rows 30 become 8; columns 24, 10, 6 become 5, 2, 2. */
static void row_column_splits_rows_and_columns(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    cfg.sched.t = DF_T_RC;
    cfg.sched.kp1 = 4;
    cfg.sched.kp2 = 5;
    const df_rules rules = odd_rules();
    const df_footprint got = footprint_of(&cfg, &rules);
    assert_part(&got.part[DF_PART_HIDDEN], 2.0 * 2 * 13 * 5, 2.0 * 2 * 8 * 5 * 3,
                4.5 * 2 * 2 * 8 * 5 * 3);
    assert_part(&got.part[DF_PART_SOFTMAX], 2.0 * 7 * 2, 2.0 * 8 * 3 * 2,
                2.0 * (2 * 8 * 3 * 2 + 8 * 3));
    assert_part(&got.part[DF_PART_EMBEDDING], 2.0 * 10 * 2, 2.0 * 8 * 3 * 2, 0.0);
}

/* Each part its own type and dimensions; the embedding's columns are split only
 * since the hidden part is row-column, its words since it is column-row itself. */
static void parts_split_on_their_own(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    cfg.sched.kp_type[DF_PART_HIDDEN] = DF_KP_RC;
    cfg.sched.kp_dim1[DF_PART_HIDDEN] = 2;
    cfg.sched.kp_dim2[DF_PART_HIDDEN] = 3;
    cfg.sched.kp_type[DF_PART_SOFTMAX] = DF_KP_CR;
    cfg.sched.kp_dim1[DF_PART_SOFTMAX] = 3;
    cfg.sched.kp_type[DF_PART_EMBEDDING] = DF_KP_CR;
    cfg.sched.kp_dim1[DF_PART_EMBEDDING] = 5;
    cfg.sched.kp_dim2[DF_PART_EMBEDDING] = 2;
    const df_rules rules = odd_rules();
    df_footprint got = footprint_of(&cfg, &rules);
    df_assert_rel(got.part[DF_PART_HIDDEN].activation_bytes, 2.0 * 2 * 15 * 8 * 3, 1e-15);
    df_assert_rel(got.part[DF_PART_SOFTMAX].weight_bytes, 2.0 * 3 * 10, 1e-15);
    assert_part(&got.part[DF_PART_EMBEDDING], 2.0 * 2 * 3, 2.0 * 30 * 3 * 3, 0.0);
    cfg.sched.kp_type[DF_PART_HIDDEN] = DF_KP_CR;
    got = footprint_of(&cfg, &rules);
    assert_part(&got.part[DF_PART_EMBEDDING], 2.0 * 2 * 6, 2.0 * 30 * 3 * 6, 0.0);
}

/* lp = 4 spreads 2 layers over 2 devices: hidden 48768 / 2 = 24384. With 1000
 * words the softmax is the largest: 2 * 7000 + 2 * 90000 + 2 * 180090 = 554180. */
static void rule_omits_softmax(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    cfg.sched.lp = 4;
    cfg.lstm.vocab_size = 1000;
    df_rules rules = no_rules();
    df_assert_rel(footprint_of(&cfg, &rules).total_bytes, 554180.0, 1e-15);
    rules.footprint_omits_softmax = true;
    df_assert_rel(footprint_of(&cfg, &rules).total_bytes, 24384.0, 1e-15);
}

/* Two devices: both hold one layer (24384), one of them the softmax too (5720);
 * three: one holds both layers (48768). */
static void rule_has_no_figure_for_few_stages(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    df_rules rules = no_rules();
    cfg.sched.lp = 2;
    df_assert_rel(footprint_of(&cfg, &rules).total_bytes, 24384.0 + 5720.0, 1e-15);
    cfg.sched.lp = 3;
    df_assert_rel(footprint_of(&cfg, &rules).total_bytes, 48768.0, 1e-15);
    rules.footprint_lp2_zero = true;
    for (cfg.sched.lp = 2; cfg.sched.lp <= 3; cfg.sched.lp++) {
        df_assert_rel(footprint_of(&cfg, &rules).total_bytes, 0.0, 0.0);
    }
    df_assert_rel(footprint_of(&cfg, &rules).total_bytes, 24384.0, 1e-15); /* lp = 4 */
}

/* Memory over DRAM size as two recorded searches of the Python DeepFlow printed
 * it, with 5 decimals: hidden 4096, batch 256, 800000 words; column-row by 4 on
 * two stacks of 24 GB, and dp = 4 on one stack. */
static void recorded_overflow_rates_are_met(void **state)
{
    (void)state;
    df_cfg cfg = small_model();
    cfg.lstm.batch_size = 256;
    cfg.lstm.layer_size = 4096;
    cfg.lstm.vocab_size = 800000;
    cfg.lstm.seq_len = 20;
    const df_rules rules = odd_rules();
    cfg.sched.t = DF_T_CR;
    cfg.sched.kp1 = 4;
    const double column_row = footprint_of(&cfg, &rules).total_bytes / (2 * 24 * DF_GIB);
    assert_true(column_row > 0.579665 && column_row < 0.579675);
    cfg.sched.t = DF_T_NONE;
    cfg.sched.kp1 = 1;
    cfg.sched.dp = 4;
    const double data_parallel = footprint_of(&cfg, &rules).total_bytes / (24 * DF_GIB);
    assert_true(data_parallel > 0.786245 && data_parallel < 0.786255);
}

static double gemm_bytes(const df_cfg *cfg)
{
    const df_rules rules = df_rules_corrected();
    df_need need;
    df_predict_need(cfg, &rules, &need);
    return need.total_bytes;
}

/* 2 bytes of 40 x 60, 60 x 80 and 40 x 80; k in 4, or m in 4 and n in 2. */
static void gemms_hold_three_matrices(void **state)
{
    (void)state;
    df_cfg cfg = {0};
    cfg.sw.precision.tensor_bytes = 2;
    cfg.gemm = (df_cfg_gemm){.m = 40, .k = 60, .n = 80};
    df_assert_rel(gemm_bytes(&cfg), 2 * (2400 + 4800 + 3200), 0);
    cfg.sched.t = DF_T_CR;
    cfg.sched.kp1 = 4;
    df_assert_rel(gemm_bytes(&cfg), 2 * (600 + 1200 + 3200), 0);
    cfg.sched.t = DF_T_RC;
    cfg.sched.kp2 = 2;
    df_assert_rel(gemm_bytes(&cfg), 2 * (600 + 2400 + 400), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_device_holds_all),
        cmocka_unit_test(data_parallel_splits_batch),
        cmocka_unit_test(column_row_splits_inner_dimension),
        cmocka_unit_test(row_column_splits_rows_and_columns),
        cmocka_unit_test(parts_split_on_their_own),
        cmocka_unit_test(rule_omits_softmax),
        cmocka_unit_test(rule_has_no_figure_for_few_stages),
        cmocka_unit_test(gemms_hold_three_matrices),
        cmocka_unit_test(recorded_overflow_rates_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
