/* report.h: a results file as one page for a browser, which needs no network.
 *
 * The page holds our HTML, style and script (page/), the plotting library, and the numbers. */
#ifndef DF_REPORT_H
#define DF_REPORT_H
#include <stdio.h>

#include "store/store_read.h"

typedef struct {
    const char *path;    /* path of results.h5, for the commands on the page */
    const char *version; /* version of the program that makes the page */
    const char *model_version;
    const char *made;  /* when */
    int64_t most_rows; /* most rows of /searches on the page; 0: 100,000. If there are more, the
                          best and a sample are taken. */
} df_report_options;

typedef struct df_report df_report;

/* Gathers everything that is on the page. DF_EINVAL: the inputs in the file cannot be parsed.
 * DF_EIO: the file cannot be read. */
DF_NODISCARD df_status df_report_new(const df_results *results,
                                     const df_report_options *options,
                                     df_report **out,
                                     df_err *err);
/* Writes the page; ferror tells whether that failed. */
void df_report_print(const df_report *report, FILE *out);
/* Writes only the numbers; analysis/report.py reads them. */
void df_report_print_json(const df_report *report, FILE *out);
void df_report_free(df_report *report); /* NULL is fine */

/* Whether this program contains the plotting library of the page. */
bool df_report_possible(void);

/* What the predictions of a search rest on, as a sentence without its end: its rules and, where
 * these are the calibrated ones, its kernels, profile and power. DF_EINVAL: the inputs in the file
 * cannot be parsed. */
enum { DF_REPORT_REST = 2560 };
DF_NODISCARD df_status df_report_rests_on(const df_results *results,
                                          char text[DF_REPORT_REST],
                                          df_err *err);

/* The design of one search, as a configuration for `predict`; df_cfg_write writes it. DF_EINVAL:
 * there is no such search, or it has not finished. DF_INFEASIBLE: it found no device. */
DF_NODISCARD df_status df_report_design(const df_results *results,
                                        int64_t work_id,
                                        df_cfg *out,
                                        df_err *err);

#endif
