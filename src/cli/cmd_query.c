#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "report/report.h"
#include "search_dir.h"
#include "store/table.h"
#include "strategy/strategy.h"

enum { LIST = 128, NAME = 64, SORTS = 8 };

typedef struct {
    df_words file;
    const char *where, *sort, *columns, *format;
    int64_t top;
} query_args;

/* The columns that are printed, and the order of the rows. */
typedef struct {
    df_table *table;
    df_filter *filter; /* NULL: all rows */
    int columns[LIST], num_columns;
    int sorts[SORTS], num_sorts;
    bool descending[SORTS];
    int64_t *rows;
    int64_t count;
} query;

static const char EXAMPLES[] =
    "  deepflow query output/sweep --top 5\n"
    "  deepflow query output/sweep --where 'dp >= 8 and (lp = 1 or status = converged)' \\\n"
    "    --sort best_time_s,-dp --columns work_id,dp,lp,best_time_s --format csv\n\n"
    "Columns are those of /searches and of /strategies (docs/results.md). The file is read\n"
    "as it is at the moment, even while a search writes to it.\n";

static bool read_args(int argc, char **argv, query_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_words("DIR", &a->file, 1, 1, "results.h5, or the folder that holds it"),
        df_arg_text(
            "where", &a->where,
            "which rows to print: comparisons of columns, with and, or, not and parentheses"),
        df_arg_text("sort", &a->sort, "sort by these columns; -COLUMN puts the largest first"),
        df_arg_int("top", &a->top, 0, DF_ARG_INT_MAX, "print at most this many rows; 0: all"),
        df_arg_text("columns", &a->columns,
                    "which columns to print; by default those in which rows differ, and in csv and "
                    "json all"),
        df_arg_choice("format", &a->format, "text|csv|json", "how rows are printed"),
    };
    const df_command command = {"query", "prints the rows of results.h5 that meet a condition",
                                EXAMPLES, args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- Which columns ---- */

static df_status
find_column(const query *q, const char *option, const char *name, int *column, df_err *err)
{
    *column = df_table_find(q->table, name);
    if (*column >= 0) {
        return DF_OK;
    }
    const char *const near = df_table_nearest(q->table, name);
    return df_fail(err, DF_EINVAL, "--%s: expected the name of a column%s%s%s, found %s", option,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
                   name[0] != '\0' ? name : "nothing");
}

/* Takes the next name of a list; false at its end. */
static bool next_name(const char **list, char name[NAME])
{
    if (!*list) {
        return false;
    }
    const size_t length = strcspn(*list, ",");
    snprintf(name, NAME, "%.*s", (int)length, *list);
    *list = (*list)[length] == ',' ? *list + length + 1 : NULL;
    return true;
}

static bool same_cells(const df_cell *a, const df_cell *b)
{
    return a->is_text ? strcmp(a->text, b->text) == 0
                      : a->number == b->number || (isnan(a->number) && isnan(b->number));
}

/* Whether rows differ in a column; one row alone does. */
static bool differs(const query *q, int column)
{
    const int64_t rows = df_table_rows(q->table);
    df_cell first;
    df_cell cell;
    for (int64_t row = 0; row < rows; row++) {
        df_table_get(q->table, row, column, row == 0 ? &first : &cell);
        if (row > 0 && !same_cells(&first, &cell)) {
            return true;
        }
    }
    return rows == 1;
}

/* Whether a column has what another has: best_value is the time where that alone is sought. */
static bool repeats(const query *q, int column, int other)
{
    df_cell a;
    df_cell b;
    for (int64_t row = 0; row < df_table_rows(q->table); row++) {
        df_table_get(q->table, row, column, &a);
        df_table_get(q->table, row, other, &b);
        if (!same_cells(&a, &b)) {
            return false;
        }
    }
    return true;
}

static void add_column(query *q, int column)
{
    if (column >= 0) {
        q->columns[q->num_columns++] = column;
    }
}

/* Adds a column if searches differ in it. */
static void add_if_differs(query *q, const char *name)
{
    const int column = df_table_find(q->table, name);
    if (column >= 0 && differs(q, column)) {
        add_column(q, column);
    }
}

/* The results, and those columns of its description in which a search differs from others. */
static void choose_differing(query *q)
{
    static const char *const others[] = {"layout",           "num_wafer",  "wafer_dim",
                                         "devices_per_node", "num_worker", "index"};
    const int time = df_table_find(q->table, "best_time_s");
    const int value = df_table_find(q->table, "best_value");
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy_terms(fields);
    add_column(q, df_table_find(q->table, "work_id"));
    add_column(q, df_table_find(q->table, "status"));
    add_column(q, time);
    if (time >= 0 && value >= 0 && !repeats(q, value, time)) {
        add_column(q, value);
    }
    add_if_differs(q, "energy_j");
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        add_if_differs(q, fields[i].name);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        add_if_differs(q, others[i]);
    }
}

