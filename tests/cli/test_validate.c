/* validate as a user runs it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

/* The score of a set and metric under some rules. */
static const json_t *score_of(json_t *root, const char *set, const char *metric, const char *rules)
{
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(root, "sets"), i, each)
    {
        if (strcmp(json_string_value(json_object_get(each, "set")), set) == 0 &&
            strcmp(json_string_value(json_object_get(each, "metric")), metric) == 0) {
            return json_object_get(json_object_get(each, rules), "all");
        }
    }
    fail_msg("no score of %s %s", set, metric);
    return NULL;
}

/* The rates of the copy in `dir`, with every run on the SXM card, as the Python DeepFlow has it. */
static void write_on_one_card(const char *dir)
{
    static const char card[] = "A100-SXM4-80GB";
    char path[512];
    char *const text = df_read_file(DF_CONFIGS "/validation/koyeb_a100_decode.csv");
    char *const pcie = strstr(text, "A100-PCIe-80GB");
    assert_non_null(pcie); /* the one run of it: a rate, then a time */
    for (int i = 0; card[i] != '\0'; i++) {
        pcie[i] = card[i];
    }
    snprintf(path, sizeof path, "%s/koyeb.csv", dir);
    df_write_file(path, text);
    free(text);
}

/* The mean of |predicted / measured - 1| over the nine rates, done here from the points. */
static double mean_error(json_t *root, const char *rules)
{
    double sum = 0;
    int count = 0;
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(root, "points"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "metric")), "decode_tok_per_s") == 0) {
            sum += fabs(df_number(p, rules) / df_number(p, "measured") - 1);
            count++;
        }
    }
    assert_int_equal(count, 9);
    return sum / count;
}

/* The Python DeepFlow has 5.97 %. */
static void koyeb_is_as_good_as_the_reference(void **state)
{
    (void)state;
    static const char *const rules[] = {"reference", "corrected"};
    char dir[256];
    char arguments[512];
    df_make_dir(dir);
    write_on_one_card(dir);
    snprintf(arguments, sizeof arguments, "validate --data %s --format json --points", dir);
    json_t *const root = df_program_json(arguments);
    for (int r = 0; r < 2; r++) {
        const double mean = mean_error(root, rules[r]);
        df_assert_rel(df_number(score_of(root, "koyeb", "decode_tok_per_s", rules[r]), "mean"),
                      mean, 1e-12);
        assert_true(mean <= 0.0597);
    }
    json_decref(root);
    df_remove_dir(dir);
}

static void every_set_is_scored(void **state)
{
    (void)state;
    static const char *const sets[][2] = {
        {"koyeb_a100_decode", "decode_s"},
        {"nvidia_llama2_a100_inference", "total_s"},
        {"korthikanti_a100_training", "step_s"},
        {"korthikanti_memory", "activation_mem_gib"},
        {"vtrain_a100_training", "step_s"},
        {"uci_a100_training", "step_s"},
        {"hf_nanotron_h100", "step_s"},
        {"hf_nanotron_h100_memory", "fits"},
        {"ncu_gemm_a100", "gemm_s"},
        {"ops_gemm", "time_s"},
        {"ops_attention_prefill", "time_s"},
        {"ops_attention_decode", "time_s"},
        {"ops_collective", "time_s"},
        {"ops_moe", "time_s"},
    };
    json_t *const root = df_program_json("validate --format json");
    size_t i;
    json_t *each;
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        for (int r = 0; r < 2; r++) {
            const json_t *const score =
                score_of(root, sets[s][0], sets[s][1], r == 0 ? "reference" : "corrected");
            assert_true(df_number(score, "n") > 0);
            assert_true(df_number(score, "median") >= 0);
        }
    }
    json_array_foreach(json_object_get(root, "sets"), i, each)
    {
        assert_int_equal(json_integer_value(json_object_get(each, "skipped")), 0);
    }
    json_decref(root);
}

static void csv_and_text_have_all_rows(void **state)
{
    (void)state;
    df_outcome o = df_program("validate vtrain --format csv --points --rules corrected");
    assert_int_equal(o.exit_code, 0);
    int lines = 0;
    for (const char *c = o.out; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 1 + 20);
    assert_true(strncmp(o.out, "set,metric,id,quality,group,measured,corrected,skipped\n", 55) ==
                0);
    df_outcome_free(&o);
    o = df_program("validate vtrain");
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "rankings"));
    df_outcome_free(&o);
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    df_refuse("validate nonsense", 2,
              "SET: expected an existing set (such as hf_nanotron_h100), found nonsense");
    df_refuse("validate --data /nonexistent", 2, "--data: expected a folder, found /nonexistent");
    df_refuse("validate --rules good", 2,
              "--rules: expected reference, corrected or calibrated, found good");
}

/* What `validate vtrain` prints for a copy of the program in `dir`, with `environment` set. */
static df_outcome validate_in(const char *dir, const char *environment)
{
    df_outcome o;
    char command[2048];
    snprintf(command, sizeof command, "%s '%s/deepflow' validate vtrain", environment, dir);
    df_run(command, &o.exit_code, &o.out, &o.err);
    return o;
}

static void run_in(const char *dir, const char *format)
{
    char command[2048];
    int code;
    snprintf(command, sizeof command, format, dir);
    df_run(command, &code, NULL, NULL);
    assert_int_equal(code, 0);
}

/* In a folder that is neither below the sources nor installed. */
static void the_measured_runs_are_found_from_elsewhere(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    run_in(dir, "cp '" DF_BIN "' '%s'");
    df_outcome o = validate_in(dir, "");
    assert_int_equal(o.exit_code, 1);
    assert_non_null(strstr(o.err, "configs/validation: expected it in "));
    df_outcome_free(&o);
    o = validate_in(dir, "DEEPFLOW_DATA_DIR=/nonexistent");
    assert_int_equal(o.exit_code, 1);
    assert_non_null(strstr(o.err, "DEEPFLOW_DATA_DIR: expected a folder with configs/validation, "
                                  "found /nonexistent\n"));
    df_outcome_free(&o);
    o = validate_in(dir, "DEEPFLOW_DATA_DIR='" DF_CONFIGS "/..'");
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "vtrain_a100_training"));
    df_outcome_free(&o);
    run_in(dir, "ln -s '" DF_CONFIGS "' '%s/configs'"); /* as CMake makes it */
    o = validate_in(dir, "");
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "vtrain_a100_training"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(koyeb_is_as_good_as_the_reference),
        cmocka_unit_test(every_set_is_scored),
        cmocka_unit_test(csv_and_text_have_all_rows),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(the_measured_runs_are_found_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
