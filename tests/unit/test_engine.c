/* Engines of inference: passes and batches worked by hand, and what holds for any of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "engine/engine.h"
#include "support/support.h"

#define US 1e-6

/* ---- Cards, models ---- */

static df_card a100(void)
{
    df_card card = {.bundles = 108,
                    .clock_hz = 1.41e9,
                    .flops_ps = 312e12,
                    .dram_bytes_ps = 2039e9,
                    .l2_bytes = 40e6,
                    .l2_bytes_ps = 7219e9,
                    .link_bytes_ps = 300e9,
                    .like = DF_ARCH_A100};
    card.format_rate[DF_FORMAT_BF16] = 1;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    return card;
}

static df_card h100(double dram_bytes_ps)
{
    df_card card = {.bundles = 132,
                    .clock_hz = 1.83e9,
                    .flops_ps = 989.4e12,
                    .dram_bytes_ps = dram_bytes_ps,
                    .l2_bytes = 50e6,
                    .l2_bytes_ps = 9370e9,
                    .link_bytes_ps = 450e9,
                    .in_switch = true,
                    .like = DF_ARCH_H100};
    card.format_rate[DF_FORMAT_BF16] = 1;
    card.format_rate[DF_FORMAT_FP8] = 1978.9 / 989.4;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    return card;
}

static const df_cfg_attention flash = {.use_flashattention = true, .attention_tile_size = 128};

/* A gated model of head_dim 128. */
static df_dims gated(double layers, double hidden, double kv_heads, double ffn, double vocab)
{
    return (df_dims){.layers = layers,
                     .hidden = hidden,
                     .vocab = vocab,
                     .heads = hidden / 128,
                     .kv_heads = kv_heads,
                     .head_dim = 128,
                     .ffn = ffn,
                     .ffn_in = 2 * ffn,
                     .experts = 1,
                     .top_k = 1,
                     .gated = true,
                     .attention = &flash,
                     .bytes = {2, 2, 2, 4, 2, 2, 4, 0}};
}

static df_dims llama2_7b(void)
{
    return gated(32, 4096, 32, 11008, 32000);
}

static df_dims llama2_13b(void)
{
    return gated(40, 5120, 40, 13824, 32000);
}

static df_dims llama3_8b(void)
{
    return gated(32, 4096, 8, 14336, 128256);
}

static df_dims mixtral(void)
{
    df_dims d = gated(32, 4096, 8, 14336, 32000);
    d.experts = 8;
    d.top_k = 2;
    return d;
}

/* What a server borrows, and the server. */
typedef struct {
    df_card card;
    df_dims dims;
    df_stack stack;
    df_split split;
    df_fabric fabric;
    df_deployment what;
    df_engine engine;
    df_server server;
} served;

static void serve(served *x, df_card card, df_dims dims, double tp, df_engine_id engine, bool fp8)
{
    x->card = card;
    x->dims = dims;
    x->split = (df_split){.tp = tp, .cp = 1, .dp = 1, .pp = 1, .micro_batches = 1};
    x->fabric = (df_fabric){.node = 8, .devices = tp};
    x->fabric.inside[DF_AXIS_TP] = tp;
    df_stack_of(&x->dims, &x->stack);
    x->what = (df_deployment){.stack = &x->stack,
                              .split = &x->split,
                              .card = &x->card,
                              .fabric = &x->fabric,
                              .weights = fp8 ? DF_FORMAT_FP8 : DF_FORMAT_BF16,
                              .low = DF_LOW_VENDOR,
                              .fp8_cache = fp8,
                              .memory_bytes = 80 * DF_GIB};
    df_engine_preset(engine, &x->engine);
    x->engine.max_batch_tokens = 0;
    x->engine.max_batch = 0;
    df_engine_server(&x->engine, &x->what, &x->server);
}

/* With what a test has changed of it. */
static void serve_again(served *x)
{
    df_engine_server(&x->engine, &x->what, &x->server);
}

static double decode_s(const served *x, double sequences, double context)
{
    const df_engine_pass pass = {.sequences = sequences, .context = context};
    return df_engine_pass_s(&x->server, &pass);
}

static double prompts_s(const served *x, double count, double fresh, double cached)
{
    const df_chunks chunks = {count, fresh, cached};
    const df_engine_pass pass = {.chunks = &chunks, .kinds = 1, .ends = count};
    return df_engine_pass_s(&x->server, &pass);
}

static df_static_times run(const served *x, double sequences, double input, double output)
{
    const df_static_batch batch = {sequences, input, output};
    df_static_times t;
    df_engine_static(&x->server, &batch, &t);
    return t;
}

/* ---- Worked examples ---- */

/* Microseconds of a layer, of the head, of the pass. */
typedef struct {
    double gemm[4];
    double router, experts, streams, reduce, attention;
    double head, pass;
} worked;

typedef struct {
    worked decode, prefill;
    double prefill_s, decode_s, total_s; /* of the batch */
} example;

/* As the worked examples are rounded. */
static void assert_near(double a, double b, double unit)
{
    assert_true(fabs(a - b) <= 0.51 * unit);
}

