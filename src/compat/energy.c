#include "compat/energy.h"

enum { DRAM = DF_HW_LEVELS - 1 };

/* Flops, DRAM traffic and transfers of one layer and of what is beside the layers. */
typedef struct {
    double flops, dram_bytes, moved_bytes;
} counted;

static counted count(const df_breakdown *table, bool decode)
{
    static const df_row_name in_layer[] = {DF_ROW_MHA, DF_ROW_MLP, DF_ROW_NORM1, DF_ROW_NORM2};
    static const df_row_name beside[] = {DF_ROW_EMBEDDING, DF_ROW_LOGITS};
    counted sum = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < sizeof in_layer / sizeof in_layer[0]; i++) {
        const df_row *const row = &table->row[in_layer[i]];
        sum.flops += row->counted_flops;
        sum.dram_bytes += row->counted_bytes[DRAM];
        sum.moved_bytes += row->side[DF_FORWARD].comm_bytes;
    }
    for (size_t i = 0; i < sizeof beside / sizeof beside[0] && !decode; i++) {
        sum.flops += table->row[beside[i]].counted_flops;
        sum.dram_bytes += table->row[beside[i]].counted_bytes[DRAM];
    }
    return sum;
}

double df_compat_pass_energy_j(const df_rules *rules,
                               const df_cfg_tech *tech,
                               const df_compat_case *of,
                               const df_breakdown *table)
{
    const df_dims *const d = of->dims;
    const double given_j = tech->intra.nominal_energy_per_link_j;
    const bool absent = given_j == DF_CFG_ABSENT_J && !rules->llm_energy_default_link;
    const double tokens = of->span->decode                           ? 1.0
                          : rules->llm_energy_prefill_whole_sequence ? d->sequence
                                                                     : of->span->tokens;
    const double hop_bytes = of->split->batch * tokens * d->hidden * d->bytes.activation;
    const counted sum = count(table, of->span->decode);
    const double moved = d->layers * sum.moved_bytes + (of->split->pp - 1.0) * hop_bytes;
    return tech->core.nominal_energy_per_flop_j * sum.flops +
           DF_BITS_PER_BYTE * tech->dram.dynamic_energy_per_bit_j * sum.dram_bytes +
           DF_BITS_PER_BYTE * (absent ? 0.0 : given_j) * moved;
}
