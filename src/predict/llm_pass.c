/* A pass through a transformer: its operators, their prices, and sums over these. */
#include <math.h>

#include "predict/predict_impl.h"

/* What the backward pass computes again: the whole layer, or the attention's products and softmax,
 * which FlashAttention computes again anyway. */
static double recompute_s(df_recompute kind, const df_pass_times *times)
{
    switch (kind) {
    case DF_RECOMPUTE_FULL:
        return times->block_s[DF_BLOCK_LAYER][DF_PASS_FORWARD];
    case DF_RECOMPUTE_SELECTIVE:
    case DF_RECOMPUTE_OPERATORS: /* of which these rules know no more */
        return times->attention_core_s;
    case DF_RECOMPUTE_NONE:
        break;
    }
    return 0.0;
}

/* Tables and pictures show the breakdown, simulated layers consist of its rows, and counted
 * energies come from it. */
static bool needs_breakdown(const df_job *x)
{
    return x->usages || x->coster.simulated || x->memory->watch ||
           (!x->training && x->options.counted_energy);
}

df_status df_llm_time_pass(df_job *x, const df_span *span, df_breakdown *table)
{
    df_llm_pass *const pass = &x->memory->pass;
    pass->breakdown = table;
    pass->span = *span;
    df_compat_span(x->rules, &x->dims, &x->split, &pass->span);
    const df_compat_case of = {&x->dims, &x->split, &pass->span};
    df_transformer_build_stack(&x->stack, &x->split, &pass->span, &pass->ops);
    df_compat_edit(x->rules, &of, &pass->ops);
    x->coster.forward_only = span->decode;
    DF_TRY(df_price_ops(&x->coster, pass->ops.op, pass->ops.count, pass->price));
    df_pass_times_sum(&pass->ops, pass->price, &pass->times);
    pass->recompute_s = x->training ? recompute_s(x->cfg->sched.recompute, &pass->times) : 0.0;
    pass->times.block_s[DF_BLOCK_LAYER][DF_PASS_INPUT_GRAD] += pass->recompute_s;
    if (needs_breakdown(x)) {
        df_breakdown_fill(&pass->ops, pass->price, pass->recompute_s, table);
        df_compat_count(x->rules, &of, &pass->ops, pass->price, table);
    }
    return DF_OK;
}

double df_llm_batches(const df_job *x)
{
    return df_compat_first_batch_only(x->rules, &x->pipe, x->order) ? 1.0 : x->split.micro_batches;
}

double df_llm_hop_bytes(const df_job *x)
{
    const double tokens = x->memory->pass.span.tokens;
    const double byte = x->dims.bytes.activation;
    return x->options.hop_whole ? byte * x->split.batch * x->dims.hidden * tokens
                                : ceil(byte * df_split_outside(&x->split, tokens, x->dims.hidden));
}

double df_llm_hop_senders(const df_job *x)
{
    return x->options.hop_whole ? 1.0 : x->split.tp * x->split.cp;
}

double df_llm_coll_s(const df_job *x, df_coll_kind kind, double bytes, double members, df_axis axis)
{
    const df_op_collective what = {kind, 1U << axis, bytes};
    df_topo_group group = x->coster.topo.axis[axis];
    group.members = members;
    return df_price_collective_s(&x->coster, &what, &group);
}
