#include <inttypes.h>

#include "config/cfg_impl.h"

#define RATE_KEY(name) "tech_param.core.format_rate." name

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
    if (!cfg->has_model || cfg->backend.model != DF_BACKEND_ANALYTICAL) {
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

static df_status check_llm_degrees(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_sched *const s = &cfg->sched;
    const int64_t batch = cfg->llm.batch_size;
    const int64_t workers = df_cfg_workers(cfg);
    df_cfg_misfit misfit;
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
    if (df_cfg_find_misfit(&cfg->llm, s->degree, s->ep, s->tp_sp, DF_SPLIT_ANY, &misfit)) {
        return df_cfg_fail_misfit(&misfit, key, err);
    }
    if (batch / s->dp % s->mb != 0) {
        *key = "scheduling_param.mb";
        return df_fail(err, DF_EINVAL,
                       "expected a divisor of the batch of a replica, %" PRId64 ", found %" PRId64,
                       batch / s->dp, s->mb);
    }
    return DF_OK;
}

bool df_cfg_takes_batches(const df_cfg *cfg)
{
    const df_cfg_sched *const s = &cfg->sched;
    return cfg->any_rounds || !df_orders[s->schedule].several_parts || s->mb % s->lp == 0;
}

/* Each part of the model has a layer, but the first and the last, which have the embedding and the
 * logits. */
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
    if (!df_cfg_takes_batches(cfg)) {
        *key = "scheduling_param.mb";
        return df_fail(err, DF_EINVAL,
                       "expected a multiple of lp %" PRId64
                       " with schedule interleaved, found %" PRId64,
                       s->lp, s->mb);
    }
    if (s->lp > layers) {
        *key = "scheduling_param.lp";
        return df_fail(err, DF_EINVAL,
                       "expected at most num_layers %" PRId64
                       " with schedule interleaved, found %" PRId64,
                       layers, s->lp);
    }
    if (s->virtual_stages > df_cfg_most_parts(layers, s->lp)) {
        *key = "scheduling_param.virtual_stages";
        return df_fail(err, DF_EINVAL,
                       "expected at most %" PRId64 " (lp * virtual_stages <= num_layers + 2, found "
                       "%" PRId64 " * %" PRId64 " and %" PRId64 "), found %" PRId64,
                       df_cfg_most_parts(layers, s->lp), s->lp, s->virtual_stages, layers,
                       s->virtual_stages);
    }
    return DF_OK;
}

int64_t df_cfg_most_parts(int64_t layers, int64_t stages)
{
    const int64_t most = (layers + 2) / stages;
    return most > 1 ? most : 1;
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
    DF_TRY(check_llm_degrees(cfg, key, err));
    DF_TRY(check_schedule(cfg, key, err));
    return check_llm_size(cfg, key, err);
}

static df_status check_llm_run(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_llm *const m = &cfg->llm;
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
    if (cfg->sched.recompute_modules != 0.0 && cfg->sched.recompute != DF_RECOMPUTE_NONE) {
        *key = "scheduling_param.recompute_modules";
        return df_fail(err, DF_EINVAL,
                       "expected none beside scheduling_param.recompute, found some");
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
        return df_fail(
            err, DF_EINVAL,
            "expected mixed_precision to be true with tensor_plus_fp32_master, found false");
    }
    return DF_OK;
}

static df_status check_llm(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    if (cfg->sched.auto_schedule) {
        *key = "scheduling_param.auto";
        return df_fail(err, DF_EINVAL, "expected false for an LLM, found true");
    }
    DF_TRY(df_cfg_check_model(&cfg->llm, key, err));
    DF_TRY(check_precision(cfg, key, err));
    DF_TRY(check_llm_run(cfg, key, err));
    DF_TRY(df_cfg_check_layout(cfg, degrees, key, err));
    return degrees ? check_llm_split(cfg, key, err) : DF_OK;
}

/* ---- Budgets ---- */

