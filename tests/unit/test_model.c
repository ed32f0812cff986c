/* The operators of a small transformer, counted on paper: 4 heads of 4 and 2 of keys and values, a
 * hidden size of 16, SwiGLU of 32, 100 words, 2 bytes an element; 3 sequences of 8 tokens. */
#include "model/transformer.h"
#include "support/support.h"

static const df_cfg_attention products = {.use_flashattention = false};

static const df_dims small = {.attention = &products,
                              .layers = 1,
                              .sequence = 8,
                              .hidden = 16,
                              .vocab = 100,
                              .heads = 4,
                              .kv_heads = 2,
                              .head_dim = 4,
                              .ffn = 32,
                              .ffn_in = 64,
                              .experts = 1,
                              .top_k = 1,
                              .gated = true,
                              .bytes = {2, 2, 2, 2, 2, 2, 2, 0}};

static df_split split_of(double tp, double cp, bool sequence)
{
    const double ways = cp > 1 ? cp : sequence ? tp : 1;
    return (df_split){.tp = tp,
                      .cp = cp,
                      .dp = 1,
                      .pp = 1,
                      .micro_batches = 1,
                      .batch = 3,
                      .sequence = sequence,
                      .sequence_ways = ways};
}

static double small_flops(const df_span *span, double sequences, bool unmasked)
{
    df_stack stack;
    df_stack_of(&small, &stack);
    return df_transformer_flops(&stack, span, sequences, unmasked);
}

static df_ops build(const df_dims *dims, const df_split *split, const df_span *span)
{
    df_ops ops;
    df_transformer_build(dims, split, span, &ops);
    return ops;
}

/* The first operator of that kind, row, pass and part; fails the test where there is none. */
static const df_op *
find(const df_ops *ops, df_op_kind kind, df_row_name row, df_op_pass pass, df_op_part part)
{
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        if (op->kind == kind && op->row == row && op->pass == pass && op->part == part) {
            return op;
        }
    }
    fail_msg("no operator of kind %d in row %s", (int)kind, df_row_names[row]);
    return NULL;
}

static void
assert_gemm(const df_ops *ops, df_row_name row, df_op_pass pass, const df_op_gemm *expected)
{
    const df_op_gemm *const g = &find(ops, DF_OP_GEMM, row, pass, DF_OP_PART_MAIN)->gemm;
    df_assert_rel(g->m, expected->m, 0);
    df_assert_rel(g->k, expected->k, 0);
    df_assert_rel(g->n, expected->n, 0);
    df_assert_rel(g->chip_bytes, expected->chip_bytes, 0);
}

static void assert_collective(const df_ops *ops,
                              df_row_name row,
                              df_op_pass pass,
                              const df_op_collective *expected)
{
    const df_op *const op = find(ops, DF_OP_COLLECTIVE, row, pass, DF_OP_PART_MAIN);
    assert_int_equal(op->coll.kind, expected->kind);
    assert_int_equal(op->coll.axes, expected->axes);
    df_assert_rel(op->coll.bytes, expected->bytes, 0);
}

static double elements(const df_ops *ops, df_row_name row, df_op_part part)
{
    return find(ops, DF_OP_STREAM, row, DF_PASS_FORWARD, part)->stream.elements;
}

static double streamed_bytes(const df_ops *ops, df_op_part part)
{
    const df_op *const op = find(ops, DF_OP_STREAM, DF_ROW_ATTENTION, DF_PASS_FORWARD, part);
    return op->stream.elements * op->stream.bytes;
}

static int collectives(const df_ops *ops)
{
    int count = 0;
    for (int i = 0; i < ops->count; i++) {
        count += ops->op[i].kind == DF_OP_COLLECTIVE;
    }
    return count;
}

enum { TP = 1 << DF_AXIS_TP, CP = 1 << DF_AXIS_CP };

/* 24 tokens in all. QKV has 4 + 2 * 2 heads of 4, half of these columns on each of two devices; the
 * output projection has half of the rows. Of a product (m, k, n), the input's gradient is (m, n,
 * k), that of the weights (k, m, n). */
