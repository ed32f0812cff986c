/* Takes a step's graph apart into the devices that share a layer: each block becomes, on each
 * of them, a chain of its operators and their collectives. The order in which elements are
 * made gives them their numbers, which decide ties in the simulator. */
#include <math.h>
#include <stdlib.h>

#include "base/grow.h"
#include "llm/llm_net.h"

/* What stands for an element of the step in the flat graph: one element, or one a device. */
typedef struct {
    int32_t first; /* -1: nothing yet */
    int32_t stride, count;
} stand_in;

/* An element whose children are being taken over. */
typedef struct {
    int32_t element;
    int32_t child, target; /* how far */
    bool data_parallel;    /* of a block: its reductions and gathers come first */
    bool prepared;         /* what comes before the child is done */
    int32_t copies;        /* first of the gathers that go with an element that is no block; -1 */
} frame;

typedef struct {
    const df_dag *step;
    df_dag *flat;
    const df_llm_chain *chains; /* [direction] */
    int32_t ranks;              /* devices that share a layer */
    int32_t shares, part;       /* parts with the same parameters, and their devices */
    const df_rules *rules;
    stand_in *of; /* [element of the step] */
    frame *stack;
    int32_t depth, room;
    bool failed;
} flattening;

static bool is_block(const flattening *f, int32_t e)
{
    return df_dag_told(f->step, e)->role == DF_LLM_ROLE_BLOCK;
}

/* Gathers that each device of a stage does for itself. */
static bool is_shared(const flattening *f, int32_t e)
{
    return f->ranks > 1 && df_dag_told(f->step, e)->role == DF_LLM_ROLE_GATHER_LAYER;
}

static bool is_data_parallel(const flattening *f, int32_t e)
{
    return df_dag_kind_of(f->step, e) == DF_DAG_COLLECTIVE;
}

static const df_llm_chain *chain_of(const flattening *f, int32_t block)
{
    return &f->chains[df_dag_told(f->step, block)->label];
}

/* ---- Making elements ---- */

static int32_t home_of(const flattening *f, int32_t e, int32_t rank)
{
    return df_dag_device(f->step, e) * f->ranks + rank;
}

/* Appends a chain; returns its first element. */
int32_t
df_llm_add_chain(df_dag *dag, const df_llm_chain *chain, int32_t device, const df_dag_info *block)
{
    int32_t head = -1;
    int32_t previous = -1;
    for (int i = 0; i < chain->count; i++) {
        const df_llm_chain_item *const item = &chain->item[i];
        const bool edge = item->is_collective;
        const int32_t e = df_dag_add(dag, edge ? DF_DAG_COLLECTIVE : DF_DAG_COMPUTE, device,
                                     edge ? 0.0 : item->duration_s);
        const df_dag_info info = {.role =
                                      edge ? DF_LLM_ROLE_OPERATOR_COLLECTIVE : DF_LLM_ROLE_OPERATOR,
                                  .label = item->label,
                                  .home = edge ? device : -1,
                                  .collective = (int32_t)item->kind,
                                  .participants = item->participants,
                                  .batch = block->batch,
                                  .layer = block->layer,
                                  .bytes = item->bytes};
        df_dag_tell(dag, e, &info);
        if (previous >= 0) {
            df_dag_link(dag, previous, e);
        }
        head = head < 0 ? e : head;
        previous = e;
    }
    return head;
}

/* A collective of data parallelism for each part of its stage. */
static stand_in copy_collective(flattening *f, int32_t e)
{
    df_dag_info info = *df_dag_told(f->step, e);
    const int32_t home = info.home > 0 ? info.home * f->ranks : 0;
    stand_in copies = {-1, 1, f->shares};
    for (int32_t i = 0; i < f->shares; i++) {
        const int32_t made =
            df_dag_add(f->flat, DF_DAG_COLLECTIVE, 0, df_dag_duration_s(f->step, e));
        info.home = home + i * f->part;
        info.mate = i;
        df_dag_tell(f->flat, made, &info);
        copies.first = i == 0 ? made : copies.first;
    }
    return copies;
}

/* The same element on one device. */
static int32_t copy_element(flattening *f, int32_t e)
{
    const df_dag_kind kind = df_dag_kind_of(f->step, e);
    df_dag_info info = *df_dag_told(f->step, e);
    int32_t device = df_dag_device(f->step, e);
    if (info.role == DF_LLM_ROLE_LOGITS) {
        device *= f->ranks; /* the embedding is on device 0 in any case */
    }
    if (info.home > 0 && !f->rules->astra_reductions_on_first_devices) {
        info.home *= f->ranks;
    }
    const int32_t made = df_dag_add(f->flat, kind, device, df_dag_duration_s(f->step, e));
    df_dag_tell(f->flat, made, &info);
    return made;
}