static double sum_us(const df_server *s, const df_ops *ops, df_op_kind kind)
{
    df_price price[DF_OPS_MAX];
    double sum_s = 0;
    assert_int_equal(df_engine_price_ops(s, ops, price), DF_OK);
    for (int i = 0; i < ops->count; i++) {
        sum_s += ops->op[i].kind == kind ? price[i].time_s : 0;
    }
    return sum_s / US;
}

static void check_layer(const df_server *s, double tokens, const worked *w)
{
    df_ops ops;
    df_price price[DF_OPS_MAX];
    df_engine_layer_ops(s, tokens, &ops);
    assert_int_equal(df_engine_price_ops(s, &ops, price), DF_OK);
    int product = 0;
    for (int i = 0; i < ops.count; i++) {
        if (ops.op[i].kind == DF_OP_GEMM) {
            assert_in_range(product, 0, 3);
            assert_near(price[i].time_s / US, w->gemm[product++], 1e-3);
        }
    }
    assert_int_equal(product, w->gemm[2] > 0 ? 4 : 2);
    assert_near(df_engine_router_s(s, tokens) / US, w->router, 1e-3);
    assert_near(df_engine_experts_s(s, tokens) / US, w->experts, 1e-3);
    assert_near(sum_us(s, &ops, DF_OP_STREAM), w->streams, 1e-3);
    /* two of them; the wait for the last device comes with the layers */
    const double skew_us = s->engine.skew_s * log2(s->split.tp) / US;
    assert_near(sum_us(s, &ops, DF_OP_COLLECTIVE) / 2 + skew_us, w->reduce, 1e-3);
}

static double head_us(const df_server *s, double rows)
{
    df_ops ops;
    df_engine_head_ops(s, rows, &ops);
    return sum_us(s, &ops, DF_OP_GEMM) + sum_us(s, &ops, DF_OP_COLLECTIVE) +
           sum_us(s, &ops, DF_OP_STREAM);
}

static void
check_pass(const df_server *s, const df_engine_pass *pass, double tokens, const worked *w)
{
    df_ops ops;
    const double rows = pass->sequences + pass->ends;
    check_layer(s, tokens, w);
    df_engine_attention_ops(s, pass, &ops);
    assert_near(sum_us(s, &ops, DF_OP_ATTENTION), w->attention, 1e-3);
    /* 12 rows are halfway between 8 and 16 */
    assert_near(rows == 12 ? (head_us(s, 8) + head_us(s, 16)) / 2 : head_us(s, rows), w->head,
                1e-3);
    assert_near(df_engine_pass_s(s, pass) / US, w->pass, 1e-3);
}

static void check_example(const served *x, const double shape[3], const example *e)
{
    const double n = shape[0];
    const df_engine_pass decode = {.sequences = n, .context = shape[1] + shape[2] / 2};
    const df_chunks prompts = {n, shape[1], 0};
    const df_engine_pass prefill = {.chunks = &prompts, .kinds = 1, .ends = n};
    check_pass(&x->server, &decode, n, &e->decode);
    check_pass(&x->server, &prefill, n * shape[1], &e->prefill);
    const df_static_times t = run(x, n, shape[1], shape[2]);
    assert_near(t.prefill_s, e->prefill_s, 1e-6);
    assert_near(t.decode_s, e->decode_s, 1e-6);
    assert_near(t.total_s, e->total_s, 1e-6);
    assert_near(t.prefill_s + t.decode_s + t.call_s, t.total_s, 1e-12);
}

/* The first product of a decode step, (1, 12288, 4096), by hand: tiles of 16 x 128, 96 of them on
 * 108 bundles: one wave of (4096 + 147.3) 7.31362 ns, with 5.764 % for the clock: 31.0339 us.
 * 1.00696e8 bytes at 0.7656 x 2039 GB/s: 64.5050 us. Joined by cubes 66.8157, and 2.531 to start:
 * 69.347 us. Attention, one sequence of 300 tokens, 32 heads: three splits, one wave. */
static void small_batch_of_7b(void **state)
{
    (void)state;
    const double shape[] = {1, 200, 200};
    const example e = {.decode = {.gemm = {69.347, 27.325, 122.785, 65.749},
                                  .streams = 0.111,
                                  .attention = 15.899,
                                  .head = 177.960,
                                  .pass = 10885.643},
                       .prefill = {.gemm = {127.251, 58.491, 233.967, 130.365},
                                   .streams = 22.160,
                                   .attention = 24.724,
                                   .head = 177.960,
                                   .pass = 19013.108},
                       .prefill_s = 0.019013,
                       .decode_s = 2.166894,
                       .total_s = 2.203607};
    served x;
    serve(&x, a100(), llama2_7b(), 1, DF_ENGINE_BATCH_2023, false);
    check_example(&x, shape, &e);
}

