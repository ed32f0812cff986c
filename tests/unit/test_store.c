/* results.h5: what is put is got, nothing is half there, other inputs are refused. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <hdf5.h>

#include "store/merge.h"
#include "store/rows.h"
#include "store/store_read.h"
#include "store/table.h"
#include "support/results.h"

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
        f->strategies[i] = (df_store_strategy){
            .strategy_id = i,
            .strategy = {.kp_type = DF_KP_CR, .kp1 = 1 << i, .kp2 = 1, .dp = 16 >> i, .lp = 1},
            .size = {1, 4, 0, 16},
            .layout = {.order = {2, 0, 1, 3}},
            .feasible = i != 1};
    }
    f->strategies[1].reason = "too large";
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

static df_store_search finished(int64_t work_id)
{
    df_store_search s;
    memset(&s, 0, sizeof s);
    s.work_id = work_id;
    s.strategy_id = SEARCHED_ROWS[work_id / INDICES % SEARCHED];
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

static df_status put_search(
    df_store *store, const df_store_search *s, const df_iterate *iterates, int count, df_err *err)
{
    void *const entry = malloc(df_store_entry_bytes(ITERATES));
    assert_non_null(entry);
    df_store_pack(s, iterates, count, ITERATES, entry);
    const df_status status = df_store_put(store, entry, err);
    free(entry);
    return status;
}

static df_status try_put(df_store *store, int64_t work_id, df_err *err)
{
    const df_store_search s = finished(work_id);
    df_iterate iterates[2];
    memset(iterates, 0, sizeof iterates);
    iterates[1].iteration = 1;
    iterates[1].result.time_s = 3.5;
    return put_search(store, &s, iterates, 2, err);
}

static void put(df_store *store, int64_t work_id)
{
    df_err err;
    assert_int_equal(try_put(store, work_id, &err), DF_OK);
    assert_int_equal(df_store_flush(store, &err), DF_OK);
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
    df_store_free(store);
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
    df_store_free(store);
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
    df_store_free(store);
}

static void keep_copy(const fixture *f, const char *name)
{
    char command[1024];
    int exit_code;
    snprintf(command, sizeof command, "cp %s %s/%s", f->path, f->dir, name);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void assert_same_as(const fixture *f, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    df_assert_same_results(f->path, path);
}

/* The order in which results come leaves no trace. */
static void order_does_not_matter(void **state)
{
    fixture *f = *state;
    df_store *store = create(f);
    for (int i = 0; i < ROWS; i++) {
        put(store, i);
    }
    df_store_free(store);
    keep_copy(f, "first.h5");
    store = create(f);
    for (int i = ROWS - 1; i >= 0; i--) {
        put(store, i);
    }
    df_store_free(store);
    assert_same_as(f, "first.h5");
}

static void a_search_goes_on_where_it_was(void **state)
{
    const fixture *f = *state;
    df_store_search s[ROWS];
    df_err err;
    df_store *store = create(f);
    put(store, 3);
    df_store_free(store);
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_OK);
    get_all(store, s);
    assert_int_equal(s[3].descent.status, DF_SEARCH_CONVERGED);
    assert_int_equal(s[2].descent.status, DF_SEARCH_PENDING);
    df_store_free(store);
}

static int64_t front_rows(const fixture *f)
{
    df_results results;
    int64_t *ids;
    int64_t count;
    df_err err;
    assert_int_equal(df_results_open(f->path, &results, &err), DF_OK);
    assert_int_equal(df_results_pareto(&results, &ids, &count, &err), DF_OK);
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(ids[i], i);
    }
    free(ids);
    df_results_close(&results);
    return count;
}

