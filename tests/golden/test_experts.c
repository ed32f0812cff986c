/* Training steps of models with experts and of Mamba hybrids against the prototype of the
 * calibrated model, as in test_training.c: golden/experts.csv. The prototype has the parts of each
 * stage and the layout apart, and so has this test. Deliberately not compared: windows, which the
 * prototype spreads over all layers. */
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
    HIDDEN,
    LAYERS,
    HEADS,
    KV_HEADS,
    HEAD_DIM,
    FFN,
    GATED,
    VOCAB,
    SEQUENCE,
    BATCH,
    BATCHES,
    TP,
    CP,
    DP,
    PP,
    PARTS,
    EP,
    SPLIT_SEQUENCE,
    ZERO,
    PRODUCTS,
    EXPERTS,
    TOP_K,
    EXPERT_SIZE,
    SHARED,
    DENSE,
    GROUP_LIMIT,
    Q_RANK,
    KV_RANK,
    NOPE,
    ROPE,
    VALUE,
    PATTERN,
    STATE_HEADS,
    STATE_HEAD_DIM,
    STATE_GROUPS,
    STATE,
    GRAPH,
    DISPATCHER,
    SMS,
    OVERLAPS,
    SHARED_OVERLAPS,
    FUSED,
    ROUTER_PADS,
    CAPACITY_PADS,
    STASH,
    MODULES,
    LAYOUT,
    TP_OVERLAPS,
    FP8_ATTENTION,
    ENDS_AS_LAYERS,
    PREDICTIONS,
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
                   .message_s = number(r, MESSAGE_S)};
    const double tp = number(r, TP);
    const double cp = number(r, CP);
    f.inside[DF_AXIS_TP] = inside(r, 1, tp);
    f.inside[DF_AXIS_CP] = inside(r, tp, cp);
    f.inside[DF_AXIS_DP] = inside(r, tp * cp, number(r, DP));
    return f;
}

static double word(const row *r, int column, const char *const words[], int count)
{
    for (int i = 0; i < count; i++) {
        if (is(r, column, words[i])) {
            return i;
        }
    }
    fail_msg("%s: %s is not known", r->word[ID], r->word[column]);
    return 0;
}

static df_framework framework_of(const row *r)
{
    static const char *const graphs[] = {"none", "router", "attention", "iteration"};
    static const char *const dispatchers[] = {"alltoall", "deepep", "hybridep"};
    df_framework w;
    df_framework_preset(DF_FRAMEWORK_NEMO, &w);
    w.throttle_join = DF_THROTTLE_OUTSIDE;
    w.graph = word(r, GRAPH, graphs, 4);
    w.dispatcher = word(r, DISPATCHER, dispatchers, 3);
    w.dispatcher_sms = number(r, SMS);
    w.exchange_overlaps = number(r, OVERLAPS);
    w.shared_overlaps = number(r, SHARED_OVERLAPS);
    w.grouped = number(r, FUSED) > 0 ? DF_GROUPED_FUSED : DF_GROUPED_LOOP;
    w.router_pads = number(r, ROUTER_PADS);
    w.capacity_pads = number(r, CAPACITY_PADS);
    w.paged_stash = number(r, STASH);
    w.fp8_attention = number(r, FP8_ATTENTION);
    w.overlap_tensor = number(r, TP_OVERLAPS) > 0 ? DF_OVERLAP_CHUNKED : DF_OVERLAP_NONE;
    w.stage_split = number(r, ENDS_AS_LAYERS) > 0 ? DF_STAGES_ENDS_AS_LAYERS : DF_STAGES_EVEN;
    return w;
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
    static const df_cfg_attention attention[] = {
        {.use_flashattention = true, .attention_tile_size = 128},
        {.use_flashattention = true,
         .attention_tile_size = 128,
         .attention_type = DF_ATTENTION_MLA,
         .absorbed = true}};
    const double ways = number(r, GATED) > 0 ? 2 : 1;
    return (df_dims){.layers = number(r, LAYERS),
                     .sequence = number(r, SEQUENCE),
                     .hidden = number(r, HIDDEN),
                     .vocab = number(r, VOCAB),
                     .mixer = DF_MIX_FULL,
                     .ffn_kind = DF_FFN_EXPERTS,
                     .heads = number(r, HEADS),
                     .kv_heads = number(r, KV_HEADS),
                     .head_dim = number(r, HEAD_DIM),
                     .group_limit = number(r, GROUP_LIMIT),
                     .latent = {number(r, Q_RANK), number(r, KV_RANK), number(r, NOPE),
                                number(r, ROPE), number(r, VALUE)},
                     .ffn = number(r, EXPERT_SIZE),
                     .ffn_in = ways * number(r, EXPERT_SIZE),
                     .experts = number(r, EXPERTS),
                     .top_k = number(r, TOP_K),
                     .shared = number(r, SHARED),
                     .gated = ways > 1,
                     .attention = &attention[number(r, KV_RANK) > 0],
                     .bytes = {2, 2, 2, 4, 2, 2, 4, 0}};
}

static void make_plain(df_dims *d)
{
    d->ffn_kind = DF_FFN_NONE;
    d->experts = 1;
    d->top_k = 1;
    d->shared = 0;
    d->ffn = 0;
    d->ffn_in = 0;
}

