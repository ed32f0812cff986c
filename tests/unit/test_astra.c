/* Programs timed and kept. The message of 1 MiB over a link of 100 GiB/s and 500 ns arrives after
 * floor(500 + 1048576 / 107.3741824) = 10265 ns. */
#include <dirent.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/runner.h"
#include "support/support.h"

enum { ROOM = 512, PROCESSES = 4, ROUNDS = 25 };

static const double arrival_s = 10265e-9;

typedef struct {
    char dir[256];
    df_net_network network;
    df_net_system system;
} machine;

static int set_up(void **state)
{
    static machine m;
    memset(&m, 0, sizeof m);
    df_make_dir(m.dir);
    m.network = (df_net_network){
        .topology = DF_NET_FULLY_CONNECTED, .ranks = 2, .bandwidth_gib_ps = 100, .latency_ns = 500};
    m.system.endpoint_delay_ns = 10;
    m.system.splits = m.system.active_chunks = 1;
    m.system.local_mem_gb_ps = 1600;
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    df_remove_dir(((machine *)*state)->dir);
    return 0;
}

static df_net_program *message(uint64_t bytes, uint32_t label)
{
    df_net_program *program;
    df_err err;
    assert_int_equal(df_net_program_new(2, &program, &err), DF_OK);
    for (int32_t rank = 0; rank < 2; rank++) {
        const df_net_node node = {.type = rank == 0 ? DF_NET_SEND : DF_NET_RECEIVE,
                                  .bytes = bytes,
                                  .peer = 1 - rank,
                                  .label = label};
        assert_int_equal(df_net_program_add(program, rank, &node, &err), DF_OK);
    }
    assert_int_equal(df_net_program_seal(program, &err), DF_OK);
    return program;
}

