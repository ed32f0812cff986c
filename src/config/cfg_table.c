#include "config/cfg_impl.h"

#include <math.h>
#include <string.h>

/* ---- Words ---- */

const df_word df_words_bool[] = {{"true", 1, false}, {"false", 0, false}, {"yes", 1, true},
                                 {"no", 0, true},    {"on", 1, true},     {"off", 0, true},
                                 {"y", 1, true},     {"n", 0, true},      {"1", 1, true},
                                 {"0", 0, true},     {NULL, 0, false}};
const df_word df_words_mem_type[] = {{"SRAM-R", DF_MEM_SRAM_R, false},
                                     {"SRAM-L1", DF_MEM_SRAM_L1, false},
                                     {"SRAM-L2", DF_MEM_SRAM_L2, false},
                                     {"DRAM", DF_MEM_DRAM, false},
                                     {NULL, 0, false}};
const df_word df_words_scope[] = {{"global", DF_SCOPE_GLOBAL, false},
                                  {"mcu-bundle", DF_SCOPE_MCU_BUNDLE, false},
                                  {"mcu", DF_SCOPE_MCU, false},
                                  {NULL, 0, false}};
const df_word df_words_mode[] = {{"GEMM", DF_MODE_GEMM, false},
                                 {"LSTM", DF_MODE_LSTM, false},
                                 {"LLM", DF_MODE_LLM, false},
                                 {NULL, 0, false}};
const df_word df_words_topology[] = {
    {"ring", DF_TOPO_RING, false},         {"fc", DF_TOPO_FC, false},
    {"switch", DF_TOPO_SWITCH, false},     {"mesh", DF_TOPO_MESH, false},
    {"torus", DF_TOPO_TORUS, false},       {"hic", DF_TOPO_HIC, false},
    {"none", DF_TOPO_NONE, false},         {"full", DF_TOPO_FC, true},
    {"fullyconnected", DF_TOPO_FC, true},  {"fully_connected", DF_TOPO_FC, true},
    {"fully-connected", DF_TOPO_FC, true}, {NULL, 0, false}};
/* Level n of memory_hierarchy has one type: the models number the levels so. */
static const df_word words_l0[] = {{"SRAM-R", DF_MEM_SRAM_R, false}, {NULL, 0, false}};
static const df_word words_l1[] = {{"SRAM-L1", DF_MEM_SRAM_L1, false}, {NULL, 0, false}};
static const df_word words_l2[] = {{"SRAM-L2", DF_MEM_SRAM_L2, false}, {NULL, 0, false}};
static const df_word words_l3[] = {{"DRAM", DF_MEM_DRAM, false}, {NULL, 0, false}};
static const df_word words_dataflow[] = {
    {"wst", DF_FLOW_WST, false},   {"ast", DF_FLOW_AST, false},   {"ost", DF_FLOW_OST, false},
    {"best", DF_FLOW_BEST, false}, {"none", DF_FLOW_NONE, false}, {"ws", DF_FLOW_WST, true},
    {"as", DF_FLOW_AST, true},     {"os", DF_FLOW_OST, true},     {NULL, 0, false}};
static const df_word words_storage[] = {
    {"as_tensor_format", DF_STORE_AS_TENSOR, false},
    {"tensor_plus_fp32_master", DF_STORE_TENSOR_FP32_MASTER, false},
    {"fp32_params", DF_STORE_FP32, false},
    {NULL, 0, false}};
/* Bytes of an element. */
static const df_word words_format[] = {{"fp8", 1, false},  {"fp16", 2, false}, {"half", 2, false},
                                       {"bf16", 2, false}, {"fp32", 4, false}, {"single", 4, false},
                                       {NULL, 0, false}};
static const df_word words_kv_format[] = {{"as_tensor_format", 0, false},
                                          {"fp8", 1, false},
                                          {"fp16", 2, false},
                                          {"half", 2, false},
                                          {"bf16", 2, false},
                                          {"fp32", 4, false},
                                          {"single", 4, false},
                                          {NULL, 0, false}};
#define FRAMEWORK_WORD(name, word) {word, name, false},
static const df_word words_framework[] = {DF_FRAMEWORKS(FRAMEWORK_WORD){NULL, 0, false}};
static const df_word words_engine[] = {
    DF_ENGINES(FRAMEWORK_WORD){"batch", DF_ENGINE_BATCH_2023, false}, {NULL, 0, false}};
static const df_word words_all_reduce[] = {{"nccl", DF_REDUCE_NCCL, false},
                                           {"own_sglang", DF_REDUCE_SGLANG, false},
                                           {"own_trtllm", DF_REDUCE_TRTLLM, false},
                                           {"own", DF_REDUCE_SGLANG, false},
                                           {NULL, 0, false}};
static const df_word words_decode[] = {{"serving", DF_DECODE_SERVING, false},
                                       {"measured", DF_DECODE_MEASURED, false},
                                       {"kernel_fit", DF_DECODE_KERNEL_FIT, false},
                                       {NULL, 0, false}};
static const df_word words_experts[] = {{"triton_default", DF_EXPERTS_DEFAULT, false},
                                        {"triton_tuned", DF_EXPERTS_TUNED, false},
                                        {NULL, 0, false}};
static const df_word words_far[] = {
    {"ring", DF_FAR_RING, false}, {"host_bus", DF_FAR_HOST_BUS, false}, {NULL, 0, false}};
static const df_word words_nccl[] = {{"nccl", 0, false}, {NULL, 0, false}};
static const df_word words_launch[] = {
    {"graph", DF_LAUNCH_GRAPH, false}, {"eager", DF_LAUNCH_EAGER, false}, {NULL, 0, false}};
static const df_word words_load[] = {
    {"short", DF_LOAD_SHORT, false}, {"long", DF_LOAD_LONG, false}, {NULL, 0, false}};
static const df_word words_again[] = {{"core_attn", DF_AGAIN_CORE_ATTENTION, false},
                                      {"mlp", DF_AGAIN_MLP, false},
                                      {"layernorm", DF_AGAIN_LAYERNORM, false},
                                      {"mla_up_proj", DF_AGAIN_LATENT_UP, false},
                                      {"moe_act", DF_AGAIN_MOE_ACTIVATION, false},
                                      {"moe", DF_AGAIN_MOE, false},
                                      {NULL, 0, false}};
static const df_word words_best[] = {{"best", DF_BEST_BATCH, false}, {NULL, 0, false}};
static const df_word words_smooth[] = {{"knots", 1, false}, {"none", 0, false}, {NULL, 0, false}};
static const df_word words_elementwise[] = {{"gpt", DF_POINTWISE_GPT, false},
                                            {"gated_eager", DF_POINTWISE_GATED_EAGER, false},
                                            {"gated_fused", DF_POINTWISE_GATED_FUSED, false},
                                            {NULL, 0, false}};
static const df_word words_of_device[] = {{"device", DF_STREAM_DEVICE, false}, {NULL, 0, false}};
static const df_word words_throttle[] = {{"card", DF_THROTTLE_CARD, false},
                                         {"architecture", DF_THROTTLE_ARCHITECTURE, false},
                                         {NULL, 0, false}};
static const df_word words_prefill[] = {
    {"engine", DF_PREFILL_ENGINE, false},   {"fa2", DF_PREFILL_FA2, false},
    {"cudnn", DF_PREFILL_CUDNN, false},     {"triton_2023", DF_PREFILL_TRITON_2023, false},
    {"unfused", DF_PREFILL_UNFUSED, false}, {NULL, 0, false}};
static const df_word words_low[] = {{"measured", DF_LOW_MEASURED, false},
                                    {"vendor", DF_LOW_VENDOR, false},
                                    {"training", DF_LOW_TRAINING, false},
                                    {NULL, 0, false}};
static const df_word words_join[] = {{"inside", DF_THROTTLE_INSIDE, false},
                                     {"outside", DF_THROTTLE_OUTSIDE, false},
                                     {NULL, 0, false}};
static const df_word words_overlap[] = {{"none", DF_OVERLAP_NONE, false},
                                        {"backward", DF_OVERLAP_BACKWARD, false},
                                        {"chunked", DF_OVERLAP_CHUNKED, false},
                                        {NULL, 0, false}};
