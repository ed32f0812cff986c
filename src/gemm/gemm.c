#include "gemm/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gemm/tiles.h"
#include "hw/roof.h"

/* Loops over candidates run over all lanes, whole vectors of whatever the machine
 * has; those past the last candidate repeat the first. */
enum { LANES = 24, VECTOR = 8 };
_Static_assert((int)LANES >= (int)DF_TILES && LANES % VECTOR == 0,
               "whole vectors hold all candidates");

/* The same code is also compiled for wider vectors, which are selected when the program starts.
 * Neither version contracts or reorders sums, so the bits are the same. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) &&    \
    !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default"), flatten))
#else
#define WIDE
#endif

/* Tiles of one level as columns. All edges are powers of two: x * inverse is x / edge
 * to the last bit. */
typedef struct {
    double elems; /* capacity that the tiles were drawn for */
    double square;
    bool output_takes_no_room; /* the rule under which they were drawn */
    int count;                 /* 0: none yet */
    double m[LANES], k[LANES], n[LANES];
    double inv_m[LANES], inv_k[LANES], inv_n[LANES];
} tile_columns;

struct df_gemm_search {
    df_tile_stream stream;
    tile_columns l1, l2;
    df_hw_device dev;
    double s_per_byte[DF_HW_LEVELS]; /* inf: no bandwidth */
    /* flops/byte from which on a level's time no longer counts; inf: it always does */
    double inflection[DF_HW_LEVELS];
    bool bundles_own_tiles; /* each works on a level-2 tile of its own, with an L1 as fast as all */
    df_gemm_traffic traffic;
};

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

/* The level-2 tiles clipped to the shape, and how often each is visited. */
typedef struct {
    double m[LANES], k[LANES], n[LANES];
    double tm[LANES], tk[LANES], tn[LANES], total[LANES];
    double pm[LANES], pk[LANES], pn[LANES]; /* passes over the matrices, as they are counted */
} outer_tiles;

/* A number for each operand of C = A B. */
typedef struct {
    double a, b, c;
} operands;

/* What level-2 tiles with one innermost loop take at the least. */
typedef struct {
    double dram_bytes[LANES];
    double time_s[LANES]; /* time of registers, of DRAM, and of level 2 where it is read once */
    double metric[LANES];
} loop_bounds;

/* The level-1 tiles below one level-2 tile. */
typedef struct {
    int z;                                  /* index of that level-2 tile; -1: none */
    double rm[LANES], rk[LANES], rn[LANES]; /* how many lie along each dimension */
    double bytes[LANES], time_s[LANES];     /* bytes and time of level 1, once costed */
    double shares[LANES];                   /* level_1_shares, once costed */
    bool costed;
} inner_tiles;

/* What is known of the tilings of a problem. */
typedef struct {
    outer_tiles outer;
    loop_bounds loop[3];
    inner_tiles inner;
} search;

/* The roofline of one level in one problem, in a form without divisions. */
typedef struct {
    double flops, compute_s;
    double s_per_byte, latency_s, inflection;
} level_roof;

/* A tiling under consideration; ordered by time, then metric, then L1 traffic. */
typedef struct {
    double time_s, metric; /* metric: (DRAM^2 + L2^2) bytes */
    double l1_bytes, l2_bytes, dram_bytes;
    double shares; /* of l1_bytes */
    int y, z;
    df_gemm_loop loop;
} choice;

/* ceil and floor for 0 <= x < 2^52 by rounding to an integer and correcting: the
 * baseline instruction set has neither, and a call would keep loops scalar. */
static inline double ceil_small(double x)
{
    const double r = (x + 0x1p52) - 0x1p52;
    return r + (r < x ? 1.0 : 0.0);
}

static inline double floor_small(double x)
{
    const double r = (x + 0x1p52) - 0x1p52;
    return r - (r > x ? 1.0 : 0.0);
}

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* See hw/roof.c. Tilings are compared by this; the chosen one is timed by roof.c itself.
 * Where both sides are equal but for rounding the level does not bind. */
static inline double level_time(level_roof r, double bytes)
{
    const double slack = 1.0 - 0x1p-50;
    const double memory_s = bytes * r.s_per_byte + r.latency_s;
    return larger(r.flops < bytes * r.inflection * slack ? memory_s : 0.0, r.compute_s);
}

static inline level_roof roof_of(const df_gemm_search *self, const problem *p, int level)
{
    return (level_roof){p->flops, p->compute_s, self->s_per_byte[level],
                        self->dev.mem[level].latency_s, self->inflection[level]};
}

