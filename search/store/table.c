#include "store/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "store/store_image.h"
#include "store/store_impl.h"

enum { COLUMNS = 128, NAME_ROOM = 64 };

typedef enum { INTEGER, UNSIGNED, REAL, TEXT, MISSING } cell_kind;

typedef struct {
    char name[NAME_ROOM];
    cell_kind kind;
    bool of_strategy;
    size_t at, size;
} column;

struct df_table {
    df_store_image image;
    df_image_table searches, strategies;
    column columns[COLUMNS];
    int count;
    int strategy; /* column */
    char path[DF_STORE_PATH];
};

static bool read_kind(hid_t type, column *c)
{
    c->size = H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        c->kind = H5Tget_sign(type) == H5T_SGN_NONE ? UNSIGNED : INTEGER;
        return c->size == 1 || c->size == 4 || c->size == 8;
    case H5T_FLOAT:
        c->kind = REAL;
        return c->size == sizeof(double);
    case H5T_STRING:
        c->kind = TEXT;
        return H5Tis_variable_str(type) == 0;
    default:
        return false;
    }
}

static int find_exactly(const df_table *t, const char *name)
{
    for (int i = 0; i < t->count; i++) {
        if (strcmp(t->columns[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The columns of a table that the other does not have, of kinds that are known. */
static void add_columns(df_table *t, const df_image_table *from, bool of_strategy)
{
    const int members = H5Tget_nmembers(from->type);
    for (int i = 0; i < members && t->count < COLUMNS; i++) {
        column *const c = &t->columns[t->count];
        char *const name = H5Tget_member_name(from->type, (unsigned)i);
        const hid_t type = H5Tget_member_type(from->type, (unsigned)i);
        memset(c, 0, sizeof *c);
        snprintf(c->name, sizeof c->name, "%s", name ? name : "");
        c->of_strategy = of_strategy;
        c->at = H5Tget_member_offset(from->type, (unsigned)i);
        /* a damaged type may place a column beyond its row */
        const bool known = name && find_exactly(t, name) < 0 && read_kind(type, c) &&
                           c->at <= from->row_bytes && c->size <= from->row_bytes - c->at;
        if (known) {
            t->count++;
        }
        df_h5_close(type, H5Tclose);
        H5free_memory(name);
    }
}

/* Fills the columns of axes that did not exist in the version of the file: nothing was split along
 * them. */
static void add_missing_axes(df_table *t)
{
    for (int axis = 0; axis < DF_AXES && t->count < COLUMNS; axis++) {
        const char *const name = df_axis_table[axis].name;
        if (find_exactly(t, name) < 0) {
            column *const c = &t->columns[t->count++];
            *c = (column){.kind = MISSING};
            snprintf(c->name, sizeof c->name, "%s", name);
        }
    }
}

static df_status open_tables(df_table *t, df_err *err)
{
    DF_TRY(df_image_open(t->path, &t->image, err));
    DF_TRY(df_image_find(&t->image, "searches", true, &t->searches, err));
    DF_TRY(df_image_find(&t->image, "strategies", true, &t->strategies, err));
    add_columns(t, &t->searches, false);
    add_columns(t, &t->strategies, true);
    add_missing_axes(t);
    t->strategy = df_table_find(t, "strategy_id");
    if (t->strategy < 0) {
        return df_fail(err, DF_EIO, "%s: is not a results file: /searches has no strategy_id",
                       t->path);
    }
    return DF_OK;
}

df_status df_table_open(const char *path, df_table **out, df_err *err)
{
    df_table *const t = calloc(1, sizeof *t);
    if (!t) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    snprintf(t->path, sizeof t->path, "%s", path);
    t->searches.type = H5I_INVALID_HID;
    t->strategies.type = H5I_INVALID_HID;
    const df_status status = open_tables(t, err);
    if (status != DF_OK) {
        df_table_free(t);
        return status;
    }
    *out = t;
    return DF_OK;
}

void df_table_free(df_table *t)
{
    if (t) {
        df_h5_close(t->searches.type, H5Tclose);
        df_h5_close(t->strategies.type, H5Tclose);
        df_image_close(&t->image);
        free(t);
    }
}

int64_t df_table_rows(const df_table *t)
{
    return t->searches.count;
}

int df_table_columns(const df_table *t)
{
    return t->count;
}

const char *df_table_column_name(const df_table *t, int c)
{
    return t->columns[c].name;
}

bool df_table_column_is_text(const df_table *t, int c)
{
    return t->columns[c].kind == TEXT;
}

int df_table_find(const df_table *t, const char *name)
{
    const int found = find_exactly(t, name);
    return found >= 0 ? found : find_exactly(t, df_axis_name_of(name));
}

const char *df_table_nearest(const df_table *t, const char *name)
{
    const char *names[COLUMNS];
    for (int i = 0; i < t->count; i++) {
        names[i] = t->columns[i].name;
    }
    const int near = df_nearest(name, names, (size_t)t->count, sizeof names[0]);
    return near >= 0 ? names[near] : NULL;
}

static double read_integer(const column *c, const unsigned char *at)
{
    uint8_t byte;
    int32_t word;
    uint32_t unsigned_word;
    int64_t number;
    if (c->size == 1) {
        memcpy(&byte, at, sizeof byte);
        return byte;
    }
    if (c->size == sizeof word) {
        memcpy(&word, at, sizeof word);
        memcpy(&unsigned_word, at, sizeof unsigned_word);
        return c->kind == UNSIGNED ? (double)unsigned_word : (double)word;
    }
    memcpy(&number, at, sizeof number);
    return (double)number;
}

static void read_cell(const column *c, const unsigned char *row, df_cell *out)
{
    memset(out, 0, offsetof(df_cell, text) + 1);
    if (c->kind == TEXT) {
        out->is_text = true;
        snprintf(out->text, sizeof out->text, "%.*s", (int)c->size, (const char *)row + c->at);
    } else if (c->kind == MISSING) {
        out->number = 1;
    } else if (c->kind == REAL) {
        memcpy(&out->number, row + c->at, sizeof out->number);
    } else {
        out->number = read_integer(c, row + c->at);
    }
}

void df_table_get(const df_table *t, int64_t row, int i, df_cell *out)
{
    const column *const c = &t->columns[i];
    const unsigned char *at = t->searches.rows + (size_t)row * t->searches.row_bytes;
    if (c->of_strategy) {
        df_cell strategy;
        read_cell(&t->columns[t->strategy], at, &strategy);
        const bool known = strategy.number >= 0 && strategy.number < (double)t->strategies.count;
        const size_t which = known ? (size_t)strategy.number : 0;
        if (!known) {
            memset(out, 0, sizeof *out);
            return;
        }
        at = t->strategies.rows + which * t->strategies.row_bytes;
    }
    read_cell(c, at, out);
}
