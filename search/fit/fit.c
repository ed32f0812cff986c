#include "fit/fit.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_multifit_nlinear.h>

/* ---- Constants ---- */

/* Columns whose word makes a constant count: without such rows it stays. */
typedef struct {
    size_t at;
    const char *column, *word; /* NULL: any row */
    double most;               /* that hardware has; 0: no bound is known */
} constant;

#define AT(field) (offsetof(df_calibration, field) / sizeof(double))

static const constant gemm[] = {{AT(gemm_kernel_s), NULL, NULL, 0},
                                {AT(gemm_tensor), NULL, NULL, 0},
                                {AT(gemm_throttle), NULL, NULL, 0},
                                {AT(gemm_dram), NULL, NULL, 0},
                                {AT(gemm_l2_share), NULL, NULL, 0}};
static const constant prefill[] = {
    {AT(prefill_fixed_s), NULL, NULL, 0}, {AT(prefill_tensor), NULL, NULL, 0},
    {AT(prefill_tile_s), NULL, NULL, 0},  {AT(prefill_dram), NULL, NULL, 0},
    {AT(prefill_order), NULL, NULL, 0},   {AT(prefill_wide_head), "head_dim", "256", 0}};
static const constant decode[] = {{AT(decode_fixed_s), NULL, NULL, 0},
                                  {AT(decode_dram), NULL, NULL, 0},
                                  /* the width of a bundle's path to the L2 */
                                  {AT(decode_sm_bytes_per_cycle), NULL, NULL, 128}};
static const constant experts[] = {{AT(moe_fixed_s), NULL, NULL, 0},
                                   {AT(moe_tensor), NULL, NULL, 0},
                                   {AT(moe_dram), NULL, NULL, 0}};
static const constant collective[] = {
    {AT(collective_start_s), NULL, NULL, 0},
    {AT(collective_hop_s), NULL, NULL, 0},
    {AT(collective_bandwidth), NULL, NULL, 0},
    {AT(collective_low_latency), NULL, NULL, 0},
    {AT(collective_all_to_all), "op", "all_to_all", 0},
    {AT(collective_one_shot_sglang_s), "implementation", "custom_sglang", 0},
    {AT(collective_two_shot), "implementation", "custom_sglang", 0},
    {AT(collective_one_shot), "implementation", "custom_sglang", 0},
    {AT(collective_one_shot_trtllm_s), "implementation", "custom_trtllm", 0}};

static const struct {
    const constant *list;
    size_t count;
    double scale; /* of the residuals: errors beyond it count by their size, not its square */
} operators[DF_VAL_OPERATORS] = {
    [DF_VAL_GEMM] = {gemm, sizeof gemm / sizeof gemm[0], 0.08},
    [DF_VAL_PREFILL] = {prefill, sizeof prefill / sizeof prefill[0], 0.08},
    [DF_VAL_DECODE] = {decode, sizeof decode / sizeof decode[0], 0.08},
    [DF_VAL_EXPERTS] = {experts, sizeof experts / sizeof experts[0], 0.10},
    [DF_VAL_COLLECTIVE] = {collective, sizeof collective / sizeof collective[0], 0.06}};

/* ---- A problem ---- */

typedef struct {
    df_fit_rows rows;
    double *measured_s;
    constant fitted[DF_FIT_CONSTANTS];
    int constants;
    df_card start, card;
    int left_out;     /* the fold whose rows do not count, or -1 */
    df_status status; /* of the first row that failed */
    df_err err;
} problem;

/* By its number in the struct, whose fields are all doubles. */
static double get_constant(const df_card *card, size_t at)
{
    double value[sizeof card->is / sizeof(double)];
    memcpy(value, &card->is, sizeof card->is);
    return value[at];
}

static void set_constant(df_card *card, size_t at, double number)
{
    double value[sizeof card->is / sizeof(double)];
    memcpy(value, &card->is, sizeof card->is);
    value[at] = number;
    memcpy(&card->is, value, sizeof card->is);
}

static bool counts(const problem *p, size_t row)
{
    return p->left_out < 0 || (int)(row % DF_FIT_FOLDS) != p->left_out;
}

/* Coordinates are 1 plus the logarithm of a constant over its first value, so that differences of
 * 1 % of a coordinate are 1 % of the constant. */
static void set_constants(problem *p, const gsl_vector *x)
{
    p->card = p->start;
    for (int i = 0; i < p->constants; i++) {
        const constant *const c = &p->fitted[i];
        const double first = get_constant(&p->start, c->at);
        const double value = first * exp(gsl_vector_get(x, (size_t)i) - 1.0);
        set_constant(&p->card, c->at, c->most > 0.0 ? fmin(value, c->most) : value);
    }
}

static df_status predict(problem *p, size_t row, double *time_s)
{
    return df_val_time_kernel(p->rows.csv, p->rows.row[row], p->rows.op, &p->card, time_s, &p->err);
}

/* The root of the soft-L1 loss of r, with its sign: its square is the loss. */
static double softened(double r)
{
    return copysign(sqrt(2.0 * (sqrt(1.0 + r * r) - 1.0)), r);
}

/* What the rows do not say of a constant leaves it near its first value: a weak pull, as of a row
 * that is off by the scale where the constant is off by a factor of e. */
static int residuals(const gsl_vector *x, void *context, gsl_vector *f)
{
    problem *const p = context;
    const double scale = operators[p->rows.op].scale;
    set_constants(p, x);
    for (size_t i = 0; i < p->rows.count; i++) {
        double time_s = p->measured_s[i];
        if (counts(p, i) && p->status == DF_OK) {
            p->status = predict(p, i, &time_s);
        }
        gsl_vector_set(f, i, softened(log(time_s / p->measured_s[i]) / scale));
    }
    for (int i = 0; i < p->constants; i++) {
        gsl_vector_set(f, p->rows.count + (size_t)i, gsl_vector_get(x, (size_t)i) - 1.0);
    }
    return p->status == DF_OK ? GSL_SUCCESS : GSL_FAILURE;
}

