#include "layout/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/topo.h"

/* One device's index along each axis; -1: none yet. */
typedef struct {
    int32_t at[DF_LAYOUT_AXES];
} place_of;

typedef struct {
    int32_t x, y, wafer;
} position;

/* Memory of one search through the layouts of a strategy. */
typedef struct {
    int64_t dim, num_wafer;
    int64_t node_devices;       /* 0: wafers */
    const df_axis *axes;        /* which they are */
    int64_t ps[DF_LAYOUT_AXES]; /* their sizes */
    int64_t workers;            /* their product */
    place_of *device;           /* [wafer][x][y] */
    int64_t *device_of;         /* number of the device of each index tuple, or -1 */
    /* Streams on each link: along x from (x, y) to (x + 1, y), along y from (x, y) to
     * (x, y + 1), both by device number, and between wafers by [wafer][y]. */
    int32_t *x_link, *y_link, *crossing;
    const df_rules *rules;
    df_layout *layout; /* the current one; takes the reason of a failure */
} work;

/* ---- Placement ---- */

/* A rectangle of devices, and the wafers that may be filled. */
typedef struct {
    int64_t x, y, width, height;
    int64_t first_wafer, num_wafers;
} region;

/* How indices of an axis are handed to blocks of a region. */
typedef enum { BY_BLOCKS, BY_ROWS, BY_COLUMNS, BY_SNAKE, BY_WAFERS } way;

static bool fail_place(work *w, const char *reason)
{
    w->layout->reason = reason;
    return false;
}

/* Gives all devices of the rectangle this index along the axis. */
static bool mark(work *w, const region *r, int axis, int64_t index)
{
    if (r->first_wafer >= w->num_wafer) {
        return fail_place(w, "its blocks do not fit on the wafers");
    }
    if (r->x < 0 || r->y < 0 || r->x + r->width > w->dim || r->y + r->height > w->dim) {
        return fail_place(w, "a block reaches over the edge of a wafer");
    }
    for (int64_t x = r->x; x < r->x + r->width; x++) {
        for (int64_t y = r->y; y < r->y + r->height; y++) {
            const int64_t device = (r->first_wafer * w->dim + x) * w->dim + y;
            w->device[device].at[axis] = (int32_t)index;
        }
    }
    return true;
}

static bool place(work *w, const int *order, int count, const region *r);

/* Where a region ends: that of several wafers at their edges. */
static int64_t end_x(const work *w, const region *r)
{
    return r->num_wafers == 1 ? r->x + r->width : w->dim;
}

static int64_t end_y(const work *w, const region *r)
{
    return r->num_wafers == 1 ? r->y + r->height : w->dim;
}

/* The placement of one axis, order[count - 1], in a region. */
typedef struct {
    const int *order;
    int count;
    way how;
    const region *in;
    region block; /* its size, and the current wafer */
    int64_t index;
} laying;

static bool by_columns(const laying *l)
{
    return l->how == BY_COLUMNS || l->how == BY_SNAKE;
}

/* Gives the block at (x, y) the next index and places the other axes in it. Where the axis
 * lies in rows or columns, the whole row or column takes the index. */
static bool fill(work *w, laying *l, int64_t x, int64_t y)
{
    region inner = l->block;
    inner.x = x;
    inner.y = y;
    region area = inner;
    if (l->how == BY_ROWS) {
        area.width = end_x(w, l->in) - x;
    } else if (l->how == BY_COLUMNS) {
        area.height = end_y(w, l->in) - y;
    }
    return mark(w, &area, l->order[l->count - 1], l->index++) &&
           place(w, l->order, l->count - 1, &inner);
}

/* Fills a row of blocks (a column, if these lie by columns) forwards or backwards; just its
 * first block, if that stands for all. */
static bool fill_line(work *w, laying *l, int64_t across, bool forward)
{
    const bool columns = by_columns(l);
    const bool all = l->how == BY_BLOCKS || l->how == BY_SNAKE;
    const int64_t begin = columns ? l->in->y : l->in->x;
    const int64_t end = columns ? end_y(w, l->in) : end_x(w, l->in);
    const int64_t step = columns ? l->block.height : l->block.width;
    for (int64_t gone = 0; gone < (all ? end - begin : 1); gone += step) {
        const int64_t along = forward ? begin + gone : end - gone - step;
        if (!fill(w, l, columns ? across : along, columns ? along : across)) {
            return false;
        }
    }
    return true;
}

