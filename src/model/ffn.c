/* The feed-forward network, or experts in its place: Shazeer et al., ICLR 2017; shared ones: Dai et
 * al., arXiv:2401.06066. */
#include <math.h>

#include "model/build.h"

/* Columns of a feed-forward network that a device has: all of an expert where devices share them.
 */
static double own_width(const df_builder *b, double width)
{
    return df_split_ep(b->split) > 1.0 && b->dims->experts > 1.0 ? width
                                                                 : df_split_width(b->split, width);
}

/* GELU, or SwiGLU, between the two products of the feed-forward network. */
static void build_activation(df_builder *b)
{
    const df_dims *const d = b->dims;
    const df_work *const work = d->gated ? df_pointwise.swiglu : df_pointwise.gelu;
    const double n = b->span->busy_experts * df_split_tokens(b->split, b->span->expert_rows) *
                     own_width(b, d->ffn);
    df_op *const forward = df_build_pointwise(b, work, n, d->bytes.activation, d->bytes.gradient);
    forward->memory.saved_bytes = df_build_inner_bytes(b, d->top_k * d->ffn_in);
    forward->memory.live_bytes =
        2.0 * df_build_outer_bytes(b) + df_build_inner_bytes(b, d->ffn_in + d->ffn);
}

/* A product of the experts, or of the only network. Where devices share the experts, each has some
 * whole. */
static df_projection project(const df_builder *b, bool by_rows, double k, double n)
{
    const df_dims *const d = b->dims;
    const double ep = df_split_ep(b->split);
    df_projection p = df_project(b, by_rows, b->span->expert_rows, k, n);
    if (d->experts > 1.0 && ep > 1.0) {
        p.shape.k = k;
        p.shape.n = n;
        p.memory.params = k * n / ep;
        p.memory.experts = d->experts * p.memory.params;
    }
    p.repeats = b->span->busy_experts;
    p.memory.params *= d->experts;
    return p;
}

/* Tokens of a device go to the experts of all that share them, and come back: each as many times as
 * it has experts. */
static void build_exchange(df_builder *b, df_op_pass pass)
{
    const df_dims *const d = b->dims;
    const double ep = df_split_ep(b->split);
    const double rows = df_split_tokens(b->split, b->span->expert_rows) * b->span->busy_experts;
    const double element_bytes =
        pass == DF_PASS_FORWARD ? d->bytes.activation : d->bytes.exchanged_gradient;
    if (d->experts > 1.0 && ep > 1.0) {
        df_tail_collective(&b->to, pass, DF_COLL_ALL_TO_ALL, DF_OVER_EP,
                           ceil(element_bytes * rows * df_dims_expert_hidden(d)));
    }
}

/* Experts to which every token goes, and products to the width of the others and back. */
static void build_beside(df_builder *b)
{
    const df_dims *const d = b->dims;
    const int first_op = b->to.ops->count;
    const double m = b->split->batch * b->span->tokens;
    const double in = d->gated ? 2.0 * d->shared : d->shared;
    if (d->expert_hidden > 0.0) {
        const df_projection down = df_project_whole(b, m, d->hidden, d->expert_hidden);
        const df_projection up = df_project_whole(b, m, d->expert_hidden, d->hidden);
        b->to.row = DF_ROW_FFN1;
        df_build_projection(b, &down);
        b->to.row = DF_ROW_FFN2;
        df_build_projection(b, &up);
    }
    if (d->shared > 0.0) {
        df_projection first = df_project(b, false, m, d->hidden, in);
        df_projection second = df_project(b, true, m, d->shared, d->hidden);
        first.memory.saved_bytes = df_build_inner_bytes(b, in);
        second.memory.saved_bytes = df_build_inner_bytes(b, d->shared);
        b->to.row = DF_ROW_FFN1;
        df_build_projection(b, &first);
        b->to.row = DF_ROW_ACTIVATION;
        df_build_pointwise(b, d->gated ? df_pointwise.swiglu : df_pointwise.gelu,
                           first.shape.m * df_split_width(b->split, d->shared), d->bytes.activation,
                           d->bytes.gradient);
        b->to.row = DF_ROW_FFN2;
        df_build_projection(b, &second);
    }
    for (int i = first_op; i < b->to.ops->count; i++) {
        b->to.ops->op[i].part = DF_OP_PART_SHARED;
    }
}

/* What leaves the layer is summed token by token, however many experts each had. */
static void build_sum(df_builder *b, const df_projection *p, bool forward)
{
    const df_dims *const d = b->dims;
    const double tokens = df_split_tokens(b->split, b->split->batch * b->span->tokens);
    if (!(d->experts > 1.0)) {
        df_build_projection_sum(b, p);
    } else if (!(df_split_ep(b->split) > 1.0) || d->shared > 0.0) {
        df_build_sum(b, forward, tokens * d->hidden);
    }
}

void df_build_ffn(df_builder *b)
{
    const df_dims *const d = b->dims;
    const double hidden = df_dims_expert_hidden(d);
    df_projection ffn1 = project(b, false, hidden, d->ffn_in);
    df_projection ffn2 = project(b, true, d->ffn, hidden);
    if (d->ffn_kind == DF_FFN_NONE) {
        return;
    }
    ffn1.memory.saved_bytes = df_build_outer_bytes(b);
    ffn2.memory.saved_bytes = df_build_inner_bytes(b, d->top_k * d->ffn);
    b->to.row = DF_ROW_FFN1;
    build_exchange(b, DF_PASS_FORWARD);
    df_build_projection(b, &ffn1);
    build_exchange(b, DF_PASS_INPUT_GRAD);
    build_sum(b, &ffn1, false);
    b->to.row = DF_ROW_ACTIVATION;
    build_activation(b);
    b->to.row = DF_ROW_FFN2;
    build_exchange(b, DF_PASS_INPUT_GRAD);
    df_build_projection(b, &ffn2);
    build_exchange(b, DF_PASS_FORWARD);
    build_sum(b, &ffn2, true);
    build_beside(b);
}
