/* kernels.h: seconds of one kernel on a card: a product, attention, an expert layer, a collective
 * inside a node.
 *
 * Closed forms with few constants, fitted to measured kernels (config/cfg_calibration.h). Those of
 * a card are shares of its data sheet or times of its software, so that they hold for hypothetical
 * cards as well. docs/calibrated.md has the equations. Nothing is allocated. */
#ifndef DF_KERNELS_H
#define DF_KERNELS_H
#include "hw/hw.h"

/* ---- Cards ---- */

typedef struct {
    /* the data sheet */
    double bundles;  /* streaming multiprocessors */
    double clock_hz; /* of the peak */
    double flops_ps; /* dense, bf16 */
    double dram_bytes_ps;
    double l2_bytes; /* of which 10^6 are a MB */
    double l2_bytes_ps;
    double link_bytes_ps;           /* all links together, one direction */
    double format_rate[DF_FORMATS]; /* dense rate over bf16's; 0: none */
    bool in_switch;                 /* the switch of a node adds up */
    /* what it reaches of it */
    df_arch like;
    df_basis basis;
    df_calibration is;
    df_calibration_shared shared;
} df_card;

/* The card that a device of *cfg is, whose budgets a search may have divided otherwise. `util` of
 * core, L2, DRAM and links is not applied: the constants have what a card reaches. */
void df_card_of(const df_cfg *cfg, const df_hw_device *dev, df_card *card);

/* Completes a card whose data sheet, `like` and `basis` are set, and whose constants are those of
 * `like`: with those that `own` gives (NULL: none), and those that follow from the data sheet. */
void df_calibration_complete(df_card *card, const df_calibration *own);

/* Slowdown of long products as a profile has it: a number, or a df_throttle_of. */
double df_card_throttle(const df_card *card, double profile);

/* The constants of a measured architecture, and those that all have in common. */
void df_calibration_of(df_arch like, df_calibration *out);
void df_calibration_shared_preset(df_calibration_shared *out);

/* ---- Products ---- */

typedef enum {
    DF_TILES_CUBLAS,    /* with splits along k */
    DF_TILES_FP8_ROWS,  /* of serving engines */
    DF_TILES_FP8_LARGE, /* of training libraries */
    DF_TILES_BLOCK,     /* block-scaled */
} df_tiles;

/* Which tiles run side by side. */
typedef enum { DF_RASTER_SQUARE, DF_RASTER_ROWS } df_raster;

/* How a library computes products of a format. */
typedef struct {
    const char *name;
    df_format format;
    df_tiles tiles;
    df_raster raster;
    double operand_bytes;  /* of an element, with its scales */
    double rate[DF_ARCHS]; /* of the card's tensor rate; 0: the constant of its format */
    bool throttled;        /* it draws enough power for the clock to fall */
} df_gemm_kernel;

typedef enum {
    DF_GEMM_CUBLAS,
    DF_GEMM_TF32,
    DF_GEMM_FP8_MEASURED,
    DF_GEMM_FP8_VENDOR,
    DF_GEMM_FP8_TRAINING,
    DF_GEMM_FP8_BLOCK,
    DF_GEMM_NVFP4_MEASURED,
    DF_GEMM_NVFP4_TRAINING,
    /* of formats of which no product was measured: as those above, at their own rates */
    DF_GEMM_FP32,
    DF_GEMM_INT8_MEASURED,
    DF_GEMM_INT8_VENDOR,
    DF_GEMM_INT8_TRAINING,
    DF_GEMM_MXFP4_MEASURED,
    DF_GEMM_MXFP4_TRAINING,
    DF_GEMM_INT4_MEASURED,
    DF_GEMM_INT4_TRAINING,
    DF_GEMM_KERNELS
} df_gemm_kernel_id;
extern const df_gemm_kernel df_gemm_kernels[DF_GEMM_KERNELS];

/* The kernel of products in a format; `low` says whose it is where that has less than 16 bits. */
const df_gemm_kernel *df_gemm_kernel_of(df_format format, df_low_kernel low);

/* How long the card has been busy, and what of it is in the L2. */
typedef struct {
    bool sustained;      /* a model that runs for seconds: the clock that its power allows */
    bool throttle_after; /* sustained: the slowdown counts after the wait for the DRAM, not inside;
                            kernels alone have it after in any case */
    double throttle;     /* in place of the card's; < 0: the card's */
    double ws_over_l2;   /* bytes that are cycled through over the L2; inf: nothing is resident;
                            < 0: a product's own matrices, as when it is repeated alone */
    bool as_fitted;      /* what is resident in the L2 comes as slowly as was fitted, even where the
                            DRAM is faster; else the faster of the two counts, so that a larger L2
                            never makes a kernel slower. Weights of experts may be, also of a model
                            that runs for seconds */
} df_load;

