#include "sched/sched.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- Pipelines ---- */

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

int64_t df_sched_layers(const df_pipe *pipe, int64_t part)
{
    const int64_t most = ceil_div(pipe->layers, pipe->stages * pipe->virtual_stages);
    const int64_t left = pipe->layers - part * most;
    return left <= 0 ? 0 : least(left, most);
}

int64_t df_sched_stage_layers(const df_pipe *pipe, int64_t stage)
{
    int64_t layers = 0;
    for (int64_t part = stage; part < pipe->stages * pipe->virtual_stages; part += pipe->stages) {
        layers += df_sched_layers(pipe, part);
    }
    return layers;
}

df_pipe df_sched_trim(const df_pipe *pipe)
{
    df_pipe trimmed = *pipe;
    if (pipe->virtual_stages == 1) {
        const int64_t most = ceil_div(pipe->layers, pipe->stages);
        trimmed.stages = least(ceil_div(pipe->layers, most) + 1, pipe->stages);
    }
    return trimmed;
}

static int64_t passes(const df_pipe *pipe)
{
    return pipe->batches * pipe->virtual_stages;
}

/* ---- One forward, one backward ---- */

/* Forward passes of a stage before its first backward pass. */
static int64_t warm_up(const df_pipe *pipe, int64_t stage)
{
    const int64_t all = passes(pipe);
    const int64_t behind = pipe->stages - stage - 1;
    if (pipe->virtual_stages == 1) {
        return least(behind, all);
    }
    /* Megatron-LM runs all of them where there are as many micro-batches as stages */
    return pipe->batches == pipe->stages
               ? all
               : least(2 * behind + (pipe->virtual_stages - 1) * pipe->stages, all);
}

/* A stage takes its parts in turns, with as many micro-batches each as there are stages. */
static df_task pass_of(const df_pipe *pipe, int64_t stage, int64_t number, df_task_kind kind)
{
    if (pipe->virtual_stages == 1) {
        return (df_task){kind, stage, number};
    }
    const int64_t round = pipe->stages * pipe->virtual_stages;
    const int64_t place = number % round;
    const int64_t turn = place / pipe->stages;
    const int64_t own = kind == DF_TASK_FORWARD ? turn : pipe->virtual_stages - 1 - turn;
    return (df_task){kind, own * pipe->stages + stage,
                     number / round * pipe->stages + place % pipe->stages};
}

/* After the warm-up forward and backward passes alternate until no forward passes are left. */
static df_task alternate(const df_pipe *pipe, int64_t stage, int64_t number)
{
    const int64_t all = passes(pipe);
    const int64_t warm = warm_up(pipe, stage);
    const int64_t after = number - warm;
    if (after < 0) {
        return pass_of(pipe, stage, number, DF_TASK_FORWARD);
    }
    if (after >= 2 * (all - warm)) {
        return pass_of(pipe, stage, number - all, DF_TASK_BACKWARD);
    }
    return after % 2 == 0 ? pass_of(pipe, stage, warm + after / 2, DF_TASK_FORWARD)
                          : pass_of(pipe, stage, after / 2, DF_TASK_BACKWARD);
}

static int64_t alternating_in_flight(const df_pipe *pipe, int64_t stage)
{
    return least(warm_up(pipe, stage) + 1, passes(pipe));
}

/* ---- All forward, then all backward ---- */

/* On a single stage each micro-batch goes backward at once: nothing else could run meanwhile. */
static df_task gpipe(const df_pipe *pipe, int64_t stage, int64_t number)
{
    const int64_t all = pipe->batches;
    if (pipe->stages == 1) {
        return alternate(pipe, stage, number);
    }
    return number < all ? (df_task){DF_TASK_FORWARD, stage, number}
                        : (df_task){DF_TASK_BACKWARD, stage, 2 * all - 1 - number};
}

static int64_t gpipe_in_flight(const df_pipe *pipe, int64_t stage)
{
    (void)stage;
    return pipe->stages == 1 ? 1 : pipe->batches;
}

/* ---- The table ---- */

/* GPipe: Huang et al., NeurIPS 2019. The others: Narayanan et al., SC 2021. */
const df_order df_orders[] = {
    [DF_ORDER_GPIPE] = {.name = "gpipe",
                        .forward_first = true,
                        .task = gpipe,
                        .in_flight = gpipe_in_flight},
    [DF_ORDER_1F1B] = {.name = "1f1b", .task = alternate, .in_flight = alternating_in_flight},
    [DF_ORDER_INTERLEAVED] = {.name = "interleaved",
                              .several_parts = true,
                              .task = alternate,
                              .in_flight = alternating_in_flight},
};
const int df_order_count = sizeof df_orders / sizeof df_orders[0];

const df_word df_order_words[] = {{"gpipe", DF_ORDER_GPIPE, false},
                                  {"1f1b", DF_ORDER_1F1B, false},
                                  {"interleaved", DF_ORDER_INTERLEAVED, false},
                                  {NULL, 0, false}};

int64_t df_sched_count(const df_order *order, const df_pipe *pipe)
{
    return (order->splits_backward ? 3 : 2) * passes(pipe);
}

double df_sched_kept(const df_order *order, const df_pipe *pipe, int64_t stage)
{
    const double layers = (double)df_sched_stage_layers(pipe, stage);
    return (double)order->in_flight(pipe, stage) * layers / (double)pipe->virtual_stages;
}
