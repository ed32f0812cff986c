#include "strategy/strategy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int64_t df_system_node_devices(const df_system_size *size)
{
    return size->devices_per_node > 0 ? size->devices_per_node : size->wafer_dim * size->wafer_dim;
}

int64_t df_system_workers(const df_system_size *size)
{
    return size->num_worker < 0 ? size->num_wafer * df_system_node_devices(size) : size->num_worker;
}

void df_strategy_axes(const df_strategy *s, int64_t axes[DF_LAYOUT_AXES])
{
    axes[0] = s->tp > 0 ? s->tp : s->kp1;
    axes[1] = s->tp > 0 ? s->cp : s->kp2;
    axes[2] = s->dp;
    axes[3] = s->lp;
}

/* A list that grows. */
typedef struct {
    df_strategy *all;
    size_t count, room;
    int64_t most_dp; /* larger dp are left out; 0: none */
} list;

static df_status add(list *to, const df_strategy *strategy, df_err *err)
{
    if (to->most_dp > 0 && strategy->dp > to->most_dp) {
        return DF_OK;
    }
    if (to->count == to->room) {
        const size_t room = to->room > 0 ? 2 * to->room : 64;
        df_strategy *const all = realloc(to->all, room * sizeof *all);
        if (!all) {
            return df_fail(err, DF_ENOMEM, "strategies: out of memory");
        }
        to->all = all;
        to->room = room;
    }
    to->all[to->count++] = *strategy;
    return DF_OK;
}

/* kp1 over the powers of two, dp takes the rest. */
static df_status add_column_row(list *to, int64_t workers, int64_t lp, df_err *err)
{
    for (int64_t kp1 = 1; kp1 <= workers; kp1 *= 2) {
        const df_strategy s = {
            .kp_type = DF_KP_CR, .kp1 = kp1, .kp2 = 1, .dp = workers / kp1, .lp = lp};
        DF_TRY(add(to, &s, err));
    }
    return DF_OK;
}

/* kp1 and kp2 over the powers of two, dp takes the rest. */
static df_status add_row_column(list *to, int64_t workers, int64_t lp, df_err *err)
{
    for (int64_t kp1 = 1; kp1 <= workers; kp1 *= 2) {
        const int64_t left = workers / kp1;
        for (int64_t kp2 = 1; kp2 <= left; kp2 *= 2) {
            const df_strategy s = {
                .kp_type = DF_KP_RC, .kp1 = kp1, .kp2 = kp2, .dp = left / kp2, .lp = lp};
            DF_TRY(add(to, &s, err));
        }
    }
    return DF_OK;
}

static df_status
add_all(list *to, int64_t workers, int64_t batch_size, const df_rules *rules, df_err *err)
{
    static const int64_t stages[] = {1, 4};
    to->most_dp = batch_size;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        DF_TRY(add_column_row(to, workers / stages[i], stages[i], err));
    }
    to->most_dp = rules->rc_batch_unchecked ? 0 : batch_size;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        DF_TRY(add_row_column(to, workers / stages[i], stages[i], err));
    }
    return DF_OK;
}

static df_status check_nodes(const df_system_size *size, df_err *err)
{
    if (size->num_wafer < 1 ||
        (double)size->num_wafer * (double)size->devices_per_node > DF_SYSTEM_DEVICES_MAX) {
        return df_fail(err, DF_EINVAL,
                       "system_hierarchy.num_nodes: expected 1 to %d devices in all, found %" PRId64
                       " nodes of %" PRId64,
                       DF_SYSTEM_DEVICES_MAX, size->num_wafer, size->devices_per_node);
    }
    return DF_OK;
}

static df_status check_wafers(const df_system_size *size, df_err *err)
{
    const double devices =
        (double)size->num_wafer * (double)size->wafer_dim * (double)size->wafer_dim;
    if (size->num_wafer < 1 || size->wafer_dim < 1 || devices > DF_SYSTEM_DEVICES_MAX) {
        return df_fail(err, DF_EINVAL,
                       "--num_wafer, --wafer_dim: expected 1 to %d devices in all, found %" PRId64
                       " wafers of %" PRId64 " x %" PRId64,
                       DF_SYSTEM_DEVICES_MAX, size->num_wafer, size->wafer_dim, size->wafer_dim);
    }
    return DF_OK;
}

