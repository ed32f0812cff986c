/* report.h: a results file as one page for a browser, which needs no network.
 *
 * The page holds our HTML, style and script (page/), the plotting library, and the numbers. */
#ifndef DF_REPORT_H
#define DF_REPORT_H
#include <stdio.h>

#include "store/store_read.h"

typedef struct {
    const char *path;    /* of results.h5, for the commands on the page */
    const char *version; /* of the program that makes the page */
    const char *model_version;
    const char *made;  /* when */
    int64_t most_rows; /* of /searches on the page; 0: 100,000. Of more, the best and a sample. */
} df_report_options;

typedef struct df_report df_report;

/* Gathers all that is on the page. DF_EINVAL: the inputs in the file are not understood.
 * DF_EIO: it cannot be read. */
DF_NODISCARD df_status df_report_new(const df_results *results,
                                     const df_report_options *options,
                                     df_report **out,
                                     df_err *err);
/* Writes the page; what failed is to be seen by ferror. */
void df_report_print(const df_report *report, FILE *out);
/* The numbers alone; analysis/report.py reads them. */
void df_report_print_json(const df_report *report, FILE *out);
void df_report_free(df_report *report); /* NULL is fine */

/* Whether the page's library is in this program. */
bool df_report_possible(void);

/* The design of one search as a configuration that `predict` takes; df_cfg_write writes it.
 * DF_EINVAL: no such search, or one that is not done. DF_INFEASIBLE: it found no device. */
DF_NODISCARD df_status df_report_design(const df_results *results,
                                        int64_t work_id,
                                        df_cfg *out,
                                        df_err *err);

#endif
