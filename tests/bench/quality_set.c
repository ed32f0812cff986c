#include "bench/quality_set.h"

#include <stdio.h>
#include <string.h>

#include "strategy/strategy.h"

#define L4 "search/lstm_4x4.yaml"
#define HW "hardware/detailed_2023.yaml"
#define HBM "hardware/variants/hbm_next.yaml"
#define INTERPOSER "hardware/variants/interposer.yaml"
#define MCM "hardware/variants/mcm.yaml"
#define L2K "model/lstm_2048.yaml"
#define L20K "model/lstm_19968.yaml"
#define LLAMA "model/llama2_7b.yaml"

const df_quality_problem df_quality_problems[] = {
    {.name = "LSTM alone, HBM4",
     .hardware = HBM,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 1,
     .batch = 2048,
     .lp = 1},
    {.name = "LSTM d16",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .intra_derate = 2},
    {.name = "LSTM d16, half the power",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 2,
     .power = 0.5},
    {.name = "LSTM d16, twice the power",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 2,
     .power = 2},
    {.name = "LSTM d16, a third of the power and area",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .intra_derate = 2,
     .power = 0.33,
     .area = 0.33},
    {.name = "LSTM CR k4 d4",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 4,
     .kp2 = 1,
     .dp = 4,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 1},
    {.name = "LSTM CR k16",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 16,
     .kp2 = 1,
     .dp = 1,
     .batch = 2048,
     .lp = 1,
     .intra_derate = 1},
    {.name = "LSTM RC k2 k2 d4",
     .hardware = L4,
     .kp_type = 2,
     .kp1 = 2,
     .kp2 = 2,
     .dp = 4,
     .lp = 1,
     .intra_derate = 3},
    {.name = "LSTM RC k4 k4, half the area",
     .hardware = L4,
     .kp_type = 2,
     .kp1 = 4,
     .kp2 = 4,
     .dp = 1,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 2,
     .area = 0.5},
    {.name = "LSTM CR d4 l4",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 4,
     .batch = 8192,
     .lp = 4,
     .intra_derate = 1},
    {.name = "small LSTM CR k2 d8 l4, wafers",
     .hardware = HW,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 2,
     .kp2 = 1,
     .dp = 8,
     .batch = 16384,
     .lp = 4,
     .intra_derate = 2,
     .inter_derate = 4,
     .dp_inter = true},
    {.name = "small LSTM d64, wafers",
     .hardware = HW,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 64,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 2,
     .inter_derate = 4,
     .dp_inter = true},
    {.name = "small LSTM d64, wafers, reference rules",
     .hardware = HW,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 64,
     .lp = 1,
     .intra_derate = 2,
     .inter_derate = 4,
     .dp_inter = true,
     .rules = "reference"},
    {.name = "LSTM d16, reference rules",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .intra_derate = 2,
     .rules = "reference"},
    {.name = "small LSTM d16, HBM4",
     .hardware = HBM,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 1},
    {.name = "large LSTM RC k8 k4 d2, HBM4",
     .hardware = HBM,
     .model = L20K,
     .kp_type = 2,
     .kp1 = 8,
     .kp2 = 4,
     .dp = 2,
     .lp = 1,
     .intra_derate = 3},
    {.name = "large LSTM CR k32 d2, HBM4",
     .hardware = HBM,
     .model = L20K,
     .kp_type = 1,
     .kp1 = 32,
     .kp2 = 1,
     .dp = 2,
     .lp = 1,
     .intra_derate = 1},
    {.name = "small LSTM k4 d4, interposer",
     .hardware = INTERPOSER,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 4,
     .kp2 = 1,
     .dp = 4,
     .batch = 8192,
     .lp = 1,
     .intra_derate = 2},
    {.name = "small LSTM RC k2 k4 d4, MCM, half the power",
     .hardware = MCM,
     .model = L2K,
     .kp_type = 2,
     .kp1 = 2,
     .kp2 = 4,
     .dp = 4,
     .lp = 1,
     .intra_derate = 2,
     .power = 0.5},
    {.name = "small LSTM d4 l4, MCM, wafers",
     .hardware = MCM,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 4,
     .batch = 8192,
     .lp = 4,
     .intra_derate = 1,
     .inter_derate = 2,
     .lp_inter = true},
    {.name = "7B t8 d2, HBM4",
     .hardware = HBM,
     .model = LLAMA,
     .kp_type = -1,
     .kp1 = 8,
     .kp2 = 1,
     .dp = 2,
     .lp = 1,
     .mb = 1,
     .batch = 16,
     .intra_derate = 2},
    {.name = "7B t4 d4, HBM4, half the power",
     .hardware = HBM,
     .model = LLAMA,
     .kp_type = -1,
     .kp1 = 4,
     .kp2 = 1,
     .dp = 4,
     .lp = 1,
     .mb = 1,
     .batch = 16,
     .intra_derate = 2,
     .inter_derate = 2,
     .dp_inter = true,
     .power = 0.5},
    {.name = "7B t4 l4 m8, HBM4",
     .hardware = HBM,
     .model = LLAMA,
     .kp_type = -1,
     .kp1 = 4,
     .kp2 = 1,
     .dp = 1,
     .lp = 4,
     .mb = 8,
     .batch = 16,
     .intra_derate = 1},
    {.name = "7B d4 l8 m4, HBM4, twice the power",
     .hardware = HBM,
     .model = LLAMA,
     .kp_type = -1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 4,
     .lp = 8,
     .mb = 4,
     .batch = 16,
     .intra_derate = 1,
     .power = 2},
};
const int df_num_quality_problems = sizeof df_quality_problems / sizeof df_quality_problems[0];

