/* pipe.h: the pipeline that a configuration describes, for its time and its memory. */
#ifndef DF_PREDICT_PIPE_H
#define DF_PREDICT_PIPE_H
#include "config/cfg.h"
#include "sched/sched.h"

df_pipe df_pipe_read(const df_cfg *cfg);

/* The order of micro-batches in training. */
const df_order *df_pipe_order(const df_cfg *cfg);

#endif
