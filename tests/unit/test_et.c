/* Chakra traces: what is written reads back, what protobuf allows is read, and what is no trace
 * is refused. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "chakra/et.h"
#include "chakra/et_program.h"
#include "support/net_random.h"

typedef struct {
    char dir[256];
    char path[300];
} place;

static int make_place(void **state)
{
    static place p;
    df_make_dir(p.dir);
    snprintf(p.path, sizeof p.path, "%s/t.0.et", p.dir);
    *state = &p;
    return 0;
}

static int remove_place(void **state)
{
    df_remove_dir(((place *)*state)->dir);
    return 0;
}

static void succeed(df_status status, const df_err *err)
{
    if (status != DF_OK) {
        fail_msg("%s", err->text);
    }
}

static df_et_writer *create(const char *path)
{
    df_et_writer *writer = NULL;
    df_err err;
    succeed(df_et_create(path, &writer, &err), &err);
    return writer;
}

static void finish(df_et_writer *writer)
{
    df_err err;
    succeed(df_et_finish(writer, &err), &err);
}

static void write_node(df_et_writer *writer, const df_et_node *node)
{
    df_err err;
    succeed(df_et_write(writer, node, &err), &err);
}

static df_et_reader *open_trace(const char *path)
{
    df_et_reader *reader = NULL;
    df_err err;
    succeed(df_et_open(path, &reader, &err), &err);
    return reader;
}

/* ---- There and back ---- */

static void assert_same_ids(const uint64_t *a, size_t num_a, const uint64_t *b, size_t num_b)
{
    assert_int_equal(num_a, num_b);
    for (size_t i = 0; i < num_b; i++) {
        assert_int_equal(a[i], b[i]);
    }
}

static void assert_same_attr(const df_et_attr *a, const df_et_attr *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->kind, b->kind);
    if (a->kind == DF_ET_TEXT) {
        assert_string_equal(a->text, b->text);
    } else if (a->kind == DF_ET_REAL) {
        assert_memory_equal(&a->real, &b->real, sizeof a->real);
    } else {
        assert_int_equal(a->number, b->number);
    }
}

static void assert_same_node(const df_et_node *a, const df_et_node *b)
{
    assert_int_equal(a->id, b->id);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->start_micros, b->start_micros);
    assert_int_equal(a->duration_micros, b->duration_micros);
    assert_same_ids(a->ctrl_deps, a->num_ctrl_deps, b->ctrl_deps, b->num_ctrl_deps);
    assert_same_ids(a->data_deps, a->num_data_deps, b->data_deps, b->num_data_deps);
    assert_int_equal(a->num_attrs, b->num_attrs);
    for (size_t i = 0; i < b->num_attrs; i++) {
        assert_same_attr(&a->attrs[i], &b->attrs[i]);
    }
}

/* Every kind of field, with its extremes. */
static void nodes_read_back(void **state)
{
    const place *const p = *state;
    const uint64_t ids[] = {0, 1, 127, 128, UINT64_MAX};
    const df_et_attr attrs[] = {
        {.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = 1},
        {.name = "low", .kind = DF_ET_INT, .number = INT64_MIN},
        {.name = "high", .kind = DF_ET_INT, .number = INT64_MAX},
        {.name = "zero", .kind = DF_ET_INT, .number = 0},
        {.name = "no", .kind = DF_ET_BOOL, .number = 0},
        {.name = "real", .kind = DF_ET_REAL, .real = -0.1},
        {.name = "text", .kind = DF_ET_TEXT, .text = "17"},
        {.name = "", .kind = DF_ET_TEXT, .text = ""},
        {.name = "nothing", .kind = DF_ET_NOTHING},
    };
    const df_et_node nodes[] = {
        {.id = 0, .name = "", .type = DF_ET_COMPUTE},
        {.id = UINT64_MAX,
         .name = "a name with \"quotes\" and \xc3\xa4",
         .type = DF_ET_COLLECTIVE,
         .start_micros = 3,
         .duration_micros = UINT64_MAX,
         .ctrl_deps = ids,
         .num_ctrl_deps = 5,
         .data_deps = ids + 2,
         .num_data_deps = 1,
         .attrs = attrs,
         .num_attrs = sizeof attrs / sizeof attrs[0]},
        {.id = 5, .name = "n", .type = -3, .data_deps = ids, .num_data_deps = 5},
    };
    df_et_writer *const writer = create(p->path);
    for (int i = 0; i < 3; i++) {
        write_node(writer, &nodes[i]);
    }
    finish(writer);
    df_et_reader *const reader = open_trace(p->path);
    df_et_node node = {.name = ""};
    df_err err;
    bool more;
    for (int i = 0; i < 3; i++) {
        succeed(df_et_next(reader, &node, &more, &err), &err);
        assert_true(more);
        assert_same_node(&node, &nodes[i]);
    }
    succeed(df_et_next(reader, &node, &more, &err), &err);
    assert_false(more);
    df_et_close(reader);
}

