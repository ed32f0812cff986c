#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "config/axis.h"

enum { NAME_ROOM = 64, LIST_ROOM = 256, ARGS_MAX = 64 };

/* ---- Rows ---- */

df_arg df_arg_text(const char *name, const char **value, const char *help)
{
    return (df_arg){.name = name, .type = DF_ARG_TEXT, .value = value, .help = help};
}

df_arg df_arg_choice(const char *name, const char **value, const char *choices, const char *help)
{
    df_arg arg = df_arg_text(name, value, help);
    arg.choices = choices;
    return arg;
}

df_arg df_arg_bool(const char *name, bool *value, const char *help)
{
    return (df_arg){.name = name, .type = DF_ARG_BOOL, .value = value, .help = help};
}

static df_arg number(const char *name, df_arg_type type, void *value, const char *help)
{
    return (df_arg){.name = name, .type = type, .value = value, .help = help};
}

df_arg df_arg_int(const char *name, int64_t *value, int64_t low, int64_t high, const char *help)
{
    df_arg arg = number(name, DF_ARG_INT, value, help);
    arg.low = (double)low;
    arg.high = (double)high;
    return arg;
}

df_arg df_arg_real(const char *name, double *value, double low, double high, const char *help)
{
    df_arg arg = number(name, DF_ARG_REAL, value, help);
    arg.low = low;
    arg.high = high;
    return arg;
}

df_arg
df_arg_list(const char *name, df_int_list *value, int64_t low, int64_t high, const char *help)
{
    df_arg arg = number(name, DF_ARG_INT_LIST, value, help);
    arg.low = (double)low;
    arg.high = (double)high;
    return arg;
}

df_arg df_arg_words(const char *name, df_words *value, int low, int high, const char *help)
{
    df_arg arg = number(name, DF_ARG_WORDS, value, help);
    arg.low = low;
    arg.high = high;
    return arg;
}

df_arg df_arg_letter(df_arg arg, char letter)
{
    arg.letter = letter;
    return arg;
}

df_arg df_arg_required(df_arg arg)
{
    arg.required = true;
    return arg;
}

/* ---- Words ---- */

/* Splits "--batch-size=3" into the name "batch_size" and the text "3" (NULL if there is
 * no "="). False if it is not an option. */
static bool split_option(const char *word, char name[NAME_ROOM], const char **value)
{
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0') {
        return false;
    }
    const char *const body = word + 2;
    const size_t length = strcspn(body, "=");
    snprintf(name, NAME_ROOM, "%.*s", (int)length, body);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '-') {
            *c = '_';
        }
    }
    *value = body[length] == '=' ? body + length + 1 : NULL;
    return true;
}

static const df_arg *find_arg(const df_command *command, const char *name)
{
    for (int i = 0; i < command->num_args; i++) {
        const df_arg *const arg = &command->args[i];
        if (arg->type != DF_ARG_WORDS && strcmp(arg->name, name) == 0) {
            return arg;
        }
    }
    return NULL;
}

/* The option of "-o", NULL for any other word. */
static const df_arg *find_letter(const df_command *command, const char *word)
{
    for (int i = 0; i < command->num_args && word[0] == '-' && word[1] != '\0'; i++) {
        if (command->args[i].letter == word[1] && word[2] == '\0') {
            return &command->args[i];
        }
    }
    return NULL;
}

static df_arg *find_words(const df_command *command)
{
    for (int i = 0; i < command->num_args; i++) {
        if (command->args[i].type == DF_ARG_WORDS) {
            return &command->args[i];
        }
    }
    return NULL;
}

static df_status fail_unknown(const df_command *command, const char *name, df_err *err)
{
    const int near = command->num_args == 0
                         ? -1
                         : df_nearest(name, &command->args[0].name, (size_t)command->num_args,
                                      sizeof command->args[0]);
    if (near < 0 || command->args[near].type == DF_ARG_WORDS) {
        return df_fail(err, DF_EINVAL,
                       "--%s: expected an option of %s (see --help), found an unknown one", name,
                       command->name);
    }
    return df_fail(err, DF_EINVAL,
                   "--%s: expected an option of %s (did you mean --%s?), found an unknown one",
                   name, command->name, command->args[near].name);
}

/* ---- Values ---- */

static bool bounded(const df_arg *arg)
{
    return arg->low != 0 || arg->high != 0;
}

static bool in_bounds(const df_arg *arg, double value)
{
    return !bounded(arg) || (value >= arg->low && value <= arg->high);
}

static void bounds_text(const df_arg *arg, char text[LIST_ROOM])
{
    text[0] = '\0';
    if (bounded(arg) && isfinite(arg->high)) {
        snprintf(text, LIST_ROOM, " from %.15g to %.15g", arg->low, arg->high);
    } else if (bounded(arg)) {
        snprintf(text, LIST_ROOM, " >= %.15g", arg->low);
    }
}

static df_status fail_value(const df_arg *arg, const char *expected, const char *found, df_err *err)
{
    char bounds[LIST_ROOM];
    bounds_text(arg, bounds);
    return df_fail(err, DF_EINVAL, "--%s: expected %s%s, found %s", arg->name, expected, bounds,
                   *found != '\0' ? found : "nothing");
}

