/* tiles.h: private to gemm: the tile candidates, ready for the search's loops. */
#ifndef DF_GEMM_TILES_H
#define DF_GEMM_TILES_H
#include <stdbool.h>
#include <stdint.h>

#include "gemm/gemm.h"

/* Outputs of the generator that a sampling may use; candidates that exist are
 * found well within (docs/models.md). */
enum { DF_TILE_STREAM = 4096 };

/* The generator's outputs for the reference's seed, the same for every sampling. */
typedef struct {
    uint32_t value[DF_TILE_STREAM];
} df_tile_stream;

void df_tile_stream_init(df_tile_stream *stream);

/* df_gemm_tiles on a prepared stream. */
int df_tile_draw(const df_tile_stream *stream,
                 int level,
                 bool output_takes_no_room,
                 double elems,
                 double square,
                 df_gemm_tile tiles[DF_TILES]);

#endif
