/* Profiles of frameworks: each has what differs from the one that it builds on. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "framework/framework.h"

/* A value by its number in the struct, whose fields are all doubles. */
typedef struct {
    size_t at;
    double value;
} setting;

enum { VALUES = sizeof(df_framework) / sizeof(double) };

typedef struct {
    const setting *list;
    size_t count;
    int base; /* a df_framework_id, or -1 */
} profile;

#define AT(field) (offsetof(df_framework, field) / sizeof(double))
#define LIST(settings) (settings), sizeof(settings) / sizeof(setting)

/* Experts, states: fitted on NVIDIA's published runs of models with experts (2025 to 2026) and on
 * tables of DeepEP; bytes of a scan counted from its kernels' inputs and outputs.
 * Host: read off training on H100 nodes whose devices wait for it. Pointwise kernels, loss: their
 * traffic counted in the sources, times 1.7 where each is a kernel of its own, fitted on the same.
 * optimizer: fp32 moments and weights, their gradient and norm. */
static const setting megatron_2021[] = {{AT(ops_forward), 60},
                                        {AT(ops_backward), 100},
                                        {AT(op_time_s), 20e-6},
                                        {AT(collective_time_s), 96e-6},
                                        {AT(collective_member_s), 0},
                                        {AT(accumulate_bytes), 6},
                                        {AT(gradient_bytes), 2},
                                        {AT(parameter_bytes), 2},
                                        {AT(optimizer_bytes), 64},
                                        {AT(loss_bytes), 48},
                                        {AT(kept_bytes), 0},
                                        {AT(kept_logit_bytes), 0},
                                        {AT(elementwise), DF_POINTWISE_GPT},
                                        {AT(elementwise_scale), 1},
                                        {AT(stream_share), DF_STREAM_DEVICE},
                                        {AT(quantise), 1},
                                        {AT(quantise_mx), 1},
                                        {AT(low_precision_share), DF_FRAMEWORK_ABSENT},
                                        {AT(throttle), DF_THROTTLE_CARD},
                                        {AT(recompute_products), 0.5},
                                        {AT(prefill), DF_PREFILL_UNFUSED},
                                        {AT(gemm_low), DF_LOW_TRAINING},
                                        {AT(throttle_join), DF_THROTTLE_INSIDE},
                                        {AT(far), DF_FAR_RING},
                                        {AT(overlap_tensor), DF_OVERLAP_NONE},
                                        {AT(overlap_hide), 1},
                                        {AT(overlap_hops), 0},
                                        {AT(split_hops), 1},
                                        {AT(overlap_exchange), 0},
                                        {AT(overlap_gather), 0.5},
                                        {AT(gather_least), 0.5},
                                        {AT(stage_split), DF_STAGES_EVEN},
                                        {AT(context), DF_CONTEXT_GATHER},
                                        {AT(context_balanced), 1},
                                        {AT(graph), DF_GRAPH_NONE},
                                        {AT(graph_router), 0.95},
                                        {AT(graph_attention), 0.2},
                                        {AT(fp8_attention), 0},
                                        {AT(moe_host_ops), 288},
                                        {AT(moe_host_bf16), 0.55},
                                        {AT(part_floor_s), 33e-3},
                                        {AT(each_kernel_s), 5.5e-6},
                                        {AT(each_mxfp8), 4},
                                        {AT(each_fp8), 3},
                                        {AT(each_bf16), 1},
                                        {AT(stash_copies), 1.4},
                                        {AT(scan_flops_ps), 92e12},
                                        {AT(scan_forward_bytes), 37},
                                        {AT(scan_backward_bytes), 90},
                                        {AT(exchange_link), 0.95},
                                        {AT(exchange_link_nccl), 0.45},
                                        {AT(exchange_port), 0.74},
                                        {AT(exchange_start_s), 20e-6},
                                        {AT(exchange_start_nccl_s), 30e-6},
                                        {AT(exchange_hide), 0.68},
                                        {AT(exchange_hide_graph), 1},
                                        {AT(dispatcher), DF_DISPATCH_NCCL},
                                        {AT(dispatcher_sms), 24},
                                        {AT(exchange_overlaps), 0},
                                        {AT(shared_overlaps), 0},
                                        {AT(grouped), DF_GROUPED_LOOP},
                                        {AT(router_pads), 0},
                                        {AT(capacity_pads), 0},
                                        {AT(paged_stash), 0},
                                        {AT(expert_bias), 0}};
