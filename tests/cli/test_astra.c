/* deepflow astra run and dump as users call them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chakra/et.h"
#include "support/net_case.h"
#include "support/program.h"

enum { MIB = DF_NET_CASE_BYTES };

/* The folder that all tests use. */
static char *folder(void)
{
    static char path[256];
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    df_make_dir(folder());
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    df_remove_dir(folder());
    return 0;
}

/* The options of a run of the files in the folder, and more. */
static const char *run_with(const char *more)
{
    static char arguments[2048];
    snprintf(arguments, sizeof arguments,
             "astra run --workload %s/workload --system %s/system.json --network %s/network.yml %s",
             folder(), folder(), folder(), more);
    return arguments;
}

static char *in_dir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    return path;
}

/* Four ranks on a ring reduce 1 MiB: 19183 ns, in the order 2 3 0 1 (test_net.c has why). */
static df_net_case all_reduce(void)
{
    df_net_case c = df_net_case_new(DF_NET_RING, 4, DF_NET_ALG_RING);
    for (int32_t rank = 0; rank < 4; rank++) {
        df_net_case_collective(&c, rank, 0, DF_NET_ALL_REDUCE, MIB);
    }
    return c;
}

/* Rank 0 computes 3 us and sends to 1; rank 1 computes 4 us, beside its receive; rank 2 is
 * idle. All have a group's collective, of 0 and 1. */
static df_net_case messages(void)
{
    df_net_case c = df_net_case_new(DF_NET_SWITCH, 3, DF_NET_ALG_DIRECT);
    const df_net_node reduce = {.id = 9,
                                .type = DF_NET_COMM,
                                .bytes = MIB,
                                .group = 5,
                                .deps = (uint64_t[]){1},
                                .num_deps = 1};
    df_net_case_compute(&c, 0, 0, NO_DEP, 3000);
    df_net_case_send(&c, 0, 1, 0, 1);
    df_net_case_compute(&c, 1, 0, NO_DEP, 4000);
    df_net_case_receive(&c, 1, 1, NO_DEP, 0);
    df_net_case_add_group(&c, 5, (int32_t[]){0, 1}, 2);
    df_net_case_add(&c, 0, &reduce);
    df_net_case_add(&c, 1, &reduce);
    df_net_case_compute(&c, 2, 0, NO_DEP, 1000);
    return c;
}

/* Puts one trace in place of those of all four ranks. */
static void write_traces(const df_et_node *nodes, size_t count)
{
    for (int rank = 0; rank < 4; rank++) {
        df_et_writer *writer = NULL;
        df_err err;
        char name[32];
        snprintf(name, sizeof name, "workload.%d.et", rank);
        assert_int_equal(df_et_create(in_dir(name), &writer, &err), DF_OK);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(df_et_write(writer, &nodes[i], &err), DF_OK);
        }
        assert_int_equal(df_et_finish(writer, &err), DF_OK);
    }
}

static void write_case(df_net_case c)
{
    df_net_case_write(&c, folder());
    df_net_case_free(&c);
}

static json_int_t whole(const json_t *object, const char *key)
{
    const json_t *const value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* ---- Results ---- */

static void json_has_times_and_links(void **state)
{
    (void)state;
    static const int order[] = {2, 3, 0, 1};
    write_case(all_reduce());
    json_t *const root = df_program_json(run_with("--format json"));
    assert_int_equal(whole(root, "max_cycles"), 19183);
    for (size_t i = 0; i < 4; i++) {
        const json_t *const cycles = json_object_get(root, "per_rank_cycles");
        const json_t *const exposed = json_object_get(root, "exposed_comm_cycles");
        assert_int_equal(json_integer_value(json_array_get(cycles, i)), 19183);
        assert_int_equal(json_integer_value(json_array_get(exposed, i)), 19183);
        assert_int_equal(
            json_integer_value(json_array_get(json_object_get(root, "finish_order"), i)), order[i]);
    }
    /* Four links go the way of the ring, four the other way. Each of the former carries 6
     * messages of 256 KiB, 2441 ns each. */
    const json_t *const summary = json_object_get(root, "link_summary");
    assert_int_equal(whole(summary, "links"), 8);
    assert_int_equal(whole(summary, "used"), 4);
    assert_int_equal(whole(summary, "messages"), 24);
    assert_int_equal(whole(summary, "bytes"), 6 * MIB);
    df_assert_rel(df_number(summary, "max_busy_fraction"), 6 * 2441 / 19183.0, 1e-15);
    df_assert_rel(df_number(summary, "mean_busy_fraction"), 6 * 2441 / 19183.0 / 2, 1e-15);
    const json_t *const links = json_object_get(root, "links");
    assert_int_equal(json_array_size(links), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *const link = json_array_get(links, i);
        assert_int_equal(whole(link, "from"), i);
        assert_int_equal(whole(link, "to"), (i + 1) % 4);
        assert_int_equal(whole(link, "messages"), 6);
        assert_int_equal(whole(link, "bytes"), 6 * MIB / 4);
        assert_int_equal(whole(link, "busy_ns"), 6 * 2441);
        df_assert_rel(df_number(link, "busy_fraction"), 6 * 2441 / 19183.0, 1e-15);
    }
    json_decref(root);
}

static void text_has_ranks_in_their_order_and_the_busiest_links(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "     2                19183                19183\n",
        "     1                19183                19183\n",
        "the last rank ends after 19183 ns; ",
        "4 of 8 links carried 24 messages, 6291456 bytes; ",
        "on average a link was busy for 38.2 % of the time\n",
        "      3       0       76.3            6              1572864\n",
    };
    write_case(all_reduce());
    df_outcome o = df_program(run_with(""));
    assert_int_equal(o.exit_code, 0);
    const char *at = o.out;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *const found = strstr(at, lines[i]);
        if (!found) {
            fail_msg("expected \"%s\" in:\n%s", lines[i], o.out);
        }
        at = found ? found : at;
    }
    df_outcome_free(&o);
}

