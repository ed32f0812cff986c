#include "amount.h"

#include <stdio.h>

#include "base/units.h"

enum { PREFIXES = 5 };

static const char *
amount_text(double value, double step, const char *const units[PREFIXES], char text[DF_AMOUNT])
{
    int i = 0;
    while (i < PREFIXES - 1 && value >= step) {
        value /= step;
        i++;
    }
    snprintf(text, DF_AMOUNT, "%.4g %s", value, units[i]);
    return text;
}

const char *df_size_text(double bytes, char text[DF_AMOUNT])
{
    static const char *const units[PREFIXES] = {"B", "KiB", "MiB", "GiB", "TiB"};
    return amount_text(bytes, DF_KIB, units, text);
}

const char *df_rate_text(double bytes_ps, char text[DF_AMOUNT])
{
    static const char *const units[PREFIXES] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
    return amount_text(bytes_ps, 1000.0, units, text);
}
