#include "gemm/gemm_cache.h"

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

/* All of a device and of the counting of traffic that a GEMM's time depends on. */
enum { PER_LEVEL = 7, FACTS = 10 + PER_LEVEL * DF_HW_LEVELS };

typedef struct {
    uint64_t serial; /* 0: free */
    double facts[FACTS];
    df_hw_device dev;
    df_gemm_traffic traffic;
} device;

struct df_gemm_cache {
    df_gemm_search *search;
    bool prepared; /* the search, for the device in use */
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
        cache->search = df_gemm_search_new();
    }
    if (cache && !cache->search) {
        free(cache);
        return NULL;
    }
    return cache;
}

void df_gemm_cache_free(df_gemm_cache *cache)
{
    if (cache) {
        df_gemm_search_free(cache->search);
        free(cache);
    }
}

void df_gemm_cache_clear(df_gemm_cache *cache)
{
    memset(cache->entries, 0, sizeof cache->entries);
}

static void read_facts(const df_hw_device *dev, const df_gemm_traffic *traffic, double facts[FACTS])
{
    const double whole[FACTS - PER_LEVEL * DF_HW_LEVELS] = {dev->core.throughput_flops_ps,
                                                            dev->core.num_bundle,
                                                            dev->fma_d1,
                                                            dev->fma_d2,
                                                            (double)dev->dataflow,
                                                            dev->elem_bytes,
                                                            (double)traffic->output_uncounted,
                                                            (double)traffic->reuse_floored,
                                                            (double)traffic->output_takes_no_room,
                                                            (double)dev->latency_if_memory_bound};
    memcpy(facts, whole, sizeof whole);
    facts += sizeof whole / sizeof whole[0];
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        const df_hw_mem *const mem = &dev->mem[i];
        const double level[PER_LEVEL] = {
            (double)mem->type, (double)mem->scope,       mem->size_per_bundle_bytes,
            mem->tile_dim,     mem->throughput_bytes_ps, mem->latency_s,
            mem->copies};
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

void df_gemm_cache_use(df_gemm_cache *cache,
                       const df_hw_device *dev,
                       const df_gemm_traffic *traffic)
{
    double facts[FACTS];
    read_facts(dev, traffic, facts);
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
    fresh->traffic = *traffic;
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

/* Readies the search for the device in use, once. */
static df_status prepare(df_gemm_cache *cache, df_err *err)
{
    const device *const d = &cache->devices[cache->used];
    if (!cache->prepared) {
        DF_TRY(df_gemm_search_use(cache->search, &d->dev, &d->traffic, err));
        cache->prepared = true;
    }
    return DF_OK;
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
    entry fresh = {.kind = SOLVED, .device = d->serial, .shape = *shape};
    DF_TRY(prepare(cache, err));
    DF_TRY(df_gemm_search_solve(cache->search, shape, &fresh.cost, err));
    keep(set, &fresh);
    *out = fresh.cost;
    return DF_OK;
}

df_status df_gemm_cache_least_l1_bytes(df_gemm_cache *cache,
                                       const df_gemm_shape *shape,
                                       double *bytes,
                                       df_err *err)
{
    const device *const d = &cache->devices[cache->used];
    entry *const set = set_of(cache, LEAST_L1, d->serial, shape);
    const df_gemm_cost *const known = find(set, LEAST_L1, d->serial, shape);
    if (known) {
        *bytes = known->traffic_bytes[1];
        return DF_OK;
    }
    entry fresh = {.kind = LEAST_L1, .device = d->serial, .shape = *shape};
    DF_TRY(prepare(cache, err));
    fresh.cost.traffic_bytes[1] = df_gemm_search_least_l1_bytes(cache->search, shape);
    keep(set, &fresh);
    *bytes = fresh.cost.traffic_bytes[1];
    return DF_OK;
}
