/* rules.h: where the Python DeepFlow computes something other than what it meant to, with one named
 * field for each such rule. true: do as the reference does (equal to its numbers). false: do what
 * was meant. rules.c holds the table, with one line on what each rule does and on what is right,
 * which `deepflow help rules` prints. The rules are implemented in src/compat, and those that
 * concern src/hw and searches in these. */
#ifndef DF_RULES_H
#define DF_RULES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/status.h"

typedef struct {
    /* hardware */
    bool sram_banks_come_back;
    bool dram_links_recomputed;
    bool network_voltage_unclamped;
    bool lowest_supply_outruns_power;
    bool memory_without_units;
    bool budgets_unchecked;
    bool networks_unchecked;
    bool splits_unchecked;
    bool infinite_times_printed;
    bool absent_technology_tenth;
    /* roofline and GEMM */
    bool pointwise_on_registers;
    bool l1_rate_of_each_bundle;
    bool latency_if_memory_bound;
    bool gemm_output_uncounted;
    bool gemm_dram_reuse_floored;
    bool gemm_output_takes_no_room;
    /* collectives */
    bool all_gather_staging_divided;
    bool pipeline_hop_free;
    bool axes_follow_flags;
    /* modes */
    bool gemm_mode_adds_lstm_cell;
    bool gemm_summary_subtracts_dp;
    bool rc_backward_exchange_whole;
    bool rc_exchange_follows_softmax;
    bool reduction_follows_hidden;
    bool memory_edge_frees_last_link;
    bool two_stages_rejected;
    /* memory footprint */
    bool footprint_omits_softmax;
    bool footprint_lp2_zero;
    /* strategies, layouts, descent */
    bool rc_batch_unchecked;
    bool uneven_stages_left_out;
    bool downward_hops_shifted;
    bool cross_wafer_traffic_on_start;
    bool layout_joins_tp_and_cp;
    bool infinite_start_shrinks;
    bool chip_grows_in_searches;
    bool chip_area_whole_mm2;
    bool unused_networks_keep_shares;
    /* LLMs: operators */
    bool llm_all_gather_whole_steps;
    bool llm_single_gradient_as_forward;
    bool llm_hybrid_launches_scaled;
    bool llm_flash_launch_on_heads;
    bool llm_flash_backward_double;
    bool llm_flash_context_unreduced;
    bool llm_flash_context_own_keys;
    bool llm_flash_loads_waves;
    bool llm_flash_unmasked;
    bool llm_flash_softmax_as_products;
    bool llm_context_norm_forward_whole;
    bool llm_norms_at_statistics_width;
    bool llm_pointwise_unsharded;
    bool llm_embedding_whole_table;
    bool llm_head_split_twice;
    bool llm_decode_logits_one_row;
    bool llm_prefill_logits_whole;
    bool llm_kv_cache_free;
    bool llm_kv_heads_fraction;
    bool llm_casts_free;
    bool llm_idle_experts_run;
    bool llm_layers_alike;
    /* LLMs: micro-batches, data parallelism */
    bool llm_one_stage_one_batch;
    bool llm_backward_index_wraps;
    bool llm_hop_whole;
    bool llm_gradients_unsharded;
    bool llm_embedding_gradient_with_activations;
    bool llm_context_gradients_unreduced;
    bool llm_reductions_every_batch;
    bool llm_reductions_at_once;
    bool llm_first_gather_free;
    bool llm_gathers_gate_reductions;
    bool llm_tied_logits_not_gathered;
    bool llm_tied_gradients_apart;
    bool llm_optimizer_free;
    /* LLMs: network simulator */
    bool astra_hybrid_edges_free;
    bool astra_links_underated;
    bool astra_topology_connected;
    bool astra_algorithm_stale;
    bool astra_reductions_at_1600;
    bool astra_whole_microseconds;
    bool astra_block_collectives_twice;
    bool astra_reductions_on_first_devices;
    bool astra_hop_skips_collective;
    bool astra_tags_meet;
    bool astra_order_open;
    /* LLMs: energy, output */
    bool llm_energy_one_layer;
    bool llm_energy_hops_of_stages;
    bool llm_energy_one_head;
    bool llm_energy_default_link;
    bool llm_energy_prefill_whole_sequence;
    bool llm_replicas_counted_twice;
    bool ttft_with_decode_step;
    bool llm_model_flops_unmasked;
    /* not a rule of the table: prices of kernels as they were measured, in place of an ideal
     * device's (src/kernels, src/framework, src/engine) */
    bool calibrated;
} df_rules;

typedef struct {
    const char *name;
    size_t offset;         /* offset of the bool in df_rules */
    const char *reference; /* what the Python DeepFlow does */
    const char *corrected; /* what the corrected rule does instead */
    const char *source;    /* where that is published; NULL: it is evident */
} df_rule;

extern const df_rule df_rule_table[];
extern const size_t df_rule_count;

/* The default of all commands: the rules whose predictions are closest to measurements
 * (docs/validation.md). */
#define DF_RULES_DEFAULT "calibrated"

df_rules df_rules_reference(void);
df_rules df_rules_corrected(void);
/* The corrected ones, with measured kernels. */
df_rules df_rules_calibrated(void);

/* Reads "reference", "corrected" or "calibrated", then any ",FIELD=reference|corrected".
 * DF_EINVAL names the nearest known field. On failure *rules is untouched. */
DF_NODISCARD df_status df_rules_parse(const char *text, df_rules *rules, df_err *err);

/* Writes the text that df_rules_parse reads back (canonical). Returns snprintf's count. */
int df_rules_format(const df_rules *rules, char *text, size_t size);

/* Gives the rule of that row its other value. Returns the old value: true is reference. */
bool df_rules_flip(df_rules *rules, size_t row);

void df_rules_print_help(FILE *out);

#endif
