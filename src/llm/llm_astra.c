/* Collectives, blocks and whole steps timed by the network simulator. */
#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "llm/llm_net.h"

/* A network of the simulator for so many ranks, over the network of tensor parallelism. One device
 * alone has no links, but the simulator wants two: any link between it and its twin will do. */
static df_net_network network_of(const df_llm *x, double ranks)
{
    static const df_hw_link unused = {DF_GIB, 1e-6};
    const df_split *const s = &x->split;
    const df_topo *const topo = &x->coster.topo;
    const bool underated = x->simulated.links_underated;
    const bool alone = s->tp * s->cp * s->dp * s->pp == 1.0 && !underated;
    const df_topo_group group = df_topo_join(&topo->axis[DF_AXIS_TP], &topo->axis[DF_AXIS_CP]);
    const df_hw_link *const link = df_netcoll_link(topo, underated, &group.link);
    return df_netcoll_network(topo, ranks, alone ? &unused : link);
}

/* ---- A layer as a chain ---- */

/* Rows of the table that follow one another in a chain, each with its collectives behind it. */
static const df_row_name tensor_rows[] = {DF_ROW_NORM1, DF_ROW_MHA, DF_ROW_NORM2, DF_ROW_MLP};
static const df_row_name context_rows[] = {DF_ROW_NORM1, DF_ROW_QKV,   DF_ROW_ATTENTION,
                                           DF_ROW_OUT,   DF_ROW_NORM2, DF_ROW_MLP};

/* Whether the row of an operator is part of a row of the chain. */
static bool is_within(df_row_name row, df_row_name of)
{
    const bool attention = row <= DF_ROW_ATTENTION && row >= DF_ROW_SCORE;
    switch (of) {
    case DF_ROW_MHA:
        return attention || row == DF_ROW_QKV || row == DF_ROW_OUT;
    case DF_ROW_MLP:
        return row == DF_ROW_FFN1 || row == DF_ROW_ACTIVATION || row == DF_ROW_FFN2;
    case DF_ROW_ATTENTION:
        return attention;
    default:
        return row == of;
    }
}

static df_llm_chain_item *add_item(df_llm_chain *chain)
{
    assert(chain->count < DF_LLM_CHAIN_MAX);
    return &chain->item[chain->count++];
}

static void add_collectives(
    const df_llm *x, const df_llm_pass *pass, df_row_name row, int direction, df_llm_chain *chain)
{
    for (int i = 0; i < pass->ops.count; i++) {
        const df_op *const op = &pass->ops.op[i];
        if (op->kind != DF_OP_COLLECTIVE || df_op_direction(op) != direction ||
            !is_within((df_row_name)op->row, row)) {
            continue;
        }
        const double bytes = ceil(op->coll.bytes);
        const double n = df_topo_over(&x->coster.topo, op->coll.axes).members;
        if (bytes > 0.0 && n > 1.0) {
            *add_item(chain) = (df_llm_chain_item){
                .is_collective = true,
                .kind = op->coll.kind,
                .bytes = ceil(df_simulated_bytes(&x->simulated, op->coll.kind, bytes, n)),
                .participants = (int32_t)n,
                .label = df_llm_label_of(row, direction, op->coll.kind)};
        }
    }
}

/* By the reference's rules, some rows last as long as with their collectives, which are simulated
 * too: not the norms of a decode step, and with context parallelism the MLP alone. */
static bool lasts_with_collectives(const df_llm *x, df_row_name row)
{
    const bool norm = row == DF_ROW_NORM1 || row == DF_ROW_NORM2;
    return x->rules->astra_block_collectives_twice && !(norm && x->coster.forward_only) &&
           (x->split.cp == 1.0 || row == DF_ROW_MLP);
}

static void read_chain(const df_llm *x, const df_llm_pass *pass, int direction, df_llm_chain *chain)
{
    const bool context = x->split.cp > 1.0;
    const df_row_name *const rows = context ? context_rows : tensor_rows;
    const int count = (int)(context ? sizeof context_rows : sizeof tensor_rows) / (int)sizeof *rows;
    chain->count = 0;
    for (int i = 0; i < count; i++) {
        const df_row_name row = rows[direction == DF_BACKWARD ? count - 1 - i : i];
        const df_row_side *const side = &pass->table.row[row].side[direction];
        const double comm_s = lasts_with_collectives(x, row) ? 0.0 : side->comm_s;
        *add_item(chain) =
            (df_llm_chain_item){.duration_s = side->time_s - comm_s,
                                .label = df_llm_label_of(row, direction, DF_COLL_P2P)};
        add_collectives(x, pass, row, direction, chain);
    }
    if (direction == DF_BACKWARD) {
        chain->item[0].duration_s += pass->table.recompute_s;
    }
}

/* Devices whose chains are simulated as one block: those of tensor parallelism. Groups over
 * context are cut out of them in turn; where that would leave one device alone, which cannot
 * be simulated, all devices that share the layer are. */
static int32_t block_ranks(const df_llm *x)
{
    const bool alone = x->split.cp > 1.0 && fmod(x->split.tp, x->split.cp) == 1.0;
    return (int32_t)(alone ? x->split.tp * x->split.cp : x->split.tp);
}

/* Algorithms that a run over a graph uses. */
static df_net_system graph_system(const df_llm *x, int32_t ranks)
{
    const double shared = x->split.tp * x->split.cp;
    return df_netcoll_system(&x->coster.topo, &x->cfg->backend,
                             x->rules->astra_algorithm_stale && shared > 1.0 ? shared
                                                                             : (double)ranks);
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
        [DF_FORWARD] = {.name = "block_forward", .artifacts = "astra_hier/fwd"},
        [DF_BACKWARD] = {.name = "block_backward", .artifacts = "astra_hier/bwd"}};
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

static df_status simulate_step(
    df_llm *x, const df_llm_pass *pass, const df_llm_step *step, bool flat, double *time_s)
{
    /* Devices that split a context have the same parameters: replicas, unless they are ranks of
     * their own. */
    const double replicas = flat ? x->split.dp : step->replicas;
    graph_run run = {.replicas = step->training ? (int32_t)replicas : 1,
                     .exchanges = step->data_parallel,
                     .first_id = flat ? 1 : 0,
                     .name = flat ? "flattened" : "hierarchical",
                     .artifacts = flat ? "astra_flat" : "astra_hier"};
    df_dag *dag = df_llm_build_graph(step, &run.root);
    if (dag && flat) {
        df_llm_chain chains[DF_DIRECTIONS];
        for (int i = 0; i < DF_DIRECTIONS; i++) {
            read_chain(x, pass, i, &chains[i]);
        }
        const df_llm_split split = {
            .stages = (int32_t)step->stages,
            .ranks = (int32_t)(x->split.tp * x->split.cp),
            .shares = step->data_parallel ? (int32_t)(step->replicas / x->split.dp) : 1};
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
static df_status simulate_blocks(df_llm *x, const df_llm_pass *pass, df_llm_step *step)
{
    double block_s[DF_DIRECTIONS] = {0.0, 0.0};
    for (int i = 0; i < (step->training ? DF_DIRECTIONS : 1); i++) {
        DF_TRY(simulate_block(x, pass, i, &block_s[i]));
        step->t.block[i] = block_s[i];
    }
    return DF_OK;
}

df_status df_llm_run_net_step(df_llm *x, const df_llm_pass *pass, df_llm_step *step, double *time_s)
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
