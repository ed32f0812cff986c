/* search_table.h: the best of a search as a table on stdout. */
#ifndef DF_SEARCH_TABLE_H
#define DF_SEARCH_TABLE_H
#include "sweep/sweep.h"

/* Prints the best `top` rows of the store, at most, and notes through *found how many working
 * designs there are, up to `top` or 1. */
DF_NODISCARD df_status df_search_print_best(
    const df_sweep_plan *plan, df_store *store, int32_t top, int32_t *found, df_err *err);

#endif
