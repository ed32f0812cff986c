/* cfg_framework.h: what a framework for training does beside the kernels of a card, as keys, a line
 * each: here they become a struct, in cfg_table.c rows of the table of options. Profiles, which are
 * chosen by name, are in src/framework. */
#ifndef DF_CFG_FRAMEWORK_H
#define DF_CFG_FRAMEWORK_H

/* XX(name, word of the files) */
#define DF_FRAMEWORKS(XX)                                                                          \
    XX(DF_FRAMEWORK_MEGATRON_2021, "megatron_2021")                                                \
    XX(DF_FRAMEWORK_MEGATRON_2022, "megatron_2022")                                                \
    XX(DF_FRAMEWORK_GATED_EAGER, "gated_eager")                                                    \
    XX(DF_FRAMEWORK_NANOTRON_EARLY, "nanotron_early")                                              \
    XX(DF_FRAMEWORK_NANOTRON_LATE, "nanotron_late")                                                \
    XX(DF_FRAMEWORK_FSDP_UCI, "fsdp_uci")                                                          \
    XX(DF_FRAMEWORK_NEMO, "nemo")                                                                  \
    XX(DF_FRAMEWORK_NEMO_24_07, "nemo_24.07")                                                      \
    XX(DF_FRAMEWORK_NEMO_25_09, "nemo_25.09")                                                      \
    XX(DF_FRAMEWORK_NEMO_25_11, "nemo_25.11")                                                      \
    XX(DF_FRAMEWORK_NEMO_26_02, "nemo_26.02")                                                      \
    XX(DF_FRAMEWORK_NEMO_26_04, "nemo_26.04")                                                      \
    XX(DF_FRAMEWORK_NEMO_26_06, "nemo_26.06")                                                      \
    XX(DF_FRAMEWORK_NEMO_26_08, "nemo_26.08")                                                      \
    XX(DF_FRAMEWORK_MLPERF, "mlperf")                                                              \
    XX(DF_FRAMEWORK_MEGATRON_CI, "megatron_ci")                                                    \
    XX(DF_FRAMEWORK_LLM_FOUNDRY, "llm_foundry")                                                    \
    XX(DF_FRAMEWORK_LLM_FOUNDRY_PURE, "llm_foundry_pure")                                          \
    XX(DF_FRAMEWORK_TORCHTITAN, "torchtitan")                                                      \
    XX(DF_FRAMEWORK_TORCHTITAN_ASYNC, "torchtitan_async")                                          \
    XX(DF_FRAMEWORK_TORCHTITAN_EAGER, "torchtitan_eager")                                          \
    XX(DF_FRAMEWORK_MAXTEXT, "maxtext")

/* Pointwise kernels of a layer. */
typedef enum {
    DF_POINTWISE_GPT,
    DF_POINTWISE_GATED_EAGER,
    DF_POINTWISE_GATED_FUSED
} df_elementwise;
/* Whose slowdown of long products counts. */
typedef enum { DF_THROTTLE_CARD = -2, DF_THROTTLE_ARCHITECTURE = -3 } df_throttle_of;
/* Attention of prompts: of serving engines, FlashAttention 2, cuDNN, Triton's of 2023, or products
 * and a softmax. */
typedef enum {
    DF_PREFILL_ENGINE,
    DF_PREFILL_FA2,
    DF_PREFILL_CUDNN,
    DF_PREFILL_TRITON_2023,
    DF_PREFILL_UNFUSED,
} df_prefill_kernel;
/* Tensor-parallel collectives beside products: none, those of the backward pass, or in pieces. */
typedef enum { DF_OVERLAP_NONE, DF_OVERLAP_BACKWARD, DF_OVERLAP_CHUNKED } df_overlap;
typedef enum { DF_STAGES_EVEN, DF_STAGES_ENDS_AS_LAYERS, DF_STAGES_BALANCED } df_stage_split;
typedef enum { DF_CONTEXT_GATHER, DF_CONTEXT_RING } df_context_kind;
typedef enum { DF_THROTTLE_INSIDE, DF_THROTTLE_OUTSIDE } df_throttle_join;
/* What one graph launches: nothing, the router of experts, attention as well, the iteration. */
typedef enum { DF_GRAPH_NONE, DF_GRAPH_ROUTER, DF_GRAPH_ATTENTION, DF_GRAPH_ITERATION } df_graph;
typedef enum { DF_DISPATCH_NCCL, DF_DISPATCH_DEEPEP, DF_DISPATCH_HYBRIDEP } df_dispatcher;
typedef enum { DF_GROUPED_LOOP, DF_GROUPED_FUSED } df_grouped;
/* Collectives that leave a node: rings over ports, or through the host that a node's devices share.
 */
