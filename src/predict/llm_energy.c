#include <string.h>

#include "base/units.h"
#include "predict/predict_impl.h"

df_tariff df_llm_tariff(const df_cfg *cfg, const df_hw_device *dev, const df_topo *topo)
{
    const df_cfg_tech *const tech = &cfg->tech;
    df_tariff t = {.flop_j = df_cfg_given_j(tech->core.nominal_energy_per_flop_j)};
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        const df_hw_mem *const mem = &dev->mem[level];
        const bool dram = mem->type == DF_MEM_DRAM;
        const double bit_j = dram ? tech->dram.dynamic_energy_per_bit_j
                                  : tech->sram[mem->type].dynamic_energy_per_bit_j;
        const double bit_w =
            dram ? tech->dram.static_power_per_bit_w : tech->sram[mem->type].static_power_per_bit_w;
        t.byte_j[level] = DF_BITS_PER_BYTE * df_cfg_given_j(bit_j);
        t.leakage_w[level] = df_cfg_given_j(bit_w) * DF_BITS_PER_BYTE * mem->size_bytes;
    }
    for (int axis = 0; axis < DF_AXES; axis++) {
        t.sent_byte_j[axis] = DF_BITS_PER_BYTE * topo->axis[axis].energy_per_bit_j;
    }
    return t;
}

double df_llm_pass_energy(const df_job *x, df_energy *energy)
{
    const df_llm_pass *const pass = &x->memory->pass;
    const df_compat_case of = {&x->dims, &x->split, &pass->span};
    const df_recompute again = x->training ? x->cfg->sched.recompute : DF_RECOMPUTE_NONE;
    const double batches = df_llm_batches(x);
    const double once = x->split.tp * x->split.cp * x->split.dp * batches;
    const df_energy_runs runs = {.layer = x->dims.layers * once,
                                 .once = once,
                                 .backward = x->training,
                                 .layer_again = again == DF_RECOMPUTE_FULL,
                                 .attention_again = again == DF_RECOMPUTE_SELECTIVE};
    const double on_a_stage = x->options.hops_of_stages ? 1.0 : (double)x->pipe.virtual_stages;
    const double parts = x->split.pp * on_a_stage;
    const double hops = (parts - 1.0) * x->split.dp * batches * (x->training ? 2.0 : 1.0);
    memset(energy, 0, sizeof *energy);
    df_energy_add_ops(&x->tariff, &pass->ops, pass->price, &runs, energy);
    const double hop_bytes = df_llm_hop_bytes(x) * df_llm_hop_senders(x);
    energy->network_j += x->tariff.sent_byte_j[DF_AXIS_LP] * (hops * hop_bytes);
    return !x->training && x->options.counted_energy
               ? df_compat_pass_energy_j(x->rules, &x->cfg->tech, &of, pass->breakdown)
               : df_energy_dynamic_j(energy);
}

/* Bytes that a device sends to its replicas in one step. */
static double sent_bytes(const df_job *x)
{
    const df_exchange *const e = &x->exchange;
    const int64_t zero = x->cfg->sw.dp_zero_stage;
    const double all = df_llm_batches(x);
    const double times = e->every_batch ? all : 1.0;
    const df_coll_kind kind = zero >= 2 ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    const double gathers = zero >= 3 ? 2.0 * all : zero == 2 ? times : 0.0;
    const double gradients =
        e->gradients.embedding + x->dims.layers * e->gradients.layer + e->gradients.head;
    const double parameters = e->parameters.embedding + x->dims.layers * e->parameters.layer +
                              (e->head_apart ? e->parameters.head : 0.0);
    return times * df_coll_sent_bytes(kind, gradients, e->replicas) +
           gathers * df_coll_sent_bytes(DF_COLL_ALL_GATHER, parameters, e->replicas);
}

void df_llm_add_exchange_energy(const df_job *x, df_energy *energy)
{
    const df_exchange *const e = &x->exchange;
    const double devices = x->split.tp * x->split.cp * x->split.dp;
    const double shared = 2.0 * df_coll_sent_bytes(DF_COLL_ALL_REDUCE, e->shared_bytes, 2.0);
    const double copied =
        df_coll_sent_bytes(DF_COLL_ALL_REDUCE, x->dims.layers * e->copied_bytes, e->copies);
    energy->network_j += x->tariff.sent_byte_j[DF_AXIS_DP] * (devices * sent_bytes(x));
    energy->network_j += x->tariff.sent_byte_j[DF_AXIS_LP] * (devices * shared);
    energy->network_j += x->tariff.sent_byte_j[DF_AXIS_TP] * (devices * copied);
    if (e->optimizes) {
        const double shards = x->cfg->sw.dp_zero_stage >= 1 ? e->replicas : 1.0;
        const double params = df_exchange_model_params(&x->stack, &x->split);
        const df_op_stream step = df_exchange_optimizer(&x->dims, params).stream;
        const df_price work = {.flops = step.flops * step.elements,
                               .traffic_bytes = {0, 0, 0, step.bytes * step.elements}};
        df_energy_add_work(&x->tariff, &work, devices / shards, energy);
    }
}
