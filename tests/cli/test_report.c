/* report as a user runs it: the page holds what results.h5 holds, designs give the times that the
 * search found, and what is still to do is left out. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_read.h"
#include "support/program.h"
#include "support/results.h"

#define LSTM                                                                                       \
    "--exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --wafer_dim 2 --num_search 2 --iterations "  \
    "3 --rules corrected --trajectory"
#define MEASURED                                                                                   \
    "--hardware_config " DF_CONFIGS "/hardware/a100_80gb.yaml --model_config " DF_CONFIGS          \
    "/model/llama2_7b.yaml --batch_size 64 --fix_hardware --num_nodes 2 --devices_per_node 4"
#define LLM MEASURED " --rules corrected"

static void run_ok(const char *format, ...) DF_PRINTF(1, 2);

static void run_ok(const char *format, ...)
{
    char arguments[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(arguments, sizeof arguments, format, args);
    va_end(args);
    df_outcome o = df_program(arguments);
    if (o.exit_code != 0) {
        fail_msg("%s: exit code %d: %s", arguments, o.exit_code, o.err);
    }
    df_outcome_free(&o);
}

/* Open MPI leaks, so there alone leaks are not looked for. */
static void search(const char *flags, const char *dir)
{
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    run_ok("arch_search %s --exp_dir %s --overwrite", flags, dir);
    unsetenv("ASAN_OPTIONS");
}

/* The results of a search with these flags, and the numbers of their page. */
typedef struct {
    char dir[256], path[300];
    df_results results;
    json_t *page;
} case_data;

static json_t *page_of(const char *dir, const char *flags)
{
    static const char open[] = "<script id=\"data\" type=\"application/json\">";
    char path[300];
    run_ok("report %s %s -o %s/page.html", dir, flags, dir);
    snprintf(path, sizeof path, "%s/page.html", dir);
    char *const text = df_read_file(path);
    char *const begin = strstr(text, open);
    assert_non_null(begin);
    json_error_t why;
    json_t *const page = json_loads(begin + strlen(open), JSON_DISABLE_EOF_CHECK, &why);
    if (!page) {
        fail_msg("line %d: %s", why.line, why.text);
    }
    free(text);
    return page;
}

/* With the first search as it is while it runs. */
static void make_pending(const char *path)
{
    static const char status[] = "iterations";
    char row[4096];
    const df_extent extent = df_find_extent(path, "searches");
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_true(pread(fd, row, sizeof row, extent.at) == sizeof row);
    const char *const at = memmem(row, sizeof row, status, sizeof status);
    assert_non_null(at);
    char pending[sizeof status] = "pending";
    assert_true(pwrite(fd, pending, sizeof pending, extent.at + (at - row)) == sizeof pending);
    close(fd);
}

static void begin(case_data *c, const char *flags, bool pending)
{
    df_err err;
    df_make_dir(c->dir);
    search(flags, c->dir);
    snprintf(c->path, sizeof c->path, "%s/results.h5", c->dir);
    if (pending) {
        make_pending(c->path);
    }
    assert_int_equal(df_results_open(c->path, &c->results, &err), DF_OK);
    c->page = page_of(c->dir, "");
}

static void end(case_data *c)
{
    json_decref(c->page);
    df_results_close(&c->results);
    df_remove_dir(c->dir);
}

