/* Profiles of engines: each has what differs from the one that it builds on. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/units.h"
#include "engine/engine_impl.h"

/* A value by its number in the struct, whose fields are all doubles. */
typedef struct {
    size_t at;
    double value;
} setting;

enum { VALUES = sizeof(df_engine) / sizeof(double) };

typedef struct {
    const setting *list;
    size_t count;
    int base; /* a df_engine_id, or -1 */
} profile;

#define AT(field) (offsetof(df_engine, field) / sizeof(double))
#define LIST(settings) (settings), sizeof(settings) / sizeof(setting)

/* sample_passes, stream_share, kv_share and kv_reserve are assumed. The engine is built for the
 * batch that it gets: max_batch has no limit. */
static const setting batch_2023[] = {{AT(layer_s), 33.4e-6},
                                     {AT(step_s), 0},
                                     {AT(sequence_step_s), 0},
                                     {AT(parallel_step_s), 0},
                                     {AT(call_s), 13.37e-3},
                                     {AT(sequence_s), 4.33e-3},
                                     {AT(skew_s), 6.09e-6},
                                     {AT(ops_layer), 0},
                                     {AT(op_time_s), 40e-6},
                                     {AT(group_reread), 0},
                                     {AT(prompt_factor), 1},
                                     {AT(front_s), 0},
                                     {AT(sample_passes), 6},
                                     {AT(stream_share), 0.80},
                                     {AT(quantise), 0},
                                     {AT(throttle), DF_THROTTLE_ARCHITECTURE},
                                     {AT(smooth), 1},
                                     {AT(max_batch_tokens), 8192},
                                     {AT(max_batch), 0},
                                     {AT(chunked_prefill), 0},
                                     {AT(kv_share), 0.9},
                                     {AT(kv_reserve_bytes), 3 * DF_GIB},
                                     {AT(all_reduce), DF_REDUCE_NCCL},
                                     {AT(decode), DF_DECODE_SERVING},
                                     {AT(experts), DF_EXPERTS_DEFAULT}};
static const setting serve[] = {{AT(step_s), 0.11e-3},
                                {AT(call_s), 0},
                                {AT(sequence_s), 0},
                                {AT(skew_s), 0},
                                {AT(front_s), 5e-3},
                                {AT(max_batch), 256},
                                {AT(all_reduce), DF_REDUCE_SGLANG}};
static const setting eager[] = {{AT(call_s), 0}, {AT(sequence_s), 0}, {AT(ops_layer), 14}};
static const setting tensorrt_llm_2023[] = {{AT(layer_s), 0},
                                            {AT(call_s), 0},
                                            {AT(sequence_s), 0},
                                            {AT(skew_s), 0},
                                            {AT(group_reread), 0.771}};
static const setting tensorrt_llm_2024[] = {{AT(layer_s), 15.0e-6},
                                            {AT(sequence_step_s), 7.14e-6},
                                            {AT(skew_s), 1.90e-6},
                                            {AT(parallel_step_s), 0.666e-3},
                                            {AT(group_reread), 0.203}};
static const setting vllm_2024[] = {{AT(step_s), 1.589e-3},
                                    {AT(sequence_step_s), 60.5e-6},
                                    {AT(skew_s), 3.92e-6},
                                    {AT(parallel_step_s), 0.761e-3},
                                    {AT(group_reread), 0.120},
                                    {AT(max_batch), 256},
                                    {AT(all_reduce), DF_REDUCE_SGLANG}};
static const setting deepspeed_mii[] = {
    {AT(step_s), 1.829e-3},   {AT(sequence_step_s), 18.5e-6},  {AT(skew_s), 4.33e-6},
    {AT(call_s), 351e-3},     {AT(parallel_step_s), 2.866e-3}, {AT(group_reread), 0.825},
    {AT(sequence_s), 6.32e-3}};
static const setting deepspeed_gaudi2[] = {
    {AT(sequence_step_s), 12.05e-6}, {AT(parallel_step_s), 1.594e-3}, {AT(group_reread), 0.285}};
