/* llm_out.h: an LLM's prediction as JSON and as text. */
#ifndef DF_LLM_OUT_H
#define DF_LLM_OUT_H
#include "json_out.h"
#include "llm/llm.h"

void df_llm_add_json(json_t *root, const df_llm_result *result);
void df_llm_print_text(const df_cfg *cfg, const df_llm_result *result);

#endif
