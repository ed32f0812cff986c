#include "fold/breakdown.h"

#include <math.h>
#include <string.h>

const df_row_name df_breakdown_leaves[DF_BREAKDOWN_LEAVES] = {
    DF_ROW_EMBEDDING, DF_ROW_NORM1, DF_ROW_QKV,        DF_ROW_ATTENTION, DF_ROW_OUT,
    DF_ROW_NORM2,     DF_ROW_FFN1,  DF_ROW_ACTIVATION, DF_ROW_FFN2,      DF_ROW_LOGITS,
};

/* The row that a row is part of; itself, where there is none. */
static df_row_name parent_of(df_row_name row)
{
    switch (row) {
    case DF_ROW_SCORE:
    case DF_ROW_SOFTMAX:
    case DF_ROW_AV:
        return DF_ROW_ATTENTION;
    case DF_ROW_QKV:
    case DF_ROW_ATTENTION:
    case DF_ROW_OUT:
        return DF_ROW_MHA;
    case DF_ROW_FFN1:
    case DF_ROW_ACTIVATION:
    case DF_ROW_FFN2:
        return DF_ROW_MLP;
    default:
        return row;
    }
}

bool df_row_is_within(df_row_name row, df_row_name of)
{
    while (row != of && parent_of(row) != row) {
        row = parent_of(row);
    }
    return row == of;
}

/* All of a price but the time that it adds to its row. */
static void add_work(df_row_side *side, const df_op *op, const df_price *price)
{
    df_price_add(&side->sum, price, 1.0);
    if (op->kind == DF_OP_COLLECTIVE) {
        side->comm_s += price->time_s;
        side->comm_bytes += op->coll.bytes;
    }
}

static void add_side(df_row_side *sum, const df_row_side *side)
{
    sum->time_s += side->time_s;
    sum->comm_s += side->comm_s;
    sum->comm_bytes += side->comm_bytes;
    df_price_add(&sum->sum, &side->sum, 1.0);
}

static void add_to_parent(df_breakdown *table, df_row_name part)
{
    const df_row_name sum = parent_of(part);
    for (int direction = 0; direction < DF_DIRECTIONS && sum != part; direction++) {
        table->row[sum].present = true;
        add_side(&table->row[sum].side[direction], &table->row[part].side[direction]);
    }
}

/* Attention is the sum of its three parts and of what has its own name. */
static void add_op(df_breakdown *table, const df_op *op, const df_price *price)
{
    const int direction = df_op_direction(op);
    const bool inside = op->row <= DF_ROW_AV && op->row >= DF_ROW_SCORE;
    df_row *const row = &table->row[op->row];
    df_row_side *const side = &row->side[direction];
    row->present = true;
    side->time_s = (op->flags & DF_OP_BESIDE) != 0 ? fmax(side->time_s, price->time_s)
                                                   : side->time_s + price->time_s;
    add_work(side, op, price);
    if (inside) {
        df_row_side *const attention = &table->row[DF_ROW_ATTENTION].side[direction];
        attention->time_s += (op->flags & DF_OP_ALONE) != 0 ? 0.0 : price->time_s;
        add_work(attention, op, price);
    }
}

void df_row_times_add(const df_ops *ops, const df_price price[], df_row_times row[])
{
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        df_row_times *const sum = &row[op->row];
        double *const part = op->kind == DF_OP_COLLECTIVE ? sum->comm_s : sum->compute_s;
        part[df_op_direction(op)] += price[i].time_s;
    }
}

void df_breakdown_fill(const df_ops *ops,
                       const df_price price[],
                       double recompute_s,
                       df_breakdown *table)
{
    df_row *const row = table->row;
    memset(table, 0, sizeof *table);
    row[DF_ROW_ATTENTION].present = true;
    for (int i = 0; i < ops->count; i++) {
        add_op(table, &ops->op[i], &price[i]);
    }
    for (int i = 0; i < DF_BREAKDOWN_LEAVES; i++) {
        add_to_parent(table, df_breakdown_leaves[i]);
    }
    for (int direction = 0; direction < DF_DIRECTIONS; direction++) {
        table->block_s[direction] =
            row[DF_ROW_MHA].side[direction].time_s + row[DF_ROW_MLP].side[direction].time_s +
            row[DF_ROW_NORM1].side[direction].time_s + row[DF_ROW_NORM2].side[direction].time_s;
    }
    table->recompute_s = recompute_s;
    table->block_s[DF_BACKWARD] += recompute_s;
}

/* Work in parallel with the products of attention counts if it takes longer, so the forward half of
 * a layer keeps attention apart. */
void df_pass_times_sum(const df_ops *ops, const df_price price[], df_pass_times *times)
{
    double attention_s = 0.0;
    memset(times, 0, sizeof *times);
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        const double time_s = price[i].time_s;
        const bool forward = op->pass == DF_PASS_FORWARD;
        if (forward && op->row >= DF_ROW_SCORE && op->row <= DF_ROW_ATTENTION) {
            attention_s =
                (op->flags & DF_OP_BESIDE) != 0 ? fmax(attention_s, time_s) : attention_s + time_s;
            times->attention_core_s += op->row < DF_ROW_ATTENTION ? time_s : 0.0;
        } else if ((op->flags & DF_OP_ALONE) == 0) {
            times->block_s[op->block][op->pass] += time_s;
        }
    }
    times->block_s[DF_BLOCK_LAYER][DF_PASS_FORWARD] += attention_s;
}
