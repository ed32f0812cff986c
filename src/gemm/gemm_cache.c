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
} entry_key;

typedef struct {
    entry_key key;
    df_gemm_cost cost; /* for LEAST_L1, only traffic_bytes[1] is set */
} entry;

typedef struct {
    uint64_t serial; /* 0: free */
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

static bool same_level(const df_hw_mem *a, const df_hw_mem *b)
{
    return a->type == b->type && a->scope == b->scope &&
           a->size_per_bundle_bytes == b->size_per_bundle_bytes && a->tile_dim == b->tile_dim &&
           a->throughput_bytes_ps == b->throughput_bytes_ps && a->latency_s == b->latency_s &&
           a->copies == b->copies;
}

/* Whether the devices agree in everything on which the time of a GEMM depends. */
static bool same_device(const df_hw_device *a, const df_hw_device *b)
{
    bool same = a->core.throughput_flops_ps == b->core.throughput_flops_ps &&
                a->core.num_bundle == b->core.num_bundle && a->fma_d1 == b->fma_d1 &&
                a->fma_d2 == b->fma_d2 && a->dataflow == b->dataflow &&
                a->elem_bytes == b->elem_bytes &&
                a->latency_if_memory_bound == b->latency_if_memory_bound;
    for (int i = 0; same && i < DF_HW_LEVELS; i++) {
        same = same_level(&a->mem[i], &b->mem[i]);
    }
    return same;
}

static bool same_traffic(const df_gemm_traffic *a, const df_gemm_traffic *b)
{
    return a->output_uncounted == b->output_uncounted && a->reuse_floored == b->reuse_floored &&
           a->output_takes_no_room == b->output_takes_no_room;
}

void df_gemm_cache_use(df_gemm_cache *cache,
                       const df_hw_device *dev,
                       const df_gemm_traffic *traffic)
{
    for (int i = 0; i < DEVICES; i++) {
        const device *const d = &cache->devices[i];
        if (d->serial > 0 && same_traffic(&d->traffic, traffic) && same_device(&d->dev, dev)) {
            cache->prepared = cache->prepared && i == cache->used;
            cache->used = i;
            return;
        }
    }
    /* results of the device that is dropped stay, under a serial number that none has */
    cache->used = cache->oldest;
    cache->oldest = (cache->oldest + 1) % DEVICES;
    cache->prepared = false;
    cache->devices[cache->used] = (device){++cache->last_serial, *dev, *traffic};
}

static uint64_t mix(uint64_t h, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    h = (h ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

/* The ways of one set. */
static entry *set_of(df_gemm_cache *cache, const entry_key *key)
{
    const uint64_t kind = key->device * 4 + (uint64_t)key->kind;
    const uint64_t h = mix(mix(mix(kind, key->shape.m), key->shape.k), key->shape.n);
    return cache->entries[(h >> 20) % SETS];
}

static bool same_key(const entry_key *a, const entry_key *b)
{
    return a->kind == b->kind && a->device == b->device && a->shape.m == b->shape.m &&
           a->shape.k == b->shape.k && a->shape.n == b->shape.n;
}

/* Computes what an entry is of. The search is readied for the device in use, once. */
static df_status compute(df_gemm_cache *cache, entry *e, df_err *err)
{
    const device *const d = &cache->devices[cache->used];
    if (!cache->prepared) {
        DF_TRY(df_gemm_search_use(cache->search, &d->dev, &d->traffic, err));
        cache->prepared = true;
    }
    if (e->key.kind == SOLVED) {
        return df_gemm_search_solve(cache->search, &e->key.shape, &e->cost, err);
    }
    e->cost.traffic_bytes[1] = df_gemm_search_least_l1_bytes(cache->search, &e->key.shape);
    return DF_OK;
}

/* Points *cost to what is known of a shape on the current device, until the next look-up. */
static df_status look_up(df_gemm_cache *cache,
                         entry_kind kind,
                         const df_gemm_shape *shape,
                         const df_gemm_cost **cost,
                         df_err *err)
{
    const entry_key key = {kind, cache->devices[cache->used].serial, *shape};
    entry *const set = set_of(cache, &key);
    for (int way = 0; way < WAYS; way++) {
        if (same_key(&set[way].key, &key)) {
            *cost = &set[way].cost;
            return DF_OK;
        }
    }
    entry fresh = {.key = key};
    DF_TRY(compute(cache, &fresh, err));
    memmove(&set[1], &set[0], (WAYS - 1) * sizeof *set);
    set[0] = fresh;
    *cost = &set[0].cost;
    return DF_OK;
}

df_status df_gemm_cache_solve(df_gemm_cache *cache,
                              const df_gemm_shape *shape,
                              df_gemm_cost *out,
                              df_err *err)
{
    const df_gemm_cost *cost;
    DF_TRY(look_up(cache, SOLVED, shape, &cost, err));
    *out = *cost;
    return DF_OK;
}

df_status df_gemm_cache_least_l1_bytes(df_gemm_cache *cache,
                                       const df_gemm_shape *shape,
                                       double *bytes,
                                       df_err *err)
{
    const df_gemm_cost *cost;
    DF_TRY(look_up(cache, LEAST_L1, shape, &cost, err));
    *bytes = cost->traffic_bytes[1];
    return DF_OK;
}
