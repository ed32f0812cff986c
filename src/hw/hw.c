#include "hw/hw.h"

#include <math.h>
#include <string.h>

#include "base/units.h"

/* Links of a mesh router: an intra-node network has four edges a device, an
 * inter-node network one. */
static const double INTRA_DEGREE = 4.0;
static const double INTER_DEGREE = 1.0;
/* Assumed nominal frequency of a DRAM that has none: the reference's default. Its bandwidth follows
 * from that by rule absent_technology_tenth alone. */
static const double DRAM_DEFAULT_FREQUENCY_HZ = 0.1;
enum { NEWTON_MAX_STEPS = 100 };

/* Supply voltage, and how frequency follows it. */
typedef struct {
    double nominal_v, threshold_v, margin_v;
    bool outruns_power; /* below the lowest supply the frequency follows the voltage, not the power
                         */
} voltage_tech;

typedef struct {
    double raw_v;     /* voltage that follows from the power alone */
    double clamped_v; /* raised to threshold + margin */
    double scaling;   /* scaling of the frequency, for running above the raw voltage */
} voltage_point;

/* a // b of two non-negative doubles: the floor of the exact quotient, where
 * floor(a / b) can be one too high. */
static double floor_div(double a, double b)
{
    return floor((a - fmod(a, b)) / b + 0.5);
}

/* The largest root of V (V - vt)^2 = c, c >= 0. Newton from above: the function
 * is convex and rising there, so every step stays above the root. */
static double solve_voltage(double threshold_v, double c)
{
    if (!(c > 0.0)) {
        return threshold_v;
    }
    double v = threshold_v + cbrt(c);
    if (threshold_v > 0.0) {
        v = fmin(v, threshold_v + sqrt(c / threshold_v));
    }
    for (int i = 0; i < NEWTON_MAX_STEPS; i++) {
        const double d = v - threshold_v;
        const double next = v - (v * d * d - c) / (d * (3.0 * v - threshold_v));
        if (!(next < v)) {
            break;
        }
        v = next;
    }
    return v;
}

/* (V - vt)^2 / V: what the frequency is proportional to (alpha-power law with
 * alpha 2, Sakurai and Newton, JSSC 25(2), 1990). */
static double drive(double v, double threshold_v)
{
    const double d = v - threshold_v;
    return v > 0.0 ? d * d / v : 0.0;
}

/* Frequency at voltage v; 0 where the nominal point itself has no drive. */
static double frequency_at(const voltage_tech *tech, double nominal_hz, double v)
{
    const double nominal = drive(tech->nominal_v, tech->threshold_v);
    return nominal > 0.0 ? nominal_hz * (drive(v, tech->threshold_v) / nominal) : 0.0;
}

static double square(double x)
{
    return x * x;
}

/* Dynamic power is proportional to f V^2, so to V (V - vt)^2. The lowest supply is a margin above
 * the threshold; where the power does not suffice for it, the clock is slowed down in proportion.
 */
static voltage_point solve_operating_point(const voltage_tech *tech, double power_ratio)
{
    const double d = tech->nominal_v - tech->threshold_v;
    voltage_point p;
    p.raw_v = solve_voltage(tech->threshold_v, power_ratio * tech->nominal_v * d * d);
    p.clamped_v = p.raw_v;
    p.scaling = 1.0;
    const double lowest_v = tech->threshold_v + tech->margin_v;
    if (p.raw_v < lowest_v) {
        const double ratio = p.raw_v / lowest_v;
        p.scaling = tech->outruns_power
                        ? ratio * ratio
                        : ratio * square((p.raw_v - tech->threshold_v) / tech->margin_v);
        p.clamped_v = lowest_v;
    }
    return p;
}

static void count_core_units(const df_cfg_core *tech, double area_mm2, df_hw_core *core)
{
    if (tech->num_bundles > 0) {
        core->num_bundle = (double)tech->num_bundles;
        core->num_mcu = core->num_bundle * (double)tech->num_mcu_per_bundle;
        core->count_limit = DF_LIMIT_GIVEN;
        return;
    }
    core->num_mcu = floor_div(area_mm2, tech->operating_area_per_mcu_mm2);
    core->num_bundle = floor(core->num_mcu / (double)tech->num_mcu_per_bundle);
    core->count_limit = DF_LIMIT_AREA;
}

