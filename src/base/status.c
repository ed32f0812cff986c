#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

/* A text may quote a file, with whatever is in it. */
static void keep_to_one_line(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = ' ';
        }
    }
}

df_status df_fail(df_err *err, df_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        keep_to_one_line(err->text);
    }
    return status;
}

int df_status_exit_code(df_status status)
{
    switch (status) {
    case DF_OK:
        return 0;
    case DF_EINVAL:
        return 2;
    case DF_INFEASIBLE:
        return 3;
    case DF_EINTERRUPTED:
        return 75; /* EX_TEMPFAIL: run again with --resume */
    case DF_EIO:
    case DF_ENOMEM:
    case DF_ERUNTIME:
    case DF_ESTUCK:
        break;
    }
    return 1;
}
