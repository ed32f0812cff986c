#include "compat/output.h"

double df_compat_rated_sequences(const df_rules *rules, const df_cfg *cfg)
{
    const double batch = (double)cfg->llm.batch_size;
    return rules->llm_replicas_counted_twice ? batch * (double)cfg->sched.dp : batch;
}

double df_compat_summary_backward_s(const df_rules *rules, double backward_s, double reduction_s)
{
    return rules->gemm_summary_subtracts_dp ? backward_s - reduction_s : backward_s;
}
