/* What the elements of a step's graph are called, in traces and pictures. */
#include <stdio.h>

#include "lower/lower_impl.h"

/* How a role's names begin, and whether the layer is in them. */
static const struct {
    const char *stem;
    bool in_layer;
} names[DF_LOWER_ROLES] = {
    [DF_LOWER_MARK] = {"start", false},
    [DF_LOWER_EMBEDDING] = {"embedding", false},
    [DF_LOWER_BLOCK] = {"transformer", true},
    [DF_LOWER_LOGITS] = {"linear_softmax", false},
    [DF_LOWER_HOP] = {"cross_layer", true},
    [DF_LOWER_REDUCE_EMBEDDING] = {"embedding", false},
    [DF_LOWER_REDUCE_LAYER] = {"transformer", true},
    [DF_LOWER_REDUCE_LOGITS] = {"softmax", false},
    [DF_LOWER_GATHER_EMBEDDING] = {"embedding_gather", false},
    [DF_LOWER_GATHER_LAYER] = {"transformer_gather", true},
    [DF_LOWER_GATHER_LOGITS] = {"softmax_gather", false},
    [DF_LOWER_GATHER_REDUCED_LAYER] = {"transformer_gather", true},
    [DF_LOWER_OPERATOR] = {"", true}, /* they have names of their own */
    [DF_LOWER_OPERATOR_COLLECTIVE] = {"", true},
};

static const char *const collectives[] = {[DF_NET_ALL_REDUCE] = "_all_reduce",
                                          [DF_NET_ALL_GATHER] = "_all_gather",
                                          [DF_NET_REDUCE_SCATTER] = "_reduce_scatter",
                                          [DF_NET_ALL_TO_ALL] = "_all_to_all",
                                          [DF_NET_BROADCAST] = "_broadcast"};

/* "transformer_backward_b0_layer3", "transformer_b0_layer3_all_reduce",
 * "MHA_forward_all_reduce_b0_layer3". */
void df_lower_name_element(const df_dag *dag, int32_t element, char *name, size_t size)
{
    const df_dag_element *const e = df_dag_at(dag, element);
    const df_lower_role role = (df_lower_role)e->role;
    const bool backward = e->label % DF_DIRECTIONS == DF_TASK_BACKWARD;
    const bool reduces = role >= DF_LOWER_REDUCE_EMBEDDING && role <= DF_LOWER_REDUCE_LOGITS;
    const char *const direction = backward ? "_backward" : e->name ? "_forward" : "";
    char layer[32] = "";
    if (role == DF_LOWER_MARK) {
        snprintf(name, size, "%s", names[role].stem);
        return;
    }
    if (names[role].in_layer) {
        snprintf(layer, sizeof layer, "_layer%d", (int)e->layer);
    }
    snprintf(name, size, "%s%s%s_b%d%s%s", e->name ? e->name : names[role].stem, direction,
             role == DF_LOWER_OPERATOR_COLLECTIVE ? collectives[e->collective] : "", (int)e->batch,
             layer, reduces ? collectives[e->collective] : "");
}

/* A node's label is its element's number and 1, 0 where a message has none. */
void df_lower_name_node(const void *dag, const df_net_node *node, char *name, size_t size)
{
    char element[128] = "pipeline";
    const char *what = "";
    if (node->label > 0) {
        df_lower_name_element(dag, (int32_t)(node->label - 1), element, sizeof element);
    }
    if (node->type == DF_NET_SEND) {
        what = node->bytes > 1 ? "_send" : "_send_control";
    } else if (node->type == DF_NET_RECEIVE) {
        what = node->bytes > 1 ? "_recv" : "_recv_control";
    }
    snprintf(name, size, "%s_%llu%s", element, (unsigned long long)node->id, what);
}
