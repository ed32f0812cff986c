#include "support/net_random.h"

#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = 9, GROUPS_MAX = 3, OPERATIONS_MAX = 40, NODES_MAX = 4 * OPERATIONS_MAX };

uint32_t df_random_below(df_random *random, uint32_t bound)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return bound > 0 ? (uint32_t)((random->state >> 33) % bound) : 0;
}

static bool chance(df_random *random, uint32_t percent)
{
    return df_random_below(random, 100) < percent;
}

/* What a rank has so far. */
typedef struct {
    uint64_t ids[NODES_MAX];
    uint32_t count;
    uint64_t last_collective;
    uint64_t sends[NODES_MAX]; /* since then */
    uint32_t num_sends;
    uint64_t last_alike_send[RANKS_MAX], last_alike_receive[RANKS_MAX]; /* by peer */
} history;

typedef struct {
    df_random *random;
    df_net_case c;
    history ranks[RANKS_MAX];
    uint64_t next_id;
    uint32_t next_tag;
    bool plain;
} maker;

typedef struct {
    uint64_t id[NODES_MAX];
    int32_t count;
} dep_list;

static void depend(dep_list *deps, uint64_t id)
{
    if (id != NO_DEP) {
        deps->id[deps->count++] = id;
    }
}

/* Up to two nodes of the rank. */
static void depend_on_any(maker *m, int32_t rank, dep_list *deps)
{
    const history *const h = &m->ranks[rank];
    for (uint32_t i = df_random_below(m->random, 3); i > 0 && h->count > 0; i--) {
        depend(deps, h->ids[df_random_below(m->random, h->count)]);
    }
}

static uint64_t add(maker *m, int32_t rank, df_net_node *node, const dep_list *deps)
{
    history *const h = &m->ranks[rank];
    node->id = m->next_id;
    node->deps = deps->id;
    node->num_deps = deps->count;
    df_net_case_add(&m->c, rank, node);
    h->ids[h->count++] = node->id;
    /* Ids have gaps, and are not the same on all ranks. */
    m->next_id += 1 + df_random_below(m->random, 3);
    return node->id;
}

/* ---- Operations ---- */

static void add_compute(maker *m)
{
    const int32_t rank = (int32_t)df_random_below(m->random, (uint32_t)m->c.network.ranks);
    dep_list deps = {.count = 0};
    df_net_node node = {.type = DF_NET_COMPUTE,
                        .duration_ns = UINT64_C(1000) * df_random_below(m->random, 40)};
    node.on_cpu = !m->plain && chance(m->random, 30);
    depend_on_any(m, rank, &deps);
    (void)add(m, rank, &node, &deps);
}

static uint64_t random_bytes(df_random *random)
{
    return (UINT64_C(1) << df_random_below(random, 24)) + df_random_below(random, 100000) + 256;
}

/* Alike: the same tag and size as others between the two, so they must stay in order. */
static void add_message(maker *m)
{
    const uint32_t n = (uint32_t)m->c.network.ranks;
    const int32_t src = (int32_t)df_random_below(m->random, n);
    const bool to_itself = m->c.network.topology == DF_NET_SWITCH && chance(m->random, 5);
    const int32_t dst =
        to_itself ? src : (src + 1 + (int32_t)df_random_below(m->random, n - 1)) % (int32_t)n;
    const bool alike = !to_itself && chance(m->random, 30);
    history *const from = &m->ranks[src];
    history *const to = &m->ranks[dst];
    df_net_node node = {.type = DF_NET_SEND,
                        .peer = dst,
                        .tag = alike ? 7 : m->next_tag++,
                        .bytes = alike ? 70000 : random_bytes(m->random)};
    dep_list deps = {.count = 0};
    depend_on_any(m, src, &deps);
    depend(&deps, from->last_collective);
    depend(&deps, alike ? from->last_alike_send[dst] : NO_DEP);
    const uint64_t send = add(m, src, &node, &deps);
    from->sends[from->num_sends++] = send;
    node.type = DF_NET_RECEIVE;
    node.peer = src;
    deps.count = 0;
    /* AstraSim loses a message to oneself whose receive the send's end sets free. */
    if (!(to_itself && m->plain)) {
        depend_on_any(m, dst, &deps);
    }
    depend(&deps, alike ? to->last_alike_receive[src] : NO_DEP);
    const uint64_t receive = add(m, dst, &node, &deps);
    if (alike) {
        from->last_alike_send[dst] = send;
        to->last_alike_receive[src] = receive;
    }
}

static bool is_member(const df_net_case_group *group, int32_t rank)
{
    for (int32_t i = 0; group && i < group->count; i++) {
        if (group->ranks[i] == rank) {
            return true;
        }
    }
    return !group;
}

