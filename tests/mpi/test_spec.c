/* Searches by a description, of LLMs: the same for any number of ranks, the best as predicted,
 * within their constraints; flags override. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/results.h"

#define FIXED "arch_search --search " DF_CONFIGS "/search/llama2_7b_a100.yaml"
#define BOTH                                                                                       \
    "arch_search --search " DF_CONFIGS "/search/llama2_7b_hardware.yaml --num_search 2 "           \
    "--iterations 2 --rules corrected"

static char *run(const char *before, const char *arguments, const char *dir, const char *name)
{
    char command[4096];
    char *out;
    char *err;
    int exit_code;
    snprintf(command, sizeof command, "%s %s %s --exp_dir %s/%s", before, DF_BIN, arguments, dir,
             name);
    df_run(command, &exit_code, &out, &err);
    if (exit_code != 0) {
        fail_msg("exit code %d: %s", exit_code, err);
    }
    free(err);
    return out;
}

static void assert_same(const char *dir, const char *a, const char *b)
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
    static const char *const arguments[] = {FIXED, BOTH};
    static const char *const ranks[] = {"2", "3", "7"};
    char dir[256];
    df_make_dir(dir);
    for (int i = 0; i < 2; i++) {
        char one[16];
        snprintf(one, sizeof one, "one%d", i);
        free(run("", arguments[i], dir, one));
        for (int k = 0; k < 3; k++) {
            char before[32];
            char name[16];
            snprintf(before, sizeof before, "mpirun -n %s", ranks[k]);
            snprintf(name, sizeof name, "r%d_%s", i, ranks[k]);
            free(run(before, arguments[i], dir, name));
            assert_same(dir, one, name);
        }
    }
    df_remove_dir(dir);
}

/* Time and strategy ("t2-c1-d4-l1-...") of the first row of the table. */
static double best_of(const char *table, int degrees[5])
{
    const char *const row = strchr(table, '\n') + 1;
    char *at;
    strtol(row, &at, 10);
    const double time_s = strtod(at, &at);
    at += strspn(at, " ");
    const char *const letters = "tcdlm";
    for (int i = 0; i < 5; i++) {
        assert_int_equal(at[0], letters[i]);
        degrees[i] = (int)strtol(at + 1, &at, 10);
        at += *at == '-';
    }
    return time_s;
}

/* What the search says is best is within its memory, and nothing allowed is predicted faster. */
static void constraints_hold(void **state)
{
    (void)state;
    char dir[256];
    int degrees[5];
    df_make_dir(dir);
    char *wide = run("", FIXED " --top 1", dir, "wide");
    char *tight = run("", FIXED " --top 1 --max_memory_gb 20", dir, "tight");
    const double wide_s = best_of(wide, degrees);
    const double tight_s = best_of(tight, degrees);
    assert_true(tight_s > wide_s);
    assert_int_equal(degrees[0] * degrees[1] * degrees[2] * degrees[3], 8);
    char command[1024];
    char *out;
    int exit_code;
    snprintf(
        command, sizeof command,
        "/usr/bin/python3 -c 'import h5py,sys\n"
        "for name in (\"wide\", \"tight\"):\n"
        "    s = h5py.File(\"%s/\" + name + \"/results.h5\")[\"searches\"][:]\n"
        "    print(repr(float(s[\"best_time_s\"].min())), repr(float(s[\"memory_bytes\"].max())))'",
        dir);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    char *at = out;
    df_assert_rel(strtod(at, &at), wide_s, 1e-5);
    assert_true(strtod(at, &at) <= 76.0 * (1 << 30));
    df_assert_rel(strtod(at, &at), tight_s, 1e-5);
    assert_true(strtod(at, &at) <= 20.0 * (1 << 30));
    free(out);
    free(wide);
    free(tight);
    df_remove_dir(dir);
}

/* Seconds that `predict` says of a strategy of eight devices in a node. */
static double predicted_s(const char *dir, int tp, int dp, int lp, int mb)
{
    char command[4096];
    char *out;
    int exit_code;
    snprintf(
        command, sizeof command,
        "cd %s && sed 's/  tp: 2/  tp: %d\\n  mb: %d/; s/^  dp: 1/  dp: %d/; s/^  lp: 1/  lp: %d/; "
        "s/num_devices_per_node: 2/num_devices_per_node: 8/' " DF_CONFIGS
        "/hardware/a100_x2.yaml >hw.yaml && " DF_BIN
        " predict --hardware_config hw.yaml --model_config model.yaml --format json "
        "--ignore_memory | sed -n 's/^ *\"time_s\": *\\([^,]*\\).*/\\1/p'",
        dir, tp, mb, dp, lp);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    const double time_s = strtod(out, NULL);
    assert_true(time_s > 0);
    free(out);
    return time_s;
}

