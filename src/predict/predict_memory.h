/* predict_memory.h: the memory that a transformer needs of each device. */
#ifndef DF_PREDICT_MEMORY_H
#define DF_PREDICT_MEMORY_H
#include "config/cfg.h"
#include "fold/memory.h"

/* One stage, and the stage that needs most, of the model and strategy in *cfg (mode LLM), which
 * df_cfg_check accepts. Memory follows no rule. */
void df_predict_memory_of_stage(const df_cfg *cfg, int64_t stage, df_memory *out);
void df_predict_memory_peak(const df_cfg *cfg, df_memory *out);

#endif
