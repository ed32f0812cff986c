/* Links and routes. A link is one-way, carries one message at a time, and keeps the others
 * in the order in which they came. */
#include "net/net_impl.h"

/* Links start at 1, as items of a pool do. Ring: 1 + 2i goes from i to i+1, the next one from
 * i to i-1. Switch: 1 + i goes from i up, 1 + n + i down to i. Fully connected: in the order in
 * which they are first used, since there are many of them. */
static bool add_link(df_net_sim *sim, uint32_t from, uint32_t to)
{
    const uint32_t number = df_net_pool_take(&sim->links);
    *df_net_link_at(sim, number) = (df_net_link){.use = {.from = (int32_t)from, .to = (int32_t)to}};
    return number != 0;
}

bool df_net_links_prepare(df_net_sim *sim)
{
    const uint32_t n = (uint32_t)sim->network.ranks;
    const uint32_t the_switch = n;
    bool made = true;
    df_net_pool_clear(&sim->links);
    df_net_table_clear(&sim->link_table);
    switch (sim->network.topology) {
    case DF_NET_RING:
        for (uint32_t i = 0; i < n && made; i++) {
            made =
                add_link(sim, i, i + 1 < n ? i + 1 : 0) && add_link(sim, i, i > 0 ? i - 1 : n - 1);
        }
        break;
    case DF_NET_SWITCH:
        for (uint32_t i = 0; i < 2 * n && made; i++) {
            made = i < n ? add_link(sim, i, the_switch) : add_link(sim, the_switch, i - n);
        }
        break;
    case DF_NET_FULLY_CONNECTED:
        break;
    }
    return made;
}

/* The link between two ranks of a fully connected network; 0 after a failure. */
static uint32_t direct_link(df_net_sim *sim, uint32_t src, uint32_t dst)
{
    const uint32_t hash = df_net_hash((uint64_t)src << 32 | dst);
    for (uint32_t number = df_net_table_first(&sim->link_table, hash); number != 0;) {
        const df_net_link *const link = df_net_link_at(sim, number);
        if (link->use.from == (int32_t)src && link->use.to == (int32_t)dst) {
            return number;
        }
        number = link->hashed.chain;
    }
    const uint32_t number = sim->links.count;
    if (!add_link(sim, src, dst) ||
        !df_net_table_add(&sim->link_table, &sim->links, number, hash)) {
        df_net_fail_memory(sim);
        return 0;
    }
    return number;
}

/* The link from a device towards a rank; *next is the device at its end. */
static uint32_t route(df_net_sim *sim, uint32_t at, uint32_t dst, uint32_t *next)
{
    const uint32_t n = (uint32_t)sim->network.ranks;
    switch (sim->network.topology) {
    case DF_NET_FULLY_CONNECTED:
        *next = dst;
        return direct_link(sim, at, dst);
    case DF_NET_SWITCH: /* is device n */
        *next = at == n ? dst : n;
        return 1 + (at == n ? n + dst : at);
    case DF_NET_RING:
        break;
    }
    /* The shorter way; of equal ones, that of increasing ranks. On the way it stays shorter. */
    const uint32_t clockwise = dst >= at ? dst - at : dst + n - at;
    if (n - clockwise < clockwise) {
        *next = at == 0 ? n - 1 : at - 1;
        return 1 + 2 * at + 1;
    }
    *next = at + 1 == n ? 0 : at + 1;
    return 1 + 2 * at;
}

/* Sets sim->times to those of a message on a link. Each is truncated once. */
static bool find_times(df_net_sim *sim, uint64_t bytes)
{
    if (bytes == sim->times.bytes) {
        return true; /* most messages have the size of the one before */
    }
    const double serial_ns = (double)bytes / sim->bytes_per_ns;
    const double travel_ns = sim->network.latency_ns + serial_ns;
    if (!(travel_ns < (double)DF_NET_TIME_MAX)) {
        return false;
    }
    sim->times = (df_net_times){bytes, (uint64_t)serial_ns, (uint64_t)travel_ns};
    return true;
}

static void observe_transfer(df_net_sim *sim, const df_net_link *link, const df_net_key *key)
{
    const df_net_transfer transfer = {
        .from = link->use.from,
        .to = link->use.to,
        .src = (int32_t)key->src,
        .dst = (int32_t)key->dst,
        .tag = key->tag,
        .bytes = key->bytes,
        .start_ns = sim->now_ns,
        .free_ns = sim->now_ns + sim->times.busy_ns,
        .arrival_ns = sim->now_ns + sim->times.travel_ns,
    };
    sim->observer.transfer(sim->observer.context, &transfer);
}

static void transmit(df_net_sim *sim, uint32_t link_number, uint32_t message)
{
    df_net_link *const link = df_net_link_at(sim, link_number);
    const df_net_key *const key = &df_net_message_at(sim, message)->key;
    if (!find_times(sim, key->bytes)) {
        df_net_fail(sim, DF_EINVAL, "rank %u: a message of %.6g bytes takes more than 2^62 ns",
                    (unsigned)key->src, (double)key->bytes);
        return;
    }
    link->busy = true;
    link->use.messages++;
    link->use.bytes += key->bytes;
    link->use.busy_ns += sim->times.busy_ns;
    /* The order matters: a message that arrives at the tick at which the link becomes free goes
     * first. */
    df_net_schedule(sim, sim->times.travel_ns, DF_EVENT_ARRIVAL, message);
    df_net_schedule(sim, sim->times.busy_ns, DF_EVENT_LINK_FREE, link_number);
    if (sim->observer.transfer) {
        observe_transfer(sim, link, key);
    }
}

void df_net_forward(df_net_sim *sim, uint32_t number)
{
    df_net_message *const message = df_net_message_at(sim, number);
    uint32_t next;
    const uint32_t link_number = route(sim, message->at, message->key.dst, &next);
    message->at = (uint16_t)next;
    df_net_link *const link = df_net_link_at(sim, link_number);
    if (!link->busy) {
        transmit(sim, link_number, number);
        return;
    }
    message->next = 0;
    if (link->first == 0) {
        link->first = number;
    } else {
        df_net_message_at(sim, link->last)->next = number;
    }
    link->last = number;
}

void df_net_link_free(df_net_sim *sim, uint32_t link_number)
{
    df_net_link *const link = df_net_link_at(sim, link_number);
    const uint32_t message = link->first;
    link->busy = false;
    if (message != 0) {
        link->first = df_net_message_at(sim, message)->next;
        transmit(sim, link_number, message);
    }
}
