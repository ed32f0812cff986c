/* op.h: what an operator of a model does, and what its time goes to. */
#ifndef DF_OP_H
#define DF_OP_H
#include "gemm/gemm.h"

typedef enum {
    DF_COST_COMPUTE,
    DF_COST_REGISTERS,
    DF_COST_L1,
    DF_COST_L2,
    DF_COST_DRAM,
    DF_COST_NETWORK,
    DF_COST_LAUNCH, /* and what else is not accounted for */
    DF_COSTS
} df_cost;

extern const char *const df_cost_names[DF_COSTS]; /* "compute", "registers", ... */

/* One operator, forward and, in training, backward together; all but `runs` of one run. */
typedef struct {
    const char *name;
    const char *phase; /* "prefill", "decode", or "" */
    double runs;       /* on one device in a step, on average over the pipeline's stages */
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [3] DRAM */
    double cost_s[DF_COSTS];            /* they add up to its time */
} df_op;

enum { DF_OPS_MAX = 24 };

/* The operators of a step on one device. */
typedef struct {
    df_op op[DF_OPS_MAX];
    int count;
} df_ops;

/* Begins another operator; the last one again where there is no room. */
df_op *df_ops_add(df_ops *ops, const char *name, double runs);

/* Seconds of one run. */
double df_op_time_s(const df_op *op);

/* What bounds a kernel: compute or a memory level. */
df_cost df_cost_of_kernel(const df_hw_device *dev, double flops, const double bytes[DF_HW_LEVELS]);

/* Adds a kernel of so many seconds. */
void df_op_add_kernel(df_op *op,
                      const df_hw_device *dev,
                      double time_s,
                      double flops,
                      const double bytes[DF_HW_LEVELS]);

/* Multiplies all but `runs`. */
void df_op_scale(df_op *op, double factor);

/* Lets launch overhead be what is missing to time_s. */
void df_op_fill(df_op *op, double time_s);

#endif
