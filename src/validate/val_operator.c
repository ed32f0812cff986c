/* Rows of measured kernels, one by one: for who fits constants to them. */
#include <math.h>

#include "validate/val_impl.h"

static const struct {
    const char *name;
    const char *columns[4]; /* that tell it from the others */
    df_val_kernel *kernel;
} operators[DF_VAL_OPERATORS] = {
    [DF_VAL_GEMM] = {"gemm", {"m", "n", "k", "dtype"}, df_val_gemm_kernel},
    [DF_VAL_PREFILL] = {"prefill", {"seq_q", "heads", "head_dim", "batch"}, df_val_prefill_kernel},
    [DF_VAL_DECODE] = {"decode", {"context", "heads", "head_dim", "batch"}, df_val_decode_kernel},
    [DF_VAL_EXPERTS] = {"moe", {"tokens", "experts", "inter", "hidden"}, df_val_experts_kernel},
    [DF_VAL_COLLECTIVE] = {
        "collective", {"op", "num_gpus", "bytes", "time_s"}, df_val_collective_kernel}};

const char *df_val_operator_name(df_val_operator op)
{
    return operators[op].name;
}

bool df_val_operator_of(const df_csv *csv, df_val_operator *out)
{
    for (int op = 0; op < DF_VAL_OPERATORS; op++) {
        int found = df_csv_column(csv, "time_s") >= 0 ? 1 : 0;
        for (int i = 0; i < 4; i++) {
            found += df_csv_column(csv, operators[op].columns[i]) >= 0 ? 1 : 0;
        }
        if (found == 5) {
            *out = (df_val_operator)op;
            return true;
        }
    }
    return false;
}

df_status df_val_time_kernel(const df_csv *csv,
                             size_t row,
                             df_val_operator op,
                             const df_card *card,
                             double *time_s,
                             df_err *err)
{
    df_val_row r = {.csv = csv, .row = row, .err = err};
    return operators[op].kernel(&r, card, time_s);
}
