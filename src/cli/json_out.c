#include "json_out.h"

#include <math.h>
#include <stdio.h>

#include "cli.h"

void df_json_real(json_t *object, const char *key, double value)
{
    if (isfinite(value)) {
        json_object_set_new(object, key, json_real(value));
    } else {
        df_json_text(object, key, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    }
}

void df_json_text(json_t *object, const char *key, const char *value)
{
    json_object_set_new(object, key, json_string(value));
}

void df_json_bool(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

json_t *df_json_object(json_t *parent, const char *key)
{
    json_t *const child = json_object();
    json_object_set_new(parent, key, child);
    return child;
}

void df_json_rules(json_t *object, const df_rules *rules)
{
    enum { ALL_RULES = 8192 }; /* every rule by name */
    char text[ALL_RULES];
    df_rules_format(rules, text, sizeof text);
    df_json_text(object, "rules", text);
}

int df_json_print(json_t *root)
{
    const int written =
        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17) | JSON_PRESERVE_ORDER);
    json_decref(root);
    if (written != 0) {
        df_err err;
        return df_cli_fail(df_fail(&err, DF_ENOMEM, "the result cannot be written as JSON"), &err);
    }
    putchar('\n');
    return df_cli_finish(0);
}
