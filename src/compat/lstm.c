/* Rules of the modes LSTM and GEMM. */
#include "compat/compat.h"

/* By row and column, the softmax's split decides whether gates change hands, and the backward pass
 * exchanges those of all rows. */
static void exchange(const df_rules *rules, df_lstm *x)
{
    double *const rows = x->exchanged_rows;
    if (rules->rc_exchange_follows_softmax) {
        const bool apart = x->part[DF_PART_SOFTMAX].split.dim2 > 1.0;
        rows[DF_FORWARD] = apart ? x->batch / x->part[DF_PART_HIDDEN].split.dim1 : 0.0;
        rows[DF_BACKWARD] = rows[DF_FORWARD];
    }
    if (rules->rc_backward_exchange_whole && rows[DF_BACKWARD] > 0.0) {
        rows[DF_BACKWARD] = x->batch;
    }
}

void df_compat_lstm(const df_rules *rules, df_lstm *x)
{
    const df_kp_type cell = x->part[DF_PART_HIDDEN].split.type;
    if (cell == DF_KP_RC) {
        exchange(rules, x);
    }
    for (int part = 0; part < DF_LSTM_PARTS && rules->reduction_follows_hidden; part++) {
        x->part[part].reduction = cell;
    }
    if (rules->pipeline_hop_free) {
        x->hop_bytes = 0.0;
    }
}

/* The pointwise work of an LSTM cell follows a product that is not split. */
void df_compat_edit_gemm(const df_rules *rules, const df_gemm_mode *g, df_ops *ops)
{
    const df_product *const p = &g->product;
    const df_tail t = {.ops = ops, .row = DF_GEMM_FORWARD};
    if (rules->gemm_mode_adds_lstm_cell && p->split.type == DF_KP_NONE) {
        df_tail_stream(&t, DF_PASS_FORWARD, &df_pointwise.lstm_cell, p->m * p->n, p->element_bytes);
    }
}

/* In a pipeline the softmax is left out, and two or three stages need nothing. */
void df_compat_footprint(const df_rules *rules, const df_lstm *x, df_footprint *out)
{
    df_footprint_lstm(x, out);
    if (x->stages > 1.0 && rules->footprint_omits_softmax) {
        df_footprint without = *out;
        without.part[DF_PART_SOFTMAX].total_bytes = 0.0;
        out->total_bytes = df_footprint_fullest_bytes(&without, x->stages);
    }
    if (x->stages > 1.0 && x->stages < 4.0 && rules->footprint_lp2_zero) {
        out->total_bytes = 0.0;
    }
}