static void last_attribute_of_a_name_counts(void **state)
{
    (void)state;
    const df_et_attr attrs[] = {{.name = "a", .kind = DF_ET_INT, .number = 1},
                                {.name = "b", .kind = DF_ET_INT, .number = 2},
                                {.name = "a", .kind = DF_ET_INT, .number = 3}};
    const df_et_node node = {.name = "", .attrs = attrs, .num_attrs = 3};
    assert_int_equal(df_et_find(&node, "a")->number, 3);
    assert_int_equal(df_et_find(&node, "b")->number, 2);
    assert_null(df_et_find(&node, "c"));
}

/* A long trace goes through a fixed amount of memory. Attributes repeat, so that the file is
 * large; every 1000th node has many dependencies. */
static void long_traces_are_streamed(void **state)
{
    enum { NODES = 200000, DEPS = 3000 };
    const place *const p = *state;
    uint64_t *const ids = malloc(DEPS * sizeof *ids);
    assert_non_null(ids);
    for (uint64_t i = 0; i < DEPS; i++) {
        ids[i] = i * 1000;
    }
    const df_et_attr attrs[] = {
        {.name = "comm_size", .kind = DF_ET_INT, .number = INT64_C(1) << 40},
        {.name = "comment",
         .kind = DF_ET_TEXT,
         .text = "a text that makes this file longer, "
                 "and is of no use otherwise"},
    };
    df_et_writer *const writer = create(p->path);
    for (uint64_t i = 0; i < NODES; i++) {
        const df_et_node node = {.id = i,
                                 .name = "node",
                                 .type = DF_ET_COMPUTE,
                                 .data_deps = ids,
                                 .num_data_deps = i % 1000 == 999 ? DEPS : 1,
                                 .attrs = attrs,
                                 .num_attrs = 2};
        write_node(writer, &node);
    }
    finish(writer);
    struct stat is;
    assert_int_equal(stat(p->path, &is), 0);
    assert_in_range(is.st_size, 20000000, 60000000);
    struct rusage before;
    struct rusage after;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    df_et_reader *const reader = open_trace(p->path);
    df_et_node node = {.name = ""};
    df_err err;
    bool more = true;
    uint64_t count = 0;
    while (succeed(df_et_next(reader, &node, &more, &err), &err), more) {
        assert_int_equal(node.id, count);
        assert_int_equal(node.num_data_deps, count % 1000 == 999 ? DEPS : 1);
        assert_int_equal(node.data_deps[node.num_data_deps - 1],
                         node.num_data_deps == 1 ? 0 : (DEPS - 1) * 1000);
        assert_int_equal(df_et_find(&node, "comm_size")->number, INT64_C(1) << 40);
        count++;
    }
    assert_int_equal(count, NODES);
    df_et_close(reader);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 4000); /* KiB */
    free(ids);
}

/* ---- Bytes ---- */

typedef struct {
    unsigned char bytes[512];
    size_t count;
} block;

static void put(block *b, const void *bytes, size_t count)
{
    assert_true(count <= sizeof b->bytes - b->count);
    memcpy(b->bytes + b->count, bytes, count);
    b->count += count;
}

#define PUT(b, text) put((b), (text), sizeof(text) - 1)

/* A message behind its length (below 128). */
static void put_message(block *file, const block *message)
{
    const unsigned char length = (unsigned char)message->count;
    assert_true(message->count < 128);
    put(file, &length, 1);
    put(file, message->bytes, message->count);
}

/* The metadata: version "0.0.4". */
static block new_file(void)
{
    block file = {.count = 0};
    PUT(&file, "\x07\x0a\x05"
               "0.0.4");
    return file;
}

static void save(const place *p, const block *file)
{
    FILE *const f = fopen(p->path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file->bytes, 1, file->count, f), file->count);
    assert_int_equal(fclose(f), 0);
}

/* The node that a message makes. */
static df_et_reader *read_one(const place *p, const block *message, df_et_node *node)
{
    block file = new_file();
    df_err err;
    bool more;
    put_message(&file, message);
    save(p, &file);
    df_et_reader *const reader = open_trace(p->path);
    succeed(df_et_next(reader, node, &more, &err), &err);
    assert_true(more);
    return reader;
}

/* An attribute "a" with a value as encoded. */
static df_et_attr read_attr(const place *p, const void *value, size_t count)
{
    block attr = {.count = 0};
    block message = {.count = 0};
    df_et_node node = {.name = ""};
    PUT(&attr, "\x0a\x01"
               "a");
    put(&attr, value, count);
    PUT(&message, "\x52"); /* field 10, a message */
    put_message(&message, &attr);
    df_et_reader *const reader = read_one(p, &message, &node);
    assert_int_equal(node.num_attrs, 1);
    assert_string_equal(node.attrs[0].name, "a");
    df_et_attr read = node.attrs[0];
    static char text[64];
    snprintf(text, sizeof text, "%s", read.kind == DF_ET_TEXT ? read.text : "");
    read.text = text;
    df_et_close(reader);
    return read;
}

