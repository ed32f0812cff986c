#include "net/queue.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

static df_net_event *event_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_event *)(void *)q->events.items)[number];
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
    const bool events = df_net_pool_init(&q->events, sizeof(df_net_event), memory);
    const bool ticks = df_net_pool_init(&q->ticks, sizeof(df_net_tick), memory);
    return df_net_table_init(&q->by_time) && q->heap && events && ticks;
}

void df_net_queue_fini(df_net_queue *q)
{
    df_net_pool_fini(&q->events);
    df_net_pool_fini(&q->ticks);
    df_net_table_fini(&q->by_time);
    free(q->heap);
}

void df_net_queue_clear(df_net_queue *q)
{
    df_net_pool_clear(&q->events);
    df_net_pool_clear(&q->ticks);
    df_net_table_clear(&q->by_time);
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

/* The tick of this time, made if it is new; 0 when out of memory. */
static uint32_t find_tick(df_net_queue *q, uint64_t time_ns)
{
    const uint32_t hash = df_net_hash(time_ns);
    uint32_t number = df_net_table_first(&q->by_time, hash);
    while (number != 0 && tick_at(q, number)->time_ns != time_ns) {
        number = tick_at(q, number)->hashed.chain;
    }
    if (number != 0) {
        return number;
    }
    if (q->heap_count == q->heap_room && !grow_heap(q)) {
        return 0;
    }
    number = df_net_pool_take(&q->ticks);
    if (number == 0) {
        return 0;
    }
    *tick_at(q, number) = (df_net_tick){.time_ns = time_ns};
    if (!df_net_table_add(&q->by_time, &q->ticks, number, hash)) {
        return 0;
    }
    sift_up(q, time_ns, number);
    return number;
}

static void remove_tick(df_net_queue *q, uint32_t number)
{
    df_net_table_remove(&q->by_time, &q->ticks, number);
    df_net_pool_give(&q->ticks, number);
    remove_top(q);
}

bool df_net_queue_push(df_net_queue *q, uint64_t time_ns, uint32_t kind, uint32_t what)
{
    const uint32_t number = df_net_pool_take(&q->events);
    const uint32_t tick_number = number != 0 ? find_tick(q, time_ns) : 0;
    if (tick_number == 0) {
        return false;
    }
    df_net_tick *const tick = tick_at(q, tick_number);
    *event_at(q, number) = (df_net_event){0, kind, what};
    if (tick->first == 0) {
        tick->first = number;
    } else {
        event_at(q, tick->last)->next = number;
    }
    tick->last = number;
    return true;
}

bool df_net_queue_pop(df_net_queue *q, uint64_t *time_ns, uint32_t *kind, uint32_t *what)
{
    /* A tick whose list is empty stays until here: its last event may have added to it. */
    while (q->heap_count > 0) {
        df_net_tick *const tick = tick_at(q, q->heap[0].tick);
        const uint32_t number = tick->first;
        if (number != 0) {
            const df_net_event *const event = event_at(q, number);
            *time_ns = tick->time_ns;
            *kind = event->kind;
            *what = event->what;
            tick->first = event->next;
            df_net_pool_give(&q->events, number);
            return true;
        }
        remove_tick(q, q->heap[0].tick);
    }
    return false;
}
