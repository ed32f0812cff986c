/* Products: docs/calibrated.md, section "Products". */
#include <math.h>

#include "kernels/join.h"
#include "kernels/kernels.h"

const df_gemm_kernel df_gemm_kernels[DF_GEMM_KERNELS] = {
    [DF_GEMM_CUBLAS] =
        {"cublas", DF_FORMAT_BF16, DF_TILES_CUBLAS, DF_RASTER_SQUARE, 2.0, {1.0, 1.0, 1.0}, true},
    /* no product of this width was measured: the same tiles on wider operands */
    [DF_GEMM_TF32] =
        {"cublas", DF_FORMAT_TF32, DF_TILES_CUBLAS, DF_RASTER_SQUARE, 4.0, {1.0, 1.0, 1.0}, true},
    [DF_GEMM_FP8_MEASURED] =
        {"measured", DF_FORMAT_FP8, DF_TILES_FP8_ROWS, DF_RASTER_ROWS, 1.0, {0.0, 0.0, 0.0}, true},
    /* fitted to the fastest measured fp8 products of m, n, k >= 512 */
    [DF_GEMM_FP8_VENDOR] = {"vendor",
                            DF_FORMAT_FP8,
                            DF_TILES_FP8_ROWS,
                            DF_RASTER_SQUARE,
                            1.0,
                            {0.744, 0.744, 0.627},
                            false},
    [DF_GEMM_FP8_TRAINING] = {"training",
                              DF_FORMAT_FP8,
                              DF_TILES_FP8_LARGE,
                              DF_RASTER_SQUARE,
                              1.0,
                              {0.79, 0.79, 0.79},
                              true},
    [DF_GEMM_FP8_BLOCK] = {"block",
                           DF_FORMAT_FP8_BLOCK,
                           DF_TILES_BLOCK,
                           DF_RASTER_SQUARE,
                           1.0,
                           {0.0, 0.0, 0.0},
                           true},
    [DF_GEMM_NVFP4_MEASURED] = {"measured",
                                DF_FORMAT_NVFP4,
                                DF_TILES_FP8_ROWS,
                                DF_RASTER_ROWS,
                                0.5625,
                                {0.0, 0.0, 0.0},
                                true},
    [DF_GEMM_NVFP4_TRAINING] = {"training",
                                DF_FORMAT_NVFP4,
                                DF_TILES_FP8_LARGE,
                                DF_RASTER_SQUARE,
                                0.5625,
                                {0.79, 0.79, 0.79},
                                true},
    [DF_GEMM_FP32] =
        {"cublas", DF_FORMAT_FP32, DF_TILES_CUBLAS, DF_RASTER_SQUARE, 4.0, {1.0, 1.0, 1.0}, true},
    [DF_GEMM_INT8_MEASURED] =
        {"measured", DF_FORMAT_INT8, DF_TILES_FP8_ROWS, DF_RASTER_ROWS, 1.0, {0.0}, true},
    [DF_GEMM_INT8_VENDOR] = {"vendor",
                             DF_FORMAT_INT8,
                             DF_TILES_FP8_ROWS,
                             DF_RASTER_SQUARE,
                             1.0,
                             {0.744, 0.744, 0.627},
                             false},
    [DF_GEMM_INT8_TRAINING] = {"training",
                               DF_FORMAT_INT8,
                               DF_TILES_FP8_LARGE,
                               DF_RASTER_SQUARE,
                               1.0,
                               {0.79, 0.79, 0.79},
                               true},
    [DF_GEMM_MXFP4_MEASURED] =
        {"measured", DF_FORMAT_MXFP4, DF_TILES_FP8_ROWS, DF_RASTER_ROWS, 0.53125, {0.0}, true},
    [DF_GEMM_MXFP4_TRAINING] = {"training",
                                DF_FORMAT_MXFP4,
                                DF_TILES_FP8_LARGE,
                                DF_RASTER_SQUARE,
                                0.53125,
                                {0.79, 0.79, 0.79},
                                true},
    [DF_GEMM_INT4_MEASURED] =
        {"measured", DF_FORMAT_INT4, DF_TILES_FP8_ROWS, DF_RASTER_ROWS, 0.515625, {0.0}, true},
    [DF_GEMM_INT4_TRAINING] = {"training",
                               DF_FORMAT_INT4,
                               DF_TILES_FP8_LARGE,
                               DF_RASTER_SQUARE,
                               0.515625,
                               {0.79, 0.79, 0.79},
                               true},
};

