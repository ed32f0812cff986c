#include "rules/rules.h"

#include <string.h>

#include "base/nearest.h"

#define SOURCED(field, reference, corrected, source)                                               \
    {                                                                                              \
#field, offsetof(df_rules, field), reference, corrected, source                            \
    }
#define RULE(field, reference, corrected) SOURCED(field, reference, corrected, NULL)

const df_rule df_rule_table[] = {
    RULE(sram_banks_come_back,
         "an SRAM without bandwidth loses its banks and gets them back from its size",
         "it has no banks"),
    RULE(dram_links_recomputed,
         "the DRAM links reported are those of all stacks, whatever the perimeter holds",
         "the links from which the bandwidth is derived are reported"),
    RULE(network_voltage_unclamped,
         "below the lowest supply, the frequency of a link follows from the unclamped voltage",
         "it follows from the lowest supply, as for a core"),
    RULE(lowest_supply_outruns_power,
         "with less power than the lowest supply takes, and even with none, a part keeps a "
         "frequency",
         "the frequency falls in proportion to the power"),
    RULE(memory_without_units,
         "a memory may have fewer banks than owners, and registers less room than their cores' "
         "operands",
         "such a device is infeasible"),
    RULE(budgets_unchecked,
         "shares of area, power or perimeter may add up to more than the budget, with a warning; "
         "values that no hardware has are taken without a word",
         "they are an error; there is a warning"),
    RULE(networks_unchecked,
         "an axis may use a network that does not exist, with a warning",
         "it is an error"),
    RULE(splits_unchecked,
         "tp need not divide the heads, the FFN and (with tp_sp) the sequence, cp need not divide "
         "the sequence, and there may be more stages than layers: predictions then have fractions "
         "of a head, with a warning",
         "it is an error, as searches leave such strategies out"),
    RULE(infinite_times_printed,
         "a prediction that is not finite is printed, with a warning",
         "it is an error that says what the device lacks"),
    RULE(absent_technology_tenth,
         "technology that a file leaves out is taken as 0.1 of its unit, and a number of links or "
         "a budget as 1; sizes and rates are derived from that",
         "whatever a size or rate is derived from must be in the file"),
    RULE(pointwise_on_registers,
         "operators that stream once are counted against the register file",
         "they are counted against the DRAM"),
    RULE(l1_rate_of_each_bundle,
         "every bundle has the whole bandwidth of the L1, and works on a level-2 tile of its own",
         "bundles share the bandwidth, and the level-1 tiles of a level-2 tile"),
    RULE(latency_if_memory_bound,
         "the latency of a memory level counts only where the level is slower than the cores",
         "it is always part of the time of the level, which may or may not bind"),
    RULE(gemm_output_uncounted,
         "the output of a GEMM causes DRAM traffic only if its matrices exceed the DRAM",
         "it always does"),
    RULE(gemm_dram_reuse_floored,
         "passes over a matrix in DRAM are counted without the last, partial tile",
         "partial tiles count"),
    SOURCED(
        gemm_output_takes_no_room,
        "tiles of a GEMM's output take no room in the L2, and square tiles take none at any level",
        "the tiles of all three matrices fit together",
        "Smith et al., arXiv:1702.02017: the least traffic with so much memory"),
    RULE(all_gather_staging_divided,
         "an all-gather copies 1/n of each shard into place",
         "it copies the whole shard"),
    RULE(pipeline_hop_free,
         "handing activations to the next pipeline stage takes no time",
         "it takes bytes / bandwidth + latency"),
    RULE(axes_follow_flags,
         "an axis uses the network that its flag selects, even if a node cannot hold its members",
         "an axis whose members are in several nodes uses the network between them"),
    RULE(gemm_mode_adds_lstm_cell,
         "mode GEMM adds an LSTM cell's pointwise work to an unsplit forward GEMM",
         "the GEMM alone is timed"),
    RULE(gemm_summary_subtracts_dp,
         "the GEMM summary subtracts the reduction from a backward time without it",
         "it prints the backward time"),
    RULE(rc_backward_exchange_whole,
         "a row-column LSTM cell exchanges the rows of all kp1 devices backward",
         "it exchanges its own rows, as forward"),
    RULE(rc_exchange_follows_softmax,
         "a row-column LSTM cell exchanges gates if the softmax is split along kp2",
         "it does if the cell itself is"),
    RULE(
        reduction_follows_hidden,
        "gradients of softmax and embedding are reduced according to how the hidden layer is split",
        "they are reduced according to how they are split themselves"),
    RULE(memory_edge_frees_last_link,
         "a transfer through memory frees the pipeline's last link when it ends",
         "it frees nothing"),
    RULE(two_stages_rejected,
         "two pipeline stages with more than one layer are an error",
         "two stages share the layers, with the embedding and the softmax at the ends"),
    RULE(footprint_omits_softmax,
         "with a pipeline the softmax needs no memory",
         "the fullest of embedding, hidden and softmax stages counts"),
    RULE(footprint_lp2_zero,
         "with two or three pipeline stages the model needs no memory",
         "it needs what its fullest stage holds"),
    RULE(rc_batch_unchecked,
         "row-column strategies may have more replicas than sequences in the batch",
         "they are left out, as column-row ones are"),
    RULE(uneven_stages_left_out,
         "searches of LLMs only try stages, and parts of interleaved stages, that have the same "
         "number of layers",
         "they try any that a prediction accepts"),
    RULE(downward_hops_shifted,
         "a hop towards smaller y counts on the link beside the one that it takes",
         "it counts on the link that it takes"),
    RULE(cross_wafer_traffic_on_start,
         "a hop between wafers counts its y part on the wafer where it starts",
         "it counts where it runs: on the wafer with the smaller number"),
    RULE(layout_joins_tp_and_cp,
         "a layout gives tp and cp both the links of the one that reaches further",
         "each has the links that its members are on"),
    RULE(infinite_start_shrinks,
         "a descent shrinks the share whose growth would make a dead device work",
         "it grows that share"),
    RULE(chip_grows_in_searches,
         "a search gives the chip all the area that the DRAM stacks leave",
         "it is no larger than proc_chip_area_budget, or the constraint chip_area"),
    RULE(
        chip_area_whole_mm2, "a search truncates the area of the chip to whole mm2", "it does not"),
    RULE(
        unused_networks_keep_shares,
        "a network that a strategy does not use is searched too, or keeps its shares from the file",
        "it gets nothing"),
    SOURCED(llm_all_gather_whole_steps,
            "each step of an LLM's all-gather moves all that is gathered",
            "it moves one n-th of that",
            "Thakur et al., IJHPCA 19(1), 2005"),
    SOURCED(llm_single_gradient_as_forward,
            "without tensor and context parallelism the attention's input gradient has the "
            "forward shape",
            "it is (m, n) times (n, k), as with them",
            "Rumelhart et al., Nature 323, 1986"),
    RULE(llm_hybrid_launches_scaled,
         "with tensor and context parallelism, a launch in the attention's backward pass counts "
         "once for each head",
         "a kernel is launched once for all heads"),
    SOURCED(llm_flash_launch_on_heads,
            "the launch overhead of FlashAttention is added to the number of heads",
            "it is added once to the time of the kernel",
            "Dao et al., NeurIPS 2022, algorithm 1"),
    SOURCED(llm_flash_backward_double,
            "FlashAttention takes twice the forward time backward",
            "it takes 2.5 times as long: five matrix products instead of two",
            "Dao, ICLR 2024, section 4.1"),
    SOURCED(llm_flash_context_unreduced,
            "with FlashAttention, gradients of keys and values are not reduced over "
            "context-parallel devices",
            "they are, as without it",
            "Liu et al., ICLR 2024 (ring attention)"),
    SOURCED(llm_flash_context_own_keys,
            "with FlashAttention, context-parallel devices attend to their own keys only",
            "they attend to those of the whole sequence, as without it",
            "Liu et al., ICLR 2024 (ring attention)"),
    SOURCED(llm_flash_loads_waves,
            "FlashAttention first loads as many tiles of keys and values as there are bundles, "
            "however short the sequence",
            "it reads queries, keys and values and writes its output once, while it computes",
            "Dao, ICLR 2024, section 3.1"),
    SOURCED(llm_flash_unmasked,
            "FlashAttention computes all pairs of tiles",
            "it leaves out those that the causal mask hides",
            "Dao, ICLR 2024, section 3.1 (causal masking)"),
    SOURCED(llm_flash_softmax_as_products,
            "a flop of FlashAttention's softmax is as fast as one of a matrix product",
            "it takes as long as 16 of a matrix product",
            "Dao, ICLR 2024, section 3.1 (A100: 312 against 19.5 Tflop/s)"),
    SOURCED(llm_context_norm_forward_whole,
            "in the forward pass, each context-parallel device computes the norms of the whole "
            "sequence",
            "each computes its part, as in the backward pass",
            "Korthikanti et al., MLSys 2023, section 4.2"),
    SOURCED(llm_norms_at_statistics_width,
            "norms read, write and gather in the format of statistics, 4 bytes with mixed "
            "precision",
            "they use the format of activations; the statistics of a row are negligible",
            "Micikevicius et al., ICLR 2018, section 3.3"),
    SOURCED(llm_pointwise_unsharded,
            "activation functions and residuals are not split over devices",
            "activation functions are split as their GEMMs are, residuals as the norms",
            "Korthikanti et al., MLSys 2023, section 4.2"),
    RULE(llm_embedding_whole_table,
         "the embedding reads its whole table, and transfers it from the host",
         "it reads the rows of its tokens; the host sends the numbers of the tokens"),
    SOURCED(
        llm_head_split_twice,
        "each tensor- and context-parallel device has a part of the vocabulary, for all tokens, "
        "and the logits are gathered; for memory and gradients, the vocabulary is split over tp",
        "each device has its own tokens and one tp-th of the vocabulary; in training, the maximum "
        "and the sum of the softmax are reduced, and in inference, the logits of the last position "
        "are gathered",
        "Shoeybi et al., Megatron-LM, 2019, section 3"),
    RULE(llm_decode_logits_one_row,
         "a decode step has logits of one sequence, whatever the batch",
         "it has those of each sequence"),
    RULE(llm_prefill_logits_whole,
         "a prefill has logits of all positions of the prompt, which memory does not hold",
         "it has those of each sequence's last position, from which the first token is drawn"),
    SOURCED(llm_kv_cache_free,
            "keys and values in the cache cost nothing beyond a GEMM's traffic",
            "storing them takes time, and so does fetching those of all heads at their precision, "
            "in parallel with the attention (kvcache_fetch_overlap) or before it",
            "Pope et al., MLSys 2023, section 3.3"),
    SOURCED(
        llm_kv_heads_fraction,
        "with fewer key and value heads than tensor-parallel devices, each has a part of a head",
        "each has a whole head, which other devices have too, with its weights, products and "
        "cache; they add up its gradients",
        "Pope et al., MLSys 2023, section 3.3"),
    SOURCED(llm_casts_free,
            "weights kept in 4 bytes are used in the tensor format at no cost",
            "each forward GEMM casts them first",
            "Micikevicius et al., ICLR 2018"),
    RULE(llm_layers_alike,
         "a model with layers of several kinds, latent attention, or experts on several devices is "
         "refused",
         "it is predicted"),
    RULE(llm_idle_experts_run,
         "every expert multiplies its share of the tokens, even a fraction of one",
         "only experts that receive a token run, with whole tokens; routing is random and even"),
    SOURCED(llm_one_stage_one_batch,
            "with one stage and several micro-batches, only the first one runs, and hardly any of "
            "its backward pass",
            "they run one after another, and their gradients add up",
            "Huang et al., NeurIPS 2019"),
    RULE(llm_backward_index_wraps,
         "with more stages than layers, a micro-batch waits for the wrong layer in the backward "
         "pass",
         "it waits for the one before on its stage"),
    SOURCED(llm_hop_whole,
            "one link carries the whole activations of a micro-batch from stage to stage; in "
            "flattened mode, each device sends an equal part",
            "each device sends what it holds over its own link: its part of the sequence with cp "
            "or tp_sp, and otherwise all of it",
            "Narayanan et al., SC 2021, section 4.1; Korthikanti et al., MLSys 2023"),
    SOURCED(llm_gradients_unsharded,
            "reductions of gradients include those of all tensor-parallel devices, and count as "
            "many key and value heads as heads",
            "each device reduces the gradients that it has",
            "Narayanan et al., SC 2021, section 3.2"),
    RULE(llm_embedding_gradient_with_activations,
         "the reduction of the embedding's gradient includes its activations",
         "it includes only the gradient"),
    SOURCED(llm_context_gradients_unreduced,
            "gradients are reduced only over replicas",
            "they are also reduced over context-parallel devices, which see other tokens",
            "Liu et al., ICLR 2024 (ring attention)"),
    SOURCED(llm_reductions_every_batch,
            "every micro-batch reduces its gradients",
            "the sum over the micro-batches is reduced once; with ZeRO 2 and 3, which keep no "
            "whole gradients, those of each micro-batch are",
            "Rajbhandari et al., SC 2020, section 5"),
    SOURCED(llm_reductions_at_once,
            "reductions of several layers run at once, each at the full speed of the link",
            "one runs after another",
            "Li et al., VLDB 13(12), 2020, section 3.2"),
    SOURCED(llm_first_gather_free,
            "the first gather of ZeRO 3 costs nothing",
            "it takes its time",
            "Rajbhandari et al., SC 2020, section 5.3"),
    SOURCED(llm_gathers_gate_reductions,
            "gathers of ZeRO 3 run once the layer before can start, and hold up reductions and "
            "other micro-batches",
            "the next layer's parameters are gathered while one layer computes",
            "Zhao et al., VLDB 16(12), 2023, section 3.3"),
    SOURCED(llm_tied_logits_not_gathered,
            "with ZeRO 3 a table that embedding and logits share is gathered once",
            "it is gathered again for the logits",
            "Zhao et al., VLDB 16(12), 2023, section 3.2"),
    SOURCED(llm_tied_gradients_apart,
            "gradients of a table that embedding and logits share are reduced twice, and stay "
            "apart at the ends of a pipeline",
            "on one stage they are reduced once; the ends of a pipeline exchange them",
            "Narayanan et al., SC 2021, section 3.2 (embedding groups of Megatron-LM)"),
    SOURCED(llm_optimizer_free,
            "the optimizer's step costs nothing",
            "it reads and writes parameters, gradients and both moments",
            "Kingma and Ba, ICLR 2015 (Adam); Pascanu et al., ICML 2013 (clipping)"),
    RULE(astra_hybrid_edges_free,
         "backend hybrid: hops between stages and data-parallel collectives cost nothing",
         "they cost what the formulas say"),
    RULE(astra_topology_connected,
         "topologies other than ring and switch are simulated as fully connected, with a warning",
         "topologies that the simulator does not have are an error"),
    RULE(astra_links_underated,
         "the network simulator always uses the links inside a node, underated",
         "it uses the links that the parallelism uses"),
    RULE(astra_algorithm_stale,
         "the simulator runs graphs, and some collectives, with the algorithm that suits the "
         "topology of an earlier run",
         "it uses the algorithm that suits the topology of the run itself"),
    SOURCED(astra_reductions_at_1600,
            "simulated reductions move their bytes at 1600 GB/s on every device",
            "they move them at the rate of the device's DRAM",
            "local-mem-bw of AstraSim's system file: the bandwidth of the local memory"),
    RULE(astra_whole_microseconds,
         "operators of simulated steps last whole microseconds",
         "they last whole nanoseconds, unless traces are written, which only have microseconds"),
    RULE(astra_block_collectives_twice,
         "the operators of a simulated block include the time of their collectives, which are also "
         "simulated",
         "they do not include it"),
    RULE(astra_reductions_on_first_devices,
         "in flattened mode, the reductions of stage i run on device i",
         "they run on the first device of the stage"),
    RULE(astra_hop_skips_collective,
         "in flattened mode, the output of a layer leaves before the last collective of the layer",
         "it leaves after it"),
    RULE(astra_tags_meet,
         "messages without an edge have tags from 1 on, as edges do, so one may be mistaken for "
         "another, unless the step then cannot finish",
         "each message has a tag of its own"),
    RULE(astra_order_open,
         "simulated devices begin collectives in any order, and if two devices wait for each other "
         "there is no result",
         "in that case, all devices keep to one order"),
    RULE(llm_energy_one_layer,
         "the energy of inference includes the flops and DRAM traffic of one layer on one device",
         "it includes those of all layers and devices, and of all memory levels"),
    RULE(llm_energy_hops_of_stages,
         "energies count one hop between two stages, even if these have several parts",
         "they count one between any two successive parts"),
    RULE(llm_energy_one_head,
         "in the energy, the DRAM traffic of attention is that of one head, and none without "
         "tensor parallelism",
         "it is that of all heads"),
    RULE(llm_energy_default_link,
         "a network without nominal_energy_per_link takes 0.1 J for each bit",
         "it takes no energy"),
    RULE(llm_energy_prefill_whole_sequence,
         "the energy of transfers between stages in the prefill also counts the tokens to decode",
         "it counts only the tokens of the prefill"),
    RULE(llm_replicas_counted_twice,
         "the printed rate of all sequences counts the whole batch dp times",
         "it counts the whole batch once"),
    SOURCED(ttft_with_decode_step,
            "the time to the first token includes the prefill and one decode step",
            "it is the time of the prefill, whose logits give the first token",
            "Agrawal et al., OSDI 2024 (Sarathi-Serve)"),
    SOURCED(llm_model_flops_unmasked,
            "model FLOPs utilization counts attention to all positions",
            "it counts attention to the positions that the causal mask leaves",
            "Dao, ICLR 2024, section 4.1 (causal: half the flops)"),
};
const size_t df_rule_count = sizeof df_rule_table / sizeof df_rule_table[0];