static const df_word words_stages[] = {{"even", DF_STAGES_EVEN, false},
                                       {"ends_as_layers", DF_STAGES_ENDS_AS_LAYERS, false},
                                       {"balanced", DF_STAGES_BALANCED, false},
                                       {NULL, 0, false}};
static const df_word words_context[] = {
    {"gather", DF_CONTEXT_GATHER, false}, {"ring", DF_CONTEXT_RING, false}, {NULL, 0, false}};
static const df_word words_graph[] = {{"none", DF_GRAPH_NONE, false},
                                      {"router", DF_GRAPH_ROUTER, false},
                                      {"attention", DF_GRAPH_ATTENTION, false},
                                      {"iteration", DF_GRAPH_ITERATION, false},
                                      {NULL, 0, false}};
static const df_word words_dispatcher[] = {{"alltoall", DF_DISPATCH_NCCL, false},
                                           {"deepep", DF_DISPATCH_DEEPEP, false},
                                           {"hybridep", DF_DISPATCH_HYBRIDEP, false},
                                           {NULL, 0, false}};
static const df_word words_grouped[] = {
    {"loop", DF_GROUPED_LOOP, false}, {"fused", DF_GROUPED_FUSED, false}, {NULL, 0, false}};
const df_word df_words_number[] = {{"bf16", DF_FORMAT_BF16, false},
                                   {"fp16", DF_FORMAT_BF16, true},
                                   {"half", DF_FORMAT_BF16, true},
                                   {"fp8", DF_FORMAT_FP8, false},
                                   {"fp8_block", DF_FORMAT_FP8_BLOCK, false},
                                   {"mxfp8", DF_FORMAT_MXFP8, false},
                                   {"nvfp4", DF_FORMAT_NVFP4, false},
                                   {"mxfp4", DF_FORMAT_MXFP4, false},
                                   {"int8", DF_FORMAT_INT8, false},
                                   {"int4", DF_FORMAT_INT4, false},
                                   {"tf32", DF_FORMAT_TF32, false},
                                   {"fp32", DF_FORMAT_FP32, false},
                                   {"single", DF_FORMAT_FP32, true},
                                   {NULL, 0, false}};
const df_word df_words_arch[] = {{"a100", DF_ARCH_A100, false},
                                 {"h100", DF_ARCH_H100, false},
                                 {"l40s", DF_ARCH_L40S, false},
                                 {NULL, 0, false}};
static const df_word words_basis[] = {{"measured", DF_BASIS_MEASURED, false},
                                      {"sister", DF_BASIS_SISTER, false},
                                      {"rule", DF_BASIS_RULE, false},
                                      {NULL, 0, false}};
static const df_word words_ports[] = {{"per_device", DF_PORTS_PER_DEVICE, false},
                                      {"pooled", DF_PORTS_POOLED, false},
                                      {NULL, 0, false}};
static const df_word words_split[] = {
    {"none", DF_T_NONE, false}, {"CR", DF_T_CR, false}, {"RC", DF_T_RC, false}, {NULL, 0, false}};
static const df_word words_kp_type[] = {
    {"-1", DF_KP_NONE, false}, {"1", DF_KP_CR, false}, {"2", DF_KP_RC, false}, {NULL, 0, false}};
static const df_word words_backend[] = {{"analytical", DF_BACKEND_ANALYTICAL, false},
                                        {"astra", DF_BACKEND_ASTRA, false},
                                        {NULL, 0, false}};
static const df_word words_astra_mode[] = {
    {"hybrid", DF_ASTRA_HYBRID, false},
    {"full_astrasim_hierarchical", DF_ASTRA_HIERARCHICAL, false},
    {"full_astrasim_flattened", DF_ASTRA_FLATTENED, false},
    {"analytical", DF_ASTRA_ANALYTICAL, false},
    {NULL, 0, false}};
static const df_word words_algo[] = {{"auto", DF_ALGO_AUTO, false},
                                     {"ring", DF_ALGO_RING, false},
                                     {"direct", DF_ALGO_DIRECT, false},
                                     {"direct#", DF_ALGO_DIRECT_OF, false},
                                     {"halvingDoubling", DF_ALGO_HALVING_DOUBLING, false},
                                     {"doubleBinaryTree", DF_ALGO_DOUBLE_BINARY_TREE, false},
                                     {"oneRing", DF_ALGO_RING, true}, /* in one dimension */
                                     {"oneDirect", DF_ALGO_DIRECT, true},
                                     {"oneHalvingDoubling", DF_ALGO_HALVING_DOUBLING, true},
                                     {NULL, 0, false}};
static const df_word words_kvcache[] = {{"hbm_only", 0, false}, {NULL, 0, false}};
static const df_word words_run_type[] = {
    {"training", DF_RUN_TRAINING, false}, {"inference", DF_RUN_INFERENCE, false}, {NULL, 0, false}};
static const df_word words_llm_type[] = {{"gpt", DF_LLM_GPT, false},
                                         {"llama", DF_LLM_LLAMA, false},
                                         {"qwen2", DF_LLM_LLAMA, false},
                                         {"phi3", DF_LLM_LLAMA, false},
                                         {NULL, 0, false}};
const df_word df_words_recompute[] = {{"none", DF_RECOMPUTE_NONE, false},
                                      {"selective", DF_RECOMPUTE_SELECTIVE, false},
                                      {"full", DF_RECOMPUTE_FULL, false},
                                      {"selective_op", DF_RECOMPUTE_OPERATORS, false},
                                      {NULL, 0, false}};
#define ATTENTION_WORD(name, word) {word, name, false},
static const df_word words_qk_norm[] = {{"none", DF_QK_NORM_NONE, false},
                                        {"head", DF_QK_NORM_HEAD, false},
                                        {"all", DF_QK_NORM_ALL, false},
                                        {NULL, 0, false}};
static const df_word words_attention_bias[] = {{"none", DF_ATTENTION_BIAS_NONE, false},
                                               {"qkv", DF_ATTENTION_BIAS_QKV, false},
                                               {"all", DF_ATTENTION_BIAS_ALL, false},
                                               {NULL, 0, false}};
static const df_word words_by_type[] = {{"by_type", DF_BY_TYPE, false},
                                        {"true", DF_IS_THERE, false},
                                        {"false", DF_IS_NOT_THERE, false},
                                        {NULL, 0, false}};
static const df_word words_norm[] = {{"by_type", DF_NORM_BY_TYPE, false},
                                     {"rms", DF_NORM_RMS, false},
                                     {"layer", DF_NORM_LAYER, false},
                                     {"plain", DF_NORM_PLAIN, false},
                                     {NULL, 0, false}};
static const df_word words_attention[] = {DF_CFG_ATTENTION_TYPES(ATTENTION_WORD){NULL, 0, false}};

/* ---- Pieces of rows ---- */

/* NOLINTBEGIN(bugprone-macro-parentheses): names of fields cannot stand in parentheses */

#define INTEGER_MAX 1099511627776.0 /* 2^40: products of two still are exact in a double */

#define ANY                                                                                        \
    {                                                                                              \
        -HUGE_VAL, HUGE_VAL, false, false                                                          \
    }
#define FROM_0                                                                                     \
    {                                                                                              \
        0, HUGE_VAL, false, false                                                                  \
    }
#define ABOVE_0                                                                                    \
    {                                                                                              \
        0, HUGE_VAL, true, false                                                                   \
    }
#define UTIL                                                                                       \
    {                                                                                              \
        0, 1, true, false                                                                          \
    }
#define FRACTION                                                                                   \
    {                                                                                              \
        0, 1, false, false                                                                         \
    }
#define BELOW_1                                                                                    \
    {                                                                                              \
        0, 1, false, true                                                                          \
    }
#define WHOLE_FROM(low)                                                                            \
    {                                                                                              \
        low, INTEGER_MAX, false, false                                                             \
    }
#define WHOLE(low, high)                                                                           \
    {                                                                                              \
        low, high, false, false                                                                    \
    }

#define REQUIRED                                                                                   \
    {                                                                                              \
        true, 0                                                                                    \
    }
#define OPTIONAL(preset)                                                                           \
    {                                                                                              \
        false, preset                                                                              \
    }
#define NOT_GIVEN                                                                                  \
    {                                                                                              \
        false, 0                                                                                   \
    }
/* Required in its section; the preset holds where the section is absent. */
#define DUMMY(preset)                                                                              \
    {                                                                                              \
        true, preset                                                                               \
    }