/* Shares above their budget by less than this are rounded figures. */
static const double BUDGET_SLACK = 1e-3;

static df_status check_sum(double sum, double budget, const char *what, df_err *err)
{
    if (sum <= budget * (1.0 + BUDGET_SLACK)) {
        return DF_OK;
    }
    return df_fail(err, DF_EINVAL, "expected %s to add up to at most %.6g, found %.6g", what,
                   budget, sum);
}

static double sum_of(const df_cfg_shares *s)
{
    return s->core + s->dram + s->l2 + s->l1 + s->reg + s->intra + s->inter;
}

static df_status check_budgets(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_cfg_perimeter *const edge = &cfg->perimeter;
    if (!cfg->has_breakdown) {
        return DF_OK;
    }
    *key = "area_breakdown.proc_chip_area_budget";
    DF_TRY(check_sum(sum_of(&cfg->area.of), cfg->area.chip_mm2,
                     "the areas of core, DRAM, L2, L1, reg_mem and network (mm2)", err));
    *key = "area_breakdown.device_area_budget";
    DF_TRY(check_sum(cfg->area.chip_mm2, cfg->area.device_mm2,
                     "proc_chip_area_budget and the stacks beside it (mm2)", err));
    *key = "power_breakdown.TDP";
    DF_TRY(check_sum(sum_of(&cfg->power.of), cfg->power.tdp_w,
                     "the powers of core, DRAM, L2, L1, reg_mem and network (W)", err));
    *key = "perimeter_breakdown.DRAM";
    return check_sum(edge->dram + edge->intra + edge->inter, 1.0,
                     "the shares of DRAM, intra_node and inter_node", err);
}

/* ---- Networks ---- */

/* Whether axes that have several members have the network that their flag says. */
static df_status check_networks(const df_cfg *cfg, const char **key, df_err *err)
{
    static const char *const derates[] = {"system_hierarchy.intra_derate",
                                          "system_hierarchy.inter_derate"};
    const df_cfg_system *const sys = &cfg->system;
    for (int axis = 0; axis < DF_AXES; axis++) {
        const bool inter = sys->inter[axis];
        const int64_t degree = cfg->sched.degree[axis];
        if (degree <= 1 || !cfg->has_model) {
            continue;
        }
        if (inter && sys->num_nodes <= 1) {
            *key = "system_hierarchy.num_nodes";
            return df_fail(err, DF_EINVAL,
                           "expected several nodes with system_hierarchy.%s, which has the %" PRId64
                           " devices of %s in several, found %" PRId64,
                           df_axis_table[axis].inter, degree, df_axis_table[axis].name,
                           sys->num_nodes);
        }
        if (!((inter ? sys->inter_derate : sys->intra_derate) > 0.0)) {
            *key = derates[inter];
            return df_fail(err, DF_EINVAL,
                           "expected a number above 0 for a network over which %s has %" PRId64
                           " devices, found 0",
                           df_axis_table[axis].name, degree);
        }
    }
    return DF_OK;
}

/* The simulator has no other. */
static df_status check_simulated_topology(const df_cfg *cfg, const char **key, df_err *err)
{
    const df_topology kind = cfg->intra_topology;
    if (!cfg->has_model || !df_backend_simulates(&cfg->backend) || kind == DF_TOPO_RING ||
        kind == DF_TOPO_FC || kind == DF_TOPO_SWITCH) {
        return DF_OK;
    }
    *key = "network_topology.intra_node";
    return df_fail(err, DF_EINVAL, "expected ring, fc or switch with the astra backend, found %s",
                   df_opt_word_of(df_words_topology, kind));
}

/* ---- Splits ---- */

static df_status check_split(const df_cfg *cfg, const char **key, df_err *err)
{
    df_cfg_misfit misfit;
    if (!cfg->has_model || cfg->mode != DF_MODE_LLM ||
        !df_cfg_find_misfit(&cfg->llm, cfg->sched.degree, cfg->sched.ep, cfg->sched.tp_sp,
                            DF_SPLIT_EVEN, &misfit)) {
        return DF_OK;
    }
    return df_cfg_fail_misfit(&misfit, key, err);
}