#define READ_ATTR(p, value) read_attr((p), (value), sizeof(value) - 1)

/* Every type of schema 0.0.4, encoded by hand. */
static void all_types_of_attributes(void **state)
{
    const place *const p = *state;
    /* double 1.5 is 0x3ff8000000000000, float 1.5 is 0x3fc00000 */
    df_et_attr a = READ_ATTR(p, "\x19\0\0\0\0\0\0\xf8\x3f");
    assert_true(a.kind == DF_ET_REAL && a.real == 1.5);
    a = READ_ATTR(p, "\x2d\0\0\xc0\x3f");
    assert_true(a.kind == DF_ET_REAL && a.real == 1.5);
    a = READ_ATTR(p, "\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* int32 */
    assert_true(a.kind == DF_ET_INT && a.number == -1);
    a = READ_ATTR(p, "\x48\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* int64 */
    assert_true(a.kind == DF_ET_INT && a.number == -2);
    a = READ_ATTR(p, "\x58\x96\x01"); /* uint32: 150, protobuf's own example */
    assert_true(a.kind == DF_ET_INT && a.number == 150);
    a = READ_ATTR(p, "\x68\x96\x01"); /* uint64 */
    assert_true(a.kind == DF_ET_INT && a.number == 150);
    a = READ_ATTR(p, "\x78\x03"); /* sint32: 0, -1, 1, -2 are 0, 1, 2, 3 */
    assert_true(a.kind == DF_ET_INT && a.number == -2);
    a = READ_ATTR(p, "\x88\x01\x04"); /* sint64 */
    assert_true(a.kind == DF_ET_INT && a.number == 2);
    a = READ_ATTR(p, "\x9d\x01\x02\x01\0\0"); /* fixed32 */
    assert_true(a.kind == DF_ET_INT && a.number == 258);
    a = READ_ATTR(p, "\xa9\x01\x02\0\0\0\0\0\0\0"); /* fixed64 */
    assert_true(a.kind == DF_ET_INT && a.number == 2);
    a = READ_ATTR(p, "\xbd\x01\xff\xff\xff\xff"); /* sfixed32 */
    assert_true(a.kind == DF_ET_INT && a.number == -1);
    a = READ_ATTR(p, "\xc9\x01\xff\xff\xff\xff\xff\xff\xff\xff"); /* sfixed64 */
    assert_true(a.kind == DF_ET_INT && a.number == -1);
    a = READ_ATTR(p, "\xd8\x01\x01"); /* bool */
    assert_true(a.kind == DF_ET_BOOL && a.number == 1);
    a = READ_ATTR(p, "\xea\x01\x02"
                     "hi"); /* string */
    assert_true(a.kind == DF_ET_TEXT && strcmp(a.text, "hi") == 0);
    a = READ_ATTR(p, "\xfa\x01\x02"
                     "ho"); /* bytes */
    assert_true(a.kind == DF_ET_TEXT && strcmp(a.text, "ho") == 0);
    a = READ_ATTR(p, "\x52\x03\x0a\x01\x05"); /* list of int64 */
    assert_int_equal(a.kind, DF_ET_LIST);
}

/* A comment, and fields of later schemas, are passed over. */
static void unknown_fields_are_passed_over(void **state)
{
    const place *const p = *state;
    const df_et_attr a = READ_ATTR(p, "\x12\x03"
                                      "doc"
                                      "\x48\x07\xc0\x3e\x01");
    assert_true(a.kind == DF_ET_INT && a.number == 7);
    block message = {.count = 0};
    df_et_node node = {.name = ""};
    PUT(&message, "\x08\x05"                 /* id 5 */
                  "\x42\x02\x08\x01"         /* inputs */
                  "\xc0\x3e\x01"             /* field 1000, a number */
                  "\xc5\x3e\x01\x02\x03\x04" /* ..., 32 bits */
                  "\x18\x04");               /* type 4 */
    df_et_reader *const reader = read_one(p, &message, &node);
    assert_int_equal(node.id, 5);
    assert_int_equal(node.type, DF_ET_COMPUTE);
    df_et_close(reader);
}

/* Dependencies packed, and one by one. */
static void dependencies_come_in_two_forms(void **state)
{
    const place *const p = *state;
    block message = {.count = 0};
    df_et_node node = {.name = ""};
    PUT(&message, "\x22\x03\x01\x96\x01"   /* ctrl_deps 1, 150 */
                  "\x28\x07\x28\x96\x01"); /* data_deps 7, 150 */
    df_et_reader *const reader = read_one(p, &message, &node);
    assert_same_ids(node.ctrl_deps, node.num_ctrl_deps, (uint64_t[]){1, 150}, 2);
    assert_same_ids(node.data_deps, node.num_data_deps, (uint64_t[]){7, 150}, 2);
    df_et_close(reader);
}

/* A node whose content is empty is node 0 of type 0. */
static void empty_node_has_defaults(void **state)
{
    const place *const p = *state;
    const block message = {.count = 0};
    df_et_node node = {.name = ""};
    df_et_reader *const reader = read_one(p, &message, &node);
    assert_int_equal(node.id, 0);
    assert_int_equal(node.type, DF_ET_INVALID);
    assert_string_equal(node.name, "");
    df_et_close(reader);
}

/* Metadata without fields, then a node without fields: two lengths of 0. */
static void all_messages_may_be_empty(void **state)
{
    const place *const p = *state;
    df_et_reader *reader = NULL;
    df_et_node node = {.name = "", .id = 5};
    df_err err;
    bool more = false;
    block file = {.count = 0};
    PUT(&file, "\0\0");
    save(p, &file);
    succeed(df_et_open(p->path, &reader, &err), &err);
    succeed(df_et_next(reader, &node, &more, &err), &err);
    assert_true(more);
    assert_int_equal(node.id, 0);
    succeed(df_et_next(reader, &node, &more, &err), &err);
    assert_false(more);
    df_et_close(reader);
}

/* ---- What is no trace ---- */

static void refuse_file(const place *p, const block *file, const char *words)
{
    df_et_reader *reader = NULL;
    df_et_node node = {.name = ""};
    df_err err;
    bool more = true;
    save(p, file);
    df_status status = df_et_open(p->path, &reader, &err);
    while (status == DF_OK && more) {
        status = df_et_next(reader, &node, &more, &err);
    }
    df_et_close(reader);
    assert_int_equal(status, DF_EINVAL);
    if (!strstr(err.text, words) || !strstr(err.text, p->path)) {
        fail_msg("expected \"%s\" in: %s", words, err.text);
    }
}

#define REFUSE(p, text, words)                                                                     \
    do {                                                                                           \
        block refused_file = {.count = 0};                                                         \
        PUT(&refused_file, text);                                                                  \
        refuse_file((p), &refused_file, (words));                                                  \
    } while (0)

#define METADATA                                                                                   \
    "\x07\x0a\x05"                                                                                 \
    "0.0.4"

static void files_that_are_no_traces(void **state)
{
    const place *const p = *state;
    REFUSE(p, "", "empty file");
    REFUSE(p, "{\"a\": 1}", "message 1 at byte 0: expected 123 bytes, found 7");
    REFUSE(p, "\x02\x08\x01", "metadata"); /* a number where a text is due */
    REFUSE(p, "\xff\xff\xff\xff\x7f", "a length below 2^31");
    REFUSE(p, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a length below 2^31");
    REFUSE(p, METADATA "\x80", "message 2 at byte 8: expected a whole length");
    REFUSE(p, METADATA "\x05\x08", "message 2 at byte 8: expected 5 bytes, found 1");
    /* 2 GB are claimed and not there: nothing of the kind is allocated. */
    REFUSE(p, METADATA "\xff\xff\xff\xff\x07\x08", "expected 2147483647 bytes, found 1");
}

static void messages_that_are_no_nodes(void **state)
{
    const place *const p = *state;
    REFUSE(p, METADATA "\x01\x08", "fields of a node");               /* no value */
    REFUSE(p, METADATA "\x02\x08\x80", "fields of a node");           /* half a value */
    REFUSE(p, METADATA "\x02\x0b\x01", "fields of a node");           /* a group */
    REFUSE(p, METADATA "\x02\x00\x01", "fields of a node");           /* field 0 */
    REFUSE(p, METADATA "\x02\x12\x05", "fields of a node");           /* a name that is not there */
    REFUSE(p, METADATA "\x02\x10\x05", "a node's field of its type"); /* a number as name */
    REFUSE(p, METADATA "\x03\x0a\x01x", "a node's field of its type"); /* a text as id */
    REFUSE(p, METADATA "\x05\x25\x01\x02\x03\x04", "ids of dependencies");
    REFUSE(p, METADATA "\x03\x22\x01\x80", "ids of dependencies");
    REFUSE(p, METADATA "\x04\x52\x02\x12\x09", "fields of an attribute");
    REFUSE(p, METADATA "\x05\x52\x03\x4a\x01\x05", "an attribute's value of its type");
    REFUSE(p, METADATA "\x0d\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x18\x04",
           "fields of a node"); /* more than 64 bits */
}

static void file_that_is_not_there(void **state)
{
    (void)state;
    df_et_reader *reader = NULL;
    df_et_writer *writer = NULL;
    df_err err;
    assert_int_equal(df_et_open("/nowhere/t.et", &reader, &err), DF_EIO);
    assert_non_null(strstr(err.text, "/nowhere/t.et"));
    assert_int_equal(df_et_create("/nowhere/t.et", &writer, &err), DF_EIO);
    assert_non_null(strstr(err.text, "/nowhere/t.et"));
    df_et_close(NULL);
}

static void full_disk_is_noticed(void **state)
{
    (void)state;
    df_et_writer *const writer = create("/dev/full");
    const df_et_node node = {.id = 1, .name = "n", .type = DF_ET_COMPUTE};
    df_err err;
    df_status status = DF_OK;
    for (int i = 0; i < 100000 && status == DF_OK; i++) {
        status = df_et_write(writer, &node, &err);
    }
    assert_int_equal(status, DF_EIO);
    assert_int_equal(df_et_finish(writer, &err), DF_EIO);
    assert_non_null(strstr(err.text, "/dev/full"));
}

static void lists_are_not_written(void **state)
{
    const place *const p = *state;
    df_et_writer *const writer = create(p->path);
    const df_et_attr attr = {.name = "list", .kind = DF_ET_LIST};
    const df_et_node node = {.id = 3, .name = "", .attrs = &attr, .num_attrs = 1};
    df_err err;
    assert_int_equal(df_et_write(writer, &node, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "node 3: list"));
    finish(writer);
}

/* ---- Traces as programs ---- */

static df_status load(const place *p, const df_et_node *nodes, int count, df_err *err)
{
    df_et_writer *const writer = create(p->path);
    for (int i = 0; i < count; i++) {
        write_node(writer, &nodes[i]);
    }
    finish(writer);
    df_net_program *program;
    assert_int_equal(df_net_program_new(4, &program, err), DF_OK);
    const df_status status = df_et_add_rank(program, 2, p->path, NULL, NULL, err);
    df_net_program_free(program);
    return status;
}

static df_et_attr whole(const char *name, int64_t number)
{
    return (df_et_attr){.name = name, .kind = DF_ET_INT, .number = number};
}

/* A trace with this node is refused for rank 2, with these words. */
static void
refuse_node(const place *p, int32_t type, const df_et_attr *attrs, size_t count, const char *words)
{
    const df_et_node node = {.id = 9, .name = "", .type = type, .attrs = attrs, .num_attrs = count};
    df_err err;
    assert_int_equal(load(p, &node, 1, &err), DF_EINVAL);
    if (!strstr(err.text, words) || !strstr(err.text, "t.0.et: node 9: ")) {
        fail_msg("expected \"%s\" in: %s", words, err.text);
    }
}

#define REFUSE_NODE(p, type, words, ...)                                                           \
    refuse_node((p), (type), (const df_et_attr[]){__VA_ARGS__},                                    \
                sizeof((const df_et_attr[]){__VA_ARGS__}) / sizeof(df_et_attr), (words))

static void nodes_that_cannot_be_simulated(void **state)
{
    const place *const p = *state;
    const df_et_attr none = {.name = "other", .kind = DF_ET_NOTHING};
    const df_et_attr size = whole("comm_size", 100);
    const df_et_attr real = {.name = "comm_size", .kind = DF_ET_REAL, .real = 100};
    const df_et_attr all_reduce = whole("comm_type", 0);
    const df_et_attr group = {.name = "pg_name", .kind = DF_ET_TEXT, .text = "1x"};
    const df_et_attr number_group = whole("pg_name", 1);
    REFUSE_NODE(p, DF_ET_MEM_LOAD, "type: expected 4 (compute)", none);
    REFUSE_NODE(p, 99, "found 99", none);
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "comm_type: expected a whole number, found nothing", size);
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "comm_type: expected 0 (all-reduce)", whole("comm_type", 1));
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "comm_size: expected a whole number, found nothing",
                all_reduce);
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "comm_size: expected a whole number, found a fraction",
                all_reduce, real);
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "comm_size: expected a number from 0", all_reduce,
                whole("comm_size", -1));
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "pg_name: expected a text with a number >= 0, found 1x",
                all_reduce, size, group);
    REFUSE_NODE(p, DF_ET_COLLECTIVE, "pg_name", all_reduce, size, number_group);
    REFUSE_NODE(p, DF_ET_SEND, "comm_dst: expected a whole number, found nothing", size,
                whole("comm_tag", 0));
    REFUSE_NODE(p, DF_ET_SEND, "comm_tag: expected", size, whole("comm_dst", 1));
    REFUSE_NODE(p, DF_ET_SEND, "comm_src: expected the trace's own rank 2, found 1", size,
                whole("comm_tag", 0), whole("comm_dst", 1), whole("comm_src", 1));
    REFUSE_NODE(p, DF_ET_COMPUTE, "is_cpu_op: expected a number from 0 to 1",
                whole("is_cpu_op", 2));
}