const df_load df_load_sustained = {.sustained = true, .throttle = -1.0, .ws_over_l2 = HUGE_VAL};

const df_gemm_kernel *df_gemm_kernel_of(df_format format, df_low_kernel low)
{
    /* measured, vendor's, training's: 4-bit products of a vendor's library were not seen */
    static const df_gemm_kernel_id ids[DF_FORMATS][DF_LOW_TRAINING + 1] = {
        [DF_FORMAT_BF16] = {DF_GEMM_CUBLAS, DF_GEMM_CUBLAS, DF_GEMM_CUBLAS},
        [DF_FORMAT_TF32] = {DF_GEMM_TF32, DF_GEMM_TF32, DF_GEMM_TF32},
        [DF_FORMAT_FP32] = {DF_GEMM_FP32, DF_GEMM_FP32, DF_GEMM_FP32},
        [DF_FORMAT_FP8] = {DF_GEMM_FP8_MEASURED, DF_GEMM_FP8_VENDOR, DF_GEMM_FP8_TRAINING},
        [DF_FORMAT_MXFP8] = {DF_GEMM_FP8_MEASURED, DF_GEMM_FP8_VENDOR, DF_GEMM_FP8_TRAINING},
        [DF_FORMAT_FP8_BLOCK] = {DF_GEMM_FP8_BLOCK, DF_GEMM_FP8_BLOCK, DF_GEMM_FP8_BLOCK},
        [DF_FORMAT_INT8] = {DF_GEMM_INT8_MEASURED, DF_GEMM_INT8_VENDOR, DF_GEMM_INT8_TRAINING},
        [DF_FORMAT_NVFP4] = {DF_GEMM_NVFP4_MEASURED, DF_GEMM_NVFP4_MEASURED,
                             DF_GEMM_NVFP4_TRAINING},
        [DF_FORMAT_MXFP4] = {DF_GEMM_MXFP4_MEASURED, DF_GEMM_MXFP4_MEASURED,
                             DF_GEMM_MXFP4_TRAINING},
        [DF_FORMAT_INT4] = {DF_GEMM_INT4_MEASURED, DF_GEMM_INT4_MEASURED, DF_GEMM_INT4_TRAINING},
    };
    return &df_gemm_kernels[ids[format][low]];
}

/* ---- Tiles ---- */

/* Rows and columns of the output that one block computes. */
typedef struct {
    double rows, columns;
} tile;

typedef struct {
    const tile *list;
    int count;
    bool splits;
} choice;

static const tile all_tiles[] = {{16, 64},  {16, 128}, {32, 64},   {32, 128},  {64, 64},  {64, 128},
                                 {128, 64}, {64, 256}, {128, 128}, {128, 256}, {256, 128}};
static const tile block_tiles[] = {{64, 32}, {64, 64}, {64, 128}, {128, 32}, {128, 64}, {128, 128}};
static const tile small_tiles[] = {{64, 64}, {64, 128}};
static const tile middle_tiles[] = {{128, 128}};
static const tile large_tiles[] = {{128, 128}, {128, 256}, {256, 128}};
static const tile l40s_small_tiles[] = {{16, 64}, {16, 128}, {32, 64},  {32, 128},
                                        {64, 64}, {64, 128}, {128, 64}, {128, 128}};
static const tile l40s_tiles[] = {{128, 64}, {128, 128}};

#define CHOICE(tiles)                                                                              \
    (choice)                                                                                       \
    {                                                                                              \
        (tiles), sizeof(tiles) / sizeof(tile), false                                               \
    }

/* Public dispatch code of serving engines: SM90 has tiles of 128 x 128 but for few rows, SM89 of
 * 128 rows. */
static choice fp8_choice(const df_card *card, df_tiles tiles, double m)
{
    const double few_rows = card->like == DF_ARCH_L40S ? 128.0 : 256.0;
    const bool few = m <= few_rows;
    if (card->like == DF_ARCH_L40S) {
        return few ? CHOICE(l40s_small_tiles) : CHOICE(l40s_tiles);
    }
    if (few) {
        return CHOICE(small_tiles);
    }
    return tiles == DF_TILES_FP8_LARGE ? CHOICE(large_tiles) : CHOICE(middle_tiles);
}

