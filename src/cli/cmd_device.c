#include "amount.h"
#include "cli.h"
#include "commands.h"
#include "hw/hw.h"
#include "json_out.h"

typedef struct {
    df_cli_files files;
    const char *rules_text, *format;
    df_rules rules;
} device_args;

static bool read_args(int argc, char **argv, device_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_text("hardware_config", &a->files.hardware_config, "the hardware file (YAML)"),
        df_cli_hardware_arg(&a->files),
        df_arg_text("exp_config", &a->files.exp_config, "a combined YAML file in its place"),
        df_arg_text(
            "rules", &a->rules_text,
            "calibrated (the default), corrected or reference, then exceptions (see `help rules`)"),
        df_arg_choice("format", &a->format, "text|json", "how the result is printed"),
    };
    const df_command command = {
        "device",
        "shows the device that a technology and its budgets yield, and what limits each part",
        "  deepflow device --hardware_config configs/hardware/detailed_2023.yaml\n", args,
        sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- What was not derived ----
 *
 * Files after data sheets give sizes and rates, not the technology below them. What would follow
 * from that technology is null in JSON and "-" in the text. */

/* Whether the file has this part of the technology. */
static bool given(double value)
{
    return value != DF_CFG_ABSENT_J;
}

static bool knows_units(const df_cfg *cfg, const df_hw_mem *mem)
{
    if (mem->size_limit != DF_LIMIT_GIVEN) {
        return true;
    }
    return mem->type == DF_MEM_DRAM
               ? given(cfg->tech.dram.stack_capacity_bytes) || cfg->tech.dram.num_stacks > 0
               : given(cfg->tech.sram[mem->type].bank_capacity_bytes);
}

static void add_known(json_t *object, const char *key, double value, bool known)
{
    if (known) {
        df_json_real(object, key, value);
    } else {
        json_object_set_new(object, key, json_null());
    }
}

/* ---- JSON ---- */

static void add_core(json_t *root, const df_cfg *cfg, const df_hw_core *core)
{
    json_t *const o = df_json_object(root, "core");
    df_json_real(o, "num_mcu", core->num_mcu);
    df_json_real(o, "num_bundle", core->num_bundle);
    add_known(o, "operating_voltage", core->operating_voltage_v,
              given(cfg->tech.core.nominal_voltage_v));
    df_json_real(o, "operating_freq", core->operating_freq_hz);
    df_json_real(o, "operating_throughput", core->operating_throughput_flops_ps);
    df_json_real(o, "throughput", core->throughput_flops_ps);
    df_json_text(o, "count_limit", df_hw_limit_name(core->count_limit));
    df_json_text(o, "freq_limit", df_hw_limit_name(core->freq_limit));
}

static void add_interface(json_t *o, const df_cfg *cfg, const df_hw_mem *mem)
{
    const df_cfg_dram *const tech = &cfg->tech.dram;
    const bool volts = given(tech->nominal_voltage_v);
    add_known(o, "num_links", mem->num_links, knows_units(cfg, mem));
    add_known(o, "operating_freq", mem->operating_freq_hz,
              tech->operating_frequency_hz > 0 || (volts && tech->nominal_frequency_hz > 0));
    add_known(o, "operating_voltage", mem->operating_voltage_v, volts);
}

static void add_memory(json_t *list, const df_cfg *cfg, const df_hw_mem *mem)
{
    json_t *const o = json_object();
    json_array_append_new(list, o);
    const bool dram = mem->type == DF_MEM_DRAM;
    df_json_text(o, "type", df_mem_type_name(mem->type));
    df_json_text(o, "scope", df_scope_name(mem->scope));
    df_json_real(o, "size", mem->size_bytes);
    df_json_real(o, "dynamic_throughput", mem->dynamic_throughput_bytes_ps);
    df_json_real(o, "throughput", mem->throughput_bytes_ps);
    df_json_real(o, "tile_dim", mem->tile_dim);
    df_json_real(o, "size_per_bundle", mem->size_per_bundle_bytes);
    df_json_real(o, "latency", mem->latency_s);
    const bool units = knows_units(cfg, mem);
    add_known(o, dram ? "num_stacks" : "num_banks", mem->num_units, units);
    add_known(o, dram ? "stack_bw" : "bank_bw", mem->unit_bw_bytes_ps, units);
    if (dram) {
        add_interface(o, cfg, mem);
    }
    df_json_text(o, "size_limit", df_hw_limit_name(mem->size_limit));
    df_json_text(o, "bandwidth_limit", df_hw_limit_name(mem->bandwidth_limit));
}

/* A network, by what technology, and whether its links were counted. */
typedef struct {
    const char *name;
    const df_hw_net *net;
    const df_cfg_link *tech;
    bool counted;
} network;

static void add_network(json_t *parent, const network *n)
{
    const df_hw_net *const net = n->net;
    json_t *const o = df_json_object(parent, n->name);
    add_known(o, "num_links", net->num_links, n->counted);
    add_known(o, "operating_freq", net->operating_freq_hz, given(n->tech->nominal_frequency_hz));
    add_known(o, "operating_voltage", net->operating_voltage_v, given(n->tech->nominal_voltage_v));
    df_json_real(o, "throughput", net->throughput_bytes_ps);
    df_json_real(o, "latency", net->latency_s);
    df_json_text(o, "links_limit", df_hw_limit_name(net->links_limit));
    df_json_text(o, "bandwidth_limit", df_hw_limit_name(net->bandwidth_limit));
}

static int print_json(const df_rules *rules,
                      const df_cfg *cfg,
                      const df_hw_device *dev,
                      const network networks[2])
{
    json_t *const root = json_object();
    df_json_rules(root, rules);
    add_core(root, cfg, &dev->core);
    json_t *const memory = json_array();
    json_object_set_new(root, "memory", memory);
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        add_memory(memory, cfg, &dev->mem[level]);
    }
    json_t *const o = df_json_object(root, "network");
    add_network(o, &networks[0]);
    add_network(o, &networks[1]);
    return df_json_print(root);
}

