/* Delayed work of a rank. Everything that is due at one tick shares one event of the queue, at the
 * place where the first of it was inserted; this decides what enters a link first. */
#include "net/net_impl.h"

enum { WHAT_BITS = 30 };

static void run_entry(df_net_sim *sim, uint32_t rank, uint32_t entry)
{
    const uint32_t what = entry & ((1U << WHAT_BITS) - 1);
    switch ((df_net_do_kind)(entry >> WHAT_BITS)) {
    case DF_DO_END_NODE:
        df_net_end_node(sim, rank, what);
        break;
    case DF_DO_REDUCE:
        df_net_do_later(sim, rank, df_net_packet_reduce_ns(sim, df_net_stream_at(sim, what)),
                        DF_DO_STREAM, what);
        break;
    case DF_DO_STREAM:
        df_net_stream_bundled(sim, what);
        break;
    }
}

static uint32_t find(const df_net_sim *sim, uint32_t rank, uint64_t time_ns, uint32_t hash)
{
    uint32_t number = df_net_table_first(&sim->bucket_table, hash);
    while (number != 0) {
        const df_net_bucket *const bucket = df_net_bucket_at(sim, number);
        if (bucket->time_ns == time_ns && bucket->rank == rank) {
            break;
        }
        number = bucket->hashed.chain;
    }
    return number;
}

/* Makes a bucket, with its event. */
static void add(df_net_sim *sim, uint32_t rank, uint64_t delay_ns, uint32_t entry, uint32_t hash)
{
    const uint32_t number = df_net_pool_take(&sim->buckets);
    *df_net_bucket_at(sim, number) =
        (df_net_bucket){.time_ns = sim->now_ns + delay_ns, .rank = rank, .entry = entry};
    if (number == 0 || !df_net_table_add(&sim->bucket_table, &sim->buckets, number, hash)) {
        df_net_fail_memory(sim);
        return;
    }
    df_net_schedule(sim, delay_ns, DF_EVENT_BUCKET, number);
}

static void append(df_net_sim *sim, df_net_bucket *bucket, uint32_t entry)
{
    const uint32_t number = df_net_pool_take(&sim->dos);
    if (number == 0) {
        df_net_fail_memory(sim);
        return;
    }
    *df_net_do_at(sim, number) = (df_net_do){0, entry};
    if (bucket->first == 0) {
        bucket->first = number;
    } else {
        df_net_do_at(sim, bucket->last)->next = number;
    }
    bucket->last = number;
}

void df_net_do_later(
    df_net_sim *sim, uint32_t rank, uint64_t delay_ns, df_net_do_kind kind, uint32_t what)
{
    const uint32_t entry = (uint32_t)kind << WHAT_BITS | what;
    const uint64_t time_ns = sim->now_ns + delay_ns; /* may wrap: then it is refused below */
    const uint32_t hash = df_net_hash(time_ns) + rank;
    const uint32_t number = find(sim, rank, time_ns, hash);
    if (number != 0) {
        append(sim, df_net_bucket_at(sim, number), entry);
    } else {
        add(sim, rank, delay_ns, entry, hash);
    }
}

void df_net_run_bucket(df_net_sim *sim, uint32_t number)
{
    /* Entries may add to the bucket without a delay; it is found until all have run. */
    const uint32_t rank = df_net_bucket_at(sim, number)->rank;
    run_entry(sim, rank, df_net_bucket_at(sim, number)->entry);
    while (df_net_bucket_at(sim, number)->first != 0 && sim->status == DF_OK) {
        df_net_bucket *const bucket = df_net_bucket_at(sim, number);
        const uint32_t next = bucket->first;
        const df_net_do what = *df_net_do_at(sim, next);
        bucket->first = what.next;
        df_net_pool_give(&sim->dos, next);
        run_entry(sim, rank, what.entry);
    }
    df_net_table_remove(&sim->bucket_table, &sim->buckets, number);
    df_net_pool_give(&sim->buckets, number);
}
