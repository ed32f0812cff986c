/* Rules that change the operators of a transformer, one function each. */
#include <math.h>

#include "compat/compat.h"

typedef struct {
    const df_compat_case *of;
    df_ops *ops;
} edited;

static bool is_on_one_device(const edited *e)
{
    return e->of->split->tp == 1.0 && e->of->split->cp == 1.0;
}

/* The next product of a row and pass from *i on; NULL: there is none. */
static df_op *next_of(df_ops *ops, int *i, df_op_kind kind, unsigned rows)
{
    while (*i < ops->count) {
        df_op *const op = &ops->op[(*i)++];
        if (op->kind == kind && (rows >> op->row & 1U) != 0) {
            return op;
        }
    }
    return NULL;
}

#define ROW(row) (1U << (row))

/* An input gradient (m, n) times (n, k) has the forward shape (m, k) times (k, n). */
static void single_gradient_as_forward(edited *e)
{
    const unsigned rows = ROW(DF_ROW_SCORE) | ROW(DF_ROW_AV);
    df_op *op;
    int i = 0;
    while (is_on_one_device(e) && (op = next_of(e->ops, &i, DF_OP_GEMM, rows)) != NULL) {
        if (op->pass == DF_PASS_INPUT_GRAD) {
            const double k = op->gemm.k;
            op->gemm.k = op->gemm.n;
            op->gemm.n = k;
        }
    }
}

static void hybrid_launches_scaled(edited *e)
{
    const bool hybrid = e->of->split->tp > 1.0 && e->of->split->cp > 1.0;
    df_op *op;
    int i = 0;
    while (hybrid && (op = next_of(e->ops, &i, DF_OP_GEMM, ROW(DF_ROW_AV))) != NULL) {
        if (op->pass != DF_PASS_FORWARD) {
            op->launches = op->repeats;
        }
    }
}

/* ---- FlashAttention ---- */

/* The price has it in another place. */
static void flash_launch_on_heads(edited *e)
{
    df_op *op;
    int i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_ATTENTION, ROW(DF_ROW_ATTENTION))) != NULL) {
        op->launches = 0.0;
    }
}

static void flash_context_unreduced(edited *e)
{
    df_op *op;
    int i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_COLLECTIVE, ROW(DF_ROW_ATTENTION))) != NULL) {
        op->coll.bytes = 0.0;
    }
}

static void flash_context_own_keys(edited *e)
{
    df_op *op;
    int i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_ATTENTION, ROW(DF_ROW_ATTENTION))) != NULL) {
        op->attention.keys = op->attention.queries;
    }
}

static void flash_unmasked(edited *e)
{
    df_op *op;
    int i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_ATTENTION, ROW(DF_ROW_ATTENTION))) != NULL) {
        op->attention.causal = false;
    }
}

/* ---- Pointwise work ---- */

static void context_norm_forward_whole(edited *e)
{
    const unsigned rows = ROW(DF_ROW_NORM1) | ROW(DF_ROW_NORM2);
    const df_compat_case *const c = e->of;
    const bool context = c->split->cp > 1.0 && c->split->tp == 1.0;
    df_op *op;
    int i = 0;
    while (context && (op = next_of(e->ops, &i, DF_OP_STREAM, rows)) != NULL) {
        if (op->pass == DF_PASS_FORWARD && op->part == DF_PART_MAIN) {
            op->stream.elements = c->split->batch * c->span->tokens * c->dims->hidden;
        }
    }
}

/* The second residual has the rows of the feed-forward network, in a decode step of the batch. */
static double whole_residual(const edited *e, df_row_name row)
{
    const df_span *const span = e->of->span;
    const double batch = e->of->split->batch;
    const double rows = row == DF_ROW_NORM1 ? batch * span->tokens
                        : span->decode      ? batch
                                            : span->expert_rows;
    return rows * e->of->dims->hidden;
}

static void pointwise_unsharded(edited *e)
{
    const unsigned rows = ROW(DF_ROW_NORM1) | ROW(DF_ROW_NORM2) | ROW(DF_ROW_ACTIVATION);
    df_op *op;
    int i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_STREAM, rows)) != NULL) {
        if (op->part == DF_PART_RESIDUAL) {
            op->stream.elements = whole_residual(e, (df_row_name)op->row);
        } else if (op->row == DF_ROW_ACTIVATION) {
            op->stream.elements = e->of->span->expert_rows * e->of->dims->ffn;
        }
    }
}

static void embedding_whole_table(edited *e)
{
    const df_dims *const d = e->of->dims;
    const double tokens = e->of->span->tokens * e->of->split->batch;
    const double elements = d->vocab * d->hidden + tokens * d->hidden;
    df_op *op;
    int i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_STREAM, ROW(DF_ROW_EMBEDDING))) != NULL) {
        op->stream.elements = elements;
    }
    i = 0;
    while ((op = next_of(e->ops, &i, DF_OP_HOST, ROW(DF_ROW_EMBEDDING))) != NULL) {
        op->host_bytes = d->bytes.activation * elements;
    }
}

static void casts_free(edited *e)
{
    int kept = 0;
    for (int i = 0; i < e->ops->count; i++) {
        if (e->ops->op[i].part != DF_PART_CAST) {
            e->ops->op[kept++] = e->ops->op[i];
        }
    }
    e->ops->count = kept;
}

/* ---- Logits ---- */

static void decode_logits_one_row(edited *e)
{
    const df_dims *const d = e->of->dims;
    df_op *op;
    int i = 0;
    while (e->of->span->decode &&
           (op = next_of(e->ops, &i, DF_OP_GEMM, ROW(DF_ROW_LOGITS))) != NULL) {
        if (op->pass == DF_PASS_WEIGHT_GRAD) {
            op->gemm.k = 1.0;
        } else {
            op->gemm.m = 1.0;
        }
    }
    i = 0;
    while (e->of->span->decode &&
           (op = next_of(e->ops, &i, DF_OP_COLLECTIVE, ROW(DF_ROW_LOGITS))) != NULL) {
        op->coll.bytes = op->pass == DF_PASS_FORWARD
                             ? ceil(d->bytes.activation * d->vocab)
                             : ceil(d->bytes.exchanged_gradient * d->hidden);
    }
}

void df_compat_edit(const df_rules *rules, const df_compat_case *of, df_ops *ops)
{
    const struct {
        bool on;
        void (*edit)(edited *);
    } edits[] = {
        {rules->llm_single_gradient_as_forward, single_gradient_as_forward},
        {rules->llm_hybrid_launches_scaled, hybrid_launches_scaled},
        {rules->llm_flash_launch_on_heads, flash_launch_on_heads},
        {rules->llm_flash_context_unreduced, flash_context_unreduced},
        {rules->llm_flash_context_own_keys, flash_context_own_keys},
        {rules->llm_flash_unmasked, flash_unmasked},
        {rules->llm_context_norm_forward_whole, context_norm_forward_whole},
        {rules->llm_pointwise_unsharded, pointwise_unsharded},
        {rules->llm_embedding_whole_table, embedding_whole_table},
        {rules->llm_decode_logits_one_row, decode_logits_one_row},
        {rules->llm_casts_free, casts_free},
    };
    edited e = {of, ops};
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        if (edits[i].on) {
            edits[i].edit(&e);
        }
    }
}
