/* What a model is: parameters, operations and cache of every kind of layer, worked out by hand.
 *
 * All models here have hidden_dim 8, 2 heads, vocab_size 10, intermediate_size 16 and norms of 8
 * numbers. Their ends are two tables of 80 and a norm of 8; a layer has two norms, 16, and a gated
 * feed-forward network, 3 * 8 * 16 = 384. */
#include <string.h>

#include "model/describe.h"
#include "support/support.h"

enum { ENDS = 2 * 80 + 8, NORMS = 16, FFN = 384, CONTEXT = 10 };

static void read_cfg(const char *layers, const char *attention, const char *more, df_cfg *cfg)
{
    char text[2048];
    df_err err;
    snprintf(text, sizeof text,
             "model_param:\n  mode: LLM\n  run_type: inference\n  model_type: llama\n"
             "  tied_embeddings: false\n  batch_size: 1\n  seq_len: 64\n  decode_len: 1\n"
             "  num_layers: 1\n  hidden_dim: 8\n  intermediate_size: 16\n  vocab_size: 10\n"
             "  %s\n%s  attention: {%s}\n",
             layers, more, attention);
    const df_cfg_text file = {text, "it"};
    if (df_cfg_parse(NULL, &file, DF_CFG_NEED_MODEL | DF_CFG_ANY_LAYERS | DF_CFG_ANY_DEGREES, cfg,
                     &err) != DF_OK) {
        fail_msg("%s\n%s", err.text, text);
    }
    cfg->sw.precision.tensor_bytes = 2.0;
}

static df_description describe(const char *layers, const char *attention, const char *more)
{
    df_cfg cfg;
    df_description d;
    read_cfg(layers, attention, more, &cfg);
    df_describe(&cfg, CONTEXT, &d);
    return d;
}

#define MHA "attention_type: mha, num_heads: 2"
#define DENSE "  num_experts: 1\n  top_k: 1\n"

static void is(double found, double expected)
{
    if (found != expected) {
        fail_msg("found %.17g, expected %.17g", found, expected);
    }
}

/* ---- Attention ---- */

/* Heads of 6: queries 8 * 12, keys and values of one head 2 * 8 * 6, the output 12 * 8; norms of
 * queries and keys 6 each, biases 12 + 2 * 6 and 8, a sink for each head. A token adds 2 * 6
 * numbers of 2 bytes, and its flops are 2 for each weight, 2 * 80 for the head, and 4 * 2 * 6 for
 * each key. */
static void heads_have_their_own_width(void **state)
{
    (void)state;
    const double weights = 96 + 96 + 96;
    const df_description d =
        describe("layers: full",
                 "attention_type: gqa, num_heads: 2, kv_heads: 1, head_dim: 6, "
                 "qk_norm: head, bias: all, sinks: true",
                 DENSE);
    is(d.part[DF_COUNT_ATTENTION].params, weights + 12 + (12 + 12 + 8) + 2);
    is(d.total.params, ENDS + NORMS + FFN + weights + 12 + 32 + 2);
    is(d.cache_token_bytes, 2 * 6 * 2);
    is(d.cache_bytes, 2 * 6 * 2 * CONTEXT);
    is(d.total.flops, 2 * (weights + FFN + 80));
    is(d.mixing_flops, 4 * 2 * 6 * CONTEXT);
    /* the mean of 1 to 10 keys is 5.5 */
    is(d.mixing_mean_flops, 4 * 2 * 6 * 5.5);
}

