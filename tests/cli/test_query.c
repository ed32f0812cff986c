/* deepflow query and top on the results of a small sweep. */
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

static int setup(void **state)
{
    char *const dir = calloc(1, 256);
    char arguments[1024];
    assert_non_null(dir);
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments,
             "arch_search --exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --wafer_dim 2 "
             "--num_search 3 --iterations 4 --rules reference --exp_dir %s/a",
             dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    df_remove_dir(*state);
    free(*state);
    return 0;
}

static json_t *query(const char *dir, const char *flags)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "query %s/a --format json %s", dir, flags);
    return df_program_json(arguments);
}

static size_t count(const char *dir, const char *where)
{
    char flags[512];
    snprintf(flags, sizeof flags, "--where \"%s\"", where);
    json_t *const rows = query(dir, flags);
    const size_t found = json_array_size(rows);
    json_decref(rows);
    return found;
}

/* 11 layouts, 3 starts each. */
static void conditions_select_rows(void **state)
{
    const char *const dir = *state;
    assert_int_equal(count(dir, "index >= 0"), 33);
    assert_int_equal(count(dir, "index = 1"), 11);
    assert_int_equal(count(dir, "index != 1"), 22);
    assert_int_equal(count(dir, "index<1 or index>1"), 22);
    assert_int_equal(count(dir, "not index = 1 and index > 0"), 11);
    assert_int_equal(count(dir, "index = 0 or index = 1 and work_id < 0"), 11);
    assert_int_equal(count(dir, "(index = 0 or index = 1) and work_id < 6"), 4);
    assert_int_equal(count(dir, "not (index = 0 or index = 1)"), 11);
    assert_int_equal(count(dir, "status = pending"), 0);
    assert_int_equal(count(dir, "status != 'pending' and layout = 2013 or kp_type > 5"),
                     count(dir, "layout == '2013'"));
    assert_true(count(dir, "layout = 2013") > 0);
}

static void rows_are_sorted(void **state)
{
    const char *const dir = *state;
    json_t *const rows =
        query(dir, "--sort=-dp,best_time_s --columns dp,best_time_s,work_id --top 9");
    assert_int_equal(json_array_size(rows), 9);
    for (size_t i = 1; i < 9; i++) {
        const json_t *const a = json_array_get(rows, i - 1);
        const json_t *const b = json_array_get(rows, i);
        assert_int_equal(json_object_size(b), 3);
        assert_true(df_number(a, "dp") >= df_number(b, "dp"));
        assert_true(df_number(a, "dp") > df_number(b, "dp") ||
                    df_number(a, "best_time_s") <= df_number(b, "best_time_s"));
    }
    json_decref(rows);
}

static void csv_has_a_head(void **state)
{
    char arguments[512];
    snprintf(arguments, sizeof arguments,
             "query %s/a --format csv --columns work_id,status --sort work_id --top 1",
             (const char *)*state);
    df_outcome o = df_program(arguments);
    assert_string_equal(o.out, "work_id,status\n0,iterations\n");
    df_outcome_free(&o);
}

static void errors_say_where(void **state)
{
    static const struct {
        const char *flags, *message;
    } cases[] = {
        {"--where 'dpp > 1'",
         "--where: column 1: expected the name of a column (did you mean dp?), "
         "found dpp"},
        {"--where 'dp > 1 and lp ~ 2'", "--where: column 15: expected = != < <= > or >="},
        {"--where 'dp > x'", "--where: column 6: expected a number, found x"},
        {"--where '(dp > 1'", "--where: column 8: expected `and`, `or` or ), found end"},
        {"--where 'dp > 1 lp'", "--where: column 8: expected `and`, `or` or the end, found lp"},
        {"--where \"status = 'a\"", "--where: column 10: expected a closing quote"},
        {"--sort best_tim_s", "--sort: expected the name of a column (did you mean best_time_s?)"},
        {"--columns ''", "--columns: expected a text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char arguments[512];
        snprintf(arguments, sizeof arguments, "query %s/a %s", (const char *)*state,
                 cases[i].flags);
        df_refuse(arguments, 2, cases[i].message);
    }
    df_refuse("query /nowhere.h5", 1, "/nowhere.h5: cannot be read: No such file");
}

static void top_shows_the_best(void **state)
{
    char arguments[512];
    snprintf(arguments, sizeof arguments, "top %s/a --once", (const char *)*state);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "33/33 descents, 100.0 %, "));
    assert_non_null(strstr(o.out, " 0 s left"));
    assert_non_null(strstr(o.out, "\n 10 "));
    df_outcome_free(&o);
}

