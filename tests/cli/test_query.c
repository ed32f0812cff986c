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

/* pp is the literature's word for lp. */
static void pp_stands_for_lp(void **state)
{
    const char *const dir = *state;
    assert_true(count(dir, "lp = 4") > 0);
    assert_int_equal(count(dir, "pp = 4"), count(dir, "lp = 4"));
    assert_int_equal(count(dir, "pp_inter = 0"), count(dir, "lp_inter = 0"));
    json_t *const rows = query(dir, "--columns pp,pp_inter --sort=-pp --top 1");
    df_assert_rel(df_number(json_array_get(rows, 0), "lp"), 4, 0);
    assert_non_null(json_object_get(json_array_get(rows, 0), "lp_inter"));
    json_decref(rows);
}

static void search_one(const char *dir, const char *name, const char *flags)
{
    char arguments[2048];
    snprintf(arguments, sizeof arguments, "GD_search --index 0 --exp_dir %s/%s %s", dir, name,
             flags);
    df_outcome o = df_program(arguments);
    if (o.exit_code != 0) {
        fail_msg("%s", o.err);
    }
    df_outcome_free(&o);
}

/* The only row of the results in DIR/NAME. */
static json_t *row_of(const char *dir, const char *name)
{
    char arguments[512];
    snprintf(arguments, sizeof arguments, "query %s/%s --format json", dir, name);
    json_t *const rows = df_program_json(arguments);
    assert_int_equal(json_array_size(rows), 1);
    json_t *const row = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    return row;
}

typedef struct {
    const char *name;
    double number;
    const char *word; /* NULL: it is a number */
} column;

static void assert_columns(const char *dir, const char *name, const column *columns, size_t n)
{
    json_t *const row = row_of(dir, name);
    for (size_t i = 0; i < n; i++) {
        const json_t *const value = json_object_get(row, columns[i].name);
        if (columns[i].word) {
            assert_string_equal(json_string_value(value), columns[i].word);
        } else {
            assert_true(json_number_value(value) == columns[i].number);
        }
    }
    json_decref(row);
}

/* Each flag of an LLM's strategy is a column; flags of kernels leave no trace. */
static void flags_of_an_llm_become_columns(void **state)
{
    static const column columns[] = {{"dp", 2, NULL},
                                     {"lp", 4, NULL},
                                     {"tp", 8, NULL},
                                     {"cp", 1, NULL},
                                     {"mb", 16, NULL},
                                     {"tp_sp", 1, NULL},
                                     {"zero_stage", 2, NULL},
                                     {"recompute", 0, "full"},
                                     {"schedule", 0, "interleaved"},
                                     {"virtual_stages", 2, NULL},
                                     {"kp_type", -1, NULL},
                                     {"kp1", 1, NULL},
                                     {"kp2", 1, NULL},
                                     {"kp1_inter", 0, NULL},
                                     {"kp2_inter", 0, NULL},
                                     {"dp_inter", 0, NULL},
                                     {"lp_inter", 1, NULL},
                                     {"layout", 0, "0123"}};
    search_one(*state, "flags_llm",
               "--hardware_config " DF_CONFIGS
               "/hardware/variants/hbm_next.yaml --model_config " DF_CONFIGS
               "/model/llama2_7b.yaml --batch_size 64 --wafer_dim 4 --fix_hardware "
               "--ignore_memory --dp 2 --pp 4 --tp 8 --cp 1 --mb 16 --tp_sp --zero_stage 2 "
               "--recompute full --schedule interleaved --virtual_stages 2 --kp_type 1 --kp1 3 "
               "--kp2 5 --pp_inter");
    assert_columns(*state, "flags_llm", columns, sizeof columns / sizeof columns[0]);
}

/* kp2 counts when kernels are split by row and column; flags of LLMs leave no trace. */
static void flags_of_kernels_become_columns(void **state)
{
    static const column columns[] = {{"dp", 2, NULL},        {"lp", 4, NULL},
                                     {"kp_type", 2, NULL},   {"kp1", 2, NULL},
                                     {"kp2", 4, NULL},       {"tp", 0, NULL},
                                     {"cp", 0, NULL},        {"mb", 0, NULL},
                                     {"tp_sp", 0, NULL},     {"recompute", 0, ""},
                                     {"schedule", 0, ""},    {"zero_stage", 0, NULL},
                                     {"kp1_inter", 1, NULL}, {"dp_inter", 1, NULL},
                                     {"lp_inter", 0, NULL},  {"virtual_stages", 0, NULL}};
    search_one(*state, "flags_kernels",
               "--exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --iterations 2 --wafer_dim 4 "
               "--dp 2 --lp 4 --kp_type 2 --kp1 2 --kp2 4 --tp 3 --cp 5 --mb 7 --tp_sp "
               "--zero_stage 1 --recompute full --schedule 1f1b --virtual_stages 9 --kp1_inter "
               "--dp_inter");
    assert_columns(*state, "flags_kernels", columns, sizeof columns / sizeof columns[0]);
}

