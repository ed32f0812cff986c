/* predict_impl.h: what the modes of predict share. */
#ifndef DF_PREDICT_IMPL_H
#define DF_PREDICT_IMPL_H
#include "compat/algorithm.h"
#include "compat/compat.h"
#include "cost/simulated.h"
#include "predict/predict.h"

/* One prediction in progress. The first failure is kept in status, later calls on the
 * same job return 0, so that the formulas read as formulas. */
typedef struct {
    df_coster coster;
    df_compat_history history;
    df_pipeline *pipe;
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_rules *rules;
    double launch_s;
    double q;          /* bytes of an element */
    df_usages *usages; /* what is done is written down here; NULL: it is not */
    df_usage *usage;   /* the current operator; NULL: none */
    df_status status;
    df_err *err;
} df_job;

/* A GEMM's operand dimensions with how it is split over devices. */
typedef struct {
    double m, k, n;
    double dim1, dim2; /* CR: dim1; RC: dim1 and dim2 */
} df_split_gemm;

typedef struct {
    double compute_s, comm_s;
} df_split_time;

/* The split of one part of the model (hidden, softmax, embedding). */
typedef struct {
    df_kp_type type;
    double dim1, dim2;
} df_kp_split;

/* The link of an axis. */
const df_hw_link *df_job_link(const df_job *job, df_axis axis);

double df_job_gemm(df_job *job, double m, double k, double n);
double df_job_stream(df_job *job, double flops, double bytes);
/* In closed form or simulated; bytes as op/op.h has them. The simulator's times depend on which
 * collectives came before (astra_algorithm_stale), so formulas ask in the reference's order. */
double df_job_coll(
    df_job *job, df_coll_kind kind, double bytes, double participants, const df_hw_link *link);

/* An all-gather of one shard from each. */
double df_job_gather(df_job *job, double shard_bytes, double participants, const df_hw_link *link);

/* Begins an operator, and ends it, which took time_s a run. Nothing without job->usages. */
void df_job_begin_op(df_job *job, const char *name, double runs);
void df_job_end_op(df_job *job, double time_s);
/* All of it so far is done twice. */
void df_job_repeat_op(df_job *job);
/* Seconds on a network or to the host; returns them. */
double df_job_transfer(const df_job *job, double time_s);

/* C = A B with A's columns and B's rows over dim1 devices, C reduced over them. */
df_split_time df_job_cr_forward(df_job *job, const df_split_gemm *g);
df_split_time df_job_cr_backward(df_job *job, const df_split_gemm *g);
/* A's rows over dim1, B's columns over dim2 devices, C gathered. */
df_split_time df_job_rc_forward(df_job *job, const df_split_gemm *g);
df_split_time df_job_rc_backward(df_job *job, const df_split_gemm *g);

/* An LSTM cell without split: GEMM and pointwise work. */
double df_job_cell(df_job *job, double m, double k, double n);

/* Reduces and applies the gradient of k x n weights after the backward pass. `part` is
 * the part's own split, `type` decides how. */
double
df_job_reduce_gradient(df_job *job, double k, double n, const df_kp_split *part, df_kp_type type);

void df_predict_gemm(df_job *job, df_gemm_times *out);
void df_predict_lstm(df_job *job, df_lstm_times *out);

/* Splits of the LSTM's parts, as the configuration has them. */
df_kp_split df_lstm_split(const df_cfg *cfg, df_part part);

df_status df_check_gemm(const df_cfg *cfg, df_err *err);
df_status df_check_lstm(const df_cfg *cfg, const df_rules *rules, df_err *err);

#endif
