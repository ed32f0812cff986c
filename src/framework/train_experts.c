/* Experts in a training step as a framework runs them: router, exchange of tokens, products of each
 * expert, what streams around them, shared experts. Equations: docs/calibrated.md, section
 * "Experts in training". */
#include <math.h>
#include <string.h>

#include "framework/framework.h"

/* ---- What a device has ---- */

typedef struct {
    double tokens; /* of a micro-batch on the device */
    double own;    /* of these, those whose experts it looks for */
    double rows;   /* own tokens times their experts */
    double local;  /* experts of the device */
    double per;    /* rows that each of them gets */
    double ways;   /* 2 with a gate: width of the first product over the second's */
    bool low;      /* products in fewer than 16 bits */
    bool fused;
    bool flex; /* a dispatcher that sends a device one copy of a token */
} share;

static share share_of(const df_framework *w, const df_train *t, const df_calibrated *c)
{
    const df_dims *const d = t->dims;
    const double tokens = t->split->batch * d->sequence / t->split->cp;
    share s = {.tokens = tokens,
               .own = t->sequence ? tokens / t->split->tp : tokens,
               .local = d->experts / df_split_ep(t->split),
               .ways = d->gated ? 2.0 : 1.0,
               .low = c->product != &df_gemm_kernels[DF_GEMM_CUBLAS],
               .flex = w->dispatcher != DF_DISPATCH_NCCL};
    s.rows = s.own * d->top_k;
    s.per = s.rows / s.local;
    s.fused = w->grouped == DF_GROUPED_FUSED && s.low;
    return s;
}

double df_experts_reached(double experts, double top_k, double parts)
{
    const double each = experts / parts;
    double none = 1.0;
    for (int i = 0; i < (int)top_k; i++) {
        none *= fmax(experts - each - i, 0.0) / (experts - i);
    }
    return parts * (1.0 - none);
}

/* ---- Products ---- */

static const df_matmul_bytes usual = {0.0, 0.0}; /* elements as kernels have them */

static double
product_s(const df_calibrated *c, double m, double n, double k, double count, double quantise)
{
    const df_matmul p = {fmax(1.0, m), fmax(1.0, n), fmax(1.0, k), fmax(1.0, count), quantise};
    return df_calibrated_gemm_s(c, c->product, &p, &usual);
}

/* One launch for all experts; the activation is quantised by the kernel before. */
static void time_fused(const df_train *t, const df_calibrated *c, const share *s, double out[2])
{
    const double h = df_dims_expert_hidden(t->dims);
    const double f = t->dims->ffn;
    const double in = s->ways * f;
    const double n = s->local;
    const double q = c->quantise;
    out[DF_FORWARD] = product_s(c, s->per, in, h, n, q) + product_s(c, s->per, h, f, n, 0.0);
    out[DF_BACKWARD] = product_s(c, s->per, f, h, n, q) + product_s(c, s->per, h, in, n, 0.0) +
                       product_s(c, h, in, s->per, n, 0.0) + product_s(c, f, h, s->per, n, 0.0);
}

/* Quantising the inputs of all experts, of `width` columns. */
static double quantise_s(const df_calibrated *c, const share *s, double width)
{
    const double any = 128.0;
    return s->low ? product_s(c, s->per, any, width, s->local, c->quantise) -
                        product_s(c, s->per, any, width, s->local, 0.0)
                  : 0.0;
}

/* Launches of the loops of a pass over the experts, two products each. */
static double launches_s(const df_framework *w, const df_calibrated *c, const share *s)
{
    const double kernels = c->block_scales ? w->each_mxfp8 : s->low ? w->each_fp8 : w->each_bf16;
    return w->graph == DF_GRAPH_ITERATION ? 2.0 * s->local * c->card.is.gemm_kernel_s
                                          : 2.0 * s->local * kernels * w->each_kernel_s;
}

/* A product for each expert. */
static void time_loop(
    const df_framework *w, const df_train *t, const df_calibrated *c, const share *s, double out[2])
{
    const double h = df_dims_expert_hidden(t->dims);
    const double f = t->dims->ffn;
    const double in = s->ways * f;
    const double loop_s = launches_s(w, c, s);
    out[DF_FORWARD] =
        s->local * (product_s(c, s->per, in, h, 1.0, 0.0) + product_s(c, s->per, h, f, 1.0, 0.0)) +
        quantise_s(c, s, h) + quantise_s(c, s, f) + loop_s;
    out[DF_BACKWARD] =
        s->local * (product_s(c, s->per, f, h, 1.0, 0.0) + product_s(c, s->per, h, in, 1.0, 0.0) +
                    product_s(c, h, in, s->per, 1.0, 0.0) + product_s(c, f, h, s->per, 1.0, 0.0)) +
        quantise_s(c, s, h) + quantise_s(c, s, in) + 2.0 * loop_s;
}

