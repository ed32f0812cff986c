#include "cost/calibrated.h"

#include <math.h>

#include "kernels/join.h"

enum { DRAM = DF_HW_LEVELS - 1 };

static const df_calibrated *options_of(const df_coster *c)
{
    return c->options;
}

/* ---- The network ---- */

void df_fabric_of(const df_cfg *cfg, const df_hw_device *dev, df_fabric *out)
{
    static const df_axis llm[] = {DF_AXIS_TP, DF_AXIS_CP, DF_AXIS_DP, DF_AXIS_LP};
    static const df_axis others[] = {DF_AXIS_KP1, DF_AXIS_KP2, DF_AXIS_DP, DF_AXIS_LP};
    const df_axis *const inner_first = cfg->mode == DF_MODE_LLM ? llm : others;
    const double devices = (double)df_cfg_workers(cfg);
    double stride = 1.0;
    *out = (df_fabric){.node = fmin((double)cfg->system.num_devices_per_node, devices),
                       .devices = devices,
                       .port_bytes_ps = dev->inter.throughput_bytes_ps,
                       .step_s = dev->inter.latency_s,
                       .message_s = cfg->tech.inter.message_latency_s,
                       .pooled = cfg->tech.inter.ports == DF_PORTS_POOLED};
    for (int axis = 0; axis < DF_AXES; axis++) {
        out->inside[axis] = 1.0;
    }
    for (size_t i = 0; i < sizeof llm / sizeof llm[0]; i++) {
        const df_axis axis = inner_first[i];
        const double degree = fmax(1.0, (double)cfg->sched.degree[axis]);
        if (stride <= out->node) {
            out->inside[axis] = fmax(1.0, fmin(degree, floor(out->node / stride)));
        }
        stride *= degree;
    }
}

static df_comm_kind comm_kind(df_coll_kind kind)
{
    switch (kind) {
    case DF_COLL_ALL_REDUCE:
        return DF_COMM_ALL_REDUCE;
    case DF_COLL_ALL_GATHER:
        return DF_COMM_ALL_GATHER;
    case DF_COLL_REDUCE_SCATTER:
        return DF_COMM_REDUCE_SCATTER;
    case DF_COLL_ALL_TO_ALL:
    case DF_COLL_P2P:
        break;
    }
    return DF_COMM_ALL_TO_ALL;
}

double df_calibrated_link_bytes_ps(const df_calibrated *c, double n)
{
    const double endless_bytes = 8e9;               /* any that takes far longer than its start */
    const double members = fmin(fmax(2.0, n), 8.0); /* as many as were measured */
    const double bytes = endless_bytes * (fmax(2.0, n) - 1.0) / fmax(2.0, n);
    return bytes /
           df_kernel_comm_s(&c->card, DF_COMM_NCCL, DF_COMM_ALL_GATHER, members, endless_bytes);
}

double df_calibrated_port_bytes_ps(const df_calibrated *c, double inside, double rings)
{
    const df_fabric *const f = &c->fabric;
    if (f->pooled) {
        return f->port_bytes_ps * f->node / fmax(1.0, rings);
    }
    const double ports_bytes_ps = f->port_bytes_ps * inside;
    return inside > 1.0 ? fmin(ports_bytes_ps, df_calibrated_link_bytes_ps(c, inside))
                        : ports_bytes_ps;
}

/* NCCL's low-latency protocol through the host, which all devices of a node share. */
static double host_bus_s(const df_calibrated *c, df_coll_kind kind, double bytes, double n)
{
    const df_calibration *const is = &c->card.is;
    const df_calibration_shared *const shared = &c->card.shared;
    const bool reduces = kind == DF_COLL_ALL_REDUCE;
    const double passes = reduces ? 2.0 : 1.0;
    const double hops = passes * (n - 1.0) * shared->c_sLL + (reduces ? shared->c_red : 0.0);
    return is->collective_start_s + hops * is->collective_hop_s +
           passes * bytes * (n - 1.0) / n / (c->fabric.node * c->fabric.port_bytes_ps);
}

double df_calibrated_ring_s(
    const df_calibrated *c, df_coll_kind kind, double bytes, double n, double inside, double rings)
{
    if (!(n > 1.0) || !(bytes > 0.0)) {
        return 0.0;
    }
    if (kind == DF_COLL_P2P) {
        const double bytes_ps =
            inside > 1.0 ? df_calibrated_link_bytes_ps(c, 2.0) : c->fabric.port_bytes_ps;
        return c->fabric.message_s + bytes / bytes_ps;
    }
    if (inside >= n) {
        return df_kernel_comm_s(&c->card, c->all_reduce, comm_kind(kind), n, bytes);
    }
    if (c->host_bus && c->fabric.pooled) {
        return host_bus_s(c, kind, bytes, n);
    }
    const double passes = kind == DF_COLL_ALL_REDUCE ? 2.0 : 1.0;
    const double sent_bytes = passes * bytes * (n - 1.0) / n;
    return passes * (n - 1.0) * c->fabric.step_s +
           sent_bytes / df_calibrated_port_bytes_ps(c, inside, rings);
}