static choice choice_of(const df_card *card, df_tiles tiles, const df_matmul *p)
{
    switch (tiles) {
    case DF_TILES_CUBLAS:
        return (choice){all_tiles, sizeof all_tiles / sizeof all_tiles[0], !(p->count > 1.0)};
    case DF_TILES_BLOCK:
        return CHOICE(block_tiles);
    case DF_TILES_FP8_ROWS:
    case DF_TILES_FP8_LARGE:
        break;
    }
    return fp8_choice(card, tiles, p->m);
}

/* ---- One tiling ---- */

/* What all tilings of a product have in common. */
typedef struct {
    const df_card *card;
    const df_gemm_kernel *kernel;
    const df_load *load;
    const df_matmul *of;
    double flop_s, operand_s; /* of a bundle's tensor cores; of an operand's element that it takes
                                 in through the L2 */
    double b_bytes_each, b_over_a; /* of an element of B, and over that of one of A */
    double c_bytes_each;
    double convert_s;  /* of an element of B that is not as the kernel has it */
    double per_bundle; /* one over the bundles */
    double step_s;     /* the least of a step along k, an element */
    double byte_s;     /* of the memories */
    double throttle;
    double a_bytes, b_bytes, a_hit;
} product;

static double tensor_rate(const df_card *card, const df_gemm_kernel *kernel)
{
    const double given = kernel->rate[card->like];
    if (given > 0.0) {
        return given;
    }
    return kernel->tiles == DF_TILES_BLOCK ? card->shared.g_effb : card->shared.g_eff8;
}

static double throttle_of(const df_card *card, const df_gemm_kernel *kernel, const df_load *load)
{
    const double of_card = load->throttle >= 0.0 ? load->throttle : card->is.gemm_throttle;
    if (!kernel->throttled) {
        return 0.0;
    }
    return kernel->operand_bytes >= 2.0 ? of_card : of_card * card->shared.g_phi8;
}

static double b_bytes_of(const df_gemm_kernel *kernel, const df_matmul_bytes *bytes)
{
    return bytes->b > 0.0 ? bytes->b : kernel->operand_bytes;
}

static double c_bytes_of(const df_matmul_bytes *bytes)
{
    return bytes->c > 0.0 ? bytes->c : 2.0;
}

/* Seconds in which a bundle unpacks an element of B that memory has in another format: two to four
 * operations of its vector units, which are 64 in an A100's bundle and more elsewhere. */
static double
convert_s(const df_card *card, const df_gemm_kernel *kernel, const df_matmul_bytes *bytes)
{
    const double operations = 3.0;
    const double least_units = 64.0;
    const double given_ps = 0.5 * card->flops_ps * card->format_rate[DF_FORMAT_FP32];
    const double units_ps =
        given_ps > 0.0 ? given_ps / card->bundles : least_units * card->clock_hz;
    return b_bytes_of(kernel, bytes) == kernel->operand_bytes ? 0.0 : operations / units_ps;
}

/* The working set of a product that is repeated alone. */
static double own_set(const df_card *card,
                      const df_gemm_kernel *kernel,
                      const df_matmul *p,
                      const df_matmul_bytes *bytes)
{
    const double b_over_a = b_bytes_of(kernel, bytes) / kernel->operand_bytes;
    const double operands = kernel->operand_bytes * (p->m * p->k + b_over_a * p->k * p->n);
    return p->count * (operands + c_bytes_of(bytes) * p->m * p->n) / card->l2_bytes;
}

/* Seconds of a byte, some of which come from the L2. */
static double byte_s(const df_card *card, const df_load *load, double ws_over_l2)
{
    const df_calibration_shared *const g = &card->shared;
    const double dram_bytes_ps = card->dram_bytes_ps * card->is.gemm_dram;
    const double fitted_bytes_ps = card->l2_bytes_ps * g->g_bl2;
    const double l2_bytes_ps =
        load->as_fitted ? fitted_bytes_ps : fmax(fitted_bytes_ps, dram_bytes_ps);
    const double cycled = g->g_wsk * ws_over_l2;
    const double hit = 1.0 / (1.0 + cycled * cycled * (cycled * cycled));
    return (1.0 - hit) / dram_bytes_ps + hit / l2_bytes_ps;
}

