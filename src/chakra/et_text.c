#include "chakra/et_text.h"

#include <inttypes.h>
#include <string.h>

#define WORD "_-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static void print_ids(FILE *out, const char *what, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s%" PRIu64, i == 0 ? what : ",", ids[i]);
    }
}

/* A text of a trace, in quotes, on one line whatever is in it. */
static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\x%02x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

/* A name that is a single word is printed as it is. */
static void print_name(FILE *out, const char *name)
{
    const bool word = name[0] != '\0' && name[strspn(name, WORD)] == '\0';
    if (word) {
        fputs(name, out);
    } else {
        print_quoted(out, name);
    }
}

static void print_attr(FILE *out, const df_et_attr *attr)
{
    fputc(' ', out);
    print_name(out, attr->name);
    fputc('=', out);
    switch (attr->kind) {
    case DF_ET_INT:
        fprintf(out, "%" PRId64, attr->number);
        return;
    case DF_ET_BOOL:
        fputs(attr->number != 0 ? "true" : "false", out);
        return;
    case DF_ET_REAL:
        fprintf(out, "%.17g", attr->real);
        return;
    case DF_ET_TEXT:
        print_quoted(out, attr->text);
        return;
    case DF_ET_LIST:
        fputs("[...]", out);
        return;
    case DF_ET_NOTHING:
        return;
    }
}

static void print_node(FILE *out, const df_et_node *node)
{
    static const char *const types[] = {
        [DF_ET_INVALID] = "invalid", [DF_ET_METADATA] = "metadata",     [DF_ET_MEM_LOAD] = "load",
        [DF_ET_MEM_STORE] = "store", [DF_ET_COMPUTE] = "compute",       [DF_ET_SEND] = "send",
        [DF_ET_RECEIVE] = "receive", [DF_ET_COLLECTIVE] = "collective",
    };
    const bool known = node->type >= 0 && node->type <= DF_ET_COLLECTIVE;
    fprintf(out, "%" PRIu64 " %s", node->id, known ? types[node->type] : "unknown");
    if (!known) {
        fprintf(out, "(%d)", (int)node->type);
    }
    fputc(' ', out);
    print_quoted(out, node->name);
    print_ids(out, " after ", node->ctrl_deps, node->num_ctrl_deps);
    print_ids(out, " needs ", node->data_deps, node->num_data_deps);
    if (node->duration_micros > 0) {
        fprintf(out, " lasts %" PRIu64 "us", node->duration_micros);
    }
    for (size_t i = 0; i < node->num_attrs; i++) {
        print_attr(out, &node->attrs[i]);
    }
    fputc('\n', out);
}

df_status df_et_print_file(FILE *out, const char *path, df_err *err)
{
    df_et_reader *reader;
    df_et_node node;
    bool more = true;
    DF_TRY(df_et_open(path, &reader, err));
    df_status status = DF_OK;
    while (status == DF_OK && more) {
        status = df_et_next(reader, &node, &more, err);
        if (status == DF_OK && more) {
            print_node(out, &node);
        }
    }
    df_et_close(reader);
    return status;
}
