/* footprint.h: bytes of device memory that LSTM training needs, per device. */
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

#endif
