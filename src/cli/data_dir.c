#include "data_dir.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Folder of the running program; "." where the system does not say. */
static void program_dir(char dir[DF_DATA_PATH])
{
    const ssize_t length = readlink("/proc/self/exe", dir, DF_DATA_PATH - 1);
    dir[length > 0 ? length : 0] = '\0';
    char *const slash = strrchr(dir, '/');
    if (slash) {
        *slash = '\0';
    } else {
        snprintf(dir, DF_DATA_PATH, ".");
    }
}

df_status df_data_find(const char *name, char path[DF_DATA_PATH], df_err *err)
{
    static const char *const places[] = {"../share/deepflow", "..", "../.."};
    char dir[DF_DATA_PATH];
    program_dir(dir);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const int length = snprintf(path, DF_DATA_PATH, "%s/%s/%s", dir, places[i], name);
        if (length < DF_DATA_PATH && access(path, R_OK) == 0) {
            return DF_OK;
        }
    }
    return df_fail(err, DF_EIO, "%s: expected it in %.800s/../share/deepflow, found nothing", name,
                   dir);
}
