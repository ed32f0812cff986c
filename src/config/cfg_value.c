#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "config/cfg_impl.h"

_Static_assert(sizeof(df_mode) == sizeof(int) && sizeof(df_kp_type) == sizeof(int),
               "enums are stored as ints");

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *text)
{
    while (is_digit(*text)) {
        text++;
    }
    return text;
}

/* Reads a decimal number ("-1", ".5", "9e-6"); strtod alone takes "0x10" and "nan" too.
 * *rest points behind it. */
static bool read_number(const char *text, double *value, const char **rest)
{
    const char *at = text + (*text == '-' || *text == '+');
    const char *const whole = at;
    at = skip_digits(at);
    ptrdiff_t digits = at - whole;
    if (*at == '.') {
        const char *const fraction = at + 1;
        at = skip_digits(fraction);
        digits += at - fraction;
    }
    if (digits == 0) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        const char *const exponent = at + 1 + (at[1] == '-' || at[1] == '+');
        if (is_digit(*exponent)) {
            at = skip_digits(exponent);
        }
    }
    *value = strtod(text, NULL);
    *rest = at;
    return isfinite(*value);
}

static double prefix_factor(char prefix)
{
    switch (prefix) {
    case 'K':
    case 'k':
        return DF_KIB;
    case 'M':
        return DF_MIB;
    case 'G':
        return DF_GIB;
    case 'T':
        return DF_TIB;
    default:
        return 0;
    }
}

/* " GB", "Gib/s": to bytes. The prefixes are powers of 1024 with and without an i; one alone
 * means bytes. */
static bool read_unit(const char *text, bool rate, double *factor)
{
    while (*text == ' ') {
        text++;
    }
    *factor = 1;
    const double prefix = prefix_factor(*text);
    if (prefix > 0) {
        *factor = prefix;
        text += text[1] == 'i' ? 2 : 1;
        if (*text == '\0') {
            return true;
        }
    }
    if (*text == 'b') {
        *factor /= DF_BITS_PER_BYTE;
    } else if (*text != 'B') {
        return false;
    }
    text++;
    return *text == '\0' || (rate && strcmp(text, "/s") == 0);
}

bool df_opt_binary_rate(const df_opt *opt, const char *text, char note[DF_OPT_EXPECTED])
{
    static const char prefixes[] = "KMGT";
    const char *rest;
    double number;
    if (opt->kind != DF_OPT_RATE || !read_number(text, &number, &rest)) {
        return false;
    }
    while (*rest == ' ') {
        rest++;
    }
    const char *const prefix = strchr(prefixes, *rest == 'k' ? 'K' : *rest);
    if (*rest == '\0' || !prefix || rest[1] == 'i') { /* Gi clearly means 2^30 */
        return false;
    }
    const int thousands = (int)(prefix - prefixes) + 1;
    const bool bits = rest[1] == 'b';
    snprintf(note, DF_OPT_EXPECTED,
             "\"%.*s\" is %.15g * 2^%d%s bytes/s; write %.15ge%d for the %s of a data sheet",
             DF_OPT_SCALAR, text, number, 10 * thousands, bits ? " / 8" : "",
             bits ? number / DF_BITS_PER_BYTE : number, 3 * thousands, rest);
    return true;
}

/* Whether a text is the word, or one of the numbered ones that it stands for. */
static bool is_word(const df_word *word, const char *text, double *value)
{
    const char *rest;
    double number;
    const char *const mark = strchr(word->word, '#');
    *value = word->value;
    if (!mark) {
        return strcasecmp(word->word, text) == 0;
    }
    const size_t stem = (size_t)(mark - word->word);
    if (strncasecmp(word->word, text, stem) != 0 || !is_digit(text[stem]) ||
        !read_number(text + stem, &number, &rest) || *rest != '\0') {
        return false;
    }
    *value += number;
    return number == floor(number) && number >= 1.0 && number <= DF_OPT_NUMBERED;
}

static bool read_word(const df_word *words, const char *text, double *value)
{
    for (; words->word; words++) {
        if (is_word(words, text, value)) {
            return true;
        }
    }
    return false;
}

bool df_opt_takes(const df_opt *opt, double value)
{
    const df_opt_range *const range = &opt->range;
    const bool low = range->above_low ? value > range->low : value >= range->low;
    const bool high = range->below_high ? value < range->high : value <= range->high;
    return low && high;
}

static bool is_whole(const df_opt *opt)
{
    return opt->kind == DF_OPT_INT || opt->kind == DF_OPT_COUNT;
}

static bool has_units(const df_opt *opt)
{
    return opt->kind == DF_OPT_BYTES || opt->kind == DF_OPT_RATE;
}

