#include "gemm/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gemm/tiles.h"

/* Tiles of one level as columns, so that loops over candidates vectorise. All
 * edges are powers of two: x * inverse is x / edge to the last bit. */
typedef struct {
    double elems; /* capacity that the tiles were drawn for; 0: none yet */
    double square;
    int count;
    double m[DF_TILES], k[DF_TILES], n[DF_TILES];
    double inv_m[DF_TILES], inv_k[DF_TILES], inv_n[DF_TILES];
} tile_columns;

typedef struct {
    df_gemm_model model; /* first: the interface's pointer is ours */
    df_tile_stream stream;
    tile_columns l1, l2;
    df_hw_device dev;
    double inflection[DF_HW_LEVELS]; /* flops/byte where a level stops binding */
    double elems_dram;               /* bytes of the DRAM that one bundle sees */
    bool output_uncounted, reuse_floored;
} tiled;

/* One shape's figures that all tilings share. */
typedef struct {
    df_gemm_shape shape;
    double flops, q;
    double compute_s;
    double sys_bytes, sys_s;
    df_gemm_loop loops[3];
    int num_loops;
    bool output_counted;
} problem;

/* A level-2 tile clipped to the shape, and how often it is visited. */
typedef struct {
    double m, k, n;
    double tm, tk, tn, total;
} outer_tile;

/* A tiling under consideration; ordered by time, then metric, then L1 traffic. */
typedef struct {
    double time_s, metric; /* metric: (DRAM^2 + L2^2) bytes */
    double l1_bytes, l2_bytes, dram_bytes;
    int y, z;
    df_gemm_loop loop;
} choice;

/* ceil and floor for 0 <= x < 2^52 by rounding to an integer and correcting: the
 * baseline instruction set has neither, and a call would keep loops scalar. */
static inline double ceil_small(double x)
{
    const double r = (x + 0x1p52) - 0x1p52;
    return r < x ? r + 1.0 : r;
}

static inline double floor_small(double x)
{
    const double r = (x + 0x1p52) - 0x1p52;
    return r > x ? r - 1.0 : r;
}

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* The roofline's bound of one level (see roof.c): a memory without a rate gives inf. */
static inline double level_time(const tiled *self, const problem *p, double bytes, int level)
{
    const df_hw_mem *mem = &self->dev.mem[level];
    const double memory_s = bytes / mem->throughput_bytes_ps + mem->latency_s;
    return p->flops / bytes < self->inflection[level] ? memory_s : p->compute_s;
}

static void set_columns(tile_columns *columns, const df_gemm_tile *tiles, int count)
{
    columns->count = count;
    for (int i = 0; i < count; i++) {
        columns->m[i] = tiles[i].m;
        columns->k[i] = tiles[i].k;
        columns->n[i] = tiles[i].n;
        columns->inv_m[i] = 1.0 / tiles[i].m;
        columns->inv_k[i] = 1.0 / tiles[i].k;
        columns->inv_n[i] = 1.0 / tiles[i].n;
    }
}

static df_status draw_level(tiled *self, int level, tile_columns *columns, df_err *err)
{
    const df_hw_mem *mem = &self->dev.mem[level];
    const double elems = mem->size_per_bundle_bytes / self->dev.elem_bytes;
    if (columns->elems == elems && columns->square == mem->tile_dim) {
        return DF_OK; /* the candidates depend on nothing else */
    }
    df_gemm_tile tiles[DF_TILES];
    const int count = df_tile_draw(&self->stream, level, elems, mem->tile_dim, tiles);
    columns->elems = 0.0;
    if (count == 0) {
        return df_fail(err, DF_INFEASIBLE,
                       "%s: expected room for a tile of a GEMM in each share, found %g elements",
                       df_mem_type_name(mem->type), elems);
    }
    set_columns(columns, tiles, count);
    columns->elems = elems;
    columns->square = mem->tile_dim;
    return DF_OK;
}

static df_status
prepare(df_gemm_model *model, const df_hw_device *dev, const df_rules *rules, df_err *err)
{
    tiled *self = (tiled *)model;
    self->dev = *dev;
    self->output_uncounted = rules->gemm_output_uncounted;
    self->reuse_floored = rules->gemm_dram_reuse_floored;
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const double bytes_ps = dev->mem[i].throughput_bytes_ps;
        self->inflection[i] = bytes_ps > 0.0 ? dev->core.throughput_flops_ps / bytes_ps : HUGE_VAL;
    }
    DF_TRY(draw_level(self, 1, &self->l1, err));
    return draw_level(self, 2, &self->l2, err);
}

