/* The table of a strategy's fields. Degrees come from df_axis_table, options from the rows
 * below. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "strategy/strategy.h"

static const df_word words_kp_type[] = {{"none", DF_KP_NONE, false},
                                        {"CR", DF_KP_CR, false},
                                        {"RC", DF_KP_RC, false},
                                        {NULL, 0, false}};
static const df_word words_stage[] = {
    {"0", 0, false}, {"1", 1, false}, {"2", 2, false}, {"3", 3, false}, {NULL, 0, false}};

/* ---- Degrees ---- */

/* Micro-batches and parts of a stage have the bound of every whole number of a file, 2^40. */
#define MOST_WHOLE INT64_C(1099511627776)

static const df_axis placed_kernels[DF_LAYOUT_AXES] = {DF_AXIS_KP1, DF_AXIS_KP2, DF_AXIS_DP,
                                                       DF_AXIS_LP};
static const df_axis placed_llm[DF_LAYOUT_AXES] = {DF_AXIS_TP, DF_AXIS_CP, DF_AXIS_DP, DF_AXIS_LP};

/* What flags and keys say where the meaning of the axis would not do. */
static const struct {
    const char *flag, *key;
} degree_texts[DF_AXES] = {
    [DF_AXIS_DP] = {NULL, "numbers of replicas"},
    [DF_AXIS_TP] = {"for an LLM, devices of tensor parallelism",
                    "degrees of tensor parallelism (LLM)"},
    [DF_AXIS_CP] = {"for an LLM, devices of context parallelism",
                    "degrees of context parallelism (LLM)"},
    [DF_AXIS_KP1] = {"ways to split the first dimension", NULL},
    [DF_AXIS_KP2] = {"ways to split the second dimension", NULL},
};

const df_axis *df_strategy_placed(df_strategy_kind kind)
{
    return kind == DF_STRATEGY_LLM ? placed_llm : placed_kernels;
}

static bool is_placed(df_strategy_kind kind, df_axis axis)
{
    const df_axis *const placed = df_strategy_placed(kind);
    bool found = false;
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        found = found || placed[i] == axis;
    }
    return found;
}

/* An axis that no layout places splits LLMs. */
df_strategy_kind df_strategy_axis_kind(df_axis axis)
{
    if (!is_placed(DF_STRATEGY_KERNELS, axis)) {
        return DF_STRATEGY_LLM;
    }
    return is_placed(DF_STRATEGY_LLM, axis) ? DF_STRATEGY_BOTH : DF_STRATEGY_KERNELS;
}

static df_strategy_field degree_field(df_axis axis)
{
    const df_axis_row *const row = &df_axis_table[axis];
    const df_strategy_kind of = df_strategy_axis_kind(axis);
    const char *const flag = degree_texts[axis].flag;
    const char *const key = degree_texts[axis].key;
    const size_t number = (size_t)axis;
    return (df_strategy_field){
        .name = row->name,
        .kind = DF_FIELD_WHOLE,
        .of = of,
        .low = 1,
        .high = DF_SYSTEM_DEVICES_MAX,
        .preset = 1,
        .absent = of == DF_STRATEGY_LLM ? 0 : 1,
        .mark = {row->name[0]},
        .always_named = true,
        .flag = flag ? flag : row->meaning,
        .key = key ? key : row->meaning,
        .at = offsetof(df_strategy, degree) + number * sizeof(int64_t),
        .to = offsetof(df_cfg, sched.degree) + number * sizeof(int64_t),
        .space = offsetof(df_strategy_space, degree) + number * sizeof(df_int_list),
    };
}

/* ---- Options ---- */

#define AT(field) .at = offsetof(df_strategy, field), .space = offsetof(df_strategy_space, field)

