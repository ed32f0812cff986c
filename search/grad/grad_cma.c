/* Evolution of a normal distribution in the coordinates of grad_space.c: CMA-ES (Hansen, "The
 * CMA Evolution Strategy: A Tutorial", 2016) with the Cholesky factor of the covariance as its
 * root (Krause, Arbones and Igel, 2016). It looks at the order of the objective's values alone,
 * so steps and plateaus do no harm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mt19937.h"
#include "grad/grad_impl.h"

enum { DIM = DF_PARAMS, LAMBDA_MAX = 16, SEED = 5489 };
_Static_assert(DF_PARAMS <= 20, "4 + 3 log(DF_PARAMS) is at most 12");

/* Found by trials on the problems of docs/search-quality.md. The coordinates are logarithms. */
static const double FIRST_SPREAD = 0.5;
static const double NEXT_SPREAD = 0.1;
static const double WORTH_WAITING = 1e-3; /* gain in the logarithm of the objective */
static const double WORTH_A_ROUND = 1e-4; /* relative gain */

typedef struct {
    double x[DIM], z[DIM];
    double objective;
} member;

typedef struct {
    df_run *run;
    df_mt19937 mt;
    int n, lambda, mu;
    double weight[LAMBDA_MAX / 2];
    double mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu, chi_n;
    /* the distribution */
    double mean[DIM], sigma;
    double c[DIM][DIM], root[DIM][DIM];
    double path_s[DIM], path_c[DIM];
    int generations;
    member all[LAMBDA_MAX];
    int order[LAMBDA_MAX]; /* members, best first */
} evolution;

/* ---- Normal numbers ---- */

static double uniform(df_mt19937 *mt)
{
    return ((double)df_mt_next(mt) + 0.5) * 0x1p-32;
}

/* Marsaglia's polar method, of which the second number is not kept. */
static double normal(df_mt19937 *mt)
{
    for (;;) {
        const double u = 2 * uniform(mt) - 1;
        const double v = 2 * uniform(mt) - 1;
        const double square = u * u + v * v;
        if (square < 1 && square > 0) {
            return u * sqrt(-2 * log(square) / square);
        }
    }
}

/* ---- Set-up ---- */

static void set_weights(evolution *e)
{
    double sum = 0;
    double squares = 0;
    e->mu = e->lambda / 2;
    for (int i = 0; i < e->mu; i++) {
        e->weight[i] = log((e->lambda + 1) / 2.0) - log(i + 1.0);
        sum += e->weight[i];
    }
    for (int i = 0; i < e->mu; i++) {
        e->weight[i] /= sum;
        squares += e->weight[i] * e->weight[i];
    }
    e->mu_eff = 1 / squares;
}

/* Rates of the tutorial's table 1. */
static void set_rates(evolution *e)
{
    const double n = e->n;
    const double mu_eff = e->mu_eff;
    e->c_sigma = (mu_eff + 2) / (n + mu_eff + 5);
    e->d_sigma = 1 + 2 * fmax(0, sqrt((mu_eff - 1) / (n + 1)) - 1) + e->c_sigma;
    e->c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n);
    e->c_1 = 2 / ((n + 1.3) * (n + 1.3) + mu_eff);
    e->c_mu = fmin(1 - e->c_1, 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) * (n + 2) + mu_eff));
    e->chi_n = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
}

static void begin(evolution *e, const df_point *at, double sigma)
{
    df_space_vector(e->run->eval, at, e->mean);
    e->sigma = sigma;
    memset(e->c, 0, sizeof e->c);
    memset(e->path_s, 0, sizeof e->path_s);
    memset(e->path_c, 0, sizeof e->path_c);
    for (int i = 0; i < e->n; i++) {
        e->c[i][i] = 1;
    }
    e->generations = 0;
}

/* ---- One generation ---- */

/* root * root' = c; false if rounding has left c without a root. */
static bool take_root(evolution *e)
{
    for (int j = 0; j < e->n; j++) {
        double diagonal = e->c[j][j];
        for (int k = 0; k < j; k++) {
            diagonal -= e->root[j][k] * e->root[j][k];
        }
        if (!(diagonal > 0)) {
            return false;
        }
        e->root[j][j] = sqrt(diagonal);
        for (int i = j + 1; i < e->n; i++) {
            double sum = e->c[i][j];
            for (int k = 0; k < j; k++) {
                sum -= e->root[i][k] * e->root[j][k];
            }
            e->root[i][j] = sum / e->root[j][j];
        }
    }
    return true;
}

static void multiply(const evolution *e, const double z[DIM], double y[DIM])
{
    for (int i = 0; i < e->n; i++) {
        y[i] = 0;
        for (int k = 0; k <= i; k++) {
            y[i] += e->root[i][k] * z[k];
        }
    }
}

/* Draws and evaluates; the best of the generation is an iterate now and then. */
static df_status sample(evolution *e, df_err *err)
{
    df_run *const run = e->run;
    df_point best_point;
    df_eval_result best;
    double least = HUGE_VAL;
    for (int m = 0; m < e->lambda; m++) {
        member *const one = &e->all[m];
        df_point point;
        df_eval_result result;
        double y[DIM];
        for (int i = 0; i < e->n; i++) {
            one->z[i] = normal(&e->mt);
        }
        multiply(e, one->z, y);
        for (int i = 0; i < e->n; i++) {
            one->x[i] = e->mean[i] + e->sigma * y[i];
        }
        df_space_point(run->eval, one->x, &point);
        df_run_try(run, &point, &result);
        one->objective = df_run_objective(&result);
        if (m == 0 || one->objective < least) {
            least = one->objective;
            best_point = point;
            best = result;
        }
    }
    return df_run_report_now(run, &best_point, &best, err);
}

