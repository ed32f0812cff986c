/* val_impl.h: inside the validation.
 *
 *   csv.c          CSV files
 *   val_row.c      the numbers of a row, and the points that it becomes
 *   val_device.c   devices and how they are connected
 *   val_case.c     a row as the configuration of a transformer
 *   val_model.c    models with layers of several kinds; published settings of runs
 *   val_set.c      with which software and on which network a set was measured
 *   val_run.c      end-to-end runs: training, inference, memory
 *   val_ops.c      single operators
 *   val_kernels.c  these by the calibrated rules
 *   val_operator.c rows of kernels, for who fits constants to them
 *   validate.c     the folder, its sets, and which of these functions runs a set
 *   val_score.c    errors and rankings */
#ifndef DF_VAL_IMPL_H
#define DF_VAL_IMPL_H
#include "compat/compat.h"
#include "framework/framework.h"
#include "kernels/kernels.h"
#include "predict/predict.h"
#include "validate/csv.h"
#include "validate/validate.h"

enum { DF_VAL_DEVICES = 64, DF_VAL_CLUSTERS = 32 };

typedef struct {
    const char *name;
    df_cfg cfg;             /* configuration from its hardware file */
    double node_gpus;       /* devices that the fast network connects */
    double fp8_over_tensor; /* peak rate in fp8 / in 16 bits; 0: none */
    const char *cluster;    /* where it usually stands; "": unknown */
    bool usable;            /* its hardware file is known */
} df_val_device;

/* A named cluster: its nodes, and the network between them. */
typedef struct {
    const char *name;
    double node_gpus;
    df_cfg_link inter;
} df_val_cluster;

typedef struct {
    char *name; /* file name without .csv */
    df_csv *csv;
} df_val_set;

struct df_val_data {
    df_val_set *set;
    size_t num_sets;
    df_csv *devices, *models, *recipes;   /* files of the folder; NULL: it has none */
    df_csv *more_devices, *more_models;   /* files of the fallback folder */
    char *hardware;                       /* folder of hardware files */
    df_val_device device[DF_VAL_DEVICES]; /* those found so far */
    int num_devices;
    df_val_cluster cluster[DF_VAL_CLUSTERS];
    int num_clusters;
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

/* ---- Runs ---- */

/* How a set was measured, as far as the calibrated rules ask. */
typedef struct {
    df_framework_id framework;
    const char *cluster; /* NULL: where the device usually stands */
    df_recompute unknown_recompute;
    bool parts_of_one_layer; /* where nobody says how many parts a stage has */
    bool batch_in_one_piece; /* where nobody says how it is cut; sequence by sequence over stages */
} df_val_software;

/* The engine that an inference was measured with. DF_INFEASIBLE: it is not known. */
DF_NODISCARD df_status df_val_find_engine(const df_val_row *r, df_engine_id *out);

/* Of the row's set. DF_INFEASIBLE: a training set of which it is not known. */
DF_NODISCARD df_status df_val_find_software(const df_val_row *r, int64_t lp, df_val_software *out);

/* The nodes and the network of a cluster. DF_EINVAL: there is none of this name. */
DF_NODISCARD df_status df_val_find_cluster(df_val_row *r,
                                           const df_val_device *device,
                                           const char *name,
                                           const df_val_cluster **out);

/* A training or inference run. */
typedef struct {
    const df_val_device *device;
    df_cfg cfg; /* all that rules do not decide: without number format, network, software */
    int64_t num_gpus;
    bool batches_known;
    const char *training_only; /* why none but the calibrated rules, and for training, have it */
} df_val_case;

/* What a row of models.csv says beside the widths of plain layers; what recipes.csv says of the
 * run, if it does. */
DF_NODISCARD df_status df_val_read_experts(df_val_row *r, df_cfg_llm *m);
DF_NODISCARD df_status df_val_read_recipe(df_val_row *r, df_cfg *cfg);

/* DF_INFEASIBLE: not modelled, by any rules. */
DF_NODISCARD df_status df_val_read_case(df_val_row *r, df_val_case *out);
/* Its configuration under rule set number `rules`, with sched.mb 0 where nobody says into how many
 * micro-batches the batch is cut. DF_INFEASIBLE: these do not have it. */
DF_NODISCARD df_status df_val_configure(df_val_row *r,
                                        const df_val_case *c,
                                        int rules,
                                        df_cfg *out);

bool df_val_is_calibrated(const df_val_row *r, int rules);

/* ---- Operators ---- */

/* Seconds of the row's operator on a card, as its kernel was measured. DF_INFEASIBLE: none was. */
typedef df_status df_val_kernel(df_val_row *r, const df_card *card, double *time_s);

df_val_kernel df_val_gemm_kernel, df_val_profiled_kernel, df_val_prefill_kernel,
    df_val_decode_kernel, df_val_collective_kernel, df_val_experts_kernel;

/* ---- Points ---- */

/* Predictions of one value under each set of rules. */
typedef struct {
    double value[DF_VAL_RULE_SETS];
    const char *why[DF_VAL_RULE_SETS]; /* there is none; NULL: there is one */
} df_val_values;

/* Takes in how the prediction under one set of rules, values->value[rules], went: a reason where
 * `status` is DF_INFEASIBLE, whose text is in r->err. Another failure is returned. */
DF_NODISCARD df_status df_val_take(df_val_row *r,
                                   df_status status,
                                   int rules,
                                   df_val_values *values);

/* Adds a point, or one that is skipped under all rules for the reason in r->err. */
DF_NODISCARD df_status df_val_add(df_val_row *r,
                                  const char *metric,
                                  double measured,
                                  const df_val_values *values);
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
DF_NODISCARD df_status df_val_run_nothing(df_val_row *r); /* of a kind that is not modelled */

#endif
