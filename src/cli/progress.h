/* progress.h: how far a sweep is, on stderr: a bar on a terminal, a line now and then
 * elsewhere. */
#ifndef DF_PROGRESS_H
#define DF_PROGRESS_H
#include <stdbool.h>
#include <stdint.h>

#include "sweep/sweep.h"

typedef struct {
    bool terminal;
    double begin_s, last_s;
} df_progress;

void df_progress_begin(df_progress *progress);
/* Shows it, if the last time was long enough ago. */
void df_progress_show(df_progress *progress, const df_sweep_progress *at);
/* Shows it a last time. */
void df_progress_end(df_progress *progress, const df_sweep_progress *at);
/* Seconds since df_progress_begin. */
double df_progress_elapsed_s(const df_progress *progress);

#endif