/* ---- Kernels ---- */

double df_calibrated_stream_s(const df_calibrated *c, double bytes, double kernels)
{
    return df_kernel_stream_s(&c->card, c->stream_share, bytes, kernels);
}

static double gemm_s(const df_calibrated *c,
                     const df_gemm_kernel *kernel,
                     const df_matmul *p,
                     const df_matmul_bytes *bytes)
{
    return c->memo ? df_kernel_memo_gemm_s(c->memo, kernel, p, bytes)
                   : df_kernel_gemm_in(&c->card, kernel, &c->load, p, bytes).time_s;
}

double df_calibrated_gemm_s(const df_calibrated *c,
                            const df_gemm_kernel *kernel,
                            const df_matmul *p,
                            const df_matmul_bytes *bytes)
{
    const df_gemm_kernel *const wide = &df_gemm_kernels[DF_GEMM_CUBLAS];
    if (kernel == wide || c->low_share >= 1.0) {
        return gemm_s(c, kernel, p, bytes);
    }
    return c->low_share * gemm_s(c, kernel, p, bytes) +
           (1.0 - c->low_share) * gemm_s(c, wide, p, bytes);
}

static bool is_batch(const df_calibrated *c, const df_op *op)
{
    const bool heads = op->row == DF_ROW_SCORE || op->row == DF_ROW_AV;
    const bool together = op->repeats > 1.0 && op->launches == 1.0;
    return c->transformer && (heads || together);
}

/* Whether a product has weights of a layer. */
static bool has_weights(const df_calibrated *c, const df_op *op)
{
    const bool projects = op->row == DF_ROW_QKV || op->row == DF_ROW_OUT ||
                          op->row == DF_ROW_FFN1 || op->row == DF_ROW_FFN2;
    return !c->transformer || (op->block == DF_BLOCK_LAYER && projects);
}

/* Products with weights of layers, the logits and attention have their own formats each. */
static const df_gemm_kernel *kernel_of(const df_calibrated *c, const df_op *op)
{
    const df_gemm_kernel *kernel = op->block == DF_BLOCK_HEAD ? c->logits : NULL;
    if (has_weights(c, op)) {
        return c->product;
    }
    const bool heads = op->row == DF_ROW_SCORE || op->row == DF_ROW_AV;
    kernel = c->transformer && heads ? c->heads : kernel;
    return kernel ? kernel : &df_gemm_kernels[DF_GEMM_CUBLAS];
}

/* Products of attention's heads are a batch, for which one kernel is launched. The product of a
 * weight gradient reads what the other two have quantised. */
static df_status price_gemm(const df_coster *coster, const df_op *op, df_price *price)
{
    const df_calibrated *const c = options_of(coster);
    const bool batch = is_batch(c, op);
    const bool reads_weights = has_weights(c, op) && op->pass != DF_PASS_WEIGHT_GRAD;
    const df_gemm_kernel *const kernel = kernel_of(c, op);
    const df_matmul p = {.m = fmax(1.0, op->gemm.m),
                         .n = fmax(1.0, op->gemm.n),
                         .k = fmax(1.0, op->gemm.k),
                         .count = batch ? op->repeats : 1.0,
                         .quantise = op->pass == DF_PASS_WEIGHT_GRAD ? 0.0 : c->quantise};
    const df_matmul_bytes bytes = {reads_weights ? c->weight_bytes : 0.0,
                                   op->block == DF_BLOCK_HEAD ? c->logit_bytes : c->result_bytes};
    const double times = batch ? 1.0 : op->repeats;
    const bool free = op->pass == DF_PASS_WEIGHT_GRAD && c->frozen;
    if (free) {
        return DF_OK;
    }
    const double launches = times * df_kernel_gemm_launches(kernel, &p);
    price->time_s =
        fmax(times * df_calibrated_gemm_s(c, kernel, &p, &bytes), launches * coster->eager_s);
    price->flops = 2.0 * p.m * p.n * p.k * op->repeats;
    const double b_bytes = bytes.b > 0.0 ? bytes.b : kernel->operand_bytes;
    const double c_bytes = bytes.c > 0.0 ? bytes.c : 2.0;
    price->traffic_bytes[DRAM] = op->repeats * (kernel->operand_bytes * p.m * p.k +
                                                b_bytes * p.k * p.n + c_bytes * p.m * p.n);
    return DF_OK;
}

