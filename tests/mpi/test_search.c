/* arch_search and GD_search as a user runs them: under mpirun, stopped, killed, resumed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/results.h"

#define CONFIG DF_CONFIGS "/search/lstm_4x4.yaml"
/* 11 layouts of a 2 x 2 wafer, 3 descents each, a few iterations */
#define SMALL "--exp_config " CONFIG " --wafer_dim 2 --num_search 3 --iterations 6"

typedef struct {
    int exit_code;
    char *out, *err;
} outcome;

/* Runs the program in front of which `before` stands (mpirun, timeout). */
static outcome run(const char *before, const char *arguments)
{
    outcome o;
    char command[4096];
    snprintf(command, sizeof command, "%s %s %s", before, DF_BIN, arguments);
    df_run(command, &o.exit_code, &o.out, &o.err);
    return o;
}

static void free_outcome(outcome *o)
{
    free(o->out);
    free(o->err);
}

/* arch_search into DIR/NAME with more flags; the exit code must be the expected one. */
static outcome
arch_search(const char *before, const char *dir, const char *name, const char *flags, int expected)
{
    char arguments[2048];
    snprintf(arguments, sizeof arguments, "arch_search " SMALL " --exp_dir %s/%s %s", dir, name,
             flags);
    outcome o = run(before, arguments);
    if (o.exit_code != expected) {
        fail_msg("exit code %d: %s", o.exit_code, o.err);
    }
    return o;
}

static void do_arch_search(const char *before, const char *dir, const char *name, const char *flags)
{
    outcome o = arch_search(before, dir, name, flags, 0);
    free_outcome(&o);
}

static int shell(const char *command)
{
    int exit_code;
    df_run(command, &exit_code, NULL, NULL);
    return exit_code;
}

/* All bytes but those of /provenance. */
static void assert_same_results(const char *dir, const char *a, const char *b)
{
    char first[512];
    char second[512];
    snprintf(first, sizeof first, "%s/%s/results.h5", dir, a);
    snprintf(second, sizeof second, "%s/%s/results.h5", dir, b);
    df_assert_same_results(first, second);
}

static void ranks_make_no_difference(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    do_arch_search("", dir, "serial", "--trajectory");
    do_arch_search("mpirun -n 1", dir, "one", "--trajectory");
    do_arch_search("mpirun -n 2", dir, "two", "--trajectory");
    do_arch_search("mpirun -n 3", dir, "three", "--trajectory");
    do_arch_search("mpirun -n 7", dir, "seven", "--trajectory");
    assert_same_results(dir, "serial", "one");
    assert_same_results(dir, "serial", "two");
    assert_same_results(dir, "serial", "three");
    assert_same_results(dir, "serial", "seven");
    df_remove_dir(dir);
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what)) {
        found++;
    }
    return found;
}

/* Eleven layouts, of which two have the result of another, best first. */
static void the_best_are_printed(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    outcome o = arch_search("", dir, "results", "", 0);
    /* with a header, and again, after an empty line and two headers, how they spend */
    assert_int_equal(count(o.out, "\n"), 1 + 9 + 3 + 9);
    assert_int_equal(count(o.out, "  and 1 more\n") + 2 * count(o.out, "  and 2 more\n"), 2);
    assert_non_null(strstr(o.out, "what binds"));
    double last = 0;
    for (const char *line = strchr(o.out, '\n'); line[1] != '\n'; line = strchr(line + 1, '\n')) {
        char *at;
        strtol(line, &at, 10);
        const double time_s = strtod(at, NULL);
        assert_true(time_s >= last && isfinite(time_s));
        last = time_s;
    }
    assert_non_null(strstr(o.err, "33 descents"));
    free_outcome(&o);
    df_remove_dir(dir);
}

/* pandas reads the file: a header, and the three best descents. */
static void results_are_read_with_pandas(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    char *out;
    int exit_code;
    df_make_dir(dir);
    do_arch_search("", dir, "results", "--trajectory");
    snprintf(command, sizeof command,
             "/usr/bin/python3 " DF_CONFIGS "/../analysis/results.py %s/results/results.h5 3", dir);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_int_equal(count(out, "\n"), 4);
    assert_non_null(strstr(out, "best_time_s"));
    free(out);
    df_remove_dir(dir);
}

