/* cfg.h: what the YAML files say, checked, in plain structs.
 *
 * One table of options (cfg_table.c) drives reading, checking, defaults and the
 * text of `deepflow help config`. Areas are in mm2 and lengths in mm as in the
 * files; everything else is SI. In fields marked "0: not given" an absent value
 * and 0 mean the same, as in the Python DeepFlow. */
#ifndef DF_CFG_H
#define DF_CFG_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/data_dir.h"
#include "base/status.h"
#include "config/axis.h"
#include "config/cfg_attention.h"
#include "config/cfg_calibration.h"
#include "config/cfg_engine.h"
#include "config/cfg_framework.h"
#include "config/cfg_layers.h"
#include "sched/sched.h"

enum { DF_CFG_LEVELS = 4, DF_CFG_SRAMS = 3 };

typedef enum { DF_FLOW_WST, DF_FLOW_AST, DF_FLOW_OST, DF_FLOW_BEST, DF_FLOW_NONE } df_dataflow;
typedef enum { DF_SCOPE_GLOBAL, DF_SCOPE_MCU_BUNDLE, DF_SCOPE_MCU } df_scope;
typedef enum { DF_MEM_SRAM_R, DF_MEM_SRAM_L1, DF_MEM_SRAM_L2, DF_MEM_DRAM } df_mem_type;
typedef enum {
    DF_TOPO_RING,
    DF_TOPO_FC,
    DF_TOPO_SWITCH,
    DF_TOPO_MESH,
    DF_TOPO_TORUS,
    DF_TOPO_HIC,
    DF_TOPO_NONE,
} df_topology;
/* Whether each device has its port, or all of a node share theirs (PCIe through the host). */
typedef enum { DF_PORTS_PER_DEVICE, DF_PORTS_POOLED } df_ports;
typedef enum { DF_MODE_GEMM, DF_MODE_LSTM, DF_MODE_LLM } df_mode;
typedef enum { DF_STORE_AS_TENSOR, DF_STORE_TENSOR_FP32_MASTER, DF_STORE_FP32 } df_param_storage;
typedef enum { DF_RUN_TRAINING, DF_RUN_INFERENCE } df_run_type;
/* qwen2 and phi3 are built as llama is. */
typedef enum { DF_LLM_GPT, DF_LLM_LLAMA } df_llm_type;
/* What the backward pass computes again instead of keeping it (Korthikanti et al., 2022):
 * nothing, the core of the attention, whole layers, or (calibrated rules) some operators. */
typedef enum {
    DF_RECOMPUTE_NONE,
    DF_RECOMPUTE_SELECTIVE,
    DF_RECOMPUTE_FULL,
    DF_RECOMPUTE_OPERATORS, /* part of the products and the pointwise work, operator by operator */
} df_recompute;
/* Values of kp_*_type in the files. */
typedef enum { DF_KP_NONE = -1, DF_KP_CR = 1, DF_KP_RC = 2 } df_kp_type;
/* scheduling_param.t; NONE is both `none` and null. */
typedef enum { DF_T_NONE, DF_T_CR, DF_T_RC } df_gemm_split;
typedef enum {
    DF_PART_HIDDEN,
    DF_PART_SOFTMAX,
    DF_PART_EMBEDDING,
    DF_PART_PROJECTION,
    DF_PARTS
} df_part;
/* Number formats of an element. bf16 and fp16 have the rate of the core's peak; those with scales
 * for blocks have one entry for each way in which kernels scale. */
typedef enum {
    DF_FORMAT_BF16,
    DF_FORMAT_FP8,
    DF_FORMAT_FP8_BLOCK,
    DF_FORMAT_MXFP8,
    DF_FORMAT_NVFP4,
    DF_FORMAT_MXFP4,
    DF_FORMAT_INT8,
    DF_FORMAT_INT4,
    DF_FORMAT_TF32,
    DF_FORMAT_FP32,
    DF_FORMATS
} df_format;

/* Kernels in a graph, or launched one by one. */
typedef enum { DF_LAUNCH_GRAPH, DF_LAUNCH_EAGER } df_launch;
/* How long a device has been at work: kernels alone, or a model that runs for seconds. */
typedef enum { DF_LOAD_BY_MODE, DF_LOAD_SHORT, DF_LOAD_LONG } df_load_length;
/* Parts of a layer that the backward pass computes again, as bits. */
typedef enum {
    DF_AGAIN_CORE_ATTENTION = 1,
    DF_AGAIN_MLP = 2,
    DF_AGAIN_LAYERNORM = 4,
    DF_AGAIN_LATENT_UP = 8,
    DF_AGAIN_MOE_ACTIVATION = 16,
    DF_AGAIN_MOE = 32
} df_again;