/* Every strategy, predicted one by one: the best of them is the search's. */
static void the_best_is_the_best_of_all(void **state)
{
    (void)state;
    char dir[256];
    char text[1024];
    char path[512];
    int exit_code;
    int found[5];
    df_make_dir(dir);
    snprintf(text, sizeof text,
             "sed 's/batch_size: 4/batch_size: 32/' " DF_CONFIGS
             "/model/llama2_7b.yaml >%s/model.yaml",
             dir);
    df_run(text, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(path, sizeof path, "%s/search.yaml", dir);
    df_write_file(path, "hardware_config: " DF_CONFIGS "/hardware/a100_x2.yaml\n"
                        "model_config: model.yaml\n"
                        "fix_hardware: true\n"
                        "system:\n"
                        "  num_nodes: 1\n"
                        "  devices_per_node: 8\n"
                        "strategies:\n"
                        "  cp: 1\n"
                        "  tp_sp: false\n"
                        "  zero_stage: 0\n"
                        "  recompute: none\n"
                        "  schedule: gpipe\n");
    snprintf(text, sizeof text, "arch_search --ignore_memory --search %s", path);
    char *const table = run("", text, dir, "search");
    const double searched_s = best_of(table, found);
    double best_s = HUGE_VAL;
    double same_s = HUGE_VAL;
    for (int tp = 1; tp <= 8; tp *= 2) {
        for (int dp = 1; dp * tp <= 8; dp *= 2) {
            for (int mb = 1; mb <= 32 / dp; mb *= 2) {
                const int lp = 8 / (tp * dp);
                const double time_s = predicted_s(dir, tp, dp, lp, mb);
                best_s = time_s < best_s ? time_s : best_s;
                same_s = tp == found[0] && dp == found[2] && mb == found[4] ? time_s : same_s;
            }
        }
    }
    df_assert_rel(same_s, best_s, 0);
    df_assert_rel(searched_s, best_s, 1e-5); /* printed with six digits */
    free(table);
    df_remove_dir(dir);
}

/* /pareto is what no row of /searches beats in both objectives, the fastest first. */
static void the_pareto_set_is_written(void **state)
{
    (void)state;
    static const char script[] =
        "import h5py, sys\n"
        "f = h5py.File(sys.argv[1], \"r\")\n"
        "s = f[\"searches\"][:]\n"
        "p = f[\"pareto\"][:]\n"
        "p = p[p[\"work_id\"] >= 0]\n"
        "a = [(r[\"best_time_s\"], r[\"energy_j\"]) for r in s if r[\"best_time_s\"] < 1e300]\n"
        "front = sorted(set(x for x in a if not any(\n"
        "    y[0] <= x[0] and y[1] <= x[1] and y != x for y in a)))\n"
        "assert len(front) > 1 and front == list(zip(p[\"time_s\"], p[\"energy_j\"]))\n"
        "assert all(s[\"best_time_s\"][p[\"work_id\"]] == p[\"time_s\"])\n"
        "assert all(s[\"strategy_id\"][p[\"work_id\"]] == p[\"strategy_id\"])\n";
    char dir[256];
    char command[4096];
    char *err;
    int exit_code;
    df_make_dir(dir);
    free(run("", BOTH, dir, "both"));
    free(run("", FIXED " --objective energy,time", dir, "fixed"));
    snprintf(command, sizeof command, "/usr/bin/python3 -c '%s' %s/both/results.h5", script, dir);
    df_run(command, &exit_code, NULL, &err);
    if (exit_code != 0) {
        fail_msg("%s", err);
    }
    free(err);
    snprintf(command, sizeof command, "h5dump -d /pareto %s/fixed/results.h5", dir);
    assert_int_equal((df_run(command, &exit_code, NULL, NULL), exit_code), 0);
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_make_no_difference),
        cmocka_unit_test(constraints_hold),
        cmocka_unit_test(the_pareto_set_is_written),
        cmocka_unit_test(the_best_is_the_best_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