static void tensor_parallel_products_are_split(void **state)
{
    (void)state;
    const df_split split = split_of(2, 1, false);
    const df_span span = df_span_of(&small, &split, 8, 8, false);
    const df_ops ops = build(&small, &split, &span);
    assert_gemm(&ops, DF_ROW_QKV, DF_PASS_FORWARD, &(df_op_gemm){24, 16, 16, 0});
    assert_gemm(&ops, DF_ROW_OUT, DF_PASS_FORWARD, &(df_op_gemm){24, 8, 16, 0});
    assert_gemm(&ops, DF_ROW_OUT, DF_PASS_INPUT_GRAD, &(df_op_gemm){24, 16, 8, 0});
    assert_gemm(&ops, DF_ROW_OUT, DF_PASS_WEIGHT_GRAD, &(df_op_gemm){8, 24, 16, 0});
    assert_gemm(&ops, DF_ROW_FFN1, DF_PASS_FORWARD, &(df_op_gemm){24, 16, 32, 0});
    assert_gemm(&ops, DF_ROW_FFN2, DF_PASS_FORWARD, &(df_op_gemm){24, 16, 16, 0});
    assert_gemm(&ops, DF_ROW_LOGITS, DF_PASS_FORWARD, &(df_op_gemm){24, 16, 50, 0});
    /* 8 positions by 2 query heads that share keys; 3 sequences of 2 heads on two devices */
    assert_gemm(&ops, DF_ROW_SCORE, DF_PASS_FORWARD, &(df_op_gemm){16, 4, 8, 0});
    assert_gemm(&ops, DF_ROW_AV, DF_PASS_FORWARD, &(df_op_gemm){16, 8, 4, 0});
    const df_op *const score =
        find(&ops, DF_OP_GEMM, DF_ROW_SCORE, DF_PASS_FORWARD, DF_OP_PART_MAIN);
    df_assert_rel(score->repeats, 3, 0);
    df_assert_rel(score->launches, 1, 0);
}

/* Sums of 24 x 16 elements, an all-reduce each way after each pair of projections; of each
 * position's logits two numbers of 4 bytes, the maximum and the sum, and the gradient of their
 * input. */
static void tensor_parallel_sums_are_all_reduced(void **state)
{
    (void)state;
    const df_split split = split_of(2, 1, false);
    const df_span span = df_span_of(&small, &split, 8, 8, false);
    const df_ops ops = build(&small, &split, &span);
    const df_op_collective sum = {DF_COLL_ALL_REDUCE, TP, 768};
    assert_collective(&ops, DF_ROW_OUT, DF_PASS_FORWARD, &sum);
    assert_collective(&ops, DF_ROW_QKV, DF_PASS_INPUT_GRAD, &sum);
    assert_collective(&ops, DF_ROW_FFN2, DF_PASS_FORWARD, &sum);
    assert_collective(&ops, DF_ROW_FFN1, DF_PASS_INPUT_GRAD, &sum);
    assert_collective(&ops, DF_ROW_LOGITS, DF_PASS_FORWARD,
                      &(df_op_collective){DF_COLL_ALL_REDUCE, TP, 2 * 4 * 24});
    assert_collective(&ops, DF_ROW_LOGITS, DF_PASS_INPUT_GRAD, &sum);
    assert_int_equal(collectives(&ops), 6);
    df_assert_rel(elements(&ops, DF_ROW_NORM1, DF_OP_PART_MAIN), 24 * 16, 0);
    df_assert_rel(elements(&ops, DF_ROW_ACTIVATION, DF_OP_PART_MAIN), 24 * 16, 0);
    df_assert_rel(elements(&ops, DF_ROW_SOFTMAX, DF_OP_PART_MAIN), 6.0 * 16 * 8 / 2, 0);
    df_assert_rel(elements(&ops, DF_ROW_EMBEDDING, DF_OP_PART_MAIN), 2 * 24 * 16, 0);
}

/* Each device has 4 of 8 positions outside of products: all-reduces become reduce-scatters, and the
 * parts are gathered behind the norms. */
static void sequence_parallel_norms_are_gathered(void **state)
{
    (void)state;
    const df_split split = split_of(2, 1, true);
    const df_span span = df_span_of(&small, &split, 8, 8, false);
    const df_ops ops = build(&small, &split, &span);
    const df_op_collective gather = {DF_COLL_ALL_GATHER, TP, 768};
    assert_collective(&ops, DF_ROW_OUT, DF_PASS_FORWARD,
                      &(df_op_collective){DF_COLL_REDUCE_SCATTER, TP, 768});
    assert_collective(&ops, DF_ROW_NORM1, DF_PASS_FORWARD, &gather);
    assert_collective(&ops, DF_ROW_NORM2, DF_PASS_INPUT_GRAD, &gather);
    const df_op *const input =
        find(&ops, DF_OP_COLLECTIVE, DF_ROW_LOGITS, DF_PASS_FORWARD, DF_OP_PART_INPUT);
    assert_memory_equal(&input->coll, &gather, sizeof gather);
    assert_collective(&ops, DF_ROW_LOGITS, DF_PASS_INPUT_GRAD,
                      &(df_op_collective){DF_COLL_REDUCE_SCATTER, TP, 768});
    assert_int_equal(collectives(&ops), 11);
    df_assert_rel(elements(&ops, DF_ROW_NORM2, DF_OP_PART_RESIDUAL), 3 * 4 * 16, 0);
}

/* Half of the positions on each device; keys and values of all, 2 * 24 * 2 * 4 elements, are
 * gathered forward and again backward, and their gradients reduced. */
