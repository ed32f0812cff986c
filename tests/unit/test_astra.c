/* Programs timed and kept. The message of 1 MiB over a link of 100 GiB/s and 500 ns arrives after
 * floor(500 + 1048576 / 107.3741824) = 10265 ns. */
#include <dirent.h>
#include <math.h>
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
            const int length = snprintf(last, ROOM, "%s/%s", dir, entry->d_name);
            assert_in_range(length, 1, ROOM - 1);
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

/* ---- The version of the rules ---- */

static void add(df_net_program *program, int32_t rank, df_net_node node, uint64_t id, uint64_t dep)
{
    df_err err;
    node.id = id;
    node.deps = &dep;
    node.num_deps = dep < id;
    if (df_net_program_add(program, rank, &node, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
}

/* Something of all that the simulator has rules for: computing (of 0 ns too), marks, messages that
 * meet on links, every collective, of all ranks and of a group, cut unevenly. Never change it. */
static df_net_program *a_bit_of_everything(void)
{
    static const int32_t group[] = {6, 1, 4, 3};
    df_net_program *program;
    df_err err;
    assert_int_equal(df_net_program_new(8, &program, &err), DF_OK);
    assert_int_equal(df_net_program_add_group(program, 3, group, 4, &err), DF_OK);
    for (int32_t rank = 0; rank < 8; rank++) {
        const df_net_node compute = {.type = DF_NET_COMPUTE, .duration_ns = 700 * (uint64_t)rank};
        const df_net_node cpu = {.type = DF_NET_COMPUTE, .on_cpu = true, .duration_ns = 900};
        const df_net_node mark = {.type = DF_NET_MARK}; /* holds its child until node 13 ends */
        const df_net_node later = {.type = DF_NET_COMPUTE, .duration_ns = 2000};
        df_net_node comm = {.type = DF_NET_COMM, .duration_ns = 50};
        add(program, rank, compute, 0, 0);
        add(program, rank, cpu, 1, 0);
        add(program, rank, mark, 2, 1);
        for (uint64_t i = 0; i <= DF_NET_BROADCAST; i++) {
            comm.collective = (df_net_collective)i;
            comm.bytes = 100003 + i;
            add(program, rank, comm, 3 + i, 2 + i);
        }
        comm.group = 3;
        comm.collective = DF_NET_ALL_REDUCE;
        if (rank == 1 || rank == 3 || rank == 4 || rank == 6) {
            add(program, rank, comm, 10, 7);
        }
        const df_net_node send = {.type = DF_NET_SEND, .bytes = 70000, .peer = (rank + 3) % 8};
        const df_net_node receive = {
            .type = DF_NET_RECEIVE, .bytes = 70000, .peer = (rank + 5) % 8};
        add(program, rank, send, 11, 7);
        add(program, rank, receive, 12, 0);
        add(program, rank, later, 13, 0);
    }
    assert_int_equal(df_net_program_seal(program, &err), DF_OK);
    return program;
}

typedef struct {
    df_net_topology topology;
    df_net_algorithm_kind algorithm[DF_NET_IMPLEMENTED];
    const char *entry; /* in the folder, and what is in it */
    uint64_t max_ns;
} version_case;

/* A result on disk is found by its name, which holds a version of the simulator's rules. So where
 * these times change, VERSION in src/runner/cache.c must be counted up, and with it the names
 * change; where neither was meant to, something is broken. */
static void version_goes_with_the_rules(void **state)
{
    machine *const m = *state;
    static const version_case cases[] = {
        {DF_NET_RING,
         {DF_NET_ALG_RING, DF_NET_ALG_DIRECT, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALG_RING},
         "b5784fdd1aa8c3e957ccbf4691bfba99.json",
         96757},
        {DF_NET_FULLY_CONNECTED,
         {DF_NET_ALG_DIRECT, DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALG_RING, DF_NET_ALG_DIRECT},
         "b1a5b5ef0ea390d6ea76a7ee2766696f.json",
         30461},
        {DF_NET_SWITCH,
         {DF_NET_ALG_HALVING_DOUBLING, DF_NET_ALG_RING, DF_NET_ALG_BINARY_TREE, DF_NET_ALG_RING},
         "87d3996ac9d5eb890d059ff769f00da9.json",
         138326},
    };
    df_net_program *const program = a_bit_of_everything();
    m->network.ranks = 8;
    m->system.splits = 3;
    m->system.active_chunks = 2;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const version_case *const c = &cases[i];
        char dir[ROOM];
        char path[ROOM];
        double time_s = 0;
        df_err err;
        snprintf(dir, sizeof dir, "%s/%zu", m->dir, i);
        m->network.topology = c->topology;
        for (int k = 0; k < DF_NET_IMPLEMENTED; k++) {
            m->system.algorithm[k].kind = c->algorithm[k];
        }
        const df_runner_options options = {.cache_dir = dir};
        const df_runner_job job = {
            .program = program, .network = &m->network, .system = &m->system};
        df_runner *const astra = open_with(&options);
        if (df_runner_time(astra, &job, &time_s, &err) != DF_OK) {
            fail_msg("%s", err.text);
        }
        df_runner_free(astra);
        assert_int_equal(count_files(dir, path), 1);
        const char *const entry = strrchr(path, '/') + 1;
        const bool same_ns = llround(time_s * 1e9) == (long long)c->max_ns;
        if (!same_ns || strcmp(entry, c->entry) != 0) {
            fail_msg("case %zu: expected %llu ns in %s, found %.0f ns in %s: new times need a new "
                     "VERSION in src/runner/cache.c, and this test then both",
                     i, (unsigned long long)c->max_ns, c->entry, time_s * 1e9, entry);
        }
    }
    df_net_program_free(program);
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

/* How a node is timed is part of what its result is found by. */
static void timings_make_a_difference(void **state)
{
    const machine *const m = *state;
    static const df_net_timing timings[] = {DF_NET_BY_TYPE, DF_NET_REPLAYED, DF_NET_MODELLED};
    const df_runner_options options = {.cache_dir = m->dir};
    df_runner *const astra = open_with(&options);
    for (size_t i = 0; i < sizeof timings / sizeof timings[0]; i++) {
        df_net_program *program;
        df_err err;
        double time_s;
        assert_int_equal(df_net_program_new(2, &program, &err), DF_OK);
        for (int32_t rank = 0; rank < 2; rank++) {
            const df_net_node node = {
                .type = DF_NET_COMPUTE, .timing = timings[i], .duration_ns = 7000};
            add(program, rank, node, 0, 0);
        }
        assert_int_equal(df_net_program_seal(program, &err), DF_OK);
        const df_runner_job job = {
            .program = program, .network = &m->network, .system = &m->system};
        assert_int_equal(df_runner_time(astra, &job, &time_s, &err), DF_OK);
        df_assert_rel(time_s, 7000e-9, 1e-15);
        df_net_program_free(program);
    }
    assert_int_equal(df_runner_stats_of(astra)->found, 0);
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
        cmocka_unit_test_setup_teardown(version_goes_with_the_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(labels_make_no_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timings_make_a_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_entries_are_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cache_that_cannot_be_written_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(processes_share_a_folder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