static void groups_are_read(void **state)
{
    (void)state;
    char more[600];
    write_case(messages());
    snprintf(more, sizeof more, "--format json --comm_group %s/comm_group.json", folder());
    json_t *const root = df_program_json(run_with(more));
    /* Message: 3000 + 2 * 10265 (up and down). Two messages of 512 KiB (5382, twice each),
     * one reduced (3 * 327), 10 ns before each and at the end. */
    const json_int_t end = 3000 + 2 * 10265 + 10 + 2 * 5382 + 10 + 3 * 327 + 2 * 5382 + 10;
    const json_t *const cycles = json_object_get(root, "per_rank_cycles");
    assert_int_equal(json_integer_value(json_array_get(cycles, 0)), end);
    assert_int_equal(json_integer_value(json_array_get(cycles, 1)), end);
    assert_int_equal(json_integer_value(json_array_get(cycles, 2)), 1000);
    json_decref(root);
    df_refuse(run_with(""), 2, "rank 0: node 9: group 5: expected an existing group");
    /* The word "empty" in its path means that there are none. */
    df_refuse(run_with("--comm_group not/empty.json"), 2, "group 5: expected an existing group");
}

/* AstraSim's hgx_h100_8gpu.json, whose roofline an all-reduce does not need: 57156 ns (AstraSim
 * c459ab6). */
static void roofline_may_be_enabled(void **state)
{
    (void)state;
    df_net_case c = df_net_case_new(DF_NET_SWITCH, 8, DF_NET_ALG_RING);
    for (int32_t rank = 0; rank < 8; rank++) {
        df_net_case_collective(&c, rank, 0, DF_NET_ALL_REDUCE, MIB);
    }
    c.network.bandwidth_gib_ps = 400;
    c.network.latency_ns = 936.25;
    write_case(c);
    df_write_file(in_dir("system.json"),
                  "{\"endpoint-delay\": 1, \"active-chunks-per-dimension\": 2, "
                  "\"preferred-dataset-splits\": 4, \"all-reduce-implementation\": [\"ring\"], "
                  "\"local-mem-bw\": 3350, \"roofline-enabled\": 1, \"peak-perf\": 700}");
    json_t *const root = df_program_json(run_with("--format json"));
    assert_int_equal(whole(root, "max_cycles"), 57156);
    json_decref(root);
}

/* 7e9 operations at 0.7 TFLOP/s are 10 ms; 1 MB at 10 MB/s are 100 ms. */
static void roofline_reads_its_units(void **state)
{
    (void)state;
    df_et_attr attrs[] = {{.name = "num_ops", .kind = DF_ET_INT, .number = INT64_C(7000000000)},
                          {.name = "tensor_size", .kind = DF_ET_INT, .number = 1000}};
    const df_et_node node = {
        .id = 1, .name = "", .type = DF_ET_COMPUTE, .attrs = attrs, .num_attrs = 2};
    write_case(all_reduce());
    df_write_file(in_dir("system.json"),
                  "{\"preferred-dataset-splits\": 1, \"roofline-enabled\": 1, "
                  "\"peak-perf\": 0.7, \"local-mem-bw\": 0.01}");
    for (int i = 0; i < 2; i++) {
        write_traces(&node, 1);
        json_t *const root = df_program_json(run_with("--format json"));
        assert_int_equal(whole(root, "max_cycles"), i == 0 ? 10000000 : 100000000);
        json_decref(root);
        attrs[1].number = 1000000;
    }
}

