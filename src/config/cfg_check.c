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

static df_status check_attention(const df_cfg_llm *m, const char **key, df_err *err)
{
    const df_cfg_attention *const a = &m->attention;
    const bool grouped = a->attention_type == DF_ATTENTION_GQA;
    if (grouped && a->kv_heads == 0) {
        *key = "model_param.attention.kv_heads";
        return df_fail(err, DF_EINVAL, "expected a whole number >= 1 for gqa, found nothing");
    }
    if (grouped && a->num_heads % a->kv_heads != 0) {
        *key = "model_param.attention.kv_heads";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of num_heads %" PRId64 ", found %" PRId64, a->num_heads,
                       a->kv_heads);
    }
    if (a->use_flashattention && a->attention_tile_size == 0) {
        *key = "model_param.attention.attention_tile_size";
        return df_fail(err, DF_EINVAL,
                       "expected a whole number >= 1 with use_flashattention, found nothing");
    }
    if (m->hidden_dim % a->num_heads != 0) {
        *key = "model_param.attention.num_heads";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of hidden_dim %" PRId64 ", found %" PRId64,
                       m->hidden_dim, a->num_heads);
    }
    return DF_OK;
}

static df_status check_llm_degrees(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_sched *const s = &cfg->sched;
    const int64_t batch = cfg->llm.batch_size;
    const int64_t workers = df_cfg_workers(cfg);
    const double product =
        (double)at_least_1(s->tp) * (double)at_least_1(s->cp) * (double)s->dp * (double)s->lp;
    if (product != (double)workers) {
        *key = "scheduling_param.dp";
        return df_fail(err, DF_EINVAL,
                       "expected tp * cp * dp * lp = %" PRId64
                       " (num_nodes * num_devices_per_node), found %" PRId64 " * %" PRId64
                       " * %" PRId64 " * %" PRId64 " = %.17g",
                       workers, at_least_1(s->tp), at_least_1(s->cp), s->dp, s->lp, product);
    }
    if (batch % s->dp != 0) {
        *key = "model_param.batch_size";
        return df_fail(err, DF_EINVAL, "expected a multiple of dp %" PRId64 ", found %" PRId64,
                       s->dp, batch);
    }
    if (batch / s->dp % s->mb != 0) {
        *key = "scheduling_param.mb";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of the batch of a replica, %" PRId64 ", found %" PRId64,
                       batch / s->dp, s->mb);
    }
    return DF_OK;
}

/* Interleaved stages take turns in groups of lp micro-batches, with as many layers each. */
static df_status check_schedule(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_sched *const s = &cfg->sched;
    const int64_t layers = cfg->llm.num_layers;
    if (!df_orders[s->schedule].several_parts) {
        if (s->virtual_stages > 1) {
            *key = "scheduling_param.virtual_stages";
            return df_fail(err, DF_EINVAL,
                           "expected 1 without schedule interleaved, found %" PRId64,
                           s->virtual_stages);
        }
        return DF_OK;
    }
    if (s->mb % s->lp != 0) {
        *key = "scheduling_param.mb";
        return df_fail(err, DF_EINVAL,
                       "expected a multiple of lp %" PRId64
                       " with schedule interleaved, found %" PRId64,
                       s->lp, s->mb);
    }
    if (layers % s->lp != 0) {
        *key = "scheduling_param.lp";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of num_layers %" PRId64
                       " with schedule interleaved, found %" PRId64,
                       layers, s->lp);
    }
    if (layers / s->lp % s->virtual_stages != 0) {
        *key = "scheduling_param.virtual_stages";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of the layers of a stage, %" PRId64 ", found %" PRId64,
                       layers / s->lp, s->virtual_stages);
    }
    return DF_OK;
}