static product product_of(const df_card *card,
                          const df_gemm_kernel *kernel,
                          const df_load *load,
                          const df_matmul *p,
                          const df_matmul_bytes *bytes)
{
    const double line_bytes = 128.0;
    const df_calibration_shared *const g = &card->shared;
    const double peak = card->flops_ps * card->format_rate[kernel->format];
    const double bundle_bytes_ps = card->is.gemm_l2_share * card->l2_bytes_ps / card->bundles;
    const double cycles = kernel->tiles == DF_TILES_BLOCK ? g->g_lamb : g->g_lam;
    const double a_bytes = p->m * p->k * kernel->operand_bytes;
    return (product){
        .card = card,
        .kernel = kernel,
        .load = load,
        .of = p,
        .flop_s = card->bundles / (peak * card->is.gemm_tensor * tensor_rate(card, kernel)),
        .operand_s = kernel->operand_bytes / bundle_bytes_ps,
        .b_bytes_each = b_bytes_of(kernel, bytes),
        .c_bytes_each = c_bytes_of(bytes),
        .b_over_a = b_bytes_of(kernel, bytes) / kernel->operand_bytes,
        .convert_s = convert_s(card, kernel, bytes),
        .per_bundle = 1.0 / card->bundles,
        .step_s = cycles / card->clock_hz * kernel->operand_bytes / line_bytes,
        .byte_s =
            byte_s(card, load,
                   load->ws_over_l2 < 0.0 ? own_set(card, kernel, p, bytes) : load->ws_over_l2),
        .throttle = throttle_of(card, kernel, load),
        .a_bytes = a_bytes,
        .b_bytes = p->n * p->k * b_bytes_of(kernel, bytes),
        .a_hit = fmin(1.0, g->g_cl2 * card->l2_bytes / a_bytes)};
}

/* Rows and columns of tiles that run side by side. */
static tile group_of(const product *x, double rows, double columns)
{
    const double bundles = x->card->bundles;
    double high = x->card->shared.g_gm;
    if (x->kernel->raster == DF_RASTER_ROWS) {
        high = x->card->like == DF_ARCH_L40S || columns > rows ? fmin(rows, bundles)
                                                               : bundles / fmin(columns, bundles);
    }
    high = fmin(rows, high);
    return (tile){high, fmin(columns, fmax(1.0, bundles / high))};
}

/* Seconds at the memories. An operand that does not fit its part of the L2 is read again for each
 * group of tiles. */
static double memory_s(const product *x, const tile *t, double rows, double columns)
{
    const df_matmul *const p = x->of;
    const tile group = group_of(x, rows, columns);
    const double held_bytes = group.columns * t->columns * p->k * x->b_bytes_each;
    const double b_hit = fmin(1.0, x->card->shared.g_cl2 * x->card->l2_bytes / held_bytes);
    const double again_a = (columns / group.columns - 1.0) * (1.0 - x->a_hit);
    const double again_b = (rows / group.rows - 1.0) * (1.0 - b_hit);
    const double output_bytes = x->c_bytes_each * p->m * p->n;
    return p->count * (x->a_bytes * (1.0 + again_a) + x->b_bytes * (1.0 + again_b) + output_bytes) *
           x->byte_s;
}

/* Seconds of the bundles, whose last wave is not as full as the others. */
static double bundles_s(const product *x, double blocks, double element_s, double split)
{
    const df_calibration_shared *const g = &x->card->shared;
    const double waves = blocks * split * x->per_bundle;
    const double softened = fmax(1.0, g->g_al * ceil(waves) + (1.0 - g->g_al) * waves);
    const double k = ceil(x->of->k / split / 64.0) * 64.0;
    return softened * (k + g->g_kf) * element_s;
}

/* Adding up the partial sums of a split. */
static double split_s(const product *x, double split)
{
    const df_calibration_shared *const g = &x->card->shared;
    const double sums_bytes = (split + 1.0) * 4.0 * x->of->m * x->of->n;
    return split > 1.0 ? g->g_tsp + sums_bytes / (g->g_bsp * x->card->l2_bytes_ps) : 0.0;
}

/* A model that runs for seconds does so at the clock that its power allows. A kernel alone starts
 * at a higher one, and falls to it in milliseconds. */
static double throttled_s(const product *x, double tensor_s, double dram_s, double extra_s)
{
    const double pn = x->card->shared.g_pn;
    const double more_s = tensor_s * x->throttle;
    if (x->load->sustained && !x->load->throttle_after) {
        return df_join(pn, tensor_s + more_s, dram_s) + extra_s;
    }
    const double t = df_join(pn, tensor_s, dram_s) + extra_s;
    return t + (x->load->sustained ? more_s : more_s * t / (t + x->card->shared.g_tau));
}

