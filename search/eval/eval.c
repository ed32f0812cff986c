#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "compat/compat.h"
#include "eval/eval_impl.h"
#include "predict/predict.h"
#include "topo/topo.h"

static void put_shares(df_cfg_shares *to, const double p[], double whole)
{
    *to = (df_cfg_shares){.core = p[0] * whole,
                          .dram = p[1] * whole,
                          .l2 = p[2] * whole,
                          .l1 = p[3] * whole,
                          .reg = p[4] * whole,
                          .intra = p[5] * whole,
                          .inter = p[6] * whole};
}

static void get_shares(const df_cfg_shares *from, double p[], double whole)
{
    const double values[] = {from->core, from->dram,  from->l2,   from->l1,
                             from->reg,  from->intra, from->inter};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        p[i] = values[i] / whole;
    }
}

static void put_point(df_cfg *cfg, const df_point *point)
{
    put_shares(&cfg->area.of, point->p + DF_P_AREA_CORE, cfg->area.chip_mm2);
    put_shares(&cfg->power.of, point->p + DF_P_POWER_CORE, cfg->power.tdp_w);
    cfg->perimeter.dram = point->p[DF_P_PERIM_DRAM];
    cfg->perimeter.inter = point->p[DF_P_PERIM_INTER];
    cfg->perimeter.intra = point->p[DF_P_PERIM_INTRA];
}

static void read_template(df_eval *eval)
{
    const df_cfg *const cfg = &eval->cfg;
    df_point *const shares = &eval->shares;
    get_shares(&cfg->area.of, shares->p + DF_P_AREA_CORE, cfg->area.chip_mm2);
    get_shares(&cfg->power.of, shares->p + DF_P_POWER_CORE, cfg->power.tdp_w);
    shares->p[DF_P_PERIM_DRAM] = cfg->perimeter.dram;
    shares->p[DF_P_PERIM_INTER] = cfg->perimeter.inter;
    shares->p[DF_P_PERIM_INTRA] = cfg->perimeter.intra;
}

/* ---- Preparing a strategy ---- */

/* What has one value is not searched; the template takes it. A network that is not used gets
 * nothing. */
static void choose_searched(df_eval *eval)
{
    const bool keep = df_compat_search_read(&eval->options.rules).networks_keep_shares;
    const bool inter = eval->cfg.system.inter_derate != 0 && (keep || eval->needs_inter);
    const bool intra = eval->cfg.system.intra_derate != 0 && (keep || eval->needs_intra);
    for (int i = 0; i < DF_PARAMS; i++) {
        const df_param_range *const range = &eval->options.range[i];
        const bool is_inter =
            i == DF_P_AREA_INTER || i == DF_P_POWER_INTER || i == DF_P_PERIM_INTER;
        const bool is_intra =
            i == DF_P_AREA_INTRA || i == DF_P_POWER_INTRA || i == DF_P_PERIM_INTRA;
        const bool fixed = range->given && range->low == range->high;
        const bool unused = (is_inter && !inter) || (is_intra && !intra);
        eval->searched[i] = !fixed && !unused;
        if (fixed) {
            eval->shares.p[i] = range->low;
        } else if (unused && !keep) {
            eval->shares.p[i] = 0;
        }
    }
}

static df_status set_budgets(df_eval *eval, df_err *err)
{
    static const char *const names[] = {"area_breakdown", "power_breakdown", "perimeter_breakdown"};
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        bool any = false;
        eval->budget[klass] = 1;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            eval->budget[klass] -= eval->searched[i] ? 0 : eval->shares.p[i];
            any = any || eval->searched[i];
        }
        if (!(eval->budget[klass] > 0) && any) {
            return df_fail(
                err, DF_INFEASIBLE,
                "%s: expected a part of it to remain for what is searched, found nothing",
                names[klass]);
        }
    }
    return DF_OK;
}

/* Fractions of a class with one that is searched follow from its budget. */
static df_status check_freedom(const df_eval *eval, df_err *err)
{
    int most = 0;
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        int count = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            count += eval->searched[i];
        }
        most = count > most ? count : most;
    }
    return most > 1 ? DF_OK
                    : df_fail(err, DF_EINVAL,
                              "parameters: expected at least two searched parameters in one class "
                              "(or --fix_hardware), found none");
}

static double needed_bytes(const df_eval *eval)
{
    df_need need;
    if (eval->cfg.mode == DF_MODE_GEMM) {
        return 0; /* the Python DeepFlow has none for it */
    }
    df_predict_need(&eval->cfg, &eval->options.rules, &need);
    return need.total_bytes;
}

