#include "golden/cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETTINGS = 240, MAX_BASES = 16, MAX_COLUMNS = 32 };

typedef struct {
    const char *path, *value;
} setting;

typedef struct {
    setting all[MAX_SETTINGS];
    int count;
} settings;

typedef struct {
    const char *name;
    settings of;
} base;

/* Everything of one run: texts of the files, bases, and the case being read. */
typedef struct {
    char *bases_text, *cases_text;
    base bases[MAX_BASES];
    int num_bases;
    settings now;
    df_case current;
    char *expect; /* room for all lines of a case */
    size_t expect_length;
} reader;

/* ---- Settings ---- */

/* Length of the common beginning of two paths that ends with a dot. */
static size_t common_dots(const char *a, const char *b)
{
    size_t common = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++) {
        if (a[i] == '.') {
            common = i + 1;
        }
    }
    return common;
}

/* Puts a setting behind its nearest relative, so that mappings stay together. */
static void settings_put(settings *s, const char *path, const char *value)
{
    int behind = s->count - 1;
    size_t nearest = 0;
    for (int i = 0; i < s->count; i++) {
        if (strcmp(s->all[i].path, path) == 0) {
            s->all[i].value = value;
            return;
        }
        const size_t common = common_dots(s->all[i].path, path);
        if (common > 0 && common >= nearest) {
            nearest = common;
            behind = i;
        }
    }
    assert_in_range(s->count, 0, MAX_SETTINGS - 1);
    memmove(&s->all[behind + 2], &s->all[behind + 1],
            (size_t)(s->count - behind - 1) * sizeof *s->all);
    s->all[behind + 1] = (setting){path, value};
    s->count++;
}

static void settings_drop(settings *s, const char *path)
{
    for (int i = 0; i < s->count; i++) {
        if (strcmp(s->all[i].path, path) == 0) {
            s->count--;
            memmove(&s->all[i], &s->all[i + 1], (size_t)(s->count - i) * sizeof *s->all);
            return;
        }
    }
    fail_msg("no setting %s to remove", path);
}

/* The lines of one setting: mappings that it opens, then key and value. */
static void write_setting(FILE *out, const char *before, const setting *s)
{
    const size_t known = common_dots(before, s->path);
    int depth = 0;
    const char *part = s->path;
    for (const char *dot; (dot = strchr(part, '.')); part = dot + 1, depth++) {
        if ((size_t)(part - s->path) >= known) {
            fprintf(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - part), part);
        }
    }
    fprintf(out, "%*s%s: %s\n", 2 * depth, "", part, s->value);
}

/* The YAML document of the settings that are (or are not) the model's. */
static char *settings_yaml(const settings *s, bool of_model)
{
    static const char MODEL[] = "model_param.";
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    const char *before = "";
    for (int i = 0; i < s->count; i++) {
        if ((strncmp(s->all[i].path, MODEL, strlen(MODEL)) == 0) == of_model) {
            write_setting(out, before, &s->all[i]);
            before = s->all[i].path;
        }
    }
    assert_int_equal(fclose(out), 0);
    if (size == 0) {
        free(text);
        text = NULL;
    }
    return text;
}

/* ---- Reading ---- */

/* Cuts the next line off *rest; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest;
    if (!line || *line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : NULL;
    if (end) {
        *end = '\0';
    }
    return line;
}

/* Cuts the next word off *rest; NULL at the end. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " ");
    if (*word == '\0') {
        return NULL;
    }
    char *end = word + strcspn(word, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static const settings *find_base(const reader *r, const char *name)
{
    for (int i = 0; i < r->num_bases; i++) {
        if (strcmp(r->bases[i].name, name) == 0) {
            return &r->bases[i].of;
        }
    }
    fail_msg("no base %s", name);
    return NULL;
}

/* "NAME BASE ...": the settings become those of the bases. Returns the name. */
static const char *begin(const reader *r, settings *s, char *words)
{
    const char *name = next_word(&words);
    s->count = 0;
    for (char *word; (word = next_word(&words));) {
        const settings *from = find_base(r, word);
        for (int i = 0; i < from->count; i++) {
            settings_put(s, from->all[i].path, from->all[i].value);
        }
    }
    return name;
}

static void read_setting(settings *s, char *line)
{
    if (*line == '!') {
        settings_drop(s, line + 1);
        return;
    }
    char *equals = strstr(line, " = ");
    if (!equals) {
        fail_msg("neither a setting nor anything else: %s", line);
        return;
    }
    *equals = '\0';
    settings_put(s, line, equals + 3);
}

static void read_bases(reader *r)
{
    char *rest = r->bases_text;
    for (char *line; (line = next_line(&rest));) {
        if (*line == '\0' || *line == '#') {
            continue;
        }
        if (strncmp(line, "@base ", 6) == 0) {
            assert_in_range(r->num_bases, 0, MAX_BASES - 1);
            base *b = &r->bases[r->num_bases];
            b->name = begin(r, &b->of, line + 6);
            r->num_bases++;
            continue;
        }
        assert_true(r->num_bases > 0);
        read_setting(&r->bases[r->num_bases - 1].of, line);
    }
}

