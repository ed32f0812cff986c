/* Flops and bytes of operators as the Python DeepFlow counts them: for its energies, and in the
 * table of operators. */
#include "compat/compat.h"

enum { DRAM = DF_HW_LEVELS - 1 };

typedef struct {
    const df_compat_case *of;
    bool one_head; /* of the products of attention, the traffic of one */
    df_breakdown *table;
} counter;

static void add_bytes(df_row *row, const double bytes[DF_HW_LEVELS], double times)
{
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        row->counted_bytes[level] += bytes[level] * times;
    }
}

/* A product with weights: flops of all devices, traffic of one product of one device. */
static void count_projection(const counter *c, const df_op *op, const df_price *price)
{
    const df_dims *const d = c->of->dims;
    const df_span *const span = c->of->span;
    const double tokens = c->of->split->batch * span->tokens;
    const double flops[DF_ROWS] = {
        [DF_ROW_QKV] = 2.0 * tokens * d->hidden * (d->heads + 2.0 * d->kv_heads) * d->head_dim,
        [DF_ROW_OUT] = 2.0 * tokens * d->hidden * d->hidden,
        [DF_ROW_FFN1] = 2.0 * span->expert_rows * d->hidden * d->ffn_in,
        [DF_ROW_FFN2] = 2.0 * span->expert_rows * d->ffn * d->hidden,
    };
    df_row *const row = &c->table->row[op->row];
    if (c->of->split->cp == 1.0 && op->row != DF_ROW_LOGITS) {
        row->counted_flops = flops[op->row];
        add_bytes(row, price->traffic_bytes, 1.0 / op->repeats);
    }
}

static void count_batched(const counter *c, const df_op *op, const df_price *price)
{
    const df_op_gemm *const g = &op->gemm;
    const double all = op->repeats * c->of->split->tp;
    df_row *const row = &c->table->row[op->row];
    if (c->of->split->cp == 1.0) {
        row->counted_flops = 2.0 * all * g->m * g->k * g->n;
        add_bytes(row, price->traffic_bytes, c->one_head ? 1.0 / op->repeats : 1.0);
    }
}

static void count_flash(const counter *c, const df_price *price)
{
    const df_dims *const d = c->of->dims;
    const double tokens = c->of->span->tokens;
    const double all = c->of->split->batch * tokens;
    df_row *const row = &c->table->row[DF_ROW_ATTENTION];
    row->counted_flops = 2.0 * (all * d->hidden * d->hidden + all * tokens * d->hidden);
    row->counted_bytes[DRAM] =
        c->one_head ? 2.0 * tokens * (d->hidden + d->head_dim * d->kv_heads) * d->bytes.activation
                    : price->traffic_bytes[DRAM];
}

static void count_stream(const counter *c, const df_op *op, const df_price *price)
{
    const bool cache = op->part == DF_OP_PART_CACHE_STORE || op->part == DF_OP_PART_CACHE_FETCH;
    const bool table =
        op->row == DF_ROW_EMBEDDING || (op->row == DF_ROW_LOGITS && op->part == DF_OP_PART_MAIN);
    if (cache || table) {
        c->table->row[op->row].counted_bytes[DRAM] += price->traffic_bytes[DRAM];
    }
}

static void count_op(const counter *c, const df_op *op, const df_price *price)
{
    const bool product = op->row == DF_ROW_SCORE || op->row == DF_ROW_AV;
    if (op->pass != DF_PASS_FORWARD) {
        return;
    }
    switch ((df_op_kind)op->kind) {
    case DF_OP_GEMM:
        product ? count_batched(c, op, price) : count_projection(c, op, price);
        return;
    case DF_OP_ATTENTION:
        count_flash(c, price);
        return;
    case DF_OP_STREAM:
        count_stream(c, op, price);
        return;
    case DF_OP_HOST:
    case DF_OP_LINK:
    case DF_OP_COLLECTIVE:
        return;
    }
}

static void add_row(df_breakdown *table, df_row_name sum, df_row_name part, bool bytes)
{
    table->row[sum].counted_flops += table->row[part].counted_flops;
    if (bytes) {
        add_bytes(&table->row[sum], table->row[part].counted_bytes, 1.0);
    }
}

void df_compat_count(const df_rules *rules,
                     const df_compat_case *of,
                     const df_ops *ops,
                     const df_price price[],
                     df_breakdown *table)
{
    const counter c = {of, rules->llm_energy_one_head, table};
    const bool tensor = of->split->tp > 1.0 && of->split->cp == 1.0;
    const bool bytes = tensor || !c.one_head || (of->span->decode && of->span->cached);
    for (int i = 0; i < ops->count; i++) {
        count_op(&c, &ops->op[i], &price[i]);
    }
    add_row(table, DF_ROW_ATTENTION, DF_ROW_SCORE, bytes);
    add_row(table, DF_ROW_ATTENTION, DF_ROW_AV, bytes);
    add_row(table, DF_ROW_MHA, DF_ROW_QKV, true);
    add_row(table, DF_ROW_MHA, DF_ROW_ATTENTION, true);
    add_row(table, DF_ROW_MHA, DF_ROW_OUT, true);
    add_row(table, DF_ROW_MLP, DF_ROW_FFN1, true);
    add_row(table, DF_ROW_MLP, DF_ROW_ACTIVATION, true);
    add_row(table, DF_ROW_MLP, DF_ROW_FFN2, true);
}
