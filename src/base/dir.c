#include "base/dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static df_status make_one(const char *path, df_err *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) {
        return DF_OK;
    }
    return df_fail(err, DF_EIO, "%s: cannot be created: %s", path, strerror(errno));
}

df_status df_dir_make(const char *path, df_err *err)
{
    char part[4096];
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return df_fail(err, DF_EINVAL,
                       "%.64s: expected the path of a folder, of 1 to %zu characters", path,
                       sizeof part - 1);
    }
    memcpy(part, path, length + 1);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        DF_TRY(make_one(part, err));
        *slash = '/';
    }
    DF_TRY(make_one(part, err));
    struct stat is;
    if (stat(path, &is) != 0 || !S_ISDIR(is.st_mode)) {
        return df_fail(err, DF_EIO, "%s: expected a folder, found something else", path);
    }
    if (access(path, W_OK | X_OK) != 0) {
        return df_fail(err, DF_EIO, "%s: cannot be written to: %s", path, strerror(errno));
    }
    return DF_OK;
}

static int remove_one(const char *path, const struct stat *is, int kind, struct FTW *at)
{
    (void)is;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

void df_dir_remove(const char *path)
{
    const int open_folders = 8;
    (void)nftw(path, remove_one, open_folders, FTW_DEPTH | FTW_PHYS);
}
