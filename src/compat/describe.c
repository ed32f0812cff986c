#include <math.h>

#include "compat/compat.h"

df_compat_options df_compat_read(const df_rules *rules)
{
    return (df_compat_options){
        .calibrated = rules->calibrated,
        .flags_alone = rules->axes_follow_flags,
        .hops_of_stages = rules->llm_energy_hops_of_stages,
        .hop_whole = rules->llm_hop_whole,
        .logits_whole = rules->llm_prefill_logits_whole,
        .counted_energy = rules->llm_energy_one_layer,
        .flops_unmasked = rules->llm_model_flops_unmasked,
        .first_token_decoded = rules->ttft_with_decode_step,
        .rejects_two_stages = rules->two_stages_rejected,
        .frees_last_link = rules->memory_edge_frees_last_link,
        .edges_free = rules->astra_hybrid_edges_free,
        .collectives_twice = rules->astra_block_collectives_twice,
        .lower = {.hop_divided = rules->llm_hop_whole,
                  .hop_skips_collective = rules->astra_hop_skips_collective,
                  .reductions_on_first_devices = rules->astra_reductions_on_first_devices,
                  .tags_meet = rules->astra_tags_meet,
                  .whole_microseconds = rules->astra_whole_microseconds,
                  .order_open = rules->astra_order_open}};
}

void df_compat_split(const df_rules *rules, df_split *split)
{
    split->parts_kv_heads = rules->llm_kv_heads_fraction;
}

void df_compat_span(const df_rules *rules,
                    const df_dims *dims,
                    const df_split *split,
                    df_span *span)
{
    span->cached = span->cached && !rules->llm_kv_cache_free;
    if (rules->llm_idle_experts_run && dims->experts > 1.0) {
        const double rows = split->batch * dims->top_k / dims->experts;
        span->busy_experts = dims->experts;
        span->expert_rows =
            span->decode ? ceil(rows) : span->tokens * dims->top_k / dims->experts * split->batch;
    }
}

/* Gradients and parameters of all tensor-parallel devices, as if there were as many key/value
 * heads as heads; and parameters as if a layer had four square matrices. */
static void unshard(const df_dims *dims, const df_split *split, df_exchange *e)
{
    const double gradient = dims->bytes.exchanged_gradient;
    const double d = dims->hidden;
    const double ffn_products = dims->gated ? 3.0 : 2.0;
    e->gradients.embedding = ceil(gradient * df_dims_table_params(dims));
    e->gradients.head = e->gradients.embedding;
    e->gradients.layer = ceil(3.0 * gradient * d * d) + ceil(gradient * d * d) +
                         ceil(gradient * dims->ffn_in * d) + ceil(gradient * dims->ffn * d);
    e->parameters.layer =
        ceil(dims->bytes.parameter * ((4.0 * d * d + ffn_products * dims->ffn * d) / split->tp));
}

void df_compat_exchange(const df_rules *rules,
                        const df_dims *dims,
                        const df_split *split,
                        int64_t zero_stage,
                        df_exchange *exchange)
{
    const bool summed_once = exchange->gradients.head == 0.0;
    if (rules->llm_context_gradients_unreduced) {
        exchange->replicas = split->dp;
    }
    if (rules->llm_gradients_unsharded) {
        unshard(dims, split, exchange);
        exchange->gradients.head = summed_once ? 0.0 : exchange->gradients.head;
    }
    if (rules->llm_tied_gradients_apart) {
        exchange->shared_bytes = 0.0;
        exchange->gradients.head = exchange->gradients.embedding;
    }
    if (rules->llm_embedding_gradient_with_activations) {
        exchange->gradients.embedding +=
            ceil(dims->bytes.exchanged_gradient * dims->sequence * dims->hidden * split->batch);
    }
    if (rules->llm_tied_logits_not_gathered && zero_stage >= 3) {
        exchange->head_apart = !dims->tied;
    }
    exchange->every_batch = exchange->every_batch || rules->llm_reductions_every_batch;
    exchange->optimizes = !rules->llm_optimizer_free;
}

df_gemm_traffic df_compat_gemm_traffic(const df_rules *rules)
{
    return (df_gemm_traffic){.output_takes_no_room = rules->gemm_output_takes_no_room,
                             .output_uncounted = rules->gemm_output_uncounted,
                             .reuse_floored = rules->gemm_dram_reuse_floored};
}

bool df_compat_hops_are_free(const df_rules *rules, df_mode mode)
{
    return mode != DF_MODE_LLM && rules->pipeline_hop_free;
}

df_compat_search df_compat_search_read(const df_rules *rules)
{
    return (df_compat_search){.chip_is_the_rest = rules->chip_grows_in_searches,
                              .chip_whole_mm2 = rules->chip_area_whole_mm2,
                              .networks_keep_shares = rules->unused_networks_keep_shares,
                              .flags_alone = rules->axes_follow_flags};
}

unsigned df_compat_reading(const df_rules *rules)
{
    return (rules->budgets_unchecked ? (unsigned)DF_CFG_ANY_BUDGETS : 0) |
           (rules->networks_unchecked ? (unsigned)DF_CFG_ANY_NETWORKS : 0) |
           (rules->astra_topology_connected ? (unsigned)DF_CFG_ANY_TOPOLOGY : 0) |
           (rules->absent_technology_tenth ? 0 : (unsigned)DF_CFG_NEED_FIGURES) |
           (rules->calibrated ? (unsigned)DF_CFG_ANY_KIND | (unsigned)DF_CFG_ANY_ROUNDS : 0) |
           (rules->llm_layers_alike ? 0 : (unsigned)DF_CFG_ANY_LAYERS) |
           (rules->budgets_unchecked ? 0 : (unsigned)DF_CFG_USUAL) |
           (rules->splits_unchecked ? (unsigned)DF_CFG_ANY_SPLITS : 0);
}

bool df_compat_prints_infinite(const df_rules *rules)
{
    return rules->infinite_times_printed;
}

double df_compat_rated_sequences(const df_rules *rules, const df_cfg *cfg)
{
    const double batch = (double)cfg->llm.batch_size;
    return rules->llm_replicas_counted_twice ? batch * (double)cfg->sched.dp : batch;
}

double df_compat_summary_backward_s(const df_rules *rules, double backward_s, double reduction_s)
{
    return rules->gemm_summary_subtracts_dp ? backward_s - reduction_s : backward_s;
}
