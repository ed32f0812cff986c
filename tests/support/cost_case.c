#include "support/cost_case.h"

#include <math.h>

#include "hw/roof.h"
#include "support/support.h"

double df_case_stream_s(const df_hw_device *dev, const df_rules *rules, double flops, double bytes)
{
    return rules->pointwise_on_registers ? df_roof_level(dev, 0, flops, trunc(bytes))
                                         : df_roof_level(dev, DF_HW_LEVELS - 1, flops, bytes);
}

df_gemm_cost
df_case_gemm(const df_hw_device *dev, const df_rules *rules, double m, double k, double n)
{
    const df_gemm_traffic traffic = df_compat_gemm_traffic(rules);
    const df_gemm_shape shape = {m, k, n};
    df_gemm_search *const search = df_gemm_search_new();
    df_gemm_cost cost;
    assert_non_null(search);
    assert_int_equal(df_gemm_search_use(search, dev, &traffic, NULL), DF_OK);
    assert_int_equal(df_gemm_search_solve(search, &shape, &cost, NULL), DF_OK);
    df_gemm_search_free(search);
    return cost;
}

double df_case_ring_s(const df_hw_device *dev,
                      const df_rules *rules,
                      df_mode mode,
                      const df_op_collective *what,
                      const df_topo_group *group)
{
    return df_compat_collective_s(rules, mode, dev, what, group);
}
