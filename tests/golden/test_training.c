/* Training steps against the prototype of the calibrated model, which is another implementation, in
 * another language: golden/training.csv, published runs and runs like them with other splits. The
 * slowdown of long products counts outside the join there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "framework/framework.h"
#include "support/support.h"

enum {
    ID,
    DEVICE,
    ARCH,
    BUNDLES,
    CLOCK,
    PEAK,
    PEAK_FP8,
    PEAK_FP4,
    DRAM,
    L2,
    L2_RATE,
    LINKS,
    IN_SWITCH,
    THROTTLE,
    PROFILE,
    DEVICES,
    NODE,
    PORT,
    STEP_S,
    MESSAGE_S,
    POOLED,
    HIDDEN,
    LAYERS,
    HEADS,
    KV_HEADS,
    FFN,
    GATED,
    VOCAB,
    TIED,
    SEQUENCE,
    BATCH,
    BATCHES,
    TP,
    CP,
    DP,
    PP,
    PARTS,
    SPLIT_SEQUENCE,
    RECOMPUTE,
    RECOMPUTED,
    ZERO,
    FROZEN,
    PRODUCTS,
    FORWARD_S,
    BACKWARD_S,
    STEADY_S,
    HOPS_S,
    FILL_S,
    EXCHANGE_S,
    OPTIMIZER_S,
    TIME_S,
    COLUMNS
};

static const double tolerance = 1e-6;

typedef struct {
    char *word[COLUMNS];
} row;

static double number(const row *r, int column)
{
    return strtod(r->word[column], NULL);
}

static bool is(const row *r, int column, const char *text)
{
    return strcmp(r->word[column], text) == 0;
}

/* ---- What a row describes ---- */

static df_card card_of(const row *r)
{
    df_card card = {.bundles = number(r, BUNDLES),
                    .clock_hz = number(r, CLOCK),
                    .flops_ps = number(r, PEAK),
                    .dram_bytes_ps = number(r, DRAM),
                    .l2_bytes = number(r, L2),
                    .l2_bytes_ps = number(r, L2_RATE),
                    .link_bytes_ps = number(r, LINKS),
                    .in_switch = number(r, IN_SWITCH) > 0,
                    .like = is(r, ARCH, "A") ? DF_ARCH_A100 : DF_ARCH_H100};
    card.format_rate[DF_FORMAT_BF16] = 1;
    card.format_rate[DF_FORMAT_FP8] = number(r, PEAK_FP8) / card.flops_ps;
    card.format_rate[DF_FORMAT_NVFP4] = number(r, PEAK_FP4) / card.flops_ps;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    if (number(r, THROTTLE) >= 0) {
        card.is.gemm_throttle = number(r, THROTTLE);
    }
    return card;
}

static double inside(const row *r, double stride, double degree)
{
    const double node = fmin(number(r, NODE), number(r, DEVICES));
    return stride <= node ? fmax(1, fmin(degree, floor(node / stride))) : 1;
}

static df_fabric fabric_of(const row *r)
{
    df_fabric f = {.node = fmin(number(r, NODE), number(r, DEVICES)),
                   .devices = number(r, DEVICES),
                   .port_bytes_ps = number(r, PORT),
                   .step_s = number(r, STEP_S),
                   .message_s = number(r, MESSAGE_S),
                   .pooled = number(r, POOLED) > 0};
    const double tp = number(r, TP);
    const double cp = number(r, CP);
    f.inside[DF_AXIS_TP] = inside(r, 1, tp);
    f.inside[DF_AXIS_CP] = inside(r, tp, cp);
    f.inside[DF_AXIS_DP] = inside(r, tp * cp, number(r, DP));
    return f;
}

static df_framework framework_of(const row *r)
{
    df_framework w;
    int id = 0;
    while (!is(r, PROFILE, df_framework_rows[id].name)) {
        id++;
        assert_true(id < DF_FRAMEWORK_COUNT);
    }
    df_framework_preset((df_framework_id)id, &w);
    w.throttle_join = DF_THROTTLE_OUTSIDE;
    return w;
}

static df_recompute recompute_of(const row *r)
{
    if (is(r, RECOMPUTE, "full")) {
        return DF_RECOMPUTE_FULL;
    }
    if (is(r, RECOMPUTE, "selective")) {
        return DF_RECOMPUTE_SELECTIVE;
    }
    return is(r, RECOMPUTE, "selective-op") ? DF_RECOMPUTE_OPERATORS : DF_RECOMPUTE_NONE;
}

static df_format format_of(const row *r)
{
    if (is(r, PRODUCTS, "nvfp4")) {
        return DF_FORMAT_NVFP4;
    }
    if (is(r, PRODUCTS, "mxfp8")) {
        return DF_FORMAT_MXFP8;
    }
    return is(r, PRODUCTS, "fp8") ? DF_FORMAT_FP8 : DF_FORMAT_BF16;
}

