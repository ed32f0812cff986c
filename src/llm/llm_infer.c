#include <math.h>
#include <stdlib.h>

#include "llm/llm_impl.h"

/* A decode step that is timed; others lie on the line between two. */
typedef struct {
    int64_t step;
    double time_s, energy_j;
} sample;

/* Sampled steps so far: where the integral has got to, and what the rates need. */
typedef struct {
    sample last;
    int64_t wanted[2]; /* midpoint and end */
    double at[2];
    double time_s, energy_j;
    bool begun;
} integral;

/* Energy of one pass (docs/models.md). The reference counts the flops and traffic of one
 * layer, and the collectives of all. */
static double pass_energy_j(const df_llm *x, const df_llm_pass *pass, bool decode)
{
    static const df_llm_op counted[] = {DF_LLM_MHA,   DF_LLM_MLP,       DF_LLM_NORM1,
                                        DF_LLM_NORM2, DF_LLM_EMBEDDING, DF_LLM_LOGITS};
    const df_cfg_tech *const tech = &x->cfg->tech;
    const double bits = 8.0;
    double flops = 0;
    double dram = 0;
    double moved = 0;
    for (int i = 0; i < (decode ? 4 : 6); i++) {
        const df_llm_row *const row = &pass->row[counted[i]];
        flops += row->flops;
        dram += row->traffic_bytes[DF_HW_LEVELS - 1];
        moved += row->forward_comm_bytes;
    }
    const double hop = x->batch * (decode ? 1.0 : x->s) * x->d * x->bytes.activation;
    return tech->core.nominal_energy_per_flop_j * flops +
           bits * tech->dram.dynamic_energy_per_bit_j * dram +
           bits * tech->intra.nominal_energy_per_link_j *
               ((double)x->m->num_layers * moved + (x->lp - 1.0) * hop);
}

/* Takes in the next sample: by the trapezoidal rule. */
static void integrate(integral *sum, sample next)
{
    if (!sum->begun) {
        sum->begun = true;
        sum->time_s = next.time_s;
        sum->energy_j = next.energy_j;
    } else {
        const double width = (double)(next.step - sum->last.step);
        sum->time_s += 0.5 * (sum->last.time_s + next.time_s) * width;
        sum->energy_j += 0.5 * (sum->last.energy_j + next.energy_j) * width;
    }
    for (int i = 0; i < 2; i++) {
        const int64_t step = sum->wanted[i];
        if (step == next.step) {
            sum->at[i] = next.time_s;
        } else if (step < next.step && step > sum->last.step) {
            const double part =
                (double)(step - sum->last.step) / (double)(next.step - sum->last.step);
            sum->at[i] = sum->last.time_s + part * (next.time_s - sum->last.time_s);
        }
    }
    sum->last = next;
}

static df_status time_step(df_llm *x, int64_t prefill, int64_t step, sample *out)
{
    const df_llm_span span = {1.0, (double)(prefill + step + 1), true};
    df_llm_pass pass;
    df_llm_time_pass(x, &span, &pass);
    out->step = step;
    out->energy_j = pass_energy_j(x, &pass, true);
    return df_llm_run_graph(x, &pass, 1.0, false, &out->time_s);
}

static double per_second(double time_s)
{
    return time_s > 0 ? 1.0 / time_s : 0.0;
}

static df_status decode(df_llm *x, int64_t prefill, df_llm_result *out)
{
    const int64_t steps = x->m->decode_len;
    const int64_t every = x->m->sample_every > 0 ? x->m->sample_every : INT64_C(2147483647);
    integral sum = {.last = {-1, 0, 0}, .wanted = {steps / 2, steps - 1}};
    double first_s = 0;
    int64_t step = 0;
    while (step < steps) {
        sample next = {0, 0, 0};
        DF_TRY(time_step(x, prefill, step, &next));
        integrate(&sum, next);
        first_s = step == 0 ? next.time_s : first_s;
        const int64_t following = (step + 1) / every * every + every - 1;
        step = step == steps - 1 ? steps : following < steps - 1 ? following : steps - 1;
    }
    out->decode_s = sum.time_s;
    out->decode_energy_j = sum.energy_j;
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
        out->prefill_energy_j = pass_energy_j(x, &out->pass, false);
        DF_TRY(df_llm_run_graph(x, &out->pass, span.tokens, false, &out->prefill_s));
    }
    out->first_token_s = out->prefill_s;
    if (steps > 0) {
        DF_TRY(decode(x, prefill, out));
    }
    out->kv_prefill_store_bytes = token * (double)prefill * layers;
    out->kv_decode_store_bytes = token * (double)steps * layers;
    out->kv_decode_fetch_bytes =
        token * layers * floor((double)steps * (double)(prefill + x->m->seq_len) / 2.0);
    out->time_s = out->prefill_s + out->decode_s;
    return DF_OK;
}