/* A cycle of control dependencies, as in PyTorch's traces: 4 us and 3 us, one after the other. */
static void control_dependencies_may_be_left_out(void **state)
{
    (void)state;
    const df_et_node nodes[] = {
        {.id = 1,
         .name = "",
         .type = DF_ET_COMPUTE,
         .duration_micros = 4,
         .ctrl_deps = (uint64_t[]){1},
         .num_ctrl_deps = 1},
        {.id = 2,
         .name = "",
         .type = DF_ET_COMPUTE,
         .duration_micros = 3,
         .data_deps = (uint64_t[]){1},
         .num_data_deps = 1},
    };
    write_case(all_reduce());
    write_traces(nodes, 2);
    df_refuse(run_with(""), 2, "cycle, found one (with --control_deps false");
    json_t *const root = df_program_json(run_with("--format json --control_deps false"));
    assert_int_equal(whole(root, "max_cycles"), 7000);
    json_decref(root);
}

/* PyTorch lists its default group beside the others. */
static void default_group_may_be_listed(void **state)
{
    (void)state;
    char more[600];
    write_case(all_reduce());
    df_write_file(in_dir("comm_group.json"), "{\"0\": [3, 0, 1, 2], \"1\": [0, 1]}");
    snprintf(more, sizeof more, "--format json --comm_group %s/comm_group.json", folder());
    json_t *const root = df_program_json(run_with(more));
    assert_int_equal(whole(root, "max_cycles"), 19183);
    json_decref(root);
}

/* "oneRing" and the like are those algorithms. */
static void names_of_algorithms(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"ring", "oneRing"},
                                           {"direct", "oneDirect"},
                                           {"direct2", "oneDirect2"},
                                           {"halvingDoubling", "oneHalvingDoubling"},
                                           {"doubleBinaryTree", "doubleBinaryTree"}};
    json_int_t cycles[5];
    write_case(all_reduce());
    for (int i = 0; i < 10; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "{\"preferred-dataset-splits\": 1, \"local-mem-bw\": 1600, \"endpoint-delay\": "
                 "10.9, \"unknown\": 1, \"all-reduce-implementation\": [\"%s\"]}",
                 names[i / 2][i % 2]);
        df_write_file(in_dir("system.json"), text);
        json_t *const root = df_program_json(run_with("--format json"));
        if (i % 2 == 0) {
            cycles[i / 2] = whole(root, "max_cycles");
        } else {
            assert_int_equal(whole(root, "max_cycles"), cycles[i / 2]);
        }
        json_decref(root);
    }
    assert_int_equal(cycles[0], 19183); /* a fraction of the delay is cut */
    assert_int_not_equal(cycles[1], cycles[2]);
}

/* ---- Timeline ---- */

/* The events of a timeline; the caller frees *root. */
static const json_t *load_events(json_t **root)
{
    json_error_t error;
    *root = json_load_file(in_dir("timeline.json"), 0, &error);
    if (!*root) {
        fail_msg("line %d: %s", error.line, error.text);
    }
    const json_t *const events = json_object_get(*root, "traceEvents");
    assert_true(json_is_array(events));
    return events;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Microseconds with three decimals as nanoseconds. */
static int64_t time_of(const json_t *event, const char *key)
{
    return (int64_t)(df_number(event, key) * 1000 + 0.5);
}

/* The name that metadata gives to a process or a lane. */
static const char *name_of(const json_t *events, const char *what, json_int_t pid, json_int_t tid)
{
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *const e = json_array_get(events, i);
        if (strcmp(text_of(e, "name"), what) == 0 && whole(e, "pid") == pid &&
            (tid < 0 || whole(e, "tid") == tid)) {
            return text_of(json_object_get(e, "args"), "name");
        }
    }
    return "";
}

/* The event of a node of a rank. */
static const json_t *
event_of(const json_t *events, const char *phase, const char *process, json_int_t node)
{
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *const e = json_array_get(events, i);
        const json_t *const args = json_object_get(e, "args");
        if (strcmp(text_of(e, "ph"), phase) == 0 &&
            json_integer_value(json_object_get(args, "node")) == node &&
            strcmp(name_of(events, "process_name", whole(e, "pid"), -1), process) == 0) {
            return e;
        }
    }
    fail_msg("no event of node %d of %s", (int)node, process);
    return NULL;
}

static void check_span(const json_t *events,
                       const char *process,
                       json_int_t node,
                       const char *lane,
                       int64_t start_ns,
                       int64_t end_ns)
{
    const json_t *const e = event_of(events, "X", process, node);
    assert_string_equal(name_of(events, "thread_name", whole(e, "pid"), whole(e, "tid")), lane);
    assert_int_equal(time_of(e, "ts"), start_ns);
    assert_int_equal(time_of(e, "ts") + time_of(e, "dur"), end_ns);
}