/* Reads an integer up to `end`, one of the characters after it. */
static bool read_int(const char *text, char **end, int64_t *value)
{
    if (isspace((unsigned char)*text)) {
        return false;
    }
    errno = 0;
    const long long number = strtoll(text, end, 10);
    *value = number;
    return *end != text && errno == 0;
}

static df_status parse_int(const df_arg *arg, const char *text, df_err *err)
{
    char *end;
    int64_t value;
    if (!read_int(text, &end, &value) || *end != '\0' || !in_bounds(arg, (double)value)) {
        return fail_value(arg, "a whole number", text, err);
    }
    *(int64_t *)arg->value = value;
    return DF_OK;
}

static df_status parse_list(const df_arg *arg, const char *text, df_err *err)
{
    df_int_list list = {.count = 0};
    const char *at = text;
    for (;;) {
        char *end;
        int64_t value;
        if (!read_int(at, &end, &value) || (*end != '\0' && *end != ',') ||
            !in_bounds(arg, (double)value)) {
            return fail_value(arg, "whole numbers separated by commas", text, err);
        }
        if (list.count == DF_INT_LIST_MAX) {
            return df_fail(err, DF_EINVAL, "--%s: expected at most %d numbers, found more",
                           arg->name, (int)DF_INT_LIST_MAX);
        }
        list.value[list.count++] = value;
        if (*end == '\0') {
            *(df_int_list *)arg->value = list;
            return DF_OK;
        }
        at = end + 1;
    }
}

static df_status parse_real(const df_arg *arg, const char *text, df_err *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || isspace((unsigned char)*text) || !isfinite(value) ||
        !in_bounds(arg, value)) {
        return fail_value(arg, "a number", text, err);
    }
    *(double *)arg->value = value;
    return DF_OK;
}