/* A file of a version that did not know an axis: here /strategies loses its column cp. */
static void a_missing_axis_has_degree_1(void **state)
{
    const char *const dir = *state;
    char command[2048];
    int exit_code;
    search_one(dir, "old",
               "--hardware_config " DF_CONFIGS
               "/hardware/variants/hbm_next.yaml --model_config " DF_CONFIGS
               "/model/llama2_7b.yaml --batch_size 64 --wafer_dim 8 --fix_hardware "
               "--ignore_memory --dp 2 --tp 8");
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import h5py, sys\n"
             "from h5py import h5d, h5s, h5t\n"
             "f = h5py.File(sys.argv[1], \"r+\")\n"
             "rows, was = f[\"strategies\"][:], f[\"strategies\"].id.get_type()\n"
             "kind = h5t.create(h5t.COMPOUND, was.get_size())\n"
             "for i in range(was.get_nmembers()):\n"
             "    if was.get_member_name(i) != b\"cp\":\n"
             "        kind.insert(was.get_member_name(i), was.get_member_offset(i), "
             "was.get_member_type(i))\n"
             "del f[\"strategies\"]\n"
             "new = h5d.create(f.id, b\"strategies\", kind, h5s.create_simple(rows.shape))\n"
             "new.write(h5s.ALL, h5s.ALL, rows, mtype=kind)' "
             "%s/old/results.h5",
             dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    static const column columns[] = {{"tp", 8, NULL},
                                     {"cp", 1, NULL},
                                     {"dp", 2, NULL},
                                     {"mb", 1, NULL},
                                     {"schedule", 0, "gpipe"}};
    assert_columns(dir, "old", columns, sizeof columns / sizeof columns[0]);
    snprintf(command, sizeof command,
             "query %s/old --where 'cp = 1 and tp = 8' --format csv "
             "--columns cp",
             dir);
    df_outcome o = df_program(command);
    assert_string_equal(o.out, "cp\n1\n");
    df_outcome_free(&o);
    snprintf(command, sizeof command, "top %s/old --once", dir);
    o = df_program(command);
    assert_non_null(strstr(o.out, " t8-c1-d2-l1-m1 "));
    df_outcome_free(&o);
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

/* How many rows a table of the best has, those that it joined included. */
static int64_t count_best(const char *table, int64_t *lines)
{
    static const char joined[] = "  and ";
    int64_t rows = 0;
    *lines = 0;
    for (const char *at = strchr(table, '\n') + 1; *at != '\n' && *at != '\0';) {
        const size_t length = strcspn(at, "\n");
        char line[512];
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        char *const more = strstr(line, joined);
        rows += 1 + (more ? strtoll(more + strlen(joined), NULL, 10) : 0);
        ++*lines;
        at += length + (at[length] == '\n');
    }
    return rows;
}

/* 51 strategies and layouts, each of which works. Some layouts differ in nothing that counts: they
 * are one row, which says how many more there are. */
static void equal_results_are_one_row(void **state)
{
    char arguments[512];
    int64_t lines;
    snprintf(arguments, sizeof arguments,
             "arch_search --exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --wafer_dim 4 "
             "--num_search 1 --iterations 3 --ignore_memory --top 1000 --exp_dir %s/equal",
             (const char *)*state);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_int_equal(count_best(o.out, &lines), 51);
    assert_in_range(lines, 20, 40); /* of 29 strategies, of which some are alike too */
    df_outcome_free(&o);
    snprintf(arguments, sizeof arguments, "top %s/equal --once", (const char *)*state);
    o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, " and 2 more\n"));
    df_outcome_free(&o);
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
    static const char STOPPED[] =
        "; stopped: no search writes the file (arch_search --resume continues)";
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
        cmocka_unit_test(pp_stands_for_lp),
        cmocka_unit_test(flags_of_an_llm_become_columns),
        cmocka_unit_test(flags_of_kernels_become_columns),
        cmocka_unit_test(a_missing_axis_has_degree_1),
        cmocka_unit_test(rows_are_sorted),
        cmocka_unit_test(csv_has_a_head),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(equal_results_are_one_row),
        cmocka_unit_test(top_shows_the_best),
        cmocka_unit_test(text_has_what_differs),
        cmocka_unit_test(top_tells_that_nobody_writes),
        cmocka_unit_test(columns_are_described),
        cmocka_unit_test(plans_say_what_is_not_feasible),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