static void set_columns(tile_columns *columns, const df_gemm_tile *tiles, int count)
{
    columns->count = count;
    for (int i = 0; i < LANES; i++) {
        const df_gemm_tile *const tile = &tiles[i < count ? i : 0];
        columns->m[i] = tile->m;
        columns->k[i] = tile->k;
        columns->n[i] = tile->n;
        columns->inv_m[i] = 1.0 / tile->m;
        columns->inv_k[i] = 1.0 / tile->k;
        columns->inv_n[i] = 1.0 / tile->n;
    }
}

static df_status draw_level(df_gemm_search *self, int level, tile_columns *columns, df_err *err)
{
    const df_hw_mem *mem = &self->dev.mem[level];
    const double elems = mem->size_per_bundle_bytes / self->dev.elem_bytes;
    const bool no_room = self->traffic.output_takes_no_room;
    if (columns->count > 0 && columns->elems == elems && columns->square == mem->tile_dim &&
        columns->output_takes_no_room == no_room) {
        return DF_OK; /* the candidates depend on nothing else */
    }
    df_gemm_tile tiles[DF_TILES];
    const int count = df_tile_draw(&self->stream, level, no_room, elems, mem->tile_dim, tiles);
    columns->count = 0;
    if (count == 0) {
        return df_fail(err, DF_INFEASIBLE,
                       "%s: expected room for a tile of a GEMM in each share, found %g elements",
                       df_mem_type_name(mem->type), elems);
    }
    set_columns(columns, tiles, count);
    columns->elems = elems;
    columns->output_takes_no_room = no_room;
    columns->square = mem->tile_dim;
    return DF_OK;
}

df_status df_gemm_search_use(df_gemm_search *self,
                             const df_hw_device *dev,
                             const df_gemm_traffic *traffic,
                             df_err *err)
{
    self->dev = *dev;
    self->traffic = *traffic;
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const double bytes_ps = dev->mem[i].throughput_bytes_ps;
        const bool always = !dev->latency_if_memory_bound || !(bytes_ps > 0.0);
        self->inflection[i] = always ? HUGE_VAL : dev->core.throughput_flops_ps / bytes_ps;
        self->s_per_byte[i] = 1.0 / bytes_ps;
    }
    self->bundles_own_tiles = dev->mem[1].copies > 1.0;
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

/* The innermost loops worth trying; of two that do the same, only one is tried. */
static void list_loops(df_dataflow flow, problem *p)
{
    static const df_gemm_loop loops[][3] = {
        [DF_FLOW_NONE] = {DF_LOOP_K, DF_LOOP_N, DF_LOOP_M},
        [DF_FLOW_WST] = {DF_LOOP_K, DF_LOOP_N},
        [DF_FLOW_AST] = {DF_LOOP_K, DF_LOOP_M},
        [DF_FLOW_OST] = {DF_LOOP_M, DF_LOOP_N},
    };
    const df_gemm_shape *const s = &p->shape;
    const double length[] = {[DF_LOOP_M] = s->m, [DF_LOOP_K] = s->k, [DF_LOOP_N] = s->n};
    const df_dataflow resolved = resolve_dataflow(flow, s);
    memcpy(p->loops, loops[resolved], sizeof p->loops);
    p->num_loops = length[p->loops[0]] == length[p->loops[1]] ? 1 : 2;
    if (resolved == DF_FLOW_NONE) {
        p->num_loops = 3;
    }
}

static void pose(const df_gemm_search *self, const df_gemm_shape *shape, problem *p)
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
    p->sys_s = level_time(roof_of(self, p, 0), p->sys_bytes);
    const double whole_bytes =
        (shape->m * shape->k + shape->k * shape->n + shape->m * shape->n) * p->q;
    p->output_counted = !self->traffic.output_uncounted ||
                        whole_bytes > dev->mem[DF_HW_LEVELS - 1].size_per_bundle_bytes;
    list_loops(dev->dataflow, p);
}

/* How often operands are streamed from DRAM along a dimension. The reference forgets the
 * last, partial tile. */
static inline void count_passes(
    bool floored, double length, const double inverse[], const double tiles[], double passes[])
{
    for (int z = 0; z < LANES; z++) {
        passes[z] = floored ? larger(floor_small(length * inverse[z]), 1.0) : tiles[z];
    }
}

