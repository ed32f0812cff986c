#include "net/pool.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64, ROOM_MAX = 1 << 30 };

bool df_net_pool_init(df_net_pool *pool, size_t size, df_net_memory *memory)
{
    memset(pool, 0, sizeof *pool);
    pool->size = size;
    pool->memory = memory;
    pool->count = 1;
    pool->items = calloc(FIRST_ROOM, size);
    pool->room = pool->items ? FIRST_ROOM : 0;
    memory->bytes += pool->room * size;
    return pool->items != NULL;
}

void df_net_pool_fini(df_net_pool *pool)
{
    free(pool->items);
    pool->items = NULL;
}

void df_net_pool_clear(df_net_pool *pool)
{
    pool->count = 1;
    pool->free = 0;
}

bool df_net_pool_resize(df_net_pool *pool, size_t size)
{
    if (size == pool->size && pool->items) {
        df_net_pool_clear(pool);
        return true;
    }
    df_net_memory *const memory = pool->memory;
    df_net_pool_fini(pool);
    memory->bytes -= pool->room * pool->size;
    return df_net_pool_init(pool, size, memory);
}

bool df_net_pool_grow(df_net_pool *pool)
{
    const uint64_t more_bytes = (uint64_t)pool->room * pool->size;
    const df_net_memory *const memory = pool->memory;
    if (pool->room > ROOM_MAX / 2 || more_bytes > memory->limit_bytes - memory->bytes) {
        return false;
    }
    unsigned char *const items = realloc(pool->items, 2 * (size_t)pool->room * pool->size);
    if (!items) {
        return false;
    }
    pool->items = items;
    pool->room *= 2;
    pool->memory->bytes += more_bytes;
    return true;
}
