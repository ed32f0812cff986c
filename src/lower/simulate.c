/* Steps and layers timed by the network simulator. */
#include <stdio.h>

#include "lower/lower_impl.h"

static df_status
run_once(const df_lower_host *host, const df_lower_job *job, double *time_s, df_err *err)
{
    df_net_program *program;
    char folder[96];
    DF_TRY(df_lower_trace(job, &program, err));
    snprintf(folder, sizeof folder, "%s%s", host->where, job->artifacts);
    df_runner_job run = {.program = program,
                         .folder = folder,
                         .name_node = df_lower_name_node,
                         .name_context = job->dag};
    const df_status status = host->run(host->context, &run, time_s, err);
    df_net_program_free(program);
    return status;
}

/* Devices take the collectives that are ready. If they then wait for each other for ever, they keep
 * to one order instead. Which messages of one tag meet depends on the order of elements, which in
 * the reference differs from run to run; if ours cannot end with it, each message gets a tag of its
 * own. */
static df_status simulate(const df_lower_host *host, df_lower_job *job, double *time_s, df_err *err)
{
    job->options = host->options;
    DF_TRY(host->show(host->context, job->name, job->dag, err));
    df_status status = run_once(host, job, time_s, err);
    if (status == DF_ESTUCK && job->options.tags_meet) {
        job->options.tags_meet = false;
        status = run_once(host, job, time_s, err);
    }
    if (status == DF_ESTUCK && !job->options.order_open) {
        job->in_turns = true;
        status = run_once(host, job, time_s, err);
    }
    return status;
}

/* Times a graph, NULL: there was no memory for it, on the devices of a layer; frees it. */
static df_status time_graph(const df_lower_host *host,
                            df_dag *dag,
                            const df_lower_layer *layer,
                            df_lower_job *job,
                            double *time_s,
                            df_err *err)
{
    if (dag && layer) {
        df_dag *const whole = dag;
        dag = df_lower_flatten(whole, &job->root, layer, &host->options);
        df_dag_free(whole);
    }
    if (!dag) {
        return df_fail(err, DF_ENOMEM, "out of memory for the graph of the model");
    }
    job->dag = dag;
    const df_status status = simulate(host, job, time_s, err);
    df_dag_free(dag);
    return status;
}

df_status df_lower_time_block(const df_lower_host *host,
                              const df_lower_layer *layer,
                              int direction,
                              double *time_s,
                              df_err *err)
{
    const df_dag_element block = {
        .kind = DF_DAG_COMPUTE, .role = DF_LOWER_BLOCK, .label = direction};
    const bool back = direction == DF_TASK_BACKWARD;
    df_lower_job job = {.replicas = 1,
                        .name = back ? "block_backward" : "block_forward",
                        .artifacts = back ? "astra_hier/bwd" : "astra_hier/fwd"};
    df_dag *const dag = df_dag_new(1);
    if (dag) {
        job.root = df_dag_add(dag, &block);
    }
    return time_graph(host, dag, layer, &job, time_s, err);
}

df_status df_lower_time_step(const df_lower_host *host,
                             const df_step *step,
                             const df_lower_traffic *traffic,
                             const df_lower_layer *layer,
                             double *time_s,
                             df_err *err)
{
    /* the parts of a layer with the same parameters are replicas unless they are ranks */
    const double replicas = step->training ? traffic->replicas / (layer ? layer->shares : 1) : 1.0;
    const double devices = (double)step->pipe.stages * (layer ? layer->ranks : 1);
    DF_TRY(df_net_check_ranks(replicas, err));
    if (devices > INT32_MAX) { /* they have numbers, whether they have work or not */
        return df_fail(err, DF_EINVAL,
                       "scheduling_param.lp: expected at most %d devices in all stages for the "
                       "network simulator, found %.0f",
                       INT32_MAX, devices);
    }
    df_lower_job job = {.replicas = (int32_t)replicas,
                        .first_id = layer ? 1 : 0,
                        .name = layer ? "flattened" : "hierarchical",
                        .artifacts = layer ? "astra_flat" : "astra_hier"};
    df_dag *const dag = df_lower_graph(step, traffic, &job.root);
    return time_graph(host, dag, layer, &job, time_s, err);
}
