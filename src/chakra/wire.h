/* wire.h: the protobuf wire format, fields in and out of memory.
 * https://protobuf.dev/programming-guides/encoding/ */
#ifndef DF_WIRE_H
#define DF_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    DF_WIRE_VARINT = 0,
    DF_WIRE_FIXED64 = 1,
    DF_WIRE_BYTES = 2,
    DF_WIRE_FIXED32 = 5,
} df_wire_type;

typedef struct {
    const unsigned char *at, *end;
} df_wire;

typedef struct {
    uint32_t number;
    df_wire_type type;
    uint64_t value; /* value, for all types but BYTES */
    df_wire bytes;  /* content, for BYTES */
} df_wire_field;

enum { DF_WIRE_VARINT_MAX = 10 };

/* False when the input is malformed or ends within the item. */
bool df_wire_varint(df_wire *wire, uint64_t *value);
bool df_wire_next(df_wire *wire, df_wire_field *field);

/* A growing message. */
typedef struct {
    unsigned char *data;
    size_t count, room;
    bool failed; /* out of memory; nothing is added any more */
} df_wire_out;

void df_wire_put_varint(df_wire_out *out, uint64_t value);
void df_wire_put_fixed64(df_wire_out *out, uint64_t value);
void df_wire_put_tag(df_wire_out *out, uint32_t number, df_wire_type type);
/* A field with a length: a text, or a message that has been put together elsewhere. */
void df_wire_put_block(df_wire_out *out, uint32_t number, const void *data, size_t count);

#endif
