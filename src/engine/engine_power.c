/* Power of a board: fitted to average power of two models of 7 and 8 billion parameters on A100,
 * H100 and GH200 (Argonne's LLM-Inference-Bench, arXiv:2411.00136). */
#include <math.h>

#include "engine/engine_impl.h"

double df_board_power_w(const df_cfg_board *board, const df_board_work *work, double time_s)
{
    const double work_j = board->flop_j * work->flops + board->byte_j * work->bytes +
                          board->cache_byte_j * work->cache_bytes;
    const double limit_w = board->limit_w > 0.0 ? board->limit_w : HUGE_VAL;
    return board->base_w > 0.0 ? fmin(limit_w, board->base_w + work_j / time_s) : 0.0;
}

/* Parameters of a layer that so many tokens read, and that each of them multiplies. */
static double read_params(const df_server *s, double tokens)
{
    const df_dims *const d = s->dims;
    const double missed = pow(1.0 - d->top_k / d->experts, tokens);
    const double experts = df_engine_has_experts(s) ? d->experts * (1.0 - missed) : 1.0;
    return df_dims_attention_params(d) + experts * df_dims_ffn_params(d);
}

static double used_params(const df_server *s)
{
    return df_dims_attention_params(s->dims) + s->dims->top_k * df_dims_ffn_params(s->dims);
}

static double activation_bytes(const df_server *s)
{
    const df_dims *const d = s->dims;
    const double inner = (df_engine_ffn_in(s) + 1.0) * d->top_k * d->ffn;
    const double heads = (d->heads + 2.0 * d->kv_heads) * d->head_dim;
    return s->activation_bytes * (8.0 * d->hidden + (inner + 2.0 * heads) / s->split.tp);
}

void df_engine_work(const df_server *s, const df_static_batch *b, double slots, df_board_work *out)
{
    const df_dims *const d = s->dims;
    const double devices = s->split.tp * s->split.pp;
    const double n = b->sequences;
    const double tokens = n * (b->input + b->output);
    const double table = df_dims_table_params(d);
    /* pairs of a token and one that it attends to, in prompts and behind them */
    const double behind = n * b->output * (b->input + 0.5 * b->output);
    const double pairs = 0.5 * n * b->input * b->input + behind;
    const double weights_bytes =
        s->weight_bytes * d->layers * read_params(s, fmin(n, slots)) + DF_ENGINE_ELEMENT * table;
    const double turns = fmax(1.0, n / slots);
    const double reread = 1.0 + s->engine.group_reread * (s->heads / s->kv_heads - 1.0);
    const double row_bytes = 2.0 * s->cache_bytes * s->kv_heads * d->head_dim * d->layers;
    out->flops = (2.0 * d->layers * used_params(s) * tokens + 2.0 * table * n * b->output +
                  4.0 * d->layers * d->hidden * pairs) /
                 devices;
    out->bytes = b->output * turns * weights_bytes / devices +
                 tokens * d->layers * activation_bytes(s) / s->split.pp;
    out->cache_bytes = row_bytes * behind * reread / s->split.pp;
}