static df_status choose_columns(query *q, const query_args *a, df_err *err)
{
    char name[NAME];
    if (a->columns) {
        for (const char *list = a->columns; next_name(&list, name);) {
            if (q->num_columns == LIST) {
                return df_fail(err, DF_EINVAL, "--columns: expected at most %d, found more", LIST);
            }
            DF_TRY(find_column(q, "columns", name, &q->columns[q->num_columns++], err));
        }
        return DF_OK;
    }
    if (a->format[0] != 't') {
        for (int i = 0; i < df_table_columns(q->table) && i < LIST; i++) {
            q->columns[q->num_columns++] = i;
        }
        return DF_OK;
    }
    choose_differing(q);
    return DF_OK;
}

static df_status choose_sorts(query *q, const char *list, df_err *err)
{
    char name[NAME];
    while (next_name(&list, name)) {
        if (q->num_sorts == SORTS) {
            return df_fail(err, DF_EINVAL, "--sort: expected at most %d, found more", SORTS);
        }
        q->descending[q->num_sorts] = name[0] == '-';
        DF_TRY(find_column(q, "sort", name + (name[0] == '-'), &q->sorts[q->num_sorts], err));
        q->num_sorts++;
    }
    return DF_OK;
}

/* ---- Rows ---- */

static df_status select_rows(query *q, df_err *err)
{
    const int64_t all = df_table_rows(q->table);
    q->rows = calloc((size_t)all + 1, sizeof *q->rows);
    if (!q->rows) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t row = 0; row < all; row++) {
        if (!q->filter || df_filter_holds(q->filter, q->table, row)) {
            q->rows[q->count++] = row;
        }
    }
    return DF_OK;
}

/* < 0: a comes first. A value that is not a number comes last. */
static int compare_cells(const df_cell *a, const df_cell *b, bool descending)
{
    if (a->is_text) {
        const int order = strcmp(a->text, b->text);
        return descending ? -order : order;
    }
    if (isnan(a->number) || isnan(b->number)) {
        return isnan(a->number) - isnan(b->number);
    }
    const int order = (a->number > b->number) - (a->number < b->number);
    return descending ? -order : order;
}

static bool comes_first(const query *q, int64_t a, int64_t b)
{
    int order = 0;
    for (int i = 0; i < q->num_sorts && order == 0; i++) {
        df_cell first;
        df_cell second;
        df_table_get(q->table, a, q->sorts[i], &first);
        df_table_get(q->table, b, q->sorts[i], &second);
        order = compare_cells(&first, &second, q->descending[i]);
    }
    return order <= 0;
}

static void merge_runs(const query *q, int64_t *to, int64_t begin, int64_t middle, int64_t end)
{
    int64_t a = begin;
    int64_t b = middle;
    for (int64_t i = begin; i < end; i++) {
        const bool first = a < middle && (b == end || comes_first(q, q->rows[a], q->rows[b]));
        to[i] = q->rows[first ? a++ : b++];
    }
}

/* Rows that are equal keep their order. */
static df_status sort_rows(query *q, df_err *err)
{
    int64_t *other = calloc((size_t)q->count + 1, sizeof *other);
    if (!other) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int64_t run = 1; run < q->count; run *= 2) {
        for (int64_t begin = 0; begin < q->count; begin += 2 * run) {
            const int64_t middle = begin + run < q->count ? begin + run : q->count;
            const int64_t end = begin + 2 * run < q->count ? begin + 2 * run : q->count;
            merge_runs(q, other, begin, middle, end);
        }
        int64_t *const sorted = other;
        other = q->rows;
        q->rows = sorted;
    }
    free(other);
    return DF_OK;
}

/* ---- Printing ---- */

/* A text in quotes; those in it are doubled, or for JSON behind a backslash. */
static void print_quoted(const char *text, bool json)
{
    putchar('"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || (json && *c == '\\')) {
            putchar(json ? '\\' : '"');
        }
        putchar((unsigned char)*c < ' ' ? ' ' : *c);
    }
    putchar('"');
}

