/* predict_case.h: one case of golden/gemm.txt or golden/lstm.txt through the
 * library: files, device, prediction. */
#ifndef DF_TEST_PREDICT_CASE_H
#define DF_TEST_PREDICT_CASE_H
#include "golden/cases.h"
#include "predict/predict.h"

typedef struct {
    df_predictor *predictor;
    df_rules rules;
    df_case_value value_of; /* given a df_prediction */
} df_predict_case;

/* For df_cases_check with a df_predict_case as context. */
bool df_predict_case_check(const df_case *c, void *context);

/* Checks all cases of a file under the reference's rules; returns their number. */
int df_predict_cases(const char *file, df_case_value value_of);

#endif
