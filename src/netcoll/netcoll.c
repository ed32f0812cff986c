#include "netcoll/netcoll.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { KEPT = 256 }; /* collectives whose times are kept: a power of two */

typedef struct {
    bool used;
    df_netcoll_op op;
    double time_s;
} kept;

struct df_netcoll {
    df_runner *astra, *own; /* own: NULL when it is borrowed */
    df_netcoll_counts counts;
    kept times[KEPT]; /* a collective has one place, which the next one for it takes over */
};

df_netcoll *df_netcoll_new(df_runner *astra)
{
    df_netcoll *const netcoll = calloc(1, sizeof *netcoll);
    if (netcoll && !astra && df_runner_new(NULL, &netcoll->own, NULL) != DF_OK) {
        free(netcoll);
        return NULL;
    }
    if (netcoll) {
        netcoll->astra = astra ? astra : netcoll->own;
    }
    return netcoll;
}

void df_netcoll_free(df_netcoll *netcoll)
{
    if (netcoll) {
        df_runner_free(netcoll->own);
        free(netcoll);
    }
}

df_netcoll_counts df_netcoll_count(const df_netcoll *netcoll)
{
    return netcoll->counts;
}

/* ---- The machine ---- */

const df_hw_link *df_netcoll_link(const df_topo *topo, bool underated, const df_hw_link *link)
{
    return underated ? &topo->dim[DF_TOPO_INSIDE].undivided : link;
}

static df_net_topology topology_of(const df_topo *topo, double ranks)
{
    switch (topo->dim[DF_TOPO_INSIDE].kind) {
    case DF_TOPO_RING:
        return ranks > 2 ? DF_NET_RING : DF_NET_FULLY_CONNECTED;
    case DF_TOPO_SWITCH:
        return DF_NET_SWITCH;
    case DF_TOPO_FC:
    case DF_TOPO_MESH:
    case DF_TOPO_TORUS:
    case DF_TOPO_HIC:
    case DF_TOPO_NONE:
        break;
    }
    return DF_NET_FULLY_CONNECTED;
}

static double rounded(double value, double scale)
{
    return nearbyint(value * scale) / scale;
}

df_net_network df_netcoll_network(const df_topo *topo, double ranks, const df_hw_link *link)
{
    df_net_network network;
    memset(&network, 0, sizeof network);
    network.topology = topology_of(topo, ranks);
    network.ranks = (int32_t)ranks;
    network.bandwidth_gib_ps = rounded(link->bytes_ps / DF_GIB, 1e6);
    network.latency_ns = rounded(link->latency_s * 1e9, 1e3);
    return network;
}

static df_net_algorithm algorithm_of(df_coll_algo wanted, df_net_topology topology)
{
    if (wanted > DF_ALGO_DIRECT_OF) {
        return (df_net_algorithm){DF_NET_ALG_DIRECT, (int32_t)wanted - DF_ALGO_DIRECT_OF};
    }
    switch (wanted) {
    case DF_ALGO_RING:
        return (df_net_algorithm){DF_NET_ALG_RING, 0};
    case DF_ALGO_DIRECT:
        return (df_net_algorithm){DF_NET_ALG_DIRECT, 0};
    case DF_ALGO_HALVING_DOUBLING:
        return (df_net_algorithm){DF_NET_ALG_HALVING_DOUBLING, 0};
    case DF_ALGO_DOUBLE_BINARY_TREE:
        return (df_net_algorithm){DF_NET_ALG_BINARY_TREE, 0};
    case DF_ALGO_DIRECT_OF:
    case DF_ALGO_AUTO:
        break;
    }
    switch (topology) {
    case DF_NET_RING:
        return (df_net_algorithm){DF_NET_ALG_RING, 0};
    case DF_NET_FULLY_CONNECTED:
        return (df_net_algorithm){DF_NET_ALG_DIRECT, 0};
    case DF_NET_SWITCH:
        break;
    }
    return (df_net_algorithm){DF_NET_ALG_HALVING_DOUBLING, 0};
}

df_net_system df_netcoll_system(const df_topo *topo, const df_cfg_backend *backend, double ranks)
{
    const double local_mem_gb_ps = 1600; /* what the Python DeepFlow writes */
    const df_net_topology topology = topology_of(topo, ranks);
    df_net_system system;
    memset(&system, 0, sizeof system);
    system.endpoint_delay_ns = backend->endpoint_delay;
    system.splits = (int32_t)backend->preferred_dataset_splits;
    system.active_chunks = (int32_t)backend->active_chunks_per_dimension;
    system.local_mem_gb_ps = local_mem_gb_ps;
    system.algorithm[DF_NET_ALL_REDUCE] = algorithm_of(backend->all_reduce, topology);
    system.algorithm[DF_NET_ALL_GATHER] = algorithm_of(backend->all_gather, topology);
    system.algorithm[DF_NET_REDUCE_SCATTER] = algorithm_of(backend->reduce_scatter, topology);
    system.algorithm[DF_NET_ALL_TO_ALL] = algorithm_of(backend->all_to_all, topology);
    return system;
}

