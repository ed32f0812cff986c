/* The order of one forward, one backward: plain, or interleaved with several parts of the model
 * on each stage (Narayanan et al., SC 2021). */
#include "llm/llm_impl.h"

/* Forward passes of a stage before its first backward pass. */
static int64_t warm_up(const df_llm_order *o, int64_t stage)
{
    const int64_t all = o->batches * o->virtual_stages;
    const int64_t behind = o->stages - stage - 1;
    const bool interleaved = o->virtual_stages > 1;
    const int64_t passes = interleaved ? 2 * behind + (o->virtual_stages - 1) * o->stages : behind;
    /* Megatron-LM runs all of them when there are no more than stages */
    return passes > all || (interleaved && o->batches == o->stages) ? all : passes;
}

static df_llm_item pass_of(const df_llm_order *o, int64_t stage, int64_t number, int direction)
{
    const int64_t round = o->stages * o->virtual_stages;
    const int64_t place = number % round;
    const int64_t turn = place / o->stages;
    const int64_t own = direction == DF_FORWARD ? turn : o->virtual_stages - 1 - turn;
    return (df_llm_item){direction, own * o->stages + stage,
                         number / round * o->stages + place % o->stages};
}

df_llm_item df_llm_item_of(const df_llm_order *o, int64_t stage, int64_t number)
{
    const int64_t all = o->batches * o->virtual_stages;
    const int64_t warm = warm_up(o, stage);
    if (number < warm) {
        return pass_of(o, stage, number, DF_FORWARD);
    }
    if (number < warm + 2 * (all - warm)) {
        const int64_t pair = (number - warm) / 2;
        return (number - warm) % 2 == 0 ? pass_of(o, stage, warm + pair, DF_FORWARD)
                                        : pass_of(o, stage, pair, DF_BACKWARD);
    }
    return pass_of(o, stage, number - all, DF_BACKWARD);
}
