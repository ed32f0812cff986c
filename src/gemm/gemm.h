/* gemm.h: time and traffic of one tiled GEMM on one device, and the roofline
 * that all operators share. No I/O, no MPI, no allocation outside _new. */
#ifndef DF_GEMM_H
#define DF_GEMM_H
#include "base/status.h"
#include "hw/hw.h"

typedef struct {
    double m, k, n; /* C[m,n] += A[m,k] B[k,n]; fractions are allowed */
} df_gemm_shape;

typedef enum { DF_LOOP_M, DF_LOOP_K, DF_LOOP_N } df_gemm_loop; /* innermost loop over tiles */

typedef struct {
    double m, k, n;
} df_gemm_tile;

typedef struct {
    double time_s; /* with launch overhead */
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [0] register file, [3] DRAM */
    df_gemm_loop inner;
    df_gemm_tile l0, l1, l2; /* as enumerated, not clipped to the shape */
} df_gemm_cost;

/* Anything that can time a GEMM: the tile search below, a measured table, ... */
typedef struct df_gemm_model df_gemm_model;
struct df_gemm_model {
    /* Called once for each new device, before solve. Must not allocate. */
    df_status (*prepare)(df_gemm_model *self,
                         const df_hw_device *dev,
                         const df_rules *rules,
                         df_err *err);
    /* Time with launch overhead; the rest of *out as far as the model knows it. */
    df_status (*solve)(df_gemm_model *self,
                       const df_gemm_shape *shape,
                       df_gemm_cost *out,
                       df_err *err);
    void (*free)(df_gemm_model *self);
};

/* The tile search (docs/models.md). One per thread; NULL when out of memory.
 * prepare: DF_INFEASIBLE when a level that tiles are drawn for has no capacity.
 * solve: DF_EINVAL for a dimension that is not > 0. Ties go to the least
 * hypot(DRAM, L2 traffic), then to the first drawn. */
df_gemm_model *df_gemm_tiled_new(void);

enum { DF_TILES = 20 };

/* The tile candidates of a memory level, in the order of drawing. `elems` is the
 * capacity of one bundle's share in elements, `square` the square tile's edge.
 * Level 2 stores past the cache, which lets its third dimension be larger.
 * Returns how many (at most DF_TILES, fewer where there are not so many), 0 when
 * the capacity is too small for any. */
int df_gemm_tiles(int level, double elems, double square, df_gemm_tile tiles[DF_TILES]);

/* Roofline over all levels (Williams et al., CACM 52(4), 2009): the largest over
 * the levels of bytes/bandwidth + latency where the operator is memory bound
 * there, else of flops/throughput. inf where a needed rate is 0. */
double df_roof_levels(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS]);

/* Roofline of an operator that streams `bytes` once (pointwise work). The
 * reference counts them against the register file (rule pointwise_on_registers,
 * a fraction of a byte cut off); corrected: against the DRAM. */
double df_roof_stream(const df_hw_device *dev, const df_rules *rules, double flops, double bytes);

#endif
