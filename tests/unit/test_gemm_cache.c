/* The cache of solved GEMMs: what it returns is what solving returns. */
#include <string.h>

#include "gemm/gemm_cache.h"
#include "support/support.h"

static df_hw_device load(void)
{
    const df_rules rules = df_rules_reference();
    df_cfg cfg;
    df_hw_device dev;
    df_err err;
    if (df_cfg_load(DF_TEST_DATA "/data/hardware.yaml", NULL, DF_CFG_NEED_HARDWARE, &cfg, &err) !=
            DF_OK ||
        df_hw_derive(&cfg, &rules, &dev, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    dev.launch_overhead_s = 0;
    return dev;
}

static double solve(df_gemm_cache *cache, double m, double k, double n)
{
    const df_gemm_shape shape = {m, k, n};
    df_gemm_cost cost;
    df_err err;
    if (df_gemm_cache_solve(cache, &shape, &cost, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cost.time_s;
}

static double
solve_anew(const df_hw_device *dev, const df_gemm_traffic *traffic, double m, double k, double n)
{
    const df_gemm_shape shape = {m, k, n};
    df_gemm_search *const search = df_gemm_search_new();
    df_gemm_cost cost;
    assert_int_equal(df_gemm_search_use(search, dev, traffic, NULL), DF_OK);
    assert_int_equal(df_gemm_search_solve(search, &shape, &cost, NULL), DF_OK);
    df_gemm_search_free(search);
    return cost.time_s;
}

/* More shapes than it has room for, twice; the order of the dimensions counts. */
static void shapes_are_told_apart(void **state)
{
    (void)state;
    const df_gemm_traffic traffic = {.output_uncounted = true, .reuse_floored = true};
    const df_hw_device dev = load();
    df_gemm_cache *const cache = df_gemm_cache_new();
    df_gemm_cache_use(cache, &dev, &traffic);
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 8192; i++) {
            const double m = i;
            const double found = solve(cache, m, 64, 3 * m);
            if (i % 512 == 0) {
                df_assert_rel(found, solve_anew(&dev, &traffic, m, 64, 3 * m), 0);
                df_assert_rel(solve(cache, 3 * m, 64, m), solve_anew(&dev, &traffic, 3 * m, 64, m),
                              0);
                df_assert_rel(solve(cache, m, 3 * m, 64), solve_anew(&dev, &traffic, m, 3 * m, 64),
                              0);
            }
        }
    }
    df_gemm_cache_free(cache);
}

/* More devices than it remembers, in turn; rules that change a GEMM. */
static void devices_are_told_apart(void **state)
{
    (void)state;
    df_gemm_traffic traffic = {.output_uncounted = true, .reuse_floored = true};
    const df_hw_device base = load();
    df_gemm_cache *const cache = df_gemm_cache_new();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 12; i++) {
            df_hw_device dev = base;
            dev.mem[3].throughput_bytes_ps /= 1 + i;
            df_gemm_cache_use(cache, &dev, &traffic);
            df_assert_rel(solve(cache, 64, 4096, 64), solve_anew(&dev, &traffic, 64, 4096, 64), 0);
        }
    }
    df_gemm_cache_use(cache, &base, &traffic);
    const double reference = solve(cache, 64, 64, 65536);
    traffic.output_uncounted = false;
    df_gemm_cache_use(cache, &base, &traffic);
    assert_true(solve(cache, 64, 64, 65536) > reference);
    df_assert_rel(solve(cache, 64, 64, 65536), solve_anew(&base, &traffic, 64, 64, 65536), 0);
    df_gemm_cache_free(cache);
}

/* A device that cannot work does not spoil the next. */
static void failures_are_not_kept(void **state)
{
    (void)state;
    const df_gemm_traffic traffic = {.output_uncounted = true, .reuse_floored = true};
    const df_hw_device good = load();
    df_hw_device bad = good;
    df_gemm_cache *const cache = df_gemm_cache_new();
    df_gemm_cost cost;
    df_err err;
    bad.mem[2].size_per_bundle_bytes = 0;
    df_gemm_cache_use(cache, &bad, &traffic);
    assert_int_equal(df_gemm_cache_solve(cache, &(df_gemm_shape){8, 8, 8}, &cost, &err),
                     DF_INFEASIBLE);
    df_gemm_cache_use(cache, &good, &traffic);
    df_assert_rel(solve(cache, 8, 8, 8), solve_anew(&good, &traffic, 8, 8, 8), 0);
    df_gemm_cache_clear(cache);
    df_assert_rel(solve(cache, 8, 8, 8), solve_anew(&good, &traffic, 8, 8, 8), 0);
    df_gemm_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_told_apart),
        cmocka_unit_test(devices_are_told_apart),
        cmocka_unit_test(failures_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