/* Times that an operand fetched into the systolic array is used there. */
static double array_reuse(const df_hw_device *dev, const df_gemm_shape *s)
{
    const double wst = ceil(s->m / dev->fma_d1);
    const double ast = ceil(s->n / dev->fma_d1);
    const double ost = ceil(s->k / dev->fma_d2);
    switch (dev->dataflow) {
    case DF_FLOW_WST:
        return wst;
    case DF_FLOW_AST:
        return ast;
    case DF_FLOW_OST:
        return ost;
    case DF_FLOW_BEST:
        return larger(wst, larger(ast, ost));
    case DF_FLOW_NONE:
        break;
    }
    return 1.0;
}

static df_dataflow resolve_dataflow(df_dataflow flow, const df_gemm_shape *s)
{
    if (flow != DF_FLOW_BEST) {
        return flow;
    }
    if (s->m >= s->k && s->m >= s->n) {
        return DF_FLOW_WST;
    }
    return s->k >= s->m && s->k >= s->n ? DF_FLOW_OST : DF_FLOW_AST;
}

/* The innermost loops worth trying; two that do the same are tried once. */
static void list_loops(df_dataflow flow, problem *p)
{
    const df_gemm_shape *s = &p->shape;
    p->num_loops = 2;
    switch (resolve_dataflow(flow, s)) {
    case DF_FLOW_WST:
        p->loops[0] = DF_LOOP_K;
        p->loops[1] = DF_LOOP_N;
        p->num_loops = s->k == s->n ? 1 : 2;
        return;
    case DF_FLOW_AST:
        p->loops[0] = DF_LOOP_K;
        p->loops[1] = DF_LOOP_M;
        p->num_loops = s->k == s->m ? 1 : 2;
        return;
    case DF_FLOW_OST:
        p->loops[0] = DF_LOOP_M;
        p->loops[1] = DF_LOOP_N;
        p->num_loops = s->m == s->n ? 1 : 2;
        return;
    case DF_FLOW_BEST:
    case DF_FLOW_NONE:
        break;
    }
    p->loops[0] = DF_LOOP_K;
    p->loops[1] = DF_LOOP_N;
    p->loops[2] = DF_LOOP_M;
    p->num_loops = 3;
}

static void pose(const tiled *self, const df_gemm_shape *shape, problem *p)
{
    const df_hw_device *dev = &self->dev;
    const double fx = dev->fma_d1;
    const double fy = dev->fma_d2;
    p->shape = *shape;
    p->q = dev->elem_bytes;
    p->flops = shape->m * shape->n * (2.0 * shape->k - 1.0);
    p->compute_s = p->flops / dev->core.throughput_flops_ps;
    /* One multiply-accumulate step of the array reads 2 fy operands a row for
     * 2 fy - 1 flops; what stays in place is read once in `reuse` steps. */
    p->sys_bytes = p->flops * 2.0 * fy / (fx * (2.0 * fy - 1.0)) * p->q +
                   p->flops / (array_reuse(dev, shape) * (2.0 * fy - 1.0)) * p->q;
    p->sys_s = level_time(self, p, p->sys_bytes, 0);
    const double whole_bytes =
        (shape->m * shape->k + shape->k * shape->n + shape->m * shape->n) * p->q;
    p->output_counted =
        !self->output_uncounted || whole_bytes > dev->mem[DF_HW_LEVELS - 1].size_per_bundle_bytes;
    list_loops(dev->dataflow, p);
}

/* How often an operand is streamed from DRAM along a dimension. The reference
 * forgets the last, partial tile. */
static double dram_passes(const tiled *self, double length, double inverse, double tiles)
{
    return self->reuse_floored ? larger(floor_small(length * inverse), 1.0) : tiles;
}

static double
dram_traffic(const tiled *self, const problem *p, const outer_tile *t, int z, df_gemm_loop loop)
{
    const df_gemm_shape *s = &p->shape;
    const double a = s->m * s->k * p->q;
    const double b = s->k * s->n * p->q;
    const double pm = dram_passes(self, s->m, self->l2.inv_m[z], t->tm);
    const double pk = dram_passes(self, s->k, self->l2.inv_k[z], t->tk);
    const double pn = dram_passes(self, s->n, self->l2.inv_n[z], t->tn);
    double bytes = 0.0;
    double output_passes = pk;
    switch (loop) {
    case DF_LOOP_M: /* B's tile stays */
        bytes = pn * a + b;
        break;
    case DF_LOOP_K: /* C's tile stays */
        bytes = pn * a + pm * b;
        output_passes = 1.0;
        break;
    case DF_LOOP_N: /* A's tile stays */
        bytes = a + pm * b;
        break;
    }
    return p->output_counted ? bytes + output_passes * s->m * s->n * p->q : bytes;
}

/* L2 traffic is rn * part.a + rm * part.b + rk * part.c, with r the L1 tiles along each
 * dimension of the L2 tile. */
