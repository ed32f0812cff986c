/* Collectives, blocks and whole steps timed by the network simulator. */
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "llm/llm_net.h"

/* ---- One collective ---- */

/* Of so many devices, over the network of tensor parallelism. One device alone has no links, but
 * the simulator wants two: any link between it and its twin will do. */
static df_net_network network_of(const df_llm *x, double ranks)
{
    static const df_hw_link unused = {DF_GIB, 1e-6};
    const bool alone = x->tp * x->cp * x->dp * x->lp == 1.0 && !x->rules->astra_links_underated;
    const df_hw_link link = df_netcoll_link(x->dev, x->rules, &x->tensor);
    return df_netcoll_network(x->cfg, ranks, alone ? &unused : &link);
}

double df_llm_simulated_s(
    df_llm *x, df_coll_kind kind, double bytes, double participants, double algorithm_ranks)
{
    if (!(bytes > 0.0) || !(participants > 1.0) || x->status != DF_OK) {
        return 0.0;
    }
    const double chosen_for = x->rules->astra_algorithm_stale ? algorithm_ranks : participants;
    const df_netcoll_op op = {.kind = kind,
                              .bytes = df_llm_told_bytes(x->rules, kind, bytes, participants),
                              .network = network_of(x, participants),
                              .system = df_netcoll_system(x->cfg, chosen_for)};
    double time_s = 0.0;
    x->status = df_netcoll_time(x->memory->net, &op, &time_s, x->err);
    return x->status == DF_OK ? time_s + x->launch_s : 0.0;
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
        (df_llm_chain_item){.duration_s = how->with_comm ? time_s : time_s - comm_s,
                            .label = df_llm_label_of(how->op, direction, DF_COLL_P2P)};
    if (how->kind != DF_COLL_P2P && bytes > 0.0 && n > 1.0) {
        chain->item[chain->count++] =
            (df_llm_chain_item){.is_collective = true,
                                .kind = how->kind,
                                .bytes = ceil(df_llm_told_bytes(x->rules, how->kind, bytes, n)),
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

/* Devices whose chains are simulated as one block: those of tensor parallelism. Groups over
 * context are cut out of them in turn; where that would leave one device alone, which cannot
 * be simulated, all devices that share the layer are. */
static int32_t block_ranks(const df_llm *x)
{
    const bool alone = x->cp > 1.0 && fmod(x->tp, x->cp) == 1.0;
    return (int32_t)(alone ? x->tp * x->cp : x->tp);
}

/* Algorithms that a run over a graph uses. */
static df_net_system graph_system(const df_llm *x, int32_t ranks)
{
    const double shared = x->tp * x->cp;
    return df_netcoll_system(
        x->cfg, x->rules->astra_algorithm_stale && shared > 1.0 ? shared : (double)ranks);
}

/* A graph to be simulated. */
typedef struct {
    const df_dag *dag;
    int32_t root, replicas;
    bool exchanges;
    int32_t first_id;             /* number of its first element */
    const char *name, *artifacts; /* for those who look on, and the folder of its files */
} graph_run;

static df_status
run_graph(df_llm *x, const graph_run *run, const df_rules *rules, bool in_turns, double *time_s)
{
    const df_llm_traced what = {.dag = run->dag,
                                .root = run->root,
                                .replicas = run->replicas,
                                .exchanges = run->exchanges,
                                .first_id = run->first_id,
                                .rules = rules,
                                .in_turns = in_turns};
    df_net_program *program;
    char folder[96];
    DF_TRY(df_llm_trace(&what, &program, x->err));
    const int32_t ranks = df_net_program_ranks(program);
    const df_net_network network = network_of(x, (double)ranks);
    const df_net_system system = graph_system(x, ranks);
    snprintf(folder, sizeof folder, "%s%s", x->where, run->artifacts);
    const df_astra_job job = {.program = program,
                              .network = &network,
                              .system = &system,
                              .folder = folder,
                              .name_node = df_llm_name_node,
                              .name_context = run->dag};
    const df_status status = df_netcoll_run(x->memory->net, &job, time_s, x->err);
    df_net_program_free(program);
    return status;
}

/* Devices take the collectives that are ready. Where they then wait for each other for ever, they
 * keep to one order.
 * Which messages of one tag meet depends on the order of elements, which in the reference differs
 * from run to run: where ours cannot finish for it, they are told apart. */
static df_status simulate_graph(df_llm *x, const graph_run *run, double *time_s)
{
    df_rules rules = *x->rules;
    DF_TRY(df_llm_show(x, run->name, run->dag));
    df_status status = run_graph(x, run, &rules, false, time_s);
    if (status == DF_ESTUCK && rules.astra_tags_meet) {
        rules.astra_tags_meet = false;
        status = run_graph(x, run, &rules, false, time_s);
    }
    const bool again = status == DF_ESTUCK && !rules.astra_order_open;
    return again ? run_graph(x, run, &rules, true, time_s) : status;
}

static df_status simulate_block(df_llm *x, const df_llm_pass *pass, int direction, double *time_s)
{
    static const graph_run runs[] = {
        [DF_LLM_FORWARD] = {.name = "block_forward", .artifacts = "astra_hier/fwd"},
        [DF_LLM_BACKWARD] = {.name = "block_backward", .artifacts = "astra_hier/bwd"}};
    const df_dag_info start = {.role = DF_LLM_ROLE_MARK, .home = -1};
    df_llm_chain chain;
    const int32_t ranks = block_ranks(x);
    df_dag *const dag = df_dag_new((int)ranks);
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory");
    }
    graph_run run = runs[direction];
    run.dag = dag;
    run.root = df_dag_add(dag, DF_DAG_COLLECTIVE, 0, 0.0);
    run.replicas = 1;
    df_dag_tell(dag, run.root, &start);
    read_chain(x, pass, direction, &chain);
    for (int32_t r = 0; r < ranks; r++) {
        df_dag_link(dag, run.root, df_llm_add_chain(dag, &chain, r, &start));
    }
    const df_status status = df_dag_failed(dag) ? df_fail(x->err, DF_ENOMEM, "out of memory")
                                                : simulate_graph(x, &run, time_s);
    df_dag_free(dag);
    return status;
}

/* ---- A step ---- */

static df_status simulate_step(df_llm *x,
                               const df_llm_pass *pass,
                               const df_step *step,
                               const df_llm_traffic *traffic,
                               bool flat,
                               double *time_s)
{
    /* Devices that split a context have the same parameters: replicas, unless they are ranks of
     * their own. */
    const double replicas = flat ? x->dp : traffic->replicas;
    graph_run run = {.replicas = step->training ? (int32_t)replicas : 1,
                     .exchanges = step->data_parallel,
                     .first_id = flat ? 1 : 0,
                     .name = flat ? "flattened" : "hierarchical",
                     .artifacts = flat ? "astra_flat" : "astra_hier"};
    df_dag *dag = df_llm_build_graph(step, traffic, &run.root);
    if (dag && flat) {
        df_llm_chain chains[DF_LLM_DIRECTIONS];
        for (int i = 0; i < DF_LLM_DIRECTIONS; i++) {
            read_chain(x, pass, i, &chains[i]);
        }
        const df_llm_split split = {
            .stages = (int32_t)step->pipe.stages,
            .ranks = (int32_t)(x->tp * x->cp),
            .shares = step->data_parallel ? (int32_t)(traffic->replicas / x->dp) : 1};
        df_dag *const whole = dag;
        dag = df_llm_flatten(whole, &run.root, chains, &split, x->rules);
        df_dag_free(whole);
    }
    if (!dag) {
        return df_fail(x->err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    run.dag = dag;
    const df_status status = simulate_graph(x, &run, time_s);
    df_dag_free(dag);
    return status;
}

/* Blocks as the simulator times them. */
static df_status simulate_blocks(df_llm *x, const df_llm_pass *pass, df_step *step)
{
    double block_s[DF_LLM_DIRECTIONS] = {0.0, 0.0};
    for (int i = 0; i < (step->training ? DF_LLM_DIRECTIONS : 1); i++) {
        DF_TRY(simulate_block(x, pass, i, &block_s[i]));
        step->t.block[i] = block_s[i];
    }
    return DF_OK;
}

df_status df_llm_run_net_step(
    df_llm *x, df_llm_pass *pass, df_step *step, const df_llm_traffic *traffic, double *time_s)
{
    const df_astra_mode mode = x->cfg->backend.mode;
    if (mode == DF_ASTRA_FLATTENED) {
        return simulate_step(x, pass, step, traffic, true, time_s);
    }
    DF_TRY(simulate_blocks(x, pass, step));
    if (mode == DF_ASTRA_HIERARCHICAL) {
        return simulate_step(x, pass, step, traffic, false, time_s);
    }
    if (x->rules->astra_hybrid_edges_free) {
        df_step_times *const t = &step->t;
        t->hop = 0.0;
        t->reduce_embedding = t->reduce_layer = t->reduce_logits = 0.0;
        t->gather_embedding = t->gather_layer = t->gather_logits = 0.0;
    }
    return df_llm_run_order(x, step, time_s);
}
