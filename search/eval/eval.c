#include "eval/eval.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct df_eval {
    df_cfg cfg; /* the template; budgets are overwritten by each evaluation */
    df_rules rules;
    df_predictor *predictor;
    df_point shares; /* of the template */
    double budget[DF_CLASSES];
    bool searched[DF_PARAMS];
    bool needs_intra, needs_inter;
    bool ignore_memory;
    double stacks_needed; /* DRAM stacks that the model fills; 0: not known */
    int64_t count;
};

const char *const df_param_names[DF_PARAMS] = {
    "area_core",
    "area_DRAM",
    "area_L2",
    "area_L1",
    "area_reg_mem",
    "area_intra_node",
    "area_inter_node",
    "power_core",
    "power_DRAM",
    "power_L2",
    "power_L1",
    "power_reg_mem",
    "power_intra_node",
    "power_inter_node",
    "perimeter_DRAM",
    "perimeter_inter_node",
    "perimeter_intra_node",
};

const int df_class_begin[DF_CLASSES + 1] = {DF_P_AREA_CORE, DF_P_POWER_CORE, DF_P_PERIM_DRAM,
                                            DF_PARAMS};

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

static void choose_searched(df_eval *eval)
{
    const bool inter = eval->cfg.system.inter_derate != 0;
    const bool intra = eval->cfg.system.intra_derate != 0;
    for (int i = 0; i < DF_PARAMS; i++) {
        eval->searched[i] = true;
    }
    eval->searched[DF_P_AREA_INTER] = inter;
    eval->searched[DF_P_POWER_INTER] = inter;
    eval->searched[DF_P_PERIM_INTER] = inter;
    eval->searched[DF_P_AREA_INTRA] = intra;
    eval->searched[DF_P_POWER_INTRA] = intra;
    eval->searched[DF_P_PERIM_INTRA] = intra;
}

static df_status set_budgets(df_eval *eval, df_err *err)
{
    static const char *const names[] = {"area_breakdown", "power_breakdown", "perimeter_breakdown"};
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        eval->budget[klass] = 1;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            eval->budget[klass] -= eval->searched[i] ? 0 : eval->shares.p[i];
        }
        if (!(eval->budget[klass] > 0)) {
            return df_fail(err, DF_INFEASIBLE,
                           "%s: expected something left of it beside the network that is not "
                           "used, found nothing",
                           names[klass]);
        }
    }
    return DF_OK;
}

/* Takes the stacks that the model needs off the device area; the rest is the chip
 * (whole mm2, as the Python DeepFlow has it). */
static df_status set_chip_area(df_eval *eval, df_err *err)
{
    df_cfg *const cfg = &eval->cfg;
    df_footprint need;
    if (cfg->mode != DF_MODE_LSTM) {
        return DF_OK; /* a GEMM has no footprint model: the file's chip area stays */
    }
    df_footprint_lstm(cfg, &eval->rules, &need);
    const double stacks = ceil(need.total_bytes / cfg->tech.dram.stack_capacity_bytes);
    eval->stacks_needed = stacks;
    const double chip_mm2 =
        trunc(cfg->area.device_mm2 - stacks * cfg->tech.dram.area_per_stack_mm2);
    if (chip_mm2 > 0) {
        cfg->area.chip_mm2 = chip_mm2;
    } else if (!eval->ignore_memory) {
        return df_fail(err, DF_INFEASIBLE,
                       "the model needs %.0f DRAM stack(s), which leave no area for a chip",
                       stacks);
    }
    return DF_OK;
}

/* Whether the axis's collectives run at all, and over which network. */
static void note_axis(df_eval *eval, int64_t degree, bool inter)
{
    if (degree > 1) {
        eval->needs_inter = eval->needs_inter || inter;
        eval->needs_intra = eval->needs_intra || !inter || eval->cfg.system.intra_derate != 0;
    }
}

static void note_networks(df_eval *eval)
{
    const df_cfg_sched *const sched = &eval->cfg.sched;
    const df_cfg_system *const system = &eval->cfg.system;
    note_axis(eval, sched->kp1, system->kp1_inter);
    note_axis(eval, sched->kp2, system->kp2_inter);
    note_axis(eval, sched->dp, system->dp_inter);
    if (!eval->rules.pipeline_hop_free) {
        note_axis(eval, sched->lp, system->lp_inter);
    }
}

static df_status prepare(df_eval *eval, df_err *err)
{
    df_hw_device dev;
    if (!eval->cfg.has_breakdown) {
        return df_fail(err, DF_EINVAL,
                       "area_breakdown, power_breakdown, perimeter_breakdown: expected these "
                       "sections for a search, found not all of them");
    }
    DF_TRY(df_predict_check(&eval->cfg, &eval->rules, err));
    read_template(eval);
    choose_searched(eval);
    note_networks(eval);
    DF_TRY(set_budgets(eval, err));
    DF_TRY(set_chip_area(eval, err));
    /* what no budget can repair, such as a core without any frequency, which is looked at
     * only where the core has power */
    df_cfg trial = eval->cfg;
    trial.power.of.core = fmax(trial.power.of.core, trial.power.tdp_w / DF_CLASSES);
    const df_status status = df_hw_derive(&trial, &eval->rules, &dev, err);
    return status == DF_INFEASIBLE ? DF_OK : status;
}

df_status df_eval_new(
    const df_cfg *cfg, const df_rules *rules, bool ignore_memory, df_eval **out, df_err *err)
{
    df_eval *const eval = calloc(1, sizeof *eval);
    if (!eval) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    eval->cfg = *cfg;
    eval->rules = *rules;
    eval->ignore_memory = ignore_memory;
    eval->predictor = df_predictor_new();
    const df_status status =
        eval->predictor ? prepare(eval, err) : df_fail(err, DF_ENOMEM, "out of memory");
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

/* Of the memory that is needed the part that is missing. Stacks come whole with the area of
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

/* How far from working: of the memory that is needed the part that is missing, or what the
 * device lacks. Always > 0. */
static double find_shortfall(const df_eval *eval, const df_hw_device *dev, const df_eval_result *r)
{
    const double device = df_hw_shortfall(&eval->cfg, dev, eval->needs_intra, eval->needs_inter);
    double memory = 0;
    if (!eval->ignore_memory && r->memory_overflow > 1) {
        memory = find_missing_memory(eval, dev, r->memory_overflow);
    }
    const double sum = device + memory;
    return sum > 0 ? sum : 1; /* it has all rates, but no room for a tile */
}

void df_eval_point(df_eval *eval, const df_point *point, df_eval_result *out)
{
    df_hw_device dev;
    df_prediction prediction = {.time_s = HUGE_VAL, .memory_overflow = 0};
    eval->count++;
    put_point(&eval->cfg, point);
    df_status status = df_hw_derive(&eval->cfg, &eval->rules, &dev, NULL);
    if (status == DF_OK) {
        status = df_predict(eval->predictor, &eval->cfg, &dev, &eval->rules, &prediction, NULL);
    }
    if (status != DF_OK || isnan(prediction.time_s)) {
        prediction.time_s = HUGE_VAL;
    }
    out->time_s = prediction.time_s;
    out->memory_overflow = prediction.memory_overflow;
    out->shortfall = 0;
    if (isinf(out->time_s) || (!eval->ignore_memory && out->memory_overflow > 1)) {
        out->shortfall = find_shortfall(eval, &dev, out);
    }
}

void df_eval_config(const df_eval *eval, const df_point *point, df_cfg *out)
{
    *out = eval->cfg;
    put_point(out, point);
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
