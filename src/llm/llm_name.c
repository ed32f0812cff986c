/* What the elements of a step's graph are called, in traces and pictures. */
#include <stdio.h>

#include "llm/llm_net.h"

enum { KINDS = DF_COLL_P2P + 1 };

int32_t df_llm_label_of(df_row_name op, int direction, df_coll_kind kind)
{
    return ((int32_t)op * DF_DIRECTIONS + direction) * KINDS + (int32_t)kind;
}

/* "MHA_forward", "MHA_forward_all_reduce". */
static void name_label(int32_t label, char *name, size_t size)
{
    static const char *const kinds[KINDS] = {[DF_COLL_ALL_REDUCE] = "_all_reduce",
                                             [DF_COLL_REDUCE_SCATTER] = "_reduce_scatter",
                                             [DF_COLL_ALL_GATHER] = "_all_gather",
                                             [DF_COLL_ALL_TO_ALL] = "_all_to_all",
                                             [DF_COLL_P2P] = ""};
    const int32_t row = label / KINDS;
    snprintf(name, size, "%s_%s%s", df_row_names[row / DF_DIRECTIONS],
             row % DF_DIRECTIONS == DF_FORWARD ? "forward" : "backward", kinds[label % KINDS]);
}

/* A part of a layer: "MHA_forward_b0_layer3". */
static void name_operator(const df_dag_info *info, char *name, size_t size)
{
    char label[64];
    name_label(info->label, label, sizeof label);
    snprintf(name, size, "%s_b%d_layer%d", label, (int)info->batch, (int)info->layer);
}

void df_llm_name_element(const df_dag *dag, int32_t element, char *name, size_t size)
{
    const df_dag_info *const info = df_dag_told(dag, element);
    const int b = (int)info->batch;
    const int l = (int)info->layer;
    const char *const back = info->label == DF_BACKWARD ? "_backward" : "";
    const char *const reduction =
        info->collective == DF_COLL_REDUCE_SCATTER ? "reduce_scatter" : "all_reduce";
    switch ((df_llm_role)info->role) {
    case DF_LLM_ROLE_MARK:
    case DF_LLM_ROLES:
        snprintf(name, size, "start");
        return;
    case DF_LLM_ROLE_EMBEDDING:
        snprintf(name, size, "embedding%s_b%d", back, b);
        return;
    case DF_LLM_ROLE_BLOCK:
        snprintf(name, size, "transformer%s_b%d_layer%d", back, b, l);
        return;
    case DF_LLM_ROLE_LOGITS:
        snprintf(name, size, "linear_softmax%s_b%d", back, b);
        return;
    case DF_LLM_ROLE_HOP:
        snprintf(name, size, "cross_layer_b%d_layer%d", b, l);
        return;
    case DF_LLM_ROLE_REDUCE_EMBEDDING:
        snprintf(name, size, "embedding_b%d_%s", b, reduction);
        return;
    case DF_LLM_ROLE_REDUCE_LAYER:
        snprintf(name, size, "transformer_b%d_layer%d_%s", b, l, reduction);
        return;
    case DF_LLM_ROLE_REDUCE_LOGITS:
        snprintf(name, size, "softmax_b%d_%s", b, reduction);
        return;
    case DF_LLM_ROLE_GATHER_EMBEDDING:
        snprintf(name, size, "embedding_gather_b%d", b);
        return;
    case DF_LLM_ROLE_GATHER_LAYER:
    case DF_LLM_ROLE_GATHER_REDUCED_LAYER:
        snprintf(name, size, "transformer_gather_b%d_layer%d", b, l);
        return;
    case DF_LLM_ROLE_GATHER_LOGITS:
        snprintf(name, size, "softmax_gather_b%d", b);
        return;
    case DF_LLM_ROLE_OPERATOR:
    case DF_LLM_ROLE_OPERATOR_COLLECTIVE:
        name_operator(info, name, size);
        return;
    }
}

/* A node's label is its element's number and 1, 0 where a message has none. */
void df_llm_name_node(const void *dag, const df_net_node *node, char *name, size_t size)
{
    char element[128] = "pipeline";
    const char *what = "";
    if (node->label > 0) {
        df_llm_name_element(dag, (int32_t)(node->label - 1), element, sizeof element);
    }
    if (node->type == DF_NET_SEND) {
        what = node->bytes > 1 ? "_send" : "_send_control";
    } else if (node->type == DF_NET_RECEIVE) {
        what = node->bytes > 1 ? "_recv" : "_recv_control";
    }
    snprintf(name, size, "%s_%llu%s", element, (unsigned long long)node->id, what);
}
