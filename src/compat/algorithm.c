/* Collectives in the simulator, and the rate of their reductions: with rule astra_algorithm_stale,
 * which number of ranks the algorithm of one is for, where the Python DeepFlow keeps the algorithms
 * of an earlier run. */
#include <assert.h>
#include <math.h>

#include "compat/compat.h"

/* The reference keeps the algorithms in one place, which it writes at the first collective of
 * each number of ranks: a later one of the same ranks has what was written last. It keeps times
 * too: the same collective again takes the time that it took first. */
static double history_ranks(void *context, const df_op *op, double members)
{
    df_compat_history *const history = context;
    df_compat_run run = {op->coll.kind, ceil(op->coll.bytes), members, members};
    bool known = false;
    for (int i = 0; i < history->count; i++) {
        const df_compat_run *const other = &history->run[i];
        const bool alike = other->ranks == members;
        if (alike && other->kind == run.kind && other->bytes == run.bytes) {
            return other->chosen_for;
        }
        known = known || alike;
    }
    if (known) {
        run.chosen_for = history->run[history->count - 1].chosen_for;
    }
    assert(history->count < DF_COMPAT_RUNS);
    history->run[history->count++] = run;
    return run.chosen_for;
}

/* The backward reductions of context parallelism come after those of tensor parallelism. Its
 * gathers took their time forward already: the same collective again takes the time that is
 * kept. */
static double split_ranks(void *context, const df_op *op, double members)
{
    const df_split *const split = context;
    const bool after = op->pass != DF_PASS_FORWARD && op->coll.kind == DF_COLL_REDUCE_SCATTER &&
                       split->tp > 1.0 && split->cp > 1.0 && members == split->cp;
    return after ? split->tp : members;
}

/* Bytes a second that the Python DeepFlow writes into the system file of whatever device. */
static const double reference_reduction_bytes_ps = 1600e9;

void df_compat_simulated(const df_rules *rules, df_mode mode, df_simulated *s)
{
    const bool llm = mode == DF_MODE_LLM;
    s->links_underated = rules->astra_links_underated;
    s->gather_whole = llm && rules->llm_all_gather_whole_steps;
    s->reduction_bytes_ps = rules->astra_reductions_at_1600 ? reference_reduction_bytes_ps : 0.0;
    s->algorithm_ranks = !rules->astra_algorithm_stale ? NULL : llm ? split_ranks : history_ranks;
}
