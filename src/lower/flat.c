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

#include "lower/lower_impl.h"

/* The elements of the flat graph that stand for one of the step: one, or one a device. Those of a
 * block are chains of `stride` elements. */
typedef struct {
    int32_t first, stride;
    int32_t count; /* 0: nothing is made yet */
} stand_in;

/* Something that is to be done for an element and, mostly, one that follows it. */
typedef struct flattening flattening;
typedef void task_function(flattening *f, int32_t e, int32_t child);
typedef struct {
    task_function *run;
    int32_t element, child;
} task;

struct flattening {
    df_arena arena;
    const df_dag *step;
    df_dag *flat;
    const df_lower_layer *layer;
    const df_lower_options *options;
    int32_t ranks,
        part;     /* devices that share a layer; and those among them that share its parameters */
    stand_in *of; /* [element of the step] */
    stand_in *gathers; /* [element of the step]: that go with one that is no block */
    struct {
        task *all;
        int32_t count, room;
    } tasks; /* the last is done first */
};

static const df_dag_element *at(const flattening *f, int32_t e)
{
    return df_dag_at(f->step, e);
}

static bool is_block(const flattening *f, int32_t e)
{
    return at(f, e)->role == DF_LOWER_BLOCK;
}

static bool is_data_parallel(const flattening *f, int32_t e)
{
    return at(f, e)->kind == DF_DAG_COLLECTIVE;
}

/* Gathers that each device of a stage does for itself. */
static bool is_shared(const flattening *f, int32_t e)
{
    return f->ranks > 1 && at(f, e)->role == DF_LOWER_GATHER_LAYER;
}

/* ---- Chains ---- */

void df_lower_add_item(df_lower_chain *chain, const df_lower_item *item)
{
    assert(chain->count < DF_LOWER_CHAIN_MAX);
    chain->item[chain->count++] = *item;
}

static const df_lower_chain *chain_of(const flattening *f, int32_t block)
{
    return &f->layer->chains[at(f, block)->label];
}

/* Appends the chain of a block, which is not empty, on a device. */
static void add_chain(flattening *f, int32_t block, int32_t device)
{
    const df_lower_chain *const chain = chain_of(f, block);
    for (int i = 0; i < chain->count; i++) {
        const df_lower_item *const item = &chain->item[i];
        const bool edge = item->is_collective;
        const df_dag_element part = {.kind = edge ? DF_DAG_COLLECTIVE : DF_DAG_COMPUTE,
                                     .device = device,
                                     .duration_s = edge ? 0.0 : item->duration_s,
                                     .role =
                                         edge ? DF_LOWER_OPERATOR_COLLECTIVE : DF_LOWER_OPERATOR,
                                     .label = item->op * DF_DIRECTIONS + chain->direction,
                                     .name = item->name,
                                     .collective = item->collective,
                                     .participants = item->participants,
                                     .batch = at(f, block)->batch,
                                     .layer = at(f, block)->layer,
                                     .bytes = item->bytes};
        const int32_t e = df_dag_add(f->flat, &part);
        if (i > 0) {
            df_dag_link(f->flat, e - 1, e);
        }
    }
}

static stand_in copy_block(flattening *f, int32_t e)
{
    const stand_in chains = {df_dag_count(f->flat), chain_of(f, e)->count, f->ranks};
    for (int32_t r = 0; r < f->ranks; r++) {
        add_chain(f, e, at(f, e)->device * f->ranks + r);
    }
    return chains;
}

static int32_t head_of(const stand_in *s, int32_t rank)
{
    return s->first + rank * s->stride;
}

static int32_t tail_of(const stand_in *s, int32_t rank)
{
    return s->first + (rank + 1) * s->stride - 1;
}

/* ---- Other elements ---- */

/* Copies for `count` devices, `stride` apart from that of `what` on. Copies for devices that share
 * parameters are mates. */
static stand_in copy(flattening *f, df_dag_element what, int32_t count, int32_t stride)
{
    const stand_in copies = {df_dag_count(f->flat), 1, count};
    const int32_t first = what.device;
    for (int32_t i = 0; i < count; i++) {
        what.device = first + i * stride;
        what.mate = i - i * stride % f->part / stride;
        (void)df_dag_add(f->flat, &what);
    }
    return copies;
}

