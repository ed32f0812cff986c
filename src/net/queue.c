#include "net/queue.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64, WHAT_BITS = 30 };

static df_net_chunk *chunk_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_chunk *)(void *)q->chunks.items)[number];
}

static df_net_tick *tick_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_tick *)(void *)q->ticks.items)[number];
}

bool df_net_queue_init(df_net_queue *q, df_net_memory *memory)
{
    memset(q, 0, sizeof *q);
    q->heap_room = FIRST_ROOM;
    q->heap = calloc(q->heap_room, sizeof *q->heap);
    bool made = q->heap != NULL;
    made = df_net_pool_init(&q->chunks, sizeof(df_net_chunk), memory) && made;
    made = df_net_pool_init(&q->ticks, sizeof(df_net_tick), memory) && made;
    made = df_net_table_init(&q->by_time) && made;
    if (made) {
        df_net_queue_clear(q);
    }
    return made;
}

void df_net_queue_fini(df_net_queue *q)
{
    df_net_pool_fini(&q->chunks);
    df_net_pool_fini(&q->ticks);
    df_net_table_fini(&q->by_time);
    free(q->heap);
}

void df_net_queue_clear(df_net_queue *q)
{
    df_net_pool_clear(&q->chunks);
    df_net_pool_clear(&q->ticks);
    df_net_table_clear(&q->by_time);
    memset(q->recent, 0, sizeof q->recent);
    tick_at(q, 0)->time_ns = UINT64_MAX; /* is found by no hint */
    q->heap_count = 0;
}

static bool grow_heap(df_net_queue *q)
{
    df_net_heap_entry *const heap = realloc(q->heap, 2 * (size_t)q->heap_room * sizeof *heap);
    if (heap) {
        q->heap = heap;
        q->heap_room *= 2;
    }
    return heap != NULL;
}

static void sift_up(df_net_queue *q, uint64_t time_ns, uint32_t tick)
{
    uint32_t at = q->heap_count++;
    while (at > 0 && time_ns < q->heap[(at - 1) / 2].time_ns) {
        q->heap[at] = q->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    q->heap[at] = (df_net_heap_entry){time_ns, tick};
}

static void remove_top(df_net_queue *q)
{
    df_net_heap_entry *const heap = q->heap;
    const df_net_heap_entry last = heap[--q->heap_count];
    const uint32_t count = q->heap_count;
    uint32_t at = 0;
    heap[count].time_ns = UINT64_MAX; /* so that every entry above has two below it */
    for (uint32_t child = 1; child < count; child = 2 * at + 1) {
        child += heap[child + 1].time_ns < heap[child].time_ns; /* no branch to guess wrong */
        if (heap[child].time_ns >= last.time_ns) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
}

static uint32_t find_tick(const df_net_queue *q, uint64_t time_ns, uint32_t hash)
{
    uint32_t number = df_net_table_first(&q->by_time, hash);
    while (number != 0 && tick_at(q, number)->time_ns != time_ns) {
        number = tick_at(q, number)->hashed.chain;
    }
    return number;
}

/* 0 when out of memory. */
static uint32_t add_tick(df_net_queue *q, uint64_t time_ns, uint32_t hash)
{
    if (q->heap_count == q->heap_room && !grow_heap(q)) {
        return 0;
    }
    const uint32_t chunk = df_net_pool_take(&q->chunks);
    const uint32_t number = df_net_pool_take(&q->ticks);
    if (chunk == 0 || number == 0) {
        return 0;
    }
    chunk_at(q, chunk)->next = 0;
    *tick_at(q, number) = (df_net_tick){.time_ns = time_ns, .first = chunk, .last = chunk};
    if (!df_net_table_add(&q->by_time, &q->ticks, number, hash)) {
        return 0;
    }
    sift_up(q, time_ns, number);
    return number;
}

uint32_t df_net_queue_tick(df_net_queue *q, uint32_t hint, uint64_t time_ns)
{
    if (tick_at(q, q->recent[hint])->time_ns == time_ns) {
        return q->recent[hint];
    }
    const uint32_t hash = df_net_hash(time_ns);
    uint32_t number = find_tick(q, time_ns, hash);
    if (number == 0) {
        number = add_tick(q, time_ns, hash);
    }
    q->recent[hint] = number;
    return number;
}

static void remove_tick(df_net_queue *q, uint32_t number)
{
    df_net_table_remove(&q->by_time, &q->ticks, number);
    df_net_pool_give(&q->chunks, tick_at(q, number)->first);
    tick_at(q, number)->time_ns = UINT64_MAX; /* is found by no hint any more */
    df_net_pool_give(&q->ticks, number);
    remove_top(q);
}

bool df_net_queue_put(df_net_queue *q, uint32_t tick_number, uint32_t kind, uint32_t what)
{
    df_net_tick *const tick = tick_at(q, tick_number);
    if (tick->put == DF_NET_IN_CHUNK) {
        const uint32_t added = df_net_pool_take(&q->chunks);
        if (added == 0) {
            return false;
        }
        chunk_at(q, added)->next = 0;
        chunk_at(q, tick->last)->next = added;
        tick->last = added;
        tick->put = 0;
    }
    chunk_at(q, tick->last)->events[tick->put++] = kind << WHAT_BITS | what;
    return true;
}

bool df_net_queue_push(df_net_queue *q, uint64_t time_ns, uint32_t kind, uint32_t what)
{
    const uint32_t tick = df_net_queue_tick(q, kind, time_ns);
    return tick != 0 && df_net_queue_put(q, tick, kind, what);
}

/* Turns to the next chunk once all of the first is taken. */
static void drop_taken(df_net_queue *q, df_net_tick *tick)
{
    if (tick->taken == DF_NET_IN_CHUNK && tick->first != tick->last) {
        const uint32_t next = chunk_at(q, tick->first)->next;
        df_net_pool_give(&q->chunks, tick->first);
        tick->first = next;
        tick->taken = 0;
    }
}

bool df_net_queue_pop(df_net_queue *q, uint64_t *time_ns, uint32_t *kind, uint32_t *what)
{
    /* A tick whose list is empty stays until here: its last event may have added to it. */
    while (q->heap_count > 0) {
        df_net_tick *const tick = tick_at(q, q->heap[0].tick);
        drop_taken(q, tick);
        if (tick->first != tick->last || tick->taken < tick->put) {
            const uint32_t event = chunk_at(q, tick->first)->events[tick->taken++];
            *time_ns = tick->time_ns;
            *kind = event >> WHAT_BITS;
            *what = event & ((1U << WHAT_BITS) - 1);
            return true;
        }
        remove_tick(q, q->heap[0].tick);
    }
    return false;
}
