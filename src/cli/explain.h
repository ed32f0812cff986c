/* explain.h: what each rule changes in one prediction. */
#ifndef DF_EXPLAIN_H
#define DF_EXPLAIN_H
#include "config/cfg.h"
#include "rules/rules.h"

/* Predicts *cfg under *rules, and with each rule at its other value, and prints what that
 * changes to stdout. Returns the exit code, of a failure after its message. */
int df_cli_explain_rules(const df_cfg *cfg, const df_rules *rules, bool json);

#endif
