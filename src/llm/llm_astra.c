/* Collectives and steps timed by the network simulator: what src/lower is given. */
#include <math.h>

#include "base/units.h"
#include "compat/step_reference.h"
#include "llm/llm_impl.h"

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

static void
add_row(const df_llm *x, const df_llm_row *row, const link_row *how, df_lower_chain *chain)
{
    const bool back = chain->direction == DF_LLM_BACKWARD;
    const double time_s = back ? row->backward_s : row->forward_s;
    const double comm_s = back ? row->backward_comm_s : row->forward_comm_s;
    const double bytes = ceil(back ? row->backward_comm_bytes : row->forward_comm_bytes);
    const double n = how->over_context ? x->cp : x->tp;
    df_lower_item item = {.op = (int32_t)how->op,
                          .name = df_llm_op_names[how->op],
                          .duration_s = how->with_comm ? time_s : time_s - comm_s};
    df_lower_add_item(chain, &item);
    if (how->kind != DF_COLL_P2P && bytes > 0.0 && n > 1.0) {
        item.is_collective = true;
        item.collective = df_netcoll_kind(how->kind);
        item.bytes = ceil(df_llm_told_bytes(x->rules, how->kind, bytes, n));
        item.participants = (int32_t)n;
        df_lower_add_item(chain, &item);
    }
}

/* In a decode step the norms' durations are without their collectives in any case. */
static void
read_chain(const df_llm *x, const df_llm_pass *pass, int direction, df_lower_chain *chain)
{
    link_row rows[6];
    const int count =
        df_llm_splits_context(x) ? context_rows(x, direction, rows) : tensor_rows(x, rows);
    chain->direction = direction;
    chain->count = 0;
    for (int i = 0; i < count; i++) {
        const int at = direction == DF_LLM_BACKWARD ? count - 1 - i : i;
        if (x->forward_only && (rows[at].op == DF_LLM_NORM1 || rows[at].op == DF_LLM_NORM2)) {
            rows[at].with_comm = false;
        }
        add_row(x, &pass->row[rows[at].op], &rows[at], chain);
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

/* ---- Steps ---- */

/* Runs a program on the network of tensor parallelism: a df_lower_host's run. */
static df_status run_job(void *context, df_astra_job *job, double *time_s, df_err *err)
{
    df_llm *const x = context;
    const double ranks = df_net_program_ranks(job->program);
    const double shared = x->tp * x->cp;
    const bool stale = x->rules->astra_algorithm_stale && shared > 1.0;
    const df_net_network network = network_of(x, ranks);
    const df_net_system system = df_netcoll_system(x->cfg, stale ? shared : ranks);
    job->network = &network;
    job->system = &system;
    return df_netcoll_run(x->memory->net, job, time_s, err);
}

static df_status show(void *context, const char *name, const df_dag *dag, df_err *err)
{
    const df_llm *const x = context;
    const df_llm_watch *const watch = x->memory->watch;
    return watch ? watch->graph(watch->context, x->where, name, dag, err) : DF_OK;
}

static df_lower_host host_of(df_llm *x)
{
    const df_rules *const r = x->rules;
    return (df_lower_host){
        .options = {.hop_skips_collective = r->astra_hop_skips_collective,
                    .reductions_on_first_devices = r->astra_reductions_on_first_devices,
                    .tags_meet = r->astra_tags_meet,
                    .order_open = r->astra_order_open},
        .where = x->where,
        .context = x,
        .run = run_job,
        .show = show};
}

df_status
df_llm_run_net_step(df_llm *x, df_llm_pass *pass, df_step *step, double tokens, double *time_s)
{
    const df_astra_mode mode = x->cfg->backend.mode;
    const df_lower_host host = host_of(x);
    const df_lower_traffic traffic = df_llm_traffic(x, tokens);
    df_lower_chain chains[DF_LLM_DIRECTIONS];
    for (int i = 0; i < DF_LLM_DIRECTIONS; i++) {
        read_chain(x, pass, i, &chains[i]);
    }
    if (mode == DF_ASTRA_FLATTENED) {
        const df_lower_layer layer = {
            .chains = chains,
            .ranks = (int32_t)(x->tp * x->cp),
            .shares = step->data_parallel ? (int32_t)(traffic.replicas / x->dp) : 1};
        return df_lower_time_step(&host, step, &traffic, &layer, time_s, x->err);
    }
    for (int i = 0; i < (step->training ? DF_LLM_DIRECTIONS : 1); i++) {
        DF_TRY(df_lower_time_block(&host, &chains[i], block_ranks(x), &step->t.block[i], x->err));
    }
    if (mode == DF_ASTRA_HIERARCHICAL) {
        return df_lower_time_step(&host, step, &traffic, NULL, time_s, x->err);
    }
    if (x->rules->astra_hybrid_edges_free) {
        step->t.hop = 0.0;
        step->t.reduce = step->t.gather = (df_step_parts){0.0, 0.0, 0.0};
    }
    return df_compat_step(&x->memory->sched, x->rules, step, time_s, x->err);
}
