/* predict_impl.h: the modes of a prediction.
 *
 *   predictor.c        the predictor, its memory
 *   predict.c          what is predicted, by mode
 *   predict_gemm.c     GEMM
 *   predict_lstm.c     LSTM
 *   llm.c, llm_*.c     LLM: llm_impl.h
 *   predict_memory.c   what a device must hold */
#ifndef DF_PREDICT_IMPL_H
#define DF_PREDICT_IMPL_H
#include "compat/algorithm.h"
#include "compat/compat.h"
#include "cost/simulated.h"
#include "model/lstm.h"
#include "model/transformer.h"
#include "predict/predict.h"

/* The operators of the last LSTM, which do not depend on the device. */
typedef struct {
    df_lstm model;
    df_ops ops;
} df_lstm_list;

/* A pass of a transformer: its operators, their prices, and sums of these. */
typedef struct {
    df_span span;
    df_ops ops;
    df_price price[DF_OPS_MAX];
    df_pass_times times;
    double recompute_s;     /* part of the layer's backward time */
    df_breakdown breakdown; /* where something needs it */
} df_llm_pass;

struct df_predictor {
    df_runner *runner;         /* borrowed; NULL: net has its own */
    df_simulator *net;         /* NULL until it is needed */
    const df_llm_watch *watch; /* borrowed; NULL */
    /* of GEMMs and LSTMs */
    df_gemm_search *search;
    df_pipeline *pipe;
    df_lstm_list list;
    df_compat_history history; /* of the current prediction */
    /* of LLMs */
    df_gemm_cache *cache;
    df_sched_ws sched;
    df_llm_pass pass;
    df_breakdown first, last; /* where wanted: of training or the prefill, of the decode phase */
};

/* Makes predictor->net, where it is not there yet. */
DF_NODISCARD df_status df_predictor_need_net(df_predictor *predictor, df_err *err);

/* What a configuration describes, by its mode. */
typedef union {
    df_gemm_mode gemm;
    df_lstm lstm;
} df_predict_model;

/* One prediction of a GEMM or an LSTM in progress. */
typedef struct {
    const df_cfg *cfg;
    const df_rules *rules;
    df_compat_options options; /* of the rules */
    df_predict_model model;
    df_coster coster;
    df_compat_prices prices; /* of the coster */
    df_simulated simulated;  /* of the coster */
    df_lstm_list *list;
    df_pipeline *pipe;
    df_usages *usages; /* to fill, unless it is NULL */
} df_predict_job;

/* On failure *out is untouched. */
DF_NODISCARD df_status df_predict_gemm(df_predict_job *job, df_gemm_times *out);
DF_NODISCARD df_status df_predict_lstm(df_predict_job *job, df_lstm_times *out);
DF_NODISCARD df_status df_predict_llm(df_predictor *predictor,
                                      const df_design *design,
                                      df_want want,
                                      df_llm_result *out,
                                      df_err *err);

/* What an LLM's step goes to, operator by operator, of a prediction with DF_WANT_OPERATORS; of an
 * inference prefill and decode, all decode steps being as the last. What stages wait, hops and
 * reductions are not in it. */
void df_llm_list_usages(const df_design *design, const df_llm_result *result, df_usages *usages);

/* Read a configuration, and refuse one that cannot be split. */
DF_NODISCARD df_status df_read_gemm(const df_cfg *cfg, df_gemm_mode *g, df_err *err);
DF_NODISCARD df_status df_read_lstm(const df_cfg *cfg,
                                    const df_compat_options *options,
                                    df_lstm *x,
                                    df_err *err);

#endif
