#include "op/op.h"

#include <assert.h>

const char *const df_row_names[DF_ROWS] = {
    [DF_ROW_QKV] = "qkv_proj",
    [DF_ROW_SCORE] = "attention_score",
    [DF_ROW_SOFTMAX] = "attention_scale_softmax",
    [DF_ROW_AV] = "attention_output",
    [DF_ROW_ATTENTION] = "attention",
    [DF_ROW_OUT] = "output_proj",
    [DF_ROW_FFN1] = "ffn1",
    [DF_ROW_FFN2] = "ffn2",
    [DF_ROW_EMBEDDING] = "embedding",
    [DF_ROW_NORM1] = "layernorm1",
    [DF_ROW_NORM2] = "layernorm2",
    [DF_ROW_ACTIVATION] = "gelu",
    [DF_ROW_LOGITS] = "linear_softmax",
    [DF_ROW_MHA] = "MHA",
    [DF_ROW_MLP] = "MLP",
};

df_op *df_ops_append(df_ops *ops)
{
    assert(ops->count < DF_OPS_MAX);
    return &ops->op[ops->count++];
}

double df_coll_sent_bytes(df_coll_kind kind, double bytes, double n)
{
    if (!(n > 1.0)) {
        return 0.0;
    }
    if (kind == DF_COLL_P2P) {
        return bytes;
    }
    const double one_way = bytes * (n - 1.0) / n;
    return kind == DF_COLL_ALL_REDUCE ? 2.0 * one_way : one_way;
}