/* AstraSim c459ab6 takes 1 ns for a collective whose trace has no duration. */
static void system_file_may_ask_for_a_replay(void **state)
{
    (void)state;
    char more[600];
    json_t *root;
    write_case(all_reduce());
    df_write_file(in_dir("system.json"), "{\"preferred-dataset-splits\": 1, \"replay-only\": 1}");
    snprintf(more, sizeof more, "--format json --timeline %s", in_dir("timeline.json"));
    root = df_program_json(run_with(more));
    assert_int_equal(whole(root, "max_cycles"), 1);
    assert_int_equal(whole(json_object_get(root, "link_summary"), "messages"), 0);
    json_decref(root);
    const json_t *const events = load_events(&root);
    const json_t *const e = event_of(events, "X", "rank 0", 0);
    assert_string_equal(text_of(e, "cat"), "collective");
    assert_null(json_object_get(json_object_get(e, "args"), "bytes"));
    check_span(events, "rank 0", 0, "communication", 0, 1);
    json_decref(root);
}

/* Times are those of groups_are_read. */
static void timeline_shows_each_rank(void **state)
{
    (void)state;
    char more[1200];
    json_t *root;
    enum { SENT = 3000 + 2 * 10265, END = SENT + 10 + 2 * 5382 + 10 + 3 * 327 + 2 * 5382 + 10 };
    write_case(messages());
    snprintf(more, sizeof more, "--comm_group %s/comm_group.json --timeline %s/timeline.json",
             folder(), folder());
    df_outcome o = df_program(run_with(more));
    assert_int_equal(o.exit_code, 0);
    assert_string_equal(o.err, "");
    df_outcome_free(&o);
    const json_t *const events = load_events(&root);
    check_span(events, "rank 0", 0, "compute", 0, 3000);
    check_span(events, "rank 0", 1, "communication", 3000, SENT);
    check_span(events, "rank 0", 9, "communication", SENT, END);
    check_span(events, "rank 1", 0, "compute", 0, 4000);
    check_span(events, "rank 1", 9, "communication", SENT, END);
    check_span(events, "rank 2", 0, "compute", 0, 1000);
    const json_t *const args = json_object_get(event_of(events, "X", "rank 0", 9), "args");
    assert_int_equal(whole(args, "bytes"), MIB);
    assert_int_equal(whole(args, "group"), 5);
    assert_string_equal(text_of(event_of(events, "X", "rank 0", 9), "cat"), "all-reduce");
    assert_string_equal(text_of(args, "algorithm"), "direct");
    /* A receive is a pair: its end has the same id. */
    const json_t *const begin = event_of(events, "b", "rank 1", 1);
    const json_t *const id = json_object_get(begin, "id2");
    assert_int_equal(time_of(begin, "ts"), 0);
    assert_int_equal(whole(json_object_get(begin, "args"), "from"), 0);
    size_t ends = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *const e = json_array_get(events, i);
        if (strcmp(text_of(e, "ph"), "e") == 0) {
            ends++;
            assert_true(json_equal(json_object_get(e, "id2"), id));
            assert_int_equal(time_of(e, "ts"), SENT);
            assert_int_equal(whole(e, "pid"), whole(begin, "pid"));
            assert_string_equal(text_of(e, "cat"), text_of(begin, "cat"));
        }
    }
    assert_int_equal(ends, 1);
    json_decref(root);
}

/* Six messages on each of four links, one after the other, to the last arrival. */
static void timeline_shows_links(void **state)
{
    (void)state;
    char more[600];
    json_t *root;
    write_case(all_reduce());
    snprintf(more, sizeof more, "--timeline=%s/timeline.json --timeline-links", folder());
    df_outcome o = df_program(run_with(more));
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    const json_t *const events = load_events(&root);
    int count = 0;
    int64_t free_ns = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *const e = json_array_get(events, i);
        if (strcmp(text_of(e, "ph"), "X") != 0 || strcmp(text_of(e, "name"), "2 to 3") != 0) {
            continue;
        }
        count++;
        assert_string_equal(name_of(events, "process_name", whole(e, "pid"), -1), "links");
        assert_string_equal(name_of(events, "thread_name", whole(e, "pid"), whole(e, "tid")),
                            "rank 2 to rank 3");
        assert_true(time_of(e, "ts") >= free_ns);
        assert_int_equal(time_of(e, "dur"), 2441);
        assert_int_equal(time_of(json_object_get(e, "args"), "arrival_us"),
                         time_of(e, "ts") + 2941);
        free_ns = time_of(e, "ts") + time_of(e, "dur");
    }
    assert_int_equal(count, 6);
    assert_int_equal(free_ns, 19183 - 10 - 500); /* the last message's latency and delay */
    json_decref(root);
}

static size_t events_with_time(const json_t *events)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        count += strcmp(text_of(json_array_get(events, i), "ph"), "X") == 0;
    }
    return count;
}