static df_runner *open_with(const df_runner_options *options)
{
    df_runner *astra = NULL;
    df_err err;
    if (df_runner_new(options, &astra, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return astra;
}

/* Times a message; returns whether it was found on disk. */
static bool found(const machine *m, df_runner *astra, uint64_t bytes, double *time_s)
{
    const uint64_t before = df_runner_stats_of(astra)->found;
    df_net_program *const program = message(bytes, 0);
    const df_runner_job job = {.program = program, .network = &m->network, .system = &m->system};
    df_err err;
    if (df_runner_time(astra, &job, time_s, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_net_program_free(program);
    return df_runner_stats_of(astra)->found > before;
}

static int count_files(const char *dir, char last[ROOM])
{
    DIR *const folder = opendir(dir);
    int count = 0;
    const struct dirent *entry;
    /* cppcheck-suppress readdirCalled ; the stream is ours alone */
    while (folder && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2) {
            snprintf(last, ROOM, "%s/%s", dir, entry->d_name);
            count++;
        }
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

static void results_are_found_again(void **state)
{
    const machine *const m = *state;
    const df_runner_options options = {.cache_dir = m->dir};
    double time_s = 0;
    df_runner *first = open_with(&options);
    assert_false(found(m, first, 1048576, &time_s));
    df_assert_rel(time_s, arrival_s, 1e-15);
    df_runner_free(first);
    df_runner *const second = open_with(&options);
    time_s = 0;
    assert_true(found(m, second, 1048576, &time_s));
    df_assert_rel(time_s, arrival_s, 1e-15);
    df_runner_free(second);
}

static void read_only_and_off_write_nothing(void **state)
{
    const machine *const m = *state;
    char last[ROOM];
    double time_s;
    const df_runner_options options[] = {{.cache_dir = m->dir, .cache_read_only = true},
                                         {.cache_dir = m->dir, .cache_off = true},
                                         {.cache_dir = NULL}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        df_runner *const astra = open_with(&options[i]);
        assert_false(found(m, astra, 4096, &time_s));
        assert_int_equal(count_files(m->dir, last), 0);
        df_runner_free(astra);
    }
}

/* Whatever the result depends on makes it another entry: each field of network and system, and
 * the program. */
static void nothing_stale_is_found(void **state)
{
    machine *const m = *state;
    const df_runner_options options = {.cache_dir = m->dir};
    df_runner *const astra = open_with(&options);
    const machine kept = *m;
    double time_s;
    assert_false(found(m, astra, 1048576, &time_s));
    assert_false(found(m, astra, 1048577, &time_s));
    m->network.bandwidth_gib_ps = 50;
    assert_false(found(m, astra, 1048576, &time_s));
    df_assert_rel(time_s, 20031e-9, 1e-15); /* 500 + 1048576 / 53.6870912 = 20031.25 */
    *m = kept;
    m->network.latency_ns = 600;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    m->network.topology = DF_NET_SWITCH;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    m->system.endpoint_delay_ns = 20;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    m->system.splits = 2;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    m->system.active_chunks = 2;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    m->system.local_mem_gb_ps = 800;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    m->system.algorithm[DF_NET_ALL_TO_ALL].kind = DF_NET_ALG_DIRECT;
    assert_false(found(m, astra, 1048576, &time_s));
    *m = kept;
    assert_true(found(m, astra, 1048576, &time_s));
    df_assert_rel(time_s, arrival_s, 1e-15);
    df_runner_free(astra);
}

/* Names are not part of a result. */
static void labels_make_no_difference(void **state)
{
    const machine *const m = *state;
    const df_runner_options options = {.cache_dir = m->dir};
    df_runner *const astra = open_with(&options);
    df_err err;
    double time_s;
    for (uint32_t label = 0; label < 2; label++) {
        df_net_program *const program = message(77, label);
        const df_runner_job job = {
            .program = program, .network = &m->network, .system = &m->system};
        assert_int_equal(df_runner_time(astra, &job, &time_s, &err), DF_OK);
        df_net_program_free(program);
    }
    assert_int_equal(df_runner_stats_of(astra)->found, 1);
    df_runner_free(astra);
}

static void damaged_entries_are_made_anew(void **state)
{
    const machine *const m = *state;
    static const char *const texts[] = {"", "{\"ranks\": 2, \"max_ns\": 5", "{}", "nonsense",
                                        "{\"ranks\": 3, \"max_ns\": 5}\n"};
    const df_runner_options options = {.cache_dir = m->dir};
    df_runner *const astra = open_with(&options);
    char path[ROOM];
    double time_s;
    assert_false(found(m, astra, 1048576, &time_s));
    assert_int_equal(count_files(m->dir, path), 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        df_write_file(path, texts[i]);
        assert_false(found(m, astra, 1048576, &time_s));
        df_assert_rel(time_s, arrival_s, 1e-15);
        assert_true(found(m, astra, 1048576, &time_s));
    }
    df_runner_free(astra);
}

/* A folder that cannot be made costs the cache, not the result. */
static void a_cache_that_cannot_be_written_is_told(void **state)
{
    const machine *const m = *state;
    char path[ROOM];
    snprintf(path, sizeof path, "%s/file", m->dir);
    df_write_file(path, "in the way");
    const df_runner_options options = {.cache_dir = path};
    df_runner *const astra = open_with(&options);
    double time_s;
    assert_false(found(m, astra, 1048576, &time_s));
    df_assert_rel(time_s, arrival_s, 1e-15);
    assert_int_equal(df_runner_stats_of(astra)->unkept, 1);
    assert_non_null(strstr(df_runner_stats_of(astra)->unkept_cause.text, "file"));
    df_runner_free(astra);
}

static void keep_many(const machine *m)
{
    const df_runner_options options = {.cache_dir = m->dir};
    df_runner *const astra = open_with(&options);
    double time_s;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        (void)found(m, astra, i, &time_s);
    }
    const bool kept = df_runner_stats_of(astra)->unkept == 0;
    df_runner_free(astra);
    _exit(kept ? 0 : 1);
}

/* Processes that write the same entries at once leave each of them whole, and nothing else. */
static void processes_share_a_folder(void **state)
{
    const machine *const m = *state;
    const df_runner_options options = {.cache_dir = m->dir};
    char last[ROOM];
    double time_s;
    for (int i = 0; i < PROCESSES; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            keep_many(m);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_files(m->dir, last), ROUNDS);
    df_runner *const astra = open_with(&options);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        assert_true(found(m, astra, i, &time_s));
    }
    df_runner_free(astra);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_are_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_only_and_off_write_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_stale_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(labels_make_no_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_entries_are_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cache_that_cannot_be_written_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(processes_share_a_folder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
