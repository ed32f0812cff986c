#include <string.h>

#include "llm/llm_impl.h"

enum { DRAM = DF_HW_LEVELS - 1 };

static const double bits_per_byte = 8.0;

/* What is inside a layer, and beside the layers. */
static const df_llm_op in_layer[] = {DF_LLM_MHA, DF_LLM_MLP, DF_LLM_NORM1, DF_LLM_NORM2};
static const df_llm_op beside[] = {DF_LLM_EMBEDDING, DF_LLM_LOGITS};
enum { IN_LAYER = 4, BESIDE = 2 };

/* Bytes between two stages of a pass. */
static double hop_bytes(const df_llm *x, double tokens)
{
    return x->batch * tokens * x->d * x->bytes.activation;
}

/* ---- As the reference counts ---- */

static double as_reference_j(const df_llm *x, const df_llm_pass *pass, const df_llm_span *span)
{
    const df_cfg_tech *const tech = &x->cfg->tech;
    const bool absent = tech->intra.nominal_energy_per_link_j == DF_CFG_ABSENT_J;
    const double link_j =
        absent && !x->rules->llm_energy_default_link ? 0.0 : tech->intra.nominal_energy_per_link_j;
    const double tokens = span->decode                                  ? 1.0
                          : x->rules->llm_energy_prefill_whole_sequence ? x->s
                                                                        : span->tokens;
    double flops = 0.0;
    double dram = 0.0;
    double moved = 0.0;
    for (int i = 0; i < IN_LAYER; i++) {
        const df_llm_row *const row = &pass->row[in_layer[i]];
        flops += row->flops;
        dram += row->traffic_bytes[DRAM];
        moved += row->forward_comm_bytes;
    }
    for (int i = 0; i < BESIDE && !span->decode; i++) {
        flops += pass->row[beside[i]].flops;
        dram += pass->row[beside[i]].traffic_bytes[DRAM];
    }
    return tech->core.nominal_energy_per_flop_j * flops +
           bits_per_byte * tech->dram.dynamic_energy_per_bit_j * dram +
           bits_per_byte * link_j *
               ((double)x->m->num_layers * moved + (x->lp - 1.0) * hop_bytes(x, tokens));
}

/* ---- All devices, all layers ---- */

/* An energy of the file, 0 where it gives none. */
static double given_j(double value_j)
{
    return value_j == DF_CFG_ABSENT_J ? 0.0 : value_j;
}

static double level_j_per_bit(const df_llm *x, int level)
{
    const df_mem_type type = x->dev->mem[level].type;
    const df_cfg_tech *const tech = &x->cfg->tech;
    return given_j(type == DF_MEM_DRAM ? tech->dram.dynamic_energy_per_bit_j
                                       : tech->sram[type].dynamic_energy_per_bit_j);
}

static double level_static_w_per_bit(const df_llm *x, int level)
{
    const df_mem_type type = x->dev->mem[level].type;
    const df_cfg_tech *const tech = &x->cfg->tech;
    return given_j(type == DF_MEM_DRAM ? tech->dram.static_power_per_bit_w
                                       : tech->sram[type].static_power_per_bit_w);
}

static double network_j(const df_llm *x, bool inter, double bytes)
{
    const df_cfg_link *const link = inter ? &x->cfg->tech.inter : &x->cfg->tech.intra;
    return bits_per_byte * given_j(link->nominal_energy_per_link_j) * bytes;
}

static void add_work(const df_llm *x, const df_llm_work *work, double times, df_llm_energy *energy)
{
    energy->compute_j += given_j(x->cfg->tech.core.nominal_energy_per_flop_j) * work->flops * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        energy->memory_j[level] +=
            bits_per_byte * level_j_per_bit(x, level) * work->traffic_bytes[level] * times;
    }
}

/* A row on all devices that run it: forward, and in training backward. */
static void add_row(const df_llm *x, const df_llm_row *row, double times, df_llm_energy *energy)
{
    const int directions = x->m->run_type == DF_RUN_TRAINING ? DF_LLM_DIRECTIONS : 1;
    for (int i = 0; i < directions; i++) {
        add_work(x, &row->work[i], times, energy);
        energy->network_j += network_j(x, x->cfg->system.tp_inter, row->sent_bytes[i] * times);
    }
}

static double batches_of(const df_llm *x)
{
    return df_llm_accumulates(x) ? x->mb : 1.0;
}

