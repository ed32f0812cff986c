/* Takes a step's graph apart into the devices that share a layer: each block becomes, on each of
 * them, a chain of its operators and their collectives. The order in which elements are made gives
 * them their numbers, which decide ties in the simulator. Two stages of one block each, on two
 * devices, whose chain is an operator m with its collective c:
 *
 *     stages        embedding --- block 0 ------- hop --- block 1 --- logits
 *                             |                |
 *                             +--- gather 1 ---+                   (ZeRO 3)
 *
 *     devices 0, 2  embedding --- m - c --------- hop --- m - c ----- logits      on device 2
 *                           | |                |                   |
 *                           | +--- gather 1 ---+                   |
 *     devices 1, 3          +---- m - c --------- hop --- m - c ---+
 *                             |                |
 *                             +--- gather 1 ---+
 *
 * Embedding and logits stay whole, on the first device of their stage. Each device hands its share
 * on when its own gather has ended. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/grow.h"
#include "lower/lower_impl.h"

/* The elements of the flat graph that stand for one of the step: one, or one a device. */
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
    const df_lower_layer *layer;
    const df_lower_options *options;
    int32_t ranks, part; /* devices that share a layer; and of those, that share its parameters */
    stand_in *of;        /* [element of the step] */
    struct {
        frame *all;
        int32_t count, room;
    } stack;
    bool failed;
} flattening;

static const df_dag_info *info_of(const flattening *f, int32_t e)
{
    return df_dag_info_of(f->step, e);
}

static bool is_block(const flattening *f, int32_t e)
{
    return info_of(f, e)->role == DF_LOWER_BLOCK;
}

/* Gathers that each device of a stage does for itself. */
static bool is_shared(const flattening *f, int32_t e)
{
    return f->ranks > 1 && info_of(f, e)->role == DF_LOWER_GATHER_LAYER;
}

static bool is_data_parallel(const flattening *f, int32_t e)
{
    return df_dag_kind_of(f->step, e) == DF_DAG_COLLECTIVE;
}

static const df_lower_chain *chain_of(const flattening *f, int32_t block)
{
    return &f->layer->chains[info_of(f, block)->label];
}

/* ---- Making elements ---- */

static int32_t
add(df_dag *dag, df_dag_kind kind, int32_t device, double duration_s, const df_dag_info *info)
{
    const int32_t made = df_dag_add(dag, kind, device, duration_s);
    df_dag_describe(dag, made, info);
    return made;
}

void df_lower_add_item(df_lower_chain *chain, const df_lower_item *item)
{
    assert(chain->count < DF_LOWER_CHAIN_MAX);
    chain->item[chain->count++] = *item;
}

