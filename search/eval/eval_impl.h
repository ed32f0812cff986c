/* eval_impl.h: inside the evaluation.
 *
 *   eval.c        preparing a strategy, evaluating a point
 *   eval_goal.c   goals, limits and ranges
 *   eval_param.c  names and classes of parameters */
#ifndef DF_EVAL_IMPL_H
#define DF_EVAL_IMPL_H
#include "eval/eval.h"
#include "predict/predict.h"

struct df_eval {
    df_eval_options options;
    df_cfg cfg; /* the template; budgets are overwritten by each evaluation */
    df_predictor *predictor;
    df_hw_device dev; /* the device, if the hardware is fixed */
    bool has_dev;
    df_point shares; /* the shares of the template */
    double budget[DF_CLASSES];
    bool searched[DF_PARAMS];
    bool needs_intra, needs_inter;
    double needed_bytes;  /* memory of the fullest device; 0: not known */
    double stacks_needed; /* DRAM stacks that these fill; 0: not known */
    double weight[DF_GOALS];
    int64_t count;
    df_status failure; /* failure of an evaluation that says nothing about its point; DF_OK: none */
};

/* Whether the model and the file have the figures that goals and limits need. */
DF_NODISCARD df_status df_eval_check_goals(const df_eval *eval, df_err *err);
/* Parameters with one value take it, and leave the search; the ranges of the others must
 * reach the budget of each class, which eval->budget has. */
DF_NODISCARD df_status df_eval_check_ranges(const df_eval *eval, df_err *err);

/* Computes the goals from the metrics. */
double df_eval_value(const df_eval *eval, double time_s, const df_eval_metrics *metrics);
/* How far limits are exceeded, and how far a point is outside its ranges; 0: not at all. */
double df_eval_excess(const df_eval *eval, double time_s, const df_eval_metrics *metrics);
double df_eval_strays(const df_eval *eval, const df_point *point);

#endif
