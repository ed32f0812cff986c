/* gemm_cache.h: solved GEMMs, kept by shape, device and the way in which traffic is counted.
 * Bounded: a new result takes the place of an old one. One per thread. */
#ifndef DF_GEMM_CACHE_H
#define DF_GEMM_CACHE_H
#include "gemm/gemm.h"

typedef struct df_gemm_cache df_gemm_cache;

/* NULL when out of memory. */
df_gemm_cache *df_gemm_cache_new(void);
void df_gemm_cache_free(df_gemm_cache *cache);

/* Forgets all results. */
void df_gemm_cache_clear(df_gemm_cache *cache);

/* Selects the device on which GEMMs run from now on. Remembers the last few devices. Does not
 * allocate. */
void df_gemm_cache_use(df_gemm_cache *cache,
                       const df_hw_device *dev,
                       const df_gemm_traffic *traffic);

/* As df_gemm_search_use and df_gemm_search_solve. */
DF_NODISCARD df_status df_gemm_cache_solve(df_gemm_cache *cache,
                                           const df_gemm_shape *shape,
                                           df_gemm_cost *out,
                                           df_err *err);

/* As df_gemm_search_least_l1_bytes. Errors: those of df_gemm_search_use. */
DF_NODISCARD df_status df_gemm_cache_least_l1_bytes(df_gemm_cache *cache,
                                                    const df_gemm_shape *shape,
                                                    double *bytes,
                                                    df_err *err);

#endif
