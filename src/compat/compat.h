/* compat.h: what the Python DeepFlow does otherwise than the model (rules/rules.h).
 *
 * The model knows no rule. A rule that is the reference's is one of
 *   a description   the split or the span that the operators are built from (describe.c)
 *   an edit         of the list of operators (edit.c)
 *   a price         in the reference's cost model (price.c)
 *   a count         of flops and bytes, for energies and tables (count.c)
 *   a step          the order in which a step's work is done (step_reference.h)
 *   an option       of what is built of plain data: GEMM traffic, simulated programs */
#ifndef DF_COMPAT_H
#define DF_COMPAT_H
#include "cost/cost.h"
#include "fold/breakdown.h"
#include "lower/lower.h"
#include "model/dims.h"
#include "model/exchange.h"
#include "rules/rules.h"

/* What operators are built from. */
typedef struct {
    const df_dims *dims;
    const df_split *split;
    const df_span *span;
} df_compat_case;

/* Makes a micro-batch of all sequences of a replica: with df_compat_first_batch_only. */
void df_compat_whole_batch(const df_cfg *cfg, df_split *split);

/* What a prediction does otherwise beside its operators, as plain options. */
typedef struct {
    bool axes_follow_flags; /* df_topo_derive has what it means */
    bool counted_energy;    /* an inference's energies are those of compat/energy.h */
    /* In the network simulator: */
    bool links_underated, gathers_whole, stale_algorithms; /* df_simulated has what they mean */
    bool edges_free;        /* hybrid: hops and exchanges among replicas cost nothing */
    bool collectives_twice; /* a block's operators last as long as with their collectives */
    df_lower_options lower;
    /* In the pipeline of an LSTM: graph/pipeline.h has what they mean */
    bool rejects_two_stages, frees_last_link;
} df_compat_options;

df_compat_options df_compat_read(const df_rules *rules);

/* Changes what a pass is over, and what replicas exchange. */
void df_compat_span(const df_rules *rules,
                    const df_dims *dims,
                    const df_split *split,
                    df_span *span);

void df_compat_exchange(const df_rules *rules,
                        const df_dims *dims,
                        const df_split *split,
                        int64_t zero_stage,
                        df_exchange *exchange);

/* Changes a list of operators. */
void df_compat_edit(const df_rules *rules, const df_compat_case *of, df_ops *ops);

/* The cost model of some rules and its options, which `options` has room for. */
typedef struct {
    bool streams_on_registers, staging_on_registers;
    bool gather_whole_steps, gather_staging_divided;
    bool flash_launch_on_heads, flash_loads_waves, flash_softmax_as_products;
} df_compat_prices;

const df_cost_model *
df_compat_cost(const df_rules *rules, const df_cfg *cfg, df_compat_prices *options);

df_gemm_traffic df_compat_gemm_traffic(const df_rules *rules);

/* How leniently a configuration is read, in bits of df_cfg_need. */
unsigned df_compat_reading(const df_rules *rules);

/* Whether a prediction that is not finite is a result. */
bool df_compat_prints_infinite(const df_rules *rules);

/* Whether the stages of a pipeline need no network between them. */
bool df_compat_hops_are_free(const df_rules *rules, df_mode mode);

/* Fills the counted flops and bytes of a table: products of all tensor-parallel devices without
 * context parallelism, the DRAM's traffic of attention, embedding and logits. */
void df_compat_count(const df_rules *rules,
                     const df_compat_case *of,
                     const df_ops *ops,
                     const df_price price[],
                     df_breakdown *table);

#endif
