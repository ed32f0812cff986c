/* llm_impl.h: inside the LLM model.
 *
 *   llm.c            set-up, training
 *   llm_ops.c        operators that are not attention, and their sums
 *   llm_attention.c  attention, with and without FlashAttention
 *   llm_step.c       what a step through the pipeline is made of, and its time
 *   llm_astra.c      collectives and steps timed by the network simulator
 *   llm_infer.c      prefill and decode
 *   llm_energy.c     energy of a run */
#ifndef DF_LLM_IMPL_H
#define DF_LLM_IMPL_H
#include "gemm/gemm_cache.h"
#include "llm/llm.h"
#include "lower/lower.h"
#include "netcoll/netcoll.h"

/* How one layer is split over devices. */
typedef enum {
    DF_LLM_SINGLE,
    DF_LLM_TENSOR,
    DF_LLM_SEQUENCE, /* tensor parallel, norms and activations split along the sequence */
    DF_LLM_CONTEXT,
    DF_LLM_HYBRID, /* tensor and context */
} df_llm_mode;

/* Bytes of an element. */
typedef struct {
    double activation, parameter, gradient, gradient_comm, statistics, kv;
    double optimizer; /* of each moment */
    double master;    /* 0: no copy */
} df_llm_bytes;

struct df_llm_predictor {
    df_gemm_cache *gemm;
    df_netcoll *net;           /* NULL until it is needed */
    df_astra *astra;           /* borrowed; NULL: net has its own */
    const df_llm_watch *watch; /* borrowed; NULL */
    df_sched_ws sched;
};

/* One prediction at work. The first failure is kept in status; later calls do nothing. */
typedef struct {
    df_llm_predictor *memory;
    const df_cfg *cfg;
    const df_cfg_llm *m;
    const df_hw_device *dev;
    const df_rules *rules;
    double launch_s;
    df_llm_mode mode;
    df_llm_bytes bytes;
    double tp, cp, dp, lp, mb;
    double batch;               /* sequences of one micro-batch on one replica */
    double s, d, h, h_kv, e, g; /* sequence, hidden; heads, key/value heads, their size, group */
    double ffn, ffn1;           /* width inside the feed-forward network, and of its first GEMM */
    double experts, top_k;
    double sequence_degree; /* q: devices that share a sequence outside of GEMMs */
    bool simulated;         /* collectives are timed by the network simulator */
    df_hw_link tensor, data, pipeline;
    char where[64];    /* for those who look on: of df_llm_watch */
    bool forward_only; /* the pass at hand has no backward half: its GEMMs are not solved */
    df_status status;
    df_err *err;
} df_llm;

/* What a pass is over: a whole sequence, or one token of each. */
typedef struct {
    double tokens;  /* s: query positions of a sequence */
    double context; /* keys that they attend to */
    bool decode;
} df_llm_span;

/* A GEMM without launch overhead; of a gradient, nothing when the pass is forward only. */
df_gemm_cost df_llm_gemm(df_llm *x, double m, double k, double n);
df_gemm_cost df_llm_gradient(df_llm *x, double m, double k, double n);
/* Adds `times` GEMMs to what a device does. */
void df_llm_add_gemm(df_llm_work *work, const df_gemm_cost *cost, double times);
/* Roofline at the DRAM, of work that streams. */
double df_llm_stream_s(const df_llm *x, double flops, double bytes);
/* The same, added to what a device does. */
double df_llm_stream(const df_llm *x, df_llm_work *work, double flops, double bytes);
/* What formulas and simulator are told of a collective of so many bytes: of an all-gather one
 * shard, where by the rules not each step moves all. */
double
df_llm_told_bytes(const df_rules *rules, df_coll_kind kind, double bytes, double participants);
double df_llm_coll_s(
    const df_llm *x, df_coll_kind kind, double bytes, double participants, const df_hw_link *link);
