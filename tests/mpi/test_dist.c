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

static void every_item_is_done_once(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_RANKS; i++) {
        int exit_code;
        char expected[64];
        char *out = run(RANKS[i], "200", &exit_code, NULL);
        snprintf(expected, sizeof expected, "status 0 once %d more 0 wrong 0: ", ITEMS - SKIPPED);
        assert_int_equal(exit_code, 0);
        assert_true(strncmp(out, expected, strlen(expected)) == 0);
        free(out);
    }
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
        cmocka_unit_test(every_item_is_done_once), cmocka_unit_test(few_items_and_none_are_fine),
        cmocka_unit_test(a_failure_stops_all),     cmocka_unit_test(an_interruption_stops_all),
        cmocka_unit_test(a_killed_rank_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
