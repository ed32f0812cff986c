#include <math.h>

#include "llm/llm.h"

const char *const df_llm_bound_names[DF_LLM_BOUNDS] = {
    [DF_LLM_BY_NOTHING] = "-",
    [DF_LLM_BY_COMPUTE] = "compute",
    [DF_LLM_BY_REGISTERS] = "registers",
    [DF_LLM_BY_L1] = "L1",
    [DF_LLM_BY_L2] = "L2",
    [DF_LLM_BY_DRAM] = "DRAM",
    [DF_LLM_BY_NETWORK] = "network",
    [DF_LLM_BY_LAUNCH] = "launch",
};

/* Seconds of each: what would be left if all the others were infinitely fast. */
static void find_shares(const df_hw_device *dev,
                        const df_llm_row *row,
                        int direction,
                        double share_s[DF_LLM_BOUNDS])
{
    const df_llm_work *const work = &row->work[direction];
    const double bundles = dev->core.num_bundle > 1.0 ? dev->core.num_bundle : 1.0;
    share_s[DF_LLM_BY_NOTHING] = 0.0;
    share_s[DF_LLM_BY_COMPUTE] = work->flops / dev->core.throughput_flops_ps;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        /* each bundle has its L1 */
        const double bytes = work->traffic_bytes[level] / (level == 1 ? bundles : 1.0);
        share_s[DF_LLM_BY_REGISTERS + level] = bytes / dev->mem[level].throughput_bytes_ps;
    }
    share_s[DF_LLM_BY_NETWORK] =
        direction == DF_LLM_FORWARD ? row->forward_comm_s : row->backward_comm_s;
    share_s[DF_LLM_BY_LAUNCH] = row->launch_s[direction];
}

df_llm_bound df_llm_find_bound(const df_hw_device *dev, const df_llm_row *row, int direction)
{
    double share_s[DF_LLM_BOUNDS];
    df_llm_bound most = DF_LLM_BY_NOTHING;
    find_shares(dev, row, direction, share_s);
    for (int i = DF_LLM_BY_COMPUTE; i < DF_LLM_BOUNDS; i++) {
        most = share_s[i] > share_s[most] ? (df_llm_bound)i : most;
    }
    return most;
}

/* ---- Operators of a step ---- */

const df_llm_op df_llm_leaves[DF_LLM_LEAVES] = {
    DF_LLM_EMBEDDING, DF_LLM_NORM1, DF_LLM_QKV,        DF_LLM_ATTENTION, DF_LLM_OUT,
    DF_LLM_NORM2,     DF_LLM_FFN1,  DF_LLM_ACTIVATION, DF_LLM_FFN2,      DF_LLM_LOGITS,
};

double df_llm_runs(const df_cfg *cfg, const df_llm_result *result, df_llm_op op)
{
    const df_cfg_llm *const m = &cfg->llm;
    const df_cfg_sched *const s = &cfg->sched;
    const double batches = (double)m->batch_size / (double)s->dp / result->micro_batch;
    const bool once = op == DF_LLM_EMBEDDING || op == DF_LLM_LOGITS;
    return batches * (once ? 1.0 : (double)m->num_layers) / (double)s->lp;
}

bool df_llm_runs_backward(const df_llm_result *result, df_llm_op op)
{
    return result->run_type == DF_RUN_TRAINING && (!result->cut_short || op == DF_LLM_LOGITS);
}

/* Adds one direction of a row: its collective, its launches, and the rest by what bounds it. */
static void add_direction(df_op *op, const df_hw_device *dev, const df_llm_row *row, int direction)
{
    const bool forward = direction == DF_LLM_FORWARD;
    const double time_s = forward ? row->forward_s : row->backward_s;
    const double comm_s = forward ? row->forward_comm_s : row->backward_comm_s;
    const double launch_s = row->launch_s[direction];
    const df_llm_work *const work = &row->work[direction];
    op->cost_s[DF_COST_NETWORK] += comm_s;
    op->cost_s[DF_COST_LAUNCH] += launch_s;
    df_op_add_kernel(op, dev, fmax(time_s - comm_s - launch_s, 0.0), work->flops,
                     work->traffic_bytes);
}

/* A pass whose operators run `scale` times as often as in one step. */
typedef struct {
    const df_llm_pass *pass;
    const char *phase;
    double scale;
} phase;

static void add_phase(const df_cfg *cfg,
                      const df_hw_device *dev,
                      const df_llm_result *result,
                      const phase *p,
                      df_ops *ops)
{
    for (int i = 0; i < DF_LLM_LEAVES; i++) {
        const df_llm_row *const row = &p->pass->row[df_llm_leaves[i]];
        if (!row->present) {
            continue;
        }
        const double runs = p->scale * df_llm_runs(cfg, result, df_llm_leaves[i]);
        df_op *const op = df_ops_add(ops, df_llm_op_names[df_llm_leaves[i]], runs);
        op->phase = p->phase;
        add_direction(op, dev, row, DF_LLM_FORWARD);
        if (df_llm_runs_backward(result, df_llm_leaves[i])) {
            add_direction(op, dev, row, DF_LLM_BACKWARD);
        }
    }
}

void df_llm_list_ops(const df_cfg *cfg,
                     const df_hw_device *dev,
                     const df_llm_result *result,
                     df_ops *ops)
{
    const df_llm_pass *const pass = &result->pass;
    ops->count = 0;
    if (result->run_type == DF_RUN_INFERENCE) {
        /* the last decode step, for as long as all take */
        const double steps = result->decode_s * result->tokens_ps.end;
        add_phase(cfg, dev, result, &(phase){pass, "prefill", 1.0}, ops);
        add_phase(cfg, dev, result, &(phase){&result->decode, "decode", steps}, ops);
        return;
    }
    add_phase(cfg, dev, result, &(phase){pass, "", 1.0}, ops);
    if (pass->recompute_s > 0 && !result->cut_short) {
        df_op *const op =
            df_ops_add(ops, "recomputed forward work", df_llm_runs(cfg, result, DF_LLM_MHA));
        op->cost_s[DF_COST_COMPUTE] = pass->recompute_s;
    }
    if (result->optimizer_s > 0) {
        df_op *const op = df_ops_add(ops, "optimizer", 1.0);
        op->cost_s[DF_COST_DRAM] = result->optimizer_s;
    }
}