typedef struct {
    double a, b, c;
    bool a_reread, b_reread, c_reread; /* multiplied by its r, or by 1 */
} l2_parts;

static l2_parts l2_traffic(const problem *p, const outer_tile *t, df_gemm_loop loop)
{
    const double a = t->m * t->k * p->q;
    const double b = t->k * t->n * p->q;
    const double c = 2.0 * t->m * t->n * p->q;
    switch (loop) {
    case DF_LOOP_M:
        return (l2_parts){t->total * a, t->tk * t->tn * b, t->total * c, true, false, true};
    case DF_LOOP_K:
        return (l2_parts){t->total * a, t->total * b, t->tm * t->tn * c, true, true, false};
    case DF_LOOP_N:
        break;
    }
    return (l2_parts){t->tm * t->tk * a, t->total * b, t->total * c, false, true, true};
}

static outer_tile clip(const tiled *self, const problem *p, int z)
{
    const tile_columns *l2 = &self->l2;
    const df_gemm_shape *s = &p->shape;
    outer_tile t;
    t.m = smaller(l2->m[z], s->m);
    t.k = smaller(l2->k[z], s->k);
    t.n = smaller(l2->n[z], s->n);
    t.tm = ceil_small(s->m * l2->inv_m[z]);
    t.tk = ceil_small(s->k * l2->inv_k[z]);
    t.tn = ceil_small(s->n * l2->inv_n[z]);
    t.total = t.tm * t.tk * t.tn;
    return t;
}

/* What all L1 tiles of one L2 tile cost. */
typedef struct {
    double rm[DF_TILES], rk[DF_TILES], rn[DF_TILES];
    double l1_bytes[DF_TILES]; /* of all bundles */
    double l1_s[DF_TILES];
    double bundles; /* that work on different L2 tiles at once */
} inner_tiles;

static void
cost_inner_tiles(const tiled *self, const problem *p, const outer_tile *t, inner_tiles *in)
{
    const tile_columns *l1 = &self->l1;
    const double q = p->q;
    in->bundles = smaller(self->dev.core.num_bundle, t->total);
    const double share = in->bundles > 0.0 ? in->bundles : 1.0;
    for (int y = 0; y < DF_TILES; y++) {
        const double m1 = smaller(l1->m[y], t->m);
        const double k1 = smaller(l1->k[y], t->k);
        const double n1 = smaller(l1->n[y], t->n);
        const double rm = ceil_small(t->m * l1->inv_m[y]);
        const double rk = ceil_small(t->k * l1->inv_k[y]);
        const double rn = ceil_small(t->n * l1->inv_n[y]);
        const double inputs = (m1 * k1 + k1 * n1) * q * rm * rn * rk;
        const double output = m1 * n1 * q * rm * rn;
        in->rm[y] = rm;
        in->rk[y] = rk;
        in->rn[y] = rn;
        in->l1_bytes[y] = (inputs + output) * t->total;
        in->l1_s[y] = level_time(self, p, in->l1_bytes[y] / share, 1);
    }
}

/* Tries all L1 tiles below L2 tile z with one innermost loop. */
static void try_inner_tiles(const tiled *self,
                            const problem *p,
                            const l2_parts *parts,
                            const inner_tiles *in,
                            const choice *bound,
                            choice *best)
{
    double l2_bytes[DF_TILES];
    double time_s[DF_TILES];
    const double zero_a = parts->a_reread ? 0.0 : parts->a;
    const double zero_b = parts->b_reread ? 0.0 : parts->b;
    const double zero_c = parts->c_reread ? 0.0 : parts->c;
    const double fixed = zero_a + zero_b + zero_c;
    const double a = parts->a_reread ? parts->a : 0.0;
    const double b = parts->b_reread ? parts->b : 0.0;
    const double c = parts->c_reread ? parts->c : 0.0;
    for (int y = 0; y < DF_TILES; y++) {
        l2_bytes[y] = a * in->rn[y] + b * in->rm[y] + c * in->rk[y] + fixed;
        const double l2_s = level_time(self, p, l2_bytes[y], 2);
        time_s[y] = larger(bound->time_s, larger(l2_s, in->l1_s[y]));
    }
    const double dram2 = bound->dram_bytes * bound->dram_bytes;
    for (int y = 0; y < self->l1.count; y++) {
        if (time_s[y] > best->time_s) {
            continue;
        }
        const double metric = dram2 + l2_bytes[y] * l2_bytes[y];
        const bool faster = time_s[y] < best->time_s;
        const bool leaner =
            metric < best->metric || (metric == best->metric && in->l1_bytes[y] < best->l1_bytes);
        if (faster || leaner) {
            *best = (choice){time_s[y],         metric, in->l1_bytes[y], l2_bytes[y],
                             bound->dram_bytes, y,      bound->z,        bound->loop};
        }
    }
}

