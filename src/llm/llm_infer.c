#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "llm/llm_impl.h"

/* A decode step that is timed; others lie on the line between two. */
typedef struct {
    int64_t step;
    double time_s, energy_j;
    df_llm_energy energy;
} sample;

/* Sampled steps so far: where the integral has got to, and what the rates need. */
typedef struct {
    sample last;
    int64_t wanted[2]; /* midpoint and end */
    double at[2];
    double time_s, energy_j;
    df_llm_energy energy;
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
        df_llm_add_energy(&sum->energy, &sum->last.energy, 0.5 * width);
        df_llm_add_energy(&sum->energy, &next->energy, 0.5 * width);
    }
    for (int i = 0; i < 2; i++) {
        const int64_t step = sum->wanted[i];
        if (step == next->step) {
            sum->at[i] = next->time_s;
        } else if (step < next->step && step > sum->last.step) {
            const double part =
                (double)(step - sum->last.step) / (double)(next->step - sum->last.step);
            sum->at[i] = sum->last.time_s + part * (next->time_s - sum->last.time_s);
        }
    }
    sum->last = *next;
}

static df_status time_step(df_llm *x, int64_t prefill, int64_t step, df_llm_pass *pass, sample *out)
{
    const df_llm_span span = {1.0, (double)(prefill + step + 1), true};
    if (x->memory->watch || x->memory->astra) {
        snprintf(x->where, sizeof x->where, "decode_samples/step_%04lld/", (long long)step);
    }
    df_llm_time_pass(x, &span, pass);
    out->step = step;
    out->energy_j = df_llm_pass_energy_j(x, pass, &span);
    df_llm_pass_energy(x, pass, &span, &out->energy);
    return df_llm_run_step(x, pass, 1.0, NULL, &out->time_s);
}

static double per_second(double time_s)
{
    return time_s > 0 ? 1.0 / time_s : 0.0;
}

static df_status decode(df_llm *x, int64_t prefill, df_llm_result *out)
{
    const int64_t steps = x->m->decode_len;
    const int64_t every = x->m->sample_every > 0 ? x->m->sample_every : INT64_C(2147483647);
    integral sum = {.last = {.step = -1}, .wanted = {steps / 2, steps - 1}};
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
    df_llm_add_energy(&out->energy, &sum.energy, 1.0);
    out->first_token_s = out->prefill_s + first_s;
    out->tokens_ps =
        (df_llm_rates){per_second(first_s), per_second(sum.at[0]), per_second(sum.at[1]),
                       sum.time_s > 0 ? (double)steps / sum.time_s : 0.0, steps / 2};
    return DF_OK;
}

df_status df_llm_infer(df_llm *x, df_llm_result *out)
{
    const int64_t steps = x->m->decode_len;
    const int64_t prefill = x->m->seq_len - steps;
    const df_llm_span span = {(double)prefill, (double)prefill, false};
    const double layers = (double)x->m->num_layers;
    const double token = 2.0 * x->batch * x->h_kv * x->e * x->bytes.kv;
    if (prefill > 0) {
        df_llm_time_pass(x, &span, &out->pass);
        out->prefill_energy_j = df_llm_pass_energy_j(x, &out->pass, &span);
        out->model_flops = df_llm_model_flops(x, &span);
        df_llm_pass_energy(x, &out->pass, &span, &out->energy);
        DF_TRY(df_llm_run_step(x, &out->pass, span.tokens, NULL, &out->prefill_s));
    }
    out->first_token_s = out->prefill_s;
    if (steps > 0) { /* a step's work is linear in its context: all as many of the middle one */
        const df_llm_span middle = {1.0, (double)prefill + 0.5 * (double)(steps + 1), true};
        out->model_flops += (double)steps * df_llm_model_flops(x, &middle);
        DF_TRY(decode(x, prefill, out));
    }
    out->kv_prefill_store_bytes = token * (double)prefill * layers;
    out->kv_decode_store_bytes = token * (double)steps * layers;
    out->kv_decode_fetch_bytes =
        token * layers * floor((double)steps * (double)(prefill + x->m->seq_len) / 2.0);
    out->time_s = out->prefill_s + out->decode_s;
    return DF_OK;
}