/* A gather for each device of the stage that e is on. */
static int32_t copy_gather(flattening *f, int32_t gather, int32_t e)
{
    int32_t first = -1;
    for (int32_t r = 0; r < f->ranks; r++) {
        df_dag_info info = *df_dag_told(f->step, gather);
        info.home = home_of(f, e, r);
        info.mate = r / f->part * f->part;
        const int32_t made = df_dag_add(f->flat, DF_DAG_COLLECTIVE, 0, 0.0);
        df_dag_tell(f->flat, made, &info);
        first = first < 0 ? made : first;
    }
    return first;
}

static int32_t head_of(const flattening *f, int32_t block, int32_t rank)
{
    return f->of[block].first + rank * chain_of(f, block)->count;
}

static int32_t tail_of(const flattening *f, int32_t block, int32_t rank)
{
    return head_of(f, block, rank) + chain_of(f, block)->count - 1;
}

static void attach(flattening *f, int32_t from, int32_t child)
{
    const stand_in *const s = &f->of[child];
    for (int32_t i = 0; i < s->count; i++) {
        df_dag_link(f->flat, from, s->first + i * s->stride);
    }
}

/* The same from several; copies for several devices go with those of their own. */
static void attach_all(flattening *f, const stand_in *from, int32_t child)
{
    const stand_in *const to = &f->of[child];
    for (int32_t i = 0; i < from->count; i++) {
        const int32_t element = from->first + i * from->stride;
        if (from->count == to->count) {
            df_dag_link(f->flat, element, to->first + i * to->stride);
        } else {
            attach(f, element, child);
        }
    }
}

/* Gathers for each device, which go before what follows a block on it. */
static int32_t gather_after_block(flattening *f, int32_t gather, int32_t block)
{
    const int32_t first = copy_gather(f, gather, block);
    for (int32_t r = 0; r < f->ranks; r++) {
        int32_t count;
        const int32_t *const children = df_dag_children(f->flat, tail_of(f, block, r), &count);
        for (int32_t i = 0; i < count; i++) {
            df_dag_link(f->flat, first + r, children[i]);
        }
    }
    return first;
}

/* Calls for each gather that starts beside e. */
static void copy_siblings(flattening *f, int32_t e, int32_t *last_copies)
{
    int32_t parents;
    const int32_t *const parent = df_dag_parents(f->step, e, &parents);
    for (int32_t p = 0; p < parents; p++) {
        int32_t children;
        const int32_t *const child = df_dag_children(f->step, parent[p], &children);
        for (int32_t c = 0; c < children; c++) {
            if (child[c] != e && is_shared(f, child[c])) {
                *last_copies = is_block(f, e) ? gather_after_block(f, child[c], e)
                                              : copy_gather(f, child[c], e);
                f->of[child[c]] = (stand_in){*last_copies, 1, f->ranks};
            }
        }
    }
}

/* ---- Walking ---- */

static void push(flattening *f, int32_t e)
{
    frame *const stack = df_grow(f->stack, f->depth, &f->room, sizeof *stack);
    if (!stack) {
        f->failed = true;
        return;
    }
    f->stack = stack;
    frame fresh = {.element = e, .data_parallel = true, .copies = -1};
    if (is_block(f, e)) {
        const df_llm_chain *const chain = chain_of(f, e);
        for (int32_t r = 0; r < f->ranks; r++) {
            const int32_t head =
                df_llm_add_chain(f->flat, chain, home_of(f, e, r), df_dag_told(f->step, e));
            f->of[e].first = r == 0 ? head : f->of[e].first;
        }
        f->of[e].stride = chain->count;
        f->of[e].count = f->ranks;
    } else if (f->shares > 1 && is_data_parallel(f, e)) {
        f->of[e] = copy_collective(f, e);
    } else {
        f->of[e] = (stand_in){copy_element(f, e), 1, 1};
        if (df_dag_kind_of(f->step, e) == DF_DAG_COMPUTE) {
            copy_siblings(f, e, &fresh.copies);
        }
    }
    f->stack[f->depth++] = fresh;
}

/* Whether the element has its stand-in; if not, it is to be made first. */
static bool ready(flattening *f, int32_t e)
{
    if (f->of[e].first < 0) {
        push(f, e);
        return false;
    }
    return true;
}

/* The next child of an element that is no block. False: another element comes first. */
static bool take_child(flattening *f, frame *at, int32_t child)
{
    const int32_t copies = at->copies;
    const int32_t e = at->element;
    if (!ready(f, child)) {
        return false;
    }
    for (int32_t r = 0; copies >= 0 && r < f->ranks; r++) {
        attach(f, copies + r, child);
    }
    attach_all(f, &f->of[e], child);
    return true;
}

/* A reduction or gather of a block hangs from the first device of each part. */
static bool take_data_parallel(flattening *f, frame *at, int32_t child)
{
    const int32_t block = at->element;
    if (!at->prepared && is_shared(f, child)) {
        (void)gather_after_block(f, child, block);
    }
    at->prepared = true;
    if (!ready(f, child)) {
        return false;
    }
    const stand_in tails = {tail_of(f, block, 0), f->part * chain_of(f, block)->count, f->shares};
    attach_all(f, &tails, child);
    return true;
}

