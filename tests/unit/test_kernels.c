/* Kernels of a card: cases worked by hand, and that no part of a card makes them slower by becoming
 * better. */
#include <math.h>
#include <stdlib.h>

#include "base/mt19937.h"
#include "kernels/kernels.h"
#include "support/support.h"

enum { CASES = 4000 };

/* A data sheet: H100 SXM5. */
static df_card h100(void)
{
    df_card card = {.bundles = 132,
                    .clock_hz = 1.83e9,
                    .flops_ps = 989.4e12,
                    .dram_bytes_ps = 3350e9,
                    .l2_bytes = 50e6,
                    .l2_bytes_ps = 9370e9,
                    .link_bytes_ps = 450e9,
                    .in_switch = true,
                    .like = DF_ARCH_H100,
                    .basis = DF_BASIS_MEASURED};
    card.format_rate[DF_FORMAT_BF16] = 1;
    card.format_rate[DF_FORMAT_FP8] = card.format_rate[DF_FORMAT_FP8_BLOCK] = 1978.9 / 989.4;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    return card;
}

/* ---- By hand ---- */

/* C[2048,7168], k = 16384, operands 38 times the L2: tiles of 256 x 128, k in two. 8 x 56 x 2
 * blocks are 6.788 a bundle, 6.932 waves; 9.568 ns an element of k (9.359 of the tensor
 * cores, 5.152 of loads, 1.402 of latency); 553.15 us of the bundles and 147.06 us of the memory
 * join to 556.59 us; 12.49 us to add up; with the throttle of a kernel of that length 619.70 us;
 * and 2.43 us. */
static void a_product_by_hand(void **state)
{
    (void)state;
    const df_card card = h100();
    const df_load load = {.throttle = -1, .ws_over_l2 = 38, .as_fitted = true};
    const df_matmul product = {.m = 2048, .n = 7168, .k = 16384, .count = 1, .quantise = 1};
    const df_tiling t = df_kernel_gemm(&card, &df_gemm_kernels[DF_GEMM_CUBLAS], &load, &product);
    df_assert_rel(t.time_s, 622.135e-6, 1e-6);
    df_assert_rel(t.rows, 256, 0);
    df_assert_rel(t.columns, 128, 0);
    df_assert_rel(t.split, 2, 0);
    df_assert_rel(t.dram_bytes, 4.06182e8, 1e-5);
}

/* Weights of int4 in groups of 128: 4.125 bits. 16 tokens wait for memory: 16 x 128 tiles, k split
 * in two, take 18.337 us instead of the 49.366 of weights in 16 bits; the rest is the launch. 8,192
 * tokens wait for the bundles, which unpack a column's element for each of 32 rows of tiles, three
 * operations of 33.5 T a second: 1,852.17 us instead of 1,624.89. Without a rate of fp32, 64 units
 * a bundle unpack. */
static void weights_alone_may_be_narrow(void **state)
{
    (void)state;
    static const struct {
        double m, fp32, b_bytes, time_s;
    } cases[] = {{16, 0.0677, 0, 51.79834e-6},
                 {16, 0.0677, 4.125 / 8, 20.76887e-6},
                 {8192, 0.0677, 0, 1627.319e-6},
                 {8192, 0.0677, 4.125 / 8, 1854.604e-6},
                 {8192, 0, 4.125 / 8, 2150.749e-6}};
    df_card card = h100();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const df_matmul p = {cases[i].m, 8192, 8192, 1, 1};
        const df_matmul_bytes bytes = {cases[i].b_bytes, 0};
        card.format_rate[DF_FORMAT_FP32] = cases[i].fp32;
        const df_tiling t = df_kernel_gemm_in(&card, &df_gemm_kernels[DF_GEMM_CUBLAS],
                                              &df_load_sustained, &p, &bytes);
        df_assert_rel(t.time_s, cases[i].time_s, 1e-6);
    }
}

/* Nobody measured products in int8, int4 and mxfp4: those of int8 are as fp8's at the same rate,
 * 10.7122 us here; those of 4 bits as nvfp4's, 25.1965 us on a B200, but for the bytes of scales.
 */
