/* Operators of split LSTMs and GEMMs, against lists worked out by hand. */
#include "compat/compat.h"
#include "support/support.h"

enum { KP1 = 1U << DF_AXIS_KP1, KP2 = 1U << DF_AXIS_KP2, DP = 1U << DF_AXIS_DP };

/* Batch 12, 4 gates of width 8, 20 words, 3 layers, 2 bytes an element; on one device. */
static df_cfg small_model(df_gemm_split t, int64_t kp1, int64_t kp2)
{
    df_cfg cfg = {0};
    cfg.mode = DF_MODE_LSTM;
    cfg.sw.precision.tensor_bytes = 2;
    cfg.lstm = (df_cfg_lstm){.batch_size = 12,
                             .vocab_size = 20,
                             .num_layers = 3,
                             .layer_size = 8,
                             .seq_len = 5,
                             .num_gates = 4};
    cfg.gemm = (df_cfg_gemm){.m = 10, .k = 30, .n = 7, .backward = true};
    cfg.sched.t = t;
    cfg.sched.kp1 = kp1;
    cfg.sched.kp2 = kp2;
    cfg.sched.dp = cfg.sched.lp = 1;
    return cfg;
}

static void build(const df_cfg *cfg, const df_rules *rules, df_ops *ops)
{
    df_lstm x;
    df_lstm_read(cfg, &x);
    df_compat_lstm(rules, &x);
    df_lstm_build(&x, ops);
}

/* ---- Comparing ---- */

/* Of a product m, k, n; of a stream its elements, flops and bytes in all; of a collective its kind,
 * axes and bytes; of a transfer the axis and bytes. */
typedef struct {
    df_op_kind kind;
    double x, y, z;
    double members, launches;
} expected;

static expected sizes_of(const df_op *op)
{
    const df_op_stream *const s = &op->stream;
    expected found = {.kind = (df_op_kind)op->kind};
    switch (found.kind) {
    case DF_OP_GEMM:
        return (expected){found.kind, op->gemm.m, op->gemm.k, op->gemm.n, 0, 0};
    case DF_OP_STREAM:
        return (expected){
            found.kind, s->elements, s->elements * s->flops, s->elements * s->bytes, 0, 0};
    case DF_OP_COLLECTIVE:
        return (expected){found.kind, op->coll.kind, op->coll.axes, op->coll.bytes, 0, 0};
    case DF_OP_LINK:
        return (expected){found.kind, op->link.axis, op->link.bytes, 0, 0, 0};
    case DF_OP_HOST:
        return (expected){found.kind, op->host_bytes, 0, 0, 0, 0};
    case DF_OP_ATTENTION:
        break;
    }
    fail_msg("attention in an LSTM");
    return found;
}

/* Whether the operators of a row in a direction are these, in this order. */
static void check(const df_ops *ops, int row, int direction, const expected list[], int count)
{
    int found = 0;
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        if (op->row != row || df_op_direction(op) != direction) {
            continue;
        }
        if (found == count) {
            fail_msg("row %d has more than %d operators", row, count);
            return;
        }
        const expected *const e = &list[found++];
        assert_int_equal(op->kind, e->kind);
        const expected own = sizes_of(op);
        df_assert_rel(own.x, e->x, 1e-15);
        df_assert_rel(own.y, e->y, 1e-15);
        df_assert_rel(own.z, e->z, 1e-15);
        df_assert_rel(op->members, e->members, 0);
        df_assert_rel(op->launches, e->launches, 0);
        df_assert_rel(op->repeats, 1, 0);
        const bool sums = e->kind == DF_OP_COLLECTIVE && op->coll.kind == DF_COLL_ALL_TO_ALL;
        assert_int_equal(op->flags, sums ? DF_OP_NO_LATENCY : 0);
    }
    assert_int_equal(found, count);
}

#define CHECK(ops, row, direction, ...)                                                            \
    do {                                                                                           \
        const expected list[] = {__VA_ARGS__};                                                     \
        check(ops, row, direction, list, (int)(sizeof list / sizeof list[0]));                     \
    } while (0)

/* ---- Cells ---- */

/* (12 x 16) x (16 x 32): 384 outputs with 5 operations and 13 accesses. Backward 96 are counted,
 * and 512 weights with an operation and 3 accesses each. */
