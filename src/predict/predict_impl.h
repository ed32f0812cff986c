/* predict_impl.h: what the files of a prediction share.
 *
 *   predict.c          the predictor; what all modes have in common
 *   predict_gemm.c     mode GEMM
 *   predict_lstm.c     mode LSTM
 *   llm.c              mode LLM: training; what a step's time goes to
 *   llm_pass.c         a pass: its operators, their prices, and sums of these
 *   llm_infer.c        prefill and decode
 *   llm_step.c         a step through the pipeline: what it is made of, and its time
 *   llm_net.c          the same timed by the network simulator
 *   llm_calibrated.c   training on measured kernels, as a framework runs it
 *   llm_engine.c       inference as an engine runs it; power of boards
 *   llm_energy.c       energy of a run
 *   rests_on.c         what a calibrated prediction rests on, in words
 *   predict_memory.c   what a device must hold */
#ifndef DF_PREDICT_IMPL_H
#define DF_PREDICT_IMPL_H
#include "compat/compat.h"
#include "framework/framework.h"
#include "model/lstm.h"
#include "model/transformer.h"
#include "predict/predict.h"

/* The operators of the last LSTM, which do not depend on the device. */
typedef struct {
    df_lstm model;
    df_ops ops;
} df_lstm_list;

/* A pass of a transformer: its operators, their prices, and sums over these. */
typedef struct {
    df_span span;
    df_ops ops;
    df_price price[DF_OPS_MAX];
    df_pass_times times;
    double recompute_s;      /* part of the layer's backward time */
    df_breakdown *breakdown; /* part of the result; filled if something needs it */
} df_llm_pass;

struct df_predictor {
    df_runner *runner;         /* borrowed; NULL: net has its own */
    df_simulator *net;         /* NULL until it is needed */
    const df_llm_watch *watch; /* borrowed; NULL */
    /* for GEMMs and LSTMs */
    df_gemm_search *search;
    df_pipeline *pipe;
    df_lstm_list list;
    df_compat_history history; /* of the current prediction */
    /* of LLMs */
    df_gemm_cache *cache;
    df_sched_ws sched;
    df_kernel_memo *kernels; /* by the calibrated rules */
    df_llm_pass pass;
    df_ops kind_ops; /* of a kind of layer, before they are among those of all */
    df_price kind_price[DF_OPS_MAX];
};

/* One prediction in progress. df_predict sets all fields but those of the mode. */
typedef struct {
    df_predictor *memory;
    const df_cfg *cfg;
    const df_rules *rules;
    df_compat_options options; /* as the rules set them */
    df_coster coster;
    df_compat_prices prices;  /* used by the coster */
    df_simulated simulated;   /* used by the coster */
    df_calibrated calibrated; /* used by the coster, under the calibrated rules */
    df_hw_device card_device; /* the device, with the card's time of a launch */
    df_usages *usages;        /* to be filled; NULL: only times are wanted */
    df_err *err;

    /* of an LLM */
    bool training;
    df_dims dims; /* of the first kind of layers, as if all were of it */
    df_stack stack;
    df_split split;
    df_exchange exchange; /* of training */
    df_price optimizer;   /* its step on one device, if it has one */
    df_pipe pipe;
    const df_order *order; /* of training */
    df_tariff tariff;
    char where[64]; /* name of the current phase, passed to df_llm_watch */
} df_job;

/* ---- Modes ---- */

/* On failure *out is untouched. */
DF_NODISCARD df_status df_predict_gemm(df_job *job, df_gemm_times *out);
DF_NODISCARD df_status df_predict_lstm(df_job *job, df_lstm_times *out);
DF_NODISCARD df_status df_predict_llm(df_job *job, df_llm_result *out);

/* Read a configuration, and refuse one that cannot be split. */
DF_NODISCARD df_status df_read_gemm(const df_cfg *cfg, df_gemm_mode *g, df_err *err);
DF_NODISCARD df_status df_read_lstm(const df_cfg *cfg,
                                    const df_compat_options *options,
                                    df_lstm *x,
                                    df_err *err);

/* ---- Transformers ---- */

/* Builds, prices and sums a pass over a span, which becomes memory->pass, with its breakdown in
 * *table if something needs it. */
DF_NODISCARD df_status df_llm_time_pass(df_job *x, const df_span *span, df_breakdown *table);

/* Micro-batches that a stage runs. */
double df_llm_batches(const df_job *x);
/* Bytes of a micro-batch that each device of a stage hands on over its own link, which are what it
 * holds outside of products; and the number of such devices. */
double df_llm_hop_bytes(const df_job *x);
double df_llm_hop_senders(const df_job *x);

/* Time of a collective in closed form, whatever the backend. */
double
df_llm_coll_s(const df_job *x, df_coll_kind kind, double bytes, double members, df_axis axis);

/* Time of one step of the current pass through the pipeline. In training this includes the
 * optimizer, whose part alone is *optimizer_s. */
DF_NODISCARD df_status df_llm_run_step(df_job *x, double *optimizer_s, double *time_s);
/* As df_compat_step, timed by the network simulator; *traffic is what its transfers carry. */
DF_NODISCARD df_status df_llm_run_net_step(df_job *x,
                                           df_step *step,
                                           const df_lower_traffic *traffic,
                                           double *time_s);

/* Makes the coster that of the calibrated rules.
 * DF_EINVAL: the file lacks what they need. DF_INFEASIBLE: so does the device. */
DF_NODISCARD df_status df_calibrated_begin(df_job *x);

/* What a stage needs in training by the calibrated rules. */
void df_train_memory(const df_cfg *cfg, int64_t stage, df_memory *out);

/* Training by the calibrated rules: all figures but energies. */
DF_NODISCARD df_status df_llm_train_calibrated(df_job *x, const df_span *span, df_llm_result *out);

/* Inference by the calibrated rules: all figures but those of boards. */
DF_NODISCARD df_status df_llm_infer_calibrated(df_job *x, df_llm_result *out);
/* Power and energy of boards where something is known of them, in place of energies of the
 * technology. */
void df_llm_board_power(df_job *x, df_llm_result *out);
/* A board as measured, or by rule from its limit. */
df_cfg_board df_board_of(const df_cfg_board *given);
/* What inference needs by the calibrated rules: the cache of as many sequences as run at once. */
void df_llm_engine_memory(const df_cfg *cfg, df_memory *out);

/* Inference: all figures except those that follow from the time of the run. */
DF_NODISCARD df_status df_llm_infer(df_job *x, df_llm_result *out);

/* Energy of the current pass, for all micro-batches on all devices; in training, also for the
 * backward pass. Returns the sum, which follows the rules in inference. */
double df_llm_pass_energy(const df_job *x, df_energy *energy);
/* Adds the energy of a training step's reductions and optimizer. */
void df_llm_add_exchange_energy(const df_job *x, df_energy *energy);
df_tariff df_llm_tariff(const df_cfg *cfg, const df_hw_device *dev, const df_topo *topo);

#endif
