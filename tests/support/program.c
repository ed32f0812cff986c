#include "support/program.h"

#include <stdlib.h>
#include <string.h>

/* Runs `deepflow ARGUMENTS`. */
df_outcome df_program(const char *arguments)
{
    df_outcome o;
    char command[4096];
    snprintf(command, sizeof command, "%s %s", DF_BIN, arguments);
    df_run(command, &o.exit_code, &o.out, &o.err);
    return o;
}

void df_outcome_free(df_outcome *o)
{
    free(o->out);
    free(o->err);
}

/* The JSON that a successful command prints. */
json_t *df_program_json(const char *arguments)
{
    json_error_t error;
    df_outcome o = df_program(arguments);
    if (o.exit_code != 0) {
        fail_msg("exit code %d: %s", o.exit_code, o.err);
    }
    json_t *root = json_loads(o.out, 0, &error);
    if (!root) {
        fail_msg("not JSON: %s", error.text);
    }
    df_outcome_free(&o);
    return root;
}

double df_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        fail_msg("no number %s", key);
    }
    return json_number_value(value);
}

void df_refuse(const char *arguments, int exit_code, const char *message)
{
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, exit_code);
    assert_string_equal(o.out, "");
    if (!strstr(o.err, message)) {
        fail_msg("expected \"%s\" in: %s", message, o.err);
    }
    assert_true(strncmp(o.err, "deepflow: error: ", 17) == 0);
    df_outcome_free(&o);
}

/* The number behind "NAME: " in the text. */
double df_line_value(const char *text, const char *name)
{
    char key[128];
    snprintf(key, sizeof key, "%s: ", name);
    const char *at = strstr(text, key);
    if (!at) {
        fail_msg("no line %s", name);
        return 0;
    }
    return strtod(at + strlen(key), NULL);
}
