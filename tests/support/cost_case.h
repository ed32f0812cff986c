/* cost_case.h: single kernels and collectives under some rules, for tests. */
#ifndef DF_TEST_COST_CASE_H
#define DF_TEST_COST_CASE_H
#include "compat/compat.h"

/* Pointwise work of a GEMM's or LSTM's model. */
double df_case_stream_s(const df_hw_device *dev, const df_rules *rules, double flops, double bytes);

/* A GEMM without launch overhead; fails the test where there is none. */
df_gemm_cost
df_case_gemm(const df_hw_device *dev, const df_rules *rules, double m, double k, double n);

/* A ring of n members, of GEMMs and LSTMs or of LLMs; bytes as op/op.h has them. */
double df_case_ring_s(const df_hw_device *dev,
                      const df_rules *rules,
                      df_mode mode,
                      const df_op_collective *what,
                      const df_topo_group *group);

#endif
