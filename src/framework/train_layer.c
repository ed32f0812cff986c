/* A layer of a training step: what collectives products hide, what is done again, and whether the
 * device waits for the host. */
#include <math.h>
#include <string.h>

#include "framework/framework.h"
#include "model/build.h"

/* What is left of collectives that run beside products, at least: Megatron-LM's overlap of the
 * backward pass. */
#define LEAST_LEFT 0.15

/* A priced list. */
typedef struct {
    const df_framework *w;
    const df_train *t;
    const df_ops *ops;
    const df_price *price;
} list;

static bool is_collective_over(const df_op *op, unsigned axis)
{
    return op->kind == DF_OP_COLLECTIVE && op->block == DF_BLOCK_LAYER && op->coll.axes == axis;
}

/* Seconds of the products of a row in a pass. */
static double products_s(const list *x, int row, df_op_pass pass)
{
    double sum_s = 0.0;
    for (int i = 0; i < x->ops->count; i++) {
        const df_op *const op = &x->ops->op[i];
        if (op->kind == DF_OP_GEMM && op->row == row && op->pass == pass) {
            sum_s += x->price[i].time_s;
        }
    }
    return sum_s;
}

/* Seconds of a collective in `pieces` beside a product: all but one of them hides. */
static double chunked_s(const df_framework *w, double time_s, double cover_s, double pieces)
{
    const double left_s = fmax(time_s / pieces, time_s - cover_s * (pieces - 1.0) / pieces);
    return time_s - w->overlap_hide * (time_s - left_s);
}

/* Collectives of one kind, and the products beside them. */
typedef struct {
    double time_s, cover_s;
} overlap;

static double left_s(const overlap *o)
{
    return fmax(o->time_s - o->cover_s, LEAST_LEFT * o->time_s);
}

static void expose_chunked(const list *x, df_layer_times *out)
{
    for (int i = 0; i < x->ops->count; i++) {
        const df_op *const op = &x->ops->op[i];
        if (is_collective_over(op, DF_OVER_TP)) {
            out->exposed_s[df_op_direction(op)] +=
                chunked_s(x->w, x->price[i].time_s, products_s(x, op->row, (df_op_pass)op->pass),
                          x->t->split->tp);
        }
    }
}

/* Those whose results the next product does not need run beside it: sums of input gradients beside
 * products of weight gradients, and inputs are gathered again beside products of input gradients.
 */
static void expose_whole(const list *x, bool overlaps, df_layer_times *out)
{
    overlap sums = {0.0, 0.0};
    overlap gathers = {0.0, 0.0};
    for (int i = 0; i < x->ops->count; i++) {
        const df_op *const op = &x->ops->op[i];
        const double time_s = x->price[i].time_s;
        if (!is_collective_over(op, DF_OVER_TP)) {
            continue;
        }
        const bool sum = op->pass == DF_PASS_INPUT_GRAD && op->coll.kind != DF_COLL_ALL_GATHER;
        if (overlaps && sum) {
            sums.time_s += time_s;
            sums.cover_s += products_s(x, op->row, DF_PASS_WEIGHT_GRAD);
        } else if (overlaps && op->pass == DF_PASS_WEIGHT_GRAD) {
            gathers.time_s += time_s;
            gathers.cover_s += products_s(x, op->row, DF_PASS_INPUT_GRAD);
        } else {
            out->exposed_s[df_op_direction(op)] += time_s;
        }
    }
    out->exposed_s[DF_BACKWARD] += left_s(&sums) + left_s(&gathers);
}

static void expose_context(const list *x, df_layer_times *out)
{
    double time_s[DF_DIRECTIONS] = {0.0, 0.0};
    for (int i = 0; i < x->ops->count; i++) {
        const df_op *const op = &x->ops->op[i];
        if (is_collective_over(op, DF_OVER_CP)) {
            time_s[df_op_direction(op)] += x->price[i].time_s;
        }
    }
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        out->exposed_s[i] += x->w->context == DF_CONTEXT_RING
                                 ? chunked_s(x->w, time_s[i], out->attention_s[i], x->t->split->cp)
                                 : time_s[i];
    }
}

/* All but collectives. */
static void sum_kernels(const list *x, df_layer_times *out)
{
    for (int i = 0; i < x->ops->count; i++) {
        const df_op *const op = &x->ops->op[i];
        const int direction = df_op_direction(op);
        if (op->block != DF_BLOCK_LAYER || op->kind == DF_OP_COLLECTIVE) {
            continue;
        }
        if (df_row_is_within((df_row_name)op->row, DF_ROW_ATTENTION)) {
            out->attention_s[direction] += x->price[i].time_s;
        } else if (op->kind == DF_OP_STREAM) {
            out->pointwise_s[direction] += x->price[i].time_s;
        } else {
            out->product_s[direction] += x->price[i].time_s;
        }
    }
}

/* ---- The host ---- */

