/* deepflow merge: files of parts, of other systems and other starts into what one run over all
 * of them writes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/program.h"
#include "support/results.h"

#define CONFIG DF_CONFIGS "/search/lstm_4x4.yaml"
#define SEARCH "arch_search --exp_config " CONFIG " --iterations 4 "

static int setup(void **state)
{
    char *const dir = calloc(1, 256);
    assert_non_null(dir);
    df_make_dir(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    df_remove_dir(*state);
    free(*state);
    return 0;
}

/* Runs `deepflow ARGUMENTS`, which must succeed; returns what it prints. */
static char *run(const char *arguments)
{
    df_outcome o = df_program(arguments);
    if (o.exit_code != 0) {
        fail_msg("%s: exit code %d: %s", arguments, o.exit_code, o.err);
    }
    free(o.err);
    return o.out;
}

static void search(const char *dir, const char *name, const char *flags)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, SEARCH "--exp_dir %s/%s %s", dir, name, flags);
    free(run(arguments));
}

/* Merges the named folders of DIR into DIR/NAME.h5; what it prints must have the text. */
static void merge(const char *dir, const char *names, const char *name, const char *told)
{
    char command[2048];
    char *out;
    char *err;
    int exit_code;
    snprintf(command, sizeof command, "cd %s && %s merge %s -o %s.h5", dir, DF_BIN, names, name);
    df_run(command, &exit_code, &out, &err);
    if (exit_code != 0 || !strstr(out, told)) {
        fail_msg("exit code %d, expected \"%s\" in \"%s\": %s", exit_code, told, out, err);
    }
    free(out);
    free(err);
}

static void assert_same(const char *dir, const char *merged, const char *whole)
{
    char a[512];
    char b[512];
    snprintf(a, sizeof a, "%s/%s.h5", dir, merged);
    snprintf(b, sizeof b, "%s/%s/results.h5", dir, whole);
    df_assert_same_results(a, b);
}

