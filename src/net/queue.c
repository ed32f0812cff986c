#include "net/queue.h"

#include <string.h>

enum { WHAT_BITS = 30, DIGIT_BITS = 6 };

static df_net_chunk *chunk_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_chunk *)(void *)q->chunks.items)[number];
}

static df_net_entry *entry_at(const df_net_queue *q, uint32_t number)
{
    return &((df_net_entry *)(void *)q->entries.items)[number];
}

bool df_net_queue_init(df_net_queue *q, df_net_memory *memory)
{
    memset(q, 0, sizeof *q);
    const bool made = df_net_pool_init(&q->chunks, sizeof(df_net_chunk), memory);
    if (!df_net_pool_init(&q->entries, sizeof(df_net_entry), memory) || !made) {
        return false;
    }
    df_net_queue_clear(q);
    return true;
}

void df_net_queue_fini(df_net_queue *q)
{
    df_net_pool_fini(&q->chunks);
    df_net_pool_fini(&q->entries);
}

void df_net_queue_clear(df_net_queue *q)
{
    df_net_pool_clear(&q->chunks);
    df_net_pool_clear(&q->entries);
    memset(q->classes, 0, sizeof q->classes);
    memset(q->occupied, 0, sizeof q->occupied);
    q->digits = 0;
    q->has_alone = false;
    q->first = q->last = q->taken = 0;
    q->now_ns = 0;
    *entry_at(q, 0) = (df_net_entry){.time_ns = UINT64_MAX}; /* is of no tick */
}

/* ---- Events of one tick ---- */

/* A list of one event; 0 if out of memory. */
static uint32_t make_list(df_net_queue *q, uint32_t event)
{
    const uint32_t number = df_net_pool_take(&q->chunks);
    df_net_chunk *const chunk = chunk_at(q, number);
    chunk->next = 0;
    chunk->count = 1;
    chunk->events[0] = event;
    return number;
}

/* Puts an event at the end of a list; the new end, or 0 when out of memory. */
static uint32_t append(df_net_queue *q, uint32_t last, uint32_t event)
{
    df_net_chunk *const chunk = chunk_at(q, last);
    if (chunk->count < DF_NET_IN_CHUNK) {
        chunk->events[chunk->count++] = event;
        return last;
    }
    const uint32_t added = make_list(q, event);
    chunk_at(q, last)->next = added; /* the pool may have moved */
    return added;
}

/* Puts events (one when more_last is 0) behind those of a list. False when out of memory. */
static bool join(df_net_queue *q, uint32_t *last, uint32_t more_first, uint32_t more_last)
{
    if (more_last == 0) {
        *last = append(q, *last, more_first);
    } else {
        chunk_at(q, *last)->next = more_first;
        *last = more_last;
    }
    return *last != 0;
}

/* Puts events behind those of an entry. */
static bool join_entry(df_net_queue *q, df_net_entry *entry, uint32_t first, uint32_t last)
{
    if (entry->last == 0) {
        entry->first = entry->last = make_list(q, entry->first);
    }
    return entry->last != 0 && join(q, &entry->last, first, last);
}

static void set_now(df_net_queue *q, uint32_t first, uint32_t last)
{
    q->has_alone = last == 0;
    q->alone = first;
    q->first = last == 0 ? 0 : first;
    q->last = last;
}

/* Puts events behind those of the current tick. */
static bool join_now(df_net_queue *q, uint32_t first, uint32_t last)
{
    if (q->has_alone) {
        q->has_alone = false;
        q->first = q->last = make_list(q, q->alone);
        return q->last != 0 && join(q, &q->last, first, last);
    }
    if (q->last != 0) {
        return join(q, &q->last, first, last);
    }
    set_now(q, first, last);
    return true;
}

/* ---- Classes ---- */

static int digit_of(const df_net_queue *q, uint64_t time_ns)
{
    return (63 - __builtin_clzll(time_ns ^ q->now_ns)) / DIGIT_BITS;
}

static int value_of(uint64_t time_ns, int digit)
{
    return (int)(time_ns >> DIGIT_BITS * digit & (DF_NET_DIGIT_VALUES - 1));
}

/* The last entry of a tick when it is one of the last two of its class; else 0. */
static uint32_t find(const df_net_queue *q, const df_net_class *class, uint64_t time_ns)
{
    const uint32_t last = class->last;
    const uint32_t before = entry_at(q, last)->previous;
    const uint32_t found = entry_at(q, before)->time_ns == time_ns ? before : 0;
    return entry_at(q, last)->time_ns == time_ns ? last : found;
}

