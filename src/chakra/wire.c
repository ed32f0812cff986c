#include "chakra/wire.h"

#include <stdlib.h>
#include <string.h>

bool df_wire_varint(df_wire *wire, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; shift < 7 * DF_WIRE_VARINT_MAX; shift += 7) {
        if (wire->at == wire->end) {
            return false;
        }
        const unsigned char byte = *wire->at++;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return shift < 63 || byte <= 1; /* the tenth byte holds one bit */
        }
    }
    return false;
}

/* Reads a little-endian number. */
static bool fixed(df_wire *wire, size_t size, uint64_t *value)
{
    if ((size_t)(wire->end - wire->at) < size) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < size; i++) {
        *value |= (uint64_t)wire->at[i] << (8 * i);
    }
    wire->at += size;
    return true;
}

static bool block(df_wire *wire, df_wire *bytes)
{
    uint64_t count;
    if (!df_wire_varint(wire, &count) || count > (uint64_t)(wire->end - wire->at)) {
        return false;
    }
    bytes->at = wire->at;
    bytes->end = wire->at + count;
    wire->at += count;
    return true;
}

bool df_wire_next(df_wire *wire, df_wire_field *field)
{
    uint64_t tag;
    if (!df_wire_varint(wire, &tag) || tag >> 32 != 0 || tag >> 3 == 0) {
        return false;
    }
    *field = (df_wire_field){.number = (uint32_t)(tag >> 3), .type = (df_wire_type)(tag & 7)};
    switch (field->type) {
    case DF_WIRE_VARINT:
        return df_wire_varint(wire, &field->value);
    case DF_WIRE_FIXED64:
        return fixed(wire, 8, &field->value);
    case DF_WIRE_FIXED32:
        return fixed(wire, 4, &field->value);
    case DF_WIRE_BYTES:
        return block(wire, &field->bytes);
    }
    return false; /* groups are long gone */
}

static void put_bytes(df_wire_out *out, const void *data, size_t count)
{
    if (out->failed || count == 0) {
        return;
    }
    if (count > out->room - out->count) {
        const size_t room = 2 * out->room + count + 64;
        unsigned char *const grown = realloc(out->data, room);
        if (!grown) {
            out->failed = true;
            return;
        }
        out->data = grown;
        out->room = room;
    }
    memcpy(out->data + out->count, data, count);
    out->count += count;
}

void df_wire_put_varint(df_wire_out *out, uint64_t value)
{
    unsigned char bytes[DF_WIRE_VARINT_MAX];
    size_t count = 0;
    while (value >= 0x80) {
        bytes[count++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[count++] = (unsigned char)value;
    put_bytes(out, bytes, count);
}

void df_wire_put_fixed64(df_wire_out *out, uint64_t value)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    put_bytes(out, bytes, sizeof bytes);
}

void df_wire_put_tag(df_wire_out *out, uint32_t number, df_wire_type type)
{
    df_wire_put_varint(out, (uint64_t)number << 3 | (uint64_t)type);
}

void df_wire_put_block(df_wire_out *out, uint32_t number, const void *data, size_t count)
{
    df_wire_put_tag(out, number, DF_WIRE_BYTES);
    df_wire_put_varint(out, count);
    put_bytes(out, data, count);
}
