/* json_out.h: results as JSON: numbers in full, infinities as the string "inf". */
#ifndef DF_JSON_OUT_H
#define DF_JSON_OUT_H
#include <stdbool.h>

#include <jansson.h>

#include "rules/rules.h"

/* Adds object[key]; a number that is not finite becomes "inf", "-inf" or "nan". */
void df_json_real(json_t *object, const char *key, double value);
void df_json_text(json_t *object, const char *key, const char *value);
void df_json_bool(json_t *object, const char *key, bool value);
/* Adds an empty object under key, which stays the parent's. */
json_t *df_json_object(json_t *parent, const char *key);

/* Adds "rules", in the form that --rules takes. */
void df_json_rules(json_t *object, const df_rules *rules);

/* Prints to stdout with 17 significant digits and frees. Returns the exit code. */
int df_json_print(json_t *root);

#endif
