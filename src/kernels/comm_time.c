/* Collectives inside a node: docs/calibrated.md. */
#include <math.h>

#include "kernels/kernels.h"

/* A protocol: a start and steps, counted in hops, and a share of the links. */
typedef struct {
    double hops, share, fill; /* fill: hops until its pipeline is full */
} protocol;

/* What all protocols of a collective have in common. */
typedef struct {
    const df_card *card;
    double sent_bytes; /* of each member, with its own share where that is copied */
    double bytes_ps;
} traffic;

static double protocol_s(const traffic *x, const protocol *p)
{
    const df_card *const card = x->card;
    const double half_full_bytes = card->shared.c_vS * card->link_bytes_ps;
    const double fill = p->fill * x->sent_bytes / (x->sent_bytes + half_full_bytes);
    return card->is.collective_start_s + (p->hops + fill) * card->is.collective_hop_s +
           x->sent_bytes / (x->bytes_ps * p->share);
}

static traffic traffic_of(const df_card *card, df_comm_kind kind, double n, double bytes)
{
    const df_calibration_shared *const c = &card->shared;
    const bool reduces = kind == DF_COMM_ALL_REDUCE;
    const double passes = reduces ? 2.0 : 1.0;
    const double copied = reduces ? 2.0 * c->c_xr : c->c_xo;
    double share = card->is.collective_bandwidth;
    if (kind == DF_COMM_ALL_TO_ALL) {
        share *= card->is.collective_all_to_all;
    } else if (kind == DF_COMM_ALL_GATHER) {
        share *= c->c_bg;
    }
    return (traffic){.card = card,
                     .sent_bytes = passes * (n - 1.0) / n * bytes + copied * bytes / n,
                     .bytes_ps = card->link_bytes_ps * share};
}

static double all_to_all_s(const traffic *x, double n)
{
    const df_calibration_shared *const c = &x->card->shared;
    const double doublings = c->c_lA * log2(n);
    return fmin(protocol_s(x, &(protocol){c->c_tA + doublings, c->c_bA, 0.0}),
                protocol_s(x, &(protocol){c->c_tB + doublings, 1.0, c->c_aB}));
}

/* NCCL's protocols LL, LL128 and Simple. */
static double ring_s(const traffic *x, bool reduces, double n)
{
    const df_calibration_shared *const c = &x->card->shared;
    const double steps = (reduces ? 2.0 : 1.0) * (n - 1.0);
    const protocol low = {steps * c->c_sLL + (reduces ? c->c_red : 0.0),
                          x->card->is.collective_low_latency, 0.0};
    const protocol middle = {c->c_tM + steps * c->c_sM, c->c_bM, 0.0};
    const protocol simple = {c->c_tS + steps * c->c_sS, 1.0, c->c_aS};
    return fmin(protocol_s(x, &low), fmin(protocol_s(x, &middle), protocol_s(x, &simple)));
}

/* The switch adds up: NVLink SHARP. */
static double in_switch_s(const df_card *card, double n, double bytes)
{
    return card->is.collective_start_s + card->shared.c_tN * card->is.collective_hop_s +
           bytes * (1.0 + 1.0 / n) / (card->link_bytes_ps * card->shared.c_bN);
}

static double nccl_s(const df_card *card, df_comm_kind kind, double n, double bytes)
{
    const double least_members = 8.0; /* that NCCL reduces in the switch for */
    const traffic x = traffic_of(card, kind, n, bytes);
    if (kind == DF_COMM_ALL_TO_ALL) {
        return all_to_all_s(&x, n);
    }
    const bool reduces = kind == DF_COMM_ALL_REDUCE;
    const double s = ring_s(&x, reduces, n);
    return reduces && card->in_switch && n >= least_members ? fmin(s, in_switch_s(card, n, bytes))
                                                            : s;
}

/* An all-reduce of a serving engine in a graph: each member reads the buffers of all, or a part of
 * them and the sums of the others. */
static double own_all_reduce_s(const df_card *card, bool sglang, double n, double bytes)
{
    const df_calibration_shared *const c = &card->shared;
    const df_calibration *const is = &card->is;
    const double start_s =
        (sglang ? is->collective_one_shot_sglang_s : is->collective_one_shot_trtllm_s) +
        (sglang ? c->c_psg : c->c_ptr) * is->collective_hop_s * (n - 2.0);
    const double one_s =
        start_s + (n - 1.0) * bytes / (card->link_bytes_ps * is->collective_one_shot);
    const double two_s =
        start_s + c->c_t2 * is->collective_hop_s +
        2.0 * (n - 1.0) / n * bytes / (card->link_bytes_ps * is->collective_two_shot);
    return sglang ? fmin(one_s, two_s) : one_s;
}

double df_kernel_comm_s(
    const df_card *card, df_comm_library library, df_comm_kind kind, double n, double bytes)
{
    if (!(n > 1.0) || !(bytes > 0.0)) {
        return 0.0;
    }
    if (!(card->link_bytes_ps > 0.0)) {
        return HUGE_VAL;
    }
    const double s = nccl_s(card, kind, n, bytes);
    const bool own = library != DF_COMM_NCCL && kind == DF_COMM_ALL_REDUCE;
    return own && bytes <= card->shared.c_max
               ? fmin(s, own_all_reduce_s(card, library == DF_COMM_SGLANG, n, bytes))
               : s;
}

double df_kernel_stream_s(const df_card *card, double share, double bytes, double kernels)
{
    return bytes / (card->dram_bytes_ps * share) + kernels * card->is.gemm_kernel_s;
}