/* Viewers add up ts and dur in floating point; a lane's event that reaches into the next by that
 * would be drawn around it. Messages one right behind the other, a minute after the start. */
static void timeline_lanes_do_not_overlap(void **state)
{
    (void)state;
    enum { MESSAGES = 500 };
    char more[600];
    json_t *root;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 77000000000);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1000);
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        df_net_case_send(&c, 0, i, i - 1, 1);
        df_net_case_receive(&c, 1, i, NO_DEP, 0);
    }
    write_case(c);
    snprintf(more, sizeof more, "--timeline %s/timeline.json --timeline_links", folder());
    df_outcome o = df_program(run_with(more));
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    const json_t *const events = load_events(&root);
    double end_us = 0;
    int count = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *const e = json_array_get(events, i);
        if (strcmp(text_of(e, "ph"), "X") == 0 &&
            json_object_get(json_object_get(e, "args"), "to")) {
            assert_true(df_number(e, "ts") >= end_us);
            end_us = df_number(e, "ts") + df_number(e, "dur");
            count++;
        }
        const bool metadata = strcmp(text_of(e, "ph"), "M") == 0;
        assert_true(metadata || strlen(text_of(e, "cat")) > 0); /* Chromium's viewer needs one */
    }
    assert_int_equal(count, MESSAGES);
    json_decref(root);
}

/* Events have the names of the trace's nodes, without the ids that DeepFlow's traces add. */
static void timeline_has_the_names_of_nodes(void **state)
{
    (void)state;
    static const struct {
        const char *in_trace, *shown;
    } names[] = {{"MLP_forward_b0_layer3_0", "MLP_forward_b0_layer3"},
                 {"step_7", "step_7"}, /* it is node 1 */
                 {"_2", "_2"},
                 {"", "compute"},
                 {"a \"b\" \\ \n\xc3\xa9 c", "a \"b\" \\ ??? c"}};
    enum { NAMES = sizeof names / sizeof names[0] };
    char more[600];
    json_t *root;
    df_err err;
    df_et_writer *writer;
    df_net_case c = df_net_case_new(DF_NET_SWITCH, 2, DF_NET_ALG_DIRECT);
    df_net_case_compute(&c, 0, 0, NO_DEP, 1000);
    df_net_case_compute(&c, 1, 0, NO_DEP, 1000);
    write_case(c);
    assert_int_equal(df_et_create(in_dir("workload.1.et"), &writer, &err), DF_OK);
    for (uint64_t i = 0; i < NAMES; i++) {
        const df_et_attr attr = {.name = "is_cpu_op", .kind = DF_ET_BOOL};
        const df_et_node node = {.id = i,
                                 .name = names[i].in_trace,
                                 .type = DF_ET_COMPUTE,
                                 .duration_micros = 1,
                                 .attrs = &attr,
                                 .num_attrs = 1};
        assert_int_equal(df_et_write(writer, &node, &err), DF_OK);
    }
    assert_int_equal(df_et_finish(writer, &err), DF_OK);
    snprintf(more, sizeof more, "--timeline %s/timeline.json", folder());
    df_outcome o = df_program(run_with(more));
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    const json_t *const events = load_events(&root);
    for (int i = 0; i < NAMES; i++) {
        assert_string_equal(text_of(event_of(events, "X", "rank 1", i), "name"), names[i].shown);
    }
    json_decref(root);
}

static void timeline_is_cut_with_a_note(void **state)
{
    (void)state;
    char more[600];
    json_t *root;
    write_case(all_reduce());
    snprintf(more, sizeof more,
             "--timeline %s/timeline.json --timeline_links true --timeline_events 5", folder());
    df_outcome o = df_program(run_with(more));
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err, "23 events after the first 5 are left out")); /* of 4 + 24 */
    df_outcome_free(&o);
    const json_t *const events = load_events(&root);
    assert_int_equal(events_with_time(events), 5);
    const json_t *const last = json_array_get(events, json_array_size(events) - 1);
    assert_string_equal(text_of(last, "ph"), "i");
    assert_string_equal(text_of(last, "name"), "23 more events are left out");
    json_decref(root);
}

/* A run that is stuck leaves a timeline of what it did. */
static void timeline_of_a_stuck_run(void **state)
{
    (void)state;
    char more[600];
    json_t *root;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    df_net_case_compute(&c, 0, 0, NO_DEP, 5000);
    df_net_case_compute(&c, 1, 0, NO_DEP, 7000);
    df_net_case_receive(&c, 1, 1, 0, 0);
    write_case(c);
    snprintf(more, sizeof more, "--format json --timeline %s/timeline.json", folder());
    df_refuse(run_with(more), 1, "rank 1: node 1 waits for 1048576 bytes from rank 0");
    const json_t *const events = load_events(&root);
    assert_int_equal(events_with_time(events), 2);
    check_span(events, "rank 1", 0, "compute", 0, 7000);
    json_decref(root);
}

