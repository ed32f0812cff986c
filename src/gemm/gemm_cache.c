#include "gemm/gemm_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETS = 2048, /* a power of two */
    WAYS = 2,
    DEVICES = 8,
};

/* What a result is of. */
typedef enum { EMPTY, SOLVED, LEAST_L1 } entry_kind;

typedef struct {
    entry_kind kind;
    uint64_t device; /* serial number */
    df_gemm_shape shape;
    df_gemm_cost cost; /* of LEAST_L1: traffic_bytes[1] alone */
} entry;

/* All of a device and of the rules that a GEMM's time depends on. */
enum { PER_LEVEL = 6, FACTS = 8 + PER_LEVEL * DF_HW_LEVELS };

typedef struct {
    uint64_t serial; /* 0: free */
    double facts[FACTS];
    df_hw_device dev;
    df_rules rules;
} device;

struct df_gemm_cache {
    df_gemm_model *model;
    bool prepared; /* the model, for the device in use */
    int used;      /* index of the device in use */
    int oldest;
    uint64_t last_serial;
    device devices[DEVICES];
    entry entries[SETS][WAYS]; /* the newer first */
};

df_gemm_cache *df_gemm_cache_new(void)
{
    df_gemm_cache *const cache = calloc(1, sizeof *cache);
    if (cache) {
        cache->model = df_gemm_tiled_new();
    }
    if (cache && !cache->model) {
        free(cache);
        return NULL;
    }
    return cache;
}

void df_gemm_cache_free(df_gemm_cache *cache)
{
    if (cache) {
        cache->model->free(cache->model);
        free(cache);
    }
}

void df_gemm_cache_clear(df_gemm_cache *cache)
{
    memset(cache->entries, 0, sizeof cache->entries);
}

static void read_facts(const df_hw_device *dev, const df_rules *rules, double facts[FACTS])
{
    const double whole[FACTS - PER_LEVEL * DF_HW_LEVELS] = {dev->core.throughput_flops_ps,
                                                            dev->core.num_bundle,
                                                            dev->fma_d1,
                                                            dev->fma_d2,
                                                            (double)dev->dataflow,
                                                            dev->elem_bytes,
                                                            (double)rules->gemm_output_uncounted,
                                                            (double)rules->gemm_dram_reuse_floored};
    memcpy(facts, whole, sizeof whole);
    facts += sizeof whole / sizeof whole[0];
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const df_hw_mem *const mem = &dev->mem[i];
        const double level[PER_LEVEL] = {(double)mem->type,          (double)mem->scope,
                                         mem->size_per_bundle_bytes, mem->tile_dim,
                                         mem->throughput_bytes_ps,   mem->latency_s};
        memcpy(facts, level, sizeof level);
        facts += PER_LEVEL;
    }
}

