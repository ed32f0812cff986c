#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/table.h"

/* The expression in postfix order, as it is parsed:
 *     or:   and ("or" and)*      and:  not ("and" not)*
 *     not:  "not" not | "(" or ")" | COLUMN OPERATOR VALUE */
typedef enum { COMPARE, AND, OR, NOT } step_kind;
typedef enum { EQUAL, UNEQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL } relation;

enum { STEPS = 256, DEPTH = 64, WORD = DF_CELL_TEXT };

typedef struct {
    step_kind kind;
    int column;
    relation relation;
    df_cell value;
} step;

struct df_filter {
    step steps[STEPS];
    int count;
};

typedef struct {
    const df_table *table;
    const char *text, *at;
    df_filter *filter;
    int depth;
    df_err *err;
} parser;

static void skip_space(parser *p)
{
    while (isspace((unsigned char)*p->at)) {
        p->at++;
    }
}

static df_status fail_at(const parser *p, const char *expected, const char *hint)
{
    const size_t length = strcspn(p->at, " \t\n()=!<>");
    const int shown = length > 0 ? (int)length : 1;
    return df_fail(p->err, DF_EINVAL, "column %d: expected %s%s%s%s, found %.*s",
                   (int)(p->at - p->text) + 1, expected, hint ? " (did you mean " : "",
                   hint ? hint : "", hint ? "?)" : "", *p->at ? shown : 3, *p->at ? p->at : "end");
}

/* Takes a keyword. */
static bool take_word(parser *p, const char *word)
{
    skip_space(p);
    const size_t length = strlen(word);
    if (strncmp(p->at, word, length) != 0 || isalnum((unsigned char)p->at[length]) ||
        p->at[length] == '_') {
        return false;
    }
    p->at += length;
    return true;
}

static df_status add_step(parser *p, const step *s)
{
    if (p->filter->count == STEPS) {
        return df_fail(p->err, DF_EINVAL, "expected at most %d comparisons, found more", STEPS / 2);
    }
    p->filter->steps[p->filter->count++] = *s;
    return DF_OK;
}

static df_status parse_column(parser *p, int *column)
{
    char name[WORD];
    skip_space(p);
    const size_t length =
        strspn(p->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    snprintf(name, sizeof name, "%.*s", (int)length, p->at);
    *column = length > 0 ? df_table_find(p->table, name) : -1;
    if (*column < 0) {
        return fail_at(p, "the name of a column",
                       length > 0 ? df_table_nearest(p->table, name) : NULL);
    }
    p->at += length;
    return DF_OK;
}

static df_status parse_relation(parser *p, relation *out)
{
    static const struct {
        const char *text;
        relation means;
    } all[] = {{"==", EQUAL}, {"!=", UNEQUAL}, {"<=", LESS_EQUAL}, {">=", GREATER_EQUAL},
               {"<", LESS},   {">", GREATER},  {"=", EQUAL}};
    skip_space(p);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strncmp(p->at, all[i].text, strlen(all[i].text)) == 0) {
            *out = all[i].means;
            p->at += strlen(all[i].text);
            return DF_OK;
        }
    }
    return fail_at(p, "= != < <= > or >=", NULL);
}

static df_status parse_value(parser *p, bool is_text, df_cell *out)
{
    skip_space(p);
    memset(out, 0, sizeof *out);
    out->is_text = is_text;
    if (!is_text) {
        char *end;
        out->number = strtod(p->at, &end);
        if (end == p->at || isalnum((unsigned char)*end)) {
            return fail_at(p, "a number", NULL);
        }
        p->at = end;
        return DF_OK;
    }
    const bool quoted = *p->at == '\'' || *p->at == '"';
    const char quote[2] = {*p->at, '\0'};
    const char *const begin = p->at + quoted;
    const size_t length = strcspn(begin, quoted ? quote : " \t\n()=!<>");
    if (quoted ? begin[length] == '\0' : length == 0) {
        return fail_at(p, quoted ? "a closing quote" : "a word", NULL);
    }
    snprintf(out->text, sizeof out->text, "%.*s", (int)length, begin);
    p->at = begin + length + quoted;
    return DF_OK;
}

