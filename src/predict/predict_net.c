/* Collectives of GEMM and LSTM by the network simulator. */
#include <math.h>

#include "predict/predict_impl.h"

static bool known_ranks(const df_job_net *net, double ranks)
{
    for (int32_t i = 0; i < net->count; i++) {
        if (net->run[i].ranks == ranks) {
            return true;
        }
    }
    return false;
}

static const df_job_run *find_run(const df_job_net *net, const df_job_run *run)
{
    for (int32_t i = 0; i < net->count; i++) {
        const df_job_run *const other = &net->run[i];
        if (other->kind == run->kind && other->bytes == run->bytes && other->ranks == run->ranks) {
            return other;
        }
    }
    return NULL;
}

/* The reference keeps the algorithms in one place, which it writes at the first collective of
 * each number of ranks: a later one of the same ranks has what was written last. It keeps times
 * too: the same collective again takes the time that it took first. */
static double stale_ranks(df_job_net *net, df_job_run run)
{
    const df_job_run *const same = find_run(net, &run);
    if (same) {
        return same->chosen_for;
    }
    run.chosen_for = run.ranks;
    if (net->count > 0 && known_ranks(net, run.ranks)) {
        run.chosen_for = net->run[net->count - 1].chosen_for;
    }
    if (net->count < DF_JOB_RUNS) {
        net->run[net->count++] = run;
    }
    return run.chosen_for;
}

/* The others have no launch overhead in closed form either. */
static bool is_launched(df_coll_kind kind)
{
    return kind != DF_COLL_ALL_TO_ALL && kind != DF_COLL_P2P;
}

double df_job_simulated_s(df_job *job, const df_coll_op *op)
{
    if (!(op->bytes > 0.0) || !(op->participants > 1.0) || job->status != DF_OK) {
        return 0.0;
    }
    const double n = op->participants;
    const df_job_run run = {.kind = op->kind, .bytes = ceil(op->bytes), .ranks = n};
    const df_hw_link *const link =
        df_netcoll_link(&job->topo, job->rules->astra_links_underated, &op->link);
    const df_netcoll_op wanted = {
        .kind = op->kind,
        .bytes = run.bytes,
        .network = df_netcoll_network(&job->topo, n, link),
        .system =
            df_netcoll_system(&job->topo, &job->cfg->backend,
                              job->rules->astra_algorithm_stale ? stale_ranks(&job->net, run) : n)};
    double time_s = 0.0;
    job->status = df_netcoll_time(job->net.sim, &wanted, &time_s, job->err);
    if (job->status != DF_OK) {
        return 0.0;
    }
    return time_s + (is_launched(op->kind) ? job->launch_s : 0.0);
}