/* What a killed search left is told from one that goes on. */
static void top_tells_that_nobody_writes(void **state)
{
    static const char STOPPED[] = "; stopped: nobody writes there (arch_search --resume goes on)";
    char command[2048];
    char *out;
    int exit_code;
    snprintf(command, sizeof command,
             "cd %s && { '" DF_BIN "' arch_search --exp_config " DF_CONFIGS
             "/search/lstm_4x4.yaml --num_search 500 --exp_dir k >k.out 2>&1 & pid=$!; "
             "while [ ! -s k/results.h5 ]; do sleep 0.1; done; kill -9 $pid; "
             "touch -d '1 minute ago' k/results.h5; '" DF_BIN "' top k --once; }",
             (const char *)*state);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, STOPPED));
    free(out);
    snprintf(command, sizeof command, "cd %s && flock k/.lock '" DF_BIN "' top k/results.h5 --once",
             (const char *)*state);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_null(strstr(out, STOPPED));
    assert_non_null(strstr(out, ", written "));
    free(out);
}

/* Of an LLM the columns in which its strategies differ; one system has one number of nodes. */
static void text_has_what_differs(void **state)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments,
             "arch_search --search " DF_CONFIGS "/search/llama2_7b_a100.yaml --exp_dir %s/llm",
             (const char *)*state);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    snprintf(arguments, sizeof arguments, "query %s/llm --top 1", (const char *)*state);
    o = df_program(arguments);
    assert_int_equal(strncmp(o.out, "     work_id       status  best_time_s     energy_j ", 51), 0);
    static const char *const there[] = {" tp ", " mb ", " zero_stage ", " recompute ",
                                        " schedule "};
    static const char *const left_out[] = {" cp ", " kp1 ", " num_worker ", " index",
                                           " best_value "};
    for (size_t i = 0; i < 5; i++) {
        assert_non_null(strstr(o.out, there[i]));
        assert_null(strstr(o.out, left_out[i]));
    }
    df_outcome_free(&o);
    snprintf(arguments, sizeof arguments, "top %s/llm --once", (const char *)*state);
    o = df_program(arguments);
    assert_non_null(strstr(o.out, " leave node "));
    assert_non_null(strstr(o.out, " none "));
    df_outcome_free(&o);
}

/* A plan counts what is not feasible by its reason. */
static void plans_say_what_is_not_feasible(void **state)
{
    (void)state;
    df_outcome o =
        df_program("arch_search --search " DF_CONFIGS "/search/llama2_7b_a100.yaml --no_launch");
    char *end;
    assert_int_equal(o.exit_code, 0);
    const char *const line = strstr(o.out, "\nlayouts ");
    const char *reasons = strstr(o.out, "\nnot feasible\n");
    assert_non_null(line);
    assert_non_null(reasons);
    long long layouts = strtoll(line + 9, &end, 10);
    const long long feasible = strtoll(end + 1, &end, 10);
    assert_int_equal(strncmp(end, " of them feasible", 17), 0);
    for (reasons += 14; *reasons != '\0'; reasons += strcspn(reasons, "\n") + 1) {
        layouts -= strtoll(reasons, NULL, 10);
    }
    assert_true(feasible > 0);
    assert_int_equal(layouts, feasible);
    df_outcome_free(&o);
}

/* docs/results.md names every column; those of areas and the like from first to last. */
static void columns_are_described(void **state)
{
    char arguments[512];
    snprintf(arguments, sizeof arguments, "query %s/a --format csv --top 1", (const char *)*state);
    df_outcome o = df_program(arguments);
    char *const doc = df_read_file(DF_CONFIGS "/../docs/results.md");
    o.out[strcspn(o.out, "\n")] = '\0';
    int named = 0;
    for (char *rest = o.out, *name; (name = strtok_r(rest, ",", &rest));) {
        if (strncmp(name, "area_", 5) == 0 || strncmp(name, "power_", 6) == 0) {
            continue;
        }
        bool found = false;
        for (const char *at = doc; !found && (at = strstr(at, name)); at++) {
            const char after = at[strlen(name)];
            found = strchr(" ,", at[-1]) && (after == ' ' || after == ',');
        }
        if (!found) {
            fail_msg("docs/results.md: expected the column %s", name);
        }
        named++;
    }
    assert_true(named > 30);
    free(doc);
    df_outcome_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_select_rows),
        cmocka_unit_test(rows_are_sorted),
        cmocka_unit_test(csv_has_a_head),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(top_shows_the_best),
        cmocka_unit_test(text_has_what_differs),
        cmocka_unit_test(top_tells_that_nobody_writes),
        cmocka_unit_test(columns_are_described),
        cmocka_unit_test(plans_say_what_is_not_feasible),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