typedef enum { DF_FAR_RING, DF_FAR_HOST_BUS } df_far_kernel;
/* fp8 and nvfp4 products of measured serving kernels, a vendor's library, a training library. */
typedef enum { DF_LOW_MEASURED, DF_LOW_VENDOR, DF_LOW_TRAINING } df_low_kernel;

/* How experts and layers with a state are run. */
#define DF_EXPERT_KEYS(XX)                                                                         \
    XX(graph, "sw_param.framework.graph", "", words_graph, DF_OPT_CHOICE, ANY,                     \
       "what one CUDA graph launches in models with experts")                                      \
    XX(graph_router, "sw_param.framework.graph_router", "", NULL, DF_OPT_REAL, FRACTION,           \
       "host time of experts that is left with their router in a graph")                           \
    XX(graph_attention, "sw_param.framework.graph_attention", "", NULL, DF_OPT_REAL, FRACTION,     \
       "host time of attention that is left in a graph")                                           \
    XX(fp8_attention, "sw_param.framework.fp8_attention", "", df_words_bool, DF_OPT_CHOICE, ANY,   \
       "attention is computed in fp8")                                                             \
    XX(moe_host_ops, "sw_param.framework.moe_host_ops", "", NULL, DF_OPT_REAL, FROM_0,             \
       "operations of the host for a layer's experts, both passes")                                \
    XX(moe_host_bf16, "sw_param.framework.moe_host_bf16", "", NULL, DF_OPT_REAL, FRACTION,         \
       "share of them in bf16, which launches no quantising")                                      \
    XX(part_floor_s, "sw_param.framework.part_floor", "s", NULL, DF_OPT_REAL, FROM_0,              \
       "least time of a part of an interleaved pipeline that overlaps exchanges without a graph")  \
    XX(each_kernel_s, "sw_param.framework.each_kernel", "s", NULL, DF_OPT_REAL, FROM_0,            \
       "a kernel in a loop over experts")                                                          \
    XX(each_mxfp8, "sw_param.framework.each_kernels.mxfp8", "", NULL, DF_OPT_REAL, FROM_0,         \
       "kernels of an expert's product in mxfp8")                                                  \
    XX(each_fp8, "sw_param.framework.each_kernels.fp8", "", NULL, DF_OPT_REAL, FROM_0,             \
       "the same in other formats of few bits")                                                    \
    XX(each_bf16, "sw_param.framework.each_kernels.bf16", "", NULL, DF_OPT_REAL, FROM_0,           \
       "the same in bf16")                                                                         \
    XX(stash_copies, "sw_param.framework.stash_copies", "", NULL, DF_OPT_REAL, FROM_0,             \
       "copies of saved activations into pages")                                                   \
    XX(scan_flops_ps, "sw_param.framework.scan_rate", "flop/s", NULL, DF_OPT_REAL, ABOVE_0,        \
       "rate of a scan's products")                                                                \
    XX(scan_forward_bytes, "sw_param.framework.scan_bytes_forward", "B", NULL, DF_OPT_REAL,        \
       FROM_0, "traffic of a layer with a state for a token and its inner width, forward")         \
    XX(scan_backward_bytes, "sw_param.framework.scan_bytes_backward", "B", NULL, DF_OPT_REAL,      \
       FROM_0, "the same, backward")                                                               \
    XX(exchange_link, "sw_param.framework.exchange_link", "", NULL, DF_OPT_REAL, UTIL,             \
       "share of the links' rate that dispatch kernels reach inside a node")                       \
    XX(exchange_link_nccl, "sw_param.framework.exchange_link_nccl", "", NULL, DF_OPT_REAL, UTIL,   \
       "the same of NCCL's all-to-all of tokens")                                                  \
    XX(exchange_port, "sw_param.framework.exchange_port", "", NULL, DF_OPT_REAL, UTIL,             \
       "share of a port's rate that HybridEP reaches between nodes")                               \
    XX(exchange_start_s, "sw_param.framework.exchange_start", "s", NULL, DF_OPT_REAL, FROM_0,      \
       "start of a dispatch kernel")                                                               \
    XX(exchange_start_nccl_s, "sw_param.framework.exchange_start_nccl", "s", NULL, DF_OPT_REAL,    \
       FROM_0, "start of NCCL's all-to-all of tokens")                                             \
    XX(exchange_hide, "sw_param.framework.exchange_hide", "", NULL, DF_OPT_REAL, FRACTION,         \
       "share of an overlapped exchange that hides")                                               \
    XX(exchange_hide_graph, "sw_param.framework.exchange_hide_graph", "", NULL, DF_OPT_REAL,       \
       FRACTION, "the same with a graph of the whole iteration")                                   \
    XX(dispatcher, "moe_param.dispatcher", "", words_dispatcher, DF_OPT_CHOICE, ANY,               \
       "what carries tokens to experts")                                                           \
    XX(dispatcher_sms, "moe_param.dispatcher_sms", "", NULL, DF_OPT_REAL, FROM_0,                  \
       "bundles that it takes from the products beside it")                                        \
    XX(exchange_overlaps, "moe_param.overlap_exchange", "", df_words_bool, DF_OPT_CHOICE, ANY,     \
       "tokens travel beside the computation of another micro-batch")                              \
    XX(shared_overlaps, "moe_param.shared_overlap", "", df_words_bool, DF_OPT_CHOICE, ANY,         \
       "shared experts run beside an exchange that nothing else hides")                            \
    XX(grouped, "moe_param.grouped_kernel", "", words_grouped, DF_OPT_CHOICE, ANY,                 \
       "products of experts: one kernel, or one for each expert")                                  \
    XX(router_pads, "moe_param.pad_in_router", "", df_words_bool, DF_OPT_CHOICE, ANY,              \
       "the router pads what experts get to whole tiles")                                          \
    XX(capacity_pads, "moe_param.pad_to_capacity", "", df_words_bool, DF_OPT_CHOICE, ANY,          \
       "experts get a fixed number of tokens")                                                     \
    XX(paged_stash, "moe_param.paged_stash", "", df_words_bool, DF_OPT_CHOICE, ANY,                \
       "saved activations of experts are copied to pages")                                         \
    XX(expert_bias, "moe_param.expert_bias", "", df_words_bool, DF_OPT_CHOICE, ANY,                \
       "the second product of an expert adds a bias in kernels of its own")

