/* fit.h: constants of a card from kernels that were measured on it, by robust non-linear least
 * squares: GSL's trust region (Levenberg and Marquardt) on soft-L1 residuals of the logarithm of
 * predicted over measured time. Each operator has three to nine constants of its own; what all
 * cards have in common stays. Deterministic. */
#ifndef DF_FIT_H
#define DF_FIT_H
#include "kernels/kernels.h"
#include "validate/csv.h"
#include "validate/validate.h"

/* Measured rows of one operator. Borrowed. */
typedef struct {
    const df_csv *csv;
    const size_t *row;
    size_t count;
    df_val_operator op;
} df_fit_rows;

/* Of |predicted / measured - 1|. */
typedef struct {
    double median, p90;
} df_fit_error;

enum { DF_FIT_FOLDS = 5, DF_FIT_CONSTANTS = 9 };

typedef struct {
    size_t rows;
    int constants;
    df_fit_error before, after;
    df_fit_error crossed; /* of rows that the fit has not seen: DF_FIT_FOLDS times a part of them */
} df_fit_result;

/* Rows without which an operator is not fitted: so many for each constant, and so many in all. */
enum { DF_FIT_ROWS_EACH = 2, DF_FIT_ROWS_LEAST = 10 };

/* Fits the operator's constants of *card, which is changed only where that succeeds. Products come
 * first: the others use some of their constants.
 * DF_EINVAL: too few rows, or a row that cannot be read. DF_INFEASIBLE: the card has no rate for a
 * row's format. DF_ENOMEM. */
DF_NODISCARD df_status df_fit_operator(const df_fit_rows *rows,
                                       df_card *card,
                                       df_fit_result *out,
                                       df_err *err);

#endif
