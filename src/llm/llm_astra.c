/* Collectives, blocks and whole steps timed by the network simulator. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "llm/llm_net.h"

enum { KEPT = 256 }; /* collectives whose times are kept: a power of two */

/* A collective that was simulated, and on what. */
typedef struct {
    bool used;
    df_net_collective kind;
    double bytes;
    df_net_network network;
    df_net_system system;
    double time_s;
} kept;

struct df_llm_net {
    df_net_sim *sim;
    kept times[KEPT];
};

df_llm_net *df_llm_net_new(void)
{
    df_llm_net *const net = calloc(1, sizeof *net);
    if (net) {
        net->sim = df_net_sim_new();
    }
    if (net && !net->sim) {
        free(net);
        return NULL;
    }
    return net;
}

void df_llm_net_free(df_llm_net *net)
{
    if (net) {
        df_net_sim_free(net->sim);
        free(net);
    }
}

/* ---- Labels ---- */

enum { KINDS = DF_COLL_P2P + 1 };

int32_t df_llm_label_of(df_llm_op op, int direction, df_coll_kind kind)
{
    return ((int32_t)op * DF_LLM_DIRECTIONS + direction) * KINDS + (int32_t)kind;
}

void df_llm_label_name(int32_t label, char *name, size_t size)
{
    static const char *const kinds[KINDS] = {[DF_COLL_ALL_REDUCE] = "all_reduce",
                                             [DF_COLL_REDUCE_SCATTER] = "reduce_scatter",
                                             [DF_COLL_ALL_GATHER] = "all_gather",
                                             [DF_COLL_ALL_TO_ALL] = "all_to_all",
                                             [DF_COLL_P2P] = "pipeline"};
    const int32_t row = label / KINDS;
    snprintf(name, size, "%s_%s_%s", df_llm_op_names[row / DF_LLM_DIRECTIONS],
             row % DF_LLM_DIRECTIONS == DF_LLM_FORWARD ? "forward" : "backward",
             kinds[label % KINDS]);
}

/* ---- The machine ---- */

