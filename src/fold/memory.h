/* memory.h: bytes of a device's memory that training or inference needs, by component, as sums over
 * a list of operators. docs/models.md, section 10. */
#ifndef DF_MEMORY_H
#define DF_MEMORY_H
#include "op/op.h"
#include "sched/sched.h"

typedef enum {
    DF_MEMORY_WEIGHTS,
    DF_MEMORY_MASTER,      /* fp32 copy of the weights */
    DF_MEMORY_GRADIENTS,   /* in fp32 with mixed precision, because they are added up */
    DF_MEMORY_OPTIMIZER,   /* both moments of Adam */
    DF_MEMORY_GATHERED,    /* ZeRO 3: whole parameters and gradients of the current layer */
    DF_MEMORY_ACTIVATIONS, /* kept for the backward pass, or in use by inference */
    DF_MEMORY_RECOMPUTED,  /* of the layer that is being recomputed */
    DF_MEMORY_LOGITS,
    DF_MEMORY_KV_CACHE,
    DF_MEMORY_PARTS
} df_memory_part;

extern const char *const df_memory_names[DF_MEMORY_PARTS]; /* "weights", ... */

typedef struct {
    double part_bytes[DF_MEMORY_PARTS];
    double total_bytes;
    int64_t stage; /* of the pipeline */
} df_memory;

/* How a run uses its devices. */
typedef struct {
    df_pipe pipe;
    const df_order *order; /* of micro-batches, in training */
    bool training;
    bool layer_again, attention_again; /* recomputed: all of a layer, or what attention computes */
    int64_t zero_stage;                /* Rajbhandari et al., SC 2020 */
    double replicas;                   /* number of devices that hold the same parameters */
    double expert_replicas;            /* the same, of experts that devices share */
    /* bytes for each parameter: itself, its copy, its gradient as it is computed and as it is added
     * up, and each moment */
    double weight_bytes, master_bytes, gradient_bytes, sum_bytes, moment_bytes;
} df_memory_use;

/* One stage, and the stage that needs most. *ops has what one micro-batch runs: a layer, and the
 * embedding and the head once. */
void df_memory_of_stage(const df_ops *ops, const df_memory_use *use, int64_t stage, df_memory *out);
void df_memory_peak(const df_ops *ops, const df_memory_use *use, df_memory *out);

#endif