extern const df_load df_load_sustained;

/* C[m,n] = A[m,k] B[k,n], `count` times in one launch. */
typedef struct {
    double m, n, k, count;
    double quantise; /* of A: 1, or 0 where that was done before; a factor between */
} df_matmul;

/* Bytes of elements in memory. */
typedef struct {
    double b; /* which the bundles convert; 0: as the kernel has it */
    double c; /* 0: 16 bits */
} df_matmul_bytes;

/* How a library computes a product: the fastest tile, and the blocks that share k. */
typedef struct {
    double time_s;
    double rows, columns, split;
    double dram_bytes; /* that the tiles take in, and the output */
} df_tiling;

df_tiling df_kernel_gemm(const df_card *card,
                         const df_gemm_kernel *kernel,
                         const df_load *load,
                         const df_matmul *product);

/* The same with numbers in memory in formats of their own. */
df_tiling df_kernel_gemm_in(const df_card *card,
                            const df_gemm_kernel *kernel,
                            const df_load *load,
                            const df_matmul *product,
                            const df_matmul_bytes *bytes);

/* Kernels of a product: one, and one that quantises. */
double df_kernel_gemm_launches(const df_gemm_kernel *kernel, const df_matmul *product);

/* Seconds of a product. HUGE_VAL: the card has no rate for the format. */
double df_kernel_gemm_s(const df_card *card,
                        const df_gemm_kernel *kernel,
                        const df_load *load,
                        const df_matmul *product);

/* ---- Attention ---- */

/* `sequences` of `fresh` new tokens behind `cached` ones, causal. */
typedef struct {
    double sequences, fresh, cached;
    double heads, kv_heads, head_dim;
    bool fp8;
    df_format format; /* of queries, keys and values where it is neither bf16 nor fp8 */
} df_prompt;

/* Seconds of its kernel in three parts: what a launch takes, the kernel, and the write of keys and
 * values to a cache. */
typedef struct {
    double fixed_s, body_s, write_s;
} df_prompt_time;

df_prompt_time df_kernel_prompt(const df_card *card, const df_load *load, const df_prompt *prompt);

/* How engines run the attention of single tokens. */
typedef struct {
    const char *name;
    bool whole_waves;    /* else the last one is as full as it is: sequences differ in length */
    bool split_mha;      /* keys are split also where each head has its own */
    bool packing_copies; /* a group's queries are copied beside each other */
    bool fp8_convert;    /* a bundle converts an fp8 cache */
} df_decode_kernel;

/* The kernel that was measured, which differs by architecture, and that of serving engines. */
df_decode_kernel df_decode_measured(const df_card *card);
extern const df_decode_kernel df_decode_serving;

/* One token of each of `sequences`, whose caches hold `context` on average. */
typedef struct {
    double sequences, context;
    double heads, kv_heads, head_dim;
    bool fp8_cache;
} df_token;

double df_kernel_decode_s(const df_card *card,
                          const df_decode_kernel *kernel,
                          const df_load *load,
                          const df_token *token);

/* ---- Experts ---- */

/* A gated expert layer: router excluded, two grouped products, activation, sum. */
typedef struct {
    double tokens, hidden, width; /* of an expert, on this device */
    double experts, top_k;
    bool skewed; /* some experts are asked more often */
    bool block_fp8;
    double active;       /* experts that get a token; 0: by tokens and routing */
    double rows;         /* tokens times top_k; 0: of these */
    double weight_bytes; /* of an element in memory; 0: as products have it */
} df_experts;

double df_kernel_experts_s(const df_card *card, const df_load *load, const df_experts *experts);

/* ---- Collectives inside a node ---- */

typedef enum {
    DF_COMM_ALL_REDUCE,
    DF_COMM_ALL_GATHER,
    DF_COMM_REDUCE_SCATTER,
    DF_COMM_ALL_TO_ALL,
} df_comm_kind;

typedef enum { DF_COMM_NCCL, DF_COMM_SGLANG, DF_COMM_TRTLLM } df_comm_library;

/* Seconds among n members: of an all-reduce the buffer, of an all-gather the result, of the others
 * the input in bytes. HUGE_VAL without links. */
double df_kernel_comm_s(
    const df_card *card, df_comm_library library, df_comm_kind kind, double n, double bytes);

/* ---- Streams ---- */

/* Pointwise work that streams through the DRAM at `share` of its data sheet, in so many kernels. */
double df_kernel_stream_s(const df_card *card, double share, double bytes, double kernels);

#endif