#define AT(field) offsetof(df_cfg, field)

#define REAL(path, unit, range, absent, field, meaning)                                            \
    {                                                                                              \
        path, DF_OPT_REAL, unit, range, NULL, absent, 0, AT(field), meaning                        \
    }
#define BYTES(path, range, absent, field, meaning)                                                 \
    {                                                                                              \
        path, DF_OPT_BYTES, "bytes", range, NULL, absent, 0, AT(field), meaning                    \
    }
#define RATE(path, range, absent, field, meaning)                                                  \
    {                                                                                              \
        path, DF_OPT_RATE, "bytes/s", range, NULL, absent, 0, AT(field), meaning                   \
    }
#define INTEGER(path, range, absent, field, meaning)                                               \
    {                                                                                              \
        path, DF_OPT_INT, "", range, NULL, absent, 0, AT(field), meaning                           \
    }
#define COUNT(path, range, absent, field, meaning)                                                 \
    {                                                                                              \
        path, DF_OPT_COUNT, "", range, NULL, absent, 0, AT(field), meaning                         \
    }
#define BOOL(path, absent, field, meaning)                                                         \
    {                                                                                              \
        path, DF_OPT_BOOL, "", ANY, df_words_bool, absent, 0, AT(field), meaning                   \
    }
#define WORD(path, words, absent, field, meaning)                                                  \
    {                                                                                              \
        path, DF_OPT_ENUM, "", ANY, words, absent, 0, AT(field), meaning                           \
    }
#define HABIT(path, words, absent, field, meaning)                                                 \
    {                                                                                              \
        path, DF_OPT_HABIT, "", ANY, words, absent, 0, AT(field), meaning                          \
    }
#define FORMAT(path, words, absent, field, meaning)                                                \
    {                                                                                              \
        path, DF_OPT_FORMAT, "bytes", ABOVE_0, words, absent, 0, AT(field), meaning                \
    }
#define UNUSED(path, kind, words, meaning)                                                         \
    {                                                                                              \
        path, kind, "", ANY, words, {false, 0}, 0, DF_OPT_NOT_KEPT, meaning                        \
    }

/* A degree that can only be 1. */
#define ONE(path, why, meaning)                                                                    \
    {                                                                                              \
        path, DF_OPT_INT, why, WHOLE(1, 1), NULL, {false, 1}, 0, DF_OPT_NOT_KEPT, meaning          \
    }

#define TEXT(path, field, meaning)                                                                 \
    {                                                                                              \
        path, DF_OPT_TEXT, "", ANY, NULL, {false, 0}, 0, AT(field), meaning                        \
    }

#define MODEL_INTEGER(mode, path, range, absent, field, meaning)                                   \
    {                                                                                              \
        path, DF_OPT_INT, "", range, NULL, absent, DF_OPT_IN(mode), AT(field), meaning             \
    }
#define MODEL_REAL(mode, path, range, absent, field, meaning)                                      \
    {                                                                                              \
        path, DF_OPT_REAL, "", range, NULL, absent, DF_OPT_IN(mode), AT(field), meaning            \
    }
#define MODEL_BOOL(mode, path, absent, field, meaning)                                             \
    {                                                                                              \
        path, DF_OPT_BOOL, "", ANY, df_words_bool, absent, DF_OPT_IN(mode), AT(field), meaning     \
    }
#define MODEL_WORD(mode, path, words, absent, field, meaning)                                      \
    {                                                                                              \
        path, DF_OPT_ENUM, "", ANY, words, absent, DF_OPT_IN(mode), AT(field), meaning             \
    }

#define ATTENTION_ROW(type, name, kind, range, words, absent, meaning)                             \
    {"model_param.attention." #name, kind,   "", range, words, absent, DF_OPT_IN(DF_MODE_LLM),     \
     AT(llm.attention.name),         meaning},

#define SHAPE_ROW(type, name, key, kind, range, words, absent, meaning)                            \
    {"model_param." key, kind,   "", range, words, absent, DF_OPT_IN(DF_MODE_LLM),                 \
     AT(llm.shape.name), meaning},

