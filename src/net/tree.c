/* Double binary tree: the data goes up to the root and comes back, whole.
 *
 * Each tree has a root with one child, the top of a complete binary tree of the others,
 * which are numbered in order: 1 ... n-1, leaves odd. In tree 0 number v is rank v-1 and the
 * root is rank n-1; in tree 1 it is rank v, and the root is rank 0. n = 8:
 *
 *             root
 *              |
 *              4
 *          2       6
 *         1 3     5 7
 */
#include "net/net_impl.h"

enum { ROOT = 0 };

typedef struct {
    int32_t parent, left, right; /* ROOT, or a number; of the root, left is its child */
} relatives;

static int32_t number_of(const df_net_stream *s, int32_t size)
{
    const int32_t rank = (int32_t)s->rank;
    if (!s->second_tree) {
        return rank == size - 1 ? ROOT : rank + 1;
    }
    return rank;
}

static uint32_t rank_of(const df_net_stream *s, int32_t size, int32_t number)
{
    if (!s->second_tree) {
        return (uint32_t)(number == ROOT ? size - 1 : number - 1);
    }
    return (uint32_t)number;
}

static bool is_leaf(int32_t number)
{
    return number % 2 == 1;
}

static relatives find_relatives(int32_t v, int32_t size)
{
    if (v == ROOT) {
        return (relatives){ROOT, size / 2, ROOT};
    }
    const int32_t step = v & -v; /* 1 for leaves, twice as much on each level above */
    const bool left_child = v / step % 4 == 1;
    relatives r = {left_child ? v + step : v - step, v - step / 2, v + step / 2};
    if (v == size / 2) {
        r.parent = ROOT;
    }
    return r;
}

static void send(df_net_sim *sim, uint32_t number, int32_t to)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = &sim->ranks[s->rank].coll;
    const uint32_t dst = rank_of(s, coll->size, to);
    const df_net_key key = {s->packet_bytes, s->tag, s->rank, (uint16_t)dst};
    df_net_send(sim, key, DF_NET_NO_NODE, s->rank);
}

static void receive(df_net_sim *sim, uint32_t number, int32_t from)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = &sim->ranks[s->rank].coll;
    const uint32_t src = rank_of(s, coll->size, from);
    df_net_stream_receive(sim, number, src, (int32_t)src);
}

static void bundle(df_net_sim *sim, uint32_t number, bool reduced)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    df_net_do_later(sim, s->rank, sim->ranks[s->rank].coll.delay_ns,
                    reduced ? DF_DO_REDUCE : DF_DO_STREAM, number);
}

static void start(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = &sim->ranks[s->rank].coll;
    const int32_t v = number_of(s, coll->size);
    const relatives r = find_relatives(v, coll->size);
    s->packet_bytes = coll->data_bytes;
    if (v == ROOT) {
        receive(sim, number, r.left);
    } else if (is_leaf(v)) {
        bundle(sim, number, false);
    } else {
        receive(sim, number, r.left);
        receive(sim, number, r.right);
    }
}

static void received(df_net_sim *sim, uint32_t number)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    const int32_t size = sim->ranks[s->rank].coll.size;
    bundle(sim, number, !is_leaf(number_of(s, size)));
}

/* Leaf: up, then the end. Root: down and the end. Others: nothing, up, down and the end. */
static void bundled(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const int32_t size = sim->ranks[s->rank].coll.size;
    const int32_t v = number_of(s, size);
    const relatives r = find_relatives(v, size);
    const int32_t step = s->received++;
    if (v == ROOT) {
        send(sim, number, r.left);
        df_net_stream_end(sim, number);
    } else if (step == (is_leaf(v) ? 0 : 1)) {
        send(sim, number, r.parent);
        receive(sim, number, r.parent);
    } else if (step > 0) {
        if (!is_leaf(v)) {
            send(sim, number, r.left);
            send(sim, number, r.right);
        }
        df_net_stream_end(sim, number);
    }
}

const df_net_machine df_net_tree_machine = {start, received, bundled};
