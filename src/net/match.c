/* Sends meet receives. */
#include "net/net_impl.h"

#include <stdlib.h>

static uint64_t key_of(const df_net_channel *c)
{
    uint64_t key = ((uint64_t)c->src << 32 | c->dst) * UINT64_C(0xD6E8FEB86659FD93);
    key ^= key >> 32;
    return (key ^ ((uint64_t)c->tag << 32) ^ c->bytes) * UINT64_C(0xD6E8FEB86659FD93);
}

static bool same_key(const df_net_channel *a, const df_net_channel *b)
{
    return a->src == b->src && a->dst == b->dst && a->tag == b->tag && a->bytes == b->bytes;
}

static bool grow_table(df_net_sim *sim)
{
    const uint32_t bits = sim->channel_bits + 1;
    uint32_t *const table = calloc((size_t)1 << bits, sizeof *table);
    if (!table) {
        return false;
    }
    for (size_t i = 0; i < (size_t)1 << sim->channel_bits; i++) {
        for (uint32_t number = sim->channel_table[i]; number != 0;) {
            df_net_channel *const channel = df_net_channel_at(sim, number);
            const uint32_t next = channel->chain;
            uint32_t *const head = &table[df_net_hash(key_of(channel), bits)];
            channel->chain = *head;
            *head = number;
            number = next;
        }
    }
    free(sim->channel_table);
    sim->channel_table = table;
    sim->channel_bits = bits;
    return true;
}

/* Sets the times of a message on a link. Each is truncated once. False: too long. */
static bool set_times(const df_net_sim *sim, df_net_channel *channel)
{
    const double serial_ns = (double)channel->bytes / sim->bytes_per_ns;
    const double travel_ns = sim->network.latency_ns + serial_ns;
    if (!(travel_ns < (double)DF_NET_TIME_MAX)) {
        return false;
    }
    channel->busy_ns = (uint64_t)serial_ns;
    channel->travel_ns = (uint64_t)travel_ns;
    return true;
}

static uint32_t add_channel(df_net_sim *sim, const df_net_channel *wanted)
{
    df_net_channel channel = *wanted;
    if (channel.bytes == 0) {
        df_net_fail(sim, DF_EINVAL,
                    "rank %u: expected messages of at least 1 byte, found one of 0 bytes to rank "
                    "%u (a collective is too small to be cut into so many messages)",
                    channel.src, channel.dst);
        return 0;
    }
    if (!set_times(sim, &channel)) {
        df_net_fail(sim, DF_EINVAL, "rank %u: a message of %.6g bytes takes more than 2^62 ns",
                    channel.src, (double)channel.bytes);
        return 0;
    }
    if (sim->num_channels >> sim->channel_bits != 0 && !grow_table(sim)) {
        df_net_fail_memory(sim);
        return 0;
    }
    const uint32_t number = df_net_pool_take(&sim->channels);
    if (number == 0) {
        df_net_fail_memory(sim);
        return 0;
    }
    uint32_t *const head = &sim->channel_table[df_net_hash(key_of(&channel), sim->channel_bits)];
    channel.chain = *head;
    *df_net_channel_at(sim, number) = channel;
    *head = number;
    sim->num_channels++;
    return number;
}

uint32_t
df_net_channel_hold(df_net_sim *sim, uint32_t src, uint32_t dst, uint32_t tag, uint64_t bytes)
{
    const df_net_channel wanted = {.src = src, .dst = dst, .tag = tag, .bytes = bytes};
    uint32_t number = sim->channel_table[df_net_hash(key_of(&wanted), sim->channel_bits)];
    while (number != 0 && !same_key(df_net_channel_at(sim, number), &wanted)) {
        number = df_net_channel_at(sim, number)->chain;
    }
    if (number == 0) {
        number = add_channel(sim, &wanted);
    }
    df_net_channel_at(sim, number)->references++;
    return number;
}

void df_net_channel_release(df_net_sim *sim, uint32_t number)
{
    const df_net_channel *const channel = df_net_channel_at(sim, number);
    if (number == 0 || --df_net_channel_at(sim, number)->references > 0) {
        return;
    }
    uint32_t *link = &sim->channel_table[df_net_hash(key_of(channel), sim->channel_bits)];
    while (*link != number) {
        link = &df_net_channel_at(sim, *link)->chain;
    }
    *link = channel->chain;
    sim->num_channels--;
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
