/* product.h: a product of matrices split over devices, forward and backward, with what the devices
 * exchange; and the mode GEMM, which is one. Equations: docs/models.md, section 5. */
#ifndef DF_PRODUCT_H
#define DF_PRODUCT_H
#include "config/cfg.h"
#include "model/build.h"

/* How a product is split over devices. Column-row: its inner dimension over dim1 devices along
 * kp1. Row-column: rows of its result over dim1 along kp1, columns over dim2 along kp2. */
typedef struct {
    df_kp_type type;
    double dim1, dim2;
} df_kp_split;

/* The number of parts into which each dimension is split. */
typedef struct {
    double rows, inner, columns;
} df_kp_ways;

df_kp_ways df_kp_ways_of(df_kp_type type, const df_kp_split *split);

/* C[m,n] = A[m,k] B[k,n], where B are weights. */
typedef struct {
    double m, k, n, element_bytes;
    df_kp_split split;
    df_kp_type reduction; /* how the gradient of B is split: as B */
} df_product;

/* An all-gather of equal shards along the axis; none if there is only one member. */
void df_product_gather(
    const df_tail *t, df_op_pass pass, df_axis axis, double bytes, double members);

/* The product, or the one that gives a gradient, and its collectives. The weights' gradient comes
 * before the inputs': it gathers what both need. */
void df_product_build(const df_product *p, df_op_pass pass, const df_tail *t);

/* The part of a product's shape that one device has, for its memory. A product that is not split by
 * row and column counts as split by column and row (model/lstm.h). */
df_op_gemm df_product_part(const df_product *p, df_kp_type given);

/* Replicas add up the gradients of B, then apply and clip them. */
void df_product_reduce(const df_product *p, const df_tail *t);

/* ---- Mode GEMM ---- */

typedef enum { DF_GEMM_FORWARD, DF_GEMM_BACKWARD, DF_GEMM_REDUCTION, DF_GEMM_ROWS } df_gemm_row;

typedef struct {
    df_product product;
    bool backward, reduces;
} df_gemm_mode;

void df_gemm_mode_read(const df_cfg *cfg, df_gemm_mode *g);
/* Fills *ops, row by row in the order of df_gemm_row. */
void df_gemm_mode_build(const df_gemm_mode *g, df_ops *ops);
/* Bytes of the three matrices, forward: a device's parts of them. */
double df_gemm_mode_bytes(const df_gemm_mode *g);

#endif
