#include <math.h>

#include <gsl/gsl_qrng.h>

#include "base/mt19937.h"
#include "grad/grad_impl.h"

const char *const df_start_names[DF_STARTS] = {"auto", "random", "sobol"};

/* A number from 1 to 99 that is not among the `count` drawn ones, as CPython's
 * random.sample(range(1, 100), k) finds it: 7 bits, and again if that is no good. */
static int draw(df_mt19937 *mt, const int *drawn, int count)
{
    for (;;) {
        const int value = (int)(df_mt_next(mt) >> 25) + 1;
        bool taken = value > 99;
        for (int i = 0; i < count; i++) {
            taken = taken || drawn[i] == value;
        }
        if (!taken) {
            return value;
        }
    }
}

void df_grad_start_random(const df_eval *eval, uint32_t index, df_point *start)
{
    const bool *const searched = df_eval_searched(eval);
    df_mt19937 mt;
    df_mt_init_by_array(&mt, &index, 1);
    *start = *df_eval_template(eval);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        int drawn[DF_PARAMS] = {0};
        int count = 0;
        int sum = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            if (searched[i]) {
                drawn[count] = draw(&mt, drawn, count);
                sum += drawn[count++];
            }
        }
        int next = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            if (searched[i]) {
                start->p[i] = (double)drawn[next++] / sum * df_eval_budget(eval, klass);
            }
        }
    }
}

/* Sobol's points repeat their pattern at finer scales; after this many they are shifted instead,
 * so that finding one takes no time that counts. */
enum { SOBOL_POINTS = 1 << 16 };

/* A number in (0, 1), from 32 bits. */
static double draw_share(df_mt19937 *mt)
{
    return ((double)df_mt_next(mt) + 0.5) * 0x1p-32;
}

df_status df_grad_start_sobol(const df_eval *eval, uint32_t index, df_point *start, df_err *err)
{
    const bool *const searched = df_eval_searched(eval);
    const uint32_t shift_number = index / SOBOL_POINTS;
    double u[DF_PARAMS];
    df_mt19937 mt;
    gsl_qrng *const sobol = gsl_qrng_alloc(gsl_qrng_sobol, DF_PARAMS);
    if (!sobol) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i <= index % SOBOL_POINTS; i++) {
        gsl_qrng_get(sobol, u);
    }
    gsl_qrng_free(sobol);
    df_mt_init_by_array(&mt, &shift_number, 1);
    *start = *df_eval_template(eval);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        double sum = 0;
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            const double moved = u[i] + (shift_number > 0 ? draw_share(&mt) : 0);
            if (searched[i]) {
                /* exponential numbers over their sum are uniform on the simplex */
                start->p[i] = -log(fmax(moved - floor(moved), 0x1p-33));
                sum += start->p[i];
            }
        }
        for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
            start->p[i] *= searched[i] ? df_eval_budget(eval, klass) / sum : 1;
        }
    }
    return DF_OK;
}

df_status df_grad_start(const df_eval *eval,
                        const df_grad_options *options,
                        uint32_t index,
                        df_point *start,
                        df_err *err)
{
    const bool evenly = options->starts == DF_START_AUTO ? options->optimizer == DF_OPT_CMA
                                                         : options->starts == DF_START_SOBOL;
    if (evenly) {
        DF_TRY(df_grad_start_sobol(eval, index, start, err));
    } else {
        df_grad_start_random(eval, index, start);
    }
    df_eval_fit(eval, start);
    return DF_OK;
}

df_status df_grad_weights(uint32_t index, double weight[], df_err *err)
{
    gsl_qrng *const sobol = gsl_qrng_alloc(gsl_qrng_sobol, DF_GOALS);
    if (!sobol) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i <= index % SOBOL_POINTS; i++) {
        gsl_qrng_get(sobol, weight);
    }
    gsl_qrng_free(sobol);
    for (int i = 0; i < DF_GOALS; i++) {
        weight[i] = -log(fmax(weight[i], 0x1p-33));
    }
    return DF_OK;
}
