#include "compat/algorithm.h"

#include <assert.h>
#include <math.h>

static bool knows_ranks(const df_compat_history *history, double ranks)
{
    for (int i = 0; i < history->count; i++) {
        if (history->run[i].ranks == ranks) {
            return true;
        }
    }
    return false;
}

static const df_compat_run *find_run(const df_compat_history *history, const df_compat_run *run)
{
    for (int i = 0; i < history->count; i++) {
        const df_compat_run *const other = &history->run[i];
        if (other->kind == run->kind && other->bytes == run->bytes && other->ranks == run->ranks) {
            return other;
        }
    }
    return NULL;
}

/* The reference keeps the algorithms in one place, which it writes at the first collective of
 * each number of ranks: a later one of the same ranks has what was written last. It keeps times
 * too: the same collective again takes the time that it took first. */
double df_compat_history_ranks(void *context, const df_op *op, double members)
{
    df_compat_history *const history = context;
    df_compat_run run = {op->coll.kind, ceil(op->coll.bytes), members, members};
    const df_compat_run *const same = find_run(history, &run);
    if (same) {
        return same->chosen_for;
    }
    if (history->count > 0 && knows_ranks(history, members)) {
        run.chosen_for = history->run[history->count - 1].chosen_for;
    }
    assert(history->count < DF_COMPAT_RUNS);
    history->run[history->count++] = run;
    return run.chosen_for;
}

/* The backward reductions of context parallelism come after those of tensor parallelism. Its
 * gathers took their time forward already: the same collective again takes the time that is
 * kept. */
double df_compat_split_ranks(void *context, const df_op *op, double members)
{
    const df_split *const split = context;
    const bool after = op->pass != DF_PASS_FORWARD && op->coll.kind == DF_COLL_REDUCE_SCATTER &&
                       split->tp > 1.0 && split->cp > 1.0 && members == split->cp;
    return after ? split->tp : members;
}
