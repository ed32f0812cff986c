/* Distribution over ranks, with a program of its own (work.c) under mpirun. */
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { ITEMS = 200, SKIPPED = 29 }; /* 0, 7, ..., 196 were done before */

/* Runs the program on so many ranks (0: without mpirun). */
static char *run(int ranks, const char *arguments, int *exit_code, char **err)
{
    char command[1024];
    char *out;
    if (ranks == 0) {
        snprintf(command, sizeof command, "timeout 60 %s %s", DF_WORK, arguments);
    } else {
        snprintf(command, sizeof command, "timeout 60 mpirun -n %d %s %s", ranks, DF_WORK,
                 arguments);
    }
    df_run(command, exit_code, &out, err);
    return out;
}

static const int RANKS[] = {0, 1, 2, 5};
enum { NUM_RANKS = sizeof RANKS / sizeof RANKS[0] };

/* The number behind this word. */
static double number(const char *out, const char *word)
{
    const char *const at = strstr(out, word);
    assert_non_null(at);
    return strtod(at + strlen(word), NULL);
}

/* Whatever rank finished an item, and however the run ended: its result came, once. */
static void assert_all_came(const char *out)
{
    double finished = 0;
    for (const char *at = strstr(out, "finished "); at; at = strstr(at + 1, "finished ")) {
        finished += number(at, "finished ");
    }
    assert_true(finished > 0);
    assert_true(number(out, " once ") == finished);
}

static void every_item_is_done_once(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_RANKS; i++) {
        int exit_code;
        char expected[64];
        char *out = run(RANKS[i], "200", &exit_code, NULL);
        snprintf(expected, sizeof expected, "status 0 once %d more 0 wrong 0: ", ITEMS - SKIPPED);
        assert_int_equal(exit_code, 0);
        assert_non_null(strstr(out, expected));
        assert_all_came(out);
        free(out);
    }
}

/* 200,000 items of no time, of which every seventh was done: each comes once, and they travel
 * together (10,000 and more fit in a message; the last ones go alone). */
static void short_items_travel_together(void **state)
{
    (void)state;
    static const int ranks[] = {1, 2, 3, 7};
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        int exit_code;
        char *out = run(ranks[i], "200000 quick 0", &exit_code, NULL);
        assert_int_equal(exit_code, 0);
        assert_non_null(strstr(out, "status 0 once 171428 more 0 wrong 0: "));
        assert_all_came(out);
        assert_true(number(out, "messages ") < 1000);
        free(out);
    }
}

/* Each worker finishes three items and begins one of two seconds: the three are not late. */
static void a_slow_item_holds_nothing_back(void **state)
{
    (void)state;
    int exit_code;
    char *out = run(3, "60 slow 3", &exit_code, NULL);
    assert_int_equal(exit_code, 0);
    assert_all_came(out);
    assert_true(number(out, "longest ") < 1);
    free(out);
}

static void few_items_and_none_are_fine(void **state)
{
    (void)state;
    int exit_code;
    char *out = run(5, "3", &exit_code, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, "once 2 more 0 wrong 0"));
    free(out);
    out = run(3, "0", &exit_code, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, "once 0 more 0 wrong 0"));
    free(out);
}

/* The failing item's text arrives at rank 0, wherever it was worked on. */
static void a_failure_stops_all(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_RANKS; i++) {
        int exit_code;
        char *out = run(RANKS[i], "200 fail 100", &exit_code, NULL);
        assert_int_equal(exit_code, 1);
        assert_non_null(strstr(out, "more 0 wrong 0: item 100 failed"));
        assert_all_came(out);
        free(out);
    }
}

static void an_interruption_stops_all(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_RANKS; i++) {
        int exit_code;
        char *out = run(RANKS[i], "200 stop 100", &exit_code, NULL);
        assert_int_equal(exit_code, 75);
        assert_non_null(strstr(out, "more 0 wrong 0: interrupted"));
        assert_all_came(out);
        free(out);
    }
}

/* mpirun notices and ends the others, long before the timeout. */
static void a_killed_rank_ends_all(void **state)
{
    (void)state;
    int exit_code;
    char *err;
    free(run(3, "200 die 100", &exit_code, &err));
    assert_true(exit_code != 0 && exit_code != 124);
    assert_non_null(strstr(err, "signal 9"));
    free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(short_items_travel_together),
        cmocka_unit_test(a_slow_item_holds_nothing_back),
        cmocka_unit_test(few_items_and_none_are_fine),
        cmocka_unit_test(a_failure_stops_all),
        cmocka_unit_test(an_interruption_stops_all),
        cmocka_unit_test(a_killed_rank_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