static void formats_that_were_not_measured_have_their_rate_and_bytes(void **state)
{
    (void)state;
    const df_load load = {.throttle = -1, .ws_over_l2 = 1000, .as_fitted = true};
    const df_matmul thin = {.m = 128, .n = 5120, .k = 2048, .count = 1, .quantise = 1};
    const df_matmul broad = {.m = 256, .n = 16384, .k = 8192, .count = 1, .quantise = 1};
    static const struct {
        df_format format;
        double time_s;
    } narrow[] = {{DF_FORMAT_NVFP4, 25.19654e-6},
                  {DF_FORMAT_INT4, 24.02394e-6},
                  {DF_FORMAT_MXFP4, 24.40706e-6}};
    df_card card = h100();
    card.format_rate[DF_FORMAT_INT8] = card.format_rate[DF_FORMAT_FP8];
    df_assert_rel(
        df_kernel_gemm_s(&card, df_gemm_kernel_of(DF_FORMAT_INT8, DF_LOW_MEASURED), &load, &thin),
        10.71221e-6, 1e-6);
    card.bundles = 148;
    card.clock_hz = 1.856e9;
    card.flops_ps = 2250e12;
    card.dram_bytes_ps = 7700e9;
    card.l2_bytes = 126e6;
    card.l2_bytes_ps = 19000e9;
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        card.format_rate[narrow[i].format] = 4;
        df_assert_rel(df_kernel_gemm_s(&card, df_gemm_kernel_of(narrow[i].format, DF_LOW_MEASURED),
                                       &load, &broad),
                      narrow[i].time_s, 1e-6);
    }
    assert_true(isinf(df_kernel_gemm_s(&card, df_gemm_kernel_of(DF_FORMAT_FP32, DF_LOW_MEASURED),
                                       &load, &broad)));
}

/* Attention in tf32 at half the rate has twice the products' time, exponentials as before, and
 * writes four bytes where it wrote two. */
static void attention_has_the_bytes_of_its_format(void **state)
{
    (void)state;
    df_card card = h100();
    df_prompt prompt = {.sequences = 1, .fresh = 8192, .heads = 64, .kv_heads = 8, .head_dim = 128};
    const df_prompt_time wide = df_kernel_prompt(&card, &df_load_sustained, &prompt);
    card.format_rate[DF_FORMAT_TF32] = 0.5;
    prompt.format = DF_FORMAT_TF32;
    const df_prompt_time twice = df_kernel_prompt(&card, &df_load_sustained, &prompt);
    df_assert_rel(twice.write_s, 2 * wide.write_s, 1e-12);
    assert_true(twice.body_s > 1.7 * wide.body_s && twice.body_s < 2 * wide.body_s);
    card.format_rate[DF_FORMAT_INT8] = card.format_rate[DF_FORMAT_FP8];
    prompt.format = DF_FORMAT_INT8; /* as fp8, which was measured */
    const df_prompt_time bytes = df_kernel_prompt(&card, &df_load_sustained, &prompt);
    prompt.format = DF_FORMAT_BF16;
    prompt.fp8 = true;
    df_assert_rel(bytes.body_s, df_kernel_prompt(&card, &df_load_sustained, &prompt).body_s, 0);
}

/* Cores of 7 Tflop/s in steps of 4 x 4 x 4 in 16 bits: 7 flops a row and column read 4 operands of
 * 2 bytes a row, so 4 TB/s from registers; and 1 byte from the L1 for 32 flops, 218.75 GB/s. Where
 * these were derived from budgets, cores wait for the one that has least of what is needed; a data
 * sheet's figures are as its kernels were measured. */
static void starved_cores_wait(void **state)
{
    (void)state;
    static const struct {
        double registers_bytes_ps, l1_bytes_ps, share;
    } cases[] = {{4e12, 218.75e9, 1},     {8e12, 1e12, 1},         {2e12, 218.75e9, 0.5},
                 {2e12, 54.6875e9, 0.25}, {1e12, 109.375e9, 0.25}, {0, 218.75e9, 0}};
    df_cfg *const cfg = calloc(1, sizeof *cfg);
    df_card card;
    assert_non_null(cfg);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_hw_device dev = {.core = {.num_bundle = 8,
                                     .operating_freq_hz = 1e9,
                                     .operating_throughput_flops_ps = 7e12,
                                     /* the old rules' share of the peak, which does not count */
                                     .throughput_flops_ps = 3.5e12},
                            .fma_d1 = 4,
                            .fma_d2 = 4,
                            .elem_bytes = 2};
        dev.mem[0] = (df_hw_mem){.throughput_bytes_ps = cases[i].registers_bytes_ps,
                                 .copies = 1,
                                 .bandwidth_limit = DF_LIMIT_POWER};
        dev.mem[1] = (df_hw_mem){.throughput_bytes_ps = cases[i].l1_bytes_ps,
                                 .copies = 1,
                                 .bandwidth_limit = DF_LIMIT_POWER};
        df_card_of(cfg, &dev, &card);
        df_assert_rel(card.flops_ps, cases[i].share * 7e12, 1e-12);
        dev.mem[0].bandwidth_limit = DF_LIMIT_GIVEN;
        dev.mem[1].bandwidth_limit = DF_LIMIT_GIVEN;
        df_card_of(cfg, &dev, &card);
        df_assert_rel(card.flops_ps, 7e12, 0);
    }
    free(cfg);
}