/* Subtracts the stacks that the model needs from the device area. The chip gets the rest, up to the
 * largest area that it may have. */
static df_status set_chip_area(df_eval *eval, df_err *err)
{
    df_cfg *const cfg = &eval->cfg;
    const df_compat_search options = df_compat_search_read(&eval->options.rules);
    const double limit_mm2 = eval->options.limits.chip_mm2;
    const double most_mm2 = limit_mm2 > 0              ? limit_mm2
                            : options.chip_is_the_rest ? HUGE_VAL
                                                       : cfg->area.chip_mm2;
    if (cfg->mode == DF_MODE_GEMM) {
        return DF_OK; /* the file's chip area stays */
    }
    const double stacks = ceil(eval->needed_bytes / cfg->tech.dram.stack_capacity_bytes);
    eval->stacks_needed = stacks;
    const double rest_mm2 = cfg->area.device_mm2 - stacks * cfg->tech.dram.area_per_stack_mm2;
    const double chip_mm2 = fmin(options.chip_whole_mm2 ? trunc(rest_mm2) : rest_mm2, most_mm2);
    if (chip_mm2 > 0) {
        cfg->area.chip_mm2 = chip_mm2;
    } else if (!eval->options.ignore_memory) {
        return df_fail(err, DF_INFEASIBLE,
                       "the model needs %.0f DRAM stack(s), which leave no area for a chip",
                       stacks);
    }
    return DF_OK;
}

/* Whether devices along the axis exchange anything. */
static bool exchanges(const df_eval *eval, df_axis axis)
{
    const bool llm = eval->cfg.mode == DF_MODE_LLM;
    if (eval->cfg.sched.degree[axis] <= 1) {
        return false;
    }
    switch (axis) {
    case DF_AXIS_TP:
    case DF_AXIS_CP:
        return llm;
    case DF_AXIS_KP1:
    case DF_AXIS_KP2:
        return !llm;
    case DF_AXIS_LP:
        return !df_compat_hops_are_free(&eval->options.rules, eval->cfg.mode);
    case DF_AXIS_DP:
    case DF_AXES:
        break;
    }
    return true;
}

/* DF_INFEASIBLE: an axis is over a network whose derate says that there is none. */
static df_status note_networks(df_eval *eval, df_err *err)
{
    const df_cfg_system *const system = &eval->cfg.system;
    const bool flags_alone = df_compat_search_read(&eval->options.rules).flags_alone;
    bool reaches[DF_AXES];
    df_topo_reaches(&eval->cfg, flags_alone, reaches);
    eval->needs_intra = false;
    eval->needs_inter = false;
    for (int axis = 0; axis < DF_AXES; axis++) {
        if (exchanges(eval, (df_axis)axis)) {
            const bool inter = reaches[axis];
            if (!flags_alone && !((inter ? system->inter_derate : system->intra_derate) > 0)) {
                return df_fail(err, DF_INFEASIBLE,
                               "system_hierarchy.%s_derate: expected a number above 0 for the "
                               "network of %s, found 0",
                               inter ? "inter" : "intra", df_axis_table[axis].name);
            }
            eval->needs_inter = eval->needs_inter || inter;
            eval->needs_intra = eval->needs_intra || !inter || system->intra_derate != 0;
        }
    }
    return DF_OK;
}

static df_status use_budgets(df_eval *eval, df_err *err)
{
    df_hw_device dev;
    if (!eval->cfg.has_breakdown) {
        return df_fail(err, DF_EINVAL,
                       "area_breakdown, power_breakdown, perimeter_breakdown: expected these "
                       "sections for a search of the hardware, found only some of them (use "
                       "--fix_hardware to keep the device as it is)");
    }
    read_template(eval);
    choose_searched(eval);
    DF_TRY(check_freedom(eval, err));
    DF_TRY(set_budgets(eval, err));
    DF_TRY(df_eval_check_ranges(eval, err));
    DF_TRY(set_chip_area(eval, err));
    /* what no budget can repair, such as a core without any frequency, which is looked at
     * only where the core has power */
    const double some = 0.1; /* share of the power; its size does not matter here */
    df_cfg trial = eval->cfg;
    trial.power.of.core = fmax(trial.power.of.core, some * trial.power.tdp_w);
    const df_status status = df_hw_derive(&trial, &eval->options.rules, &dev, err);
    return status == DF_INFEASIBLE ? DF_OK : status;
}

