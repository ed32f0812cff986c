/* Every way to split an LLM over all workers of a system. */
#include <stdlib.h>
#include <string.h>

#include "strategy/strategy.h"

/* No number up to 2^40, the largest that a file may have, has more divisors than 6,720. */
enum { DIVISORS_MAX = 6720 };

typedef struct {
    int64_t value[DIVISORS_MAX]; /* ascending */
    int count;
} divisors;

typedef struct {
    const df_cfg *cfg;
    const df_rules *rules;
    const df_strategy_space *space;
    divisors workers, batch;
    df_strategy_choices out;
    size_t room;
} builder;

static const char ONE_BATCH[] =
    "one stage with schedule gpipe: the rule llm_one_stage_one_batch runs one micro-batch only";

/* ---- Values ---- */

static void find_divisors(int64_t n, divisors *out)
{
    int count = 0;
    for (int64_t low = 1; low <= n / low; low++) {
        if (n % low == 0) {
            out->value[count++] = low;
        }
    }
    const bool square = out->value[count - 1] * out->value[count - 1] == n;
    out->count = count;
    for (int i = square ? count - 2 : count - 1; i >= 0; i--) {
        out->value[out->count++] = n / out->value[i];
    }
}

static bool allowed(const df_int_list *values, int64_t value)
{
    bool found = values->count == 0;
    for (int i = 0; i < values->count; i++) {
        found = found || values->value[i] == value;
    }
    return found;
}

static bool in_set(unsigned set, int64_t value)
{
    return (set >> value & 1U) != 0;
}

/* ---- Degrees ---- */

const char *df_strategy_reason_llm(const df_strategy *s, const df_cfg *cfg, const df_rules *rules)
{
    df_cfg_misfit misfit;
    if (df_cfg_find_misfit(&cfg->llm, s->degree, s->ep, s->tp_sp, DF_SPLIT_EVEN, &misfit)) {
        return misfit.reason;
    }
    const bool split = s->tp > 1 || s->cp > 1 || s->dp > 1 || s->lp > 1;
    if (rules->llm_layers_alike && cfg->llm.num_experts > 1 && split) {
        return "a mixture of experts is known on one device only";
    }
    return rules->uneven_stages_left_out && cfg->llm.num_layers % s->lp != 0
               ? "lp does not divide num_layers"
               : NULL;
}

/* ---- The list ---- */

static df_status add(builder *b, const df_strategy *s, const char *reason, df_err *err)
{
    if (b->out.count == b->room) {
        const size_t room = b->room > 0 ? 2 * b->room : 256;
        df_strategy_choice *const all = realloc(b->out.all, room * sizeof *all);
        if (!all) {
            return df_fail(err, DF_ENOMEM, "strategies: out of memory");
        }
        b->out.all = all;
        b->room = room;
    }
    b->out.all[b->out.count++] = (df_strategy_choice){*s, reason};
    return DF_OK;
}

/* Schedules that make a difference: all of them for a pipeline; for one stage, the one with which
 * the rules run all micro-batches. */
static unsigned schedules_of(const builder *b, const df_strategy *s)
{
    const unsigned template = 1U << b->cfg->sched.schedule;
    const unsigned set = b->space->schedule != 0 ? b->space->schedule : template;
    if (b->cfg->llm.run_type == DF_RUN_INFERENCE) {
        return 1U << DF_ORDER_GPIPE;
    }
    if (s->lp > 1) {
        return set;
    }
    const bool alternates = (set & ~(1U << DF_ORDER_GPIPE)) != 0;
    return alternates && b->rules->llm_one_stage_one_batch ? 1U << DF_ORDER_1F1B
                                                           : 1U << DF_ORDER_GPIPE;
}

/* The strategy with each recomputation. */
static df_status add_recomputes(builder *b, df_strategy s, df_err *err)
{
    const bool training = b->cfg->llm.run_type == DF_RUN_TRAINING;
    const unsigned template = 1U << b->cfg->sched.recompute;
    const unsigned set = !training                  ? 1U << DF_RECOMPUTE_NONE
                         : b->space->recompute != 0 ? b->space->recompute
                                                    : template;
    for (int r = DF_RECOMPUTE_NONE; r <= DF_RECOMPUTE_FULL; r++) {
        s.recompute = (df_recompute)r;
        if (in_set(set, r)) {
            DF_TRY(add(b, &s, NULL, err));
        }
    }
    return DF_OK;
}

