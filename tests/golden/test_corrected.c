/* Predictions under the default rules, as users get them: golden/corrected.txt has, for each case,
 * every figure of `deepflow predict --rules corrected --format json`, and what the other value of
 * each rule changes, as --explain_rules says. A line of "> reference" asks for the changes from the
 * reference rules as well: combinations of rules start from there too.
 *
 * To record them anew, or cases that have been added without their lines of ">":
 *
 *     DF_RECORD=/tmp/corrected.txt build/dev/tests/test_golden_corrected
 *     mv /tmp/corrected.txt tests/golden/corrected.txt
 *
 * Strategies that do not split the model evenly are taken as well, which users have to ask for
 * (splits_unchecked=reference): other rules count there.
 *
 * The commit that changes numbers says why they change. */
#include <stdlib.h>
#include <string.h>

#include "golden/cases.h"
#include "support/program.h"

enum { CASES = 232, MAX_PATH = 256 };

static const double tolerance = 1e-9;

static const char as_users_ask[] = "splits_unchecked";

/* Rules that change none of the figures that --explain_rules compares, and the tests that they
 * have instead. */
static const char *const tested_elsewhere[] = {
    "sram_banks_come_back",           /* counts that `device` prints: unit.rule.effects */
    "dram_links_recomputed",          /* the same */
    "two_stages_rejected",            /* the other value is refused: unit.rule.effects */
    "astra_order_open",               /* the same: unit.llm.modes */
    "llm_single_gradient_as_forward", /* the sum of two products stays: unit.llm.rules */
    "gemm_summary_subtracts_dp",      /* a line of the summary file: cli.predict */
    "rc_batch_unchecked",             /* searches: unit.layout */
    "downward_hops_shifted",          /* the same */
    "cross_wafer_traffic_on_start",   /* the same */
    "layout_joins_tp_and_cp",         /* the same: unit.strategy.llm */
    "infinite_start_shrinks",         /* the same: unit.grad */
    "chip_grows_in_searches",         /* the same: unit.eval */
    "chip_area_whole_mm2",            /* the same */
    "unused_networks_keep_shares",    /* the same */
    "memory_without_units",           /* the other value is refused: cli.predict */
    "budgets_unchecked",              /* the same */
    "networks_unchecked",             /* the same */
    "splits_unchecked",               /* the same: cli.llm */
    "uneven_stages_left_out",         /* searches: unit.strategy.llm */
    "infinite_times_printed",         /* the same */
    "astra_topology_connected",       /* the same */
    "absent_technology_tenth",        /* the same: cli.predict */
    "ttft_with_decode_step",          /* a figure of its own: unit.llm.rules */
    "llm_model_flops_unmasked",       /* the same */
    "llm_layers_alike",               /* the other value is refused: unit.cfg.errors, cli.model */
};
enum { TESTED_ELSEWHERE = sizeof tested_elsewhere / sizeof tested_elsewhere[0] };

/* One run over the file. */
typedef struct {
    char dir[256];   /* of the case's files */
    json_t *rules;   /* in how many cases each rule changes a figure */
    char **recorded; /* NULL: cases are compared; else for each case its lines */
    int count;
} run;

/* ---- A tree of figures as lines of text ---- */

/* What follows from recorded figures and the case itself: cli.llm computes it; the rules are those
 * that were asked for. */
static const char *const derived[] = {"rules", "tpot_s", "tokens_per_s_per_user", "tokens_per_s",
                                      "tokens_per_s_per_device"};

/* Rows of operators are many, and most of their figures are 0. */
static bool is_left_out(const char *path, const char *key, const json_t *value)
{
    for (size_t i = 0; i < sizeof derived / sizeof derived[0]; i++) {
        if (path[0] == '\0' && strcmp(key, derived[i]) == 0) {
            return true;
        }
    }
    const bool nothing = json_is_string(value) ? strcmp(json_string_value(value), "-") == 0
                                               : json_number_value(value) == 0;
    return strstr(path, "operators") && nothing;
}

static void path_below(char below[MAX_PATH], const char *path, const char *key)
{
    const int length = snprintf(below, MAX_PATH, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
    assert_in_range(length, 1, MAX_PATH - 1);
}

static void write_figure(FILE *out, const char *key, const json_t *value)
{
    if (json_is_string(value)) {
        assert_null(strpbrk(json_string_value(value), " =\n"));
        fprintf(out, " %s=%s", key, json_string_value(value));
    } else if (json_is_boolean(value)) {
        fprintf(out, " %s=%s", key, json_is_true(value) ? "true" : "false");
    } else {
        fprintf(out, " %s=%.12g", key, json_number_value(value));
    }
}

/* One line for each object that has figures of its own: its path, unless it is the root, and
 * them. */
static void write_object(FILE *out, const char *path, json_t *object)
{
    const char *key;
    json_t *value;
    bool begun = false;
    json_object_foreach(object, key, value)
    {
        if (!json_is_object(value) && !is_left_out(path, key, value)) {
            fprintf(out, "%s%s", begun ? "" : path[0] != '\0' ? "> " : ">", begun ? "" : path);
            write_figure(out, key, value);
            begun = true;
        }
    }
    fputs(begun ? "\n" : "", out);
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value)) {
            char below[MAX_PATH];
            path_below(below, path, key);
            write_object(out, below, value);
        }
    }
}

