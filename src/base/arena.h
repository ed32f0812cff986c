/* arena.h: memory of one job, freed as a whole. */
#ifndef DF_ARENA_H
#define DF_ARENA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Works zeroed. */
typedef struct {
    struct df_arena_piece *pieces;
    bool failed; /* memory ran out at some time */
} df_arena;

/* Zeroed memory for count items of size bytes; NULL when out of memory. */
void *df_arena_take(df_arena *arena, size_t count, size_t size);
/* Numbers of which each is `value`; NULL when out of memory. */
int32_t *df_arena_numbers(df_arena *arena, size_t count, int32_t value);
void df_arena_free(df_arena *arena);

/* Appends an item to a list in the arena, which is any struct { T *all; int32_t count, room; },
 * empty when zeroed. When memory runs out, the list stays as it was. */
#define DF_ARENA_ADD(arena, list, ...)                                                             \
    ((void)(((list)->count < (list)->room ||                                                       \
             df_arena_grow((arena), &(list)->all, &(list)->room, sizeof *(list)->all)) &&          \
            ((list)->all[(list)->count++] = (__VA_ARGS__), true)))
/* Used by DF_ARENA_ADD: doubles the room of the array whose address `array` is. */
bool df_arena_grow(df_arena *arena, void *array, int32_t *room, size_t size);

#endif