static void durations_and_sizes_have_a_bound(void **state)
{
    const place *const p = *state;
    const df_et_node node = {
        .id = 9, .name = "", .type = DF_ET_COMPUTE, .duration_micros = UINT64_MAX / 3};
    const df_et_attr attrs[] = {whole("comm_type", 0), whole("comm_size", INT64_MAX)};
    const df_et_node large = {
        .id = 9, .name = "", .type = DF_ET_COLLECTIVE, .attrs = attrs, .num_attrs = 2};
    df_err err;
    assert_int_equal(load(p, &node, 1, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "node 9: duration_micros"));
    assert_int_equal(load(p, &large, 1, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "node 9: expected duration and size below 2^62"));
}

/* Four ranks on a ring run one trace. An all-reduce of 1 MiB in four chunks takes 43000 ns: each
 * chunk sends six messages of 64 KiB, 500 + 65536 / (50 * 2^30 / 10^9) = 1720 ns each; before three
 * of them 10 ns and a reduction of 3 * floor(65536 / 1600) = 120 ns, before the others and at the
 * end 10 ns: 4 * (10 + 6 * 1720 + 3 * 130 + 3 * 10). */
enum { ALL_REDUCE_NS = 43000 };

static df_status run_traces(const place *p,
                            const df_et_options *options,
                            const df_et_node *nodes,
                            int count,
                            uint64_t *max_ns,
                            df_err *err)
{
    const df_net_network network = {DF_NET_RING, 4, 50, 500};
    const df_net_system system = {.endpoint_delay_ns = 10,
                                  .splits = 4,
                                  .active_chunks = 1,
                                  .local_mem_gb_ps = 1600,
                                  .algorithm = {{.kind = DF_NET_ALG_RING}}};
    df_et_writer *const writer = create(p->path);
    for (int i = 0; i < count; i++) {
        write_node(writer, &nodes[i]);
    }
    finish(writer);
    df_net_sim *const sim = df_net_sim_new();
    df_net_program *program = NULL;
    df_net_result result = {.ranks = 0};
    df_status status = df_net_program_new(4, &program, err);
    for (int32_t rank = 0; rank < 4 && status == DF_OK; rank++) {
        status = df_et_add_rank(program, rank, p->path, options, NULL, err);
    }
    if (status == DF_OK) {
        status = df_net_program_seal(program, err);
    }
    if (status == DF_OK) {
        status = df_net_run(sim, program, &network, &system, &result, err);
    }
    *max_ns = result.max_ns;
    df_net_program_free(program);
    df_net_sim_free(sim);
    return status;
}

