/* strategy.h: which parallelism strategies a sweep visits.
 *
 *   strategy.c      of GEMMs and LSTMs, as the Python DeepFlow has them; names
 *   strategy_llm.c  of LLMs: every split that divides the model */
#ifndef DF_STRATEGY_H
#define DF_STRATEGY_H
#include "base/int_list.h"
#include "config/cfg.h"
#include "rules/rules.h"

typedef struct {
    df_kp_type kp_type;
    int64_t kp1, kp2, dp, lp;
    /* LLMs alone, else 0: kp1 and kp2 are 1 then */
    int64_t tp, cp, mb;
    bool tp_sp;
    int64_t zero_stage;
    df_recompute recompute;
    df_schedule schedule;
    int64_t virtual_stages;
} df_strategy;

/* Either wafers, on each a mesh of wafer_dim x wafer_dim devices; or nodes, in each of which
 * devices_per_node devices have a switch between them and each its own way out. */
typedef struct {
    int64_t num_wafer;        /* or nodes */
    int64_t wafer_dim;        /* 0: nodes */
    int64_t devices_per_node; /* 0: wafers */
    int64_t num_worker;       /* -1: all devices */
} df_system_size;

/* Devices on one wafer, or in one node. */
int64_t df_system_node_devices(const df_system_size *size);

/* The most devices that a system may have: layouts keep a record of each. */
enum { DF_SYSTEM_DEVICES_MAX = 1 << 20 };

/* DF_EINVAL: more devices than that, or none. */
DF_NODISCARD df_status df_system_check(const df_system_size *size, df_err *err);

/* The number of workers of a system. */
int64_t df_system_workers(const df_system_size *size);

/* All strategies of a system in the order of their ids: column-row, then
 * row-column, lp outermost (search-model: powers of two, the last factor takes
 * the rest). *list is malloc'ed, the caller frees it. Strategies with
 * dp > batch_size are left out (row-column ones only when the rule
 * rc_batch_unchecked is corrected); batch_size <= 0 tests none.
 * A system of fewer than 4 workers has no strategies with lp = 4.
 * DF_EINVAL: a size out of bounds. DF_ENOMEM. */
DF_NODISCARD df_status df_strategy_list(const df_system_size *size,
                                        int64_t batch_size,
                                        const df_rules *rules,
                                        df_strategy **list,
                                        size_t *count,
                                        df_err *err);

/* Which strategies of an LLM are visited. Lists have the values that a degree may have; empty:
 * any that divides. Sets have bit v for value v; 0: the template's value alone, but of tp_sp
 * and zero_stage every value. */
typedef struct {
    df_int_list tp, cp, dp, lp, mb, virtual_stages;
    unsigned tp_sp, zero_stage, recompute, schedule;
} df_strategy_space;

/* A strategy of an LLM, or degrees that cannot split the model. */
typedef struct {
    df_strategy strategy;
    const char *reason; /* why not; NULL: it can. Lives forever. */
} df_strategy_choice;

typedef struct {
    df_strategy_choice *all;
    size_t count;
} df_strategy_choices;

/* All strategies of an LLM on all workers of a system: every tp * cp * dp * lp = workers, every
 * number of micro-batches, and what else `space` names, where it makes a difference. Those that
 * need the same GEMMs follow one another: tp outermost, then cp, then the micro-batch. Degrees
 * that do not divide the model are there once, with their reason. out->all is malloc'ed,
 * the caller frees it. `cfg` is the template, of mode LLM.
 * DF_EINVAL: a size out of bounds. DF_ENOMEM. */
DF_NODISCARD df_status df_strategy_list_llm(const df_system_size *size,
                                            const df_cfg *cfg,
                                            const df_rules *rules,
                                            const df_strategy_space *space,
                                            df_strategy_choices *out,
                                            df_err *err);

/* Why the degrees of an LLM's strategy (tp, cp, dp, lp) cannot split the model; NULL: they can. */
const char *df_strategy_reason_llm(const df_strategy *strategy, const df_cfg *cfg);

/* Whether two reasons differ in numbers at the most. */
bool df_strategy_same_reason(const char *a, const char *b);

/* The sizes of the axes, as layouts have them: kp1, kp2, dp, lp, or tp, cp, dp, lp. */
enum { DF_LAYOUT_AXES = 4 };
void df_strategy_axes(const df_strategy *strategy, int64_t axes[DF_LAYOUT_AXES]);

/* "CR", "RC" or "none". */
const char *df_kp_type_name(df_kp_type type);

/* "CR-k2-k1-d4-l1"; of an LLM "t8-c1-d4-l2-m16-sp-z1-full-1f1b", the last four where they are
 * not off, 0, none, gpipe. Unique within a sweep. Returns snprintf's count. */
enum { DF_STRATEGY_NAME = 128 };
int df_strategy_name(const df_strategy *strategy, char *text, size_t size);

/* Writes the strategy into the sched section of *cfg (t, kp1, kp2, every
 * kp_*_type and kp_*_dim*, dp, lp; of an LLM tp, cp, mb and so on, and the ZeRO stage). */
void df_strategy_apply(const df_strategy *strategy, df_cfg *cfg);

#endif
