/* cfg_calibration.h: what a card reaches of its data sheet, and the times of its software stack, as
 * keys of the section `calibration`, a line each: here they become structs, in cfg_table.c rows of
 * the table of options, in src/kernels the constants of measured architectures.
 *
 * Sources: fitted to kernels that were measured on A100 SXM, H100 SXM and L40S (GEMM, attention,
 * expert layers, NCCL and engines' all-reduce; configs/validation has the rows), in one fit for all
 * three; docs/calibrated.md has the equations, and how well they hold on rows and devices that were
 * not fitted. */
#ifndef DF_CFG_CALIBRATION_H
#define DF_CFG_CALIBRATION_H

/* XX(section, field, key, unit, range, A100's, H100's and L40S's value, meaning). Where a file
 * gives none, that of the architecture `like` stands in. */
#define DF_CALIBRATION_KEYS(XX)                                                                    \
    XX(gemm, kernel_s, "gemm.kernel", "s", ABOVE_0, 2.531e-06, 2.432e-06, 1.615e-06,               \
       "one kernel in a graph: start, fill and drain")                                             \
    XX(gemm, tensor, "gemm.tensor", "", ABOVE_0, 0.9309, 0.9342, 0.8423,                           \
       "rate of the main loop over the data sheet's peak")                                         \
    XX(gemm, throttle, "gemm.throttle", "", FROM_0, 0.05764, 0.2829, 0.605,                        \
       "slowdown of long products by the clock under power")                                       \
    XX(gemm, dram, "gemm.dram", "", ABOVE_0, 0.7656, 0.8245, 0.7707,                               \
       "DRAM bandwidth that is reached over the data sheet's")                                     \
    XX(gemm, l2_share, "gemm.l2_share", "", ABOVE_0, 0.6242, 2.1, 1.586,                           \
       "rate at which a bundle takes in tiles over its share of the L2's bandwidth")               \
    XX(prefill, fixed_s, "prefill.fixed", "s", ABOVE_0, 9.397e-06, 6.013e-06, 1.63e-06,            \
       "launches of attention and of the cache's write")                                           \
    XX(prefill, tensor, "prefill.tensor", "", ABOVE_0, 0.8026, 1.004, 0.9266,                      \
       "rate of the inner loop over the peak")                                                     \
    XX(prefill, wide_head, "prefill.wide_head", "", ABOVE_0, 0.9, 0.971, 0.7627,                   \
       "the same for heads wider than 128, relative")                                              \
    XX(prefill, tile_s, "prefill.tile", "s", ABOVE_0, 4.03e-06, 4.989e-06, 2.849e-06,              \
       "start and end of a tile")                                                                  \
    XX(prefill, dram, "prefill.dram", "", ABOVE_0, 0.5594, 0.6324, 0.9109,                         \
       "bandwidth of queries, keys, values and outputs over the DRAM's")                           \
    XX(prefill, order, "prefill.order", "", ABOVE_0, 2.889, 1.397, 2.677,                          \
       "how much the order of unequal tiles lengthens the end")                                    \
    XX(decode, fixed_s, "decode.fixed", "s", ABOVE_0, 6.138e-06, 3.66e-06, 4.6e-07,                \
       "launches of attention and of the cache's append")                                          \
    XX(decode, dram, "decode.dram", "", ABOVE_0, 0.8578, 0.9554, 0.8376,                           \
       "DRAM bandwidth that is reached over the data sheet's")                                     \
    XX(decode, sm_bytes_per_cycle, "decode.sm_bytes_per_cycle", "B", ABOVE_0, 16.99, 24.15, 20.67, \
       "most bytes that a bundle reads from memory in a cycle")                                    \
    XX(moe, fixed_s, "moe.fixed", "s", ABOVE_0, 3.994e-05, 3.034e-05, 9.24e-06,                    \
       "all launches of an expert layer")                                                          \
    XX(moe, tensor, "moe.tensor", "", ABOVE_0, 0.3253, 0.247, 0.2685,                              \
       "rate of the grouped product over the peak")                                                \
    XX(moe, dram, "moe.dram", "", ABOVE_0, 0.851, 0.9062, 0.7823,                                  \
       "DRAM bandwidth that is reached over the data sheet's")                                     \
    XX(collective, start_s, "collective.start", "s", ABOVE_0, 8.54e-06, 4.593e-06, 4.511e-06,      \
       "start of a collective")                                                                    \
    XX(collective, hop_s, "collective.hop", "s", ABOVE_0, 1e-06, 7.848e-07, 7.275e-07,             \
       "one step between devices")                                                                 \
    XX(collective, bandwidth, "collective.bandwidth", "", ABOVE_0, 0.7363, 0.8448, 0.8075,         \
       "share of the links that the bandwidth protocol reaches")                                   \
    XX(collective, all_to_all, "collective.all_to_all", "", ABOVE_0, 0.9587, 0.9497, 1.153,        \
       "the same of an all-to-all, relative")                                                      \
    XX(collective, low_latency, "collective.low_latency", "", ABOVE_0, 0.06328, 0.0253, 0.2016,    \
       "the same of the low-latency protocol, relative")                                           \
    XX(collective, one_shot_sglang_s, "collective.one_shot_sglang", "s", ABOVE_0, 5.022e-06,       \
       4.414e-06, 5.108e-06, "start of sglang's one-shot all-reduce")                              \
    XX(collective, one_shot_trtllm_s, "collective.one_shot_trtllm", "s", ABOVE_0, 4.25e-06,        \
       2.684e-06, 7e-06, "start of TensorRT-LLM's one-shot all-reduce")                            \
    XX(collective, one_shot, "collective.one_shot", "", ABOVE_0, 0.4871, 0.6058, 0.3621,           \
       "share of the links in one shot")                                                           \
    XX(collective, two_shot, "collective.two_shot", "", ABOVE_0, 0.7371, 0.6672, 0.6,              \
       "share of the links in two shots")