df_status df_system_check(const df_system_size *size, df_err *err)
{
    DF_TRY(size->devices_per_node > 0 ? check_nodes(size, err) : check_wafers(size, err));
    if (size->num_worker == 0 || size->num_worker < -1 ||
        size->num_worker > DF_SYSTEM_DEVICES_MAX) {
        return df_fail(err, DF_EINVAL,
                       "--num_worker: expected -1 (all devices) or 1 to %d, found %" PRId64,
                       DF_SYSTEM_DEVICES_MAX, size->num_worker);
    }
    return DF_OK;
}

df_status df_strategy_list(const df_system_size *size,
                           int64_t batch_size,
                           const df_rules *rules,
                           df_strategy **out,
                           size_t *count,
                           df_err *err)
{
    list found = {NULL, 0, 0, 0};
    DF_TRY(df_system_check(size, err));
    const df_status status = add_all(&found, df_system_workers(size), batch_size, rules, err);
    if (status != DF_OK) {
        free(found.all);
        return status;
    }
    *out = found.all;
    *count = found.count;
    return DF_OK;
}

const char *df_kp_type_name(df_kp_type type)
{
    switch (type) {
    case DF_KP_CR:
        return "CR";
    case DF_KP_RC:
        return "RC";
    case DF_KP_NONE:
        break;
    }
    return "none";
}

static int name_llm(const df_strategy *s, char *text, size_t size)
{
    static const char *const recompute[] = {[DF_RECOMPUTE_NONE] = "",
                                            [DF_RECOMPUTE_SELECTIVE] = "-selective",
                                            [DF_RECOMPUTE_FULL] = "-full"};
    char zero[32] = "";
    char schedule[32] = "";
    if (s->zero_stage > 0) {
        snprintf(zero, sizeof zero, "-z%" PRId64, s->zero_stage);
    }
    if (s->schedule == DF_SCHEDULE_1F1B) {
        snprintf(schedule, sizeof schedule, "-1f1b");
    } else if (s->schedule == DF_SCHEDULE_INTERLEAVED) {
        snprintf(schedule, sizeof schedule, "-v%" PRId64, s->virtual_stages);
    }
    return snprintf(text, size,
                    "t%" PRId64 "-c%" PRId64 "-d%" PRId64 "-l%" PRId64 "-m%" PRId64 "%s%s%s%s",
                    s->tp, s->cp, s->dp, s->lp, s->mb, s->tp_sp ? "-sp" : "", zero,
                    recompute[s->recompute], schedule);
}

bool df_strategy_same_reason(const char *a, const char *b)
{
    static const char digits[] = "0123456789.";
    while (*a != '\0' && *b != '\0') {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b) {
            return false;
        }
        a += *a != '\0';
        b += *b != '\0';
    }
    return *a == *b;
}

int df_strategy_name(const df_strategy *s, char *text, size_t size)
{
    if (s->tp > 0) {
        return name_llm(s, text, size);
    }
    return snprintf(text, size, "%s-k%" PRId64 "-k%" PRId64 "-d%" PRId64 "-l%" PRId64,
                    df_kp_type_name(s->kp_type), s->kp1, s->kp2, s->dp, s->lp);
}

static void apply_llm(const df_strategy *strategy, df_cfg *cfg)
{
    df_cfg_sched *const sched = &cfg->sched;
    sched->tp = strategy->tp;
    sched->cp = strategy->cp;
    sched->mb = strategy->mb;
    sched->tp_sp = strategy->tp_sp;
    sched->recompute = strategy->recompute;
    sched->schedule = strategy->schedule;
    sched->virtual_stages = strategy->virtual_stages;
    cfg->sw.dp_zero_stage = strategy->zero_stage;
}

void df_strategy_apply(const df_strategy *strategy, df_cfg *cfg)
{
    df_cfg_sched *const sched = &cfg->sched;
    const df_gemm_split splits[] = {
        [DF_KP_CR] = DF_T_CR,
        [DF_KP_RC] = DF_T_RC,
    };
    const bool split = strategy->kp_type != DF_KP_NONE;
    sched->dp = strategy->dp;
    sched->lp = strategy->lp;
    if (strategy->tp > 0) {
        apply_llm(strategy, cfg);
        return;
    }
    sched->kp1 = split ? strategy->kp1 : 1;
    sched->kp2 = strategy->kp_type == DF_KP_RC ? strategy->kp2 : 1;
    sched->t = split ? splits[strategy->kp_type] : DF_T_NONE;
    for (int part = 0; part < DF_PARTS; part++) {
        sched->kp_type[part] = strategy->kp_type;
        sched->kp_dim1[part] = sched->kp1;
        sched->kp_dim2[part] = sched->kp2;
    }
}