/* A front of some rows is not left to stand for all while a search goes on. */
static void a_search_goes_on_without_a_front(void **state)
{
    fixture *f = *state;
    df_err err;
    f->plan.settings = "objective=time,energy\n";
    df_store *store = create(f);
    assert_int_equal(front_rows(f), 0);
    for (int i = 0; i < 3; i++) { /* slower ones, that take less energy */
        df_store_search s = finished(i);
        s.descent.metrics.energy_j = 10.0 - i;
        assert_int_equal(put_search(store, &s, NULL, 0, &err), DF_OK);
    }
    assert_int_equal(df_store_write_pareto(store, &err), DF_OK);
    assert_int_equal(front_rows(f), 3);
    df_store_free(store);
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_OK);
    assert_int_equal(front_rows(f), 0);
    df_store_free(store);
}

static void refuse_resume(const fixture *f, const char *text)
{
    df_store *store;
    df_err err;
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, text));
}

/* The first line that differs in each text is told, as it is and as it was. */
static void other_inputs_are_refused(void **state)
{
    fixture *f = *state;
    const df_store_plan plan = f->plan;
    df_store_free(create(f));
    f->plan.hardware_yaml = "hardware: 2\n";
    refuse_resume(f, "results.h5: made from other inputs; hardware_yaml, line 1: expected "
                     "\"hardware: 1\" as there, found \"hardware: 2\"");
    f->plan.settings = "rules=reference\nnum_search=7\n";
    refuse_resume(f, "settings, line 2: expected \"\" as there, found \"num_search=7\"; "
                     "hardware_yaml, line 1");
    f->plan = plan;
    f->plan.model_yaml = NULL;
    refuse_resume(f, "model_yaml, line 1: expected \"model: 2\" as there, found \"\"");
    f->plan = plan;
    f->plan.num_indices = 5;
    refuse_resume(f, "searches: expected 10 rows as this version writes them, found 6");
}

/* Bytes of row 4 or of its iterates are changed, as half a write would leave them. */
static void damage(const fixture *f, const char *dataset, long long at)
{
    FILE *const file = fopen(f->path, "r+b");
    const df_extent extent = df_find_extent(f->path, dataset);
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)(extent.at + at), SEEK_SET), 0);
    assert_int_equal(fputc(0x5a, file), 0x5a);
    assert_int_equal(fclose(file), 0);
}

/* Whoever opens the file meanwhile finds that searches so far are pending or not. */
static void assert_written(const fixture *f, const char *expected)
{
    df_store_search s[ROWS];
    df_store *reader;
    df_err err;
    assert_int_equal(df_store_resume(f->path, &f->plan, &reader, &err), DF_OK);
    get_all(reader, s);
    df_store_free(reader);
    for (int id = 0; id < ROWS; id++) {
        assert_int_equal(s[id].descent.status,
                         expected[id] == 'x' ? DF_SEARCH_CONVERGED : DF_SEARCH_PENDING);
    }
}

/* Consecutive searches wait for each other, until something asks for them. */
static void searches_are_written_together(void **state)
{
    const fixture *f = *state;
    df_store_search s[ROWS];
    df_err err;
    df_store *store = create(f);
    assert_int_equal(try_put(store, 1, &err), DF_OK);
    assert_int_equal(try_put(store, 2, &err), DF_OK);
    assert_written(f, "......");
    assert_int_equal(try_put(store, 5, &err), DF_OK); /* does not follow */
    assert_written(f, ".xx...");
    get_all(store, s);
    assert_written(f, ".xx..x");
    assert_int_equal(try_put(store, 4, &err), DF_OK);
    assert_int_equal(df_store_sync(store, &(df_store_account){0, 0}, &err), DF_OK);
    assert_written(f, ".xx.xx");
    assert_int_equal(try_put(store, 0, &err), DF_OK);
    assert_int_equal(df_store_flush(store, &err), DF_OK);
    assert_written(f, "xxx.xx");
    df_store_free(store);
}

