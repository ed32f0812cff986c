/* llm_impl.h: what the files of a transformer's prediction share.
 *
 *   llm.c         set-up, training; what a step's time goes to
 *   llm_pass.c    a pass: its operators, their prices, and sums of these
 *   llm_infer.c   prefill and decode
 *   llm_step.c    a step through the pipeline: what it is made of, and its time
 *   llm_net.c     the same timed by the network simulator
 *   llm_energy.c  energy of a run */
#ifndef DF_LLM_IMPL_H
#define DF_LLM_IMPL_H
#include "compat/step_reference.h"
#include "lower/lower.h"
#include "predict/pipe.h"
#include "predict/predict_impl.h"

/* One prediction in progress. */
typedef struct {
    df_predictor *memory;
    const df_cfg *cfg;
    const df_rules *rules;
    df_compat_options options;
    df_want want;
    df_dims dims;
    df_split split;
    df_exchange exchange; /* of training */
    df_pipe pipe;
    const df_order *order; /* of training */
    df_coster coster;
    df_compat_prices prices; /* of the coster */
    df_simulated simulated;  /* of the coster */
    df_tariff tariff;
    char where[64]; /* name of the current phase, passed to df_llm_watch */
    df_err *err;
} df_llm;

/* Builds, prices and sums a pass over a span, which becomes memory->pass. */
DF_NODISCARD df_status df_llm_time_pass(df_llm *x, const df_span *span);

bool df_llm_is_training(const df_llm *x);
/* Micro-batches that a stage runs. */
double df_llm_batches(const df_llm *x);
/* Bytes that a stage hands on of a micro-batch. */
double df_llm_hop_bytes(const df_llm *x);

/* Time of a collective in closed form, whatever the backend. */
double
df_llm_coll_s(const df_llm *x, df_coll_kind kind, double bytes, double members, df_axis axis);

/* Time of one step of the current pass through the pipeline; of training with the optimizer, whose
 * part it is alone is *optimizer_s. */
DF_NODISCARD df_status df_llm_run_step(df_llm *x, double *optimizer_s, double *time_s);
/* As df_compat_step, timed by the network simulator; *traffic is what its transfers carry. */
DF_NODISCARD df_status df_llm_run_net_step(df_llm *x,
                                           df_step *step,
                                           const df_lower_traffic *traffic,
                                           double *time_s);

DF_NODISCARD df_status df_llm_infer(df_llm *x, df_llm_result *out);

/* Energy of the current pass, of all micro-batches on all devices; backward too in training. */
void df_llm_pass_energy(const df_llm *x, df_energy *energy);
/* Energy of an inference's pass by the rules, whose energy is *whole. */
double df_llm_pass_energy_j(const df_llm *x, const df_energy *whole);
/* Adds what a training step's reductions and optimizer take. */
void df_llm_add_exchange_energy(const df_llm *x, df_energy *energy);
df_tariff df_llm_tariff(const df_cfg *cfg, const df_hw_device *dev, const df_topo *topo);

#endif
