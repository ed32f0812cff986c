#include "base/arena.h"

#include <stdlib.h>

/* Each piece is an allocation of its own, so that sanitizers see what runs over its end. */
struct df_arena_piece {
    struct df_arena_piece *next;
    max_align_t bytes[];
};

void *df_arena_take(df_arena *arena, size_t count, size_t size)
{
    struct df_arena_piece *piece = NULL;
    if (count <= (SIZE_MAX / 2) / size) {
        piece = calloc(1, sizeof *piece + count * size);
    }
    if (!piece) {
        arena->failed = true;
        return NULL;
    }
    piece->next = arena->pieces;
    arena->pieces = piece;
    return piece->bytes;
}

int32_t *df_arena_numbers(df_arena *arena, size_t count, int32_t value)
{
    int32_t *const numbers = df_arena_take(arena, count, sizeof *numbers);
    for (size_t i = 0; numbers && value != 0 && i < count; i++) {
        numbers[i] = value;
    }
    return numbers;
}

void df_arena_free(df_arena *arena)
{
    while (arena->pieces) {
        struct df_arena_piece *const piece = arena->pieces;
        arena->pieces = piece->next;
        free(piece);
    }
}
