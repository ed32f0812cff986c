/* grad_impl.h: inside the descents.
 *
 *   grad.c            names, and one descent by any optimizer
 *   grad_start.c      starting points
 *   grad_reference.c  the Python DeepFlow's rule
 *   grad_space.c      points as vectors without constraints
 *   grad_gsl.c        GSL's minimisers
 *   grad_cma.c        evolution of a distribution
 *   grad_finish.c     moves of budget from one parameter to another
 *   grad_run.c        what all descents share */
#ifndef DF_GRAD_IMPL_H
#define DF_GRAD_IMPL_H
#include "grad/grad.h"

/* One descent at work. */
typedef struct {
    df_eval *eval;
    const df_grad_options *options;
    int max_iterations;
    int64_t budget; /* number of evaluations at which all optimizers but the reference rule end */
    const df_grad_watch *watch; /* may be NULL */
    df_descent *out;
    int64_t next_report; /* number of evaluations at which the next iterate is due */
    int every;           /* evaluations in an iterate */
} df_run;

/* Evaluates a point that may become the best one. */
void df_run_try(df_run *run, const df_point *point, df_eval_result *result);
/* Passes an iterate to the watcher. False: stop. */
bool df_run_report(df_run *run, int32_t iteration, const df_point *point, const df_eval_result *r);
/* As df_run_report, for optimizers without iterations like those of the reference: reports once as
 * many evaluations were made as one such iteration takes. DF_EINTERRUPTED: stop. */
DF_NODISCARD df_status df_run_report_now(df_run *run,
                                         const df_point *point,
                                         const df_eval_result *r,
                                         df_err *err);
/* Whether all evaluations have been used. */
bool df_run_spent(const df_run *run);

/* The function that a search minimises, finite everywhere: log(value) if the device works;
 * elsewhere it lies far above that and falls with the shortfall. */
double df_run_objective(const df_eval_result *result);
/* Whether an objective is that of a working device. */
bool df_run_works(double objective);

/* ---- Points as vectors (grad_space.c) ---- */
int df_space_dimensions(const df_eval *eval); /* at most DF_PARAMS */
void df_space_point(const df_eval *eval, const double *x, df_point *point);
void df_space_vector(const df_eval *eval, const df_point *point, double *x);

/* The descents. DF_EINTERRUPTED: the observer stopped them. */
DF_NODISCARD df_status df_descend_reference(df_run *run, df_err *err);
DF_NODISCARD df_status df_descend_gsl(df_run *run, df_err *err);
DF_NODISCARD df_status df_descend_cma(df_run *run, df_err *err);
/* Continues from the best point. */
DF_NODISCARD df_status df_descend_finish(df_run *run, df_err *err);

#endif