static long long whole(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* The time that `predict` gives for the design of a search. */
static double predicted_again(const case_data *c, long long work_id)
{
    char arguments[1024];
    run_ok("report %s --design %lld -o %s/design.yaml", c->path, work_id, c->dir);
    snprintf(arguments, sizeof arguments,
             "predict --exp_config %s/design.yaml --rules corrected --format json --exp_dir %s/out",
             c->dir, c->dir);
    json_t *const json = df_program_json(arguments);
    const double time_s = df_number(json, "time_s");
    json_decref(json);
    return time_s;
}

/* Every design of the page, at most so many, against the file; best first. */
static void designs_are_those_of_the_file(const case_data *c, size_t most)
{
    const json_t *const designs = json_object_get(c->page, "designs");
    const json_t *const ranked = json_object_get(c->page, "ranked");
    double last_s = 0;
    df_err err;
    assert_true(json_array_size(designs) > 0);
    for (size_t i = 0; i < json_array_size(designs) && i < most; i++) {
        const json_t *const design = json_array_get(designs, i);
        const long long work_id = whole(design, "work_id");
        df_store_search search;
        assert_int_equal(work_id, json_integer_value(json_array_get(ranked, i)));
        assert_int_equal(df_results_read(&c->results, work_id, 1, &search, &err), DF_OK);
        const double time_s = search.descent.best_time_s;
        assert_true(time_s >= last_s);
        df_assert_rel(df_number(design, "predicted_s"), time_s, 1e-11); /* 12 digits */
        df_assert_rel(predicted_again(c, work_id), time_s, 0);
        last_s = time_s;
    }
}

/* Operators add up to the step, but for what waits or overlaps: nothing on one pipeline stage
 * without data parallelism. */
static double operators_s(const json_t *design)
{
    const json_t *const ops = json_object_get(design, "ops");
    double sum_s = 0;
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *const op = json_array_get(ops, i);
        const json_t *const costs = json_object_get(op, "cost_s");
        for (size_t k = 0; k < json_array_size(costs); k++) {
            sum_s += df_number(op, "runs") * json_real_value(json_array_get(costs, k));
        }
    }
    return sum_s;
}

static void lstm_page(void **state)
{
    (void)state;
    case_data c;
    begin(&c, LSTM, false);
    const json_t *const searches = json_object_get(c.page, "searches");
    const json_t *const asked = json_object_get(c.page, "asked");
    assert_int_equal(whole(searches, "of"), c.results.num_searches);
    assert_int_equal(whole(searches, "rows"), 22); /* 11 layouts, two starts each */
    assert_int_equal(whole(json_object_get(c.page, "strategies"), "rows"), 11);
    assert_string_equal(json_string_value(json_object_get(asked, "mode")), "LSTM");
    assert_string_equal(json_string_value(json_object_get(asked, "hardware_yaml")),
                        c.results.hardware_yaml);
    designs_are_those_of_the_file(&c, 11);
    const json_t *const first = json_array_get(json_object_get(c.page, "designs"), 0);
    df_assert_rel(operators_s(first), df_number(first, "predicted_s"), 0.2);
    /* the best descents of ten strategies, and the other start of the first */
    const json_t *const trajectories = json_object_get(c.page, "trajectories");
    assert_int_equal(json_array_size(trajectories), 11);
    const json_t *const times = json_object_get(json_array_get(trajectories, 0), "time_s");
    assert_in_range(json_array_size(times), 2, 4);
    end(&c);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* By the default rules: what predictions rest on, and what the boards of a design take, which are
 * those that `predict` names. */
static void measured_page(void **state)
{
    (void)state;
    case_data c;
    char arguments[1024];
    begin(&c, MEASURED, false);
    const json_t *const asked = json_object_get(c.page, "asked");
    const json_t *const design = json_array_get(json_object_get(c.page, "designs"), 0);
    assert_string_equal(text_of(asked, "rules"), "calibrated");
    assert_string_equal(text_of(asked, "power_basis"), "measured");
    assert_string_equal(
        text_of(asked, "rests_on"),
        "kernels measured on this card (a100); framework nemo_26.08, assumed; power "
        "measured on such boards");
    run_ok("report %s --design %lld -o %s/design.yaml", c.path, whole(design, "work_id"), c.dir);
    snprintf(arguments, sizeof arguments,
             "predict --exp_config %s/design.yaml --format json --exp_dir %s/out", c.dir, c.dir);
    json_t *const predicted = df_program_json(arguments);
    df_assert_rel(df_number(design, "predicted_s"), df_number(predicted, "time_s"), 1e-11);
    df_assert_rel(df_number(design, "board_w"), df_number(predicted, "board_w"), 1e-11);
    df_assert_rel(df_number(design, "mfu"), df_number(predicted, "mfu"), 1e-11);
    assert_string_equal(text_of(json_object_get(predicted, "basis"), "power"), "measured");
    json_decref(predicted);
    snprintf(arguments, sizeof arguments, "query %s --top 1", c.dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "\nrules calibrated: kernels measured on this card (a100); "));
    df_outcome_free(&o);
    end(&c);
}