/* ---- Kept times ---- */

static bool same_system(const df_net_system *a, const df_net_system *b)
{
    bool same = a->endpoint_delay_ns == b->endpoint_delay_ns && a->splits == b->splits &&
                a->active_chunks == b->active_chunks && a->local_mem_gb_ps == b->local_mem_gb_ps;
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        same = same && a->algorithm[i].kind == b->algorithm[i].kind &&
               a->algorithm[i].window == b->algorithm[i].window;
    }
    return same;
}

static bool same_op(const df_netcoll_op *a, const df_netcoll_op *b)
{
    return a->kind == b->kind && a->bytes == b->bytes &&
           a->network.topology == b->network.topology && a->network.ranks == b->network.ranks &&
           a->network.bandwidth_gib_ps == b->network.bandwidth_gib_ps &&
           a->network.latency_ns == b->network.latency_ns && same_system(&a->system, &b->system);
}

/* Of what differs most from one to the next; same_op compares all. */
static size_t slot_of(const df_netcoll_op *op)
{
    const df_net_network *const network = &op->network;
    const double mixed = op->bytes * 31 + (double)network->ranks * 7 + (double)op->kind +
                         network->bandwidth_gib_ps * 13 + network->latency_ns * 3;
    uint64_t bits;
    memcpy(&bits, &mixed, sizeof bits);
    bits *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(bits >> 40) % KEPT;
}

/* ---- The run ---- */

static df_status check_links(const df_net_network *network, df_err *err)
{
    if (network->bandwidth_gib_ps > 0.0) {
        return DF_OK;
    }
    return df_fail(err, DF_EINVAL,
                   "tech_param.network: expected links with a bandwidth between %d devices for the "
                   "network simulator, found none (see system_hierarchy too)",
                   (int)network->ranks);
}

df_status df_netcoll_run(df_netcoll *netcoll, const df_runner_job *job, double *time_s, df_err *err)
{
    DF_TRY(check_links(job->network, err));
    return df_runner_time(netcoll->astra, job, time_s, err);
}

df_net_collective df_netcoll_kind(df_coll_kind kind)
{
    switch (kind) {
    case DF_COLL_ALL_GATHER:
        return DF_NET_ALL_GATHER;
    case DF_COLL_REDUCE_SCATTER:
        return DF_NET_REDUCE_SCATTER;
    case DF_COLL_ALL_TO_ALL:
        return DF_NET_ALL_TO_ALL;
    case DF_COLL_ALL_REDUCE:
    case DF_COLL_P2P:
        break;
    }
    return DF_NET_ALL_REDUCE;
}

/* What a rank does: its part of the collective; in a hop, rank 0 sends and 1 receives. */
static df_net_node node_of(const df_netcoll_op *op, int32_t rank)
{
    df_net_node node = {.id = (uint64_t)rank,
                        .type = DF_NET_COMM,
                        .collective = df_netcoll_kind(op->kind),
                        .bytes = (uint64_t)op->bytes};
    if (op->kind == DF_COLL_P2P) {
        node.type = rank == 0 ? DF_NET_SEND : DF_NET_RECEIVE;
        node.peer = 1 - rank;
    }
    return node;
}

static df_status simulate(df_netcoll *netcoll, const df_netcoll_op *op, double *time_s, df_err *err)
{
    df_net_program *const program = df_net_program_new(op->network.ranks);
    df_status status = program ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory");
    for (int32_t rank = 0; rank < op->network.ranks && status == DF_OK; rank++) {
        const df_net_node node = node_of(op, rank);
        status = df_net_program_add(program, rank, &node, err);
    }
    if (status == DF_OK) {
        status = df_net_program_seal(program, err);
    }
    if (status == DF_OK) {
        const df_runner_job job = {
            .program = program, .network = &op->network, .system = &op->system};
        status = df_netcoll_run(netcoll, &job, time_s, err);
    }
    df_net_program_free(program);
    return status;
}

df_status df_netcoll_time(df_netcoll *netcoll, const df_netcoll_op *op, double *time_s, df_err *err)
{
    df_netcoll_op wanted = *op;
    wanted.bytes = ceil(op->bytes);
    kept *const slot = &netcoll->times[slot_of(&wanted)];
    if (slot->used && same_op(&slot->op, &wanted)) {
        netcoll->counts.kept++;
        *time_s = slot->time_s;
        return DF_OK;
    }
    double simulated_s;
    DF_TRY(simulate(netcoll, &wanted, &simulated_s, err));
    netcoll->counts.solved++;
    *slot = (kept){.used = true, .op = wanted, .time_s = simulated_s};
    *time_s = simulated_s;
    return DF_OK;
}
