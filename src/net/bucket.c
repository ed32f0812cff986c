/* Delayed work of a rank. What is due at one tick shares one event of the queue, at the
 * place where the first of it was put in; this decides who enters a link first. */
#include "net/net_impl.h"

/* Makes a bucket, with its event. 0 after a failure. */
static uint32_t add(df_net_sim *sim, uint32_t rank, uint64_t delay_ns, uint32_t hash)
{
    const uint32_t number = df_net_pool_take(&sim->buckets);
    *df_net_bucket_at(sim, number) =
        (df_net_bucket){.rank = rank, .time_ns = sim->now_ns + delay_ns};
    if (number == 0 || !df_net_table_add(&sim->bucket_table, &sim->buckets, number, hash)) {
        df_net_fail_memory(sim);
        return 0;
    }
    df_net_schedule(sim, delay_ns, DF_EVENT_BUCKET, number);
    return number;
}

/* The bucket of a rank and a time; 0 after a failure. */
static uint32_t find(df_net_sim *sim, uint32_t rank, uint64_t delay_ns)
{
    const uint64_t time_ns = sim->now_ns + delay_ns;
    const uint32_t hash = df_net_hash((time_ns << 16) ^ rank);
    for (uint32_t number = df_net_table_first(&sim->bucket_table, hash); number != 0;) {
        const df_net_bucket *const bucket = df_net_bucket_at(sim, number);
        if (bucket->time_ns == time_ns && bucket->rank == rank) {
            return number;
        }
        number = bucket->hashed.chain;
    }
    return add(sim, rank, delay_ns, hash);
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
        df_net_do_later(sim, rank, df_net_packet_reduce_ns(sim, df_net_stream_at(sim, entry.what)),
                        DF_DO_STREAM, entry.what);
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
    df_net_table_remove(&sim->bucket_table, &sim->buckets, number);
    df_net_pool_give(&sim->buckets, number);
}
