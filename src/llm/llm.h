/* llm.h: time of training or inference of a transformer, with the analytical backend.
 * docs/models.md, section 10. */
#ifndef DF_LLM_H
#define DF_LLM_H
#include "coll/coll.h"
#include "config/cfg.h"
#include "gemm/gemm.h"

/* The rows of the operator table, in the order in which they are printed. */
typedef enum {
    DF_LLM_QKV,
    DF_LLM_SCORE,
    DF_LLM_SOFTMAX,
    DF_LLM_AV,
    DF_LLM_ATTENTION,
    DF_LLM_OUT,
    DF_LLM_FFN1,
    DF_LLM_FFN2,
    DF_LLM_EMBEDDING,
    DF_LLM_NORM1,
    DF_LLM_NORM2,
    DF_LLM_ACTIVATION,
    DF_LLM_LOGITS,
    DF_LLM_MHA,
    DF_LLM_MLP,
    DF_LLM_ROWS
} df_llm_op;

extern const char *const df_llm_op_names[DF_LLM_ROWS]; /* "qkv_proj", ... */

/* One operator of one layer on one device. Times include the collective. */
typedef struct {
    double forward_s, backward_s;
    double forward_comm_s, backward_comm_s;
    double forward_comm_bytes, backward_comm_bytes;
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [0] registers */
    bool present;
} df_llm_row;

/* All operators of one pass. */
typedef struct {
    df_llm_row row[DF_LLM_ROWS];
    double block_forward_s, block_backward_s; /* one layer */
} df_llm_pass;

/* Seconds of a decode step, and tokens a second, at steps of the decode phase. */
typedef struct {
    double start, midpoint, end, overall;
    int64_t midpoint_step;
} df_llm_rates;

typedef struct {
    df_run_type run_type;
    double time_s;
    df_llm_pass pass; /* of training, or of the prefill */
    /* inference */
    double prefill_s, decode_s, first_token_s;
    df_llm_rates tokens_ps;
    double prefill_energy_j, decode_energy_j;
    double kv_prefill_store_bytes, kv_decode_store_bytes, kv_decode_fetch_bytes;
} df_llm_result;

/* Predicts the LLM in *cfg, which df_cfg_check accepts, on `dev`. DF_INFEASIBLE: the device
 * cannot hold a tile. DF_ENOMEM. On failure *out is untouched. */
DF_NODISCARD df_status df_llm_predict(const df_cfg *cfg,
                                      const df_hw_device *dev,
                                      const df_rules *rules,
                                      df_llm_result *out,
                                      df_err *err);

#endif
