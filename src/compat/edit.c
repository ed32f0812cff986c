/* Rules that change the operators of a transformer, kind by kind. */
#include <math.h>

#include "compat/compat.h"
#include "model/build.h"

/* The products of attention. */
static void edit_core(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    const bool tensor = of->split->tp > 1.0;
    const bool context = of->split->cp > 1.0;
    if (rules->llm_single_gradient_as_forward && !tensor && !context &&
        op->pass == DF_PASS_INPUT_GRAD) {
        /* (m, n) times (n, k) has the forward shape (m, k) times (k, n) */
        const double k = op->gemm.k;
        op->gemm.k = op->gemm.n;
        op->gemm.n = k;
    }
    if (rules->llm_hybrid_launches_scaled && op->row == DF_ROW_AV && tensor && context &&
        op->pass != DF_PASS_FORWARD) {
        op->launches = op->repeats;
    }
}

/* The last projection has all tokens with logits on each tensor- and context-parallel device, which
 * has one n-th of the vocabulary. */
static double head_rows(const df_compat_case *of)
{
    return of->split->batch * of->span->scored;
}

static double head_members(const df_compat_case *of)
{
    return of->split->tp * of->split->cp;
}

static double head_columns(const df_compat_case *of)
{
    return ceil(of->dims->vocab / head_members(of));
}

static void edit_head_product(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    if (rules->llm_head_split_twice) {
        const double rows = head_rows(of);
        const double columns = head_columns(of);
        const double hidden = of->dims->hidden;
        const df_op_gemm shape[DF_OP_PASSES] = {
            [DF_PASS_FORWARD] = {rows, hidden, columns, 0.0},
            [DF_PASS_INPUT_GRAD] = {rows, columns, hidden, 0.0},
            [DF_PASS_WEIGHT_GRAD] = {hidden, rows, columns, 0.0},
        };
        op->gemm = shape[op->pass];
    }
    if (rules->llm_decode_logits_one_row && of->span->decode) {
        *(op->pass == DF_PASS_WEIGHT_GRAD ? &op->gemm.k : &op->gemm.m) = 1.0;
    }
}

static void edit_head_stream(const df_compat_case *of, df_op *op)
{
    op->stream.elements = op->part == DF_OP_PART_CAST
                              ? of->dims->hidden * head_columns(of)
                              : head_rows(of) * of->dims->vocab / head_members(of);
}

/* The logits are gathered, and the gradient of their input is summed. */
static void gather_logits(const df_compat_case *of, df_op *op)
{
    const df_dims *const d = of->dims;
    const bool forward = op->pass == DF_PASS_FORWARD;
    op->coll.kind = forward ? DF_COLL_ALL_GATHER : DF_COLL_ALL_REDUCE;
    op->coll.axes = DF_OVER_TP | DF_OVER_CP;
    op->coll.bytes = op->part == DF_OP_PART_INPUT ? 0.0
                     : forward ? ceil(d->bytes.activation * head_rows(of) * d->vocab)
                               : ceil(d->bytes.exchanged_gradient * head_rows(of) * d->hidden);
}

static void edit_product(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    if (op->row == DF_ROW_SCORE || op->row == DF_ROW_AV) {
        edit_core(rules, of, op);
    } else if (op->row == DF_ROW_LOGITS) {
        edit_head_product(rules, of, op);
    }
}

static void edit_attention(const df_rules *rules, df_op *op)
{
    if (rules->llm_flash_launch_on_heads) {
        op->launches = 0.0; /* the price adds the launch elsewhere */
    }
    if (rules->llm_flash_backward_double) {
        op->repeats = op->pass == DF_PASS_FORWARD ? 1.0 : 2.0;
    }
    if (rules->llm_flash_context_own_keys) {
        op->attention.keys = op->attention.queries;
    }
    if (rules->llm_flash_unmasked) {
        op->attention.causal = false;
    }
}

