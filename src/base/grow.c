#include "base/grow.h"

#include <stdlib.h>

void *df_grow(void *array, int32_t count, int32_t *room, size_t size)
{
    if (count < *room) {
        return array;
    }
    const int32_t more = *room > 0 ? 2 * *room : 4;
    void *const grown = more > *room ? realloc(array, (size_t)more * size) : NULL;
    if (grown) {
        *room = more;
    }
    return grown;
}