/* Nothing is searched; the device is derived once. */
static df_status use_device(df_eval *eval, df_err *err)
{
    const double limit_bytes = eval->options.limits.memory_bytes;
    for (int i = 0; i < DF_PARAMS; i++) {
        eval->searched[i] = false;
    }
    if (eval->cfg.has_breakdown) {
        read_template(eval);
    }
    if (!eval->has_dev) {
        DF_TRY(df_hw_derive(&eval->cfg, &eval->options.rules, &eval->dev, err));
        eval->has_dev = true;
    }
    const double room_bytes = eval->dev.mem[DF_HW_LEVELS - 1].size_bytes;
    const double most_bytes =
        limit_bytes > 0 && limit_bytes < room_bytes ? limit_bytes : room_bytes;
    if (!eval->options.ignore_memory && eval->needed_bytes > most_bytes) {
        return df_fail(err, DF_INFEASIBLE,
                       "it needs %.4g GiB of memory on each device, which has %.4g GiB",
                       eval->needed_bytes / DF_GIB, most_bytes / DF_GIB);
    }
    return DF_OK;
}

df_status df_eval_use(df_eval *eval, const df_cfg *cfg, df_err *err)
{
    eval->cfg = *cfg;
    eval->failure = DF_OK;
    DF_TRY(df_eval_check_goals(eval, err));
    DF_TRY(df_predict_check(cfg, &eval->options.rules, err));
    eval->needed_bytes = needed_bytes(eval);
    eval->stacks_needed = 0;
    DF_TRY(note_networks(eval, err));
    return eval->options.fix_hardware ? use_device(eval, err) : use_budgets(eval, err);
}

df_eval *df_eval_alloc(const df_eval_options *options)
{
    df_eval *const eval = calloc(1, sizeof *eval);
    if (!eval) {
        return NULL;
    }
    eval->predictor = df_predictor_new();
    if (!eval->predictor) {
        free(eval);
        return NULL;
    }
    eval->options = *options;
    for (int i = 0; i < DF_GOALS; i++) {
        eval->weight[i] = 1;
    }
    return eval;
}

df_status df_eval_new(const df_cfg *cfg, const df_eval_options *options, df_eval **out, df_err *err)
{
    df_eval *const eval = df_eval_alloc(options);
    if (!eval) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    const df_status status = df_eval_use(eval, cfg, err);
    if (status != DF_OK) {
        df_eval_free(eval);
        return status;
    }
    *out = eval;
    return DF_OK;
}

void df_eval_free(df_eval *eval)
{
    if (eval) {
        df_predictor_free(eval->predictor);
        free(eval);
    }
}

void df_eval_weigh(df_eval *eval, const double weight[DF_GOALS])
{
    memcpy(eval->weight, weight, sizeof eval->weight);
}

/* ---- Evaluating ---- */

/* The part of the needed memory that is missing. Stacks come whole with the area of
 * their controllers; here parts of a stack count, so that every bit of area is a gain. */
static double find_missing_memory(const df_eval *eval, const df_hw_device *dev, double overflow)
{
    const df_hw_limit limit = dev->mem[DF_HW_LEVELS - 1].size_limit;
    if (limit == DF_LIMIT_AREA && eval->stacks_needed > 0) {
        const double stacks = eval->cfg.area.of.dram / eval->cfg.tech.dram.mem_ctrl_area_mm2;
        return fmax(1 - stacks / eval->stacks_needed, DBL_MIN);
    }
    return isfinite(overflow) ? 1 - 1 / overflow : 1;
}

/* How far from working: of the memory that is needed the part that is missing, what the
 * device lacks, and what breaks limits. Always > 0. */
static double
find_shortfall(const df_eval *eval, const df_hw_device *dev, const df_eval_result *r, double strays)
{
    double memory = 0;
    if (!eval->options.ignore_memory && r->memory_overflow > 1) {
        memory = find_missing_memory(eval, dev, r->memory_overflow);
    }
    const double device = df_hw_shortfall(&eval->cfg, dev, eval->needs_intra, eval->needs_inter);
    double excess = strays;
    if (isfinite(r->time_s)) {
        excess += df_eval_excess(eval, r->time_s, &r->metrics);
    }
    const double sum = device + memory + excess;
    return sum > 0 ? sum : 1; /* the device has all rates, but no room for a tile */
}