static inline void clip_tiles(const df_gemm_search *self, df_gemm_shape s, outer_tiles *t)
{
    const tile_columns *const l2 = &self->l2;
    const bool floored = self->traffic.reuse_floored;
    for (int z = 0; z < LANES; z++) {
        t->m[z] = smaller(l2->m[z], s.m);
        t->k[z] = smaller(l2->k[z], s.k);
        t->n[z] = smaller(l2->n[z], s.n);
        t->tm[z] = ceil_small(s.m * l2->inv_m[z]);
        t->tk[z] = ceil_small(s.k * l2->inv_k[z]);
        t->tn[z] = ceil_small(s.n * l2->inv_n[z]);
        t->total[z] = t->tm[z] * t->tk[z] * t->tn[z];
    }
    count_passes(floored, s.m, l2->inv_m, t->tm, t->pm);
    count_passes(floored, s.k, l2->inv_k, t->tk, t->pk);
    count_passes(floored, s.n, l2->inv_n, t->tn, t->pn);
}

/* DRAM traffic. Innermost along m B's tile stays, along k C's, along n A's. */
static inline void
dram_traffic(const problem *p, const outer_tiles *t, df_gemm_loop loop, double bytes[])
{
    const df_gemm_shape s = p->shape;
    const double a = s.m * s.k * p->q;
    const double b = s.k * s.n * p->q;
    const double c = p->output_counted ? s.m * s.n * p->q : 0.0;
    for (int z = 0; z < LANES; z++) {
        const double of_a = loop == DF_LOOP_N ? a : t->pn[z] * a;
        const double of_b = loop == DF_LOOP_M ? b : t->pm[z] * b;
        const double of_c = loop == DF_LOOP_K ? c : t->pk[z] * c;
        bytes[z] = of_a + of_b + of_c;
    }
}

/* How often a level-2 tile of each operand is used: that which stays, once for all tiles along
 * the innermost loop. */
static inline operands visits(const outer_tiles *t, df_gemm_loop loop, int z)
{
    return (operands){loop == DF_LOOP_N ? t->tm[z] * t->tk[z] : t->total[z],
                      loop == DF_LOOP_M ? t->tk[z] * t->tn[z] : t->total[z],
                      loop == DF_LOOP_K ? t->tm[z] * t->tn[z] : t->total[z]};
}

/* Level-2 traffic at the least, with every operand read once. */
static inline void
least_l2_traffic(double q, const outer_tiles *t, df_gemm_loop loop, double bytes[])
{
    for (int z = 0; z < LANES; z++) {
        const operands used = visits(t, loop, z);
        bytes[z] = (used.a * t->m[z] * t->k[z] + used.b * t->k[z] * t->n[z] +
                    2.0 * used.c * t->m[z] * t->n[z]) *
                   q;
    }
}

static inline void bound_loop(const df_gemm_search *self,
                              const problem *p,
                              const outer_tiles *t,
                              df_gemm_loop loop,
                              loop_bounds *l)
{
    const level_roof dram = roof_of(self, p, DF_HW_LEVELS - 1);
    const level_roof l2 = roof_of(self, p, 2);
    const double sys_s = p->sys_s;
    double l2_bytes[LANES];
    dram_traffic(p, t, loop, l->dram_bytes);
    least_l2_traffic(p->q, t, loop, l2_bytes);
    for (int z = 0; z < LANES; z++) {
        const double dram_bytes = l->dram_bytes[z];
        const double memory_s = larger(level_time(dram, dram_bytes), level_time(l2, l2_bytes[z]));
        l->time_s[z] = larger(sys_s, memory_s);
        /* a little less, since sums in another order may round up */
        l->metric[z] = (dram_bytes * dram_bytes + l2_bytes[z] * l2_bytes[z]) * (1.0 - 0x1p-48);
    }
}

static inline double least(const double x[LANES])
{
    double lanes[VECTOR];
    for (int i = 0; i < VECTOR; i++) {
        lanes[i] = smaller(smaller(x[i], x[i + VECTOR]), x[i + 2 * VECTOR]);
    }
    const double a = smaller(smaller(lanes[0], lanes[1]), smaller(lanes[2], lanes[3]));
    const double b = smaller(smaller(lanes[4], lanes[5]), smaller(lanes[6], lanes[7]));
    return smaller(a, b);
}
_Static_assert(LANES == 3 * VECTOR && VECTOR == 8, "least() reads three vectors of eight");

static inline void divide_tile(const tile_columns *l1, const outer_tiles *t, int z, inner_tiles *in)
{
    const double m = t->m[z];
    const double k = t->k[z];
    const double n = t->n[z];
    for (int y = 0; y < LANES; y++) {
        in->rm[y] = ceil_small(m * l1->inv_m[y]);
        in->rk[y] = ceil_small(k * l1->inv_k[y]);
        in->rn[y] = ceil_small(n * l1->inv_n[y]);
    }
    in->z = z;
    in->costed = false;
}

