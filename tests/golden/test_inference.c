/* Inference against the prototype of the calibrated model, which is another implementation, in
 * another language: golden/inference.csv, published runs, and random ones of other models, cards,
 * engines and splits. There, weights of experts may be resident in the L2. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "support/support.h"

enum {
    ID,
    SET,
    DEVICE,
    ARCH,
    MEASURED,
    BUNDLES,
    CLOCK,
    PEAK,
    PEAK_FP8,
    DRAM,
    L2,
    L2_RATE,
    LINKS,
    IN_SWITCH,
    MEMORY,
    BASE_W,
    CACHE_BYTE_J,
    LIMIT_W,
    HOST_BUS,
    PROFILE,
    TP,
    HIDDEN,
    LAYERS,
    HEADS,
    KV_HEADS,
    FFN,
    GATED,
    VOCAB,
    TIED,
    EXPERTS,
    TOP_K,
    FP8,
    FP8_CACHE,
    BATCH,
    INPUT,
    OUTPUT,
    MAX_TOKENS,
    MAX_BATCH,
    METRIC,
    MEASURED_VALUE,
    CONFIRMED,
    DECODE_PASS_S,
    PROMPT_PASS_S,
    PIECE, /* tokens of the last pieces of two prompts, beside whole ones in a pass; 0: none */
    MIXED_PASS_S,
    PREFILL_S,
    DECODE_S,
    TOTAL_S,
    WEIGHT_BYTES,
    TOKEN_BYTES,
    TOKENS,
    SLOTS,
    TURNS,
    POWER_W,
    ENERGY_J,
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
                    .like = is(r, ARCH, "A")   ? DF_ARCH_A100
                            : is(r, ARCH, "L") ? DF_ARCH_L40S
                                               : DF_ARCH_H100,
                    .basis = number(r, MEASURED) > 0 ? DF_BASIS_SISTER : DF_BASIS_RULE};
    card.format_rate[DF_FORMAT_BF16] = 1;
    card.format_rate[DF_FORMAT_FP8] = number(r, PEAK_FP8) / card.flops_ps;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    df_calibration_complete(&card, NULL);
    return card;
}

/* Through the host, which two devices share: half of it is a device's. */
static df_fabric fabric_of(const row *r)
{
    const double bus_bytes_ps = number(r, HOST_BUS);
    df_fabric f = {.node = bus_bytes_ps > 0 ? 2 : number(r, TP),
                   .devices = number(r, TP),
                   .port_bytes_ps = bus_bytes_ps / 2,
                   .pooled = bus_bytes_ps > 0};
    f.inside[DF_AXIS_TP] = fmin(f.node, f.devices);
    return f;
}

static df_engine engine_of(const row *r)
{
    df_engine e;
    int id = 0;
    while (!is(r, PROFILE, df_engine_rows[id].name)) {
        id++;
        assert_true(id < DF_ENGINE_COUNT);
    }
    df_engine_preset((df_engine_id)id, &e);
    e.max_batch_tokens = number(r, MAX_TOKENS);
    e.max_batch = number(r, MAX_BATCH);
    return e;
}

static df_dims dims_of(const row *r)
{
    static const df_cfg_attention attention = {.use_flashattention = true,
                                               .attention_tile_size = 128};
    return (df_dims){.layers = number(r, LAYERS),
                     .sequence = number(r, INPUT) + number(r, OUTPUT),
                     .hidden = number(r, HIDDEN),
                     .vocab = number(r, VOCAB),
                     .heads = number(r, HEADS),
                     .kv_heads = number(r, KV_HEADS),
                     .head_dim = number(r, HIDDEN) / number(r, HEADS),
                     .ffn = number(r, FFN),
                     .ffn_in = number(r, FFN) * (number(r, GATED) > 0 ? 2 : 1),
                     .experts = number(r, EXPERTS),
                     .top_k = number(r, TOP_K),
                     .gated = number(r, GATED) > 0,
                     .tied = number(r, TIED) > 0,
                     .attention = &attention,
                     .bytes = {2, 2, 2, 4, 2, 2, 4, 0}};
}

typedef struct {
    df_card card;
    df_fabric fabric;
    df_dims dims;
    df_stack stack;
    df_split split;
    df_engine engine;
    df_server server;
} served;

