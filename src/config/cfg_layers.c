/* Lists of layers: model_param.layers. */
#include "config/cfg_layers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

enum { WORD = 64 };

#define WORD_OF(name, word) word,
static const char *const mixers[] = {DF_CFG_MIXERS(WORD_OF)};
static const char *const ffns[] = {DF_CFG_FFNS(WORD_OF)};

/* A size of a layer, by the name that files give it. */
typedef struct {
    const char *name;
    size_t offset;
    int32_t smallest;
} size_row;

#define SIZE_ROW(field, least, meaning) {#field, offsetof(df_layer_kind, field), least},
static const size_row sizes[] = {DF_CFG_LAYER_SIZES(SIZE_ROW)};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static int32_t *size_of(df_layer_kind *kind, int size)
{
    return (int32_t *)((char *)kind + sizes[size].offset);
}

/* A list being read. */
typedef struct {
    const char *at;
    df_cfg_layers *out;
    df_err *err;
} reader;

/* ---- Words ---- */

static void skip_blanks(reader *r)
{
    while (isspace((unsigned char)*r->at)) {
        r->at++;
    }
}

/* The next word, as long as it is shown in messages; empty at the end of an item. */
static void take_word(reader *r, char word[WORD])
{
    size_t length = 0;
    skip_blanks(r);
    while (*r->at != '\0' && !isspace((unsigned char)*r->at) && !strchr(",()", *r->at)) {
        if (length + 1 < WORD) {
            word[length++] = *r->at;
        }
        r->at++;
    }
    word[length] = '\0';
}