const df_quality_problem df_quality_reduced[] = {
    {.name = "LSTM d16, half the power: cores, L2",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .batch = 8192,
     .intra_derate = 2,
     .power = 0.5,
     .only = {"area_core", "area_L2", "power_core", "power_L2"}},
    {.name = "LSTM d16, half the power: cores, L2, registers",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .batch = 8192,
     .intra_derate = 2,
     .power = 0.5,
     .only = {"area_core", "area_L2", "area_reg_mem", "power_core", "power_reg_mem"}},
    {.name = "LSTM d16, half the power: cores, registers",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .batch = 8192,
     .intra_derate = 2,
     .power = 0.5,
     .only = {"area_core", "area_reg_mem", "power_core", "power_reg_mem"}},
    {.name = "LSTM k4 d4: cores, DRAM",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 4,
     .kp2 = 1,
     .dp = 4,
     .lp = 1,
     .batch = 8192,
     .intra_derate = 1,
     .only = {"area_core", "area_DRAM", "power_core", "power_DRAM"}},
    {.name = "LSTM RC k4 k4: cores, network, edge",
     .hardware = L4,
     .kp_type = 2,
     .kp1 = 4,
     .kp2 = 4,
     .dp = 1,
     .lp = 1,
     .batch = 8192,
     .intra_derate = 2,
     .only = {"power_core", "power_intra_node", "perimeter_DRAM", "perimeter_intra_node"}},
    {.name = "LSTM d4 l4: cores, L2, DRAM, registers",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 4,
     .lp = 4,
     .batch = 512,
     .intra_derate = 1,
     .only = {"area_core", "area_L2", "area_DRAM", "power_core", "power_reg_mem"}},
    {.name = "small LSTM d64, wafers: networks",
     .hardware = HW,
     .model = L2K,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 64,
     .lp = 1,
     .batch = 16384,
     .intra_derate = 2,
     .inter_derate = 4,
     .dp_inter = true,
     .only = {"power_intra_node", "power_inter_node", "power_core", "perimeter_inter_node",
              "perimeter_intra_node"}},
    {.name = "LSTM d16, reference rules: cores, L2",
     .hardware = L4,
     .kp_type = 1,
     .kp1 = 1,
     .kp2 = 1,
     .dp = 16,
     .lp = 1,
     .batch = 8192,
     .intra_derate = 2,
     .rules = "reference",
     .only = {"area_core", "area_L2", "power_core", "power_L2"}},
    {.name = "large LSTM RC k8 k4 d2, HBM4: areas",
     .hardware = HBM,
     .model = L20K,
     .kp_type = 2,
     .kp1 = 8,
     .kp2 = 4,
     .dp = 2,
     .lp = 1,
     .intra_derate = 3,
     .only = {"area_core", "area_DRAM", "area_L2", "area_L1"}},
    {.name = "7B t8 d2, HBM4: cores, L2",
     .hardware = HBM,
     .model = LLAMA,
     .kp_type = -1,
     .kp1 = 8,
     .kp2 = 1,
     .dp = 2,
     .lp = 1,
     .mb = 1,
     .batch = 16,
     .intra_derate = 2,
     .only = {"area_core", "area_L2", "power_core", "power_L2"}},
};
const int df_num_quality_reduced = sizeof df_quality_reduced / sizeof df_quality_reduced[0];

