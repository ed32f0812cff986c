/* cfg_layers.h: models whose layers are not all alike: model_param.layers, and what layers have
 * beside attention to all tokens and one feed-forward network. Keys are a line each, as in
 * cfg_attention.h. */
#ifndef DF_CFG_LAYERS_H
#define DF_CFG_LAYERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    DF_LAYERS_MAX = 1024,  /* layers of a model that lists them */
    DF_LAYER_KINDS = 48,   /* kinds of layers in one model */
    DF_LAYERS_TEXT = 8192, /* room for model_param.layers */
};

/* What mixes tokens in a layer. XX(name, word) */
#define DF_CFG_MIXERS(XX)                                                                          \
    XX(DF_MIX_FULL, "full")       /* attention to all tokens before */                             \
    XX(DF_MIX_WINDOW, "window")   /* to the last attention.window */                               \
    XX(DF_MIX_CHUNKED, "chunked") /* to those of the same attention.chunk */                       \
    XX(DF_MIX_CROSS, "cross")     /* to those of a picture, which no token adds to */              \
    XX(DF_MIX_COMPRESSED,                                                                          \
       "compressed") /* to a window, and with a ratio to all before in groups */                   \
    XX(DF_MIX_MAMBA1, "mamba1")                                                                    \
    XX(DF_MIX_MAMBA2, "mamba2")                                                                    \
    XX(DF_MIX_DELTA, "delta")   /* gated delta rule */                                             \
    XX(DF_MIX_LINEAR, "linear") /* lightning attention */                                          \
    XX(DF_MIX_NONE, "no_attention")

#define DF_CFG_FFNS(XX)                                                                            \
    XX(DF_FFN_DENSE, "dense")                                                                      \
    XX(DF_FFN_EXPERTS, "experts")                                                                  \
    XX(DF_FFN_NONE, "no_ffn")

/* What a layer may have of its own. XX(name, smallest, meaning) */
#define DF_CFG_LAYER_SIZES(XX)                                                                     \
    XX(heads, 1, "attention.num_heads")                                                            \
    XX(kv_heads, 1, "attention.kv_heads")                                                          \
    XX(head_dim, 1, "attention.head_dim")                                                          \
    XX(window, 1, "attention.window")                                                              \
    XX(ratio, 2, "tokens of a group of compressed attention")                                      \
    XX(width, 1, "intermediate_size, or moe.expert_size")

