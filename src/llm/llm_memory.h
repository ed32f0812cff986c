/* llm_memory.h: bytes of device memory that training or inference of an LLM needs, on the
 * device that needs most, by component. docs/models.md, section 10. */
#ifndef DF_LLM_MEMORY_H
#define DF_LLM_MEMORY_H
#include "config/cfg.h"

typedef enum {
    DF_LLM_MEM_WEIGHTS,
    DF_LLM_MEM_MASTER,      /* fp32 copy of the weights */
    DF_LLM_MEM_GRADIENTS,   /* in fp32 with mixed precision: they are added up */
    DF_LLM_MEM_OPTIMIZER,   /* both moments of Adam */
    DF_LLM_MEM_GATHERED,    /* ZeRO 3: whole parameters and gradients of the layer at hand */
    DF_LLM_MEM_ACTIVATIONS, /* kept for the backward pass, or in use by inference */
    DF_LLM_MEM_RECOMPUTED,  /* of the layer that is recomputed */
    DF_LLM_MEM_LOGITS,
    DF_LLM_MEM_KV_CACHE,
    DF_LLM_MEM_PARTS
} df_llm_mem_part;

extern const char *const df_llm_mem_names[DF_LLM_MEM_PARTS]; /* "weights", ... */

typedef struct {
    double part_bytes[DF_LLM_MEM_PARTS];
    double total_bytes;
    int64_t stage; /* of the pipeline, that it is about */
} df_llm_memory;

/* One stage, and the stage that needs most, of the model and strategy in *cfg (mode LLM), which
 * df_cfg_check accepts. Micro-batches on a single stage run one after another. */
void df_llm_memory_of_stage(const df_cfg *cfg, int64_t stage, df_llm_memory *out);
void df_llm_memory_peak(const df_cfg *cfg, df_llm_memory *out);

#endif