void df_llm_pass_energy(const df_llm *x,
                        const df_llm_pass *pass,
                        const df_llm_span *span,
                        df_llm_energy *energy)
{
    const bool training = x->m->run_type == DF_RUN_TRAINING;
    const double runs = x->tp * x->cp * x->dp * batches_of(x);
    const double layers = (double)x->m->num_layers;
    memset(energy, 0, sizeof *energy);
    for (int i = 0; i < IN_LAYER; i++) {
        const df_llm_row *const row = &pass->row[in_layer[i]];
        add_row(x, row, layers * runs, energy);
        if (training && x->cfg->sched.recompute == DF_RECOMPUTE_FULL) {
            add_work(x, &row->work[DF_LLM_FORWARD], layers * runs, energy);
            energy->network_j += network_j(x, x->cfg->system.tp_inter,
                                           row->sent_bytes[DF_LLM_FORWARD] * layers * runs);
        }
    }
    for (int i = 0; training && x->cfg->sched.recompute == DF_RECOMPUTE_SELECTIVE &&
                    i <= DF_LLM_AV - DF_LLM_SCORE;
         i++) {
        add_work(x, &pass->row[DF_LLM_SCORE + i].work[DF_LLM_FORWARD], layers * runs, energy);
    }
    for (int i = 0; i < BESIDE; i++) {
        add_row(x, &pass->row[beside[i]], runs, energy);
    }
    const double hops = (x->lp - 1.0) * x->dp * batches_of(x) * (training ? 2.0 : 1.0);
    energy->network_j += network_j(x, x->cfg->system.lp_inter, hops * hop_bytes(x, span->tokens));
}

double df_llm_pass_energy_j(const df_llm *x, const df_llm_pass *pass, const df_llm_span *span)
{
    df_llm_energy e;
    if (x->rules->llm_energy_one_layer) {
        return as_reference_j(x, pass, span);
    }
    df_llm_pass_energy(x, pass, span, &e);
    double sum_j = e.compute_j + e.network_j;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        sum_j += e.memory_j[level];
    }
    return sum_j;
}

void df_llm_add_energy(df_llm_energy *sum, const df_llm_energy *part, double times)
{
    sum->compute_j += part->compute_j * times;
    sum->network_j += part->network_j * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        sum->memory_j[level] += part->memory_j[level] * times;
    }
}

/* Reductions, gathers and the optimizer of a training step. */
static void add_data_parallel(const df_llm *x, df_llm_energy *energy)
{
    const double n = df_llm_replicas(x);
    const int64_t zero = x->cfg->sw.dp_zero_stage;
    const double layers = (double)x->m->num_layers;
    const double devices = x->tp * x->cp * x->dp;
    const double all = batches_of(x);
    const double times = zero >= 2 || x->rules->llm_reductions_every_batch ? all : 1.0;
    const df_coll_kind kind = zero >= 2 ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    const df_step_parts g = df_llm_gradient_bytes(x);
    const df_step_parts p = df_llm_parameter_bytes(x);
    const double gathers = zero >= 3 ? 2.0 * all : zero == 2 ? times : 0.0;
    const bool gathered = zero >= 3
                              ? !x->m->tied_embeddings || !x->rules->llm_tied_logits_not_gathered
                              : !x->m->tied_embeddings;
    const double parameters = p.embedding + layers * p.layer + (gathered ? p.logits : 0.0);
    const double sent =
        times * df_llm_sent_bytes(kind, g.embedding + layers * g.layer + g.logits, n) +
        gathers * df_llm_sent_bytes(DF_COLL_ALL_GATHER, parameters, n);
    const double exchanged =
        2.0 * df_llm_sent_bytes(DF_COLL_ALL_REDUCE, df_llm_shared_table_bytes(x), 2.0);
    energy->network_j += network_j(x, x->cfg->system.dp_inter, devices * sent) +
                         network_j(x, x->cfg->system.lp_inter, devices * exchanged);
    if (!x->rules->llm_optimizer_free) {
        const df_llm_per_param each = df_llm_optimizer_work(x);
        const double tables = x->m->tied_embeddings ? 1.0 : 2.0;
        const double params =
            layers * df_llm_layer_params(x) + tables * (double)x->m->vocab_size * x->d / x->tp;
        const df_llm_work work = {each.flops * params, {0, 0, 0, each.bytes * params}};
        add_work(x, &work, devices / (zero >= 1 ? n : 1.0), energy);
    }
}

void df_llm_finish_energy(const df_llm *x, double time_s, df_llm_energy *energy)
{
    const double devices = x->tp * x->cp * x->dp * x->lp;
    if (x->m->run_type == DF_RUN_TRAINING) {
        add_data_parallel(x, energy);
    }
    energy->total_j = energy->compute_j + energy->network_j;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        const double bits = bits_per_byte * x->dev->mem[level].size_bytes;
        energy->static_j += level_static_w_per_bit(x, level) * bits * devices * time_s;
        energy->total_j += energy->memory_j[level];
    }
    energy->total_j += energy->static_j;
}

double df_llm_model_flops(const df_llm *x, const df_llm_span *span)
{
    const double layers = (double)x->m->num_layers;
    const double sequences = (double)x->m->batch_size;
    const double ffn = x->top_k * (x->d * x->ffn1 + x->ffn * x->d);
    const double layer = x->d * (x->h + 2.0 * x->h_kv) * x->e + x->d * x->d + ffn;
    const double weights = layers * layer + (double)x->m->vocab_size * x->d;
    /* scores and values: Vaswani et al., 2017, without regard to the causal mask */
    const double attention = layers * 2.0 * span->context * x->d;
    return 2.0 * sequences * span->tokens * (weights + attention);
}
