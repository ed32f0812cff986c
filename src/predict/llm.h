/* llm.h: time, energy and operators of training or inference of a transformer.
 * docs/models.md, section 10. */
#ifndef DF_LLM_H
#define DF_LLM_H
#include "fold/energy.h"
#include "fold/usage.h"
#include "graph/dag.h"
#include "rules/rules.h"
#include "runner/runner.h"

/* Seconds of a decode step, and tokens a second, at steps of the decode phase. */
typedef struct {
    double start, midpoint, end, overall;
    int64_t midpoint_step;
} df_llm_rates;

typedef struct {
    df_run_type run_type;
    double time_s;
    double optimizer_s; /* part of a training step's time */
    double micro_batch; /* sequences of one micro-batch on one replica */
    bool cut_short;     /* training ends with the logits' backward pass of the first micro-batch */
    df_energy energy;   /* of the whole run on all devices */
    double model_flops; /* that training or inference needs at least: without recomputation */
    /* inference */
    double prefill_s, decode_s, first_token_s;
    df_llm_rates tokens_ps;
    double prefill_energy_j, decode_energy_j; /* by the rules */
    double kv_prefill_store_bytes, kv_decode_store_bytes, kv_decode_fetch_bytes;
    /* with DF_WANT_OPERATORS, else untouched */
    df_breakdown pass;   /* of training, or of the prefill */
    df_breakdown decode; /* of an inference's last step */
} df_llm_result;

/* Times that a stage runs an operator in one step, on average over the stages. */
double df_llm_runs(const df_cfg *cfg, const df_llm_result *result, df_row_name row);

/* Whether a step runs the operator backward. */
bool df_llm_runs_backward(const df_llm_result *result, df_row_name row);

/* What a step's time goes to, operator by operator; of an inference prefill and decode, all decode
 * steps being as the last. What stages wait, hops and reductions are not in it. */
void df_llm_list_usages(const df_cfg *cfg,
                        const df_hw_device *dev,
                        const df_llm_result *result,
                        df_usages *usages);

/* Memory for predictions, and solved GEMMs. One per thread. */
typedef struct df_llm_predictor df_llm_predictor;

/* NULL when out of memory. */
df_llm_predictor *df_llm_predictor_new(void);
void df_llm_predictor_free(df_llm_predictor *predictor);
/* Forgets solved GEMMs. */
void df_llm_predictor_clear(df_llm_predictor *predictor);

/* Time of a collective of an LLM in closed form: bytes as op/op.h has them. */
double df_llm_collective_s(const df_hw_device *dev,
                           const df_rules *rules,
                           const df_op_collective *what,
                           const df_topo_group *group);

/* Has another one run the simulator's programs; it is borrowed. Before the first prediction. */
void df_llm_predictor_use(df_llm_predictor *predictor, df_runner *astra);

/* Observes a prediction as it is made. `where` is "" in training and in the prefill, and
 * "decode_samples/step_0007/" in a decode step. A failure ends the prediction. */
typedef struct {
    void *context;
    /* A graph that the time comes from: "pipeline", "block_forward", "flattened", ... */
    df_status (*graph)(
        void *context, const char *where, const char *name, const df_dag *dag, df_err *err);
    /* The operators of a pass. */
    df_status (*pass)(void *context, const char *where, const df_breakdown *pass, df_err *err);
} df_llm_watch;

/* The watch is borrowed; NULL disables watching, which is the fastest. */
void df_llm_predictor_show(df_llm_predictor *predictor, const df_llm_watch *watch);

/* What a prediction is to fill beside times and energies. */
typedef enum { DF_WANT_TIMES = 0, DF_WANT_OPERATORS = 1 } df_want;

/* Predicts the LLM in *cfg, which df_cfg_check accepts, on `dev`. Allocates only for a graph
 * that is larger than all before. DF_INFEASIBLE: the device cannot hold a tile. DF_ENOMEM. On
 * failure *out is untouched. */
DF_NODISCARD df_status df_llm_predict(df_llm_predictor *predictor,
                                      const df_cfg *cfg,
                                      const df_hw_device *dev,
                                      const df_rules *rules,
                                      df_want want,
                                      df_llm_result *out,
                                      df_err *err);

#endif