static bool read_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"true", "True", "1"};
    static const char *const no[] = {"false", "False", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *value = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static df_status parse_text(const df_arg *arg, const char *text, df_err *err)
{
    if (arg->choices) {
        const size_t length = strlen(text);
        const char *choice = arg->choices;
        while (!(strcspn(choice, "|") == length && strncmp(choice, text, length) == 0)) {
            choice += strcspn(choice, "|");
            if (*choice == '\0') {
                return fail_value(arg, arg->choices, text, err);
            }
            choice++;
        }
    } else if (*text == '\0') {
        return fail_value(arg, "a text", text, err);
    }
    *(const char **)arg->value = text;
    return DF_OK;
}

static df_status parse_value(const df_arg *arg, const char *text, df_err *err)
{
    switch (arg->type) {
    case DF_ARG_TEXT:
        return parse_text(arg, text, err);
    case DF_ARG_INT:
        return parse_int(arg, text, err);
    case DF_ARG_REAL:
        return parse_real(arg, text, err);
    case DF_ARG_INT_LIST:
        return parse_list(arg, text, err);
    case DF_ARG_BOOL:
    case DF_ARG_WORDS:
        break;
    }
    return read_bool(text, arg->value) ? DF_OK : fail_value(arg, "true or false", text, err);
}

/* ---- Command lines ---- */

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* All that are missing at once. */
static df_status require_options(const df_command *command, const bool *given, df_err *err)
{
    char names[LIST_ROOM] = "";
    size_t used = 0;
    int missing = 0;
    for (int i = 0; i < command->num_args && used < sizeof names; i++) {
        if (command->args[i].required && !given[i]) {
            used += (size_t)snprintf(names + used, sizeof names - used, "%s--%s",
                                     missing > 0 ? ", " : "", command->args[i].name);
            missing++;
        }
    }
    return missing == 0 ? DF_OK
                        : df_fail(err, DF_EINVAL, "%s: expected a value%s, found nothing", names,
                                  missing > 1 ? " each" : "");
}

static df_status require_given(const df_command *command, const bool *given, df_err *err)
{
    DF_TRY(require_options(command, given, err));
    for (int i = 0; i < command->num_args; i++) {
        const df_arg *const arg = &command->args[i];
        if (arg->type == DF_ARG_WORDS && ((const df_words *)arg->value)->count < (int)arg->low) {
            return df_fail(err, DF_EINVAL, "%s: expected at least %d (see --help), found %d",
                           arg->name, (int)arg->low, ((const df_words *)arg->value)->count);
        }
    }
    return DF_OK;
}

/* Takes a word that belongs to no option. */
static df_status take_word(const df_command *command, const char *word, df_err *err)
{
    const df_arg *const arg = find_words(command);
    if (!arg || (word[0] == '-' && word[1] != '\0')) {
        return df_fail(err, DF_EINVAL, "%s: expected an option (--NAME VALUE), found a word", word);
    }
    df_words *const words = arg->value;
    if (words->count >= (int)arg->high) {
        return df_fail(err, DF_EINVAL, "%s: expected at most %d, found %s too", arg->name,
                       (int)arg->high, word);
    }
    if (*word == '\0') {
        return df_fail(err, DF_EINVAL, "%s: expected a text, found nothing", arg->name);
    }
    words->word[words->count++] = word;
    return DF_OK;
}

/* Parses the value of an option: `text` after its =, or else the word at argv[*at], which it
 * moves past. */
static df_status
take_value(const df_arg *arg, const char *text, int argc, char **argv, int *at, df_err *err)
{
    if (!text && *at < argc && arg->type == DF_ARG_BOOL) {
        bool ignored;
        if (!read_bool(argv[*at], &ignored)) {
            *(bool *)arg->value = true; /* the next word is another option */
            return DF_OK;
        }
    }
    if (!text && *at < argc && strncmp(argv[*at], "--", 2) != 0) {
        text = argv[(*at)++];
    }
    if (!text && arg->type == DF_ARG_BOOL) {
        *(bool *)arg->value = true;
        return DF_OK;
    }
    return parse_value(arg, text ? text : "", err);
}

/* Parses the word at argv[*at] and moves *at past it and its value. */
static df_status
parse_word(const df_command *command, int argc, char **argv, int *at, bool *given, df_err *err)
{
    char name[NAME_ROOM];
    const char *text = NULL;
    const df_arg *arg = find_letter(command, argv[*at]);
    if (!arg) {
        if (!split_option(argv[*at], name, &text)) {
            return take_word(command, argv[(*at)++], err);
        }
        arg = find_arg(command, df_axis_name_of(name));
    }
    if (!arg) {
        return fail_unknown(command, name, err);
    }
    if (given[arg - command->args]) {
        return df_fail(err, DF_EINVAL, "--%s: expected once, found twice", arg->name);
    }
    given[arg - command->args] = true;
    (*at)++;
    return take_value(arg, text, argc, argv, at, err);
}

df_status df_args_parse(const df_command *command, int argc, char **argv, bool *help, df_err *err)
{
    bool given[ARGS_MAX] = {false};
    *help = wants_help(argc, argv);
    if (*help) {
        return DF_OK;
    }
    for (int at = 0; at < argc;) {
        DF_TRY(parse_word(command, argc, argv, &at, given, err));
    }
    return require_given(command, given, err);
}

/* ---- Help ---- */

static void value_text(const df_arg *arg, char text[LIST_ROOM])
{
    text[0] = '\0';
    switch (arg->type) {
    case DF_ARG_TEXT:
        snprintf(text, LIST_ROOM, "%s",
                 *(const char **)arg->value ? *(const char **)arg->value : "");
        return;
    case DF_ARG_INT:
        snprintf(text, LIST_ROOM, "%" PRId64, *(int64_t *)arg->value);
        return;
    case DF_ARG_REAL:
        snprintf(text, LIST_ROOM, "%g", *(double *)arg->value);
        return;
    case DF_ARG_BOOL:
        snprintf(text, LIST_ROOM, "%s", *(bool *)arg->value ? "true" : "false");
        return;
    case DF_ARG_INT_LIST: {
        const df_int_list *const list = arg->value;
        size_t used = 0;
        for (int i = 0; i < list->count && used < LIST_ROOM; i++) {
            used += (size_t)snprintf(text + used, LIST_ROOM - used, "%s%" PRId64, i ? "," : "",
                                     list->value[i]);
        }
        return;
    }
    case DF_ARG_WORDS:
        return;
    }
}

static const char *placeholder(const df_arg *arg)
{
    switch (arg->type) {
    case DF_ARG_TEXT:
        return arg->choices ? arg->choices : "TEXT";
    case DF_ARG_INT:
        return "N";
    case DF_ARG_REAL:
        return "X";
    case DF_ARG_INT_LIST:
        return "N[,N...]";
    case DF_ARG_BOOL:
    case DF_ARG_WORDS:
        break;
    }
    return "[true|false]";
}

/* "  --name VALUE", "  -o, --name VALUE" or "  NAME". */
static void print_head(const df_arg *arg, FILE *out)
{
    if (arg->type == DF_ARG_WORDS) {
        fprintf(out, "  %s%s\n", arg->name, arg->high > 1 ? " ..." : "");
        return;
    }
    fputs("  ", out);
    if (arg->letter) {
        fprintf(out, "-%c, ", arg->letter);
    }
    fprintf(out, "--%s %s\n", arg->name, placeholder(arg));
}

void df_args_print_help(const df_command *command, FILE *out)
{
    fprintf(out, "deepflow %s: %s\n\n", command->name, command->summary);
    for (int i = 0; i < command->num_args; i++) {
        const df_arg *const arg = &command->args[i];
        char text[LIST_ROOM];
        value_text(arg, text);
        print_head(arg, out);
        fprintf(out, "      %s", arg->help);
        if (arg->required) {
            fputs(" (required)", out);
        } else if (text[0] != '\0') {
            fprintf(out, " (default %s)", text);
        }
        fputc('\n', out);
    }
    if (command->examples) {
        fprintf(out, "\n%s", command->examples);
    }
}