/* The second residual has the rows of the feed-forward network, in a decode step of the batch. */
static double residual_rows(const df_compat_case *of, int row)
{
    const df_span *const span = of->span;
    const double batch = of->split->batch;
    return row == DF_ROW_NORM1 ? batch * span->tokens : span->decode ? batch : span->expert_rows;
}

static void edit_norm(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    const double hidden = of->dims->hidden;
    const bool context_alone = of->split->cp > 1.0 && of->split->tp == 1.0;
    if (rules->llm_context_norm_forward_whole && op->part == DF_OP_PART_MAIN && context_alone &&
        op->pass == DF_PASS_FORWARD) {
        op->stream.elements = of->split->batch * of->span->tokens * hidden;
    }
    if (rules->llm_norms_at_statistics_width && op->part == DF_OP_PART_MAIN) {
        op->stream.bytes =
            df_pointwise.norm[df_op_direction(op)].accesses * of->dims->bytes.statistics;
    }
    if (rules->llm_pointwise_unsharded && op->part == DF_OP_PART_RESIDUAL) {
        op->stream.elements = residual_rows(of, op->row) * hidden;
    }
}

static double table_elements(const df_compat_case *of)
{
    const df_dims *const d = of->dims;
    return d->vocab * d->hidden + of->span->tokens * of->split->batch * d->hidden;
}

static void edit_stream(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    if (op->row == DF_ROW_NORM1 || op->row == DF_ROW_NORM2) {
        edit_norm(rules, of, op);
    } else if (op->row == DF_ROW_ACTIVATION && rules->llm_pointwise_unsharded) {
        op->stream.elements = of->span->expert_rows * of->dims->ffn;
    } else if (op->row == DF_ROW_EMBEDDING && rules->llm_embedding_whole_table) {
        op->stream.elements = table_elements(of);
    } else if (op->row == DF_ROW_LOGITS && rules->llm_head_split_twice) {
        edit_head_stream(of, op);
    }
    if (op->part == DF_OP_PART_CAST && rules->llm_casts_free) {
        op->stream.elements = 0.0;
        op->launches = 0.0;
    }
}

static void edit_collective(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    const df_dims *const d = of->dims;
    if (rules->llm_flash_context_unreduced && op->row == DF_ROW_ATTENTION) {
        op->coll.bytes = 0.0;
    }
    if (rules->llm_norms_at_statistics_width && op->pass == DF_PASS_FORWARD &&
        (op->row == DF_ROW_NORM1 || op->row == DF_ROW_NORM2)) {
        const double parts = df_split_outside(of->split, of->span->tokens, d->hidden);
        op->coll.bytes = ceil(d->bytes.statistics * (parts * of->split->tp));
    }
    if (rules->llm_head_split_twice && op->row == DF_ROW_LOGITS) {
        gather_logits(of, op);
    }
    if (rules->llm_decode_logits_one_row && op->row == DF_ROW_LOGITS && of->span->decode &&
        op->part == DF_OP_PART_MAIN) {
        op->coll.bytes = op->pass == DF_PASS_FORWARD
                             ? ceil(d->bytes.activation * d->vocab)
                             : ceil(d->bytes.exchanged_gradient * d->hidden);
    }
}

static void edit_op(const df_rules *rules, const df_compat_case *of, df_op *op)
{
    switch ((df_op_kind)op->kind) {
    case DF_OP_GEMM:
        edit_product(rules, of, op);
        return;
    case DF_OP_ATTENTION:
        edit_attention(rules, op);
        return;
    case DF_OP_STREAM:
        edit_stream(rules, of, op);
        return;
    case DF_OP_HOST:
        if (rules->llm_embedding_whole_table) {
            op->host_bytes = of->dims->bytes.activation * table_elements(of);
        }
        return;
    case DF_OP_COLLECTIVE:
        edit_collective(rules, of, op);
        return;
    case DF_OP_LINK:
        return;
    }
}

void df_compat_edit(const df_rules *rules, const df_compat_case *of, df_ops *ops)
{
    for (int i = 0; i < ops->count; i++) {
        edit_op(rules, of, &ops->op[i]);
    }
}