/* ---- Formats ---- */

/* Measured kernels need the rate of each format that products have. */
static df_status check_formats(const df_cfg *cfg, const char **key, df_err *err)
{
    static const char *const rates[DF_FORMATS] = {
        [DF_FORMAT_FP8] = RATE_KEY("fp8"),     [DF_FORMAT_FP8_BLOCK] = RATE_KEY("fp8"),
        [DF_FORMAT_MXFP8] = RATE_KEY("fp8"),   [DF_FORMAT_NVFP4] = RATE_KEY("nvfp4"),
        [DF_FORMAT_MXFP4] = RATE_KEY("mxfp4"), [DF_FORMAT_INT8] = RATE_KEY("int8"),
        [DF_FORMAT_INT4] = RATE_KEY("int4"),   [DF_FORMAT_TF32] = RATE_KEY("tf32"),
        [DF_FORMAT_FP32] = RATE_KEY("fp32")};
    df_cfg_formats f;
    df_cfg_formats_of(cfg, &f);
    const struct {
        const char *of;
        df_format format;
    } used[] = {{"products", f.products}, {"logits", f.logits}, {"attention", f.attention}};
    const size_t count = cfg->mode == DF_MODE_LLM ? sizeof used / sizeof used[0] : 1;
    for (size_t i = 0; i < count && cfg->has_model; i++) {
        if (!(df_format_rate(&cfg->tech.core, used[i].format) > 0.0)) {
            *key = rates[used[i].format];
            return df_fail(err, DF_EINVAL,
                           "expected the dense rate of %s over bf16's, for %s in %s (calibrated "
                           "rules), found none",
                           df_format_rate_key(used[i].format), used[i].of,
                           df_format_name(used[i].format));
        }
    }
    return DF_OK;
}

/* ---- All ---- */

df_status df_cfg_check_machine(
    const df_cfg *cfg, unsigned need, const char **key, df_err *warning, df_err *err)
{
    static const struct {
        unsigned lenient, off; /* what makes it a warning, and what leaves it out */
        unsigned only;         /* what it is for; 0: everything */
        df_status (*check)(const df_cfg *cfg, const char **key, df_err *err);
    } checks[] = {{0, DF_CFG_ANY_KIND, 0, check_topology},
                  {0, 0, DF_CFG_ANY_KIND, check_formats},
                  {DF_CFG_ANY_SPLITS, DF_CFG_ANY_DEGREES, 0, check_split},
                  {DF_CFG_ANY_BUDGETS, DF_CFG_ANY_SHARES, 0, check_budgets},
                  {DF_CFG_ANY_NETWORKS | DF_CFG_ANY_DEGREES, 0, 0, check_networks},
                  {DF_CFG_ANY_TOPOLOGY, 0, 0, check_simulated_topology}};
    warning->text[0] = '\0';
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const char *failed = NULL;
        df_err cause;
        const bool lenient = (need & checks[i].lenient) != 0;
        const bool off = (need & checks[i].off) != 0 || (need & checks[i].only) != checks[i].only;
        const df_status status = off ? DF_OK : checks[i].check(cfg, &failed, &cause);
        if (status != DF_OK && (!lenient || warning->text[0] == '\0')) {
            *key = failed;
            *(lenient ? warning : err) = cause;
        }
        if (status != DF_OK && !lenient) {
            return status;
        }
    }
    return DF_OK;
}

df_status df_cfg_cross_check(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    DF_TRY(check_workers(cfg, key, err));
    if (!cfg->has_model) { /* a device does not depend on its use */
        return DF_OK;
    }
    if (cfg->mode == DF_MODE_LLM) {
        return check_llm(cfg, degrees, key, err);
    }
    return degrees ? check_kernel_degrees(cfg, key, err) : DF_OK;
}
