/* A static batch: memory, turns, its time. */
#include <math.h>
#include <string.h>

#include "engine/engine_impl.h"

/* ---- Memory ---- */

/* Parameters of a layer that a device has. Copies of key/value heads are not counted. */
static double kind_params(const df_server *s, const df_dims *d)
{
    return df_dims_is_latent(d) ? df_split_layer_params(&s->split, d)
                                : df_dims_layer_params(d) / s->split.tp;
}

/* The busiest device of a pipeline has its layers and one of the tables. */
static double weight_bytes(const df_server *s)
{
    const df_dims *const d = s->dims;
    const double tables = d->tied || s->split.pp > 1.0 ? 1.0 : 2.0;
    const double layers = ceil(s->stack->layers / s->split.pp);
    double params = 0.0;
    for (int k = 0; k < s->stack->kinds; k++) {
        const df_dims *const kind = &s->stack->kind[k];
        params += kind->layers / s->stack->layers * kind_params(s, kind);
    }
    return s->weight_bytes * layers * params +
           DF_ENGINE_ELEMENT * tables * df_dims_table_params(d) / s->split.tp;
}

/* Bytes that one sequence of so many tokens has in the caches and states of the layers of a device,
 * if all were of this kind. */
static double kind_bytes(const df_server *s, double tokens)
{
    const df_dims *const d = s->dims;
    const double numbers = df_dims_cache_numbers(d);
    const bool shared = df_dims_is_latent(d) || d->mixer == DF_MIX_COMPRESSED;
    const double own = shared ? numbers : numbers * s->kv_heads / d->kv_heads;
    return own * s->cache_bytes * df_dims_entries(d, tokens) +
           df_dims_state_numbers(d) * d->scan.bytes / s->split.tp;
}

double df_engine_sequence_bytes(const df_server *s, double tokens)
{
    const double layers = ceil(s->stack->layers / s->split.pp);
    double bytes = 0.0;
    if (s->stack->kinds == 1) {
        return layers * kind_bytes(s, tokens);
    }
    for (int k = 0; k < s->stack->kinds; k++) {
        const df_server of = df_engine_of_kind(s, k);
        bytes += of.dims->layers * kind_bytes(&of, tokens);
    }
    return bytes * layers / s->stack->layers;
}

/* Whether what a token adds to the cache does not depend on how many there are. */
static bool is_even(const df_stack *stack)
{
    const df_dims *const d = &stack->kind[0];
    return stack->kinds == 1 && !(d->window > 0.0) && !(d->ratio > 0.0) && !df_dims_is_scan(d);
}

void df_engine_memory_of(const df_server *s, df_engine_memory *out)
{
    const df_engine *const e = &s->engine;
    out->weight_bytes = weight_bytes(s);
    out->token_bytes = df_engine_sequence_bytes(s, 1.0);
    const double left_bytes = s->memory_bytes - out->weight_bytes - e->kv_reserve_bytes;
    out->cache_bytes = e->kv_share * left_bytes;
    out->tokens = out->token_bytes > 0.0 ? floor(out->cache_bytes / out->token_bytes) : HUGE_VAL;
}

double df_engine_slots(const df_server *s, const df_engine_memory *memory, double tokens)
{
    const double most = s->engine.max_batch > 0.0 ? s->engine.max_batch : HUGE_VAL;
    const double sequences = is_even(s->stack)
                                 ? memory->tokens / tokens
                                 : memory->cache_bytes / df_engine_sequence_bytes(s, tokens);
    return fmax(1.0, floor(fmin(most, sequences)));
}

/* ---- Prompts ---- */

/* Tokens that a pass may have. */
static double budget_of(const df_server *s)
{
    return s->engine.max_batch_tokens > 0.0 ? s->engine.max_batch_tokens : HUGE_VAL;
}

static double whole_s(const df_server *s, double count, double input)
{
    const df_chunks chunks = {count, input, 0.0};
    return df_engine_pass_s(s, &(df_engine_pass){.chunks = &chunks, .kinds = 1, .ends = count});
}

/* A prompt in pieces, each behind those before it. */
static double pieces_s(const df_server *s, double input, double budget)
{
    double sum_s = 0.0;
    double done = 0.0;
    while (done < input) {
        const df_chunks piece = {1.0, fmin(budget, input - done), done};
        done += piece.fresh;
        const df_engine_pass pass = {
            .chunks = &piece, .kinds = 1, .ends = done < input ? 0.0 : 1.0};
        sum_s += df_engine_pass_s(s, &pass);
    }
    return sum_s;
}

/* As many prompts a pass as it may have tokens for. */
static double prompts_s(const df_server *s, double sequences, double input)
{
    const double budget = budget_of(s);
    if (s->engine.chunked_prefill != 0.0 && input > budget) {
        return sequences * pieces_s(s, input, budget);
    }
    const double group = fmax(1.0, fmin(sequences, floor(budget / input)));
    const double passes = ceil(sequences / group);
    const double last = sequences - group * (passes - 1.0);
    return (passes > 1.0 ? (passes - 1.0) * whole_s(s, group, input) : 0.0) +
           whole_s(s, last, input);
}

/* ---- Turns ---- */

/* What a turn of so many sequences has in flight on each stage of a pipeline: stages work on
 * different parts of it. Hops are neglected. */
static double part_of(const df_server *s, double sequences)
{
    return ceil(sequences / fmin(s->split.pp, sequences));
}

/* Adds so many turns; the first ones that are added are the fullest. */
static void add_turns(const df_server *s,
                      const df_static_batch *b,
                      double sequences,
                      double times,
                      df_static_times *out)
{
    const double part = part_of(s, sequences);
    const double prefill_s = prompts_s(s, part, b->input);
    const double steps = b->output - 1.0;
    const bool first = out->prefill_s == 0.0;
    double step_s[DF_STEP_SAMPLES] = {0.0};
    if (first) {
        out->first_token_s = s->engine.front_s + prefill_s;
    }
    out->prefill_s += times * prefill_s;
    if (!(steps > 0.0)) {
        return;
    }
    df_engine_sample_steps(s, part, b->input + 1.0, steps, step_s);
    out->decode_s += times * df_engine_sum_steps(step_s, steps);
    if (first) {
        out->first_ps = sequences / step_s[DF_STEP_FIRST];
        out->middle_ps = sequences / step_s[DF_STEP_MIDDLE];
        out->last_ps = sequences / step_s[DF_STEP_LAST];
    }
}

void df_engine_static(const df_server *s, const df_static_batch *b, df_static_times *out)
{
    memset(out, 0, sizeof *out);
    df_engine_memory_of(s, &out->memory);
    const double tokens = b->input + b->output;
    out->fits = is_even(s->stack) ? out->memory.tokens >= tokens
                                  : out->memory.cache_bytes >= df_engine_sequence_bytes(s, tokens);
    out->slots = df_engine_slots(s, &out->memory, tokens);
    out->turns = ceil(b->sequences / out->slots);
    const double full = floor(b->sequences / out->slots);
    const double rest = b->sequences - full * out->slots;
    if (full > 0.0) {
        add_turns(s, b, out->slots, full, out);
    }
    if (rest > 0.0) {
        add_turns(s, b, rest, 1.0, out);
    }
    out->call_s = s->engine.call_s + s->engine.sequence_s * b->sequences;
    out->total_s = out->prefill_s + out->decode_s + out->call_s;
    out->tokens_ps = b->sequences * b->output / out->total_s;
    df_board_work work;
    df_engine_work(s, b, out->slots, &work);
    out->power_w = df_board_power_w(&s->board, &work, out->total_s);
    out->energy_j = out->power_w * out->total_s;
}
