/* strategy.h: what a parallelism strategy is, and which of them a sweep visits.
 *
 *   strategy_field.c  the table of a strategy's fields; names; into a configuration
 *   strategy.c        strategies of GEMMs and LSTMs, as the Python DeepFlow has them
 *   strategy_llm.c    strategies of LLMs: every split that divides the model */
#ifndef DF_STRATEGY_H
#define DF_STRATEGY_H
#include "base/int_list.h"
#include "config/cfg.h"
#include "config/opt.h"
#include "rules/rules.h"

/* What a strategy splits: kernels, of which GEMMs and LSTMs are made, or an LLM. A field that
 * is of no use to a strategy has the value that the table of fields calls absent. */
typedef struct {
    union { /* degrees, by name or by df_axis */
        struct {
            int64_t dp, lp, tp, cp, kp1, kp2;
        };
        int64_t degree[DF_AXES];
    };
    df_kp_type kp_type;
    int64_t mb;
    int64_t ep;
    bool tp_sp;
    int64_t zero_stage;
    df_recompute recompute;
    df_order_id schedule;
    int64_t virtual_stages;
} df_strategy;

typedef enum {
    DF_STRATEGY_KERNELS = 1,
    DF_STRATEGY_LLM = 2,
    DF_STRATEGY_BOTH = 3, /* of a field: both kinds of strategies have it */
} df_strategy_kind;

/* A strategy of an LLM is one whose tp is not 0. */
df_strategy_kind df_strategy_kind_of(const df_strategy *strategy);
/* Which strategies have a degree along the axis. */
df_strategy_kind df_strategy_axis_kind(df_axis axis);

/* ---- The table of fields ---- */

/* What keeps a field in df_strategy and in df_cfg, and what stands for it in files. */
typedef enum {
    DF_FIELD_WHOLE, /* int64_t; a number */
    DF_FIELD_TRUTH, /* bool; 0 or 1 */
    DF_FIELD_WORD,  /* an enum; its word */
    DF_FIELD_CODE,  /* an enum; its number */
} df_field_kind;

/* A degree or an option. Each is one column of results.h5, of the report and of queries, one flag
 * of GD_search and, if LLMs have it, one key of the description of a search. */
typedef struct {
    const char *name;
    df_field_kind kind;
    df_strategy_kind of;    /* which kinds of strategies have the field */
    const df_word *words;   /* words of an enum, and of a key that takes a set; NULL: numbers */
    int64_t low, high;      /* bounds of its flag, where that is a number */
    int64_t preset;         /* where nothing else is said */
    int64_t absent;         /* the value in a strategy that does not have the field */
    char mark[4];           /* stands before its value in names */
    bool always_named;      /* false: names leave the preset out */
    const char *flag, *key; /* what the flag and the key mean */
    size_t at;              /* offset in df_strategy */
    size_t to;    /* place in df_cfg; DF_OPT_NOT_KEPT: more than one option depends on it */
    size_t space; /* place in df_strategy_space, for fields of LLMs: a set if there are words,
                     otherwise a list */
} df_strategy_field;

enum { DF_STRATEGY_OPTIONS = 8, DF_STRATEGY_FIELDS = DF_AXES + DF_STRATEGY_OPTIONS };

/* All fields, in the order of columns: of both kinds and of kernels before those of LLMs. */
void df_strategy_columns(df_strategy_field fields[DF_STRATEGY_FIELDS]);
/* All fields in the order in which people name them: the axes innermost first, as layouts have
 * them, then the options. */
void df_strategy_terms(df_strategy_field fields[DF_STRATEGY_FIELDS]);

/* The value of a field; that of an enum is its number. */
int64_t df_strategy_get(const df_strategy *strategy, const df_strategy_field *field);
void df_strategy_set(df_strategy *strategy, const df_strategy_field *field, int64_t value);
/* The value of a word of the field. False: it has no such word. */
bool df_strategy_word_value(const df_strategy_field *field, const char *word, int64_t *value);

/* Each field that this kind has at its preset, the others absent. */
void df_strategy_init(df_strategy *strategy, df_strategy_kind kind);
/* Makes it a strategy of this kind: fields of the other kind become absent, and kp1 and kp2 are
 * 1 where kp_type does not split. */
void df_strategy_settle(df_strategy *strategy, df_strategy_kind kind);

/* The axes that layouts place, innermost first. */
enum { DF_LAYOUT_AXES = 4 };
const df_axis *df_strategy_placed(df_strategy_kind kind);
/* Their degrees. */
void df_strategy_axes(const df_strategy *strategy, int64_t axes[DF_LAYOUT_AXES]);

/* "CR-k2-k1-d4-l1"; of an LLM "t8-c1-d4-l2-m16-sp-z1-full-1f1b", the last four where they are
 * not off, 0, none, gpipe. Unique within a sweep. Returns snprintf's count. */
enum { DF_STRATEGY_NAME = 128 };
int df_strategy_name(const df_strategy *strategy, char *text, size_t size);

/* Writes the strategy into the sched section of *cfg (of kernels t and every kp_*_type and
 * kp_*_dim* too; of an LLM the ZeRO stage too). */
void df_strategy_apply(const df_strategy *strategy, df_cfg *cfg);

/* ---- Systems ---- */

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

/* ---- Lists ---- */

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
    union { /* by name or by df_axis */
        struct {
            df_int_list dp, lp, tp, cp, kp1, kp2;
        };
        df_int_list degree[DF_AXES];
    };
    df_int_list mb, ep, virtual_stages;
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

/* All strategies of an LLM on all workers of a system: every product of degrees = workers that can
 * split the model in the way that predictions accept (df_cfg_find_misfit), every number of
 * micro-batches, and whatever else `space` names, where it makes a difference. Strategies that need
 * the same GEMMs are consecutive: tp is outermost, then cp, then the micro-batch. Degrees that do
 * not split the model are listed once, with their reason. If `space` names no number of parts for
 * interleaved stages, those numbers are taken with which all parts have the same number of layers,
 * or would have it if the model had two more. out->all is malloc'ed, and the caller frees it. `cfg`
 * is the template, of mode LLM. DF_EINVAL: a size is out of bounds. DF_ENOMEM. */
DF_NODISCARD df_status df_strategy_list_llm(const df_system_size *size,
                                            const df_cfg *cfg,
                                            const df_rules *rules,
                                            const df_strategy_space *space,
                                            df_strategy_choices *out,
                                            df_err *err);

/* Why the degrees of an LLM's strategy cannot split the model; NULL: they can. */
const char *
df_strategy_reason_llm(const df_strategy *strategy, const df_cfg *cfg, const df_rules *rules);

/* Whether two reasons differ at most in numbers. */
bool df_strategy_same_reason(const char *a, const char *b);

#endif
