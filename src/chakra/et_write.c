#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chakra/et.h"
#include "chakra/schema.h"
#include "chakra/wire.h"

/* The version of the schema that AstraSim reads. */
#define SCHEMA_VERSION "0.0.4"

struct df_et_writer {
    FILE *file;
    const char *path;
    df_wire_out node, part; /* a message, and a block in it */
};

static df_status fail_write(const df_et_writer *w, df_err *err)
{
    return df_fail(err, DF_EIO, "%s: cannot be written: %s", w->path, strerror(errno));
}

/* Writes the message that w->node holds, behind its length. */
static df_status flush_message(df_et_writer *w, df_err *err)
{
    w->part.count = 0;
    df_wire_put_varint(&w->part, w->node.count);
    if (w->node.failed || w->part.failed) {
        return df_fail(err, DF_ENOMEM, "%s: out of memory", w->path);
    }
    if (fwrite(w->part.data, 1, w->part.count, w->file) != w->part.count ||
        fwrite(w->node.data, 1, w->node.count, w->file) != w->node.count) {
        return fail_write(w, err);
    }
    return DF_OK;
}

static void free_writer(df_et_writer *w)
{
    free(w->node.data);
    free(w->part.data);
    free(w);
}

df_status df_et_create(const char *path, df_et_writer **writer, df_err *err)
{
    df_et_writer *const w = calloc(1, sizeof *w);
    if (!w) {
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    w->path = path;
    w->file = fopen(path, "wb");
    if (!w->file) {
        const df_status status = fail_write(w, err);
        free_writer(w);
        return status;
    }
    df_wire_put_block(&w->node, DF_ET_METADATA_VERSION, SCHEMA_VERSION, strlen(SCHEMA_VERSION));
    const df_status status = flush_message(w, err);
    if (status != DF_OK) {
        (void)fclose(w->file); /* the failure that counts has been noted */
        free_writer(w);
        return status;
    }
    *writer = w;
    return DF_OK;
}

/* A number that is not 0, which is the value of an absent one. */
static void put_number(df_wire_out *out, uint32_t field, uint64_t value)
{
    if (value != 0) {
        df_wire_put_tag(out, field, DF_WIRE_VARINT);
        df_wire_put_varint(out, value);
    }
}

static void put_ids(df_et_writer *w, uint32_t field, const uint64_t *ids, size_t count)
{
    w->part.count = 0;
    for (size_t i = 0; i < count; i++) {
        df_wire_put_varint(&w->part, ids[i]);
    }
    if (count > 0) {
        df_wire_put_block(&w->node, field, w->part.data, w->part.count);
    }
}

static bool put_attr(df_et_writer *w, const df_et_attr *attr)
{
    df_wire_out *const out = &w->part;
    uint64_t bits;
    out->count = 0;
    df_wire_put_block(out, DF_ET_ATTR_NAME, attr->name, strlen(attr->name));
    switch (attr->kind) {
    case DF_ET_INT:
        df_wire_put_tag(out, DF_ET_ATTR_INT64, DF_WIRE_VARINT);
        df_wire_put_varint(out, (uint64_t)attr->number);
        break;
    case DF_ET_BOOL:
        df_wire_put_tag(out, DF_ET_ATTR_BOOL, DF_WIRE_VARINT);
        df_wire_put_varint(out, attr->number != 0);
        break;
    case DF_ET_REAL:
        memcpy(&bits, &attr->real, sizeof bits);
        df_wire_put_tag(out, DF_ET_ATTR_DOUBLE, DF_WIRE_FIXED64);
        df_wire_put_fixed64(out, bits);
        break;
    case DF_ET_TEXT:
        df_wire_put_block(out, DF_ET_ATTR_STRING, attr->text, strlen(attr->text));
        break;
    case DF_ET_NOTHING:
        break;
    case DF_ET_LIST:
        return false;
    }
    df_wire_put_block(&w->node, DF_ET_NODE_ATTR, out->data, out->count);
    return true;
}

df_status df_et_write(df_et_writer *w, const df_et_node *node, df_err *err)
{
    w->node.count = 0;
    put_number(&w->node, DF_ET_NODE_ID, node->id);
    if (node->name && node->name[0] != '\0') {
        df_wire_put_block(&w->node, DF_ET_NODE_NAME, node->name, strlen(node->name));
    }
    put_number(&w->node, DF_ET_NODE_TYPE, (uint64_t)node->type);
    put_ids(w, DF_ET_NODE_CTRL_DEPS, node->ctrl_deps, node->num_ctrl_deps);
    put_ids(w, DF_ET_NODE_DATA_DEPS, node->data_deps, node->num_data_deps);
    put_number(&w->node, DF_ET_NODE_START, node->start_micros);
    put_number(&w->node, DF_ET_NODE_DURATION, node->duration_micros);
    for (size_t i = 0; i < node->num_attrs; i++) {
        if (!put_attr(w, &node->attrs[i])) {
            return df_fail(err, DF_EINVAL, "%s: node %llu: %s: expected no list, found one",
                           w->path, (unsigned long long)node->id, node->attrs[i].name);
        }
    }
    return flush_message(w, err);
}

df_status df_et_finish(df_et_writer *w, df_err *err)
{
    const bool written = ferror(w->file) == 0;
    const bool closed = fclose(w->file) == 0;
    const df_status status = written && closed ? DF_OK : fail_write(w, err);
    free_writer(w);
    return status;
}
