/* merge_settings.h: inside the merge. Which settings of sweeps must agree, and the settings of
 * the whole. Settings are lines KEY=VALUE. */
#ifndef DF_STORE_MERGE_SETTINGS_H
#define DF_STORE_MERGE_SETTINGS_H
#include "store/store.h"

/* The indices that all strategies of the merged file have; count 0: they do not all have the same
 * ones. */
typedef struct {
    int32_t first, count;
} df_merge_indices;

/* DF_EINVAL: a line differs that is not one of those that say which searches there are; the text
 * names it ("settings, rules: expected ... as there, found ..."). */
DF_NODISCARD df_status df_settings_check(const char *first, const char *other, df_err *err);

/* The settings of the whole, malloc'ed: each line as it is, or with all the values that it has in
 * the files. NULL when out of memory. */
char *df_settings_join(const char *const *settings, int count, const df_merge_indices *indices);

#endif