/* Kind 0 has experts; kind 1 is attention or a dense layer, kind 2 a scan. */
static void stack_of(const row *r, const df_dims *all, uint8_t of[DF_LAYERS_MAX], df_stack *out)
{
    const bool hybrid = !is(r, PATTERN, "-");
    const int dense = (int)number(r, DENSE);
    df_stack_of(all, out);
    if (!hybrid && dense == 0) {
        return;
    }
    out->of = of;
    out->kinds = hybrid ? 3 : 2;
    out->kind[1] = *all;
    out->kind[2] = *all;
    make_plain(&out->kind[1]);
    make_plain(&out->kind[2]);
    if (hybrid) {
        out->kind[0].mixer = DF_MIX_NONE;
        out->kind[2].mixer = DF_MIX_MAMBA2;
        out->kind[2].scan = (df_scan){.heads = number(r, STATE_HEADS),
                                      .head_dim = number(r, STATE_HEAD_DIM),
                                      .groups = number(r, STATE_GROUPS),
                                      .state = number(r, STATE),
                                      .conv = 4,
                                      .chunk = 128,
                                      .bytes = 4};
    } else {
        out->kind[1].ffn_kind = DF_FFN_DENSE;
        out->kind[1].ffn = number(r, FFN);
        out->kind[1].ffn_in = 2 * number(r, FFN);
    }
    for (int i = 0; i < (int)all->layers; i++) {
        const int letter = hybrid ? r->word[PATTERN][i] : i < dense ? '*' : 'E';
        of[i] = letter == 'E' ? 0 : letter == '*' ? 1 : 2;
    }
}

static df_split split_of(const row *r)
{
    return (df_split){.tp = number(r, TP),
                      .cp = number(r, CP),
                      .dp = number(r, DP),
                      .pp = number(r, PP),
                      .ep = number(r, EP),
                      .micro_batches = number(r, BATCHES),
                      .batch = number(r, BATCH),
                      .sequence_ways = 1};
}

typedef struct {
    const df_framework *w;
    df_train train;
    df_coster coster;
    df_layer_times layer[DF_LAYER_KINDS];
    df_end_times ends;
} work;

static void time_kind(work *x, const df_calibrated *options, int kind)
{
    const df_dims *const d = &x->train.stack->kind[kind];
    const df_split *const split = x->train.split;
    df_span span = df_span_of(d, split, d->sequence, d->sequence, false);
    df_ops ops;
    df_price price[DF_OPS_MAX];
    x->train.dims = d;
    df_transformer_build(d, split, &span, &ops);
    df_train_edit(x->w, &x->train, &ops);
    assert_int_equal(df_price_ops(&x->coster, ops.op, ops.count, price), DF_OK);
    df_train_layer(x->w, &x->train, options, &ops, price, &x->layer[kind]);
    if (kind == 0) {
        df_train_ends(&ops, price, &x->ends);
    }
}

static void check(const row *r)
{
    const df_framework w = framework_of(r);
    const df_fabric fabric = fabric_of(r);
    const df_dims dims = dims_of(r);
    const df_split split = split_of(r);
    const bool laid = !is(r, LAYOUT, "-");
    uint8_t of[DF_LAYERS_MAX];
    df_stack stack;
    df_cfg_layout layout;
    df_err err;
    df_train_times t;
    stack_of(r, &dims, of, &stack);
    if (laid) {
        assert_int_equal(df_cfg_layout_parse(r->word[LAYOUT], &layout, &err), DF_OK);
    }
    work x = {.w = &w,
              .train = {.dims = &stack.kind[0],
                        .stack = &stack,
                        .split = &split,
                        .sequence = number(r, SPLIT_SEQUENCE) > 0 && split.tp > 1,
                        .fused = true,
                        .zero_stage = (int64_t)number(r, ZERO),
                        .modules = (unsigned)number(r, MODULES),
                        .layout = laid ? &layout : NULL,
                        .predictions = number(r, PREDICTIONS),
                        .parts = number(r, PARTS)}};
    const df_card card = card_of(r);
    const df_calibrated options = df_train_prices(&w, &x.train, &card, &fabric, format_of(r));
    df_hw_device dev = {.launch_overhead_s = card.is.gemm_kernel_s};
    x.coster = (df_coster){.model = &df_cost_calibrated, .options = &options, .dev = &dev};
    x.coster.topo.axis[DF_AXIS_TP].members = split.tp;
    x.coster.topo.axis[DF_AXIS_CP].members = split.cp;
    for (int k = 0; k < stack.kinds; k++) {
        time_kind(&x, &options, k);
    }
    x.train.dims = &stack.kind[0];
    df_train_step(&w, &x.train, &options, x.layer, &x.ends, &t);
    const df_layer_times layer = x.layer[0];
    /* the prototype's hybrids exchange between nodes without the start of a bucket for each layer
     */
    const bool buckets = !is(r, PATTERN, "-") && number(r, DEVICES) > number(r, NODE);
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
        if (!buckets || (i != 5 && i != 7)) {
            df_assert_rel_at(ours[i], number(r, FORWARD_S + i), tolerance, what, __FILE__,
                             __LINE__);
        }
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

static void steps_with_experts_take_what_the_prototype_says(void **state)
{
    (void)state;
    int seen = 0;
    char *const text = df_read_file(DF_TEST_DATA "/golden/experts.csv");
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '#') {
            const row r = read_row(line);
            check(&r);
            seen++;
        }
    }
    assert_in_range(seen, 60, 200);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_with_experts_take_what_the_prototype_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
