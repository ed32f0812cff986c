/* llm_case.h: a small LLM on a small device, for tests. */
#ifndef DF_TEST_LLM_CASE_H
#define DF_TEST_LLM_CASE_H
#include "predict/predict.h"
#include "support/support.h"

/* data/llm.yaml without FlashAttention on data/hardware.yaml. */
df_cfg df_llm_case(df_run_type run_type);

/* Degrees, and as many devices on one node. */
void df_llm_case_split(df_cfg *cfg, int64_t tp, int64_t dp, int64_t lp, int64_t mb);

/* Fails the test when there is no prediction. */
df_hw_device df_llm_case_device(const df_cfg *cfg);
df_llm_result df_llm_case_predict(const df_cfg *cfg, const df_rules *rules);
/* Under the reference rules. */
df_llm_result df_llm_case_reference(const df_cfg *cfg);

#endif