/* XX(symbol, unit, value, meaning) of what all devices have in common: calibration.shared.SYMBOL.
 * g_: products, p_: attention of prompts, d_: of single tokens, m_: expert layers, c_: collectives.
 */
#define DF_CALIBRATION_SHARED(XX)                                                                  \
    XX(g_tau, "s", 0.00119, "time of a product at which half of its slowdown is there")            \
    XX(g_tsp, "s", 2.678e-06, "fixed time of a split along k")                                     \
    XX(g_bsp, "", 1.917, "rate of adding up partial sums over the L2's bandwidth")                 \
    XX(g_cl2, "", 0.717, "part of the L2 that holds operands for reuse")                           \
    XX(g_al, "", 0.6813, "weight of whole waves against fractional ones")                          \
    XX(g_pn, "", 3, "exponent that joins tensor and DRAM time")                                    \
    XX(g_kf, "", 147.3, "fill and drain of the tile pipeline, as elements of k")                   \
    XX(g_lam, "cycles", 164.2, "least time of a step of 128 bytes along k")                        \
    XX(g_lamb, "cycles", 351.1, "the same with block scales")                                      \
    XX(g_gm, "tiles", 10, "rows of tiles that run side by side in swizzled kernels")               \
    XX(g_bl2, "", 0.2182, "bandwidth from a resident L2 over its data sheet's")                    \
    XX(g_wsk, "", 1, "working set over the L2 at which half comes from the DRAM")                  \
    XX(g_eff8, "", 0.7391, "rate of fp8 and nvfp4 over the peak, relative")                        \
    XX(g_effb, "", 0.9076, "the same of block-scaled fp8")                                         \
    XX(g_phi8, "", 0.7732, "throttle of fp8 and nvfp4, relative")                                  \
    XX(g_rq8, "launches", 1.193, "fixed time of quantising")                                       \
    XX(g_rqb, "launches", 0.8198, "the same with block scales")                                    \
    XX(g_bq, "", 0.6603, "bandwidth of quantising over the DRAM's")                                \
    XX(g_bqb, "", 0.2855, "the same with block scales")                                            \
    XX(g_qh, "", 0.5241, "part of quantising that remains when the operand is in the L2")          \
    XX(g_ql2, "", 0.1072, "part of the L2 that counts as holding it")                              \
    XX(p_ew, "", 1.046, "bandwidth of the cache's write over the DRAM's")                          \
    XX(p_tf, "", 0.797, "part of a tile's time that rows and head width do not change")            \
    XX(p_eff8, "", 0.7103, "rate of fp8 over its own peak, relative")                              \
    XX(p_cx, "", 0.5, "part of the exponentials that is not hidden")                               \
    XX(p_al, "", 0.4153, "weight of whole waves")                                                  \
    XX(p_tsp, "s", 3.363e-05, "time of splitting the keys of a prompt")                            \
    XX(p_pm, "", 8, "exponent that joins compute and memory")                                      \
    XX(p_phi, "", 1, "throttle of attention, relative")                                            \
    XX(d_tile, "s", 3.656e-06, "latency of a block: page table, keys, values, result")             \
    XX(d_gq, "", 1.378, "the same with several query heads on a key/value head, relative")         \
    XX(d_tf, "", 0.7157, "part of d_tile that the head's width does not change")                   \
    XX(d_tw, "", 0.578, "part of d_tile that each further block of a bundle takes")                \
    XX(d_pn, "", 3, "exponent that joins")                                                         \
    XX(d_wsk, "", 1.615, "as g_wsk")                                                               \
    XX(d_bl2, "", 0.5341, "as g_bl2")                                                              \
    XX(d_tsp, "launches", 1, "fixed time of a split along the keys")                               \
    XX(d_bsp, "", 0.2209, "bandwidth of combining over the L2's")                                  \
    XX(d_tq, "launches", 1.892, "quantising with an fp8 cache")                                    \
    XX(d_ed8, "", 0.9485, "DRAM bandwidth with an fp8 cache, relative")                            \
    XX(d_e0, "cycles", 10.72, "converting a position of an fp8 cache (H100's kernel)")             \
    XX(d_e1, "cycles", 0.08372, "the same for each element of the head's width")                   \
    XX(d_cp, "launches", 2.701, "packing copies (A100's kernel)")                                  \
    XX(d_kap, "", 1.3,                                                                             \
       "what a bundle can pull over its share of the DRAM, of an unmeasured device")               \
    XX(m_kb, "", 1.943, "rate at which a bundle takes in tiles, relative to a product's")          \
    XX(m_kpl, "", 0.9595, "active experts under skewed routing")                                   \
    XX(m_pad, "", 0.296, "padding under skewed routing, blocks")                                   \
    XX(m_eff8, "", 1.261, "rate of block-scaled fp8 over its own peak, relative")                  \
    XX(m_tile, "s", 2.003e-07, "start and end of a tile")                                          \
    XX(m_occ, "", 4, "tiles that share a bundle")                                                  \
    XX(m_lam, "cycles", 399.5, "time of a step of 128 bytes along k")                              \
    XX(m_pn, "", 3, "exponent that joins")                                                         \
    XX(m_wsk, "", 1, "as g_wsk")                                                                   \
    XX(m_ew, "", 0.5563, "bandwidth of activation, scatter and sum over the DRAM's")               \
    XX(c_bg, "", 0.9292, "share of the links in an all-gather, relative")                          \
    XX(c_bM, "", 0.5489, "bandwidth of the middle protocol, relative")                             \
    XX(c_bA, "", 0.04001, "bandwidth of an all-to-all's low-latency protocol, relative")           \
    XX(c_xr, "", 0.2071, "own share that is copied, all-reduce")                                   \
    XX(c_xo, "", 0.3107, "the same of other operations")                                           \
    XX(c_sLL, "hops", 0.9589, "a step of the low-latency protocol")                                \
    XX(c_red, "hops", 0.153, "the addition of an all-reduce, low latency")                         \
    XX(c_tM, "hops", 1.47, "start of the middle protocol")                                         \
    XX(c_sM, "hops", 1.085, "a step of it")                                                        \
    XX(c_tS, "hops", 4.674, "start of the bandwidth protocol")                                     \
    XX(c_sS, "hops", 1.432, "a step of it")                                                        \
    XX(c_aS, "hops", 34.62, "filling its pipeline")                                                \
    XX(c_vS, "s", 1.981e-05, "volume at which half the pipeline is filled, as time on the link")   \
    XX(c_tA, "hops", 2.115, "start of an all-to-all, low latency")                                 \
    XX(c_lA, "hops", 0.4465, "an all-to-all for each doubling of the members")                     \
    XX(c_tB, "hops", 7.366, "start of an all-to-all, bandwidth")                                   \
    XX(c_aB, "hops", 26.45, "filling its pipeline")                                                \
    XX(c_tN, "hops", 84.3, "start of a reduction in the switch")                                   \
    XX(c_bN, "", 0.6596, "share of the links that it reaches")                                     \
    XX(c_psg, "hops", 0.1076, "each device above 2, sglang")                                       \
    XX(c_ptr, "hops", 0.1411, "the same, TensorRT-LLM")                                            \
    XX(c_t2, "hops", 6.355, "second barrier of two shots")                                         \
    XX(c_max, "B", 9000000.0, "largest buffer of the engines' kernels")

