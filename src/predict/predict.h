/* predict.h: one design (device, strategy, model) to one predicted time. */
#ifndef DF_PREDICT_H
#define DF_PREDICT_H
#include "config/cfg.h"
#include "fold/usage.h"
#include "graph/pipeline.h"
#include "model/footprint.h"
#include "runner/runner.h"

typedef struct {
    double forward_compute_s, forward_comm_s;
    double backward_compute_s, backward_comm_s; /* without dp_comm_s */
    double dp_comm_s;
    double time_s; /* sum of the five */
} df_gemm_times;

typedef struct {
    df_pipeline_times components;
    double forward_s, backward_s, time_s;
    double params; /* trainable parameters */
} df_lstm_times;

typedef struct {
    df_mode mode;
    double time_s;
    df_gemm_times gemm;     /* mode GEMM */
    df_lstm_times lstm;     /* mode LSTM */
    df_footprint footprint; /* mode LSTM */
    double memory_overflow; /* footprint / DRAM size; inf for a DRAM of size 0 */
} df_prediction;

/* Models and buffers of one thread, reused from prediction to prediction. */
typedef struct df_predictor df_predictor;

/* With the tiled GEMM and the ring collectives. NULL when out of memory. */
df_predictor *df_predictor_new(void);
/* Has another one run the network simulator's programs; it is borrowed. Before the first
 * prediction. */
void df_predictor_use(df_predictor *predictor, df_runner *astra);
void df_predictor_free(df_predictor *predictor);

/* Predicts the model in *cfg on the device `dev` derived from it. Where cfg->backend asks for
 * it, the network simulator times the collectives, whatever the mode of cfg->backend.
 * DF_INFEASIBLE: the strategy cannot split this model, or the device cannot hold
 * a tile; err says which key and why. A device that is merely without a rate
 * gives time_s = inf and DF_OK. DF_EINVAL: the network simulator cannot run a collective
 * (no bandwidth, an algorithm for other numbers of ranks). On failure *out is untouched.
 * Allocates only when the pipeline shape changes, and where the simulator runs. */
DF_NODISCARD df_status df_predict(df_predictor *predictor,
                                  const df_cfg *cfg,
                                  const df_hw_device *dev,
                                  const df_rules *rules,
                                  df_prediction *out,
                                  df_err *err);

/* Predicts as df_predict does, and lists the operators: of a GEMM the product and its reduction;
 * of an LSTM its cell, softmax, embedding, hops and reductions. Their times add up to more or
 * less than that of the step where they overlap or wait. */
DF_NODISCARD df_status df_predict_usages(df_predictor *predictor,
                                         const df_cfg *cfg,
                                         const df_hw_device *dev,
                                         const df_rules *rules,
                                         df_usages *usages,
                                         df_err *err);

/* Bytes of device memory that an LSTM needs (no device needed). */
void df_predict_footprint(const df_cfg *cfg, const df_rules *rules, df_footprint *out);

/* Whether the strategy in *cfg can split the model at all (no device needed). */
DF_NODISCARD df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err);

#endif