/* Fills one wafer, to and fro where the blocks follow one another. */
static bool fill_wafer(work *w, laying *l)
{
    const bool columns = by_columns(l);
    const bool turns = l->how == BY_BLOCKS || l->how == BY_SNAKE;
    const int64_t end = columns ? end_x(w, l->in) : end_y(w, l->in);
    const int64_t step = columns ? l->block.width : l->block.height;
    bool forward = true;
    for (int64_t across = columns ? l->in->x : l->in->y; across < end; across += step) {
        if (!fill_line(w, l, across, forward)) {
            return false;
        }
        forward = turns ? !forward : forward;
    }
    return true;
}

/* Hands out the indices of the last axis, one wafer after another. */
static bool hand_out(work *w, laying *l)
{
    const int64_t size = w->ps[l->order[l->count - 1]];
    l->block.num_wafers = 1;
    for (int64_t wafer = l->in->first_wafer; l->index < size; wafer++) {
        l->block.first_wafer = wafer;
        if (!fill_wafer(w, l)) {
            return false;
        }
    }
    return true;
}

/* Each slice of the wafers takes one index of the last axis. */
static bool by_wafers(work *w, const int *order, int count, const region *r)
{
    const int axis = order[count - 1];
    if (r->num_wafers < 2) {
        return fail_place(w, "it does not fit on one wafer in this order");
    }
    if (r->num_wafers < w->ps[axis]) {
        return true; /* nothing is placed, which the check of places finds */
    }
    const int64_t step = r->num_wafers / w->ps[axis];
    int64_t index = 0;
    for (int64_t first = 0; first < r->num_wafers; first += step, index++) {
        region slice = *r;
        slice.first_wafer = r->first_wafer + first;
        slice.num_wafers = first + step > r->num_wafers ? r->num_wafers - first : step;
        for (int64_t i = 0; i < slice.num_wafers; i++) {
            const region whole = {0, 0, w->dim, w->dim, slice.first_wafer + i, 1};
            if (!mark(w, &whole, axis, index)) {
                return false;
            }
        }
        if (!place(w, order, count - 1, &slice)) {
            return false;
        }
    }
    return true;
}

/* Chooses how the last axis is laid out in the region, and the size of its blocks. */
static way choose_way(const work *w, const int *order, int count, const region *r, region *block)
{
    const int64_t a = w->ps[order[0]];
    int64_t m = 1;
    for (int i = 1; i < count - 1; i++) {
        m *= w->ps[order[i]];
    }
    if (count == 1) {
        block->width = 1;
        block->height = 1;
        return a <= r->height ? BY_ROWS : BY_SNAKE;
    }
    if (a <= r->height) {
        block->width = m;
        block->height = a;
        if (count == 2 || m <= r->width) {
            return BY_BLOCKS;
        }
        block->width = r->width;
        block->height = a * (m / r->width);
        return block->height <= r->height ? BY_ROWS : BY_WAFERS;
    }
    block->width = a / r->height * m;
    block->height = r->height;
    return block->width <= r->width ? BY_COLUMNS : BY_WAFERS;
}

/* Lays the axes order[0..count-1] out in the region. Recursion ends after DF_LAYOUT_AXES. */
static bool place(work *w, const int *order, int count, const region *r)
{
    if (count == 0) {
        return true;
    }
    laying l = {order, count, BY_WAFERS, r, *r, 0};
    l.how = choose_way(w, order, count, r, &l.block);
    return l.how == BY_WAFERS ? by_wafers(w, order, count, r) : hand_out(w, &l);
}

/* ---- Traffic ---- */

static int64_t tuple_number(const work *w, const int64_t at[DF_LAYOUT_AXES])
{
    int64_t number = 0;
    for (int axis = DF_LAYOUT_AXES - 1; axis >= 0; axis--) {
        number = number * w->ps[axis] + at[axis];
    }
    return number;
}