#define CALIBRATION_ROW(section, field, key, unit, range, a100, h100, l40s, meaning)               \
    {"calibration." key,                                                                           \
     DF_OPT_REAL,                                                                                  \
     unit,                                                                                         \
     range,                                                                                        \
     NULL,                                                                                         \
     OPTIONAL(DF_CALIBRATION_ABSENT),                                                              \
     0,                                                                                            \
     AT(calibration.own.section##_##field),                                                        \
     meaning},
#define SHARED_ROW(symbol, unit, value, meaning)                                                   \
    {"calibration.shared." #symbol, DF_OPT_REAL, unit, FROM_0, NULL, OPTIONAL(value), 0,           \
     AT(calibration.shared.symbol), meaning},
#define FORMAT_RATE(name, format)                                                                  \
    REAL("tech_param.core.format_rate." name, "", ABOVE_0, NOT_GIVEN,                              \
         tech.core.format_rate[format], "dense rate of " name " over bf16's")

#define FRAMEWORK_ROW(field, path, unit, words, kind, range, meaning)                              \
    {                                                                                              \
        path,   kind,                                                                              \
        unit,   range,                                                                             \
        words,  OPTIONAL(DF_FRAMEWORK_ABSENT),                                                     \
        0,      AT(sw.framework.own.field),                                                        \
        meaning},

#define ENGINE_ROW(field, path, unit, words, kind, range, meaning)                                 \
    {path,   kind, unit, range, words, OPTIONAL(DF_ENGINE_ABSENT), 0, AT(sw.engine.own.field),     \
     meaning},

/* Technology values that a file leaves out are 0.1, and numbers of links 1, as in the Python
 * DeepFlow, whose newer files give sizes and bandwidths instead. Under the corrected rules nothing
 * is derived from them (cfg_derive.c). */
#define TECH OPTIONAL(DF_CFG_ABSENT_J)
#define LINKS OPTIONAL(1)

#define SRAM(name, field)                                                                          \
    REAL("tech_param." name ".dynamic_energy_per_bit", "J", ABOVE_0, REQUIRED,                     \
         field.dynamic_energy_per_bit_j, "energy to move one bit"),                                \
        REAL("tech_param." name ".static_power_per_bit", "W", FROM_0, TECH,                        \
             field.static_power_per_bit_w, "power to hold one bit"),                               \
        REAL("tech_param." name ".area_per_bit", "mm2", ABOVE_0, TECH, field.area_per_bit_mm2,     \
             "area of one bit cell"),                                                              \
        BYTES("tech_param." name ".bank_capacity", ABOVE_0, TECH, field.bank_capacity_bytes,       \
              "capacity of one bank"),                                                             \
        REAL("tech_param." name ".controller_area_per_link", "mm2", FROM_0, TECH,                  \
             field.controller_area_per_link_mm2, "area of a bank's controller for each bundle"),   \
        REAL("tech_param." name ".controller_power_per_link", "W", FROM_0, TECH,                   \
             field.controller_power_per_link_w, "power of that controller; not used"),             \
        REAL("tech_param." name ".latency", "s", FROM_0, REQUIRED, field.latency_s,                \
             "time of one access"),                                                                \
        REAL("tech_param." name ".overhead", "", BELOW_1, TECH, field.overhead,                    \
             "share of the area that circuitry takes from the cells"),                             \
        REAL("tech_param." name ".util", "", UTIL, REQUIRED, field.util,                           \
             "share of the peak bandwidth that is reached"),                                       \
        BYTES("tech_param." name ".size", FROM_0, NOT_GIVEN, field.size_bytes,                     \
              "capacity; 0: as much as fits in the area"),                                         \
        RATE("tech_param." name ".bandwidth", FROM_0, NOT_GIVEN, field.bandwidth_bytes_ps,         \
             "peak bandwidth of all units together; 0: as high as the power allows")

#define LINK(name, field)                                                                          \
    REAL("tech_param.network." name ".latency", "s", FROM_0, REQUIRED, field.latency_s,            \
         "time of one hop"),                                                                       \
        REAL("tech_param.network." name ".nominal_frequency", "Hz", FROM_0, TECH,                  \
             field.nominal_frequency_hz, "bits per second of one link at nominal voltage"),        \
        REAL("tech_param.network." name ".nominal_voltage", "V", FROM_0, TECH,                     \
             field.nominal_voltage_v, "voltage of the nominal values"),                            \
        REAL("tech_param.network." name ".threshold_voltage", "V", FROM_0, TECH,                   \
             field.threshold_voltage_v, "voltage at which switching stops"),                       \
        REAL("tech_param.network." name ".margin_voltage", "V", FROM_0, TECH,                      \
             field.margin_voltage_v, "smallest distance of the voltage from the threshold"),       \
        REAL("tech_param.network." name ".nominal_energy_per_link", "J", FROM_0, TECH,             \
             field.nominal_energy_per_link_j, "energy that a link takes for one bit"),             \
        REAL("tech_param.network." name ".nominal_area_per_link", "mm2", ABOVE_0, TECH,            \
             field.nominal_area_per_link_mm2, "area of one link"),                                 \
        REAL("tech_param.network." name ".num_links_per_mm", "1/mm", FROM_0, LINKS,                \
             field.num_links_per_mm, "links that fit on one mm of the perimeter of the chip"),     \
        REAL("tech_param.network." name ".util", "", UTIL, REQUIRED, field.util,                   \
             "share of the peak bandwidth that is reached"),                                       \
        REAL("tech_param.network." name ".operating_frequency", "Hz", FROM_0, NOT_GIVEN,           \
             field.operating_frequency_hz, "frequency; 0: as high as the power allows"),           \
        RATE("tech_param.network." name ".bandwidth", FROM_0, NOT_GIVEN, field.bandwidth_bytes_ps, \
             "peak bandwidth; 0: links times frequency"),                                          \
        REAL("tech_param.network." name ".message_latency", "s", FROM_0, NOT_GIVEN,                \
             field.message_latency_s, "time of a message between stages (calibrated rules)"),      \
        WORD("tech_param.network." name ".ports", words_ports, OPTIONAL(DF_PORTS_PER_DEVICE),      \
             field.ports,                                                                          \
             "each device has its port, or all of a node share theirs (calibrated rules)"),        \
        BOOL("tech_param.network." name ".in_switch", OPTIONAL(0), field.in_switch,                \
             "the switch adds up what devices reduce (calibrated rules)"),                         \
        BOOL("tech_param.network." name ".shared", OPTIONAL(0), field.shared,                      \
             "other jobs use it, too (calibrated rules)")

#define SHARES(section, unit, field)                                                               \
    REAL(section ".core", unit, FROM_0, DUMMY(1), field.core, "for the cores"),                    \
        REAL(section ".DRAM", unit, FROM_0, DUMMY(1), field.dram,                                  \
             "for the part of the DRAM that is on the chip"),                                      \
        REAL(section ".L2", unit, FROM_0, DUMMY(1), field.l2, "for the L2 memory"),                \
        REAL(section ".L1", unit, FROM_0, DUMMY(1), field.l1, "for the L1 memories"),              \
        REAL(section ".reg_mem", unit, FROM_0, DUMMY(1), field.reg, "for the registers"),          \
        REAL(section ".network.intra_node", unit, FROM_0, DUMMY(1), field.intra,                   \
             "for the network inside a node"),                                                     \
        REAL(section ".network.inter_node", unit, FROM_0, DUMMY(1), field.inter,                   \
             "for the network between nodes")

#define KERNEL_PARALLEL(name, part)                                                                \
    INTEGER("scheduling_param.kp_" name "_dim1", WHOLE_FROM(1), OPTIONAL(1), sched.kp_dim1[part],  \
            "ways to split the " name " layer's first dimension where kp1 is null"),               \
        INTEGER("scheduling_param.kp_" name "_dim2", WHOLE_FROM(1), OPTIONAL(1),                   \
                sched.kp_dim2[part], "ways to split its second dimension where kp2 is null"),      \
        WORD("scheduling_param.kp_" name "_type", words_kp_type, OPTIONAL(DF_KP_NONE),             \
             sched.kp_type[part], "how it is split where t is none: -1 not at all, 1 CR, 2 RC")

#define LEVEL(name, index, type_words)                                                             \
    WORD("memory_hierarchy." name ".type", type_words, REQUIRED, level[index].type,                \
         "the memory at this level"),                                                              \
        WORD("memory_hierarchy." name ".scope", df_words_scope, REQUIRED, level[index].scope,      \
             "what shares one memory of this level")

/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- The table, in the order in which it is printed ---- */

const df_opt df_opts[] = {
    TEXT(
        "device",
        device,
        "a device of `deepflow help devices`, or a file (./FILE), which gives what this one leaves "
        "out"),

    REAL("sw_param.kernel_launch_overhead",
         "s",
         FROM_0,
         REQUIRED,
         sw.kernel_launch_overhead_s,
         "time to launch one kernel"),
    RATE("sw_param.h2d_bandwidth",
         ANY,
         OPTIONAL(-1),
         sw.h2d_bandwidth_bytes_ps,
         "bandwidth from host to device; 0 or less: such transfers are not timed"),
    INTEGER("sw_param.dp_zero_stage",
            WHOLE_FROM(0),
            OPTIONAL(0),
            sw.dp_zero_stage,
            "stage of ZeRO sharding over data-parallel devices (LLM): 0 shards nothing, 3 or more "
            "everything"),
    /* The older form: one number instead of the mapping. */
    FORMAT("sw_param.precision",
           words_format,
           NOT_GIVEN,
           sw.precision.tensor_bytes,
           "short form of precision, which sets only precision.tensor_format"),
    FORMAT("sw_param.precision.tensor_format",
           words_format,
           REQUIRED,
           sw.precision.tensor_bytes,
           "format of a tensor element"),
    BOOL("sw_param.precision.mixed_precision",
         OPTIONAL(0),
         sw.precision.mixed_precision,
         "optimizer states and statistics in fp32 (LLM)"),
    WORD("sw_param.precision.param_storage_mode",
         words_storage,
         OPTIONAL(DF_STORE_AS_TENSOR),
         sw.precision.param_storage,
         "how mixed precision keeps parameters (LLM)"),
    FORMAT("sw_param.precision.kv_cache",
           words_kv_format,
           OPTIONAL(0),
           sw.precision.kv_cache_bytes,
           "format of an element of the KV cache (LLM)"),

    REAL("tech_param.core.nominal_power_per_mcu",
         "W",
         FROM_0,
         TECH,
         tech.core.nominal_power_per_mcu_w,
         "power of one matrix unit (MCU) at nominal values"),
    REAL("tech_param.core.nominal_flop_rate_per_mcu",
         "flop/cycle",
         ABOVE_0,
         REQUIRED,
         tech.core.nominal_flop_rate_per_mcu,
         "flops of one MCU in a cycle"),
    REAL("tech_param.core.nominal_energy_per_flop",
         "J",
         FROM_0,
         REQUIRED,
         tech.core.nominal_energy_per_flop_j,
         "energy of one flop"),
    REAL("tech_param.core.nominal_voltage",
         "V",
         FROM_0,
         TECH,
         tech.core.nominal_voltage_v,
         "voltage of the nominal values"),
    REAL("tech_param.core.threshold_voltage",
         "V",
         FROM_0,
         TECH,
         tech.core.threshold_voltage_v,
         "voltage at which switching stops"),
    REAL("tech_param.core.margin_voltage",
         "V",
         FROM_0,
         TECH,
         tech.core.margin_voltage_v,
         "smallest distance of the voltage from the threshold"),
    REAL("tech_param.core.operating_area_per_mcu",
         "mm2",
         ABOVE_0,
         TECH,
         tech.core.operating_area_per_mcu_mm2,
         "area of one MCU as built"),
    REAL("tech_param.core.nominal_area_per_mcu",
         "mm2",
         FROM_0,
         NOT_GIVEN,
         tech.core.nominal_area_per_mcu_mm2,
         "area to which the nominal values belong; 0: the operating area"),
    REAL("tech_param.core.nominal_frequency",
         "Hz",
         FROM_0,
         NOT_GIVEN,
         tech.core.nominal_frequency_hz,
         "frequency at nominal voltage"),
    REAL("tech_param.core.operating_frequency",
         "Hz",
         FROM_0,
         NOT_GIVEN,
         tech.core.operating_frequency_hz,
         "frequency; 0: as high as the power allows"),
    INTEGER("tech_param.core.num_mcu_per_bundle",
            WHOLE_FROM(1),
            REQUIRED,
            tech.core.num_mcu_per_bundle,
            "MCUs in one bundle (a GPU's streaming multiprocessor)"),
    INTEGER("tech_param.core.num_bundles",
            WHOLE_FROM(0),
            NOT_GIVEN,
            tech.core.num_bundles,
            "number of bundles; 0: as many as fit in the area"),
    INTEGER("tech_param.core.FMA_d1",
            WHOLE_FROM(1),
            REQUIRED,
            tech.core.fma_d1,
            "an MCU multiplies d1 x d2 by d2 x d1"),
    INTEGER("tech_param.core.FMA_d2",
            WHOLE_FROM(1),
            REQUIRED,
            tech.core.fma_d2,
            "an MCU multiplies d1 x d2 by d2 x d1"),
    WORD("tech_param.core.dataflow",
         words_dataflow,
         REQUIRED,
         tech.core.dataflow,
         "what stays in the MCU: weights, activations, outputs, the best of these, or nothing"),
    REAL("tech_param.core.util",
         "",
         UTIL,
         REQUIRED,
         tech.core.util,
         "share of the peak throughput that is reached"),
    FORMAT_RATE("fp8", DF_FORMAT_FP8),
    FORMAT_RATE("nvfp4", DF_FORMAT_NVFP4),
    FORMAT_RATE("mxfp4", DF_FORMAT_MXFP4),
    FORMAT_RATE("int8", DF_FORMAT_INT8),
    FORMAT_RATE("int4", DF_FORMAT_INT4),
    FORMAT_RATE("tf32", DF_FORMAT_TF32),
    FORMAT_RATE("fp32", DF_FORMAT_FP32),

    REAL("tech_param.DRAM.dynamic_energy_per_bit",
         "J",
         ABOVE_0,
         REQUIRED,
         tech.dram.dynamic_energy_per_bit_j,
         "energy to move one bit"),
    REAL("tech_param.DRAM.static_power_per_bit",
         "W",
         FROM_0,
         TECH,
         tech.dram.static_power_per_bit_w,
         "power to hold one bit"),
    REAL("tech_param.DRAM.area_per_bit",
         "mm2",
         FROM_0,
         TECH,
         tech.dram.area_per_bit_mm2,
         "area of one bit cell; not used"),
    BYTES("tech_param.DRAM.stack_capacity",
          ABOVE_0,
          TECH,
          tech.dram.stack_capacity_bytes,
          "capacity of one stack"),
    REAL("tech_param.DRAM.area_per_stack",
         "mm2",
         ABOVE_0,
         TECH,
         tech.dram.area_per_stack_mm2,
         "area of one stack beside the chip"),
    REAL("tech_param.DRAM.mem_ctrl_area",
         "mm2",
         ABOVE_0,
         TECH,
         tech.dram.mem_ctrl_area_mm2,
         "area of one stack's controller on the chip"),
    REAL("tech_param.DRAM.latency",
         "s",
         FROM_0,
         REQUIRED,
         tech.dram.latency_s,
         "time of one access"),
    REAL("tech_param.DRAM.nominal_voltage",
         "V",
         FROM_0,
         TECH,
         tech.dram.nominal_voltage_v,
         "voltage of the nominal values"),
    REAL("tech_param.DRAM.threshold_voltage",
         "V",
         FROM_0,
         TECH,
         tech.dram.threshold_voltage_v,
         "voltage at which switching stops"),
    REAL("tech_param.DRAM.margin_voltage",
         "V",
         FROM_0,
         TECH,
         tech.dram.margin_voltage_v,
         "smallest distance of the voltage from the threshold"),
    REAL("tech_param.DRAM.max_voltage",
         "V",
         FROM_0,
         TECH,
         tech.dram.max_voltage_v,
         "highest voltage"),
    REAL("tech_param.DRAM.num_links_per_mm",
         "1/mm",
         FROM_0,
         LINKS,
         tech.dram.num_links_per_mm,
         "links that fit on one mm of the perimeter of the chip"),
    REAL("tech_param.DRAM.num_links_per_stack",
         "",
         FROM_0,
         LINKS,
         tech.dram.num_links_per_stack,
         "links of one stack"),
    REAL("tech_param.DRAM.util",
         "",
         UTIL,
         REQUIRED,
         tech.dram.util,
         "share of the peak bandwidth that is reached"),
    REAL("tech_param.DRAM.usable",
         "",
         UTIL,
         OPTIONAL(0.95),
         tech.dram.usable,
         "share of the capacity that a training job may fill (calibrated rules)"),
    BYTES("tech_param.DRAM.size",
          FROM_0,
          NOT_GIVEN,
          tech.dram.size_bytes,
          "capacity; 0: the capacity of the stacks that fit"),
    RATE("tech_param.DRAM.bandwidth",
         FROM_0,
         NOT_GIVEN,
         tech.dram.bandwidth_bytes_ps,
         "peak bandwidth; 0: links times frequency"),
    COUNT("tech_param.DRAM.num_stacks",
          WHOLE_FROM(0),
          NOT_GIVEN,
          tech.dram.num_stacks,
          "number of stacks; 0: as many as fit in the areas"),
    REAL("tech_param.DRAM.operating_frequency",
         "Hz",
         FROM_0,
         NOT_GIVEN,
         tech.dram.operating_frequency_hz,
         "frequency; 0: as high as the power allows"),
    REAL("tech_param.DRAM.nominal_frequency",
         "Hz",
         FROM_0,
         NOT_GIVEN,
         tech.dram.nominal_frequency_hz,
         "bits per second of one link at nominal voltage"),

    SRAM("SRAM-L2", tech.sram[DF_MEM_SRAM_L2]),
    SRAM("SRAM-L1", tech.sram[DF_MEM_SRAM_L1]),
    SRAM("SRAM-R", tech.sram[DF_MEM_SRAM_R]),
    LINK("intra_node", tech.intra),
    LINK("inter_node", tech.inter),

    REAL("area_breakdown.device_area_budget",
         "mm2",
         ABOVE_0,
         DUMMY(1),
         area.device_mm2,
         "for the chip and the DRAM stacks together"),
    REAL("area_breakdown.proc_chip_area_budget",
         "mm2",
         ABOVE_0,
         DUMMY(1),
         area.chip_mm2,
         "for the processor chip"),
    SHARES("area_breakdown", "mm2", area.of),
    REAL("power_breakdown.TDP", "W", ABOVE_0, DUMMY(1), power.tdp_w, "for the whole device"),
    SHARES("power_breakdown", "W", power.of),
    REAL("perimeter_breakdown.DRAM", "", FRACTION, DUMMY(0.1), perimeter.dram, "for the DRAM"),
    REAL("perimeter_breakdown.intra_node",
         "",
         FRACTION,
         DUMMY(0.1),
         perimeter.intra,
         "for the network inside a node"),
    REAL("perimeter_breakdown.inter_node",
         "",
         FRACTION,
         DUMMY(0.1),
         perimeter.inter,
         "for the network between nodes"),

    WORD("calibration.like",
         df_words_arch,
         OPTIONAL(DF_ARCH_H100),
         calibration.like,
         "the measured architecture whose values stand in for those that are absent"),
    WORD("calibration.basis",
         words_basis,
         OPTIONAL(-1),
         calibration.basis,
         "what it rests on: measured with gemm, prefill and decode in the file, else rule"),
    WORD("sw_param.framework",
         words_framework,
         OPTIONAL(-1),
         sw.framework.like,
         "the framework that trains (calibrated rules): `deepflow help profiles`"),
    WORD("sw_param.framework.like",
         words_framework,
         OPTIONAL(-1),
         sw.framework.like,
         "the same, beside keys that differ from its profile"),
    WORD("sw_param.precision.products",
         df_words_number,
         OPTIONAL(-1),
         sw.precision.products,
         "format of products with weights (calibrated rules); absent: that of tensors"),
    WORD("sw_param.precision.weights",
         df_words_number,
         OPTIONAL(-1),
         sw.precision.weights,
         "format in which weights are kept and read (calibrated rules); absent: that of products"),
    WORD("sw_param.precision.activations",
         df_words_number,
         OPTIONAL(-1),
         sw.precision.activations,
         "format of activations, also on the wire (calibrated rules); absent: that of tensors, or "
         "bf16 where these have fewer bits"),
    WORD("sw_param.precision.gradients",
         df_words_number,
         OPTIONAL(-1),
         sw.precision.gradients,
         "format of gradients of weights, on the wire and in memory (calibrated rules); absent: "
         "that of the framework"),
    WORD("sw_param.precision.logits",
         df_words_number,
         OPTIONAL(-1),
         sw.precision.logits,
         "format of the last product (calibrated rules); absent: that of tensors, or bf16 where "
         "these "
         "have fewer bits"),
    WORD("sw_param.precision.attention",
         df_words_number,
         OPTIONAL(-1),
         sw.precision.attention,
         "format of queries, keys and values in attention (calibrated rules); absent: that of "
         "tensors, or bf16 where these have fewer bits"),
    DF_FRAMEWORK_KEYS(FRAMEWORK_ROW) /* ends with a comma */
    WORD("sw_param.engine",
         words_engine,
         OPTIONAL(-1),
         sw.engine.like,
         "the engine of inference (calibrated rules): `deepflow help profiles`"),
    WORD("sw_param.engine.like",
         words_engine,
         OPTIONAL(-1),
         sw.engine.like,
         "the same, beside keys that differ from its profile"),
    DF_ENGINE_KEYS(ENGINE_ROW) /* ends with a comma */
    UNUSED("sw_param.kernels.collective",
           DF_OPT_ENUM,
           words_nccl,
           "collectives inside a node but those of all_reduce; there are no others"),
    WORD("sw_param.launch",
         words_launch,
         OPTIONAL(DF_LAUNCH_GRAPH),
         sw.launch,
         "kernels in a graph, or one by one: then each takes kernel_launch_overhead at least "
         "(calibrated rules, GEMM and LSTM; of an LLM the profile says so)"),
    WORD("scheduling_param.load",
         words_load,
         OPTIONAL(DF_LOAD_BY_MODE),
         sched.load,
         "whether kernels run alone, at the clock and in the L2 of a short time, or for seconds "
         "(calibrated rules); absent: short for a GEMM, else long"),
    {"scheduling_param.recompute_modules", DF_OPT_SET, "", ANY, words_again, NOT_GIVEN, 0,
     AT(sched.recompute_modules),
     "parts of a layer that the backward pass computes again (calibrated rules)"},
    TEXT("calibration.source",
         calibration.source,
         "where, when and by whom the constants were measured"),
    REAL("scheduling_param.recompute_layers",
         "",
         FRACTION,
         OPTIONAL(1),
         sched.recompute_layers,
         "share of the layers that are recomputed (calibrated rules, recompute full)"),
    MODEL_BOOL(DF_MODE_LLM,
               "model_param.frozen",
               OPTIONAL(0),
               llm.frozen,
               "weights that training leaves as they are, as LoRA does (calibrated rules)"),
    DF_CALIBRATION_KEYS(CALIBRATION_ROW) /* ends with a comma */
    DF_CALIBRATION_SHARED(SHARED_ROW)    /* ends with a comma */

    REAL("power.base", "W", ABOVE_0, NOT_GIVEN, board.base_w, "of a running board without work"),
    REAL("power.flop", "J", FROM_0, OPTIONAL(0.5e-12), board.flop_j, "of a flop"),
    REAL("power.byte", "J", FROM_0, OPTIONAL(60e-12), board.byte_j, "of a byte from memory"),
    REAL("power.cache_byte",
         "J",
         FROM_0,
         NOT_GIVEN,
         board.cache_byte_j,
         "more of a byte of the KV cache"),
    REAL("power.limit", "W", ABOVE_0, NOT_GIVEN, board.limit_w, "the most that the board takes"),

    INTEGER("system_hierarchy.num_devices_per_node",
            WHOLE_FROM(1),
            REQUIRED,
            system.num_devices_per_node,
            "number of devices in a node (a wafer, a package, a server)"),
    INTEGER(
        "system_hierarchy.num_nodes", WHOLE_FROM(1), REQUIRED, system.num_nodes, "number of nodes"),
    REAL("system_hierarchy.inter_derate",
         "",
         FROM_0,
         OPTIONAL(1),
         system.inter_derate,
         "streams that share a link between nodes; 0: there is no such network"),
    REAL("system_hierarchy.intra_derate",
         "",
         FROM_0,
         OPTIONAL(1),
         system.intra_derate,
         "streams that share a link inside a node; 0: there is no such network"),
    BOOL("system_hierarchy.kp1_inter",
         REQUIRED,
         system.kp1_inter,
         "kp1 runs over the network between nodes"),
    BOOL("system_hierarchy.kp2_inter",
         REQUIRED,
         system.kp2_inter,
         "kp2 runs over the network between nodes"),
    BOOL("system_hierarchy.dp_inter",
         REQUIRED,
         system.dp_inter,
         "data parallelism runs over the network between nodes"),
    BOOL("system_hierarchy.lp_inter",
         REQUIRED,
         system.lp_inter,
         "the pipeline runs over the network between nodes"),
    BOOL("system_hierarchy.tp_inter",
         OPTIONAL(0),
         system.tp_inter,
         "tensor parallelism runs over the network between nodes (LLM)"),
    BOOL("system_hierarchy.cp_inter",
         OPTIONAL(0),
         system.cp_inter,
         "context parallelism runs over the network between nodes (LLM)"),
    UNUSED("system_hierarchy.ep_inter",
           DF_OPT_BOOL,
           df_words_bool,
           "expert parallelism runs over the network between nodes; not used"),

    WORD("network_topology.inter_node",
         df_words_topology,
         REQUIRED,
         inter_topology,
         "topology between nodes; the analytical backend supports only ring"),
    WORD("network_topology.intra_node",
         df_words_topology,
         REQUIRED,
         intra_topology,
         "topology inside a node; the analytical backend supports only ring"),

    {"network.dimensions", DF_OPT_DIMS, "", ANY, NULL, NOT_GIVEN, 0, DF_OPT_NOT_KEPT,
     "dimensions of the network, that inside a node first, a mapping each: kind, size, bandwidth, "
     "util, latency, message_latency, ports, in_switch, shared, energy_per_bit; in place of "
     "network_topology, of num_devices_per_node and num_nodes, and of these keys of "
     "tech_param.network"},
    WORD(
        "network.like",
        df_words_cluster,
        OPTIONAL(-1),
        cluster,
        "size of a node, and the network between nodes, where the file does not give them; as many "
        "nodes as the degrees of parallelism ask for"),

    LEVEL("l0", 0, words_l0),
    LEVEL("l1", 1, words_l1),
    LEVEL("l2", 2, words_l2),
    LEVEL("l3", 3, words_l3),

    BOOL("scheduling_param.auto", OPTIONAL(0), sched.auto_schedule, "not supported for LLMs"),
    INTEGER("scheduling_param.dp", WHOLE_FROM(1), REQUIRED, sched.dp, "data-parallel replicas"),
    INTEGER("scheduling_param.lp", WHOLE_FROM(1), REQUIRED, sched.lp, "pipeline stages"),
    INTEGER("scheduling_param.mb",
            WHOLE_FROM(1),
            OPTIONAL(1),
            sched.mb,
            "number of micro-batches (LLM)"),
    {"scheduling_param.micro_batch_size", DF_OPT_FORMAT, "", WHOLE_FROM(1), words_best, OPTIONAL(0),
     0, AT(sched.micro_batch),
     "sequences in a micro-batch, in place of mb (LLM); best: the power of two up to 16 that takes "
     "the least time"},
    INTEGER("scheduling_param.tp",
            WHOLE_FROM(0),
            OPTIONAL(1),
            sched.tp,
            "tensor parallelism (LLM); 0 means 1"),
    INTEGER("scheduling_param.cp",
            WHOLE_FROM(0),
            OPTIONAL(1),
            sched.cp,
            "context parallelism (LLM); 0 means 1"),
    INTEGER("scheduling_param.ep",
            WHOLE_FROM(1),
            OPTIONAL(1),
            sched.ep,
            "expert parallelism (LLM): devices, of tp and dp, that share the experts"),
    BOOL("scheduling_param.tp_sp", OPTIONAL(1), sched.tp_sp, "tensor-sequence parallelism (LLM)"),
    WORD("scheduling_param.recompute",
         df_words_recompute,
         OPTIONAL(DF_RECOMPUTE_NONE),
         sched.recompute,
         "what the backward pass computes again to save memory (LLM)"),
    WORD("scheduling_param.schedule",
         df_order_words,
         OPTIONAL(DF_ORDER_GPIPE),
         sched.schedule,
         "order of the micro-batches in a pipeline, training (LLM)"),
    INTEGER("scheduling_param.virtual_stages",
            WHOLE_FROM(1),
            OPTIONAL(1),
            sched.virtual_stages,
            "parts of the model on each stage, with schedule interleaved (LLM); at most num_layers "
            "+ 2 in total"),
    TEXT("scheduling_param.layout",
         sched.layout,
         "what each part of a pipeline holds, training of an LLM (calibrated rules), in place of "
         "stage_split and virtual_stages: E embedding, t layer, m prediction layer, L logits, | "
         "next part, as in \"Et*4|(t*4|)*14tmL\"; part j is on stage j mod lp"),
    WORD("scheduling_param.t",
         words_split,
         OPTIONAL(DF_T_NONE),
         sched.t,
         "how kernels are split: by column and row (CR), by row and column (RC), or as kp_*_type "
         "says (none)"),
    INTEGER("scheduling_param.kp1",
            WHOLE_FROM(1),
            NOT_GIVEN,
            sched.kp1,
            "ways to split a kernel's first dimension; null: as kp_*_dim1 says"),
    INTEGER("scheduling_param.kp2",
            WHOLE_FROM(1),
            NOT_GIVEN,
            sched.kp2,
            "ways to split a kernel's second dimension; null: as kp_*_dim2 says"),
    KERNEL_PARALLEL("hidden", DF_PART_HIDDEN),
    KERNEL_PARALLEL("softmax", DF_PART_SOFTMAX),
    KERNEL_PARALLEL("embedding", DF_PART_EMBEDDING),
    KERNEL_PARALLEL("projection", DF_PART_PROJECTION),

    WORD("execution_backend.model",
         words_backend,
         OPTIONAL(DF_BACKEND_ANALYTICAL),
         backend.model,
         "what times communication: closed formulas, or the network simulator"),
    UNUSED("execution_backend.astra.backend", DF_OPT_TEXT, NULL, "not used"),
    TEXT("execution_backend.astra.binary",
         backend.binary,
         "AstraSim's program (congestion-aware, analytical); without it, the built-in simulator "
         "runs"),
    REAL("execution_backend.astra.time_limit",
         "s",
         ABOVE_0,
         OPTIONAL(3600),
         backend.time_limit_s,
         "time limit of one run of that program"),
    HABIT("execution_backend.astra.mode",
          words_astra_mode,
          OPTIONAL(DF_ASTRA_HYBRID),
          backend.mode,
          "what is simulated of an LLM besides collectives: layers, whole graphs, or (analytical) "
          "nothing at all; any other word counts as hybrid"),
    WORD("execution_backend.astra.collectives.all_gather",
         words_algo,
         OPTIONAL(DF_ALGO_AUTO),
         backend.all_gather,
         "its algorithm"),
    WORD("execution_backend.astra.collectives.all_reduce",
         words_algo,
         OPTIONAL(DF_ALGO_AUTO),
         backend.all_reduce,
         "its algorithm"),
    WORD("execution_backend.astra.collectives.reduce_scatter",
         words_algo,
         OPTIONAL(DF_ALGO_AUTO),
         backend.reduce_scatter,
         "its algorithm"),
    WORD("execution_backend.astra.collectives.all_to_all",
         words_algo,
         OPTIONAL(DF_ALGO_AUTO),
         backend.all_to_all,
         "its algorithm"),
    INTEGER("execution_backend.astra.sys_options.endpoint_delay",
            WHOLE_FROM(0),
            OPTIONAL(10),
            backend.endpoint_delay,
            "delay of a message at its ends, in ns"),
    INTEGER("execution_backend.astra.sys_options.active_chunks_per_dimension",
            WHOLE_FROM(1),
            OPTIONAL(1),
            backend.active_chunks_per_dimension,
            "chunks of a collective that are under way at the same time"),
    INTEGER("execution_backend.astra.sys_options.preferred_dataset_splits",
            WHOLE_FROM(1),
            OPTIONAL(1),
            backend.preferred_dataset_splits,
            "chunks into which a collective is cut"),

    UNUSED("inference.kvcache_type", DF_OPT_ENUM, words_kvcache, "not used"),
    BOOL("inference.kvcache_fetch_overlap",
         OPTIONAL(0),
         kv_fetch_overlap,
         "fetch keys and values in parallel with the attention, not before it (rule "
         "llm_kv_cache_free=corrected)"),

    WORD("model_param.mode", df_words_mode, REQUIRED, mode, "what to predict"),

    MODEL_INTEGER(
        DF_MODE_GEMM, "model_param.M", WHOLE_FROM(1), REQUIRED, gemm.m, "C[M,N] = A[M,K] B[K,N]"),
    MODEL_INTEGER(
        DF_MODE_GEMM, "model_param.K", WHOLE_FROM(1), REQUIRED, gemm.k, "C[M,N] = A[M,K] B[K,N]"),
    MODEL_INTEGER(
        DF_MODE_GEMM, "model_param.N", WHOLE_FROM(1), REQUIRED, gemm.n, "C[M,N] = A[M,K] B[K,N]"),
    MODEL_BOOL(DF_MODE_GEMM,
               "model_param.backward",
               OPTIONAL(0),
               gemm.backward,
               "include the backward GEMMs"),

    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.batch_size",
                  WHOLE_FROM(1),
                  REQUIRED,
                  lstm.batch_size,
                  "sequences in a batch, all replicas together"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.vocab_size",
                  WHOLE_FROM(1),
                  REQUIRED,
                  lstm.vocab_size,
                  "words in the vocabulary"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.num_layers",
                  WHOLE_FROM(1),
                  REQUIRED,
                  lstm.num_layers,
                  "number of LSTM layers"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.layer_size",
                  WHOLE_FROM(1),
                  REQUIRED,
                  lstm.layer_size,
                  "size of a layer's state"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.seq_len",
                  WHOLE_FROM(1),
                  REQUIRED,
                  lstm.seq_len,
                  "number of time steps"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.projection",
                  WHOLE_FROM(0),
                  REQUIRED,
                  lstm.projection,
                  "size of the projection layer; it only affects the parameter count"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.num_gates",
                  WHOLE_FROM(1),
                  REQUIRED,
                  lstm.num_gates,
                  "number of gates in a cell"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.num_non_linear",
                  WHOLE_FROM(0),
                  OPTIONAL(5),
                  lstm.num_non_linear,
                  "number of non-linear functions in a cell"),
    MODEL_INTEGER(DF_MODE_LSTM,
                  "model_param.num_add",
                  WHOLE_FROM(0),
                  OPTIONAL(8),
                  lstm.num_add,
                  "number of pointwise additions in a cell"),
    MODEL_REAL(DF_MODE_LSTM,
               "model_param.data_scale",
               ABOVE_0,
               OPTIONAL(1),
               lstm.data_scale,
               "growth of the data set, which searches only record"),

    MODEL_WORD(DF_MODE_LLM,
               "model_param.run_type",
               words_run_type,
               REQUIRED,
               llm.run_type,
               "what to predict"),
    MODEL_WORD(DF_MODE_LLM,
               "model_param.model_type",
               words_llm_type,
               REQUIRED,
               llm.model_type,
               "gpt: feed-forward network with GELU; llama, qwen2, phi3: with SwiGLU"),
    MODEL_BOOL(DF_MODE_LLM,
               "model_param.tied_embeddings",
               REQUIRED,
               llm.tied_embeddings,
               "input and output embedding share their weights"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.num_layers",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.num_layers,
                  "number of transformer layers"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.hidden_dim",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.hidden_dim,
                  "hidden size"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.batch_size",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.batch_size,
                  "sequences in a batch, all replicas together"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.seq_len",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.seq_len,
                  "tokens of a sequence; in inference, prefill and decode together"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.decode_len",
                  WHOLE_FROM(0),
                  OPTIONAL(-1),
                  llm.decode_len,
                  "tokens to decode; required for inference"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.intermediate_size",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.intermediate_size,
                  "size inside the feed-forward network"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.vocab_size",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.vocab_size,
                  "tokens in the vocabulary"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.num_experts",
                  WHOLE_FROM(1),
                  REQUIRED,
                  llm.num_experts,
                  "number of experts; 1: no mixture of experts"),
    MODEL_INTEGER(DF_MODE_LLM,
                  "model_param.top_k",
                  WHOLE_FROM(1),
                  OPTIONAL(1),
                  llm.top_k,
                  "experts to which a token goes"),
    DF_CFG_ATTENTION_KEYS(ATTENTION_ROW) /* ends with a comma */
    DF_CFG_LAYER_KEYS(SHAPE_ROW)         /* ends with a comma */
    {"model_param.layers", DF_OPT_LAYERS, "", ANY, NULL, NOT_GIVEN, DF_OPT_IN(DF_MODE_LLM),
     AT(llm.layers),
     "the layers in order, where they are not alike, as a text or a list of texts such as \"3 "
     "dense, 58 experts\" or \"5 x (5 window, full), 4 window\""},
    MODEL_BOOL(DF_MODE_LLM,
               "model_param.attention.used_flash_attention",
               OPTIONAL(0),
               llm.attention.use_flashattention,
               "older name of use_flashattention"),

    INTEGER("inference_param.sample_every",
            WHOLE(-INTEGER_MAX, INTEGER_MAX),
            OPTIONAL(-1),
            llm.sample_every,
            "decode steps from one that is timed to the next (LLM); < 0: time as few as suffice"),
};
const int df_num_opts = sizeof df_opts / sizeof df_opts[0];