static df_status
derive_core(const df_cfg *cfg, const df_rules *rules, df_hw_core *core, df_err *err)
{
    const df_cfg_core *tech = &cfg->tech.core;
    memset(core, 0, sizeof *core);
    count_core_units(tech, cfg->area.of.core, core);
    const double area_scaling =
        tech->nominal_area_per_mcu_mm2 > 0.0
            ? tech->operating_area_per_mcu_mm2 / tech->nominal_area_per_mcu_mm2
            : 1.0;
    const double nominal_w = tech->nominal_power_per_mcu_w * core->num_mcu * area_scaling;
    core->freq_limit = DF_LIMIT_POWER;
    if (cfg->power.of.core > 0.0 && nominal_w > 0.0) {
        const voltage_tech vt = {tech->nominal_voltage_v, tech->threshold_voltage_v,
                                 tech->margin_voltage_v, rules->lowest_supply_outruns_power};
        const voltage_point point = solve_operating_point(&vt, cfg->power.of.core / nominal_w);
        core->operating_voltage_v = point.clamped_v;
        if (tech->operating_frequency_hz > 0.0) {
            core->operating_freq_hz = tech->operating_frequency_hz;
            core->freq_limit = DF_LIMIT_GIVEN;
        } else if (tech->nominal_frequency_hz > 0.0) {
            core->operating_freq_hz =
                point.scaling * frequency_at(&vt, tech->nominal_frequency_hz, point.clamped_v);
        } else {
            return df_fail(err, DF_EINVAL,
                           "tech_param.core: expected operating_frequency or nominal_frequency, "
                           "found neither");
        }
    }
    core->operating_throughput_flops_ps =
        tech->nominal_flop_rate_per_mcu * area_scaling * core->operating_freq_hz * core->num_mcu;
    core->throughput_flops_ps = core->operating_throughput_flops_ps * tech->util;
    return DF_OK;
}

static double sram_unit_mm2(const df_cfg_sram *tech, double num_bundle)
{
    const double bank_mm2 = tech->bank_capacity_bytes * tech->area_per_bit_mm2 * DF_BITS_PER_BYTE;
    return bank_mm2 + (1.0 - tech->overhead) * num_bundle * tech->controller_area_per_link_mm2;
}

static double sram_static_w(const df_cfg_sram *tech, double size_bytes)
{
    return tech->static_power_per_bit_w * DF_BITS_PER_BYTE * size_bytes;
}

static void
derive_sram_size(const df_cfg_sram *tech, double area_mm2, double num_bundle, df_hw_mem *mem)
{
    if (tech->size_bytes > 0.0) {
        mem->size_bytes = tech->size_bytes;
        mem->num_units = floor_div(tech->size_bytes, tech->bank_capacity_bytes);
        mem->size_limit = DF_LIMIT_GIVEN;
        return;
    }
    const double cells_mm2 = (1.0 - tech->overhead) * area_mm2;
    mem->num_units = floor_div(cells_mm2, sram_unit_mm2(tech, num_bundle));
    mem->size_bytes = mem->num_units * tech->bank_capacity_bytes;
    mem->size_limit = DF_LIMIT_AREA;
}

static void derive_sram(const df_cfg_sram *tech,
                        double power_w,
                        double area_mm2,
                        double num_bundle,
                        const df_rules *rules,
                        df_hw_mem *mem)
{
    derive_sram_size(tech, area_mm2, num_bundle, mem);
    const double dynamic_w = fmax(power_w - sram_static_w(tech, mem->size_bytes), 0.0);
    if (tech->bandwidth_bytes_ps > 0.0) {
        mem->dynamic_throughput_bytes_ps = tech->bandwidth_bytes_ps;
        mem->bandwidth_limit = DF_LIMIT_GIVEN;
    } else {
        const double energy_per_byte_j = tech->dynamic_energy_per_bit_j * DF_BITS_PER_BYTE;
        mem->dynamic_throughput_bytes_ps =
            mem->num_units > 0.0 ? dynamic_w / energy_per_byte_j : 0.0;
        mem->bandwidth_limit = mem->num_units > 0.0 ? DF_LIMIT_POWER : DF_LIMIT_CAPACITY;
    }
    mem->throughput_bytes_ps = mem->dynamic_throughput_bytes_ps * tech->util;
    mem->unit_bw_bytes_ps =
        mem->num_units > 0.0 ? mem->dynamic_throughput_bytes_ps / mem->num_units : 0.0;
    if (!(mem->dynamic_throughput_bytes_ps > 0.0) && !rules->sram_banks_come_back) {
        mem->num_units = 0.0; /* cells that no power is left to read are no capacity */
        mem->size_bytes = 0.0;
    }
    mem->latency_s = tech->latency_s;
}

