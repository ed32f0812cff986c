#include "gemm/tiles.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mt19937.h"

/* Every tile edge is a power of two, so a tile is three exponents. */
typedef struct {
    int m, k, n;
} exponents;

typedef struct {
    exponents tile[DF_TILES];
    int count;
} tile_set;

static const uint32_t REFERENCE_SEED = 1;
/* The level from which on the reference stores results past the cache. */
enum { STORE_BYPASS_LEVEL = 2 };

void df_tile_stream_init(df_tile_stream *stream)
{
    df_mt19937 mt;
    df_mt_init(&mt, REFERENCE_SEED);
    for (int i = 0; i < DF_TILE_STREAM; i++) {
        stream->value[i] = df_mt_next(&mt);
    }
}

static void add(tile_set *set, exponents e)
{
    for (int i = 0; i < set->count; i++) {
        const exponents *t = &set->tile[i];
        if (t->m == e.m && t->k == e.k && t->n == e.n) {
            return;
        }
    }
    if (set->count < DF_TILES) {
        set->tile[set->count++] = e;
    }
}

/* The largest third edge beside 2^i x 2^j, if the capacity leaves any:
 * m k + k n + m n elements where the output's tile is held too, m k + k n otherwise. */
static bool third_edge(bool holds_output, double elems, int i, int j, exponents *e)
{
    const double a = (double)((uint64_t)1 << i);
    const double b = (double)((uint64_t)1 << j);
    const double z = (elems - a * b) / (holds_output ? a + b : b);
    if (!(z >= 1.0)) {
        return false;
    }
    *e = (exponents){i, j, ilogb(z)};
    return true;
}

/* How many distinct tiles there are at all, up to DF_TILES; fills the set. */
static void enumerate_all(bool holds_output, double elems, int powers, tile_set *set)
{
    for (int i = 0; i < powers; i++) {
        for (int j = 0; j < powers && set->count < DF_TILES; j++) {
            exponents e;
            if (third_edge(holds_output, elems, i, j, &e)) {
                add(set, e);
            }
        }
    }
}

/* A uniform draw from 0..limit by masking and rejection; -1 when the stream ends. */
static int draw(const df_tile_stream *stream, int *next, uint32_t mask, uint32_t limit)
{
    if (limit == 0) {
        return 0; /* no random bits are taken */
    }
    while (*next < DF_TILE_STREAM) {
        const uint32_t value = stream->value[(*next)++] & mask;
        if (value <= limit) {
            return (int)value;
        }
    }
    return -1;
}

static void draw_random(
    const df_tile_stream *stream, bool holds_output, double elems, int powers, tile_set *set)
{
    const uint32_t limit = (uint32_t)powers - 1;
    uint32_t mask = 0;
    while (mask < limit) {
        mask = mask * 2 + 1;
    }
    int next = 0;
    while (set->count < DF_TILES) {
        const int i = draw(stream, &next, mask, limit);
        const int j = draw(stream, &next, mask, limit);
        exponents e;
        if (i < 0 || j < 0) {
            return;
        }
        if (third_edge(holds_output, elems, i, j, &e)) {
            add(set, e);
        }
    }
}

int df_tile_draw(const df_tile_stream *stream,
                 int level,
                 bool output_takes_no_room,
                 double elems,
                 double square,
                 df_gemm_tile tiles[DF_TILES])
{
    if (!(elems >= 2.0) || !(square >= 1.0)) {
        return 0;
    }
    const bool holds_output = level < STORE_BYPASS_LEVEL || !output_takes_no_room;
    const int powers = ilogb(elems);
    const int edge = ilogb(square);
    tile_set set = {.count = 0};
    add(&set, (exponents){edge, edge, edge});
    /* tiles of half a square, of two squares, and of one square for the output */
    if (edge > 0 && (output_takes_no_room || 3.5 * square * square <= elems)) {
        add(&set, (exponents){edge - 1, edge, edge + 1});
    }
    tile_set all = set;
    enumerate_all(holds_output, elems, powers, &all);
    if (all.count == DF_TILES) { /* else a sampling until there are as many might never end */
        draw_random(stream, holds_output, elems, powers, &set);
    }
    enumerate_all(holds_output, elems, powers, &set);
    for (int i = 0; i < set.count; i++) {
        const exponents *e = &set.tile[i];
        tiles[i] = (df_gemm_tile){ldexp(1.0, e->m), ldexp(1.0, e->k), ldexp(1.0, e->n)};
    }
    return set.count;
}
