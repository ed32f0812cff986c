/* exchange.h: what replicas and the ends of a pipeline exchange in a training step, and the
 * optimizer (Adam: Kingma and Ba, ICLR 2015), once for all layers. */
#ifndef DF_EXCHANGE_H
#define DF_EXCHANGE_H
#include "model/dims.h"
#include "op/op.h"

/* Bytes of the embedding, of one layer and of the head on one device. */
typedef struct {
    double embedding, layer, head;
} df_exchange_bytes;

typedef struct {
    double replicas; /* devices that exchange them */
    df_exchange_bytes gradients, parameters;
    bool every_batch;    /* each micro-batch reduces its gradients, not their sum */
    bool optimizes;      /* an optimizer's step follows */
    bool head_apart;     /* the head's parameters are gathered apart from the embedding's */
    double shared_bytes; /* gradients of a table that both ends of a pipeline have; 0: of none */
    double copies;       /* tensor-parallel devices that have a copy of the same head; 1: of none */
    double copied_bytes; /* gradients of a layer's heads that have copies, of one device */
} df_exchange;

/* zero_stage: 0 to 3, of Rajbhandari et al., SC 2020. */
df_exchange df_exchange_of(const df_stack *stack, const df_split *split, int64_t zero_stage);

/* Parameters of a device on the fullest stage of a pipeline, and the sum over as many devices as
 * there are stages, one on each. */
double df_exchange_stage_params(const df_stack *stack, const df_split *split);
double df_exchange_model_params(const df_stack *stack, const df_split *split);

/* The optimizer's step for some parameters. */
df_op df_exchange_optimizer(const df_dims *dims, double params);

#endif
