/* Predictions by the calibrated rules: the card that the device is, and training. */
#include <math.h>
#include <string.h>

#include "model/build.h"
#include "predict/predict_impl.h"

/* ---- The card ---- */

const df_gemm_kernel *df_predict_products(const df_cfg *cfg)
{
    df_cfg_formats f;
    df_cfg_formats_of(cfg, &f);
    return df_gemm_kernel_of(f.products, DF_LOW_MEASURED);
}

double df_predict_weight_bytes(const df_cfg *cfg)
{
    df_cfg_formats f;
    df_cfg_formats_of(cfg, &f);
    return f.weights == f.products ? 0.0 : df_format_bytes(f.weights);
}

/* A part that has no share of its budgets makes a design infeasible: which, as the device tells. */
static df_status lacks(const df_hw_device *dev, const char *part, df_err *err)
{
    DF_TRY(df_hw_check_rates(dev, err));
    return df_fail(err, DF_INFEASIBLE, "%s above 0 (calibrated rules), found none", part);
}

df_status
df_predict_check_card(const df_card *card, const df_hw_device *dev, df_format format, df_err *err)
{
    if (!(card->format_rate[format] > 0.0)) {
        const char *const key = df_format_rate_key(format);
        return df_fail(err, DF_EINVAL,
                       "tech_param.core.format_rate.%s: expected the dense rate of %s over bf16's "
                       "(calibrated rules), found none; --rules corrected needs none",
                       key, key);
    }
    if (!(card->flops_ps > 0.0) || !(card->bundles >= 1.0)) {
        return lacks(dev, "core: expected a rate", err);
    }
    if (!(card->dram_bytes_ps > 0.0)) {
        return lacks(dev, "DRAM: expected a bandwidth", err);
    }
    if (!(card->l2_bytes_ps > 0.0) || !(card->l2_bytes > 0.0)) {
        return lacks(dev, "SRAM-L2: expected a size and a bandwidth", err);
    }
    return DF_OK;
}

df_status df_predict_check_formats(const df_cfg *cfg,
                                   const df_card *card,
                                   const df_hw_device *dev,
                                   df_err *err)
{
    df_cfg_formats f;
    df_cfg_formats_of(cfg, &f);
    DF_TRY(df_predict_check_card(card, dev, f.products, err));
    if (cfg->mode != DF_MODE_LLM) {
        return DF_OK;
    }
    DF_TRY(df_predict_check_card(card, dev, f.logits, err));
    return df_predict_check_card(card, dev, f.attention, err);
}

/* ---- Load ---- */

const df_load df_predict_short_load = {.throttle = -1.0, .ws_over_l2 = -1.0};

bool df_predict_is_short(const df_cfg *cfg)
{
    const int load = cfg->sched.load;
    return load == DF_LOAD_BY_MODE ? !cfg->has_model || cfg->mode == DF_MODE_GEMM
                                   : load == DF_LOAD_SHORT;
}

/* Products, streams and collectives as kernels, without a framework: GEMMs and LSTMs. */
static df_calibrated bare_prices(const df_job *x, const df_card *card)
{
    df_cfg_formats f;
    df_framework w;
    df_fabric fabric;
    df_split split = {.cp = 1.0};
    df_framework_preset(DF_FRAMEWORK_MEGATRON_2021, &w);
    w.gemm_low = DF_LOW_MEASURED;
    df_fabric_of(x->cfg, x->coster.dev, &fabric);
    const df_train none = {.split = &split};
    df_cfg_formats_of(x->cfg, &f);
    df_calibrated c = df_train_prices(&w, &none, card, &fabric, f.products);
    c.transformer = false;
    c.weight_bytes = df_predict_weight_bytes(x->cfg);
    c.result_bytes = df_format_bytes(f.activations);
    c.logit_bytes = c.result_bytes;
    if (df_predict_is_short(x->cfg)) {
        c.load = df_predict_short_load;
    }
    return c;
}

df_status df_calibrated_begin(df_job *x)
{
    df_card card;
    df_card_of(x->cfg, x->coster.dev, &card);
    DF_TRY(df_predict_check_formats(x->cfg, &card, x->coster.dev, x->err));
    x->calibrated = bare_prices(x, &card);
    x->card_device = *x->coster.dev;
    x->card_device.launch_overhead_s = card.is.gemm_kernel_s;
    x->coster.dev = &x->card_device;
    x->coster.model = &df_cost_calibrated;
    x->coster.options = &x->calibrated;
    /* an LLM's profile says what its host takes */
    x->coster.eager_s = x->cfg->sw.launch == DF_LAUNCH_EAGER && x->cfg->mode != DF_MODE_LLM
                            ? x->cfg->sw.kernel_launch_overhead_s
                            : 0.0;
    return DF_OK;
}

