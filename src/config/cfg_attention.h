/* cfg_attention.h: the kinds of attention and their keys, model_param.attention, a line each: here
 * they become an enum and a struct, in cfg_table.c words and rows of the table of options. */
#ifndef DF_CFG_ATTENTION_H
#define DF_CFG_ATTENTION_H
#include <stdbool.h>
#include <stdint.h>

/* XX(name, word of the files) */
#define DF_CFG_ATTENTION_TYPES(XX)                                                                 \
    XX(DF_ATTENTION_MHA, "mha")                                                                    \
    XX(DF_ATTENTION_GQA, "gqa")

/* XX(type of the field, its name, which is also that of the key, kind, range, words, absent,
 * meaning), as in opt.h. A key that is NOT_GIVEN has the value 0. */
#define DF_CFG_ATTENTION_KEYS(XX)                                                                  \
    XX(df_attention_type, attention_type, DF_OPT_ENUM, ANY, words_attention, REQUIRED,             \
       "multi-head or grouped-query attention")                                                    \
    XX(int64_t, num_heads, DF_OPT_INT, WHOLE_FROM(1), NULL, REQUIRED, "number of heads")           \
    XX(int64_t, kv_heads, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                              \
       "number of key and value heads; gqa requires it, mha ignores it")                           \
    XX(bool, use_flashattention, DF_OPT_BOOL, ANY, df_words_bool, OPTIONAL(0),                     \
       "use FlashAttention")                                                                       \
    XX(int64_t, attention_tile_size, DF_OPT_INT, WHOLE_FROM(1), NULL, NOT_GIVEN,                   \
       "tile of FlashAttention, which requires it")

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses */
#define NAME(name, word) name,
#define FIELD(type, name, ...) type name;
/* NOLINTEND(bugprone-macro-parentheses) */

typedef enum { DF_CFG_ATTENTION_TYPES(NAME) } df_attention_type;
typedef struct {
    DF_CFG_ATTENTION_KEYS(FIELD)
} df_cfg_attention;

#undef NAME
#undef FIELD
#endif