/* 8,192 tokens, 64 heads of 128 on 8: 4,096 tiles of 128 packed rows, 31.433 waves of 49.70 us each
 * on average; 1,622.45 us, with the throttle 1,887.23; 19.15 us of the cache's write, 6.01 of
 * launches. */
static void a_prompt_by_hand(void **state)
{
    (void)state;
    const df_card card = h100();
    const df_load load = {.throttle = -1};
    const df_prompt prompt = {
        .sequences = 1, .fresh = 8192, .heads = 64, .kv_heads = 8, .head_dim = 128};
    const df_prompt_time t = df_kernel_prompt(&card, &load, &prompt);
    df_assert_rel(t.body_s, 1887.23e-6, 1e-5);
    df_assert_rel(t.write_s, 19.1515e-6, 1e-5);
    df_assert_rel(t.fixed_s + t.body_s + t.write_s, 1912.4e-6, 1e-5);
}

/* 32 sequences of 8,192: 256 blocks are two waves; 335.89 us of the memory and 192.72 us of the
 * bundles, with 5.04 us of a block 360.87 us; 3.66 us of launches. */
static void a_token_by_hand(void **state)
{
    (void)state;
    const df_card card = h100();
    const df_load load = {.throttle = -1, .ws_over_l2 = 21.5, .as_fitted = true};
    const df_decode_kernel kernel = df_decode_measured(&card);
    const df_token token = {32, 8192, 64, 8, 128, false};
    df_assert_rel(df_kernel_decode_s(&card, &kernel, &load, &token), 364.531e-6, 1e-6);
}

/* 128 tokens to 8 of 256 experts of 7168 x 256: 632.46 and 328.26 us of the products, bound by the
 * memory, 9.71 us of pointwise work, 30.34 us of launches. */
static void experts_by_hand(void **state)
{
    (void)state;
    const df_card card = h100();
    const df_load load = {.throttle = -1, .as_fitted = true};
    const df_experts layer = {
        .tokens = 128, .hidden = 7168, .width = 256, .experts = 256, .top_k = 8};
    df_assert_rel(df_kernel_experts_s(&card, &load, &layer), 1000.76e-6, 1e-5);
}

/* A MiB among eight: NCCL's middle protocol, (1.47 + 14 * 1.085) hops of 0.785 us, and 1,889,300
 * bytes at 0.5489 of 380.16 GB/s; the others take 33.7, 74.7 and 211.7 us. */
static void an_all_reduce_by_hand(void **state)
{
    (void)state;
    const df_card card = h100();
    df_assert_rel(df_kernel_comm_s(&card, DF_COMM_NCCL, DF_COMM_ALL_REDUCE, 8, 0x1p20), 26.7218e-6,
                  1e-5);
    df_assert_rel(df_kernel_comm_s(&card, DF_COMM_NCCL, DF_COMM_ALL_REDUCE, 1, 0x1p20), 0, 0);
    df_card alone = card;
    alone.link_bytes_ps = 0;
    assert_true(isinf(df_kernel_comm_s(&alone, DF_COMM_NCCL, DF_COMM_ALL_GATHER, 2, 8)));
}

/* ---- Monotony ---- */

static double uniform(df_mt19937 *rng)
{
    return df_mt_next(rng) * 0x1p-32;
}

static double drawn(df_mt19937 *rng, double low, double high)
{
    return floor(low * pow(high / low, uniform(rng)));
}

/* Makes one part better. */
static void improve(df_card *card, int part, double factor)
{
    double *const parts[] = {&card->flops_ps, &card->clock_hz,    &card->dram_bytes_ps,
                             &card->l2_bytes, &card->l2_bytes_ps, &card->link_bytes_ps};
    *parts[part] *= factor;
    df_calibration_of(card->like, &card->is);
    df_calibration_complete(card, NULL);
}

