#include "base/grow.h"

#include <stdlib.h>
#include <string.h>

void *df_grow(void *array, int32_t count, int32_t *room, size_t size)
{
    if (count < *room) {
        return array;
    }
    if (*room > INT32_MAX / 2) {
        return NULL;
    }
    const int32_t more = *room > 0 ? 2 * *room : 4;
    void *const grown = realloc(array, (size_t)more * size);
    if (grown) {
        *room = more;
    }
    return grown;
}

bool df_list_grow(void *array, int32_t *room, size_t size)
{
    void *all;
    memcpy(&all, array, sizeof all); /* a pointer to items of any type */
    all = df_grow(all, *room, room, size);
    if (all) {
        memcpy(array, &all, sizeof all);
    }
    return all != NULL;
}