/* Adds each stage of ZeRO, which involves replicas. */
static df_status add_zero_stages(builder *b, df_strategy s, df_err *err)
{
    const unsigned all = 0xf;
    const bool replicas = b->cfg->llm.run_type == DF_RUN_TRAINING && s.dp * s.cp > 1;
    const unsigned set = !replicas ? 1U : b->space->zero_stage != 0 ? b->space->zero_stage : all;
    for (s.zero_stage = 0; s.zero_stage <= 3; s.zero_stage++) {
        if (in_set(set, s.zero_stage)) {
            DF_TRY(add_recomputes(b, s, err));
        }
    }
    return DF_OK;
}

/* Adds strategies with and without sequence parallelism, which needs tp, and which cp implies. */
static df_status add_sequence(builder *b, df_strategy s, df_err *err)
{
    const unsigned both = 3;
    const bool split = s.tp > 1 && s.cp == 1;
    const unsigned set = !split ? 1U : b->space->tp_sp != 0 ? b->space->tp_sp : both;
    for (int on = 0; on <= 1; on++) {
        s.tp_sp = on != 0;
        if (in_set(set, on) && !df_strategy_reason_llm(&s, b->cfg, b->rules)) {
            DF_TRY(add_zero_stages(b, s, err));
        }
    }
    return DF_OK;
}

/* Whether all parts have as many layers; or would if the model had two more, as those at both ends
 * then have one less: the two ways of which few parts are better than either. */
static bool deals_out_well(const builder *b, int64_t parts)
{
    const int64_t layers = b->cfg->llm.num_layers;
    return layers % parts == 0 || (!b->rules->uneven_stages_left_out && (layers + 2) % parts == 0);
}

/* Parts of the model on each stage: those of the space, or of the template's own schedule, or
 * all that deal the layers out well. */
static df_status add_parts(builder *b, df_strategy s, df_err *err)
{
    const df_cfg_sched *const template = &b->cfg->sched;
    const int64_t most = df_cfg_most_parts(b->cfg->llm.num_layers, s.lp);
    const bool fixed = b->space->schedule == 0 && b->space->virtual_stages.count == 0;
    const bool rounds = b->cfg->any_rounds || s.mb % s.lp == 0;
    for (int64_t parts = 2; rounds && parts <= most; parts++) {
        const bool named = fixed || b->space->virtual_stages.count > 0;
        const bool wanted =
            fixed ? parts == template->virtual_stages : allowed(&b->space->virtual_stages, parts);
        const bool any = named && !b->rules->uneven_stages_left_out;
        s.virtual_stages = parts;
        if (wanted && (any || deals_out_well(b, s.lp * parts))) {
            DF_TRY(add_sequence(b, s, err));
        }
    }
    return DF_OK;
}

static df_status add_schedules(builder *b, df_strategy s, df_err *err)
{
    const unsigned set = schedules_of(b, &s);
    const bool training = b->cfg->llm.run_type == DF_RUN_TRAINING;
    if (training && s.lp == 1 && s.mb > 1 && set == 1U << DF_ORDER_GPIPE &&
        b->rules->llm_one_stage_one_batch) {
        return add(b, &s, ONE_BATCH, err);
    }
    for (int i = 0; i < df_order_count; i++) {
        s.schedule = (df_order_id)i;
        if (in_set(set, i)) {
            DF_TRY(df_orders[i].several_parts ? add_parts(b, s, err) : add_sequence(b, s, err));
        }
    }
    return DF_OK;
}

/* ---- Degrees and micro-batches ---- */

/* Whether dp, a divisor of all workers, divides the remaining ones and is wanted; if so, s gets it.
 */
static bool take_split(const builder *b, int64_t rest, int64_t dp, df_strategy *s)
{
    if (rest % dp != 0) {
        return false;
    }
    s->dp = dp;
    s->lp = rest / dp;
    return allowed(&b->space->dp, s->dp) && allowed(&b->space->lp, s->lp);
}

/* Whether the experts may be shared by so many devices, a divisor of all workers. A model without
 * experts has one way. */
static bool takes_ep(const builder *b, const df_strategy *s, int64_t ep)
{
    const bool fits = b->cfg->llm.num_experts % ep == 0 && s->tp * s->dp % ep == 0;
    return ep == 1 || (b->cfg->llm.num_experts > 1 && fits && allowed(&b->space->ep, ep));
}