/* Checks the case that has been read, if there is one. Returns whether it passed. */
static bool finish_case(reader *r, bool (*check)(const df_case *, void *), void *context)
{
    if (!r->current.name) {
        return true;
    }
    r->current.hardware = settings_yaml(&r->now, false);
    r->current.model = settings_yaml(&r->now, true);
    r->current.expect = r->expect;
    const bool passed = check(&r->current, context);
    if (!passed) {
        print_error("case %s fails\n", r->current.name);
    }
    free(r->current.hardware);
    free(r->current.model);
    r->current = (df_case){0};
    r->expect[0] = '\0';
    r->expect_length = 0;
    return passed;
}

static void add_expectation(reader *r, const char *line)
{
    const size_t length = strlen(line);
    memcpy(r->expect + r->expect_length, line, length);
    r->expect_length += length;
    r->expect[r->expect_length++] = '\n';
    r->expect[r->expect_length] = '\0';
}

static void read_case_line(reader *r, char *line)
{
    if (strncmp(line, "@case ", 6) == 0) {
        r->current.name = begin(r, &r->now, line + 6);
    } else if (strcmp(line, "> error") == 0) {
        r->current.refused = true;
    } else if (*line == '>') {
        add_expectation(r, line + 1);
    } else {
        read_setting(&r->now, line);
    }
}

static char *read_golden(const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", DF_TEST_DATA, file);
    return df_read_file(path);
}

int df_cases_check(const char *file, bool (*check)(const df_case *, void *), void *context)
{
    reader *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->bases_text = read_golden("bases.txt");
    r->cases_text = read_golden(file);
    r->expect = calloc(strlen(r->cases_text) + 2, 1);
    assert_non_null(r->expect);
    read_bases(r);
    int count = 0;
    int failed = 0;
    char *rest = r->cases_text;
    for (char *line; (line = next_line(&rest));) {
        if (*line == '\0' || *line == '#') {
            continue;
        }
        if (*line == '@') {
            failed += !finish_case(r, check, context);
            count++;
        }
        read_case_line(r, line);
    }
    failed += !finish_case(r, check, context);
    free(r->bases_text);
    free(r->cases_text);
    free(r->expect);
    free(r);
    if (failed > 0) {
        fail_msg("%d of %d cases of %s fail", failed, count, file);
    }
    return count;
}

/* ---- Comparing ---- */

bool df_case_close(double a, double b, double tol)
{
    return a == b || fabs(a - b) <= tol * fmax(fabs(a), fabs(b));
}

/* Compares one "key=value". */
static bool compare_one(const df_case *c,
                        const char *group,
                        char *word,
                        df_case_value value_of,
                        const void *result,
                        double tol)
{
    char *value = strchr(word, '=');
    *value++ = '\0';
    double number = NAN;
    const char *text = NULL;
    if (!value_of(result, group, word, &number, &text)) {
        print_error("%s: nothing known of %s %s\n", c->name, group, word);
        return false;
    }
    if (text) {
        if (strcmp(text, value) != 0) {
            print_error("%s: %s %s is %s, expected %s\n", c->name, group, word, text, value);
            return false;
        }
        return true;
    }
    char *end;
    const double want = strtod(value, &end);
    if (end == value || *end != '\0' || !df_case_close(number, want, tol)) {
        print_error("%s: %s %s is %.17g, expected %s\n", c->name, group, word, number, value);
        return false;
    }
    return true;
}

bool df_case_compare(const df_case *c, df_case_value value_of, const void *result, double tol)
{
    char *copy = strdup(c->expect);
    assert_non_null(copy);
    bool same = *copy != '\0'; /* a case that expects nothing tests nothing */
    char *rest = copy;
    for (char *line; (line = next_line(&rest));) {
        const char *group = "";
        for (char *word; (word = next_word(&line));) {
            if (!strchr(word, '=')) {
                group = word;
            } else if (!compare_one(c, group, word, value_of, result, tol)) {
                same = false;
            }
        }
    }
    free(copy);
    return same;
}

/* ---- CSV ---- */

struct df_csv {
    char *text, *rest;
    char *columns[MAX_COLUMNS];
    char *fields[MAX_COLUMNS];
    int num_columns;
};

/* Splits a line at its commas; returns how many fields there are. */
static int split(char *line, char *fields[MAX_COLUMNS])
{
    int count = 0;
    while (line) {
        assert_in_range(count, 0, MAX_COLUMNS - 1);
        fields[count++] = line;
        line = strchr(line, ',');
        if (line) {
            *line++ = '\0';
        }
    }
    return count;
}

df_csv *df_csv_open(const char *file)
{
    df_csv *csv = calloc(1, sizeof *csv);
    assert_non_null(csv);
    csv->text = read_golden(file);
    csv->rest = csv->text;
    char *line;
    do {
        line = next_line(&csv->rest);
        assert_non_null(line);
    } while (*line == '#');
    csv->num_columns = split(line, csv->columns);
    return csv;
}

bool df_csv_next(df_csv *csv)
{
    char *line = next_line(&csv->rest);
    if (!line) {
        return false;
    }
    assert_int_equal(split(line, csv->fields), csv->num_columns);
    return true;
}

const char *df_csv_text(const df_csv *csv, const char *column)
{
    for (int i = 0; i < csv->num_columns; i++) {
        if (strcmp(csv->columns[i], column) == 0) {
            return csv->fields[i];
        }
    }
    fail_msg("no column %s", column);
    return NULL;
}

double df_csv_number(const df_csv *csv, const char *column)
{
    const char *text = df_csv_text(csv, column);
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0') {
        fail_msg("no number in column %s: %s", column, text);
    }
    return number;
}

void df_csv_close(df_csv *csv)
{
    free(csv->text);
    free(csv);
}
