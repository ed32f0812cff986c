/* calibrated.h: prices of operators by kernels that were measured (kernels/kernels.h), for the
 * calibrated rules. */
#ifndef DF_COST_CALIBRATED_H
#define DF_COST_CALIBRATED_H
#include "cost/cost.h"
#include "kernels/memo.h"

/* ---- The network ---- */

/* The machine around a card: devices that fast links join, and the port by which each leaves. */
typedef struct {
    double node;            /* devices that the links join */
    double devices;         /* in all */
    double inside[DF_AXES]; /* members of a group along an axis that are in one node */
    double port_bytes_ps;   /* usable, of a device */
    double step_s;          /* of a ring between nodes */
    double message_s;       /* between stages */
    bool pooled;            /* all rings of a node share its ports */
} df_fabric;

/* As cfg->system, cfg->sched and the technology say: axes lie tp, cp, dp, pp, innermost first. */
void df_fabric_of(const df_cfg *cfg, const df_hw_device *dev, df_fabric *out);

/* ---- Prices ---- */

typedef struct {
    df_card card;
    df_load load;
    df_fabric fabric;
    bool transformer; /* rows of operators are df_row_name, not those of another model */
    const df_gemm_kernel *product; /* of products with weights */
    const df_gemm_kernel *logits;  /* of the last one; NULL: in bf16 */
    const df_gemm_kernel *heads;   /* of attention where it is products; NULL: in bf16 */
    double weight_bytes;   /* of an element in memory where that is not the product's format; 0 */
    double result_bytes;   /* of an element of products' results; 0: 16 bits */
    double logit_bytes;    /* the same of the last one */
    double low_share;      /* of their time in that format; the rest is in bf16 */
    double quantise;       /* factor */
    double prompt_share;   /* forward rate of attention over the measured kernel's */
    double prompt_back;    /* backward rate over the forward one */
    double prompt_balance; /* time of a device that shares a causal mask over its share */
    bool prompt_writes;    /* keys and values go to a cache */
    df_format attention;   /* of queries, keys and values */
    bool fp8_cache;
    df_decode_kernel decode;
    double stream_share;
    df_comm_library all_reduce;
    df_kernel_memo *memo; /* of the card and the load; NULL: every kernel is computed */
    bool block_scales;    /* the format of products has a scale for each block: mxfp8 */
    bool frozen;          /* weights have no gradients */
    bool behind;   /* keys that have no query are of tokens in the cache, not of other devices */
    bool host_bus; /* collectives that leave a node go through the host where ports are pooled */
} df_calibrated;

extern const df_cost_model df_cost_calibrated;

/* A collective of `bytes` among n devices, `inside` of them in each node, beside so many `rings` of
 * the same kind that leave the node; and a hop between stages. */
double df_calibrated_ring_s(
    const df_calibrated *c, df_coll_kind kind, double bytes, double n, double inside, double rings);

/* Bytes a second of an endless gather among n devices of a node, and of the port for a ring. */
double df_calibrated_link_bytes_ps(const df_calibrated *c, double n);
double df_calibrated_port_bytes_ps(const df_calibrated *c, double inside, double rings);

double df_calibrated_stream_s(const df_calibrated *c, double bytes, double kernels);

/* One product, forward. */
double df_calibrated_gemm_s(const df_calibrated *c,
                            const df_gemm_kernel *kernel,
                            const df_matmul *p,
                            const df_matmul_bytes *bytes);

#endif
