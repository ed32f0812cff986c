/* et.h: Chakra execution traces (schema 0.0.4), node by node, of any length.
 *
 * A file is a sequence of protobuf messages, each behind its length: one of metadata, then
 * the nodes. Reader and writer hold one message at a time. */
#ifndef DF_ET_H
#define DF_ET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Types of nodes as the files number them. */
typedef enum {
    DF_ET_INVALID = 0,
    DF_ET_METADATA = 1,
    DF_ET_MEM_LOAD = 2,
    DF_ET_MEM_STORE = 3,
    DF_ET_COMPUTE = 4,
    DF_ET_SEND = 5,
    DF_ET_RECEIVE = 6,
    DF_ET_COLLECTIVE = 7,
} df_et_type;

typedef enum {
    DF_ET_INT,  /* any of the integer types */
    DF_ET_BOOL, /* number is 0 or 1 */
    DF_ET_REAL,
    DF_ET_TEXT,
    DF_ET_LIST, /* any list; not read */
    DF_ET_NOTHING,
} df_et_kind;

typedef struct {
    const char *name;
    df_et_kind kind;
    int64_t number; /* unsigned ones above 2^63 wrap */
    double real;
    const char *text;
} df_et_attr;

typedef struct {
    uint64_t id;
    const char *name;
    int32_t type; /* a df_et_type, or what the file has */
    uint64_t start_micros, duration_micros;
    const uint64_t *ctrl_deps, *data_deps; /* ids */
    size_t num_ctrl_deps, num_data_deps;
    const df_et_attr *attrs;
    size_t num_attrs;
} df_et_node;

/* The attribute of this name, the last of several; NULL when there is none. */
const df_et_attr *df_et_find(const df_et_node *node, const char *name);

/* ---- Reading ---- */

typedef struct df_et_reader df_et_reader;

/* Opens a file and reads its metadata. The path is borrowed until df_et_close.
 * DF_EIO: it cannot be read. DF_EINVAL: it is no trace. */
DF_NODISCARD df_status df_et_open(const char *path, df_et_reader **reader, df_err *err);
/* Reads the next node; *more is false at the end. The node's arrays and texts are the
 * reader's until the next call. DF_EINVAL: malformed; the text names message and byte. */
DF_NODISCARD df_status df_et_next(df_et_reader *reader, df_et_node *node, bool *more, df_err *err);
void df_et_close(df_et_reader *reader);

/* ---- Writing ---- */

typedef struct df_et_writer df_et_writer;

/* Makes the file and writes its metadata. The path is borrowed. */
DF_NODISCARD df_status df_et_create(const char *path, df_et_writer **writer, df_err *err);
/* Integers are written as int64. DF_EIO, DF_ENOMEM; DF_EINVAL: an attribute is a list. */
DF_NODISCARD df_status df_et_write(df_et_writer *writer, const df_et_node *node, df_err *err);
/* Closes the file and frees the writer, also after a failure. DF_EIO: not all was written. */
DF_NODISCARD df_status df_et_finish(df_et_writer *writer, df_err *err);

#endif
