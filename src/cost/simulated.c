#include "cost/simulated.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

#include "base/units.h"

/* ---- The machine ---- */

const df_hw_link *df_simulated_link(const df_topo *topo, bool underated, const df_hw_link *link)
{
    return underated ? &topo->dim[DF_TOPO_INSIDE].undivided : link;
}

static df_net_topology topology_of(const df_topo *topo, double ranks)
{
    const df_topology kind = topo->dim[DF_TOPO_INSIDE].kind;
    if (kind == DF_TOPO_SWITCH) {
        return DF_NET_SWITCH;
    }
    return kind == DF_TOPO_RING && ranks > 2 ? DF_NET_RING : DF_NET_FULLY_CONNECTED;
}

static double rounded(double value, double scale)
{
    return nearbyint(value * scale) / scale;
}

df_net_network df_simulated_network(const df_topo *topo, double ranks, const df_hw_link *link)
{
    return (df_net_network){.topology = topology_of(topo, ranks),
                            .ranks = (int32_t)ranks,
                            .bandwidth_gib_ps = rounded(link->bytes_ps / DF_GIB, 1e6),
                            .latency_ns = rounded(link->latency_s * 1e9, 1e3)};
}

static df_net_algorithm algorithm_of(df_coll_algo wanted, df_net_topology topology)
{
    static const df_net_algorithm_kind named[] = {
        [DF_ALGO_RING] = DF_NET_ALG_RING,
        [DF_ALGO_DIRECT] = DF_NET_ALG_DIRECT,
        [DF_ALGO_HALVING_DOUBLING] = DF_NET_ALG_HALVING_DOUBLING,
        [DF_ALGO_DOUBLE_BINARY_TREE] = DF_NET_ALG_BINARY_TREE};
    static const df_net_algorithm_kind usual[] = {[DF_NET_RING] = DF_NET_ALG_RING,
                                                  [DF_NET_FULLY_CONNECTED] = DF_NET_ALG_DIRECT,
                                                  [DF_NET_SWITCH] = DF_NET_ALG_HALVING_DOUBLING};
    if (wanted > DF_ALGO_DIRECT_OF) {
        return (df_net_algorithm){DF_NET_ALG_DIRECT, (int32_t)wanted - DF_ALGO_DIRECT_OF};
    }
    return (df_net_algorithm){wanted == DF_ALGO_AUTO ? usual[topology] : named[wanted], 0};
}

double df_simulated_reduction_bytes_ps(const df_simulated *s, const df_hw_device *dev)
{
    return s->reduction_bytes_ps > 0.0 ? s->reduction_bytes_ps
                                       : dev->mem[DF_HW_LEVELS - 1].throughput_bytes_ps;
}

df_net_system df_simulated_system(const df_topo *topo,
                                  const df_cfg_backend *backend,
                                  double ranks,
                                  double reduction_bytes_ps)
{
    const df_net_topology topology = topology_of(topo, ranks);
    return (df_net_system){
        .endpoint_delay_ns = backend->endpoint_delay,
        .splits = (int32_t)backend->preferred_dataset_splits,
        .active_chunks = (int32_t)backend->active_chunks_per_dimension,
        .local_mem_gb_ps = reduction_bytes_ps / 1e9,
        .algorithm = {[DF_NET_ALL_REDUCE] = algorithm_of(backend->all_reduce, topology),
                      [DF_NET_ALL_GATHER] = algorithm_of(backend->all_gather, topology),
                      [DF_NET_REDUCE_SCATTER] = algorithm_of(backend->reduce_scatter, topology),
                      [DF_NET_ALL_TO_ALL] = algorithm_of(backend->all_to_all, topology)}};
}

df_net_collective df_simulated_kind(df_coll_kind kind)
{
    static const df_net_collective kinds[] = {[DF_COLL_ALL_REDUCE] = DF_NET_ALL_REDUCE,
                                              [DF_COLL_REDUCE_SCATTER] = DF_NET_REDUCE_SCATTER,
                                              [DF_COLL_ALL_GATHER] = DF_NET_ALL_GATHER,
                                              [DF_COLL_ALL_TO_ALL] = DF_NET_ALL_TO_ALL,
                                              [DF_COLL_P2P] = DF_NET_ALL_REDUCE}; /* unused */
    return kinds[kind];
}

/* ---- The simulator ---- */

enum { KEPT = 256 }; /* collectives whose times are kept */