/* qk_norm all: a scale for each of 2 * 4 numbers of queries and of keys. A gate doubles queries. */
static void norms_and_gates_count(void **state)
{
    (void)state;
    is(describe("layers: full", MHA ", qk_norm: all", DENSE).part[DF_COUNT_ATTENTION].params,
       4 * 64 + 16);
    is(describe("layers: full", MHA ", gate: true", DENSE).part[DF_COUNT_ATTENTION].params, 5 * 64);
    is(describe("layers: full", MHA, DENSE "  norm: plain\n").part[DF_COUNT_NORMS].params, 0);
    is(describe("layers: full", MHA, DENSE "  norm: layer\n  norms: 1\n")
           .part[DF_COUNT_NORMS]
           .params,
       2 * 8 + 2 * 8);
    is(describe("layers: full", MHA, DENSE "  ffn_bias: true\n").part[DF_COUNT_FFN].params,
       FFN + 32 + 8);
}

/* Queries of a latent width of 5: 8 * 5 + 5 * 8 in place of 64, and its norm. */
static void latent_queries_of_heads_count(void **state)
{
    (void)state;
    is(describe("layers: full", MHA ", q_rank: 5", DENSE).part[DF_COUNT_ATTENTION].params,
       40 + 40 + 3 * 64 + 5);
}

/* The cache of a token is 2 * 8 numbers; of 10 tokens a window of 4 keeps 4, to which the last one
 * attends. The mean of min(n, 4) for n = 1 to 10 is (1 + 2 + 3 + 4 * 7) / 10 = 3.4. */
static void windows_bound_cache_and_operations(void **state)
{
    (void)state;
    const df_description d = describe("layers: window", MHA ", window: 4", DENSE);
    is(d.cache_token_bytes, 32);
    is(d.cache_bytes, 4 * 32);
    is(d.mixing_flops, 4 * 8 * 4);
    df_assert_rel(d.mixing_mean_flops, 4 * 8 * 3.4, 1e-12);
    is(describe("layers: window window=3", MHA ", window: 4", DENSE).cache_bytes, 3 * 32);
}

/* The 10th of chunks of 4 is the second of its chunk. */
static void chunks_start_anew(void **state)
{
    (void)state;
    const df_description d = describe("layers: chunked", MHA ", chunk: 4", DENSE);
    is(d.mixing_flops, 4 * 8 * 2);
    is(d.cache_bytes, 4 * 32);
}

#define MLA "attention_type: mla, num_heads: 2, kv_rank: 6, nope_dim: 3, rope_dim: 2, value_dim: 4"

/* Queries 8 * 5 + 5 * 2 * (3 + 2) = 90, or 8 * 10 = 80 without a rank; keys and values
 * 8 * (6 + 2) + 6 * 2 * (3 + 4) = 148; the output 2 * 4 * 8 = 64; norms of 5 and 6. A token keeps
 * 6 + 2 numbers; a key and its value cost 2 * 2 * (3 + 2 + 4) flops. */
static void latent_attention_counts(void **state)
{
    (void)state;
    const df_description d = describe("layers: full", MLA ", q_rank: 5", DENSE);
    is(d.part[DF_COUNT_ATTENTION].params, 90 + 148 + 64 + 11);
    is(d.cache_token_bytes, 16);
    is(d.mixing_flops, 2 * 2 * 9 * CONTEXT);
    is(describe("layers: full", MLA, DENSE).part[DF_COUNT_ATTENTION].params, 80 + 148 + 64 + 6);
}

/* An indexer of 2 heads of 3: queries 5 * 6, a key 8 * 3, weights 8 * 2; 4 tokens are chosen. */
static void indexers_choose_tokens(void **state)
{
    (void)state;
    const df_description d = describe(
        "layers: full", MLA ", q_rank: 5, index_heads: 2, index_dim: 3, index_top_k: 4", DENSE);
    is(d.part[DF_COUNT_ATTENTION].params, 90 + 148 + 64 + 11 + 30 + 24 + 16);
    is(d.mixing_flops, 2 * 2 * 9 * 4);
    is(d.cache_bytes, 16 * CONTEXT);
}

#define COMPRESSED                                                                                 \
    "attention_type: gqa, num_heads: 2, kv_heads: 1, q_rank: 5, out_rank: 3, out_groups: 2, "      \
    "window: 4, index_heads: 2, index_dim: 3, index_top_k: 1"