const df_opt_section df_opt_sections[] = {
    {"sw_param", DF_CFG_NEED_HARDWARE, "Software on the device"},
    {"tech_param", DF_CFG_NEED_HARDWARE, "Technology, from which the device is derived"},
    {"area_breakdown", 0, "Area budgets; without this section, the file gives sizes"},
    {"power_breakdown", 0, "Power budgets; without this section, the file gives bandwidths"},
    {"perimeter_breakdown", 0, "Fractions of the chip's perimeter for links"},
    {"calibration", 0, "What a card reaches of its data sheet (calibrated rules)"},
    {"power", 0, "Power of the board (calibrated rules)"},
    {"system_hierarchy", DF_CFG_NEED_HARDWARE, "Devices, nodes, and axes that cross nodes"},
    {"network_topology", DF_CFG_NEED_HARDWARE, "Networks"},
    {"network", 0, "Networks of known clusters"},
    {"memory_hierarchy", DF_CFG_NEED_HARDWARE, "Memory levels, from the registers outwards"},
    {"scheduling_param", DF_CFG_NEED_HARDWARE, "How the work is split over the devices"},
    {"moe_param", 0, "How experts are run in training (calibrated rules)"},
    {"execution_backend", 0, "How communication is timed"},
    {"inference", 0, "Inference on the device (LLM)"},
    {"model_param", DF_CFG_NEED_MODEL, "The model; its mode says which keys it has"},
    {"inference_param", 0, "Inference of LLMs"},
};
const int df_num_opt_sections = sizeof df_opt_sections / sizeof df_opt_sections[0];