static void eight_devices_wait_for_each_other(void **state)
{
    (void)state;
    const double shape[] = {8, 128, 20};
    const example e = {.decode = {.gemm = {13.873, 5.960, 20.686, 11.176},
                                  .streams = 0.392,
                                  .reduce = 44.444,
                                  .attention = 13.943,
                                  .head = 52.527,
                                  .pass = 6078.696},
                       .prefill = {.gemm = {67.617, 31.191, 120.192, 69.719},
                                   .streams = 50.181,
                                   .reduce = 144.806,
                                   .attention = 21.440,
                                   .head = 52.527,
                                   .pass = 21919.768},
                       .prefill_s = 0.021920,
                       .decode_s = 0.115495,
                       .total_s = 0.185425};
    served x;
    serve(&x, a100(), llama2_7b(), 8, DF_ENGINE_BATCH_2023, false);
    check_example(&x, shape, &e);
}

static void groups_of_heads_on_eight_devices(void **state)
{
    (void)state;
    const double shape[] = {1, 200, 200};
    const example e = {.decode = {.gemm = {19.575, 14.768, 84.204, 44.184},
                                  .streams = 0.097,
                                  .reduce = 42.500,
                                  .attention = 16.458,
                                  .head = 68.147,
                                  .pass = 23882.964},
                       .prefill = {.gemm = {38.154, 34.630, 168.857, 89.926},
                                   .streams = 19.335,
                                   .reduce = 92.165,
                                   .attention = 21.002,
                                   .head = 68.147,
                                   .pass = 44311.110},
                       .prefill_s = 0.044311,
                       .decode_s = 4.752710,
                       .total_s = 4.814721};
    served x;
    serve(&x, a100(), gated(80, 8192, 8, 28672, 32000), 8, DF_ENGINE_BATCH_2023, false);
    check_example(&x, shape, &e);
}

static void serving_engine_with_a_large_vocabulary(void **state)
{
    (void)state;
    const double shape[] = {32, 1513, 512};
    const example e = {.decode = {.gemm = {37.805, 29.425, 165.426, 85.870},
                                  .streams = 3.455,
                                  .attention = 158.611,
                                  .head = 768.418,
                                  .pass = 17326.177},
                       .prefill = {.gemm = {9951.180, 6661.655, 46215.868, 22750.296},
                                   .streams = 5227.693,
                                   .attention = 3644.039,
                                   .head = 768.418,
                                   .pass = 3010199.286},
                       .prefill_s = 3.010199,
                       .decode_s = 8.853684,
                       .total_s = 11.863883};
    served x;
    serve(&x, a100(), llama3_8b(), 1, DF_ENGINE_SERVE, false);
    check_example(&x, shape, &e);
}

static void weights_and_cache_in_fp8(void **state)
{
    (void)state;
    const double shape[] = {16, 600, 300};
    const example e = {.decode = {.gemm = {23.066, 10.168, 39.716, 23.137},
                                  .streams = 0.943,
                                  .attention = 48.561,
                                  .head = 89.704,
                                  .pass = 7359.365},
                       .prefill = {.gemm = {1166.819, 390.652, 2084.406, 1032.033},
                                   .streams = 565.760,
                                   .attention = 371.213,
                                   .head = 89.704,
                                   .pass = 226477.326},
                       .prefill_s = 0.226477,
                       .decode_s = 2.202933,
                       .total_s = 2.429410};
    served x;
    serve(&x, h100(4800e9), llama2_13b(), 1, DF_ENGINE_SERVE, true);
    check_example(&x, shape, &e);
}

static void experts_are_shared_by_two_devices(void **state)
{
    (void)state;
    const double shape[] = {12, 700, 300};
    const example e = {.decode = {.gemm = {13.422, 9.178},
                                  .router = 5.644,
                                  .experts = 538.262,
                                  .streams = 0.348,
                                  .reduce = 4.775,
                                  .attention = 18.555,
                                  .head = 62.899,
                                  .pass = 18950.654},
                       .prefill = {.gemm = {315.451, 218.598},
                                   .router = 28.040,
                                   .experts = 12899.588,
                                   .streams = 243.926,
                                   .reduce = 253.543,
                                   .attention = 113.747,
                                   .head = 62.899,
                                   .pass = 459998.335},
                       .prefill_s = 0.459998,
                       .decode_s = 5.666246,
                       .total_s = 6.126245};
    served x;
    serve(&x, h100(3350e9), mixtral(), 2, DF_ENGINE_SERVE, false);
    x.server.prices.load.as_fitted = true;
    check_example(&x, shape, &e);
}

/* ---- Memory ---- */

static void the_cache_has_what_weights_leave(void **state)
{
    (void)state;
    df_engine_memory m;
    served x;
    serve(&x, a100(), llama2_13b(), 2, DF_ENGINE_SERVE, false);
    df_engine_memory_of(&x.server, &m);
    assert_near(m.weight_bytes, 13.0154e9, 1e5);
    df_assert_rel(m.token_bytes, 409600, 1e-12); /* 2 x 20 heads x 128 x 2 B x 40 layers */
    df_assert_rel(m.tokens, 153067, 1e-12);
    serve(&x, h100(3350e9), llama3_8b(), 1, DF_ENGINE_SERVE, false);
    df_engine_memory_of(&x.server, &m);
    assert_near(m.weight_bytes, 16.0600e9, 1e5);
    df_assert_rel(m.tokens, 457430, 1e-12);
    serve(&x, h100(3350e9), llama3_8b(), 1, DF_ENGINE_SERVE, true);
    df_engine_memory_of(&x.server, &m);
    assert_near(m.weight_bytes, 9.0807e9, 1e5); /* tables stay in 16 bits */
    df_assert_rel(m.tokens, 1010707, 1e-12);
}

