/* footprint.h: bytes of device memory that the training of an LSTM, or a GEMM, needs, per device.
 */
#ifndef DF_FOOTPRINT_H
#define DF_FOOTPRINT_H
#include "model/lstm.h"

typedef struct {
    double weight_bytes, activation_bytes, pointwise_bytes, total_bytes;
} df_footprint_part;

typedef struct {
    df_footprint_part part[DF_LSTM_PARTS]; /* by df_part */
    double total_bytes;                    /* of the fullest device */
} df_footprint;

void df_footprint_lstm(const df_lstm *x, df_footprint *out);

/* The bytes of the fullest device from those of the parts. */
double df_footprint_fullest_bytes(const df_footprint *parts, double stages);

/* Of the three matrices of a GEMM, forward: a device's parts of them. */
double df_footprint_gemm_bytes(const df_gemm_mode *g);

#endif
