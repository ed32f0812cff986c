/* summary.h: the summary file of one prediction, in the format that users of the Python DeepFlow
 * read. Rounding and units (a GB is 2^30 bytes) are those of that format. */
#ifndef DF_SUMMARY_H
#define DF_SUMMARY_H
#include "hw/hw.h"
#include "predict/predict.h"

/* What a summary is of. */
typedef struct {
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_rules *rules;
    const df_prediction *prediction;
    const df_need *need;
} df_summary;

/* Writes DIR/summary_LSTM.txt, DIR/summary_modeGEMM_M.._K.._N...txt or
 * DIR/LLM_{training,inference}_results.txt, whole or not at all. Returns its name in `path` (of
 * `room` bytes). DF_EIO: it cannot be written. */
DF_NODISCARD df_status
df_summary_write(const df_summary *summary, const char *dir, char *path, size_t room, df_err *err);

#endif
