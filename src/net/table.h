/* table.h: finds items of a pool by a hash of what they are. Items with one hash are chained
 * through the pool; each of them starts with a df_net_hashed. */
#ifndef DF_NET_TABLE_H
#define DF_NET_TABLE_H
#include "net/pool.h"

typedef struct {
    uint32_t chain; /* the next item; 0: none */
    uint32_t hash;
} df_net_hashed;

typedef struct {
    uint32_t *heads; /* of chains, 2^bits of them */
    uint32_t bits, count;
} df_net_table;

/* False when out of memory; then the table may be freed. */
bool df_net_table_init(df_net_table *table);
void df_net_table_fini(df_net_table *table);
/* Forgets all items. */
void df_net_table_clear(df_net_table *table);

/* Puts an item in; it is not in there yet. False when out of memory. */
bool df_net_table_add(df_net_table *table, df_net_pool *pool, uint32_t number, uint32_t hash);
void df_net_table_remove(df_net_table *table, df_net_pool *pool, uint32_t number);

/* Spreads a key (Knuth's multiplicative hash). */
static inline uint32_t df_net_hash(uint64_t key)
{
    return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}

/* The last bits of the hash choose the chain, so numbers without gaps are good hashes as they are.
 * The first item that may have this hash; the others are in its chain. 0: none. */
static inline uint32_t df_net_table_first(const df_net_table *table, uint32_t hash)
{
    return table->heads[hash & ((1U << table->bits) - 1)];
}

#endif
