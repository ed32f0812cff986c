#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

enum { SHOWN = 100 }; /* characters of a line */

static DF_PRINTF(2, 3) void append(df_err *err, const char *format, ...)
{
    const size_t used = strlen(err->text);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text + used, sizeof err->text - used, format, args);
    va_end(args);
}

static int line_length(const char *line)
{
    const size_t length = strcspn(line, "\n");
    return length < SHOWN ? (int)length : SHOWN;
}

/* Where rules alone have changed, as with another version's default, the flag that brings them
 * back. */
static void name_way_out(const char *line, df_err *err)
{
    static const char key[] = "rules=";
    const size_t length = strcspn(line, "\n");
    if (strncmp(line, key, sizeof key - 1) == 0 && length < SHOWN) {
        append(err, "; --rules %.*s continues it", (int)(length - (sizeof key - 1)),
               line + sizeof key - 1);
    }
}

bool df_store_same_text(const char *name, const char *made_from, const char *wanted, df_err *err)
{
    const char *a = made_from;
    const char *b = wanted;
    int line = 1;
    if (strcmp(a, b) == 0) {
        return true;
    }
    for (size_t n = strcspn(a, "\n") + 1; strncmp(a, b, n) == 0; n = strcspn(a, "\n") + 1) {
        a += n;
        b += n;
        line++;
    }
    append(err, "; %s, line %d: expected \"%.*s\" as there, found \"%.*s\"", name, line,
           line_length(a), a, line_length(b), b);
    name_way_out(a, err);
    return false;
}

df_status df_store_check(const char *path, hid_t file, const df_store_plan *plan, df_err *err)
{
    const char *const names[] = {"settings", "hardware_yaml", "model_yaml"};
    const char *const wanted[] = {plan->settings, plan->hardware_yaml,
                                  plan->model_yaml ? plan->model_yaml : ""};
    bool same = true;
    df_err what;
    snprintf(what.text, sizeof what.text, "%.*s: made from other inputs", DF_ERR_TEXT / 4, path);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "config/%s", names[i]);
        char *const made_from = df_h5_read_text(file, name);
        if (!made_from) {
            return df_h5_fail(path, "is not a results file", err);
        }
        same = df_store_same_text(names[i], made_from, wanted[i], &what) && same;
        free(made_from);
    }
    return same ? DF_OK : df_fail(err, DF_EINVAL, "%s", what.text);
}
