/* predict.h: one design (device, strategy, model) to one predicted time; and the memory that it
 * needs of each device. */
#ifndef DF_PREDICT_H
#define DF_PREDICT_H
#include "fold/energy.h"
#include "fold/memory.h"
#include "fold/usage.h"
#include "graph/dag.h"
#include "graph/pipeline.h"
#include "kernels/kernels.h"
#include "model/lstm.h"
#include "rules/rules.h"
#include "runner/runner.h"

/* ---- Times ---- */

/* What to predict: the strategy and the model in *cfg, on the device derived from it. */
typedef struct {
    const df_cfg *cfg;
    const df_hw_device *dev;
    const df_rules *rules;
} df_design;

/* What a prediction is to fill beside times and energies. */
typedef enum { DF_WANT_TIMES = 0, DF_WANT_OPERATORS = 1 } df_want;

typedef struct {
    double forward_compute_s, forward_comm_s;
    double backward_compute_s, backward_comm_s; /* without dp_comm_s */
    double dp_comm_s;
    double time_s; /* sum of the five */
} df_gemm_times;

typedef struct {
    df_pipeline_times components;
    double forward_s, backward_s, time_s;
    double params; /* trainable parameters */
} df_lstm_times;

/* Tokens per second of one sequence: at three steps of the decode phase, and over the whole phase.
 */
typedef struct {
    double start, midpoint, end, overall;
    int64_t midpoint_step;
} df_llm_rates;

/* Training or inference of a transformer: docs/models.md, section 10. */
typedef struct {
    df_run_type run_type;
    double time_s;
    double optimizer_s; /* part of a training step's time */
    double micro_batch; /* sequences in one micro-batch of one replica */
    bool cut_short;     /* training ends with the logits' backward pass of the first micro-batch */
    df_energy energy;   /* of the whole run on all devices */
    double board_w;     /* of a device, by the calibrated rules; 0: not known */
    double at_once;     /* sequences that engines run at once, of all replicas; 0: no engine */
    double turns;       /* in which an engine runs the batch; 0: at once, or no engine runs it */
    double model_flops; /* flops that the run needs at least, according to the rules: without
                           recomputation */
    /* inference */
    double prefill_s, decode_s;
    double first_token_s; /* time from the start, according to the rules; 0: neither prompt nor
                             decoded tokens */
    df_llm_rates tokens_ps;
    double prefill_energy_j, decode_energy_j; /* according to the rules */
    double kv_prefill_store_bytes, kv_decode_store_bytes, kv_decode_fetch_bytes;
    /* with DF_WANT_OPERATORS; otherwise untouched */
    df_breakdown pass;   /* of training, or of the prefill */
    df_breakdown decode; /* the last step of inference */
} df_llm_result;

typedef struct {
    df_mode mode;
    double time_s;
    df_gemm_times gemm; /* mode GEMM, */
    df_lstm_times lstm; /* mode LSTM, */
    df_llm_result llm;  /* or mode LLM; the others are left as they are */

    /* With DF_WANT_OPERATORS; otherwise left as it is. A GEMM has the product and its reduction; an
     * LSTM has its cell, softmax, embedding, hops and reductions; an LLM is described in
     * docs/models.md, section 10. Their times add up to more or less than that of the step if they
     * overlap or wait. */
    df_usages usages;
} df_prediction;

/* Solved GEMMs and buffers of one thread, which are reused from one prediction to the next. */
typedef struct df_predictor df_predictor;

/* The largest micro-batch that is tried as the best one, in sequences. */
enum { DF_BEST_BATCH_MOST = 16 };

/* Finds the micro-batch that takes the least time, a power of two of sequences that divides
 * the batch of a replica: cfg->sched.mb is then the number of such, or 0 on failure. Of several
 * that take as long it is the smallest. DF_INFEASIBLE: there is no such size. */
DF_NODISCARD df_status df_predict_best_batch(df_predictor *predictor,
                                             const df_hw_device *dev,
                                             const df_rules *rules,
                                             df_cfg *cfg,
                                             df_err *err);

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

/* NULL when out of memory. */
df_predictor *df_predictor_new(void);
void df_predictor_free(df_predictor *predictor);
/* Forgets the solved GEMMs of LLMs. */
void df_predictor_clear(df_predictor *predictor);
/* Has another one run the network simulator's programs; it is borrowed. Before the first
 * prediction. */
void df_predictor_use(df_predictor *predictor, df_runner *runner);
/* Has predictions of LLMs observed. The watch is borrowed; NULL disables watching, which is the
 * fastest. */
void df_predictor_show(df_predictor *predictor, const df_llm_watch *watch);

