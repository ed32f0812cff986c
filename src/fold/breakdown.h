/* breakdown.h: a priced list of operators as the table that reports print. */
#ifndef DF_BREAKDOWN_H
#define DF_BREAKDOWN_H
#include "cost/cost.h"

/* What a row of any model takes in each direction. */
typedef struct {
    double compute_s[DF_DIRECTIONS]; /* all but collectives */
    double comm_s[DF_DIRECTIONS];
} df_row_times;

/* Adds up a priced list; row[] is zeroed. */
void df_row_times_add(const df_ops *ops, const df_price price[], df_row_times row[]);

/* One operator of one layer on one device, in one direction. */
typedef struct {
    double time_s;             /* collectives and launches included */
    double comm_s, comm_bytes; /* time and bytes of its collectives: op/op.h */
    df_price sum; /* sum of all prices; its time includes everything that runs side by side */
} df_row_side;

typedef struct {
    df_row_side side[DF_DIRECTIONS];
    double counted_flops, counted_bytes[DF_HW_LEVELS]; /* as the Python DeepFlow counts them */
    bool present;
} df_row;

/* All operators of one pass. */
typedef struct {
    df_row row[DF_ROWS];
    double block_s[DF_DIRECTIONS]; /* time of one layer */
    double recompute_s;            /* part of its backward half */
} df_breakdown;

/* Seconds of a pass, by what a step consists of. */
typedef struct {
    double block_s[DF_BLOCKS][DF_OP_PASSES]; /* [df_block][df_op_pass] */
    double attention_core_s; /* time of the forward products of attention, and of its softmax, in
                                one layer */
} df_pass_times;

void df_pass_times_sum(const df_ops *ops, const df_price price[], df_pass_times *times);

/* Sums prices by row, and rows to attention, MHA, MLP and the layer, whose backward half takes
 * recompute_s longer. The counted figures are left 0. */
void df_breakdown_fill(const df_ops *ops,
                       const df_price price[],
                       double recompute_s,
                       df_breakdown *table);

/* Whether a row is `of`, or part of it: MHA, MLP and attention are sums. */
bool df_row_is_within(df_row_name row, df_row_name of);

/* The operators that a step's time is the sum of. */
enum { DF_BREAKDOWN_LEAVES = 10 };
extern const df_row_name df_breakdown_leaves[DF_BREAKDOWN_LEAVES];

#endif