/* ---- A step ---- */

static df_dims dims_of(const row *r)
{
    static const df_cfg_attention attention = {.use_flashattention = true,
                                               .attention_tile_size = 128};
    return (df_dims){.layers = number(r, LAYERS),
                     .sequence = number(r, SEQUENCE),
                     .hidden = number(r, HIDDEN),
                     .vocab = number(r, VOCAB),
                     .heads = number(r, HEADS),
                     .kv_heads = number(r, KV_HEADS),
                     .head_dim = number(r, HIDDEN) / number(r, HEADS),
                     .ffn = number(r, FFN),
                     .ffn_in = number(r, FFN) * (number(r, GATED) > 0 ? 2 : 1),
                     .experts = 1,
                     .top_k = 1,
                     .gated = number(r, GATED) > 0,
                     .tied = number(r, TIED) > 0,
                     .attention = &attention,
                     .bytes = {2, 2, 2, 4, 2, 2, 4, 0}};
}

static df_split split_of(const row *r)
{
    return (df_split){.tp = number(r, TP),
                      .cp = number(r, CP),
                      .dp = number(r, DP),
                      .pp = number(r, PP),
                      .micro_batches = number(r, BATCHES),
                      .batch = number(r, BATCH),
                      .sequence_ways = 1};
}

static void check(const row *r)
{
    const df_framework w = framework_of(r);
    const df_fabric fabric = fabric_of(r);
    const df_dims dims = dims_of(r);
    const df_split split = split_of(r);
    const df_span span = df_span_of(&dims, &split, dims.sequence, dims.sequence, false);
    df_stack stack;
    df_stack_of(&dims, &stack);
    const df_train train = {.dims = &dims,
                            .stack = &stack,
                            .split = &split,
                            .sequence = number(r, SPLIT_SEQUENCE) > 0,
                            .frozen = number(r, FROZEN) > 0,
                            .fused = w.prefill != DF_PREFILL_UNFUSED,
                            .recompute = recompute_of(r),
                            .recompute_layers = number(r, RECOMPUTED),
                            .zero_stage = (int64_t)number(r, ZERO),
                            .parts = number(r, PARTS)};
    const df_card card = card_of(r);
    const df_calibrated options = df_train_prices(&w, &train, &card, &fabric, format_of(r));
    df_coster coster = {.model = &df_cost_calibrated, .options = &options};
    coster.topo.axis[DF_AXIS_TP].members = split.tp;
    coster.topo.axis[DF_AXIS_CP].members = split.cp;
    df_hw_device dev = {.launch_overhead_s = card.is.gemm_kernel_s};
    coster.dev = &dev;
    df_ops ops;
    df_price price[DF_OPS_MAX];
    df_layer_times layer;
    df_end_times ends;
    df_train_times t;
    df_transformer_build(&dims, &split, &span, &ops);
    df_train_edit(&w, &train, &ops);
    assert_int_equal(df_price_ops(&coster, ops.op, ops.count, price), DF_OK);
    df_train_layer(&w, &train, &options, &ops, price, &layer);
    df_train_ends(&ops, price, &ends);
    df_train_step(&w, &train, &options, &layer, &ends, &t);
    const double ours[] = {layer.time_s[DF_FORWARD],
                           layer.time_s[DF_BACKWARD],
                           t.steady_s,
                           t.hops_s,
                           t.fill_s,
                           t.exchange_s,
                           t.optimizer_s,
                           t.time_s};
    for (int i = 0; i < COLUMNS - FORWARD_S; i++) {
        char what[256];
        snprintf(what, sizeof what, "%s %s tp %s cp %s dp %s pp %s: figure %d", r->word[PROFILE],
                 r->word[ID], r->word[TP], r->word[CP], r->word[DP], r->word[PP], i);
        df_assert_rel_at(ours[i], number(r, FORWARD_S + i), tolerance, what, __FILE__, __LINE__);
    }
}

static row read_row(char *line)
{
    row r;
    char *rest;
    int count = 0;
    memset(&r, 0, sizeof r);
    for (int i = 0; i < COLUMNS; i++) {
        r.word[i] = line + strlen(line); /* "" */
    }
    for (char *word = strtok_r(line, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        assert_true(count < COLUMNS);
        r.word[count++] = word;
    }
    assert_int_equal(count, COLUMNS);
    return r;
}

static void steps_take_what_the_prototype_says(void **state)
{
    (void)state;
    int seen = 0;
    char *const text = df_read_file(DF_TEST_DATA "/golden/training.csv");
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '#') {
            const row r = read_row(line);
            check(&r);
            seen++;
        }
    }
    assert_in_range(seen, 490, 510);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_take_what_the_prototype_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
