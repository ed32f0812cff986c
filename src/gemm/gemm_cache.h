/* gemm_cache.h: solved GEMMs, kept by shape, device and rules. Bounded: a new result takes
 * the place of an old one. One per thread. */
#ifndef DF_GEMM_CACHE_H
#define DF_GEMM_CACHE_H
#include "gemm/gemm.h"

typedef struct df_gemm_cache df_gemm_cache;

/* NULL when out of memory. */
df_gemm_cache *df_gemm_cache_new(void);
void df_gemm_cache_free(df_gemm_cache *cache);

/* Forgets all results. */
void df_gemm_cache_clear(df_gemm_cache *cache);

/* From now on GEMMs run on *dev, without launch overhead. Remembers the last few devices. No
 * allocation. */
void df_gemm_cache_use(df_gemm_cache *cache, const df_hw_device *dev, const df_rules *rules);

/* As df_gemm_tiled_new's model, prepare included. */
DF_NODISCARD df_status df_gemm_cache_solve(df_gemm_cache *cache,
                                           const df_gemm_shape *shape,
                                           df_gemm_cost *out,
                                           df_err *err);

/* Least L1 traffic of any pair of L1 and L2 tiles, in bytes of a device's share: for a GEMM
 * inside a larger kernel, whose operands do not come from DRAM. */
double df_gemm_cache_least_l1_bytes(df_gemm_cache *cache, const df_gemm_shape *shape);

#endif