static double chip_perimeter_mm(const df_cfg *cfg)
{
    return 4.0 * sqrt(cfg->area.chip_mm2);
}

/* Stacks that the package and the controllers' area allow. */
static double dram_stacks_by_area(const df_cfg *cfg, const df_cfg_dram *tech)
{
    const double beside_mm2 = fmax(cfg->area.device_mm2 - cfg->area.chip_mm2, 0.0);
    return fmin(floor_div(beside_mm2, tech->area_per_stack_mm2),
                floor_div(cfg->area.of.dram, tech->mem_ctrl_area_mm2));
}

/* Returns the links from which the bandwidth is derived; *reported is what is shown. */
static double derive_dram_size(const df_cfg *cfg, const df_rules *rules, df_hw_mem *mem)
{
    const df_cfg_dram *tech = &cfg->tech.dram;
    const double edge_links =
        trunc(chip_perimeter_mm(cfg) * cfg->perimeter.dram * tech->num_links_per_mm);
    const bool given = tech->size_bytes > 0.0;
    mem->size_limit = given || tech->num_stacks > 0.0 ? DF_LIMIT_GIVEN : DF_LIMIT_AREA;
    if (given) {
        mem->num_units = floor_div(tech->size_bytes, tech->stack_capacity_bytes);
        mem->size_bytes = tech->size_bytes;
    } else {
        mem->num_units = tech->num_stacks > 0.0 ? tech->num_stacks : dram_stacks_by_area(cfg, tech);
        mem->size_bytes = mem->num_units * tech->stack_capacity_bytes;
    }
    const double stack_links = tech->num_links_per_stack * mem->num_units;
    const bool unbounded = given && (rules->dram_links_recomputed || !cfg->has_breakdown);
    const double links = unbounded ? stack_links : fmin(edge_links, stack_links);
    mem->bandwidth_limit = links < stack_links ? DF_LIMIT_PERIMETER : DF_LIMIT_CAPACITY;
    mem->num_links = links;
    if (rules->dram_links_recomputed && mem->size_bytes > 0.0) {
        mem->num_links =
            tech->num_links_per_stack * floor_div(mem->size_bytes, tech->stack_capacity_bytes);
    }
    return links;
}

static double dram_static_w(const df_cfg_dram *tech, double size_bytes)
{
    return tech->static_power_per_bit_w * DF_BITS_PER_BYTE * size_bytes;
}

/* Sets frequency and voltage of the DRAM's interface. */
static void
derive_dram_frequency(const df_cfg *cfg, const df_rules *rules, double links, df_hw_mem *mem)
{
    const df_cfg_dram *tech = &cfg->tech.dram;
    double nominal_hz = DRAM_DEFAULT_FREQUENCY_HZ;
    if (tech->nominal_frequency_hz > 0.0) {
        nominal_hz = tech->nominal_frequency_hz;
    } else if (tech->operating_frequency_hz > 0.0) {
        nominal_hz = tech->operating_frequency_hz;
    }
    const double dynamic_w = cfg->power.of.dram - dram_static_w(tech, mem->size_bytes);
    const double nominal_w = tech->dynamic_energy_per_bit_j * links * nominal_hz;
    if (!(dynamic_w > 0.0) || !(nominal_w > 0.0)) {
        if (!(dynamic_w > 0.0)) {
            mem->bandwidth_limit = DF_LIMIT_POWER;
        }
        return;
    }
    const voltage_tech vt = {tech->nominal_voltage_v, tech->threshold_voltage_v,
                             tech->margin_voltage_v, rules->lowest_supply_outruns_power};
    voltage_point point = solve_operating_point(&vt, dynamic_w / nominal_w);
    const bool above =
        tech->max_voltage_v > 0.0 && point.clamped_v > tech->max_voltage_v && point.scaling == 1.0;
    if (above) {
        point.clamped_v = tech->max_voltage_v;
        mem->bandwidth_limit = DF_LIMIT_VOLTAGE;
    }
    mem->operating_voltage_v = point.clamped_v;
    mem->operating_freq_hz = tech->operating_frequency_hz > 0.0
                                 ? tech->operating_frequency_hz
                                 : point.scaling * frequency_at(&vt, nominal_hz, point.clamped_v);
}

