/* search_table.h: the best of a search as a table on stdout. */
#ifndef DF_SEARCH_TABLE_H
#define DF_SEARCH_TABLE_H
#include "sweep/sweep.h"

enum { DF_SEARCH_LAYOUT = 32 };

/* "2013", or on nodes the axes that leave one: "dp lp". */
void df_search_layout_text(const df_store_strategy *row, char text[DF_SEARCH_LAYOUT]);
/* The head of that column. */
const char *df_search_layout_head(const df_store_strategy *row);

/* Prints at most `top` results of the store, the best first; of rows with the same result, it
 * prints the first and how many more there are. Through *found it tells how many working designs
 * there are, up to `top` or 1. */
DF_NODISCARD df_status df_search_print_best(
    const df_sweep_plan *plan, df_store *store, int32_t top, int32_t *found, df_err *err);

#endif
