/* schema.h: numbers of the fields of Chakra's messages.
 * https://github.com/mlcommons/chakra, schema/protobuf/et_def.proto */
#ifndef DF_ET_SCHEMA_H
#define DF_ET_SCHEMA_H

enum { DF_ET_METADATA_VERSION = 1 };

enum {
    DF_ET_NODE_ID = 1,
    DF_ET_NODE_NAME = 2,
    DF_ET_NODE_TYPE = 3,
    DF_ET_NODE_CTRL_DEPS = 4,
    DF_ET_NODE_DATA_DEPS = 5,
    DF_ET_NODE_START = 6,
    DF_ET_NODE_DURATION = 7,
    DF_ET_NODE_ATTR = 10,
};

/* Values have odd numbers; the list of the same type has the next number. */
enum {
    DF_ET_ATTR_NAME = 1,
    DF_ET_ATTR_DOC = 2,
    DF_ET_ATTR_DOUBLE = 3,
    DF_ET_ATTR_FLOAT = 5,
    DF_ET_ATTR_INT32 = 7,
    DF_ET_ATTR_INT64 = 9,
    DF_ET_ATTR_UINT32 = 11,
    DF_ET_ATTR_UINT64 = 13,
    DF_ET_ATTR_SINT32 = 15,
    DF_ET_ATTR_SINT64 = 17,
    DF_ET_ATTR_FIXED32 = 19,
    DF_ET_ATTR_FIXED64 = 21,
    DF_ET_ATTR_SFIXED32 = 23,
    DF_ET_ATTR_SFIXED64 = 25,
    DF_ET_ATTR_BOOL = 27,
    DF_ET_ATTR_STRING = 29,
    DF_ET_ATTR_BYTES = 31,
    DF_ET_ATTR_LAST = 32,
};

#endif
