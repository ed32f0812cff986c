/* A mixture of experts on one device, as a grouped kernel computes it: docs/calibrated.md. */
#include <math.h>

#include "kernels/join.h"
#include "kernels/kernels.h"

/* Tiles of the Triton kernel where it finds no tuned file. */
typedef struct {
    double rows, columns;
} tile;

static tile tile_of(const df_experts *x)
{
    if (x->block_fp8) {
        return (tile){64.0, 128.0};
    }
    return x->tokens <= x->experts ? (tile){16.0, 32.0} : (tile){64.0, 64.0};
}

/* Experts that get a token. */
static double active_of(const df_card *card, const df_experts *x, double rows)
{
    if (x->active > 0.0) {
        return x->active;
    }
    const double even = fmin(x->experts, rows);
    const double skewed = x->experts * (1.0 - exp(-card->shared.m_kpl * rows / x->experts));
    return fmax(x->skewed ? skewed : even, fmin(rows, x->top_k));
}

/* Blocks of rows of all experts together. */
static double blocks_of(const df_card *card, const df_experts *x, double active, double blocks)
{
    const double empty = exp(-blocks);
    const double skewed = active * (blocks + card->shared.m_pad * (1.0 - empty) + empty);
    return fmax(active, x->skewed ? skewed : active * ceil(blocks));
}

/* What both products have in common. */
typedef struct {
    const df_card *card;
    tile tile;
    double rows, active, blocks, element, weight_bytes, element_s, byte_s;
} layer;

static double grouped_s(const layer *x, double n, double k)
{
    const df_card *const card = x->card;
    const df_calibration_shared *const c = &card->shared;
    const double line_bytes = 128.0;
    const double tiles = x->blocks * ceil(n / x->tile.columns);
    const double tensor_s =
        fmax(1.0, tiles / card->bundles) * (64.0 * ceil(k / 64.0) * x->element_s + c->m_tile);
    const double latency_s = ceil(tiles / (card->bundles * c->m_occ)) * k * x->element * c->m_lam /
                             (line_bytes * card->clock_hz);
    const double bytes = x->active * n * k * x->weight_bytes + 2.0 * x->rows * (k + n);
    return df_join(c->m_pn, df_join(c->m_pn, tensor_s, latency_s), bytes * x->byte_s);
}

/* Seconds of a byte, some of which come from the L2. */
static double expert_byte_s(const df_card *card, const df_load *load, double weights_bytes)
{
    const df_calibration_shared *const c = &card->shared;
    const double dram_bytes_ps = card->dram_bytes_ps * card->is.moe_dram;
    const double fitted_bytes_ps = card->l2_bytes_ps * c->g_bl2;
    const double l2_bytes_ps =
        load->as_fitted ? fitted_bytes_ps : fmax(fitted_bytes_ps, dram_bytes_ps);
    const double cycled = c->m_wsk * weights_bytes / card->l2_bytes;
    const bool none = load->sustained && !load->as_fitted;
    const double hit = none ? 0.0 : 1.0 / (1.0 + cycled * cycled * (cycled * cycled));
    return (1.0 - hit) / dram_bytes_ps + hit / l2_bytes_ps;
}

double df_kernel_experts_s(const df_card *card, const df_load *load, const df_experts *x)
{
    const df_calibration_shared *const c = &card->shared;
    const double element = x->block_fp8 ? 1.0 : 2.0;
    const double weight_bytes = x->weight_bytes > 0.0 ? x->weight_bytes : element;
    const double rows = x->rows > 0.0 ? x->rows : x->tokens * x->top_k;
    const double active = active_of(card, x, rows);
    const tile t = tile_of(x);
    const double peak = card->flops_ps * (x->block_fp8 ? card->format_rate[DF_FORMAT_FP8] : 1.0);
    const double flops_ps =
        peak / card->bundles * card->is.moe_tensor * (x->block_fp8 ? c->m_eff8 : 1.0);
    const double bytes_ps = c->m_kb * card->is.gemm_l2_share * card->l2_bytes_ps / card->bundles;
    const layer l = {
        .card = card,
        .tile = t,
        .rows = rows,
        .active = active,
        .blocks = blocks_of(card, x, active, rows / active / t.rows),
        .element = element,
        .weight_bytes = weight_bytes,
        .element_s = df_join(4.0, 2.0 * t.rows * t.columns / flops_ps,
                             (t.rows + t.columns) * element / bytes_ps),
        .byte_s = expert_byte_s(card, load, 3.0 * active * x->hidden * x->width * weight_bytes)};
    const double pointwise_bytes =
        2.0 * (3.0 * rows * x->width + rows * x->hidden + x->tokens * x->hidden);
    return card->is.moe_fixed_s + grouped_s(&l, 2.0 * x->width, x->hidden) +
           grouped_s(&l, x->hidden, x->width) + pointwise_bytes / (card->dram_bytes_ps * c->m_ew);
}