static void context_parallel_keys_are_gathered(void **state)
{
    (void)state;
    const df_split split = split_of(1, 2, false);
    const df_span span = df_span_of(&small, &split, 8, 8, false);
    const df_ops ops = build(&small, &split, &span);
    const df_op_collective gather = {DF_COLL_ALL_GATHER, CP, 768};
    assert_gemm(&ops, DF_ROW_QKV, DF_PASS_FORWARD, &(df_op_gemm){12, 16, 32, 0});
    assert_gemm(&ops, DF_ROW_SCORE, DF_PASS_FORWARD, &(df_op_gemm){8, 4, 8, 0});
    assert_gemm(&ops, DF_ROW_LOGITS, DF_PASS_FORWARD, &(df_op_gemm){12, 16, 100, 0});
    df_assert_rel(elements(&ops, DF_ROW_LOGITS, DF_OP_PART_MAIN), 12 * 100, 0);
    assert_collective(&ops, DF_ROW_QKV, DF_PASS_FORWARD, &gather);
    assert_collective(&ops, DF_ROW_OUT, DF_PASS_INPUT_GRAD, &gather);
    assert_collective(&ops, DF_ROW_SCORE, DF_PASS_INPUT_GRAD,
                      &(df_op_collective){DF_COLL_REDUCE_SCATTER, CP, 768});
    assert_int_equal(collectives(&ops), 5);
    df_assert_rel(elements(&ops, DF_ROW_NORM1, DF_OP_PART_MAIN), 3 * 4 * 16, 0);
}

/* One token after 8 others. A device keeps one head of keys and values, however many devices
 * there are. What the products move through L2 is queries and scores, 2 * 4 + 2 * 9 elements of two
 * query heads; of four devices each has a single one. */
static void decoded_tokens_read_the_cache(void **state)
{
    (void)state;
    static const double heads[] = {2, 1, 1};
    static const df_op_gemm scores[] = {{2, 4, 9, 52}, {2, 4, 9, 52}, {1, 4, 9, 26}};
    for (int i = 0; i < 3; i++) {
        const double tp = 1 << i;
        const df_split split = split_of(tp, 1, false);
        df_span span = df_span_of(&small, &split, 1, 9, true);
        span.cached = true;
        const df_ops ops = build(&small, &split, &span);
        assert_gemm(&ops, DF_ROW_SCORE, DF_PASS_FORWARD, &scores[i]);
        df_assert_rel(streamed_bytes(&ops, DF_OP_PART_CACHE_FETCH), 2 * 3 * 9 * heads[i] * 4 * 2,
                      0);
        df_assert_rel(streamed_bytes(&ops, DF_OP_PART_CACHE_STORE), 2 * 3 * heads[i] * 4 * 2, 0);
    }
}

/* The prompt's last positions, one of each of the three sequences, have logits that are drawn
 * from: 3 rows of 100 columns, of which each of two devices has 50; 3 * 100 elements are gathered.
 */
static void sampled_logits_are_gathered(void **state)
{
    (void)state;
    const df_split split = split_of(2, 1, false);
    df_span span = df_span_of(&small, &split, 8, 8, false);
    df_span_infer(&span);
    const df_ops ops = build(&small, &split, &span);
    assert_gemm(&ops, DF_ROW_LOGITS, DF_PASS_FORWARD, &(df_op_gemm){3, 16, 50, 0});
    assert_collective(&ops, DF_ROW_LOGITS, DF_PASS_FORWARD,
                      &(df_op_collective){DF_COLL_ALL_GATHER, TP, 600});
    df_assert_rel(
        find(&ops, DF_OP_STREAM, DF_ROW_LOGITS, DF_PASS_FORWARD, DF_OP_PART_MAIN)->stream.elements,
        3 * 50, 0);
    /* a layer and attention as in model_flops, and the table once a sequence */
    df_assert_rel(small_flops(&span, 3, true), 2 * 24 * (2304 + 256) + 2 * 3 * 1600, 0);
}

/* Four devices have a query head each and share two heads of keys and values, of which each has a
 * whole one: 16 * (4 + 2 * 4) * 4 parameters of QKV with the copies, 2 * 8 * 3 sequences * 4 values
 * of 2 bytes of keys and values. */