/* Gradients are added up in the products, and reduced in fp32. */
static const setting megatron_2022[] = {
    {AT(accumulate_bytes), 0}, {AT(gradient_bytes), 4}, {AT(overlap_tensor), DF_OVERLAP_BACKWARD}};
static const setting gated_eager[] = {{AT(elementwise), DF_POINTWISE_GATED_EAGER},
                                      {AT(prefill), DF_PREFILL_FA2}};
/* The earlier version keeps the gathered inputs of products for the backward pass, and a byte more
 * of each logit: both fitted on the peaks of its runs. */
static const setting nanotron_early[] = {{AT(accumulate_bytes), 10},
                                         {AT(gradient_bytes), 4},
                                         {AT(kept_bytes), 1.5},
                                         {AT(kept_logit_bytes), 1},
                                         {AT(stage_split), DF_STAGES_BALANCED}};
static const setting nanotron_late[] = {
    {AT(collective_member_s), 213e-6}, {AT(kept_bytes), 0}, {AT(kept_logit_bytes), 0}};
static const setting fsdp_uci[] = {{AT(optimizer_bytes), 40}, {AT(split_hops), 0}};
static const setting nemo[] = {
    {AT(accumulate_bytes), 2},       {AT(elementwise), DF_POINTWISE_GATED_FUSED},
    {AT(prefill), DF_PREFILL_CUDNN}, {AT(overlap_tensor), DF_OVERLAP_CHUNKED},
    {AT(overlap_hops), 1},           {AT(overlap_exchange), 1},
    {AT(context), DF_CONTEXT_RING},  {AT(quantise), 0.6},
    {AT(quantise_mx), 1.3}};
static const setting nemo_24_07[] = {{AT(accumulate_bytes), 6}};
/* What the recipes of each release switch on for experts; docs/calibrated.md. */
static const setting nemo_25_09[] = {{AT(capacity_pads), 1}};
static const setting nemo_25_11[] = {
    {AT(graph), DF_GRAPH_ROUTER}, {AT(dispatcher), DF_DISPATCH_HYBRIDEP}, {AT(dispatcher_sms), 32}};
static const setting nemo_26_06[] = {
    {AT(graph), DF_GRAPH_ITERATION}, {AT(dispatcher), DF_DISPATCH_HYBRIDEP},
    {AT(dispatcher_sms), 32},        {AT(exchange_overlaps), 1},
    {AT(grouped), DF_GROUPED_FUSED}, {AT(paged_stash), 1}};
static const setting megatron_ci[] = {{AT(overlap_tensor), DF_OVERLAP_NONE}};
static const setting llm_foundry[] = {{AT(gradient_bytes), 4},
                                      {AT(optimizer_bytes), 120},
                                      {AT(elementwise), DF_POINTWISE_GPT},
                                      {AT(elementwise_scale), 0.8},
                                      {AT(prefill), DF_PREFILL_TRITON_2023},
                                      {AT(overlap_exchange), 1},
                                      {AT(gather_least), 0.7}};
static const setting llm_foundry_pure[] = {{AT(gradient_bytes), 2}};
static const setting torchtitan[] = {
    {AT(accumulate_bytes), 0}, {AT(prefill), DF_PREFILL_FA2}, {AT(overlap_tensor), DF_OVERLAP_NONE},
    {AT(overlap_hide), 0.4},   {AT(gather_least), 0.7},       {AT(context), DF_CONTEXT_GATHER},
    {AT(context_balanced), 0}, {AT(recompute_products), 0.8}};
