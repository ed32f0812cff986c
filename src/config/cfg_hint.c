#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "config/cfg_impl.h"

enum { KEY_ROOM = 64 };

typedef struct {
    char text[DF_OPT_MAX][KEY_ROOM];
    const char *word[DF_OPT_MAX];
    size_t count;
} key_list;

/* Adds the first `length` characters of key, once. */
static void add_key(key_list *keys, const char *key, size_t length)
{
    if (length >= KEY_ROOM || keys->count == DF_OPT_MAX) {
        return;
    }
    char *const text = keys->text[keys->count];
    memcpy(text, key, length);
    text[length] = '\0';
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->text[i], text) == 0) {
            return;
        }
    }
    keys->word[keys->count++] = text;
}

/* The keys directly below the section. */
static void list_keys(const char *section, unsigned modes, key_list *keys)
{
    const size_t skip = section[0] == '\0' ? 0 : strlen(section) + 1;
    keys->count = 0;
    for (int i = 0; i < df_num_opts; i++) {
        if (df_opt_applies(&df_opts[i], modes) && df_opt_is_under(df_opts[i].path, section)) {
            const char *const key = df_opts[i].path + skip;
            add_key(keys, key, strcspn(key, "."));
        }
    }
}

static const char *renamed(const char *path)
{
    for (int i = 0; i < df_num_opts_renamed; i++) {
        if (strcmp(df_opts_renamed[i].path, path) == 0) {
            return df_opts_renamed[i].now;
        }
    }
    return NULL;
}

void df_opt_unknown(const char *section, const char *key, unsigned modes, char text[], size_t room)
{
    char path[DF_OPT_PATH];
    snprintf(path, sizeof path, "%s%s%s", section, section[0] != '\0' ? "." : "", key);
    const char *const now = renamed(path);
    if (now) {
        snprintf(text, room, "expected %s, found a key that is no longer used", now);
        return;
    }
    if (df_opt_find(path, ~0U) >= 0) {
        snprintf(text, room, "expected a key of this mode, found one of another mode");
        return;
    }
    key_list keys;
    list_keys(section, modes, &keys);
    const int near = df_nearest(key, keys.word, keys.count, sizeof keys.word[0]);
    if (near >= 0) {
        snprintf(text, room, "expected a known key (did you mean %s?), found an unknown one",
                 keys.word[near]);
    } else {
        snprintf(text, room, "expected a known key, found an unknown one");
    }
}

void df_opt_mean(const df_opt *opt, const char *found, char text[DF_OPT_EXPECTED])
{
    const char *words[DF_OPT_MAX];
    size_t count = 0;
    if (!opt->words || strlen(found) <= 3) { /* any two words so short are near */
        return;
    }
    for (const df_word *w = opt->words; w->word && count < DF_OPT_MAX; w++) {
        words[count++] = w->word;
    }
    const int near = df_nearest(found, words, count, sizeof words[0]);
    if (near >= 0) {
        const size_t used = strlen(text);
        snprintf(text + used, DF_OPT_EXPECTED - used, " (did you mean %s?)", words[near]);
    }
}
