/* compat.h: what the Python DeepFlow does differently from the model (rules/rules.h).
 *
 * The model knows no rules. A rule whose value is that of the reference is implemented as one of
 *   a description   of the split or the span from which operators are built (describe.c)
 *   an edit         of the list of operators (edit.c)
 *   a price         in the cost model of the reference (price.c)
 *   a count         of flops and bytes, for energies and tables (count.c)
 *   a step          that does its work in another order (step_reference.c)
 *   an option       of GEMM traffic or of simulated programs, which are built from plain data
 * In the modes LSTM and GEMM, lstm.c has the descriptions and edits. */
#ifndef DF_COMPAT_H
#define DF_COMPAT_H
#include "cost/simulated.h"
#include "fold/breakdown.h"
#include "lower/lower.h"
#include "model/exchange.h"
#include "model/lstm.h"
#include "rules/rules.h"

/* What a prediction does otherwise beside its operators, as plain options. */
typedef struct {
    bool calibrated;          /* kernels, frameworks and engines are as they were measured */
    bool flags_alone;         /* df_topo_derive explains it */
    bool hops_of_stages;      /* energies count no hops between the parts of a stage */
    bool hop_whole;           /* one link carries all activations from a stage to the next */
    bool flops_unmasked;      /* df_transformer_flops explains it */
    bool logits_whole;        /* all positions of a prompt have logits */
    bool counted_energy;      /* an inference's energies are those of df_compat_pass_energy_j */
    bool first_token_decoded; /* a decode step also comes before the first token */
    /* Options of the network simulator: */
    bool edges_free;        /* hybrid: hops and exchanges among replicas cost nothing */
    bool collectives_twice; /* a block's operators last as long as with their collectives */
    df_lower_options lower;
    /* Options of the pipeline of an LSTM, which graph/pipeline.h explains: */
    bool rejects_two_stages, frees_last_link;
} df_compat_options;

df_compat_options df_compat_read(const df_rules *rules);

/* ---- Transformers ---- */

/* What operators are built from. */
typedef struct {
    const df_dims *dims;
    const df_split *split;
    const df_span *span;
} df_compat_case;

/* Changes how a model is split, what a pass is over, and what replicas exchange. */
void df_compat_split(const df_rules *rules, df_split *split);

void df_compat_span(const df_rules *rules,
                    const df_dims *dims,
                    const df_split *split,
                    df_span *span);

void df_compat_exchange(const df_rules *rules,
                        const df_dims *dims,
                        const df_split *split,
                        int64_t zero_stage,
                        df_exchange *exchange);

/* Changes a list of operators. */
void df_compat_edit(const df_rules *rules, const df_compat_case *of, df_ops *ops);

/* Fills the counted flops and bytes of a table: products of all tensor-parallel devices without
 * context parallelism, the DRAM's traffic of attention, embedding and logits. */
void df_compat_count(const df_rules *rules,
                     const df_compat_case *of,
                     const df_ops *ops,
                     const df_price price[],
                     df_breakdown *table);

/* Energy of a pass of inference as the Python DeepFlow counts it, for one device and one layer
 * (rule llm_energy_one_layer), from the counted figures of a table. */
double df_compat_pass_energy_j(const df_rules *rules,
                               const df_cfg_tech *tech,
                               const df_compat_case *of,
                               const df_breakdown *table);

/* Whether of several micro-batches on a single stage the first alone runs, up to the gradients of
 * the logits. It has all sequences of a replica then. */
bool df_compat_first_batch_only(const df_rules *rules, const df_pipe *pipe, const df_order *order);

/* Time of a step as the Python DeepFlow links its micro-batches, where the rules, which set the
 * step's options, say that this is another time than that of its order (sched/sched.h). Allocates
 * only for a step that is larger than all before, or that has to be simulated. DF_ENOMEM. */
DF_NODISCARD df_status df_compat_step(
    df_sched_ws *ws, const df_rules *rules, const df_step *step, double *time_s, df_err *err);

/* ---- LSTMs and GEMMs ---- */

/* Changes what operators are built from. */
void df_compat_lstm(const df_rules *rules, df_lstm *x);

/* Changes a list of operators. */
void df_compat_edit_gemm(const df_rules *rules, const df_gemm_mode *g, df_ops *ops);

/* The memory of an LSTM, as the rules count it. */
void df_compat_footprint(const df_rules *rules, const df_lstm *x, df_footprint *out);

/* ---- All modes ---- */

/* What the cost model of some rules goes by, which is the model's options. */
typedef struct {
    const df_rules *rules;
    bool llm; /* whose streams and gathers have rules apart */
} df_compat_prices;

/* The cost model of some rules, to which *options belongs; both borrow the rules. */
const df_cost_model *df_compat_cost(const df_rules *rules, df_mode mode, df_compat_prices *options);

/* Time of a collective in closed form: bytes as op/op.h has them. */
double df_compat_collective_s(const df_rules *rules,
                              df_mode mode,
                              const df_hw_device *dev,
                              const df_op_collective *what,
                              const df_topo_group *group);

df_gemm_traffic df_compat_gemm_traffic(const df_rules *rules);

/* Collectives that the simulator was asked for in a GEMM's or LSTM's prediction. */
typedef struct {
    df_coll_kind kind;
    double bytes, ranks;
    double chosen_for; /* ranks that its algorithm is for */
} df_compat_run;

/* More than a prediction has: of an LSTM, 5 for a split cell, 6 for the softmax, 2 for the
 * embedding, one hop, and 2 for each of three reductions. */
enum { DF_COMPAT_RUNS = 24 };

typedef struct {
    df_compat_run run[DF_COMPAT_RUNS];
    int count;
} df_compat_history;

/* Sets the rules' options of *s. With rule astra_algorithm_stale, collectives of a GEMM or LSTM
 * have algorithms for numbers of ranks that s->context leads to, a df_compat_history, empty at the
 * beginning of the prediction. */
void df_compat_simulated(const df_rules *rules, df_mode mode, df_simulated *s);

/* What a search does otherwise with a device. */
typedef struct {
    bool chip_is_the_rest; /* a chip may grow over its budget */
    bool chip_whole_mm2;
    bool networks_keep_shares; /* those that are not used */
    bool flags_alone;          /* df_topo_reaches has what it means */
} df_compat_search;

df_compat_search df_compat_search_read(const df_rules *rules);

/* How strictly a configuration is read, in bits of df_cfg_need. */
unsigned df_compat_reading(const df_rules *rules);

/* Whether a prediction that is not finite is a result. */
bool df_compat_prints_infinite(const df_rules *rules);

/* Whether the stages of a pipeline need no network between them. */
bool df_compat_hops_are_free(const df_rules *rules, df_mode mode);

/* ---- Printed figures ---- */

/* Sequences that decode at once, of which rates are printed: the whole batch, or dp times it. */
double df_compat_rated_sequences(const df_rules *rules, const df_cfg *cfg);

/* The backward time of a GEMM as the summary prints it, which may lack that of the reduction. */
double df_compat_summary_backward_s(const df_rules *rules, double backward_s, double reduction_s);

#endif
