/* Programs of steps and layers, node by node, and what happens where they cannot run. */
#include <stdlib.h>
#include <string.h>

#include "lower/lower.h"
#include "support/support.h"

/* ---- Allocations, of which one fails: the linker sends all here ---- */

/* the linker's names:
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* Allocations until the one that fails; none does when it is below zero. */
static int64_t *left(void)
{
    static int64_t count = -1;
    return &count;
}

static bool fails(void)
{
    return *left() >= 0 && (*left())-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming) */

/* ---- A host that writes programs down ---- */

enum { TEXT = 8192, TAGS = 64 };

typedef struct {
    char text[TEXT]; /* "0: embedding_b0_0 ...\n" of the last program */
    size_t length;
    const df_runner_job *job;
    int runs, shows, groups;
    df_status results[4]; /* of the runs */
    uint32_t tags[TAGS];  /* of messages without an element */
    int num_tags;
    int dependencies;
    uint64_t shortest_ns; /* of the operators */
    uint64_t hop_bytes;   /* of messages that are longer than a byte, all together */
    char folder[64];
} record;

static df_status write_node(void *context, int32_t rank, const df_net_node *node, df_err *err)
{
    record *const r = context;
    char name[128];
    char id[32];
    (void)rank;
    (void)err;
    r->job->name_node(r->job->name_context, node, name, sizeof name);
    snprintf(id, sizeof id, "_%d", (int)node->id);
    char *at = strrchr(name, '_');
    while (strncmp(at, id, strlen(id)) != 0) { /* messages have it before what they are */
        at = at - 1;
    }
    memmove(at, at + strlen(id), strlen(at + strlen(id)) + 1);
    r->length += (size_t)snprintf(r->text + r->length, TEXT - r->length, " %s", name);
    if (node->label == 0) {
        assert_true(r->num_tags < TAGS);
        r->tags[r->num_tags++] = node->tag;
    }
    r->dependencies += node->num_deps;
    r->hop_bytes += node->type == DF_NET_SEND && node->bytes > 1 ? node->bytes : 0;
    if (node->type == DF_NET_COMPUTE && node->duration_ns < r->shortest_ns) {
        r->shortest_ns = node->duration_ns;
    }
    return DF_OK;
}

static df_status run(void *context, const df_runner_job *job, double *time_s, df_err *err)
{
    record *const r = context;
    int32_t id;
    int32_t count;
    r->job = job;
    r->length = 0;
    r->num_tags = r->groups = r->dependencies = 0;
    r->shortest_ns = UINT64_MAX;
    r->hop_bytes = 0;
    for (int32_t rank = 0; rank < df_net_program_ranks(job->program); rank++) {
        r->length += (size_t)snprintf(r->text + r->length, TEXT - r->length, "%d:", (int)rank);
        DF_TRY(df_net_program_visit(job->program, rank, write_node, r, err));
        r->length += (size_t)snprintf(r->text + r->length, TEXT - r->length, "\n");
    }
    while (df_net_program_group(job->program, r->groups, &id, &count)) {
        r->groups++;
    }
    snprintf(r->folder, sizeof r->folder, "%s", job->folder);
    *time_s = 1.0;
    return r->results[r->runs++];
}

static df_status show(void *context, const char *name, const df_dag *dag, df_err *err)
{
    record *const r = context;
    (void)name;
    (void)err;
    assert_true(df_dag_count(dag) > 0);
    r->shows++;
    return DF_OK;
}

static df_lower_host host_of(record *r)
{
    return (df_lower_host){.where = "", .context = r, .run = run, .show = show};
}

/* An operator and its all-reduce over `participants`. */
static df_lower_chain chain_of(int direction, int32_t participants)
{
    df_lower_chain chain = {.direction = direction};
    df_lower_item item = {.op = 3, .name = "MLP", .duration_s = 5e-6};
    df_lower_add_item(&chain, &item);
    if (participants > 1) {
        item.is_collective = true;
        item.collective = DF_NET_ALL_REDUCE;
        item.bytes = 1000;
        item.participants = participants;
        df_lower_add_item(&chain, &item);
    }
    return chain;
}