static void heads_are_copied_where_devices_are_more(void **state)
{
    (void)state;
    df_dims dims = small;
    dims.attention = &(df_cfg_attention){.use_flashattention = true, .attention_tile_size = 128};
    df_split split = split_of(4, 2, false);
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    const df_ops ops = build(&dims, &split, &span);
    assert_gemm(&ops, DF_ROW_QKV, DF_PASS_FORWARD, &(df_op_gemm){12, 16, 12, 0});
    df_assert_rel(ops.op[0].memory.params, 16 * 48 / 4.0, 0);
    assert_collective(&ops, DF_ROW_QKV, DF_PASS_FORWARD,
                      &(df_op_collective){DF_COLL_ALL_GATHER, CP, 2 * 8 * 3 * 4 * 2});
    const df_op *const kernel =
        find(&ops, DF_OP_ATTENTION, DF_ROW_ATTENTION, DF_PASS_FORWARD, DF_OP_PART_MAIN);
    df_assert_rel(kernel->attention.heads, 3, 0);
    df_assert_rel(kernel->attention.kv_heads, 3, 0);
    df_assert_rel(df_split_layer_params(&split, &dims), (16 * 48 + 256 + 1536) / 4.0, 0);
    split.parts_kv_heads = true;
    df_assert_rel(df_split_layer_params(&split, &dims), (16 * 32 + 256 + 1536) / 4.0, 0);
}

/* FlashAttention is one kernel, and takes 2.5 times as long backward. */
static void flash_attention_is_one_kernel(void **state)
{
    (void)state;
    df_dims dims = small;
    dims.attention = &(df_cfg_attention){.use_flashattention = true, .attention_tile_size = 128};
    const df_split split = split_of(2, 2, false);
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    const df_ops ops = build(&dims, &split, &span);
    const df_op *const forward =
        find(&ops, DF_OP_ATTENTION, DF_ROW_ATTENTION, DF_PASS_FORWARD, DF_OP_PART_MAIN);
    df_assert_rel(forward->attention.queries, 4, 0);
    df_assert_rel(forward->attention.keys, 8, 0);
    df_assert_rel(forward->attention.heads, 6, 0);
    df_assert_rel(forward->attention.kv_heads, 3, 0);
    df_assert_rel(forward[1].repeats, 2.5, 0);
    assert_collective(&ops, DF_ROW_ATTENTION, DF_PASS_INPUT_GRAD,
                      &(df_op_collective){DF_COLL_REDUCE_SCATTER, CP, 384});
}

/* Two of 8 experts for each of 24 tokens: 8 (1 - 0.75^24) = 7.99 get one, 7 rows at the most. */
static void experts_share_the_tokens(void **state)
{
    (void)state;
    df_dims dims = small;
    dims.experts = 8;
    dims.top_k = 2;
    const df_split split = split_of(1, 1, false);
    const df_span span = df_span_of(&dims, &split, 8, 8, false);
    const df_ops ops = build(&dims, &split, &span);
    assert_gemm(&ops, DF_ROW_FFN1, DF_PASS_FORWARD, &(df_op_gemm){7, 16, 64, 0});
    const df_op *const ffn = find(&ops, DF_OP_GEMM, DF_ROW_FFN1, DF_PASS_FORWARD, DF_OP_PART_MAIN);
    df_assert_rel(ffn->repeats, 7.991973, 1e-6);
    df_assert_rel(ffn->launches, ffn->repeats, 0);
}

/* 16 * 32 + 16 * 16 in attention, 3 * 16 * 32 in the feed-forward network; 2 * 8 * 16 products of
 * queries and keys and of scores and values for each token. With the mask, the 8 positions see
 * 1 + 2 + ... + 8 = 36 keys instead of 64, the last 2 of the 8 see 7 + 8, and the last alone all.
 */
static void flops_of_the_model_are_counted(void **state)
{
    (void)state;
    const df_split split = split_of(1, 1, false);
    const df_span span = df_span_of(&small, &split, 8, 8, false);
    df_assert_rel(df_dims_layer_params(&small), 512 + 256 + 1536, 0);
    df_assert_rel(small_flops(&span, 3, true), 2 * 24 * (2304 + 1600 + 256), 0);
    df_assert_rel(small_flops(&span, 3, false), 2 * 24 * (2304 + 1600) + 2 * 3 * 36 * 32, 0);
    const df_span two = df_span_of(&small, &split, 2, 8, false);
    df_assert_rel(small_flops(&two, 3, false), 2 * 6 * (2304 + 1600) + 2 * 3 * 15 * 32, 0);
    const df_span last = df_span_of(&small, &split, 1, 8, true);
    df_assert_rel(small_flops(&last, 3, false), small_flops(&last, 3, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensor_parallel_products_are_split),
        cmocka_unit_test(tensor_parallel_sums_are_all_reduced),
        cmocka_unit_test(sequence_parallel_norms_are_gathered),
        cmocka_unit_test(context_parallel_keys_are_gathered),
        cmocka_unit_test(decoded_tokens_read_the_cache),
        cmocka_unit_test(sampled_logits_are_gathered),
        cmocka_unit_test(heads_are_copied_where_devices_are_more),
        cmocka_unit_test(flash_attention_is_one_kernel),
        cmocka_unit_test(experts_share_the_tokens),
        cmocka_unit_test(flops_of_the_model_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
