/* Constants from measured kernels: those that times were made with are found again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>

#include "fit/fit.h"
#include "support/support.h"

enum { ROWS = 60 };

static df_card h100(void)
{
    df_card card = {.bundles = 132,
                    .clock_hz = 1.83e9,
                    .flops_ps = 989.4e12,
                    .dram_bytes_ps = 3350e9,
                    .l2_bytes = 50e6,
                    .l2_bytes_ps = 9370e9,
                    .link_bytes_ps = 450e9,
                    .like = DF_ARCH_H100,
                    .basis = DF_BASIS_MEASURED};
    card.format_rate[DF_FORMAT_BF16] = 1;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    return card;
}

/* Products of many sizes on a card whose constants differ; every tenth took three times as long. */
static df_csv *measure(const df_card *card, int rows, const char *dir)
{
    const df_load load = {.throttle = -1, .ws_over_l2 = 100};
    char path[512];
    char *const text = calloc(1, 1 << 16);
    size_t used = (size_t)sprintf(text, "device,dtype,m,n,k,ws_over_l2,time_s,quality\n");
    df_csv *csv;
    df_err err;
    for (int i = 0; i < rows; i++) {
        const double m = 1 << (i % 15);
        const double n = 512 * (1 + i % 7 * (i % 7));
        const double k = 256 * (1 << i % 6);
        const df_matmul product = {.m = m, .n = n, .k = k, .count = 1, .quantise = 1};
        const double time_s =
            df_kernel_gemm_s(card, &df_gemm_kernels[DF_GEMM_CUBLAS], &load, &product);
        used += (size_t)sprintf(text + used, "X,bf16,%.0f,%.0f,%.0f,100,%.9g,trusted\n", m, n, k,
                                i % 10 == 9 ? 3 * time_s : time_s);
    }
    snprintf(path, sizeof path, "%s/gemm.csv", dir);
    df_write_file(path, text);
    free(text);
    assert_int_equal(df_csv_load(path, &csv, &err), DF_OK);
    return csv;
}

static df_status fit(const df_csv *csv, df_card *card, df_fit_result *result, df_err *err)
{
    size_t row[ROWS];
    for (size_t i = 0; i < df_csv_rows(csv); i++) {
        row[i] = i;
    }
    return df_fit_operator(&(df_fit_rows){csv, row, df_csv_rows(csv), DF_VAL_GEMM}, card, result,
                           err);
}

/* Outliers, a tenth of the rows, move nothing by more than a few per cent. */
static void constants_are_found_again(void **state)
{
    (void)state;
    char dir[256];
    df_err err;
    df_fit_result result;
    df_make_dir(dir);
    df_card made = h100();
    made.is.gemm_kernel_s *= 1.5;
    made.is.gemm_tensor *= 0.8;
    made.is.gemm_dram *= 0.9;
    df_csv *const csv = measure(&made, ROWS, dir);
    df_card card = h100();
    assert_int_equal(fit(csv, &card, &result, &err), DF_OK);
    df_assert_rel(card.is.gemm_kernel_s, made.is.gemm_kernel_s, 0.05);
    df_assert_rel(card.is.gemm_tensor, made.is.gemm_tensor, 0.05);
    df_assert_rel(card.is.gemm_dram, made.is.gemm_dram, 0.05);
    assert_int_equal(result.rows, ROWS);
    assert_int_equal(result.constants, 5);
    assert_true(result.before.median > 0.08);
    assert_true(result.after.median < 0.02);
    assert_true(result.crossed.median < 0.03);
    df_csv_free(csv);
    df_remove_dir(dir);
}

static void too_few_rows_are_refused(void **state)
{
    (void)state;
    char dir[256];
    df_err err;
    df_fit_result result;
    df_make_dir(dir);
    df_card card = h100();
    const df_card before = card;
    df_csv *const csv = measure(&card, 9, dir);
    assert_int_equal(fit(csv, &card, &result, &err), DF_EINVAL);
    assert_string_equal(err.text,
                        "gemm: expected at least 10 measured rows for 5 constants, found 9");
    assert_memory_equal(&card, &before, sizeof card);
    df_csv_free(csv);
    df_remove_dir(dir);
}

int main(void)
{
    gsl_set_error_handler_off();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_are_found_again),
        cmocka_unit_test(too_few_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