typedef enum { DF_BACKEND_ANALYTICAL, DF_BACKEND_ASTRA } df_backend_model;
typedef enum {
    DF_ASTRA_HYBRID,
    DF_ASTRA_HIERARCHICAL,
    DF_ASTRA_FLATTENED,
    DF_ASTRA_ANALYTICAL, /* nothing is simulated, and any topology accepted */
} df_astra_mode;
typedef enum {
    DF_ALGO_AUTO,
    DF_ALGO_RING,
    DF_ALGO_DIRECT,
    DF_ALGO_HALVING_DOUBLING,
    DF_ALGO_DOUBLE_BINARY_TREE,
    DF_ALGO_DIRECT_OF = 16 /* plus a number: direct, with at most that many messages under way */
} df_coll_algo;

typedef struct {
    double tensor_bytes; /* bytes of an element */
    bool mixed_precision;
    df_param_storage param_storage;
    double kv_cache_bytes; /* 0: as tensor_bytes */
    /* of the calibrated rules, a df_format each, or -1: not given (df_cfg_formats_of) */
    int weights, activations, gradients, products, logits, attention;
} df_cfg_precision;

/* Number formats of a run. */
typedef struct {
    df_format weights;     /* as they are kept */
    df_format products;    /* of layers, with weights */
    df_format activations; /* between products, and on the wire */
    df_format logits;      /* of the last product */
    df_format attention;   /* of queries, keys and values */
} df_cfg_formats;

typedef struct {
    double kernel_launch_overhead_s;
    double h2d_bandwidth_bytes_ps; /* <= 0: host transfers are not timed */
    int64_t dp_zero_stage;
    df_launch launch;
    df_cfg_precision precision;
    df_cfg_framework framework;
    df_cfg_engine engine;
} df_cfg_sw;

typedef struct {
    double nominal_power_per_mcu_w;
    double nominal_flop_rate_per_mcu; /* flops a cycle */
    double nominal_energy_per_flop_j;
    double nominal_voltage_v, threshold_voltage_v, margin_voltage_v;
    double operating_area_per_mcu_mm2;
    double nominal_area_per_mcu_mm2; /* 0: not given */
    double nominal_frequency_hz;     /* 0: not given */
    double operating_frequency_hz;   /* 0: not given */
    int64_t num_mcu_per_bundle;
    int64_t num_bundles; /* 0: not given */
    int64_t fma_d1, fma_d2;
    df_dataflow dataflow;
    double util;
    double format_rate[DF_FORMATS]; /* dense rate over bf16's; 0: the device has none */
} df_cfg_core;

typedef struct {
    double dynamic_energy_per_bit_j, static_power_per_bit_w, area_per_bit_mm2;
    double stack_capacity_bytes, area_per_stack_mm2, mem_ctrl_area_mm2;
    double latency_s;
    double nominal_voltage_v, threshold_voltage_v, margin_voltage_v, max_voltage_v;
    double num_links_per_mm, num_links_per_stack;
    double util;
    double usable;                         /* share of the capacity that a training job may fill */
    double size_bytes, bandwidth_bytes_ps; /* 0: not given */
    double num_stacks;                     /* 0: not given */
    double operating_frequency_hz, nominal_frequency_hz; /* 0: not given */
} df_cfg_dram;

typedef struct {
    double dynamic_energy_per_bit_j, static_power_per_bit_w, area_per_bit_mm2;
    double bank_capacity_bytes, controller_area_per_link_mm2, controller_power_per_link_w;
    double latency_s, overhead, util;
    double size_bytes, bandwidth_bytes_ps; /* 0: not given */
} df_cfg_sram;

typedef struct {
    double latency_s;
    double nominal_frequency_hz, nominal_voltage_v, threshold_voltage_v, margin_voltage_v;
    double nominal_energy_per_link_j, nominal_area_per_link_mm2, num_links_per_mm;
    double util;
    double operating_frequency_hz; /* 0: not given */
    double bandwidth_bytes_ps;     /* 0: not given */
    double message_latency_s;      /* of a message between stages; latency_s is of a ring's step */
    df_ports ports;
    bool in_switch; /* the switch adds up what devices send it */
    bool shared;    /* with other jobs */
} df_cfg_link;

