/* validate.h: predictions of measured runs, and how far off they are. configs/validation/README.md
 * describes the files, and docs/validation.md what is predicted for each. */
#ifndef DF_VALIDATE_H
#define DF_VALIDATE_H
#include "config/cfg.h"
#include "kernels/kernels.h"
#include "rules/rules.h"
#include "validate/csv.h"

enum { DF_VAL_RULE_SETS = 3 }; /* most sets of rules that are compared in one table */

/* Where things are. */
typedef struct {
    const char *data; /* folder of the measured runs */
    const char
        *fallback; /* another folder, whose devices.csv and models.csv are consulted too; or NULL */
    const char *hardware; /* folder of the hardware files that devices.csv names */
} df_val_folders;

/* One measured value and its predictions. Texts belong to the data. */
typedef struct {
    const char *set, *metric, *id, *quality;
    const char *part;   /* of a set: where its rows come from, or whether they are FSDP's */
    const char *device; /* both as the row names them; "" where it does not */
    const char *model;
    const char *group; /* equal for runs that differ only in their strategy; "" for none */
    double measured;
    double predicted[DF_VAL_RULE_SETS];
    const char *skipped[DF_VAL_RULE_SETS]; /* why there is no prediction; NULL: there is one */
} df_val_point;

typedef struct {
    df_val_point *point;
    size_t count, room;
} df_val_points;

typedef struct df_val_data df_val_data;

/* Reads the folder: every .csv file in it but models.csv and devices.csv is a set. DF_EINVAL: no
 * such folder, no set in it, or a file that is none. DF_EIO, DF_ENOMEM. */
DF_NODISCARD df_status df_val_load(const df_val_folders *folders, df_val_data **out, df_err *err);
void df_val_free(df_val_data *data); /* also NULL */

/* The sets, by name. */
size_t df_val_sets(const df_val_data *data);
const char *df_val_set_name(const df_val_data *data, size_t set);

/* Predicts a set under each of num_rules sets of rules and adds its points. A row that cannot be
 * predicted becomes a point that says why. DF_EINVAL: a file or a number in it is wrong. */
DF_NODISCARD df_status df_val_run(df_val_data *data,
                                  size_t set,
                                  const df_rules *rules,
                                  int num_rules,
                                  df_val_points *points,
                                  df_err *err);
void df_val_points_free(df_val_points *points);

/* Places the degrees of parallelism in *cfg on nodes of node_gpus devices: tensor parallelism is
 * innermost, followed by context, data and pipeline parallelism. Sets cfg->system: the nodes, which
 * axes leave one, and the derate between nodes. A group with g devices in each of several nodes of
 * more than two devices uses the ports of all g (derate 1/g); the innermost axis that leaves a node
 * decides. */
void df_val_place(double node_gpus, int64_t num_gpus, df_cfg *cfg);

/* ---- Rows of measured kernels ---- */

typedef enum {
    DF_VAL_GEMM,
    DF_VAL_PREFILL,
    DF_VAL_DECODE,
    DF_VAL_EXPERTS,
    DF_VAL_COLLECTIVE,
    DF_VAL_OPERATORS
} df_val_operator;

/* "gemm", ...: the section of its constants. */
const char *df_val_operator_name(df_val_operator op);

/* The operator that a file's columns belong to. False: none. */
bool df_val_operator_of(const df_csv *csv, df_val_operator *out);

/* Seconds of a row's kernel on a card. DF_EINVAL: a number is wrong. DF_INFEASIBLE: no kernel was
 * measured for what the row has. */
DF_NODISCARD df_status df_val_time_kernel(const df_csv *csv,
                                          size_t row,
                                          df_val_operator op,
                                          const df_card *card,
                                          double *time_s,
                                          df_err *err);

/* ---- Scores ---- */

/* A score of relative errors, (predicted - measured) / measured. For a metric that is yes or no
 * (fits), the error is 1 if the answer is wrong, so the mean is the share of wrong answers. */
typedef struct {
    size_t n;
    double bias;                /* mean of the errors */
    double mean, median, worst; /* of the absolute values of the errors */
    const char *worst_id;
} df_val_errors;

/* A score of groups of at least DF_VAL_GROUP runs that differ only in their strategy. */
enum { DF_VAL_GROUP = 3 };

typedef struct {
    size_t groups;
    double tau;                  /* mean over groups of Kendall's tau-b */
    double regret, worst_regret; /* mean and worst over groups of: measured time of the run
                                    predicted fastest / measured time of the fastest - 1 */
} df_val_ranking;

/* Points with these texts; NULL: whatever they have. */
typedef struct {
    const char *set, *metric, *part, *device, *model;
} df_val_choice;

typedef struct {
    df_val_choice of;
    size_t total, skipped;
    df_val_errors all, trusted; /* trusted: rows of this quality */
    df_val_ranking ranking;     /* ranking of all rows */
} df_val_score;

/* Scores the points of a choice under rule set number `rules`. DF_ENOMEM. */
DF_NODISCARD df_status df_val_score_points(const df_val_points *points,
                                           const df_val_choice *choice,
                                           int rules,
                                           df_val_score *out,
                                           df_err *err);

#endif