/* 1,010,707 tokens of fp8 hold 337 sequences of 3,000. */
static void a_batch_too_large_for_the_cache_runs_in_turns(void **state)
{
    (void)state;
    served x;
    serve(&x, h100(3350e9), llama3_8b(), 1, DF_ENGINE_SERVE, true);
    const df_static_times one = run(&x, 336, 2900, 100);
    const df_static_times two = run(&x, 672, 2900, 100);
    df_assert_rel(one.slots, 336, 1e-12);
    df_assert_rel(one.turns, 1, 1e-12);
    df_assert_rel(two.turns, 2, 1e-12);
    df_assert_rel(two.total_s, 2 * one.total_s, 1e-12);
    df_assert_rel(two.first_token_s, one.first_token_s, 1e-12);
    df_assert_rel(two.middle_ps, one.middle_ps, 1e-12);
    const df_static_times more = run(&x, 373, 2900, 100);
    df_assert_rel(more.total_s, one.total_s + run(&x, 37, 2900, 100).total_s, 1e-12);
    x.engine.max_batch = 16;
    serve_again(&x);
    df_assert_rel(run(&x, 40, 2900, 100).turns, 3, 1e-12);
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), gated(80, 8192, 8, 28672, 32000), 1, DF_ENGINE_SERVE, false);
    const df_static_times t = run(&x, 4, 100, 100);
    assert_false(t.fits);
    df_assert_rel(t.slots, 1, 1e-12);
    x.split.pp = 4;
    serve_again(&x);
    assert_true(run(&x, 4, 100, 100).fits);
}

/* ---- Passes ---- */

/* Between knots nothing jumps where a batch needs another tile. */
static void a_pass_grows_smoothly_with_its_batch(void **state)
{
    (void)state;
    served x;
    serve(&x, h100(3350e9), llama3_8b(), 1, DF_ENGINE_SERVE, false);
    double before_s = decode_s(&x, 4, 1000);
    for (int n = 5; n <= 512; n++) {
        const double now_s = decode_s(&x, n, 1000);
        assert_true(now_s >= before_s * (1 - 1e-3) && now_s <= before_s * 1.03);
        before_s = now_s;
    }
    const double at_knot_s = decode_s(&x, 64, 1000); /* the next one is at 128 */
    const double behind_s = decode_s(&x, 65, 1000);
    x.engine.smooth = 0;
    serve_again(&x);
    df_assert_rel(decode_s(&x, 64, 1000), at_knot_s, 0);
    assert_true(decode_s(&x, 65, 1000) > 1.01 * behind_s);
}

static void better_hardware_is_never_slower(void **state)
{
    (void)state;
    const df_card base = h100(3350e9);
    const double tp = 4;
    served x;
    serve(&x, base, mixtral(), tp, DF_ENGINE_SERVE, false);
    const double before_s[] = {decode_s(&x, 24, 900), prompts_s(&x, 2, 1500, 0)};
    for (int i = 0; i < 6 * 4; i++) {
        static const double factors[] = {1.1, 1.6, 2.5, 3.7};
        df_card card = base;
        double *const figures[] = {&card.flops_ps, &card.clock_hz,    &card.dram_bytes_ps,
                                   &card.l2_bytes, &card.l2_bytes_ps, &card.link_bytes_ps};
        *figures[i / 4] *= factors[i % 4];
        serve(&x, card, mixtral(), tp, DF_ENGINE_SERVE, false);
        assert_true(decode_s(&x, 24, 900) <= 1.005 * before_s[0]);
        assert_true(prompts_s(&x, 2, 1500, 0) <= 1.005 * before_s[1]);
    }
}

/* Kernels of both shapes are launched together: the second adds no start. */
static void chunks_of_two_shapes_share_a_launch(void **state)
{
    (void)state;
    served x;
    serve(&x, h100(3350e9), llama2_7b(), 1, DF_ENGINE_SERVE, false);
    const df_chunks both[] = {{1, 256, 0}, {1, 256, 512}};
    const df_engine_pass pass = {.chunks = both, .kinds = 2, .ends = 1};
    const df_engine_pass first = {.chunks = both, .kinds = 1, .ends = 1};
    df_ops ops;
    df_engine_attention_ops(&x.server, &pass, &ops);
    assert_int_equal(ops.count, 2);
    const double both_us = sum_us(&x.server, &ops, DF_OP_ATTENTION);
    df_engine_attention_ops(&x.server, &first, &ops);
    const double first_us = sum_us(&x.server, &ops, DF_OP_ATTENTION);
    assert_true(both_us > 2 * first_us); /* the other one has more keys */
    /* two alike: the products of both passes are the same, attention is not */
    const df_chunks alike = {2, 256, 0};
    const df_engine_pass same = {.chunks = &alike, .kinds = 1, .ends = 1};
    df_engine_attention_ops(&x.server, &same, &ops);
    const double alike_us = sum_us(&x.server, &ops, DF_OP_ATTENTION);
    const double fixed_us = x.card.is.prefill_fixed_s / US;
    df_assert_rel(df_engine_pass_s(&x.server, &pass) - df_engine_pass_s(&x.server, &same),
                  32 * (both_us - fixed_us - alike_us) * US, 1e-9);
}