typedef struct {
    df_cfg_core core;
    df_cfg_dram dram;
    df_cfg_sram sram[DF_CFG_SRAMS]; /* indexed by df_mem_type: R, L1, L2 */
    df_cfg_link intra, inter;
} df_cfg_tech;

/* Of a board as it was measured, not of energies of the technology. */
typedef struct {
    double base_w; /* while it runs, not idle; 0: not given */
    double flop_j, byte_j, cache_byte_j;
    double limit_w; /* 0: not given */
} df_cfg_board;

/* Technology that a file leaves out has this value, in its unit, as in the Python DeepFlow. With
 * DF_CFG_NEED_FIGURES nothing is derived from it. */
#define DF_CFG_ABSENT_J 0.1

/* An energy of a file, 0 where the file leaves it out. */
double df_cfg_given_j(double value_j);

/* Absolute shares: mm2 in the area budget, W in the power budget. */
typedef struct {
    double core, dram, l2, l1, reg, intra, inter;
} df_cfg_shares;

typedef struct {
    double device_mm2, chip_mm2; /* device_area_budget, proc_chip_area_budget */
    df_cfg_shares of;
} df_cfg_area;

typedef struct {
    double tdp_w;
    df_cfg_shares of;
} df_cfg_power;

/* Fractions of the chip's perimeter. */
typedef struct {
    double dram, intra, inter;
} df_cfg_perimeter;

typedef struct {
    int64_t num_devices_per_node, num_nodes;
    double inter_derate, intra_derate; /* 0: no such network */
    union { /* whether an axis runs between nodes, by name or by df_axis */
        struct {
            bool dp_inter, lp_inter, tp_inter, cp_inter, kp1_inter, kp2_inter;
        };
        bool inter[DF_AXES];
    };
} df_cfg_system;

typedef struct {
    df_mem_type type;
    df_scope scope;
} df_cfg_level;

/* The micro-batch that takes the least time, which a prediction finds. */
#define DF_BEST_BATCH (-1.0)

typedef struct {
    bool auto_schedule;
    union { /* degrees, by name or by df_axis; of tp, cp, kp1, kp2 0 is null, not given */
        struct {
            int64_t dp, lp, tp, cp, kp1, kp2;
        };
        int64_t degree[DF_AXES];
    };
    int64_t ep; /* devices of tp and dp that share the experts */
    int64_t mb;
    double micro_batch; /* sequences, from which mb follows; 0: not given, or DF_BEST_BATCH */
    bool tp_sp;
    df_recompute recompute;
    double recompute_layers;  /* share of the layers, where whole layers are */
    double recompute_modules; /* sum of df_again */
    int load;                 /* a df_load_length */
    df_order_id schedule;
    int64_t virtual_stages;   /* parts of the model on each stage, when interleaved */
    char layout[DF_CFG_TEXT]; /* what each part holds (cfg_layout.h); "": stage_split says so */
    df_gemm_split t;
    int64_t kp_dim1[DF_PARTS], kp_dim2[DF_PARTS];
    df_kp_type kp_type[DF_PARTS];
} df_cfg_sched;

typedef struct {
    df_backend_model model;
    df_astra_mode mode;
    df_coll_algo all_gather, all_reduce, reduce_scatter, all_to_all;
    int64_t endpoint_delay; /* ns */
    int64_t active_chunks_per_dimension, preferred_dataset_splits;
    char binary[DF_CFG_TEXT]; /* AstraSim; "": the simulator in process */
    double time_limit_s;      /* longest time of one run of the binary */
} df_cfg_backend;

typedef struct {
    int64_t m, k, n;
    bool backward;
} df_cfg_gemm;

typedef struct {
    int64_t batch_size, vocab_size, num_layers, layer_size, seq_len, projection;
    int64_t num_gates, num_non_linear, num_add;
    double data_scale;
} df_cfg_lstm;

typedef struct {
    df_run_type run_type;
    df_llm_type model_type;
    bool tied_embeddings;
    int64_t num_layers, hidden_dim, batch_size, seq_len;
    int64_t decode_len; /* -1: not given */
    int64_t intermediate_size, vocab_size, num_experts, top_k;
    df_cfg_attention attention;
    df_cfg_shape shape;
    df_cfg_layers layers;
    bool frozen;          /* the weights: LoRA */
    int64_t sample_every; /* -1: as few timed decode steps as suffice */
} df_cfg_llm;

