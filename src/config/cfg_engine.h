/* cfg_engine.h: what an engine for inference does beside the kernels of a card, as keys, a line
 * each: here they become a struct, in cfg_table.c rows of the table of options. Profiles, which are
 * chosen by name, are in src/engine. */
#ifndef DF_CFG_ENGINE_H
#define DF_CFG_ENGINE_H

/* XX(name, word of the files) */
#define DF_ENGINES(XX)                                                                             \
    XX(DF_ENGINE_BATCH_2023, "batch_2023")                                                         \
    XX(DF_ENGINE_SERVE, "serve")                                                                   \
    XX(DF_ENGINE_EAGER, "eager")                                                                   \
    XX(DF_ENGINE_TENSORRT_LLM_2023, "tensorrt_llm_2023")                                           \
    XX(DF_ENGINE_TENSORRT_LLM_2024, "tensorrt_llm_2024")                                           \
    XX(DF_ENGINE_VLLM_2024, "vllm_2024")                                                           \
    XX(DF_ENGINE_DEEPSPEED_MII, "deepspeed_mii")                                                   \
    XX(DF_ENGINE_DEEPSPEED_GAUDI2, "deepspeed_gaudi2")                                             \
    XX(DF_ENGINE_VLLM_2024_MI250, "vllm_2024_mi250")                                               \
    XX(DF_ENGINE_VLLM_2024_MI300X, "vllm_2024_mi300x")                                             \
    XX(DF_ENGINE_VLLM_2025_MI300X, "vllm_2025_mi300x")

/* Attention of single tokens: engines', that of the measured kernels, or the latter by a later fit.
 */
typedef enum { DF_DECODE_SERVING, DF_DECODE_MEASURED, DF_DECODE_KERNEL_FIT } df_decode_kernel_id;
/* Experts: a grouped Triton kernel with its default tiles, or with tuned ones. */
typedef enum { DF_EXPERTS_DEFAULT, DF_EXPERTS_TUNED } df_experts_kernel;
/* All-reduce inside a node: NCCL's, sglang's, TensorRT-LLM's. */
typedef enum { DF_REDUCE_NCCL, DF_REDUCE_SGLANG, DF_REDUCE_TRTLLM } df_engine_reduce;

/* XX(field, path, unit or words, kind, range, meaning). All are doubles; words are the values of
 * the enums above. What a file does not give is that of the profile. */