/* Leaves the fitted card in p->card. */
static df_status solve(problem *p, df_err *err)
{
    const size_t most_steps = 60;
    const double tolerance = 1e-6;
    const size_t n = p->rows.count + (size_t)p->constants;
    const size_t m = (size_t)p->constants;
    gsl_multifit_nlinear_parameters how = gsl_multifit_nlinear_default_parameters();
    how.h_df = 3e-3; /* times are a staircase of tiles and waves */
    gsl_multifit_nlinear_fdf system = {.f = residuals, .n = n, .p = m, .params = p};
    gsl_multifit_nlinear_workspace *const w =
        gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &how, n, m);
    gsl_vector *const x = gsl_vector_alloc(m);
    if (!w || !x) {
        gsl_multifit_nlinear_free(w);
        gsl_vector_free(x);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    gsl_vector_set_all(x, 1.0);
    p->status = DF_OK;
    int why;
    if (gsl_multifit_nlinear_init(x, &system, w) == GSL_SUCCESS) {
        /* one that ends without a better step has found the best that it can */
        gsl_multifit_nlinear_driver(most_steps, tolerance, tolerance, tolerance, NULL, NULL, &why,
                                    w);
        set_constants(p, gsl_multifit_nlinear_position(w));
    }
    gsl_multifit_nlinear_free(w);
    gsl_vector_free(x);
    if (p->status != DF_OK) {
        *err = p->err;
    }
    return p->status;
}

/* ---- Errors ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static df_fit_error summary(double *errors, size_t count)
{
    qsort(errors, count, sizeof *errors, by_value);
    const size_t nine_tenths = (9 * (count - 1) + 5) / 10;
    return (df_fit_error){0.5 * (errors[(count - 1) / 2] + errors[count / 2]), errors[nine_tenths]};
}

/* Of the rows that p->left_out leaves out (-1: all), into errors[], which has `count` so far. */
static df_status add_errors(problem *p, double *errors, size_t *count, df_err *err)
{
    for (size_t i = 0; i < p->rows.count; i++) {
        double time_s;
        if (p->left_out >= 0 && counts(p, i)) {
            continue;
        }
        const df_status status = predict(p, i, &time_s);
        if (status != DF_OK) {
            *err = p->err;
            return status;
        }
        errors[(*count)++] = fabs(time_s / p->measured_s[i] - 1.0);
    }
    return DF_OK;
}

static df_status fit_all(problem *p, double *errors, df_fit_result *out, df_err *err)
{
    size_t count = 0;
    for (p->left_out = 0; p->left_out < DF_FIT_FOLDS; p->left_out++) {
        DF_TRY(solve(p, err));
        DF_TRY(add_errors(p, errors, &count, err));
    }
    out->crossed = summary(errors, count);
    p->left_out = -1;
    p->card = p->start;
    count = 0;
    DF_TRY(add_errors(p, errors, &count, err));
    out->before = summary(errors, count);
    DF_TRY(solve(p, err));
    count = 0;
    DF_TRY(add_errors(p, errors, &count, err));
    out->after = summary(errors, count);
    return DF_OK;
}

/* ---- Operators ---- */

static bool has(const df_fit_rows *rows, const constant *c)
{
    for (size_t i = 0; c->column && i < rows->count; i++) {
        if (strcmp(df_csv_text(rows->csv, rows->row[i], c->column), c->word) == 0) {
            return true;
        }
    }
    return !c->column;
}

static df_status check_rows(const problem *p, df_err *err)
{
    const size_t each = (size_t)p->constants * DF_FIT_ROWS_EACH;
    const size_t least = each > DF_FIT_ROWS_LEAST ? each : DF_FIT_ROWS_LEAST;
    return p->rows.count >= least
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "%s: expected at least %zu measured rows for %d constants, found %zu",
                         df_val_operator_name(p->rows.op), least, p->constants, p->rows.count);
}

static df_status read_times(problem *p, df_err *err)
{
    for (size_t i = 0; i < p->rows.count; i++) {
        const size_t row = p->rows.row[i];
        DF_TRY(df_csv_real(p->rows.csv, row, "time_s", NAN, &p->measured_s[i], err));
        if (!(p->measured_s[i] > 0.0)) {
            return df_csv_refuse(p->rows.csv, row, "time_s", "a time above 0", err);
        }
    }
    return DF_OK;
}

df_status df_fit_operator(const df_fit_rows *rows, df_card *card, df_fit_result *out, df_err *err)
{
    problem p = {.rows = *rows, .start = *card, .card = *card, .left_out = -1};
    for (size_t i = 0; i < operators[rows->op].count; i++) {
        const constant *const c = &operators[rows->op].list[i];
        if (has(rows, c) && get_constant(card, c->at) > 0.0) {
            p.fitted[p.constants++] = *c;
        }
    }
    DF_TRY(check_rows(&p, err));
    double *const room = calloc(2 * rows->count + 1, sizeof *room);
    if (!room) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    p.measured_s = room;
    df_fit_result result = {.rows = rows->count, .constants = p.constants};
    df_status status = read_times(&p, err);
    if (status == DF_OK) {
        status = fit_all(&p, room + rows->count, &result, err);
    }
    free(room);
    DF_TRY(status);
    card->is = p.card.is;
    *out = result;
    return DF_OK;
}
