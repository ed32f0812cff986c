/* draw.h: draws graphs with Graphviz's library. The library is loaded when a picture is drawn, so
 * that nothing else waits for it, and in a separate process. */
#ifndef DF_DRAW_H
#define DF_DRAW_H
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Most nodes in a picture, which says how many it leaves out. The time of the layout grows faster
 * than linearly, and nobody can read more. */
enum { DF_DRAW_MAX = 400 };

typedef enum {
    DF_DRAW_COMPUTE,
    DF_DRAW_MESSAGE,
    DF_DRAW_COLLECTIVE,
    DF_DRAW_MARK,
} df_draw_kind;

typedef struct df_draw df_draw;

/* NULL when out of memory. */
df_draw *df_draw_new(const char *title);
void df_draw_free(df_draw *draw);

/* Adds a node; id is the caller's. lane: nodes of a lane share a colour (a device); -1: none.
 * Whatever comes after the first DF_DRAW_MAX nodes is only counted. */
void df_draw_node(df_draw *draw, uint64_t id, df_draw_kind kind, int32_t lane, const char *label);
/* Adds an edge; it shows when both nodes are in the picture. */
void df_draw_edge(df_draw *draw, uint64_t from, uint64_t to);

/* Lays the graph out and writes a PNG. DF_ENOMEM, DF_EIO; DF_ERUNTIME: Graphviz cannot be
 * loaded. */
DF_NODISCARD df_status df_draw_write(df_draw *draw, const char *path, df_err *err);

#endif
