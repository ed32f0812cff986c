/* algorithm.h: which number of ranks the simulator's algorithm of a collective is for, where the
 * Python DeepFlow keeps the algorithms of an earlier run (rule astra_algorithm_stale). The
 * functions are for df_simulated.algorithm_ranks. */
#ifndef DF_COMPAT_ALGORITHM_H
#define DF_COMPAT_ALGORITHM_H
#include "model/dims.h"
#include "op/op.h"

/* A collective that the simulator was asked for. */
typedef struct {
    df_coll_kind kind;
    double bytes, ranks;
    double chosen_for; /* ranks that its algorithm is for */
} df_compat_run;

/* More than a prediction has: of an LSTM, 5 for a split cell, 6 for the softmax, 2 for the
 * embedding, one hop, and 2 for each of three reductions. */
enum { DF_COMPAT_RUNS = 24 };

/* The collectives of a GEMM's or LSTM's prediction so far; zeroed at its begin. */
typedef struct {
    df_compat_run run[DF_COMPAT_RUNS];
    int count;
} df_compat_history;

/* In GEMMs and LSTMs; the context is a df_compat_history. */
double df_compat_history_ranks(void *context, const df_op *op, double members);

/* In transformers; the context is the df_split. */
double df_compat_split_ranks(void *context, const df_op *op, double members);

#endif