/* A card like one of those that were measured, or of none. */
static df_card any_card(df_mt19937 *rng)
{
    df_card card = h100();
    card.like = (df_arch)(uniform(rng) * DF_ARCHS);
    card.basis = uniform(rng) < 0.5 ? DF_BASIS_MEASURED : DF_BASIS_RULE;
    card.bundles = drawn(rng, 8, 600);
    card.flops_ps *= drawn(rng, 1, 1000) / 100;
    card.dram_bytes_ps *= drawn(rng, 10, 1000) / 100;
    card.l2_bytes *= drawn(rng, 1, 1000) / 100;
    card.l2_bytes_ps *= drawn(rng, 10, 1000) / 100;
    card.link_bytes_ps *= drawn(rng, 1, 1000) / 100;
    improve(&card, 0, 1);
    return card;
}

static double any_kernel_s(const df_card *card, df_mt19937 rng)
{
    const int kind = (int)(uniform(&rng) * 5);
    const df_load load = {
        .sustained = uniform(&rng) < 0.5, .throttle = -1, .ws_over_l2 = drawn(&rng, 1, 1e6) / 1e3};
    const double kv = drawn(&rng, 1, 33);
    const double group = drawn(&rng, 1, 17);
    const df_decode_kernel decode = df_decode_measured(card);
    const df_gemm_kernel *const kernels[] = {
        &df_gemm_kernels[DF_GEMM_CUBLAS], &df_gemm_kernels[DF_GEMM_FP8_MEASURED],
        &df_gemm_kernels[DF_GEMM_FP8_TRAINING], &df_gemm_kernels[DF_GEMM_FP8_BLOCK]};
    switch (kind) {
    case 0:
        return df_kernel_gemm_s(
            card, kernels[(int)(uniform(&rng) * 4)], &load,
            &(df_matmul){drawn(&rng, 1, 4e4), drawn(&rng, 16, 6e4), drawn(&rng, 16, 6e4), 1, 1});
    case 1: {
        const df_prompt prompt = {
            drawn(&rng, 1, 64), drawn(&rng, 1, 1e5), 0, kv * group, kv, 128, false, DF_FORMAT_BF16};
        const df_prompt_time t = df_kernel_prompt(card, &load, &prompt);
        return t.fixed_s + t.body_s + t.write_s;
    }
    case 2:
        return df_kernel_decode_s(
            card, &decode, &load,
            &(df_token){drawn(&rng, 1, 512), drawn(&rng, 1, 1e5), kv * group, kv, 128, false});
    case 3:
        return df_kernel_experts_s(card, &load,
                                   &(df_experts){.tokens = drawn(&rng, 1, 4e4),
                                                 .hidden = 4096,
                                                 .width = drawn(&rng, 64, 14336),
                                                 .experts = 64,
                                                 .top_k = 4,
                                                 .skewed = uniform(&rng) < 0.5});
    default:
        return df_kernel_comm_s(card, DF_COMM_NCCL, (df_comm_kind)(uniform(&rng) * 4),
                                drawn(&rng, 2, 73), drawn(&rng, 64, 2e9));
    }
}

/* The least of several ways falls or stays when each of them does. */
static void nothing_gets_slower_on_a_better_card(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 14);
    for (int i = 0; i < CASES; i++) {
        df_card card = any_card(&rng);
        const int part = i % 6;
        const double factor = 1 + uniform(&rng);
        const double before_s = any_kernel_s(&card, rng);
        improve(&card, part, factor);
        const double after_s = any_kernel_s(&card, rng);
        uniform(&rng);
        if (!(after_s <= before_s * 1.005) || !isfinite(before_s)) {
            fail_msg("case %d: part %d times %g: %g s, before %g s", i, part, factor, after_s,
                     before_s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_by_hand),
        cmocka_unit_test(weights_alone_may_be_narrow),
        cmocka_unit_test(formats_that_were_not_measured_have_their_rate_and_bytes),
        cmocka_unit_test(attention_has_the_bytes_of_its_format),
        cmocka_unit_test(a_prompt_by_hand),
        cmocka_unit_test(a_token_by_hand),
        cmocka_unit_test(starved_cores_wait),
        cmocka_unit_test(experts_by_hand),
        cmocka_unit_test(an_all_reduce_by_hand),
        cmocka_unit_test(nothing_gets_slower_on_a_better_card),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