/* Queries 5 * (8 + 8) = 80, the key 8 * 4 = 32, the output 8 * 3 + 2 * 3 * 8 = 72; norms 5 + 4.
 * Groups of 4 overlap: two series of values and gates, 8 * 2 * 2 * 4 = 128, and 4 * (1 + 2 * 4) for
 * a norm and places; their indexer has 5 * 6 + 8 * 2 and groups of its own, 8 * 2 * 2 * 3 = 96, and
 * chooses 1 of floor(10 / 4) = 2 groups. Groups of 5 and more have one series, 8 * 2 * 4 = 64, norm
 * and places 4 * (1 + 5), and all of floor(10 / 5) = 2 groups are attended to. */
static void compressed_attention_counts(void **state)
{
    (void)state;
    const df_description near = describe("layers: compressed", COMPRESSED, DENSE);
    const df_description four = describe("layers: compressed ratio=4", COMPRESSED, DENSE);
    const df_description five = describe("layers: compressed ratio=5", COMPRESSED, DENSE);
    is(near.part[DF_COUNT_ATTENTION].params, 80 + 32 + 72 + 9);
    is(four.part[DF_COUNT_ATTENTION].params, 80 + 32 + 72 + 9 + 128 + 36 + 30 + 16 + 96);
    is(five.part[DF_COUNT_ATTENTION].params, 80 + 32 + 72 + 9 + 64 + 24);
    is(near.cache_bytes, 4 * 2 * 4);
    is(four.cache_bytes, 4 * 2 * (4 + 2));
    is(near.mixing_flops, 4 * 8 * 4);
    is(four.mixing_flops, 4 * 8 * (4 + 1));
    is(five.mixing_flops, 4 * 8 * (4 + 2));
}

/* Cross-attention has all its weights and keeps nothing of a token; a layer that takes keys and
 * values from another has queries and the output alone. */
static void some_layers_keep_nothing(void **state)
{
    (void)state;
    const df_description cross = describe("layers: cross", MHA, DENSE);
    const df_description reuse = describe("layers: full reuse", MHA, DENSE);
    is(cross.part[DF_COUNT_ATTENTION].params, 4 * 64);
    is(reuse.part[DF_COUNT_ATTENTION].params, 2 * 64);
    is(cross.cache_token_bytes, 0);
    is(reuse.cache_token_bytes, 0);
}

/* ---- Experts ---- */

#define EXPERTS                                                                                    \
    "  num_experts: 4\n  top_k: 2\n  moe: {expert_size: 5, shared_experts: 2, shared_gate: "       \
    "true}\n"

/* Experts of 3 * 8 * 5 = 120, of which a token uses 2 of 4; a router of 8 * 4; two shared experts,
 * 3 * 8 * 10, with a gate of 8. */
static void experts_count_once_and_are_used_in_part(void **state)
{
    (void)state;
    const df_description d = describe("layers: full", MHA, EXPERTS);
    is(d.part[DF_COUNT_EXPERTS].params, 480);
    is(d.part[DF_COUNT_EXPERTS].active, 240);
    is(d.part[DF_COUNT_ROUTER].params, 32);
    is(d.part[DF_COUNT_SHARED].params, 248);
    is(d.total.active, 4 * 64 + 240 + 32 + 248 + 80);
    is(d.total.params, ENDS + NORMS + 4 * 64 + 480 + 32 + 248);
}

/* Experts behind products to a width of 4 and back, 2 * 8 * 4, with those that are shared. */
static void experts_may_work_at_another_width(void **state)
{
    (void)state;
    const df_description d = describe("layers: full", MHA,
                                      "  num_experts: 4\n  top_k: 2\n"
                                      "  moe: {expert_size: 5, latent_dim: 4}\n");
    is(d.part[DF_COUNT_EXPERTS].params, 4 * 3 * 4 * 5);
    is(d.part[DF_COUNT_SHARED].params, 64);
}