/* The divisor of the level-1 traffic, which is then timed with the throughput of one copy: bundles
 * either work on different level-2 tiles at once, with one copy each, or share one copy and the
 * `outputs` level-1 tiles of the result of a level-2 tile. */
static inline double level_1_shares(const df_gemm_search *self, double tiles, double outputs)
{
    const double bundles = larger(self->dev.core.num_bundle, 1.0);
    return self->bundles_own_tiles ? smaller(bundles, tiles) : smaller(bundles, outputs) / bundles;
}

/* Traffic of level 1, of all bundles together, and its time. */
static inline void
cost_level_1(const df_gemm_search *self, const problem *p, const outer_tiles *t, inner_tiles *in)
{
    const tile_columns *const l1 = &self->l1;
    const level_roof roof = roof_of(self, p, 1);
    const double m = t->m[in->z];
    const double k = t->k[in->z];
    const double n = t->n[in->z];
    const double all = t->total[in->z] * p->q;
    const double total = t->total[in->z];
    for (int y = 0; y < LANES; y++) {
        const double m1 = smaller(l1->m[y], m);
        const double k1 = smaller(l1->k[y], k);
        const double n1 = smaller(l1->n[y], n);
        const double outputs = in->rm[y] * in->rn[y];
        const double moved = (m1 + n1) * k1 * in->rk[y] + m1 * n1;
        const double bytes = moved * outputs * all;
        in->bytes[y] = bytes;
        in->shares[y] = level_1_shares(self, total, outputs);
        in->time_s[y] = level_time(roof, bytes * (1.0 / in->shares[y]));
    }
    in->costed = true;
}

/* Whether a tiling with this bound may beat the best one. */
static inline bool may_beat(double time_s, double metric, const choice *best)
{
    return time_s < best->time_s || (time_s == best->time_s && metric <= best->metric);
}

/* Keeps the best of the level-1 tiles below one level-2 tile. */
static inline void take_best(const df_gemm_search *self,
                             const choice *common,
                             const double time_s[],
                             const double l2_bytes[],
                             const inner_tiles *in,
                             choice *best)
{
    const double dram2 = common->dram_bytes * common->dram_bytes;
    for (int y = 0; y < self->l1.count; y++) {
        if (time_s[y] > best->time_s) {
            continue;
        }
        const double metric = dram2 + l2_bytes[y] * l2_bytes[y];
        const bool leaner =
            metric < best->metric || (metric == best->metric && in->bytes[y] < best->l1_bytes);
        if (time_s[y] < best->time_s || leaner) {
            *best = *common;
            best->time_s = time_s[y];
            best->metric = metric;
            best->l1_bytes = in->bytes[y];
            best->l2_bytes = l2_bytes[y];
            best->shares = in->shares[y];
            best->y = y;
        }
    }
}

/* Level-2 traffic: each level-1 tile of an operand is read again for all those along the dimension
 * that the operand lacks, except by the one that stays. */
static inline void
l2_traffic(double q, const outer_tiles *t, df_gemm_loop loop, const inner_tiles *in, double bytes[])
{
    const int z = in->z;
    const operands used = visits(t, loop, z);
    const double a = used.a * (t->m[z] * t->k[z] * q);
    const double b = used.b * (t->k[z] * t->n[z] * q);
    const double c = used.c * (2.0 * t->m[z] * t->n[z] * q); /* read and written */
    const double once = loop == DF_LOOP_M ? b : loop == DF_LOOP_K ? c : a;
    const operands again = {loop == DF_LOOP_N ? 0.0 : a, loop == DF_LOOP_M ? 0.0 : b,
                            loop == DF_LOOP_K ? 0.0 : c};
    for (int y = 0; y < LANES; y++) {
        bytes[y] = again.a * in->rn[y] + again.b * in->rm[y] + again.c * in->rk[y] + once;
    }
}

/* Tries all level-1 tiles below level-2 tile z with innermost loop number i. */
static inline void
try_level_1(const df_gemm_search *self, const problem *p, search *s, int i, int z, choice *best)
{
    inner_tiles *const in = &s->inner;
    const loop_bounds *const l = &s->loop[i];
    const level_roof roof = roof_of(self, p, 2);
    const choice common = {.dram_bytes = l->dram_bytes[z], .z = z, .loop = p->loops[i]};
    const double bound_s = l->time_s[z];
    double l2_bytes[LANES];
    double time_s[LANES];
    if (in->z != z) {
        divide_tile(&self->l1, &s->outer, z, in);
    }
    l2_traffic(p->q, &s->outer, p->loops[i], in, l2_bytes);
    const double least_bytes = least(l2_bytes);
    if (!may_beat(larger(bound_s, level_time(roof, least_bytes)),
                  common.dram_bytes * common.dram_bytes + least_bytes * least_bytes, best)) {
        return;
    }
    if (!in->costed) {
        cost_level_1(self, p, &s->outer, in);
    }
    for (int y = 0; y < LANES; y++) {
        time_s[y] = larger(bound_s, larger(level_time(roof, l2_bytes[y]), in->time_s[y]));
    }
    if (least(time_s) <= best->time_s) {
        take_best(self, &common, time_s, l2_bytes, in, best);
    }
}