static void derive_dram(const df_cfg *cfg, const df_rules *rules, df_hw_mem *mem)
{
    const df_cfg_dram *tech = &cfg->tech.dram;
    const double links = derive_dram_size(cfg, rules, mem);
    derive_dram_frequency(cfg, rules, links, mem);
    if (tech->bandwidth_bytes_ps > 0.0) {
        mem->dynamic_throughput_bytes_ps = tech->bandwidth_bytes_ps;
        mem->bandwidth_limit = DF_LIMIT_GIVEN;
    } else if (mem->size_bytes > 0.0) {
        mem->dynamic_throughput_bytes_ps = links * mem->operating_freq_hz / DF_BITS_PER_BYTE;
    }
    mem->throughput_bytes_ps = mem->dynamic_throughput_bytes_ps * tech->util;
    mem->unit_bw_bytes_ps =
        mem->num_units > 0.0 ? mem->dynamic_throughput_bytes_ps / mem->num_units : 0.0;
    if (rules->dram_links_recomputed && mem->size_bytes > 0.0) {
        mem->num_units = floor_div(mem->size_bytes, tech->stack_capacity_bytes);
    }
    mem->latency_s = tech->latency_s;
}

/* Units of the scope: each owns a share of the memory. */
static double owners_of(const df_hw_core *core, df_scope scope)
{
    switch (scope) {
    case DF_SCOPE_MCU:
        return core->num_mcu;
    case DF_SCOPE_MCU_BUNDLE:
        return core->num_bundle;
    case DF_SCOPE_GLOBAL:
        break;
    }
    return 1.0;
}

/* What the owners of a memory need of it: a bank each where the area decides how many there are,
 * and at the level next to the cores the tiles of A, B and C of a step of each MCU. */
static double least_bytes(const df_cfg *cfg, const df_hw_device *dev, int level)
{
    const df_hw_mem *const mem = &dev->mem[level];
    const df_cfg_sram *const tech = &cfg->tech.sram[mem->type];
    const double operands = 2.0 * dev->fma_d1 * dev->fma_d2 + dev->fma_d1 * dev->fma_d1;
    const double step_bytes = level == 0 ? dev->core.num_mcu * operands * dev->elem_bytes : 0.0;
    const bool derived = mem->size_limit == DF_LIMIT_AREA;
    const double banks = derived ? fmax(owners_of(&dev->core, mem->scope), 1.0) : 0.0;
    return fmax(banks * tech->bank_capacity_bytes, step_bytes);
}

static df_status check_owners(const df_hw_device *dev, const df_hw_mem *mem, df_err *err)
{
    if (!(mem->size_bytes < mem->least_bytes) || !(mem->size_bytes > 0.0)) {
        return DF_OK;
    }
    return df_fail(err, DF_INFEASIBLE,
                   "%s: expected at least %.4g bytes for %.0f MCUs in %.0f bundles (a bank for "
                   "each owner, the operands of a step), found %.4g",
                   df_mem_type_name(mem->type), mem->least_bytes, dev->core.num_mcu,
                   dev->core.num_bundle, mem->size_bytes);
}

/* The share of one bundle, and the edge of the largest square tile of which it holds `tiles`. */
static df_status
derive_tile(const df_hw_core *core, double elem_bytes, double tiles, df_hw_mem *mem, df_err *err)
{
    const double sharers = owners_of(core, mem->scope);
    mem->size_per_bundle_bytes = sharers > 0.0 ? mem->size_bytes / sharers : 0.0;
    mem->tile_dim = 0.0;
    if (!(mem->size_bytes > 0.0)) {
        return DF_OK;
    }
    if (!(mem->size_per_bundle_bytes > 0.0)) {
        return df_fail(err, DF_INFEASIBLE,
                       "%s: expected a core for each share of the memory, found none "
                       "(too little core area)",
                       df_mem_type_name(mem->type));
    }
    const int exponent = ilogb(sqrt(mem->size_per_bundle_bytes / elem_bytes / tiles));
    mem->tile_dim = exponent > 0 ? ldexp(1.0, exponent) : 1.0;
    return DF_OK;
}

