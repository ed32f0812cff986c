/* The memory that a model needs of each device. */
#include <math.h>

#include "compat/compat.h"
#include "model/transformer.h"
#include "predict/predict_impl.h"

df_pipe df_pipe_read(const df_cfg *cfg)
{
    const df_cfg_sched *const s = &cfg->sched;
    const bool training = cfg->llm.run_type == DF_RUN_TRAINING;
    return (df_pipe){.layers = cfg->llm.num_layers,
                     .stages = s->lp,
                     .virtual_stages = training ? s->virtual_stages : 1,
                     .batches = s->mb};
}

const df_order *df_pipe_order(const df_cfg *cfg)
{
    return &df_orders[cfg->sched.schedule];
}

/* Operators of a forward pass: of training, or over the prompt. */
static void read_use(const df_cfg *cfg, const df_rules *rules, df_ops *ops, df_memory_use *use)
{
    const df_cfg_sched *const s = &cfg->sched;
    const bool training = cfg->llm.run_type == DF_RUN_TRAINING;
    const double tokens = (double)(cfg->llm.seq_len - (training ? 0 : cfg->llm.decode_len));
    df_stack stack;
    df_split split;
    df_stack_read(cfg, &stack);
    df_split_read(cfg, &split);
    df_compat_split(rules, &split);
    const df_dims *const dims = &stack.kind[0];
    df_span span = df_span_of(dims, &split, tokens, tokens, false);
    if (!training) {
        df_span_infer(&span);
    }
    df_transformer_build_stack(&stack, &split, &span, ops);
    *use = (df_memory_use){
        .pipe = df_pipe_read(cfg),
        .order = df_pipe_order(cfg),
        .training = training,
        .layer_again = s->recompute == DF_RECOMPUTE_FULL,
        .attention_again = s->recompute == DF_RECOMPUTE_SELECTIVE,
        .zero_stage = cfg->sw.dp_zero_stage,
        .replicas = df_split_replicas(&split),
        .expert_replicas = fmax(1.0, df_split_replicas(&split) * split.tp / df_split_ep(&split)),
        .weight_bytes = dims->bytes.parameter,
        .master_bytes = dims->bytes.master,
        .gradient_bytes = dims->bytes.activation,
        .sum_bytes = dims->bytes.statistics,
        .moment_bytes = dims->bytes.optimizer};
}

static bool is_calibrated(const df_rules *rules)
{
    const df_compat_options options = df_compat_read(rules);
    return options.calibrated;
}

/* All stages of inference are taken to need as much as the fullest. */
static void find_calibrated_peak(const df_cfg *cfg, df_memory *out)
{
    if (cfg->llm.run_type == DF_RUN_INFERENCE) {
        df_llm_engine_memory(cfg, out);
        return;
    }
    df_train_memory(cfg, 0, out);
    for (int64_t stage = 1; stage < cfg->sched.lp; stage++) {
        df_memory other;
        df_train_memory(cfg, stage, &other);
        *out = other.total_bytes > out->total_bytes ? other : *out;
    }
}

void df_predict_memory_of_stage(const df_cfg *cfg,
                                const df_rules *rules,
                                int64_t stage,
                                df_memory *out)
{
    df_ops ops;
    df_memory_use use;
    if (is_calibrated(rules)) {
        if (cfg->llm.run_type == DF_RUN_TRAINING) {
            df_train_memory(cfg, stage, out);
        } else {
            df_llm_engine_memory(cfg, out);
        }
        return;
    }
    read_use(cfg, rules, &ops, &use);
    df_memory_of_stage(&ops, &use, stage, out);
}

void df_predict_memory_peak(const df_cfg *cfg, const df_rules *rules, df_memory *out)
{
    df_ops ops;
    df_memory_use use;
    if (is_calibrated(rules)) {
        find_calibrated_peak(cfg, out);
        return;
    }
    read_use(cfg, rules, &ops, &use);
    df_memory_peak(&ops, &use, out);
}

void df_predict_need(const df_cfg *cfg, const df_rules *rules, df_need *out)
{
    df_gemm_mode gemm;
    df_lstm lstm;
    switch (cfg->mode) {
    case DF_MODE_GEMM:
        df_gemm_mode_read(cfg, &gemm);
        out->total_bytes = df_gemm_mode_bytes(&gemm);
        break;
    case DF_MODE_LSTM:
        df_lstm_read(cfg, &lstm);
        df_compat_footprint(rules, &lstm, &out->lstm);
        out->total_bytes = out->lstm.total_bytes;
        break;
    case DF_MODE_LLM:
        df_predict_memory_peak(cfg, rules, &out->llm);
        out->total_bytes = out->llm.total_bytes;
        break;
    }
}