static void first_layers_may_be_dense(void **state)
{
    (void)state;
    df_cfg cfg;
    df_description d;
    df_err err;
    read_cfg("layers: full dense", MHA, EXPERTS, &cfg);
    cfg.llm.num_layers = 3;
    assert_int_equal(df_cfg_layers_parse("dense, 2 experts", &cfg.llm.layers, &err), DF_OK);
    df_describe(&cfg, CONTEXT, &d);
    is(d.part[DF_COUNT_FFN].params, FFN);
    is(d.part[DF_COUNT_EXPERTS].params, 2 * 480);
    is(d.part[DF_COUNT_NORMS].params, 3 * NORMS + 8);
    is(describe("layers: full dense width=7", MHA, EXPERTS).part[DF_COUNT_FFN].params, 3 * 8 * 7);
}

/* ---- Layers with a state ---- */

/* Into 2 * 16, steps and state from 16 * (2 + 2 * 3), steps out of 2 * 16, and 16 * 8 back; a
 * convolution of 4 and its bias, 16 * 5, the decay 16 * 3, a skip and the step's bias, 2 * 16. One
 * norm, as there is no feed-forward network. The state has 16 * 3 numbers of 4 bytes. */
static void mamba1_counts(void **state)
{
    (void)state;
    const df_description d = describe("layers: mamba1 no_ffn", MHA,
                                      DENSE "  linear: {inner: 16, state: 3, dt_rank: 2}\n");
    is(d.part[DF_COUNT_STATE].params, 256 + 128 + 32 + 128 + 80 + 48 + 32);
    is(d.total.params, ENDS + 8 + d.part[DF_COUNT_STATE].params);
    is(d.state_bytes, 16 * 3 * 4);
    is(d.cache_token_bytes, 0);
    is(d.mixing_flops, 6 * 16 * 3);
}

/* Into 2 * 16 + 2 * 3 + 4, back from 16; a convolution over 16 + 2 * 3 with its bias, decay, step's
 * bias and skip of 4 heads, and a norm of 16. */
static void mamba2_counts(void **state)
{
    (void)state;
    const df_description d =
        describe("layers: mamba2", MHA, DENSE "  linear: {heads: 4, head_dim: 4, state: 3}\n");
    is(d.part[DF_COUNT_STATE].params, 8 * 42 + 128 + 22 * 5 + 12 + 16);
    is(d.total.params, ENDS + NORMS + FFN + d.part[DF_COUNT_STATE].params);
    is(d.state_bytes, 4 * 4 * 3 * 4);
}

#define DELTA "heads: 4, head_dim: 4, key_heads: 2, key_dim: 3"

/* Queries and keys of 6, values and a gate of 16, decay and writing of 4 heads: 8 * (12 + 32 + 8);
 * 16 * 8 back; a convolution over 12 + 16, two numbers a head, a norm of 4. With a rank of 2, gate
 * and decay are 8 * 2 + 2 * 16 and 8 * 2 + 2 * 6 in place of 8 * 16 + 8 * 4. */
static void delta_counts(void **state)
{
    (void)state;
    const double weights = 8 * (12 + 32 + 8) + 128;
    const double extras = 28 * 4 + 8 + 4;
    const df_description d = describe("layers: delta", MHA, DENSE "  linear: {" DELTA "}\n");
    const df_description low =
        describe("layers: delta", MHA, DENSE "  linear: {" DELTA ", gate_rank: 2}\n");
    is(d.part[DF_COUNT_STATE].params, weights + extras);
    is(low.part[DF_COUNT_STATE].params, weights + extras - (128 + 32) + (16 + 32) + (16 + 12));
    is(d.state_bytes, 4 * 4 * 3 * 4);
}