_Static_assert(sizeof df_rule_table / sizeof df_rule_table[0] ==
                   offsetof(df_rules, calibrated) / sizeof(bool),
               "every field has a row");

static bool *field_of(df_rules *rules, const df_rule *rule)
{
    return (bool *)((char *)rules + rule->offset);
}

static bool value_of(const df_rules *rules, const df_rule *rule)
{
    return *(const bool *)((const char *)rules + rule->offset);
}

static df_rules all(bool value)
{
    df_rules rules = {.calibrated = false};
    for (size_t i = 0; i < df_rule_count; i++) {
        *field_of(&rules, &df_rule_table[i]) = value;
    }
    return rules;
}

df_rules df_rules_reference(void)
{
    return all(true);
}

df_rules df_rules_corrected(void)
{
    return all(false);
}

df_rules df_rules_calibrated(void)
{
    df_rules rules = all(false);
    rules.calibrated = true;
    return rules;
}

/* Whether the `length` characters at text are `word`. */
static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncmp(text, word, length) == 0;
}

static bool parse_value(const char *text, size_t length, bool *value)
{
    *value = is_word(text, length, "reference");
    return *value || is_word(text, length, "corrected");
}

/* Reads "FIELD=reference|corrected". */
static df_status parse_exception(const char *text, size_t length, df_rules *rules, df_err *err)
{
    char name[64] = "";
    const char *const equals = memchr(text, '=', length);
    const size_t name_length = equals ? (size_t)(equals - text) : length;
    snprintf(name, sizeof name, "%.*s", (int)name_length, text);
    const df_rule *rule = NULL;
    for (size_t i = 0; i < df_rule_count; i++) {
        rule = strcmp(df_rule_table[i].name, name) == 0 ? &df_rule_table[i] : rule;
    }
    if (!rule) {
        const int near =
            df_nearest(name, &df_rule_table[0].name, df_rule_count, sizeof df_rule_table[0]);
        return df_fail(err, DF_EINVAL, "--rules: expected a known rule%s%s%s, found %s",
                       near >= 0 ? " (did you mean " : "",
                       near >= 0 ? df_rule_table[near].name : "", near >= 0 ? "?)" : "",
                       name[0] != '\0' ? name : "nothing");
    }
    if (!equals || !parse_value(equals + 1, length - name_length - 1, field_of(rules, rule))) {
        return df_fail(err, DF_EINVAL, "--rules: expected %s=reference or %s=corrected, found %.*s",
                       name, name, (int)length, text);
    }
    return DF_OK;
}

