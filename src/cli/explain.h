/* explain.h: what each rule changes in one prediction. */
#ifndef DF_EXPLAIN_H
#define DF_EXPLAIN_H
#include "config/cfg.h"
#include "rules/rules.h"

/* Predicts *cfg under *rules, and with each rule at its other value, and prints what that
 * changes to stdout. */
DF_NODISCARD df_status df_cli_explain_rules(const df_cfg *cfg,
                                            const df_rules *rules,
                                            bool json,
                                            df_err *err);

#endif