typedef struct {
    df_cfg_sw sw;
    df_cfg_tech tech;
    df_cfg_area area;
    df_cfg_power power;
    df_cfg_board board;
    df_cfg_calibration calibration;
    df_cfg_perimeter perimeter;
    df_cfg_system system;
    df_topology intra_topology, inter_topology;
    df_cfg_level level[DF_CFG_LEVELS]; /* [0] is nearest the core */
    df_cfg_sched sched;
    df_cfg_backend backend;
    df_mode mode;
    df_cfg_gemm gemm;         /* when mode is GEMM */
    df_cfg_lstm lstm;         /* when mode is LSTM */
    df_cfg_llm llm;           /* when mode is LLM */
    bool kv_fetch_overlap;    /* inference.kvcache_fetch_overlap */
    char device[DF_CFG_TEXT]; /* whose file is the rest of this one; "": none. Its numbers and
                                 those of the cluster are in their places. */
    int cluster;              /* index of network.like; -1: none */
    bool has_model;           /* a model section was read */
    bool has_breakdown;       /* all three breakdown sections were given */
    bool any_rounds;          /* read with DF_CFG_ANY_ROUNDS */
} df_cfg;

/* Which sections a command needs. */
typedef enum {
    DF_CFG_NEED_HARDWARE = 1, /* everything but model_param */
    DF_CFG_NEED_MODEL = 2,
    DF_CFG_ANY_DEGREES = 4,    /* the degrees of parallelism need not fit the system: a search
                                  overwrites both */
    DF_CFG_ANY_BUDGETS = 8,    /* shares above their budget are a warning */
    DF_CFG_ANY_NETWORKS = 16,  /* so is an axis over a network that does not exist */
    DF_CFG_ANY_TOPOLOGY = 32,  /* and a topology that is simulated as fully connected */
    DF_CFG_ANY_SHARES = 64,    /* shares are ignored: a search divides the budgets anew */
    DF_CFG_NEED_FIGURES = 128, /* the technology and the budgets that parts are derived from */
    DF_CFG_ANY_KIND = 512,     /* formulas know networks of any kind, not rings alone */
    DF_CFG_ANY_LAYERS = 1024,  /* layers of any kind are known, not only attention of heads of
                                  hidden_dim / num_heads and one feed-forward network or experts */
    DF_CFG_ANY_SPLITS = 256,   /* degrees that do not split an LLM evenly are a warning */
    DF_CFG_ANY_ROUNDS = 2048,  /* an interleaved pipeline takes any number of micro-batches */
    DF_CFG_USUAL = 4096,       /* values that no hardware has are remarked on */
} df_cfg_need;

/* Reads hardware and model files into *cfg. Either path may be NULL; one combined file is given as
 * hardware_path with model_path NULL. `need` is a sum of df_cfg_need. Where a file names a device
 * (key `device`), the file of that device is read too, and gives what the others leave out. A
 * section that the command does not need may be present, and is checked all the same. DF_EINVAL:
 * err is "FILE:LINE: KEY: expected ..., found ...", followed by what would work if that can be
 * found. Other errors are those of df_cfg_read_text, for the files. On failure *cfg is untouched.
 * DF_OK: err is empty, or has warnings of the same form, one on each line: of a value that was
 * replaced, of budgets, of a rate in powers of 1024, of values that no hardware has. */
DF_NODISCARD df_status df_cfg_load(
    const char *hardware_path, const char *model_path, unsigned need, df_cfg *cfg, df_err *err);

/* Reads a whole file into *text, NUL-terminated, which the caller frees.
 * DF_EINVAL: no such file, or one that holds a NUL or more than 16 MiB. DF_EIO: the
 * reading failed. */
DF_NODISCARD df_status df_cfg_read_text(const char *path, char **text, df_err *err);

/* A file's text in memory, NUL-terminated, and what messages call the file. */
typedef struct {
    const char *text, *name;
} df_cfg_text;

/* As df_cfg_load, from texts in memory; either may be NULL. A device is named by a shipped file, or
 * by a path relative to the folder of the text's name. */
DF_NODISCARD df_status df_cfg_parse(
    const df_cfg_text *hardware, const df_cfg_text *model, unsigned need, df_cfg *cfg, df_err *err);

