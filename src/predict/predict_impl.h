/* predict_impl.h: the modes of predict. */
#ifndef DF_PREDICT_IMPL_H
#define DF_PREDICT_IMPL_H
#include "compat/compat.h"
#include "cost/simulated.h"
#include "predict/predict.h"

/* The list of the last LSTM. It is the same from device to device. */
typedef struct {
    df_lstm model;
    df_ops ops;
} df_lstm_list;

/* What a configuration describes, by its mode. */
typedef union {
    df_gemm_mode gemm;
    df_lstm lstm;
} df_predict_model;

/* One prediction in progress. */
typedef struct {
    const df_cfg *cfg;
    const df_rules *rules;
    df_compat_options options; /* of the rules */
    df_predict_model model;
    df_coster coster;
    df_compat_prices prices; /* of the coster, */
    df_simulated simulated;  /* as this */
    df_lstm_list *list;
    df_pipeline *pipe;
    df_usages *usages; /* to be filled; NULL: nobody asks */
} df_predict_job;

df_status df_predict_gemm(df_predict_job *job, df_prediction *out);
df_status df_predict_lstm(df_predict_job *job, df_prediction *out);

/* Read a configuration, and refuse what cannot be split. */
df_status df_read_gemm(const df_cfg *cfg, df_gemm_mode *g, df_err *err);
df_status
df_read_lstm(const df_cfg *cfg, const df_compat_options *options, df_lstm *x, df_err *err);

#endif
