#include "model/exchange.h"

#include <math.h>

/* Of one layer on a device. */
static double layer_params(const df_dims *dims, const df_split *split)
{
    return df_dims_layer_params(dims) / split->tp;
}

double df_exchange_stage_params(const df_dims *dims, const df_split *split)
{
    const double layers = ceil(dims->layers / split->pp);
    const double tables = split->pp > 1.0 || dims->tied ? 1.0 : 2.0;
    return layers * layer_params(dims, split) + tables * df_dims_table_params(dims) / split->tp;
}

double df_exchange_model_params(const df_dims *dims, const df_split *split)
{
    const double tables = dims->tied ? 1.0 : 2.0;
    return dims->layers * layer_params(dims, split) +
           tables * df_dims_table_params(dims) / split->tp;
}

static df_exchange_bytes bytes_of(const df_dims *dims, const df_split *split, double element_bytes)
{
    const double table = ceil(element_bytes * (df_dims_table_params(dims) / split->tp));
    return (df_exchange_bytes){table, ceil(element_bytes * layer_params(dims, split)), table};
}

void df_exchange_of(const df_dims *dims,
                    const df_split *split,
                    int64_t zero_stage,
                    df_exchange *out)
{
    *out = (df_exchange){.replicas = df_split_replicas(split),
                         .gradients = bytes_of(dims, split, dims->bytes.exchanged_gradient),
                         .parameters = bytes_of(dims, split, dims->bytes.parameter),
                         .every_batch = zero_stage >= 2, /* no device keeps whole gradients */
                         .optimizes = true,
                         .head_apart = !dims->tied || zero_stage >= 3};
    if (dims->tied && split->pp == 1.0) {
        out->gradients.head = 0.0; /* added to the embedding's */
    } else if (dims->tied) {
        /* the embedding groups of Megatron-LM: Narayanan et al., SC 2021, section 3.2 */
        out->shared_bytes = out->gradients.embedding;
    }
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
                   .repeats = 1.0,
                   .launches = 2.0,
                   .stream = {params, flops, 2.0 * b->gradient + moments + weights}};
}