/* Two stages of a layer each. */
static df_step step_of(bool training, int64_t zero_stage)
{
    return (df_step){
        .t = {.embedding = {1e-6, 1e-6}, .block = {4e-6, 8e-6}, .logits = {2e-6, 2e-6}},
        .pipe = {2, 2, 1, 1},
        .order = &df_orders[DF_ORDER_GPIPE],
        .zero_stage = zero_stage,
        .training = training,
        .data_parallel = training};
}

static const df_lower_traffic traffic = {
    .replicas = 2, .hop_bytes = 64, .reduced = {30, 20, 10}, .gathered = {30, 20, 10}};

/* ---- Programs ---- */

static void blocks_are_chains_on_each_device(void **state)
{
    (void)state;
    record r = {.length = 0};
    const df_lower_host host = host_of(&r);
    const df_lower_chain chains[] = {chain_of(DF_TASK_FORWARD, 2), chain_of(DF_TASK_BACKWARD, 2)};
    const df_lower_layer layer = {chains, 4, 1};
    double time_s;
    df_err err;
    assert_int_equal(df_lower_time_block(&host, &layer, DF_TASK_BACKWARD, &time_s, &err), DF_OK);
    assert_string_equal(r.text, "0: MLP_backward_b0_layer0 MLP_backward_all_reduce_b0_layer0\n"
                                "1: MLP_backward_b0_layer0 MLP_backward_all_reduce_b0_layer0\n"
                                "2: MLP_backward_b0_layer0 MLP_backward_all_reduce_b0_layer0\n"
                                "3: MLP_backward_b0_layer0 MLP_backward_all_reduce_b0_layer0\n");
    assert_int_equal(r.groups, 2);       /* {0, 1} and {2, 3} */
    assert_int_equal(r.dependencies, 4); /* each collective waits for its operator */
    assert_string_equal(r.folder, "astra_hier/bwd");
    df_assert_rel(time_s, 1.0, 0);
}

/* Microseconds are rounded to the nearest, to none at all; nanoseconds to the nearest. */
static void operators_last_whole_nanoseconds_or_microseconds(void **state)
{
    (void)state;
    static const struct {
        double duration_s;
        uint64_t in_ns, in_us;
    } cases[] = {{12.3456e-6, 12346, 12000}, {12.5004e-6, 12500, 13000}, {0.4999e-6, 500, 0}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        record r = {.length = 0};
        df_lower_host host = host_of(&r);
        df_lower_chain chain = chain_of(DF_TASK_FORWARD, 1);
        const df_lower_layer layer = {&chain, 1, 1};
        double time_s;
        df_err err;
        chain.item[0].duration_s = cases[i / 2].duration_s;
        host.options.whole_microseconds = i % 2 == 1;
        assert_int_equal(df_lower_time_block(&host, &layer, DF_TASK_FORWARD, &time_s, &err), DF_OK);
        assert_int_equal(r.shortest_ns, i % 2 == 1 ? cases[i / 2].in_us : cases[i / 2].in_ns);
    }
}

/* One device alone has a twin, since a network has two ranks at least. */
static void one_device_has_a_twin(void **state)
{
    (void)state;
    record r = {.length = 0};
    const df_lower_host host = host_of(&r);
    const df_lower_chain chain = chain_of(DF_TASK_FORWARD, 1);
    const df_lower_layer layer = {&chain, 1, 1};
    double time_s;
    df_err err;
    assert_int_equal(df_lower_time_block(&host, &layer, DF_TASK_FORWARD, &time_s, &err), DF_OK);
    assert_string_equal(r.text, "0: MLP_forward_b0_layer0\n1: MLP_forward_b0_layer0\n");
}