static void a_long_prompt_is_cut_where_the_engine_does(void **state)
{
    (void)state;
    served x;
    serve(&x, h100(3350e9), llama3_8b(), 1, DF_ENGINE_SERVE, false);
    x.engine.max_batch_tokens = 2048;
    serve_again(&x);
    const double whole_s = prompts_s(&x, 1, 5000, 0);
    df_assert_rel(run(&x, 3, 5000, 1).prefill_s, 3 * whole_s, 1e-12);
    df_assert_rel(run(&x, 5, 1000, 1).prefill_s,
                  2 * prompts_s(&x, 2, 1000, 0) + prompts_s(&x, 1, 1000, 0), 1e-12);
    x.engine.chunked_prefill = 1;
    serve_again(&x);
    const df_chunks pieces[] = {{1, 2048, 0}, {1, 2048, 2048}, {1, 904, 4096}};
    double sum_s = 0;
    for (int i = 0; i < 3; i++) {
        const df_engine_pass pass = {.chunks = &pieces[i], .kinds = 1, .ends = i == 2 ? 1 : 0};
        sum_s += df_engine_pass_s(&x.server, &pass);
    }
    df_assert_rel(run(&x, 3, 5000, 1).prefill_s, 3 * sum_s, 1e-12);
    assert_true(sum_s > 0.95 * whole_s);
}

/* Each of the profile's numbers does what it says to a decode step of 12 on two devices. */
static void overheads_add_up(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama3_8b(), 2, DF_ENGINE_TENSORRT_LLM_2023, false);
    x.engine.group_reread = 0;
    serve_again(&x);
    const double plain_s = decode_s(&x, 12, 700);
    x.engine.layer_s = 1e-5;
    x.engine.skew_s = 2e-6;
    x.engine.step_s = 1e-3;
    x.engine.parallel_step_s = 2e-3;
    x.engine.sequence_step_s = 1e-4;
    serve_again(&x);
    df_assert_rel(decode_s(&x, 12, 700), plain_s + 32 * (1e-5 + 2 * 2e-6) + 1e-3 + 2e-3 + 12 * 1e-4,
                  1e-12);
    x.engine.ops_layer = 100;
    x.engine.op_time_s = 1e-4; /* longer than the device takes */
    serve_again(&x);
    df_assert_rel(decode_s(&x, 12, 700), 32 * 1e-2 + 1e-3 + 2e-3 + 12 * 1e-4, 1e-12);
}

static void heads_that_do_not_share_read_more(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama3_8b(), 1, DF_ENGINE_TENSORRT_LLM_2023, false);
    const double reread_s = decode_s(&x, 32, 2000);
    x.engine.group_reread = 0;
    serve_again(&x);
    const double shared_s = decode_s(&x, 32, 2000);
    x.engine.group_reread = 1;
    serve_again(&x);
    df_assert_rel(reread_s, shared_s + 0.771 * (decode_s(&x, 32, 2000) - shared_s), 1e-9);
    assert_true(reread_s > 1.05 * shared_s);
}

static void what_a_card_cannot_do_takes_for_ever(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama3_8b(), 1, DF_ENGINE_SERVE, true); /* no fp8 */
    assert_true(isinf(decode_s(&x, 1, 100)));
    df_card alone = a100();
    alone.link_bytes_ps = 0;
    serve(&x, alone, llama3_8b(), 2, DF_ENGINE_SERVE, false);
    assert_true(isinf(decode_s(&x, 1, 100)));
    assert_true(isinf(run(&x, 1, 100, 10).total_s));
}

/* Four devices on PCIe, two of which have a bridge: 2 x 12.5 GB/s for all. An all-reduce of V bytes
 * by NCCL: 8.54 us, 6 x 0.9589 + 0.153 steps of 1 us, 1.5 V / 25 GB/s. */
static void far_devices_share_the_host(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama2_7b(), 4, DF_ENGINE_EAGER, false);
    x.fabric = (df_fabric){.node = 2, .devices = 4, .port_bytes_ps = 12.5e9, .pooled = true};
    x.fabric.inside[DF_AXIS_TP] = 2;
    serve_again(&x);
    df_ops ops;
    df_engine_layer_ops(&x.server, 64, &ops);
    const double bytes = 2 * 64 * 4096;
    df_assert_rel(sum_us(&x.server, &ops, DF_OP_COLLECTIVE),
                  2 * (8.54 + 6 * 0.9589 + 0.153 + 1.5 * bytes / 25e9 / US), 1e-9);
}

/* The same in rings: 3 steps of 20 us each way, and 1.5 V over the two ports that two rings share.
 */
