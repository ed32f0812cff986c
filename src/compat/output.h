/* output.h: printed figures that the Python DeepFlow computes otherwise. */
#ifndef DF_COMPAT_OUTPUT_H
#define DF_COMPAT_OUTPUT_H
#include "config/cfg.h"
#include "rules/rules.h"

/* Sequences that decode at once, of which rates are printed: the whole batch, or dp times it. */
double df_compat_rated_sequences(const df_rules *rules, const df_cfg *cfg);

/* A GEMM's backward time as its summary has it, which may lack the reduction's. */
double df_compat_summary_backward_s(const df_rules *rules, double backward_s, double reduction_s);

#endif
