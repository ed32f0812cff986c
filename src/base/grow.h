/* grow.h: arrays that grow by doubling. */
#ifndef DF_GROW_H
#define DF_GROW_H
#include <stddef.h>
#include <stdint.h>

/* Makes room for one more item of size bytes behind count; returns the array, which may have
 * moved, or NULL when out of memory: then the old one stays. */
void *df_grow(void *array, int32_t count, int32_t *room, size_t size);

#endif