static const setting torchtitan_async[] = {{AT(overlap_tensor), DF_OVERLAP_CHUNKED}};
static const setting torchtitan_eager[] = {
    {AT(gather_least), 0.7}, {AT(quantise), 0.6}, {AT(recompute_products), 0.8}};
static const setting maxtext[] = {
    {AT(accumulate_bytes), 0}, {AT(overlap_tensor), DF_OVERLAP_NONE}, {AT(op_time_s), 0}};

static const profile profiles[DF_FRAMEWORK_COUNT] = {
    [DF_FRAMEWORK_MEGATRON_2021] = {LIST(megatron_2021), -1},
    [DF_FRAMEWORK_MEGATRON_2022] = {LIST(megatron_2022), DF_FRAMEWORK_MEGATRON_2021},
    [DF_FRAMEWORK_GATED_EAGER] = {LIST(gated_eager), DF_FRAMEWORK_MEGATRON_2021},
    [DF_FRAMEWORK_NANOTRON_EARLY] = {LIST(nanotron_early), DF_FRAMEWORK_GATED_EAGER},
    [DF_FRAMEWORK_NANOTRON_LATE] = {LIST(nanotron_late), DF_FRAMEWORK_NANOTRON_EARLY},
    [DF_FRAMEWORK_FSDP_UCI] = {LIST(fsdp_uci), DF_FRAMEWORK_GATED_EAGER},
    [DF_FRAMEWORK_NEMO] = {LIST(nemo), DF_FRAMEWORK_GATED_EAGER},
    [DF_FRAMEWORK_NEMO_24_07] = {LIST(nemo_24_07), DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_NEMO_25_09] = {LIST(nemo_25_09), DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_NEMO_25_11] = {LIST(nemo_25_11), DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_NEMO_26_02] = {NULL, 0, DF_FRAMEWORK_NEMO_25_11},
    [DF_FRAMEWORK_NEMO_26_04] = {NULL, 0, DF_FRAMEWORK_NEMO_25_11},
    [DF_FRAMEWORK_NEMO_26_06] = {LIST(nemo_26_06), DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_NEMO_26_08] = {NULL, 0, DF_FRAMEWORK_NEMO_26_06},
    [DF_FRAMEWORK_MLPERF] = {NULL, 0, DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_MEGATRON_CI] = {LIST(megatron_ci), DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_LLM_FOUNDRY] = {LIST(llm_foundry), DF_FRAMEWORK_GATED_EAGER},
    [DF_FRAMEWORK_LLM_FOUNDRY_PURE] = {LIST(llm_foundry_pure), DF_FRAMEWORK_LLM_FOUNDRY},
    [DF_FRAMEWORK_TORCHTITAN] = {LIST(torchtitan), DF_FRAMEWORK_NEMO},
    [DF_FRAMEWORK_TORCHTITAN_ASYNC] = {LIST(torchtitan_async), DF_FRAMEWORK_TORCHTITAN},
    [DF_FRAMEWORK_TORCHTITAN_EAGER] = {LIST(torchtitan_eager), DF_FRAMEWORK_GATED_EAGER},
    [DF_FRAMEWORK_MAXTEXT] = {LIST(maxtext), DF_FRAMEWORK_NEMO},
};

#define KORTHIKANTI "Korthikanti et al., MLSys 2023; kernels of the Megatron-LM of that year"
#define NANOTRON "nanotron's published runs on H100 (The Ultra-Scale Playbook, 2025)"
#define NVIDIA "NVIDIA's published runs of NeMo, MLPerf training"