/* More power for each part alike; of the area the chip has what the stacks leave. */
static void scale_budgets(double power, double area, df_cfg *cfg)
{
    df_cfg_shares *const of = &cfg->power.of;
    double *const parts[] = {&of->core, &of->dram,  &of->l2,   &of->l1,
                             &of->reg,  &of->intra, &of->inter};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i] *= power;
    }
    cfg->power.tdp_w *= power;
    cfg->area.device_mm2 *= area;
}

static df_status load(const df_quality_problem *p, df_cfg *cfg, df_err *err)
{
    char hardware[512];
    char model[512];
    snprintf(hardware, sizeof hardware, "%s/%s", DF_CONFIGS, p->hardware);
    snprintf(model, sizeof model, "%s/%s", DF_CONFIGS, p->model ? p->model : "");
    DF_TRY(df_cfg_load(hardware, p->model ? model : NULL,
                       DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES, cfg, err));
    const bool llm = cfg->mode == DF_MODE_LLM;
    df_strategy s = {
        .kp_type = (df_kp_type)p->kp_type, .kp1 = p->kp1, .kp2 = p->kp2, .dp = p->dp, .lp = p->lp};
    if (llm) {
        s.kp1 = 1;
        s.tp = p->kp1;
        s.cp = 1;
        s.mb = p->mb;
        s.tp_sp = p->kp1 > 1;
        s.virtual_stages = 1;
    }
    if (p->batch > 0) {
        *(llm ? &cfg->llm.batch_size : &cfg->lstm.batch_size) = p->batch;
    }
    df_strategy_apply(&s, cfg);
    const int64_t nodes = p->inter_derate > 0 ? 4 : 1;
    cfg->system.num_nodes = nodes;
    cfg->system.num_devices_per_node = p->kp1 * p->kp2 * p->dp * p->lp / nodes;
    cfg->system.intra_derate = (double)p->intra_derate;
    cfg->system.inter_derate = (double)p->inter_derate;
    cfg->system.dp_inter = p->dp_inter;
    cfg->system.lp_inter = p->lp_inter;
    scale_budgets(p->power > 0 ? p->power : 1, p->area > 0 ? p->area : 1, cfg);
    return DF_OK;
}

static bool is_searched(const df_quality_problem *p, const char *name)
{
    bool found = !p->only[0];
    for (int i = 0; i < DF_QUALITY_ONLY && p->only[i]; i++) {
        found = found || strcmp(p->only[i], name) == 0;
    }
    return found;
}

/* The file's own share of a parameter. */
static double file_share(const df_cfg *cfg, int param)
{
    const df_cfg_shares *const of = param < df_class_begin[1] ? &cfg->area.of : &cfg->power.of;
    const double whole = param < df_class_begin[1] ? cfg->area.chip_mm2 : cfg->power.tdp_w;
    const double shares[] = {of->core, of->dram, of->l2, of->l1, of->reg, of->intra, of->inter};
    const double edges[] = {cfg->perimeter.dram, cfg->perimeter.inter, cfg->perimeter.intra};
    return param < df_class_begin[2] ? shares[param % DF_P_POWER_CORE] / whole
                                     : edges[param - df_class_begin[2]];
}

df_status df_quality_open(const df_quality_problem *p, df_eval **out, df_err *err)
{
    df_cfg cfg;
    df_eval_options options = {.ignore_memory = false};
    DF_TRY(df_rules_parse(p->rules ? p->rules : "corrected", &options.rules, err));
    DF_TRY(load(p, &cfg, err));
    for (int i = 0; i < DF_PARAMS; i++) {
        if (!is_searched(p, df_param_names[i])) {
            const double share = file_share(&cfg, i);
            options.range[i] = (df_param_range){true, share, share};
        }
    }
    return df_eval_new(&cfg, &options, out, err);
}
