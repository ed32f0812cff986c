/* Flops and bytes of operators as the Python DeepFlow counts them: for its energies, and in the
 * table of operators. */
#include "base/units.h"
#include "compat/compat.h"

enum { DRAM = DF_HW_LEVELS - 1 };

typedef struct {
    const df_compat_case *of;
    bool one_head; /* of the products of attention, count the traffic of one */
    df_breakdown *table;
} counter;

static void add_bytes(df_row *row, const double bytes[DF_HW_LEVELS], double times)
{
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        row->counted_bytes[level] += bytes[level] * times;
    }
}

/* A product with weights counts the flops of all devices, and the traffic of one product on one
 * device. */
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

/* ---- Energy ---- */

/* Flops, DRAM traffic and transfers of one layer, and of everything outside of layers. */
typedef struct {
    double flops, dram_bytes, moved_bytes;
} counted;

static counted count(const df_breakdown *table, bool decode)
{
    static const df_row_name in_layer[] = {DF_ROW_MHA, DF_ROW_MLP, DF_ROW_NORM1, DF_ROW_NORM2};
    static const df_row_name beside[] = {DF_ROW_EMBEDDING, DF_ROW_LOGITS};
    counted sum = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < sizeof in_layer / sizeof in_layer[0]; i++) {
        const df_row *const row = &table->row[in_layer[i]];
        sum.flops += row->counted_flops;
        sum.dram_bytes += row->counted_bytes[DRAM];
        sum.moved_bytes += row->side[DF_FORWARD].comm_bytes;
    }
    for (size_t i = 0; i < sizeof beside / sizeof beside[0] && !decode; i++) {
        sum.flops += table->row[beside[i]].counted_flops;
        sum.dram_bytes += table->row[beside[i]].counted_bytes[DRAM];
    }
    return sum;
}

double df_compat_pass_energy_j(const df_rules *rules,
                               const df_cfg_tech *tech,
                               const df_compat_case *of,
                               const df_breakdown *table)
{
    const df_dims *const d = of->dims;
    const double given_j = tech->intra.nominal_energy_per_link_j;
    const bool absent = given_j == DF_CFG_ABSENT_J && !rules->llm_energy_default_link;
    const double tokens = of->span->decode                           ? 1.0
                          : rules->llm_energy_prefill_whole_sequence ? d->sequence
                                                                     : of->span->tokens;
    const double hop_bytes = of->split->batch * tokens * d->hidden * d->bytes.activation;
    const counted sum = count(table, of->span->decode);
    const double moved = d->layers * sum.moved_bytes + (of->split->pp - 1.0) * hop_bytes;
    return tech->core.nominal_energy_per_flop_j * sum.flops +
           DF_BITS_PER_BYTE * tech->dram.dynamic_energy_per_bit_j * sum.dram_bytes +
           DF_BITS_PER_BYTE * (absent ? 0.0 : given_j) * moved;
}