/* The hop of stage 0 has 64 bytes, and both stages say nothing else. */
static void stages_are_devices(void **state)
{
    (void)state;
    record r = {.length = 0};
    const df_lower_host host = host_of(&r);
    const df_step step = step_of(false, 0);
    double time_s;
    df_err err;
    assert_int_equal(df_lower_time_step(&host, &step, &traffic, NULL, &time_s, &err), DF_OK);
    assert_string_equal(r.text,
                        "0: embedding_b0 transformer_b0_layer0 cross_layer_b0_layer1_send\n"
                        "1: transformer_b0_layer1 linear_softmax_b0 cross_layer_b0_layer1_recv\n");
    assert_string_equal(r.folder, "astra_hier");
    assert_int_equal(r.shows, 1);
}

/* Two devices share each layer; each hands its activations on. Device 0 tells device 1 that the
 * embedding is done, and device 3 tells device 2, which has the logits, that its layer is. */
static void layers_are_taken_apart(void **state)
{
    (void)state;
    record r = {.length = 0};
    const df_lower_host host = host_of(&r);
    const df_step step = step_of(false, 0);
    const df_lower_chain chains[] = {chain_of(DF_TASK_FORWARD, 2), chain_of(DF_TASK_BACKWARD, 2)};
    const df_lower_layer layer = {chains, 2, 1};
    double time_s;
    df_err err;
    assert_int_equal(df_lower_time_step(&host, &step, &traffic, &layer, &time_s, &err), DF_OK);
    assert_string_equal(
        r.text, "0: cross_layer_b0_layer0_send_control embedding_b0 MLP_forward_b0_layer0 "
                "MLP_forward_all_reduce_b0_layer0 cross_layer_b0_layer1_send\n"
                "1: MLP_forward_b0_layer0 MLP_forward_all_reduce_b0_layer0 "
                "cross_layer_b0_layer0_recv_control cross_layer_b0_layer1_send\n"
                "2: MLP_forward_b0_layer1 MLP_forward_all_reduce_b0_layer1 linear_softmax_b0 "
                "cross_layer_b0_layer1_recv cross_layer_b0_layer2_recv_control\n"
                "3: cross_layer_b0_layer2_send_control MLP_forward_b0_layer1 "
                "MLP_forward_all_reduce_b0_layer1 cross_layer_b0_layer1_recv\n");
    assert_string_equal(r.folder, "astra_flat");
}

/* The 64 bytes are those of each of two devices, or of both together. */
static void each_device_hands_its_share_on(void **state)
{
    (void)state;
    for (int divided = 0; divided < 2; divided++) {
        record r = {.length = 0};
        df_lower_host host = host_of(&r);
        const df_step step = step_of(false, 0);
        const df_lower_chain chain = chain_of(DF_TASK_FORWARD, 2);
        const df_lower_layer layer = {&chain, 2, 1};
        double time_s;
        df_err err;
        host.options.hop_divided = divided != 0;
        assert_int_equal(df_lower_time_step(&host, &step, &traffic, &layer, &time_s, &err), DF_OK);
        assert_int_equal(r.hop_bytes, divided ? 2 * 32 : 2 * 64);
    }
}

/* The line of a rank. */
static const char *line_of(const record *r, int rank)
{
    char begin[16];
    snprintf(begin, sizeof begin, "%d:", rank);
    const char *const line = strstr(r->text, begin);
    assert_non_null(line);
    return line + strlen(begin);
}

static bool has(const record *r, int rank, const char *name)
{
    const char *const line = line_of(r, rank);
    const char *const found = strstr(line, name);
    return found && found < strchr(line, '\n');
}

/* ZeRO 3: beside block 0 each device of stage 0 gathers for layer 1, and beside block 1 each of
 * stage 1 for layer 0. The replica does the same on ranks 4 to 7. */
