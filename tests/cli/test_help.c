/* Help, version, and the listing of strategies. */
#include <stdlib.h>
#include <string.h>

#include "config/cfg.h"
#include "rules/rules.h"
#include "support/support.h"

static char *run(const char *arguments, int expected_code)
{
    char command[1024];
    char *out;
    int exit_code;
    snprintf(command, sizeof command, "%s %s", DF_BIN, arguments);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, expected_code);
    return out;
}

static void assert_says(const char *arguments, const char *what)
{
    char *out = run(arguments, 0);
    if (!strstr(out, what)) {
        fail_msg("%s does not say \"%s\"", arguments, what);
    }
    free(out);
}

static void descriptions_have_a_table(void **state)
{
    (void)state;
    assert_says("help search", "  parameters.perimeter_intra_node\n");
    assert_says("help search", "  strategies.zero_stage\n");
}

static void every_command_has_help(void **state)
{
    (void)state;
    static const char *const commands[] = {"predict",    "stand_alone", "device",     "gemm",
                                           "strategies", "GD_search",   "arch_search"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char arguments[64];
        snprintf(arguments, sizeof arguments, "%s --help", commands[i]);
        assert_says(arguments, "--rules");
        assert_says("help", commands[i]);
        snprintf(arguments, sizeof arguments, "help %s", commands[i]);
        assert_says(arguments, "--rules");
    }
    assert_says("--help", "usage: deepflow");
}

static void tables_are_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < df_rule_count; i++) {
        assert_says("help rules", df_rule_table[i].name);
    }
    assert_says("help config", "tech_param.DRAM.stack_capacity");
    assert_says("help config", "required");
    assert_says("help config", "as in \"80 GB\"");
    /* an option without a preset */
    assert_says("help config",
                "  calibration.gemm.kernel\n      one kernel in a graph: start, fill "
                "and drain\n      a number > 0 (s); optional\n");
    assert_says("help profiles", "nanotron_late");
    assert_says("help profiles", "vllm_2024_mi300x *");
}

static void devices_are_listed(void **state)
{
    (void)state;
    assert_says("help devices",
                "\nh100_sxm                1   989.43 Tflop/s    80 GiB   3.35 TB/s  "
                "measured        NVIDIA H100 SXM5 80 GB, one device\n");
    assert_says("help devices",
                "\ngb200_x72              72   2449.1 Tflop/s   192 GiB      8 TB/s  "
                "rule, h100 ");
    assert_says("help devices",
                "\nh200_nvl                1   835.34 Tflop/s   141 GiB    4.8 TB/s  "
                "sister of h100  NVIDIA");
    char *const out = run("help devices", 0);
    assert_null(strstr(out, "cannot be used"));
    free(out);
}

static void version_is_printed(void **state)
{
    (void)state;
    static const char *const words[] = {"version", "--version", "-V", "-v"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char *out = run(words[i], 0);
        assert_int_equal(strncmp(out, "deepflow 0.", 11), 0);
        free(out);
    }
    assert_says("help", "  version ");
    assert_says("help version", "deepflow version: ");
    free(run("version now", 2));
}

static void no_command_is_bad_usage(void **state)
{
    (void)state;
    free(run("", 2));
    free(run("help nonsense", 2));
}

/* 29 strategies of 16 devices in 51 layouts, and a header. */
static void strategies_are_listed(void **state)
{
    (void)state;
    char *csv = run("strategies --wafer_dim 4 --num_wafer 1 --format csv", 0);
    int lines = 0;
    for (const char *c = csv; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 52);
    assert_true(strncmp(csv, "wafer_dim,num_wafer,num_worker,kp_type,", 39) == 0);
    /* the first column-row strategy: 16 replicas, two streams on the busiest link */
    assert_non_null(strstr(csv, "\n4,1,16,1,1,1,16,1,0,2013,0,2,0,0,0,0,1,\n"));
    free(csv);
    assert_says("strategies --wafer_dim 4", "29 strategies, 51 feasible layouts");
    assert_says("strategies --wafer_dim 3", "infeasible: ");
    assert_says("strategies --wafer_dim 2 --format json", "\"order\": \"2013\"");
    free(run("strategies --wafer_dim 1024 --num_wafer 9", 2));
    free(run("strategies --wafer_dim 0", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_help), cmocka_unit_test(descriptions_have_a_table),
        cmocka_unit_test(tables_are_printed),     cmocka_unit_test(devices_are_listed),
        cmocka_unit_test(version_is_printed),     cmocka_unit_test(no_command_is_bad_usage),
        cmocka_unit_test(strategies_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