static void expect_time(const place *p,
                        const df_et_options *options,
                        const df_et_node *nodes,
                        int count,
                        uint64_t expected_ns)
{
    uint64_t max_ns = 0;
    df_err err;
    succeed(run_traces(p, options, nodes, count, &max_ns, &err), &err);
    assert_int_equal(max_ns, expected_ns);
}

static df_et_node all_reduce(uint64_t id)
{
    static const df_et_attr attrs[] = {
        {.name = "comm_type", .kind = DF_ET_INT, .number = 0},
        {.name = "comm_size", .kind = DF_ET_INT, .number = 1 << 20},
    };
    return (df_et_node){.id = id,
                        .name = "",
                        .type = DF_ET_COLLECTIVE,
                        .attrs = attrs,
                        .num_attrs = sizeof attrs / sizeof attrs[0]};
}

/* Whatever PyTorch calls on the CPU computes there; its other attributes do not count. One node at
 * a time: 85 us each, then the all-reduce, and beside them 100 us of the GPU. */
static void communication_on_the_cpu_computes(void **state)
{
    static const int32_t types[] = {DF_ET_METADATA, DF_ET_SEND, DF_ET_RECEIVE, DF_ET_COLLECTIVE};
    const place *const p = *state;
    const df_et_attr on_cpu = {.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = 1};
    df_et_node nodes[] = {
        {.id = 1, .name = "", .duration_micros = 85, .attrs = &on_cpu, .num_attrs = 1},
        {.id = 2, .name = "", .duration_micros = 85, .attrs = &on_cpu, .num_attrs = 1},
        all_reduce(3),
        {.id = 4, .name = "", .type = DF_ET_COMPUTE, .duration_micros = 100},
    };
    nodes[2].data_deps = (uint64_t[]){1, 2};
    nodes[2].num_data_deps = 2;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        nodes[0].type = nodes[1].type = types[i];
        expect_time(p, NULL, nodes, 4, 2 * 85000 + ALL_REDUCE_NS);
    }
}

