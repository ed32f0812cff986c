/* With rule astra_algorithm_stale: for which number of ranks the algorithms of a run of the
 * simulator are, where the Python DeepFlow keeps those of an earlier run. This file also has the
 * rate of the simulator's reductions.
 *
 * The Python DeepFlow has one file of algorithms, which it writes at the first run for each number
 * of ranks; a later run for the same number uses what was written last. What a run finds therefore
 * depends on everything that the process did before. A GEMM or an LSTM is assumed to be the first
 * thing that the process does.
 *
 * A transformer is not: the recorded prediction that shows the effect (th_gpt27_tp2_cp4_ring of
 * tests/golden/llm_astra.txt) is that of a process that had met two ranks before. Two is the only
 * number whose algorithm by topology can differ from that of more ranks (a ring of two is
 * connected), and two ranks take the same time with either. So each collective has its own
 * algorithm after all, and what is written last is for the largest number of ranks of any
 * collective: the devices that share a layer. Graphs use that one. A process that begins with such
 * a transformer would meet two ranks only after the four of the forward gather on a ring, and would
 * reduce over the four directly. */
#include <assert.h>
#include <math.h>

#include "compat/compat.h"

/* It also keeps times: a repeated collective takes the time that it took first. */
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

/* Rate, in bytes per second, that the Python DeepFlow writes into the system file of every device.
 */
static const double reference_reduction_bytes_ps = 1600e9;

void df_compat_simulated(const df_rules *rules, df_mode mode, df_simulated *s)
{
    const bool llm = mode == DF_MODE_LLM;
    s->links_underated = rules->astra_links_underated;
    s->gather_whole = llm && rules->llm_all_gather_whole_steps;
    s->reduction_bytes_ps = rules->astra_reductions_at_1600 ? reference_reduction_bytes_ps : 0.0;
    s->algorithm_ranks = !llm && rules->astra_algorithm_stale ? history_ranks : NULL;
    s->graph_as_layer = llm && rules->astra_algorithm_stale;
}