/* ---- What streams ---- */

/* Bytes that kernels move around the products, counted from their inputs and outputs. */
static void count_streams(
    const df_framework *w, const df_train *t, const share *s, double *forward, double *backward)
{
    const df_dims *const d = t->dims;
    const double ep = df_split_ep(t->split);
    const double h = df_dims_expert_hidden(d);
    const double near =
        s->flex && ep > 1.0 ? s->own * df_experts_reached(d->experts, d->top_k, ep) : s->own;
    const bool sorts = !s->flex && s->local > 1.0 && ep > 1.0; /* by expert, behind the exchange */
    const bool pads = s->low && !s->fused && w->router_pads == 0.0 && w->capacity_pads == 0.0;
    double moved = 2.0 * (2.0 * s->rows + 2.0 * near) * h + 2.0 * s->own * h;
    moved += (sorts ? 8.0 * s->rows * h : 0.0) + (pads ? 8.0 * s->rows * h : 0.0);
    const double kept = (h + (2.0 * s->ways + 1.0) * d->ffn) * s->rows;
    const double pages = w->paged_stash != 0.0 ? 2.0 * w->stash_copies * kept : 0.0;
    *forward = moved + pages + (s->fused ? 0.0 : 2.0 * (s->ways + 1.0) * s->rows * d->ffn);
    *backward = moved + (s->fused ? pages + 2.0 * s->ways * s->rows * d->ffn
                                  : 2.0 * (2.0 * s->ways + 1.0) * s->rows * d->ffn);
    if (w->expert_bias != 0.0 && !s->fused) { /* added in fp32 for each expert, and cast back */
        *forward += 28.0 * s->rows * h;
        *backward += 40.0 * s->rows * h;
    }
    if (!d->gated && !s->fused) { /* the squared activation and its weight, in fp32 */
        *forward += 12.0 * s->rows * d->ffn;
        *backward += 34.0 * s->rows * d->ffn;
    }
}

/* ---- The exchange ---- */

static double
transfer_s(const df_framework *w, const df_train *t, const df_calibrated *c, const share *s)
{
    const df_dims *const d = t->dims;
    const df_fabric *const f = &c->fabric;
    const double ep = df_split_ep(t->split);
    const double inside = fmin(ep, f->node);
    const double row_bytes = 2.0 * df_dims_expert_hidden(d);
    const double start_s = s->flex ? w->exchange_start_s : w->exchange_start_nccl_s;
    const double copies = s->flex ? s->own * df_experts_reached(d->experts, d->top_k, ep) : s->rows;
    const double near_bytes = copies * row_bytes;
    const double link_bytes_ps = df_calibrated_link_bytes_ps(c, fmin(inside, 8.0)) *
                                 (s->flex ? w->exchange_link : w->exchange_link_nccl);
    if (!(ep > 1.0)) {
        return 0.0;
    }
    if (inside >= ep) {
        return near_bytes * (ep - 1.0) / ep / link_bytes_ps + start_s;
    }
    const double nodes = ep / inside;
    const double limit = d->group_limit > 0.0 ? d->group_limit : HUGE_VAL;
    const double far =
        s->flex ? s->own * fmin(df_experts_reached(d->experts, d->top_k, nodes), limit) : s->rows;
    const double far_bytes = far * (nodes - 1.0) / nodes * row_bytes;
    const double port_bytes_ps =
        f->port_bytes_ps * (w->dispatcher == DF_DISPATCH_HYBRIDEP ? w->exchange_port : 1.0);
    return start_s + fmax(far_bytes / port_bytes_ps, near_bytes / link_bytes_ps);
}

/* Share of an exchange that shows beside another micro-batch: at least the bundles that it takes.
 */
static double shown_share(const df_framework *w, const df_calibrated *c)
{
    const double hide = w->graph == DF_GRAPH_ITERATION ? w->exchange_hide_graph : w->exchange_hide;
    return w->exchange_overlaps != 0.0 ? fmax(w->dispatcher_sms / c->card.bundles, 1.0 - hide)
                                       : 1.0;
}