/* The input of AstraSim c459ab6: 10 us, the all-reduce and 20 us, with control dependencies alone.
 * One after the other where they count; where they do not, all at once. */
static void control_dependencies_are_a_choice(void **state)
{
    const place *const p = *state;
    const df_et_options data_alone = {.data_deps_only = true};
    df_et_node nodes[] = {
        {.id = 1, .name = "", .type = DF_ET_COMPUTE, .duration_micros = 10},
        all_reduce(2),
        {.id = 3, .name = "", .type = DF_ET_COMPUTE, .duration_micros = 20},
    };
    for (int i = 1; i < 3; i++) {
        nodes[i].ctrl_deps = &nodes[i - 1].id;
        nodes[i].num_ctrl_deps = 1;
    }
    expect_time(p, NULL, nodes, 3, 10000 + ALL_REDUCE_NS + 20000);
    expect_time(p, &data_alone, nodes, 3, ALL_REDUCE_NS);
    /* Of both kinds, those of data stay. */
    nodes[2].data_deps = &nodes[0].id;
    nodes[2].num_data_deps = 1;
    nodes[0].duration_micros = 30;
    expect_time(p, NULL, nodes, 3, 30000 + ALL_REDUCE_NS + 20000);
    expect_time(p, &data_alone, nodes, 3, 30000 + 20000);
}

