#include "model/exchange.h"

#include <math.h>

/* Parameters of a device that has `layers` layers, each the mean of all, and `tables` tables. */
static double params_of(const df_stack *stack, const df_split *split, double layers, double tables)
{
    return layers * df_split_mean_params(split, stack) +
           tables * df_dims_table_params(&stack->kind[0]) / split->tp;
}

double df_exchange_stage_params(const df_stack *stack, const df_split *split)
{
    const double tables = split->pp > 1.0 || stack->kind[0].tied ? 1.0 : 2.0;
    return params_of(stack, split, ceil(stack->layers / split->pp), tables);
}

double df_exchange_model_params(const df_stack *stack, const df_split *split)
{
    return params_of(stack, split, stack->layers, stack->kind[0].tied ? 1.0 : 2.0);
}

static df_exchange_bytes
bytes_of(const df_stack *stack, const df_split *split, double element_bytes)
{
    const double table = ceil(element_bytes * params_of(stack, split, 0.0, 1.0));
    return (df_exchange_bytes){table, ceil(element_bytes * params_of(stack, split, 1.0, 0.0)),
                               table};
}

/* Tensor-parallel devices with a copy of the same key/value head each have the gradient that their
 * own query heads give it, and add these up. Where replicas keep parts of gradients, of these. */
static void share_heads(const df_dims *dims, const df_split *split, bool parts, df_exchange *e)
{
    const double heads = df_split_kv_heads(split, dims);
    const double columns = 2.0 * heads / split->tp * dims->head_dim; /* of keys and values */
    const double params = dims->hidden * columns / (parts ? e->replicas : 1.0);
    e->copies = ceil(heads / dims->kv_heads);
    e->copied_bytes = e->copies > 1.0 ? ceil(dims->bytes.exchanged_gradient * params) : 0.0;
}

df_exchange df_exchange_of(const df_stack *stack, const df_split *split, int64_t zero_stage)
{
    const df_dims *const dims = &stack->kind[0];
    df_exchange e = {.replicas = df_split_replicas(split),
                     .gradients = bytes_of(stack, split, dims->bytes.exchanged_gradient),
                     .parameters = bytes_of(stack, split, dims->bytes.parameter),
                     .every_batch = zero_stage >= 2, /* no device keeps whole gradients */
                     .optimizes = true,
                     .head_apart = !dims->tied || zero_stage >= 3};
    if (dims->tied && split->pp == 1.0) {
        e.gradients.head = 0.0; /* added to the embedding's */
    } else if (dims->tied) {
        /* the embedding groups of Megatron-LM: Narayanan et al., SC 2021, section 3.2 */
        e.shared_bytes = e.gradients.embedding;
    }
    share_heads(dims, split, zero_stage >= 2, &e);
    return e;
}

/* Gradients are clipped by their norm (Pascanu et al., ICML 2013), so that they are read twice. */
df_op df_exchange_optimizer(const df_dims *dims, double params)
{
    const double flops = 15.0; /* norm 2, clipping 1, moments 3 and 4, update 5 */
    const df_formats *const b = &dims->bytes;
    const double moments = 4.0 * b->optimizer; /* both are read and written */
    const double weights = b->master > 0.0 ? 2.0 * b->master + b->parameter : 2.0 * b->parameter;
    return (df_op){.kind = DF_OP_STREAM,
                   .flags = DF_OP_WHOLE_BYTES,
                   .share = 1.0,
                   .repeats = 1.0,
                   .launches = 2.0,
                   .stream = {params, flops, 2.0 * b->gradient + moments + weights}};
}