#define DF_ENGINE_KEYS(XX)                                                                         \
    XX(layer_s, "sw_param.engine.layer_overhead", "s", NULL, DF_OPT_REAL, FROM_0,                  \
       "time of a layer beside its kernels")                                                       \
    XX(step_s, "sw_param.engine.step_overhead", "s", NULL, DF_OPT_REAL, FROM_0,                    \
       "time of a pass beside its layers")                                                         \
    XX(sequence_step_s, "sw_param.engine.sequence_step", "s", NULL, DF_OPT_REAL, FROM_0,           \
       "more of it for each sequence that gets a token")                                           \
    XX(parallel_step_s, "sw_param.engine.parallel_step", "s", NULL, DF_OPT_REAL, FROM_0,           \
       "more of it with tensor parallelism")                                                       \
    XX(call_s, "sw_param.engine.call_overhead", "s", NULL, DF_OPT_REAL, FROM_0,                    \
       "time of a call with a static batch, beside its passes")                                    \
    XX(sequence_s, "sw_param.engine.sequence_overhead", "s", NULL, DF_OPT_REAL, FROM_0,            \
       "more of it for each sequence")                                                             \
    XX(skew_s, "sw_param.engine.rank_skew", "s", NULL, DF_OPT_REAL, FROM_0,                        \
       "wait of an all-reduce for the last device, times log2 of tp")                              \
    XX(ops_layer, "sw_param.engine.ops_layer", "", NULL, DF_OPT_REAL, FROM_0,                      \
       "operations of the host in a layer; 0: graphs")                                             \
    XX(op_time_s, "sw_param.engine.op_time", "s", NULL, DF_OPT_REAL, FROM_0,                       \
       "time of the host for an operation")                                                        \
    XX(group_reread, "sw_param.engine.group_reread", "", NULL, DF_OPT_REAL, FROM_0,                \
       "share of the cache's reads that query heads of a group do not have in common; above 1: a " \
       "fit")                                                                                      \
    XX(prompt_factor, "sw_param.engine.prompt_factor", "", NULL, DF_OPT_REAL, ABOVE_0,             \
       "times the kernels of passes with prompts")                                                 \
    XX(front_s, "sw_param.engine.front", "s", NULL, DF_OPT_REAL, FROM_0,                           \
       "time of a request before its first pass")                                                  \
    XX(sample_passes, "sw_param.engine.sample_passes", "", NULL, DF_OPT_REAL, FROM_0,              \
       "times that the logits, in fp32, are read or written to choose tokens")                     \
    XX(stream_share, "sw_param.engine.stream_share", "", words_of_device, DF_OPT_FORMAT, UTIL,     \
       "share of the DRAM's bandwidth that pointwise kernels reach")                               \
    XX(quantise, "sw_param.engine.quantise", "", NULL, DF_OPT_REAL, FROM_0,                        \
       "share of quantising that is not fused with other kernels; block scales: all of it")        \
    XX(throttle, "sw_param.engine.throttle", "", words_throttle, DF_OPT_FORMAT, FROM_0,            \
       "whose slowdown of long products counts")                                                   \
    XX(smooth, "sw_param.engine.smooth", "", words_smooth, DF_OPT_CHOICE, ANY,                     \
       "kernels but attention: at numbers of tokens that fill tiles, with straight lines between " \
       "them, or at each number")                                                                  \
    XX(max_batch_tokens, "sw_param.engine.max_batch_tokens", "", NULL, DF_OPT_COUNT,               \
       WHOLE_FROM(0), "tokens of a pass; 0: no limit")                                             \
    XX(max_batch, "sw_param.engine.max_batch", "", NULL, DF_OPT_COUNT, WHOLE_FROM(0),              \
       "sequences at once; 0: as many as the cache holds")                                         \
    XX(chunked_prefill, "sw_param.engine.chunked_prefill", "", df_words_bool, DF_OPT_CHOICE, ANY,  \
       "a prompt of more tokens than a pass may have is cut; else it has a pass of its own")       \
    XX(kv_share, "sw_param.engine.kv_share", "", NULL, DF_OPT_REAL, UTIL,                          \
       "share of the memory beside weights and reserve that the cache gets")                       \
    XX(kv_reserve_bytes, "sw_param.engine.kv_reserve", "bytes", NULL, DF_OPT_BYTES, FROM_0,        \
       "memory for all but weights and cache")                                                     \
    XX(all_reduce, "sw_param.kernels.all_reduce", "", words_all_reduce, DF_OPT_CHOICE, ANY,        \
       "all-reduce inside a node")                                                                 \
    XX(decode, "sw_param.kernels.decode", "", words_decode, DF_OPT_CHOICE, ANY,                    \
       "attention of single tokens: of engines, or as measured, whose batches fill whole waves")   \
    XX(experts, "sw_param.kernels.experts", "", words_experts, DF_OPT_CHOICE, ANY,                 \
       "grouped products of experts: in tiles by default, or tuned to their shape")

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */
#define NAME(name, word) name,
#define FIELD(field, ...) double field;
/* NOLINTEND(bugprone-macro-parentheses) */

typedef enum { DF_ENGINES(NAME) DF_ENGINE_COUNT } df_engine_id;

typedef struct {
    DF_ENGINE_KEYS(FIELD)
} df_engine;

#undef NAME
#undef FIELD

/* What a file does not give. */
#define DF_ENGINE_ABSENT (-1.0)

typedef struct {
    int like; /* a df_engine_id, or -1: not given */
    df_engine own;
} df_cfg_engine;

#endif