static void put_last(df_net_queue *q, df_net_class *class, uint32_t number)
{
    df_net_entry *const entry = entry_at(q, number);
    entry->next = 0;
    entry->previous = class->last;
    entry_at(q, class->last)->next = number; /* not used when the class is empty */
    class->first = class->last == 0 ? number : class->first;
    class->last = number;
}

/* The class of a time that is not now, noted as one that holds something. */
static df_net_class *occupy(df_net_queue *q, uint64_t time_ns)
{
    const int digit = digit_of(q, time_ns);
    const int value = value_of(time_ns, digit);
    q->digits |= (uint16_t)(1U << digit);
    q->occupied[digit] |= UINT64_C(1) << value;
    return &q->classes[digit][value];
}

bool df_net_queue_push(df_net_queue *q, uint64_t time_ns, uint32_t kind, uint32_t what)
{
    const uint32_t event = kind << WHAT_BITS | what;
    if (time_ns == q->now_ns) {
        return join_now(q, event, 0);
    }
    df_net_class *const class = occupy(q, time_ns);
    const uint32_t found = find(q, class, time_ns);
    if (found != 0) {
        return join_entry(q, entry_at(q, found), event, 0);
    }
    const uint32_t number = df_net_pool_take(&q->entries);
    if (number != 0) {
        *entry_at(q, number) = (df_net_entry){.time_ns = time_ns, .first = event};
        put_last(q, class, number);
    }
    return number != 0;
}

/* ---- Taking out ---- */

/* Moves an entry to the class where it belongs now. */
static bool move(df_net_queue *q, uint32_t number)
{
    df_net_entry *const entry = entry_at(q, number);
    if (entry->time_ns == q->now_ns) {
        df_net_pool_give(&q->entries, number);
        return join_now(q, entry->first, entry->last);
    }
    df_net_class *const class = occupy(q, entry->time_ns);
    const uint32_t found = find(q, class, entry->time_ns);
    if (found == 0) {
        put_last(q, class, number);
        return true;
    }
    df_net_pool_give(&q->entries, number);
    return join_entry(q, entry_at(q, found), entry->first, entry->last);
}

/* Empties the lowest class that holds something; its first entry. */
static uint32_t take_class(df_net_queue *q)
{
    const int digit = __builtin_ctz(q->digits);
    const int value = __builtin_ctzll(q->occupied[digit]);
    df_net_class *const class = &q->classes[digit][value];
    const uint32_t first = class->first;
    *class = (df_net_class){0, 0};
    q->occupied[digit] &= q->occupied[digit] - 1;
    q->digits &= (uint16_t) ~((q->occupied[digit] == 0) << digit);
    return first;
}

/* Turns to the next tick that has events: the least of the lowest class. */
static bool advance(df_net_queue *q)
{
    uint32_t number = take_class(q);
    const df_net_entry *const only = entry_at(q, number);
    if (only->next == 0) { /* mostly */
        q->now_ns = only->time_ns;
        set_now(q, only->first, only->last);
        df_net_pool_give(&q->entries, number);
        return true;
    }
    uint64_t least = UINT64_MAX;
    for (uint32_t i = number; i != 0; i = entry_at(q, i)->next) {
        least = entry_at(q, i)->time_ns < least ? entry_at(q, i)->time_ns : least;
    }
    q->now_ns = least;
    bool moved = true;
    while (number != 0 && moved) {
        const uint32_t next = entry_at(q, number)->next;
        moved = move(q, number);
        number = next;
    }
    return moved;
}

/* Drops the first chunk once all of it is taken. */
static void drop_taken(df_net_queue *q)
{
    const df_net_chunk *const chunk = chunk_at(q, q->first);
    if (q->taken == chunk->count) {
        const uint32_t next = chunk->next;
        df_net_pool_give(&q->chunks, q->first);
        q->first = next;
        q->last = next == 0 ? 0 : q->last;
        q->taken = 0;
    }
}

bool df_net_queue_pop(df_net_queue *q, uint64_t *time_ns, uint32_t *kind, uint32_t *what)
{
    if (!q->has_alone && q->first == 0 && (q->digits == 0 || !advance(q))) {
        return false;
    }
    uint32_t event = q->alone;
    if (q->has_alone) {
        q->has_alone = false;
    } else {
        event = chunk_at(q, q->first)->events[q->taken++];
        drop_taken(q);
    }
    *time_ns = q->now_ns;
    *kind = event >> WHAT_BITS;
    *what = event & ((1U << WHAT_BITS) - 1);
    return true;
}

bool df_net_queue_empty(const df_net_queue *q)
{
    return !q->has_alone && q->first == 0 && q->digits == 0;
}
