/* Attention of prompts and of single tokens: docs/calibrated.md. */
#include <math.h>

#include "kernels/join.h"
#include "kernels/kernels.h"

/* ---- Prompts ---- */

/* Exponentials that a bundle computes in a cycle, on all measured architectures: Shah et al.,
 * FlashAttention-3, NeurIPS 2024. */
#define EXPONENTIALS 16.0

/* The queries of a group of heads may share tiles; the keys may be split over `ways` blocks. */
typedef struct {
    bool packed;
    double ways;
} prompt_tiling;

static double tile_rows(const df_card *card, const df_prompt *p, double rows)
{
    const double few = 64.0;
    return rows <= few || (card->like == DF_ARCH_L40S && p->head_dim > 128.0) ? few : 128.0;
}

static df_format format_of(const df_prompt *p)
{
    return p->fp8 ? DF_FORMAT_FP8 : p->format;
}

/* Bytes of an element: the measured kernels scale fp8 by tensors. Other formats than bf16 and fp8
 * were not measured: as fp8's where they have fewer than 16 bits, else as bf16's. */
static double element_of(const df_prompt *p)
{
    return p->fp8 ? 1.0 : df_format_bytes(p->format);
}

static double flops_ps(const df_card *card, const df_prompt *p)
{
    const bool narrow = element_of(p) < 2.0;
    const double peak = card->flops_ps * card->format_rate[format_of(p)];
    return peak / card->bundles * card->is.prefill_tensor * (narrow ? card->shared.p_eff8 : 1.0) *
           (p->head_dim > 128.0 ? card->is.prefill_wide_head : 1.0);
}

/* Seconds of the bundles. Tiles of a causal prompt differ in length. */
static double prompt_tiling_s(const df_card *card, const df_prompt *p, const prompt_tiling *t)
{
    const df_calibration_shared *const c = &card->shared;
    const double group = p->heads / p->kv_heads;
    const double keys = p->cached + p->fresh;
    const double rows = t->packed ? p->fresh * group : p->fresh;
    const double b = tile_rows(card, p, rows);
    const double blocks =
        p->sequences * (t->packed ? p->kv_heads : p->heads) * ceil(rows / b) * t->ways;
    const double fill = fmin(1.0, rows / b) * p->head_dim / 128.0;
    const double block_s = card->is.prefill_tile_s * (c->p_tf + (1.0 - c->p_tf) * fill);
    const double positions = t->packed ? ceil(b / group) : b;
    const double average =
        p->cached + fmin(64.0 * ceil(p->fresh / 64.0), (p->fresh + positions) / 2.0);
    const double longest = fmax(average, keys);
    const double key_s =
        b * (4.0 * p->head_dim / flops_ps(card, p) + c->p_cx / (EXPONENTIALS * card->clock_hz));
    const double average_s = block_s + average * key_s / t->ways;
    const double longest_s = block_s + longest * key_s / t->ways;
    const double x = blocks / card->bundles;
    const double waves = fmax(1.0, c->p_al * ceil(x) + (1.0 - c->p_al) * x);
    return df_join(4.0, waves * average_s, longest_s) +
           (longest_s - average_s) * card->is.prefill_order * (1.0 - 1.0 / waves) +
           (t->ways > 1.0 ? c->p_tsp : 0.0);
}

static double prompt_bundles_s(const df_card *card, const df_prompt *p)
{
    const double least_keys = 256.0;
    double best_s = HUGE_VAL;
    for (int i = 0; i < 3; i++) {
        const double ways = (double)(1 << i);
        if (ways > 1.0 && (p->cached + p->fresh) / ways < least_keys) {
            break;
        }
        best_s = fmin(best_s, prompt_tiling_s(card, p, &(prompt_tiling){false, ways}));
        if (p->heads > p->kv_heads) {
            best_s = fmin(best_s, prompt_tiling_s(card, p, &(prompt_tiling){true, ways}));
        }
    }
    return best_s;
}

df_prompt_time df_kernel_prompt(const df_card *card, const df_load *load, const df_prompt *p)
{
    const df_calibration_shared *const c = &card->shared;
    const double element = element_of(p);
    const double query = fmax(2.0, element); /* and a result: in 16 bits at least */
    const double bundles_s = prompt_bundles_s(card, p);
    const double bytes =
        p->sequences * p->head_dim *
        (2.0 * query * p->heads * p->fresh + 2.0 * element * p->kv_heads * (p->fresh + p->cached));
    const double memory_s = bytes / (card->dram_bytes_ps * card->is.prefill_dram);
    const double t = df_join(c->p_pm, bundles_s, memory_s);
    const double throttle =
        (load->throttle >= 0.0 ? load->throttle : card->is.gemm_throttle) * c->p_phi;
    const double more_s = bundles_s * throttle * (load->sustained ? 1.0 : t / (t + c->g_tau));
    const double written = p->sequences * p->fresh * p->kv_heads * p->head_dim;
    return (df_prompt_time){.fixed_s = card->is.prefill_fixed_s,
                            .body_s = t + more_s,
                            .write_s = written * (2.0 * query + 2.0 * element) /
                                       (card->dram_bytes_ps * c->p_ew)};
}

