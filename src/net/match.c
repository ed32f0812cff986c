/* Sends meet receives. */
#include "net/net_impl.h"

static uint32_t hash_of(const df_net_channel *c)
{
    uint64_t key = ((uint64_t)c->src << 32 | c->dst) * UINT64_C(0xD6E8FEB86659FD93);
    key ^= key >> 32;
    key = (key ^ ((uint64_t)c->tag << 32) ^ c->bytes) * UINT64_C(0xD6E8FEB86659FD93);
    return df_net_hash(key);
}

static bool same_key(const df_net_channel *a, const df_net_channel *b)
{
    return a->src == b->src && a->dst == b->dst && a->tag == b->tag && a->bytes == b->bytes;
}

static uint32_t add_channel(df_net_sim *sim, const df_net_channel *wanted, uint32_t hash)
{
    if (wanted->bytes == 0) {
        df_net_fail(sim, DF_EINVAL,
                    "rank %u: expected messages of at least 1 byte, found one of 0 bytes to rank "
                    "%u (a collective is too small to be cut into so many messages)",
                    wanted->src, wanted->dst);
        return 0;
    }
    const uint32_t number = df_net_pool_take(&sim->channels);
    df_net_channel *const channel = df_net_channel_at(sim, number);
    *channel = *wanted;
    channel->direct_link = df_net_direct_link(sim, wanted->src, wanted->dst);
    if (number == 0 || !df_net_table_add(&sim->channel_table, &sim->channels, number, hash)) {
        df_net_fail_memory(sim);
        return 0;
    }
    return number;
}

uint32_t
df_net_channel_hold(df_net_sim *sim, uint32_t src, uint32_t dst, uint32_t tag, uint64_t bytes)
{
    const df_net_channel wanted = {.src = src, .dst = dst, .tag = tag, .bytes = bytes};
    const uint32_t hash = hash_of(&wanted);
    uint32_t number = df_net_table_first(&sim->channel_table, hash);
    while (number != 0 && !same_key(df_net_channel_at(sim, number), &wanted)) {
        number = df_net_channel_at(sim, number)->hashed.chain;
    }
    if (number == 0) {
        number = add_channel(sim, &wanted, hash);
    }
    df_net_channel_at(sim, number)->references++;
    return number;
}

void df_net_channel_release(df_net_sim *sim, uint32_t number)
{
    if (number == 0 || --df_net_channel_at(sim, number)->references > 0) {
        return;
    }
    df_net_table_remove(&sim->channel_table, &sim->channels, number);
    df_net_pool_give(&sim->channels, number);
}

void df_net_send(df_net_sim *sim, uint32_t channel, uint32_t node)
{
    const uint32_t number = df_net_pool_take(&sim->messages);
    if (number == 0 || channel == 0) {
        df_net_fail_memory(sim);
        return;
    }
    *df_net_message_at(sim, number) =
        (df_net_message){0, channel, df_net_channel_at(sim, channel)->src, node};
    df_net_forward(sim, number);
}

void df_net_receive(df_net_sim *sim, uint32_t channel_number, uint32_t stream, uint32_t node)
{
    const uint32_t number = df_net_pool_take(&sim->receipts);
    if (number == 0 || channel_number == 0) {
        df_net_fail_memory(sim);
        return;
    }
    df_net_channel *const channel = df_net_channel_at(sim, channel_number);
    *df_net_receipt_at(sim, number) = (df_net_receipt){0, stream, channel->dst, node};
    if (channel->arrived > 0) {
        channel->arrived--;
        df_net_channel_release(sim, channel_number); /* of this receive */
        df_net_channel_release(sim, channel_number); /* of the message */
        df_net_schedule(sim, 0, DF_EVENT_RECEIVED, number);
    } else if (channel->first == 0) {
        channel->first = channel->last = number;
    } else {
        df_net_receipt_at(sim, channel->last)->next = number;
        channel->last = number;
    }
}

void df_net_received(df_net_sim *sim, uint32_t number)
{
    const df_net_receipt receipt = *df_net_receipt_at(sim, number);
    df_net_pool_give(&sim->receipts, number);
    if (receipt.stream != 0) {
        df_net_stream_received(sim, receipt.stream);
    } else {
        df_net_end_node(sim, receipt.rank, receipt.node);
    }
}

void df_net_arrive(df_net_sim *sim, uint32_t number)
{
    const df_net_message message = *df_net_message_at(sim, number);
    const df_net_channel *channel = df_net_channel_at(sim, message.channel);
    if (message.at != channel->dst) {
        df_net_forward(sim, number);
        return;
    }
    df_net_pool_give(&sim->messages, number);
    if (message.node != DF_NET_NO_NODE) {
        df_net_end_node(sim, channel->src, message.node);
    }
    df_net_channel *const after = df_net_channel_at(sim, message.channel);
    const uint32_t receipt = after->first;
    if (receipt == 0) {
        after->arrived++;
        return;
    }
    after->first = df_net_receipt_at(sim, receipt)->next;
    df_net_channel_release(sim, message.channel);
    df_net_channel_release(sim, message.channel);
    df_net_received(sim, receipt);
}