/* PyTorch names the group of all ranks "0". */
static void default_group_has_all_ranks(void **state)
{
    static const char *const names[] = {"0", ""};
    const place *const p = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        df_et_node node = all_reduce(1);
        const df_et_attr attrs[] = {node.attrs[0],
                                    node.attrs[1],
                                    {.name = "pg_name", .kind = DF_ET_TEXT, .text = names[i]}};
        node.attrs = attrs;
        node.num_attrs = 3;
        expect_time(p, NULL, &node, 1, ALL_REDUCE_NS);
    }
}

/* Nodes last their durations on the units of their types. On communication 5 us of a send, 7 of a
 * collective and 1 of memory are one after the other; 11 us of the GPU, 12 of the CPU and receives
 * of 10 us each go on beside them. What AstraSim would not simulate counts as communication. */
static void replayed_nodes_last_their_durations(void **state)
{
    const place *const p = *state;
    const df_et_options replay = {.replay = true};
    const df_et_attr on_cpu = {.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = 1};
    const df_et_attr odd = {.name = "comm_type", .kind = DF_ET_TEXT, .text = "?"};
    df_et_node nodes[] = {
        {.id = 1, .type = DF_ET_SEND, .duration_micros = 5},
        {.id = 2, .type = DF_ET_COLLECTIVE, .duration_micros = 7, .attrs = &odd, .num_attrs = 1},
        {.id = 3, .type = DF_ET_MEM_LOAD, .duration_micros = 1},
        {.id = 4, .type = DF_ET_COMPUTE, .duration_micros = 11},
        {.id = 5,
         .type = DF_ET_COLLECTIVE,
         .duration_micros = 12,
         .attrs = &on_cpu,
         .num_attrs = 1},
        {.id = 6, .type = DF_ET_RECEIVE, .duration_micros = 10},
        {.id = 7, .type = DF_ET_RECEIVE, .duration_micros = 10},
    };
    const int count = sizeof nodes / sizeof nodes[0];
    for (int i = 0; i < count; i++) {
        nodes[i].name = "";
    }
    expect_time(p, &replay, nodes, count, 13000);
    nodes[2].duration_micros = 0; /* 1 ns */
    expect_time(p, &replay, nodes, count, 12001);
    nodes[4].duration_micros = 20; /* the CPU's is the longest */
    expect_time(p, &replay, nodes, count, 20000);
    nodes[2].type = 8;
    uint64_t max_ns;
    df_err err;
    assert_int_equal(run_traces(p, &replay, nodes, count, &max_ns, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "node 3: type: expected a number from 0 to 7, found 8"));
}

/* A GPU of 1 TFLOP/s and 100 GB/s. 3,000,500 operations on 100 bytes take 3000.5 ns, 3,000,000 on
 * 300,000 bytes 3000 ns of computing and as many of memory, on 412,345 bytes 4123.45 ns; no
 * operations on 412,345 bytes the same; 999 operations 0.999 ns. All are cut to whole ns. */
static void roofline_times_computing(void **state)
{
    static const int64_t work[][3] = {{3000500, 100, 3000},
                                      {3000000, 300000, 3000},
                                      {3000000, 412345, 4123},
                                      {0, 412345, 4123},
                                      {3000, 0, 3},
                                      {999, 1, 0}};
    const place *const p = *state;
    const df_et_options options = {
        .roofline = true, .peak_flops_ps = 1e12, .local_mem_bytes_ps = 1e11};
    df_et_attr attrs[3];
    df_et_node node = {
        .id = 1, .name = "", .type = DF_ET_COMPUTE, .duration_micros = 9, .attrs = attrs};
    attrs[2] = (df_et_attr){.name = "is_cpu_op", .kind = DF_ET_BOOL, .number = 1};
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++) {
        attrs[0] = whole("num_ops", work[i][0]);
        attrs[1] = whole("tensor_size", work[i][1]);
        node.num_attrs = 2;
        expect_time(p, &options, &node, 1, (uint64_t)work[i][2]);
        expect_time(p, NULL, &node, 1, 9000);
        node.num_attrs = 3; /* on the CPU */
        expect_time(p, &options, &node, 1, 9000);
    }
    node.num_attrs = 0;
    expect_time(p, &options, &node, 1, 9000);
}

