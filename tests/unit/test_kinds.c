/* The operators of layers of other kinds than attention of all heads and one feed-forward network,
 * counted on paper: a hidden size of 16, 4 heads of 4, 3 sequences of 8 tokens, 2 bytes an element.
 */
#include "model/transformer.h"
#include "support/support.h"

static const df_cfg_attention flash = {.use_flashattention = true, .attention_tile_size = 4};
static const df_cfg_attention latent = {.attention_type = DF_ATTENTION_MLA,
                                        .use_flashattention = true,
                                        .attention_tile_size = 4,
                                        .absorbed = true};

static df_dims small(const df_cfg_attention *attention)
{
    static const df_latent widths = {.q_rank = 6, .kv_rank = 5, .nope = 3, .rope = 2, .value = 4};
    static const df_latent none = {.q_rank = 0};
    return (df_dims){.attention = attention,
                     .layers = 1,
                     .sequence = 8,
                     .hidden = 16,
                     .vocab = 100,
                     .heads = 4,
                     .kv_heads = 4,
                     .head_dim = 4,
                     .latent = attention == &latent ? widths : none,
                     .ffn = 32,
                     .ffn_in = 64,
                     .experts = 1,
                     .top_k = 1,
                     .gated = true,
                     .bytes = {2, 2, 2, 2, 2, 2, 2, 0}};
}

static df_split split_of(double tp, double ep)
{
    return (df_split){.tp = tp,
                      .cp = 1,
                      .dp = 1,
                      .pp = 1,
                      .ep = ep,
                      .micro_batches = 1,
                      .batch = 3,
                      .sequence_ways = 1};
}

static df_span decode_of(const df_dims *dims, const df_split *split, double context)
{
    df_span span = df_span_of(dims, split, 1, context, true);
    df_span_infer(&span);
    return span;
}

/* The number-th operator of that kind and row in the forward pass. */
static const df_op *at(const df_ops *ops, df_op_kind kind, df_row_name row, int number)
{
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        if (op->kind == kind && op->row == row && op->pass == DF_PASS_FORWARD && number-- == 0) {
            return op;
        }
    }
    fail_msg("no operator of kind %d in row %s", (int)kind, df_row_names[row]);
    return NULL;
}

static void assert_gemm(const df_op *op, double m, double k, double n, double repeats)
{
    df_assert_rel(op->gemm.m, m, 0);
    df_assert_rel(op->gemm.k, k, 0);
    df_assert_rel(op->gemm.n, n, 0);
    df_assert_rel(op->repeats, repeats, 0);
}

/* Queries: 16 to 6, whole on both devices, and 6 to 4 heads of 3 + 2, half of them on each. Keys
 * and values: 16 to 5 + 2, whole, and 5 to 4 heads of 3 + 4. The output has 4 heads of 4. Attention
 * has heads of 5 for keys and of 4 for values. */
static void latent_attention_has_narrow_products(void **state)
{
    (void)state;
    const df_dims dims = small(&latent);
    const df_split split = split_of(2, 1);
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    df_ops ops;
    df_transformer_build(&dims, &split, &span, &ops);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 0), 24, 16, 6, 1);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 1), 24, 6, 10, 1);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 2), 24, 16, 7, 1);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 3), 24, 5, 14, 1);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_OUT, 0), 24, 8, 16, 1);
    const df_op_attention *const a = &at(&ops, DF_OP_ATTENTION, DF_ROW_ATTENTION, 0)->attention;
    df_assert_rel(a->head_dim, 4.5, 0);
    df_assert_rel(a->heads, 6, 0);
    df_assert_rel(a->kv_heads, 6, 0);
    /* 16 x 6 + 6 x 20 + 16 x 7 + 5 x 28 + 16 x 16 */
    df_assert_rel(df_dims_attention_params(&dims), 724, 0);
    /* what leads to the latent widths is on both devices: 208 + 516 / 2 */
    df_assert_rel(df_split_other_params(&split, &dims), 208 + 258 + 1536 / 2.0, 0);
}