/* Each device hands its part on to the same device of the next stage. */
static void hand_on(flattening *f, int32_t block, int32_t hop)
{
    const df_llm_chain *const chain = chain_of(f, block);
    const double share = ceil(trunc(df_dag_told(f->step, hop)->bytes) / (double)f->ranks);
    int32_t targets;
    const int32_t *const target = df_dag_children(f->step, hop, &targets);
    for (int32_t r = 0; r < f->ranks; r++) {
        const int32_t tail = tail_of(f, block, r);
        const int32_t edge = df_dag_add(f->flat, DF_DAG_PIPELINE, 0, 0.0);
        df_dag_info info = *df_dag_told(f->step, hop);
        info.bytes = share;
        df_dag_tell(f->flat, edge, &info);
        df_dag_link(f->flat, tail, edge);
        if (chain->item[chain->count - 1].is_collective && f->rules->astra_hop_skips_collective) {
            df_dag_link(f->flat, tail - 1, edge); /* the last operator is before its collective */
        }
        for (int32_t i = 0; i < targets; i++) {
            const stand_in *const s = &f->of[target[i]];
            df_dag_link(f->flat, edge, s->first + r % s->count * s->stride);
        }
    }
}

static bool take_other(flattening *f, frame *at, int32_t child)
{
    const int32_t block = at->element;
    if (df_dag_kind_of(f->step, child) == DF_DAG_PIPELINE) {
        int32_t targets;
        const int32_t *const target = df_dag_children(f->step, child, &targets);
        while (at->target < targets) {
            if (!ready(f, target[at->target])) {
                return false;
            }
            at->target++;
        }
        at->target = 0;
        if (targets > 0) {
            hand_on(f, block, child);
        }
        return true;
    }
    if (!ready(f, child)) {
        return false;
    }
    for (int32_t r = 0; r < f->ranks; r++) {
        attach(f, tail_of(f, block, r), child);
    }
    return true;
}

static bool take(flattening *f, frame *at, int32_t child)
{
    if (!is_block(f, at->element)) {
        return take_child(f, at, child);
    }
    if (is_data_parallel(f, child) != at->data_parallel) {
        return true; /* not in this round */
    }
    return at->data_parallel ? take_data_parallel(f, at, child) : take_other(f, at, child);
}

/* Goes on with the element on top of the stack until it is done or another comes first. */
static void advance(flattening *f)
{
    const int32_t depth = f->depth;
    const int32_t e = f->stack[depth - 1].element;
    int32_t count;
    const int32_t *const children = df_dag_children(f->step, e, &count);
    while (f->stack[depth - 1].child < count) {
        frame at = f->stack[depth - 1];
        const bool taken = take(f, &at, children[at.child]);
        if (f->failed) {
            return;
        }
        if (!taken) { /* the stack may have moved */
            f->stack[depth - 1] = at;
            return;
        }
        at.child++;
        at.prepared = false;
        if (at.child == count && is_block(f, e) && at.data_parallel) {
            at.data_parallel = false;
            at.child = 0;
        }
        f->stack[depth - 1] = at;
    }
    if (is_block(f, e)) {
        int32_t ignored = -1;
        copy_siblings(f, e, &ignored);
    }
    f->depth--;
}

/* What stands for the root; a mark before it where that is several. */
static int32_t root_of(flattening *f, int32_t root)
{
    if (f->of[root].count == 1) {
        return f->of[root].first;
    }
    const int32_t mark = df_dag_add(f->flat, DF_DAG_COLLECTIVE, 0, 0.0);
    df_dag_tell(f->flat, mark, &(df_dag_info){.role = DF_LLM_ROLE_MARK, .home = -1});
    attach(f, mark, root);
    f->failed = df_dag_failed(f->flat);
    return mark;
}

df_dag *df_llm_flatten(const df_dag *step,
                       int32_t *root,
                       const df_llm_chain chains[DF_DIRECTIONS],
                       const df_llm_split *split,
                       const df_rules *rules)
{
    const int32_t count = df_dag_count(step);
    flattening f = {.step = step,
                    .flat = df_dag_new(split->ranks * split->stages),
                    .chains = chains,
                    .ranks = split->ranks,
                    .shares = split->shares,
                    .part = split->ranks / split->shares,
                    .rules = rules,
                    .of = malloc((size_t)count * sizeof *f.of)};
    f.failed = !f.flat || !f.of;
    for (int32_t i = 0; !f.failed && i < count; i++) {
        f.of[i] = (stand_in){-1, 0, 0};
    }
    if (!f.failed) {
        push(&f, *root);
    }
    while (!f.failed && f.depth > 0) {
        advance(&f);
    }
    f.failed = f.failed || df_dag_failed(f.flat);
    *root = f.failed ? 0 : root_of(&f, *root);
    free(f.of);
    free(f.stack);
    if (f.failed) {
        df_dag_free(f.flat);
        return NULL;
    }
    return f.flat;
}