/* A hash of 128 bits stands for all that a collective is. */
typedef struct {
    XXH128_hash_t hash; /* 0: no collective */
    double time_s;
} kept;

struct df_simulator {
    df_runner *runner, *own; /* own: NULL when it is borrowed */
    kept times[KEPT];        /* a collective has one place, which the next one for it takes over */
};

/* None of the fields has padding, whose bytes could differ where all else is equal. */
static XXH128_hash_t hash_of(const df_simulator_op *op)
{
    const struct {
        double bytes;
        int64_t kind;
        df_net_network network;
        df_net_system system;
    } fields = {op->bytes, op->kind, op->network, op->system};
    return XXH3_128bits(&fields, sizeof fields);
}

df_simulator *df_simulator_new(df_runner *runner)
{
    df_simulator *const simulator = calloc(1, sizeof *simulator);
    if (!simulator || (!runner && df_runner_new(NULL, &simulator->own, NULL) != DF_OK)) {
        free(simulator);
        return NULL;
    }
    simulator->runner = runner ? runner : simulator->own;
    return simulator;
}

void df_simulator_free(df_simulator *simulator)
{
    if (simulator) {
        df_runner_free(simulator->own);
        free(simulator);
    }
}

/* ---- What a run was refused for, in words of the configuration ---- */

static const char *collective_key(df_net_collective kind)
{
    static const char *const keys[] = {
        [DF_NET_ALL_GATHER] = "execution_backend.astra.collectives.all_gather",
        [DF_NET_ALL_REDUCE] = "execution_backend.astra.collectives.all_reduce",
        [DF_NET_REDUCE_SCATTER] = "execution_backend.astra.collectives.reduce_scatter",
        [DF_NET_ALL_TO_ALL] = "execution_backend.astra.collectives.all_to_all"};
    return keys[kind];
}

static int32_t members_of(const df_net_program *program, int32_t group)
{
    int32_t id;
    int32_t count;
    for (int32_t i = 0; df_net_program_group(program, i, &id, &count); i++) {
        if (id == group) {
            return count;
        }
    }
    return df_net_program_ranks(program);
}

/* A visit of df_net_program_visit, of a df_runner_job: ends at a collective whose algorithm does
 * not run. */
static df_status check_node(void *context, int32_t rank, const df_net_node *node, df_err *err)
{
    const df_runner_job *const job = context;
    df_err cause;
    (void)rank;
    if (node->type != DF_NET_COMM || node->collective == DF_NET_BROADCAST) {
        return DF_OK;
    }
    if (df_net_check_algorithm(job->system, node->collective, members_of(job->program, node->group),
                               df_net_program_ranks(job->program), &cause) != DF_OK) {
        return df_fail(err, DF_EINVAL, "%s: %s; auto or ring would work",
                       collective_key(node->collective), cause.text);
    }
    return DF_OK;
}

static df_status explain(const df_runner_job *job, const df_err *cause, df_err *err)
{
    df_runner_job of = *job;
    for (int32_t rank = 0; rank < df_net_program_ranks(job->program); rank++) {
        DF_TRY(df_net_program_visit(job->program, rank, check_node, &of, err));
    }
    return df_fail(
        err, DF_EINVAL,
        "execution_backend.model: expected what the network simulator can run, found that "
        "it cannot: %s; analytical would work",
        cause->text);
}

df_status
df_simulator_run(df_simulator *simulator, const df_runner_job *job, double *time_s, df_err *err)
{
    df_err cause = {.text = ""};
    if (!(job->network->bandwidth_gib_ps > 0.0)) {
        return df_fail(err, DF_EINVAL,
                       "tech_param.network: expected links with a bandwidth between %d devices for "
                       "the network simulator, found none (see system_hierarchy too)",
                       (int)job->network->ranks);
    }
    const df_status status = df_runner_time(simulator->runner, job, time_s, &cause);
    if (status == DF_EINVAL) {
        return explain(job, &cause, err);
    }
    return status == DF_OK ? DF_OK : df_fail(err, status, "%s", cause.text);
}

/* Each rank has a part of the collective; in a hop, rank 0 sends and 1 receives. */
static df_status build(df_net_program *program, const df_simulator_op *op, df_err *err)
{
    df_net_node node = {.type = DF_NET_COMM,
                        .collective = df_simulated_kind(op->kind),
                        .bytes = (uint64_t)op->bytes};
    for (int32_t rank = 0; rank < op->network.ranks; rank++) {
        node.id = (uint64_t)rank;
        if (op->kind == DF_COLL_P2P) {
            node.type = rank == 0 ? DF_NET_SEND : DF_NET_RECEIVE;
            node.peer = 1 - rank;
        }
        DF_TRY(df_net_program_add(program, rank, &node, err));
    }
    return df_net_program_seal(program, err);
}