/* What a tile of level 2 with an innermost loop costs at the least. */
static choice
lower_bound(const tiled *self, const problem *p, const outer_tile *t, int z, df_gemm_loop loop)
{
    const l2_parts parts = l2_traffic(p, t, loop);
    choice bound = {.z = z, .loop = loop};
    bound.dram_bytes = dram_traffic(self, p, t, z, loop);
    bound.l2_bytes = parts.a + parts.b + parts.c; /* each read once */
    bound.metric = bound.dram_bytes * bound.dram_bytes + bound.l2_bytes * bound.l2_bytes;
    const double dram_s = level_time(self, p, bound.dram_bytes, DF_HW_LEVELS - 1);
    const double l2_s = level_time(self, p, bound.l2_bytes, 2);
    bound.time_s = larger(p->sys_s, larger(dram_s, l2_s));
    return bound;
}

static bool may_beat(const choice *bound, const choice *best)
{
    return bound->time_s < best->time_s ||
           (bound->time_s == best->time_s && bound->metric <= best->metric);
}

typedef struct {
    outer_tile tile[DF_TILES];
    choice bound[3 * DF_TILES];
    int num_bounds;
    int first; /* the most promising bound */
} outer_bounds;

static void bound_outer_tiles(const tiled *self, const problem *p, outer_bounds *o)
{
    o->num_bounds = 0;
    o->first = 0;
    for (int z = 0; z < self->l2.count; z++) {
        o->tile[z] = clip(self, p, z);
        for (int i = 0; i < p->num_loops; i++) {
            const choice bound = lower_bound(self, p, &o->tile[z], z, p->loops[i]);
            const choice *first = &o->bound[o->first];
            o->bound[o->num_bounds] = bound;
            if (o->num_bounds > 0 &&
                (bound.time_s < first->time_s ||
                 (bound.time_s == first->time_s && bound.metric < first->metric))) {
                o->first = o->num_bounds;
            }
            o->num_bounds++;
        }
    }
}

/* Branch and bound over (L2 tile, innermost loop): the most promising one first,
 * then those whose lower bound may still beat it. */
static choice search_tiles(const tiled *self, const problem *p)
{
    outer_bounds o;
    inner_tiles in;
    bound_outer_tiles(self, p, &o);
    choice best = {.time_s = HUGE_VAL, .metric = HUGE_VAL, .l1_bytes = HUGE_VAL};
    int costed = -1;
    for (int i = -1; i < o.num_bounds; i++) {
        const int at = i < 0 ? o.first : i;
        const choice *bound = &o.bound[at];
        if (i == o.first || !may_beat(bound, &best)) {
            continue;
        }
        const outer_tile *t = &o.tile[bound->z];
        if (costed != bound->z) {
            cost_inner_tiles(self, p, t, &in);
            costed = bound->z;
        }
        const l2_parts parts = l2_traffic(p, t, bound->loop);
        try_inner_tiles(self, p, &parts, &in, bound, &best);
    }
    return best;
}

static df_gemm_tile tile_at(const tile_columns *columns, int i)
{
    return (df_gemm_tile){columns->m[i], columns->k[i], columns->n[i]};
}

static df_status
solve(df_gemm_model *model, const df_gemm_shape *shape, df_gemm_cost *out, df_err *err)
{
    const tiled *self = (const tiled *)model;
    if (!(shape->m > 0.0) || !(shape->k > 0.0) || !(shape->n > 0.0)) {
        return df_fail(err, DF_EINVAL, "gemm: expected dimensions above 0, found %g x %g x %g",
                       shape->m, shape->k, shape->n);
    }
    problem p;
    pose(self, shape, &p);
    const choice best = search_tiles(self, &p);
    const double square = self->dev.mem[0].tile_dim;
    out->time_s = best.time_s + self->dev.launch_overhead_s;
    out->flops = p.flops;
    out->traffic_bytes[0] = p.sys_bytes;
    out->traffic_bytes[1] = best.l1_bytes;
    out->traffic_bytes[2] = best.l2_bytes;
    out->traffic_bytes[3] = best.dram_bytes;
    out->inner = best.loop;
    out->l0 = (df_gemm_tile){square, square, square};
    out->l1 = tile_at(&self->l1, best.y);
    out->l2 = tile_at(&self->l2, best.z);
    return DF_OK;
}

static void tiled_free(df_gemm_model *model)
{
    free(model);
}

df_gemm_model *df_gemm_tiled_new(void)
{
    tiled *self = calloc(1, sizeof *self);
    if (!self) {
        return NULL;
    }
    self->model.prepare = prepare;
    self->model.solve = solve;
    self->model.free = tiled_free;
    df_tile_stream_init(&self->stream);
    return &self->model;
}
