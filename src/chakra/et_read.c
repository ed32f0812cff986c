#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chakra/et.h"
#include "chakra/schema.h"
#include "chakra/wire.h"

enum {
    MESSAGE_MAX = 0x7fffffff, /* protobuf's own limit */
    READ_AT_ONCE = 1 << 16,   /* a length may be wrong, so memory grows with what has been read */
    FILE_BUFFER = 1 << 15,
};

typedef struct {
    uint64_t *items;
    size_t count, room;
} ids;

struct df_et_reader {
    FILE *file;
    char *buffer; /* buffer of the file, so that a small trace is read at once */
    const char *path;
    unsigned long long message, offset; /* the message being read, and where it begins */
    unsigned long long position;        /* position in the file */
    unsigned char *data;
    size_t room;
    char *texts; /* room for those of one message */
    size_t texts_count, texts_room;
    ids ctrl_deps, data_deps;
    df_et_attr *attrs;
    size_t num_attrs, attrs_room;
};

static df_status fail_at(const df_et_reader *r, const char *expected, df_err *err)
{
    return df_fail(err, DF_EINVAL, "%s: message %llu at byte %llu: expected %s, found other bytes",
                   r->path, r->message, r->offset, expected);
}

static df_status fail_memory(const df_et_reader *r, df_err *err)
{
    return df_fail(err, DF_ENOMEM, "%s: out of memory", r->path);
}

/* ---- Messages ---- */

/* Reads the length before a message; *more is false at the end of the file. */
static df_status read_length(df_et_reader *r, size_t *length, bool *more, df_err *err)
{
    unsigned char bytes[DF_WIRE_VARINT_MAX];
    size_t count = 0;
    int c;
    r->offset = r->position;
    do {
        c = getc(r->file);
        if (c == EOF) {
            if (ferror(r->file)) {
                return df_fail(err, DF_EIO, "%s: cannot be read: %s", r->path, strerror(errno));
            }
            *more = false;
            return count == 0 ? DF_OK : fail_at(r, "a whole length", err);
        }
        r->position++;
        bytes[count++] = (unsigned char)c;
    } while (c >= 0x80 && count < sizeof bytes);
    df_wire wire = {bytes, bytes + count};
    uint64_t value;
    if (!df_wire_varint(&wire, &value) || value > MESSAGE_MAX) {
        return fail_at(r, "a length below 2^31", err);
    }
    *length = (size_t)value;
    *more = true;
    return DF_OK;
}

static bool reserve(df_et_reader *r, size_t room)
{
    if (room <= r->room) {
        return true;
    }
    const size_t wanted = room > 2 * r->room ? room : 2 * r->room;
    unsigned char *const grown = realloc(r->data, wanted);
    if (grown) {
        r->data = grown;
        r->room = wanted;
    }
    return grown != NULL;
}

static df_status read_message(df_et_reader *r, df_wire *wire, bool *more, df_err *err)
{
    size_t length = 0;
    size_t count = 0;
    r->message++;
    DF_TRY(read_length(r, &length, more, err));
    if (!reserve(r, 1)) { /* even an empty message has an address */
        return fail_memory(r, err);
    }
    while (*more && count < length) {
        const size_t left = length - count;
        const size_t wanted = left < READ_AT_ONCE ? left : READ_AT_ONCE;
        if (!reserve(r, count + wanted)) {
            return fail_memory(r, err);
        }
        const size_t got = fread(r->data + count, 1, wanted, r->file);
        count += got;
        if (got < wanted) {
            return df_fail(err, DF_EINVAL,
                           "%s: message %llu at byte %llu: expected %zu bytes, found %zu", r->path,
                           r->message, r->offset, length, count);
        }
    }
    r->position += count;
    *wire = (df_wire){r->data, r->data + count};
    return DF_OK;
}

/* ---- Fields ---- */

/* Copies a text. All of a message fit, since each has two bytes in front of it there. */
static const char *copy_text(df_et_reader *r, df_wire bytes)
{
    char *const text = r->texts + r->texts_count;
    const size_t count = (size_t)(bytes.end - bytes.at);
    memcpy(text, bytes.at, count);
    text[count] = '\0';
    r->texts_count += count + 1;
    return text;
}