static const df_strategy_field options[] = {
    {.name = "kp_type",
     .kind = DF_FIELD_CODE,
     .of = DF_STRATEGY_KERNELS,
     .words = words_kp_type,
     .low = DF_KP_NONE,
     .high = DF_KP_RC,
     .preset = DF_KP_NONE,
     .absent = DF_KP_NONE,
     .always_named = true,
     .flag = "how kernels are split: -1 not at all, 1 by column and row, 2 by row and column",
     .at = offsetof(df_strategy, kp_type),
     .to = DF_OPT_NOT_KEPT},
    {.name = "mb",
     .of = DF_STRATEGY_LLM,
     .low = 1,
     .high = MOST_WHOLE,
     .preset = 1,
     .mark = "m",
     .always_named = true,
     .flag = "for an LLM, number of micro-batches",
     .key = "numbers of micro-batches",
     AT(mb),
     .to = offsetof(df_cfg, sched.mb)},
    {.name = "tp_sp",
     .kind = DF_FIELD_TRUTH,
     .of = DF_STRATEGY_LLM,
     .words = df_words_bool,
     .mark = "sp",
     .flag = "for an LLM, sequence parallelism",
     .key = "sequence parallelism",
     AT(tp_sp),
     .to = offsetof(df_cfg, sched.tp_sp)},
    {.name = "zero_stage",
     .of = DF_STRATEGY_LLM,
     .words = words_stage,
     .high = 3,
     .mark = "z",
     .flag = "for an LLM, the stage of ZeRO",
     .key = "stages of ZeRO",
     AT(zero_stage),
     .to = offsetof(df_cfg, sw.dp_zero_stage)},
    {.name = "recompute",
     .kind = DF_FIELD_WORD,
     .of = DF_STRATEGY_LLM,
     .words = df_words_recompute,
     .flag = "for an LLM, what the backward pass recomputes",
     .key = "what the backward pass recomputes; by default as in the hardware file",
     AT(recompute),
     .to = offsetof(df_cfg, sched.recompute)},
    {.name = "schedule",
     .kind = DF_FIELD_WORD,
     .of = DF_STRATEGY_LLM,
     .words = df_order_words,
     .flag = "for an LLM, the schedule of the pipeline",
     .key = "schedules of the pipeline; by default as in the hardware file",
     AT(schedule),
     .to = offsetof(df_cfg, sched.schedule)},
    {.name = "virtual_stages",
     .of = DF_STRATEGY_LLM,
     .low = 1,
     .high = MOST_WHOLE,
     .preset = 1,
     .mark = "v",
     .flag = "for an LLM, parts of the model on each stage of an interleaved pipeline",
     .key = "parts of the model on each stage of an interleaved pipeline",
     AT(virtual_stages),
     .to = offsetof(df_cfg, sched.virtual_stages)},
    {.name = "ep",
     .of = DF_STRATEGY_LLM,
     .low = 1,
     .high = DF_SYSTEM_DEVICES_MAX,
     .preset = 1,
     .mark = "e",
     .flag = "for an LLM, devices of tp and dp that share the experts",
     .key = "degrees of expert parallelism",
     AT(ep),
     .to = offsetof(df_cfg, sched.ep)},
};
#undef AT
_Static_assert(sizeof options / sizeof options[0] == DF_STRATEGY_OPTIONS, "the header counts them");

/* ---- Orders ---- */

static df_strategy_field field_at(int number)
{
    return number < DF_AXES ? degree_field((df_axis)number) : options[number - DF_AXES];
}

/* Fields that follow one another in every order. */
typedef enum { KERNEL_OPTIONS, SHARED_AXES, KERNEL_AXES, LLM_AXES, LLM_OPTIONS, GROUPS } group;

static group group_of(int number)
{
    if (number >= DF_AXES) {
        return options[number - DF_AXES].of == DF_STRATEGY_KERNELS ? KERNEL_OPTIONS : LLM_OPTIONS;
    }
    const df_strategy_kind of = df_strategy_axis_kind((df_axis)number);
    return of == DF_STRATEGY_BOTH ? SHARED_AXES : of == DF_STRATEGY_LLM ? LLM_AXES : KERNEL_AXES;
}

static void list_groups(const group order[GROUPS], df_strategy_field fields[DF_STRATEGY_FIELDS])
{
    int count = 0;
    for (int i = 0; i < GROUPS; i++) {
        for (int number = 0; number < DF_STRATEGY_FIELDS; number++) {
            if (group_of(number) == order[i]) {
                fields[count++] = field_at(number);
            }
        }
    }
}

void df_strategy_columns(df_strategy_field fields[DF_STRATEGY_FIELDS])
{
    static const group order[GROUPS] = {KERNEL_OPTIONS, SHARED_AXES, KERNEL_AXES, LLM_AXES,
                                        LLM_OPTIONS};
    list_groups(order, fields);
}

void df_strategy_terms(df_strategy_field fields[DF_STRATEGY_FIELDS])
{
    static const group order[GROUPS] = {KERNEL_OPTIONS, KERNEL_AXES, LLM_AXES, SHARED_AXES,
                                        LLM_OPTIONS};
    list_groups(order, fields);
}

/* ---- Values ---- */

/* The field in df_strategy and in df_cfg. */
static int64_t load_whole(const void *from)
{
    int64_t whole;
    memcpy(&whole, from, sizeof whole);
    return whole;
}

static void keep_whole(void *to, int64_t value)
{
    memcpy(to, &value, sizeof value);
}

static int64_t load_truth(const void *from)
{
    bool truth;
    memcpy(&truth, from, sizeof truth);
    return truth;
}

static void keep_truth(void *to, int64_t value)
{
    const bool truth = value != 0;
    memcpy(to, &truth, sizeof truth);
}

static int64_t load_enum(const void *from)
{
    int number;
    memcpy(&number, from, sizeof number);
    return number;
}

static void keep_enum(void *to, int64_t value)
{
    const int number = (int)value;
    memcpy(to, &number, sizeof number);
}

static const struct {
    int64_t (*load)(const void *from);
    void (*keep)(void *to, int64_t value);
} kinds[] = {[DF_FIELD_WHOLE] = {load_whole, keep_whole},
             [DF_FIELD_TRUTH] = {load_truth, keep_truth},
             [DF_FIELD_WORD] = {load_enum, keep_enum},
             [DF_FIELD_CODE] = {load_enum, keep_enum}};