/* More than are held at once: put one after the other, and each on its own. */
static void many_in_a_row_are_as_many_apart(void **state)
{
    enum { MANY = 1000 };
    fixture *f = *state;
    df_err err;
    f->plan.num_indices = MANY / SEARCHED;
    df_store *store = create(f);
    for (int i = MANY - 1; i >= 0; i--) {
        put(store, i);
    }
    df_store_free(store);
    keep_copy(f, "apart.h5");
    store = create(f);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(try_put(store, i, &err), DF_OK);
    }
    assert_int_equal(df_store_flush(store, &err), DF_OK);
    df_store_free(store);
    assert_same_as(f, "apart.h5");
}

/* The torn row is pending again, its neighbours stay; put again, all is as if nothing had been. */
static void a_torn_row_is_done_again(void **state)
{
    fixture *f = *state;
    df_err err;
    df_store *store = create(f);
    for (int i = 0; i < ROWS; i++) {
        put(store, i);
    }
    df_store_free(store);
    keep_copy(f, "whole.h5");
    const long long row = df_find_extent(f->path, "/searches").size / ROWS;
    const long long iterates = df_find_extent(f->path, "/trajectories").size / ROWS;
    const struct {
        const char *dataset;
        long long at;
    } places[] = {{"/searches", 4 * row},          {"/searches", 4 * row + 20},
                  {"/searches", 5 * row - 1},      {"/searches", 4 * row + 40},
                  {"/trajectories", 4 * iterates}, {"/trajectories", 5 * iterates - 1}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        df_store_search s[ROWS];
        damage(f, places[i].dataset, places[i].at);
        assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_OK);
        get_all(store, s);
        for (int id = 0; id < ROWS; id++) {
            assert_int_equal(s[id].descent.status,
                             id == 4 ? DF_SEARCH_PENDING : DF_SEARCH_CONVERGED);
        }
        put(store, 4);
        df_store_free(store);
        assert_same_as(f, "whole.h5");
    }
}

/* After the start nothing changes outside of /searches, /trajectories and /provenance. */
static void only_rows_are_written(void **state)
{
    fixture *f = *state;
    const df_store_account spent = {123, 4.5};
    df_err err;
    df_store *store = create(f);
    keep_copy(f, "empty.h5");
    for (int i = 0; i < ROWS; i++) {
        put(store, i);
    }
    assert_int_equal(df_store_sync(store, &spent, &err), DF_OK);
    df_store_free(store);
    const df_extent searches = df_find_extent(f->path, "/searches");
    const df_extent iterates = df_find_extent(f->path, "/trajectories");
    FILE *const full = fopen(f->path, "r+b");
    assert_non_null(full);
    char path[600];
    snprintf(path, sizeof path, "%s/empty.h5", f->dir);
    FILE *const empty = fopen(path, "rb");
    assert_non_null(empty);
    /* put the old rows back: then all must be as at first */
    const df_extent parts[] = {searches, iterates};
    for (int part = 0; part < 2; part++) {
        assert_int_equal(fseek(full, (long)parts[part].at, SEEK_SET), 0);
        assert_int_equal(fseek(empty, (long)parts[part].at, SEEK_SET), 0);
        for (long long i = 0; i < parts[part].size; i++) {
            assert_int_equal(fputc(fgetc(empty), full) == EOF, 0);
        }
    }
    fclose(empty);
    assert_int_equal(fclose(full), 0);
    assert_same_as(f, "empty.h5");
}

