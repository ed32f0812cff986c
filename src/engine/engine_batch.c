/* A static batch: memory, turns, its time. */
#include <math.h>
#include <string.h>

#include "engine/engine_impl.h"

/* ---- Memory ---- */

/* The busiest device of a pipeline has its layers and one of the tables. */
static double weight_bytes(const df_server *s)
{
    const df_dims *const d = s->dims;
    const double tables = d->tied || s->split.pp > 1.0 ? 1.0 : 2.0;
    const double layers = ceil(d->layers / s->split.pp);
    return (s->weight_bytes * layers * df_dims_layer_params(d) +
            DF_ENGINE_ELEMENT * tables * df_dims_table_params(d)) /
           s->split.tp;
}

void df_engine_memory_of(const df_server *s, df_engine_memory *out)
{
    const df_engine *const e = &s->engine;
    const double layers = ceil(s->dims->layers / s->split.pp);
    out->weight_bytes = weight_bytes(s);
    out->token_bytes = 2.0 * s->kv_heads * s->dims->head_dim * s->cache_bytes * layers;
    const double left_bytes = s->memory_bytes - out->weight_bytes - e->kv_reserve_bytes;
    out->tokens = floor(e->kv_share * left_bytes / out->token_bytes);
}

double df_engine_slots(const df_server *s, const df_engine_memory *memory, double tokens)
{
    const double most = s->engine.max_batch > 0.0 ? s->engine.max_batch : HUGE_VAL;
    return fmax(1.0, floor(fmin(most, memory->tokens / tokens)));
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
    out->fits = out->memory.tokens >= tokens;
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
