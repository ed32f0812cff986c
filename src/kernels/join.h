/* join.h: how times that overlap are joined, (x^p + y^p + ...)^(1/p): the longest of them where one
 * is much longer, a little more where they are alike. */
#ifndef DF_KERNELS_JOIN_H
#define DF_KERNELS_JOIN_H
#include <math.h>

/* (1 + r^p)^(1/p) times the larger one; r is the smaller over the larger. */
static inline double df_join(double p, double x, double y)
{
    const double most = fmax(x, y);
    const double least = fmin(x, y);
    if (!(least > 0.0) || !isfinite(most)) {
        return most;
    }
    const double r = least / most;
    if (p == 3.0) {
        return most * cbrt(1.0 + r * r * r);
    }
    if (p == 8.0) {
        const double square = r * r;
        const double fourth = square * square;
        return most * sqrt(sqrt(sqrt(1.0 + fourth * fourth)));
    }
    if (p == 4.0) {
        return most * sqrt(sqrt(1.0 + r * r * r * r));
    }
    return most * pow(1.0 + pow(r, p), 1.0 / p);
}

/* The same of three, p = 4. */
static inline double df_join4(double x, double y, double z)
{
    const double most = fmax(fmax(x, y), z);
    if (!isfinite(most) || !(most > 0.0)) {
        return most;
    }
    const double a = x / most * (x / most);
    const double b = y / most * (y / most);
    const double c = z / most * (z / most);
    return most * sqrt(sqrt(a * a + b * b + c * c));
}

#endif