static const setting vllm_2024_mi250[] = {
    {AT(step_s), 3.585e-3},    {AT(sequence_step_s), 44.6e-6},
    {AT(skew_s), 19.7e-6},     {AT(parallel_step_s), 1.548e-3},
    {AT(group_reread), 0.130}, {AT(all_reduce), DF_REDUCE_NCCL}};
static const setting vllm_2024_mi300x[] = {
    {AT(layer_s), 97.9e-6},          {AT(step_s), 0.867e-3},
    {AT(sequence_step_s), 43.2e-6},  {AT(skew_s), 0},
    {AT(parallel_step_s), 1.575e-3}, {AT(group_reread), 2.142},
    {AT(prompt_factor), 1 + 16.66},  {AT(all_reduce), DF_REDUCE_NCCL}};
static const setting vllm_2025_mi300x[] = {{AT(layer_s), 3.13e-6},          {AT(step_s), 0.25e-3},
                                           {AT(sequence_step_s), 75.3e-6},  {AT(skew_s), 0},
                                           {AT(parallel_step_s), 0},        {AT(group_reread), 0},
                                           {AT(all_reduce), DF_REDUCE_NCCL}};

static const profile profiles[DF_ENGINE_COUNT] = {
    [DF_ENGINE_BATCH_2023] = {LIST(batch_2023), -1},
    [DF_ENGINE_SERVE] = {LIST(serve), DF_ENGINE_BATCH_2023},
    [DF_ENGINE_EAGER] = {LIST(eager), DF_ENGINE_BATCH_2023},
    [DF_ENGINE_TENSORRT_LLM_2023] = {LIST(tensorrt_llm_2023), DF_ENGINE_BATCH_2023},
    [DF_ENGINE_TENSORRT_LLM_2024] = {LIST(tensorrt_llm_2024), DF_ENGINE_TENSORRT_LLM_2023},
    [DF_ENGINE_VLLM_2024] = {LIST(vllm_2024), DF_ENGINE_TENSORRT_LLM_2023},
    [DF_ENGINE_DEEPSPEED_MII] = {LIST(deepspeed_mii), DF_ENGINE_TENSORRT_LLM_2023},
    [DF_ENGINE_DEEPSPEED_GAUDI2] = {LIST(deepspeed_gaudi2), DF_ENGINE_TENSORRT_LLM_2023},
    [DF_ENGINE_VLLM_2024_MI250] = {LIST(vllm_2024_mi250), DF_ENGINE_VLLM_2024},
    [DF_ENGINE_VLLM_2024_MI300X] = {LIST(vllm_2024_mi300x), DF_ENGINE_VLLM_2024},
    [DF_ENGINE_VLLM_2025_MI300X] = {LIST(vllm_2025_mi300x), DF_ENGINE_VLLM_2024},
};

#define ARGONNE "Argonne's LLM-Inference-Bench (arXiv:2411.00136): "

const df_engine_row df_engine_rows[DF_ENGINE_COUNT] = {
    [DF_ENGINE_BATCH_2023] = {"batch_2023",
                              "NVIDIA's published latencies of Llama-2 on A100 (2023)", false},
    [DF_ENGINE_SERVE] = {"serve", "Koyeb's published runs of Llama-3.1-8B on A100", false},
    [DF_ENGINE_EAGER] = {"eager",
                         "as batch_2023; host time read off training that waits for the host",
                         false},
    [DF_ENGINE_TENSORRT_LLM_2023] = {"tensorrt_llm_2023",
                                     "NVIDIA's documentation of TensorRT-LLM 0.6: A100, H100, "
                                     "H200, L40S",
                                     false},
    [DF_ENGINE_TENSORRT_LLM_2024] = {"tensorrt_llm_2024", ARGONNE "A100, H100, GH200", false},
    [DF_ENGINE_VLLM_2024] = {"vllm_2024", ARGONNE "A100, H100, GH200", false},
    [DF_ENGINE_DEEPSPEED_MII] = {"deepspeed_mii", ARGONNE "A100", false},
    [DF_ENGINE_DEEPSPEED_GAUDI2] = {"deepspeed_gaudi2", ARGONNE "Gaudi 2", false},
    [DF_ENGINE_VLLM_2024_MI250] = {"vllm_2024_mi250", ARGONNE "MI250 alone", true},
    [DF_ENGINE_VLLM_2024_MI300X] = {"vllm_2024_mi300x",
                                    ARGONNE "MI300X alone, fitted to curves without a "
                                            "physical reading",
                                    true},
    [DF_ENGINE_VLLM_2025_MI300X] = {"vllm_2025_mi300x",
                                    "AMD's published latencies of vLLM 0.10 on MI300X", false},
};