static df_status
simulate(df_simulator *simulator, const df_simulator_op *op, double *time_s, df_err *err)
{
    df_net_program *program;
    const double most_bytes = 0x1p53; /* whole numbers that a double holds */
    if (!(op->bytes < most_bytes)) {
        return df_fail(err, DF_EINVAL,
                       "execution_backend.model: expected transfers of less than %g bytes for the "
                       "network simulator, found %g; analytical would work",
                       most_bytes, op->bytes);
    }
    DF_TRY(df_net_program_new(op->network.ranks, &program, err));
    df_status status = build(program, op, err);
    if (status == DF_OK) {
        const df_runner_job job = {
            .program = program, .network = &op->network, .system = &op->system};
        status = df_simulator_run(simulator, &job, time_s, err);
    }
    df_net_program_free(program);
    return status;
}

df_status
df_simulator_time(df_simulator *simulator, const df_simulator_op *op, double *time_s, df_err *err)
{
    df_simulator_op wanted = *op;
    wanted.bytes = ceil(op->bytes);
    const XXH128_hash_t hash = hash_of(&wanted);
    kept *const slot = &simulator->times[hash.low64 % KEPT];
    if (!XXH128_isEqual(slot->hash, hash)) {
        double simulated_s;
        DF_TRY(simulate(simulator, &wanted, &simulated_s, err));
        *slot = (kept){hash, simulated_s};
    }
    *time_s = slot->time_s;
    return DF_OK;
}

/* ---- Limits ---- */

df_status df_simulated_check_ranks(const df_topo *topo, unsigned axes, double ranks, df_err *err)
{
    char degrees[256] = "";
    size_t length = 0;
    int largest = DF_AXIS_TP;
    if (ranks <= (double)DF_NET_RANKS_MAX) {
        return DF_OK;
    }
    for (int axis = 0; axis < DF_AXES; axis++) {
        const double members = topo->axis[axis].members;
        if ((axes >> axis & 1U) == 0 || !(members > 1.0)) {
            continue;
        }
        length += (size_t)snprintf(degrees + length, sizeof degrees - length, "%s%s %.0f",
                                   length > 0 ? ", " : "", df_axis_table[axis].name, members);
        largest = members > topo->axis[largest].members ? axis : largest;
    }
    return df_fail(err, DF_EINVAL,
                   "scheduling_param.%s: expected at most %d devices at once for the network "
                   "simulator, found %.0f (%s)",
                   df_axis_table[largest].name, DF_NET_RANKS_MAX, ranks, degrees);
}

/* ---- Prices ---- */

double df_simulated_bytes(const df_simulated *s, df_coll_kind kind, double bytes, double members)
{
    const bool shard = kind == DF_COLL_ALL_GATHER && !s->gather_whole;
    return shard && members > 1.0 ? bytes / members : bytes;
}

df_status
df_simulated_time(const df_coster *c, const df_op *op, const df_topo_group *group, double *time_s)
{
    const df_simulated *const s = c->simulated;
    const double n = group->members;
    DF_TRY(df_simulated_check_ranks(&c->topo, op->coll.axes, n, c->err));
    const df_hw_link *const link = df_simulated_link(&c->topo, s->links_underated, &group->link);
    const df_coll_kind kind = op->coll.kind;
    const double chosen_for = s->algorithm_ranks ? s->algorithm_ranks(s->context, op, n) : n;
    const df_simulator_op wanted = {
        .kind = kind,
        .bytes = df_simulated_bytes(s, kind, op->coll.bytes, n),
        .network = df_simulated_network(&c->topo, n, link),
        .system = df_simulated_system(&c->topo, s->backend, chosen_for,
                                      df_simulated_reduction_bytes_ps(s, c->dev))};
    double simulated_s;
    DF_TRY(df_simulator_time(s->net, &wanted, &simulated_s, c->err));
    /* a hop and an all-to-all have no launch in closed form either */
    const bool launched = kind != DF_COLL_ALL_TO_ALL && kind != DF_COLL_P2P;
    *time_s = simulated_s + (launched ? c->dev->launch_overhead_s : 0.0);
    return DF_OK;
}
