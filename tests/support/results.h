/* results.h: comparing results files. */
#ifndef DF_TEST_RESULTS_H
#define DF_TEST_RESULTS_H
#include "support/support.h"

/* Where a dataset's data lie in a file. */
typedef struct {
    long long at, size;
} df_extent;

df_extent df_find_extent(const char *path, const char *dataset);

/* Fails unless all bytes but those of /provenance are the same. */
void df_assert_same_results(const char *a, const char *b);

#endif