/* Insertion sort keeps members of the same value in their order. */
static void sort_members(evolution *e)
{
    for (int m = 0; m < e->lambda; m++) {
        int at = m;
        while (at > 0 && e->all[e->order[at - 1]].objective > e->all[m].objective) {
            e->order[at] = e->order[at - 1];
            at--;
        }
        e->order[at] = m;
    }
}

static void move_mean(evolution *e, double z[DIM], double y[DIM])
{
    memset(z, 0, DIM * sizeof z[0]);
    for (int r = 0; r < e->mu; r++) {
        for (int i = 0; i < e->n; i++) {
            z[i] += e->weight[r] * e->all[e->order[r]].z[i];
        }
    }
    multiply(e, z, y);
    for (int i = 0; i < e->n; i++) {
        e->mean[i] += e->sigma * y[i];
    }
}

static void move_paths(evolution *e, const double z[DIM], const double y[DIM], bool *stalled)
{
    const double keep_s = 1 - e->c_sigma;
    const double keep_c = 1 - e->c_c;
    double length = 0;
    for (int i = 0; i < e->n; i++) {
        e->path_s[i] =
            keep_s * e->path_s[i] + sqrt(e->c_sigma * (2 - e->c_sigma) * e->mu_eff) * z[i];
        length += e->path_s[i] * e->path_s[i];
    }
    length = sqrt(length);
    const double young = 1 - pow(keep_s, 2.0 * (e->generations + 1));
    *stalled = !(length / sqrt(young) < (1.4 + 2.0 / (e->n + 1)) * e->chi_n);
    for (int i = 0; i < e->n; i++) {
        e->path_c[i] =
            keep_c * e->path_c[i] + (*stalled ? 0 : sqrt(e->c_c * (2 - e->c_c) * e->mu_eff) * y[i]);
    }
    e->sigma *= exp(fmin(1, e->c_sigma / e->d_sigma * (length / e->chi_n - 1)));
}

static void move_covariance(evolution *e, bool stalled)
{
    const double lost = stalled ? e->c_1 * e->c_c * (2 - e->c_c) : 0;
    double steps[LAMBDA_MAX / 2][DIM];
    for (int r = 0; r < e->mu; r++) {
        multiply(e, e->all[e->order[r]].z, steps[r]);
    }
    for (int i = 0; i < e->n; i++) {
        for (int k = 0; k <= i; k++) {
            double ranks = 0;
            for (int r = 0; r < e->mu; r++) {
                ranks += e->weight[r] * steps[r][i] * steps[r][k];
            }
            e->c[i][k] = (1 - e->c_1 - e->c_mu + lost) * e->c[i][k] +
                         e->c_1 * e->path_c[i] * e->path_c[k] + e->c_mu * ranks;
            e->c[k][i] = e->c[i][k];
        }
    }
}

static df_status generation(evolution *e, df_err *err)
{
    double z[DIM];
    double y[DIM];
    bool stalled;
    DF_TRY(sample(e, err));
    sort_members(e);
    move_mean(e, z, y);
    move_paths(e, z, y, &stalled);
    move_covariance(e, stalled);
    e->generations++;
    return DF_OK;
}

/* ---- The descent ---- */

/* Generations until nothing is gained any more. */
static df_status evolve(evolution *e, df_err *err)
{
    const int patience = 5 + 10 * e->n / e->lambda;
    double best = HUGE_VAL;
    int since = 0;
    while (since < patience && !df_run_spent(e->run) && take_root(e)) {
        DF_TRY(generation(e, err));
        const double now = e->all[e->order[0]].objective;
        since = now < best - WORTH_WAITING ? 0 : since + 1;
        best = fmin(best, now);
    }
    return DF_OK;
}

/* Rounds until one gains nothing: the first from the start on, the others, with less spread,
 * from the best point. */
static df_status all_rounds(evolution *e, df_err *err)
{
    df_run *const run = e->run;
    const df_point *from = &run->out->start;
    double sigma = FIRST_SPREAD;
    double before = HUGE_VAL;
    do {
        before = run->out->best_value;
        begin(e, from, sigma);
        DF_TRY(evolve(e, err));
        DF_TRY(df_descend_finish(run, err));
        from = &run->out->best;
        sigma = NEXT_SPREAD;
    } while (!df_run_spent(run) && run->out->best_value < before * (1 - WORTH_A_ROUND));
    run->out->status = df_run_spent(run) ? DF_SEARCH_ITERATIONS : DF_SEARCH_CONVERGED;
    return DF_OK;
}

df_status df_descend_cma(df_run *run, df_err *err)
{
    evolution *const e = calloc(1, sizeof *e);
    if (!e) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    e->run = run;
    e->n = df_space_dimensions(run->eval);
    e->lambda = 4 + (int)(3 * log(e->n));
    set_weights(e);
    set_rates(e);
    df_mt_init(&e->mt, SEED);
    const df_status status = all_rounds(e, err);
    free(e);
    return status;
}