/* A token's query of 3 becomes one of 5 for each head, and the 5 that come back one of 4. All heads
 * share keys of 7 of 20 tokens; their first 5 are the values. */
static void latent_decoding_is_absorbed(void **state)
{
    (void)state;
    const df_dims dims = small(&latent);
    const df_split split = split_of(1, 1);
    const df_span span = decode_of(&dims, &split, 20);
    df_ops ops;
    df_transformer_build(&dims, &split, &span, &ops);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 3), 3, 3, 5, 4);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 4), 3, 5, 4, 4);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_SCORE, 0), 4, 7, 20, 3);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_AV, 0), 4, 20, 5, 3);
    df_assert_rel(df_transformer_cache_bytes(&dims, 3 * 20, 2), 3 * 20 * 7 * 2, 0);
}

/* The first 4 of 8 tokens see 1 to 4 keys, the others 4: 26 of 36 pairs. The cache keeps 4 of 20.
 */
static void a_window_leaves_pairs_out(void **state)
{
    (void)state;
    df_dims dims = small(&flash);
    const df_split split = split_of(1, 1);
    df_ops ops;
    dims.mixer = DF_MIX_WINDOW;
    dims.window = 4;
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    df_transformer_build(&dims, &split, &span, &ops);
    df_assert_rel(at(&ops, DF_OP_ATTENTION, DF_ROW_ATTENTION, 0)->attention.unseen, 10.0 / 36,
                  1e-15);
    const df_span step = decode_of(&dims, &split, 20);
    df_transformer_build(&dims, &split, &step, &ops);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_SCORE, 0), 1, 4, 4, 12);
    df_assert_rel(df_dims_entries(&dims, 20), 4, 0);
}

/* Chunks of 3 in 8 tokens: 6 + 6 + 3 of 36 pairs; the eighth token is the second of its chunk. */
static void chunks_are_apart(void **state)
{
    (void)state;
    df_dims dims = small(&flash);
    dims.mixer = DF_MIX_CHUNKED;
    dims.window = 3;
    df_assert_rel(df_dims_unseen(&dims, 8), 21.0 / 36, 1e-15);
    df_assert_rel(df_dims_keys(&dims, 8), 2, 0);
}

/* 2 heads of 8 with a state of 4 an element: 2 x 16 + 2 x 4 + 2 columns in, 16 rows out; 64 numbers
 * of 4 bytes, read and written for each of 3 sequences. */
static void states_stand_for_a_cache(void **state)
{
    (void)state;
    df_dims dims = small(&flash);
    const df_split split = split_of(1, 1);
    df_ops ops;
    dims.mixer = DF_MIX_MAMBA2;
    dims.scan = (df_scan){
        .heads = 2, .head_dim = 8, .state = 4, .groups = 1, .conv = 4, .chunk = 4, .bytes = 4};
    const df_span step = decode_of(&dims, &split, 20);
    df_transformer_build(&dims, &split, &step, &ops);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_QKV, 0), 3, 16, 42, 1);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_OUT, 0), 3, 16, 16, 1);
    const df_op *const core = at(&ops, DF_OP_STREAM, DF_ROW_ATTENTION, 1);
    df_assert_rel(core->stream.elements * core->stream.bytes, 2 * 3 * 64 * 4, 1e-15);
    df_assert_rel(core->memory.cache_bytes, 3 * 64 * 4, 0);
    df_assert_rel(df_dims_cache_numbers(&dims), 0, 0);
    /* products of chunks of 4: 2 x 4 x (4 + 16) + 4 x 64 */
    df_assert_rel(df_dims_scan_flops(&dims, false), 416, 0);
}

/* Two devices share 4 experts: each has 2 whole ones. 48 tokens with 3 experts each are 36 for each
 * expert; 72 rows of 16 leave a device, and as many come back. */
