/* cfg_attention.h: the kinds of attention and their keys, model_param.attention, a line each: here
 * they become an enum and a struct, in cfg_table.c words and rows of the table of options. */
#ifndef DF_CFG_ATTENTION_H
#define DF_CFG_ATTENTION_H
#include <stdbool.h>
#include <stdint.h>

/* XX(name, word of the files) */
#define DF_CFG_ATTENTION_TYPES(XX)                                                                 \
    XX(DF_ATTENTION_MHA, "mha")                                                                    \
    XX(DF_ATTENTION_GQA, "gqa")                                                                    \
    XX(DF_ATTENTION_MLA, "mla")

/* XX(type of the field, its name, which is also that of the key, kind, range, words, absent,
 * meaning), as in opt.h. A key that is NOT_GIVEN has the value 0. */
#define DF_CFG_ATTENTION_KEYS(XX)                                                                  \
    XX(df_attention_type, attention_type, DF_OPT_ENUM, ANY, words_attention, REQUIRED,             \
       "multi-head, grouped-query or multi-head latent attention")                                 \
    XX(int64_t, num_heads, DF_OPT_INT, WHOLE_FROM(1), NULL, REQUIRED, "number of heads")           \
    XX(int64_t, kv_heads, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                              \
       "number of key and value heads; gqa requires it, mha ignores it")                           \
    XX(bool, use_flashattention, DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),                     \
       "use FlashAttention")                                                                       \
    XX(int64_t, attention_tile_size, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                   \
       "tile of FlashAttention, which requires it")                                                \
    XX(int64_t, head_dim, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                              \
       "width of a head; hidden_dim / num_heads if absent")                                        \
    XX(int64_t, window, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                                \
       "tokens to which a token attends in layers of kind window")                                 \
    XX(int64_t, chunk, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                                 \
       "tokens that attend to each other in layers of kind chunked")                               \
    XX(int64_t, q_rank, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                                \
       "width of the latent queries; absent: they are not")                                        \
    XX(int64_t, kv_rank, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                               \
       "width of the latent keys and values; mla requires it")                                     \
    XX(int64_t, nope_dim, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                              \
       "width of a head's query that has no position; mla requires it")                            \
    XX(int64_t, rope_dim, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                              \
       "width of the one that has; mla requires it")                                               \
    XX(int64_t, value_dim, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                             \
       "width of a head's value; mla requires it")                                                 \
    XX(bool, absorbed, DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(1),                               \
       "decoding multiplies queries into the latent width, instead of keys out of it (mla)")       \
    XX(df_qk_norm, qk_norm, DF_OPT_ENUM, ANY, words_qk_norm, OPTIONAL(DF_QK_NORM_NONE),            \
       "norm of queries and keys: none, of each head, or of all heads together")                   \
    XX(df_attention_bias, bias, DF_OPT_ENUM, ANY, words_attention_bias,                            \
       OPTIONAL(DF_ATTENTION_BIAS_NONE), "which projections add a bias: none, qkv, or all")        \
    XX(bool, gate, DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),                                   \
       "the output of each head has a gate, which the query's projection computes")                \
    XX(bool, sinks, DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),                                  \
       "each head has a sink, a learned logit")                                                    \
    XX(bool, keys_are_values, DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),                        \
       "one projection gives keys and values (in layers of kind full)")                            \
    XX(int64_t, index_heads, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                           \
       "heads of an indexer that chooses to which tokens to attend (mla, compressed)")             \
    XX(int64_t, index_dim, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN, "width of its heads")       \
    XX(int64_t, index_top_k, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN, "tokens that it chooses") \
    XX(int64_t, out_rank, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                              \
       "rank of each group of the output's projection (compressed)")                               \
    XX(int64_t, out_groups, DF_OPT_INT, WHOLE_FROM(1), NULL, OPTIONAL(1),                          \
       "groups of heads in the output's projection (compressed)")

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */
#define NAME(name, word) name,
#define FIELD(type, name, ...) type name;
/* NOLINTEND(bugprone-macro-parentheses) */

typedef enum { DF_CFG_ATTENTION_TYPES(NAME) } df_attention_type;
typedef enum { DF_QK_NORM_NONE, DF_QK_NORM_HEAD, DF_QK_NORM_ALL } df_qk_norm;
typedef enum {
    DF_ATTENTION_BIAS_NONE,
    DF_ATTENTION_BIAS_QKV,
    DF_ATTENTION_BIAS_ALL
} df_attention_bias;
typedef struct {
    DF_CFG_ATTENTION_KEYS(FIELD)
} df_cfg_attention;

#undef NAME
#undef FIELD
#endif
