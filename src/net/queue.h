/* queue.h: the event queue: by time, then by the order in which events were put in.
 *
 * Events of one tick form a list of chunks; a heap orders the ticks and a table finds them. So
 * an event costs the same however many wait, since few ticks are waiting at any time:
 *
 *     heap:  [12]  [40]  [17]          by time, each tick once
 *             |     |     |
 *     lists:  ab-c  f     de           first in, first out
 */
#ifndef DF_NET_QUEUE_H
#define DF_NET_QUEUE_H
#include "net/pool.h"
#include "net/table.h"

enum { DF_NET_IN_CHUNK = 15 }; /* so that a chunk has 64 bytes */

/* An event is a number with its kind, 0 to 3, on top. */
typedef struct {
    uint32_t next; /* in the list of its tick */
    uint32_t events[DF_NET_IN_CHUNK];
} df_net_chunk;

typedef struct {
    df_net_hashed hashed;
    uint64_t time_ns;
    uint32_t first, last; /* chunks */
    uint32_t taken, put;  /* in the first, in the last chunk */
} df_net_tick;

typedef struct {
    uint64_t time_ns;
    uint32_t tick;
} df_net_heap_entry;

enum { DF_NET_HINTS = 8 };

typedef struct {
    df_net_pool chunks, ticks;
    df_net_table by_time;          /* of ticks */
    uint32_t recent[DF_NET_HINTS]; /* the last tick that was found with this hint */
    df_net_heap_entry *heap;
    uint32_t heap_count, heap_room;
} df_net_queue;

bool df_net_queue_init(df_net_queue *queue, df_net_memory *memory);
void df_net_queue_fini(df_net_queue *queue);
void df_net_queue_clear(df_net_queue *queue);

/* The tick of a time; 0 when out of memory. It is there until the next
 * pop when no event is put in. Found at once where the last time with the same hint, less than
 * DF_NET_HINTS, was the same. */
uint32_t df_net_queue_tick(df_net_queue *queue, uint32_t hint, uint64_t time_ns);
/* Puts an event into a tick; into the current one, it still runs in that. False when out of
 * memory. */
bool df_net_queue_put(df_net_queue *queue, uint32_t tick, uint32_t kind, uint32_t what);
/* Both, with the kind as the hint. */
bool df_net_queue_push(df_net_queue *queue, uint64_t time_ns, uint32_t kind, uint32_t what);

/* Takes the first event out; false when there is none. */
bool df_net_queue_pop(df_net_queue *queue, uint64_t *time_ns, uint32_t *kind, uint32_t *what);

#endif