static void each_device_gathers(void **state)
{
    (void)state;
    record r = {.length = 0};
    const df_lower_host host = host_of(&r);
    const df_step step = step_of(true, 3);
    const df_lower_chain chains[] = {chain_of(DF_TASK_FORWARD, 2), chain_of(DF_TASK_BACKWARD, 2)};
    const df_lower_layer layer = {chains, 2, 1};
    double time_s;
    df_err err;
    assert_int_equal(df_lower_time_step(&host, &step, &traffic, &layer, &time_s, &err), DF_OK);
    for (int rank = 0; rank < 4; rank++) {
        const char *const line = line_of(&r, rank);
        const char *const other = line_of(&r, rank + 4);
        assert_memory_equal(line, other, (size_t)(strchr(line, '\n') - line));
        assert_true(
            has(&r, rank,
                rank < 2 ? "transformer_gather_b0_layer1 " : "transformer_gather_b0_layer0 "));
    }
    assert_true(has(&r, 0, "transformer_b0_layer0_reduce_scatter")); /* the first device reduces */
    assert_false(has(&r, 1, "transformer_b0_layer0_reduce_scatter"));
    assert_true(has(&r, 2, "softmax_b0_reduce_scatter"));
    /* of each device and its replica; in each replica, of the devices of each layer */
    assert_int_equal(r.groups, 4 + 2 * 2);
}

/* ---- Tags ---- */

/* Two micro-batches: block 0 of the second waits on each device for that of the first on the
 * other, over no edge that would number the message. */
static void tags_of(record *r, bool meet)
{
    df_lower_host host = host_of(r);
    df_step step = step_of(true, 0);
    const df_lower_chain chains[] = {chain_of(DF_TASK_FORWARD, 2), chain_of(DF_TASK_BACKWARD, 2)};
    const df_lower_layer layer = {chains, 2, 1};
    double time_s;
    df_err err;
    step.pipe.batches = 2;
    host.options.tags_meet = meet;
    assert_int_equal(df_lower_time_step(&host, &step, &traffic, &layer, &time_s, &err), DF_OK);
    assert_true(r->num_tags > 0);
}

static void messages_have_tags_of_their_own(void **state)
{
    (void)state;
    static record meet;
    static record apart;
    uint32_t least = UINT32_MAX;
    tags_of(&meet, true);
    tags_of(&apart, false);
    assert_int_equal(meet.num_tags, apart.num_tags);
    for (int i = 0; i < apart.num_tags; i++) {
        int same = 0; /* a send and its receive */
        for (int k = 0; k < apart.num_tags; k++) {
            same += apart.tags[i] == apart.tags[k];
        }
        assert_int_equal(same, 2);
        least = meet.tags[i] < least ? meet.tags[i] : least;
        assert_int_equal(apart.tags[i] - meet.tags[i], apart.tags[0] - meet.tags[0]);
    }
    assert_true(least < apart.tags[0] - meet.tags[0]); /* as tags of edges are */
}

/* ---- Failures ---- */

