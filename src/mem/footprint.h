/* footprint.h: bytes of device memory that LSTM training, or a GEMM, needs, per device. */
#ifndef DF_FOOTPRINT_H
#define DF_FOOTPRINT_H
#include "config/cfg.h"
#include "rules/rules.h"

typedef struct {
    double weight, activation, pointwise;
} df_footprint_part;

typedef struct {
    df_footprint_part hidden, softmax, embedding;
    double hidden_bytes, softmax_bytes, embedding_bytes;
    double total_bytes; /* of the fullest device */
} df_footprint;

/* Of the model and strategy in *cfg (mode LSTM). */
void df_footprint_lstm(const df_cfg *cfg, const df_rules *rules, df_footprint *out);

/* Of the three matrices of a GEMM (mode GEMM), forward: a device's parts of them. */
double df_footprint_gemm_bytes(const df_cfg *cfg);

#endif
