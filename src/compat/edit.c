/* Rules that change the operators of a transformer, one function each. */
#include <math.h>
#include <stddef.h>

#include "compat/compat.h"

/* Changes one operator of the kind and rows that the edit is for. */
typedef void edit_fn(const df_compat_case *of, df_op *op);

#define ROW(row) (1U << (row))
#define PART(part) (1U << (part))

/* ---- Attention as products ---- */

/* An input gradient (m, n) times (n, k) has the forward shape (m, k) times (k, n). */
static void single_gradient_as_forward(const df_compat_case *of, df_op *op)
{
    const bool single = of->split->tp == 1.0 && of->split->cp == 1.0;
    if (single && op->pass == DF_PASS_INPUT_GRAD) {
        const double k = op->gemm.k;
        op->gemm.k = op->gemm.n;
        op->gemm.n = k;
    }
}

static void hybrid_launches_scaled(const df_compat_case *of, df_op *op)
{
    const bool hybrid = of->split->tp > 1.0 && of->split->cp > 1.0;
    if (hybrid && op->pass != DF_PASS_FORWARD) {
        op->launches = op->repeats;
    }
}

/* ---- FlashAttention ---- */

/* The price adds the launch elsewhere. */
static void flash_launch_on_heads(const df_compat_case *of, df_op *op)
{
    (void)of;
    op->launches = 0.0;
}

static void flash_backward_double(const df_compat_case *of, df_op *op)
{
    (void)of;
    op->repeats = op->pass == DF_PASS_FORWARD ? 1.0 : 2.0;
}

static void flash_context_unreduced(const df_compat_case *of, df_op *op)
{
    (void)of;
    op->coll.bytes = 0.0;
}

static void flash_context_own_keys(const df_compat_case *of, df_op *op)
{
    (void)of;
    op->attention.keys = op->attention.queries;
}

static void flash_unmasked(const df_compat_case *of, df_op *op)
{
    (void)of;
    op->attention.causal = false;
}

/* ---- Pointwise work ---- */

static void context_norm_forward_whole(const df_compat_case *of, df_op *op)
{
    const bool context = of->split->cp > 1.0 && of->split->tp == 1.0;
    if (context && op->pass == DF_PASS_FORWARD) {
        op->stream.elements = of->split->batch * of->span->tokens * of->dims->hidden;
    }
}

static void activation_unsharded(const df_compat_case *of, df_op *op)
{
    op->stream.elements = of->span->expert_rows * of->dims->ffn;
}

/* The second residual has the rows of the feed-forward network, in a decode step of the batch. */
static void residual_unsharded(const df_compat_case *of, df_op *op)
{
    const df_span *const span = of->span;
    const double batch = of->split->batch;
    const double rows = op->row == DF_ROW_NORM1 ? batch * span->tokens
                        : span->decode          ? batch
                                                : span->expert_rows;
    op->stream.elements = rows * of->dims->hidden;
}

static double table_elements(const df_compat_case *of)
{
    const df_dims *const d = of->dims;
    return d->vocab * d->hidden + of->span->tokens * of->split->batch * d->hidden;
}

static void embedding_whole_table(const df_compat_case *of, df_op *op)
{
    op->stream.elements = table_elements(of);
}

static void host_sends_whole_table(const df_compat_case *of, df_op *op)
{
    op->host_bytes = of->dims->bytes.activation * table_elements(of);
}

static void casts_free(const df_compat_case *of, df_op *op)
{
    (void)of;
    op->stream.elements = 0.0;
    op->launches = 0.0;
}

/* ---- Logits ---- */

static void decode_products_one_row(const df_compat_case *of, df_op *op)
{
    if (of->span->decode && op->pass == DF_PASS_WEIGHT_GRAD) {
        op->gemm.k = 1.0;
    } else if (of->span->decode) {
        op->gemm.m = 1.0;
    }
}

static void decode_collectives_one_row(const df_compat_case *of, df_op *op)
{
    const df_dims *const d = of->dims;
    if (of->span->decode) {
        op->coll.bytes = op->pass == DF_PASS_FORWARD
                             ? ceil(d->bytes.activation * d->vocab)
                             : ceil(d->bytes.exchanged_gradient * d->hidden);
    }
}

/* ---- All ---- */

