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

static int64_t parts_of(const df_pipe *pipe)
{
    return pipe->stages * pipe->virtual_stages;
}

/* With several parts on each stage, how many parts at the front and how many at the back have one
 * layer less than most. They lose one in turn, the first part first. Llama 3 takes a layer from its
 * first and its last stage, which have the embedding and the logits (arXiv:2407.21783, 3.3.2). */
static int64_t short_parts(const df_pipe *pipe, bool first)
{
    const int64_t parts = parts_of(pipe);
    const int64_t missing = ceil_div(pipe->layers, parts) * parts - pipe->layers;
    return (first ? missing + 1 : missing) / 2;
}

int64_t df_sched_first_layer(const df_pipe *pipe, int64_t part)
{
    const int64_t parts = parts_of(pipe);
    const int64_t before = part * ceil_div(pipe->layers, parts);
    if (pipe->virtual_stages == 1) {
        return least(before, pipe->layers);
    }
    const int64_t full_until = parts - short_parts(pipe, false);
    return before - least(part, short_parts(pipe, true)) -
           (part > full_until ? part - full_until : 0);
}

int64_t df_sched_layers(const df_pipe *pipe, int64_t part)
{
    return df_sched_first_layer(pipe, part + 1) - df_sched_first_layer(pipe, part);
}

int64_t df_sched_stage_of(const df_pipe *pipe, int64_t layer)
{
    const int64_t most = ceil_div(pipe->layers, parts_of(pipe));
    const bool several = pipe->virtual_stages > 1;
    const int64_t full_from = several ? short_parts(pipe, true) : 0;
    const int64_t full_until = parts_of(pipe) - (several ? short_parts(pipe, false) : 0);
    const int64_t middle = df_sched_first_layer(pipe, full_from);
    const int64_t end = df_sched_first_layer(pipe, full_until);
    const int64_t part = layer < middle ? layer / (most - 1)
                         : layer < end  ? full_from + (layer - middle) / most
                                        : full_until + (layer - end) / (most - 1);
    return part % pipe->stages;
}

int64_t df_sched_stage_layers(const df_pipe *pipe, int64_t stage)
{
    int64_t layers = 0;
    for (int64_t part = stage; part < parts_of(pipe); part += pipe->stages) {
        layers += df_sched_layers(pipe, part);
    }
    return layers;
}

int64_t df_sched_first_full(const df_pipe *pipe)
{
    return pipe->virtual_stages == 1 ? 0 : short_parts(pipe, true) % pipe->stages;
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

/* A stage takes its parts in turn, each with as many micro-batches as there are stages. */
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

/* On a single stage each micro-batch goes backward at once, because nothing else could run
 * meanwhile. */
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

/* The same number as a sum over the tasks. From the warm-up on, what is kept repeats itself once
 * all parts have had their turn; the warm-up and one repetition are less than four rounds. */
static int64_t kept_of_parts(const df_order *order, const df_pipe *pipe, int64_t stage)
{
    const int64_t shown = least(df_sched_count(order, pipe), 4 * parts_of(pipe));
    int64_t kept = 0;
    int64_t most = 0;
    for (int64_t i = 0; i < shown; i++) {
        const df_task task = order->task(pipe, stage, i);
        const int64_t layers = df_sched_layers(pipe, task.part);
        kept += task.kind == DF_TASK_FORWARD ? layers : task.kind == DF_TASK_BACKWARD ? -layers : 0;
        most = kept > most ? kept : most;
    }
    return most;
}

double df_sched_kept(const df_order *order, const df_pipe *pipe, int64_t stage)
{
    if (pipe->virtual_stages > 1 && pipe->layers % parts_of(pipe) != 0) {
        return (double)kept_of_parts(order, pipe, stage);
    }
    const double layers = (double)df_sched_stage_layers(pipe, stage);
    return (double)order->in_flight(pipe, stage) * layers / (double)pipe->virtual_stages;
}
