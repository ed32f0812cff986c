/* predict.h: one design (device, strategy, model) to one predicted time. */
#ifndef DF_PREDICT_H
#define DF_PREDICT_H
#include "graph/pipeline.h"
#include "predict/llm.h"

/* What is predicted: the strategy and the model in *cfg, on the device derived from it. */
typedef struct {
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_rules *rules;
} df_design;

/* What a prediction is to fill beside times and energies. */
typedef enum { DF_WANT_TIMES = 0, DF_WANT_OPERATORS = 1 } df_want;

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
    df_gemm_times gemm; /* mode GEMM, */
    df_lstm_times lstm; /* mode LSTM, */
    df_llm_result llm;  /* or mode LLM; the others are left as they are */

    /* With DF_WANT_OPERATORS, else left as it is. Of a GEMM: the product and its reduction; of an
     * LSTM: its cell, softmax, embedding, hops and reductions; of an LLM: docs/models.md, section
     * 10. Their times add up to more or less than that of the step where they overlap or wait. */
    df_usages usages;
} df_prediction;

/* Solved GEMMs and buffers of one thread, reused from prediction to prediction. */
typedef struct df_predictor df_predictor;

/* NULL when out of memory. */
df_predictor *df_predictor_new(void);
void df_predictor_free(df_predictor *predictor);
/* Forgets the solved GEMMs of LLMs. */
void df_predictor_clear(df_predictor *predictor);
/* Has another one run the network simulator's programs; it is borrowed. Before the first
 * prediction. */
void df_predictor_use(df_predictor *predictor, df_runner *runner);
/* Has predictions of LLMs observed. The watch is borrowed; NULL disables watching, which is the
 * fastest. */
void df_predictor_show(df_predictor *predictor, const df_llm_watch *watch);

/* Predicts a design, which df_predict_check accepts. Where cfg->backend asks for it, the network
 * simulator times the collectives. Graphs of whole steps are simulated for LLMs alone; in other
 * modes every cfg->backend.mode counts as hybrid.
 * DF_INFEASIBLE: the strategy cannot split this model, or the device cannot hold a tile; err says
 * which key and why. A device that is merely without a rate gives time_s = inf and DF_OK.
 * DF_EINVAL: the network simulator cannot run a collective (no bandwidth, an algorithm for other
 * numbers of ranks). DF_ENOMEM. On failure *out is untouched.
 * Allocates only for a graph that is larger than all before, and where the simulator runs. */
DF_NODISCARD df_status df_predict(df_predictor *predictor,
                                  const df_design *design,
                                  df_want want,
                                  df_prediction *out,
                                  df_err *err);

/* Whether the strategy in *cfg can split the model at all (no device needed). */
DF_NODISCARD df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err);

#endif