/* ---- Comparing ---- */

typedef struct {
    const df_case *c;
    int listed; /* figures that are listed, so far */
    bool same;
} comparison;

/* Behind the group of the line that has this path; NULL: there is none. */
static const char *line_of(const char *expect, const char *path)
{
    const size_t length = strlen(path);
    for (const char *line = expect; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *const word = line + strspn(line, " ");
        const size_t word_length = strcspn(word, " \n");
        const bool is_root = memchr(word, '=', word_length) != NULL;
        if (is_root ? length == 0 : word_length == length && strncmp(word, path, length) == 0) {
            return is_root ? line : word + word_length;
        }
    }
    return NULL;
}

/* Copies the value of a key in the line; returns whether it is there. */
static bool find_value(const char *line, const char *key, char value[64])
{
    const size_t length = strlen(key);
    while (*line == ' ') {
        const size_t word_length = strcspn(line + 1, " \n");
        const char *const word = line + 1;
        if (word_length > length && strncmp(word, key, length) == 0 && word[length] == '=') {
            snprintf(value, 64, "%.*s", (int)(word_length - length - 1), word + length + 1);
            return true;
        }
        line = word + word_length;
    }
    return false;
}

static bool is_equal(const json_t *found, const char *want)
{
    if (json_is_string(found)) {
        return strcmp(json_string_value(found), want) == 0;
    }
    if (json_is_boolean(found)) {
        return strcmp(json_is_true(found) ? "true" : "false", want) == 0;
    }
    char *end;
    const double number = strtod(want, &end);
    return end != want && *end == '\0' &&
           df_case_close(json_number_value(found), number, tolerance);
}

static void
compare_figure(comparison *k, const char *path, const char *line, const char *key, json_t *found)
{
    char want[64] = "nothing";
    const bool listed = find_value(line, key, want);
    k->listed += listed;
    if (listed ? is_equal(found, want) : is_left_out(path, key, found)) {
        return;
    }
    char *const text = json_dumps(found, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    print_error("%s: %s %s is %s, expected %s\n", k->c->name, path, key, text, want);
    free(text);
    k->same = false;
}

static void compare_object(comparison *k, const char *path, json_t *object)
{
    const char *const line = line_of(k->c->expect, path);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value)) {
            char below[MAX_PATH];
            path_below(below, path, key);
            compare_object(k, below, value);
        } else {
            compare_figure(k, path, line ? line : "", key, value);
        }
    }
}

/* Whether all that is found is expected, and the other way round. */
static bool compare(const df_case *c, json_t *found)
{
    comparison k = {.c = c, .same = true};
    int expected = 0;
    for (const char *at = c->expect; *at != '\0'; at++) {
        expected += *at == '=';
    }
    compare_object(&k, "", found);
    if (k.listed != expected) {
        print_error("%s: found %d of %d figures\n", c->name, k.listed, expected);
    }
    return k.same && k.listed == expected;
}

/* ---- Cases ---- */

static void write_files(const run *r, const df_case *c)
{
    char path[512];
    snprintf(path, sizeof path, "%s/hardware.yaml", r->dir);
    df_write_file(path, c->hardware);
    snprintf(path, sizeof path, "%s/model.yaml", r->dir);
    df_write_file(path, c->model);
}

static df_outcome predict(const run *r, const char *options)
{
    char arguments[2048];
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hardware.yaml --model_config %s/model.yaml --exp_dir %s "
             "--format json %s",
             r->dir, r->dir, r->dir, options);
    return df_program(arguments);
}

/* What is printed, or NULL when the program ends with another exit code. */
static json_t *predict_json(const run *r, const df_case *c, const char *options)
{
    df_outcome o = predict(r, options);
    json_t *const root = o.exit_code == 0 ? json_loads(o.out, 0, NULL) : NULL;
    if (!root) {
        print_error("%s: exit code %d: %s\n", c->name, o.exit_code, o.err);
    }
    df_outcome_free(&o);
    return root;
}