const df_opt_renamed df_opts_renamed[] = {
    {"tech_param.core.FMA_width", "FMA_d1 and FMA_d2"},
    {"system_hierarchy.num_wafers", "num_nodes"},
    {"system_hierarchy.num_nodes_per_wafer", "num_devices_per_node"},
    {"system_hierarchy.num_workers", "num_nodes and num_devices_per_node"},
};
const int df_num_opts_renamed = sizeof df_opts_renamed / sizeof df_opts_renamed[0];

#define DIMENSION(number, kind, size, link)                                                        \
    {"network.dimensions[" number "].kind", "network_topology." kind},                             \
        {"network.dimensions[" number "].size", "system_hierarchy." size},                         \
        {"network.dimensions[" number "].bandwidth", "tech_param.network." link ".bandwidth"},     \
        {"network.dimensions[" number "].util", "tech_param.network." link ".util"},               \
        {"network.dimensions[" number "].latency", "tech_param.network." link ".latency"},         \
        {"network.dimensions[" number "].message_latency",                                         \
         "tech_param.network." link ".message_latency"},                                           \
        {"network.dimensions[" number "].ports", "tech_param.network." link ".ports"},             \
        {"network.dimensions[" number "].in_switch", "tech_param.network." link ".in_switch"},     \
        {"network.dimensions[" number "].shared", "tech_param.network." link ".shared"},           \
    {                                                                                              \
        "network.dimensions[" number "].energy_per_bit",                                           \
            "tech_param.network." link ".nominal_energy_per_link"                                  \
    }