static void timeline_that_cannot_be_written(void **state)
{
    (void)state;
    write_case(all_reduce());
    df_refuse(run_with("--timeline /nowhere/t.json"), 1, "/nowhere/t.json: cannot be written");
    df_refuse(run_with("--timeline /dev/full"), 1, "/dev/full: cannot be written");
    df_refuse(run_with("--timeline t.json --timeline_events 0"), 2, "--timeline_events");
}

/* ---- Files that are refused ---- */

/* Replaces a file of a good case; the run must fail for it, in these words. */
static void refuse_file(const char *name, const char *text, const char *words)
{
    write_case(all_reduce());
    df_write_file(in_dir(name), text);
    df_refuse(run_with(""), 2, words);
}

static void refuse_system(const char *text, const char *words)
{
    refuse_file("system.json", text, words);
}

static void systems_that_are_refused(void **state)
{
    (void)state;
    refuse_system("", "system.json:1: expected JSON");
    refuse_system("{\n\n\"a\": }", "system.json:3: expected JSON");
    refuse_system("[]", "system.json:1: expected {...}");
    refuse_system("{\"a\": 1, \"a\": 2}", "system.json:1: expected JSON");
    refuse_system("{}", "preferred-dataset-splits: expected a number >= 1, found nothing");
    refuse_system("{\"preferred-dataset-splits\": 0}", "preferred-dataset-splits");
    refuse_system("{\"preferred-dataset-splits\": 1e30}", "preferred-dataset-splits");
    refuse_system("{\"preferred-dataset-splits\": \"4\"}", "found something else");
    refuse_system("{\"preferred-dataset-splits\": 1, \"active-chunks-per-dimension\": -3}",
                  "active-chunks-per-dimension");
    refuse_system("{\"preferred-dataset-splits\": 1, \"endpoint-delay\": -1}", "endpoint-delay");
    refuse_system("{\"preferred-dataset-splits\": 1, \"local-mem-bw\": -1}", "local-mem-bw");
    refuse_system("{\"preferred-dataset-splits\": 1, \"roofline-enabled\": true}",
                  "roofline-enabled: expected 0 or 1");
    refuse_system("{\"preferred-dataset-splits\": 1, \"all-reduce-implementation\": [\"ring\"], "
                  "\"all-reduce-implementation-custom\": [\"custom/all_reduce\"]}",
                  "system.json: all-reduce-implementation-custom: expected no collective with a "
                  "trace of its own");
    refuse_system("{\"preferred-dataset-splits\": 1, "
                  "\"per-node-custom-implementation\": \"nodes.yml\"}",
                  "per-node-custom-implementation: expected");
    refuse_system("{\"preferred-dataset-splits\": 1, \"replay-only\": \"1\"}",
                  "replay-only: expected 0 or 1");
    refuse_system("{\"preferred-dataset-splits\": 1, \"roofline-enabled\": 1, \"peak-perf\": -1}",
                  "peak-perf: expected a number from 0");
    refuse_system("{\"preferred-dataset-splits\": 1, \"model-shared-bus\": 1}",
                  "model-shared-bus: expected 0");
    refuse_system("{\"scheduling-policy\": \"RANDOM\"}",
                  "scheduling-policy: expected LIFO, FIFO or EXPLICIT, found RANDOM");
    refuse_system("{\"preferred-dataset-splits\": 1, \"all-reduce-implementation\": [\"tree\"]}",
                  "all-reduce-implementation: expected a list of one of ring");
    refuse_system("{\"preferred-dataset-splits\": 1, \"all-reduce-implementation\": \"ring\"}",
                  "all-reduce-implementation");
    refuse_system(
        "{\"preferred-dataset-splits\": 1, \"all-reduce-implementation\": [\"ring\", \"ring\"]}",
        "all-reduce-implementation");
    refuse_system("{\"preferred-dataset-splits\": 1, \"all-reduce-implementation\": [\"direct0\"]}",
                  "all-reduce-implementation");
    refuse_system("{\"preferred-dataset-splits\": 1, \"all-reduce-implementation\": "
                  "[\"direct99999999999999999999\"]}",
                  "all-reduce-implementation");
    refuse_system("{\"preferred-dataset-splits\": 1}", "expected an algorithm in the system");
}

#define NETWORK(topology, ranks, bandwidth, latency)                                               \
    "topology: " topology "\nnpus_count: " ranks "\nbandwidth: " bandwidth "\nlatency: " latency   \
    "\n"

