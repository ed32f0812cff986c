#include "net/table.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BITS = 8, LAST_BITS = 31 };

static df_net_hashed *at(const df_net_pool *pool, uint32_t number)
{
    return (df_net_hashed *)(void *)(pool->items + number * pool->size);
}

bool df_net_table_init(df_net_table *table)
{
    table->bits = FIRST_BITS;
    table->count = 0;
    table->heads = calloc((size_t)1 << FIRST_BITS, sizeof *table->heads);
    return table->heads != NULL;
}

void df_net_table_fini(df_net_table *table)
{
    free(table->heads);
    table->heads = NULL;
}

void df_net_table_clear(df_net_table *table)
{
    if (table->count > 0) {
        memset(table->heads, 0, sizeof *table->heads << table->bits);
        table->count = 0;
    }
}

static bool grow(df_net_table *table, df_net_pool *pool)
{
    const uint32_t bits = table->bits + 1;
    uint32_t *const heads = calloc((size_t)1 << bits, sizeof *heads);
    if (!heads) {
        return false;
    }
    for (size_t i = 0; i < (size_t)1 << table->bits; i++) {
        for (uint32_t number = table->heads[i]; number != 0;) {
            df_net_hashed *const item = at(pool, number);
            const uint32_t next = item->chain;
            uint32_t *const head = &heads[item->hash & ((1U << bits) - 1)];
            item->chain = *head;
            *head = number;
            number = next;
        }
    }
    free(table->heads);
    table->heads = heads;
    table->bits = bits;
    return true;
}

bool df_net_table_add(df_net_table *table, df_net_pool *pool, uint32_t number, uint32_t hash)
{
    if (table->count >> table->bits != 0 && table->bits < LAST_BITS && !grow(table, pool)) {
        return false;
    }
    uint32_t *const head = &table->heads[hash & ((1U << table->bits) - 1)];
    *at(pool, number) = (df_net_hashed){*head, hash};
    *head = number;
    table->count++;
    return true;
}

void df_net_table_remove(df_net_table *table, df_net_pool *pool, uint32_t number)
{
    const df_net_hashed *const item = at(pool, number);
    uint32_t *link = &table->heads[item->hash & ((1U << table->bits) - 1)];
    while (*link != number) {
        link = &at(pool, *link)->chain;
    }
    *link = item->chain;
    table->count--;
}