static bool is_refused(const run *r, const df_case *c)
{
    df_outcome o = predict(r, "--rules corrected");
    const bool refused = o.exit_code == 2 && o.out[0] == '\0' && o.err[0] != '\0';
    if (!refused) {
        print_error("%s: expected an error, found exit code %d\n", c->name, o.exit_code);
    }
    df_outcome_free(&o);
    return refused;
}

static char *lines_of(json_t *found)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    assert_non_null(out);
    write_object(out, "", found);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Adds, as SET.RULE, the figures that each rule's other value changes among those of a set, with
 * what they become; and how many rules change any. */
static bool add_flips(const run *r, const df_case *c, const char *set, json_t *root)
{
    char options[128];
    const char *name;
    json_t *rule;
    json_int_t changing = 0;
    snprintf(options, sizeof options, "--explain_rules --rules %s,%s=reference", set, as_users_ask);
    json_t *const explained = predict_json(r, c, options);
    if (!explained) {
        return false;
    }
    json_t *const flips = json_object();
    json_object_set_new(root, set, flips);
    json_object_foreach(json_object_get(explained, "rules"), name, rule)
    {
        json_t *const changed = json_object_get(rule, "with_the_other");
        assert_string_equal(json_string_value(json_object_get(rule, "value")),
                            strcmp(name, as_users_ask) == 0 ? "reference" : set);
        const bool changes = json_object_size(changed) > 0;
        const json_int_t before = json_integer_value(json_object_get(r->rules, name));
        json_object_set_new(r->rules, name, json_integer(before + changes));
        if (changes) {
            json_object_set(flips, name, changed);
            changing++;
        }
    }
    json_object_set_new(flips, "rules", json_integer(changing));
    json_decref(explained);
    return true;
}

/* A line that begins with "reference" asks for the flips from there too. */
static bool add_all_flips(const run *r, const df_case *c, json_t *root)
{
    return add_flips(r, c, "corrected", root) &&
           (!line_of(c->expect, "reference") || add_flips(r, c, "reference", root));
}

static bool check_case(const df_case *c, void *context)
{
    run *const r = context;
    const int at = r->count++;
    write_files(r, c);
    if (c->refused) {
        return is_refused(r, c);
    }
    json_t *const found = predict_json(r, c, "--rules corrected,splits_unchecked=reference");
    bool passed = found && add_all_flips(r, c, found);
    if (passed && r->recorded) {
        r->recorded[at] = lines_of(found);
    } else if (passed) {
        passed = compare(c, found);
    }
    json_decref(found);
    return passed;
}

/* Copies golden/corrected.txt with what has been recorded in the place of what is expected. */
static void write_record(const run *r, const char *file)
{
    char *const text = df_read_file(DF_TEST_DATA "/golden/corrected.txt");
    FILE *const out = fopen(file, "w");
    assert_non_null(out);
    const char *due = NULL; /* lines of the case whose settings are being copied */
    int count = 0;
    for (const char *line = text; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        const bool old = *line == '>' && due;
        if (strncmp(line, "@case ", 6) == 0) {
            due = r->recorded[count++];
        }
        if (length == 0 && due) {
            fputs(due, out);
            due = NULL;
        }
        if (!old) {
            fprintf(out, "%.*s\n", (int)length, line);
        }
        line += length + (line[length] == '\n');
    }
    fputs(due ? due : "", out);
    assert_int_equal(fclose(out), 0);
    free(text);
}

static bool is_tested_elsewhere(const char *rule)
{
    bool found = false;
    for (int i = 0; i < TESTED_ELSEWHERE; i++) {
        found = found || strcmp(tested_elsewhere[i], rule) == 0;
    }
    return found;
}

static void assert_every_rule_counts(json_t *rules)
{
    const char *name;
    json_t *cases;
    int without = 0;
    json_object_foreach(rules, name, cases)
    {
        const bool changes = json_integer_value(cases) > 0;
        if (changes == is_tested_elsewhere(name)) {
            fail_msg("%s changes figures in %d cases", name, (int)json_integer_value(cases));
        }
        without += !changes;
    }
    assert_int_equal(without, TESTED_ELSEWHERE);
}

static void recorded_predictions_are_met(void **state)
{
    (void)state;
    const char *const file = getenv("DF_RECORD");
    char *recorded[CASES] = {NULL};
    run r = {.rules = json_object(), .recorded = file ? recorded : NULL};
    df_make_dir(r.dir);
    assert_int_equal(df_cases_check("corrected.txt", check_case, &r), CASES);
    assert_every_rule_counts(r.rules);
    json_decref(r.rules);
    if (file) {
        write_record(&r, file);
    }
    for (int i = 0; i < CASES; i++) {
        free(recorded[i]);
    }
    df_remove_dir(r.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_predictions_are_met),
    };
    setenv("DEEPFLOW_ASTRA_CACHE_MODE", "NO_CACHE", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
