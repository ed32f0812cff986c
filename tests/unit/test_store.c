/* results.h5: what is put is got, nothing is half there, other inputs are refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "support/support.h"

enum { SEARCHED = 2, INDICES = 3, ROWS = SEARCHED * INDICES, ITERATES = 4 };

typedef struct {
    char dir[256];
    char path[512];
    df_store_strategy strategies[3];
    df_store_plan plan;
} fixture;

static const int32_t SEARCHED_ROWS[SEARCHED] = {0, 2};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    df_make_dir(f->dir);
    snprintf(f->path, sizeof f->path, "%s/results.h5", f->dir);
    for (int i = 0; i < 3; i++) {
        f->strategies[i] = (df_store_strategy){.strategy_id = i,
                                               .strategy = {DF_KP_CR, 1 << i, 1, 16 >> i, 1},
                                               .size = {1, 4, 16},
                                               .layout = {.order = {2, 0, 1, 3}},
                                               .feasible = i != 1};
    }
    snprintf(f->strategies[1].reason, sizeof f->strategies[1].reason, "too large");
    f->plan = (df_store_plan){.strategies = f->strategies,
                              .num_strategies = 3,
                              .searched = SEARCHED_ROWS,
                              .num_searched = SEARCHED,
                              .num_indices = INDICES,
                              .first_index = 0,
                              .trajectory_rows = ITERATES,
                              .hardware_yaml = "hardware: 1\n",
                              .model_yaml = "model: 2\n",
                              .settings = "rules=reference\n",
                              .version = "1",
                              .command = "test",
                              .start = "now",
                              .host = "here",
                              .ranks = 1};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    df_remove_dir(f->dir);
    free(f);
    return 0;
}

static df_store *create(const fixture *f)
{
    df_store *store;
    df_err err;
    if (df_store_create(f->path, &f->plan, &store, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return store;
}

static void close_store(df_store *store)
{
    df_err err;
    assert_int_equal(df_store_close(store, &err), DF_OK);
}

static df_store_search finished(int64_t work_id)
{
    df_store_search s;
    memset(&s, 0, sizeof s);
    s.work_id = work_id;
    s.strategy_id = SEARCHED_ROWS[work_id / INDICES];
    s.index = (int32_t)(work_id % INDICES);
    s.descent.status = DF_SEARCH_CONVERGED;
    s.descent.iterations = 17;
    s.descent.evaluations = 238;
    s.descent.start_time_s = 2.385;
    s.descent.best_time_s = 1.125 + (double)work_id;
    s.descent.memory_overflow = 0.75;
    for (int i = 0; i < DF_PARAMS; i++) {
        s.descent.best.p[i] = 0.01 * (i + 1);
    }
    return s;
}

static void put(df_store *store, int64_t work_id)
{
    const df_store_search s = finished(work_id);
    df_iterate iterates[ITERATES];
    df_err err;
    memset(iterates, 0, sizeof iterates);
    iterates[1].iteration = 1;
    iterates[1].result.time_s = 3.5;
    assert_int_equal(df_store_put(store, &s, iterates, 2, &err), DF_OK);
}

static void get_all(df_store *store, df_store_search searches[ROWS])
{
    df_err err;
    assert_int_equal(df_store_get(store, 0, ROWS, searches, &err), DF_OK);
}

static void rows_are_pending_at_first(void **state)
{
    const fixture *f = *state;
    df_store_search s[ROWS];
    df_store *store = create(f);
    get_all(store, s);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(s[i].work_id, i);
        assert_int_equal(s[i].strategy_id, SEARCHED_ROWS[i / INDICES]);
        assert_int_equal(s[i].index, i % INDICES);
        assert_int_equal(s[i].descent.status, DF_SEARCH_PENDING);
        assert_true(isnan(s[i].descent.best_time_s));
    }
    close_store(store);
}

static void what_is_put_is_got(void **state)
{
    const fixture *f = *state;
    df_store_search s[ROWS];
    df_store *store = create(f);
    put(store, 4);
    put(store, 1);
    get_all(store, s);
    for (int i = 0; i < ROWS; i++) {
        const bool there = i == 1 || i == 4;
        assert_int_equal(s[i].descent.status, there ? DF_SEARCH_CONVERGED : DF_SEARCH_PENDING);
        if (there) {
            const df_store_search expected = finished(i);
            assert_memory_equal(&s[i], &expected, sizeof expected);
        }
    }
    close_store(store);
}

/* Another program sees rows while the writer has the file open. */
static void readers_need_not_wait(void **state)
{
    const fixture *f = *state;
    char command[1024];
    char *out;
    int exit_code;
    df_store *store = create(f);
    put(store, 2);
    snprintf(command, sizeof command, "h5dump -d /searches %s", f->path);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, "\"converged"));
    assert_non_null(strstr(out, "3.125"));
    free(out);
    close_store(store);
}

/* The order in which results come leaves no trace. */
static void order_does_not_matter(void **state)
{
    fixture *f = *state;
    df_store *store = create(f);
    for (int i = 0; i < ROWS; i++) {
        put(store, i);
    }
    close_store(store);
    char command[1024];
    int exit_code;
    snprintf(command, sizeof command, "cp %s %s/first.h5", f->path, f->dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    store = create(f);
    for (int i = ROWS - 1; i >= 0; i--) {
        put(store, i);
    }
    close_store(store);
    snprintf(command, sizeof command, "cmp %s %s/first.h5", f->path, f->dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void a_search_goes_on_where_it_was(void **state)
{
    const fixture *f = *state;
    df_store_search s[ROWS];
    df_err err;
    df_store *store = create(f);
    put(store, 3);
    close_store(store);
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_OK);
    get_all(store, s);
    assert_int_equal(s[3].descent.status, DF_SEARCH_CONVERGED);
    assert_int_equal(s[2].descent.status, DF_SEARCH_PENDING);
    close_store(store);
}

static void refuse_resume(const fixture *f, const char *text)
{
    df_store *store;
    df_err err;
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, text));
}

static void other_inputs_are_refused(void **state)
{
    fixture *f = *state;
    const df_store_plan plan = f->plan;
    close_store(create(f));
    f->plan.hardware_yaml = "hardware: 2\n";
    refuse_resume(f, "config/hardware_yaml differs");
    f->plan = plan;
    f->plan.model_yaml = NULL;
    refuse_resume(f, "config/model_yaml differs");
    f->plan = plan;
    f->plan.settings = "rules=corrected\n";
    refuse_resume(f, "config/settings differs");
    f->plan = plan;
    f->plan.num_indices = 5;
    refuse_resume(f, "expected 10 rows, found 6");
}

static void other_files_are_refused(void **state)
{
    const fixture *f = *state;
    df_store *store;
    df_err err;
    df_write_file(f->path, "no HDF5\n");
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_EIO);
    assert_non_null(strstr(err.text, f->path));
}

static void an_unwritable_place_leaves_nothing(void **state)
{
    const fixture *f = *state;
    df_store *store;
    df_err err;
    char path[600];
    snprintf(path, sizeof path, "%s/missing/results.h5", f->dir);
    assert_int_equal(df_store_create(path, &f->plan, &store, &err), DF_EIO);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_pending_at_first, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_put_is_got, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_need_not_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(order_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(a_search_goes_on_where_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(other_inputs_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(other_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unwritable_place_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