df_status df_rules_parse(const char *text, df_rules *rules, df_err *err)
{
    size_t length = strcspn(text, ",");
    const bool calibrated = is_word(text, length, "calibrated");
    bool value = false;
    if (!calibrated && !parse_value(text, length, &value)) {
        return df_fail(
            err, DF_EINVAL, "--rules: expected reference, corrected or calibrated, found %.*s",
            length > 0 ? (int)length : (int)strlen("nothing"), length > 0 ? text : "nothing");
    }
    df_rules result = calibrated ? df_rules_calibrated() : all(value);
    while (text[length] == ',') {
        text += length + 1;
        length = strcspn(text, ",");
        DF_TRY(parse_exception(text, length, &result, err));
    }
    *rules = result;
    return DF_OK;
}

int df_rules_format(const df_rules *rules, char *text, size_t size)
{
    size_t set = 0;
    for (size_t i = 0; i < df_rule_count; i++) {
        set += value_of(rules, &df_rule_table[i]);
    }
    /* The value that most have comes first. */
    const bool common = !rules->calibrated && 2 * set >= df_rule_count;
    const char *const base = common ? "reference" : "corrected";
    int used = snprintf(text, size, "%s", rules->calibrated ? "calibrated" : base);
    for (size_t i = 0; i < df_rule_count; i++) {
        const size_t at = (size_t)used < size ? (size_t)used : size;
        if (value_of(rules, &df_rule_table[i]) != common) {
            used += snprintf(text + at, size - at, ",%s=%s", df_rule_table[i].name,
                             common ? "corrected" : "reference");
        }
    }
    return used;
}

bool df_rules_flip(df_rules *rules, size_t row)
{
    bool *const field = field_of(rules, &df_rule_table[row]);
    *field = !*field;
    return !*field;
}

void df_rules_print_help(FILE *out)
{
    fputs(
        "By default, `--rules calibrated`, predictions are those of kernels as they were measured "
        "(see\n"
        "docs/calibrated.md). `--rules corrected` is what an ideal device would do, and `--rules\n"
        "reference` what the Python DeepFlow does: some of that its authors did not mean, and it\n"
        "changes its numbers. Each such thing is a rule of its own, and exceptions follow after\n"
        "commas: --rules corrected,pipeline_hop_free=reference\n",
        out);
    for (size_t i = 0; i < df_rule_count; i++) {
        const df_rule *const rule = &df_rule_table[i];
        fprintf(out, "\n%s\n  reference: %s\n  corrected: %s\n", rule->name, rule->reference,
                rule->corrected);
        if (rule->source) {
            fprintf(out, "  source: %s\n", rule->source);
        }
    }
}
