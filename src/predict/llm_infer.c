#include <math.h>
#include <stdio.h>

#include "predict/predict_impl.h"

/* A decode step that is timed; others lie on the line between two. */
typedef struct {
    int64_t step;
    double time_s, energy_j;
    df_energy energy;
} sample;

/* The steps sampled so far: how far the integral has got, and what the rates need. */
typedef struct {
    sample last;
    int64_t midpoint;
    double midpoint_s;
    double time_s, energy_j;
    df_energy energy;
    bool begun;
} integral;

/* Takes in the next sample: by the trapezoidal rule. */
static void integrate(integral *sum, const sample *next)
{
    if (!sum->begun) {
        sum->begun = true;
        sum->time_s = next->time_s;
        sum->energy_j = next->energy_j;
        sum->energy = next->energy;
    } else {
        const double width = (double)(next->step - sum->last.step);
        sum->time_s += 0.5 * (sum->last.time_s + next->time_s) * width;
        sum->energy_j += 0.5 * (sum->last.energy_j + next->energy_j) * width;
        df_energy_add(&sum->energy, &sum->last.energy, 0.5 * width);
        df_energy_add(&sum->energy, &next->energy, 0.5 * width);
    }
    if (sum->midpoint == next->step) {
        sum->midpoint_s = next->time_s;
    } else if (sum->midpoint < next->step && sum->midpoint > sum->last.step) {
        const double part =
            (double)(sum->midpoint - sum->last.step) / (double)(next->step - sum->last.step);
        sum->midpoint_s = sum->last.time_s + part * (next->time_s - sum->last.time_s);
    }
    sum->last = *next;
}

static df_span span_of(const df_job *x, double tokens, double context, bool decode)
{
    df_span span = df_span_of(&x->dims, &x->split, tokens, context, decode);
    df_span_infer(&span);
    span.scored = x->options.logits_whole ? tokens : span.scored;
    return span;
}

static df_status
time_step(df_job *x, int64_t prefill, int64_t step, df_breakdown *table, sample *out)
{
    const df_span span = span_of(x, 1.0, (double)(prefill + step + 1), true);
    if (x->memory->watch || x->memory->runner) {
        snprintf(x->where, sizeof x->where, "decode_samples/step_%04lld/", (long long)step);
    }
    DF_TRY(df_llm_time_pass(x, &span, table));
    out->step = step;
    out->energy_j = df_llm_pass_energy(x, &out->energy);
    return df_llm_run_step(x, NULL, &out->time_s);
}

static double per_second(double time_s)
{
    return time_s > 0 ? 1.0 / time_s : 0.0;
}

static df_status decode(df_job *x, int64_t prefill, df_llm_result *out)
{
    const int64_t steps = x->cfg->llm.decode_len;
    const int64_t given = x->cfg->llm.sample_every;
    const int64_t every = given > 0 ? given : INT64_C(2147483647);
    integral sum = {.last = {.step = -1}, .midpoint = steps / 2};
    double first_s = 0;
    int64_t step = 0;
    while (step < steps) {
        sample next;
        DF_TRY(time_step(x, prefill, step, &out->decode, &next));
        integrate(&sum, &next);
        first_s = step == 0 ? next.time_s : first_s;
        const int64_t following = (step + 1) / every * every + every - 1;
        step = step == steps - 1 ? steps : following < steps - 1 ? following : steps - 1;
    }
    out->decode_s = sum.time_s;
    out->decode_energy_j = sum.energy_j;
    df_energy_add(&out->energy, &sum.energy, 1.0);
    /* A prefill ends with the logits of the first token; where there is none, a step does. */
    const bool decoded = x->options.first_token_decoded || prefill == 0;
    out->first_token_s = out->prefill_s + (decoded ? first_s : 0.0);
    out->tokens_ps =
        (df_llm_rates){per_second(first_s), per_second(sum.midpoint_s), per_second(sum.last.time_s),
                       sum.time_s > 0 ? (double)steps / sum.time_s : 0.0, sum.midpoint};
    return DF_OK;
}

/* All steps take as long as the middle one: a step's work is linear in its context. */
static double decode_flops(const df_job *x, double prefill, double steps, double sequences)
{
    const df_span middle = span_of(x, 1.0, prefill + 0.5 * (steps + 1.0), true);
    return steps * df_transformer_flops(&x->stack, &middle, sequences, x->options.flops_unmasked);
}

static df_status prefill(df_job *x, double tokens, df_llm_result *out)
{
    const df_span span = span_of(x, tokens, tokens, false);
    const double sequences = (double)x->cfg->llm.batch_size;
    out->model_flops = df_transformer_flops(&x->stack, &span, sequences, x->options.flops_unmasked);
    DF_TRY(df_llm_time_pass(x, &span, &out->pass));
    out->prefill_energy_j = df_llm_pass_energy(x, &out->energy);
    return df_llm_run_step(x, NULL, &out->prefill_s);
}

/* What a token of each sequence adds to the cache, all layers together. */
static double token_bytes(const df_job *x)
{
    double sum = 0.0;
    for (int k = 0; k < x->stack.kinds; k++) {
        const df_dims *const d = &x->stack.kind[k];
        sum += df_transformer_cache_bytes(d, x->split.batch, 1.0) * d->layers;
    }
    return sum;
}

df_status df_llm_infer(df_job *x, df_llm_result *out)
{
    const df_cfg_llm *const m = &x->cfg->llm;
    const double steps = (double)m->decode_len;
    const double tokens = (double)m->seq_len - steps;
    const double sequences = (double)m->batch_size;
    const double token = token_bytes(x);
    if (tokens > 0) {
        DF_TRY(prefill(x, tokens, out));
    }
    out->first_token_s = out->prefill_s;
    if (steps > 0) {
        out->model_flops += decode_flops(x, tokens, steps, sequences);
        DF_TRY(decode(x, m->seq_len - m->decode_len, out));
    }
    out->kv_prefill_store_bytes = token * tokens;
    out->kv_decode_store_bytes = token * steps;
    out->kv_decode_fetch_bytes = token * floor(steps * (tokens + (double)m->seq_len) / 2.0);
    out->time_s = out->prefill_s + out->decode_s;
    return DF_OK;
}
