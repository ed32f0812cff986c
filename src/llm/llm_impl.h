/* llm_impl.h: inside the LLM model.
 *
 *   llm.c            set-up, training
 *   llm_ops.c        operators that are not attention, and their sums
 *   llm_attention.c  attention, with and without FlashAttention
 *   llm_step.c       what a step through the pipeline is made of, and its time
 *   llm_schedule.c   that time where each stage's order of work is known
 *   llm_order.c      the order of one forward, one backward
 *   llm_gated.c      the reference's links that make other orders
 *   llm_graph.c      a step as a graph, and its simulation where links leave an order open
 *   llm_astra.c      the same with the network simulator (llm_net.h)
 *   llm_infer.c      prefill and decode
 *   llm_energy.c     energy of a run */
#ifndef DF_LLM_IMPL_H
#define DF_LLM_IMPL_H
#include "compat/compat.h"
#include "cost/simulated.h"
#include "graph/dag.h"
#include "llm/llm.h"
#include "model/transformer.h"

/* A pass under construction: its operators, their prices, and both as a table. */
typedef struct {
    df_span span;
    df_ops ops;
    df_price price[DF_OPS_MAX];
    df_breakdown table;
} df_llm_pass;

struct df_llm_predictor {
    df_gemm_cache *gemm;
    df_netcoll *net;           /* NULL until it is needed */
    df_astra *astra;           /* borrowed; NULL: net has its own */
    const df_llm_watch *watch; /* borrowed; NULL */
    df_llm_pass pass;
    double *finish_s; /* room for schedules */
    size_t room;
};

/* One prediction in progress. */
typedef struct {
    df_llm_predictor *memory;
    const df_cfg *cfg;
    const df_rules *rules;
    df_dims dims;
    df_split split;
    df_exchange exchange; /* of training */
    df_coster coster;
    df_compat_prices prices; /* of the coster */
    df_simulated simulated;  /* of the coster */
    df_tariff tariff;
    char where[64]; /* name of the current phase, passed to df_llm_watch */
    df_err *err;
} df_llm;

/* Builds, prices and tabulates a pass over a span. */
DF_NODISCARD df_status df_llm_time_pass(df_llm *x, const df_span *span, df_llm_pass *pass);

/* Time of a collective in closed form, whatever the backend. */
double df_llm_coll_s(
    const df_llm *x, df_coll_kind kind, double bytes, double participants, const df_hw_link *link);

/* Durations of what a step consists of. */
typedef struct {
    double embedding[DF_DIRECTIONS], block[DF_DIRECTIONS], logits[DF_DIRECTIONS];
    double hop; /* to the next stage */
    double reduce_embedding, reduce_layer, reduce_logits;
    double gather_embedding, gather_layer, gather_logits;
    double optimizer;
} df_llm_durations;

/* What an element of a step's graph is. */
typedef enum {
    DF_LLM_ROLE_MARK,
    DF_LLM_ROLE_EMBEDDING,
    DF_LLM_ROLE_BLOCK,
    DF_LLM_ROLE_LOGITS,
    DF_LLM_ROLE_HOP,
    DF_LLM_ROLE_REDUCE_EMBEDDING,
    DF_LLM_ROLE_REDUCE_LAYER,
    DF_LLM_ROLE_REDUCE_LOGITS,
    DF_LLM_ROLE_GATHER_EMBEDDING,
    DF_LLM_ROLE_GATHER_LAYER, /* of ZeRO 3, before the layer */
    DF_LLM_ROLE_GATHER_LOGITS,
    DF_LLM_ROLE_GATHER_REDUCED_LAYER, /* of ZeRO 2, after its reduction */
    DF_LLM_ROLE_OPERATOR,             /* a part of a layer */
    DF_LLM_ROLE_OPERATOR_COLLECTIVE,  /* among the devices that share a layer */
    DF_LLM_ROLES
} df_llm_role;

/* A pipeline that alternates forward and backward passes. Part i of the model, of stages *
 * virtual_stages, is on stage i % stages. */
typedef struct {
    int64_t stages, virtual_stages, batches;
} df_llm_order;

/* A micro-batch's pass through a part of the model. */
typedef struct {
    int direction;
    int64_t part, batch;
} df_llm_item;

/* What a stage does as its number-th, from 0 to 2 * batches * virtual_stages - 1. */
df_llm_item df_llm_item_of(const df_llm_order *order, int64_t stage, int64_t number);

/* One step through the pipeline. */
typedef struct {
    df_llm_durations t;
    int64_t layers, batches, stages;
    int64_t virtual_stages; /* parts of the model on a stage: 1 unless interleaved */
    bool alternates;        /* one forward, one backward; else all forward first */
    int64_t zero_stage;
    bool training, data_parallel, tied;
    double replicas, hop_bytes;
    df_exchange_bytes reduced, gathered; /* bytes of reductions and gathers */
} df_llm_step;

/* Whether micro-batches run one after another on a single stage. */
bool df_llm_accumulates(const df_llm *x);
/* Time of one step through the pipeline: of training, and then what of it is the optimizer's,
 * or forward only, with optimizer_time_s NULL. */
DF_NODISCARD df_status df_llm_run_step(df_llm *x,
                                       const df_llm_pass *pass,
                                       double *optimizer_time_s,
                                       double *time_s);
/* Shows a graph to those who look on. */
DF_NODISCARD df_status df_llm_show(df_llm *x, const char *name, const df_dag *dag);
/* The same by the network simulator. */
DF_NODISCARD df_status df_llm_run_net_step(df_llm *x,
                                           const df_llm_pass *pass,
                                           df_llm_step *step,
                                           double *time_s);
/* By one of those below, as the step needs it. */
DF_NODISCARD df_status df_llm_run_order(df_llm *x, const df_llm_step *step, double *time_s);
/* By the fixed order of each stage, with a first micro-batch that can begin at begin_s. */
DF_NODISCARD df_status df_llm_run_schedule(df_llm *x,
                                           const df_llm_step *step,
                                           double begin_s,
                                           double *time_s);
/* By the reference's links: of training with ZeRO 3, all forward first, each stage with layers,
 * room for as many numbers as stages; and of several micro-batches on one stage of which the
 * first alone runs, up to the gradients of the logits. */
double df_llm_gated_s(const df_llm_step *step, double begin_s, double *room);
double df_llm_first_batch_s(const df_llm_step *step, double begin_s);
/* Room for so many numbers in x->memory->finish_s. */
DF_NODISCARD df_status df_llm_make_room(df_llm *x, double doubles);
/* The graph; elements are told their df_llm_role, compute elements their direction as label.
 * NULL when out of memory. */
df_dag *df_llm_build_graph(const df_llm_step *step, int32_t *root);
/* By simulating it. */
DF_NODISCARD df_status df_llm_run_graph(df_llm *x,
                                        const df_llm_step *step,
                                        double begin_s,
                                        double *time_s);

DF_NODISCARD df_status df_llm_infer(df_llm *x, df_llm_result *out);

/* Energy of a pass of all micro-batches on all devices; backward too in training. */
void df_llm_pass_energy(const df_llm *x, const df_llm_pass *pass, df_energy *energy);
/* Energy of an inference's pass by the rules. */
double df_llm_pass_energy_j(const df_llm *x, const df_llm_pass *pass);
/* Adds what a training step's reductions and optimizer take. */
void df_llm_add_exchange_energy(const df_llm *x, df_energy *energy);
df_tariff df_llm_tariff(const df_cfg *cfg, const df_hw_device *dev, const df_topo *topo);

#endif