/* A copy of what stays whole, on the first device of its stage; of a collective, one for each part
 * of the stage. */
static stand_in copy_element(flattening *f, int32_t e)
{
    const bool collective = is_data_parallel(f, e);
    const int32_t count = collective ? f->layer->shares : 1;
    const bool moves = count > 1 || !collective || !f->options->reductions_on_first_devices;
    df_dag_element what = *at(f, e);
    what.device *= moves ? f->ranks : 1;
    return copy(f, what, count, f->part);
}

/* A gather for each device of the stage that e is on. Those of a block are linked at once, before
 * what follows it on their device. */
static stand_in copy_gather(flattening *f, int32_t gather, int32_t e)
{
    df_dag_element what = *at(f, gather);
    what.device = at(f, e)->device * f->ranks;
    what.duration_s = 0.0;
    const stand_in copies = copy(f, what, f->ranks, 1);
    for (int32_t r = 0; r < f->ranks && is_block(f, e); r++) {
        const int32_t tail = tail_of(&f->of[e], r);
        int32_t count;
        const int32_t *children = df_dag_children(f->flat, tail, &count);
        for (int32_t i = 0; i < count; i++) {
            df_dag_link(f->flat, head_of(&copies, r), children[i]);
            children = df_dag_children(f->flat, tail, &count); /* they may have moved */
        }
    }
    return copies;
}

/* (Nothing leads to these gathers of the reference, but elements behind them have higher numbers.)
 */
static void gather_after_block(flattening *f, int32_t block, int32_t gather)
{
    (void)copy_gather(f, gather, block);
}

/* Copies the gathers that begin when e does, for the devices of its stage, to go with e:
 *
 *     a --- e --- next          a --- e ----------- next
 *       |       |                 |              |
 *       +-- g --+                 +-- g 0, g 1 --+
 *
 * Where e is no block, the last of them are linked when e is. */
static void copy_siblings(flattening *f, int32_t e, int32_t child)
{
    int32_t parents;
    const int32_t *const parent = df_dag_parents(f->step, e, &parents);
    (void)child;
    for (int32_t p = 0; p < parents; p++) {
        int32_t count;
        const int32_t *const sibling = df_dag_children(f->step, parent[p], &count);
        for (int32_t i = 0; i < count; i++) {
            if (sibling[i] != e && is_shared(f, sibling[i])) {
                f->gathers[e] = f->of[sibling[i]] = copy_gather(f, sibling[i], e);
            }
        }
    }
}

/* ---- Links ---- */

/* Links an element to all that stand for a child. */
static void attach(flattening *f, int32_t from, int32_t child)
{
    const stand_in *const to = &f->of[child];
    for (int32_t i = 0; i < to->count; i++) {
        df_dag_link(f->flat, from, head_of(to, i));
    }
}

/* Links all to all, but collectives of data parallelism one to one where there are as many. Those
 * of a block hang from the first device of each part. */
static void attach_all(flattening *f, int32_t e, int32_t child)
{
    const stand_in *const from = &f->of[e];
    const stand_in *const to = &f->of[child];
    const bool parts = is_block(f, e) && is_data_parallel(f, child);
    const int32_t step = parts ? f->part : 1;
    const bool paired =
        from->count / step == to->count && (is_data_parallel(f, e) || is_data_parallel(f, child));
    for (int32_t r = 0; r < f->gathers[e].count; r++) {
        attach(f, head_of(&f->gathers[e], r), child);
    }
    for (int32_t r = 0; r < from->count; r += step) {
        if (paired) {
            df_dag_link(f->flat, tail_of(from, r), head_of(to, r / step));
        } else {
            attach(f, tail_of(from, r), child);
        }
    }
}