/* The pipeline's graph has elements for each layer of each micro-batch. */
static df_status check_llm_size(const df_cfg *cfg, const char **key, df_err *err)
{
    const double most_elements = 0x1p24;
    const double most_stages = 0x1p20;
    const df_cfg_sched *const s = &cfg->sched;
    if ((double)s->mb * (double)cfg->llm.num_layers > most_elements) {
        *key = "scheduling_param.mb";
        return df_fail(err, DF_EINVAL,
                       "expected mb * num_layers <= 2^24, found %" PRId64 " * %" PRId64, s->mb,
                       cfg->llm.num_layers);
    }
    if ((double)s->lp > most_stages) {
        *key = "scheduling_param.lp";
        return df_fail(err, DF_EINVAL, "expected at most 2^20 stages, found %" PRId64, s->lp);
    }
    return DF_OK;
}

/* What depends on the degrees of parallelism. */
static df_status check_llm_split(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_llm *const m = &cfg->llm;
    DF_TRY(check_llm_degrees(cfg, key, err));
    DF_TRY(check_schedule(cfg, key, err));
    DF_TRY(check_llm_size(cfg, key, err));
    if (m->num_experts > 1 && df_cfg_workers(cfg) > 1) {
        *key = "model_param.num_experts";
        return df_fail(err, DF_EINVAL, "expected 1 on several devices, found %" PRId64,
                       m->num_experts);
    }
    if (m->run_type == DF_RUN_INFERENCE && cfg->sched.cp > 1) {
        *key = "scheduling_param.cp";
        return df_fail(err, DF_EINVAL, "expected 1 for inference, found %" PRId64, cfg->sched.cp);
    }
    return DF_OK;
}

static df_status check_llm_run(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_llm *const m = &cfg->llm;
    if (m->top_k > m->num_experts) {
        *key = "model_param.top_k";
        return df_fail(err, DF_EINVAL, "expected at most num_experts %" PRId64 ", found %" PRId64,
                       m->num_experts, m->top_k);
    }
    if (m->run_type == DF_RUN_INFERENCE && m->decode_len < 0) {
        *key = "model_param.decode_len";
        return df_fail(err, DF_EINVAL,
                       "expected tokens to decode, 0 to seq_len %" PRId64 ", found nothing",
                       m->seq_len);
    }
    if (m->run_type == DF_RUN_INFERENCE && m->decode_len > m->seq_len) {
        *key = "model_param.decode_len";
        return df_fail(err, DF_EINVAL, "expected at most seq_len %" PRId64 ", found %" PRId64,
                       m->seq_len, m->decode_len);
    }
    if (m->sample_every == 0) {
        *key = "inference_param.sample_every";
        return df_fail(err, DF_EINVAL, "expected a number of steps >= 1, or < 0, found 0");
    }
    return DF_OK;
}

static df_status check_precision(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_precision *const p = &cfg->sw.precision;
    if (p->param_storage == DF_STORE_TENSOR_FP32_MASTER && !p->mixed_precision) {
        *key = "sw_param.precision.param_storage_mode";
        return df_fail(err, DF_EINVAL,
                       "expected mixed_precision with tensor_plus_fp32_master, found it off");
    }
    return DF_OK;
}

static df_status check_llm(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    if (cfg->sched.auto_schedule) {
        *key = "scheduling_param.auto";
        return df_fail(err, DF_EINVAL, "expected false for an LLM, found true");
    }
    DF_TRY(check_attention(&cfg->llm, key, err));
    DF_TRY(check_precision(cfg, key, err));
    DF_TRY(check_llm_run(cfg, key, err));
    return degrees ? check_llm_split(cfg, key, err) : DF_OK;
}

df_status df_cfg_cross_check(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    DF_TRY(check_workers(cfg, key, err));
    if (!cfg->has_model) { /* a device is the same whatever it is used for */
        return DF_OK;
    }
    DF_TRY(check_topology(cfg, key, err));
    if (cfg->mode == DF_MODE_LLM) {
        return check_llm(cfg, degrees, key, err);
    }
    return degrees ? check_kernel_degrees(cfg, key, err) : DF_OK;
}
