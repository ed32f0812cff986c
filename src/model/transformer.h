/* transformer.h: a pass through a transformer as the operators of one device, collectives
 * included. Equations: docs/models.md, section 10. */
#ifndef DF_TRANSFORMER_H
#define DF_TRANSFORMER_H
#include "model/dims.h"
#include "op/op.h"

/* Fills *ops with one layer, and once for all layers the embedding and the head, forward and
 * backward. Fewer than DF_OPS_MAX. A decode step has no embedding: a row of the table for each
 * sequence costs nothing. */
void df_transformer_build(const df_dims *dims,
                          const df_split *split,
                          const df_span *span,
                          df_ops *ops);

/* Adds one layer alone, without the embedding and the head. */
void df_transformer_build_layer(const df_dims *dims,
                                const df_split *split,
                                const df_span *span,
                                df_ops *ops);

/* As df_transformer_build, of a model whose layers are of several kinds: the layer is the mean of
 * all. Each kind has its operators in it, with the share of layers that are of that kind; *span has
 * the experts of the first kind. */
void df_transformer_build_stack(const df_stack *stack,
                                const df_split *split,
                                const df_span *span,
                                df_ops *ops);

/* Flops that the forward pass of `sequences` needs at least, in products of matrices, without
 * recomputation. A position attends to those before it and to itself; unmasked: to all. Those that
 * have logits are multiplied by the table. */
double
df_transformer_flops(const df_stack *stack, const df_span *span, double sequences, bool unmasked);

/* Bytes of the keys and values of `positions`, of all sequences together, that the cache of one of
 * `devices` keeps for a layer whose heads they share; this is at least one head each. */
double df_transformer_cache_bytes(const df_dims *dims, double positions, double devices);

#endif