int64_t df_strategy_get(const df_strategy *strategy, const df_strategy_field *field)
{
    return kinds[field->kind].load((const char *)strategy + field->at);
}

void df_strategy_set(df_strategy *strategy, const df_strategy_field *field, int64_t value)
{
    kinds[field->kind].keep((char *)strategy + field->at, value);
}

bool df_strategy_word_value(const df_strategy_field *field, const char *word, int64_t *value)
{
    const df_word *at = field->words;
    while (at->word && strcmp(at->word, word) != 0) {
        at++;
    }
    *value = (int64_t)at->value;
    return at->word != NULL;
}

df_strategy_kind df_strategy_kind_of(const df_strategy *strategy)
{
    return strategy->tp > 0 ? DF_STRATEGY_LLM : DF_STRATEGY_KERNELS;
}

void df_strategy_init(df_strategy *strategy, df_strategy_kind kind)
{
    memset(strategy, 0, sizeof *strategy); /* padding too: strategies are compared as bytes */
    for (int number = 0; number < DF_STRATEGY_FIELDS; number++) {
        const df_strategy_field field = field_at(number);
        df_strategy_set(strategy, &field, (field.of & kind) != 0 ? field.preset : field.absent);
    }
}

/* kp1 splits kernels in both ways, kp2 in the second one. */
static void settle_kernels(df_strategy *s)
{
    s->kp1 = s->kp_type == DF_KP_NONE ? 1 : s->kp1;
    s->kp2 = s->kp_type == DF_KP_RC ? s->kp2 : 1;
}

void df_strategy_settle(df_strategy *strategy, df_strategy_kind kind)
{
    for (int number = 0; number < DF_STRATEGY_FIELDS; number++) {
        const df_strategy_field field = field_at(number);
        if ((field.of & kind) == 0) {
            df_strategy_set(strategy, &field, field.absent);
        }
    }
    settle_kernels(strategy);
}

void df_strategy_axes(const df_strategy *strategy, int64_t axes[DF_LAYOUT_AXES])
{
    const df_axis *const placed = df_strategy_placed(df_strategy_kind_of(strategy));
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        axes[i] = strategy->degree[placed[i]];
    }
}

/* ---- Names ---- */

/* A schedule with several parts on each stage is named by their number. */
static bool is_named(const df_strategy *s, const df_strategy_field *field)
{
    const bool parts = df_orders[s->schedule].several_parts;
    if (field->at == offsetof(df_strategy, virtual_stages)) {
        return parts;
    }
    if (field->at == offsetof(df_strategy, schedule) && parts) {
        return false;
    }
    return field->always_named || df_strategy_get(s, field) != field->preset;
}

enum { TERM = 48 };

static void write_term(const df_strategy *s, const df_strategy_field *field, char term[TERM])
{
    const int64_t value = df_strategy_get(s, field);
    if (field->kind == DF_FIELD_WHOLE) {
        snprintf(term, TERM, "%s%" PRId64, field->mark, value);
    } else if (field->kind == DF_FIELD_TRUTH) {
        snprintf(term, TERM, "%s", field->mark);
    } else {
        snprintf(term, TERM, "%s", df_opt_word_of(field->words, (double)value));
    }
}

int df_strategy_name(const df_strategy *strategy, char *text, size_t size)
{
    const df_strategy_kind kind = df_strategy_kind_of(strategy);
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    size_t used = 0;
    df_strategy_terms(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        char term[TERM];
        if ((fields[i].of & kind) == 0 || !is_named(strategy, &fields[i])) {
            continue;
        }
        write_term(strategy, &fields[i], term);
        const size_t at = used < size ? used : size;
        used += (size_t)snprintf(text + at, size - at, "%s%s", used > 0 ? "-" : "", term);
    }
    return (int)used;
}

/* ---- Into a configuration ---- */

static void apply_kernels(const df_strategy *s, df_cfg_sched *sched)
{
    sched->t = s->kp_type == DF_KP_CR ? DF_T_CR : s->kp_type == DF_KP_RC ? DF_T_RC : DF_T_NONE;
    for (int part = 0; part < DF_PARTS; part++) {
        sched->kp_type[part] = s->kp_type;
        sched->kp_dim1[part] = s->kp1;
        sched->kp_dim2[part] = s->kp2;
    }
}

void df_strategy_apply(const df_strategy *strategy, df_cfg *cfg)
{
    const df_strategy_kind kind = df_strategy_kind_of(strategy);
    df_strategy s = *strategy;
    settle_kernels(&s);
    for (int number = 0; number < DF_STRATEGY_FIELDS; number++) {
        const df_strategy_field field = field_at(number);
        if ((field.of & kind) != 0 && field.to != DF_OPT_NOT_KEPT) {
            kinds[field.kind].keep((char *)cfg + field.to, df_strategy_get(&s, &field));
        }
    }
    if (kind == DF_STRATEGY_KERNELS) {
        apply_kernels(&s, &cfg->sched);
    }
}
