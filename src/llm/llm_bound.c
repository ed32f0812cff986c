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
