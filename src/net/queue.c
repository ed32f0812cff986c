#include "net/queue.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BITS = 8 };

static df_net_event *event_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_event *)(void *)q->events.items)[number];
}

static df_net_tick *tick_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_tick *)(void *)q->ticks.items)[number];
}

bool df_net_queue_init(df_net_queue *q)
{
    memset(q, 0, sizeof *q);
    q->table_bits = FIRST_BITS;
    q->heap_room = 1U << FIRST_BITS;
    q->heap = calloc(q->heap_room, sizeof *q->heap);
    q->table = calloc((size_t)1 << q->table_bits, sizeof *q->table);
    const bool events = df_net_pool_init(&q->events, sizeof(df_net_event));
    const bool ticks = df_net_pool_init(&q->ticks, sizeof(df_net_tick));
    return q->heap && q->table && events && ticks;
}

void df_net_queue_fini(df_net_queue *q)
{
    df_net_pool_fini(&q->events);
    df_net_pool_fini(&q->ticks);
    free(q->heap);
    free(q->table);
}

void df_net_queue_clear(df_net_queue *q)
{
    df_net_pool_clear(&q->events);
    df_net_pool_clear(&q->ticks);
    q->heap_count = 0;
    memset(q->table, 0, sizeof *q->table << q->table_bits);
}

/* Doubles heap and table together: there are never more ticks than buckets. */
static bool grow(df_net_queue *q)
{
    const uint32_t bits = q->table_bits + 1;
    df_net_heap_entry *const heap = realloc(q->heap, sizeof *heap << bits);
    if (!heap) {
        return false;
    }
    q->heap = heap;
    uint32_t *const table = calloc((size_t)1 << bits, sizeof *table);
    if (!table) {
        return false;
    }
    for (uint32_t i = 0; i < q->heap_count; i++) {
        uint32_t *const head = &table[df_net_hash(heap[i].time_ns, bits)];
        tick_at(q, heap[i].tick)->chain = *head;
        *head = heap[i].tick;
    }
    free(q->table);
    q->table = table;
    q->table_bits = bits;
    q->heap_room = 1U << bits;
    return true;
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
    const df_net_heap_entry last = q->heap[--q->heap_count];
    const uint32_t count = q->heap_count;
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && q->heap[child + 1].time_ns < q->heap[child].time_ns) {
            child++;
        }
        if (child >= count || q->heap[child].time_ns >= last.time_ns) {
            break;
        }
        q->heap[at] = q->heap[child];
        at = child;
    }
    q->heap[at] = last;
}

/* The tick of this time, made if it is new; 0 when out of memory. */
static uint32_t find_tick(df_net_queue *q, uint64_t time_ns)
{
    uint32_t number = q->table[df_net_hash(time_ns, q->table_bits)];
    while (number != 0 && tick_at(q, number)->time_ns != time_ns) {
        number = tick_at(q, number)->chain;
    }
    if (number != 0) {
        return number;
    }
    if (q->heap_count == q->heap_room && !grow(q)) {
        return 0;
    }
    number = df_net_pool_take(&q->ticks);
    if (number != 0) {
        uint32_t *const head = &q->table[df_net_hash(time_ns, q->table_bits)];
        *tick_at(q, number) = (df_net_tick){.chain = *head, .time_ns = time_ns};
        *head = number;
        sift_up(q, time_ns, number);
    }
    return number;
}

static void remove_tick(df_net_queue *q, uint32_t number)
{
    uint32_t *link = &q->table[df_net_hash(tick_at(q, number)->time_ns, q->table_bits)];
    while (*link != number) {
        link = &tick_at(q, *link)->chain;
    }
    *link = tick_at(q, number)->chain;
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