static df_status
derive_memory(const df_cfg *cfg, const df_rules *rules, df_hw_device *dev, df_err *err)
{
    df_status status = DF_OK;
    const double tiles =
        rules->gemm_output_takes_no_room ? 2.0 : 3.0; /* tiles of A and B, and of C */
    /* The reference hands areas and powers of an SRAM on as shares of the chip;
     * undoing that costs it a rounding that decides a floor now and then. */
    const double chip = cfg->area.chip_mm2;
    const double tdp = cfg->power.tdp_w;
    const double area_mm2[DF_CFG_SRAMS] = {cfg->area.of.reg / chip * chip,
                                           cfg->area.of.l1 / chip * chip,
                                           cfg->area.of.l2 / chip * chip};
    const double power_w[DF_CFG_SRAMS] = {
        cfg->power.of.reg / tdp * tdp, cfg->power.of.l1 / tdp * tdp, cfg->power.of.l2 / tdp * tdp};
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        df_hw_mem *mem = &dev->mem[i];
        memset(mem, 0, sizeof *mem);
        mem->copies =
            i == 1 && rules->l1_rate_of_each_bundle ? fmax(dev->core.num_bundle, 1.0) : 1.0;
        mem->type = cfg->level[i].type;
        mem->scope = cfg->level[i].scope;
        if (mem->type == DF_MEM_DRAM) {
            derive_dram(cfg, rules, mem);
        } else {
            const int k = (int)mem->type;
            derive_sram(&cfg->tech.sram[k], power_w[k], area_mm2[k], dev->core.num_bundle, rules,
                        mem);
            mem->least_bytes = rules->memory_without_units ? 0.0 : least_bytes(cfg, dev, i);
        }
        df_status fits = derive_tile(&dev->core, dev->elem_bytes, tiles, mem, err);
        fits = fits == DF_OK ? check_owners(dev, mem, err) : fits;
        status = status == DF_OK ? fits : status;
    }
    return status;
}

static double links_by_area(const df_cfg_link *tech, double area_mm2)
{
    return area_mm2 / tech->nominal_area_per_link_mm2;
}

static double links_by_edge(const df_cfg *cfg, const df_cfg_link *tech, double fraction)
{
    return fraction * chip_perimeter_mm(cfg) * tech->num_links_per_mm;
}

/* What one network gets. */
typedef struct {
    const df_cfg_link *tech;
    double power_w, area_mm2, perimeter;
    double degree; /* links of a device share the bandwidth */
} net_budget;

static void count_links(const df_cfg *cfg, const net_budget *b, df_hw_net *net)
{
    const double by_area = links_by_area(b->tech, b->area_mm2);
    const double by_edge = links_by_edge(cfg, b->tech, b->perimeter);
    net->num_links = trunc(fmin(by_area, by_edge));
    net->links_limit = by_edge < by_area ? DF_LIMIT_PERIMETER : DF_LIMIT_AREA;
}

/* The frequency that the power allows for all links. */
static void power_links(const net_budget *b, const df_rules *rules, df_hw_net *net)
{
    const df_cfg_link *const tech = b->tech;
    const voltage_tech vt = {tech->nominal_voltage_v, tech->threshold_voltage_v,
                             tech->margin_voltage_v, rules->lowest_supply_outruns_power};
    const double nominal_w =
        tech->nominal_energy_per_link_j * net->num_links * tech->nominal_frequency_hz;
    const voltage_point point = solve_operating_point(&vt, b->power_w / nominal_w);
    const double v = rules->network_voltage_unclamped ? point.raw_v : point.clamped_v;
    net->operating_freq_hz = point.scaling * frequency_at(&vt, tech->nominal_frequency_hz, v);
    net->operating_voltage_v = v;
    net->bandwidth_limit = DF_LIMIT_POWER;
}