/* ---- Text ---- */

/* A count, or "-". */
static const char *count_text(double count, bool known, char text[32])
{
    snprintf(text, 32, known ? "%.0f" : "-", count);
    return text;
}

static void print_core(const df_cfg *cfg, const df_hw_core *core)
{
    printf("core       %.0f MCUs in %.0f bundles (limit: %s)\n", core->num_mcu, core->num_bundle,
           df_hw_limit_name(core->count_limit));
    printf("           %.4g GHz", core->operating_freq_hz / 1e9);
    if (core->operating_voltage_v > 0 && given(cfg->tech.core.nominal_voltage_v)) {
        printf(" at %.3g V", core->operating_voltage_v);
    }
    printf(" (limit: %s)\n", df_hw_limit_name(core->freq_limit));
    printf("           %.5g Tflop/s at peak, %.5g reached\n\n",
           core->operating_throughput_flops_ps / 1e12, core->throughput_flops_ps / 1e12);
}

/* Bandwidths are those of all units together; what else the table does not show. */
static void print_remarks(const df_hw_device *dev)
{
    const double fed = df_hw_fed_share(dev, dev->core.throughput_flops_ps);
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        if (dev->mem[level].copies > 1) {
            printf("each of %.0f bundles has the bandwidth of %s\n", dev->mem[level].copies,
                   df_mem_type_name(dev->mem[level].type));
        }
    }
    if (fed < 1) {
        printf("%s feeds %.3g %% of the cores' peak\n", df_mem_type_name(dev->mem[0].type),
               100 * fed);
    }
}

static void print_memories(const df_cfg *cfg, const df_hw_device *dev)
{
    printf("%-10s %-11s %12s  %-10s %14s  %-10s %10s %10s\n", "memory", "scope", "size", "limit",
           "bandwidth", "limit", "units", "latency");
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        const df_hw_mem *const mem = &dev->mem[level];
        char size[DF_AMOUNT];
        char rate[DF_AMOUNT];
        char units[32];
        printf("%-10s %-11s %12s  %-10s %14s  %-10s %10s %8.3g s\n", df_mem_type_name(mem->type),
               df_scope_name(mem->scope), df_size_text(mem->size_bytes, size),
               df_hw_limit_name(mem->size_limit), df_rate_text(mem->throughput_bytes_ps, rate),
               df_hw_limit_name(mem->bandwidth_limit),
               count_text(mem->num_units, knows_units(cfg, mem), units), mem->latency_s);
    }
    print_remarks(dev);
    putchar('\n');
}

static void print_network(const network *n)
{
    const df_hw_net *const net = n->net;
    char rate[DF_AMOUNT];
    char links[32];
    printf("%-10s %-11s %14s  %-10s %8.3g s\n", n->name,
           count_text(net->num_links, n->counted, links),
           df_rate_text(net->throughput_bytes_ps, rate),
           df_hw_limit_name(net->throughput_bytes_ps > 0 ? net->bandwidth_limit : net->links_limit),
           net->latency_s);
}

static int print_text(const df_cfg *cfg, const df_hw_device *dev, const network networks[2])
{
    print_core(cfg, &dev->core);
    print_memories(cfg, dev);
    printf("%-10s %-11s %14s  %-10s %10s\n", "network", "links", "bandwidth", "limit", "latency");
    print_network(&networks[0]);
    print_network(&networks[1]);
    return df_cli_finish(0);
}

int df_cmd_device(int argc, char **argv)
{
    device_args a = {.rules_text = DF_RULES_DEFAULT, .format = "text"};
    df_cfg cfg;
    df_hw_device dev;
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_status status = df_rules_parse(a.rules_text, &a.rules, &err);
    if (status == DF_OK) {
        status = df_cli_find_files(&a.files, &err);
    }
    if (status == DF_OK) {
        status = df_cli_load(&a.files, &a.rules, DF_CFG_NEED_HARDWARE, &cfg, &err);
    }
    if (status == DF_OK) {
        status = df_hw_derive(&cfg, &a.rules, &dev, &err);
    }
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    const network networks[2] = {{"intra", &dev.intra, &cfg.tech.intra, cfg.has_breakdown},
                                 {"inter", &dev.inter, &cfg.tech.inter, cfg.has_breakdown}};
    return a.format[0] == 'j' ? print_json(&a.rules, &cfg, &dev, networks)
                              : print_text(&cfg, &dev, networks);
}