/* Predicts a design, which df_predict_check accepts. Where cfg->backend asks for it, the network
 * simulator times the collectives. Graphs of whole steps are simulated for LLMs alone; in other
 * modes every cfg->backend.mode counts as hybrid.
 * DF_INFEASIBLE: the strategy cannot split this model, or the device cannot hold a tile; err says
 * which key and why. A device that is merely without a rate gives time_s = inf and DF_OK.
 * DF_EINVAL: the network simulator cannot run a collective (no bandwidth, an algorithm for other
 * numbers of ranks). DF_ENOMEM. On failure *out is untouched.
 * Allocates only for a graph that is larger than all before, and where the simulator runs. */
DF_NODISCARD df_status df_predict(df_predictor *predictor,
                                  const df_design *design,
                                  df_want want,
                                  df_prediction *out,
                                  df_err *err);

/* Whether the strategy in *cfg can split the model at all (no device needed). */
DF_NODISCARD df_status df_predict_check(const df_cfg *cfg, const df_rules *rules, df_err *err);

/* ---- The calibrated rules ---- */

/* How products with weights are computed in the format that *cfg has for them. */
const df_gemm_kernel *df_predict_products(const df_cfg *cfg);
/* Whether kernels run for a short time, as single GEMMs do unless the file says otherwise; and the
 * load of one that is repeated alone. */
bool df_predict_is_short(const df_cfg *cfg);
extern const df_load df_predict_short_load;
/* Bytes of a weight in memory where they are not as that product has them; 0. */
double df_predict_weight_bytes(const df_cfg *cfg);

/* Whether a card, which is that of the device, has what kernels need: DF_EINVAL names a key that
 * the file lacks, DF_INFEASIBLE a part that has no share of its budgets. */
DF_NODISCARD df_status df_predict_check_card(const df_card *card,
                                             const df_hw_device *dev,
                                             df_format format,
                                             df_err *err);
/* The same for all formats of a run. */
DF_NODISCARD df_status df_predict_check_formats(const df_cfg *cfg,
                                                const df_card *card,
                                                const df_hw_device *dev,
                                                df_err *err);

/* The share of its limit that a board takes while it runs, where nothing is measured: the mean of
 * an A100 and an H100, 157.8 of 400 W and 251.3 of 700 W. */
#define DF_BOARD_BASE_SHARE 0.377

/* What the power of a board rests on. */
typedef enum { DF_POWER_UNKNOWN, DF_POWER_MEASURED, DF_POWER_BY_RULE } df_power_basis;

/* What a prediction by the calibrated rules rests on. */
typedef struct {
    df_basis kernels;
    df_arch like;             /* the architecture whose constants count */
    const char *profile_kind; /* "framework" in training, "engine"; NULL: not mode LLM */
    const char *profile;      /* its name */
    bool assumed;             /* the file names no profile */
    df_power_basis power;     /* of a board in mode LLM */
} df_rests_on;

extern const char *const df_basis_words[];       /* measured, sister, rule */
extern const char *const df_power_basis_words[]; /* unknown, measured, rule */

void df_predict_rests_on(const df_cfg *cfg, df_rests_on *out);
/* As a sentence without its end: "kernels measured on this card (h100); framework ...". Returns
 * snprintf's count. */
int df_predict_rests_on_text(const df_rests_on *on, char *text, size_t size);

/* ---- What a transformer's step is made of ---- */

/* Part of the flops that the devices have at their peak which the model needs: MFU of Chowdhery et
 * al., JMLR 24, 2023, appendix B. */
double df_llm_flops_use(const df_design *design, const df_llm_result *result);

/* Times that a stage runs an operator in one step, on average over the stages. */
double df_llm_runs(const df_cfg *cfg, const df_llm_result *result, df_row_name row);

/* Whether a step runs the operator backward. */
bool df_llm_runs_backward(const df_llm_result *result, df_row_name row);

/* The pipeline that a configuration describes. */
df_pipe df_pipe_read(const df_cfg *cfg);

/* The order of micro-batches in training. */
const df_order *df_pipe_order(const df_cfg *cfg);

/* ---- Memory ---- */

/* Bytes that a device must hold, in any mode; of an LSTM and an LLM by part too. No device is
 * needed for it. */
typedef struct {
    double total_bytes; /* of the fullest device */
    df_footprint lstm;  /* mode LSTM */
    df_memory llm;      /* mode LLM: the stage that needs most */
} df_need;

void df_predict_need(const df_cfg *cfg, const df_rules *rules, df_need *out);

/* One stage, and the stage that needs most, of the model and strategy in *cfg (mode LLM), which
 * df_cfg_check accepts. */
void df_predict_memory_of_stage(const df_cfg *cfg,
                                const df_rules *rules,
                                int64_t stage,
                                df_memory *out);
void df_predict_memory_peak(const df_cfg *cfg, const df_rules *rules, df_memory *out);

#endif