/* Runs that are stuck are tried with other tags, then in turns. */
static void stuck_runs_are_tried_again(void **state)
{
    (void)state;
    static const struct {
        df_lower_options options;
        int runs;
    } cases[] = {{{.tags_meet = true}, 3},
                 {{.tags_meet = true, .order_open = true}, 2},
                 {{.tags_meet = false}, 2},
                 {{.order_open = true}, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        record r = {.results = {DF_ESTUCK, DF_ESTUCK, DF_ESTUCK}};
        df_lower_host host = host_of(&r);
        const df_step step = step_of(false, 0);
        double time_s;
        df_err err;
        host.options = cases[i].options;
        assert_int_equal(df_lower_time_step(&host, &step, &traffic, NULL, &time_s, &err),
                         DF_ESTUCK);
        assert_int_equal(r.runs, cases[i].runs);
        assert_int_equal(r.shows, 1);
    }
}

/* In turns, a device's collectives wait for each other as well. */
static void turns_add_dependencies(void **state)
{
    (void)state;
    int dependencies[2];
    for (int turns = 0; turns < 2; turns++) {
        record r = {.results = {turns ? DF_ESTUCK : DF_OK}};
        const df_lower_host host = host_of(&r);
        const df_step step = step_of(true, 3);
        double time_s;
        df_err err;
        assert_int_equal(df_lower_time_step(&host, &step, &traffic, NULL, &time_s, &err), DF_OK);
        dependencies[turns] = r.dependencies;
    }
    assert_true(dependencies[1] > dependencies[0]);
}

static void assert_refused(const df_step *step,
                           const df_lower_traffic *moved,
                           const df_lower_layer *layer,
                           const char *text)
{
    record r = {.length = 0};
    const df_lower_host host = host_of(&r);
    double time_s;
    df_err err;
    assert_int_equal(df_lower_time_step(&host, step, moved, layer, &time_s, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(r.runs, 0);
}

static void sizes_have_limits(void **state)
{
    (void)state;
    df_step step = step_of(true, 0);
    df_lower_traffic many = traffic;
    many.replicas = 20000;
    assert_refused(&step, &many, NULL,
                   "expected 1 to 32768 devices for the network simulator, found 40000");
    many = traffic;
    many.hop_bytes = 0x1p64;
    assert_refused(&step, &many, NULL, "expected transfers of less than 9.0072e+15 bytes");
    step.t.block[0] = 5e9; /* 2^62 ns are 4.6e9 s */
    assert_refused(&step, &traffic, NULL, "expected work of less than 4.61169e+09 s");
}

/* 2^15 devices in each of 2^16 stages, of which most have no layers. */
static void devices_of_all_stages_have_a_limit(void **state)
{
    (void)state;
    const df_lower_chain chains[] = {chain_of(DF_TASK_FORWARD, 2), chain_of(DF_TASK_BACKWARD, 2)};
    const df_lower_layer layer = {chains, 1 << 15, 1};
    df_step step = step_of(false, 0);
    step.pipe.stages = 1 << 16;
    assert_refused(&step, &traffic, &layer,
                   "expected at most 2147483647 devices in all stages for the network simulator, "
                   "found 2147483648");
}

/* Whichever allocation fails, the step does, and nothing is read that is not there. */
static void memory_runs_out(void **state)
{
    (void)state;
    const df_lower_chain chains[] = {chain_of(DF_TASK_FORWARD, 2), chain_of(DF_TASK_BACKWARD, 2)};
    const df_lower_layer layer = {chains, 2, 1};
    for (int flat = 0; flat < 2; flat++) {
        df_status status = DF_ENOMEM;
        int64_t number = 0;
        while (status == DF_ENOMEM) {
            record r = {.results = {DF_ESTUCK}}; /* so that devices take turns */
            const df_lower_host host = host_of(&r);
            const df_step step = step_of(true, 3);
            double time_s;
            df_err err;
            *left() = number++;
            status =
                df_lower_time_step(&host, &step, &traffic, flat ? &layer : NULL, &time_s, &err);
        }
        *left() = -1;
        assert_int_equal(status, DF_OK);
        assert_true(number > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_chains_on_each_device),
        cmocka_unit_test(operators_last_whole_nanoseconds_or_microseconds),
        cmocka_unit_test(one_device_has_a_twin),
        cmocka_unit_test(stages_are_devices),
        cmocka_unit_test(layers_are_taken_apart),
        cmocka_unit_test(each_device_hands_its_share_on),
        cmocka_unit_test(each_device_gathers),
        cmocka_unit_test(messages_have_tags_of_their_own),
        cmocka_unit_test(stuck_runs_are_tried_again),
        cmocka_unit_test(turns_add_dependencies),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(devices_of_all_stages_have_a_limit),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