/* A search of some seconds: two systems. */
#define LONG                                                                                       \
    "--exp_config " CONFIG                                                                         \
    " --wafer_dim 2 --num_wafer 1,2 --num_search 10 --iterations 40 --flush_s 0.2"

static void run_long(const char *before, const char *dir, const char *name, const char *flags)
{
    char arguments[2048];
    snprintf(arguments, sizeof arguments, "arch_search " LONG " --exp_dir %s/%s %s", dir, name,
             flags);
    outcome o = run(before, arguments);
    if (o.exit_code != 0) {
        fail_msg("exit code %d: %s", o.exit_code, o.err);
    }
    free_outcome(&o);
}

/* Starts the long search and sends its ranks a signal when a descent is finished, as a batch
 * system does (mpirun itself would wait some seconds). Returns its exit code. */
static int disturb(const char *before, const char *dir, const char *name, const char *signal)
{
    char command[4096];
    snprintf(command, sizeof command,
             "%s %s arch_search " LONG " --exp_dir %s/%s & pid=$!; "
             "until h5dump -d /searches %s/%s/results.h5 2>&1 | "
             "grep -Eq '\"(converged|iterations)'; do sleep 0.02; done; "
             "for p in /proc/[0-9]*; do "
             "if tr '\\0' ' ' <$p/cmdline | grep -q '^[^ ]*/deepflow arch_search .*%s/%s'; "
             "then kill -s %s ${p#/proc/}; fi; done; wait $pid",
             before, DF_BIN, dir, name, dir, name, dir, name, signal);
    return shell(command);
}

/* Counts the descents that are pending; fails if the file cannot be read. */
static int count_pending(const char *dir, const char *name)
{
    char command[1024];
    char *out;
    int exit_code;
    snprintf(command, sizeof command, "h5dump -d /searches %s/%s/results.h5", dir, name);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    const int pending = count(out, "\"pending");
    free(out);
    return pending;
}

/* Stopped, killed, and stopped under mpirun: readable as it is, and the same in the end. */
static void a_disturbed_search_is_resumed(void **state)
{
    (void)state;
    static const struct {
        const char *before, *signal;
        int exit_code;
    } cases[] = {{"", "TERM", 75},
                 {"", "KILL", 137},
                 {"mpirun -n 3", "TERM", 75},
                 {"mpirun -n 3", "KILL", 137}};
    char dir[256];
    df_make_dir(dir);
    run_long("", dir, "whole", "");
    assert_int_equal(count_pending(dir, "whole"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "part%zu", i);
        const int exit_code = disturb(cases[i].before, dir, name, cases[i].signal);
        assert_int_equal(exit_code, cases[i].exit_code);
        assert_true(count_pending(dir, name) > 0);
        run_long(cases[i].before, dir, name, "--resume");
        assert_same_results(dir, "whole", name);
    }
    df_remove_dir(dir);
}

static void assert_error(const outcome *o, const char *message)
{
    if (!strstr(o->err, message)) {
        fail_msg("expected \"%s\" in: %s", message, o->err);
    }
}

static void existing_results_are_kept(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    do_arch_search("", dir, "results", "");
    outcome o = arch_search("", dir, "results", "", 2);
    assert_error(&o, "--exp_dir: expected a folder that does not exist");
    free_outcome(&o);
    o = arch_search("mpirun -n 3", dir, "results", "--resume --rules reference", 2);
    assert_error(
        &o, "settings, line 2: expected \"rules=calibrated\" as there, found \"rules=reference\"; "
            "--rules calibrated continues it");
    free_outcome(&o);
    o = arch_search("", dir, "results", "--resume --overwrite", 2);
    assert_error(&o, "--resume: expected it without --overwrite");
    free_outcome(&o);
    o = arch_search("", dir, "results", "--resume", 0); /* nothing is left to do */
    assert_error(&o, "0 descents, 0 evaluations");
    free_outcome(&o);
    do_arch_search("", dir, "results", "--overwrite --rules reference");
    df_remove_dir(dir);
}

