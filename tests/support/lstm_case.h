/* lstm_case.h: a small LSTM on a small device, and predictions that are not of LLMs. */
#ifndef DF_TEST_LSTM_CASE_H
#define DF_TEST_LSTM_CASE_H
#include "predict/predict.h"
#include "support/support.h"

/* data/lstm.yaml on data/hardware.yaml. */
df_cfg df_lstm_case(void);

/* These fail the test when there is no device, no prediction. */
df_hw_device df_case_device(const df_cfg *cfg, const df_rules *rules);
df_prediction df_case_predict(const df_cfg *cfg, const df_rules *rules);

#endif
