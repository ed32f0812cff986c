/* llm_out.h: an LLM's prediction as JSON and as text. */
#ifndef DF_LLM_OUT_H
#define DF_LLM_OUT_H
#include "json_out.h"
#include "predict/predict.h"

/* A prediction and what it is of. */
typedef struct {
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_llm_result *result;
    const df_memory *memory;
    const df_rules *rules;
} df_llm_report;

void df_llm_add_json(json_t *root, const df_llm_report *report);
void df_llm_print_text(const df_llm_report *report, bool breakdown);

/* Memory that the model needs, divided by the DRAM of one device; > 1: it does not fit. */
double df_llm_memory_use(const df_llm_report *report);

#endif
