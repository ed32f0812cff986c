/* lstm.h: what the Python DeepFlow does otherwise in the modes LSTM and GEMM (compat.h). */
#ifndef DF_COMPAT_LSTM_H
#define DF_COMPAT_LSTM_H
#include "model/lstm.h"
#include "rules/rules.h"

/* Changes what operators are built from. */
void df_compat_lstm(const df_rules *rules, df_lstm *x);

/* Changes a list of operators. */
void df_compat_edit_gemm(const df_rules *rules, const df_gemm_mode *g, df_ops *ops);

/* The memory of an LSTM, as the rules count it. */
void df_compat_footprint(const df_rules *rules, const df_lstm *x, df_footprint *out);

#endif
