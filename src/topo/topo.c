#include "topo/topo.h"

#include <math.h>
#include <string.h>

/* ---- Dimensions ---- */

/* What the configuration says about one dimension. */
typedef struct {
    df_topology kind;
    int64_t size;
    double derate; /* 0: no such network */
    const df_hw_net *net;
    const df_cfg_link *tech;
} given_dim;

static df_topo_dim make_dim(const given_dim *given, bool several)
{
    const df_hw_link undivided = {given->net->throughput_bytes_ps, given->net->latency_s};
    df_topo_dim dim = {.kind = given->kind,
                       .size = given->size,
                       .exists = several && given->derate > 0.0,
                       .link = {0.0, undivided.latency_s},
                       .undivided = undivided,
                       .energy_per_bit_j = df_cfg_given_j(given->tech->nominal_energy_per_link_j)};
    if (dim.exists) {
        dim.link.bytes_ps = undivided.bytes_ps / given->derate;
    }
    return dim;
}

static void make_dims(const df_cfg *cfg, const df_hw_device *dev, df_topo *topo)
{
    const df_cfg_system *const sys = &cfg->system;
    const bool several = df_cfg_workers(cfg) > 1;
    const given_dim inside = {cfg->intra_topology, sys->num_devices_per_node, sys->intra_derate,
                              &dev->intra, &cfg->tech.intra};
    const given_dim between = {cfg->inter_topology, sys->num_nodes, sys->inter_derate, &dev->inter,
                               &cfg->tech.inter};
    topo->dim[DF_TOPO_INSIDE] = make_dim(&inside, several);
    topo->dim[DF_TOPO_BETWEEN] = make_dim(&between, several && sys->num_nodes > 1);
}

/* ---- Groups ---- */

static df_topo_group reach(const df_topo *topo, double members, int outermost)
{
    const df_topo_dim *const outer = &topo->dim[outermost];
    df_topo_group group = {members, outermost, outer->link, outer->energy_per_bit_j};
    for (int i = 0; i < outermost; i++) {
        if (topo->dim[i].exists) {
            group.link.bytes_ps = fmin(group.link.bytes_ps, topo->dim[i].link.bytes_ps);
        }
    }
    return group;
}

df_topo_group df_topo_join(const df_topo_group *a, const df_topo_group *b)
{
    const bool further = b->dim > a->dim || !(a->members > 1.0);
    df_topo_group group = b->members > 1.0 && further ? *b : *a;
    group.members = a->members * b->members;
    return group;
}

df_topo_group df_topo_over(const df_topo *topo, unsigned axes)
{
    int axis = 0;
    if (axes == 1U << DF_AXES) {
        return topo->experts;
    }
    while (axis < DF_AXES - 1 && (axes >> axis & 1U) == 0) {
        axis++;
    }
    df_topo_group group = topo->axis[axis];
    for (axis++; axes >> axis != 0; axis++) {
        if ((axes >> axis & 1U) != 0) {
            group = df_topo_join(&group, &topo->axis[axis]);
        }
    }
    return group;
}

/* ---- Placement ---- */

/* Places an axis whose neighbours are `stride` devices apart, so that its groups lie in blocks of
 * stride * degree devices, one block after another. Wherever a node ends inside of a block, some
 * group of the block has members on both sides; so none crosses only if blocks divide a node.
 * Sizes are doubles, because an int64_t cannot hold some products. */
static void place_axis(df_axis axis,
                       double degree,
                       double stride,
                       double node_devices,
                       double workers,
                       df_topo_placement *out)
{
    const double block = stride * degree;
    const double room = fmax(1.0, floor(node_devices / stride));
    out->inside[axis] = fmin(degree, room);
    out->split[axis] = degree > room;
    out->crossing[axis] =
        degree > 1.0 && workers > node_devices && fmod(node_devices, block) != 0.0;
    if (degree > 1.0) {
        out->used[DF_TOPO_INSIDE] = out->used[DF_TOPO_INSIDE] || stride < node_devices;
        out->used[DF_TOPO_BETWEEN] = out->used[DF_TOPO_BETWEEN] || out->crossing[axis];
    }
}

