#include "mem/footprint.h"

#include <math.h>

/* Pointwise work on the gates' outputs: three sigmoids, two tanh, three products
 * and one sum, each of half the size of the gates' output. */
static const double GATE_OPERATIONS = 9.0;

/* How one part of the model is split over the devices. */
typedef struct {
    bool row_column;
    double dim1, dim2;
} part_split;

/* None counts as column-row, with its first dimension as given. */
static part_split split_of(const df_cfg_sched *sched, df_part part)
{
    const bool row_column =
        sched->t == DF_T_RC || (sched->t == DF_T_NONE && sched->kp_type[part] == DF_KP_RC);
    return (part_split){
        .row_column = row_column,
        .dim1 = (double)(sched->kp1 > 0 ? sched->kp1 : sched->kp_dim1[part]),
        .dim2 = (double)(sched->kp2 > 0 ? sched->kp2 : sched->kp_dim2[part]),
    };
}

/* Row-column splits the rows of the activations by dim1 and the columns of the
 * weights by dim2; column-row splits only the inner dimension, by dim1. */
static double rows(const part_split *split, double n)
{
    return split->row_column ? ceil(n / split->dim1) : ceil(n);
}

static double inner(const part_split *split, double n)
{
    return split->row_column ? ceil(n) : ceil(n / split->dim1);
}

static double columns(const part_split *split, double n)
{
    return split->row_column ? ceil(n / split->dim2) : ceil(n);
}

static double mini_batch(const df_cfg *cfg)
{
    return ceil((double)cfg->lstm.batch_size / (double)cfg->sched.dp);
}

/* Of three and more devices the first holds the embedding and the last the softmax. */
static double layers_per_device(const df_cfg *cfg)
{
    const int64_t lp = cfg->sched.lp;
    return (double)cfg->lstm.num_layers / (double)(lp > 2 ? lp - 2 : lp);
}

static df_footprint_part hidden_part(const df_cfg *cfg)
{
    const part_split split = split_of(&cfg->sched, DF_PART_HIDDEN);
    const double width = (double)cfg->lstm.layer_size;
    const double layer_bytes = cfg->sw.precision.tensor_bytes * layers_per_device(cfg);
    const double steps = (double)cfg->lstm.seq_len;
    const double m = rows(&split, mini_batch(cfg));
    const double k = inner(&split, 2.0 * width); /* the cell's input beside its state */
    const double n = columns(&split, (double)cfg->lstm.num_gates * width);
    return (df_footprint_part){
        .weight = layer_bytes * (k + 1.0) * n, /* + 1: the bias */
        .activation = layer_bytes * m * n * steps,
        .pointwise = layer_bytes * (m * n / 2.0) * GATE_OPERATIONS * steps,
    };
}

static df_footprint_part softmax_part(const df_cfg *cfg)
{
    const part_split split = split_of(&cfg->sched, DF_PART_SOFTMAX);
    const double bytes = cfg->sw.precision.tensor_bytes;
    const double outputs = rows(&split, mini_batch(cfg)) * (double)cfg->lstm.seq_len;
    const double k = inner(&split, (double)cfg->lstm.layer_size);
    const double n = columns(&split, (double)cfg->lstm.vocab_size);
    return (df_footprint_part){
        .weight = bytes * (k + 1.0) * n,
        .activation = bytes * outputs * n,
        .pointwise = bytes * (2.0 * outputs * n + outputs), /* exp, quotient; their sums */
    };
}

/* The width is split only where the hidden layers, which take the embedding's
 * output, are row-column. */
static df_footprint_part embedding_part(const df_cfg *cfg)
{
    const part_split split = split_of(&cfg->sched, DF_PART_EMBEDDING);
    const part_split hidden = split_of(&cfg->sched, DF_PART_HIDDEN);
    const double bytes = cfg->sw.precision.tensor_bytes;
    const double width =
        ceil((double)cfg->lstm.layer_size / (hidden.row_column ? split.dim2 : 1.0));
    const double words = inner(&split, (double)cfg->lstm.vocab_size);
    const double outputs = rows(&split, mini_batch(cfg)) * (double)cfg->lstm.seq_len;
    return (df_footprint_part){
        .weight = bytes * words * width,
        .activation = bytes * outputs * width,
    };
}

static double sum_of(const df_footprint_part *part)
{
    return part->weight + part->activation + part->pointwise;
}

/* The device that holds the most. The Python DeepFlow overlooks the softmax
 * (footprint_omits_softmax) and has no figure for two and three devices
 * (footprint_lp2_zero). Two devices both hold half of the layers; of three and
 * more each holds one kind of part. */
static double fullest_bytes(const df_footprint *parts, int64_t lp, const df_rules *rules)
{
    const double hidden = parts->hidden_bytes;
    const double embedding = parts->embedding_bytes;
    if (lp == 1) {
        return hidden + parts->softmax_bytes + embedding;
    }
    if (lp < 4 && rules->footprint_lp2_zero) {
        return 0.0;
    }
    const double softmax = rules->footprint_omits_softmax ? 0.0 : parts->softmax_bytes;
    const double ends = fmax(embedding, softmax);
    return lp == 2 ? hidden + ends : fmax(hidden, ends);
}

void df_footprint_lstm(const df_cfg *cfg, const df_rules *rules, df_footprint *out)
{
    *out = (df_footprint){
        .hidden = hidden_part(cfg),
        .softmax = softmax_part(cfg),
        .embedding = embedding_part(cfg),
    };
    out->hidden_bytes = sum_of(&out->hidden);
    out->softmax_bytes = sum_of(&out->softmax);
    out->embedding_bytes = sum_of(&out->embedding);
    out->total_bytes = fullest_bytes(out, cfg->sched.lp, rules);
}

/* Column-row splits k over kp1, and each device has a partial sum of the whole result;
 * row-column splits m over kp1 and n over kp2. */
double df_footprint_gemm_bytes(const df_cfg *cfg)
{
    const df_cfg_gemm *const g = &cfg->gemm;
    const double kp1 = cfg->sched.kp1 > 0 ? (double)cfg->sched.kp1 : 1.0;
    const double kp2 = cfg->sched.kp2 > 0 ? (double)cfg->sched.kp2 : 1.0;
    const bool rows = cfg->sched.t == DF_T_RC;
    const double m = ceil((double)g->m / (rows ? kp1 : 1.0));
    const double k = ceil((double)g->k / (rows ? 1.0 : kp1));
    const double n = ceil((double)g->n / (rows ? kp2 : 1.0));
    return cfg->sw.precision.tensor_bytes * (m * k + k * n + m * n);
}