static void far_devices_may_form_rings(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama2_7b(), 4, DF_ENGINE_EAGER, false);
    x.fabric = (df_fabric){
        .node = 2, .devices = 4, .port_bytes_ps = 12.5e9, .step_s = 20 * US, .pooled = true};
    x.fabric.inside[DF_AXIS_TP] = 2;
    x.what.far_rings = true;
    serve_again(&x);
    df_ops ops;
    df_engine_layer_ops(&x.server, 64, &ops);
    const double bytes = 2 * 64 * 4096;
    df_assert_rel(sum_us(&x.server, &ops, DF_OP_COLLECTIVE), 2 * (6 * 20 + 1.5 * bytes / 25e9 / US),
                  1e-9);
}

static double attention_us(const served *x, double sequences, double context)
{
    const df_engine_pass pass = {.sequences = sequences, .context = context};
    df_ops ops;
    df_engine_attention_ops(&x->server, &pass, &ops);
    return sum_us(&x->server, &ops, DF_OP_ATTENTION);
}

/* 32 sequences of 8,192, 64 heads on 8 of 128, H100: 256 blocks are 1.94 waves, or two whole ones;
 * the later fit has 18.10 bytes a cycle, 3.217 us a block and joins with an exponent of 6. */
static void engines_choose_the_attention_of_tokens(void **state)
{
    (void)state;
    static const struct {
        df_decode_kernel_id id;
        double time_us;
    } cases[] = {{DF_DECODE_SERVING, 362.837},
                 {DF_DECODE_MEASURED, 364.531},
                 {DF_DECODE_KERNEL_FIT, 365.084}};
    served x;
    df_dims dims = gated(80, 8192, 8, 28672, 128256);
    serve(&x, h100(3350e9), dims, 1, DF_ENGINE_SERVE, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        x.engine.decode = cases[i].id;
        serve_again(&x);
        df_assert_rel(attention_us(&x, 32, 8192), cases[i].time_us, 1e-5);
    }
}

static void tuned_experts_reach_half_of_the_peak(void **state)
{
    (void)state;
    served x;
    serve(&x, h100(3350e9), mixtral(), 1, DF_ENGINE_SERVE, false);
    const double usual_s = df_engine_experts_s(&x.server, 8192);
    x.engine.experts = DF_EXPERTS_TUNED;
    serve_again(&x);
    const double tuned_s = df_engine_experts_s(&x.server, 8192);
    x.engine.experts = DF_EXPERTS_DEFAULT;
    x.card.is.moe_tensor = 0.5;
    serve_again(&x);
    df_assert_rel(tuned_s, df_engine_experts_s(&x.server, 8192), 0);
    assert_true(tuned_s < 0.65 * usual_s);
}

/* ---- Batches ---- */

static void stages_work_on_parts_of_a_batch(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama2_7b(), 1, DF_ENGINE_TENSORRT_LLM_2024, false);
    const df_static_times part = run(&x, 4, 128, 64);
    x.split.pp = 2;
    serve_again(&x);
    const df_static_times t = run(&x, 8, 128, 64);
    df_assert_rel(t.total_s, part.total_s, 1e-12);
    df_assert_rel(t.tokens_ps, 2 * part.tokens_ps, 1e-12);
    df_assert_rel(t.last_ps, 2 * part.last_ps, 1e-12);
    df_assert_rel(t.memory.token_bytes, part.memory.token_bytes / 2, 1e-12);
}

static void rates_are_those_of_steps(void **state)
{
    (void)state;
    served x;
    serve(&x, a100(), llama3_8b(), 1, DF_ENGINE_SERVE, false);
    const df_static_times t = run(&x, 8, 1000, 201);
    df_assert_rel(t.first_ps, 8 / decode_s(&x, 8, 1001), 1e-12);
    df_assert_rel(t.middle_ps, 8 / decode_s(&x, 8, 1100.5), 1e-12);
    df_assert_rel(t.last_ps, 8 / decode_s(&x, 8, 1200), 1e-12);
    df_assert_rel(t.tokens_ps, 8 * 201 / t.total_s, 1e-12);
    df_assert_rel(t.first_token_s, 5e-3 + prompts_s(&x, 8, 1000, 0), 1e-12);
    double sum_s = 0; /* what Simpson's rule stands for */
    for (int step = 0; step < 200; step++) {
        sum_s += decode_s(&x, 8, 1001 + step);
    }
    df_assert_rel(t.decode_s, sum_s, 1e-3);
    const df_static_times one = run(&x, 8, 1000, 1);
    assert_true(one.decode_s == 0 && one.first_ps == 0);
    df_assert_rel(one.total_s, one.prefill_s, 1e-12);
}

/* ---- Power ---- */