static void refuse(const char *dir, const char *arguments, const char *message)
{
    char words[2048];
    char path[512];
    snprintf(words, sizeof words, "merge %s -o %s/no.h5", arguments, dir);
    df_refuse(words, 2, message);
    snprintf(path, sizeof path, "%s/no.h5", dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* In any order, some more than once, some not yet; with iterates. */
static void parts_make_the_whole(void **state)
{
    const char *const dir = *state;
#define FLAGS "--wafer_dim 2 --num_search 2 --trajectory "
    search(dir, "whole", FLAGS);
    search(dir, "p1", FLAGS "--part 1/3");
    search(dir, "p2", FLAGS "--part 2/3");
    search(dir, "p3", FLAGS "--part 3/3");
    merge(dir, "p3 p1/results.h5 p2", "all",
          "all.h5: 11 strategies, 22 searches, 0 of them pending; 0 were in more than one file");
    assert_same(dir, "all", "whole");
    /* parts have 4, 4 and 3 strategies */
    merge(dir, "p1 p2 p1 whole p1", "again", "0 of them pending; 32 were in more than one file");
    assert_same(dir, "again", "whole");
    /* what a part lacks is pending, and arch_search goes on with the file */
    merge(dir, "p1 p3", "some", "8 of them pending");
    char command[1024];
    snprintf(command, sizeof command, "mkdir %s/go && mv %s/some.h5 %s/go/results.h5", dir, dir,
             dir);
    int exit_code;
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    search(dir, "go", FLAGS "--resume");
    assert_same(dir, "all", "go");
#undef FLAGS
}

/* What no row beats in time and energy, by comparing all with all; the file has to have that. */
static const char check_front[] =
    "import h5py, sys\n"
    "f = h5py.File(sys.argv[1], 'r')\n"
    "s = f['searches'][:]\n"
    "p = f['pareto'][:]\n"
    "s = s[s['best_time_s'] < 1e300]\n"
    "a = [(float(r['best_time_s']), float(r['energy_j'])) for r in s]\n"
    "def beaten(x): return any(y[0] <= x[0] and y[1] <= x[1] and y != x for y in a)\n"
    "front = sorted(x + (int(r['work_id']),) for x, r in zip(a, s)\n"
    "               if not beaten(x) and a.index(x) == list(s['work_id']).index(r['work_id']))\n"
    "p = p[p['work_id'] >= 0]\n"
    "print(len(front))\n"
    "assert len(front) > 2 and front == list(zip(p['time_s'], p['energy_j'], p['work_id']))\n";

static long front_of(const char *dir, const char *file)
{
    char text[1024];
    char *out;
    char *err;
    int exit_code;
    snprintf(text, sizeof text, "%s/front.py", dir);
    df_write_file(text, check_front);
    snprintf(text, sizeof text, "/usr/bin/python3 %s/front.py %s/%s", dir, dir, file);
    df_run(text, &exit_code, &out, &err);
    if (exit_code != 0) {
        fail_msg("%s: %s", file, err);
    }
    const long count = strtol(out, NULL, 10);
    free(out);
    free(err);
    return count;
}

/* The front of the whole is that of no part. */
static void fronts_are_of_the_whole(void **state)
{
    const char *const dir = *state;
    char arguments[1024];
    for (int i = 0; i <= 3; i++) {
        snprintf(arguments, sizeof arguments,
                 "arch_search --hardware_config " DF_CONFIGS
                 "/hardware/a100_80gb.yaml --model_config " DF_CONFIGS
                 "/model/llama2_7b.yaml --fix_hardware --batch_size 64 --num_nodes 2 "
                 "--devices_per_node 8 --rules corrected --objective time,energy --exp_dir %s/p%d",
                 dir, i);
        if (i > 0) {
            snprintf(arguments + strlen(arguments), 16, " --part %d/3", i);
        }
        free(run(arguments));
    }
    merge(dir, "p2 p3/results.h5 p1", "all", "0 of them pending");
    assert_same(dir, "all", "p0");
    long most = 0;
    for (int i = 1; i <= 3; i++) {
        char file[32];
        snprintf(file, sizeof file, "p%d/results.h5", i);
        most += front_of(dir, file);
    }
    const long whole = front_of(dir, "all.h5");
    assert_in_range(whole, 3, most - 1);
}

static void other_systems_and_starts_are_added(void **state)
{
    const char *const dir = *state;
    search(dir, "one", "--wafer_dim 2 --num_search 2");
    search(dir, "two", "--wafer_dim 2 --num_wafer 2 --num_search 2");
    search(dir, "both", "--wafer_dim 2 --num_wafer 1,2 --num_search 2");
    merge(dir, "one two", "sizes", "0 of them pending; 0 were");
    assert_same(dir, "sizes", "both");
    search(dir, "more", "--wafer_dim 2 --num_search 5");
    merge(dir, "one more", "starts", "55 searches, 0 of them pending; 22 were");
    assert_same(dir, "starts", "more");
}

#define ONE                                                                                        \
    "GD_search --exp_config " CONFIG " --dp 4 --wafer_dim 2 --inter_derate 1 --iterations 4 "

static void strategies_one_by_one_are_added(void **state)
{
    const char *const dir = *state;
    char arguments[1024];
    for (int i = 0; i < 3; i++) {
        snprintf(arguments, sizeof arguments, ONE "--index %d --exp_dir %s/s%d", i, dir, i);
        free(run(arguments));
    }
    snprintf(arguments, sizeof arguments, ONE "--index 0 --kp_type 1 --kp1 2 --exp_dir %s/s3", dir);
    free(run(arguments));
    merge(dir, "s2 s0 s3 s1", "all", "2 strategies, 4 searches, 0 of them pending");
    merge(dir, "s0 s1 s2", "starts", "1 strategies, 3 searches");
    merge(dir, "starts.h5 s3", "again", "2 strategies, 4 searches");
    merge(dir, "all.h5 again.h5", "twice", "2 strategies, 4 searches");
}

static void what_differs_is_named(void **state)
{
    const char *const dir = *state;
    char files[600];
    char arguments[1024];
    search(dir, "a", "--wafer_dim 2 --num_search 1");
    search(dir, "b", "--wafer_dim 2 --num_search 1 --rules reference");
    snprintf(arguments, sizeof arguments,
             "sed 's/batch_size: *[0-9]*/batch_size: 1024/' " CONFIG " >%s/other.yaml", dir);
    int exit_code;
    df_run(arguments, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(arguments, sizeof arguments,
             "arch_search --exp_config %s/other.yaml --iterations 4 --wafer_dim 2 --num_search 1 "
             "--batch_size 512 --exp_dir %s/c",
             dir, dir);
    free(run(arguments));
    snprintf(files, sizeof files, "%s/a %s/b", dir, dir);
    refuse(dir, files, "b/results.h5: made from other inputs than ");
    refuse(dir, files, "settings, rules: expected ");
    snprintf(files, sizeof files, "%s/a %s/c", dir, dir);
    refuse(dir, files, "hardware_yaml, line ");
    snprintf(files, sizeof files, "%s/a " CONFIG, dir);
    snprintf(arguments, sizeof arguments, "merge %s -o %s/no.h5", files, dir);
    df_refuse(arguments, 1, "lstm_4x4.yaml: is not a results file");
    snprintf(arguments, sizeof arguments, "merge %s/a -o %s/a/results.h5", dir, dir);
    df_refuse(arguments, 2, "--output: expected a file that does not exist");
    snprintf(arguments, sizeof arguments, "merge %s/a -o %s/nowhere/c.h5", dir, dir);
    df_refuse(arguments, 1, "No such file or directory");
    for (int i = 0; i < 3; i++) {
        static const char *const bad[] = {"0/3", "4/3", "x"};
        snprintf(arguments, sizeof arguments, SEARCH "--exp_dir %s/x --part %s", dir, bad[i]);
        df_refuse(arguments, 2, "--part: expected K/N with K from 1 to N");
    }
}

/* Changes a byte of the last row's best point, so that it is not whole. */
static void damage(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/results.h5", dir, name);
    const df_extent rows = df_find_extent(path, "/searches");
    FILE *const file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)(rows.at + rows.size - 2), SEEK_SET), 0);
    const int before = fgetc(file);
    assert_int_equal(fseek(file, (long)(rows.at + rows.size - 2), SEEK_SET), 0);
    fputc(before ^ 1, file);
    fclose(file);
}