static double tokens_of(const df_cfg_llm *m)
{
    const bool decodes = m->run_type == DF_RUN_INFERENCE && m->decode_len > 0;
    return (double)m->batch_size * (double)(decodes ? m->decode_len : m->seq_len);
}

/* A point that cannot work is a result; being out of memory is not. */
static void note_failure(df_eval *eval, df_status status)
{
    if (eval->failure == DF_OK && status != DF_INFEASIBLE && status != DF_EINVAL) {
        eval->failure = status;
    }
}

df_status df_eval_failure(const df_eval *eval, df_err *err)
{
    return eval->failure == DF_OK
               ? DF_OK
               : df_fail(err, eval->failure, "%s",
                         eval->failure == DF_ENOMEM ? "out of memory" : "a prediction failed");
}

static df_status predict(df_eval *eval, const df_hw_device *dev, df_eval_result *out)
{
    df_prediction r;
    const df_cfg *const cfg = &eval->cfg;
    const df_design design = {cfg, dev, &eval->options.rules};
    const df_status status = df_predict(eval->predictor, &design, DF_WANT_TIMES, &r, NULL);
    if (status != DF_OK) {
        note_failure(eval, status);
        return status;
    }
    const double room_bytes = dev->mem[DF_HW_LEVELS - 1].size_bytes;
    out->time_s = r.time_s;
    if (cfg->mode != DF_MODE_GEMM) {
        out->memory_overflow = room_bytes > 0 ? eval->needed_bytes / room_bytes : HUGE_VAL;
    }
    if (cfg->mode == DF_MODE_LLM) {
        out->metrics.energy_j = r.llm.energy.total_j;
        out->metrics.power_w = r.llm.energy.total_j / r.time_s;
        out->metrics.tokens_ps = tokens_of(&cfg->llm) / r.time_s;
    }
    return DF_OK;
}

/* What does not come from a prediction, and what holds without one. */
static void begin_result(const df_eval *eval, df_eval_result *out)
{
    const double nothing = (double)NAN;
    const double devices = (double)df_cfg_workers(&eval->cfg);
    out->time_s = HUGE_VAL;
    out->memory_overflow = 0;
    out->metrics = (df_eval_metrics){
        .energy_j = nothing,
        .power_w = nothing,
        .area_mm2 = eval->cfg.has_breakdown ? devices * eval->cfg.area.device_mm2 : nothing,
        .memory_bytes = eval->needed_bytes,
        .tokens_ps = nothing};
}

static void
finish_result(const df_eval *eval, const df_hw_device *dev, double strays, df_eval_result *out)
{
    if (isnan(out->time_s)) {
        out->time_s = HUGE_VAL;
    }
    const bool fits = eval->options.ignore_memory || !(out->memory_overflow > 1);
    out->value = df_eval_value(eval, out->time_s, &out->metrics);
    out->shortfall = 0;
    if (isinf(out->time_s) || !fits || strays > 0 ||
        df_eval_excess(eval, out->time_s, &out->metrics) > 0) {
        out->shortfall = find_shortfall(eval, dev, out, strays);
    }
}

void df_eval_point(df_eval *eval, const df_point *point, df_eval_result *out)
{
    df_hw_device dev;
    const bool fixed = eval->options.fix_hardware;
    eval->count++;
    if (!fixed) {
        put_point(&eval->cfg, point);
    }
    const df_status derived =
        fixed ? DF_OK : df_hw_derive(&eval->cfg, &eval->options.rules, &dev, NULL);
    const df_hw_device *const use = fixed ? &eval->dev : &dev;
    begin_result(eval, out);
    if (derived != DF_OK || predict(eval, use, out) != DF_OK) {
        out->time_s = HUGE_VAL;
    }
    finish_result(eval, use, fixed ? 0 : df_eval_strays(eval, point), out);
}

void df_eval_config(const df_eval *eval, const df_point *point, df_cfg *out)
{
    *out = eval->cfg;
    put_point(out, point);
}

const df_rules *df_eval_rules(const df_eval *eval)
{
    return &eval->options.rules;
}

const bool *df_eval_searched(const df_eval *eval)
{
    return eval->searched;
}

double df_eval_budget(const df_eval *eval, int klass)
{
    return eval->budget[klass];
}

const df_point *df_eval_template(const df_eval *eval)
{
    return &eval->shares;
}

double df_eval_chip_mm2(const df_eval *eval)
{
    return eval->cfg.area.chip_mm2;
}

int64_t df_eval_count(const df_eval *eval)
{
    return eval->count;
}