static int find(const char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

static df_status fail_word(reader *r, const char *word)
{
    const char *known[DF_MIXERS + DF_FFNS + 1];
    memcpy(known, mixers, sizeof mixers);
    memcpy(known + DF_MIXERS, ffns, sizeof ffns);
    known[DF_MIXERS + DF_FFNS] = "reuse";
    const int near = df_nearest(word, known, DF_MIXERS + DF_FFNS + 1, sizeof known[0]);
    return df_fail(r->err, DF_EINVAL,
                   "expected layers such as \"3 dense, 58 experts\", found the word %s%s%s%s", word,
                   near >= 0 ? " (did you mean " : "", near >= 0 ? known[near] : "",
                   near >= 0 ? "?)" : "");
}

/* SIZE=NUMBER. */
static df_status read_size(reader *r, const char *word, df_layer_kind *kind)
{
    const char *const sign = strchr(word, '=');
    for (int i = 0; i < SIZES; i++) {
        const size_t length = strlen(sizes[i].name);
        char *end;
        if (strncmp(word, sizes[i].name, length) != 0 || word + length != sign) {
            continue;
        }
        const long long value = strtoll(sign + 1, &end, 10);
        if (end == sign + 1 || *end != '\0' || value < sizes[i].smallest || value > INT32_MAX) {
            return df_fail(r->err, DF_EINVAL, "expected %s=NUMBER from %d to %d, found %s",
                           sizes[i].name, (int)sizes[i].smallest, INT32_MAX, word);
        }
        *size_of(kind, i) = (int32_t)value;
        return DF_OK;
    }
    return fail_word(r, word);
}

/* ---- Items ---- */

/* The words of a layer, up to the end of its item. */
static df_status read_kind(reader *r, df_layer_kind *kind)
{
    char word[WORD];
    *kind = (df_layer_kind){.mixer = DF_MIX_FULL, .ffn = DF_FFN_USUAL};
    for (take_word(r, word); word[0] != '\0'; take_word(r, word)) {
        const int mixer = find(mixers, DF_MIXERS, word);
        const int ffn = find(ffns, DF_FFNS, word);
        if (mixer >= 0) {
            kind->mixer = (uint8_t)mixer;
        } else if (ffn >= 0) {
            kind->ffn = (uint8_t)ffn;
        } else if (strcmp(word, "reuse") == 0) {
            kind->reuse = true;
        } else if (strchr(word, '=')) {
            DF_TRY(read_size(r, word, kind));
        } else {
            return fail_word(r, word);
        }
    }
    if (kind->mixer == DF_MIX_NONE && kind->ffn == DF_FFN_NONE) {
        return df_fail(r->err, DF_EINVAL,
                       "expected layers that do something, found no_attention no_ffn");
    }
    return DF_OK;
}

static bool alike(const df_layer_kind *a, const df_layer_kind *b)
{
    df_layer_kind x = *a;
    df_layer_kind y = *b;
    bool same = x.mixer == y.mixer && x.ffn == y.ffn && x.reuse == y.reuse;
    for (int i = 0; i < SIZES; i++) {
        same = same && *size_of(&x, i) == *size_of(&y, i);
    }
    return same;
}

static df_status fail_count(reader *r, int64_t count)
{
    return df_fail(r->err, DF_EINVAL, "expected at most %d layers, found %lld", DF_LAYERS_MAX,
                   (long long)count);
}

static df_status append(reader *r, const df_layer_kind *kind, int64_t count)
{
    df_cfg_layers *const out = r->out;
    int i = 0;
    while (i < out->kinds && !alike(&out->kind[i], kind)) {
        i++;
    }
    if (i == DF_LAYER_KINDS) {
        return df_fail(r->err, DF_EINVAL, "expected at most %d kinds of layers, found more",
                       DF_LAYER_KINDS);
    }
    if (count > DF_LAYERS_MAX - out->count) {
        return fail_count(r, out->count + count);
    }
    if (i == out->kinds) {
        out->kind[out->kinds++] = *kind;
    }
    memset(out->of + out->count, i, (size_t)count);
    out->count += (int32_t)count;
    return DF_OK;
}

/* The number before an item; 1 if there is none. */
static df_status take_count(reader *r, int64_t *count)
{
    skip_blanks(r);
    *count = 1;
    if (isdigit((unsigned char)*r->at)) {
        char *end;
        *count = strtoll(r->at, &end, 10);
        if (*count < 1 || *count > DF_LAYERS_MAX) {
            return fail_count(r, *count);
        }
        r->at = end;
        skip_blanks(r);
        if (*r->at == 'x' && (r->at[1] == ' ' || r->at[1] == '(')) {
            r->at++;
            skip_blanks(r);
        }
    }
    return DF_OK;
}

/* Appends what stands behind `start` another `times - 1` times. */
static df_status repeat(reader *r, int32_t start, int64_t times)
{
    df_cfg_layers *const out = r->out;
    const int64_t length = out->count - start;
    if (length * times > DF_LAYERS_MAX - start) {
        return fail_count(r, start + length * times);
    }
    for (int64_t i = length; i < length * times; i++) {
        out->of[start + i] = out->of[start + i - length];
    }
    out->count = (int32_t)(start + length * times);
    return DF_OK;
}

/* What a reader of items is in: a group, its first layer and how often it comes. */
typedef struct {
    bool open;
    int32_t start;
    int64_t times;
} group;

static df_status fail_mark(reader *r, const char *expected)
{
    return df_fail(r->err, DF_EINVAL, "expected %s, found %.20s", expected,
                   *r->at != '\0' ? r->at : "the end");
}

static df_status read_item(reader *r, group *g)
{
    int64_t count;
    df_layer_kind kind;
    DF_TRY(take_count(r, &count));
    if (*r->at == '(') {
        if (g->open) {
            return fail_mark(r, "layers, no group inside another one");
        }
        *g = (group){true, r->out->count, count};
        r->at++;
        DF_TRY(take_count(r, &count));
    }
    DF_TRY(read_kind(r, &kind));
    DF_TRY(append(r, &kind, count));
    if (*r->at == ')' && g->open) {
        g->open = false;
        r->at++;
        skip_blanks(r);
        return repeat(r, g->start, g->times);
    }
    return DF_OK;
}

df_status df_cfg_layers_parse(const char *text, df_cfg_layers *out, df_err *err)
{
    reader r = {text, out, err};
    group g = {false, 0, 0};
    memset(out, 0, sizeof *out);
    for (;;) {
        DF_TRY(read_item(&r, &g));
        if (*r.at != ',') {
            break;
        }
        r.at++;
    }
    if (*r.at != '\0' || g.open) {
        return fail_mark(&r, g.open ? "a closing parenthesis" : "a comma between layers");
    }
    return DF_OK;
}

void df_cfg_layers_settle(df_cfg_layers *layers, bool experts)
{
    const df_cfg_layers given = *layers;
    reader r = {"", layers, NULL};
    layers->count = 0;
    layers->kinds = 0;
    for (int32_t i = 0; i < given.count; i++) {
        df_layer_kind kind = given.kind[given.of[i]];
        if (kind.ffn == DF_FFN_USUAL) {
            kind.ffn = experts ? DF_FFN_EXPERTS : DF_FFN_DENSE;
        }
        (void)append(&r, &kind, 1); /* there are no more than before */
    }
}

/* ---- As a text ---- */

static size_t append_text(char *text, size_t room, size_t length, const char *what)
{
    const size_t more = strlen(what);
    if (length + more < room) {
        memcpy(text + length, what, more + 1);
    }
    return length + more;
}

static size_t kind_text(const df_layer_kind *kind, char *text, size_t room, size_t length)
{
    df_layer_kind own = *kind;
    length = append_text(text, room, length, mixers[kind->mixer]);
    if (kind->ffn != DF_FFN_USUAL) {
        length = append_text(text, room, length, " ");
        length = append_text(text, room, length, ffns[kind->ffn]);
    }
    if (kind->reuse) {
        length = append_text(text, room, length, " reuse");
    }
    for (int i = 0; i < SIZES; i++) {
        char size[WORD];
        snprintf(size, sizeof size, " %s=%d", sizes[i].name, (int)*size_of(&own, i));
        length = *size_of(&own, i) != 0 ? append_text(text, room, length, size) : length;
    }
    return length;
}

bool df_cfg_layers_text(const df_cfg_layers *layers, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    for (int32_t i = 0, next; i < layers->count; i = next) {
        char count[WORD];
        for (next = i + 1; next < layers->count && layers->of[next] == layers->of[i]; next++) {
        }
        snprintf(count, sizeof count, "%s%d ", i > 0 ? ", " : "", (int)(next - i));
        length = append_text(text, room, length, count);
        length = kind_text(&layers->kind[layers->of[i]], text, room, length);
    }
    return length < room;
}
