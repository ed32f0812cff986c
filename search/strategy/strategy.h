/* strategy.h: which parallelism strategies a sweep visits. */
#ifndef DF_STRATEGY_H
#define DF_STRATEGY_H
#include "config/cfg.h"
#include "rules/rules.h"

typedef struct {
    df_kp_type kp_type;
    int64_t kp1, kp2, dp, lp;
} df_strategy;

typedef struct {
    int64_t num_wafer, wafer_dim;
    int64_t num_worker; /* -1: num_wafer * wafer_dim^2 */
} df_system_size;

/* The most devices that a system may have: layouts keep a record of each. */
enum { DF_SYSTEM_DEVICES_MAX = 1 << 20 };

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

/* "CR", "RC" or "none". */
const char *df_kp_type_name(df_kp_type type);

/* "CR-k2-k1-d4-l1": unique within a sweep. Returns snprintf's count. */
int df_strategy_name(const df_strategy *strategy, char *text, size_t size);

/* Writes the strategy into the sched section of *cfg (t, kp1, kp2, every
 * kp_*_type and kp_*_dim*, dp, lp). */
void df_strategy_apply(const df_strategy *strategy, df_cfg *cfg);

#endif