static bool equal(const double a[FACTS], const double b[FACTS])
{
    for (int i = 0; i < FACTS; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

void df_gemm_cache_use(df_gemm_cache *cache, const df_hw_device *dev, const df_rules *rules)
{
    double facts[FACTS];
    read_facts(dev, rules, facts);
    for (int i = 0; i < DEVICES; i++) {
        if (cache->devices[i].serial > 0 && equal(cache->devices[i].facts, facts)) {
            cache->prepared = cache->prepared && i == cache->used;
            cache->used = i;
            return;
        }
    }
    /* results of the device that is dropped stay, under a serial number that none has */
    cache->used = cache->oldest;
    cache->oldest = (cache->oldest + 1) % DEVICES;
    cache->prepared = false;
    device *const fresh = &cache->devices[cache->used];
    fresh->serial = ++cache->last_serial;
    fresh->dev = *dev;
    fresh->dev.launch_overhead_s = 0;
    fresh->rules = *rules;
    memcpy(fresh->facts, facts, sizeof facts);
}

static uint64_t mix(uint64_t h, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    h = (h ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static entry *
set_of(df_gemm_cache *cache, entry_kind kind, uint64_t serial, const df_gemm_shape *shape)
{
    const uint64_t h = mix(mix(mix(serial * 4 + (uint64_t)kind, shape->m), shape->k), shape->n);
    return cache->entries[(h >> 20) % SETS];
}

/* NULL: not there. */
static const df_gemm_cost *
find(const entry *set, entry_kind kind, uint64_t serial, const df_gemm_shape *shape)
{
    for (int way = 0; way < WAYS; way++) {
        const entry *const e = &set[way];
        if (e->kind == kind && e->device == serial && e->shape.m == shape->m &&
            e->shape.k == shape->k && e->shape.n == shape->n) {
            return &e->cost;
        }
    }
    return NULL;
}

static void keep(entry *set, const entry *fresh)
{
    memmove(&set[1], &set[0], (WAYS - 1) * sizeof *set);
    set[0] = *fresh;
}

df_status df_gemm_cache_solve(df_gemm_cache *cache,
                              const df_gemm_shape *shape,
                              df_gemm_cost *out,
                              df_err *err)
{
    const device *const d = &cache->devices[cache->used];
    entry *const set = set_of(cache, SOLVED, d->serial, shape);
    const df_gemm_cost *const known = find(set, SOLVED, d->serial, shape);
    if (known) {
        *out = *known;
        return DF_OK;
    }
    if (!cache->prepared) {
        DF_TRY(cache->model->prepare(cache->model, &d->dev, &d->rules, err));
        cache->prepared = true;
    }
    entry fresh = {.kind = SOLVED, .device = d->serial, .shape = *shape};
    DF_TRY(cache->model->solve(cache->model, shape, &fresh.cost, err));
    keep(set, &fresh);
    *out = fresh.cost;
    return DF_OK;
}

static double busy_bundles(const df_hw_device *dev, double tiles)
{
    const double busy = fmin(dev->core.num_bundle, tiles);
    return busy > 0.0 ? busy : 1.0;
}

/* L1 traffic of one bundle with a pair of tiles. */
static double l1_bytes(const df_hw_device *dev,
                       const df_gemm_shape *s,
                       const df_gemm_tile *l1,
                       const df_gemm_tile *l2)
{
    const double m2 = fmin(l2->m, s->m);
    const double k2 = fmin(l2->k, s->k);
    const double n2 = fmin(l2->n, s->n);
    const double m1 = fmin(l1->m, m2);
    const double k1 = fmin(l1->k, k2);
    const double n1 = fmin(l1->n, n2);
    const double tiles = ceil(s->m / m2) * ceil(s->k / k2) * ceil(s->n / n2);
    const double outputs = ceil(m2 / m1) * ceil(n2 / n1);
    const double moved = (m1 + n1) * k1 * ceil(k2 / k1) + m1 * n1;
    return moved * outputs * tiles * dev->elem_bytes / busy_bundles(dev, tiles);
}

static double least_l1_bytes(const df_hw_device *dev, const df_gemm_shape *shape)
{
    df_gemm_tile l1[DF_TILES];
    df_gemm_tile l2[DF_TILES];
    const df_hw_mem *const mem = dev->mem;
    const int count1 =
        df_gemm_tiles(1, mem[1].size_per_bundle_bytes / dev->elem_bytes, mem[1].tile_dim, l1);
    const int count2 =
        df_gemm_tiles(2, mem[2].size_per_bundle_bytes / dev->elem_bytes, mem[2].tile_dim, l2);
    double least = HUGE_VAL;
    for (int y = 0; y < count1; y++) {
        for (int z = 0; z < count2; z++) {
            least = fmin(least, l1_bytes(dev, shape, &l1[y], &l2[z]));
        }
    }
    return least;
}

double df_gemm_cache_least_l1_bytes(df_gemm_cache *cache, const df_gemm_shape *shape)
{
    const device *const d = &cache->devices[cache->used];
    entry *const set = set_of(cache, LEAST_L1, d->serial, shape);
    const df_gemm_cost *const known = find(set, LEAST_L1, d->serial, shape);
    if (known) {
        return known->traffic_bytes[1];
    }
    entry fresh = {.kind = LEAST_L1, .device = d->serial, .shape = *shape};
    fresh.cost.traffic_bytes[1] = least_l1_bytes(&d->dev, shape);
    keep(set, &fresh);
    return fresh.cost.traffic_bytes[1];
}
