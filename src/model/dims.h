/* dims.h: the dimensions of a transformer and its split over devices. Each is read from the
 * configuration once, for time, memory and energy alike. */
#ifndef DF_DIMS_H
#define DF_DIMS_H
#include "config/cfg.h"

enum { DF_FP32_BYTES = 4 };

/* Bytes of an element, by what it is part of. */
typedef struct {
    double activation, parameter, gradient, statistics, cache;
    double exchanged_gradient;
    double optimizer; /* bytes of each moment */
    double master;    /* 0: there is no copy of the weights */
} df_formats;

/* Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1): widths of the latent
 * queries (0: queries are not), of latent keys and values, and of a head's query without a
 * position, with one, and of its value. */
typedef struct {
    double q_rank, kv_rank, nope, rope, value;
} df_latent;

/* A layer with a state instead of a cache: Mamba-1 (Gu and Dao, arXiv:2312.00752), Mamba-2 (Dao and
 * Gu, arXiv:2405.21060), the gated delta rule (Yang et al., arXiv:2412.06464), lightning attention
 * (Qin et al., arXiv:2401.04658). */
typedef struct {
    double heads, head_dim;    /* of values */
    double key_heads, key_dim; /* delta */
    double state, groups;      /* mamba1, mamba2 */
    double inner, dt_rank;     /* mamba1 */
    double gate_rank;          /* delta; 0: the gate is a product of full rank */
    double conv, chunk;        /* tokens of the convolution, and that are computed together */
    double bytes;              /* of a number of the state */
} df_scan;

/* One kind of layer, and what all layers of the model have in common. */
typedef struct {
    double layers; /* of this kind */
    double sequence, hidden, vocab;
    df_mixer mixer;
    df_ffn_kind ffn_kind;
    bool reuse; /* keys and values are those of a layer before */
    double heads, kv_heads, head_dim;
    double window; /* tokens to which a token attends; 0: all before it */
    double ratio;  /* tokens of a group that is attended to as one; 0: there are none */
    df_latent latent;
    df_scan scan;
    double ffn, ffn_in;    /* width inside the feed-forward network, and of its first product */
    double experts, top_k; /* 1, 1: no experts */
    double group_limit;    /* groups of experts among which a token's are; 0: all */
    double shared;         /* width of the experts to which every token goes */
    double expert_hidden;  /* width at which experts work, where products lead there; 0: hidden */
    bool gated;            /* SwiGLU, not GELU */
    bool dropout;
    bool tied;                         /* embedding and head share a table */
    const df_cfg_attention *attention; /* its kind, borrowed */
    bool fetch_overlaps;               /* the cache is read while the attention's products run */
    df_formats bytes;
} df_dims;

/* How a model is split over devices. Degrees are at least 1. */
typedef struct {
    double tp, cp, dp, pp;
    double ep; /* devices of tp and dp that share the experts, whole ones each; 0, 1: each has a
                  part of every expert */
    double micro_batches;
    double batch;         /* sequences in one micro-batch of one replica */
    bool sequence;        /* norms and activations are split over tp along the sequence */
    double sequence_ways; /* devices that share a sequence outside of products */
    bool parts_kv_heads; /* a device may have a part of a key/value head, and none has a copy of one
                          */
} df_split;

/* What a pass is over: a whole sequence, or one token of each. */
typedef struct {
    double tokens;  /* query positions of a sequence */
    double context; /* keys that they attend to */
    bool decode;
    double scored; /* positions of a sequence that have logits */
    bool sampled;  /* the next token of each sequence is drawn from its last logits: inference */
    bool cached;   /* keys and values are kept in, and in a decode step come from, a cache */
    double busy_experts, expert_rows; /* experts that get a token, and how many each gets */
} df_span;

/* The kinds of layers of a model. */
typedef struct {
    int kinds;
    double layers;     /* all together */
    const uint8_t *of; /* the kind of each; NULL: all are of one. Borrowed */
    df_dims kind[DF_LAYER_KINDS];
} df_stack;

