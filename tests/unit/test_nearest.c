/* The nearest known word. */
#include "base/nearest.h"
#include "support/support.h"

static const char *const words[] = {"num_bundles", "num_mcu_per_bundle", "util", "FMA_d1",
                                    "FMA_d2"};

static int nearest(const char *word)
{
    return df_nearest(word, words, sizeof words / sizeof words[0], sizeof words[0]);
}

static void typos_are_found(void **state)
{
    (void)state;
    assert_int_equal(nearest("num_bundle"), 0);
    assert_int_equal(nearest("num_bundels"), 0); /* a transposition */
    assert_int_equal(nearest("Num_Mcu_Per_Bundle"), 1);
    assert_int_equal(nearest("utl"), 2);
    assert_int_equal(nearest("fma_d2"), 4);
}

/* FMA_d1 and FMA_d2 are one letter from FMA_d3 each. */
static void ties_go_to_the_first(void **state)
{
    (void)state;
    assert_int_equal(nearest("FMA_d3"), 3);
}

/* What was typed half is more than a third of its length away. */
static void beginnings_are_found(void **state)
{
    (void)state;
    assert_int_equal(nearest("num_mcu"), 1);
    assert_int_equal(nearest("NUM"), 0); /* the first of two */
    assert_int_equal(nearest("nu"), -1);
}

static void strangers_are_not(void **state)
{
    (void)state;
    assert_int_equal(nearest("zzz"), -1);
    assert_int_equal(nearest(""), -1);
    assert_int_equal(nearest("a_word_that_is_very_much_longer_than_every_key_that_anyone_ever_had"),
                     -1);
    assert_int_equal(df_nearest("util", words, 0, sizeof words[0]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typos_are_found),
        cmocka_unit_test(ties_go_to_the_first),
        cmocka_unit_test(beginnings_are_found),
        cmocka_unit_test(strangers_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
