/* usage.h: what the time of operators goes to, as lists for reports. */
#ifndef DF_USAGE_H
#define DF_USAGE_H
#include "fold/breakdown.h"

typedef enum {
    DF_COST_COMPUTE,
    DF_COST_REGISTERS,
    DF_COST_L1,
    DF_COST_L2,
    DF_COST_DRAM,
    DF_COST_NETWORK,
    DF_COST_LAUNCH,
    DF_COSTS,
    DF_COST_NONE = DF_COSTS /* an operator that takes no time */
} df_cost;

/* "compute", "registers", ..., and "-" for DF_COST_NONE. */
extern const char *const df_cost_names[DF_COSTS + 1];

/* What takes most of the time of a table's row. */
df_cost df_usage_bound(const df_hw_device *dev, const df_row_side *side);

/* One operator, forward and, in training, backward together; all figures except `runs` are those of
 * one run. */
typedef struct {
    const char *name;
    const char *phase; /* "prefill", "decode", or "" */
    double runs;       /* on one device in a step, on average over the pipeline's stages */
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [3] DRAM */
    double cost_s[DF_COSTS];            /* they add up to its time */
} df_usage;

enum { DF_USAGES_MAX = 32 };

/* The operators of a step on one device. */
typedef struct {
    df_usage item[DF_USAGES_MAX];
    int count;
} df_usages;

/* Begins another operator, which must find room. */
df_usage *df_usages_add(df_usages *all, const char *name, double runs);

/* Seconds of one run. */
double df_usage_time_s(const df_usage *usage);

/* Adds kernels: their launches, and the rest by what bounds them. */
void df_usage_add_kernels(df_usage *usage, const df_hw_device *dev, const df_price *price);

/* Adds a row's direction: its collectives, its launches, and the rest by what bounds it. */
void df_usage_add_side(df_usage *usage, const df_hw_device *dev, const df_row_side *side);

/* The operators of one row, for a model that is not a transformer. */
typedef struct {
    const char *name;
    double runs;
} df_usage_row;

/* Fills *all with the first `count` rows of a priced list, with those without operators too. */
void df_usages_list(df_usages *all,
                    const df_hw_device *dev,
                    const df_ops *ops,
                    const df_price price[],
                    const df_usage_row row[],
                    int count);

#endif
