/* step_reference.h: the time of a step as the Python DeepFlow links its micro-batches. The rules
 * say where that is another time than that of the step's order (sched/sched.h). */
#ifndef DF_STEP_REFERENCE_H
#define DF_STEP_REFERENCE_H
#include "rules/rules.h"
#include "sched/sched.h"

/* Whether of several micro-batches on a single stage the first alone runs, up to the gradients of
 * the logits. */
bool df_compat_first_batch_only(const df_rules *rules, const df_pipe *pipe, const df_order *order);

/* Time of a step by the rules, which set its options. Allocates only for a step that is larger than
 * all before, or that has to be simulated. DF_ENOMEM. */
DF_NODISCARD df_status df_compat_step(
    df_sched_ws *ws, const df_rules *rules, const df_step *step, double *time_s, df_err *err);

#endif