static void networks_that_are_refused(void **state)
{
    (void)state;
    refuse_file("network.yml", "", "network.yml:1: expected KEY");
    refuse_file("network.yml", "a: [", "network.yml:");
    refuse_file("network.yml", "topology: [ Ring ]\n", "npus_count: expected a list of one");
    refuse_file(
        "network.yml", NETWORK("[ Mesh ]", "[ 4 ]", "[ 1 ]", "[ 1 ]"),
        "network.yml:1: topology: expected Ring, FullyConnected or Switch, as no other topology "
        "is simulated, found Mesh");
    refuse_file("network.yml", NETWORK("[ Ring, Ring ]", "[ 4, 2 ]", "[ 1, 1 ]", "[ 1, 1 ]"),
                "network.yml:1: topology: expected a list of one value (one dimension)");
    refuse_file("network.yml", NETWORK("[ Ring ]", "4", "[ 1 ]", "[ 1 ]"),
                "network.yml:2: npus_count: expected a list of one value");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 1 ]", "[ 1 ]", "[ 1 ]"),
                "network.yml:2: npus_count: expected a whole number from 2 to 32768, found 1");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 4.5 ]", "[ 1 ]", "[ 1 ]"), "found 4.5");
    refuse_file("network.yml", NETWORK("[ FullyConnected ]", "[ 1000000000000 ]", "[ 1 ]", "[ 1 ]"),
                "npus_count: expected a whole number from 2 to 32768, found 1000000000000");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ four ]", "[ 1 ]", "[ 1 ]"),
                "npus_count: expected a whole number from 2 to 32768, found four");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 4 ]", "[ 0 ]", "[ 1 ]"),
                "network.yml:3: bandwidth: expected a number > 0, found 0");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 4 ]", "[ .nan ]", "[ 1 ]"), "bandwidth");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 4 ]", "[ nan ]", "[ 1 ]"), "bandwidth");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 4 ]", "[ 1 ]", "[ -1 ]"),
                "network.yml:4: latency: expected a number >= 0, found -1");
    refuse_file("network.yml", NETWORK("[ Ring ]", "[ 2 ]", "[ 1 ]", "[ 1 ]"),
                "network.yml:2: npus_count: expected at least 3 on a Ring (FullyConnected");
    refuse_file("network.yml", NETWORK("[ [ Ring ] ]", "[ 4 ]", "[ 1 ]", "[ 1 ]"), "topology");
}

static void refuse_groups(const char *text, const char *words)
{
    char more[600];
    write_case(all_reduce());
    df_write_file(in_dir("comm_group.json"), text);
    snprintf(more, sizeof more, "--comm_group %s/comm_group.json", folder());
    df_refuse(run_with(more), 2, words);
}

static void groups_that_are_refused(void **state)
{
    (void)state;
    refuse_groups("{\"1\": [0, 1}", "comm_group.json:1: expected JSON");
    refuse_groups("{\"0\": [0, 1]}", "comm_group.json: 0: expected each of the 4 ranks once");
    refuse_groups("{\"0\": [0, 1, 2, 2]}", "0: expected each of the 4 ranks once");
    refuse_groups("{\"0\": [0, 1, 2, 3, 4]}", "0: expected each of the 4 ranks once");
    refuse_groups("{\"-1\": [0, 1]}", "-1: expected \"ID\"");
    refuse_groups("{\"one\": [0, 1]}", "one: expected \"ID\"");
    refuse_groups("{\"99999999999999999999\": [0, 1]}", "expected \"ID\"");
    refuse_groups("{\"1\": 5}", "1: expected \"ID\"");
    refuse_groups("{\"1\": []}", "1: expected \"ID\"");
    refuse_groups("{\"1\": [0, 4]}", "group 1: expected ranks from 0 to 3, found 4");
    refuse_groups("{\"1\": [0, \"1\"]}", "group 1: expected ranks from 0 to 3, found -1");
    refuse_groups("{\"1\": [2, 2]}", "group 1: expected each rank once, found 2 twice");
    refuse_groups("{\"1\": [0, 1], \"1\": [2, 3]}", "duplicate");
    write_case(all_reduce());
    df_refuse(run_with("--comm_group /nowhere/g.json"), 1, "/nowhere/g.json: cannot be opened");
}

static void traces_that_are_refused(void **state)
{
    (void)state;
    char command[1024];
    int exit_code;
    write_case(all_reduce());
    df_write_file(in_dir("workload.2.et"), "{}");
    df_refuse(run_with(""), 2, "workload.2.et: message 1 at byte 0");
    snprintf(command, sizeof command, "rm '%s'", in_dir("workload.2.et"));
    df_run(command, &exit_code, NULL, NULL);
    df_refuse(run_with(""), 1, "workload.2.et: cannot be opened");
    write_case(all_reduce());
    df_refuse(run_with("--format yaml"), 2, "--format");
    df_refuse("astra run", 2, "--workload");
    df_refuse("astra", 2, "expected run or dump");
    df_refuse("astra fly", 2, "found fly");
}