static void llm_page(void **state)
{
    (void)state;
    case_data c;
    begin(&c, LLM, false);
    int64_t infeasible = 0;
    for (int64_t i = 0; i < c.results.num_strategies; i++) {
        infeasible += !c.results.strategies[i].feasible;
    }
    assert_true(infeasible > 0);
    const json_t *const reasons = json_object_get(c.page, "reasons");
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        infeasible -= whole(json_array_get(reasons, i), "count");
    }
    assert_int_equal(infeasible, 0);
    assert_null(json_object_get(json_object_get(c.page, "asked"), "rests_on"));
    designs_are_those_of_the_file(&c, 4);
    end(&c);
}

/* Of many searches the best and a sample, with the strategies that these are of. */
static void few_rows(void **state)
{
    (void)state;
    case_data c;
    begin(&c, LLM, false);
    json_decref(c.page);
    c.page = page_of(c.dir, "--rows 20");
    const json_t *const searches = json_object_get(c.page, "searches");
    const json_t *const strategies = json_object_get(c.page, "strategies");
    assert_in_range(whole(searches, "rows"), 15, 25);
    assert_int_equal(whole(searches, "of"), c.results.num_searches);
    assert_int_equal(whole(strategies, "rows"), whole(searches, "rows")); /* one search each */
    assert_int_equal(whole(strategies, "of"), c.results.num_strategies);
    end(&c);
}

/* Of several objectives the front is the file's; else that of time, energy and area. */
static void fronts(void **state)
{
    (void)state;
    case_data c;
    df_err err;
    int64_t *ids;
    int64_t count;
    begin(&c, LLM " --objective energy,time", false);
    assert_int_equal(df_results_pareto(&c.results, &ids, &count, &err), DF_OK);
    assert_in_range(count, 2, c.results.num_searches - 1);
    assert_int_equal(whole(c.page, "front"), count);
    assert_true(json_is_true(json_object_get(c.page, "front_of_file")));
    free(ids);
    end(&c);
    begin(&c, LLM, false);
    assert_int_equal(df_results_pareto(&c.results, &ids, &count, &err), DF_OK);
    assert_int_equal(count, 0);
    assert_true(whole(c.page, "front") > 0);
    assert_true(json_is_false(json_object_get(c.page, "front_of_file")));
    free(ids);
    end(&c);
}

static void refuses(const char *arguments, const char *dir, int exit_code, const char *message)
{
    char text[1024];
    snprintf(text, sizeof text, "report %s%s", dir, arguments);
    df_refuse(text, exit_code, message);
}

static void unfinished(void **state)
{
    (void)state;
    case_data c;
    begin(&c, LSTM, true);
    assert_int_equal(whole(json_object_get(c.page, "count"), "pending"), 1);
    assert_int_equal(whole(json_object_get(c.page, "searches"), "rows"), 21);
    assert_int_equal(whole(json_object_get(c.page, "searches"), "of"), 22);
    refuses(" --design 0", c.dir, 2, "expected a search that has finished, found 0");
    refuses(" --design 22", c.dir, 2, "expected a work_id from 0 to 21, found 22");
    end(&c);
}

static void bad_files(void **state)
{
    (void)state;
    char dir[256];
    char path[300];
    df_make_dir(dir);
    refuses("/none", dir, 2, "expected results.h5 of a search or its folder, found: No such file");
    snprintf(path, sizeof path, "%s/results.h5", dir);
    df_write_file(path, "not HDF5");
    refuses("", dir, 1, "results.h5: is not a results file: expected HDF5");
    df_refuse("report", 2, "DIR|FILE");
    df_remove_dir(dir);
}

/* Without the plotting library in the build there is no page. */
static void no_library(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    search(LSTM, dir);
    refuses("", dir, 1, "npm ci");
    run_ok("report %s --design 0 -o %s/design.yaml", dir, dir);
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest with[] = {
        cmocka_unit_test(lstm_page), cmocka_unit_test(llm_page), cmocka_unit_test(measured_page),
        cmocka_unit_test(few_rows),  cmocka_unit_test(fronts),   cmocka_unit_test(unfinished),
        cmocka_unit_test(bad_files),
    };
    const struct CMUnitTest without[] = {cmocka_unit_test(no_library), cmocka_unit_test(bad_files)};
    return DF_HAS_PAGE ? cmocka_run_group_tests(with, NULL, NULL)
                       : cmocka_run_group_tests(without, NULL, NULL);
}