/* Each device hands its share to the same device of the next stage. */
static void hand_on(flattening *f, int32_t block, int32_t hop)
{
    const df_lower_chain *const chain = chain_of(f, block);
    const bool early =
        chain->item[chain->count - 1].is_collective && f->options->hop_skips_collective;
    df_dag_element share = *at(f, hop);
    share.duration_s = 0.0;
    share.bytes =
        f->options->hop_divided ? ceil(trunc(share.bytes) / (double)f->ranks) : share.bytes;
    int32_t targets;
    const int32_t *const target = df_dag_children(f->step, hop, &targets);
    for (int32_t r = 0; r < f->ranks && targets > 0; r++) {
        const int32_t tail = tail_of(&f->of[block], r);
        const int32_t edge = df_dag_add(f->flat, &share);
        df_dag_link(f->flat, tail, edge);
        if (early) {
            df_dag_link(f->flat, tail - 1, edge); /* the last operator is before its collective */
        }
        for (int32_t i = 0; i < targets; i++) {
            const stand_in *const to = &f->of[target[i]];
            df_dag_link(f->flat, edge, head_of(to, r % to->count));
        }
    }
}

/* ---- Walking ---- */

static task_function make;

static void add_task(flattening *f, task_function *run, int32_t e, int32_t child)
{
    DF_ARENA_ADD(&f->arena, &f->tasks, (task){run, e, child});
}

/* Has a child created and linked; a hop is created again for each device. Tasks are added in the
 * opposite of the order in which they are done. */
static void add_tasks(flattening *f, int32_t e, int32_t child)
{
    const bool block = is_block(f, e);
    if (block && at(f, child)->kind == DF_DAG_PIPELINE) {
        int32_t count;
        const int32_t *const targets = df_dag_children(f->step, child, &count);
        add_task(f, hand_on, e, child);
        for (int32_t i = count - 1; i >= 0; i--) {
            add_task(f, make, targets[i], -1);
        }
        return;
    }
    add_task(f, attach_all, e, child);
    add_task(f, make, child, -1);
    if (block && is_shared(f, child)) {
        add_task(f, gather_after_block, e, child);
    }
}

/* Makes what stands for an element, unless that is done, and then what follows it. Of a block,
 * reductions and gathers come before the rest, and siblings last. */
static void make(flattening *f, int32_t e, int32_t child)
{
    const bool block = is_block(f, e);
    int32_t count;
    const int32_t *const children = df_dag_children(f->step, e, &count);
    (void)child;
    if (f->of[e].count > 0) {
        return;
    }
    f->of[e] = block ? copy_block(f, e) : copy_element(f, e);
    if (block) {
        add_task(f, copy_siblings, e, -1);
    } else if (at(f, e)->kind == DF_DAG_COMPUTE) {
        copy_siblings(f, e, -1);
    }
    for (int round = block ? 0 : 1; round < 2; round++) {
        for (int32_t i = count - 1; i >= 0; i--) {
            if (!block || is_data_parallel(f, children[i]) == (round == 1)) {
                add_tasks(f, e, children[i]);
            }
        }
    }
}

/* The root of the flat graph: a mark where several elements stand for the root of the step. */
static int32_t root_of(flattening *f, int32_t root)
{
    if (f->of[root].count == 1) {
        return f->of[root].first;
    }
    const int32_t mark = df_dag_add(f->flat, &(df_dag_element){.kind = DF_DAG_COLLECTIVE,
                                                               .device = DF_DAG_NOWHERE,
                                                               .role = DF_LOWER_MARK});
    attach(f, mark, root);
    return mark;
}

df_dag *df_lower_flatten(const df_dag *step,
                         int32_t *root,
                         const df_lower_layer *layer,
                         const df_lower_options *options)
{
    flattening f = {.step = step,
                    .flat = df_dag_new(layer->ranks * df_dag_devices(step)),
                    .layer = layer,
                    .options = options,
                    .ranks = layer->ranks,
                    .part = layer->ranks / layer->shares};
    f.of = df_arena_take(&f.arena, (size_t)df_dag_count(step), sizeof *f.of);
    f.gathers = df_arena_take(&f.arena, (size_t)df_dag_count(step), sizeof *f.gathers);
    if (f.flat && !f.arena.failed && !df_dag_failed(step)) {
        make(&f, *root, -1);
        while (f.tasks.count > 0 && !f.arena.failed && !df_dag_failed(f.flat)) {
            const task next = f.tasks.all[--f.tasks.count];
            next.run(&f, next.element, next.child);
        }
        *root = root_of(&f, *root);
    }
    const bool whole = f.flat && !f.arena.failed && !df_dag_failed(f.flat) && !df_dag_failed(step);
    df_arena_free(&f.arena);
    if (!whole) {
        df_dag_free(f.flat);
        return NULL;
    }
    return f.flat;
}
