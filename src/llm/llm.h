/* llm.h: time of training or inference of a transformer, with the analytical backend.
 * docs/models.md, section 10. */
#ifndef DF_LLM_H
#define DF_LLM_H
#include "astra/astra.h"
#include "coll/coll.h"
#include "config/cfg.h"
#include "gemm/gemm.h"
#include "gemm/op.h"
#include "graph/dag.h"

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

/* What a device does: flops, and bytes moved at each level ([0] registers, [3] DRAM). */
typedef struct {
    double flops;
    double traffic_bytes[DF_HW_LEVELS];
} df_llm_work;

enum { DF_LLM_FORWARD, DF_LLM_BACKWARD, DF_LLM_DIRECTIONS };

/* One operator of one layer on one device. Times include the collective. The flops and
 * traffic_bytes are what the rules count for energy, the work is what a device really does. */
typedef struct {
    double forward_s, backward_s;
    double forward_comm_s, backward_comm_s;
    double forward_comm_bytes, backward_comm_bytes;
    double flops;
    double traffic_bytes[DF_HW_LEVELS]; /* [0] registers */
    df_llm_work work[DF_LLM_DIRECTIONS];
    double sent_bytes[DF_LLM_DIRECTIONS]; /* by each device in the collective */
    double launch_s[DF_LLM_DIRECTIONS];   /* launch overhead in the times */
    bool present;
} df_llm_row;

/* All operators of one pass. */
typedef struct {
    df_llm_row row[DF_LLM_ROWS];
    double block_forward_s, block_backward_s; /* one layer */
    double recompute_s;                       /* part of the latter */
} df_llm_pass;

/* Seconds of a decode step, and tokens a second, at steps of the decode phase. */
typedef struct {
    double start, midpoint, end, overall;
    int64_t midpoint_step;
} df_llm_rates;

/* Energy of the whole run on all devices, J. */
typedef struct {
    double compute_j;
    double memory_j[DF_HW_LEVELS]; /* [0] registers, [3] DRAM */
    double network_j;
    double static_j; /* leakage of the memories while it runs */
    double total_j;
} df_llm_energy;

typedef struct {
    df_run_type run_type;
    double time_s;
    df_llm_pass pass;   /* of training, or of the prefill */
    df_llm_pass decode; /* of the last step */
    double optimizer_s; /* part of a training step's time */
    double micro_batch; /* sequences of one micro-batch on one replica */
    bool cut_short;     /* training ends with the logits' backward pass of the first micro-batch */
    df_llm_energy energy;
    double model_flops; /* that training or inference needs at least: without recomputation */
    /* inference */
    double prefill_s, decode_s, first_token_s;
    df_llm_rates tokens_ps;
    double prefill_energy_j, decode_energy_j; /* by the rules */
    double kv_prefill_store_bytes, kv_decode_store_bytes, kv_decode_fetch_bytes;
} df_llm_result;

/* What takes most of an operator's time. */
typedef enum {
    DF_LLM_BY_NOTHING, /* it takes none */
    DF_LLM_BY_COMPUTE,
    DF_LLM_BY_REGISTERS,
    DF_LLM_BY_L1,
    DF_LLM_BY_L2,
    DF_LLM_BY_DRAM,
    DF_LLM_BY_NETWORK,
    DF_LLM_BY_LAUNCH,
    DF_LLM_BOUNDS
} df_llm_bound;

extern const char *const df_llm_bound_names[DF_LLM_BOUNDS]; /* "compute", ... */

/* direction: DF_LLM_FORWARD or DF_LLM_BACKWARD. */
df_llm_bound df_llm_find_bound(const df_hw_device *dev, const df_llm_row *row, int direction);

/* The operators that a step's time is the sum of. */
enum { DF_LLM_LEAVES = 10 };
extern const df_llm_op df_llm_leaves[DF_LLM_LEAVES];

/* Times that a stage runs an operator in one step, on average over the stages. */
double df_llm_runs(const df_cfg *cfg, const df_llm_result *result, df_llm_op op);

/* Whether a step runs the operator backward. */
bool df_llm_runs_backward(const df_llm_result *result, df_llm_op op);

/* What a step's time goes to, operator by operator; of an inference prefill and decode, all decode
 * steps being as the last. What stages wait, hops and reductions are not in it. */
void df_llm_list_ops(const df_cfg *cfg,
                     const df_hw_device *dev,
                     const df_llm_result *result,
                     df_ops *ops);

/* Memory for predictions, and solved GEMMs. One per thread. */
typedef struct df_llm_predictor df_llm_predictor;

/* NULL when out of memory. */
df_llm_predictor *df_llm_predictor_new(void);
void df_llm_predictor_free(df_llm_predictor *predictor);
/* Forgets solved GEMMs. */
void df_llm_predictor_clear(df_llm_predictor *predictor);

/* Time of a collective of an LLM. Its bytes are all that a device ends up with or begins with: of
 * an all-gather too, where df_coll_ring wants one shard. */
double df_llm_collective_s(const df_hw_device *dev, const df_rules *rules, const df_coll_op *op);

/* Has another one run the simulator's programs; it is borrowed. Before the first prediction. */
void df_llm_predictor_use(df_llm_predictor *predictor, df_astra *astra);

/* Looks on while a prediction is made. `where` is "" in training and in the prefill, and
 * "decode_samples/step_0007/" in a decode step. A failure ends the prediction. */
typedef struct {
    void *context;
    /* A graph that the time comes from: "pipeline", "block_forward", "flattened", ... */
    df_status (*graph)(
        void *context, const char *where, const char *name, const df_dag *dag, df_err *err);
    /* The operators of a pass. */
    df_status (*pass)(void *context, const char *where, const df_llm_pass *pass, df_err *err);
} df_llm_watch;

/* The watch is borrowed; NULL disables watching, which is the fastest. */
void df_llm_predictor_show(df_llm_predictor *predictor, const df_llm_watch *watch);

/* Predicts the LLM in *cfg, which df_cfg_check accepts, on `dev`. Allocates only for a graph
 * that is larger than all before. DF_INFEASIBLE: the device cannot hold a tile. DF_ENOMEM. On
 * failure *out is untouched. */
DF_NODISCARD df_status df_llm_predict(df_llm_predictor *predictor,
                                      const df_cfg *cfg,
                                      const df_hw_device *dev,
                                      const df_rules *rules,
                                      df_llm_result *out,
                                      df_err *err);

#endif