/* What was begun when other rules were the default goes on with a flag, which the message names. */
static void folders_keep_their_rules(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    do_arch_search("", dir, "old", "--rules corrected");
    outcome o = arch_search("", dir, "old", "--resume", 2);
    assert_error(&o, "settings, line 2: expected \"rules=corrected\" as there, found "
                     "\"rules=calibrated\"; --rules corrected continues it\n");
    free_outcome(&o);
    o = arch_search("", dir, "old", "--resume --rules corrected", 0);
    assert_error(&o, "0 descents, 0 evaluations");
    free_outcome(&o);
    df_remove_dir(dir);
}

/* Without --rules, what --rules calibrated finds, and other than by the corrected ones; a word in a
 * description counts like the flag. */
static void the_default_is_calibrated(void **state)
{
    (void)state;
    static const char one[] =
        "GD_search --exp_config " CONFIG " --dp 4 --wafer_dim 2 --index 0 --exp_dir %s/%s%s";
    static const char *const names[][2] = {{"one", ""}, {"two", " --rules calibrated"}};
    char dir[256];
    char text[1024];
    df_make_dir(dir);
    do_arch_search("", dir, "default", "");
    do_arch_search("", dir, "calibrated", "--rules calibrated");
    do_arch_search("", dir, "corrected", "--rules corrected");
    assert_same_results(dir, "default", "calibrated");
    snprintf(text, sizeof text, "cmp -s %s/default/results.h5 %s/corrected/results.h5", dir, dir);
    assert_int_equal(shell(text), 1);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, one, dir, names[i][0], names[i][1]);
        outcome o = run("", text);
        assert_int_equal(o.exit_code, 0);
        free_outcome(&o);
    }
    assert_same_results(dir, "one", "two");
    snprintf(text, sizeof text, "%s/spec.yaml", dir);
    df_write_file(text, "rules: corrected\n");
    snprintf(text, sizeof text, "--search %s/spec.yaml", dir);
    do_arch_search("", dir, "described", text);
    assert_same_results(dir, "corrected", "described");
    df_remove_dir(dir);
}

static void a_second_writer_is_refused(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    df_make_dir(dir);
    do_arch_search("", dir, "results", "");
    snprintf(command, sizeof command,
             "flock %s/results/.lock %s arch_search " SMALL " --exp_dir %s/results --overwrite",
             dir, DF_BIN, dir);
    char *err;
    int exit_code;
    df_run(command, &exit_code, NULL, &err);
    assert_int_equal(exit_code, 1);
    assert_non_null(strstr(err, "another search is writing to it"));
    free(err);
    df_remove_dir(dir);
}

static int exists(const char *dir, const char *name)
{
    char command[512];
    snprintf(command, sizeof command, "test -e %s/%s", dir, name);
    return shell(command) == 0;
}

/* However many ranks: one line, exit code 2, nothing written. */
static void bad_input_is_refused_once(void **state)
{
    (void)state;
    static const struct {
        const char *flags, *message;
    } cases[] = {
        {"--wafer_dim 2,x", "--wafer_dim: expected whole numbers separated by commas"},
        {"--optimizer newton", "--optimizer: expected reference"},
        {"--exp_config /nowhere.yaml", "/nowhere.yaml: expected a file"},
        {"--exp_config " DF_TEST_DATA "/data/lstm.yaml", "sw_param: expected this section"},
        {"--hardware_config " DF_TEST_DATA "/data/hardware.yaml --model_config " DF_TEST_DATA
         "/data/lstm.yaml",
         "area_breakdown"},
    };
    char dir[256];
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char arguments[2048];
        const char *const config = strstr(cases[i].flags, "_config") ? "" : "--exp_config " CONFIG;
        snprintf(arguments, sizeof arguments, "arch_search %s %s --exp_dir %s/results", config,
                 cases[i].flags, dir);
        outcome o = run("mpirun -n 3", arguments);
        assert_int_equal(o.exit_code, 2);
        assert_error(&o, cases[i].message);
        assert_int_equal(count(o.err, "deepflow: error: "), 1);
        assert_false(exists(dir, "results"));
        free_outcome(&o);
    }
    df_remove_dir(dir);
}