void df_engine_preset(df_engine_id id, df_engine *out)
{
    int chain[DF_ENGINE_COUNT];
    int length = 0;
    for (int p = (int)id; p >= 0; p = profiles[p].base) {
        chain[length++] = p;
    }
    double *const value = (double *)out;
    memset(out, 0, sizeof *out);
    while (length > 0) {
        const profile *const p = &profiles[chain[--length]];
        for (size_t i = 0; i < p->count; i++) {
            value[p->list[i].at] = p->list[i].value;
        }
    }
}

void df_engine_of(const df_cfg *cfg, df_engine *out)
{
    const df_cfg_engine *const e = &cfg->sw.engine;
    df_engine_preset(e->like >= 0 ? (df_engine_id)e->like : DF_ENGINE_BATCH_2023, out);
    double *const value = (double *)out;
    const double *const own = (const double *)&e->own;
    for (size_t at = 0; at < VALUES; at++) {
        value[at] = own[at] == DF_ENGINE_ABSENT ? value[at] : own[at];
    }
}

/* ---- What is served ---- */

void df_engine_deployment_of(const df_cfg *cfg, const df_hw_device *dev, df_deployment *out)
{
    const df_cfg_precision *const p = &cfg->sw.precision;
    const df_framework *const kernels = &cfg->sw.framework.own;
    const double cache_bytes = p->kv_cache_bytes > 0.0 ? p->kv_cache_bytes : p->tensor_bytes;
    df_cfg_formats f;
    df_cfg_formats_of(cfg, &f);
    *out = (df_deployment){
        .weights = f.products,
        .stored_bytes = f.weights == f.products ? 0.0 : df_format_bytes(f.weights),
        .activations = f.activations,
        .logits = f.logits,
        .attention = f.attention,
        .low = kernels->gemm_low == DF_FRAMEWORK_ABSENT ? DF_LOW_VENDOR
                                                        : (df_low_kernel)kernels->gemm_low,
        .throttle_join = kernels->throttle_join == DF_FRAMEWORK_ABSENT
                             ? DF_THROTTLE_INSIDE
                             : (df_throttle_join)kernels->throttle_join,
        .far_rings = kernels->far == DF_FAR_RING,
        .own = &cfg->calibration.own,
        .fp8_cache = cache_bytes < DF_ENGINE_ELEMENT,
        .memory_bytes = dev->mem[DF_HW_LEVELS - 1].size_bytes,
        .board = cfg->board};
}

static df_comm_library library_of(const df_engine *e)
{
    switch ((df_engine_reduce)e->all_reduce) {
    case DF_REDUCE_SGLANG:
        return DF_COMM_SGLANG;
    case DF_REDUCE_TRTLLM:
        return DF_COMM_TRTLLM;
    case DF_REDUCE_NCCL:
        break;
    }
    return DF_COMM_NCCL;
}