/* Finds the device of each index tuple; a later device replaces an earlier one. */
static bool map_tuples(work *w)
{
    const int64_t devices = w->num_wafer * w->dim * w->dim;
    for (int64_t i = 0; i < w->workers; i++) {
        w->device_of[i] = -1;
    }
    for (int64_t device = 0; device < devices; device++) {
        int64_t at[DF_LAYOUT_AXES];
        bool inside = true;
        for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
            at[axis] = w->device[device].at[axis];
            inside = inside && at[axis] >= 0 && at[axis] < w->ps[axis];
        }
        if (inside) {
            w->device_of[tuple_number(w, at)] = device;
        }
    }
    for (int64_t i = 0; i < w->workers; i++) {
        if (w->device_of[i] < 0) {
            return fail_place(w, "some workers get no place on the wafers");
        }
    }
    return true;
}

static position position_of(const work *w, int64_t device)
{
    return (position){(int32_t)(device / w->dim % w->dim), (int32_t)(device % w->dim),
                      (int32_t)(device / w->dim / w->dim)};
}

static void count_x(work *w, int64_t wafer, int64_t y, int64_t from, int64_t to)
{
    for (int64_t x = from; x < to; x++) {
        w->x_link[(wafer * w->dim + x) * w->dim + y]++;
    }
}

/* Link y runs from y to y + 1; going down the Python DeepFlow counts the one above. */
static void count_y(work *w, int64_t wafer, int64_t x, int64_t from, int64_t to)
{
    int32_t *const links = w->y_link + (wafer * w->dim + x) * w->dim;
    const int64_t shift = w->rules->downward_hops_shifted ? 0 : 1;
    for (int64_t y = from; y < to; y++) {
        links[y]++;
    }
    for (int64_t y = from; y > to; y--) {
        links[y - shift]++;
    }
}

static void count_hop(work *w, position start, position end)
{
    if (start.wafer == end.wafer) {
        const bool swap = start.x > end.x;
        const position from = swap ? end : start;
        const position to = swap ? start : end;
        count_x(w, from.wafer, from.y, from.x, to.x);
        count_y(w, from.wafer, to.x, from.y, to.y);
        return;
    }
    const position low = start.wafer < end.wafer ? start : end;
    const position high = start.wafer < end.wafer ? end : start;
    const int32_t y_wafer = w->rules->cross_wafer_traffic_on_start ? start.wafer : low.wafer;
    count_x(w, low.wafer, low.y, low.x, w->dim - 1);
    count_y(w, y_wafer, w->dim - 1, low.y, high.y);
    w->crossing[low.wafer * w->dim + high.y]++;
    count_x(w, high.wafer, high.y, 0, high.x);
}

/* Rings along kp1, kp2 and dp, a chain along lp, in every line of the hypercube. */
static void count_axis(work *w, int axis, df_layout *layout)
{
    const int64_t size = w->ps[axis];
    const bool ring = axis != 3 && size > 2;
    int64_t stride = 1;
    for (int i = 0; i < axis; i++) {
        stride *= w->ps[i];
    }
    for (int64_t i = 0; i < w->workers; i++) {
        const int64_t at = i / stride % size;
        if (at == size - 1 && !ring) {
            continue;
        }
        const int64_t next = at == size - 1 ? i - at * stride : i + stride;
        const position start = position_of(w, w->device_of[i]);
        const position end = position_of(w, w->device_of[next]);
        count_hop(w, start, end);
        layout->inter[axis] = layout->inter[axis] || start.wafer != end.wafer;
    }
}

static int64_t largest(const int32_t *counts, int64_t n)
{
    int32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        most = counts[i] > most ? counts[i] : most;
    }
    return most;
}

static void count_traffic(work *w, df_layout *layout)
{
    const int64_t devices = w->num_wafer * w->dim * w->dim;
    memset(w->x_link, 0, (size_t)devices * sizeof w->x_link[0]);
    memset(w->y_link, 0, (size_t)devices * sizeof w->y_link[0]);
    memset(w->crossing, 0, (size_t)(w->num_wafer * w->dim) * sizeof w->crossing[0]);
    for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
        count_axis(w, axis, layout);
    }
    const int64_t x = largest(w->x_link, devices);
    const int64_t y = largest(w->y_link, devices);
    layout->intra_derate = x > y ? x : y;
    layout->inter_derate = largest(w->crossing, w->num_wafer * w->dim);
}