static void
derive_network(const df_cfg *cfg, const net_budget *b, const df_rules *rules, df_hw_net *net)
{
    const df_cfg_link *const tech = b->tech;
    memset(net, 0, sizeof *net);
    net->latency_s = tech->latency_s;
    count_links(cfg, b, net);
    if (tech->bandwidth_bytes_ps > 0.0) {
        net->throughput_bytes_ps = tech->bandwidth_bytes_ps * tech->util;
        net->operating_freq_hz = tech->nominal_frequency_hz;
        net->operating_voltage_v = tech->nominal_voltage_v;
        net->bandwidth_limit = DF_LIMIT_GIVEN;
        return;
    }
    net->bandwidth_limit = net->links_limit;
    if (!(net->num_links > 0.0)) {
        return;
    }
    net->operating_freq_hz = tech->operating_frequency_hz;
    net->operating_voltage_v = tech->nominal_voltage_v;
    if (!(tech->operating_frequency_hz > 0.0)) {
        power_links(b, rules, net);
    }
    net->throughput_bytes_ps =
        net->num_links * net->operating_freq_hz * tech->util / (DF_BITS_PER_BYTE * b->degree);
}

df_status df_hw_derive(const df_cfg *cfg, const df_rules *rules, df_hw_device *out, df_err *err)
{
    df_hw_device dev;
    memset(&dev, 0, sizeof dev);
    dev.elem_bytes = cfg->sw.precision.tensor_bytes;
    dev.launch_overhead_s = cfg->sw.kernel_launch_overhead_s;
    dev.h2d_bytes_ps = cfg->sw.h2d_bandwidth_bytes_ps;
    dev.dataflow = cfg->tech.core.dataflow;
    dev.fma_d1 = (double)cfg->tech.core.fma_d1;
    dev.fma_d2 = (double)cfg->tech.core.fma_d2;
    dev.latency_if_memory_bound = rules->latency_if_memory_bound;
    DF_TRY(derive_core(cfg, rules, &dev.core, err));
    const df_status status = derive_memory(cfg, rules, &dev, err);
    const net_budget intra = {&cfg->tech.intra, cfg->power.of.intra, cfg->area.of.intra,
                              cfg->perimeter.intra, INTRA_DEGREE};
    const net_budget inter = {&cfg->tech.inter, cfg->power.of.inter, cfg->area.of.inter,
                              cfg->perimeter.inter, INTER_DEGREE};
    derive_network(cfg, &intra, rules, &dev.intra);
    derive_network(cfg, &inter, rules, &dev.inter);
    *out = dev;
    return status;
}

double df_hw_fed_share(const df_hw_device *dev, double flops_ps)
{
    const double bytes_per_flop =
        2.0 * dev->fma_d2 / (dev->fma_d1 * (2.0 * dev->fma_d2 - 1.0)) * dev->elem_bytes;
    const double needed_bytes_ps = flops_ps * bytes_per_flop;
    const double registers_bytes_ps = dev->mem[0].throughput_bytes_ps * dev->mem[0].copies;
    return needed_bytes_ps > registers_bytes_ps ? registers_bytes_ps / needed_bytes_ps : 1.0;
}

static const char *part_limit(df_hw_limit count, df_hw_limit rate, bool has_units)
{
    return df_hw_limit_name(has_units ? rate : count);
}

df_status df_hw_check_rates(const df_hw_device *dev, df_err *err)
{
    const df_hw_core *const core = &dev->core;
    if (!(core->throughput_flops_ps > 0.0)) {
        return df_fail(err, DF_INFEASIBLE,
                       "core: expected a rate above 0, found none with %.0f MCUs at %.4g Hz "
                       "(limit: %s)",
                       core->num_mcu, core->operating_freq_hz,
                       part_limit(core->count_limit, core->freq_limit, core->num_mcu > 0.0));
    }
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const df_hw_mem *const mem = &dev->mem[i];
        if (!(mem->throughput_bytes_ps > 0.0)) {
            return df_fail(
                err, DF_INFEASIBLE,
                "%s: expected bandwidth above 0, found none with %.4g bytes (limit: %s)",
                df_mem_type_name(mem->type), mem->size_bytes,
                part_limit(mem->size_limit, mem->bandwidth_limit, mem->size_bytes > 0.0));
        }
    }
    return DF_OK;
}

/* 1 - have/need, but never 0: what a part without a rate lacks of a budget. */
static double missing(double have, double need)
{
    const double least = 1e-9;
    if (!(need > 0.0) || !(have < need)) {
        return least;
    }
    return fmax(1.0 - fmax(have, 0.0) / need, least);
}

static double core_shortfall(const df_cfg *cfg, const df_hw_core *core)
{
    const df_cfg_core *tech = &cfg->tech.core;
    if (core->num_bundle < 1.0) {
        return missing(cfg->area.of.core,
                       tech->operating_area_per_mcu_mm2 * (double)tech->num_mcu_per_bundle);
    }
    return core->throughput_flops_ps > 0.0 ? 0.0 : 1.0; /* no power at all */
}