const df_framework_row df_framework_rows[DF_FRAMEWORK_COUNT] = {
    [DF_FRAMEWORK_MEGATRON_2021] = {"megatron_2021", KORTHIKANTI},
    [DF_FRAMEWORK_MEGATRON_2022] = {"megatron_2022", KORTHIKANTI},
    [DF_FRAMEWORK_GATED_EAGER] = {"gated_eager", NANOTRON},
    [DF_FRAMEWORK_NANOTRON_EARLY] = {"nanotron_early", NANOTRON},
    [DF_FRAMEWORK_NANOTRON_LATE] = {"nanotron_late", NANOTRON},
    [DF_FRAMEWORK_FSDP_UCI] = {"fsdp_uci", "13 runs of UCI's on A100 PCIe, which have no others "
                                           "to judge them by"},
    [DF_FRAMEWORK_NEMO] = {"nemo", NVIDIA},
    [DF_FRAMEWORK_NEMO_24_07] = {"nemo_24.07", NVIDIA},
    [DF_FRAMEWORK_NEMO_25_09] = {"nemo_25.09", NVIDIA},
    [DF_FRAMEWORK_NEMO_25_11] = {"nemo_25.11", NVIDIA},
    [DF_FRAMEWORK_NEMO_26_02] = {"nemo_26.02", NVIDIA},
    [DF_FRAMEWORK_NEMO_26_04] = {"nemo_26.04", NVIDIA},
    [DF_FRAMEWORK_NEMO_26_06] = {"nemo_26.06", NVIDIA},
    [DF_FRAMEWORK_NEMO_26_08] = {"nemo_26.08", NVIDIA},
    [DF_FRAMEWORK_MLPERF] = {"mlperf", NVIDIA},
    [DF_FRAMEWORK_MEGATRON_CI] = {"megatron_ci", "Megatron-LM's own tests of speed"},
    [DF_FRAMEWORK_LLM_FOUNDRY] = {"llm_foundry", "llm-foundry's published runs of MPT (2023)"},
    [DF_FRAMEWORK_LLM_FOUNDRY_PURE] = {"llm_foundry_pure", "the same"},
    [DF_FRAMEWORK_TORCHTITAN] = {"torchtitan", "torchtitan's published runs (2024 to 2025)"},
    [DF_FRAMEWORK_TORCHTITAN_ASYNC] = {"torchtitan_async", "the same"},
    [DF_FRAMEWORK_TORCHTITAN_EAGER] = {"torchtitan_eager", "the same"},
    [DF_FRAMEWORK_MAXTEXT] = {"maxtext", "MaxText's published runs on TPUs"},
};

/* All values, by their numbers. */
typedef struct {
    double at[VALUES];
} values;

static values preset(df_framework_id id)
{
    int chain[DF_FRAMEWORK_COUNT] = {0};
    int length = 0;
    values v = {{0.0}};
    for (int p = id; p >= 0; p = profiles[p].base) {
        chain[length++] = p;
    }
    while (length > 0) {
        const profile *const p = &profiles[chain[--length]];
        for (size_t i = 0; i < p->count; i++) {
            v.at[p->list[i].at] = p->list[i].value;
        }
    }
    return v;
}

void df_framework_preset(df_framework_id id, df_framework *out)
{
    const values v = preset(id);
    memcpy(out, v.at, sizeof *out);
}

void df_framework_of(const df_cfg *cfg, df_framework *out)
{
    const df_cfg_framework *const f = &cfg->sw.framework;
    values v = preset(f->like >= 0 ? (df_framework_id)f->like : DF_FRAMEWORK_NEMO_26_08);
    values own;
    memcpy(own.at, &f->own, sizeof f->own);
    for (int i = 0; i < VALUES; i++) {
        v.at[i] = own.at[i] != DF_FRAMEWORK_ABSENT ? own.at[i] : v.at[i];
    }
    memcpy(out, v.at, sizeof *out);
    if (cfg->sw.precision.attention >= 0) { /* the format that a file names counts more */
        out->fp8_attention = 0.0;
    }
}

/* ---- Prices ---- */

/* Forward rate of attention over that of the kernel that was measured: FlashAttention 2 is the
 * kernel on A100; others fitted on nanotron's, NVIDIA's and llm-foundry's runs. */