static void a_whole_cell_exchanges_nothing(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const df_cfg cfg = small_model(DF_T_NONE, 1, 1);
    df_ops ops;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_CELL, DF_FORWARD, {DF_OP_GEMM, 12, 16, 32, 0, 1},
          {DF_OP_STREAM, 384, 384 * 5, 384 * 26, 0, 5});
    CHECK(&ops, DF_LSTM_CELL, DF_BACKWARD, {DF_OP_GEMM, 16, 12, 32, 0, 1},
          {DF_OP_GEMM, 12, 32, 16, 0, 1}, {DF_OP_STREAM, 1, 96 * 5 + 512, 96 * 26 + 512 * 6, 0, 5});
}

/* Over 4: the inner dimensions 16, 12 and 32 become 4, 3 and 8. Each device has 8 of 32 columns,
 * 96 outputs, whose 4 gates are copied and sent; 2 x 12 x 32 bytes are added up, and gathered. */
static void a_column_row_cell_reduces_its_result(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const df_cfg cfg = small_model(DF_T_CR, 4, 1);
    df_ops ops;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_CELL, DF_FORWARD, {DF_OP_STREAM, 384, 0, 384 * 4, 0, 0},
          {DF_OP_LINK, DF_AXIS_KP1, 768, 0, 0, 0}, {DF_OP_GEMM, 12, 4, 32, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_REDUCE_SCATTER, KP1, 768, 4, 0},
          {DF_OP_STREAM, 96, 96 * 5, 96 * 26, 0, 5});
    CHECK(&ops, DF_LSTM_CELL, DF_BACKWARD, {DF_OP_STREAM, 384, 0, 384 * 4, 0, 0},
          {DF_OP_LINK, DF_AXIS_KP1, 768, 0, 0, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 768, 4, 0}, {DF_OP_GEMM, 16, 3, 32, 0, 1},
          {DF_OP_GEMM, 12, 8, 16, 0, 1}, {DF_OP_STREAM, 1, 96 * 5 + 128, 96 * 26 + 128 * 6, 0, 5});
}

/* Over 2 x 4: 6 of 12 rows and 8 of 32 columns. Forward, rows of 6 x 32 are gathered along kp2.
 * Backward along kp1 16 x 12 inputs and 12 x 8 gradients, along kp2 6 x 32 gradients and 32 x 16
 * weights. */
static void a_row_column_cell_gathers(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    const df_cfg cfg = small_model(DF_T_RC, 2, 4);
    df_ops ops;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_CELL, DF_FORWARD, {DF_OP_STREAM, 192, 0, 192 * 4, 0, 0},
          {DF_OP_LINK, DF_AXIS_KP2, 384, 0, 0, 0}, {DF_OP_GEMM, 6, 16, 8, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP2, 2 * 6 * 32, 4, 0},
          {DF_OP_STREAM, 48, 48 * 5, 48 * 26, 0, 5});
    CHECK(&ops, DF_LSTM_CELL, DF_BACKWARD, {DF_OP_STREAM, 192, 0, 192 * 4, 0, 0},
          {DF_OP_LINK, DF_AXIS_KP2, 384, 0, 0, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 2 * 16 * 12, 2, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 2 * 12 * 8, 2, 0},
          {DF_OP_GEMM, 8, 12, 8, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP2, 2 * 6 * 32, 4, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP2, 2 * 32 * 16, 4, 0},
          {DF_OP_GEMM, 6, 32, 4, 0, 1}, {DF_OP_STREAM, 1, 48 * 5 + 128, 48 * 26 + 128 * 6, 0, 5});
}

/* Under the reference's rules the gates of all 12 rows change hands backward, and none at all
 * where the softmax is not split over columns. */
static void rules_change_the_exchange(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_cfg cfg = small_model(DF_T_RC, 2, 4);
    df_ops ops;
    build(&cfg, &rules, &ops);
    df_assert_rel(ops.op[0].stream.elements, 192, 0);
    df_assert_rel(ops.op[1].link.bytes, 384, 0);
    df_assert_rel(ops.op[5].stream.elements, 384, 0);
    df_assert_rel(ops.op[6].link.bytes, 768, 0);
    cfg.sched.kp1 = cfg.sched.kp2 = 0;
    for (int part = 0; part < DF_PARTS; part++) {
        cfg.sched.kp_dim1[part] = 2;
        cfg.sched.kp_dim2[part] = part == DF_PART_SOFTMAX ? 1 : 4;
    }
    build(&cfg, &rules, &ops);
    assert_int_equal(ops.op[0].kind, DF_OP_GEMM);
}

/* ---- The softmax, the embedding, the hop ---- */

