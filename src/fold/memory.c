#include "fold/memory.h"

#include <math.h>

const char *const df_memory_names[DF_MEMORY_PARTS] = {
    [DF_MEMORY_WEIGHTS] = "weights",       [DF_MEMORY_MASTER] = "master_weights",
    [DF_MEMORY_GRADIENTS] = "gradients",   [DF_MEMORY_OPTIMIZER] = "optimizer",
    [DF_MEMORY_GATHERED] = "gathered",     [DF_MEMORY_ACTIVATIONS] = "activations",
    [DF_MEMORY_RECOMPUTED] = "recomputed", [DF_MEMORY_LOGITS] = "logits",
    [DF_MEMORY_KV_CACHE] = "kv_cache",
};

/* What a list keeps. Its core is what attention computes between its projections. */
typedef struct {
    double params[DF_BLOCKS];
    double experts; /* among those of a layer, what devices share */
    double saved_bytes[DF_BLOCKS], core_saved_bytes;
    double input_bytes;           /* what is saved of the input of a layer */
    double live_bytes[DF_BLOCKS]; /* memory of the operator that needs most, outside of the core */
    double core_live_bytes, cache_bytes;
} sums;

static sums sum(const df_ops *ops)
{
    sums all = {.cache_bytes = 0.0};
    for (int i = 0; i < ops->count; i++) {
        const df_op *const op = &ops->op[i];
        const df_op_memory *const m = &op->memory;
        all.params[op->block] += m->params;
        all.experts += m->experts;
        all.cache_bytes += m->cache_bytes;
        if (op->row >= DF_ROW_SCORE && op->row <= DF_ROW_ATTENTION) {
            all.core_saved_bytes += m->saved_bytes;
            all.core_live_bytes += m->live_bytes;
            continue;
        }
        all.saved_bytes[op->block] += m->saved_bytes;
        all.live_bytes[op->block] = fmax(all.live_bytes[op->block], m->live_bytes);
        if (op->row == DF_ROW_NORM1 && op->part == DF_OP_PART_MAIN) {
            all.input_bytes += m->saved_bytes;
        }
    }
    return all;
}

/* A stage of the pipeline, and what its parts are counted from. */
typedef struct {
    const sums *all;
    const df_memory_use *use;
    bool first, last;
    double layers; /* layers on the stage */
} view;

/* Devices that share what ZeRO splits from a stage of it on. */
static double shards(const df_memory_use *use, int64_t from)
{
    return use->training && use->zero_stage >= from ? use->replicas : 1.0;
}

/* What is left of the experts where ZeRO splits them as well, among fewer devices. */
static double shard(const df_memory_use *use, int64_t from, double params, double experts)
{
    const double n = shards(use, from);
    const double ways = n > 1.0 && use->expert_replicas > 0.0 ? use->expert_replicas : n;
    return (params - experts) / n + experts / ways;
}

static void add_parameters(const view *v, double *bytes)
{
    const df_memory_use *const use = v->use;
    const double *const params = v->all->params;
    const double n = v->layers * params[DF_BLOCK_LAYER] +
                     (v->first ? params[DF_BLOCK_EMBEDDING] : 0.0) +
                     (v->last ? params[DF_BLOCK_HEAD] : 0.0);
    const double experts = v->layers * v->all->experts;
    bytes[DF_MEMORY_WEIGHTS] = use->weight_bytes * shard(use, 3, n, experts);
    if (!use->training) {
        return;
    }
    bytes[DF_MEMORY_MASTER] = use->master_bytes * shard(use, 1, n, experts);
    bytes[DF_MEMORY_GRADIENTS] = use->sum_bytes * shard(use, 2, n, experts);
    bytes[DF_MEMORY_OPTIMIZER] = 2.0 * use->moment_bytes * shard(use, 1, n, experts);
    if (shards(use, 3) > 1.0) {
        /* one layer is in use and the next on its way; of the gradient there is one */
        const double largest = fmax(params[DF_BLOCK_LAYER], params[DF_BLOCK_EMBEDDING]);
        bytes[DF_MEMORY_GATHERED] = (2.0 * use->weight_bytes + use->gradient_bytes) * largest;
    }
}

/* kept: micro-batches times layers whose activations the stage keeps at once. */
static void add_training(const view *v, double kept, double *bytes)
{
    const double outside = v->all->saved_bytes[DF_BLOCK_LAYER];
    const double whole = outside + v->all->core_saved_bytes;
    const double saved = v->use->layer_again       ? v->all->input_bytes
                         : v->use->attention_again ? outside
                                                   : whole;
    const double batches = v->layers > 0.0 ? kept / v->layers : 1.0;
    bytes[DF_MEMORY_ACTIVATIONS] =
        kept * saved + (v->first ? batches * v->all->saved_bytes[DF_BLOCK_EMBEDDING] : 0.0);
    bytes[DF_MEMORY_RECOMPUTED] = v->layers > 0.0 ? whole - saved : 0.0;
    bytes[DF_MEMORY_LOGITS] = v->last ? v->all->saved_bytes[DF_BLOCK_HEAD] : 0.0;
}

static void add_inference(const view *v, double *bytes)
{
    bytes[DF_MEMORY_KV_CACHE] = v->all->cache_bytes * (double)v->use->pipe.batches * v->layers;
    bytes[DF_MEMORY_ACTIVATIONS] =
        v->all->live_bytes[DF_BLOCK_LAYER] + (v->layers > 0.0 ? v->all->core_live_bytes : 0.0);
    bytes[DF_MEMORY_LOGITS] = v->last ? v->all->live_bytes[DF_BLOCK_HEAD] : 0.0;
}

static void add_stage(const sums *all, const df_memory_use *use, int64_t stage, df_memory *out)
{
    const df_pipe *const pipe = &use->pipe;
    const double layers = (double)df_sched_stage_layers(pipe, stage);
    const view v = {all, use, stage == 0, stage == pipe->stages - 1, layers};
    *out = (df_memory){.stage = stage};
    add_parameters(&v, out->part_bytes);
    if (use->training) {
        add_training(&v, df_sched_kept(use->order, pipe, stage), out->part_bytes);
    } else {
        add_inference(&v, out->part_bytes);
    }
    for (int i = 0; i < DF_MEMORY_PARTS; i++) {
        out->total_bytes += out->part_bytes[i];
    }
}

void df_memory_of_stage(const df_ops *ops, const df_memory_use *use, int64_t stage, df_memory *out)
{
    const sums all = sum(ops);
    add_stage(&all, use, stage, out);
}

void df_memory_peak(const df_ops *ops, const df_memory_use *use, df_memory *out)
{
    /* between the ends every stage holds no more than the one before, unless it has more layers */
    enum { CANDIDATES = 5 };
    const int64_t stages = use->pipe.stages;
    const int64_t candidates[CANDIDATES] = {0, 1, stages - 2, stages - 1,
                                            df_sched_first_full(&use->pipe)};
    const sums all = sum(ops);
    add_stage(&all, use, 0, out);
    for (int i = 1; i < CANDIDATES; i++) {
        df_memory other;
        if (candidates[i] > 0 && candidates[i] < stages) {
            add_stage(&all, use, candidates[i], &other);
            *out = other.total_bytes > out->total_bytes ? other : *out;
        }
    }
}