static df_value_status parse_number(const df_opt *opt, const char *text, double *value)
{
    const char *rest;
    if (!read_number(text, value, &rest)) {
        return DF_VALUE_BAD;
    }
    if (*rest != '\0') {
        double factor;
        if (!has_units(opt) || !read_unit(rest, opt->kind == DF_OPT_RATE, &factor)) {
            return has_units(opt) ? DF_VALUE_BAD_UNIT : DF_VALUE_BAD;
        }
        *value *= factor;
    }
    if (is_whole(opt) && *value != floor(*value)) {
        return DF_VALUE_BAD;
    }
    return isfinite(*value) && df_opt_takes(opt, *value) ? DF_VALUE_OK : DF_VALUE_BAD;
}

/* "mlp, layernorm": words with commas between them. */
static bool read_set(const df_word *words, const char *text, double *value)
{
    char word[DF_OPT_SCALAR];
    unsigned bits = 0;
    while (*text != '\0') {
        double bit;
        const size_t length = strcspn(text, ", ");
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        if (length > 0 && !read_word(words, word, &bit)) {
            return false;
        }
        bits |= length > 0 ? (unsigned)bit : 0U;
        text += length;
        text += strspn(text, ", ");
    }
    *value = bits;
    return true;
}

df_value_status df_opt_parse(const df_opt *opt, const char *text, double *value)
{
    switch (opt->kind) {
    case DF_OPT_TEXT:
        *value = 0;
        return strlen(text) < DF_CFG_TEXT ? DF_VALUE_OK : DF_VALUE_BAD;
    case DF_OPT_LAYERS:
    case DF_OPT_DIMS:
        *value = 0;
        return DF_VALUE_OK;
    case DF_OPT_SET:
        return read_set(opt->words, text, value) ? DF_VALUE_OK : DF_VALUE_BAD;
    case DF_OPT_BOOL:
    case DF_OPT_ENUM:
    case DF_OPT_HABIT:
    case DF_OPT_CHOICE:
        return read_word(opt->words, text, value) ? DF_VALUE_OK : DF_VALUE_BAD;
    case DF_OPT_FORMAT:
        return read_word(opt->words, text, value) ? DF_VALUE_OK : parse_number(opt, text, value);
    case DF_OPT_REAL:
    case DF_OPT_BYTES:
    case DF_OPT_RATE:
    case DF_OPT_INT:
    case DF_OPT_COUNT:
        break;
    }
    return parse_number(opt, text, value);
}

void df_opt_range_text(const df_opt *opt, char text[DF_OPT_EXPECTED])
{
    const df_opt_range *const range = &opt->range;
    const bool low = range->low > -HUGE_VAL;
    /* The bound that keeps integers exact is not worth mentioning. */
    const bool high = range->high < (is_whole(opt) ? 0x1p39 : HUGE_VAL);
    const char *const above = range->above_low ? ">" : ">=";
    const char *const below = range->below_high ? "<" : "<=";
    text[0] = '\0';
    if (low && high) {
        snprintf(text, DF_OPT_EXPECTED, " %s %g and %s %g", above, range->low, below, range->high);
    } else if (low) {
        snprintf(text, DF_OPT_EXPECTED, " %s %g", above, range->low);
    } else if (high) {
        snprintf(text, DF_OPT_EXPECTED, " %s %g", below, range->high);
    }
}

/* "ring, fc or switch". */
static void list_words(const df_word *words, char text[DF_OPT_EXPECTED])
{
    const df_word *last = NULL;
    for (const df_word *w = words; w->word; w++) {
        last = w->alias ? last : w;
    }
    size_t used = 0;
    text[0] = '\0';
    for (const df_word *w = words; w->word && used < DF_OPT_EXPECTED; w++) {
        if (!w->alias) {
            const char *const comma = used == 0 ? "" : w == last ? " or " : ", ";
            used += (size_t)snprintf(text + used, DF_OPT_EXPECTED - used, "%s%s", comma, w->word);
        }
    }
}

/* "a number > 0", or the only one that there is. */
static void number_text(const df_opt *opt, char text[DF_OPT_EXPECTED])
{
    char range[DF_OPT_EXPECTED];
    if (opt->range.low == opt->range.high) {
        snprintf(text, DF_OPT_EXPECTED, "%g", opt->range.low);
        return;
    }
    df_opt_range_text(opt, range);
    snprintf(text, DF_OPT_EXPECTED, "%s%.100s", is_whole(opt) ? "a whole number" : "a number",
             range);
}

