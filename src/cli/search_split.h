/* search_split.h: how the best designs of a search spend their budgets, and what holds them back.
 */
#ifndef DF_SEARCH_SPLIT_H
#define DF_SEARCH_SPLIT_H
#include "sweep/sweep.h"

/* Prints a row for each of the designs: percents of area, power and perimeter, and what binds: the
 * budgets of which 1 % more would make it better, by how many percent; memory that is full;
 * limits that are reached. */
DF_NODISCARD df_status df_search_print_split(const df_sweep_plan *plan,
                                             const df_store_search *best,
                                             int32_t count,
                                             df_err *err);

#endif
