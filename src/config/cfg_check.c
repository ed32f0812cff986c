#include <inttypes.h>

#include "config/cfg_impl.h"

static int64_t at_least_1(int64_t degree)
{
    return degree > 0 ? degree : 1;
}

static df_status check_kernel_degrees(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_sched *const s = &cfg->sched;
    const int64_t workers = df_cfg_workers(cfg);
    const double product =
        (double)s->dp * (double)s->lp * (double)at_least_1(s->kp1) * (double)at_least_1(s->kp2);
    if (product == (double)workers) {
        return DF_OK;
    }
    *key = "scheduling_param.dp";
    return df_fail(err, DF_EINVAL,
                   "expected dp * lp * kp1 * kp2 = %" PRId64
                   " (num_nodes * num_devices_per_node), found %.17g",
                   workers, product);
}

static df_status check_topology(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_topology found[] = {cfg->inter_topology, cfg->intra_topology};
    static const char *const keys[] = {"network_topology.inter_node",
                                       "network_topology.intra_node"};
    if (cfg->backend.model != DF_BACKEND_ANALYTICAL) {
        return DF_OK;
    }
    for (int i = 0; i < 2; i++) {
        if (found[i] != DF_TOPO_RING) {
            *key = keys[i];
            return df_fail(err, DF_EINVAL, "expected ring with the analytical backend, found %s",
                           df_opt_word_of(df_words_topology, found[i]));
        }
    }
    return DF_OK;
}

static df_status check_workers(const df_cfg *cfg, const char **key, df_err *err)
{
    const double workers = (double)cfg->system.num_nodes * (double)cfg->system.num_devices_per_node;
    if (workers <= 0x1p40) {
        return DF_OK;
    }
    *key = "system_hierarchy.num_nodes";
    return df_fail(err, DF_EINVAL, "expected num_nodes * num_devices_per_node <= 2^40, found %.17g",
                   workers);
}

static df_status check_llm(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_llm *const m = &cfg->llm;
    if (m->attention.attention_type == DF_ATTENTION_GQA && m->attention.kv_heads == 0) {
        *key = "model_param.attention.kv_heads";
        return df_fail(err, DF_EINVAL, "expected a whole number >= 1 for gqa, found nothing");
    }
    if (m->attention.use_flashattention && m->attention.attention_tile_size == 0) {
        *key = "model_param.attention.attention_tile_size";
        return df_fail(err, DF_EINVAL,
                       "expected a whole number >= 1 with use_flashattention, found nothing");
    }
    if (m->hidden_dim % m->attention.num_heads != 0) {
        *key = "model_param.attention.num_heads";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of hidden_dim %" PRId64 ", found %" PRId64,
                       m->hidden_dim, m->attention.num_heads);
    }
    return DF_OK;
}

df_status df_cfg_cross_check(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    DF_TRY(check_workers(cfg, key, err));
    if (!cfg->has_model) { /* a device is the same whatever it is used for */
        return DF_OK;
    }
    DF_TRY(check_topology(cfg, key, err));
    if (cfg->mode == DF_MODE_LLM) {
        return check_llm(cfg, key, err);
    }
    return degrees ? check_kernel_degrees(cfg, key, err) : DF_OK;
}