/* The splits along k that are tried. */
static const double splits[] = {1, 2, 4, 8, 16, 32};
enum { SPLITS = sizeof splits / sizeof splits[0] };

/* Takes the fastest of the splits of a tile, if it is faster than the best so far. What cannot be
 * is left as early as that is known: no split does less work, or spreads it over more bundles than
 * there are.
 */
static void try_tile(const product *x, const tile *t, int count, df_tiling *best)
{
    const double least_k = 128.0;
    const double rows = ceil(x->of->m / t->rows);
    const double columns = ceil(x->of->n / t->columns);
    const double tensor_element_s =
        2.0 * t->rows * t->columns * x->flop_s + t->columns * x->convert_s;
    const double load_element_s = (t->rows + x->b_over_a * t->columns) * x->operand_s;
    const double full = x->of->count * rows * columns * x->per_bundle;
    const double least_element_s = fmax(fmax(tensor_element_s, load_element_s), x->step_s);
    if (fmax(full, 1.0 / splits[count - 1]) * x->of->k * least_element_s >= best->time_s) {
        return;
    }
    const double dram_s = memory_s(x, t, rows, columns);
    if (dram_s >= best->time_s) {
        return;
    }
    const double element_s = df_join4(tensor_element_s, load_element_s, x->step_s);
    for (int i = 0; i < count; i++) {
        if (splits[i] > 1.0 && x->of->k / splits[i] < least_k) {
            break;
        }
        const double tensor_s = bundles_s(x, x->of->count * rows * columns, element_s, splits[i]);
        const double extra_s = split_s(x, splits[i]);
        if (fmax(tensor_s, dram_s) + extra_s >= best->time_s) {
            continue;
        }
        const double time_s = throttled_s(x, tensor_s, dram_s, extra_s);
        if (time_s < best->time_s) {
            *best = (df_tiling){time_s, t->rows, t->columns, splits[i], dram_s / x->byte_s};
        }
    }
}

static bool is_quantised(const df_gemm_kernel *kernel, const df_matmul *p)
{
    return kernel->operand_bytes < 2.0 && p->quantise > 0.0;
}

/* Seconds of quantising A, which arrives in bf16 and leaves in a byte. */
static double quantise_s(const product *x)
{
    const df_card *const card = x->card;
    const df_calibration_shared *const g = &card->shared;
    const bool block = x->kernel->tiles == DF_TILES_BLOCK;
    const double bytes = 3.0 * x->of->m * x->of->k * x->of->count;
    const double held = card->l2_bytes * g->g_ql2 / bytes;
    const double miss = 1.0 / (1.0 + held * held);
    const double stream_s = bytes / (card->dram_bytes_ps * (block ? g->g_bqb : g->g_bq)) *
                            (g->g_qh + (1.0 - g->g_qh) * miss);
    return (block ? g->g_rqb : g->g_rq8) * card->is.gemm_kernel_s + stream_s;
}

df_tiling df_kernel_gemm_in(const df_card *card,
                            const df_gemm_kernel *kernel,
                            const df_load *load,
                            const df_matmul *p,
                            const df_matmul_bytes *bytes)
{
    const product x = product_of(card, kernel, load, p, bytes);
    const choice c = choice_of(card, kernel->tiles, p);
    df_tiling best = {.time_s = HUGE_VAL};
    for (int i = 0; i < c.count; i++) { /* those that are most often the fastest come first */
        const int at = p->m > 128.0 ? c.count - 1 - i : i;
        try_tile(&x, &c.list[at], c.splits ? SPLITS : 1, &best);
    }
    best.time_s +=
        card->is.gemm_kernel_s + (is_quantised(kernel, p) ? p->quantise * quantise_s(&x) : 0.0);
    return best;
}

double df_kernel_gemm_launches(const df_gemm_kernel *kernel, const df_matmul *p)
{
    return is_quantised(kernel, p) ? 2.0 : 1.0;
}

df_tiling df_kernel_gemm(const df_card *card,
                         const df_gemm_kernel *kernel,
                         const df_load *load,
                         const df_matmul *p)
{
    static const df_matmul_bytes usual = {0.0, 0.0};
    return df_kernel_gemm_in(card, kernel, load, p, &usual);
}

double df_kernel_gemm_s(const df_card *card,
                        const df_gemm_kernel *kernel,
                        const df_load *load,
                        const df_matmul *p)
{
    return df_kernel_gemm(card, kernel, load, p).time_s;
}
