/* queue.h: the event queue: by time, then by the order in which events were put in.
 *
 * Events of one tick form a list; a heap orders the ticks and a table finds them. So an event
 * costs the same however many wait, since few ticks are waiting at any time:
 *
 *     heap:  [12]  [40]  [17]          by time, each tick once
 *             |     |     |
 *     lists:  a-b   e     c-d          first in, first out
 */
#ifndef DF_NET_QUEUE_H
#define DF_NET_QUEUE_H
#include "net/pool.h"
#include "net/table.h"

typedef struct {
    uint32_t next; /* in the list of its tick */
    uint32_t kind, what;
} df_net_event;

typedef struct {
    df_net_hashed hashed;
    uint32_t first, last;
    uint64_t time_ns;
} df_net_tick;

typedef struct {
    uint64_t time_ns;
    uint32_t tick;
} df_net_heap_entry;

typedef struct {
    df_net_pool events, ticks;
    df_net_table by_time; /* of ticks */
    df_net_heap_entry *heap;
    uint32_t heap_count, heap_room;
} df_net_queue;

bool df_net_queue_init(df_net_queue *queue, df_net_memory *memory);
void df_net_queue_fini(df_net_queue *queue);
void df_net_queue_clear(df_net_queue *queue);

/* Puts an event in; at the current tick it still runs in that tick. False when out of
 * memory. */
bool df_net_queue_push(df_net_queue *queue, uint64_t time_ns, uint32_t kind, uint32_t what);

/* Takes the first event out; false when there is none. */
bool df_net_queue_pop(df_net_queue *queue, uint64_t *time_ns, uint32_t *kind, uint32_t *what);

#endif
