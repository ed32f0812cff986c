#include "fold/energy.h"

void df_energy_add_work(const df_tariff *tariff,
                        const df_price *price,
                        double times,
                        df_energy *energy)
{
    energy->compute_j += tariff->flop_j * price->flops * times;
    energy->network_j += price->sent_j * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        energy->memory_j[level] += tariff->byte_j[level] * price->traffic_bytes[level] * times;
    }
}

static bool runs_again(const df_energy_runs *runs, const df_op *op)
{
    const bool core = op->row >= DF_ROW_SCORE && op->row <= DF_ROW_AV;
    return op->pass == DF_PASS_FORWARD && op->block == DF_BLOCK_LAYER &&
           (runs->layer_again || (runs->attention_again && core && op->kind != DF_OP_COLLECTIVE));
}

void df_energy_add_ops(const df_tariff *tariff,
                       const df_ops *ops,
                       const df_price price[],
                       const df_energy_runs *runs,
                       df_energy *energy)
{
    df_price sum = {.time_s = 0.0};
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        const double once = op->block == DF_BLOCK_LAYER ? runs->layer : runs->once;
        if (op->pass == DF_PASS_FORWARD || runs->backward) {
            df_price_add(&sum, &price[i], runs_again(runs, op) ? 2.0 * once : once);
        }
    }
    df_energy_add_work(tariff, &sum, 1.0, energy);
}

void df_energy_add(df_energy *sum, const df_energy *part, double times)
{
    sum->compute_j += part->compute_j * times;
    sum->network_j += part->network_j * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        sum->memory_j[level] += part->memory_j[level] * times;
    }
}

double df_energy_dynamic_j(const df_energy *energy)
{
    double sum_j = energy->compute_j + energy->network_j;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        sum_j += energy->memory_j[level];
    }
    return sum_j;
}

void df_energy_finish(const df_tariff *tariff, double devices, double time_s, df_energy *energy)
{
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        energy->static_j += tariff->leakage_w[level] * devices * time_s;
    }
    energy->total_j = df_energy_dynamic_j(energy) + energy->static_j;
}
