/* Matches sends and receives. A message of a collective is for the one stream of its rank that has
 * its tag; a slot leads to it, and the stream knows what it waits for. Everything else goes through
 * a table: messages of nodes, and those of collectives that arrive before their receive is posted.
 */
#include <stdlib.h>
#include <string.h>

#include "net/net_impl.h"

/* ---- Slots ---- */

bool df_net_slots_prepare(df_net_sim *sim)
{
    enum { ROOM_BITS = 20 };
    const uint64_t ranks = (uint64_t)sim->network.ranks;
    uint32_t bits = 0;
    while (1 << bits < sim->system.active_chunks && ranks << (bits + 1) <= 1 << ROOM_BITS) {
        bits++;
    }
    const uint64_t count = ranks << bits;
    if (count > sim->slots_room) {
        free(sim->slots);
        sim->slots = malloc(count * sizeof *sim->slots);
        sim->slots_room = sim->slots ? count : 0;
    }
    if (!sim->slots) {
        return false;
    }
    memset(sim->slots, 0, count * sizeof *sim->slots);
    sim->slot_bits = bits;
    return true;
}

static df_net_slot *slot_of(const df_net_sim *sim, uint32_t rank, uint32_t tag)
{
    const uint32_t mask = (1U << sim->slot_bits) - 1;
    return &sim->slots[(rank << sim->slot_bits) | (tag & mask)];
}

/* Tags of collectives that wrapped may be those of nodes; they go through the table. */
static bool has_slot(uint32_t tag)
{
    return tag >= DF_NET_TAG_BASE;
}

void df_net_stream_enter(df_net_sim *sim, uint32_t number)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    if (has_slot(s->tag)) {
        df_net_slot *const slot = slot_of(sim, s->rank, s->tag);
        s->chain = slot->stream;
        slot->stream = number;
    }
}

void df_net_stream_leave(df_net_sim *sim, uint32_t number)
{
    const df_net_stream *const s = df_net_stream_at(sim, number);
    if (has_slot(s->tag)) {
        uint32_t *link = &slot_of(sim, s->rank, s->tag)->stream;
        while (*link != number) {
            link = &df_net_stream_at(sim, *link)->chain;
        }
        *link = s->chain;
    }
}

/* The stream with a tag; 0: none. */
static uint32_t stream_of(const df_net_sim *sim, const df_net_slot *slot, uint32_t tag)
{
    uint32_t number = slot->stream;
    while (number != 0 && df_net_stream_at(sim, number)->tag != tag) {
        number = df_net_stream_at(sim, number)->chain;
    }
    return number;
}

/* ---- Table ---- */

static uint32_t hash_of(const df_net_key *k)
{
    uint64_t key = ((uint64_t)k->src << 32 | k->dst) * UINT64_C(0xD6E8FEB86659FD93);
    key ^= key >> 32;
    key = (key ^ ((uint64_t)k->tag << 32) ^ k->bytes) * UINT64_C(0xD6E8FEB86659FD93);
    return df_net_hash(key);
}

static bool same_key(const df_net_key *a, const df_net_key *b)
{
    return a->src == b->src && a->dst == b->dst && a->tag == b->tag && a->bytes == b->bytes;
}

static uint32_t find_channel(const df_net_sim *sim, const df_net_key *key, uint32_t hash)
{
    uint32_t number = df_net_table_first(&sim->channel_table, hash);
    while (number != 0 && !same_key(&df_net_channel_at(sim, number)->key, key)) {
        number = df_net_channel_at(sim, number)->hashed.chain;
    }
    return number;
}

/* The channel of a key, made if it is new; 0 after a failure. */
static uint32_t make_channel(df_net_sim *sim, const df_net_key *key)
{
    const uint32_t hash = hash_of(key);
    const uint32_t found = find_channel(sim, key, hash);
    if (found != 0) {
        return found;
    }
    const uint32_t number = df_net_pool_take(&sim->channels);
    *df_net_channel_at(sim, number) = (df_net_channel){.key = *key};
    if (number == 0 || !df_net_table_add(&sim->channel_table, &sim->channels, number, hash)) {
        df_net_fail_memory(sim);
        return 0;
    }
    return number;
}

static void drop_if_empty(df_net_sim *sim, uint32_t number)
{
    const df_net_channel *const channel = df_net_channel_at(sim, number);
    if (channel->arrived == 0 && channel->first == 0) {
        df_net_table_remove(&sim->channel_table, &sim->channels, number);
        df_net_pool_give(&sim->channels, number);
    }
}

/* Takes a message that has arrived already; false when there is none. */
static bool take_arrived(df_net_sim *sim, const df_net_key *key)
{
    const uint32_t number = find_channel(sim, key, hash_of(key));
    if (number == 0 || df_net_channel_at(sim, number)->arrived == 0) {
        return false;
    }
    df_net_channel_at(sim, number)->arrived--;
    drop_if_empty(sim, number);
    return true;
}

/* ---- Sends and receives ---- */

static bool check_bytes(df_net_sim *sim, const df_net_key *key)
{
    if (key->bytes == 0) {
        df_net_fail(sim, DF_EINVAL,
                    "rank %u: expected messages of at least 1 byte, found one of 0 bytes to rank "
                    "%u (a collective is too small to be cut into so many messages)",
                    (unsigned)key->src, (unsigned)key->dst);
    }
    return key->bytes > 0;
}