/* ---- Orders ---- */

/* All orders of the axes of size != 1, sorted; with `by_size`, only the first of those that give
 * the same sequence of sizes. The axes of size 1 follow. */
static int list_orders(const int64_t ps[DF_LAYOUT_AXES],
                       bool by_size,
                       int orders[DF_MAX_LAYOUTS][DF_LAYOUT_AXES])
{
    int count = 0;
    for (int code = 0; code < 256; code++) { /* four digits of base 4, ascending */
        const int order[DF_LAYOUT_AXES] = {code >> 6, code >> 4 & 3, code >> 2 & 3, code & 3};
        unsigned seen = 0;
        bool listed = true;
        for (int i = 0; i < DF_LAYOUT_AXES; i++) {
            seen |= 1U << order[i];
            /* an axis of size 1 before a larger one, or before a smaller axis of size 1 */
            const bool after_one = i > 0 && ps[order[i - 1]] == 1;
            listed = listed && !(after_one && (ps[order[i]] != 1 || order[i] < order[i - 1]));
        }
        for (int j = 0; listed && by_size && j < count; j++) {
            bool same = true;
            for (int i = 0; i < DF_LAYOUT_AXES; i++) {
                same = same && ps[orders[j][i]] == ps[order[i]];
            }
            listed = !same;
        }
        if (listed && seen == 15) {
            memcpy(orders[count++], order, sizeof order);
        }
    }
    return count;
}

/* ---- Public ---- */

/* The axes that a layout numbers from 0. */
static const df_axis *axes_of(const df_strategy *strategy)
{
    static const df_axis kernels[DF_LAYOUT_AXES] = {DF_AXIS_KP1, DF_AXIS_KP2, DF_AXIS_DP,
                                                    DF_AXIS_LP};
    static const df_axis llm[DF_LAYOUT_AXES] = {DF_AXIS_TP, DF_AXIS_CP, DF_AXIS_DP, DF_AXIS_LP};
    return strategy->tp > 0 ? llm : kernels;
}

/* Node by node. A device is in one ring of each axis, and these take turns. */
static void lay_out_nodes(const work *w, df_layout *layout)
{
    int64_t degree[DF_AXES] = {0};
    df_axis order[DF_LAYOUT_AXES];
    df_topo_placement placed;
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        order[i] = w->axes[layout->order[i]];
        degree[w->axes[i]] = w->ps[i];
    }
    df_topo_place(w->node_devices, order, DF_LAYOUT_AXES, degree, &placed);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        layout->inter[i] = placed.crossing[w->axes[i]];
    }
    layout->intra_derate = placed.used[DF_TOPO_INSIDE];
    layout->inter_derate = placed.used[DF_TOPO_BETWEEN];
}

static bool lay_out(work *w, df_layout *layout)
{
    if (w->node_devices > 0) {
        lay_out_nodes(w, layout);
        return true;
    }
    const int64_t devices = w->num_wafer * w->dim * w->dim;
    const int64_t edge = w->workers > 1 ? w->dim : 1;
    const region all = {0, 0, edge, edge, 0, w->num_wafer};
    w->layout = layout;
    memset(w->device, 0xff, (size_t)devices * sizeof w->device[0]); /* all -1 */
    if (!place(w, layout->order, DF_LAYOUT_AXES, &all) || !map_tuples(w)) {
        return false;
    }
    count_traffic(w, layout);
    return true;
}

static void free_work(work *w)
{
    free(w->device);
    free(w->device_of);
    free(w->x_link);
    free(w->y_link);
    free(w->crossing);
}

static bool allocate_work(work *w)
{
    const size_t devices = (size_t)(w->num_wafer * w->dim * w->dim) + 1; /* not 0 */
    w->device = malloc(devices * sizeof w->device[0]);
    w->device_of = malloc((size_t)w->workers * sizeof w->device_of[0]);
    w->x_link = malloc(devices * sizeof w->x_link[0]);
    w->y_link = malloc(devices * sizeof w->y_link[0]);
    w->crossing = malloc((size_t)(w->num_wafer * w->dim) * sizeof w->crossing[0]);
    return w->device && w->device_of && w->x_link && w->y_link && w->crossing;
}