static void refuse_roofline(const place *p,
                            const df_et_options *options,
                            const df_et_attr *attrs,
                            size_t count,
                            const char *words)
{
    const df_et_node node = {
        .id = 9, .name = "", .type = DF_ET_COMPUTE, .attrs = attrs, .num_attrs = count};
    uint64_t max_ns;
    df_err err;
    assert_int_equal(run_traces(p, options, &node, 1, &max_ns, &err), DF_EINVAL);
    if (!strstr(err.text, words) || !strstr(err.text, "node 9: ")) {
        fail_msg("expected \"%s\" in: %s", words, err.text);
    }
}

static void roofline_needs_its_numbers(void **state)
{
    const place *const p = *state;
    const df_et_options whole_roof = {
        .roofline = true, .peak_flops_ps = 1e12, .local_mem_bytes_ps = 1e11};
    const df_et_options no_memory = {.roofline = true, .peak_flops_ps = 1e12};
    const df_et_options slow = {.roofline = true, .peak_flops_ps = 1, .local_mem_bytes_ps = 1};
    const df_et_attr attrs[] = {whole("num_ops", 5), whole("tensor_size", 6)};
    const df_et_attr huge[] = {whole("num_ops", INT64_MAX), whole("tensor_size", 6)};
    refuse_roofline(p, &whole_roof, attrs, 1,
                    "tensor_size: expected a whole number, found nothing");
    refuse_roofline(p, &whole_roof, attrs + 1, 1,
                    "num_ops: expected a whole number, found nothing");
    refuse_roofline(p, &no_memory, attrs, 2,
                    "expected peak-perf and local-mem-bw > 0 in the system file, since "
                    "roofline-enabled is 1, found 1 TFLOP/s and 0 GB/s");
    refuse_roofline(p, &slow, huge, 2, "expected less than 2^62 ns");
}

/* Programs that are written as traces and read again run as they did, whichever dependencies
 * count: they are written as both kinds. */
static void programs_survive_their_files(void **state)
{
    const place *const p = *state;
    df_net_sim *const direct = df_net_sim_new();
    df_net_sim *const loaded = df_net_sim_new();
    for (uint64_t seed = 0; seed < 40; seed++) {
        df_random random = {seed};
        df_err err;
        df_net_result again;
        df_net_case c = df_net_random_case(&random, false);
        const df_net_result first = df_net_case_run(&c, direct);
        df_net_case_write(&c, p->dir);
        df_net_program *program;
        succeed(df_net_program_new(c.network.ranks, &program, &err), &err);
        for (size_t i = 0; i < c.num_groups; i++) {
            succeed(df_net_program_add_group(program, c.groups[i].id, c.groups[i].ranks,
                                             c.groups[i].count, &err),
                    &err);
        }
        for (int32_t rank = 0; rank < c.network.ranks; rank++) {
            char path[300];
            snprintf(path, sizeof path, "%s/workload.%d.et", p->dir, (int)rank);
            const df_et_options options = {.data_deps_only = seed % 2 == 1};
            succeed(df_et_add_rank(program, rank, path, &options, NULL, &err), &err);
        }
        succeed(df_net_program_seal(program, &err), &err);
        succeed(df_net_run(loaded, program, &c.network, &c.system, &again, &err), &err);
        assert_int_equal(first.events, again.events);
        assert_memory_equal(first.cycles_ns, again.cycles_ns,
                            (size_t)first.ranks * sizeof *first.cycles_ns);
        df_net_program_free(program);
        df_net_case_free(&c);
    }
    df_net_sim_free(direct);
    df_net_sim_free(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_read_back),
        cmocka_unit_test(last_attribute_of_a_name_counts),
        cmocka_unit_test(long_traces_are_streamed),
        cmocka_unit_test(all_types_of_attributes),
        cmocka_unit_test(unknown_fields_are_passed_over),
        cmocka_unit_test(dependencies_come_in_two_forms),
        cmocka_unit_test(empty_node_has_defaults),
        cmocka_unit_test(all_messages_may_be_empty),
        cmocka_unit_test(files_that_are_no_traces),
        cmocka_unit_test(messages_that_are_no_nodes),
        cmocka_unit_test(file_that_is_not_there),
        cmocka_unit_test(full_disk_is_noticed),
        cmocka_unit_test(lists_are_not_written),
        cmocka_unit_test(nodes_that_cannot_be_simulated),
        cmocka_unit_test(durations_and_sizes_have_a_bound),
        cmocka_unit_test(communication_on_the_cpu_computes),
        cmocka_unit_test(default_group_has_all_ranks),
        cmocka_unit_test(control_dependencies_are_a_choice),
        cmocka_unit_test(replayed_nodes_last_their_durations),
        cmocka_unit_test(roofline_times_computing),
        cmocka_unit_test(roofline_needs_its_numbers),
        cmocka_unit_test(programs_survive_their_files),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
