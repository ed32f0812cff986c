/* predict_memory.h: the memory that a model needs of each device. */
#ifndef DF_PREDICT_MEMORY_H
#define DF_PREDICT_MEMORY_H
#include "config/cfg.h"
#include "fold/memory.h"
#include "model/lstm.h"
#include "rules/rules.h"

/* Bytes that a device must hold, in any mode; of an LSTM and an LLM by part too. No device is
 * needed for it. */
typedef struct {
    double total_bytes; /* of the fullest device */
    df_footprint lstm;  /* mode LSTM */
    df_memory llm;      /* mode LLM: the stage that needs most */
} df_need;

void df_predict_need(const df_cfg *cfg, const df_rules *rules, df_need *out);

/* One stage, and the stage that needs most, of the model and strategy in *cfg (mode LLM), which
 * df_cfg_check accepts. Memory follows no rule. */
void df_predict_memory_of_stage(const df_cfg *cfg, int64_t stage, df_memory *out);
void df_predict_memory_peak(const df_cfg *cfg, df_memory *out);

#endif
