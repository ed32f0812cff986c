/* lstm.h: what the Python DeepFlow does otherwise in the modes LSTM and GEMM (compat.h). */
#ifndef DF_COMPAT_LSTM_H
#define DF_COMPAT_LSTM_H
#include "compat/algorithm.h"
#include "cost/simulated.h"
#include "fold/footprint.h"
#include "rules/rules.h"

/* Changes what operators are built from. */
void df_compat_lstm(const df_rules *rules, df_lstm *x);

/* Changes a list of operators. */
void df_compat_edit_gemm(const df_rules *rules, const df_gemm_mode *g, df_ops *ops);

/* The memory of an LSTM, as the rules count it. */
void df_compat_footprint(const df_rules *rules, const df_lstm *x, df_footprint *out);

/* Options of the pipeline (graph/pipeline.h). */
typedef struct {
    bool two_stages_rejected, frees_last_link;
} df_compat_steps;

df_compat_steps df_compat_lstm_steps(const df_rules *rules);

/* Options of simulated collectives, which keep their history in *history. */
df_simulated df_compat_simulated(const df_rules *rules, df_compat_history *history);

#endif