/* ---- Training ---- */

/* A number of bytes that the file has in the framework's section counts more than a format. */
static double gradient_bytes_of(const df_cfg *cfg)
{
    const int format = cfg->sw.precision.gradients;
    const bool counts = format >= 0 && cfg->sw.framework.own.gradient_bytes == DF_FRAMEWORK_ABSENT;
    return counts ? df_format_bytes((df_format)format) : 0.0;
}

/* What the file lays out, in *room; NULL: nothing that fits the stages. */
static const df_cfg_layout *layout_of(const df_cfg *cfg, const df_split *split, df_cfg_layout *room)
{
    const char *const text = cfg->sched.layout;
    df_err why;
    const bool fits = text[0] != '\0' && df_cfg_layout_parse(text, room, &why) == DF_OK &&
                      room->parts % (int64_t)split->pp == 0;
    return fits ? room : NULL;
}

static df_train train_of(const df_cfg *cfg,
                         const df_framework *w,
                         const df_cfg_formats *formats,
                         const df_stack *stack,
                         const df_split *split,
                         df_cfg_layout *room)
{
    const df_cfg_layout *const layout = layout_of(cfg, split, room);
    return (df_train){
        .dims = &stack->kind[0],
        .stack = stack,
        .split = split,
        .sequence = cfg->sched.tp_sp && split->tp > 1.0,
        .frozen = cfg->llm.frozen,
        .fused = w->prefill != DF_PREFILL_UNFUSED && cfg->llm.attention.use_flashattention,
        .recompute = cfg->sched.recompute,
        .recompute_layers = cfg->sched.recompute_layers,
        .zero_stage = cfg->sw.dp_zero_stage,
        .parts = layout ? layout->parts / split->pp : (double)cfg->sched.virtual_stages,
        .layout = layout,
        .predictions = (double)cfg->llm.shape.prediction_layers,
        .formats = formats,
        .gradient_bytes = gradient_bytes_of(cfg),
        .modules = (unsigned)cfg->sched.recompute_modules};
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

/* What a step is made of, while it is priced. */
typedef struct {
    df_job *job;
    df_framework w;
    df_train train;
    df_cfg_layout layout;
    df_layer_times layer[DF_LAYER_KINDS];
    df_end_times ends;
} training;

/* The experts of a layer have no operators: two more of their time, flops and bytes stand for them
 * in tables and where energy is counted. */
static void
append_experts(const training *x, const df_layer_times *layer, df_ops *ops, df_price price[])
{
    const df_train *const t = &x->train;
    const df_dims *const d = t->dims;
    const df_tail to = {ops, DF_BLOCK_LAYER, DF_ROW_FFN1, 0};
    const double tokens = t->split->batch * d->sequence / t->split->cp;
    const double own = t->sequence ? tokens / t->split->tp : tokens;
    const double rows = own * d->top_k;
    const double flops =
        2.0 * rows * df_dims_ffn_params(d) + 2.0 * tokens * df_dims_shared_params(d) / t->split->tp;
    const double bytes = 2.0 * df_split_expert_params(t->split, d) + 8.0 * rows * d->hidden;
    for (int i = 0; i < DF_DIRECTIONS && d->experts > 1.0; i++) {
        const int at = ops->count;
        const double times = i == DF_FORWARD ? 1.0 : 2.0;
        df_tail_add(&to, DF_OP_GEMM, i == DF_FORWARD ? DF_PASS_FORWARD : DF_PASS_INPUT_GRAD);
        memset(&price[at], 0, sizeof price[at]);
        price[at].time_s = layer->experts_s[i];
        price[at].flops = times * flops;
        price[at].traffic_bytes[DF_HW_LEVELS - 1] = times * bytes;
    }
}

/* Prices a kind of layer, with the embedding and the logits. */
static df_status
price_kind(training *x, const df_span *span, int kind, df_ops *ops, df_price price[])
{
    df_job *const job = x->job;
    const df_dims *const d = &x->train.stack->kind[kind];
    df_span own = *span;
    x->train.dims = d;
    df_span_experts(d, &job->split, &own);
    df_transformer_build(d, &job->split, &own, ops);
    df_train_edit(&x->w, &x->train, ops);
    DF_TRY(df_price_ops(&job->coster, ops->op, ops->count, price));
    df_train_layer(&x->w, &x->train, &job->calibrated, ops, price, &x->layer[kind]);
    if (kind == 0) {
        df_train_ends(ops, price, &x->ends);
    }
    append_experts(x, &x->layer[kind], ops, price);
    return DF_OK;
}

/* Adds a kind's operators to those of the mean layer. */
static void append_kind(
    const training *x, int kind, const df_ops *ops, const df_price price[], df_llm_pass *pass)
{
    const df_stack *const stack = x->train.stack;
    const double share = stack->kind[kind].layers / stack->layers;
    for (int i = 0; i < ops->count; i++) {
        const bool of_layer = ops->op[i].block == DF_BLOCK_LAYER;
        if (of_layer || kind == 0) {
            pass->price[pass->ops.count] = price[i];
            df_price_take_share(of_layer ? share : 1.0, &pass->price[pass->ops.count]);
            *df_ops_append(&pass->ops) = ops->op[i];
        }
    }
}

static df_status price_kinds(training *x, const df_span *span)
{
    df_predictor *const memory = x->job->memory;
    df_llm_pass *const pass = &memory->pass;
    if (x->train.stack->kinds == 1) {
        return price_kind(x, span, 0, &pass->ops, pass->price);
    }
    pass->ops.count = 0;
    for (int k = 0; k < x->train.stack->kinds; k++) {
        DF_TRY(price_kind(x, span, k, &memory->kind_ops, memory->kind_price));
        append_kind(x, k, &memory->kind_ops, memory->kind_price, pass);
    }
    return DF_OK;
}

/* What the backward pass of a layer does again, on average. */
static double again_s(const training *x)
{
    const df_stack *const stack = x->train.stack;
    double sum_s = 0.0;
    for (int k = 0; k < stack->kinds; k++) {
        sum_s += stack->kind[k].layers * x->layer[k].again_s;
    }
    return sum_s / stack->layers;
}

df_status df_llm_train_calibrated(df_job *x, const df_span *span, df_llm_result *out)
{
    df_llm_pass *const pass = &x->memory->pass;
    df_cfg_formats formats;
    training all;
    df_train_times t;
    DF_TRY(check_backend(x));
    all.job = x;
    df_framework_of(x->cfg, &all.w);
    df_cfg_formats_of(x->cfg, &formats);
    all.train = train_of(x->cfg, &all.w, &formats, &x->stack, &x->split, &all.layout);
    const df_fabric fabric = x->calibrated.fabric;
    const df_card card = x->calibrated.card;
    if (all.w.fp8_attention != 0.0) {
        DF_TRY(df_predict_check_card(&card, x->coster.dev, DF_FORMAT_FP8, x->err));
    }
    x->calibrated = df_train_prices(&all.w, &all.train, &card, &fabric, formats.products);
    x->calibrated.load.sustained = !df_predict_is_short(x->cfg);
    df_kernel_memo_use(x->memory->kernels, &card, &x->calibrated.load);
    x->calibrated.memo = x->memory->kernels;
    pass->breakdown = &out->pass;
    pass->span = *span;
    DF_TRY(price_kinds(&all, span));
    all.train.dims = &x->stack.kind[0];
    df_train_step(&all.w, &all.train, &x->calibrated, all.layer, &all.ends, &t);
    pass->recompute_s = again_s(&all);
    if (x->usages || x->memory->watch) {
        df_breakdown_fill(&pass->ops, pass->price, pass->recompute_s, &out->pass);
    }
    out->optimizer_s = t.optimizer_s;
    out->time_s = t.time_s;
    return DF_OK;
}

void df_train_memory(const df_cfg *cfg, int64_t stage, df_memory *out)
{
    df_framework w;
    df_cfg_formats formats;
    df_stack stack;
    df_split split;
    df_cfg_layout layout;
    df_framework_of(cfg, &w);
    df_cfg_formats_of(cfg, &formats);
    df_stack_read(cfg, &stack);
    df_split_read(cfg, &split);
    const df_train train = train_of(cfg, &w, &formats, &stack, &split, &layout);
    const df_train_bytes b = df_train_memory_bytes(&w, &train, stage);
    *out = (df_memory){.stage = stage, .total_bytes = b.state + b.activations + b.logits};
    out->part_bytes[DF_MEMORY_OPTIMIZER] = b.state;
    out->part_bytes[DF_MEMORY_ACTIVATIONS] = b.activations;
    out->part_bytes[DF_MEMORY_LOGITS] = b.logits;
}
