/* coll.h: time of a collective among n participants on one kind of link. */
#ifndef DF_COLL_H
#define DF_COLL_H
#include "hw/hw.h"

typedef enum {
    DF_COLL_ALL_REDUCE,
    DF_COLL_REDUCE_SCATTER,
    DF_COLL_ALL_GATHER, /* bytes: of one shard */
    DF_COLL_ALL_TO_ALL,
    DF_COLL_P2P, /* one hop between neighbours */
} df_coll_kind;

typedef struct {
    df_coll_kind kind;
    double bytes;
    double participants;
    df_hw_link link;
} df_coll_op;

/* Anything that can time a collective: the closed forms below, a simulator,
 * a measured table. Must not allocate in time(). */
typedef struct df_coll_model df_coll_model;
struct df_coll_model {
    double (*time_s)(const df_coll_model *self,
                     const df_hw_device *dev,
                     const df_rules *rules,
                     const df_coll_op *op);
};

/* Ring algorithms in closed form (Thakur et al., IJHPCA 19(1), 2005), each step's
 * local copy and reduction by the roofline. inf on a link of speed 0. */
extern const df_coll_model df_coll_ring;

#endif
