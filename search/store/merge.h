/* merge.h: combines several results files of the same inputs into one: parts of a sweep, or sweeps
 * that differ in which searches they list. This is another public part of the store. */
#ifndef DF_STORE_MERGE_H
#define DF_STORE_MERGE_H
#include "store/store.h"

/* Numbers of a merge. */
typedef struct {
    int64_t strategies, searches; /* rows of the whole */
    int64_t pending;              /* searches that no file has done */
    int64_t repeated; /* searches that are in more than one file, with the same result */
    int64_t damaged;  /* rows whose checksum is wrong: taken as pending */
} df_merge_counts;

/* Writes `out` completely or not at all; a file of that name is replaced. Its searches are those of
 * all files, sorted by strategy (in the order in which they appear) and index. Except for
 * /provenance, it is therefore what one run over all of them would have written. `made` has the
 * texts of /provenance; evaluations, seconds and ranks are added up. DF_EINVAL: the files were made
 * from different inputs, or results of one search differ (err says which and how). DF_EIO.
 * DF_ENOMEM. */
DF_NODISCARD df_status df_store_merge(const char *const *paths,
                                      int count,
                                      const char *out,
                                      const df_store_plan *made,
                                      df_merge_counts *counts,
                                      df_err *err);

#endif