const df_opt_pair df_opt_aliases[] = {
    DIMENSION("0", "intra_node", "num_devices_per_node", "intra_node"),
    DIMENSION("1", "inter_node", "num_nodes", "inter_node"),
    {"engine", "sw_param.engine"},
    {"scheduling_param.pp", "scheduling_param.lp"},
    {"system_hierarchy.pp_inter", "system_hierarchy.lp_inter"},
};
const int df_num_opt_aliases = sizeof df_opt_aliases / sizeof df_opt_aliases[0];

const df_opt_pair df_opts_following[] = {
    {"system_hierarchy.cp_inter", "system_hierarchy.tp_inter"},
    {"tech_param.network.intra_node.message_latency", "tech_param.network.intra_node.latency"},
    {"tech_param.network.inter_node.message_latency", "tech_param.network.inter_node.latency"},
};
const int df_num_opts_following = sizeof df_opts_following / sizeof df_opts_following[0];

_Static_assert(sizeof df_opts / sizeof df_opts[0] <= DF_OPT_MAX, "DF_OPT_MAX is too small");
_Static_assert(sizeof df_opt_sections / sizeof df_opt_sections[0] <= DF_SECTION_MAX,
               "DF_SECTION_MAX is too small");

/* ---- Looking things up ---- */

bool df_opt_applies(const df_opt *opt, unsigned modes)
{
    return opt->modes == 0 || (opt->modes & modes) != 0;
}

