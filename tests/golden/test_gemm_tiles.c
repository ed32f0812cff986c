/* Tile candidates, and times, traffic and tiles of single GEMMs, against
 * recorded ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "gemm/tiles.h"
#include "golden/cases.h"

enum { MAX_DEVICES = 8 };

static const double TOL = 1e-9;

typedef struct {
    char name[32];
    df_hw_device dev;
} named_device;

typedef struct {
    named_device all[MAX_DEVICES];
    int count;
    df_rules rules;
} devices;

static bool derive_device(const df_case *c, void *context)
{
    devices *to = context;
    df_cfg cfg;
    df_err err = {""};
    assert_in_range(to->count, 0, MAX_DEVICES - 1);
    named_device *next = &to->all[to->count];
    snprintf(next->name, sizeof next->name, "%s", c->name);
    if (df_cfg_parse(&(df_cfg_text){c->hardware, c->name}, NULL, DF_CFG_NEED_HARDWARE, &cfg,
                     &err) != DF_OK ||
        df_hw_derive(&cfg, &to->rules, &next->dev, &err) != DF_OK) {
        print_error("%s\n", err.text);
        return false;
    }
    to->count++;
    return true;
}

static const df_hw_device *find_device(const devices *from, const char *name)
{
    for (int i = 0; i < from->count; i++) {
        if (strcmp(from->all[i].name, name) == 0) {
            return &from->all[i].dev;
        }
    }
    fail_msg("no hardware %s", name);
    return NULL;
}

static bool close_to(const df_csv *row, const char *column, double got)
{
    if (df_case_close(got, df_csv_number(row, column), TOL)) {
        return true;
    }
    print_error("%s of %s x %s x %s on %s is %.17g, expected %s\n", column, df_csv_text(row, "M"),
                df_csv_text(row, "K"), df_csv_text(row, "N"), df_csv_text(row, "hardware"), got,
                df_csv_text(row, column));
    return false;
}

static bool traffic_close(const df_csv *row, const df_gemm_cost *cost)
{
    return close_to(row, "acc_sys", cost->traffic_bytes[0]) &
           close_to(row, "acc_l1", cost->traffic_bytes[1]) &
           close_to(row, "acc_l2", cost->traffic_bytes[2]) &
           close_to(row, "acc_dram", cost->traffic_bytes[3]);
}

/* The recorded tiles are clipped to the shape, level 1 to level 2 besides. */
static bool choice_close(const df_csv *row, const df_gemm_shape *shape, const df_gemm_cost *cost)
{
    static const char *const LOOPS[] = {[DF_LOOP_M] = "m", [DF_LOOP_K] = "k", [DF_LOOP_N] = "n"};
    const df_gemm_tile l2 = {fmin(cost->l2.m, shape->m), fmin(cost->l2.k, shape->k),
                             fmin(cost->l2.n, shape->n)};
    if (strcmp(LOOPS[cost->inner], df_csv_text(row, "inner")) != 0) {
        print_error("inner loop is %s, expected %s\n", LOOPS[cost->inner],
                    df_csv_text(row, "inner"));
        return false;
    }
    return close_to(row, "l2_m", l2.m) & close_to(row, "l2_k", l2.k) & close_to(row, "l2_n", l2.n) &
           close_to(row, "l1_m", fmin(cost->l1.m, l2.m)) &
           close_to(row, "l1_k", fmin(cost->l1.k, l2.k)) &
           close_to(row, "l1_n", fmin(cost->l1.n, l2.n));
}

static bool check_row(const df_csv *row, const devices *all, df_gemm_search *model)
{
    df_err err = {""};
    df_gemm_cost cost;
    const df_gemm_traffic traffic = df_compat_gemm_traffic(&all->rules);
    const df_hw_device *dev = find_device(all, df_csv_text(row, "hardware"));
    const df_gemm_shape shape = {df_csv_number(row, "M"), df_csv_number(row, "K"),
                                 df_csv_number(row, "N")};
    if (df_gemm_search_use(model, dev, &traffic, &err) != DF_OK ||
        df_gemm_search_solve(model, &shape, &cost, &err) != DF_OK) {
        print_error("%s\n", err.text);
        return false;
    }
    bool passed = close_to(row, "time_s", cost.time_s + dev->launch_overhead_s);
    if (df_csv_number(row, "tied_traffics") == 1.0) {
        passed &= traffic_close(row, &cost);
    }
    if (df_csv_number(row, "tied_choices") == 1.0) {
        passed &= choice_close(row, &shape, &cost);
    }
    return passed;
}

static void recorded_gemms_are_met(void **state)
{
    (void)state;
    devices all = {.rules = df_rules_reference()};
    assert_int_equal(df_cases_check("gemm_tiles.txt", derive_device, &all), 7);
    df_gemm_search *model = df_gemm_search_new();
    assert_non_null(model);
    df_csv *csv = df_csv_open("gemm_tiles.csv");
    int rows = 0;
    int failed = 0;
    while (df_csv_next(csv)) {
        failed += !check_row(csv, &all, model);
        rows++;
    }
    df_csv_close(csv);
    df_gemm_search_free(model);
    assert_int_equal(rows, 588);
    assert_int_equal(failed, 0);
}

/* "m/k/n m/k/n ...". Returns how many tiles there are. */
static int read_tiles(const char *text, df_gemm_tile tiles[DF_TILES])
{
    int count = 0;
    while (*text != '\0') {
        assert_in_range(count, 0, DF_TILES - 1);
        double sides[3];
        for (int side = 0; side < 3; side++) {
            char *end;
            sides[side] = strtod(text, &end);
            assert_ptr_not_equal(end, text);
            text = *end == '\0' ? end : end + 1;
        }
        tiles[count++] = (df_gemm_tile){sides[0], sides[1], sides[2]};
    }
    return count;
}

static void recorded_candidates_are_met(void **state)
{
    (void)state;
    df_csv *csv = df_csv_open("tile_candidates.csv");
    int rows = 0;
    df_tile_stream stream;
    df_tile_stream_init(&stream);
    while (df_csv_next(csv)) {
        const double elems =
            df_csv_number(csv, "size_per_bundle") / df_csv_number(csv, "bytes_per_element");
        const int level = (int)df_csv_number(csv, "level");
        df_gemm_tile want[DF_TILES] = {0};
        df_gemm_tile got[DF_TILES] = {0};
        assert_int_equal(read_tiles(df_csv_text(csv, "tiles"), want), DF_TILES);
        /* The square tile is the first candidate. */
        assert_int_equal(df_tile_draw(&stream, level, true, elems, want[0].m, got), DF_TILES);
        for (int i = 0; i < DF_TILES; i++) {
            df_assert_rel(got[i].m, want[i].m, 0.0);
            df_assert_rel(got[i].k, want[i].k, 0.0);
            df_assert_rel(got[i].n, want[i].n, 0.0);
        }
        rows++;
    }
    df_csv_close(csv);
    assert_int_equal(rows, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_candidates_are_met),
        cmocka_unit_test(recorded_gemms_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
