/* csv.h: a CSV file in memory: a header line, then records. Fields may be quoted (RFC 4180). */
#ifndef DF_CSV_H
#define DF_CSV_H
#include <stddef.h>

#include "base/status.h"

typedef struct df_csv df_csv;

/* Reads a whole file. DF_EINVAL: no such file, or "FILE:LINE: expected ..., found ..." where a
 * record has more or fewer fields than the header. DF_EIO, DF_ENOMEM. */
DF_NODISCARD df_status df_csv_load(const char *path, df_csv **out, df_err *err);
void df_csv_free(df_csv *csv); /* also NULL */

size_t df_csv_rows(const df_csv *csv);
/* Number of the column, -1 if there is none of this name. */
int df_csv_column(const df_csv *csv, const char *name);
/* The field; "" where there is no such column. */
const char *df_csv_text(const df_csv *csv, size_t row, const char *column);
/* Reads a number; `absent` where the field is empty or there is no such column.
 * DF_EINVAL: "FILE:LINE: COLUMN: expected a number, found ...". */
DF_NODISCARD df_status df_csv_real(
    const df_csv *csv, size_t row, const char *column, double absent, double *out, df_err *err);
/* Fails with DF_EINVAL: "FILE:LINE: COLUMN: expected ..., found ...", of a field of the file. */
DF_NODISCARD df_status
df_csv_refuse(const df_csv *csv, size_t row, const char *column, const char *expected, df_err *err);

#endif
