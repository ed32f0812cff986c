/* grad_impl.h: inside the descents.
 *
 *   grad.c            starting points, names, what all descents share
 *   grad_reference.c  the Python DeepFlow's rule
 *   grad_gsl.c        GSL's minimisers */
#ifndef DF_GRAD_IMPL_H
#define DF_GRAD_IMPL_H
#include "grad/grad.h"

/* One descent at work. */
typedef struct {
    df_eval *eval;
    const df_grad_options *options;
    int max_iterations;
    const df_grad_watch *watch; /* may be NULL */
    df_descent *out;
} df_run;

/* Evaluates a point that may become the best one. */
void df_run_try(df_run *run, const df_point *point, df_eval_result *result);
/* Tells the watcher of an iterate. False: stop. */
bool df_run_report(df_run *run, int32_t iteration, const df_point *point, const df_eval_result *r);

/* What a search minimises, finite everywhere: log(value) of what works; far above it, and
 * falling with the shortfall, elsewhere. */
double df_run_objective(const df_eval_result *result);

/* The descents. DF_EINTERRUPTED: the watcher said stop. */
DF_NODISCARD df_status df_descend_reference(df_run *run, df_err *err);
DF_NODISCARD df_status df_descend_gsl(df_run *run, df_err *err);

#endif
