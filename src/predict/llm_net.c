/* Steps timed by the network simulator: what src/lower is given. */
#include <math.h>

#include "base/units.h"
#include "predict/predict_impl.h"

/* ---- A layer as a chain ---- */

/* Rows of the breakdown that follow one another in a chain, each with its collectives behind it. */
static const df_row_name tensor_rows[] = {DF_ROW_NORM1, DF_ROW_MHA, DF_ROW_NORM2, DF_ROW_MLP};
static const df_row_name context_rows[] = {DF_ROW_NORM1, DF_ROW_QKV,   DF_ROW_ATTENTION,
                                           DF_ROW_OUT,   DF_ROW_NORM2, DF_ROW_MLP};

/* With collectives_twice, some rows include the time of their collectives, which are simulated too:
 * not the norms of a decode step, and with context parallelism only the MLP. */
static bool lasts_with_collectives(const df_job *x, df_row_name row)
{
    const bool norm = row == DF_ROW_NORM1 || row == DF_ROW_NORM2;
    return x->options.collectives_twice && !(norm && x->coster.forward_only) &&
           (x->split.cp == 1.0 || row == DF_ROW_MLP);
}

static void add_collectives(const df_job *x, df_row_name row, df_lower_chain *chain)
{
    const df_ops *const ops = &x->memory->pass.ops;
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        if (op->kind != DF_OP_COLLECTIVE || df_op_direction(op) != chain->direction ||
            !df_row_is_within((df_row_name)op->row, row)) {
            continue;
        }
        const double bytes = ceil(op->coll.bytes);
        const double n = df_topo_over(&x->coster.topo, op->coll.axes).members;
        if (bytes > 0.0 && n > 1.0) {
            const df_coll_kind kind = op->coll.kind;
            const df_lower_item item = {.op = (int32_t)row,
                                        .name = df_row_names[row],
                                        .is_collective = true,
                                        .collective = df_simulated_kind(kind),
                                        .bytes =
                                            ceil(df_simulated_bytes(&x->simulated, kind, bytes, n)),
                                        .participants = (int32_t)fmin(n, INT32_MAX)};
            df_lower_add_item(chain, &item);
        }
    }
}

static void read_chain(const df_job *x, int direction, df_lower_chain *chain)
{
    const df_llm_pass *const pass = &x->memory->pass;
    const bool context = x->split.cp > 1.0;
    const df_row_name *const rows = context ? context_rows : tensor_rows;
    const int count = (int)((context ? sizeof context_rows : sizeof tensor_rows) / sizeof rows[0]);
    chain->direction = direction;
    chain->count = 0;
    for (int i = 0; i < count; i++) {
        const df_row_name row = rows[direction == DF_BACKWARD ? count - 1 - i : i];
        const df_row_side *const side = &pass->breakdown->row[row].side[direction];
        const double comm_s = lasts_with_collectives(x, row) ? 0.0 : side->comm_s;
        const df_lower_item item = {
            .op = (int32_t)row, .name = df_row_names[row], .duration_s = side->time_s - comm_s};
        df_lower_add_item(chain, &item);
        add_collectives(x, row, chain);
    }
    if (direction == DF_BACKWARD) {
        chain->item[0].duration_s += pass->recompute_s;
    }
}

/* Devices whose chains are simulated as one block: those of tensor parallelism. Groups over
 * context are cut out of them in turn; where that would leave one device alone, which cannot
 * be simulated, all devices that share the layer are. */
static double block_ranks(const df_job *x)
{
    const df_split *const s = &x->split;
    const bool alone = s->cp > 1.0 && fmod(s->tp, s->cp) == 1.0;
    return alone ? s->tp * s->cp : s->tp;
}

/* ---- Steps ---- */

/* All of a graph runs on one network: that of the devices which share a layer. One device alone has
 * no links, but the simulator wants two: any link between it and its twin will do. */
static df_net_network network_of(const df_job *x, double ranks)
{
    static const df_hw_link unused = {DF_GIB, 1e-6};
    const df_split *const s = &x->split;
    const df_topo *const topo = &x->coster.topo;
    const bool underated = x->simulated.links_underated;
    const bool alone = s->tp * s->cp * s->dp * s->pp == 1.0 && !underated;
    const df_topo_group group = df_topo_over(topo, 1U << DF_AXIS_TP | 1U << DF_AXIS_CP);
    const df_hw_link *const link = df_simulated_link(topo, underated, &group.link);
    return df_simulated_network(topo, ranks, alone ? &unused : link);
}

