/* Products with weights, split over devices, and what they keep. Memory: Korthikanti et al., MLSys
 * 2023, table 2, for any widths. */
#include <math.h>

#include "model/build.h"

double df_build_inner_bytes(const df_builder *b, double width)
{
    return df_build_share(b, b->dims->bytes.activation * width);
}

double df_build_outer_bytes(const df_builder *b)
{
    const double share = df_build_inner_bytes(b, b->dims->hidden);
    return df_split_is_plain_tensor(b->split) ? b->split->tp * share : share;
}

double df_build_mask_bytes(const df_builder *b)
{
    return b->dims->dropout ? df_build_outer_bytes(b) / b->dims->bytes.activation : 0.0;
}

df_projection df_project(const df_builder *b, bool by_rows, double m, double k, double n)
{
    const double own_k = by_rows ? df_split_width(b->split, k) : k;
    const double own_n = by_rows ? n : df_split_width(b->split, n);
    return (df_projection){.shape = {df_split_tokens(b->split, m), own_k, own_n, 0.0},
                           .by_rows = by_rows,
                           .repeats = 1.0,
                           .memory = {.params = k * n / b->split->tp}};
}

df_projection df_project_whole(const df_builder *b, double m, double k, double n)
{
    return (df_projection){.shape = {df_split_tokens(b->split, m), k, n, 0.0},
                           .repeats = 1.0,
                           .memory = {.params = k * n}};
}

void df_build_projection(df_builder *b, const df_projection *p)
{
    const df_formats *const bytes = &b->dims->bytes;
    df_build_products(b, &p->shape, p->repeats, p->repeats)->memory = p->memory;
    if (bytes->parameter > bytes->activation) {
        /* Micikevicius et al., ICLR 2018: read, and written as they are used */
        df_op *const cast = df_tail_stream(&b->to, DF_PASS_FORWARD, df_pointwise.touch,
                                           p->repeats * p->shape.k * p->shape.n,
                                           bytes->parameter + bytes->activation);
        cast->part = DF_OP_PART_CAST;
    }
}

void df_build_sum(df_builder *b, bool forward, double elements)
{
    const df_formats *const bytes = &b->dims->bytes;
    const df_coll_kind kind =
        df_split_is_plain_tensor(b->split) ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER;
    const double element_bytes = forward ? bytes->activation : bytes->exchanged_gradient;
    if (b->split->tp > 1.0) {
        df_tail_collective(&b->to, forward ? DF_PASS_FORWARD : DF_PASS_INPUT_GRAD, kind, DF_OVER_TP,
                           ceil(element_bytes * elements));
    }
}

void df_build_projection_sum(df_builder *b, const df_projection *p)
{
    df_build_sum(b, p->by_rows, p->shape.m * (p->by_rows ? p->shape.n : p->shape.k));
}
