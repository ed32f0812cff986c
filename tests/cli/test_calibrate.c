/* deepflow calibrate: a section for the file of a device out of measured rows. */
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

#define GEMMS DF_CONFIGS "/validation/ops_gemm.csv"
#define TOKENS DF_CONFIGS "/validation/ops_attention_decode.csv"
#define A100 DF_CONFIGS "/hardware/a100_80gb.yaml"

static double number_after(const char *text, const char *word)
{
    const char *const at = strstr(text, word);
    assert_non_null(at);
    return strtod(at + strlen(word), NULL);
}

/* The fit of all three cards at once, from other starts and by another program, gave A100 these:
 * its own rows alone say the same. */
static void a_card_that_was_fitted_stays_as_it_is(void **state)
{
    (void)state;
    df_outcome o = df_program("calibrate --hardware_config " A100 " " GEMMS " " TOKENS
                              " --device A100-SXM4-80GB --quality trusted");
    assert_int_equal(o.exit_code, 0);
    df_assert_rel(number_after(o.out, "gemm: {kernel: "), 2.531e-6, 0.02);
    df_assert_rel(number_after(o.out, "tensor: "), 0.9309, 0.02);
    df_assert_rel(number_after(o.out, "l2_share: "), 0.6242, 0.02);
    df_assert_rel(number_after(o.out, "decode: {fixed: "), 6.138e-6, 0.05);
    df_assert_rel(number_after(o.out, "sm_bytes_per_cycle: "), 16.99, 0.05);
    df_outcome_free(&o);
}

/* B200's constants by rule are 13 % off its products, and 9 % with its own. What is written can be
 * put into a file. */
static void another_card_gets_its_own(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    char path[512];
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments,
             "calibrate --hardware_config " DF_CONFIGS "/hardware/b200_sxm.yaml " DF_CONFIGS
             "/validation/ops_gemm_b200.csv --quality trusted -o %s/calibration.yaml",
             dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    snprintf(path, sizeof path, "%s/calibration.yaml", dir);
    char *const section = df_read_file(path);
    assert_in_range((long)number_after(section, "before "), 11, 14);
    assert_in_range((long)number_after(section, "not seen "), 7, 10);
    char *const text = malloc(strlen(section) + 32);
    sprintf(text, "device: b200_sxm\n%s", section);
    snprintf(path, sizeof path, "%s/mine.yaml", dir);
    df_write_file(path, text);
    snprintf(arguments, sizeof arguments,
             "gemm --hardware_config %s --m 64 --n 64 --k 64 --rules calibrated", path);
    o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "measured on a card with the same chip"));
    df_outcome_free(&o);
    free(section);
    free(text);
    df_remove_dir(dir);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    df_refuse("calibrate --hardware_config " A100 " " GEMMS, 2,
              "expected rows of one device, found A100-SXM4-80GB and H100-SXM5-80GB");
    df_refuse("calibrate --hardware_config " A100 " " GEMMS " " GEMMS " --device L40S", 2,
              "expected one file of gemm, found");
    df_refuse("calibrate --hardware_config " A100 " " GEMMS " --device none", 2,
              "gemm: expected at least 10 measured rows for 5 constants, found 0");
    df_refuse("calibrate --hardware_config " A100 " " DF_CONFIGS "/validation/models.csv", 2,
              "models.csv: expected the columns of a measured operator and time_s");
    df_refuse("calibrate --hardware_config " A100 " " GEMMS
              " --device H100-SXM5-80GB --quality trusted",
              3, "has no rate for fp8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_that_was_fitted_stays_as_it_is),
        cmocka_unit_test(another_card_gets_its_own),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
