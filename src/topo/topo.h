/* topo.h: the network of the machine, described once for formulas, simulator, energy and layouts.
 * It has dimensions, of which the first is the nearest to a device. The devices that share the work
 * along an axis of parallelism are a group. A group reaches as far as one dimension, its outermost,
 * and also uses all dimensions below that one: its messages are as fast as the slowest of them, and
 * have the latency and the energy of the outermost. No allocation. */
#ifndef DF_TOPO_H
#define DF_TOPO_H
#include "hw/hw.h"

enum { DF_TOPO_INSIDE, DF_TOPO_BETWEEN, DF_TOPO_DIMS }; /* inside a node, between nodes */

typedef struct {
    df_topology kind;
    int64_t size;            /* devices of a node, or nodes */
    bool exists;             /* false: there is only one device or node, or the derate is 0 */
    df_hw_link link;         /* after the derate; its bandwidth is 0 where there is no network */
    df_hw_link undivided;    /* before the derate, whether or not anything uses it */
    double energy_per_bit_j; /* 0: the file does not give it */
} df_topo_dim;

/* The devices along an axis, or along several, and what connects them. */
typedef struct {
    double members; /* number of members, at least 1 */
    int dim;        /* the outermost that it uses */
    df_hw_link link;
    double energy_per_bit_j;
} df_topo_group;

typedef struct {
    df_topo_dim dim[DF_TOPO_DIMS];
    df_topo_group axis[DF_AXES];
    df_topo_group experts; /* the devices of tp and dp that share the experts */
} df_topo;

/* Which axes reach between nodes, according to cfg->system and cfg->sched. An axis whose flag is
 * set does. Unless `flags_alone`, so does an axis whose groups cross nodes when these are filled
 * with tp, cp, kp1, kp2, dp, lp, innermost first, the axes without a flag before those with one. */
void df_topo_reaches(const df_cfg *cfg, bool flags_alone, bool reaches[DF_AXES]);

/* The network of `dev` that serves axes which reach this far. */
void df_topo_derive(const df_cfg *cfg, const df_hw_device *dev, bool flags_alone, df_topo *out);

/* The group that combines each device of one group with its own group of the other kind. It reaches
 * as far as the one of the two that reaches further. A group of one member reaches nowhere. */
df_topo_group df_topo_join(const df_topo_group *a, const df_topo_group *b);

/* The group over one axis or several: `axes` has bit a for df_axis a, and is not 0; or bit DF_AXES
 * alone: the devices that share the experts. */
df_topo_group df_topo_over(const df_topo *topo, unsigned axes);

/* Where the groups along each axis lie if the devices are numbered axis by axis and nodes are
 * filled in that order. An axis that is not placed has groups of one member. */
typedef struct {
    double inside[DF_AXES]; /* members of a group that a node can hold */
    bool split[DF_AXES];    /* a node cannot hold a whole group */
    bool crossing[DF_AXES]; /* some group has members in several nodes; this may happen even where a
                               node could hold it whole, if groups do not divide a node evenly */
    bool used[DF_TOPO_DIMS]; /* some neighbours along an axis are this far from each other */
    double ports; /* ports of each node through which a ring between nodes leaves: the members
                     inside of the innermost split axis that is not the pipeline; otherwise 1 */
} df_topo_placement;

/* Places axes, starting with order[0] as the innermost, on nodes of node_devices >= 1 devices. The
 * degrees are indexed by df_axis and at least 1. */
void df_topo_place(int64_t node_devices,
                   const df_axis order[],
                   int count,
                   const int64_t degree[DF_AXES],
                   df_topo_placement *out);

#endif