/* XX(type, field, key, kind, range, words, absent, meaning): model_param.KEY. */
#define DF_CFG_LAYER_KEYS(XX)                                                                      \
    XX(df_by_type, gated, "gated", DF_OPT_ENUM, ANY, words_by_type, OPTIONAL(DF_BY_TYPE),          \
       "the feed-forward network has a gate; by_type: with model_type llama")                      \
    XX(df_by_type, dropout, "dropout", DF_OPT_ENUM, ANY, words_by_type, OPTIONAL(DF_BY_TYPE),      \
       "training drops activations; by_type: with model_type gpt")                                 \
    XX(df_norm_kind, norm, "norm", DF_OPT_ENUM, ANY, words_norm, OPTIONAL(DF_NORM_BY_TYPE),        \
       "parameters of a norm: a scale (rms), a shift as well (layer), none (plain); as_type: "     \
       "layer "                                                                                    \
       "with model_type gpt, else rms")                                                            \
    XX(int64_t, norms, "norms", DF_OPT_INT, WHOLE(0, 8), NULL, OPTIONAL(2),                        \
       "norms of a layer of attention and a feed-forward network")                                 \
    XX(bool, ffn_bias, "ffn_bias", DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),                   \
       "products of feed-forward networks add a bias")                                             \
    XX(int64_t, positions, "positions", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                \
       "rows of a table of positions that are learned")                                            \
    XX(int64_t, embedding_dim, "embedding_dim", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,        \
       "width of the embedding where a product turns it into hidden_dim")                          \
    XX(int64_t, layer_embedding_dim, "layer_embedding.dim", DF_OPT_INT, WHOLE_FROM(1), NULL,       \
       NOT_GIVEN, "width of an embedding that each layer has of its own")                          \
    XX(int64_t, layer_embedding_vocab, "layer_embedding.vocab", DF_OPT_INT, WHOLE_FROM(1), NULL,   \
       NOT_GIVEN, "tokens in the table of these; vocab_size if absent")                            \
    XX(int64_t, prediction_layers, "prediction_layers", DF_OPT_INT, WHOLE(0, 16), NULL,            \
       OPTIONAL(0), "layers that predict further tokens, behind the last one")                     \
    XX(int64_t, other_params, "other_params", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,          \
       "parameters that no other key describes, in products of every token")                       \
    XX(int64_t, expert_size, "moe.expert_size", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,        \
       "width of an expert; intermediate_size if absent")                                          \
    XX(int64_t, shared_experts, "moe.shared_experts", DF_OPT_INT, WHOLE_FROM(0), NULL,             \
       OPTIONAL(0), "experts to which every token goes")                                           \
    XX(int64_t, shared_size, "moe.shared_size", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,        \
       "width of each of these; that of an expert if absent")                                      \
    XX(bool, shared_gate, "moe.shared_gate", DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),         \
       "their output is weighed by a gate of a column")                                            \
    XX(int64_t, groups, "moe.groups", DF_OPT_INT, WHOLE_FROM(1), NULL, OPTIONAL(1),                \
       "groups of experts")                                                                        \
    XX(int64_t, group_limit, "moe.group_limit", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,        \
       "groups among which the experts of a token are; all if absent")                             \
    XX(int64_t, latent_dim, "moe.latent_dim", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,          \
       "width at which experts work, where products lead to it and back")                          \
    XX(int64_t, linear_heads, "linear.heads", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,          \
       "heads of layers with a state (mamba2, delta, linear)")                                     \
    XX(int64_t, linear_head_dim, "linear.head_dim", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,    \
       "width of each of these")                                                                   \
    XX(int64_t, linear_key_heads, "linear.key_heads", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,  \
       "heads of keys (delta); linear.heads if absent")                                            \
    XX(int64_t, linear_key_dim, "linear.key_dim", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,      \
       "width of a key (delta); linear.head_dim if absent")                                        \
    XX(int64_t, linear_state, "linear.state", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,          \
       "numbers of the state for each element (mamba1, mamba2)")                                   \
    XX(int64_t, linear_groups, "linear.groups", DF_OPT_INT, WHOLE_FROM(1), NULL, OPTIONAL(1),      \
       "groups of heads that share what reads and writes the state (mamba2)")                      \
    XX(int64_t, linear_inner, "linear.inner", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,          \
       "width inside a layer (mamba1)")                                                            \
    XX(int64_t, linear_dt_rank, "linear.dt_rank", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,      \
       "rank of the product that gives the step (mamba1); hidden_dim / 16 if absent")              \
    XX(int64_t, linear_gate_rank, "linear.gate_rank", DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,  \
       "rank of the products that give the gate and a decay of each key (delta); absent: full, "   \
       "and "                                                                                      \
       "a decay of each head")                                                                     \
    XX(int64_t, linear_conv, "linear.conv", DF_OPT_INT, WHOLE(0, 64), NULL, OPTIONAL(4),           \
       "tokens that the convolution before the state takes (mamba1, mamba2, delta)")               \
    XX(int64_t, linear_chunk, "linear.chunk", DF_OPT_INT, WHOLE_FROM(1), NULL, OPTIONAL(128),      \
       "tokens that are computed together in products")                                            \
    XX(double, linear_state_bytes, "linear.state_bytes", DF_OPT_REAL, ABOVE_0, NULL, OPTIONAL(4),  \
       "bytes of a number of the state")

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */
#define NAME(name, word) name,
#define SIZE(name, smallest, meaning) int32_t name;
#define FIELD(type, field, ...) type field;
/* NOLINTEND(bugprone-macro-parentheses) */

/* Whether something is there; or what model_type says. */
typedef enum { DF_BY_TYPE, DF_IS_THERE, DF_IS_NOT_THERE } df_by_type;
typedef enum { DF_NORM_BY_TYPE, DF_NORM_RMS, DF_NORM_LAYER, DF_NORM_PLAIN } df_norm_kind;
typedef enum { DF_CFG_MIXERS(NAME) DF_MIXERS } df_mixer;
typedef enum { DF_CFG_FFNS(NAME) DF_FFNS } df_ffn_kind;
/* Experts where the model has several, else dense. */
enum { DF_FFN_USUAL = DF_FFNS };

/* A kind of layer. Sizes are 0 where it has the model's. */
typedef struct {
    uint8_t mixer, ffn;
    bool reuse; /* keys and values are those of a layer before */
    DF_CFG_LAYER_SIZES(SIZE)
} df_layer_kind;

/* The layers in order; none: all are alike, attention to all tokens, experts if there are several,
 * else one feed-forward network. */
typedef struct {
    int32_t count, kinds;
    df_layer_kind kind[DF_LAYER_KINDS];
    uint8_t of[DF_LAYERS_MAX]; /* the kind of each */
} df_cfg_layers;

typedef struct {
    DF_CFG_LAYER_KEYS(FIELD)
} df_cfg_shape;

#undef NAME
#undef SIZE
#undef FIELD

/* Reads a list of layers:
 *
 *   layers = item {"," item}
 *   item   = [COUNT] [word {" " word}]  |  COUNT ["x"] "(" layers ")", which does not nest
 *   word   = a mixer, a feed-forward network, "reuse", or SIZE=NUMBER
 *
 * such as "3 dense, 58 experts" or "5 x (5 window, full), 4 window ffn=1024". A layer without a
 * mixer is full, and one without a feed-forward network has the usual one.
 * DF_EINVAL: err is "expected ..., found ...". */
DF_NODISCARD df_status df_cfg_layers_parse(const char *text, df_cfg_layers *out, df_err *err);

/* Layers without a feed-forward network of their own have experts, or a dense one; kinds that are
 * alike then are one. */
void df_cfg_layers_settle(df_cfg_layers *layers, bool experts);

/* The same list as a text that reads back alike. False: there is no room for it. */
bool df_cfg_layers_text(const df_cfg_layers *layers, char *text, size_t room);

#endif