/* Queries, keys, values, a gate and the output of 2 heads of 4, and a norm of 8. */
static void lightning_attention_counts(void **state)
{
    (void)state;
    const df_description d = describe("layers: linear", MHA,
                                      DENSE "  linear: {heads: 2, head_dim: 4, state_bytes: 2}\n");
    is(d.part[DF_COUNT_STATE].params, 5 * 64 + 8);
    is(d.state_bytes, 2 * 4 * 4 * 2);
}

/* ---- Beside the layers ---- */

/* Tables of 10 * 4, and products of 4 * 8 behind one and before the other. */
static void embeddings_may_be_narrow(void **state)
{
    (void)state;
    const df_description d = describe("layers: full", MHA, DENSE "  embedding_dim: 4\n");
    is(d.part[DF_COUNT_EMBEDDING].params, 40 + 32);
    is(d.part[DF_COUNT_HEAD].params, 40 + 32);
}

/* One table of 10 * 2 a layer, and three products of 2 * 8: to all layers, in, and out. */
static void layers_may_have_embeddings(void **state)
{
    (void)state;
    is(describe("layers: full", MHA, DENSE "  layer_embedding: {dim: 2}\n")
           .part[DF_COUNT_EMBEDDING]
           .params,
       80 + 20 + 3 * 16);
    is(describe("layers: full", MHA, DENSE "  layer_embedding: {dim: 2, vocab: 6}\n")
           .part[DF_COUNT_EMBEDDING]
           .params,
       80 + 12 + 3 * 16);
}

static void positions_and_others_count(void **state)
{
    (void)state;
    const df_description d =
        describe("layers: full", MHA, DENSE "  positions: 7\n  other_params: 9\n");
    is(d.part[DF_COUNT_EMBEDDING].params, 80 + 7 * 8);
    is(d.part[DF_COUNT_OTHER].params, 9);
    is(d.part[DF_COUNT_OTHER].flops, 18);
}

/* A layer behind a product of 16 * 8, with its two norms and three more; apart from the total. */
static void prediction_layers_are_apart(void **state)
{
    (void)state;
    const df_description d = describe("layers: full", MHA, DENSE "  prediction_layers: 1\n");
    is(d.prediction_params, 4 * 64 + FFN + 128 + 5 * 8);
    is(d.total.params, ENDS + NORMS + FFN + 4 * 64);
}

/* ---- The list of layers ---- */

static void assert_reads(const char *text, const char *as)
{
    char found[DF_LAYERS_TEXT];
    df_cfg_layers layers;
    df_err err;
    if (df_cfg_layers_parse(text, &layers, &err) != DF_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    assert_true(df_cfg_layers_text(&layers, found, sizeof found));
    assert_string_equal(found, as);
}

static void assert_refuses(const char *text, const char *message)
{
    df_cfg_layers layers;
    df_err err;
    assert_int_equal(df_cfg_layers_parse(text, &layers, &err), DF_EINVAL);
    if (!strstr(err.text, message)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, message);
    }
}

static void lists_of_layers_are_read(void **state)
{
    (void)state;
    assert_reads("3 dense, 58 experts", "3 full dense, 58 full experts");
    assert_reads("full", "1 full");
    assert_reads("2 x (2 window, full), window", "2 window, 1 full, 2 window, 1 full, 1 window");
    assert_reads("2(mamba2 no_ffn,no_attention experts)",
                 "1 mamba2 no_ffn, 1 no_attention experts, 1 mamba2 no_ffn, "
                 "1 no_attention experts");
    assert_reads(" 4  window  dense  ", "4 window dense");
}

