/* The numbers of a row, and the points that it becomes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate/val_impl.h"

df_status df_val_number(df_val_row *r, const char *column, double absent, double *out)
{
    return df_csv_real(r->csv, r->row, column, absent, out, r->err);
}

df_status df_val_count(df_val_row *r, const char *column, int64_t low, int64_t absent, int64_t *out)
{
    double value;
    char expected[64];
    DF_TRY(df_val_number(r, column, (double)absent, &value));
    if (absent < low && *df_csv_text(r->csv, r->row, column) == '\0') {
        return df_fail(r->err, DF_INFEASIBLE, "%s is not given", column);
    }
    if (!(value >= (double)low && value <= 0x1p53 && value == floor(value))) {
        snprintf(expected, sizeof expected, "a whole number >= %.0f", (double)low);
        return df_csv_refuse(r->csv, r->row, column, expected, r->err);
    }
    *out = (int64_t)value;
    return DF_OK;
}

const char *df_val_keep(df_val_data *data, const char *text)
{
    for (size_t i = 0; i < data->num_texts; i++) {
        if (strcmp(data->text[i], text) == 0) {
            return data->text[i];
        }
    }
    char **const list = realloc(data->text, (data->num_texts + 1) * sizeof *list);
    if (!list) {
        return NULL;
    }
    data->text = list;
    char *const copy = strdup(text);
    if (copy) {
        list[data->num_texts++] = copy;
    }
    return copy;
}

static df_status add_point(df_val_row *r)
{
    df_val_points *const points = r->points;
    if (points->count == points->room) {
        const size_t room = points->room > 0 ? 2 * points->room : 256;
        df_val_point *const point = realloc(points->point, room * sizeof *point);
        if (!point) {
            return df_fail(r->err, DF_ENOMEM, "out of memory");
        }
        points->point = point;
        points->room = room;
    }
    points->point[points->count++] = r->point;
    return DF_OK;
}

df_status df_val_take(df_val_row *r, df_status status, int rules, df_val_values *values)
{
    values->why[rules] = NULL;
    if (status == DF_INFEASIBLE) {
        values->value[rules] = NAN;
        values->why[rules] = df_val_keep(r->data, r->err->text);
        return values->why[rules] ? DF_OK : df_fail(r->err, DF_ENOMEM, "out of memory");
    }
    return status;
}

df_status
df_val_add(df_val_row *r, const char *metric, double measured, const df_val_values *values)
{
    r->point.metric = metric;
    r->point.measured = measured;
    for (int i = 0; i < DF_VAL_RULE_SETS; i++) {
        const bool used = i < r->num_rules;
        r->point.predicted[i] = used ? values->value[i] : (double)NAN;
        r->point.skipped[i] = !used             ? "not asked for"
                              : isnan(measured) ? "no measured value"
                                                : values->why[i];
    }
    return add_point(r);
}

df_status df_val_skip(df_val_row *r, const char *metric, double measured)
{
    df_val_values values;
    for (int i = 0; i < r->num_rules; i++) {
        DF_TRY(df_val_take(r, DF_INFEASIBLE, i, &values));
    }
    return df_val_add(r, metric, measured, &values);
}
