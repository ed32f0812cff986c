/* Points of a search as vectors without constraints. Of each class with n searched parameters
 * the logarithms of the shares have n - 1 coordinates along an orthonormal basis of what sums
 * to 0 (Helmert's), so every class is on its budget whatever the coordinates are, and no
 * parameter is special. The origin has equal shares. */
#include <math.h>

#include "grad/grad_impl.h"

static const double FAR = 12; /* shares of about e^-12 of another one, and no less */

/* The searched parameters of a class, in order. */
static int list_searched(const bool *searched, int klass, int index[])
{
    int count = 0;
    for (int i = df_class_begin[klass]; i < df_class_begin[klass + 1]; i++) {
        if (searched[i]) {
            index[count++] = i;
        }
    }
    return count;
}

int df_space_dimensions(const df_eval *eval)
{
    const bool *const searched = df_eval_searched(eval);
    int index[DF_PARAMS];
    int count = 0;
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        const int n = list_searched(searched, klass, index);
        count += n > 1 ? n - 1 : 0;
    }
    return count;
}

/* Basis vector k is (1, ..., 1, -(k + 1), 0, ...) / sqrt((k + 1) (k + 2)), with k + 1 ones. */
static double basis_scale(int k)
{
    return 1 / sqrt((double)(k + 1) * (double)(k + 2));
}

void df_space_point(const df_eval *eval, const double *x, df_point *point)
{
    const bool *const searched = df_eval_searched(eval);
    int index[DF_PARAMS];
    *point = *df_eval_template(eval);
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        const int n = list_searched(searched, klass, index);
        double logs[DF_PARAMS] = {0};
        double tail = 0; /* what the basis vectors from k on give to all before */
        double sum = 0;
        for (int k = n - 2; k >= 0; k--) {
            const double step = fmin(fmax(x[k], -FAR), FAR) * basis_scale(k);
            logs[k + 1] = tail - (k + 1) * step;
            tail += step;
        }
        logs[0] = tail;
        for (int i = 0; i < n; i++) {
            logs[i] = exp(logs[i]);
            sum += logs[i];
        }
        for (int i = 0; i < n; i++) {
            point->p[index[i]] = logs[i] / sum * df_eval_budget(eval, klass);
        }
        x += n > 1 ? n - 1 : 0;
    }
    df_eval_fit(eval, point);
}

void df_space_vector(const df_eval *eval, const df_point *point, double *x)
{
    static const double LEAST = 1e-12; /* has a logarithm */
    const bool *const searched = df_eval_searched(eval);
    int index[DF_PARAMS];
    for (int klass = 0; klass < DF_CLASSES; klass++) {
        const int n = list_searched(searched, klass, index);
        double sum = 0; /* sum of the logarithms so far */
        for (int k = 0; k < n - 1; k++) {
            sum += log(fmax(point->p[index[k]], LEAST));
            const double next = log(fmax(point->p[index[k + 1]], LEAST));
            x[k] = fmin(fmax((sum - (k + 1) * next) * basis_scale(k), -FAR), FAR);
        }
        x += n > 1 ? n - 1 : 0;
    }
}
