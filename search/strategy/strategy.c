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