static bool add_id(ids *list, uint64_t id)
{
    if (list->count == list->room) {
        const size_t room = 2 * list->room + 16;
        uint64_t *const grown = realloc(list->items, room * sizeof *grown);
        if (!grown) {
            return false;
        }
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = id;
    return true;
}

/* Dependencies come packed, or one by one. */
static df_status add_ids(df_et_reader *r, ids *list, const df_wire_field *field, df_err *err)
{
    if (field->type == DF_WIRE_VARINT) {
        return add_id(list, field->value) ? DF_OK : fail_memory(r, err);
    }
    df_wire bytes = field->bytes;
    while (field->type == DF_WIRE_BYTES && bytes.at < bytes.end) {
        uint64_t id;
        if (!df_wire_varint(&bytes, &id)) {
            return fail_at(r, "ids of dependencies", err);
        }
        if (!add_id(list, id)) {
            return fail_memory(r, err);
        }
    }
    return field->type == DF_WIRE_BYTES ? DF_OK : fail_at(r, "ids of dependencies", err);
}

static int64_t signed_of(uint64_t value)
{
    return (int64_t)value;
}

static double real_of(const df_wire_field *field)
{
    double real;
    float narrow;
    if (field->type == DF_WIRE_FIXED64) {
        memcpy(&real, &field->value, sizeof real);
        return real;
    }
    const uint32_t bits = (uint32_t)field->value;
    memcpy(&narrow, &bits, sizeof narrow);
    return (double)narrow;
}

static df_wire_type wire_of(uint32_t number)
{
    switch (number) {
    case DF_ET_ATTR_DOUBLE:
    case DF_ET_ATTR_FIXED64:
    case DF_ET_ATTR_SFIXED64:
        return DF_WIRE_FIXED64;
    case DF_ET_ATTR_FLOAT:
    case DF_ET_ATTR_FIXED32:
    case DF_ET_ATTR_SFIXED32:
        return DF_WIRE_FIXED32;
    case DF_ET_ATTR_INT32:
    case DF_ET_ATTR_INT64:
    case DF_ET_ATTR_UINT32:
    case DF_ET_ATTR_UINT64:
    case DF_ET_ATTR_SINT32:
    case DF_ET_ATTR_SINT64:
    case DF_ET_ATTR_BOOL:
        return DF_WIRE_VARINT;
    default: /* texts and lists */
        return DF_WIRE_BYTES;
    }
}

/* Whole numbers of all widths become int64. */
static int64_t number_of(const df_wire_field *field)
{
    switch (field->number) {
    case DF_ET_ATTR_INT32:
    case DF_ET_ATTR_SFIXED32:
        return (int32_t)(uint32_t)field->value;
    case DF_ET_ATTR_UINT32:
        return (uint32_t)field->value;
    case DF_ET_ATTR_SINT32:
    case DF_ET_ATTR_SINT64:
        return signed_of(field->value >> 1 ^ (0 - (field->value & 1)));
    case DF_ET_ATTR_BOOL:
        return field->value != 0;
    default:
        return signed_of(field->value);
    }
}

static void set_value(df_et_reader *r, df_et_attr *attr, const df_wire_field *field)
{
    switch (field->number) {
    case DF_ET_ATTR_DOUBLE:
    case DF_ET_ATTR_FLOAT:
        attr->kind = DF_ET_REAL;
        attr->real = real_of(field);
        return;
    case DF_ET_ATTR_STRING:
    case DF_ET_ATTR_BYTES:
        attr->kind = DF_ET_TEXT;
        attr->text = copy_text(r, field->bytes);
        return;
    default:
        break;
    }
    if (field->number % 2 == 0) {
        attr->kind = DF_ET_LIST;
        return;
    }
    attr->kind = field->number == DF_ET_ATTR_BOOL ? DF_ET_BOOL : DF_ET_INT;
    attr->number = number_of(field);
}

static df_status read_attr(df_et_reader *r, df_wire bytes, df_et_attr *attr, df_err *err)
{
    *attr = (df_et_attr){.name = "", .kind = DF_ET_NOTHING, .text = ""};
    while (bytes.at < bytes.end) {
        df_wire_field field;
        if (!df_wire_next(&bytes, &field)) {
            return fail_at(r, "fields of an attribute", err);
        }
        if (field.number > DF_ET_ATTR_LAST) {
            continue; /* a field of a later schema */
        }
        if (field.type != wire_of(field.number)) {
            return fail_at(r, "an attribute's value of its type", err);
        }
        if (field.number == DF_ET_ATTR_NAME) {
            attr->name = copy_text(r, field.bytes);
        } else if (field.number != DF_ET_ATTR_DOC) {
            set_value(r, attr, &field);
        }
    }
    return DF_OK;
}

static df_status add_attr(df_et_reader *r, df_wire bytes, df_err *err)
{
    if (r->num_attrs == r->attrs_room) {
        const size_t room = 2 * r->attrs_room + 16;
        df_et_attr *const grown = realloc(r->attrs, room * sizeof *grown);
        if (!grown) {
            return fail_memory(r, err);
        }
        r->attrs = grown;
        r->attrs_room = room;
    }
    return read_attr(r, bytes, &r->attrs[r->num_attrs++], err);
}

static df_status
read_field(df_et_reader *r, const df_wire_field *field, df_et_node *node, df_err *err)
{
    const bool text = field->number == DF_ET_NODE_NAME || field->number == DF_ET_NODE_ATTR;
    const bool number = field->number == DF_ET_NODE_ID || field->number == DF_ET_NODE_TYPE ||
                        field->number == DF_ET_NODE_START || field->number == DF_ET_NODE_DURATION;
    if ((text && field->type != DF_WIRE_BYTES) || (number && field->type != DF_WIRE_VARINT)) {
        return fail_at(r, "a node's field of its type", err);
    }
    switch (field->number) {
    case DF_ET_NODE_ID:
        node->id = field->value;
        break;
    case DF_ET_NODE_NAME:
        node->name = copy_text(r, field->bytes);
        break;
    case DF_ET_NODE_TYPE:
        node->type = (int32_t)(uint32_t)field->value;
        break;
    case DF_ET_NODE_START:
        node->start_micros = field->value;
        break;
    case DF_ET_NODE_DURATION:
        node->duration_micros = field->value;
        break;
    case DF_ET_NODE_CTRL_DEPS:
        return add_ids(r, &r->ctrl_deps, field, err);
    case DF_ET_NODE_DATA_DEPS:
        return add_ids(r, &r->data_deps, field, err);
    case DF_ET_NODE_ATTR:
        return add_attr(r, field->bytes, err);
    default: /* inputs, outputs, and what later schemas add */
        break;
    }
    return DF_OK;
}

static bool prepare_texts(df_et_reader *r, size_t room)
{
    r->texts_count = 0;
    if (room > r->texts_room) {
        free(r->texts);
        r->texts = malloc(room);
        r->texts_room = r->texts ? room : 0;
    }
    return r->texts_room >= room;
}

/* ---- Files ---- */

/* The metadata must be fields of that message; their content is of no use here. */
static df_status read_metadata(df_et_reader *r, df_err *err)
{
    df_wire wire;
    bool more;
    DF_TRY(read_message(r, &wire, &more, err));
    if (!more) {
        return df_fail(err, DF_EINVAL, "%s: expected a Chakra trace, found an empty file", r->path);
    }
    while (wire.at < wire.end) {
        df_wire_field field;
        if (!df_wire_next(&wire, &field) || field.type != DF_WIRE_BYTES) {
            return fail_at(r, "the metadata of a Chakra trace", err);
        }
    }
    return DF_OK;
}

df_status df_et_open(const char *path, df_et_reader **reader, df_err *err)
{
    df_et_reader *const r = calloc(1, sizeof *r);
    if (!r) {
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    r->path = path;
    r->file = fopen(path, "rb");
    r->buffer = malloc(FILE_BUFFER);
    if (r->file && r->buffer) {
        (void)setvbuf(r->file, r->buffer, _IOFBF, FILE_BUFFER); /* else it takes a smaller one */
    }
    const df_status status =
        r->file ? read_metadata(r, err)
                : df_fail(err, DF_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    if (status != DF_OK) {
        df_et_close(r);
        return status;
    }
    *reader = r;
    return DF_OK;
}

df_status df_et_next(df_et_reader *r, df_et_node *node, bool *more, df_err *err)
{
    df_wire wire = {NULL, NULL};
    DF_TRY(read_message(r, &wire, more, err));
    if (!*more) {
        return DF_OK;
    }
    if (!prepare_texts(r, (size_t)(wire.end - wire.at) + 1)) {
        return fail_memory(r, err);
    }
    *node = (df_et_node){.name = ""};
    r->ctrl_deps.count = r->data_deps.count = r->num_attrs = 0;
    while (wire.at < wire.end) {
        df_wire_field field;
        if (!df_wire_next(&wire, &field)) {
            return fail_at(r, "fields of a node", err);
        }
        DF_TRY(read_field(r, &field, node, err));
    }
    node->ctrl_deps = r->ctrl_deps.items;
    node->num_ctrl_deps = r->ctrl_deps.count;
    node->data_deps = r->data_deps.items;
    node->num_data_deps = r->data_deps.count;
    node->attrs = r->attrs;
    node->num_attrs = r->num_attrs;
    return DF_OK;
}

void df_et_close(df_et_reader *r)
{
    if (!r) {
        return;
    }
    if (r->file) {
        (void)fclose(r->file); /* only read */
    }
    free(r->buffer);
    free(r->data);
    free(r->texts);
    free(r->ctrl_deps.items);
    free(r->data_deps.items);
    free(r->attrs);
    free(r);
}

const df_et_attr *df_et_find(const df_et_node *node, const char *name)
{
    for (size_t i = node->num_attrs; i > 0; i--) {
        if (strcmp(node->attrs[i - 1].name, name) == 0) {
            return &node->attrs[i - 1];
        }
    }
    return NULL;
}
