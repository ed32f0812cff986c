/* cfg_layout.h: scheduling_param.layout, which says what each part of a pipeline holds:
 *
 *   layout = item {item}
 *   item   = thing ["*" COUNT]  |  "(" {thing ["*" COUNT]} ")" "*" COUNT
 *   thing  = "E" embedding | "t" layer | "m" prediction layer | "L" logits and loss | "|" next part
 *
 * such as "Et*4|(t*4|)*14tmL". Part j is on stage j mod lp. */
#ifndef DF_CFG_LAYOUT_H
#define DF_CFG_LAYOUT_H
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { DF_LAYOUT_ROOM = 4096 }; /* things of a layout, with its bars */

typedef struct {
    int length, parts;
    char thing[DF_LAYOUT_ROOM]; /* without counts and brackets; no end */
} df_cfg_layout;

/* DF_EINVAL: err is "expected ..., found ...". */
DF_NODISCARD df_status df_cfg_layout_parse(const char *text, df_cfg_layout *out, df_err *err);

/* How often a thing is there, on all stages. */
int df_cfg_layout_count(const df_cfg_layout *layout, char thing);

#endif
