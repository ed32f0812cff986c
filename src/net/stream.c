/* Ring, direct and halving-doubling: one machine for each stream.
 *
 * A packet is put in at the start (as many as the window holds) and after each receipt. It
 * goes through a bundle (a delay, and a reduction where its kind asks for one) and then
 * frees a place; a free place and a waiting packet make a send and the receive that goes
 * with it. The stream ends when all is sent and all places are free again. */
#include "net/net_impl.h"

uint64_t df_net_reduce_ns(const df_net_sim *sim, uint64_t bytes)
{
    if (sim->system.local_mem_gb_ps == 0) {
        return 0;
    }
    const double ns = (double)bytes / (sim->system.local_mem_gb_ps * 1e9) * 1e9;
    /* Two reads and a write. */
    return ns < (double)DF_NET_TIME_MAX / 4 ? 3 * (uint64_t)ns : DF_NET_TIME_MAX;
}

uint64_t df_net_packet_reduce_ns(const df_net_sim *sim, const df_net_stream *s)
{
    const df_net_coll *const coll = &sim->ranks[s->rank].coll;
    return coll->algorithm == DF_NET_ALG_HALVING_DOUBLING ? df_net_reduce_ns(sim, s->packet_bytes)
                                                          : coll->reduce_ns;
}

static const df_net_coll *coll_of(const df_net_sim *sim, const df_net_stream *s)
{
    return &sim->ranks[s->rank].coll;
}

/* Halving-doubling: fills in the packet's peer and size, and turns to the next one. */
static void next_exchange(const df_net_coll *coll, df_net_stream *s)
{
    const int32_t i = coll->position;
    s->packet_bytes = s->next_bytes;
    s->peer = s->distance == 0 ? i : (i & s->distance) == 0 ? i + s->distance : i - s->distance;
    if (s->shrinking) {
        s->distance *= 2;
        s->next_bytes /= 2;
        if (coll->kind == DF_NET_ALL_REDUCE && s->distance == coll->size) {
            s->shrinking = false;
            s->distance /= 2;
            s->next_bytes *= 2;
        }
    } else {
        s->distance /= 2;
        s->next_bytes *= 2;
    }
}

static void insert(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = coll_of(sim, s);
    if (s->plain_left == 0 && s->reduced_left == 0) {
        s->plain_left = coll->window;
        s->reduced_left = coll->round;
        s->second_half = !s->second_half;
    }
    s->waiting++;
    bool reduced = false;
    if (s->plain_left > 0) {
        s->plain_left--;
    } else {
        reduced = coll->kind == DF_NET_REDUCE_SCATTER ||
                  (coll->kind == DF_NET_ALL_REDUCE && s->second_half);
        s->reduced_left--;
    }
    if (coll->algorithm == DF_NET_ALG_HALVING_DOUBLING) {
        next_exchange(coll, s);
    }
    df_net_do_later(sim, s->rank, coll->delay_ns, reduced ? DF_DO_REDUCE : DF_DO_STREAM, number);
}

static void start(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = coll_of(sim, s);
    const bool gather = coll->kind == DF_NET_ALL_GATHER;
    s->sends_left = coll->sends;
    s->distance = 1;
    if (coll->algorithm == DF_NET_ALG_HALVING_DOUBLING) {
        s->shrinking = !gather;
        s->distance = gather ? coll->size / 2 : 1;
        s->next_bytes = gather ? coll->data_bytes : coll->data_bytes / 2;
    } else {
        s->packet_bytes = gather ? coll->data_bytes : coll->data_bytes / (uint64_t)coll->size;
    }
    for (int32_t i = 0; i < coll->window; i++) {
        insert(sim, number);
    }
}

static int32_t wrap(const df_net_coll *coll, int32_t position)
{
    return position < 0             ? position + coll->size
           : position >= coll->size ? position - coll->size
                                    : position;
}

/* Sends to a member and posts the receive from another, in this order. */
static void exchange(df_net_sim *sim, uint32_t number, int32_t to, int32_t from)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = coll_of(sim, s);
    const uint32_t src = df_net_member(coll, from);
    const df_net_key key = {s->packet_bytes, s->tag, s->rank, (uint16_t)df_net_member(coll, to)};
    df_net_send(sim, key, DF_NET_NO_NODE, (uint32_t)coll->position);
    df_net_stream_receive(sim, number, src, from);
}

static void try_send(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    if (s->waiting == 0 || s->sends_left == 0 || s->free == 0) {
        return;
    }
    s->waiting--;
    s->sends_left--;
    s->free--;
    const df_net_coll *const coll = coll_of(sim, s);
    if (coll->algorithm == DF_NET_ALG_HALVING_DOUBLING) {
        exchange(sim, number, s->peer, s->peer);
        return;
    }
    const int32_t to = wrap(coll, coll->position + s->distance);
    const int32_t from = wrap(coll, coll->position - s->distance);
    if (coll->algorithm == DF_NET_ALG_DIRECT) {
        s->distance = s->distance + 1 == coll->size ? 1 : s->distance + 1; /* oneself is skipped */
    }
    exchange(sim, number, to, from);
}

static void bundled(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = coll_of(sim, s);
    s->free++;
    if (coll->algorithm == DF_NET_ALG_DIRECT && coll->kind == DF_NET_ALL_REDUCE &&
        s->sends_left <= coll->size - 1) {
        if (s->received < coll->size - 1) {
            return; /* the second phase starts when the first has come in whole */
        }
        for (int32_t i = 0; i < coll->window && s->waiting > 0 && s->free > 0; i++) {
            try_send(sim, number);
        }
    } else {
        try_send(sim, number);
    }
    if (s->sends_left == 0 && s->free == coll->window) {
        df_net_stream_end(sim, number);
    }
}

static void received(df_net_sim *sim, uint32_t number)
{
    df_net_stream_at(sim, number)->received++;
    insert(sim, number);
}

const df_net_machine df_net_window_machine = {start, received, bundled};