/* 4.922e14 flops, 15.554e12 and 3.2985e12 bytes in 19.0250 s: 157.8 W and 1,910 J. */
static void a_board_takes_its_base_and_its_work(void **state)
{
    (void)state;
    served x;
    df_card card = a100();
    card.dram_bytes_ps = 1555e9;
    serve(&x, card, llama3_8b(), 1, DF_ENGINE_SERVE, false);
    x.what.memory_bytes = 40 * DF_GIB;
    x.what.board = (df_cfg_board){.base_w = 157.8,
                                  .flop_j = 0.5e-12,
                                  .byte_j = 60e-12,
                                  .cache_byte_j = 221.6e-12,
                                  .limit_w = 400};
    serve_again(&x);
    const df_static_batch batch = {16, 1024, 1024};
    df_board_work work;
    df_engine_work(&x.server, &batch, 16, &work);
    assert_near(work.flops, 4.922e14, 1e11);
    assert_near(work.bytes, 1.5554e13, 1e9);
    assert_near(work.cache_bytes, 3.2985e12, 1e8);
    const df_static_times t = run(&x, 16, 1024, 1024);
    assert_near(t.total_s, 19.0250, 1e-4);
    assert_near(t.power_w, 258.21, 1e-2);
    assert_near(t.energy_j, 4912.5, 0.1);
    df_assert_rel(df_board_power_w(&x.what.board, &work, 1), 400, 1e-12);
    x.what.board.base_w = 0; /* nothing is known */
    assert_true(df_board_power_w(&x.what.board, &work, 1) == 0);
}

/* ---- Profiles ---- */

static void each_profile_has_a_name_and_a_source(void **state)
{
    (void)state;
    for (int id = 0; id < DF_ENGINE_COUNT; id++) {
        df_engine e;
        df_engine_preset((df_engine_id)id, &e);
        assert_non_null(df_engine_rows[id].name);
        assert_non_null(df_engine_rows[id].source);
        assert_true(e.prompt_factor >= 1 && e.stream_share > 0 && e.kv_share > 0);
    }
    assert_true(df_engine_rows[DF_ENGINE_VLLM_2024_MI300X].one_set);
    assert_false(df_engine_rows[DF_ENGINE_VLLM_2024].one_set);
}

/* ---- Files ---- */

/* A device of tests whose software has more keys, and lines behind it. */
static df_status parse(const char *software, const char *lines, df_cfg *cfg, df_err *err)
{
    static const char mark[] = "sw_param:\n";
    char *const device = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    const char *const at = strstr(device, mark);
    assert_non_null(at);
    const int head = (int)(at - device + (ptrdiff_t)strlen(mark));
    char text[8192];
    const int length =
        snprintf(text, sizeof text, "%.*s%s%s%s", head, device, software, device + head, lines);
    assert_in_range(length, 1, sizeof text - 1);
    const df_cfg_text hardware = {text, "hw"};
    const df_status status = df_cfg_parse(&hardware, NULL, DF_CFG_NEED_HARDWARE, cfg, err);
    free(device);
    return status;
}