/* Runs a program: a df_lower_host's run. */
static df_status run_job(void *context, const df_runner_job *job, double *time_s, df_err *err)
{
    df_job *const x = context;
    const double ranks = df_net_program_ranks(job->program);
    const double shared = x->split.tp * x->split.cp;
    const bool stale = x->simulated.graph_as_layer && shared > 1.0;
    const df_net_network network = network_of(x, ranks);
    const df_net_system system =
        df_simulated_system(&x->coster.topo, x->simulated.backend, stale ? shared : ranks,
                            df_simulated_reduction_bytes_ps(&x->simulated, x->coster.dev));
    df_runner_job run = *job;
    run.network = &network;
    run.system = &system;
    return df_simulator_run(x->memory->net, &run, time_s, err);
}

static df_status show(void *context, const char *name, const df_dag *dag, df_err *err)
{
    const df_job *const x = context;
    const df_llm_watch *const watch = x->memory->watch;
    return watch ? watch->graph(watch->context, x->where, name, dag, err) : DF_OK;
}

/* Traces have whole microseconds; where they are written the prediction is that of what they say.
 */
static df_lower_host host_of(df_job *x)
{
    df_lower_host host = {
        .options = x->options.lower, .where = x->where, .context = x, .run = run_job, .show = show};
    const df_runner *const runner = x->memory->runner;
    host.options.whole_microseconds |= runner && df_runner_writes_traces(runner);
    return host;
}

/* A block runs alone, on `ranks` devices, unless the mode is flattened; but for hybrid, all stages
 * with layers run together, in training with their replicas. */
static df_status check_ranks(const df_job *x, const df_step *step, double ranks, double replicas)
{
    const unsigned block = 1U << DF_AXIS_TP | 1U << DF_AXIS_CP;
    const unsigned copies = step->training ? 1U << DF_AXIS_DP | 1U << DF_AXIS_CP : 0;
    const df_astra_mode mode = x->cfg->backend.mode;
    const bool flattened = mode == DF_ASTRA_FLATTENED;
    const df_topo *const topo = &x->coster.topo;
    const df_pipe pipe = df_sched_trim(&step->pipe);
    const bool idle = df_sched_layers(&pipe, pipe.stages * pipe.virtual_stages - 1) == 0;
    const double stages = (double)(pipe.stages - idle);
    const double twins = !step->training ? 1.0 : flattened ? x->split.dp : replicas;
    DF_TRY(df_simulated_check_ranks(topo, block, ranks, x->err));
    if (mode == DF_ASTRA_HYBRID) {
        return DF_OK;
    }
    return df_simulated_check_ranks(topo, copies | 1U << DF_AXIS_LP | (flattened ? block : 0),
                                    (flattened ? ranks : 1.0) * stages * twins, x->err);
}

df_status
df_llm_run_net_step(df_job *x, df_step *step, const df_lower_traffic *traffic, double *time_s)
{
    const df_astra_mode mode = x->cfg->backend.mode;
    const df_lower_host host = host_of(x);
    df_lower_chain chains[DF_DIRECTIONS];
    for (int i = 0; i < DF_DIRECTIONS; i++) {
        read_chain(x, i, &chains[i]);
    }
    const double ranks = mode == DF_ASTRA_FLATTENED ? x->split.tp * x->split.cp : block_ranks(x);
    DF_TRY(check_ranks(x, step, ranks, traffic->replicas));
    if (step->training && x->order->splits_backward) {
        return df_fail(x->err, DF_EINVAL,
                       "scheduling_param.schedule: expected an order that does not split the "
                       "backward pass for the network simulator");
    }
    if (mode == DF_ASTRA_FLATTENED) {
        const df_lower_layer layer = {
            .chains = chains,
            .ranks = (int32_t)ranks,
            .shares = step->data_parallel ? (int32_t)(traffic->replicas / x->split.dp) : 1};
        return df_lower_time_step(&host, step, traffic, &layer, time_s, x->err);
    }
    const df_lower_layer alone = {.chains = chains, .ranks = (int32_t)ranks, .shares = 1};
    for (int i = 0; i < (step->training ? DF_DIRECTIONS : 1); i++) {
        DF_TRY(df_lower_time_block(&host, &alone, i, &step->t.block[i], x->err));
    }
    if (mode == DF_ASTRA_HIERARCHICAL) {
        return df_lower_time_step(&host, step, traffic, NULL, time_s, x->err);
    }
    if (x->options.edges_free) {
        step->t.hop = 0.0;
        step->t.reduce = step->t.gather = (df_step_parts){0.0, 0.0, 0.0};
    }
    return df_compat_step(&x->memory->sched, x->rules, step, time_s, x->err);
}