static void print_csv_cell(const df_cell *cell)
{
    if (!cell->is_text) {
        printf("%.17g", cell->number);
    } else if (strpbrk(cell->text, ",\"\n")) {
        print_quoted(cell->text, false);
    } else {
        fputs(cell->text, stdout);
    }
}

static void print_json_cell(const df_cell *cell)
{
    if (cell->is_text) {
        print_quoted(cell->text, true);
    } else if (isfinite(cell->number)) {
        printf("%.17g", cell->number);
    } else {
        printf("\"%s\"", isnan(cell->number) ? "nan" : cell->number > 0 ? "inf" : "-inf");
    }
}

/* The width of a column: that of its head, or of a number with six digits and an exponent. */
static int width_of(const query *q, int column)
{
    enum { NUMBER = 12 };
    const int head = (int)strlen(df_table_column_name(q->table, column));
    return head > NUMBER ? head : NUMBER;
}

static void print_text_cell(const df_cell *cell, int width)
{
    if (cell->is_text) {
        printf("%*s", width, cell->text);
    } else {
        printf("%*.6g", width, cell->number);
    }
}

static void print_row(const query *q, int64_t row, char format)
{
    for (int i = 0; i < q->num_columns; i++) {
        df_cell cell;
        df_table_get(q->table, row, q->columns[i], &cell);
        if (format == 'j') {
            printf("%s", i > 0 ? ", " : "  {");
            print_quoted(df_table_column_name(q->table, q->columns[i]), true);
            printf(": ");
            print_json_cell(&cell);
        } else if (format == 'c') {
            printf("%s", i > 0 ? "," : "");
            print_csv_cell(&cell);
        } else {
            printf("%s", i > 0 ? " " : "");
            print_text_cell(&cell, width_of(q, q->columns[i]));
        }
    }
}

static void print_heads(const query *q, char format)
{
    for (int i = 0; i < q->num_columns && format != 'j'; i++) {
        const char *const name = df_table_column_name(q->table, q->columns[i]);
        if (format == 'c') {
            printf("%s%s", i > 0 ? "," : "", name);
        } else {
            printf("%s%*s", i > 0 ? " " : "", width_of(q, q->columns[i]), name);
        }
    }
    puts(format == 'j' ? "[" : "");
}

static void print_rows(const query *q, int64_t top, char format)
{
    const int64_t count = top > 0 && top < q->count ? top : q->count;
    print_heads(q, format);
    for (int64_t i = 0; i < count; i++) {
        print_row(q, q->rows[i], format);
        puts(format != 'j' ? "" : i + 1 < count ? "}," : "}");
    }
    if (format == 'j') {
        puts("]");
    }
}

/* Below rows for people: what the predictions rest on. A file that this version cannot read has
 * rows all the same. */
static void print_basis(const char *path)
{
    char text[DF_REPORT_REST];
    df_results results;
    df_err ignored;
    if (df_results_open(path, &results, &ignored) == DF_OK) {
        if (df_report_rests_on(&results, text, &ignored) == DF_OK) {
            printf("%s\n", text);
        }
        df_results_close(&results);
    }
}

/* ---- The command ---- */

static df_status parse_where(query *q, const char *where, df_err *err)
{
    df_err cause;
    const df_status status = where ? df_filter_parse(q->table, where, &q->filter, &cause) : DF_OK;
    return status == DF_OK ? DF_OK : df_fail(err, status, "--where: %.900s", cause.text);
}

static df_status run_query(query *q, const query_args *a, df_err *err)
{
    char path[DF_SEARCH_PATH];
    df_search_results_path(a->file.word[0], path);
    DF_TRY(df_table_open(path, &q->table, err));
    DF_TRY(choose_columns(q, a, err));
    DF_TRY(choose_sorts(q, a->sort, err));
    DF_TRY(parse_where(q, a->where, err));
    DF_TRY(select_rows(q, err));
    return q->num_sorts > 0 ? sort_rows(q, err) : DF_OK;
}

int df_cmd_query(int argc, char **argv)
{
    query_args a = {.sort = "best_value", .format = "text"};
    query q = {.count = 0};
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    const df_status status = run_query(&q, &a, &err);
    if (status == DF_OK) {
        print_rows(&q, a.top, a.format[0]);
    }
    if (status == DF_OK && a.format[0] == 't') {
        char path[DF_SEARCH_PATH];
        df_search_results_path(a.file.word[0], path);
        print_basis(path);
    }
    free(q.rows);
    df_filter_free(q.filter);
    df_table_free(q.table);
    return status == DF_OK ? df_cli_finish(0) : df_cli_fail(status, &err);
}
