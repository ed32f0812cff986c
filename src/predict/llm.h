/* llm.h: what is predicted of training or inference of a transformer: its time, its energy, its
 * operators. docs/models.md, section 10. */
#ifndef DF_LLM_H
#define DF_LLM_H
#include "fold/energy.h"
#include "fold/usage.h"
#include "graph/dag.h"
#include "rules/rules.h"
#include "runner/runner.h"

/* Tokens a second of one sequence: at three steps of the decode phase, and over all of it. */
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

/* Time of a collective of an LLM in closed form: bytes as op/op.h has them. */
double df_llm_collective_s(const df_hw_device *dev,
                           const df_rules *rules,
                           const df_op_collective *what,
                           const df_topo_group *group);

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

#endif