void df_net_send(df_net_sim *sim, df_net_key key, uint32_t node, uint32_t place)
{
    if (!check_bytes(sim, &key)) {
        return;
    }
    const uint32_t number = df_net_pool_take(&sim->messages);
    if (number == 0) {
        df_net_fail_memory(sim);
        return;
    }
    *df_net_message_at(sim, number) = (df_net_message){0, node, key, key.src, (uint16_t)place};
    df_net_forward(sim, number);
}

static uint32_t add_receipt(df_net_sim *sim, df_net_receipt receipt)
{
    const uint32_t number = df_net_pool_take(&sim->receipts);
    *df_net_receipt_at(sim, number) = receipt;
    if (number == 0) {
        df_net_fail_memory(sim);
    }
    return number;
}

/* Posts a receive in the table. If its message has arrived already, an event ends the receive. */
static void post(df_net_sim *sim, const df_net_key *key, df_net_receipt receipt)
{
    const uint32_t number = add_receipt(sim, receipt);
    if (take_arrived(sim, key)) {
        df_net_schedule(sim, 0, DF_EVENT_RECEIVED, number);
        return;
    }
    df_net_channel *const channel = df_net_channel_at(sim, make_channel(sim, key));
    if (channel->first == 0) {
        channel->first = number;
    } else {
        df_net_receipt_at(sim, channel->last)->next = number;
    }
    channel->last = number;
}

void df_net_receive(df_net_sim *sim, df_net_key key, uint32_t node)
{
    if (check_bytes(sim, &key)) {
        post(sim, &key, (df_net_receipt){0, 0, key.dst, node});
    }
}

void df_net_stream_receive(df_net_sim *sim, uint32_t number, uint32_t src, int32_t place)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_key key = {s->packet_bytes, s->tag, (uint16_t)src, s->rank};
    if (!has_slot(s->tag)) {
        post(sim, &key, (df_net_receipt){0, number, s->rank, 0});
        return;
    }
    df_net_slot *const slot = slot_of(sim, s->rank, s->tag);
    if (slot->early > 0 && take_arrived(sim, &key)) {
        slot->early--;
        const uint32_t receipt = add_receipt(sim, (df_net_receipt){0, number, s->rank, 0});
        df_net_schedule(sim, 0, DF_EVENT_RECEIVED, receipt);
    } else if (sim->ranks[s->rank].coll.algorithm == DF_NET_ALG_DIRECT) {
        s->awaited_places[place / 64] |= UINT64_C(1) << place % 64;
    } else {
        s->awaited[s->awaited[0] != DF_NET_NOBODY] = (uint16_t)src;
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

/* ---- Arrivals ---- */

/* The place of a rank among the members of a collective, probably `guess`; -1: it is none. */
static int32_t place_of(const df_net_coll *coll, uint32_t rank, int32_t guess)
{
    if (guess < coll->size && df_net_member(coll, guess) == rank) {
        return guess;
    }
    for (int32_t i = 0; i < coll->size; i++) {
        if (df_net_member(coll, i) == rank) {
            return i;
        }
    }
    return -1;
}

/* Whether a stream waits for a message; then it does so no more. */
static bool take_awaited(const df_net_sim *sim, uint32_t number, const df_net_message *m)
{
    df_net_stream *const s = df_net_stream_at(sim, number);
    const df_net_coll *const coll = &sim->ranks[s->rank].coll;
    if (m->key.bytes != s->packet_bytes) {
        return false;
    }
    if (coll->algorithm != DF_NET_ALG_DIRECT) {
        const int which = s->awaited[0] != m->key.src;
        const bool awaited = s->awaited[which] == m->key.src;
        s->awaited[which] = awaited ? DF_NET_NOBODY : s->awaited[which];
        return awaited;
    }
    const int32_t place = place_of(coll, m->key.src, m->place);
    if (place < 0) {
        return false;
    }
    uint64_t *const word = &s->awaited_places[place / 64];
    const uint64_t bit = UINT64_C(1) << place % 64;
    const bool awaited = (*word & bit) != 0;
    *word &= ~bit;
    return awaited;
}

/* A message is left in the table, or meets a receive there. */
static void arrive_in_table(df_net_sim *sim, const df_net_key *key)
{
    const uint32_t number = make_channel(sim, key);
    df_net_channel *const channel = df_net_channel_at(sim, number);
    const uint32_t receipt = channel->first;
    if (receipt == 0) {
        channel->arrived++;
        return;
    }
    channel->first = df_net_receipt_at(sim, receipt)->next;
    drop_if_empty(sim, number);
    df_net_received(sim, receipt);
}

void df_net_arrive(df_net_sim *sim, uint32_t number)
{
    const df_net_message message = *df_net_message_at(sim, number);
    if (message.at != message.key.dst) {
        df_net_forward(sim, number);
        return;
    }
    df_net_pool_give(&sim->messages, number);
    if (message.node != DF_NET_NO_NODE) {
        df_net_end_node(sim, message.key.src, message.node);
    }
    if (!has_slot(message.key.tag)) {
        arrive_in_table(sim, &message.key);
        return;
    }
    df_net_slot *const slot = slot_of(sim, message.key.dst, message.key.tag);
    const uint32_t stream = stream_of(sim, slot, message.key.tag);
    if (stream != 0 && take_awaited(sim, stream, &message)) {
        df_net_stream_received(sim, stream);
    } else {
        slot->early++;
        arrive_in_table(sim, &message.key);
    }
}
