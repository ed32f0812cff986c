/* sweep.h: all strategies x layouts x starting points, on all ranks. With fixed hardware there are
 * no starting points: each strategy and layout is evaluated once. */
#ifndef DF_SWEEP_H
#define DF_SWEEP_H
#include "dist/dist.h"
#include "store/store.h"

/* What decides the numbers of a sweep. */
typedef struct {
    df_cfg cfg; /* the template; strategies and layouts are written into copies */
    df_eval_options eval;
    df_grad_options descent;
    df_strategy_space space; /* strategies of LLMs that are visited */
    int32_t num_search;      /* descents of each (strategy, layout); 1 on fixed hardware */
    int32_t first_index;     /* first of their starting points; 0 with fixed hardware */
    bool trajectory;         /* every iterate is kept */
} df_sweep_options;

/* The descents of a sweep: the rows of /strategies, and which of them are feasible. Ranks that are
 * given the same options make the same plan. */
typedef struct {
    df_sweep_options options;
    df_store_strategy *strategies;
    int64_t num_strategies;
    int64_t num_listed; /* strategies, whatever their number of layouts */
    int32_t *searched;  /* rows that are feasible */
    int64_t num_searched;
    int64_t room;
    char **reasons; /* texts that rows point to */
    int64_t num_reasons, reasons_room;
    df_eval *eval; /* NULL until it is needed */
} df_sweep_plan;

void df_sweep_plan_init(df_sweep_plan *plan, const df_sweep_options *options);
void df_sweep_plan_fini(df_sweep_plan *plan);

/* Adds all strategies and layouts of a system. Infeasible ones stay, with their reason.
 * DF_EINVAL: the template cannot be searched, or the size is out of bounds. DF_ENOMEM. */
DF_NODISCARD df_status df_sweep_plan_system(df_sweep_plan *plan,
                                            const df_system_size *size,
                                            df_err *err);

/* The axes in their order, and nothing said about links: of a strategy that has no layout, or
 * whose derates and inter flags are given. */
void df_sweep_unplaced(df_layout *layout);

/* Adds one strategy in one layout. As above. */
DF_NODISCARD df_status df_sweep_plan_add(df_sweep_plan *plan,
                                         const df_system_size *size,
                                         const df_strategy *strategy,
                                         const df_layout *layout,
                                         df_err *err);

int64_t df_sweep_descents(const df_sweep_plan *plan);
/* The most that the reference rule takes; the others stop soon after as many. */
int64_t df_sweep_evaluations(const df_sweep_plan *plan);
/* The plan as the store wants it; texts and provenance are the caller's to add. */
void df_sweep_store_plan(const df_sweep_plan *plan, df_store_plan *out);

/* Writes the strategy and layout of a row into a copy of the template. */
void df_sweep_config(const df_sweep_plan *plan, int64_t row, df_cfg *out);

typedef struct {
    int64_t descents, done; /* descents of this part; those done, in this run and before it */
    int64_t done_before;
    int64_t evaluations; /* in this run */
    double best_value;   /* best value of all finished descents; 0: nothing works yet */
} df_sweep_progress;

/* The observer of a sweep. Functions may be NULL. */
typedef struct {
    void (*progress)(void *ctx, const df_sweep_progress *progress); /* rank 0, now and then */
    bool (*interrupted)(void *ctx);                                 /* any rank */
    void *ctx;
    double flush_s; /* longest time until a result is on the disk */
    /* Only a part of the sweep is done: of the feasible rows of /strategies number part, part +
     * parts and so on, from 0. parts 0: all. */
    int32_t part, parts;
} df_sweep_watch;

/* Collective. Does all descents that are pending in the store, which rank 0 holds (it is NULL on
 * the others). DF_EINTERRUPTED: stopped; everything that was finished is in the store. */
DF_NODISCARD df_status df_sweep_run(const df_sweep_plan *plan,
                                    df_dist *dist,
                                    df_store *store,
                                    const df_sweep_watch *watch,
                                    df_err *err);

/* The best finished descent of each row of /strategies, best first; ties go to the lower
 * work_id. Returns how many through *count, at most `most` (at least 1). */
DF_NODISCARD df_status df_sweep_best(const df_sweep_plan *plan,
                                     df_store *store,
                                     int32_t most,
                                     df_store_search *best,
                                     int32_t *count,
                                     df_err *err);

/* Seconds that one descent takes on one core, estimated from a sample spread over the plan, which
 * takes about this long. */
DF_NODISCARD df_status df_sweep_calibrate(const df_sweep_plan *plan,
                                          double seconds,
                                          double *descent_s,
                                          df_err *err);

#endif