static df_status parse_comparison(parser *p)
{
    step s = {.kind = COMPARE};
    DF_TRY(parse_column(p, &s.column));
    DF_TRY(parse_relation(p, &s.relation));
    DF_TRY(parse_value(p, df_table_column_is_text(p->table, s.column), &s.value));
    return add_step(p, &s);
}

static df_status parse_or(parser *p);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as parentheses, which are counted */
static df_status parse_not(parser *p)
{
    static const step negation = {.kind = NOT};
    bool negated = false;
    while (take_word(p, "not")) {
        negated = !negated;
    }
    skip_space(p);
    if (*p->at == '(') {
        if (++p->depth > DEPTH) {
            return fail_at(p, "fewer parentheses", NULL);
        }
        p->at++;
        DF_TRY(parse_or(p));
        skip_space(p);
        if (*p->at != ')') {
            return fail_at(p, "`and`, `or` or )", NULL);
        }
        p->at++;
        p->depth--;
    } else {
        DF_TRY(parse_comparison(p));
    }
    return negated ? add_step(p, &negation) : DF_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static df_status parse_and(parser *p)
{
    static const step both = {.kind = AND};
    DF_TRY(parse_not(p));
    while (take_word(p, "and")) {
        DF_TRY(parse_not(p));
        DF_TRY(add_step(p, &both));
    }
    return DF_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static df_status parse_or(parser *p)
{
    static const step either = {.kind = OR};
    DF_TRY(parse_and(p));
    while (take_word(p, "or")) {
        DF_TRY(parse_and(p));
        DF_TRY(add_step(p, &either));
    }
    return DF_OK;
}

df_status df_filter_parse(const df_table *table, const char *text, df_filter **out, df_err *err)
{
    df_filter *const filter = calloc(1, sizeof *filter);
    parser p = {.table = table, .text = text, .at = text, .filter = filter, .err = err};
    if (!filter) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = parse_or(&p);
    skip_space(&p);
    if (status == DF_OK && *p.at != '\0') {
        status = fail_at(&p, "`and`, `or` or the end", NULL);
    }
    if (status != DF_OK) {
        df_filter_free(filter);
        return status;
    }
    *out = filter;
    return DF_OK;
}

/* A value that is not a number compares false, except that it is unequal. */
static bool compare(const step *s, const df_cell *cell)
{
    const int order = cell->is_text ? strcmp(cell->text, s->value.text) : 0;
    const double a = cell->is_text ? order : cell->number;
    const double b = cell->is_text ? 0 : s->value.number;
    switch (s->relation) {
    case EQUAL:
        return a == b;
    case UNEQUAL:
        return a != b;
    case LESS:
        return a < b;
    case LESS_EQUAL:
        return a <= b;
    case GREATER:
        return a > b;
    case GREATER_EQUAL:
        break;
    }
    return a >= b;
}

bool df_filter_holds(const df_filter *filter, const df_table *table, int64_t row)
{
    bool stack[STEPS] = {false};
    int top = 0;
    for (int i = 0; i < filter->count; i++) {
        const step *const s = &filter->steps[i];
        if (s->kind == COMPARE) {
            df_cell cell;
            df_table_get(table, row, s->column, &cell);
            stack[top++] = compare(s, &cell);
        } else if (s->kind == NOT) {
            stack[top - 1] = !stack[top - 1];
        } else {
            top--;
            stack[top - 1] =
                s->kind == AND ? stack[top - 1] && stack[top] : stack[top - 1] || stack[top];
        }
    }
    return stack[0];
}

void df_filter_free(df_filter *filter)
{
    free(filter);
}