static void price_prompt(const df_calibrated *c, const df_op *op, df_price *price)
{
    const df_op_attention *const a = &op->attention;
    const double fresh = c->behind ? a->queries : a->keys;
    const double cached = a->keys - fresh;
    const df_prompt prompt = {.sequences = 1.0, /* all heads are counted together */
                              .fresh = fresh,
                              .cached = cached,
                              .heads = a->heads,
                              .kv_heads = a->kv_heads,
                              .head_dim = a->head_dim,
                              .format = c->attention};
    const df_prompt_time t = c->memo ? df_kernel_memo_prompt(c->memo, &prompt)
                                     : df_kernel_prompt(&c->card, &c->load, &prompt);
    /* a window as cuDNN's backward kernel has it, in a published table (4,096 tokens): the body has
     * a part that no window makes shorter */
    const double window = a->unseen > 0.0 ? fmin(1.0, 0.09 + 0.93 * (1.0 - a->unseen)) : 1.0;
    const double share = c->prompt_balance * a->queries / fresh * window;
    const double body_s = share * t.body_s / c->prompt_share;
    /* five products instead of two: Dao, ICLR 2024, section 4.1; and three small kernels around */
    price->time_s =
        op->pass == DF_PASS_FORWARD
            ? t.fixed_s + body_s + (c->prompt_writes ? t.write_s : 0.0)
            : t.fixed_s + 3.0 * c->card.is.gemm_kernel_s + 2.5 * body_s / c->prompt_back;
    const double causal = 0.5;
    const double products = op->pass == DF_PASS_FORWARD ? 2.0 : 5.0;
    const double pairs = a->queries * (cached + causal * fresh) * (1.0 - a->unseen);
    price->flops = 2.0 * products * a->heads * pairs * a->head_dim;
    price->traffic_bytes[DRAM] =
        products * a->head_dim * (2.0 * a->queries * a->heads + 2.0 * a->keys * a->kv_heads);
}

/* All heads of a device over latent keys and values, which are read once: shares of an H800's rates
 * that FlashMLA's authors publish, 3.0 of 3.35 TB/s and 660 of 989 Tflop/s. */
static void price_latent(const df_calibrated *c, const df_op *op, df_price *price)
{
    const double dram_share = 0.896;
    const double flops_share = 0.667;
    const df_op_attention *const a = &op->attention;
    const double bytes = a->kv_heads * a->keys * a->latent * (c->fp8_cache ? 1.0 : 2.0);
    const double flops = 2.0 * a->heads * a->keys * (a->latent + a->latent_value);
    const double memory_s = bytes / (dram_share * c->card.dram_bytes_ps);
    const double core_s = flops / (flops_share * c->card.flops_ps);
    price->time_s = df_join(3.0, memory_s, core_s) + c->card.is.decode_fixed_s;
    price->flops = flops;
    price->traffic_bytes[DRAM] = bytes;
}

static void price_token(const df_calibrated *c, const df_op *op, df_price *price)
{
    if (op->attention.latent > 0.0) {
        price_latent(c, op, price);
        return;
    }
    const df_op_attention *const a = &op->attention;
    const df_token token = {.sequences = 1.0,
                            .context = a->keys,
                            .heads = a->heads,
                            .kv_heads = a->kv_heads,
                            .head_dim = a->head_dim,
                            .fp8_cache = c->fp8_cache};
    price->time_s = df_kernel_decode_s(&c->card, &c->decode, &c->load, &token);
    price->flops = 4.0 * a->heads * a->keys * a->head_dim;
    price->traffic_bytes[DRAM] =
        2.0 * a->keys * a->kv_heads * a->head_dim * (c->fp8_cache ? 1.0 : 2.0);
}

static df_status price_attention(const df_coster *coster, const df_op *op, df_price *price)
{
    if (op->attention.causal) {
        price_prompt(options_of(coster), op, price);
    } else {
        price_token(options_of(coster), op, price);
    }
    return DF_OK;
}

static double stream_s(const df_coster *coster, double flops, double bytes)
{
    (void)flops; /* of which pointwise kernels have too few to count */
    return df_calibrated_stream_s(options_of(coster), bytes, 0.0);
}

/* The members along several axes that are in one node. */
static double inside_of(const df_fabric *f, unsigned axes)
{
    double inside = 1.0;
    for (int axis = 0; axis < DF_AXES; axis++) {
        inside *= (axes >> axis & 1U) != 0 ? f->inside[axis] : 1.0;
    }
    return inside;
}

static double
collective_s(const df_coster *coster, const df_op_collective *what, const df_topo_group *group)
{
    const df_calibrated *const c = options_of(coster);
    const double inside = fmin(inside_of(&c->fabric, what->axes), group->members);
    return df_calibrated_ring_s(c, what->kind, what->bytes, group->members, inside,
                                c->fabric.node / inside);
}

const df_cost_model df_cost_calibrated = {
    .gemm = price_gemm,
    .attention = price_attention,
    .stream_s = stream_s,
    .collective_s = collective_s,
    .launches_inside = true,
};