static void add_collective(maker *m)
{
    /* Ranks count their chunks, also those in groups; a collective without a group needs equal
     * counts. So either all have groups or none. */
    const df_net_case_group *const group =
        m->c.num_groups == 0 ? NULL
                             : &m->c.groups[df_random_below(m->random, (uint32_t)m->c.num_groups)];
    const df_net_collective kind =
        (df_net_collective)df_random_below(m->random, DF_NET_IMPLEMENTED);
    const df_net_algorithm_kind algorithm = m->c.system.algorithm[kind].kind;
    const bool smaller = group && group->count < m->c.network.ranks;
    if (algorithm == DF_NET_ALG_BINARY_TREE && smaller) {
        return; /* it is not for groups */
    }
    const uint64_t bytes =
        chance(m->random, 10) && algorithm != DF_NET_ALG_HALVING_DOUBLING ? 100 : 40000;
    df_net_node node = {.type = DF_NET_COMM,
                        .collective = kind,
                        .bytes = bytes + df_random_below(m->random, 3000000),
                        .group = group ? group->id : 0};
    for (int32_t rank = 0; rank < m->c.network.ranks; rank++) {
        history *const h = &m->ranks[rank];
        dep_list deps = {.count = 0};
        if (!is_member(group, rank)) {
            continue;
        }
        depend_on_any(m, rank, &deps);
        depend(&deps, h->last_collective);
        for (uint32_t i = 0; i < h->num_sends; i++) {
            depend(&deps, h->sends[i]);
        }
        h->num_sends = 0;
        h->last_collective = add(m, rank, &node, &deps);
    }
}

/* ---- The machine ---- */

static bool power_of_two(int32_t n)
{
    return (n & (n - 1)) == 0;
}

static df_net_case random_machine(df_random *random)
{
    static const df_net_topology topologies[] = {DF_NET_RING, DF_NET_FULLY_CONNECTED,
                                                 DF_NET_SWITCH};
    const df_net_topology topology = topologies[df_random_below(random, 3)];
    const int32_t least = topology == DF_NET_RING ? 3 : 2;
    const int32_t ranks = chance(random, 40)
                              ? 4 << df_random_below(random, 2)
                              : least + (int32_t)df_random_below(random, (uint32_t)(10 - least));
    df_net_case c = df_net_case_new(topology, ranks, DF_NET_ALG_RING);
    c.network.bandwidth_gib_ps = 1 + df_random_below(random, 2000000) / 8192.0;
    c.network.latency_ns = df_random_below(random, 40000) / 16.0;
    c.system.endpoint_delay_ns = 1 + df_random_below(random, 40);
    c.system.splits = 1 + (int32_t)df_random_below(random, 5);
    c.system.active_chunks = 1 + (int32_t)df_random_below(random, 6);
    c.system.local_mem_gb_ps = df_random_below(random, 4) * 400;
    return c;
}

static void random_groups(df_random *random, df_net_case *c)
{
    const uint32_t count = df_random_below(random, GROUPS_MAX + 1);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t n = c->network.ranks;
        int32_t ranks[RANKS_MAX] = {0};
        for (int32_t k = 0; k < n; k++) {
            const int32_t at = (int32_t)df_random_below(random, (uint32_t)k + 1);
            ranks[k] = ranks[at];
            ranks[at] = k;
        }
        const int32_t size =
            chance(random, 25) ? n : 2 + (int32_t)df_random_below(random, (uint32_t)n - 1);
        /* Some tags are shared with other groups, or wrap. */
        const int32_t id =
            1 + (int32_t)i + (chance(random, 30) ? 500 * (int32_t)df_random_below(random, 6) : 0);
        df_net_case_add_group(c, id, ranks, size);
    }
}

/* Halving-doubling is for powers of two, also in groups; a tree is for all ranks. */
static df_net_algorithm random_algorithm(df_random *random, const df_net_case *c, int kind)
{
    bool halving = power_of_two(c->network.ranks) && kind != DF_NET_ALL_TO_ALL;
    for (size_t i = 0; i < c->num_groups; i++) {
        halving = halving && power_of_two(c->groups[i].count);
    }
    switch (df_random_below(random, 5)) {
    case 0:
        return (df_net_algorithm){DF_NET_ALG_DIRECT, 0};
    case 1:
        return (df_net_algorithm){DF_NET_ALG_DIRECT, 1 + (int32_t)df_random_below(random, 4)};
    case 2:
        return (df_net_algorithm){halving ? DF_NET_ALG_HALVING_DOUBLING : DF_NET_ALG_RING, 0};
    case 3:
        if (power_of_two(c->network.ranks) && kind == DF_NET_ALL_REDUCE) {
            return (df_net_algorithm){DF_NET_ALG_BINARY_TREE, 0};
        }
        break;
    default:
        break;
    }
    return (df_net_algorithm){DF_NET_ALG_RING, 0};
}

df_net_case df_net_random_case(df_random *random, bool plain)
{
    static maker m; /* large */
    memset(&m, 0, sizeof m);
    m.random = random;
    m.plain = plain;
    m.c = random_machine(random);
    random_groups(random, &m.c);
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        m.c.system.algorithm[i] = random_algorithm(random, &m.c, i);
    }
    for (int32_t rank = 0; rank < m.c.network.ranks; rank++) {
        history *const h = &m.ranks[rank];
        const dep_list none = {.count = 0};
        df_net_node first = {.type = DF_NET_COMPUTE,
                             .duration_ns = UINT64_C(1000) * df_random_below(random, 3)};
        h->last_collective = NO_DEP;
        for (int i = 0; i < RANKS_MAX; i++) {
            h->last_alike_send[i] = h->last_alike_receive[i] = NO_DEP;
        }
        (void)add(&m, rank, &first, &none);
    }
    for (uint32_t i = df_random_below(random, OPERATIONS_MAX); i > 0; i--) {
        void (*const operations[])(maker *) = {add_compute, add_message, add_collective};
        operations[df_random_below(random, 3)](&m);
    }
    return m.c;
}