void df_opt_expected(const df_opt *opt, char text[DF_OPT_EXPECTED])
{
    char part[DF_OPT_EXPECTED];
    switch (opt->kind) {
    case DF_OPT_TEXT:
        snprintf(text, DF_OPT_EXPECTED, "a text of fewer than %d bytes", DF_CFG_TEXT);
        return;
    case DF_OPT_LAYERS:
        snprintf(text, DF_OPT_EXPECTED, "layers such as \"3 dense, 58 experts\"");
        return;
    case DF_OPT_SET:
        list_words(opt->words, part);
        snprintf(text, DF_OPT_EXPECTED, "a list of %.400s", part);
        return;
    case DF_OPT_DIMS:
        snprintf(text, DF_OPT_EXPECTED, "a list such as [{kind: switch, size: 8}]");
        return;
    case DF_OPT_BOOL:
    case DF_OPT_ENUM:
    case DF_OPT_HABIT:
    case DF_OPT_CHOICE:
        list_words(opt->words, text);
        return;
    case DF_OPT_FORMAT: {
        char number[DF_OPT_EXPECTED];
        list_words(opt->words, part);
        number_text(opt, number);
        snprintf(text, DF_OPT_EXPECTED, "%.160s, or %.60s", part,
                 strcmp(opt->unit, "bytes") == 0 ? "a number of bytes > 0" : number);
        return;
    }
    case DF_OPT_REAL:
    case DF_OPT_BYTES:
    case DF_OPT_RATE:
    case DF_OPT_INT:
    case DF_OPT_COUNT:
        break;
    }
    number_text(opt, part);
    const int used = snprintf(text, DF_OPT_EXPECTED, "%.120s", part);
    if (opt->unit[0] != '\0') {
        snprintf(text + used, DF_OPT_EXPECTED - (size_t)used, " (%s%s)", opt->unit,
                 has_units(opt) ? ", or with K, M, G or T and B or b" : "");
    }
}

void df_opt_store(const df_opt *opt, double value, df_cfg *cfg)
{
    if (opt->offset == DF_OPT_NOT_KEPT) {
        return;
    }
    char *const field = (char *)cfg + opt->offset;
    switch (opt->kind) {
    case DF_OPT_TEXT:
    case DF_OPT_LAYERS:
    case DF_OPT_DIMS:
        return;
    case DF_OPT_INT: {
        const int64_t whole = (int64_t)value;
        memcpy(field, &whole, sizeof whole);
        return;
    }
    case DF_OPT_BOOL: {
        const bool truth = value != 0;
        memcpy(field, &truth, sizeof truth);
        return;
    }
    case DF_OPT_ENUM:
    case DF_OPT_HABIT: {
        const int number = (int)value;
        memcpy(field, &number, sizeof number);
        return;
    }
    case DF_OPT_REAL:
    case DF_OPT_BYTES:
    case DF_OPT_RATE:
    case DF_OPT_COUNT:
    case DF_OPT_CHOICE:
    case DF_OPT_FORMAT:
    case DF_OPT_SET:
        memcpy(field, &value, sizeof value);
        return;
    }
}

double df_opt_load(const df_opt *opt, const df_cfg *cfg)
{
    const char *const field = (const char *)cfg + opt->offset;
    double real = 0;
    int64_t whole;
    bool truth;
    int number;
    switch (opt->kind) {
    case DF_OPT_INT:
        memcpy(&whole, field, sizeof whole);
        return (double)whole;
    case DF_OPT_BOOL:
        memcpy(&truth, field, sizeof truth);
        return truth;
    case DF_OPT_ENUM:
    case DF_OPT_HABIT:
        memcpy(&number, field, sizeof number);
        return number;
    case DF_OPT_REAL:
    case DF_OPT_BYTES:
    case DF_OPT_RATE:
    case DF_OPT_COUNT:
    case DF_OPT_CHOICE:
    case DF_OPT_FORMAT:
    case DF_OPT_SET:
        memcpy(&real, field, sizeof real);
        return real;
    case DF_OPT_LAYERS:
        return ((const df_cfg_layers *)(const void *)field)->count;
    case DF_OPT_TEXT:
    case DF_OPT_DIMS:
        break;
    }
    return real;
}

void df_opt_store_text(const df_opt *opt, const char *text, df_cfg *cfg)
{
    if (opt->offset != DF_OPT_NOT_KEPT) {
        snprintf((char *)cfg + opt->offset, DF_CFG_TEXT, "%s", text);
    }
}

void df_opt_store_presets(df_cfg *cfg)
{
    for (int i = 0; i < df_num_opts; i++) {
        df_opt_store(&df_opts[i], df_opts[i].absent.preset, cfg);
    }
}