/* The pair (loop, tile) of the least bound. */
static inline void find_first(const search *s, int num_loops, int count, int *loop, int *tile)
{
    choice best = {.time_s = HUGE_VAL, .metric = HUGE_VAL};
    *loop = 0;
    *tile = 0;
    for (int i = 0; i < num_loops; i++) {
        for (int z = 0; z < count; z++) {
            const double time_s = s->loop[i].time_s[z];
            const double metric = s->loop[i].metric[z];
            if (time_s < best.time_s || (time_s == best.time_s && metric < best.metric)) {
                best.time_s = time_s;
                best.metric = metric;
                *loop = i;
                *tile = z;
            }
        }
    }
}

/* Branch and bound over (level-2 tile, innermost loop): the most promising one first,
 * then those whose lower bound may still beat it. */
WIDE static choice search_tiles(const df_gemm_search *self, const problem *p)
{
    search s;
    choice best = {.time_s = HUGE_VAL, .metric = HUGE_VAL, .l1_bytes = HUGE_VAL};
    int first_loop;
    int first_z;
    clip_tiles(self, p->shape, &s.outer);
    for (int i = 0; i < p->num_loops; i++) {
        bound_loop(self, p, &s.outer, p->loops[i], &s.loop[i]);
    }
    s.inner.z = -1;
    find_first(&s, p->num_loops, self->l2.count, &first_loop, &first_z);
    try_level_1(self, p, &s, first_loop, first_z, &best);
    for (int z = 0; z < self->l2.count; z++) {
        for (int i = 0; i < p->num_loops; i++) {
            const bool tried = i == first_loop && z == first_z;
            if (!tried && may_beat(s.loop[i].time_s[z], s.loop[i].metric[z], &best)) {
                try_level_1(self, p, &s, i, z, &best);
            }
        }
    }
    return best;
}

static df_gemm_tile tile_at(const tile_columns *columns, int i)
{
    return (df_gemm_tile){columns->m[i], columns->k[i], columns->n[i]};
}

df_status df_gemm_search_solve(const df_gemm_search *self,
                               const df_gemm_shape *shape,
                               df_gemm_cost *out,
                               df_err *err)
{
    if (!(shape->m > 0.0) || !(shape->k > 0.0) || !(shape->n > 0.0)) {
        return df_fail(err, DF_EINVAL, "gemm: expected dimensions above 0, found %g x %g x %g",
                       shape->m, shape->k, shape->n);
    }
    problem p;
    pose(self, shape, &p);
    const choice best = search_tiles(self, &p);
    const double square = self->dev.mem[0].tile_dim;
    const double l1_bytes = best.l1_bytes / best.shares;
    const double bytes[DF_HW_LEVELS] = {p.sys_bytes, l1_bytes, best.l2_bytes, best.dram_bytes};
    out->time_s = df_roof_levels(&self->dev, p.flops, bytes);
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

WIDE static double least_level_1(const df_gemm_search *self, const problem *p)
{
    search s;
    double least_bytes = HUGE_VAL;
    clip_tiles(self, p->shape, &s.outer);
    for (int z = 0; z < self->l2.count; z++) {
        divide_tile(&self->l1, &s.outer, z, &s.inner);
        cost_level_1(self, p, &s.outer, &s.inner);
        const double shares =
            self->bundles_own_tiles ? level_1_shares(self, s.outer.total[z], 1.0) : 1.0;
        least_bytes = smaller(least_bytes, least(s.inner.bytes) / shares);
    }
    return least_bytes;
}

double df_gemm_search_least_l1_bytes(const df_gemm_search *self, const df_gemm_shape *shape)
{
    problem p;
    pose(self, shape, &p);
    return least_level_1(self, &p);
}

df_gemm_search *df_gemm_search_new(void)
{
    df_gemm_search *const self = calloc(1, sizeof *self);
    if (self) {
        df_tile_stream_init(&self->stream);
    }
    return self;
}

void df_gemm_search_free(df_gemm_search *self)
{
    free(self);
}
