/* Seconds of a pass. */
#include <math.h>

#include "engine/engine_impl.h"

df_status df_engine_price_ops(const df_server *s, const df_ops *ops, df_price price[])
{
    static const df_hw_device no_launches = {.launch_overhead_s = 0.0};
    df_coster coster = {.model = &df_cost_calibrated, .options = &s->prices, .dev = &no_launches};
    coster.topo.axis[DF_AXIS_TP].members = s->split.tp;
    return df_price_ops(&coster, ops->op, ops->count, price);
}

static double sum_s(const df_server *s, const df_ops *ops)
{
    df_price price[DF_OPS_MAX];
    double time_s = 0.0;
    if (df_engine_price_ops(s, ops, price) != DF_OK) {
        return HUGE_VAL;
    }
    for (int i = 0; i < ops->count; i++) {
        time_s += price[i].time_s;
    }
    return time_s;
}

/* ---- Kernels but attention ---- */

double df_engine_router_s(const df_server *s, double tokens)
{
    static const df_matmul_bytes usual = {0.0, 0.0};
    const df_matmul router = {
        .m = fmax(1.0, tokens), .n = s->dims->experts, .k = s->dims->hidden, .count = 1.0};
    return df_engine_has_experts(s)
               ? df_calibrated_gemm_s(&s->prices, &df_gemm_kernels[DF_GEMM_CUBLAS], &router, &usual)
               : 0.0;
}

double df_engine_busiest(double experts, double devices, double active)
{
    double sum = 0.0;
    double term = pow(1.0 - active, experts); /* of the binomial distribution */
    double below = term;
    for (int i = 0; i < (int)experts; i++) {
        sum += 1.0 - pow(below, devices);
        term = active < 1.0 ? term * (experts - i) / (i + 1.0) * active / (1.0 - active) : 0.0;
        below = fmin(1.0, below + term);
    }
    return sum;
}

/* Devices that share the experts have some of them each, whole or divided over what is left of tp:
 * the busiest decides, with as many rows for each of its active experts as others have. */
static double shared_experts_s(const df_server *s, df_experts experts)
{
    const df_dims *const d = s->dims;
    const double active = 1.0 - pow(1.0 - d->top_k / d->experts, experts.tokens);
    const double most = df_engine_busiest(d->experts / s->ep, s->ep, active);
    const double each = experts.tokens * d->top_k / (d->experts * active);
    const double low = fmax(1.0, floor(most));
    double time_s[2];
    experts.experts = d->experts / s->ep;
    experts.width *= s->ep;
    for (int i = 0; i < 2; i++) {
        experts.active = low + i;
        experts.rows = experts.active * each;
        time_s[i] = df_kernel_experts_s(&s->prices.card, &s->prices.load, &experts);
    }
    const double weight = fmax(0.0, most - low);
    return (1.0 - weight) * time_s[0] + weight * time_s[1];
}

/* Each device has a part of every expert, or the experts are shared. */
double df_engine_experts_s(const df_server *s, double tokens)
{
    const df_experts experts = {.tokens = tokens,
                                .hidden = df_dims_expert_hidden(s->dims),
                                .width = fmax(1.0, s->dims->ffn / s->split.tp),
                                .experts = s->dims->experts,
                                .top_k = s->dims->top_k,
                                .skewed = true,
                                .block_fp8 = s->prices.product->operand_bytes < 2.0,
                                .weight_bytes = s->prices.weight_bytes};
    if (!df_engine_has_experts(s)) {
        return 0.0;
    }
    return s->ep > 1.0 ? shared_experts_s(s, experts)
                       : df_kernel_experts_s(&s->prices.card, &s->prices.load, &experts);
}

static double layer_s(const df_server *s, double tokens)
{
    df_ops ops;
    df_engine_layer_ops(s, tokens, &ops);
    return sum_s(s, &ops) + df_engine_router_s(s, tokens) + df_engine_experts_s(s, tokens);
}

static double head_s(const df_server *s, double rows)
{
    df_ops ops;
    df_engine_head_ops(s, rows, &ops);
    return sum_s(s, &ops);
}

/* Numbers of tokens at which a batch fills whole tiles, one not above n and the next: powers of two
 * up to 64, multiples of 64 up to 512, of 128 up to 1024, and so on. */
typedef struct {
    double low, step;
} knots;

static knots knots_around(double n)
{
    const double tile = 64.0;
    const double finest = 512.0;
    if (n < tile) {
        const double low = ldexp(1.0, ilogb(n));
        return (knots){low, low};
    }
    const double step = n < finest ? tile : ldexp(tile, ilogb(n / finest) + 1);
    return (knots){floor(n / step) * step, step};
}

/* A straight line between knots: products jump where another tile begins, batches do not. */
static double
between(const df_server *s, double (*seconds)(const df_server *, double), double given)
{
    const double n = fmax(1.0, given);
    const knots at = knots_around(n);
    if (s->engine.smooth == 0.0 || n == at.low) {
        return seconds(s, n);
    }
    const double weight = (n - at.low) / at.step;
    return (1.0 - weight) * seconds(s, at.low) + weight * seconds(s, at.low + at.step);
}

/* ---- Attention ---- */

/* The products of a scan over the tokens of prompts, at the rate that training's kernels reach. */
static double scan_s(const df_server *s, const df_engine_pass *pass)
{
    const double flops_ps = 92e12; /* fitted on NVIDIA's runs of hybrids: docs/calibrated.md */
    double tokens = 0.0;
    for (int i = 0; i < pass->kinds; i++) {
        tokens += pass->chunks[i].count * pass->chunks[i].fresh;
    }
    return tokens * df_dims_scan_flops(s->dims, false) / s->split.tp / flops_ps;
}

