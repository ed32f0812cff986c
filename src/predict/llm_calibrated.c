/* Predictions by the calibrated rules: the card that the device is, and training. */
#include <math.h>

#include "predict/predict_impl.h"

/* ---- The card ---- */

static const char *const format_names[DF_FORMATS] = {
    [DF_FORMAT_BF16] = "bf16", [DF_FORMAT_FP8] = "fp8",     [DF_FORMAT_FP8_BLOCK] = "fp8",
    [DF_FORMAT_MXFP8] = "fp8", [DF_FORMAT_NVFP4] = "nvfp4", [DF_FORMAT_MXFP4] = "mxfp4",
    [DF_FORMAT_INT8] = "int8", [DF_FORMAT_INT4] = "int4",   [DF_FORMAT_TF32] = "tf32",
    [DF_FORMAT_FP32] = "fp32",
};

/* The format of products: as the file says, or that of tensors. */
static df_format products_format(const df_cfg *cfg)
{
    const df_cfg_precision *const p = &cfg->sw.precision;
    if (p->products >= 0) {
        return (df_format)p->products;
    }
    if (p->tensor_bytes >= 4.0) {
        return DF_FORMAT_TF32;
    }
    return p->tensor_bytes >= 2.0 ? DF_FORMAT_BF16 : DF_FORMAT_FP8;
}

const df_gemm_kernel *df_predict_products(const df_cfg *cfg)
{
    return df_gemm_kernel_of(products_format(cfg), DF_LOW_MEASURED);
}

/* What the kernels need of a card. A part that has no share of its budgets makes a design
 * infeasible; what a file must give is an error. */
df_status df_predict_check_card(const df_card *card, df_format format, df_err *err)
{
    if (!(card->format_rate[format] > 0.0)) {
        return df_fail(err, DF_EINVAL,
                       "tech_param.core.format_rate.%s: expected the dense rate of %s over bf16's "
                       "(calibrated rules), found none",
                       format_names[format], format_names[format]);
    }
    if (!(card->flops_ps > 0.0) || !(card->bundles >= 1.0)) {
        return df_fail(err, DF_INFEASIBLE, "core: expected a rate above 0, found none");
    }
    if (!(card->dram_bytes_ps > 0.0)) {
        return df_fail(err, DF_INFEASIBLE, "DRAM: expected a bandwidth above 0, found none");
    }
    if (!(card->l2_bytes_ps > 0.0) || !(card->l2_bytes > 0.0)) {
        return df_fail(err, DF_INFEASIBLE,
                       "SRAM-L2: expected a size and a bandwidth above 0 (calibrated rules), found "
                       "none");
    }
    return DF_OK;
}

/* Products, streams and collectives as kernels, without a framework: GEMMs and LSTMs. */
static df_calibrated bare_prices(const df_job *x, const df_card *card, df_format format)
{
    df_framework w;
    df_fabric fabric;
    df_split split = {.cp = 1.0};
    df_framework_preset(DF_FRAMEWORK_MEGATRON_2021, &w);
    w.gemm_low = DF_LOW_MEASURED;
    df_fabric_of(x->cfg, x->coster.dev, &fabric);
    const df_train none = {.split = &split};
    df_calibrated c = df_train_prices(&w, &none, card, &fabric, format);
    c.transformer = false;
    if (x->cfg->mode == DF_MODE_GEMM) {
        c.load = (df_load){.throttle = -1.0, .ws_over_l2 = -1.0};
    }
    return c;
}

df_status df_calibrated_begin(df_job *x)
{
    const df_format format = products_format(x->cfg);
    df_card card;
    df_card_of(x->cfg, x->coster.dev, &card);
    DF_TRY(df_predict_check_card(&card, format, x->err));
    x->calibrated = bare_prices(x, &card, format);
    x->card_device = *x->coster.dev;
    x->card_device.launch_overhead_s = card.is.gemm_kernel_s;
    x->coster.dev = &x->card_device;
    x->coster.model = &df_cost_calibrated;
    x->coster.options = &x->calibrated;
    return DF_OK;
}

/* ---- Training ---- */

static df_train
train_of(const df_cfg *cfg, const df_framework *w, const df_dims *dims, const df_split *split)
{
    return (df_train){.dims = dims,
                      .split = split,
                      .sequence = cfg->sched.tp_sp && split->tp > 1.0,
                      .frozen = cfg->llm.frozen,
                      .fused =
                          w->prefill != DF_PREFILL_UNFUSED && cfg->llm.attention.use_flashattention,
                      .recompute = cfg->sched.recompute,
                      .recompute_layers = cfg->sched.recompute_layers,
                      .zero_stage = cfg->sw.dp_zero_stage,
                      .parts = (double)cfg->sched.virtual_stages};
}

static df_status check_backend(const df_job *x)
{
    const df_astra_mode mode = x->cfg->backend.mode;
    const bool whole = mode == DF_ASTRA_HIERARCHICAL || mode == DF_ASTRA_FLATTENED;
    if (x->coster.simulated && whole) {
        return df_fail(x->err, DF_EINVAL,
                       "execution_backend.astra.mode: expected hybrid with the calibrated rules, "
                       "found %s; --rules corrected simulates whole steps",
                       df_backend_name(&x->cfg->backend));
    }
    return DF_OK;
}

df_status df_llm_train_calibrated(df_job *x, const df_span *span, df_llm_result *out)
{
    df_llm_pass *const pass = &x->memory->pass;
    df_framework w;
    df_layer_times layer;
    df_end_times ends;
    df_train_times t;
    DF_TRY(check_backend(x));
    df_framework_of(x->cfg, &w);
    const df_train train = train_of(x->cfg, &w, &x->dims, &x->split);
    const df_fabric fabric = x->calibrated.fabric;
    const df_card card = x->calibrated.card;
    x->calibrated = df_train_prices(&w, &train, &card, &fabric, products_format(x->cfg));
    df_kernel_memo_use(x->memory->kernels, &card, &x->calibrated.load);
    x->calibrated.memo = x->memory->kernels;
    pass->breakdown = &out->pass;
    pass->span = *span;
    df_transformer_build(&x->dims, &x->split, span, &pass->ops);
    df_train_edit(&w, &train, &pass->ops);
    DF_TRY(df_price_ops(&x->coster, pass->ops.op, pass->ops.count, pass->price));
    df_train_layer(&w, &train, &fabric, &pass->ops, pass->price, &layer);
    df_train_ends(&pass->ops, pass->price, &ends);
    df_train_step(&w, &train, &x->calibrated, &layer, &ends, &t);
    pass->recompute_s = layer.again_s;
    if (x->usages || x->memory->watch) {
        df_breakdown_fill(&pass->ops, pass->price, layer.again_s, &out->pass);
    }
    out->optimizer_s = t.optimizer_s;
    out->time_s = t.time_s;
    return DF_OK;
}

void df_train_memory(const df_cfg *cfg, int64_t stage, df_memory *out)
{
    df_framework w;
    df_dims dims;
    df_split split;
    df_framework_of(cfg, &w);
    df_dims_read(cfg, &dims);
    df_split_read(cfg, &split);
    const df_train train = train_of(cfg, &w, &dims, &split);
    const df_train_bytes b = df_train_memory_bytes(&w, &train, stage);
    *out = (df_memory){.stage = stage, .total_bytes = b.state + b.activations + b.logits};
    out->part_bytes[DF_MEMORY_OPTIMIZER] = b.state;
    out->part_bytes[DF_MEMORY_ACTIVATIONS] = b.activations;
    out->part_bytes[DF_MEMORY_LOGITS] = b.logits;
}
