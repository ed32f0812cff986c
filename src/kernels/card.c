#include "kernels/kernels.h"

#include <math.h>

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */

void df_calibration_of(df_arch like, df_calibration *out)
{
#define VALUE(section, field, key, unit, range, a100, h100, l40s, meaning)                         \
    .section##_##field = a100,
    static const df_calibration a100 = {DF_CALIBRATION_KEYS(VALUE)};
#undef VALUE
#define VALUE(section, field, key, unit, range, a100, h100, l40s, meaning)                         \
    .section##_##field = h100,
    static const df_calibration h100 = {DF_CALIBRATION_KEYS(VALUE)};
#undef VALUE
#define VALUE(section, field, key, unit, range, a100, h100, l40s, meaning)                         \
    .section##_##field = l40s,
    static const df_calibration l40s = {DF_CALIBRATION_KEYS(VALUE)};
#undef VALUE
    static const df_calibration *const all[DF_ARCHS] = {
        [DF_ARCH_A100] = &a100, [DF_ARCH_H100] = &h100, [DF_ARCH_L40S] = &l40s};
    *out = *all[like];
}

void df_calibration_shared_preset(df_calibration_shared *out)
{
#define VALUE(symbol, unit, value, meaning) .symbol = value,
    *out = (df_calibration_shared){DF_CALIBRATION_SHARED(VALUE)};
#undef VALUE
}

/* Those of `like` where the file has none. */
static void take(const df_calibration *own, df_calibration *is)
{
#define TAKE(section, field, ...)                                                                  \
    is->section##_##field =                                                                        \
        own->section##_##field >= 0.0 ? own->section##_##field : is->section##_##field;
    DF_CALIBRATION_KEYS(TAKE)
#undef TAKE
}

/* NOLINTEND(bugprone-macro-parentheses) */

/* A bundle is built to pull a bit more than its share of the DRAM, and no less than measured ones:
 * what an architecture without measured kernels is taken to do. */
static double pulled_bytes_per_cycle(const df_card *card)
{
    const double least = 20.0;
    const double share = card->dram_bytes_ps / (card->bundles * card->clock_hz);
    return fmax(least, card->shared.d_kap * share);
}

void df_calibration_complete(df_card *card, const df_calibration *own)
{
    if (own) {
        take(own, &card->is);
    }
    if (card->basis == DF_BASIS_RULE && !(own && own->decode_sm_bytes_per_cycle >= 0.0)) {
        card->is.decode_sm_bytes_per_cycle = pulled_bytes_per_cycle(card);
    }
}

/* Files of devices say ring, since formulas of an ideal device know nothing else, and yet have a
 * switch. Where the user of a device says ring, the reader has cleared what the device's file says
 * of the switch. */
static bool adds_in_switch(const df_cfg *cfg)
{
    const df_topology kind = cfg->intra_topology;
    return cfg->tech.intra.in_switch && (kind == DF_TOPO_SWITCH || kind == DF_TOPO_RING);
}

/* Kernels were measured on cards whose registers and L1 feed their cores. A device that is derived
 * from budgets may have too little of either, and then its cores wait for them. What a flop takes
 * from the L1 is the least that measured cards have for it: an H100's 128 bytes a cycle for 4096
 * flops of 16 bits. */
static double fed_share(const df_hw_device *dev)
{
    const double l1_bytes_per_flop = 128.0 / 4096.0;
    const df_hw_mem *const l1 = &dev->mem[1];
    const double needed_bytes_ps = dev->core.operating_throughput_flops_ps * l1_bytes_per_flop;
    const double l1_bytes_ps = l1->throughput_bytes_ps * l1->copies;
    double share = 1.0;
    if (dev->mem[0].bandwidth_limit != DF_LIMIT_GIVEN) {
        share = df_hw_fed_share(dev, dev->core.operating_throughput_flops_ps);
    }
    if (l1->bandwidth_limit != DF_LIMIT_GIVEN && l1_bytes_ps < share * needed_bytes_ps) {
        share = l1_bytes_ps / needed_bytes_ps;
    }
    return share;
}

void df_card_of(const df_cfg *cfg, const df_hw_device *dev, df_card *card)
{
    const double binary_mb = 1.048576; /* a file's MB over that of the fit */
    const df_cfg_calibration *const c = &cfg->calibration;
    *card = (df_card){.bundles = dev->core.num_bundle,
                      .clock_hz = dev->core.operating_freq_hz,
                      .flops_ps = fed_share(dev) * dev->core.operating_throughput_flops_ps,
                      .dram_bytes_ps = dev->mem[3].dynamic_throughput_bytes_ps,
                      .l2_bytes = dev->mem[2].size_bytes / binary_mb,
                      .l2_bytes_ps = dev->mem[2].dynamic_throughput_bytes_ps,
                      .link_bytes_ps = cfg->tech.intra.util > 0.0
                                           ? dev->intra.throughput_bytes_ps / cfg->tech.intra.util
                                           : 0.0,
                      .in_switch = adds_in_switch(cfg),
                      .like = c->like,
                      .basis = df_cfg_basis(cfg),
                      .shared = c->shared};
    for (int format = 0; format < DF_FORMATS; format++) {
        card->format_rate[format] = df_format_rate(&cfg->tech.core, (df_format)format);
    }
    df_calibration_of(c->like, &card->is);
    df_calibration_complete(card, &c->own);
}

double df_card_throttle(const df_card *card, double profile)
{
    df_calibration of_architecture;
    if (profile >= 0.0) {
        return profile;
    }
    if (profile == DF_THROTTLE_CARD) {
        return card->is.gemm_throttle;
    }
    df_calibration_of(card->like, &of_architecture);
    return of_architecture.gemm_throttle;
}
