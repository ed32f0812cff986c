/* tiles.h: private to gemm: the tile candidates of a memory level (docs/models.md). */
#ifndef DF_GEMM_TILES_H
#define DF_GEMM_TILES_H
#include <stdbool.h>
#include <stdint.h>

#include "gemm/gemm.h"

/* Candidates of a level, and the outputs of the generator that a sampling may use: candidates
 * that exist are found well within. */
enum { DF_TILES = 20, DF_TILE_STREAM = 4096 };

/* The outputs of the generator for the reference's seed, which are the same in every sampling. */
typedef struct {
    uint32_t value[DF_TILE_STREAM];
} df_tile_stream;

void df_tile_stream_init(df_tile_stream *stream);

/* The candidates in the order in which they are drawn. `elems` is the capacity of one bundle's
 * share in elements, and `square` the edge of the square tile; output_takes_no_room is as in
 * df_gemm_traffic. Returns the number of candidates; 0 if the capacity is too small for any. */
int df_tile_draw(const df_tile_stream *stream,
                 int level,
                 bool output_takes_no_room,
                 double elems,
                 double square,
                 df_gemm_tile tiles[DF_TILES]);

#endif