static double host_collective_s(const list *x, const df_fabric *fabric)
{
    const df_framework *const w = x->w;
    const double tp = x->t->split->tp;
    if (!(w->collective_member_s > 0.0) || !(fabric->devices > fabric->node)) {
        return w->collective_time_s;
    }
    const bool leaves = tp > fabric->inside[DF_AXIS_TP];
    return w->collective_time_s + w->collective_member_s * tp +
           (leaves ? (tp - 1.0) * fabric->step_s : 0.0);
}

/* Operations of a layer; of a half of one, as hybrids have them, read off their code. */
static double host_ops(const list *x, int direction)
{
    static const double scan[DF_DIRECTIONS] = {40.0, 60.0};
    static const double attention[DF_DIRECTIONS] = {30.0, 50.0};
    const df_dims *const d = x->t->dims;
    if (d->mixer == DF_MIX_NONE) {
        return 0.0;
    }
    if (d->ffn_kind == DF_FFN_NONE) {
        return df_dims_is_scan(d) ? scan[direction] : attention[direction];
    }
    return direction == DF_FORWARD ? x->w->ops_forward : x->w->ops_backward;
}

/* Graphs and experts change what the host does, in models that have experts: 40 % of what experts
 * take is forward. */
static void time_expert_host(const list *x, const df_calibrated *c, df_layer_times *out)
{
    static const double share[DF_DIRECTIONS] = {0.4, 0.6};
    const df_framework *const w = x->w;
    const bool router = w->graph == DF_GRAPH_ROUTER || w->graph == DF_GRAPH_ATTENTION;
    const bool low = c->product != &df_gemm_kernels[DF_GEMM_CUBLAS];
    const double ops =
        x->t->dims->experts > 1.0
            ? w->moe_host_ops * (router ? w->graph_router : 1.0) * (low ? 1.0 : w->moe_host_bf16)
            : 0.0;
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        out->host_s[i] *= w->graph == DF_GRAPH_ATTENTION ? w->graph_attention : 1.0;
        out->host_s[i] += share[i] * ops * w->op_time_s;
        out->host_s[i] = w->graph == DF_GRAPH_ITERATION ? 0.0 : out->host_s[i];
    }
}

static bool has_experts(const df_stack *stack)
{
    bool any = false;
    for (int k = 0; k < stack->kinds; k++) {
        any = any || stack->kind[k].experts > 1.0;
    }
    return any;
}

static void time_host(const list *x, const df_calibrated *c, df_layer_times *out)
{
    const double collective_s = host_collective_s(x, &c->fabric);
    out->host_s[DF_FORWARD] = host_ops(x, DF_FORWARD) * x->w->op_time_s;
    out->host_s[DF_BACKWARD] = host_ops(x, DF_BACKWARD) * x->w->op_time_s;
    for (int i = 0; i < x->ops->count; i++) {
        const df_op *const op = &x->ops->op[i];
        if (is_collective_over(op, DF_OVER_TP)) {
            out->host_s[df_op_direction(op)] += collective_s;
        }
    }
    if (has_experts(x->t->stack)) {
        time_expert_host(x, c, out);
    }
}

/* The products of a scan over chunks, one kernel; those of the backward pass take 3.5 times as
 * long: read off Mamba-2's kernels. */
static void time_scan(const list *x, df_layer_times *out)
{
    const df_dims *const d = x->t->dims;
    const df_split *const s = x->t->split;
    if (df_dims_is_scan(d)) {
        const double tokens = s->batch * d->sequence / s->cp;
        const double time_s = tokens * df_dims_scan_flops(d, false) / s->tp / x->w->scan_flops_ps;
        out->attention_s[DF_FORWARD] += time_s;
        out->attention_s[DF_BACKWARD] += 3.5 * time_s;
    }
}

static void time_experts(const list *x, const df_calibrated *c, df_layer_times *out)
{
    df_expert_times experts;
    if (x->t->dims->experts > 1.0) {
        df_train_experts(x->w, x->t, c, &experts);
        memcpy(out->experts_s, experts.time_s, sizeof experts.time_s);
        out->activation_s = experts.activation_s;
    }
}

/* ---- What is done again ---- */

/* The products that widen latent queries, keys and values, and what streams around them: each of
 * six kernels reads or writes the latent ones or the wide ones. */
static double latent_s(const list *x, const df_calibrated *c)
{
    const df_dims *const d = x->t->dims;
    const df_latent *const l = &d->latent;
    const double tokens = x->t->split->batch * d->sequence / x->t->split->cp;
    const double heads = d->heads / x->t->split->tp;
    double product_s[DF_DIRECTIONS] = {0.0, 0.0};
    if (!df_dims_is_latent(d) || d->mixer == DF_MIX_NONE) {
        return 0.0;
    }
    if (l->q_rank > 0.0) {
        df_train_product(c, false, tokens, heads * (l->nope + l->rope), l->q_rank, product_s);
    }
    df_train_product(c, false, tokens, heads * (l->nope + l->value), l->kv_rank, product_s);
    const double elements =
        3.0 * heads * (2.0 * l->nope + l->rope + l->value) + 2.0 * (l->q_rank + l->kv_rank);
    return product_s[DF_FORWARD] +
           df_calibrated_stream_s(c, df_train_activation_bytes(x->t) * tokens * elements, 6.0);
}