/* Why the model cannot be split so, however its experts are shared. */
static const char *reason_of(const builder *b, df_strategy s)
{
    const char *first = NULL;
    for (int i = 0; i < b->workers.count; i++) {
        s.ep = b->workers.value[i];
        const char *const reason =
            takes_ep(b, &s, s.ep) ? df_strategy_reason_llm(&s, b->cfg, b->rules) : first;
        first = s.ep == 1 ? reason : first;
        if (takes_ep(b, &s, s.ep) && !reason) {
            return NULL;
        }
    }
    return first;
}

/* Degrees that cannot split the model. */
static df_status add_refused(builder *b, df_strategy s, int64_t rest, df_err *err)
{
    for (int i = 0; i < b->workers.count; i++) {
        if (take_split(b, rest, b->workers.value[i], &s)) {
            const char *const reason = reason_of(b, s);
            if (reason) {
                DF_TRY(add(b, &s, reason, err));
            }
        }
    }
    return DF_OK;
}

/* Each number of devices that may share the experts. */
static df_status add_expert_degrees(builder *b, df_strategy s, df_err *err)
{
    for (int i = 0; i < b->workers.count; i++) {
        s.ep = b->workers.value[i];
        if (takes_ep(b, &s, s.ep) && (s.ep > 1 || allowed(&b->space->ep, 1)) &&
            !df_strategy_reason_llm(&s, b->cfg, b->rules)) {
            DF_TRY(add_schedules(b, s, err));
        }
    }
    return DF_OK;
}

static df_status
add_micro_batch(builder *b, df_strategy s, int64_t rest, int64_t micro_batch, df_err *err)
{
    const int64_t batch = b->cfg->llm.batch_size;
    for (int i = 0; i < b->workers.count; i++) {
        if (take_split(b, rest, b->workers.value[i], &s) && batch / s.dp % micro_batch == 0) {
            s.mb = batch / s.dp / micro_batch;
            if (allowed(&b->space->mb, s.mb)) {
                DF_TRY(add_expert_degrees(b, s, err));
            }
        }
    }
    return DF_OK;
}

/* Adds every micro-batch; strategies with the same micro-batch have the same GEMMs. */
static df_status add_micro_batches(builder *b, df_strategy s, int64_t rest, df_err *err)
{
    DF_TRY(add_refused(b, s, rest, err));
    for (int i = 0; i < b->batch.count; i++) {
        DF_TRY(add_micro_batch(b, s, rest, b->batch.value[i], err));
    }
    return DF_OK;
}

/* Divides the workers that are left among the axes from this one on that LLMs alone have, the
 * first of them outermost, and then between dp and lp. */
static df_status add_degrees(builder *b, df_strategy s, int axis, int64_t rest, df_err *err)
{
    if (axis == DF_AXES) {
        return add_micro_batches(b, s, rest, err);
    }
    if (df_strategy_axis_kind((df_axis)axis) != DF_STRATEGY_LLM) {
        return add_degrees(b, s, axis + 1, rest, err);
    }
    for (int i = 0; i < b->workers.count; i++) {
        const int64_t degree = b->workers.value[i];
        s.degree[axis] = degree;
        if (rest % degree == 0 && allowed(&b->space->degree[axis], degree)) {
            DF_TRY(add_degrees(b, s, axis + 1, rest / degree, err));
        }
    }
    return DF_OK;
}

static df_status add_all(builder *b, df_err *err)
{
    df_strategy s;
    df_strategy_init(&s, DF_STRATEGY_LLM);
    return add_degrees(b, s, 0, b->workers.value[b->workers.count - 1], err);
}

df_status df_strategy_list_llm(const df_system_size *size,
                               const df_cfg *cfg,
                               const df_rules *rules,
                               const df_strategy_space *space,
                               df_strategy_choices *out,
                               df_err *err)
{
    DF_TRY(df_system_check(size, err));
    builder *const b = calloc(1, sizeof *b);
    if (!b) {
        return df_fail(err, DF_ENOMEM, "strategies: out of memory");
    }
    b->cfg = cfg;
    b->rules = rules;
    b->space = space;
    find_divisors(df_system_workers(size), &b->workers);
    find_divisors(cfg->llm.batch_size, &b->batch);
    const df_status status = add_all(b, err);
    if (status == DF_OK) {
        *out = b->out;
    } else {
        free(b->out.all);
    }
    free(b);
    return status;
}