static df_calibrated prices_of(const df_engine *e, const df_deployment *what)
{
    const df_gemm_kernel *const product = df_gemm_kernel_of(what->weights, what->low);
    return (df_calibrated){.card = *what->card,
                           .load = {.sustained = true,
                                    .throttle_after = what->throttle_join == DF_THROTTLE_OUTSIDE,
                                    .throttle = df_card_throttle(what->card, e->throttle),
                                    .ws_over_l2 = HUGE_VAL},
                           .fabric = *what->fabric,
                           .transformer = true,
                           .product = product,
                           .logits = df_gemm_kernel_of(what->logits, what->low),
                           .weight_bytes = what->stored_bytes,
                           .result_bytes = df_format_bytes(what->activations),
                           .logit_bytes = fmax(2.0, df_format_bytes(what->logits)),
                           .attention = what->attention,
                           .low_share = 1.0,
                           .quantise = product->tiles == DF_TILES_BLOCK ? 1.0 : e->quantise,
                           .prompt_share = 1.0,
                           .prompt_back = 1.0,
                           .prompt_balance = 1.0,
                           .prompt_writes = true,
                           .fp8_cache = what->fp8_cache,
                           .decode = df_decode_serving,
                           .stream_share = e->stream_share == DF_STREAM_DEVICE
                                               ? what->card->is.gemm_dram
                                               : e->stream_share,
                           .all_reduce = library_of(e),
                           .behind = true,
                           .host_bus = !what->far_rings};
}

/* The attention of single tokens with constants of a later fit, to kernels alone: they join sharper
 * there. What a file has of its own stays. */
static void fit_decode(const df_calibration *own, df_card *card)
{
    static const double dram[DF_ARCHS] = {0.769, 0.921, 0.832};
    static const double pulled[DF_ARCHS] = {15.97, 18.10, 15.90};
    card->shared.d_pn = 6.0;
    card->shared.d_tile = 3.217e-6;
    if (!own || own->decode_dram == DF_CALIBRATION_ABSENT) {
        card->is.decode_dram = dram[card->like];
        card->is.decode_sm_bytes_per_cycle = pulled[card->like];
    }
}

/* Kernels that the engine chooses. */
static void choose_kernels(const df_engine *e, const df_deployment *what, df_calibrated *prices)
{
    const double tuned = 0.5; /* rate of tuned tiles over the peak: not fitted */
    if (e->decode != DF_DECODE_SERVING) {
        prices->decode = df_decode_measured(&prices->card);
    }
    if (e->decode == DF_DECODE_KERNEL_FIT) {
        fit_decode(what->own, &prices->card);
    }
    if (e->experts == DF_EXPERTS_TUNED) {
        prices->card.is.moe_tensor = tuned;
    }
}

void df_engine_server(const df_engine *engine, const df_deployment *what, df_server *out)
{
    const double tp = what->split->tp;
    *out = (df_server){.stack = what->stack,
                       .dims = &what->stack->kind[0],
                       .split = {.tp = tp,
                                 .cp = 1.0,
                                 .dp = 1.0,
                                 .pp = what->split->pp,
                                 .micro_batches = 1.0,
                                 .sequence_ways = 1.0,
                                 .parts_kv_heads = what->split->parts_kv_heads},
                       .ep = df_split_ep(what->split),
                       .engine = *engine,
                       .prices = prices_of(engine, what),
                       .board = what->board,
                       .memory_bytes = what->memory_bytes,
                       .cache_bytes = what->fp8_cache ? 1.0 : DF_ENGINE_ELEMENT};
    choose_kernels(engine, what, &out->prices);
    out->weight_bytes =
        what->stored_bytes > 0.0 ? what->stored_bytes : out->prices.product->operand_bytes;
    out->activation_bytes = df_format_bytes(what->activations);
    *out = df_engine_of_kind(out, 0);
}

/* Latent keys and values are up to the same number of heads as queries. */
df_server df_engine_of_kind(const df_server *s, int kind)
{
    df_server of = *s;
    const double tp = s->split.tp;
    of.dims = &s->stack->kind[kind];
    of.kv_heads = df_dims_is_latent(of.dims) ? of.dims->heads / tp
                                             : df_split_kv_heads(&s->split, of.dims) / tp;
    of.heads = fmax(of.dims->heads / tp, of.kv_heads);
    return of;
}
