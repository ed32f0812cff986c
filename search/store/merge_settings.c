#include "store/merge_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* These lines say which searches there are, not what the result of one is. */
static const char *const selecting[] = {
    "num_search", "first_index", "num_wafer",    "wafer_dim",    "num_nodes", "devices_per_node",
    "num_worker", "strategy",    "inter_derate", "intra_derate", "inter"};
enum { SELECTING = sizeof selecting / sizeof selecting[0], SHOWN = 100 };

/* A piece of a text. */
typedef struct {
    const char *at;
    size_t length;
} piece;

typedef struct {
    piece key, value;
} setting;

/* Takes the next line; false at the end. */
static bool next_setting(const char **text, setting *out)
{
    const size_t length = strcspn(*text, "\n");
    if (length == 0) {
        return false;
    }
    const char *const line = *text;
    size_t key = strcspn(line, "=");
    key = key < length ? key : length;
    out->key = (piece){line, key};
    out->value = (piece){line + key + (key < length), length > key ? length - key - 1 : 0};
    *text += length + (line[length] == '\n');
    return true;
}

static bool same(piece a, piece b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static bool is(piece a, const char *text)
{
    return same(a, (piece){text, strlen(text)});
}

static bool find(const char *text, piece key, setting *out)
{
    while (next_setting(&text, out)) {
        if (same(out->key, key)) {
            return true;
        }
    }
    return false;
}

static bool selects(piece key)
{
    for (int i = 0; i < SELECTING; i++) {
        if (is(key, selecting[i])) {
            return true;
        }
    }
    return false;
}

static int shown(piece text)
{
    return text.length < SHOWN ? (int)text.length : SHOWN;
}

static df_status check_side(const char *a, const char *b, bool turned, df_err *err)
{
    setting mine;
    setting other;
    for (const char *at = a; next_setting(&at, &mine);) {
        const bool found = find(b, mine.key, &other);
        if (selects(mine.key) || (found && same(mine.value, other.value))) {
            continue;
        }
        const piece nothing = {"nothing", strlen("nothing")};
        const piece value = found ? other.value : nothing;
        const piece there = turned ? value : mine.value;
        const piece here = turned ? mine.value : value;
        return df_fail(err, DF_EINVAL, "settings, %.*s: expected %.*s as there, found %.*s",
                       shown(mine.key), mine.key.at, shown(there), there.at, shown(here), here.at);
    }
    return DF_OK;
}

df_status df_settings_check(const char *first, const char *other, df_err *err)
{
    DF_TRY(check_side(first, other, false, err));
    return check_side(other, first, true, err);
}

/* ---- Joining ---- */

/* Whether a value of the list "a,b,c" is this one. */
static bool has_value(piece list, piece value)
{
    const char *at = list.at;
    const char *const end = list.at + list.length;
    while (at < end) {
        const char *const comma = memchr(at, ',', (size_t)(end - at));
        const char *const stop = comma ? comma : end;
        if (same((piece){at, (size_t)(stop - at)}, value)) {
            return true;
        }
        at = stop + 1;
    }
    return false;
}

/* Adds the values that the list in `text`, from `begin` on, does not have yet. */
static void add_values(char *text, size_t begin, piece more)
{
    const char *at = more.at;
    const char *const end = more.at + more.length;
    while (at < end) {
        const char *const comma = memchr(at, ',', (size_t)(end - at));
        const char *const stop = comma ? comma : end;
        const piece value = {at, (size_t)(stop - at)};
        const size_t length = strlen(text + begin);
        if (!has_value((piece){text + begin, length}, value)) {
            sprintf(text + begin + length, "%s%.*s", length > 0 ? "," : "", (int)value.length,
                    value.at);
        }
        at = stop + 1;
    }
}

static void add_line(char *text, piece key, const char *const *settings, int count)
{
    setting found;
    sprintf(text, "%.*s=", (int)key.length, key.at);
    const size_t begin = strlen(text);
    for (int i = 0; i < count; i++) {
        if (find(settings[i], key, &found)) {
            if (!selects(key)) {
                sprintf(text + begin, "%.*s", (int)found.value.length, found.value.at);
                break;
            }
            add_values(text, begin, found.value);
        }
    }
    sprintf(text + strlen(text), "\n");
}

static bool is_new(const char *const *settings, int i, piece key)
{
    setting found;
    for (int k = 0; k < i; k++) {
        if (find(settings[k], key, &found)) {
            return false;
        }
    }
    return true;
}

char *df_settings_join(const char *const *settings, int count, const df_merge_indices *indices)
{
    size_t room = 128; /* room for the numbers of indices */
    for (int i = 0; i < count; i++) {
        room += 2 * strlen(settings[i]) + 2;
    }
    char *const text = calloc(room, 1);
    for (int i = 0; text && i < count; i++) {
        setting line;
        for (const char *at = settings[i]; next_setting(&at, &line);) {
            char *const end = text + strlen(text);
            if (!is_new(settings, i, line.key)) {
                continue;
            }
            if (indices->count > 0 && is(line.key, "num_search")) {
                sprintf(end, "num_search=%d\n", indices->count);
            } else if (indices->count > 0 && is(line.key, "first_index")) {
                sprintf(end, "first_index=%d\n", indices->first);
            } else {
                add_line(end, line.key, settings, count);
            }
        }
    }
    return text;
}