/* A layer that no device has the memory for; the reasons are counted. */
static void nothing_feasible_is_told(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    outcome o = arch_search("mpirun -n 2", dir, "results", "--hidden_dim 1048576", 3);
    assert_error(&o, "expected a feasible strategy, found none of 11");
    assert_error(&o, " x the model needs ");
    assert_false(exists(dir, "results"));
    free_outcome(&o);
    df_remove_dir(dir);
}

/* 29 strategies of 16 devices in 51 layouts, 7 descents of 1 + 100 * (14 + 2) each. */
static void a_plan_is_printed(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments,
             "arch_search --exp_config " CONFIG
             " --exp_dir %s/results --wafer_dim 4 --num_search 7 "
             "--no_launch",
             dir);
    outcome o = run("", arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "strategies   29\n"));
    assert_non_null(strstr(o.out, "layouts      51, 51 of them feasible\n"));
    assert_non_null(strstr(o.out, "descents     357\n"));
    assert_non_null(strstr(o.out, "evaluations  about 571557\n"));
    assert_non_null(strstr(o.out, "time         about "));
    assert_false(exists(dir, "results"));
    free_outcome(&o);
    df_remove_dir(dir);
}

#define ONE                                                                                        \
    "GD_search --exp_config " CONFIG " --index 3 --dp 16 --wafer_dim 4 --intra_derate 2 "          \
    "--inter_derate 0 --iterations 20"

static double best_of(const char *dir, const char *flags)
{
    char arguments[2048];
    char path[512];
    snprintf(arguments, sizeof arguments, ONE " --exp_dir %s/one --overwrite %s", dir, flags);
    outcome o = run("", arguments);
    if (o.exit_code != 0) {
        fail_msg("exit code %d: %s", o.exit_code, o.err);
    }
    free_outcome(&o);
    snprintf(path, sizeof path, "%s/one/best.txt", dir);
    char *text = df_read_file(path);
    assert_true(strncmp(text, "Best Time: ", 11) == 0);
    assert_non_null(strstr(text, "\nTime Limit: 1000000000000000.0\nBest Dir: "));
    assert_non_null(strstr(text, "area_breakdown c: "));
    assert_non_null(strstr(text, "perimeter_breakdown D: "));
    const double best_s = strtod(text + 11, NULL);
    free(text);
    return best_s;
}

/* The same strategy, layout and index of a sweep give the same best time. */
static void one_strategy_is_searched(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    char expected[64];
    char *out;
    int exit_code;
    df_make_dir(dir);
    const double best_s = best_of(dir, "--trajectory");
    assert_true(best_of(dir, "--optimizer reference") > 0);
    df_assert_rel(best_of(dir, ""), best_s, 0);
    snprintf(command, sizeof command,
             "%s arch_search --exp_config " CONFIG
             " --wafer_dim 4 --num_search 4 --iterations 20 --exp_dir "
             "%s/all >/dev/null && h5dump -m %%.17g -d /searches %s/all/results.h5",
             DF_BIN, dir, dir);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(expected, sizeof expected, "%.17g", best_s);
    assert_non_null(strstr(out, expected));
    free(out);
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_make_no_difference),
        cmocka_unit_test(the_best_are_printed),
        cmocka_unit_test(results_are_read_with_pandas),
        cmocka_unit_test(a_disturbed_search_is_resumed),
        cmocka_unit_test(existing_results_are_kept),
        cmocka_unit_test(folders_keep_their_rules),
        cmocka_unit_test(the_default_is_calibrated),
        cmocka_unit_test(a_second_writer_is_refused),
        cmocka_unit_test(bad_input_is_refused_once),
        cmocka_unit_test(nothing_feasible_is_told),
        cmocka_unit_test(a_plan_is_printed),
        cmocka_unit_test(one_strategy_is_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
