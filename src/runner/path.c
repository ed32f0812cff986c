#include <stdarg.h>
#include <stdio.h>

#include "runner/runner_impl.h"

df_status df_runner_path(char path[DF_RUNNER_PATH], df_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(path, DF_RUNNER_PATH, format, args);
    va_end(args);
    return length < DF_RUNNER_PATH ? DF_OK
                                   : df_fail(err, DF_EINVAL,
                                             "%.200s...: expected a path of "
                                             "fewer than %d bytes",
                                             path, DF_RUNNER_PATH);
}