static double prompt_share(const df_framework *w, df_arch like)
{
    const bool hopper = like == DF_ARCH_H100;
    switch ((df_prefill_kernel)w->prefill) {
    case DF_PREFILL_FA2:
        return hopper ? 0.65 : 1.0;
    case DF_PREFILL_CUDNN:
        return 0.90;
    case DF_PREFILL_TRITON_2023:
        return hopper ? 0.335 : 0.57;
    case DF_PREFILL_ENGINE:
    case DF_PREFILL_UNFUSED:
        break;
    }
    return 1.0;
}

/* Layers that nvfp4's recipe keeps in bf16 take about that much: recalled from it. */
static double low_share(const df_framework *w, df_format format)
{
    if (w->low_precision_share >= 0.0) {
        return w->low_precision_share;
    }
    return format == DF_FORMAT_NVFP4 ? 0.85 : 1.0;
}

static const df_gemm_kernel *kernel_in(const df_framework *w, df_format format)
{
    return df_gemm_kernel_of(format, (df_low_kernel)w->gemm_low);
}

double df_train_activation_bytes(const df_train *t)
{
    return t->formats ? df_format_bytes(t->formats->activations) : 2.0;
}

/* Weights are kept in 16 bits where products have fewer, unless a file says otherwise. */
double df_train_weight_bytes(const df_train *t)
{
    const bool apart = t->formats && t->formats->weights != t->formats->products;
    return apart ? df_format_bytes(t->formats->weights) : 2.0;
}

/* Formats of numbers but those of products with weights. */
static void set_formats(const df_framework *w, const df_train *t, df_calibrated *c)
{
    const df_cfg_formats *const f = t->formats;
    if (!f) {
        return;
    }
    /* weights in more bits than products have are converted once a step */
    const double weight_bytes = df_format_bytes(f->weights);
    c->weight_bytes =
        weight_bytes < c->product->operand_bytes && f->weights != f->products ? weight_bytes : 0.0;
    c->logits = kernel_in(w, f->logits);
    c->heads = kernel_in(w, f->attention);
    c->attention = f->attention;
    c->result_bytes = df_format_bytes(f->activations);
    c->logit_bytes = fmax(2.0, df_format_bytes(f->logits));
}

df_calibrated df_train_prices(const df_framework *w,
                              const df_train *t,
                              const df_card *card,
                              const df_fabric *fabric,
                              df_format products)
{
    const double backward = 0.80; /* rate: fitted on nanotron's, NVIDIA's and llm-foundry's runs */
    const double cp = t->split->cp;
    const bool mx = products == DF_FORMAT_MXFP8 || products == DF_FORMAT_MXFP4;
    df_calibrated c = {.card = *card,
                       .load = {.sustained = true,
                                .throttle_after = w->throttle_join == DF_THROTTLE_OUTSIDE,
                                .throttle = df_card_throttle(card, w->throttle),
                                .ws_over_l2 = HUGE_VAL},
                       .fabric = *fabric,
                       .transformer = true,
                       .product = kernel_in(w, products),
                       .low_share = low_share(w, products),
                       .quantise = w->quantise * (mx ? w->quantise_mx : 1.0),
                       .block_scales = mx,
                       .prompt_share = prompt_share(w, card->like),
                       .prompt_back = backward,
                       .prompt_balance = w->context_balanced != 0.0 ? 1.0 : 2.0 - 1.0 / cp,
                       .stream_share = w->stream_share == DF_STREAM_DEVICE ? card->is.gemm_dram
                                                                           : w->stream_share,
                       .frozen = t->frozen,
                       .host_bus = w->far == DF_FAR_HOST_BUS};
    set_formats(w, t, &c);
    if (w->fp8_attention != 0.0 && c.attention == DF_FORMAT_BF16) {
        c.attention = DF_FORMAT_FP8;
    }
    return c;
}