/* ---- Experts to which every token goes ---- */

void df_train_product(
    const df_calibrated *c, bool wide, double m, double n, double k, double out[DF_DIRECTIONS])
{
    const df_gemm_kernel *const kernel = wide ? &df_gemm_kernels[DF_GEMM_CUBLAS] : c->product;
    const double q = wide ? 0.0 : c->quantise;
    const df_matmul forward = {fmax(1.0, m), fmax(1.0, n), fmax(1.0, k), 1.0, q};
    const df_matmul inputs = {forward.m, forward.k, forward.n, 1.0, q};
    const df_matmul weights = {forward.k, forward.n, forward.m, 1.0, 0.0};
    out[DF_FORWARD] += df_calibrated_gemm_s(c, kernel, &forward, &usual);
    out[DF_BACKWARD] += df_calibrated_gemm_s(c, kernel, &inputs, &usual) +
                        df_calibrated_gemm_s(c, kernel, &weights, &usual);
}

static void add_shared(const df_train *t, const df_calibrated *c, const share *s, double out[2])
{
    const df_dims *const d = t->dims;
    const double tp = t->split->tp;
    const double width = d->shared / tp;
    df_train_product(c, false, s->tokens, s->ways * width, d->hidden, out);
    df_train_product(c, false, s->tokens, d->hidden, width, out);
    out[DF_FORWARD] += df_calibrated_stream_s(c, 2.0 * (s->ways + 1.0) * s->tokens * width, 1.0);
    out[DF_BACKWARD] +=
        df_calibrated_stream_s(c, 2.0 * (2.0 * s->ways + 1.0) * s->tokens * width, 1.0);
    if (tp > 1.0 && t->sequence) { /* gathered before and scattered behind */
        const double bytes = df_train_activation_bytes(t) * s->tokens * d->hidden;
        const double inside = c->fabric.inside[DF_AXIS_TP];
        const double rings = c->fabric.node / fmax(1.0, inside);
        const double gather_s =
            df_calibrated_ring_s(c, DF_COLL_ALL_GATHER, bytes, tp, inside, rings);
        const double scatter_s =
            df_calibrated_ring_s(c, DF_COLL_REDUCE_SCATTER, bytes, tp, inside, rings);
        out[DF_FORWARD] += gather_s + scatter_s;
        out[DF_BACKWARD] += 2.0 * gather_s + scatter_s;
    }
}

void df_train_experts(const df_framework *w,
                      const df_train *t,
                      const df_calibrated *c,
                      df_expert_times *out)
{
    const df_dims *const d = t->dims;
    const share s = share_of(w, t, c);
    double bytes[DF_DIRECTIONS];
    memset(out, 0, sizeof *out);
    df_calibrated all_low = *c; /* recipes keep none of the experts in bf16 */
    all_low.low_share = 1.0;
    if (s.fused) {
        time_fused(t, &all_low, &s, out->product_s);
    } else {
        time_loop(w, t, &all_low, &s, out->product_s);
    }
    count_streams(w, t, &s, &bytes[DF_FORWARD], &bytes[DF_BACKWARD]);
    out->stream_s[DF_FORWARD] = df_calibrated_stream_s(c, bytes[DF_FORWARD], 8.0);
    out->stream_s[DF_BACKWARD] = df_calibrated_stream_s(c, bytes[DF_BACKWARD], 12.0);
    out->activation_s = df_calibrated_stream_s(c, 2.0 * (s.ways + 1.0) * s.rows * d->ffn, 1.0);
    df_train_product(c, true, s.own, d->experts, d->hidden, out->router_s);
    if (d->shared > 0.0) {
        add_shared(t, c, &s, out->shared_s);
    }
    if (d->expert_hidden > 0.0) {
        df_train_product(c, true, s.own, d->expert_hidden, d->hidden, out->shared_s);
        df_train_product(c, true, s.own, d->hidden, d->expert_hidden, out->shared_s);
    }
    out->transfer_s = transfer_s(w, t, c, &s);
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        double shown_s = 2.0 * out->transfer_s * shown_share(w, c);
        if (w->shared_overlaps != 0.0 && w->exchange_overlaps == 0.0) {
            shown_s = fmax(shown_s, out->shared_s[i]) - out->shared_s[i];
        }
        out->shown_s[i] = shown_s;
        out->time_s[i] =
            out->product_s[i] + out->stream_s[i] + out->shared_s[i] + out->router_s[i] + shown_s;
    }
}