/* Two ranks on a ring are connected to each other. */
static df_net_topology topology_of(const df_llm *x, double ranks)
{
    switch (x->cfg->intra_topology) {
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

/* The simulator's files have six decimals of a GB a second, and three of a nanosecond. */
static df_net_network network_of(const df_llm *x, double ranks, const df_hw_link *link)
{
    const df_hw_link intra = {x->dev->intra.throughput_bytes_ps, x->dev->intra.latency_s};
    const df_hw_link *const used = x->rules->astra_links_underated ? &intra : link;
    df_net_network network;
    memset(&network, 0, sizeof network);
    network.topology = topology_of(x, ranks);
    network.ranks = (int32_t)ranks;
    network.bandwidth_gib_ps = rounded(used->bytes_ps / DF_GIB, 1e6);
    network.latency_ns = rounded(used->latency_s * 1e9, 1e3);
    return network;
}

static df_net_algorithm algorithm_of(df_coll_algo wanted, df_net_topology topology)
{
    switch (wanted) {
    case DF_ALGO_RING:
        return (df_net_algorithm){DF_NET_ALG_RING, 0};
    case DF_ALGO_DIRECT:
        return (df_net_algorithm){DF_NET_ALG_DIRECT, 0};
    case DF_ALGO_HALVING_DOUBLING:
        return (df_net_algorithm){DF_NET_ALG_HALVING_DOUBLING, 0};
    case DF_ALGO_DOUBLE_BINARY_TREE:
        return (df_net_algorithm){DF_NET_ALG_BINARY_TREE, 0};
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

/* Algorithms are chosen for a topology of so many ranks. */
static df_net_system system_of(const df_llm *x, double ranks)
{
    const double local_mem_gb_ps = 1600;
    const df_cfg_backend *const b = &x->cfg->backend;
    const df_net_topology topology = topology_of(x, ranks);
    df_net_system system;
    memset(&system, 0, sizeof system);
    system.endpoint_delay_ns = b->endpoint_delay;
    system.splits = (int32_t)b->preferred_dataset_splits;
    system.active_chunks = (int32_t)b->active_chunks_per_dimension;
    system.local_mem_gb_ps = local_mem_gb_ps;
    system.algorithm[DF_NET_ALL_REDUCE] = algorithm_of(b->all_reduce, topology);
    system.algorithm[DF_NET_ALL_GATHER] = algorithm_of(b->all_gather, topology);
    system.algorithm[DF_NET_REDUCE_SCATTER] = algorithm_of(b->reduce_scatter, topology);
    system.algorithm[DF_NET_ALL_TO_ALL] = algorithm_of(b->all_to_all, topology);
    return system;
}

static df_status run_program(df_llm *x,
                             const df_net_program *program,
                             const df_net_network *network,
                             const df_net_system *system,
                             double *time_s)
{
    df_net_result result;
    DF_TRY(df_net_run(x->memory->net->sim, program, network, system, &result, x->err));
    *time_s = (double)result.max_ns * 1e-9;
    return DF_OK;
}

/* ---- One collective ---- */

static df_net_collective net_kind(df_coll_kind kind)
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

static bool same_collective(const kept *a, const kept *b)
{
    return a->used && a->kind == b->kind && a->bytes == b->bytes &&
           a->network.topology == b->network.topology && a->network.ranks == b->network.ranks &&
           a->network.bandwidth_gib_ps == b->network.bandwidth_gib_ps &&
           a->network.latency_ns == b->network.latency_ns && same_system(&a->system, &b->system);
}

static size_t slot_of(const kept *k)
{
    const double mixed = k->bytes * 31 + (double)k->network.ranks * 7 + (double)k->kind;
    uint64_t bits;
    memcpy(&bits, &mixed, sizeof bits);
    bits *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(bits >> 40) % KEPT;
}

static df_status simulate_collective(df_llm *x, kept *k)
{
    df_net_program *const program = df_net_program_new(k->network.ranks);
    df_status status = program ? DF_OK : df_fail(x->err, DF_ENOMEM, "out of memory");
    for (int32_t rank = 0; rank < k->network.ranks && status == DF_OK; rank++) {
        const df_net_node node = {.id = (uint64_t)rank,
                                  .type = DF_NET_COMM,
                                  .collective = k->kind,
                                  .bytes = (uint64_t)k->bytes};
        status = df_net_program_add(program, rank, &node, x->err);
    }
    if (status == DF_OK) {
        status = df_net_program_seal(program, x->err);
    }
    if (status == DF_OK) {
        status = run_program(x, program, &k->network, &k->system, &k->time_s);
    }
    df_net_program_free(program);
    return status;
}

double df_llm_simulated_s(
    df_llm *x, df_coll_kind kind, double bytes, double participants, double algorithm_ranks)
{
    if (!(bytes > 0.0) || !(participants > 1.0) || x->status != DF_OK) {
        return 0.0;
    }
    kept wanted = {
        .used = true,
        .kind = net_kind(kind),
        .bytes = ceil(bytes),
        .network = network_of(x, participants, &x->tensor),
        .system = system_of(x, x->rules->astra_algorithm_stale ? algorithm_ranks : participants)};
    kept *const slot = &x->memory->net->times[slot_of(&wanted)];
    if (!same_collective(slot, &wanted)) {
        x->status = simulate_collective(x, &wanted);
        if (x->status != DF_OK) {
            return 0.0;
        }
        *slot = wanted;
    }
    return slot->time_s + x->launch_s;
}

/* ---- A layer as a chain ---- */

typedef struct {
    df_llm_op op;
    df_coll_kind kind; /* of the collective behind it; P2P: none */
    bool over_context;
    bool with_comm; /* its duration has its collectives in */
} link_row;

/* tp alone, or none. */
static int tensor_rows(const df_llm *x, link_row rows[6])
{
    const bool sequence = x->mode == DF_LLM_SEQUENCE;
    const df_coll_kind norm = sequence ? DF_COLL_ALL_GATHER : DF_COLL_ALL_REDUCE;
    const df_coll_kind gemm = sequence ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    const bool twice = x->rules->astra_block_collectives_twice;
    rows[0] = (link_row){DF_LLM_NORM1, norm, false, twice};
    rows[1] = (link_row){DF_LLM_MHA, gemm, false, twice};
    rows[2] = (link_row){DF_LLM_NORM2, norm, false, twice};
    rows[3] = (link_row){DF_LLM_MLP, gemm, false, twice};
    return 4;
}

static int context_rows(const df_llm *x, int direction, link_row rows[6])
{
    const bool back = direction == DF_LLM_BACKWARD;
    const bool hybrid = x->mode == DF_LLM_HYBRID;
    const df_coll_kind none = DF_COLL_P2P;
    const df_coll_kind tensor_scatter = hybrid ? DF_COLL_REDUCE_SCATTER : none;
    const df_coll_kind norm = hybrid ? DF_COLL_ALL_GATHER : none;
    rows[0] = (link_row){DF_LLM_NORM1, norm, false, false};
    rows[1] = (link_row){DF_LLM_QKV, back ? tensor_scatter : DF_COLL_ALL_GATHER, !back, false};
    rows[2] = (link_row){DF_LLM_ATTENTION, back ? DF_COLL_REDUCE_SCATTER : none, back, false};
    rows[3] = (link_row){DF_LLM_OUT, back ? DF_COLL_ALL_GATHER : tensor_scatter, back, false};
    rows[4] = (link_row){DF_LLM_NORM2, norm, false, false};
    rows[5] =
        (link_row){DF_LLM_MLP, tensor_scatter, false, x->rules->astra_block_collectives_twice};
    return 6;
}

static void add_row(
    const df_llm *x, const df_llm_row *row, const link_row *how, int direction, df_llm_chain *chain)
{
    const bool back = direction == DF_LLM_BACKWARD;
    const double time_s = back ? row->backward_s : row->forward_s;
    const double comm_s = back ? row->backward_comm_s : row->forward_comm_s;
    const double bytes = ceil(back ? row->backward_comm_bytes : row->forward_comm_bytes);
    const double n = how->over_context ? x->cp : x->tp;
    chain->item[chain->count++] =
        (df_llm_chain_item){.duration_s = how->with_comm ? time_s : time_s - comm_s};
    if (how->kind != DF_COLL_P2P && bytes > 0.0 && n > 1.0) {
        chain->item[chain->count++] =
            (df_llm_chain_item){.is_collective = true,
                                .kind = how->kind,
                                .bytes = bytes,
                                .participants = (int32_t)n,
                                .label = df_llm_label_of(how->op, direction, how->kind)};
    }
}

/* In a decode step the norms' durations are without their collectives in any case. */
static void read_chain(const df_llm *x, const df_llm_pass *pass, int direction, df_llm_chain *chain)
{
    link_row rows[6];
    const int count =
        df_llm_splits_context(x) ? context_rows(x, direction, rows) : tensor_rows(x, rows);
    chain->count = 0;
    for (int i = 0; i < count; i++) {
        const int at = direction == DF_LLM_BACKWARD ? count - 1 - i : i;
        if (x->forward_only && (rows[at].op == DF_LLM_NORM1 || rows[at].op == DF_LLM_NORM2)) {
            rows[at].with_comm = false;
        }
        add_row(x, &pass->row[rows[at].op], &rows[at], direction, chain);
    }
    if (direction == DF_LLM_BACKWARD) {
        chain->item[0].duration_s += pass->recompute_s;
    }
}

/* Devices whose chains are simulated as one block. */
static int32_t block_ranks(const df_llm *x)
{
    return (int32_t)(x->mode == DF_LLM_CONTEXT ? x->cp : x->tp);
}

/* Algorithms that a run over a graph uses. */
static df_net_system graph_system(const df_llm *x, int32_t ranks)
{
    const double shared = x->tp * x->cp;
    return system_of(x, x->rules->astra_algorithm_stale && shared > 1.0 ? shared : (double)ranks);
}

static df_status simulate_graph(
    df_llm *x, const df_dag *dag, int32_t root, int32_t replicas, int32_t first_id, double *time_s)
{
    df_net_program *program;
    int32_t ranks;
    DF_TRY(df_llm_trace(dag, root, replicas, first_id, &program, &ranks, x->err));
    const df_net_network network = network_of(x, (double)ranks, &x->tensor);
    const df_net_system system = graph_system(x, ranks);
    const df_status status = run_program(x, program, &network, &system, time_s);
    df_net_program_free(program);
    return status;
}

static df_status simulate_block(df_llm *x, const df_llm_pass *pass, int direction, double *time_s)
{
    df_llm_chain chain;
    const int32_t ranks = block_ranks(x);
    df_dag *const dag = df_dag_new((int)ranks);
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory");
    }
    const int32_t root = df_dag_add(dag, DF_DAG_COLLECTIVE, 0, 0.0);
    df_dag_tell(dag, root, &(df_dag_info){.role = DF_LLM_ROLE_MARK, .home = -1});
    read_chain(x, pass, direction, &chain);
    for (int32_t r = 0; r < ranks; r++) {
        df_dag_link(dag, root, df_llm_add_chain(dag, &chain, r));
    }
    const df_status status = df_dag_failed(dag) ? df_fail(x->err, DF_ENOMEM, "out of memory")
                                                : simulate_graph(x, dag, root, 1, 0, time_s);
    df_dag_free(dag);
    return status;
}

/* ---- A step ---- */

static df_status simulate_step(
    df_llm *x, const df_llm_pass *pass, const df_llm_step *step, bool flat, double *time_s)
{
    const int32_t replicas = step->training ? (int32_t)x->dp : 1;
    int32_t root = 0;
    df_dag *dag = df_llm_build_graph(step, &root);
    if (dag && flat) {
        df_llm_chain chains[DF_LLM_DIRECTIONS];
        int32_t flat_root = 0;
        for (int i = 0; i < DF_LLM_DIRECTIONS; i++) {
            read_chain(x, pass, i, &chains[i]);
        }
        df_dag *const whole = dag;
        dag = df_llm_flatten(whole, root, chains, (int32_t)(x->tp * x->cp), (int32_t)step->stages,
                             x->rules, &flat_root);
        df_dag_free(whole);
        root = flat_root;
    }
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    const df_status status = simulate_graph(x, dag, root, replicas, flat ? 1 : 0, time_s);
    df_dag_free(dag);
    return status;
}

/* Blocks as the simulator times them. */
static df_status simulate_blocks(df_llm *x, const df_llm_pass *pass, df_llm_step *step)
{
    double block_s[DF_LLM_DIRECTIONS] = {0.0, 0.0};
    for (int i = 0; i < (step->training ? DF_LLM_DIRECTIONS : 1); i++) {
        DF_TRY(simulate_block(x, pass, i, &block_s[i]));
        step->t.block[i] = block_s[i];
    }
    return DF_OK;
}

df_status df_llm_run_net_step(df_llm *x, df_llm_pass *pass, df_llm_step *step, double *time_s)
{
    const df_astra_mode mode = x->cfg->backend.mode;
    if (mode == DF_ASTRA_FLATTENED) {
        return simulate_step(x, pass, step, true, time_s);
    }
    DF_TRY(simulate_blocks(x, pass, step));
    if (mode == DF_ASTRA_HIERARCHICAL) {
        return simulate_step(x, pass, step, false, time_s);
    }
    if (x->rules->astra_hybrid_edges_free) {
        df_llm_durations *const t = &step->t;
        t->hop = 0.0;
        t->reduce_embedding = t->reduce_layer = t->reduce_logits = 0.0;
        t->gather_embedding = t->gather_layer = t->gather_logits = 0.0;
    }
    return df_llm_run_order(x, step, time_s);
}