/* (12 x 8) x (8 x 20). Whole: 240 outputs, of which 12 rows of 20 take 19 additions. */
static void a_softmax_exchanges_sums(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg = small_model(DF_T_NONE, 1, 1);
    df_ops ops;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_SOFTMAX, DF_FORWARD, {DF_OP_GEMM, 12, 8, 20, 0, 1},
          {DF_OP_STREAM, 240, 240 * 3 - 12, 240 * 14, 0, 4});
    cfg = small_model(DF_T_CR, 4, 1);
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_SOFTMAX, DF_FORWARD, {DF_OP_GEMM, 12, 2, 20, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_REDUCE_SCATTER, KP1, 480, 4, 0},
          {DF_OP_STREAM, 60, 180, 60 * 14, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 24, 4, 0});
    cfg = small_model(DF_T_RC, 2, 4);
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_SOFTMAX, DF_FORWARD, {DF_OP_GEMM, 6, 8, 5, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP2, 2 * 6 * 20, 4, 0},
          {DF_OP_STREAM, 30, 90, 30 * 14, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_TO_ALL, KP2, 2 * 6 * 4, 4, 0});
    CHECK(&ops, DF_LSTM_SOFTMAX, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 2 * 8 * 12, 2, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 2 * 12 * 5, 2, 0},
          {DF_OP_GEMM, 4, 12, 5, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP2, 2 * 6 * 20, 4, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP2, 2 * 20 * 8, 4, 0},
          {DF_OP_GEMM, 6, 20, 2, 0, 1}, {DF_OP_STREAM, 30, 150, 30 * 22, 0, 1});
}

/* 12 rows of 8 elements; the gathers are of 192 bytes, by row and column of half of them. */
static void an_embedding_moves_rows(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_cfg cfg = small_model(DF_T_NONE, 1, 1);
    df_ops ops;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_EMBEDDING, DF_FORWARD, {DF_OP_STREAM, 96, 0, 384, 0, 1},
          {DF_OP_HOST, 384, 0, 0, 0, 0});
    CHECK(&ops, DF_LSTM_EMBEDDING, DF_BACKWARD, {DF_OP_STREAM, 96, 0, 384, 0, 1});
    cfg = small_model(DF_T_CR, 4, 1);
    build(&cfg, &rules, &ops);
    for (int direction = 0; direction < DF_DIRECTIONS; direction++) {
        CHECK(&ops, DF_LSTM_EMBEDDING, direction, {DF_OP_STREAM, 96, 0, 384, 0, 1},
              {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 192, 4, 0});
    }
    cfg = small_model(DF_T_RC, 4, 2);
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_EMBEDDING, DF_FORWARD, {DF_OP_STREAM, 12, 0, 48, 0, 1});
    CHECK(&ops, DF_LSTM_EMBEDDING, DF_BACKWARD, {DF_OP_STREAM, 12, 0, 48, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 96, 4, 0});
}

static void stages_hand_over_their_part(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    df_cfg cfg = small_model(DF_T_RC, 2, 4);
    df_ops ops;
    build(&cfg, &rules, &ops);
    check(&ops, DF_LSTM_HOP, DF_FORWARD, NULL, 0);
    cfg.sched.lp = 3;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_HOP, DF_FORWARD,
          {DF_OP_COLLECTIVE, DF_COLL_P2P, 1U << DF_AXIS_LP, 24, 0, 0});
    rules.pipeline_hop_free = true;
    build(&cfg, &rules, &ops);
    check(&ops, DF_LSTM_HOP, DF_FORWARD, NULL, 0);
}

/* ---- Gradients ---- */

/* The cell's 16 x 32 weights. By row and column over 2 x 4 each replica's device reduces 8 x 8,
 * gathers its 16 x 8 and applies them. The reference reduces a softmax by the cell's kind. */
static void replicas_reduce_what_a_device_has(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    df_cfg cfg = small_model(DF_T_CR, 4, 1);
    df_ops ops;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_CELL_REDUCTION, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_REDUCE, DP, 256, 0, 0},
          {DF_OP_STREAM, 128, 384, 1024, 0, 0}, {DF_OP_STREAM, 128, 512, 768, 0, 0});
    cfg = small_model(DF_T_RC, 2, 4);
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_CELL_REDUCTION, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_REDUCE, DP, 128, 0, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 256, 2, 0},
          {DF_OP_STREAM, 128, 384, 1024, 0, 0}, {DF_OP_STREAM, 128, 512, 768, 0, 0});
    cfg.sched.t = DF_T_NONE;
    cfg.sched.kp_type[DF_PART_HIDDEN] = DF_KP_RC;
    cfg.sched.kp_type[DF_PART_SOFTMAX] = DF_KP_CR;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_SOFTMAX_REDUCTION, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_REDUCE, DP, 2 * 4 * 20, 0, 0},
          {DF_OP_STREAM, 80, 240, 640, 0, 0}, {DF_OP_STREAM, 80, 320, 480, 0, 0});
    rules.reduction_follows_hidden = true;
    build(&cfg, &rules, &ops);
    CHECK(&ops, DF_LSTM_SOFTMAX_REDUCTION, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_REDUCE, DP, 2 * 4 * 5, 0, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 2 * 8 * 5, 2, 0},
          {DF_OP_STREAM, 40, 120, 320, 0, 0}, {DF_OP_STREAM, 40, 160, 240, 0, 0});
}