int32_t df_lower_add_chain(df_dag *dag,
                           const df_lower_chain *chain,
                           int32_t device,
                           const df_dag_info *block)
{
    int32_t head = -1;
    int32_t previous = -1;
    for (int i = 0; i < chain->count; i++) {
        const df_lower_item *const item = &chain->item[i];
        const bool edge = item->is_collective;
        const df_dag_info info = {.role = edge ? DF_LOWER_OPERATOR_COLLECTIVE : DF_LOWER_OPERATOR,
                                  .label = item->op * DF_DIRECTIONS + chain->direction,
                                  .name = item->name,
                                  .home = edge ? device : -1,
                                  .collective = item->collective,
                                  .participants = item->participants,
                                  .batch = block->batch,
                                  .layer = block->layer,
                                  .bytes = item->bytes};
        const int32_t e = add(dag, edge ? DF_DAG_COLLECTIVE : DF_DAG_COMPUTE, device,
                              edge ? 0.0 : item->duration_s, &info);
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
    df_dag_info info = *info_of(f, e);
    const int32_t home = info.home > 0 ? info.home * f->ranks : 0;
    stand_in copies = {df_dag_count(f->flat), 1, f->layer->shares};
    for (int32_t i = 0; i < copies.count; i++) {
        info.home = home + i * f->part;
        info.mate = i;
        (void)add(f->flat, DF_DAG_COLLECTIVE, 0, df_dag_duration_s(f->step, e), &info);
    }
    return copies;
}

static stand_in copy_element(flattening *f, int32_t e)
{
    df_dag_info info = *info_of(f, e);
    int32_t device = df_dag_device(f->step, e);
    if (info.role == DF_LOWER_LOGITS) {
        device *= f->ranks; /* the embedding is on device 0 in any case */
    }
    if (info.home > 0 && !f->options->reductions_on_first_devices) {
        info.home *= f->ranks;
    }
    return (stand_in){
        add(f->flat, df_dag_kind_of(f->step, e), device, df_dag_duration_s(f->step, e), &info), 1,
        1};
}

static stand_in copy_block(flattening *f, int32_t e)
{
    const df_lower_chain *const chain = chain_of(f, e);
    const stand_in chains = {df_dag_count(f->flat), chain->count, f->ranks};
    for (int32_t r = 0; r < f->ranks; r++) {
        (void)df_lower_add_chain(f->flat, chain, df_dag_device(f->step, e) * f->ranks + r,
                                 info_of(f, e));
    }
    return chains;
}

/* A gather for each device of the stage that e is on. */
static stand_in copy_gather(flattening *f, int32_t gather, int32_t e)
{
    df_dag_info info = *info_of(f, gather);
    const stand_in copies = {df_dag_count(f->flat), 1, f->ranks};
    for (int32_t r = 0; r < f->ranks; r++) {
        info.home = df_dag_device(f->step, e) * f->ranks + r;
        info.mate = r / f->part * f->part;
        (void)add(f->flat, DF_DAG_COLLECTIVE, 0, 0.0, &info);
    }
    return copies;
}

static int32_t tail_of(const flattening *f, int32_t block, int32_t rank)
{
    const stand_in *const s = &f->of[block];
    return s->first + (rank + 1) * s->stride - 1;
}

static void attach(flattening *f, int32_t from, int32_t child)
{
    const stand_in *const s = &f->of[child];
    for (int32_t i = 0; i < s->count; i++) {
        df_dag_link(f->flat, from, s->first + i * s->stride);
    }
}

/* Links several elements to a child; copies for several devices are linked one to one. */
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
static stand_in gather_after_block(flattening *f, int32_t gather, int32_t block)
{
    const stand_in copies = copy_gather(f, gather, block);
    for (int32_t r = 0; r < f->ranks && !df_dag_failed(f->flat); r++) {
        int32_t count;
        const int32_t *const children = df_dag_children(f->flat, tail_of(f, block, r), &count);
        for (int32_t i = 0; i < count; i++) {
            df_dag_link(f->flat, copies.first + r, children[i]);
        }
    }
    return copies;
}

/* Copies the gathers that begin when e does, for the devices of its stage, to go with e:
 *
 *     a --- e --- next          a --- e ----------- next
 *       |       |                 |              |
 *       +-- g --+                 +-- g 0, g 1 --+
 *
 * Returns the first copy of the last of them, or -1. */
static int32_t copy_siblings(flattening *f, int32_t e)
{
    int32_t parents;
    int32_t last = -1;
    const int32_t *const parent = df_dag_parents(f->step, e, &parents);
    for (int32_t p = 0; p < parents; p++) {
        int32_t children;
        const int32_t *const child = df_dag_children(f->step, parent[p], &children);
        for (int32_t c = 0; c < children; c++) {
            if (child[c] != e && is_shared(f, child[c])) {
                f->of[child[c]] = is_block(f, e) ? gather_after_block(f, child[c], e)
                                                 : copy_gather(f, child[c], e);
                last = f->of[child[c]].first;
            }
        }
    }
    return last;
}

/* ---- Walking ---- */

static void push(flattening *f, int32_t e)
{
    frame fresh = {.element = e, .data_parallel = true, .copies = -1};
    if (is_block(f, e)) {
        f->of[e] = copy_block(f, e);
    } else if (f->layer->shares > 1 && is_data_parallel(f, e)) {
        f->of[e] = copy_collective(f, e);
    } else {
        f->of[e] = copy_element(f, e);
        if (df_dag_kind_of(f->step, e) == DF_DAG_COMPUTE) {
            fresh.copies = copy_siblings(f, e);
        }
    }
    f->failed = !DF_LIST_ADD(&f->stack, fresh);
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
    const stand_in tails = {tail_of(f, block, 0), f->part * f->of[block].stride, f->layer->shares};
    attach_all(f, &tails, child);
    return true;
}

/* Each device hands its share on to the same device of the next stage. */
static void hand_on(flattening *f, int32_t block, int32_t hop)
{
    const df_lower_chain *const chain = chain_of(f, block);
    df_dag_info info = *info_of(f, hop);
    info.bytes = ceil(trunc(info.bytes) / (double)f->ranks);
    int32_t targets;
    const int32_t *const target = df_dag_children(f->step, hop, &targets);
    for (int32_t r = 0; r < f->ranks; r++) {
        const int32_t tail = tail_of(f, block, r);
        const int32_t edge = add(f->flat, DF_DAG_PIPELINE, 0, 0.0, &info);
        df_dag_link(f->flat, tail, edge);
        if (chain->item[chain->count - 1].is_collective && f->options->hop_skips_collective) {
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
    const int32_t top = f->stack.count - 1;
    const int32_t e = f->stack.all[top].element;
    int32_t count;
    const int32_t *const children = df_dag_children(f->step, e, &count);
    while (f->stack.all[top].child < count) {
        frame at = f->stack.all[top];
        const bool taken = take(f, &at, children[at.child]);
        if (f->failed || df_dag_failed(f->flat)) {
            f->failed = true;
            return;
        }
        if (taken) {
            at.child++;
            at.prepared = false;
            if (at.child == count && is_block(f, e) && at.data_parallel) {
                at.data_parallel = false;
                at.child = 0;
            }
        }
        f->stack.all[top] = at; /* the stack may have moved */
        if (!taken) {
            return;
        }
    }
    if (is_block(f, e)) {
        (void)copy_siblings(f, e);
    }
    f->stack.count--;
}

/* The root of the flat graph: a mark where several elements stand for the root of the step. */
static int32_t root_of(flattening *f, int32_t root)
{
    if (f->of[root].count == 1) {
        return f->of[root].first;
    }
    const int32_t mark =
        add(f->flat, DF_DAG_COLLECTIVE, 0, 0.0, &(df_dag_info){.role = DF_LOWER_MARK, .home = -1});
    attach(f, mark, root);
    return mark;
}

df_dag *df_lower_flatten(const df_dag *step,
                         int32_t *root,
                         int32_t stages,
                         const df_lower_layer *layer,
                         const df_lower_options *options)
{
    const int32_t count = df_dag_count(step);
    flattening f = {.step = step,
                    .flat = df_dag_new(layer->ranks * stages),
                    .layer = layer,
                    .options = options,
                    .ranks = layer->ranks,
                    .part = layer->ranks / layer->shares,
                    .of = malloc((size_t)count * sizeof *f.of)};
    f.failed = !f.flat || !f.of;
    for (int32_t i = 0; !f.failed && i < count; i++) {
        f.of[i] = (stand_in){-1, 0, 0};
    }
    if (!f.failed) {
        push(&f, *root);
    }
    while (!f.failed && f.stack.count > 0) {
        advance(&f);
    }
    *root = f.failed || df_dag_failed(f.flat) ? 0 : root_of(&f, *root);
    f.failed = f.failed || df_dag_failed(f.flat);
    free(f.of);
    free(f.stack.all);
    if (f.failed) {
        df_dag_free(f.flat);
        return NULL;
    }
    return f.flat;
}
