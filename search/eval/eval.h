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

/* What is known of a design. */
typedef struct {
    double energy_j;     /* of a step on all devices; NaN: not modelled (GEMM, LSTM) */
    double power_w;      /* energy / time */
    double area_mm2;     /* of all devices, chips and stacks; NaN: the file has no budgets */
    double memory_bytes; /* memory that the fullest device needs; 0: not modelled (GEMM) */
    double tokens_ps; /* tokens trained or decoded (or read, if there is only a prefill); NaN: not
                         an LLM */
} df_eval_metrics;

/* Objectives. All but the last are minimised. */
typedef enum {
    DF_GOAL_TIME,
    DF_GOAL_ENERGY,
    DF_GOAL_EDP,           /* energy * time */
    DF_GOAL_TIME_PER_AREA, /* time * area: what a step costs in chip area */
    DF_GOAL_TOKENS_PER_S_PER_W,
    DF_GOALS
} df_goal;

/* "time", ... are the names of options; "time_s", ... those of columns. */
extern const char *const df_goal_names[DF_GOALS];
extern const char *const df_goal_columns[DF_GOALS];

/* One or several objectives; none means time alone. */
typedef struct {
    df_goal of[DF_GOALS];
    int count;
} df_goals;

/* Upper limits; 0: none. */
typedef struct {
    double time_s, energy_j, power_w, area_mm2, memory_bytes;
    double chip_mm2; /* area of a chip, in place of the file's proc_chip_area_budget */
} df_eval_limits;

/* The range of a searched parameter. */
typedef struct {
    bool given;
    double low, high; /* equal: it is not searched */
} df_param_range;

typedef struct {
    df_rules rules;
    bool ignore_memory;
    bool fix_hardware; /* the device is that of the file; points are ignored */
    df_goals goals;
    df_eval_limits limits;
    df_param_range range[DF_PARAMS];
} df_eval_options;

typedef struct {
    double time_s;          /* inf: this device cannot work */
    double memory_overflow; /* bytes needed / DRAM size */
    double shortfall; /* 0 if time_s is finite, the limits hold and, unless memory is ignored, the
                         footprint fits; otherwise the distance from that, > 0 */
    double value; /* what is minimised: the goal (the inverse of the last one); for several goals,
                     their weighted geometric mean */
    df_eval_metrics metrics;
} df_eval_result;

typedef struct df_eval df_eval;

/* Prepares the search of the strategy and placement already written into *cfg
 * (copied): chip area from the footprint (search-model section 4), which
 * parameters are searched, budgets. One per thread.
 * DF_INFEASIBLE: the strategy cannot split the model, or its footprint leaves no
 * chip area, or (hardware fixed) does not fit; DF_EINVAL: no budgets in the file, a goal or
 * limit that this model or file has no figures for, ranges that no point satisfies. */
DF_NODISCARD df_status df_eval_new(const df_cfg *cfg,
                                   const df_eval_options *options,
                                   df_eval **out,
                                   df_err *err);
/* As df_eval_new, but into an existing df_eval, for another strategy of the same model and
 * hardware. Cached results are kept. After a failure the df_eval may only be passed to this
 * function again, or freed. */
DF_NODISCARD df_status df_eval_use(df_eval *eval, const df_cfg *cfg, df_err *err);
void df_eval_free(df_eval *eval);

/* Memory for evaluations, without a strategy yet. NULL when out of memory. */
df_eval *df_eval_alloc(const df_eval_options *options);

/* The weight of each goal; weights need not sum to 1. At first all goals have the same weight. */
void df_eval_weigh(df_eval *eval, const double weight[DF_GOALS]);

/* Evaluates a point. A device that cannot work has time_s = inf, and so has a point whose
 * evaluation failed (out of memory), which df_eval_failure reports. Classes need not sum to their
 * budget. Allocates nothing after its first call; counts the call. */
void df_eval_point(df_eval *eval, const df_point *point, df_eval_result *out);
/* The first failure since df_eval_use that is not due to the point itself: DF_ENOMEM. A caller must
 * ask for it before it concludes that nothing works. */
DF_NODISCARD df_status df_eval_failure(const df_eval *eval, df_err *err);

/* The value of a goal in its own unit; HUGE_VAL or 0 if time_s is inf. */
double df_goal_figure(df_goal goal, double time_s, const df_eval_metrics *metrics);
/* The weighted geometric mean of the goals' costs, as in the value of df_eval_result. */
double df_goals_mean(const df_goals *goals,
                     const double weight[DF_GOALS],
                     double time_s,
                     const df_eval_metrics *metrics);
/* "time", "time,energy": DF_EINVAL: "expected ..., found ...". */
DF_NODISCARD df_status df_goals_parse(const char *text, df_goals *out, df_err *err);

/* Moves the searched fractions of each class into their ranges and scales them to the budget of the
 * class: those that have room are changed in proportion. Without ranges it changes nothing. */
void df_eval_fit(const df_eval *eval, df_point *point);

/* Writes the absolute budgets of a point into a copy of the template. */
void df_eval_config(const df_eval *eval, const df_point *point, df_cfg *out);

const df_rules *df_eval_rules(const df_eval *eval); /* those of the options */
/* searched[i]: whether parameter i is searched (networks with derate 0 are not). */
const bool *df_eval_searched(const df_eval *eval);
/* Sum that the searched fractions of a class have: 1 - sum of the others. */
double df_eval_budget(const df_eval *eval, int klass);
/* The fractions of the template, which are the values of all parameters that are not searched. */
const df_point *df_eval_template(const df_eval *eval);
double df_eval_chip_mm2(const df_eval *eval);
int64_t df_eval_count(const df_eval *eval); /* number of evaluations so far */

#endif
