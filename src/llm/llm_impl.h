/* llm_impl.h: inside the LLM model.
 *
 *   llm.c            set-up, checks, training
 *   llm_ops.c        operators that are not attention, and their sums
 *   llm_attention.c  attention, with and without FlashAttention
 *   llm_graph.c      the pipeline of micro-batches as a graph
 *   llm_infer.c      prefill, decode, energy */
#ifndef DF_LLM_IMPL_H
#define DF_LLM_IMPL_H
#include "llm/llm.h"

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
} df_llm_bytes;

/* One prediction at work. The first failure is kept in status; later calls do nothing. */
typedef struct {
    const df_cfg *cfg;
    const df_cfg_llm *m;
    const df_hw_device *dev;
    const df_rules *rules;
    df_gemm_model *gemm; /* prepared for dev without launch overhead */
    double launch_s;
    df_llm_mode mode;
    df_llm_bytes bytes;
    double tp, cp, dp, lp, mb;
    double batch;               /* sequences of one micro-batch on one replica */
    double s, d, h, h_kv, e, g; /* sequence, hidden; heads, key/value heads, their size, group */
    double ffn, ffn1;           /* width inside the feed-forward network, and of its first GEMM */
    double experts, top_k;
    double sequence_degree; /* q: devices that share a sequence outside of GEMMs */
    df_hw_link tensor, data, pipeline;
    df_status status;
    df_err *err;
} df_llm;

/* What a pass is over: a whole sequence, or one token of each. */
typedef struct {
    double tokens;  /* s: query positions of a sequence */
    double context; /* keys that they attend to */
    bool decode;
} df_llm_span;

/* A GEMM's time with launch overhead, without, and the whole cost. */
double df_llm_gemm_s(df_llm *x, double m, double k, double n);
double df_llm_bare_s(df_llm *x, double m, double k, double n);
df_gemm_cost df_llm_gemm_cost(df_llm *x, double m, double k, double n);
/* Roofline at the DRAM, of work that streams. */
double df_llm_stream_s(const df_llm *x, double flops, double bytes);
double df_llm_coll_s(
    const df_llm *x, df_coll_kind kind, double bytes, double participants, const df_hw_link *link);

/* Fills the rows of attention. Shapes follow from the span. */
void df_llm_attention(df_llm *x, const df_llm_span *span, df_llm_row rows[DF_LLM_ROWS]);
/* Fills all rows. */
void df_llm_time_pass(df_llm *x, const df_llm_span *span, df_llm_pass *pass);

/* Time of one step through the pipeline, with backward pass and reductions or without. */
DF_NODISCARD df_status
df_llm_run_graph(df_llm *x, const df_llm_pass *pass, double tokens, bool training, double *time_s);

DF_NODISCARD df_status df_llm_infer(df_llm *x, df_llm_result *out);

#endif
