#include "base/mt19937.h"
#include "support/support.h"

/* First outputs of mt19937ar.c's own test, with the key {0x123, 0x234, 0x345, 0x456}. */
static void init_by_array_matches_the_authors_output(void **state)
{
    (void)state;
    const uint32_t key[] = {0x123, 0x234, 0x345, 0x456};
    const uint32_t want[] = {1067595299U, 955945823U, 477289528U, 4107218783U, 4228976476U};
    df_mt19937 mt;
    df_mt_init_by_array(&mt, key, 4);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(df_mt_next(&mt), want[i]);
    }
}

/* The 10000th output for the default seed 5489, as the C++ standard has it. */
static void init_matches_the_standard(void **state)
{
    (void)state;
    df_mt19937 mt;
    df_mt_init(&mt, 5489U);
    for (int i = 0; i < 9999; i++) {
        (void)df_mt_next(&mt);
    }
    assert_int_equal(df_mt_next(&mt), 4123659995U);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_by_array_matches_the_authors_output),
        cmocka_unit_test(init_matches_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