/* Parts of a layer by name. What a model does not have takes no time. */
static double modules_s(const list *x, const df_calibrated *c, const df_layer_times *t)
{
    const unsigned modules = x->t->modules;
    const bool all = (modules & DF_AGAIN_MOE) != 0; /* their activation as well */
    const struct {
        df_again part;
        double time_s;
    } parts[] = {
        {DF_AGAIN_CORE_ATTENTION, df_dims_is_scan(x->t->dims) ? 0.0 : t->attention_s[DF_FORWARD]},
        {DF_AGAIN_MLP,
         products_s(x, DF_ROW_FFN1, DF_PASS_FORWARD) + products_s(x, DF_ROW_FFN2, DF_PASS_FORWARD)},
        {DF_AGAIN_LAYERNORM, df_train_norms_s(c, x->t)},
        {DF_AGAIN_LATENT_UP, latent_s(x, c)},
        {DF_AGAIN_MOE_ACTIVATION, all ? 0.0 : t->activation_s},
        {DF_AGAIN_MOE, t->experts_s[DF_FORWARD]}};
    double sum_s = 0.0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        sum_s += (modules & (unsigned)parts[i].part) != 0 ? parts[i].time_s : 0.0;
    }
    return sum_s;
}

/* The host launches a tenth of a layer again for each part that is named: assumed with the fit of
 * runs of models with experts. */
static double modules_host_s(const list *x, const df_layer_times *t)
{
    double parts = 0.0;
    for (unsigned left = x->t->modules; left != 0; left >>= 1U) {
        parts += (double)(left & 1U);
    }
    return has_experts(x->t->stack) ? 0.1 * parts * t->host_s[DF_FORWARD] : 0.0;
}

static void recompute(const list *x, const df_calibrated *c, double forward_s, df_layer_times *out)
{
    switch (x->t->recompute) {
    case DF_RECOMPUTE_FULL:
        out->again_s = x->t->recompute_layers * forward_s;
        out->again_host_s = x->t->recompute_layers * out->host_s[DF_FORWARD];
        return;
    case DF_RECOMPUTE_SELECTIVE: /* which fused attention does anyway */
        out->again_s = x->t->fused ? 0.0 : out->attention_s[DF_FORWARD];
        return;
    case DF_RECOMPUTE_OPERATORS:
        out->again_s =
            x->w->recompute_products * out->product_s[DF_FORWARD] + out->pointwise_s[DF_FORWARD];
        out->again_host_s = 0.5 * out->host_s[DF_FORWARD];
        return;
    case DF_RECOMPUTE_NONE:
        out->again_s = modules_s(x, c, out);
        out->again_host_s = modules_host_s(x, out);
        return;
    }
}

static double device_s(const df_layer_times *t, int direction)
{
    return t->product_s[direction] + t->attention_s[direction] + t->pointwise_s[direction] +
           t->exposed_s[direction] + t->experts_s[direction];
}

void df_train_layer(const df_framework *w,
                    const df_train *t,
                    const df_calibrated *c,
                    const df_ops *ops,
                    const df_price price[],
                    df_layer_times *out)
{
    const list x = {w, t, ops, price};
    const bool pieces = w->overlap_tensor == DF_OVERLAP_CHUNKED && t->sequence;
    memset(out, 0, sizeof *out);
    sum_kernels(&x, out);
    time_scan(&x, out);
    time_experts(&x, c, out);
    if (pieces) {
        expose_chunked(&x, out);
    } else {
        expose_whole(&x, w->overlap_tensor != DF_OVERLAP_NONE, out);
    }
    expose_context(&x, out);
    time_host(&x, c, out);
    recompute(&x, c, device_s(out, DF_FORWARD), out);
    out->time_s[DF_FORWARD] = fmax(device_s(out, DF_FORWARD), out->host_s[DF_FORWARD]);
    out->time_s[DF_BACKWARD] = fmax(device_s(out, DF_BACKWARD) + out->again_s,
                                    out->host_s[DF_BACKWARD] + out->again_host_s);
}

void df_train_ends(const df_ops *ops, const df_price price[], df_end_times *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        if (op->block == DF_BLOCK_EMBEDDING) {
            out->embedding_s[df_op_direction(op)] += price[i].time_s;
        } else if (op->block == DF_BLOCK_HEAD) {
            out->logits_s[df_op_direction(op)] += price[i].time_s;
        }
    }
}
