#include "base/data_dir.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Whether `name` can be read in `folder`; its path is then in `path`. */
static bool is_in(const char *folder, const char *name, char path[DF_DATA_PATH])
{
    const int length = snprintf(path, DF_DATA_PATH, "%s/%s", folder, name);
    return length < DF_DATA_PATH && access(path, R_OK) == 0;
}

df_status df_data_find(const char *name, char path[DF_DATA_PATH], df_err *err)
{
    static const char *const places[] = {"../share/deepflow", "..", "../..", "."};
    const char *const given = getenv("DEEPFLOW_DATA_DIR");
    char dir[DF_DATA_PATH];
    if (given && *given != '\0') { /* the user's word: no other folder stands in for it */
        return is_in(given, name, path)
                   ? DF_OK
                   : df_fail(err, DF_EIO,
                             "DEEPFLOW_DATA_DIR: expected a folder with %s, found %.800s", name,
                             given);
    }
    program_dir(dir);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char folder[DF_DATA_PATH + 32];
        snprintf(folder, sizeof folder, "%s/%s", dir, places[i]);
        if (is_in(folder, name, path)) {
            return DF_OK;
        }
    }
    return df_fail(err, DF_EIO,
                   "%s: expected it in %.800s/../share/deepflow or in the folder that "
                   "DEEPFLOW_DATA_DIR names, found nothing",
                   name, dir);
}
