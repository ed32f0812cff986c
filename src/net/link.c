/* Links and routes. A link is one-way, carries one message at a time, and keeps the others
 * in the order in which they came. */
#include "net/net_impl.h"

#include <stdlib.h>
#include <string.h>

bool df_net_links_prepare(df_net_sim *sim)
{
    const uint64_t n = (uint64_t)sim->network.ranks;
    sim->num_links = sim->network.topology == DF_NET_FULLY_CONNECTED ? n * n : 2 * n;
    if (sim->num_links > sim->links_room) {
        free(sim->links);
        sim->links = calloc(sim->num_links, sizeof *sim->links);
        sim->links_room = sim->links ? sim->num_links : 0;
    } else if (sim->links_used) {
        memset(sim->links, 0, sim->links_room * sizeof *sim->links);
    }
    sim->links_used = true;
    return sim->links != NULL;
}

/* The link from a device on the way to dst; *next is the device at its end. */
static uint32_t route(const df_net_sim *sim, uint32_t at, uint32_t dst, uint32_t *next)
{
    const uint32_t n = (uint32_t)sim->network.ranks;
    switch (sim->network.topology) {
    case DF_NET_FULLY_CONNECTED:
        *next = dst;
        return at * n + dst;
    case DF_NET_SWITCH: /* the switch is device n */
        *next = at == n ? dst : n;
        return at == n ? n + dst : at;
    case DF_NET_RING:
        break;
    }
    /* The shorter way; of equal ones, that of increasing ranks. On the way it stays shorter. */
    const uint32_t clockwise = dst >= at ? dst - at : dst + n - at;
    if (n - clockwise < clockwise) {
        *next = at == 0 ? n - 1 : at - 1;
        return 2 * at + 1;
    }
    *next = at + 1 == n ? 0 : at + 1;
    return 2 * at;
}

static void transmit(df_net_sim *sim, uint32_t link, uint32_t message)
{
    const df_net_channel *const channel =
        df_net_channel_at(sim, df_net_message_at(sim, message)->channel);
    sim->links[link].busy = true;
    /* In this order: what arrives at the tick at which the link is free goes first. */
    df_net_schedule(sim, channel->travel_ns, DF_EVENT_ARRIVAL, message);
    df_net_schedule(sim, channel->busy_ns, DF_EVENT_LINK_FREE, link);
}

void df_net_forward(df_net_sim *sim, uint32_t number)
{
    df_net_message *const message = df_net_message_at(sim, number);
    const uint32_t dst = df_net_channel_at(sim, message->channel)->dst;
    const uint32_t link_number = route(sim, message->at, dst, &message->at);
    df_net_link *const link = &sim->links[link_number];
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
    df_net_link *const link = &sim->links[link_number];
    const uint32_t message = link->first;
    link->busy = false;
    if (message != 0) {
        link->first = df_net_message_at(sim, message)->next;
        transmit(sim, link_number, message);
    }
}
