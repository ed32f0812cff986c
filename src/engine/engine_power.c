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
    return df_dims_attention_params(d) + experts * df_dims_ffn_params(d) + df_dims_shared_params(d);
}

static double used_params(const df_server *s)
{
    const df_dims *const d = s->dims;
    return df_dims_attention_params(d) + d->top_k * df_dims_ffn_params(d) +
           df_dims_shared_params(d);
}

static double activation_bytes(const df_server *s)
{
    const df_dims *const d = s->dims;
    const double inner = (df_engine_ffn_in(s) + 1.0) * (d->top_k * d->ffn + d->shared);
    const double heads = (d->heads + 2.0 * d->kv_heads) * d->head_dim;
    const double mixed = df_dims_is_scan(d) ? df_dims_scan_width(d) : heads;
    return s->activation_bytes * (8.0 * d->hidden + (inner + 2.0 * mixed) / s->split.tp);
}

/* Flops of a pair of tokens in a layer, or of a token where there is a state. */
static double pair_flops(const df_dims *d)
{
    return d->mixer == DF_MIX_NONE || df_dims_is_scan(d) ? 0.0
                                                         : 4.0 * d->heads * df_dims_pair_width(d);
}

/* What a layer of a kind does in a batch. */
typedef struct {
    double flops, weights_bytes, activation_bytes, cache_bytes;
} layer_work;

static layer_work work_of(const df_server *s, const df_static_batch *b, double at_once)
{
    const df_dims *const d = s->dims;
    const double n = b->sequences;
    const double tokens = n * (b->input + b->output);
    const double middle = b->input + 0.5 * b->output;
    const double seen = df_dims_keys(d, middle) / middle;
    /* pairs of a token and one that it attends to, in prompts and behind them */
    const double behind = n * b->output * middle * seen;
    const double pairs =
        0.5 * n * b->input * b->input * (1.0 - df_dims_unseen(d, b->input)) + behind;
    const double scanned = df_dims_is_scan(d) ? df_dims_scan_flops(d, true) : 0.0;
    const bool latent = df_dims_is_latent(d);
    const double reread =
        latent ? 1.0 : 1.0 + s->engine.group_reread * (s->heads / s->kv_heads - 1.0);
    const double own =
        latent ? df_dims_cache_numbers(d) : df_dims_cache_numbers(d) * s->kv_heads / d->kv_heads;
    const double states = 2.0 * n * b->output * df_dims_state_numbers(d) * d->scan.bytes;
    return (layer_work){
        .flops = 2.0 * used_params(s) * tokens + pair_flops(d) * pairs + scanned * tokens,
        .weights_bytes = s->weight_bytes * read_params(s, at_once),
        .activation_bytes = tokens * activation_bytes(s),
        .cache_bytes = own * s->cache_bytes * behind * reread + states / s->split.tp};
}

void df_engine_work(const df_server *s, const df_static_batch *b, double slots, df_board_work *out)
{
    const double devices = s->split.tp * s->split.pp;
    const double n = b->sequences;
    const double table = df_dims_table_params(s->dims);
    const double turns = fmax(1.0, n / slots);
    layer_work all = {.flops = 2.0 * table * n * b->output,
                      .weights_bytes = DF_ENGINE_ELEMENT * table};
    for (int k = 0; k < s->stack->kinds; k++) {
        const df_server of = df_engine_of_kind(s, k);
        const layer_work w = work_of(&of, b, fmin(n, slots));
        all.flops += of.dims->layers * w.flops;
        all.weights_bytes += of.dims->layers * w.weights_bytes;
        all.activation_bytes += of.dims->layers * w.activation_bytes;
        all.cache_bytes += of.dims->layers * w.cache_bytes;
    }
    out->flops = all.flops / devices;
    out->bytes =
        b->output * turns * all.weights_bytes / devices + all.activation_bytes / s->split.pp;
    out->cache_bytes = all.cache_bytes / s->split.pp;
}
