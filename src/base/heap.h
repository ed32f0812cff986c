/* heap.h: binary heaps in arrays of the caller's: the events of a simulation, in the order of
 * (time, sequence).
 *
 * DF_HEAP(name, type, earlier) defines name_push and name_pop for arrays of `type` that have
 * room; earlier(&a, &b) says whether a comes out before b, and must decide ties, so that the order
 * does not depend on the heap. They are inlined: simulations spend their time in them. */
#ifndef DF_HEAP_H
#define DF_HEAP_H
#include <stdint.h>

#define DF_HEAP(name, type, earlier)                                                               \
    static inline void name##_push(type heap[], int32_t *count, type item)                         \
    {                                                                                              \
        int32_t at = (*count)++;                                                                   \
        while (at > 0 && earlier(&item, &heap[(at - 1) / 2])) {                                    \
            heap[at] = heap[(at - 1) / 2];                                                         \
            at = (at - 1) / 2;                                                                     \
        }                                                                                          \
        heap[at] = item;                                                                           \
    }                                                                                              \
                                                                                                   \
    static inline type name##_pop(type heap[], int32_t *count)                                     \
    {                                                                                              \
        const type first = heap[0];                                                                \
        const type last = heap[--*count];                                                          \
        int32_t at = 0;                                                                            \
        for (int32_t child = 1; child < *count; child = 2 * at + 1) {                              \
            if (child + 1 < *count && earlier(&heap[child + 1], &heap[child])) {                   \
                child++;                                                                           \
            }                                                                                      \
            if (!earlier(&heap[child], &last)) {                                                   \
                break;                                                                             \
            }                                                                                      \
            heap[at] = heap[child];                                                                \
            at = child;                                                                            \
        }                                                                                          \
        heap[at] = last;                                                                           \
        return first;                                                                              \
    }

#endif