typedef enum { DF_ARCH_A100, DF_ARCH_H100, DF_ARCH_L40S, DF_ARCHS } df_arch;

/* What the constants of a device rest on: measured there, on the same chip with another memory or
 * other links, or on another architecture. */
typedef enum { DF_BASIS_MEASURED, DF_BASIS_SISTER, DF_BASIS_RULE } df_basis;

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */
#define FIELD(section, name, ...) double section##_##name;
#define SYMBOL(name, ...) double name;
/* NOLINTEND(bugprone-macro-parentheses) */

/* Of one device. */
typedef struct {
    DF_CALIBRATION_KEYS(FIELD)
} df_calibration;

/* Of all. */
typedef struct {
    DF_CALIBRATION_SHARED(SYMBOL)
} df_calibration_shared;

#undef FIELD
#undef SYMBOL

/* Room for a text, with its end. */
enum { DF_CFG_TEXT = 256 };

/* As a file has it: what it does not give is DF_CALIBRATION_ABSENT. */
#define DF_CALIBRATION_ABSENT (-1.0)
typedef struct {
    df_arch like;
    int basis; /* a df_basis, or -1: not given */
    df_calibration own;
    df_calibration_shared shared;
    char source[DF_CFG_TEXT]; /* where, when and by whom it was measured; "": not given */
} df_cfg_calibration;

#endif
