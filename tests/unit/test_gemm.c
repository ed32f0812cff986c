/* The tile search against trying every tiling, and what it refuses. */
#include <math.h>
#include <string.h>

#include "gemm/gemm.h"
#include "gemm/tiles.h"
#include "hw/roof.h"
#include "support/support.h"

typedef struct {
    double time_s, metric;
} answer;

static const df_gemm_traffic reference = {
    .output_uncounted = true, .reuse_floored = true, .output_takes_no_room = true};
static const df_gemm_traffic corrected = {false};

/* tests/data/hardware.yaml by the rules of that traffic. */
static df_hw_device device(const df_gemm_traffic *traffic)
{
    df_cfg cfg;
    df_err err;
    df_hw_device dev;
    const df_rules rules = traffic == &reference ? df_rules_reference() : df_rules_corrected();
    if (df_cfg_load(DF_TEST_DATA "/data/hardware.yaml", NULL, DF_CFG_NEED_HARDWARE, &cfg, &err) !=
            DF_OK ||
        df_hw_derive(&cfg, &rules, &dev, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return dev;
}

static double passes(double length, double tile, bool floored)
{
    return floored ? fmax(floor(length / tile), 1) : ceil(length / tile);
}

/* Bytes of DRAM, L2 and L1 of one tiling, as docs/models.md has them. */
static void traffic(const df_hw_device *dev,
                    const df_gemm_traffic *counting,
                    const df_gemm_shape *s,
                    const df_gemm_tile tile[2], /* level 1, level 2 */
                    df_gemm_loop loop,
                    double bytes[DF_HW_LEVELS])
{
    const double q = dev->elem_bytes;
    const double m2 = fmin(tile[1].m, s->m);
    const double k2 = fmin(tile[1].k, s->k);
    const double n2 = fmin(tile[1].n, s->n);
    const double m1 = fmin(tile[0].m, m2);
    const double k1 = fmin(tile[0].k, k2);
    const double n1 = fmin(tile[0].n, n2);
    const double tm = ceil(s->m / m2);
    const double tk = ceil(s->k / k2);
    const double tn = ceil(s->n / n2);
    const double all = tm * tk * tn;
    const double rm = ceil(m2 / m1);
    const double rk = ceil(k2 / k1);
    const double rn = ceil(n2 / n1);
    const bool floored = counting->reuse_floored;
    const double a_passes = loop == DF_LOOP_N ? 1 : passes(s->n, n2, floored);
    const double b_passes = loop == DF_LOOP_M ? 1 : passes(s->m, m2, floored);
    const double c_passes = loop == DF_LOOP_K ? 1 : passes(s->k, k2, floored);
    const double whole = (s->m * s->k + s->k * s->n + s->m * s->n) * q;
    bytes[1] = ((m1 * k1 + k1 * n1) * rm * rn * rk + m1 * n1 * rm * rn) * q * all;
    bytes[2] = (loop == DF_LOOP_N ? tm * tk : all * rn) * m2 * k2 * q +
               (loop == DF_LOOP_M ? tk * tn : all * rm) * k2 * n2 * q +
               (loop == DF_LOOP_K ? tm * tn : all * rk) * 2 * m2 * n2 * q;
    bytes[3] = a_passes * s->m * s->k * q + b_passes * s->k * s->n * q;
    if (!counting->output_uncounted || whole > dev->mem[3].size_per_bundle_bytes) {
        bytes[3] += c_passes * s->m * s->n * q;
    }
    const double bundles = fmax(dev->core.num_bundle, 1);
    if (dev->mem[1].copies > 1) {
        bytes[1] /= fmin(bundles, all); /* of one bundle at work */
    } else {
        bytes[1] *= bundles / fmin(bundles, rm * rn); /* in that share of the bundles */
    }
}

/* Tries everything. The register traffic is the solver's own: it is the same for all. */
static answer try_all(const df_hw_device *dev,
                      const df_gemm_traffic *counting,
                      const df_gemm_shape *s,
                      double sys_bytes)
{
    df_gemm_tile tiles[2][DF_TILES];
    int count[2];
    df_tile_stream stream;
    df_tile_stream_init(&stream);
    for (int level = 1; level <= 2; level++) {
        const df_hw_mem *mem = &dev->mem[level];
        count[level - 1] = df_tile_draw(&stream, level, counting->output_takes_no_room,
                                        mem->size_per_bundle_bytes / dev->elem_bytes, mem->tile_dim,
                                        tiles[level - 1]);
    }
    const double flops = s->m * s->n * (2 * s->k - 1);
    answer best = {HUGE_VAL, HUGE_VAL};
    for (int y = 0; y < count[0]; y++) {
        for (int z = 0; z < count[1]; z++) {
            for (int loop = DF_LOOP_M; loop <= DF_LOOP_N; loop++) {
                const df_gemm_tile pair[2] = {tiles[0][y], tiles[1][z]};
                double bytes[DF_HW_LEVELS] = {sys_bytes, 0, 0, 0};
                traffic(dev, counting, s, pair, (df_gemm_loop)loop, bytes);
                const double time_s = df_roof_levels(dev, flops, bytes);
                const double metric = hypot(bytes[2], bytes[3]);
                if (time_s < best.time_s || (time_s == best.time_s && metric < best.metric)) {
                    best = (answer){time_s, metric};
                }
            }
        }
    }
    return best;
}

static void compare(df_gemm_search *gemm,
                    const df_hw_device *dev,
                    const df_gemm_traffic *counting,
                    const df_gemm_shape *shape)
{
    df_gemm_cost cost;
    df_err err;
    assert_int_equal(df_gemm_search_use(gemm, dev, counting, &err), DF_OK);
    assert_int_equal(df_gemm_search_solve(gemm, shape, &cost, &err), DF_OK);
    const answer expected = try_all(dev, counting, shape, cost.traffic_bytes[0]);
    df_assert_rel(cost.time_s, expected.time_s, 1e-12);
    df_assert_rel(hypot(cost.traffic_bytes[2], cost.traffic_bytes[3]), expected.metric, 1e-9);
}

/* All innermost loops are open with dataflow none; shapes are odd on purpose. */
static void search_finds_what_trying_all_finds(void **state)
{
    (void)state;
    static const double edges[] = {1, 3, 17, 128, 1000, 4097, 50000};
    enum { EDGES = sizeof edges / sizeof edges[0] };
    df_gemm_search *gemm = df_gemm_search_new();
    assert_non_null(gemm);
    df_hw_device as_reference = device(&reference);
    df_hw_device as_corrected = device(&corrected);
    as_reference.dataflow = DF_FLOW_NONE;
    as_corrected.dataflow = DF_FLOW_NONE;
    for (int i = 0; i < EDGES * EDGES * EDGES; i++) {
        const df_gemm_shape shape = {edges[i % EDGES], edges[i / EDGES % EDGES],
                                     edges[i / EDGES / EDGES]};
        compare(gemm, &as_reference, &reference, &shape);
        compare(gemm, &as_corrected, &corrected, &shape);
    }
    df_gemm_search_free(gemm);
}

/* Slow memories one by one, so that each level decides at times. */
static void search_holds_whatever_level_binds(void **state)
{
    (void)state;
    static const double slower[] = {1, 30, 1000};
    df_gemm_search *gemm = df_gemm_search_new();
    assert_non_null(gemm);
    for (int i = 0; i < 54; i++) {
        const df_gemm_traffic *const rules = i < 27 ? &reference : &corrected;
        df_hw_device dev = device(rules);
        dev.dataflow = DF_FLOW_NONE;
        dev.mem[1].throughput_bytes_ps /= slower[i % 3];
        dev.mem[2].throughput_bytes_ps /= slower[i / 3 % 3];
        dev.mem[3].throughput_bytes_ps /= slower[i / 9 % 3];
        dev.mem[2].size_per_bundle_bytes /= 1 + i % 27;
        compare(gemm, &dev, rules, &(df_gemm_shape){777, 2385, 1211});
        compare(gemm, &dev, rules, &(df_gemm_shape){64.5, 2385, 10.25});
    }
    df_gemm_search_free(gemm);
}

static void dimensions_must_be_positive(void **state)
{
    (void)state;
    const df_hw_device dev = device(&corrected);
    df_gemm_search *gemm = df_gemm_search_new();
    df_gemm_cost cost;
    df_err err;
    assert_non_null(gemm);
    assert_int_equal(df_gemm_search_use(gemm, &dev, &corrected, &err), DF_OK);
    static const df_gemm_shape bad[] = {{0, 1, 1}, {1, -1, 1}, {1, 1, NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(df_gemm_search_solve(gemm, &bad[i], &cost, &err), DF_EINVAL);
    }
    df_gemm_search_free(gemm);
}

static void a_memory_without_room_is_infeasible(void **state)
{
    (void)state;
    df_hw_device dev = device(&corrected);
    df_gemm_search *gemm = df_gemm_search_new();
    df_err err;
    assert_non_null(gemm);
    dev.mem[1].size_per_bundle_bytes = 2; /* one element of fp16 */
    assert_int_equal(df_gemm_search_use(gemm, &dev, &corrected, &err), DF_INFEASIBLE);
    assert_non_null(strstr(err.text, "SRAM-L1"));
    df_gemm_search_free(gemm);
}

/* With S elements of fast memory a product moves at least 2 m n k / sqrt(S) - 2 S elements
 * (Smith, Lowery, Langou, van de Geijn, arXiv:1702.02017). */
static void dram_traffic_is_above_the_lower_bound(void **state)
{
    (void)state;
    static const double kib[] = {16, 100, 1024, 40 * 1024, 1000 * 1024};
    static const double edges[] = {7, 512, 4096, 16384, 65536, 100000};
    enum { EDGES = sizeof edges / sizeof edges[0], CASES = EDGES * EDGES * EDGES };
    df_gemm_search *gemm = df_gemm_search_new();
    df_hw_device dev = device(&corrected);
    assert_non_null(gemm);
    dev.dataflow = DF_FLOW_NONE;
    for (int i = 0; i < CASES * 5; i++) {
        const df_gemm_shape s = {edges[i % EDGES], edges[i / EDGES % EDGES],
                                 edges[i / EDGES / EDGES % EDGES]};
        const double l2_bytes = kib[i / CASES] * 1024;
        const double elems = l2_bytes / dev.elem_bytes;
        df_gemm_cost cost;
        df_err err;
        dev.mem[2].size_bytes = l2_bytes;
        dev.mem[2].size_per_bundle_bytes = l2_bytes;
        dev.mem[2].tile_dim = exp2(floor(log2(sqrt(elems / 3))));
        assert_int_equal(df_gemm_search_use(gemm, &dev, &corrected, &err), DF_OK);
        assert_int_equal(df_gemm_search_solve(gemm, &s, &cost, &err), DF_OK);
        const double least = 2 * s.m * s.k * s.n / sqrt(elems) - 2 * elems;
        assert_true(cost.traffic_bytes[3] >= least * dev.elem_bytes);
    }
    df_gemm_search_free(gemm);
}

/* Few distinct tiles exist in a small memory: all of them, once each, and no endless
 * search for a twentieth. */
static void small_memories_have_fewer_candidates(void **state)
{
    (void)state;
    df_tile_stream stream;
    df_tile_stream_init(&stream);
    for (int half = 4; half < 140; half++) {
        df_gemm_tile tiles[DF_TILES];
        const int count = df_tile_draw(&stream, 1, true, 0.5 * half, 1, tiles);
        assert_in_range(count, 1, DF_TILES);
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < i; j++) {
                assert_memory_not_equal(&tiles[i], &tiles[j], sizeof tiles[i]);
            }
        }
    }
    df_gemm_tile tiles[DF_TILES];
    assert_int_equal(df_tile_draw(&stream, 1, true, 1.5, 1, tiles), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_finds_what_trying_all_finds),
        cmocka_unit_test(search_holds_whatever_level_binds),
        cmocka_unit_test(dram_traffic_is_above_the_lower_bound),
        cmocka_unit_test(dimensions_must_be_positive),
        cmocka_unit_test(a_memory_without_room_is_infeasible),
        cmocka_unit_test(small_memories_have_fewer_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
