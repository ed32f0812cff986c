/* program.h: deepflow as users run it. */
#ifndef DF_TEST_PROGRAM_H
#define DF_TEST_PROGRAM_H
#include <jansson.h>

#include "support/support.h"

typedef struct {
    int exit_code;
    char *out, *err;
} df_outcome;

/* Runs `deepflow ARGUMENTS`. */
df_outcome df_program(const char *arguments);
void df_outcome_free(df_outcome *o);

/* The JSON that a successful command prints. */
json_t *df_program_json(const char *arguments);
/* Fails the test when object[key] is no number. */
double df_number(const json_t *object, const char *key);

/* The command must fail with this exit code, print nothing, and say this. */
void df_refuse(const char *arguments, int exit_code, const char *message);

/* The number after "NAME: " in a text. */
double df_line_value(const char *text, const char *name);

#endif
