/* Descriptions of searches: what they say is read, and what they cannot say is refused with its
 * line. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "support/support.h"

/* Loads a text as DIR/search.yaml. */
static df_status load(const char *dir, const char *text, df_spec *spec, df_err *err)
{
    char path[512];
    snprintf(path, sizeof path, "%s/search.yaml", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return df_spec_load(path, spec, err);
}

static void everything_is_read(void **state)
{
    (void)state;
    static const char text[] = "exp_config: a/b.yaml\n"
                               "model_config: /m.yaml\n"
                               "rules: reference\n"
                               "objective: [time, energy]\n"
                               "optimizer: nmsimplex2\n"
                               "starts: sobol\n"
                               "num_search: 7\n"
                               "fix_hardware: yes\n"
                               "constraints: {power: 385.5, memory: 64 GB}\n"
                               "parameters:\n"
                               "  area_core: [0.125, 0.5]\n"
                               "  power_L2: 0.0625\n"
                               "strategies:\n"
                               "  tp: [1, 4]\n"
                               "  dp: 2\n"
                               "  tp_sp: [true, false]\n"
                               "  zero_stage: [0, 3]\n"
                               "  schedule: 1f1b\n"
                               "system: {wafer_dim: [4, 8], num_worker: -1}\n";
    char dir[256];
    char expected[512];
    df_err err;
    df_spec s = {.iterations = 31};
    df_make_dir(dir);
    if (load(dir, text, &s, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    snprintf(expected, sizeof expected, "%s/a/b.yaml", dir);
    assert_string_equal(s.exp_config, expected);
    assert_string_equal(s.model_config, "/m.yaml");
    assert_string_equal(s.rules, "reference");
    assert_string_equal(s.objective, "time,energy");
    assert_int_equal(s.optimizer, DF_OPT_NMSIMPLEX2);
    assert_int_equal(s.starts, DF_START_SOBOL);
    assert_int_equal(s.num_search, 7);
    assert_int_equal(s.iterations, 31);
    assert_true(s.fix_hardware);
    df_assert_rel(s.limits.power_w, 385.5, 0);
    df_assert_rel(s.limits.memory_bytes, 64.0 * (1 << 30), 0);
    assert_true(s.range[DF_P_AREA_CORE].given && !s.range[DF_P_AREA_L1].given);
    df_assert_rel(s.range[DF_P_AREA_CORE].high, 0.5, 0);
    df_assert_rel(s.range[DF_P_POWER_L2].low, 0.0625, 0);
    df_assert_rel(s.range[DF_P_POWER_L2].high, 0.0625, 0);
    assert_int_equal(s.space.tp.count, 2);
    assert_int_equal(s.space.tp.value[1], 4);
    assert_int_equal(s.space.dp.count, 1);
    assert_int_equal(s.space.tp_sp, 3);
    assert_int_equal(s.space.zero_stage, 1 + 8);
    assert_int_equal(s.space.schedule, 1 << DF_ORDER_1F1B);
    assert_int_equal(s.wafer_dim.value[1], 8);
    assert_int_equal(s.num_worker, -1);
    df_remove_dir(dir);
}

static void assert_list(const df_int_list *list, int64_t first, int64_t second)
{
    assert_int_equal(list->count, second == 0 ? 1 : 2);
    assert_int_equal(list->value[0], first);
    assert_true(second == 0 || list->value[1] == second);
}

/* One key for each field of an LLM's strategies; pp stands for lp. */
static void every_field_of_strategies_has_a_key(void **state)
{
    (void)state;
    static const char text[] = "strategies:\n"
                               "  tp: [2, 4]\n"
                               "  cp: 3\n"
                               "  dp: [5]\n"
                               "  pp: [6, 7]\n"
                               "  mb: 8\n"
                               "  virtual_stages: [9, 10]\n"
                               "  tp_sp: true\n"
                               "  zero_stage: [1, 3]\n"
                               "  recompute: [none, full]\n"
                               "  schedule: [1f1b, interleaved]\n";
    char dir[256];
    df_err err;
    df_spec s = {.iterations = 0};
    df_make_dir(dir);
    if (load(dir, text, &s, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    assert_list(&s.space.tp, 2, 4);
    assert_list(&s.space.cp, 3, 0);
    assert_list(&s.space.dp, 5, 0);
    assert_list(&s.space.lp, 6, 7);
    assert_list(&s.space.mb, 8, 0);
    assert_list(&s.space.virtual_stages, 9, 10);
    assert_int_equal(s.space.tp_sp, 1 << 1);
    assert_int_equal(s.space.zero_stage, (1 << 1) + (1 << 3));
    assert_int_equal(s.space.recompute, (1 << 0) + (1 << 2));
    assert_int_equal(s.space.schedule, (1 << 1) + (1 << 2));
    assert_int_equal(s.space.kp1.count + s.space.kp2.count, 0);
    df_remove_dir(dir);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"optimiser: cma\n", "search.yaml:1: optimiser: expected a key of `deepflow help search` "
                             "(did you mean optimizer?)"},
        {"rules: corrected\noptimizer: nmsimplex\n",
         "search.yaml:2: optimizer: expected cma, reference, vector_bfgs2"},
        {"num_search: 0\n", "search.yaml:1: num_search: expected a whole number >= 1"},
        {"num_search: 1\nnum_search: 2\n", "search.yaml:2: num_search: expected once"},
        {"objective: [time, enrgy]\n", "search.yaml:1: objective: expected time, energy"},
        {"rules: corected\n", "search.yaml:1: rules: "},
        {"constraints:\n  power: -1\n", "search.yaml:2: constraints.power: expected a number > 0"},
        {"constraints: 3\n", "search.yaml:1: constraints: expected a mapping"},
        {"parameters:\n  area_core: [0.5, 0.25]\n",
         "search.yaml:2: parameters.area_core: expected the highest share >= the lowest"},
        {"parameters:\n  area_core: [0.5]\n", "parameters.area_core: expected a share, or"},
        {"parameters:\n  area_core: 1.5\n", "parameters.area_core: expected a number >= 0"},
        {"parameters:\n  area_cores: 0.5\n", "did you mean parameters.area_core?"},
        {"strategies:\n  tp: [2, x]\n", "search.yaml:2: strategies.tp: expected a whole number"},
        {"strategies:\n  tp: []\n", "search.yaml:2: strategies.tp: expected at least one value"},
        {"strategies:\n  zero_stage: 4\n", "strategies.zero_stage: expected 0, 1, 2 or 3"},
        {"strategies:\n  lp: 1\n  pp: 2\n", "search.yaml:3: strategies.lp: expected once"},
        {"strategies:\n  pp: 0\n", "search.yaml:2: strategies.lp: expected a whole number >= 1"},
        {"strategies:\n  kp1: 2\n", "search.yaml:2: strategies.kp1: expected a key of"},
        {"pp: 2\n", "search.yaml:1: pp: expected a key of"},
        {"a: [\n", "syntax: expected well-formed YAML"},
        {"", "search.yaml:1: document: expected a mapping, found nothing"},
    };
    char dir[256];
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_spec spec = {.iterations = 0};
        df_err err;
        assert_int_equal(load(dir, cases[i].text, &spec, &err), DF_EINVAL);
        if (!strstr(err.text, cases[i].message)) {
            fail_msg("expected \"%s\" in: %s", cases[i].message, err.text);
        }
    }
    df_remove_dir(dir);
}

static void examples_load(void **state)
{
    (void)state;
    static const char *const names[] = {"lstm_4x4_search", "llama2_7b_a100", "llama2_7b_hardware"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        df_spec spec = {.iterations = 0};
        df_err err;
        snprintf(path, sizeof path, DF_CONFIGS "/search/%s.yaml", names[i]);
        if (df_spec_load(path, &spec, &err) != DF_OK) {
            fail_msg("%s", err.text);
        }
        const char *const files[] = {spec.exp_config, spec.hardware_config, spec.model_config};
        for (int k = 0; k < 3; k++) {
            assert_true(files[k][0] == '\0' || access(files[k], R_OK) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(every_field_of_strategies_has_a_key),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(examples_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