/* 15 billion events, one chunk after the other: it takes its time and little memory, and ends
 * when it is interrupted. `timeout` exits with 124 when its signal did that. */
static void long_runs_can_be_interrupted(void **state)
{
    (void)state;
    char command[2400];
    int exit_code;
    df_net_case c = df_net_case_new(DF_NET_FULLY_CONNECTED, 2, DF_NET_ALG_RING);
    c.system.splits = INT32_MAX;
    df_net_case_collective(&c, 0, 0, DF_NET_ALL_REDUCE, INT64_C(1) << 40);
    df_net_case_collective(&c, 1, 0, DF_NET_ALL_REDUCE, INT64_C(1) << 40);
    write_case(c);
    snprintf(command, sizeof command, "timeout -s INT -k 60 1 %s %s", DF_BIN, run_with(""));
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 124);
}

/* ---- Dump ---- */

static void dump_has_a_node_a_line(void **state)
{
    (void)state;
    const uint64_t ids[] = {3, 4};
    const df_et_attr attrs[] = {
        {.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = 0},
        {.name = "comm_size", .kind = DF_ET_INT, .number = -7},
        {.name = "real", .kind = DF_ET_REAL, .real = 0.1},
        {.name = "pg_name", .kind = DF_ET_TEXT, .text = "12"},
        {.name = "two words", .kind = DF_ET_TEXT, .text = "a\n\"b\\\t\x7f"},
        {.name = "", .kind = DF_ET_NOTHING},
    };
    const df_et_node nodes[] = {
        {.id = 0, .name = "first", .type = DF_ET_COMPUTE, .duration_micros = 12},
        {.id = UINT64_MAX,
         .name = "all\nreduce",
         .type = DF_ET_COLLECTIVE,
         .ctrl_deps = ids,
         .num_ctrl_deps = 2,
         .data_deps = ids,
         .num_data_deps = 1,
         .attrs = attrs,
         .num_attrs = sizeof attrs / sizeof attrs[0]},
        {.id = 2, .name = "", .type = 77},
    };
    char arguments[600];
    df_et_writer *writer;
    df_err err;
    assert_int_equal(df_et_create(in_dir("d.et"), &writer, &err), DF_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(df_et_write(writer, &nodes[i], &err), DF_OK);
    }
    assert_int_equal(df_et_finish(writer, &err), DF_OK);
    snprintf(arguments, sizeof arguments, "astra dump %s/d.et", folder());
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_string_equal(o.out,
                        "0 compute \"first\" lasts 12us\n"
                        "18446744073709551615 collective \"all\\x0areduce\" after 3,4 needs 3 "
                        "is_cpu_op=false comm_size=-7 real=0.10000000000000001 pg_name=\"12\" "
                        "\"two words\"=\"a\\x0a\\\"b\\\\\\x09\\x7f\" \"\"=\n"
                        "2 unknown(77) \"\"\n");
    df_outcome_free(&o);
}

static void dump_refuses(void **state)
{
    (void)state;
    char arguments[600];
    df_refuse("astra dump", 2, "FILE");
    df_refuse("astra dump a b", 2, "FILE");
    df_refuse("astra dump /nowhere/t.et", 1, "/nowhere/t.et: cannot be opened");
    df_write_file(in_dir("d.et"), "text");
    snprintf(arguments, sizeof arguments, "astra dump %s/d.et", folder());
    df_refuse(arguments, 2, "d.et: message 1 at byte 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_times_and_links),
        cmocka_unit_test(text_has_ranks_in_their_order_and_the_busiest_links),
        cmocka_unit_test(groups_are_read),
        cmocka_unit_test(system_file_may_ask_for_a_replay),
        cmocka_unit_test(roofline_may_be_enabled),
        cmocka_unit_test(roofline_reads_its_units),
        cmocka_unit_test(control_dependencies_may_be_left_out),
        cmocka_unit_test(default_group_may_be_listed),
        cmocka_unit_test(names_of_algorithms),
        cmocka_unit_test(timeline_shows_each_rank),
        cmocka_unit_test(timeline_shows_links),
        cmocka_unit_test(timeline_lanes_do_not_overlap),
        cmocka_unit_test(timeline_has_the_names_of_nodes),
        cmocka_unit_test(timeline_is_cut_with_a_note),
        cmocka_unit_test(timeline_of_a_stuck_run),
        cmocka_unit_test(timeline_that_cannot_be_written),
        cmocka_unit_test(systems_that_are_refused),
        cmocka_unit_test(networks_that_are_refused),
        cmocka_unit_test(groups_that_are_refused),
        cmocka_unit_test(traces_that_are_refused),
        cmocka_unit_test(long_runs_can_be_interrupted),
        cmocka_unit_test(dump_has_a_node_a_line),
        cmocka_unit_test(dump_refuses),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
