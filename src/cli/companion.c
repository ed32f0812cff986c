/* Searches run in a program of their own, deepflow-search, which lies beside deepflow: its
 * libraries (MPI, HDF5, GSL) take several times longer to load than a prediction takes. */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define PROGRAM "deepflow-search"

enum { PATH_ROOM = 4096 };

/* The running program's path, and that of the other: in the same folder. */
static df_status find_programs(char self[PATH_ROOM], char other[PATH_ROOM], df_err *err)
{
    const ssize_t length = readlink("/proc/self/exe", self, PATH_ROOM - 1);
    if (length < 0) {
        return df_fail(err, DF_ERUNTIME, "/proc/self/exe: cannot be read: %s", strerror(errno));
    }
    self[length] = '\0';
    const char *const slash = strrchr(self, '/');
    const size_t folder = slash ? (size_t)(slash - self) + 1 : 0;
    if (folder + sizeof PROGRAM > PATH_ROOM) {
        return df_fail(err, DF_ERUNTIME, "%s: the path is too long", self);
    }
    memcpy(other, self, folder);
    memcpy(other + folder, PROGRAM, sizeof PROGRAM);
    return DF_OK;
}

/* Becomes the other program, with the same arguments. Returns only on failure. */
static df_status start(const char *name, int argc, char **argv, df_err *err)
{
    char self[PATH_ROOM];
    char path[PATH_ROOM];
    DF_TRY(find_programs(self, path, err));
    const char **const words = malloc(((size_t)argc + 3) * sizeof *words);
    if (!words) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    words[0] = self; /* so that lists of processes show what was called */
    words[1] = name;
    for (int i = 0; i < argc; i++) {
        words[i + 2] = argv[i];
    }
    words[argc + 2] = NULL;
    execv(path, (char **)words);
    const int why = errno;
    free(words);
    return df_fail(err, DF_ERUNTIME, "%s: cannot be run: %s", path, strerror(why));
}

static int run_search(const char *name, int argc, char **argv)
{
    df_err err;
    const df_status status = start(name, argc, argv, &err);
    return df_cli_fail(status, &err);
}

int df_cmd_gd_search(int argc, char **argv)
{
    return run_search("GD_search", argc, argv);
}

int df_cmd_arch_search(int argc, char **argv)
{
    return run_search("arch_search", argc, argv);
}