/* The checksum is what Python's zlib.crc32 makes of the row and its iterates. */
static void checksums_are_those_of_zlib(void **state)
{
    const fixture *f = *state;
    char command[1024];
    int exit_code;
    df_store *store = create(f);
    put(store, 1);
    df_store_free(store);
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import h5py, sys, zlib\n"
             "f = h5py.File(sys.argv[1], \"r\")\n"
             "row = f[\"searches\"][1]\n"
             "was = int(row[\"checksum\"])\n"
             "row[\"checksum\"] = 0\n"
             "now = zlib.crc32(row.tobytes() + f[\"trajectories\"][%d:%d].tobytes())\n"
             "sys.exit(was != now or was == 0)' %s",
             ITERATES, 2 * ITERATES, f->path);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void runs_add_up(void **state)
{
    const fixture *f = *state;
    char command[1024];
    char *out;
    int exit_code;
    df_err err;
    df_store *store = create(f);
    assert_int_equal(df_store_sync(store, &(df_store_account){100, 0.5}, &err), DF_OK);
    assert_int_equal(df_store_sync(store, &(df_store_account){300, 1.5}, &err), DF_OK);
    df_store_free(store);
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_OK);
    assert_int_equal(df_store_sync(store, &(df_store_account){20, 2}, &err), DF_OK);
    df_store_free(store);
    snprintf(command, sizeof command, "h5dump -d /provenance/evaluations -d /provenance/wall_s %s",
             f->path);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, "(0): 320\n"));
    assert_non_null(strstr(out, "(0): 3.5\n"));
    free(out);
}

/* Files of this process may not grow beyond so many bytes (which stands for a full disk). */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_room_for_the_file_leaves_nothing(void **state)
{
    const fixture *f = *state;
    char draft[600];
    df_store *store;
    df_err err;
    signal(SIGXFSZ, SIG_IGN);
    limit_files(20000);
    const df_status status = df_store_create(f->path, &f->plan, &store, &err);
    limit_files(0);
    assert_int_equal(status, DF_EIO);
    assert_non_null(strstr(err.text, "results.h5"));
    assert_non_null(strstr(err.text, "File too large"));
    snprintf(draft, sizeof draft, "%s.part", f->path);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(access(draft, F_OK), -1);
}

/* A write fails; what was put before stays, and the file goes on later. */
static void a_failed_write_loses_nothing(void **state)
{
    const fixture *f = *state;
    df_store_search s[ROWS];
    df_err err;
    df_store *store = create(f);
    put(store, 0);
    put(store, 5);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(4096);
    assert_int_equal(try_put(store, 2, &err), DF_OK);
    const df_status status = df_store_flush(store, &err);
    limit_files(0);
    assert_int_equal(status, DF_EIO);
    assert_non_null(strstr(err.text, "results.h5: cannot be written: File too large"));
    df_store_free(store);
    assert_int_equal(df_store_resume(f->path, &f->plan, &store, &err), DF_OK);
    get_all(store, s);
    for (int id = 0; id < ROWS; id++) {
        assert_int_equal(s[id].descent.status,
                         id == 0 || id == 5 ? DF_SEARCH_CONVERGED : DF_SEARCH_PENDING);
    }
    df_store_free(store);
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

/* Each reader says what the file is, or that there is none, and not what HDF5 makes of it. */
static void assert_nobody_opens(const char *path, const char *message)
{
    df_results results;
    df_table *table;
    df_merge_counts counts;
    df_err err[3];
    char expected[700];
    const df_store_plan none = {.settings = ""};
    snprintf(expected, sizeof expected, "%s: %s", path, message);
    assert_int_equal(df_results_open(path, &results, &err[0]), DF_EIO);
    assert_int_equal(df_table_open(path, &table, &err[1]), DF_EIO);
    assert_int_equal(df_store_merge(&path, 1, "/nowhere/x.h5", &none, &counts, &err[2]), DF_EIO);
    for (int i = 0; i < 3; i++) {
        if (strncmp(err[i].text, expected, strlen(expected)) != 0) {
            fail_msg("expected \"%s\", found \"%s\"", expected, err[i].text);
        }
    }
}

static void readers_say_what_a_file_is(void **state)
{
    const fixture *f = *state;
    df_write_file(f->path, "hardware: 1\n");
    assert_nobody_opens(f->path, "is not a results file: expected HDF5, found something else");
    df_write_file(f->path, "");
    assert_nobody_opens(f->path, "is not a results file: expected HDF5, found something else");
    df_store_free(create(f));
    assert_int_equal(truncate(f->path, 1000), 0);
    assert_nobody_opens(f->path, "cannot be read: truncated file: ");
    assert_nobody_opens(f->dir, "expected a results file, found a folder");
    assert_nobody_opens("/nowhere/x.h5", "cannot be read: No such file or directory");
}

/* Puts a text where the file has a number, or a number where it has a text. */
static void swap_dataset(const char *path, const char *name, bool text)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t type = H5Tcopy(text ? H5T_C_S1 : H5T_NATIVE_INT32);
    assert_true(file >= 0 && space >= 0 && type >= 0);
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    const hid_t dataset =
        H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(dataset >= 0);
    H5Dclose(dataset);
    H5Tclose(type);
    H5Sclose(space);
    assert_true(H5Fclose(file) >= 0);
}