/* The reference wants the strategy to need all the wafers. */
static bool needs_all_wafers(const work *w, df_layout *layout)
{
    const int64_t area = w->node_devices > 0 ? w->node_devices : w->dim * w->dim;
    if ((w->workers + area - 1) / area != w->num_wafer) {
        layout->reason = w->node_devices > 0 ? "its workers need another number of nodes"
                                             : "its workers need another number of wafers";
        return false;
    }
    return true;
}

/* Whether one of the previous layouts uses the same networks for the same axes. */
static bool listed_before(const df_layout layouts[], int count, const df_layout *layout)
{
    for (int i = 0; i < count; i++) {
        if (memcmp(layouts[i].inter, layout->inter, sizeof layout->inter) == 0 &&
            layouts[i].intra_derate == layout->intra_derate &&
            layouts[i].feasible == layout->feasible) {
            return true;
        }
    }
    return false;
}

df_status df_layout_list(const df_system_size *size,
                         const df_strategy *strategy,
                         const df_rules *rules,
                         df_layout layouts[DF_MAX_LAYOUTS],
                         int *count,
                         df_err *err)
{
    int orders[DF_MAX_LAYOUTS][DF_LAYOUT_AXES];
    work w = {.dim = size->devices_per_node > 0 ? 0 : size->wafer_dim,
              .num_wafer = size->num_wafer,
              .node_devices = size->devices_per_node,
              .axes = axes_of(strategy),
              .rules = rules};
    df_strategy_axes(strategy, w.ps);
    w.workers = w.ps[0] * w.ps[1] * w.ps[2] * w.ps[3];
    /* the reference's, of GEMMs and LSTMs; the axes of an LLM differ in what they carry */
    const int listed = list_orders(w.ps, strategy->tp == 0, orders);
    if (w.node_devices == 0 && !allocate_work(&w)) {
        free_work(&w);
        return df_fail(err, DF_ENOMEM, "layouts: out of memory");
    }
    *count = 0;
    for (int i = 0; i < listed; i++) {
        df_layout *const layout = &layouts[*count];
        memset(layout, 0, sizeof *layout);
        layout->reason = "";
        memcpy(layout->order, orders[i], sizeof orders[i]);
        layout->feasible = needs_all_wafers(&w, layout) && lay_out(&w, layout);
        *count += w.node_devices == 0 || !listed_before(layouts, *count, layout);
    }
    free_work(&w);
    return DF_OK;
}

void df_layout_name(const df_layout *layout, char text[DF_LAYOUT_AXES + 1])
{
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        text[i] = (char)('0' + layout->order[i]);
    }
    text[DF_LAYOUT_AXES] = '\0';
}

void df_layout_apply(const df_layout *layout,
                     const df_system_size *size,
                     const df_strategy *strategy,
                     const df_rules *rules,
                     df_cfg *cfg)
{
    df_cfg_system *const system = &cfg->system;
    int64_t axes[DF_LAYOUT_AXES];
    df_strategy_axes(strategy, axes);
    const int64_t workers = axes[0] * axes[1] * axes[2] * axes[3];
    const int64_t area = df_system_node_devices(size);
    const bool nodes = size->devices_per_node > 0;
    system->num_devices_per_node = workers < area ? workers : area;
    system->num_nodes = (workers + system->num_devices_per_node - 1) / system->num_devices_per_node;
    system->inter_derate = (double)layout->inter_derate * (nodes ? system->inter_derate : 1.0);
    system->intra_derate = (double)layout->intra_derate * (nodes ? system->intra_derate : 1.0);
    memset(system->inter, 0, sizeof system->inter);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        system->inter[axes_of(strategy)[i]] = layout->inter[i];
    }
    if (rules->layout_joins_tp_and_cp) {
        system->tp_inter = system->tp_inter || system->cp_inter;
        system->cp_inter = system->tp_inter;
    }
}