void df_topo_place(int64_t node_devices,
                   const df_axis order[],
                   int count,
                   const int64_t degree[DF_AXES],
                   df_topo_placement *out)
{
    double workers = 1.0;
    double stride = 1.0;
    bool found = false;
    memset(out, 0, sizeof *out);
    out->ports = 1.0;
    for (int axis = 0; axis < DF_AXES; axis++) {
        out->inside[axis] = 1.0;
    }
    for (int i = 0; i < count; i++) {
        workers *= (double)degree[order[i]];
    }
    for (int i = 0; i < count; i++) {
        const df_axis axis = order[i];
        place_axis(axis, (double)degree[axis], stride, (double)node_devices, workers, out);
        stride *= (double)degree[axis];
        if (out->split[axis] && axis != DF_AXIS_LP && !found) {
            out->ports = out->inside[axis];
            found = true;
        }
    }
}

/* ---- The network of a device ---- */

/* Transformers are not split by kp1 and kp2, the others by these alone. */
static bool is_split(const df_cfg *cfg, df_axis axis)
{
    const bool kernel = axis == DF_AXIS_KP1 || axis == DF_AXIS_KP2;
    const bool layer = axis == DF_AXIS_TP || axis == DF_AXIS_CP;
    return cfg->sched.degree[axis] > 1 && !(cfg->mode == DF_MODE_LLM ? kernel : layer);
}

/* Sets reaches[axis] where the members of a group are in several nodes. */
static void find_crossing(const df_cfg *cfg, bool reaches[DF_AXES])
{
    static const df_axis inner_first[DF_AXES] = {DF_AXIS_TP,  DF_AXIS_CP, DF_AXIS_KP1,
                                                 DF_AXIS_KP2, DF_AXIS_DP, DF_AXIS_LP};
    df_axis order[DF_AXES];
    int64_t degree[DF_AXES];
    df_topo_placement placed;
    int count = 0;
    for (int flagged = 0; flagged < 2; flagged++) {
        for (int i = 0; i < DF_AXES; i++) {
            const df_axis axis = inner_first[i];
            degree[axis] = is_split(cfg, axis) ? cfg->sched.degree[axis] : 1;
            if (degree[axis] > 1 && cfg->system.inter[axis] == (flagged == 1)) {
                order[count++] = axis;
            }
        }
    }
    df_topo_place(cfg->system.num_devices_per_node, order, count, degree, &placed);
    for (int axis = 0; axis < DF_AXES; axis++) {
        reaches[axis] = reaches[axis] || placed.crossing[axis];
    }
}

void df_topo_reaches(const df_cfg *cfg, bool flags_alone, bool reaches[DF_AXES])
{
    memcpy(reaches, cfg->system.inter, sizeof cfg->system.inter);
    if (!flags_alone && cfg->system.num_nodes > 1) {
        find_crossing(cfg, reaches);
    }
}

/* Experts are shared by the devices of tp first, and then by replicas, between which those of cp
 * are.
 */
static df_topo_group place_experts(const df_cfg *cfg, const df_topo *topo)
{
    const double ep = fmax(1.0, (double)cfg->sched.ep);
    const double tp = fmax(1.0, (double)cfg->sched.tp);
    const double block = ep > tp ? ep * fmax(1.0, (double)cfg->sched.cp) : ep;
    const bool crosses =
        cfg->system.num_nodes > 1 && fmod((double)cfg->system.num_devices_per_node, block) != 0.0;
    return reach(topo, ep, crosses ? DF_TOPO_BETWEEN : DF_TOPO_INSIDE);
}

void df_topo_derive(const df_cfg *cfg, const df_hw_device *dev, bool flags_alone, df_topo *out)
{
    bool reaches[DF_AXES];
    make_dims(cfg, dev, out);
    df_topo_reaches(cfg, flags_alone, reaches);
    for (int axis = 0; axis < DF_AXES; axis++) {
        const int64_t degree = cfg->sched.degree[axis];
        out->axis[axis] = reach(out, degree > 1 ? (double)degree : 1.0,
                                reaches[axis] ? DF_TOPO_BETWEEN : DF_TOPO_INSIDE);
    }
    out->experts = place_experts(cfg, out);
}