static void devices_share_experts(void **state)
{
    (void)state;
    df_dims dims = small(&flash);
    const df_split split = split_of(1, 2);
    df_ops ops;
    dims.experts = 4;
    dims.top_k = 3;
    dims.ffn_kind = DF_FFN_EXPERTS;
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    df_transformer_build(&dims, &split, &span, &ops);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_FFN1, 0), 36, 16, 64, 2);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_FFN2, 0), 36, 32, 16, 2);
    int exchanges = 0;
    for (int i = 0; i < ops.count; i++) {
        const df_op *const op = &ops.op[i];
        if (op->kind == DF_OP_COLLECTIVE && op->coll.axes == 1U << DF_AXES) {
            assert_int_equal(op->coll.kind, DF_COLL_ALL_TO_ALL);
            df_assert_rel(op->coll.bytes, 2 * 72 * 16, 0);
            exchanges++;
        }
    }
    assert_int_equal(exchanges, 4);
    /* 2 experts of 16 x 64 + 32 x 16 */
    df_assert_rel(df_split_expert_params(&split, &dims), 2 * 1536, 0);
}

/* Every token goes to one of width 8 as well: 16 columns with its gate, split over two devices. */
static void shared_experts_are_beside(void **state)
{
    (void)state;
    df_dims dims = small(&flash);
    const df_split split = split_of(2, 2);
    df_ops ops;
    dims.experts = 4;
    dims.top_k = 3;
    dims.shared = 8;
    dims.ffn_kind = DF_FFN_EXPERTS;
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    df_transformer_build(&dims, &split, &span, &ops);
    const df_op *const first = at(&ops, DF_OP_GEMM, DF_ROW_FFN1, 1);
    assert_gemm(first, 24, 16, 8, 1);
    assert_int_equal(first->part, DF_OP_PART_SHARED);
    assert_gemm(at(&ops, DF_OP_GEMM, DF_ROW_FFN2, 1), 24, 4, 16, 1);
    df_assert_rel(df_dims_shared_params(&dims), 3 * 16 * 8, 0);
}

/* One dense layer and three with a window: the operators of the mean layer have these shares. */
static void kinds_make_a_mean_layer(void **state)
{
    (void)state;
    const df_split split = split_of(1, 1);
    df_stack stack;
    df_ops ops;
    df_stack_of(&(df_dims){.layers = 0}, &stack);
    stack.kinds = 2;
    stack.layers = 4;
    stack.kind[0] = small(&flash);
    stack.kind[1] = small(&flash);
    stack.kind[1].layers = 3;
    stack.kind[1].mixer = DF_MIX_WINDOW;
    stack.kind[1].window = 4;
    stack.kind[1].ffn = 16;
    stack.kind[1].ffn_in = 32;
    const df_span span = df_span_of(&stack.kind[0], &split, 8, 8, false);
    df_transformer_build_stack(&stack, &split, &span, &ops);
    double params = 0;
    for (int i = 0; i < ops.count; i++) {
        params += ops.op[i].block == DF_BLOCK_LAYER ? ops.op[i].memory.params : 0;
    }
    df_assert_rel(at(&ops, DF_OP_GEMM, DF_ROW_FFN1, 0)->share, 0.25, 0);
    df_assert_rel(at(&ops, DF_OP_GEMM, DF_ROW_FFN1, 1)->share, 0.75, 0);
    df_assert_rel(at(&ops, DF_OP_GEMM, DF_ROW_LOGITS, 0)->share, 1, 0);
    /* 4 x 16 x 16 in both, 1536 in one layer of four, 768 in three */
    df_assert_rel(params, 1024 + 0.25 * 1536 + 0.75 * 768, 1e-15);
    df_assert_rel(df_split_mean_params(&split, &stack), params, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latent_attention_has_narrow_products),
        cmocka_unit_test(latent_decoding_is_absorbed),
        cmocka_unit_test(a_window_leaves_pairs_out),
        cmocka_unit_test(chunks_are_apart),
        cmocka_unit_test(states_stand_for_a_cache),
        cmocka_unit_test(devices_share_experts),
        cmocka_unit_test(shared_experts_are_beside),
        cmocka_unit_test(kinds_make_a_mean_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
