#include "validate/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/cfg.h"

struct df_csv {
    char *path, *text; /* text: where fields point into, NUL-terminated each */
    char **field;      /* header, then record by record */
    size_t *line;      /* where each record begins */
    size_t columns, rows, room;
};

/* Where reading stands. */
typedef struct {
    char *at;
    size_t line;
} cursor;

/* Cuts the next field out of the text, its quotes undone. *last: a record ends behind it. False:
 * a quoted field does not end, or something follows its end. */
static bool next_field(cursor *c, char **field, bool *last)
{
    char *to = c->at;
    *field = to;
    if (*c->at == '"') {
        c->at++;
        while (*c->at != '\0' && (*c->at != '"' || c->at[1] == '"')) {
            c->at += *c->at == '"';
            c->line += *c->at == '\n';
            *to++ = *c->at++;
        }
        if (*c->at++ != '"') {
            return false;
        }
    } else {
        to += strcspn(c->at, ",\r\n");
        c->at = to;
    }
    const char end = *c->at;
    c->at += end != '\0';
    c->at += end == '\r' && *c->at == '\n';
    *to = '\0';
    *last = end != ',';
    c->line += *last;
    return end == '\0' || end == ',' || end == '\r' || end == '\n';
}

static bool grow(df_csv *csv, size_t fields)
{
    if (fields < csv->room) {
        return true;
    }
    const size_t room = csv->room > 0 ? 2 * csv->room : 256;
    char **const field = realloc(csv->field, room * sizeof *field);
    if (field) {
        csv->field = field;
    }
    size_t *const line = realloc(csv->line, room * sizeof *line);
    if (line) {
        csv->line = line;
    }
    csv->room = field && line ? room : csv->room;
    return field && line;
}

/* One record, the header being the first. */
static df_status read_record(df_csv *csv, cursor *c, size_t records, df_err *err)
{
    const size_t first = records * csv->columns;
    const size_t line = c->line;
    size_t count = 0;
    for (bool last = false; !last; count++) {
        if (!grow(csv, first + count + 1)) {
            return df_fail(err, DF_ENOMEM, "%s: out of memory", csv->path);
        }
        if (!next_field(c, &csv->field[first + count], &last)) {
            return df_fail(err, DF_EINVAL, "%s:%zu: expected a quoted field to end, found no end",
                           csv->path, line);
        }
    }
    csv->line[records] = line;
    if (records == 0) {
        csv->columns = count;
    } else if (count != csv->columns) {
        return df_fail(err, DF_EINVAL, "%s:%zu: expected %zu fields as in the header, found %zu",
                       csv->path, line, csv->columns, count);
    }
    return DF_OK;
}

static df_status read_all(df_csv *csv, df_err *err)
{
    cursor c = {csv->text, 1};
    size_t records = 0;
    while (*c.at != '\0') {
        if (*c.at == '\n' || *c.at == '\r') { /* an empty line */
            c.line += *c.at++ == '\n';
            continue;
        }
        DF_TRY(read_record(csv, &c, records, err));
        records++;
    }
    if (records == 0) {
        return df_fail(err, DF_EINVAL, "%s:1: expected a line of column names, found nothing",
                       csv->path);
    }
    csv->rows = records - 1;
    return DF_OK;
}

df_status df_csv_load(const char *path, df_csv **out, df_err *err)
{
    char *text;
    DF_TRY(df_cfg_read_text(path, &text, err));
    df_csv *const csv = calloc(1, sizeof *csv);
    if (!csv) {
        free(text);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    csv->text = text;
    csv->path = strdup(path);
    const df_status status =
        csv->path ? read_all(csv, err) : df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    if (status != DF_OK) {
        df_csv_free(csv);
        return status;
    }
    *out = csv;
    return DF_OK;
}

void df_csv_free(df_csv *csv)
{
    if (csv) {
        free(csv->path);
        free(csv->text);
        free(csv->field);
        free(csv->line);
        free(csv);
    }
}

size_t df_csv_rows(const df_csv *csv)
{
    return csv->rows;
}

int df_csv_column(const df_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->columns; i++) {
        if (strcmp(csv->field[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *df_csv_text(const df_csv *csv, size_t row, const char *column)
{
    const int at = df_csv_column(csv, column);
    return at < 0 ? "" : csv->field[(row + 1) * csv->columns + (size_t)at];
}

df_status
df_csv_refuse(const df_csv *csv, size_t row, const char *column, const char *expected, df_err *err)
{
    return df_fail(err, DF_EINVAL, "%s:%zu: %s: expected %s, found %s", csv->path,
                   csv->line[row + 1], column, expected, df_csv_text(csv, row, column));
}

df_status df_csv_real(
    const df_csv *csv, size_t row, const char *column, double absent, double *out, df_err *err)
{
    const char *const text = df_csv_text(csv, row, column);
    char *end;
    const double value = strtod(text, &end);
    if (*text == '\0') {
        *out = absent;
        return DF_OK;
    }
    if (end == text || *end != '\0' || !isfinite(value)) {
        return df_csv_refuse(csv, row, column, "a number", err);
    }
    *out = value;
    return DF_OK;
}
