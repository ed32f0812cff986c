#include "predict/pipe.h"

df_pipe df_pipe_read(const df_cfg *cfg)
{
    const df_cfg_sched *const s = &cfg->sched;
    const bool training = cfg->llm.run_type == DF_RUN_TRAINING;
    return (df_pipe){.layers = cfg->llm.num_layers,
                     .stages = s->lp,
                     .virtual_stages = training ? s->virtual_stages : 1,
                     .batches = s->mb};
}

const df_order *df_pipe_order(const df_cfg *cfg)
{
    return &df_orders[cfg->sched.schedule];
}
