/* cost.h: seconds and traffic of operators on one device.
 *
 * A cost model is a table of functions. df_cost_roofline is what an ideal device does: rooflines,
 * the tile search, FlashAttention, rings. Collectives can be simulated instead (cost/simulated.h),
 * whatever the model. */
#ifndef DF_COST_H
#define DF_COST_H
#include "gemm/gemm_cache.h"
#include "op/op.h"
#include "topo/topo.h"

typedef struct {
    double time_s;   /* launches included */
    double launch_s; /* the part of the time that launches take */
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [0] registers, [3] DRAM */
    double sent_bytes, sent_j;          /* what each device sends in a collective */
} df_price;

typedef struct df_coster df_coster;

/* Each function prices one operator of its kind, including `repeats` and launches. They are given a
 * zeroed price and fill only what is not 0. */
typedef struct {
    df_status (*gemm)(const df_coster *c, const df_op *op, df_price *price);
    df_status (*attention)(const df_coster *c, const df_op *op, df_price *price);
    double (*stream_s)(const df_coster *c, double flops, double bytes);
    double (*collective_s)(const df_coster *c,
                           const df_op_collective *what,
                           const df_topo_group *group);
    bool launches_inside; /* of the first two: launches are in their times */
} df_cost_model;

extern const df_cost_model df_cost_roofline;

/* How collectives are simulated: cost/simulated.h. */
typedef struct df_simulated df_simulated;

/* What prices depend on. The caller fills it; everything is borrowed. */
struct df_coster {
    const df_cost_model *model;
    const void *options; /* the model's */
    const df_hw_device *dev;
    df_gemm_cache *cache;         /* NULL: GEMMs are not kept */
    const df_gemm_search *search; /* ready for the device, where there is no cache */
    df_topo topo;
    df_simulated *simulated; /* NULL: collectives in closed form */
    bool forward_only; /* the products of gradients are launched but not solved, because nothing
                          needs them */
    double eager_s; /* that the host takes to launch a kernel, where they are launched one by one;
                       0: in a graph. A model of kernels alone asks for it */
    df_err *err;
};

/* Adds `times` a price, all of it. */
void df_price_add(df_price *sum, const df_price *price, double times);

/* A collective in closed form, whatever the backend; 0 for one member alone or no bytes. */
double
df_price_collective_s(const df_coster *c, const df_op_collective *what, const df_topo_group *group);

/* Prices operators: price[i] is that of op[i].
 * DF_INFEASIBLE: the device cannot hold a tile, a transfer has no link. DF_EINVAL: the simulator
 * cannot run a collective.
 * A device that is merely without a rate has infinite times. */
/* Turns a price into that share of it, of time, launches, flops and bytes alike. */
void df_price_take_share(double share, df_price *price);

DF_NODISCARD df_status df_price_ops(const df_coster *c,
                                    const df_op op[],
                                    int count,
                                    df_price price[]);

/* ---- For cost models ---- */

/* A product of the tile search, `repeats` times. */
DF_NODISCARD df_status df_price_gemm(const df_coster *c, const df_op *op, df_price *price);

/* FlashAttention as tiles (Dao et al., NeurIPS 2022; Dao, ICLR 2024): the forward kernel of one
 * device. */
typedef struct {
    double pairs; /* pairs of tiles of queries and of keys, for one head of one sequence */
    df_gemm_cost score, output; /* the two products of a pair */
    double softmax_flops;       /* flops of the softmax of one pair */
    double dram_bytes;          /* queries and outputs, keys and values each once */
} df_flash;

DF_NODISCARD df_status df_flash_tile(const df_coster *c, const df_op_attention *a, df_flash *flash);

/* Flops and traffic of the kernel, `times` over. */
void df_flash_count(const df_flash *flash, const df_op_attention *a, double times, df_price *price);

/* A collective by a ring algorithm in closed form (Thakur et al., IJHPCA 19(1), 2005). A piece is
 * sent, and copied to where the link finds it, `steps` times. `reductions` of the pieces are added
 * to those already there: two are read and one is written. */
typedef struct {
    double steps, sent_bytes, staged_bytes;
    double reductions, reduced_flops, reduced_bytes;
    double launches;
} df_ring;

/* The ring of a collective of `bytes` (op/op.h) among n members, where n > 1. */
df_ring df_ring_of(df_coll_kind kind, double bytes, double n);

/* Its time, where local work streams through `level` of the device. inf on a link of speed 0. */
double
df_ring_time_s(const df_ring *ring, const df_hw_device *dev, int level, const df_hw_link *link);

#endif
