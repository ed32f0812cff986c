/* pipeline.h: the LSTM's dependency graph (time steps x layers) on lp devices,
 * and its discrete event simulation. */
#ifndef DF_PIPELINE_H
#define DF_PIPELINE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct {
    int64_t seq_len, num_layers, lp;
} df_pipeline_shape;

/* Durations in seconds: embedding, cell, softmax, transfer, and reductions of
 * the embedding, cell and softmax weights; f forward, b backward. */
typedef struct {
    double ef, cf, sf, tf;
    double eb, cb, sb, tb;
    double re, rc, rs;
} df_pipeline_times;

/* The graphs of one shape, built once and simulated often; one per thread. */
typedef struct df_pipeline df_pipeline;

/* NULL when out of memory. */
df_pipeline *df_pipeline_new(void);
void df_pipeline_free(df_pipeline *pipe);

/* Devices: one runs everything; of three and more, the first runs the embedding,
 * the last the softmax, and the layers are spread over those between. With two
 * devices and several layers the embedding shares its device with the first half of
 * the layers, the softmax with the second, and only the edge between the halves
 * crosses the link; or, with two_stages_rejected, such a shape is DF_INFEASIBLE.
 *
 * Prepares for a shape (does nothing when it is the current shape).
 * May allocate. DF_INFEASIBLE: lp = 2 with more than one layer and
 * two_stages_rejected, more layers or steps than memory can hold. */
DF_NODISCARD df_status df_pipeline_build(df_pipeline *pipe,
                                         const df_pipeline_shape *shape,
                                         bool two_stages_rejected,
                                         df_err *err);

/* Simulates forward and backward pass of the graph last built. Allocates
 * nothing. An infinite duration gives an infinite time.
 * frees_last_link: the end of an edge through memory sets the last link free. */
void df_pipeline_run(df_pipeline *pipe,
                     const df_pipeline_times *times,
                     bool frees_last_link,
                     double *forward_s,
                     double *backward_s);

#endif
