/* step_case.h: random steps of pipelines. Durations are small whole numbers, so that sums are
 * exact, many things end at once and ties matter. */
#ifndef DF_STEP_CASE_H
#define DF_STEP_CASE_H
#include "base/mt19937.h"
#include "lower/lower.h"
#include "support/support.h"

/* A number from least to most. */
int64_t df_step_case_draw(df_mt19937 *rng, int64_t least, int64_t most);
/* A step in the order of GPipe, of at least so many micro-batches. */
df_step df_step_case_random(df_mt19937 *rng, int64_t least_batches);
/* Time of its whole graph. */
double df_step_case_graph_s(const df_step *step);
/* Fails with the step's parameters unless that is time_s. */
void df_step_case_assert(int number, const df_step *step, double time_s);

#endif
