/* Values that no hardware has: mistaken units and digits, for the most part. They count as they
 * stand, with a remark that says what is usual. */
#include <string.h>

#include "config/cfg_impl.h"

typedef struct {
    const char *path;
    double low, high;
} usual;

#define MEMORY(name)                                                                               \
    {"tech_param." name ".size", 1e3, 1e15}, {"tech_param." name ".bandwidth", 1e9, 1e18},         \
        {"tech_param." name ".latency", 0, 1e-5},                                                  \
        {"tech_param." name ".dynamic_energy_per_bit", 1e-16, 1e-9},                               \
    {                                                                                              \
        "tech_param." name ".util", 0.01, 1                                                        \
    }
#define NETWORK(name)                                                                              \
    {"tech_param.network." name ".bandwidth", 1e8, 1e15},                                          \
        {"tech_param.network." name ".latency", 0, 1e-2},                                          \
        {"tech_param.network." name ".message_latency", 0, 1e-2},                                  \
        {"tech_param.network." name ".nominal_energy_per_link", 1e-15, 1e-8},                      \
    {                                                                                              \
        "tech_param.network." name ".util", 0.01, 1                                                \
    }

/* Wide enough for a phone's chip and for a wafer, for memories from HBM to a disk's, for networks
 * from Gigabit Ethernet to links on a wafer. 0 is not among them: it stands for what is derived, or
 * for nothing. */
static const usual ranges[] = {
    {"sw_param.kernel_launch_overhead", 0, 1e-2},
    {"sw_param.h2d_bandwidth", 1e8, 1e13},
    {"tech_param.core.operating_frequency", 1e7, 2e10},
    {"tech_param.core.nominal_frequency", 1e7, 2e10},
    {"tech_param.core.nominal_flop_rate_per_mcu", 1, 1e6},
    {"tech_param.core.nominal_power_per_mcu", 1e-6, 1e4},
    {"tech_param.core.nominal_energy_per_flop", 1e-16, 1e-9},
    {"tech_param.core.nominal_voltage", 0.1, 5},
    {"tech_param.core.num_mcu_per_bundle", 1, 1e5},
    {"tech_param.core.num_bundles", 1, 1e7},
    {"tech_param.core.util", 0.01, 1},
    {"tech_param.core.format_rate.fp8", 0.1, 32},
    {"tech_param.core.format_rate.nvfp4", 0.1, 32},
    {"tech_param.core.format_rate.mxfp4", 0.1, 32},
    {"tech_param.core.format_rate.int8", 0.01, 32},
    {"tech_param.core.format_rate.int4", 0.01, 32},
    {"tech_param.core.format_rate.tf32", 1e-3, 4},
    {"tech_param.core.format_rate.fp32", 1e-3, 4},
    MEMORY("DRAM"),
    {"tech_param.DRAM.operating_frequency", 1e6, 2e11},
    MEMORY("SRAM-L2"),
    MEMORY("SRAM-L1"),
    MEMORY("SRAM-R"),
    NETWORK("intra_node"),
    NETWORK("inter_node"),
    {"power_breakdown.TDP", 0.1, 1e6},
    {"power.base", 0.1, 1e5},
    {"power.limit", 0.1, 1e6},
    {"calibration.gemm.kernel", 1e-8, 1e-3},
    {"calibration.gemm.tensor", 0.01, 3},
    {"calibration.gemm.throttle", 0, 10},
    {"calibration.gemm.dram", 0.05, 2},
    {"calibration.gemm.l2_share", 0.01, 100},
    {"calibration.prefill.fixed", 1e-8, 1e-2},
    {"calibration.prefill.tensor", 0.01, 3},
    {"calibration.decode.fixed", 1e-8, 1e-2},
    {"calibration.decode.dram", 0.05, 2},
    {"calibration.decode.sm_bytes_per_cycle", 0.1, 1e5},
    {"calibration.moe.fixed", 1e-8, 1e-2},
    {"calibration.collective.start", 1e-8, 1e-2},
    {"calibration.collective.hop", 1e-9, 1e-2},
    {"system_hierarchy.num_devices_per_node", 1, 1e6},
    {"system_hierarchy.num_nodes", 1, 1e6},
};

/* Appends a line where there is room for it. */
static void
remark(df_cfg_reader *reader, const df_cfg_mark *mark, const char *path, const char *text)
{
    char line[256];
    char *const odd = reader->odd.text;
    const size_t used = strlen(odd);
    const int length = snprintf(line, sizeof line, "%s%.100s:%d: %s: %.100s", used > 0 ? "\n" : "",
                                mark->file, mark->line, path, text);
    if (length > 0 && used + (size_t)length < DF_ODD_TEXT) {
        memcpy(odd + used, line, strlen(line) + 1);
    }
}

static const df_cfg_mark *mark_of(const df_cfg_reader *reader, const char *path)
{
    return &reader->option[df_opt_find(path, 0)];
}

static double value_of(const df_cfg_reader *reader, const char *path)
{
    return df_opt_load(&df_opts[df_opt_find(path, 0)], &reader->cfg);
}

static void remark_range(df_cfg_reader *reader, const usual *u)
{
    char text[128];
    const df_opt *const opt = &df_opts[df_opt_find(u->path, 0)];
    const df_cfg_mark *const mark = mark_of(reader, u->path);
    const double value = value_of(reader, u->path);
    if (mark->line == 0 || !(value > 0.0) || (value >= u->low && value <= u->high)) {
        return;
    }
    if (value < u->low) {
        snprintf(text, sizeof text, "no hardware has so little: usual is %g%s%s or more, found %g",
                 u->low, opt->unit[0] != '\0' ? " " : "", opt->unit, value);
    } else {
        snprintf(text, sizeof text, "no hardware has so much: usual is %g%s%s or less, found %g",
                 u->high, opt->unit[0] != '\0' ? " " : "", opt->unit, value);
    }
    remark(reader, mark, mark->key, text);
}

/* What a device sends comes from its memory, except on a wafer, where links between dies may have
 * more than a die's memory: 1.5 TB/s and 0.9 (Pal et al., HPCA 2019). */
static void remark_link(df_cfg_reader *reader, const char *path, double most)
{
    char text[128];
    const df_cfg_mark *const mark = mark_of(reader, path);
    const double link = value_of(reader, path);
    const double memory = value_of(reader, "tech_param.DRAM.bandwidth");
    if (mark->line == 0 || !(memory >= 1e9) || !(link > most * memory)) { /* 1e9: as above */
        return;
    }
    snprintf(text, sizeof text,
             "usual is no more than the device's memory has, %g bytes/s, found %g", memory, link);
    remark(reader, mark, mark->key, text);
}

void df_cfg_find_odd(df_cfg_reader *reader)
{
    reader->odd.text[0] = '\0';
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        remark_range(reader, &ranges[i]);
    }
    remark_link(reader, "tech_param.network.intra_node.bandwidth", 2.0);
    remark_link(reader, "tech_param.network.inter_node.bandwidth", 1.0);
}