/* Kernels of chunks of different shapes are launched together. */
static double attention_s(const df_server *s, const df_engine_pass *pass)
{
    df_ops ops;
    df_engine_attention_ops(s, pass, &ops);
    if (df_dims_is_scan(s->dims)) {
        return sum_s(s, &ops) + scan_s(s, pass);
    }
    const double together = fmax(0.0, (double)pass->kinds - 1.0);
    return ops.count > 0 ? sum_s(s, &ops) - together * s->prices.card.is.prefill_fixed_s : 0.0;
}

/* What older kernels take longer, in which query heads of a group read the cache one by one. */
static double reread_s(const df_server *s, const df_engine_pass *pass)
{
    df_token token = {.sequences = pass->sequences,
                      .context = df_dims_keys(s->dims, pass->context),
                      .heads = s->heads,
                      .kv_heads = s->heads,
                      .head_dim = s->dims->head_dim,
                      .fp8_cache = s->prices.fp8_cache};
    if (!(pass->sequences > 0.0) || !(s->heads > s->kv_heads) || s->engine.group_reread == 0.0) {
        return 0.0;
    }
    const df_calibrated *const c = &s->prices;
    const double each_s = df_kernel_decode_s(&c->card, &c->decode, &c->load, &token);
    token.kv_heads = s->kv_heads;
    return s->engine.group_reread *
           (each_s - df_kernel_decode_s(&c->card, &c->decode, &c->load, &token));
}

/* ---- The pass ---- */

bool df_engine_absorbs(const df_dims *dims, const df_engine_pass *pass)
{
    return pass->kinds == 0 && df_dims_is_latent(dims) && dims->attention->absorbed;
}

/* All layers of a pass but their attention. */
static double sum_layers(const df_server *s, const df_engine_pass *pass, double tokens)
{
    double sum_s = 0.0;
    for (int k = 0; k < s->stack->kinds; k++) {
        df_server of = df_engine_of_kind(s, k);
        of.absorbed = df_engine_absorbs(of.dims, pass);
        sum_s += of.dims->layers * between(&of, layer_s, tokens);
    }
    return sum_s;
}

/* The attention of all layers, and what rereading takes longer. */
typedef struct {
    double attention_s, reread_s;
} core;

static core sum_cores(const df_server *s, const df_engine_pass *pass)
{
    core sum = {0.0, 0.0};
    for (int k = 0; k < s->stack->kinds; k++) {
        const df_server of = df_engine_of_kind(s, k);
        const bool heads = df_dims_cache_numbers(of.dims) > 0.0 && !df_dims_is_latent(of.dims);
        sum.attention_s += of.dims->layers * attention_s(&of, pass);
        sum.reread_s += heads ? of.dims->layers * reread_s(&of, pass) : 0.0;
    }
    return sum;
}

/* What does not depend on contexts. */
typedef struct {
    double kernels_s;  /* but attention */
    double overhead_s; /* of the device, beside kernels */
    double host_s;
    double tail_s; /* after the last kernel */
} frame;

static frame frame_of(const df_server *s, const df_engine_pass *pass, double tokens, double rows)
{
    const df_engine *const e = &s->engine;
    const double layers = s->stack->layers;
    const double tp = s->split.tp;
    const double layers_s = sum_layers(s, pass, tokens);
    return (frame){.kernels_s = layers_s + between(s, head_s, rows),
                   .overhead_s = layers * (e->layer_s + 2.0 * e->skew_s * log2(tp)),
                   .host_s = layers * e->ops_layer * e->op_time_s,
                   .tail_s = e->step_s + (tp > 1.0 ? e->parallel_step_s : 0.0) +
                             e->sequence_step_s * rows};
}

static double time_s(const df_server *s, const frame *f, const df_engine_pass *pass)
{
    const core all = sum_cores(s, pass);
    const double factor = pass->kinds > 0 ? s->engine.prompt_factor : 1.0;
    const double kernels_s = f->kernels_s + all.attention_s;
    const double device_s = factor * kernels_s + all.reread_s + f->overhead_s;
    return fmax(device_s, f->host_s) + f->tail_s;
}

double df_engine_pass_s(const df_server *s, const df_engine_pass *pass)
{
    double tokens = pass->sequences;
    for (int i = 0; i < pass->kinds; i++) {
        tokens += pass->chunks[i].count * pass->chunks[i].fresh;
    }
    const frame f = frame_of(s, pass, tokens, pass->sequences + pass->ends);
    return time_s(s, &f, pass);
}

void df_engine_sample_steps(const df_server *s,
                            double sequences,
                            double context,
                            double steps,
                            double step_s[DF_STEP_SAMPLES])
{
    const double grown = steps - 1.0;
    const df_engine_pass single = {.sequences = sequences, .context = context};
    const frame f = frame_of(s, &single, sequences, sequences);
    for (int i = 0; i < DF_STEP_SAMPLES; i++) {
        const df_engine_pass pass = {.sequences = sequences,
                                     .context = context + 0.5 * (double)i * grown};
        step_s[i] = i > 0 && !(grown > 0.0) ? step_s[0] : time_s(s, &f, &pass);
    }
}

double df_engine_sum_steps(const double step_s[DF_STEP_SAMPLES], double steps)
{
    return steps / 6.0 *
           (step_s[DF_STEP_FIRST] + 4.0 * step_s[DF_STEP_MIDDLE] + step_s[DF_STEP_LAST]);
}

double df_engine_decode_s(const df_server *s, double sequences, double context, double steps)
{
    double step_s[DF_STEP_SAMPLES];
    if (!(steps > 0.0) || !(sequences > 0.0)) {
        return 0.0;
    }
    df_engine_sample_steps(s, sequences, context, steps, step_s);
    return df_engine_sum_steps(step_s, steps);
}
