/* table.h: results.h5 as one table with a row for each search, whose columns are those of /searches
 * and of its strategy. Columns are found by name, so files of other versions can be read; an axis
 * that such a version did not have has degree 1. This is another public part of the store. */
#ifndef DF_STORE_TABLE_H
#define DF_STORE_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct df_table df_table;

enum { DF_CELL_TEXT = 256 };

/* A value: a text, or a number. */
typedef struct {
    bool is_text;
    double number;
    char text[DF_CELL_TEXT];
} df_cell;

/* DF_EIO: not readable, or not a results file. */
DF_NODISCARD df_status df_table_open(const char *path, df_table **out, df_err *err);
void df_table_free(df_table *table); /* NULL is fine */

int64_t df_table_rows(const df_table *table);
int df_table_columns(const df_table *table);
const char *df_table_column_name(const df_table *table, int column);
bool df_table_column_is_text(const df_table *table, int column);
/* Finds a column by its name, or by the alias of an axis. -1: there is none. */
int df_table_find(const df_table *table, const char *name);
/* The column whose name is nearest; NULL: none is near. */
const char *df_table_nearest(const df_table *table, const char *name);
/* The value of a row, as it is now. */
void df_table_get(const df_table *table, int64_t row, int column, df_cell *out);

/* ---- Which rows ---- */

typedef struct df_filter df_filter;

/* Comparisons of a column with a number or a word (= == != < <= > >=), joined by `and`, `or`,
 * `not` and parentheses: "status = converged and (dp > 4 or best_time_s < 1e-3)".
 * DF_EINVAL: "column N: expected ..., found ..."; an unknown column names the nearest. */
DF_NODISCARD df_status df_filter_parse(const df_table *table,
                                       const char *text,
                                       df_filter **out,
                                       df_err *err);
bool df_filter_holds(const df_filter *filter, const df_table *table, int64_t row);
void df_filter_free(df_filter *filter); /* NULL is fine */

#endif
