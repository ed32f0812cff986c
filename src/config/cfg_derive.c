/* What the parts of a device are derived from where a file gives no size or rate of theirs: the
 * figures that src/hw uses then. */
#include "config/cfg_impl.h"

/* A part of the device, and the figures found so far. */
typedef struct {
    df_cfg_figure *figure;
    int count;
    const char *part; /* its section */
} finder;

static const char *const core_count[] = {"operating_area_per_mcu", NULL};
static const char *const voltages[] = {"nominal_voltage", "threshold_voltage", "margin_voltage",
                                       NULL};
static const char *const core_power[] = {"nominal_power_per_mcu", NULL};
static const char *const sram_size[] = {"bank_capacity", "area_per_bit", "controller_area_per_link",
                                        "overhead", NULL};
static const char *const static_power[] = {"static_power_per_bit", NULL};
static const char *const dram_stack[] = {"stack_capacity", NULL};
static const char *const dram_stacks[] = {"area_per_stack", "mem_ctrl_area", NULL};
static const char *const dram_links[] = {"num_links_per_stack", NULL};
static const char *const edge_links[] = {"num_links_per_mm", NULL};
static const char *const dram_voltage[] = {"max_voltage", NULL};
static const char *const link_area[] = {"nominal_area_per_link", "num_links_per_mm", NULL};
static const char *const link_power[] = {"nominal_frequency", "nominal_energy_per_link", NULL};

static void add(finder *f, const char *path, const char *instead)
{
    df_cfg_figure *const figure = &f->figure[f->count++];
    snprintf(figure->path, sizeof figure->path, "%s", path);
    snprintf(figure->instead, sizeof figure->instead, "%s.%s", f->part, instead);
}

/* Adds figures of the part, in whose place the file could give `instead`. */
static void add_all(finder *f, const char *const names[], const char *instead)
{
    for (int i = 0; names[i]; i++) {
        char path[DF_FIGURE_PATH];
        snprintf(path, sizeof path, "%s.%s", f->part, names[i]);
        add(f, path, instead);
    }
}

static void find_core(finder *f, const df_cfg_core *core)
{
    f->part = "tech_param.core";
    if (core->num_bundles == 0) {
        add_all(f, core_count, "num_bundles");
        add(f, "area_breakdown.core", "num_bundles");
    } else if (core->nominal_area_per_mcu_mm2 > 0.0) { /* their ratio scales the rate */
        add_all(f, core_count, "nominal_area_per_mcu: 0");
    }
    if (!(core->operating_frequency_hz > 0.0)) {
        add_all(f, core_power, "operating_frequency");
        add_all(f, voltages, "operating_frequency");
        add(f, "power_breakdown.core", "operating_frequency");
    }
}

static void find_sram(finder *f, const df_cfg_sram *sram, int kind)
{
    static const char *const parts[DF_CFG_SRAMS] = {"tech_param.SRAM-R", "tech_param.SRAM-L1",
                                                    "tech_param.SRAM-L2"};
    static const char *const areas[DF_CFG_SRAMS] = {"area_breakdown.reg_mem", "area_breakdown.L1",
                                                    "area_breakdown.L2"};
    static const char *const powers[DF_CFG_SRAMS] = {"power_breakdown.reg_mem",
                                                     "power_breakdown.L1", "power_breakdown.L2"};
    f->part = parts[kind];
    if (!(sram->size_bytes > 0.0)) {
        add_all(f, sram_size, "size");
        add(f, areas[kind], "size");
    }
    if (!(sram->bandwidth_bytes_ps > 0.0)) {
        add_all(f, static_power, "bandwidth");
        add(f, powers[kind], "bandwidth");
    }
}

/* The links of a DRAM whose size is given are those of its stacks where there are no budgets. */
static void find_dram(finder *f, const df_cfg *cfg)
{
    const df_cfg_dram *const dram = &cfg->tech.dram;
    const bool sized = dram->size_bytes > 0.0;
    const bool rated = dram->bandwidth_bytes_ps > 0.0;
    f->part = "tech_param.DRAM";
    if (!sized || !rated) {
        add_all(f, dram_stack, sized ? "bandwidth" : "size");
    }
    if (!sized && !(dram->num_stacks > 0.0)) {
        add_all(f, dram_stacks, "size");
        add(f, "area_breakdown.DRAM", "size");
    }
    if (rated) {
        return;
    }
    add_all(f, static_power, "bandwidth");
    add_all(f, dram_links, "bandwidth");
    if (!sized || cfg->has_breakdown) {
        add_all(f, edge_links, "bandwidth");
        add(f, "perimeter_breakdown.DRAM", "bandwidth");
    }
    if (!(dram->operating_frequency_hz > 0.0)) {
        add_all(f, voltages, "bandwidth");
        add_all(f, dram_voltage, "bandwidth");
        if (!(dram->nominal_frequency_hz > 0.0)) {
            add(f, "tech_param.DRAM.nominal_frequency", "bandwidth");
        }
    }
    add(f, "power_breakdown.DRAM", "bandwidth");
}

/* A network and the budgets of its links. */
typedef struct {
    const char *part, *area, *perimeter, *power;
} net_paths;

static void find_network(finder *f, const df_cfg_link *link, const net_paths *paths)
{
    f->part = paths->part;
    if (link->bandwidth_bytes_ps > 0.0) {
        return;
    }
    add_all(f, link_area, "bandwidth");
    add(f, paths->area, "bandwidth");
    add(f, paths->perimeter, "bandwidth");
    if (!(link->operating_frequency_hz > 0.0)) {
        add_all(f, link_power, "bandwidth");
        add_all(f, voltages, "bandwidth");
        add(f, paths->power, "bandwidth");
    }
}

int df_cfg_find_figures(const df_cfg *cfg, bool any_system, df_cfg_figure figures[DF_FIGURES_MAX])
{
    static const net_paths intra = {
        "tech_param.network.intra_node", "area_breakdown.network.intra_node",
        "perimeter_breakdown.intra_node", "power_breakdown.network.intra_node"};
    static const net_paths inter = {
        "tech_param.network.inter_node", "area_breakdown.network.inter_node",
        "perimeter_breakdown.inter_node", "power_breakdown.network.inter_node"};
    const df_cfg_system *const sys = &cfg->system;
    finder f = {figures, 0, NULL};
    find_core(&f, &cfg->tech.core);
    for (int i = 0; i < DF_CFG_LEVELS; i++) {
        const int kind = (int)cfg->level[i].type;
        if (cfg->level[i].type != DF_MEM_DRAM) {
            find_sram(&f, &cfg->tech.sram[kind], kind);
        }
    }
    find_dram(&f, cfg);
    if (sys->intra_derate > 0.0 && (any_system || df_cfg_workers(cfg) > 1)) {
        find_network(&f, &cfg->tech.intra, &intra);
    }
    if (sys->inter_derate > 0.0 && (any_system || sys->num_nodes > 1)) {
        find_network(&f, &cfg->tech.inter, &inter);
    }
    return f.count;
}
