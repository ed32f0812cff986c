/* eval.h: the objective of a search: budget fractions in, predicted time out. */
#ifndef DF_EVAL_H
#define DF_EVAL_H
#include "predict/predict.h"

/* The searched parameters, class by class, in the order of the reference. */
typedef enum {
    DF_P_AREA_CORE,
    DF_P_AREA_DRAM,
    DF_P_AREA_L2,
    DF_P_AREA_L1,
    DF_P_AREA_REG,
    DF_P_AREA_INTRA,
    DF_P_AREA_INTER,
    DF_P_POWER_CORE,
    DF_P_POWER_DRAM,
    DF_P_POWER_L2,
    DF_P_POWER_L1,
    DF_P_POWER_REG,
    DF_P_POWER_INTRA,
    DF_P_POWER_INTER,
    DF_P_PERIM_DRAM,
    DF_P_PERIM_INTER,
    DF_P_PERIM_INTRA,
    DF_PARAMS
} df_param;
enum { DF_CLASSES = 3 }; /* area, power, perimeter */

/* Column names of results.h5: "area_core", ..., "perimeter_intra_node". */
extern const char *const df_param_names[DF_PARAMS];

/* First parameter of each class; [DF_CLASSES] is DF_PARAMS. */
extern const int df_class_begin[DF_CLASSES + 1];

/* A point: fractions of chip area, TDP and chip perimeter. */
typedef struct {
    double p[DF_PARAMS];
} df_point;

typedef struct {
    double time_s;          /* inf: this device cannot work */
    double memory_overflow; /* bytes needed / DRAM size */
    double shortfall;       /* 0 where time_s is finite and, unless memory is ignored, the
                               footprint fits; otherwise how far from that, > 0 */
} df_eval_result;

typedef struct df_eval df_eval;

/* Prepares the search of the strategy and placement already written into *cfg
 * (copied): chip area from the footprint (search-model section 4), which
 * parameters are searched, budgets. One per thread.
 * DF_INFEASIBLE: the strategy cannot split the model, or its footprint leaves no
 * chip area; DF_EINVAL: no budgets in the file, mode is not LSTM or GEMM. */
DF_NODISCARD df_status df_eval_new(
    const df_cfg *cfg, const df_rules *rules, bool ignore_memory, df_eval **out, df_err *err);
void df_eval_free(df_eval *eval);

/* Evaluates a point. Never fails: what cannot work has time_s = inf. Classes need
 * not sum to their budget. Allocates nothing; counts the call. */
void df_eval_point(df_eval *eval, const df_point *point, df_eval_result *out);

/* Writes the point's absolute budgets into a copy of the template. */
void df_eval_config(const df_eval *eval, const df_point *point, df_cfg *out);

/* searched[i]: whether parameter i is searched (networks with derate 0 are not). */
const bool *df_eval_searched(const df_eval *eval);
/* Sum that the searched fractions of a class have: 1 - sum of the others. */
double df_eval_budget(const df_eval *eval, int klass);
/* The template's own fractions: the values of what is not searched. */
const df_point *df_eval_template(const df_eval *eval);
double df_eval_chip_mm2(const df_eval *eval);
int64_t df_eval_count(const df_eval *eval); /* evaluations so far */

#endif
