/* gemm.h: time and traffic of one tiled GEMM on one device. No I/O, no MPI, no allocation
 * outside _new. docs/models.md. */
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
    double time_s; /* without launch overhead */
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [0] register file, [3] DRAM */
    df_gemm_loop inner;
    df_gemm_tile l0, l1, l2; /* as enumerated, not clipped to the shape */
} df_gemm_cost;

/* How DRAM traffic and the room of tiles are counted; zeroed: all of them. */
typedef struct {
    bool output_uncounted;     /* the output takes none unless the matrices exceed the DRAM */
    bool reuse_floored;        /* passes over a matrix are counted without the last, partial tile */
    bool output_takes_no_room; /* tiles of the output are in no L2, square tiles of it nowhere */
} df_gemm_traffic;

/* The tile search. One per thread; NULL when out of memory. */
typedef struct df_gemm_search df_gemm_search;
df_gemm_search *df_gemm_search_new(void);
void df_gemm_search_free(df_gemm_search *search);

/* Makes ready for a device, before its first GEMM.
 * DF_INFEASIBLE: a level that tiles are drawn for has no capacity. */
DF_NODISCARD df_status df_gemm_search_use(df_gemm_search *search,
                                          const df_hw_device *dev,
                                          const df_gemm_traffic *traffic,
                                          df_err *err);

/* Finds the fastest tiling. Ties go to the least hypot(DRAM, L2 traffic), then to the first
 * drawn. DF_EINVAL: a dimension that is not > 0. */
DF_NODISCARD df_status df_gemm_search_solve(const df_gemm_search *search,
                                            const df_gemm_shape *shape,
                                            df_gemm_cost *out,
                                            df_err *err);

/* The least L1 traffic, in bytes, of any pair of L1 and L2 tiles, for a GEMM inside a larger
 * kernel, which keeps all bundles at work and whose operands do not come from DRAM. If every bundle
 * has the throughput of the L1, it is the traffic of one bundle. */
double df_gemm_search_least_l1_bytes(const df_gemm_search *search, const df_gemm_shape *shape);

#endif
