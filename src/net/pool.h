/* pool.h: numbered items of one size. Freed items are reused, so that after a while nothing is
 * allocated. Number 0 belongs to nobody: it absorbs writes after memory has run out. */
#ifndef DF_NET_POOL_H
#define DF_NET_POOL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much all pools of a simulator hold, and may hold. */
typedef struct {
    uint64_t bytes, limit_bytes;
} df_net_memory;

/* Numbers stay below 2^30, so that they go with two bits into 32. Every item starts with a
 * uint32_t, which links the free ones. */
typedef struct {
    unsigned char *items;
    size_t size;
    df_net_memory *memory;
    uint32_t count, room;
    uint32_t free; /* the first free one; 0: none */
} df_net_pool;

/* False when out of memory; then the pool is empty but may be freed. */
bool df_net_pool_init(df_net_pool *pool, size_t size, df_net_memory *memory);
void df_net_pool_fini(df_net_pool *pool);
void df_net_pool_clear(df_net_pool *pool);
/* Clears the pool for items of another size. False when out of memory. */
bool df_net_pool_resize(df_net_pool *pool, size_t size);
/* Makes room for one more; false when out of memory. */
bool df_net_pool_grow(df_net_pool *pool);

/* The number of an item with any content; moves all items. 0 when out of memory. */
static inline uint32_t df_net_pool_take(df_net_pool *pool)
{
    const uint32_t number = pool->free;
    if (number != 0) {
        pool->free = *(const uint32_t *)(const void *)(pool->items + number * pool->size);
        return number;
    }
    if (pool->count == pool->room && !df_net_pool_grow(pool)) {
        return 0;
    }
    return pool->count++;
}

static inline void df_net_pool_give(df_net_pool *pool, uint32_t number)
{
    if (number != 0) {
        *(uint32_t *)(void *)(pool->items + number * pool->size) = pool->free;
        pool->free = number;
    }
}

#endif