/* ---- Single tokens ---- */

const df_decode_kernel df_decode_serving = {
    .name = "serving", .whole_waves = false, .split_mha = true};

df_decode_kernel df_decode_measured(const df_card *card)
{
    const bool fa2 = card->like == DF_ARCH_A100 && card->basis != DF_BASIS_RULE;
    const bool converts = card->like == DF_ARCH_H100 && card->basis != DF_BASIS_RULE;
    return (df_decode_kernel){.name = "measured",
                              .whole_waves = true,
                              .split_mha = !fa2,
                              .packing_copies = fa2,
                              .fp8_convert = converts};
}

/* Seconds of a byte, some of which come from the L2. */
static double cache_byte_s(const df_card *card, const df_load *load, bool fp8)
{
    const df_calibration_shared *const c = &card->shared;
    const double dram_bytes_ps =
        card->dram_bytes_ps * card->is.decode_dram * (fp8 ? c->d_ed8 : 1.0);
    const double fitted_bytes_ps = card->l2_bytes_ps * c->d_bl2;
    const double l2_bytes_ps =
        load->as_fitted ? fitted_bytes_ps : fmax(fitted_bytes_ps, dram_bytes_ps);
    const double cycled = c->d_wsk * load->ws_over_l2;
    const double hit = 1.0 / (1.0 + cycled * cycled * (cycled * cycled));
    return (1.0 - hit) / dram_bytes_ps + hit / l2_bytes_ps;
}

/* What all splits of the keys have in common. */
typedef struct {
    const df_card *card;
    const df_decode_kernel *kernel;
    const df_token *of;
    double position_s, memory_s, block_s;
} token_kernel;

static double ways_s(const token_kernel *x, double ways)
{
    const df_card *const card = x->card;
    const df_calibration_shared *const c = &card->shared;
    const df_token *const t = x->of;
    const double group = t->heads / t->kv_heads;
    const double blocks = t->sequences * t->kv_heads * ceil(group / 64.0) * ways;
    const double full = blocks / card->bundles;
    const double waves = fmax(1.0, x->kernel->whole_waves ? ceil(full) : full);
    const double chunk = 64.0 * ceil(t->context / ways / 64.0);
    const double bundles_s = waves * chunk * x->position_s + (waves - 1.0) * x->block_s * c->d_tw;
    const double combined_bytes = 8.0 * t->sequences * t->heads * t->head_dim * ways;
    const double combine_s =
        c->d_tsp * card->is.gemm_kernel_s + combined_bytes / (c->d_bsp * card->l2_bytes_ps);
    return x->block_s + df_join(c->d_pn, x->memory_s, bundles_s) + (ways > 1.0 ? combine_s : 0.0);
}

static token_kernel token_kernel_of(const df_card *card,
                                    const df_decode_kernel *kernel,
                                    const df_load *load,
                                    const df_token *t)
{
    const df_calibration_shared *const c = &card->shared;
    const double element = t->fp8_cache ? 1.0 : 2.0;
    const double pulled_bytes_ps = card->is.decode_sm_bytes_per_cycle * card->clock_hz;
    const double read_s = 2.0 * t->head_dim * element / pulled_bytes_ps;
    const double convert_s = t->fp8_cache && kernel->fp8_convert
                                 ? (c->d_e0 + c->d_e1 * t->head_dim) / card->clock_hz
                                 : 0.0;
    const double heads_bytes = 2.0 * t->sequences * t->kv_heads * t->head_dim;
    const double bytes = heads_bytes * t->context * element +
                         4.0 * t->sequences * t->heads * t->head_dim +
                         heads_bytes * (2.0 + element);
    return (token_kernel){.card = card,
                          .kernel = kernel,
                          .of = t,
                          .position_s = df_join(4.0, read_s, convert_s),
                          .memory_s = bytes * cache_byte_s(card, load, t->fp8_cache),
                          .block_s = c->d_tile * (t->heads > t->kv_heads ? c->d_gq : 1.0) *
                                     (c->d_tf + (1.0 - c->d_tf) * t->head_dim / 128.0)};
}

double df_kernel_decode_s(const df_card *card,
                          const df_decode_kernel *kernel,
                          const df_load *load,
                          const df_token *t)
{
    static const double all[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128};
    const double least_keys = 64.0;
    const df_calibration_shared *const c = &card->shared;
    const token_kernel x = token_kernel_of(card, kernel, load, t);
    const bool grouped = t->heads > t->kv_heads;
    const int most = grouped || kernel->split_mha ? sizeof all / sizeof all[0] : 1;
    double best_s = HUGE_VAL;
    for (int i = 0; i < most && (i == 0 || t->context / all[i] >= least_keys); i++) {
        best_s = fmin(best_s, ways_s(&x, all[i]));
    }
    const bool packs = kernel->packing_copies && grouped && t->kv_heads > 1.0 && t->sequences > 1.0;
    const double launches = (packs ? c->d_cp : 0.0) + (t->fp8_cache ? c->d_tq : 0.0);
    return card->is.decode_fixed_s + best_s + launches * card->is.gemm_kernel_s;
}