static void lists_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_refuses("3 dence", "expected layers such as \"3 dense, 58 experts\", found the word "
                              "dence (did you mean dense?)");
    assert_refuses("full heads=0", "expected heads=NUMBER from 1 to 2147483647, found heads=0");
    assert_refuses("full ratio=1", "expected ratio=NUMBER from 2");
    assert_refuses("full width=2x", "found width=2x");
    assert_refuses("full wide=2", "found the word wide=2");
    assert_refuses("no_attention no_ffn", "expected layers that do something");
    assert_refuses("2000 full", "expected at most 1024 layers, found 2000");
    assert_refuses("0 full", "expected at most 1024 layers, found 0");
    assert_refuses("600 full, 600 window", "expected at most 1024 layers, found 1200");
    assert_refuses("600 x (full, window)", "expected at most 1024 layers, found 1200");
    assert_refuses("2 x (full, 2 x (full))", "found");
    assert_refuses("2 x (full", "expected a closing parenthesis, found the end");
    assert_refuses("full)", "found )");
    assert_refuses("2 x (full) window", "expected a comma between layers, found window");
}

/* One more than there may be, each with a width of its own. */
static void kinds_are_limited(void **state)
{
    (void)state;
    char text[2048] = "full";
    size_t length = strlen(text);
    for (int i = 1; i <= DF_LAYER_KINDS; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, ", full width=%d", i);
    }
    assert_refuses(text, "kinds of layers, found more");
}

/* Every text of any length either reads back alike or is refused in one line. */
static void any_list_is_read_or_refused(void **state)
{
    (void)state;
    static const char *const pieces[] = {"full",
                                         "window",
                                         "experts",
                                         "dense",
                                         ",",
                                         " ",
                                         "(",
                                         ")",
                                         "x",
                                         "3",
                                         "12",
                                         "heads=2",
                                         "ratio=4",
                                         "reuse",
                                         "no_ffn",
                                         "mamba1",
                                         "=",
                                         "width=",
                                         "9999999999999999999",
                                         "\t",
                                         "-1"};
    enum { PIECES = sizeof pieces / sizeof pieces[0], ROUNDS = 20000 };
    uint32_t random = 12345;
    for (int round = 0; round < ROUNDS; round++) {
        char text[256] = "";
        char back[DF_LAYERS_TEXT];
        df_cfg_layers layers;
        df_cfg_layers again;
        df_err err;
        size_t length = 0;
        for (int i = 0; i < 10; i++) {
            random = random * 1664525U + 1013904223U;
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       pieces[(random >> 16) % PIECES],
                                       (random >> 8) % 2 == 0 ? " " : "");
        }
        if (df_cfg_layers_parse(text, &layers, &err) != DF_OK) {
            assert_non_null(strstr(err.text, "expected"));
            assert_null(strchr(err.text, '\n'));
            continue;
        }
        assert_true(df_cfg_layers_text(&layers, back, sizeof back));
        assert_int_equal(df_cfg_layers_parse(back, &again, &err), DF_OK);
        assert_int_equal(again.count, layers.count);
        assert_int_equal(again.kinds, layers.kinds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_have_their_own_width),
        cmocka_unit_test(norms_and_gates_count),
        cmocka_unit_test(latent_queries_of_heads_count),
        cmocka_unit_test(windows_bound_cache_and_operations),
        cmocka_unit_test(chunks_start_anew),
        cmocka_unit_test(latent_attention_counts),
        cmocka_unit_test(indexers_choose_tokens),
        cmocka_unit_test(compressed_attention_counts),
        cmocka_unit_test(some_layers_keep_nothing),
        cmocka_unit_test(experts_count_once_and_are_used_in_part),
        cmocka_unit_test(experts_may_work_at_another_width),
        cmocka_unit_test(first_layers_may_be_dense),
        cmocka_unit_test(mamba1_counts),
        cmocka_unit_test(mamba2_counts),
        cmocka_unit_test(delta_counts),
        cmocka_unit_test(lightning_attention_counts),
        cmocka_unit_test(embeddings_may_be_narrow),
        cmocka_unit_test(layers_may_have_embeddings),
        cmocka_unit_test(positions_and_others_count),
        cmocka_unit_test(prediction_layers_are_apart),
        cmocka_unit_test(lists_of_layers_are_read),
        cmocka_unit_test(lists_that_make_no_sense_are_refused),
        cmocka_unit_test(kinds_are_limited),
        cmocka_unit_test(any_list_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