/* ---- GEMMs ---- */

/* (10 x 30) x (30 x 7) over 4: shares are whole, 10 / 4 and 7 / 4 rounded down; each of four
 * shards of 140 bytes has 35. Over 3 x 1 shards of 2 x 30 x 10 bytes have 200, and those of
 * 2 x 10 x 7 bytes, 46 and two thirds, have 47. */
static void gemms_have_whole_shares(void **state)
{
    (void)state;
    df_cfg cfg = small_model(DF_T_CR, 4, 1);
    df_gemm_mode g;
    df_ops ops;
    cfg.sched.dp = 2;
    df_gemm_mode_read(&cfg, &g);
    df_gemm_mode_build(&g, &ops);
    CHECK(&ops, DF_GEMM_FORWARD, DF_FORWARD, {DF_OP_GEMM, 10, 7, 7, 0, 1},
          {DF_OP_COLLECTIVE, DF_COLL_REDUCE_SCATTER, KP1, 140, 4, 0});
    CHECK(&ops, DF_GEMM_BACKWARD, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 140, 4, 0}, {DF_OP_GEMM, 30, 2, 7, 0, 1},
          {DF_OP_GEMM, 10, 1, 30, 0, 1});
    CHECK(&ops, DF_GEMM_REDUCTION, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_REDUCE, DP, 105, 0, 0},
          {DF_OP_STREAM, 52.5, 157.5, 420, 0, 0}, {DF_OP_STREAM, 52.5, 210, 315, 0, 0});
    cfg = small_model(DF_T_RC, 3, 1);
    df_gemm_mode_read(&cfg, &g);
    df_gemm_mode_build(&g, &ops);
    CHECK(&ops, DF_GEMM_FORWARD, DF_FORWARD, {DF_OP_GEMM, 3, 30, 7, 0, 1});
    CHECK(&ops, DF_GEMM_BACKWARD, DF_BACKWARD,
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 600, 3, 0},
          {DF_OP_COLLECTIVE, DF_COLL_ALL_GATHER, KP1, 3 * 47, 3, 0}, {DF_OP_GEMM, 10, 10, 7, 0, 1},
          {DF_OP_GEMM, 10 / 3.0, 7, 30, 0, 1});
    check(&ops, DF_GEMM_REDUCTION, DF_BACKWARD, NULL, 0);
}

/* Only a GEMM that is not split, and only under the rule. */
static void a_whole_gemm_may_have_a_cell(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_cfg cfg = small_model(DF_T_CR, 1, 1);
    df_gemm_mode g;
    df_ops ops;
    cfg.gemm.backward = false;
    df_gemm_mode_read(&cfg, &g);
    df_gemm_mode_build(&g, &ops);
    CHECK(&ops, DF_GEMM_FORWARD, DF_FORWARD, {DF_OP_GEMM, 10, 30, 7, 0, 1});
    df_compat_edit_gemm(&rules, &g, &ops);
    CHECK(&ops, DF_GEMM_FORWARD, DF_FORWARD, {DF_OP_GEMM, 10, 30, 7, 0, 1},
          {DF_OP_STREAM, 70, 350, 70 * 26, 0, 5});
    cfg.sched.kp1 = 2;
    df_gemm_mode_read(&cfg, &g);
    df_gemm_mode_build(&g, &ops);
    const int count = ops.count;
    df_compat_edit_gemm(&rules, &g, &ops);
    assert_int_equal(ops.count, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_cell_exchanges_nothing),
        cmocka_unit_test(a_column_row_cell_reduces_its_result),
        cmocka_unit_test(a_row_column_cell_gathers),
        cmocka_unit_test(rules_change_the_exchange),
        cmocka_unit_test(a_softmax_exchanges_sums),
        cmocka_unit_test(an_embedding_moves_rows),
        cmocka_unit_test(stages_hand_over_their_part),
        cmocka_unit_test(replicas_reduce_what_a_device_has),
        cmocka_unit_test(gemms_have_whole_shares),
        cmocka_unit_test(a_whole_gemm_may_have_a_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
