#include "predict/pipe.h"

df_pipe df_pipe_read(const df_cfg *cfg)
{
    const df_cfg_sched *const s = &cfg->sched;
    const bool interleaved =
        cfg->llm.run_type == DF_RUN_TRAINING && s->schedule == DF_SCHEDULE_INTERLEAVED;
    return (df_pipe){.layers = cfg->llm.num_layers,
                     .stages = s->lp,
                     .virtual_stages = interleaved ? s->virtual_stages : 1,
                     .batches = s->mb};
}

const df_order *df_pipe_order(const df_cfg *cfg)
{
    static const df_order_id orders[] = {[DF_SCHEDULE_GPIPE] = DF_ORDER_GPIPE,
                                         [DF_SCHEDULE_1F1B] = DF_ORDER_1F1B,
                                         [DF_SCHEDULE_INTERLEAVED] = DF_ORDER_INTERLEAVED};
    return &df_orders[orders[cfg->sched.schedule]];
}
