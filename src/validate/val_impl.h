/* val_impl.h: inside the validation.
 *
 *   csv.c          CSV files
 *   val_row.c      the numbers of a row, and the points that it becomes
 *   val_device.c   devices and how they are connected
 *   val_case.c     a row as the configuration of a transformer
 *   val_run.c      end-to-end runs: training, inference, memory
 *   val_ops.c      single operators
 *   validate.c     the folder, its sets, and which of these functions runs a set
 *   val_score.c    errors and rankings */
#ifndef DF_VAL_IMPL_H
#define DF_VAL_IMPL_H
#include "compat/compat.h"
#include "predict/predict.h"
#include "validate/csv.h"
#include "validate/validate.h"

enum { DF_VAL_DEVICES = 32 };

typedef struct {
    const char *name;
    df_cfg cfg;             /* configuration from its hardware file */
    double node_gpus;       /* devices that the fast network connects */
    double fp8_over_tensor; /* peak rate in fp8 / in 16 bits; 0: none */
    bool usable;            /* its hardware file is known */
} df_val_device;

typedef struct {
    char *name; /* file name without .csv */
    df_csv *csv;
} df_val_set;

struct df_val_data {
    df_val_set *set;
    size_t num_sets;
    df_csv *devices, *models;             /* files of the folder; NULL: it has none */
    df_csv *more_devices, *more_models;   /* files of the fallback folder */
    char *hardware;                       /* folder of hardware files */
    df_val_device device[DF_VAL_DEVICES]; /* those found so far */
    int num_devices;
    char **text; /* reasons and names of groups, each once */
    size_t num_texts;
    df_predictor *predictor;
    df_gemm_search *gemm;
};

/* A row at work. */
typedef struct {
    df_val_data *data;
    const df_csv *csv;
    size_t row;
    const df_rules *rules;
    int num_rules;
    df_val_points *points;
    df_val_point point; /* set, id, quality, group are filled in */
    df_err *err;
} df_val_row;

/* A row that cannot be predicted is skipped: the functions below return DF_INFEASIBLE then, with
 * the reason as the text. */

/* A copy of the text that lives as long as the data; equal texts share one. NULL when out of
 * memory. */
const char *df_val_keep(df_val_data *data, const char *text);

/* A number of the row, or `absent` if the row has none. */
DF_NODISCARD df_status df_val_number(df_val_row *r, const char *column, double absent, double *out);
/* As df_val_number, for a whole number that must be at least `low`. */
DF_NODISCARD df_status
df_val_count(df_val_row *r, const char *column, int64_t low, int64_t absent, int64_t *out);

/* The device of the row. DF_INFEASIBLE: no hardware file is known for it. DF_EINVAL: the file is
 * wrong. */
DF_NODISCARD df_status df_val_find_device(df_val_row *r, const df_val_device **out);

/* Sets the format of tensors in *cfg: 16-bit formats, or fp8 (format "fp8...") at the rate that
 * the device has for it. DF_INFEASIBLE: a format that is not modelled. */
DF_NODISCARD df_status df_val_set_format(const df_val_device *device,
                                         const char *format,
                                         df_cfg *cfg,
                                         df_err *err);

/* Configuration of a training or inference run. DF_INFEASIBLE: not modelled. */
DF_NODISCARD df_status df_val_read_case(df_val_row *r, df_cfg *cfg);

/* Adds a point with the predictions filled in, or skipped for the reason in r->err. */
DF_NODISCARD df_status df_val_add(df_val_row *r,
                                  const char *metric,
                                  double measured,
                                  const double *predicted);
DF_NODISCARD df_status df_val_skip(df_val_row *r, const char *metric, double measured);

/* Adds the points of a row of one kind of file. DF_INFEASIBLE: the row is to be skipped. */
DF_NODISCARD df_status df_val_run_case(df_val_row *r);     /* metric, value */
DF_NODISCARD df_status df_val_run_training(df_val_row *r); /* step_s */
DF_NODISCARD df_status df_val_run_memory(df_val_row *r);   /* fits */
DF_NODISCARD df_status df_val_run_profile(df_val_row *r);  /* gemm_s: with clock and traffic */
DF_NODISCARD df_status df_val_run_gemm(df_val_row *r);
DF_NODISCARD df_status df_val_run_prefill(df_val_row *r);
DF_NODISCARD df_status df_val_run_decode(df_val_row *r);
DF_NODISCARD df_status df_val_run_collective(df_val_row *r);
DF_NODISCARD df_status df_val_run_experts(df_val_row *r);

#endif