/* XX(field, path, unit or words, kind, range, meaning). All are doubles; words are the values of
 * the enums above. What a file does not give is that of the profile. */
#define DF_FRAMEWORK_KEYS(XX)                                                                      \
    XX(ops_forward, "sw_param.framework.ops_forward", "", NULL, DF_OPT_REAL, FROM_0,               \
       "operations of the host in a layer's forward pass")                                         \
    XX(ops_backward, "sw_param.framework.ops_backward", "", NULL, DF_OPT_REAL, FROM_0,             \
       "the same of its backward pass")                                                            \
    XX(op_time_s, "sw_param.framework.op_time", "s", NULL, DF_OPT_REAL, FROM_0,                    \
       "time of the host for an operation")                                                        \
    XX(collective_time_s, "sw_param.framework.collective_time", "s", NULL, DF_OPT_REAL, FROM_0,    \
       "time of the host for a collective")                                                        \
    XX(collective_member_s, "sw_param.framework.collective_time_per_member", "s", NULL,            \
       DF_OPT_REAL, FROM_0, "more of it for each member, on several nodes")                        \
    XX(accumulate_bytes, "sw_param.framework.accumulate_bytes", "B", NULL, DF_OPT_REAL, FROM_0,    \
       "traffic of adding up the gradient of a parameter, each micro-batch")                       \
    XX(gradient_bytes, "sw_param.framework.gradient_bytes", "B", NULL, DF_OPT_REAL, ABOVE_0,       \
       "a gradient on the wire")                                                                   \
    XX(parameter_bytes, "sw_param.framework.parameter_bytes", "B", NULL, DF_OPT_REAL, ABOVE_0,     \
       "a parameter on the wire")                                                                  \
    XX(optimizer_bytes, "sw_param.framework.optimizer_bytes", "B", NULL, DF_OPT_REAL, FROM_0,      \
       "traffic of the optimizer for a parameter")                                                 \
    XX(loss_bytes, "sw_param.framework.loss_bytes", "B", NULL, DF_OPT_REAL, FROM_0,                \
       "traffic of the loss for a logit")                                                          \
    XX(kept_bytes, "sw_param.framework.kept_bytes", "B", NULL, DF_OPT_REAL, FROM_0,                \
       "kept besides for each token and hidden element of a layer: gathered inputs of products")   \
    XX(kept_logit_bytes, "sw_param.framework.kept_logit_bytes", "B", NULL, DF_OPT_REAL, FROM_0,    \
       "kept besides for each token and word of the vocabulary")                                   \
    XX(elementwise, "sw_param.framework.elementwise", "", words_elementwise, DF_OPT_CHOICE, ANY,   \
       "pointwise kernels of a layer; models without a gate have those of gpt")                    \
    XX(elementwise_scale, "sw_param.framework.elementwise_scale", "", NULL, DF_OPT_REAL, FROM_0,   \
       "times their traffic")                                                                      \
    XX(stream_share, "sw_param.framework.stream_share", "", words_of_device, DF_OPT_FORMAT, UTIL,  \
       "share of the DRAM's bandwidth that pointwise kernels reach")                               \
    XX(quantise, "sw_param.framework.quantise", "", NULL, DF_OPT_REAL, FROM_0,                     \
       "share of quantising that is not fused with other kernels")                                 \
    XX(quantise_mx, "sw_param.framework.quantise_mx", "", NULL, DF_OPT_REAL, FROM_0,               \
       "times that, with block scales (mxfp8)")                                                    \
    XX(low_precision_share, "sw_param.framework.low_precision_share", "", NULL, DF_OPT_REAL, UTIL, \
       "share of products in their format, by time; the rest is in bf16")                          \
    XX(throttle, "sw_param.framework.throttle", "", words_throttle, DF_OPT_FORMAT, FROM_0,         \
       "whose slowdown of long products counts")                                                   \
    XX(recompute_products, "sw_param.framework.recompute_products", "", NULL, DF_OPT_REAL,         \
       FRACTION, "share of the products that selective_op computes again")                         \
    XX(prefill, "sw_param.kernels.prefill", "", words_prefill, DF_OPT_CHOICE, ANY,                 \
       "attention of prompts and of training")                                                     \
    XX(gemm_low, "sw_param.kernels.gemm_fp8", "", words_low, DF_OPT_CHOICE, ANY,                   \
       "products in fp8 and nvfp4")                                                                \
    XX(throttle_join, "sw_param.kernels.throttle_join", "", words_join, DF_OPT_CHOICE, ANY,        \
       "whether the slowdown of long products counts before the wait for the DRAM or after it")    \
    XX(far, "sw_param.kernels.far", "", words_far, DF_OPT_CHOICE, ANY,                             \
       "collectives that leave a node: rings; host_bus: where ports are pooled, through the host") \
    XX(overlap_tensor, "scheduling_param.overlap_tensor", "", words_overlap, DF_OPT_CHOICE, ANY,   \
       "tensor-parallel collectives beside products")                                              \
    XX(overlap_hide, "scheduling_param.overlap_hide", "", NULL, DF_OPT_REAL, FRACTION,             \
       "share of what could hide that does")                                                       \
    XX(overlap_hops, "scheduling_param.overlap_hops", "", df_words_bool, DF_OPT_CHOICE, ANY,       \
       "transfers between stages beside computation, with several parts a stage")                  \
    XX(split_hops, "scheduling_param.split_hops", "", df_words_bool, DF_OPT_CHOICE, ANY,           \
       "each tensor-parallel device hands on its share of the activations")                        \
    XX(overlap_exchange, "scheduling_param.overlap_exchange", "", NULL, DF_OPT_REAL, FRACTION,     \
       "share of the gradients' exchange beside computation")                                      \
    XX(overlap_gather, "scheduling_param.overlap_gather", "", NULL, DF_OPT_REAL, FRACTION,         \
       "share of the computation beside which ZeRO 3 gathers (LLM)")                               \
    XX(gather_least, "scheduling_param.gather_least", "", NULL, DF_OPT_REAL, FRACTION,             \
       "share of these gathers that always shows")                                                 \
    XX(stage_split, "scheduling_param.stage_split", "", words_stages, DF_OPT_CHOICE, ANY,          \
       "layers of the stages of a pipeline")                                                       \
    XX(context, "scheduling_param.context", "", words_context, DF_OPT_CHOICE, ANY,                 \
       "keys and values of context parallelism: gathered, or passed around beside attention")      \
    XX(context_balanced, "scheduling_param.context_balanced", "", df_words_bool, DF_OPT_CHOICE,    \
       ANY, "devices share the causal mask evenly")                                                \
    DF_EXPERT_KEYS(XX)

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */
#define NAME(name, word) name,
#define FIELD(field, ...) double field;
/* NOLINTEND(bugprone-macro-parentheses) */

typedef enum { DF_FRAMEWORKS(NAME) DF_FRAMEWORK_COUNT } df_framework_id;

typedef struct {
    DF_FRAMEWORK_KEYS(FIELD)
} df_framework;

#undef NAME
#undef FIELD

/* What a file does not give. */
#define DF_FRAMEWORK_ABSENT (-1.0)
/* What stands for the calibration's share of the DRAM (stream_share). */
#define DF_STREAM_DEVICE 0.0

typedef struct {
    int like; /* a df_framework_id, or -1: not given */
    df_framework own;
} df_cfg_framework;

#endif
