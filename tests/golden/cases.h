/* cases.h: recorded cases in a compact text form, and CSV tables.
 *
 * A file of cases builds on golden/bases.txt. Both have one statement a line:
 *
 *     # a comment
 *     @base NAME [BASE]           begins a base, as a copy of an earlier one
 *     @case NAME BASE [BASE]      begins a case with the settings of bases
 *     section.key = value         adds or replaces a setting
 *     !section.key                removes one
 *     > [GROUP ]key=value ...     results to expect, of the part named GROUP
 *     > error                     the input is to be refused
 *
 * Settings make up YAML documents: those under model_param the model file, all
 * others the hardware file. */
#ifndef DF_TEST_CASES_H
#define DF_TEST_CASES_H
#include "support/support.h"

typedef struct {
    const char *name;
    char *hardware;     /* YAML text */
    char *model;        /* YAML text, or NULL */
    bool refused;       /* an error is expected */
    const char *expect; /* the lines after ">", each ended by a newline */
} df_case;

/* Calls `check` for each case of golden/FILE; a case for which it returns false
 * has failed. Returns the number of cases; fails the test if one failed. */
int df_cases_check(const char *file, bool (*check)(const df_case *, void *), void *context);

/* Calls `value_of` for each expected result and compares. `group` is "" for a
 * result of no group. value_of returns false for a name that it does not know, and
 * gives either a number or a text (then *text is set). Prints what differs by
 * more than tol relative; returns whether nothing does. */
typedef bool (*df_case_value)(
    const void *result, const char *group, const char *key, double *number, const char **text);
bool df_case_compare(const df_case *c, df_case_value value_of, const void *result, double tol);

/* Whether a and b are equal up to tol, infinities included. */
bool df_case_close(double a, double b, double tol);

/* A table with a header line; "#" begins a comment. */
typedef struct df_csv df_csv;

df_csv *df_csv_open(const char *file); /* golden/FILE; fails the test if unreadable */
bool df_csv_next(df_csv *csv);         /* goes to the next row, if there is one */
const char *df_csv_text(const df_csv *csv, const char *column);
double df_csv_number(const df_csv *csv, const char *column);
void df_csv_close(df_csv *csv);

#endif