bool df_opt_is_under(const char *path, const char *section)
{
    const size_t length = strlen(section);
    return length == 0 || (strncmp(path, section, length) == 0 && path[length] == '.');
}

/* The row of an alias; NULL: it is none. */
static const df_opt_pair *find_alias(const char *path)
{
    for (int i = 0; i < df_num_opt_aliases; i++) {
        if (strcmp(df_opt_aliases[i].path, path) == 0) {
            return &df_opt_aliases[i];
        }
    }
    return NULL;
}

const char *df_opt_path(const char *path, unsigned modes)
{
    const df_opt_pair *const alias = find_alias(path);
    const int index = df_opt_find(path, modes);
    return alias ? alias->path : index >= 0 ? df_opts[index].path : NULL;
}

const df_opt *df_opt_followed(const df_opt *opt)
{
    for (int i = 0; i < df_num_opts_following; i++) {
        if (strcmp(df_opts_following[i].path, opt->path) == 0) {
            return &df_opts[df_opt_find(df_opts_following[i].of, 0)];
        }
    }
    return NULL;
}

int df_opt_find(const char *path, unsigned modes)
{
    const df_opt_pair *const alias = find_alias(path);
    path = alias ? alias->of : path;
    for (int i = 0; i < df_num_opts; i++) {
        if (df_opt_applies(&df_opts[i], modes) && strcmp(df_opts[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

int df_opt_find_section(const char *path, unsigned modes)
{
    for (int i = 0; i < df_num_opts; i++) {
        if (df_opt_applies(&df_opts[i], modes) && df_opt_is_under(df_opts[i].path, path)) {
            return i;
        }
    }
    return -1;
}

bool df_opt_section_needed(const char *path, unsigned modes)
{
    for (int i = 0; i < df_num_opts; i++) {
        if (df_opts[i].absent.required && df_opt_applies(&df_opts[i], modes) &&
            df_opt_is_under(df_opts[i].path, path)) {
            return true;
        }
    }
    return false;
}

int df_opt_section_index(const char *name)
{
    for (int i = 0; i < df_num_opt_sections; i++) {
        if (strcmp(df_opt_sections[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *df_opt_word_of(const df_word *words, double value)
{
    for (; words->word; words++) {
        if (words->value == value) {
            return words->word;
        }
    }
    return NULL;
}