static df_engine engine_of(const char *software, const char *lines)
{
    df_cfg cfg;
    df_err err;
    df_engine e;
    if (parse(software, lines, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_engine_of(&cfg, &e);
    return e;
}

static void assert_engine(df_engine e, df_engine_id id)
{
    df_engine preset;
    df_engine_preset(id, &preset);
    for (size_t i = 0; i < sizeof e / sizeof(double); i++) {
        df_assert_rel(((const double *)&e)[i], ((const double *)&preset)[i], 0);
    }
}

static void a_file_names_an_engine(void **state)
{
    (void)state;
    assert_engine(engine_of("", ""), DF_ENGINE_BATCH_2023);
    assert_engine(engine_of("  engine: vllm_2024\n", ""), DF_ENGINE_VLLM_2024);
    assert_engine(engine_of("  engine: batch\n", ""), DF_ENGINE_BATCH_2023);
    assert_engine(engine_of("", "engine: deepspeed_mii\n"), DF_ENGINE_DEEPSPEED_MII);
}

static void a_file_overrides_numbers_of_a_profile(void **state)
{
    (void)state;
    df_engine e =
        engine_of("  engine: {like: serve, max_batch: 32, kv_reserve: 1 GB, smooth: none, "
                  "throttle: card, chunked_prefill: true}\n"
                  "  kernels: {all_reduce: own_trtllm, decode: kernel_fit, experts: triton_tuned, "
                  "collective: nccl}\n",
                  "");
    df_assert_rel(e.max_batch, 32, 0);
    df_assert_rel(e.kv_reserve_bytes, DF_GIB, 0);
    df_assert_rel(e.smooth, 0, 0);
    df_assert_rel(e.throttle, DF_THROTTLE_CARD, 0);
    df_assert_rel(e.chunked_prefill, 1, 0);
    df_assert_rel(e.all_reduce, DF_REDUCE_TRTLLM, 0);
    df_assert_rel(e.decode, DF_DECODE_KERNEL_FIT, 0);
    df_assert_rel(e.experts, DF_EXPERTS_TUNED, 0);
    df_assert_rel(e.layer_s, 33.4e-6, 0); /* those of serve */
    df_assert_rel(e.front_s, 5e-3, 0);
}

static void an_unknown_engine_is_an_error(void **state)
{
    (void)state;
    df_cfg cfg;
    df_err err;
    assert_int_equal(parse("  engine: vlm_2024\n", "", &cfg, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "vllm_2024"));
    assert_int_equal(parse("  engine: {like: serve, max_batch: -1}\n", "", &cfg, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "sw_param.engine.max_batch"));
    assert_int_equal(parse("  engine: {kv_share: 1.5}\n", "", &cfg, &err), DF_EINVAL);
}

static void formats_are_those_of_the_file(void **state)
{
    (void)state;
    df_cfg cfg;
    df_err err;
    df_hw_device dev = {.core.num_bundle = 1};
    df_deployment what;
    dev.mem[3].size_bytes = 5;
    assert_int_equal(parse("", "", &cfg, &err), DF_OK);
    df_engine_deployment_of(&cfg, &dev, &what);
    assert_int_equal(what.weights, DF_FORMAT_BF16);
    assert_int_equal(what.low, DF_LOW_VENDOR);
    assert_false(what.fp8_cache);
    df_assert_rel(what.memory_bytes, 5, 0);
    cfg.sw.precision.tensor_bytes = 1;
    df_engine_deployment_of(&cfg, &dev, &what);
    assert_int_equal(what.weights, DF_FORMAT_FP8);
    assert_true(what.fp8_cache);
    cfg.sw.precision.tensor_bytes = 4;
    df_engine_deployment_of(&cfg, &dev, &what);
    assert_int_equal(what.weights, DF_FORMAT_TF32);
    assert_false(what.fp8_cache);
    cfg.sw.precision.products = DF_FORMAT_NVFP4;
    cfg.sw.precision.kv_cache_bytes = 2;
    cfg.sw.framework.own.gemm_low = DF_LOW_MEASURED;
    df_engine_deployment_of(&cfg, &dev, &what);
    assert_int_equal(what.weights, DF_FORMAT_NVFP4);
    assert_int_equal(what.low, DF_LOW_MEASURED);
    assert_false(what.fp8_cache);
}

/* 2 experts on each of 4 devices, a quarter of them active: one device has none with 0.5625, at
 * most one with 0.9375; all four with the fourth powers. 2 - 0.10011 - 0.77248. One device has the
 * mean. */
static void the_busiest_device_has_most_experts(void **state)
{
    (void)state;
    df_assert_rel(df_engine_busiest(2, 4, 0.25), 1.12741, 1e-5);
    df_assert_rel(df_engine_busiest(2, 1, 0.25), 0.5, 1e-14);
    df_assert_rel(df_engine_busiest(64, 16, 1), 64, 0);
}

/* Mixtral on 4 H100, a token: shared by the devices, one or two experts of whole width run on the
 * busiest, 1.143 on average; divided, two of a quarter of it do. That is 2.3 times the weights.
 * With many tokens all experts run either way. */
static void shared_experts_wait_for_the_busiest(void **state)
{
    (void)state;
    served x;
    double divided_s[2];
    double shared_s[2];
    serve(&x, h100(3350e9), mixtral(), 4, DF_ENGINE_BATCH_2023, false);
    for (int i = 0; i < 2; i++) {
        divided_s[i] = df_engine_experts_s(&x.server, i == 0 ? 1 : 65536);
    }
    x.split.ep = 4;
    serve_again(&x);
    for (int i = 0; i < 2; i++) {
        shared_s[i] = df_engine_experts_s(&x.server, i == 0 ? 1 : 65536);
    }
    assert_true(shared_s[0] > 1.7 * divided_s[0] && shared_s[0] < 2.4 * divided_s[0]);
    assert_true(shared_s[1] < 1.1 * divided_s[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_batch_of_7b),
        cmocka_unit_test(eight_devices_wait_for_each_other),
        cmocka_unit_test(groups_of_heads_on_eight_devices),
        cmocka_unit_test(serving_engine_with_a_large_vocabulary),
        cmocka_unit_test(weights_and_cache_in_fp8),
        cmocka_unit_test(experts_are_shared_by_two_devices),
        cmocka_unit_test(the_cache_has_what_weights_leave),
        cmocka_unit_test(a_batch_too_large_for_the_cache_runs_in_turns),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(a_pass_grows_smoothly_with_its_batch),
        cmocka_unit_test(better_hardware_is_never_slower),
        cmocka_unit_test(chunks_of_two_shapes_share_a_launch),
        cmocka_unit_test(a_long_prompt_is_cut_where_the_engine_does),
        cmocka_unit_test(overheads_add_up),
        cmocka_unit_test(heads_that_do_not_share_read_more),
        cmocka_unit_test(what_a_card_cannot_do_takes_for_ever),
        cmocka_unit_test(far_devices_share_the_host),
        cmocka_unit_test(far_devices_may_form_rings),
        cmocka_unit_test(engines_choose_the_attention_of_tokens),
        cmocka_unit_test(tuned_experts_reach_half_of_the_peak),
        cmocka_unit_test(stages_work_on_parts_of_a_batch),
        cmocka_unit_test(rates_are_those_of_steps),
        cmocka_unit_test(a_board_takes_its_base_and_its_work),
        cmocka_unit_test(each_profile_has_a_name_and_a_source),
        cmocka_unit_test(a_file_names_an_engine),
        cmocka_unit_test(a_file_overrides_numbers_of_a_profile),
        cmocka_unit_test(an_unknown_engine_is_an_error),
        cmocka_unit_test(formats_are_those_of_the_file),
        cmocka_unit_test(the_busiest_device_has_most_experts),
        cmocka_unit_test(shared_experts_wait_for_the_busiest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
