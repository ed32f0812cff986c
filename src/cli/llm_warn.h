/* llm_warn.h: warnings about an LLM's prediction that a person may not expect. */
#ifndef DF_LLM_WARN_H
#define DF_LLM_WARN_H
#include <stdio.h>

#include "llm_out.h"
#include "rules/rules.h"

/* A line where the rules leave micro-batches out, and one for each ring that is slow because it is
 * long. */
void df_llm_warn_strategy(const df_cfg *cfg, const df_rules *rules, FILE *out);

/* One line on what does not fit in memory, and the changes with which it would. */
void df_llm_warn_memory(const df_llm_report *report, FILE *out);

#endif
