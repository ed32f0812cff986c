/* Delayed work of a rank. What is due at one tick shares one event of the queue, at the
 * place where the first of it was put in; this decides who enters a link first. */
#include "net/net_impl.h"

#include <stdlib.h>

static uint64_t key_of(uint32_t rank, uint64_t time_ns)
{
    return (time_ns << 16) ^ rank; /* only spread, never compared */
}

static bool grow_table(df_net_sim *sim)
{
    const uint32_t bits = sim->bucket_bits + 1;
    uint32_t *const table = calloc((size_t)1 << bits, sizeof *table);
    if (!table) {
        return false;
    }
    for (size_t i = 0; i < (size_t)1 << sim->bucket_bits; i++) {
        for (uint32_t number = sim->bucket_table[i]; number != 0;) {
            df_net_bucket *const bucket = df_net_bucket_at(sim, number);
            const uint32_t next = bucket->chain;
            uint32_t *const head = &table[df_net_hash(key_of(bucket->rank, bucket->time_ns), bits)];
            bucket->chain = *head;
            *head = number;
            number = next;
        }
    }
    free(sim->bucket_table);
    sim->bucket_table = table;
    sim->bucket_bits = bits;
    return true;
}

/* The bucket of a rank and a time, with its event if it is new; 0 after a failure. */
static uint32_t find(df_net_sim *sim, uint32_t rank, uint64_t delay_ns)
{
    const uint64_t time_ns = sim->now_ns + delay_ns;
    uint32_t *head = &sim->bucket_table[df_net_hash(key_of(rank, time_ns), sim->bucket_bits)];
    for (uint32_t number = *head; number != 0;) {
        const df_net_bucket *const bucket = df_net_bucket_at(sim, number);
        if (bucket->time_ns == time_ns && bucket->rank == rank) {
            return number;
        }
        number = bucket->chain;
    }
    if (sim->num_buckets >> sim->bucket_bits != 0) {
        if (!grow_table(sim)) {
            df_net_fail_memory(sim);
            return 0;
        }
        head = &sim->bucket_table[df_net_hash(key_of(rank, time_ns), sim->bucket_bits)];
    }
    const uint32_t number = df_net_pool_take(&sim->buckets);
    if (number == 0) {
        df_net_fail_memory(sim);
        return 0;
    }
    *df_net_bucket_at(sim, number) =
        (df_net_bucket){.chain = *head, .rank = rank, .time_ns = time_ns};
    *head = number;
    sim->num_buckets++;
    df_net_schedule(sim, delay_ns, DF_EVENT_BUCKET, number);
    return number;
}

void df_net_do_later(
    df_net_sim *sim, uint32_t rank, uint64_t delay_ns, df_net_do_kind kind, uint32_t what)
{
    const uint32_t bucket_number = find(sim, rank, delay_ns);
    const uint32_t number = df_net_pool_take(&sim->dos);
    if (bucket_number == 0 || number == 0) {
        df_net_fail_memory(sim);
        return;
    }
    df_net_bucket *const bucket = df_net_bucket_at(sim, bucket_number);
    *df_net_do_at(sim, number) = (df_net_do){0, kind, what};
    if (bucket->first == 0) {
        bucket->first = number;
    } else {
        df_net_do_at(sim, bucket->last)->next = number;
    }
    bucket->last = number;
}

static void run_entry(df_net_sim *sim, uint32_t rank, df_net_do entry)
{
    switch ((df_net_do_kind)entry.kind) {
    case DF_DO_END_NODE:
        df_net_end_node(sim, rank, entry.what);
        break;
    case DF_DO_REDUCE:
        df_net_do_later(sim, rank, df_net_stream_at(sim, entry.what)->reduce_ns, DF_DO_STREAM,
                        entry.what);
        break;
    case DF_DO_STREAM:
        df_net_stream_bundled(sim, entry.what);
        break;
    }
}

void df_net_run_bucket(df_net_sim *sim, uint32_t number)
{
    /* Entries may add to the bucket without a delay; it is found until all have run. */
    const df_net_bucket *bucket = df_net_bucket_at(sim, number);
    const uint32_t rank = bucket->rank;
    while (bucket->first != 0 && sim->status == DF_OK) {
        const uint32_t first = bucket->first;
        const df_net_do entry = *df_net_do_at(sim, first);
        /* The last entry stays in the list while it runs, for others to be put behind. */
        run_entry(sim, rank, entry);
        df_net_bucket *const after = df_net_bucket_at(sim, number);
        after->first = df_net_do_at(sim, first)->next;
        df_net_pool_give(&sim->dos, first);
        bucket = after;
    }
    const uint32_t hash = df_net_hash(key_of(rank, bucket->time_ns), sim->bucket_bits);
    uint32_t *link = &sim->bucket_table[hash];
    while (*link != number) {
        link = &df_net_bucket_at(sim, *link)->chain;
    }
    *link = bucket->chain;
    sim->num_buckets--;
    df_net_pool_give(&sim->buckets, number);
}
