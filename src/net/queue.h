/* queue.h: the event queue, ordered by time and then by the order in which events were inserted.
 *
 * It is a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, "Faster algorithms for the shortest path
 * problem", 1990). Time never goes back, so a waiting tick is classed by the highest digit (of six
 * bits) in which it differs from now, and by its value of that digit. When the present tick is
 * finished, the lowest class that holds something has the next tick; its other entries move to
 * lower classes, in their order. Equal times are always in one class, so they stay in order, and
 * an event moves at most once for each digit, however many others wait. With times in octal, two
 * places to a digit:
 *
 *     now           0140   events a-b-c, first in, first out
 *     digit 0, 43   0143   [0143: d]
 *     digit 1, 02   02xx   [0271: e-f]  [0270: g]
 *     digit 1, 05   05xx   [0511: h]
 *
 * Events of one tick that are inserted close together share an entry. */
#ifndef DF_NET_QUEUE_H
#define DF_NET_QUEUE_H
#include "net/pool.h"

enum { DF_NET_IN_CHUNK = 14 }; /* so that a chunk has 64 bytes */
enum { DF_NET_DIGITS = 11, DF_NET_DIGIT_VALUES = 64 };

/* An event is a number with its kind, 0 to 3, on top. */
typedef struct {
    uint32_t next; /* 0: none */
    uint32_t count;
    uint32_t events[DF_NET_IN_CHUNK];
} df_net_chunk;

/* Events of one tick in their order: a single event, or a list of chunks. */
typedef struct {
    uint32_t next, previous; /* neighbours in its class; 0: none */
    uint64_t time_ns;
    uint32_t first; /* the event itself when last is 0; else a chunk */
    uint32_t last;
} df_net_entry;

typedef struct {
    uint32_t first, last; /* entries; 0: none */
} df_net_class;

typedef struct {
    df_net_pool chunks, entries;
    uint64_t now_ns;
    uint32_t alone;       /* the only event of now, if has_alone; else there is a list: */
    uint32_t first, last; /* chunks; 0: none */
    uint32_t taken;       /* events taken from the first chunk */
    bool has_alone;
    uint16_t digits;                  /* a bit for each with a class that holds something */
    uint64_t occupied[DF_NET_DIGITS]; /* a bit for each such class */
    df_net_class classes[DF_NET_DIGITS][DF_NET_DIGIT_VALUES];
} df_net_queue;

bool df_net_queue_init(df_net_queue *queue, df_net_memory *memory);
void df_net_queue_fini(df_net_queue *queue);
/* Empties the queue; it is time 0. */
void df_net_queue_clear(df_net_queue *queue);

/* Puts an event in; one of now still runs in this tick. time_ns must not lie before the last
 * event that was taken out. False when out of memory. */
bool df_net_queue_push(df_net_queue *queue, uint64_t time_ns, uint32_t kind, uint32_t what);

/* Takes the first event out; false when there is none, or out of memory (then the queue is not
 * empty). */
bool df_net_queue_pop(df_net_queue *queue, uint64_t *time_ns, uint32_t *kind, uint32_t *what);
bool df_net_queue_empty(const df_net_queue *queue);

#endif