static void serve(const row *r, served *x)
{
    x->card = card_of(r);
    x->fabric = fabric_of(r);
    x->dims = dims_of(r);
    x->split = (df_split){.tp = number(r, TP), .cp = 1, .dp = 1, .pp = 1, .micro_batches = 1};
    x->engine = engine_of(r);
    df_stack_of(&x->dims, &x->stack);
    const df_deployment what = {.stack = &x->stack,
                                .split = &x->split,
                                .card = &x->card,
                                .fabric = &x->fabric,
                                .weights = number(r, FP8) > 0 ? DF_FORMAT_FP8 : DF_FORMAT_BF16,
                                .low = DF_LOW_VENDOR,
                                .fp8_cache = number(r, FP8_CACHE) > 0,
                                .memory_bytes = number(r, MEMORY),
                                .board = {.base_w = number(r, BASE_W),
                                          .flop_j = 0.5e-12,
                                          .byte_j = 60e-12,
                                          .cache_byte_j = number(r, CACHE_BYTE_J),
                                          .limit_w = number(r, LIMIT_W)}};
    df_engine_server(&x->engine, &what, &x->server);
    x->server.prices.load.as_fitted = true;
}

/* ---- Its times ---- */

static void expect(const row *r, int column, double ours)
{
    char what[256];
    snprintf(what, sizeof what, "%s %s %s tp %s, %s of %s and %s: column %d", r->word[PROFILE],
             r->word[ID], r->word[DEVICE], r->word[TP], r->word[BATCH], r->word[INPUT],
             r->word[OUTPUT], column);
    df_assert_rel_at(ours, number(r, column), tolerance, what, __FILE__, __LINE__);
}

static void check_passes(const row *r, const df_server *s)
{
    const double input = number(r, INPUT);
    const double n = fmin(number(r, BATCH), number(r, SLOTS));
    const double context = input + number(r, OUTPUT) / 2;
    const double piece = number(r, PIECE);
    const df_engine_pass decode = {.sequences = n, .context = context};
    expect(r, DECODE_PASS_S, df_engine_pass_s(s, &decode));
    const df_chunks prompts = {fmin(n, 4), input, 0};
    const df_engine_pass prompt = {.chunks = &prompts, .kinds = 1, .ends = prompts.count};
    expect(r, PROMPT_PASS_S, df_engine_pass_s(s, &prompt));
    const df_chunks pieces[] = {{2, piece, input - piece}, {1, input, 0}};
    const df_chunks whole = {3, input, 0};
    const df_engine_pass mixed = {.sequences = n,
                                  .context = context,
                                  .chunks = piece > 0 ? pieces : &whole,
                                  .kinds = piece > 0 ? 2 : 1,
                                  .ends = 2};
    expect(r, MIXED_PASS_S, df_engine_pass_s(s, &mixed));
}

static void check_batch(const row *r, const df_server *s)
{
    const df_static_batch batch = {number(r, BATCH), number(r, INPUT), number(r, OUTPUT)};
    df_static_times t;
    df_engine_static(s, &batch, &t);
    expect(r, PREFILL_S, t.prefill_s);
    expect(r, DECODE_S, t.decode_s);
    expect(r, TOTAL_S, t.total_s);
    expect(r, WEIGHT_BYTES, t.memory.weight_bytes);
    expect(r, TOKEN_BYTES, t.memory.token_bytes);
    if (number(r, TOKENS) > 0) { /* weights fit */
        expect(r, TOKENS, t.memory.tokens);
    }
    expect(r, SLOTS, t.slots);
    expect(r, TURNS, t.turns);
    if (number(r, POWER_W) > 0) {
        expect(r, POWER_W, t.power_w);
        expect(r, ENERGY_J, t.energy_j);
    }
}

static row read_row(char *line)
{
    row r;
    char *rest;
    for (int i = 0; i < COLUMNS; i++) {
        r.word[i] = strtok_r(i == 0 ? line : NULL, ",", &rest);
        assert_non_null(r.word[i]);
    }
    assert_null(strtok_r(NULL, ",", &rest));
    return r;
}

static void passes_and_batches_take_what_the_prototype_says(void **state)
{
    (void)state;
    int seen = 0;
    char *const text = df_read_file(DF_TEST_DATA "/golden/inference.csv");
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '#') {
            const row r = read_row(line);
            served x;
            serve(&r, &x);
            check_passes(&r, &x.server);
            check_batch(&r, &x.server);
            seen++;
        }
    }
    assert_in_range(seen, 540, 560);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_and_batches_take_what_the_prototype_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
