#include "cost/simulated.h"

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
    const df_hw_link *const link = df_netcoll_link(&c->topo, s->links_underated, &group->link);
    const df_coll_kind kind = op->coll.kind;
    const double chosen_for = s->algorithm_ranks ? s->algorithm_ranks(s->context, op, n) : n;
    const df_netcoll_op wanted = {.kind = kind,
                                  .bytes = df_simulated_bytes(s, kind, op->coll.bytes, n),
                                  .network = df_netcoll_network(&c->topo, n, link),
                                  .system = df_netcoll_system(&c->topo, s->backend, chosen_for)};
    double simulated_s;
    DF_TRY(df_netcoll_time(s->net, &wanted, &simulated_s, c->err));
    /* a hop and an all-to-all have no launch in closed form either */
    const bool launched = kind != DF_COLL_ALL_TO_ALL && kind != DF_COLL_P2P;
    *time_s = simulated_s + (launched ? c->dev->launch_overhead_s : 0.0);
    return DF_OK;
}