/* Shipped device files, by name, sorted. */
enum { DF_CFG_DEVICES = 128, DF_CFG_DEVICE_NAME = 64 };
typedef struct {
    char name[DF_CFG_DEVICES][DF_CFG_DEVICE_NAME];
    int count;
} df_cfg_devices;

/* DF_EIO: the folder configs/hardware is not found. */
DF_NODISCARD df_status df_cfg_list_devices(df_cfg_devices *out, df_err *err);

/* The same of files that commands take by name. */
typedef enum { DF_CFG_HARDWARE_FILES, DF_CFG_MODEL_FILES } df_cfg_folder;
DF_NODISCARD df_status df_cfg_list_files(df_cfg_folder kind, df_cfg_devices *out, df_err *err);
/* The path of one; `flag` is what messages call it.
 * DF_EINVAL: there is none of that name; the nearest are named. DF_EIO: as above. */
DF_NODISCARD df_status df_cfg_find_named(
    df_cfg_folder kind, const char *flag, const char *name, char path[DF_DATA_PATH], df_err *err);

/* Checks that need several options at once, after flags have changed *cfg: with a model
 * dp * lp * kp1 * kp2 = workers and ring topologies with the analytical backend.
 * The message names no line, since flags have none. Done by df_cfg_load too,
 * there with file and line. */
DF_NODISCARD df_status df_cfg_check(const df_cfg *cfg, df_err *err);

/* A condition that degrees of parallelism do not meet. The texts live forever. */
typedef struct {
    const char *key;      /* the option at fault */
    const char *reason;   /* "tp does not divide num_heads" */
    const char *expected; /* "a divisor of num_heads", then `of` unless it is 0 */
    int64_t of, found;
} df_cfg_misfit;

/* Which conditions count. */
typedef enum {
    DF_SPLIT_ANY,  /* those without which there is no prediction at all */
    DF_SPLIT_EVEN, /* all: no device has a fraction of a head, no stage is without a layer */
} df_split_demand;

/* The first condition on a split of an LLM that is not met. False: it can be split so. Degrees of
 * less than 1 count as 1. */
bool df_cfg_find_misfit(const df_cfg_llm *model,
                        const int64_t degree[DF_AXES],
                        int64_t ep,
                        bool tp_sp,
                        df_split_demand demand,
                        df_cfg_misfit *out);

/* Whether the order of micro-batches takes so many. Interleaved stages take turns in rounds of lp
 * micro-batches, unless what times them needs no whole rounds. */
bool df_cfg_takes_batches(const df_cfg *cfg);

/* The most parts of a model that each stage may have: virtual_stages. */
int64_t df_cfg_most_parts(int64_t layers, int64_t stages);

/* Prints the option table as `deepflow help config` shows it. */
void df_cfg_print_help(FILE *out);

/* Writes the configuration as one combined file that reads back to the same numbers. Leaves out
 * options at their preset. */
void df_cfg_write(const df_cfg *cfg, FILE *out);

/* Words of the files for enums, for printing. */
const char *df_mem_type_name(df_mem_type type);
const char *df_scope_name(df_scope scope);
const char *df_mode_name(df_mode mode);
const char *df_arch_name(df_arch arch);
/* analytical, hybrid, full_astrasim_hierarchical, full_astrasim_flattened. */
const char *df_backend_name(const df_cfg_backend *backend);
/* Whether communication is simulated, not in closed form. */
bool df_backend_simulates(const df_cfg_backend *backend);

/* What the device's constants rest on: as the file says, or measured where the file has them. */
df_basis df_cfg_basis(const df_cfg *cfg);

/* Formats as the file says, or that of tensors; activations, logits and attention of tensors in
 * fewer than 16 bits are in bf16, and weights are kept as products have them. */
void df_cfg_formats_of(const df_cfg *cfg, df_cfg_formats *out);
/* Bytes of an element, with its share of its block's scales. */
double df_format_bytes(df_format format);
/* As files write it; and the key of tech_param.core.format_rate that has its rate, NULL for bf16.
 */
const char *df_format_name(df_format format);
const char *df_format_rate_key(df_format format);
/* Dense rate of products in a format over bf16's; 0: the device has none. */
double df_format_rate(const df_cfg_core *core, df_format format);

/* num_nodes * num_devices_per_node. */
int64_t df_cfg_workers(const df_cfg *cfg);

#endif