/* What is there but cannot be read is not taken for 0 or for "". */
static void what_cannot_be_read_is_no_default(void **state)
{
    static const struct {
        const char *name;
        bool text, merged; /* merged: a merge reads it too */
    } cases[] = {{"/provenance/evaluations", true, true}, {"/provenance/wall_s", true, true},
                 {"/provenance/ranks", true, true},       {"/provenance/command", false, false},
                 {"/config/settings", false, true},       {"/trajectories", true, false}};
    const fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const path = f->path;
        df_results results;
        df_merge_counts counts;
        df_err err;
        df_store_free(create(f));
        swap_dataset(path, cases[i].name, cases[i].text);
        assert_int_equal(df_results_open(path, &results, &err), DF_EIO);
        assert_non_null(strstr(err.text, cases[i].name));
        assert_non_null(strstr(err.text, " cannot be read"));
        if (cases[i].merged) {
            assert_int_equal(df_store_merge(&path, 1, "/nowhere/x.h5", &f->plan, &counts, &err),
                             DF_EIO);
            assert_null(strstr(err.text, "/nowhere"));
        }
        unlink(path);
    }
}

/* One damaged byte in the description of a column: it lies far beyond its row. */
static void damaged_columns_are_refused(void **state)
{
    static const char name[8] = "energy_j"; /* in the file it is padded, its offset follows */
    const fixture *f = *state;
    unsigned char bytes[65536];
    df_results results;
    df_table *table;
    df_err err;
    size_t at = 0;
    df_store_free(create(f));
    FILE *const file = fopen(f->path, "r+b");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    while (at + 32 < size && memcmp(bytes + at, name, sizeof name) != 0) {
        at++;
    }
    assert_true(at + 32 < size);
    at += 16; /* the name, its end, and 7 bytes up to the next multiple of 8 */
    assert_int_equal(bytes[at] + 256 * bytes[at + 1], offsetof(df_search_row, energy_j));
    assert_int_equal(fseek(file, (long)at + 2, SEEK_SET), 0);
    fputc(0x7f, file);
    assert_int_equal(fclose(file), 0);
    if (df_results_open(f->path, &results, &err) == DF_OK) {
        df_store_search search;
        assert_int_equal(df_results_read(&results, 0, 1, &search, &err), DF_EIO);
        df_results_close(&results);
    }
    assert_non_null(strstr(err.text, "cannot be read"));
    assert_int_equal(df_table_open(f->path, &table, &err), DF_OK); /* without that column */
    assert_true(df_table_find(table, "energy_j") < 0 && df_table_find(table, "power_w") >= 0);
    df_table_free(table);
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
        cmocka_unit_test_setup_teardown(a_search_goes_on_without_a_front, setup, teardown),
        cmocka_unit_test_setup_teardown(other_inputs_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(searches_are_written_together, setup, teardown),
        cmocka_unit_test_setup_teardown(many_in_a_row_are_as_many_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_row_is_done_again, setup, teardown),
        cmocka_unit_test_setup_teardown(only_rows_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(checksums_are_those_of_zlib, setup, teardown),
        cmocka_unit_test_setup_teardown(runs_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room_for_the_file_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(other_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_say_what_a_file_is, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_no_default, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_columns_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unwritable_place_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
