/* grow.h: arrays that grow by doubling. */
#ifndef DF_GROW_H
#define DF_GROW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes room for one more item of size bytes behind count; returns the array, which may have
 * moved, or NULL when out of memory: then the old one stays. */
void *df_grow(void *array, int32_t count, int32_t *room, size_t size);

/* Appends an item to a list, which is any struct { T *all; int32_t count, room; }, empty when
 * zeroed. False when out of memory: then the list stays as it was. */
#define DF_LIST_ADD(list, ...)                                                                     \
    (((list)->count < (list)->room ||                                                              \
      df_list_grow(&(list)->all, &(list)->room, sizeof *(list)->all)) &&                           \
     ((list)->all[(list)->count++] = (__VA_ARGS__), true))
/* Used by DF_LIST_ADD: doubles the room of the array whose address `array` is. */
bool df_list_grow(void *array, int32_t *room, size_t size);

#endif
