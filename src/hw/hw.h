/* hw.h: derives a device from a technology and budgets, or from given sizes and rates. The
 * derivation is in closed form and allocates nothing, because it is repeated for every point of a
 * search. */
#ifndef DF_HW_H
#define DF_HW_H
#include "config/cfg.h"
#include "rules/rules.h"

enum { DF_HW_LEVELS = DF_CFG_LEVELS };

/* What keeps a part from being larger or faster. */
typedef enum {
    DF_LIMIT_NONE,
    DF_LIMIT_GIVEN,
    DF_LIMIT_AREA,
    DF_LIMIT_POWER,
    DF_LIMIT_PERIMETER,
    DF_LIMIT_CAPACITY, /* links or banks that the capacity brings along */
    DF_LIMIT_VOLTAGE,  /* at the maximal voltage */
} df_hw_limit;

typedef struct {
    double num_mcu, num_bundle;
    double operating_voltage_v; /* 0: not computed */
    double operating_freq_hz;
    double operating_throughput_flops_ps;
    double throughput_flops_ps; /* times util */
    df_hw_limit count_limit, freq_limit;
} df_hw_core;

typedef struct {
    df_mem_type type;
    df_scope scope;
    double size_bytes;
    double size_per_bundle_bytes;
    double tile_dim; /* edge of the square tile: a power of two, 0 without capacity */
    double dynamic_throughput_bytes_ps;
    double throughput_bytes_ps; /* times util */
    double latency_s;
    double copies;      /* number of copies that each have this throughput: 1, or the bundles */
    double num_units;   /* banks of an SRAM, stacks of a DRAM */
    double least_bytes; /* size that its owners need: for a memory, a bank each; for registers, the
                           operands of a step */
    double unit_bw_bytes_ps;
    double num_links;           /* DRAM */
    double operating_freq_hz;   /* DRAM */
    double operating_voltage_v; /* DRAM */
    df_hw_limit size_limit, bandwidth_limit;
} df_hw_mem;

typedef struct {
    double num_links;
    double operating_freq_hz;
    double operating_voltage_v;
    double throughput_bytes_ps;
    double latency_s;
    df_hw_limit links_limit, bandwidth_limit;
} df_hw_net;

typedef struct {
    df_hw_core core;
    df_hw_mem mem[DF_HW_LEVELS]; /* [0] is nearest the core */
    df_hw_net intra, inter;
    df_dataflow dataflow;
    double fma_d1, fma_d2;
    bool latency_if_memory_bound; /* roof.h */
    double elem_bytes;            /* bytes of a tensor element */
    double launch_overhead_s;     /* of one kernel */
    double h2d_bytes_ps;          /* <= 0: not timed */
} df_hw_device;

/* Speed and latency of a link between two devices. */
typedef struct {
    double bytes_ps, latency_s;
} df_hw_link;

/* Derives *out from the hardware sections of *cfg. A part that gets no area or power has throughput
 * 0, which is not an error. DF_EINVAL: the core has neither an operating nor a nominal frequency
 * although it has power (*out is untouched). DF_INFEASIBLE: a memory whose shares belong to no
 * core, or that is smaller than its owners need; *out is still filled, for df_hw_shortfall. */
DF_NODISCARD df_status df_hw_derive(const df_cfg *cfg,
                                    const df_rules *rules,
                                    df_hw_device *out,
                                    df_err *err);

/* The share of so many flops a second that the registers can feed, at most 1: a multiply-accumulate
 * step of d1 x d2 x d1 reads 2 d2 operands a row for 2 d2 - 1 flops of each of d1 columns. */
double df_hw_fed_share(const df_hw_device *dev, double flops_ps);

/* DF_INFEASIBLE: the core or a memory level has no rate; err says which, and what limits it. */
DF_NODISCARD df_status df_hw_check_rates(const df_hw_device *dev, df_err *err);

/* How far the device is from being able to work: 0 when compute, every memory
 * level and the networks named by needs_intra, needs_inter have a rate above 0,
 * otherwise the sum over the parts that have none of the relative amount of
 * area, power or perimeter that is missing (each in (0, 1]). It falls
 * continuously as the missing budget grows, so that a search can be led back. */
double
df_hw_shortfall(const df_cfg *cfg, const df_hw_device *dev, bool needs_intra, bool needs_inter);

const char *df_hw_limit_name(df_hw_limit limit);

#endif