typedef struct {
    size_t rule; /* offset of its field in df_rules */
    df_op_kind kind;
    unsigned rows, parts;
    edit_fn *edit;
} rule_edit;

#define RULE(field) offsetof(df_rules, field)
#define FLASH ROW(DF_ROW_ATTENTION)
#define NORMS (ROW(DF_ROW_NORM1) | ROW(DF_ROW_NORM2))
#define PRODUCTS (ROW(DF_ROW_SCORE) | ROW(DF_ROW_AV))
#define ANY (~0U)

static const rule_edit edits[] = {
    {RULE(llm_single_gradient_as_forward), DF_OP_GEMM, PRODUCTS, ANY, single_gradient_as_forward},
    {RULE(llm_hybrid_launches_scaled), DF_OP_GEMM, ROW(DF_ROW_AV), ANY, hybrid_launches_scaled},
    {RULE(llm_decode_logits_one_row), DF_OP_GEMM, ROW(DF_ROW_LOGITS), ANY, decode_products_one_row},
    {RULE(llm_flash_launch_on_heads), DF_OP_ATTENTION, FLASH, ANY, flash_launch_on_heads},
    {RULE(llm_flash_backward_double), DF_OP_ATTENTION, FLASH, ANY, flash_backward_double},
    {RULE(llm_flash_context_own_keys), DF_OP_ATTENTION, FLASH, ANY, flash_context_own_keys},
    {RULE(llm_flash_unmasked), DF_OP_ATTENTION, FLASH, ANY, flash_unmasked},
    {RULE(llm_context_norm_forward_whole), DF_OP_STREAM, NORMS, PART(DF_OP_PART_MAIN),
     context_norm_forward_whole},
    {RULE(llm_pointwise_unsharded), DF_OP_STREAM, ROW(DF_ROW_ACTIVATION), ANY,
     activation_unsharded},
    {RULE(llm_pointwise_unsharded), DF_OP_STREAM, NORMS, PART(DF_OP_PART_RESIDUAL),
     residual_unsharded},
    {RULE(llm_embedding_whole_table), DF_OP_STREAM, ROW(DF_ROW_EMBEDDING), ANY,
     embedding_whole_table},
    {RULE(llm_casts_free), DF_OP_STREAM, ANY, PART(DF_OP_PART_CAST), casts_free},
    {RULE(llm_embedding_whole_table), DF_OP_HOST, ANY, ANY, host_sends_whole_table},
    {RULE(llm_flash_context_unreduced), DF_OP_COLLECTIVE, FLASH, ANY, flash_context_unreduced},
    {RULE(llm_decode_logits_one_row), DF_OP_COLLECTIVE, ROW(DF_ROW_LOGITS), ANY,
     decode_collectives_one_row},
};
enum { EDITS = sizeof edits / sizeof edits[0] };

static bool is_on(const df_rules *rules, const rule_edit *edit)
{
    return *(const bool *)((const char *)rules + edit->rule);
}

/* The edits of one kind of operators that are on. */
typedef struct {
    const rule_edit *edit[EDITS];
    int count;
    unsigned rows; /* that any of them is for */
} edits_on;

static void edit_op(const df_compat_case *of, const edits_on *on, df_op *op)
{
    for (int i = 0; i < on->count; i++) {
        const rule_edit *const edit = on->edit[i];
        if ((edit->rows & ROW(op->row)) != 0 && (edit->parts & PART(op->part)) != 0) {
            edit->edit(of, op);
        }
    }
}

void df_compat_edit(const df_rules *rules, const df_compat_case *of, df_ops *ops)
{
    edits_on on[DF_OP_KINDS];
    for (int kind = 0; kind < DF_OP_KINDS; kind++) {
        on[kind].count = 0;
        on[kind].rows = 0;
    }
    for (int i = 0; i < EDITS; i++) {
        edits_on *const same = &on[edits[i].kind];
        if (is_on(rules, &edits[i])) {
            same->edit[same->count++] = &edits[i];
            same->rows |= edits[i].rows;
        }
    }
    for (int i = 0; i < ops->count; i++) {
        df_op *const op = &ops->op[i];
        if ((on[op->kind].rows & ROW(op->row)) != 0) {
            edit_op(of, &on[op->kind], op);
        }
    }
}