static double sram_shortfall(const df_cfg *cfg, const df_hw_device *dev, const df_hw_mem *mem)
{
    const df_cfg_sram *tech = &cfg->tech.sram[mem->type];
    const df_cfg_shares *area = &cfg->area.of;
    const df_cfg_shares *power = &cfg->power.of;
    const double area_mm2[DF_CFG_SRAMS] = {area->reg, area->l1, area->l2};
    const double power_w[DF_CFG_SRAMS] = {power->reg, power->l1, power->l2};
    const double bank_mm2 = sram_unit_mm2(tech, dev->core.num_bundle) / (1.0 - tech->overhead);
    const double size_bytes =
        tech->size_bytes > 0.0 ? tech->size_bytes
                               : floor(area_mm2[mem->type] / bank_mm2) * tech->bank_capacity_bytes;
    const double least_banks = fmax(ceil(mem->least_bytes / tech->bank_capacity_bytes), 1.0);
    if (!(size_bytes > 0.0) || size_bytes < mem->least_bytes) {
        return missing(area_mm2[mem->type], least_banks * bank_mm2);
    }
    if (mem->throughput_bytes_ps > 0.0) {
        return 0.0;
    }
    return missing(power_w[mem->type], sram_static_w(tech, size_bytes));
}

static double dram_shortfall(const df_cfg *cfg, const df_hw_mem *mem)
{
    const df_cfg_dram *tech = &cfg->tech.dram;
    if (mem->throughput_bytes_ps > 0.0) {
        return 0.0;
    }
    if (!(mem->size_bytes > 0.0)) {
        return missing(cfg->area.of.dram, tech->mem_ctrl_area_mm2);
    }
    const double edge_links = chip_perimeter_mm(cfg) * cfg->perimeter.dram * tech->num_links_per_mm;
    const double by_edge = edge_links < 1.0 ? missing(edge_links, 1.0) : 0.0;
    const double static_w = dram_static_w(tech, mem->size_bytes);
    const double by_power =
        cfg->power.of.dram <= static_w ? missing(cfg->power.of.dram, static_w) : 0.0;
    return by_edge + by_power;
}

static double
net_shortfall(const df_cfg_link *tech, const df_hw_net *net, double area_mm2, double by_edge)
{
    if (net->throughput_bytes_ps > 0.0) {
        return 0.0;
    }
    if (net->num_links > 0.0) {
        return 1.0; /* no power at all */
    }
    const double by_area = links_by_area(tech, area_mm2);
    return (by_area < 1.0 ? missing(by_area, 1.0) : 0.0) +
           (by_edge < 1.0 ? missing(by_edge, 1.0) : 0.0);
}

double
df_hw_shortfall(const df_cfg *cfg, const df_hw_device *dev, bool needs_intra, bool needs_inter)
{
    double sum = core_shortfall(cfg, &dev->core);
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const df_hw_mem *mem = &dev->mem[i];
        sum += mem->type == DF_MEM_DRAM ? dram_shortfall(cfg, mem) : sram_shortfall(cfg, dev, mem);
    }
    const df_cfg_link *intra = &cfg->tech.intra;
    const df_cfg_link *inter = &cfg->tech.inter;
    if (needs_intra) {
        sum += net_shortfall(intra, &dev->intra, cfg->area.of.intra,
                             links_by_edge(cfg, intra, cfg->perimeter.intra));
    }
    if (needs_inter) {
        sum += net_shortfall(inter, &dev->inter, cfg->area.of.inter,
                             links_by_edge(cfg, inter, cfg->perimeter.inter));
    }
    return sum;
}

const char *df_hw_limit_name(df_hw_limit limit)
{
    switch (limit) {
    case DF_LIMIT_GIVEN:
        return "given";
    case DF_LIMIT_AREA:
        return "area";
    case DF_LIMIT_POWER:
        return "power";
    case DF_LIMIT_PERIMETER:
        return "perimeter";
    case DF_LIMIT_CAPACITY:
        return "capacity";
    case DF_LIMIT_VOLTAGE:
        return "voltage";
    case DF_LIMIT_NONE:
        break;
    }
    return "none";
}