/* Bytes that each participant of a ring sends in a collective. */
double df_llm_sent_bytes(df_coll_kind kind, double bytes, double participants);
/* By the network simulator, over the network of tensor parallelism, with launch overhead. The
 * algorithm is the one for so many ranks. */
double df_llm_simulated_s(
    df_llm *x, df_coll_kind kind, double bytes, double participants, double algorithm_ranks);
/* Adds a collective over `n` devices to a row. */
void df_llm_add_coll(
    df_llm *x, df_llm_row *row, int direction, df_coll_kind kind, double bytes, double n);
/* Counts launches in a row; their time. */
double df_llm_launches(const df_llm *x, df_llm_row *row, int direction, double count);
/* Adds one operator's times, bytes and work to a sum; traffic_bytes only if `traffic`. */
void df_llm_add_row(df_llm_row *sum, const df_llm_row *row, bool traffic);

bool df_llm_splits_context(const df_llm *x); /* CONTEXT, HYBRID */
bool df_llm_splits_tensor(const df_llm *x);  /* TENSOR, SEQUENCE, HYBRID */

/* Fills the rows of attention. Shapes follow from the span. */
void df_llm_attention(df_llm *x, const df_llm_span *span, df_llm_row rows[DF_LLM_ROWS]);
/* Fills all rows. */
void df_llm_time_pass(df_llm *x, const df_llm_span *span, df_llm_pass *pass);

/* Parameters that a device of the middle of a pipeline has in one layer, in the GEMMs. */
double df_llm_layer_params(const df_llm *x);

/* The pipeline, and the order of its micro-batches in training. */
df_pipe df_llm_pipe(const df_cfg *cfg);
const df_order *df_llm_order(const df_cfg *cfg);

/* Whether micro-batches run one after another on a single stage. */
bool df_llm_accumulates(const df_llm *x);
/* Devices that hold the same parameters and see other sequences, or other tokens. */
double df_llm_replicas(const df_llm *x);

df_step_parts df_llm_gradient_bytes(const df_llm *x);
df_step_parts df_llm_parameter_bytes(const df_llm *x);
double df_llm_shared_table_bytes(const df_llm *x);

/* What an optimizer step does for each parameter. */
typedef struct {
    double flops, bytes;
} df_llm_per_param;

df_llm_per_param df_llm_optimizer_work(const df_llm *x);
/* Parameters of the fullest stage, one device of it. */
double df_llm_stage_params(const df_llm *x);

/* What the simulator's transfers carry. */
df_lower_traffic df_llm_traffic(const df_llm *x, double tokens);

/* Time of one step through the pipeline: of training, and then what of it is the optimizer's,
 * or forward only, with optimizer_time_s NULL. */
DF_NODISCARD df_status df_llm_run_step(
    df_llm *x, df_llm_pass *pass, double tokens, double *optimizer_time_s, double *time_s);
/* As df_compat_step, timed by the network simulator. */
DF_NODISCARD df_status
df_llm_run_net_step(df_llm *x, df_llm_pass *pass, df_step *step, double tokens, double *time_s);

DF_NODISCARD df_status df_llm_infer(df_llm *x, df_llm_result *out);

/* Energy of an inference's pass by the rules. */
double df_llm_pass_energy_j(const df_llm *x, const df_llm_pass *pass, const df_llm_span *span);
/* Energy of a pass of all micro-batches on all devices; backward too in training. */
void df_llm_pass_energy(const df_llm *x,
                        const df_llm_pass *pass,
                        const df_llm_span *span,
                        df_llm_energy *energy);
/* Adds so many times the energy of `part`. */
void df_llm_add_energy(df_llm_energy *sum, const df_llm_energy *part, double times);
/* Adds what a training step's reductions and optimizer take, what leaks in time_s, and the sum
 * of all. */
void df_llm_finish_energy(const df_llm *x, double time_s, df_llm_energy *energy);
/* Flops that the forward pass of all sequences needs at least, in products of matrices. */
double df_llm_model_flops(const df_llm *x, const df_llm_span *span);

#endif