/* A program that writes a row that is whole and yet another one. */
static const char forge[] = "import h5py, sys, zlib\n"
                            "f = h5py.File(sys.argv[1], 'r+')\n"
                            "rows = f['searches'][:]\n"
                            "row = rows[3]\n"
                            "row['best_value'] = 0.5\n"
                            "row['checksum'] = 0\n"
                            "row['checksum'] = zlib.crc32(row.tobytes())\n"
                            "f['searches'][:] = rows\n";

static void damaged_and_contradicting_rows_are_noticed(void **state)
{
    const char *const dir = *state;
    char text[1024];
    int exit_code;
    search(dir, "a", "--wafer_dim 2 --num_search 1");
    search(dir, "b", "--wafer_dim 2 --num_search 1");
    damage(dir, "b");
    merge(dir, "b", "b", "1 of them pending");
    merge(dir, "b a", "ab", "0 of them pending; 10 were");
    assert_same(dir, "ab", "a");
    snprintf(text, sizeof text, "%s/forge.py", dir);
    df_write_file(text, forge);
    snprintf(text, sizeof text, "/usr/bin/python3 %s/forge.py %s/b/results.h5", dir, dir);
    df_run(text, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(text, sizeof text, "%s/a %s/b", dir, dir);
    refuse(dir, text, "b/results.h5: strategy 3, index 0: expected the result that ");
    refuse(dir, text, "0.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_make_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(fronts_are_of_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(other_systems_and_starts_are_added, setup, teardown),
        cmocka_unit_test_setup_teardown(strategies_one_by_one_are_added, setup, teardown),
        cmocka_unit_test_setup_teardown(what_differs_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_and_contradicting_rows_are_noticed, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
