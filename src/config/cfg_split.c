/* What the degrees of parallelism ask of an LLM: one list, for predictions and searches. */
#include <inttypes.h>

#include "config/cfg_impl.h"

/* A condition that is not met: the contents of df_cfg_misfit, and what is expected. */
typedef struct {
    bool missed;
    bool always; /* whatever is demanded */
    const char *key, *reason;
    const char *expected;
    int64_t of; /* stands behind `expected`; 0: nothing does */
    int64_t found;
} condition;

static int64_t at_least_1(int64_t degree)
{
    return degree > 0 ? degree : 1;
}

bool df_cfg_find_misfit(const df_cfg_llm *m,
                        const int64_t degree[DF_AXES],
                        int64_t ep,
                        bool tp_sp,
                        df_split_demand demand,
                        df_cfg_misfit *out)
{
    static const char tp_key[] = "scheduling_param.tp";
    static const char cp_key[] = "scheduling_param.cp";
    const int64_t tp = at_least_1(degree[DF_AXIS_TP]);
    const int64_t cp = at_least_1(degree[DF_AXIS_CP]);
    const int64_t dp = at_least_1(degree[DF_AXIS_DP]);
    const int64_t lp = degree[DF_AXIS_LP];
    const int64_t heads = m->attention.num_heads;
    const int64_t ffn = m->intermediate_size;
    const int64_t expert = m->shape.expert_size > 0 ? m->shape.expert_size : ffn;
    const bool has_experts = m->num_experts > 1;
    ep = at_least_1(ep);
    const condition all[] = {
        {!has_experts && ep > 1, true, "scheduling_param.ep", "ep needs experts",
         "1 for a model without experts", 0, ep},
        {has_experts && m->num_experts % ep != 0, true, "scheduling_param.ep",
         "ep does not divide num_experts", "a divisor of num_experts", m->num_experts, ep},
        {(tp * dp) % ep != 0, true, "scheduling_param.ep", "ep does not divide tp * dp",
         "a divisor of tp * dp", tp * dp, ep},
        {has_experts && ep == 1 && expert % tp != 0, false, tp_key,
         "tp does not divide the width of an expert", "without ep a divisor of an expert's width",
         expert, tp},
        {heads % tp != 0, false, tp_key, "tp does not divide num_heads", "a divisor of num_heads",
         heads, tp},
        {ffn % tp != 0 && (!has_experts || m->layers.count > 0), false, tp_key,
         "tp does not divide intermediate_size", "a divisor of intermediate_size", ffn, tp},
        {tp_sp && cp == 1 && m->seq_len % tp != 0, false, tp_key,
         "with tp_sp tp does not divide seq_len", "with tp_sp a divisor of seq_len", m->seq_len,
         tp},
        {m->run_type == DF_RUN_INFERENCE && cp > 1, true, cp_key, "cp is for training",
         "1 for inference", 0, cp},
        {m->seq_len % cp != 0, false, cp_key, "cp does not divide seq_len", "a divisor of seq_len",
         m->seq_len, cp},
        {m->batch_size % dp != 0, true, "model_param.batch_size", "dp does not divide batch_size",
         "a multiple of dp", dp, m->batch_size},
        {lp > m->num_layers, false, "scheduling_param.lp", "lp is above num_layers",
         "at most num_layers", m->num_layers, lp}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const condition *const c = &all[i];
        if (c->missed && (c->always || demand == DF_SPLIT_EVEN)) {
            *out = (df_cfg_misfit){c->key, c->reason, c->expected, c->of, c->found};
            return true;
        }
    }
    return false;
}

df_status df_cfg_fail_misfit(const df_cfg_misfit *misfit, const char **key, df_err *err)
{
    *key = misfit->key;
    if (misfit->of == 0) {
        return df_fail(err, DF_EINVAL, "expected %s, found %" PRId64, misfit->expected,
                       misfit->found);
    }
    return df_fail(err, DF_EINVAL, "expected %s %" PRId64 ", found %" PRId64, misfit->expected,
                   misfit->of, misfit->found);
}