/* The model's first kind of layer, as if all were of it. */
void df_dims_read(const df_cfg *cfg, df_dims *dims);
void df_stack_read(const df_cfg *cfg, df_stack *stack);
/* A model whose layers are all of this kind. */
void df_stack_of(const df_dims *dims, df_stack *stack);
void df_split_read(const df_cfg *cfg, df_split *split);
/* A pass over `tokens` positions that attend to `context` keys. */
df_span
df_span_of(const df_dims *dims, const df_split *split, double tokens, double context, bool decode);
/* How many experts of a device get a token, and how many each, where the span is of other layers.
 */
void df_span_experts(const df_dims *dims, const df_split *split, df_span *span);
/* Makes it one of inference: keys and values are cached, and the last position alone has logits. */
void df_span_infer(df_span *span);

/* ---- What mixes tokens ---- */

/* Whether keys and values are made of latent ones; whether there is a state in place of a cache. */
bool df_dims_is_latent(const df_dims *dims);
bool df_dims_is_scan(const df_dims *dims);
/* Width inside a layer with a state, and the numbers of its state. */
double df_dims_scan_width(const df_dims *dims);
double df_dims_state_numbers(const df_dims *dims);
/* Flops of a token between its projections, in products over chunks, or in a decode step. */
double df_dims_scan_flops(const df_dims *dims, bool decode);
/* Numbers that a token adds to the cache of a layer, all heads; entries of a cache of `context`
 * tokens; those that the last of them attends to. */
double df_dims_cache_numbers(const df_dims *dims);
double df_dims_entries(const df_dims *dims, double context);
double df_dims_keys(const df_dims *dims, double context);
/* Share of the pairs of a causal prompt of so many tokens that windows or an indexer leave out. */
double df_dims_unseen(const df_dims *dims, double tokens);
/* Width of a head in the mean of its two products: that of keys and that of values. */
double df_dims_pair_width(const df_dims *dims);

/* ---- Parameters that products multiply by, of the whole model ---- */

/* Whether a token attends only to those that an indexer chooses. */
bool df_dims_is_indexed(const df_dims *dims);
/* Groups that each token is part of: 2 where they overlap, 0 where none are made. */
double df_dims_group_series(const df_dims *dims);

double df_dims_attention_params(const df_dims *dims); /* or of what stands in its place */
double df_dims_expert_hidden(const df_dims *dims);    /* width at which experts work */
double df_dims_ffn_params(const df_dims *dims);       /* of one expert */
double df_dims_shared_params(const df_dims *dims);    /* of experts to which every token goes */
double df_dims_layer_params(const df_dims *dims);
double df_dims_table_params(const df_dims *dims); /* of the embedding, or of the head */

/* ---- A device's share: Megatron-LM, Narayanan et al., SC 2021, section 2.3 ---- */

/* Positions of `tokens` that a device has in products. */
double df_split_tokens(const df_split *split, double tokens);
/* The rows or columns of weights, out of `width`, that a device has. */
double df_split_width(const df_split *split, double width);
/* Elements that a device has outside of products, of `tokens` positions of each sequence of the
 * micro-batch and `width` elements each. */
double df_split_outside(const df_split *split, double tokens, double width);
/* Key/value heads of all tensor-parallel devices together. Each device has at least one whole head,
 * so if there are fewer heads than devices, several devices have copies of the same one (Pope et
 * al., MLSys 2023, section 3.3). */
double df_split_kv_heads(const df_split *split, const df_dims *dims);
/* Devices that share the experts: at least 1. */
double df_split_ep(const df_split *split);
/* Parameters of a layer that a device has: of its experts alone, of the rest, and of both. */
double df_split_expert_params(const df_split *split, const df_dims *dims);
double df_split_other_params(const df_split *split, const df_dims *dims);
double df_split_layer_params(const df_split *split, const df_dims *dims);
/* The mean over the layers of a model. */
double df_split_mean_params(const df_split *split, const df_stack *stack);
/* Whether the model is split over tp, and nothing else is. */
bool df_split_is_plain_tensor(const df_split *split);
/* Number of devices that hold the same parameters and see other sequences or other tokens. */
double df_split_replicas(const df_split *split);

#endif
