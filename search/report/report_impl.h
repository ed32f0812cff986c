/* report_impl.h: inside the report.
 *
 *   report_source.c   the sweep that a file is of: configurations of its designs
 *   report_pick.c     which rows come onto the page
 *   report_column.c   columns of numbers, packed
 *   report_rows.c     tables of the page: strategies, searches, trajectories
 *   report_design.c   designs in full: device, operators, YAML
 *   report.c          the page
 *   page.S            the files of page/ inside the program */
#ifndef DF_REPORT_IMPL_H
#define DF_REPORT_IMPL_H
#include <jansson.h>

#include "report/report.h"

/* ---- report_source.c ---- */

/* What a sweep was made from. */
typedef struct {
    const df_results *results;
    df_cfg cfg; /* the template */
    df_eval_options options;
    char rules[2048]; /* in the form that --rules takes */
    df_eval *eval;    /* evaluates the strategy `at`; NULL before the first */
    int32_t at;       /* the strategy of eval; -1: none */
    df_cfg at_cfg;    /* the template with it */
    bool works;       /* it can be evaluated */
} df_report_source;

DF_NODISCARD df_status df_report_source_init(df_report_source *source,
                                             const df_results *results,
                                             df_err *err);
void df_report_source_fini(df_report_source *source);
/* Whether its predictions are those of measured kernels, which rest on something. */
bool df_report_is_measured(const df_report_source *source);
/* The configuration of a design. False: with this version of the model its strategy does not
 * work. */
bool df_report_config(df_report_source *source, const df_store_search *search, df_cfg *out);

/* ---- report_pick.c ---- */

/* The figures of a front, each best when small, for files that have no front of their objectives.
 */
enum { DF_REPORT_AXES = 3 }; /* time, energy, area */

typedef struct {
    int64_t work_id;
    double value[DF_REPORT_AXES];
} df_report_peak;

typedef struct {
    int64_t *best;      /* the work_id of the best search of each strategy; -1: none */
    double *best_value; /* its value */
    int32_t *ranked;    /* strategies that have one, best first */
    int64_t num_ranked;
    df_report_peak *front; /* in the order of work_id */
    int64_t num_front, front_room;
    bool front_of_file;                      /* the front is that of /pareto */
    int64_t count[DF_SEARCH_INFEASIBLE + 1]; /* searches by status */
    int64_t stride;                          /* one in `stride` of the other searches is shown */
    double worst_shown;                      /* value of the last best that is shown for it */
    bool *shown;                             /* strategies that searches on the page are of */
} df_report_picked;

DF_NODISCARD df_status df_report_pick(const df_results *results,
                                      int64_t most_rows,
                                      df_report_picked *out,
                                      df_err *err);
void df_report_picked_fini(df_report_picked *picked);
bool df_report_is_shown(const df_report_picked *picked, const df_store_search *search);
bool df_report_is_front(const df_report_picked *picked, int64_t work_id);

/* Calls `each` for the rows of /searches in turn, until it fails. */
typedef df_status (*df_report_visitor)(void *ctx, const df_store_search *search, df_err *err);
DF_NODISCARD df_status df_report_visit(const df_results *results,
                                       df_report_visitor each,
                                       void *ctx,
                                       df_err *err);

/* ---- report_column.c ---- */

typedef enum { DF_COLUMN_WHOLE, DF_COLUMN_REAL, DF_COLUMN_ROUNDED } df_column_kind;

/* A column that grows. */
typedef struct {
    const char *name;
    df_column_kind kind; /* ROUNDED: 7 digits */
    double *value;
    int64_t count, room;
} df_column;

DF_NODISCARD df_status df_column_add(df_column *column, double value, df_err *err);
/* {"c": VALUE} if all values are the same, otherwise {"t": "u8" ... "f64", "b": base64 of
 * little-endian numbers}. Frees the column's memory. NULL: out of memory. */
json_t *df_column_json(df_column *column);

/* object[key] = value, or null if the value is not finite. */
void df_report_real(json_t *object, const char *key, double value);

/* ---- report_rows.c ---- */

/* Adds "searches", and notes of which strategies they are. */
DF_NODISCARD df_status df_report_add_searches(json_t *root,
                                              df_report_source *source,
                                              df_report_picked *picked,
                                              df_err *err);
/* Adds "strategies" and "reasons", after the searches. Of more than `most` strategies those that
 * searches on the page are of. */
DF_NODISCARD df_status df_report_add_strategies(json_t *root,
                                                df_report_source *source,
                                                const df_report_picked *picked,
                                                int64_t most,
                                                df_err *err);
/* Adds "trajectories". */
DF_NODISCARD df_status df_report_add_trajectories(json_t *root,
                                                  const df_results *results,
                                                  const df_report_picked *picked,
                                                  df_err *err);

/* ---- report_design.c ---- */

/* Adds "designs": the best of the best strategies, and of the front. */
DF_NODISCARD df_status df_report_add_designs(json_t *root,
                                             df_report_source *source,
                                             const df_report_picked *picked,
                                             df_err *err);

#endif
