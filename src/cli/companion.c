/* Commands whose libraries take longer to load than a prediction takes run in programs of their
 * own, which lie beside deepflow: searches (MPI, HDF5, GSL) and import-hf (libcurl). */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { PATH_ROOM = 4096 };

/* The path of the running program, and that of the other one, which is in the same folder. */
static df_status
find_programs(const char *program, char self[PATH_ROOM], char other[PATH_ROOM], df_err *err)
{
    const size_t room = strlen(program) + 1;
    const ssize_t length = readlink("/proc/self/exe", self, PATH_ROOM - 1);
    if (length < 0) {
        return df_fail(err, DF_ERUNTIME, "/proc/self/exe: cannot be read: %s", strerror(errno));
    }
    self[length] = '\0';
    const char *const slash = strrchr(self, '/');
    const size_t folder = slash ? (size_t)(slash - self) + 1 : 0;
    if (folder + room > PATH_ROOM) {
        return df_fail(err, DF_ERUNTIME, "%s: the path is too long", self);
    }
    memcpy(other, self, folder);
    memcpy(other + folder, program, room);
    return DF_OK;
}

/* Replaces this process by the other program, with the same arguments. Returns only on failure. */
static df_status start(const char *program, const char *name, int argc, char **argv, df_err *err)
{
    char self[PATH_ROOM];
    char path[PATH_ROOM];
    DF_TRY(find_programs(program, self, path, err));
    const char **const words = malloc(((size_t)argc + 3) * sizeof *words);
    if (!words) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    words[0] = self; /* so that lists of processes show the command that was called */
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

static int run(const char *program, const char *name, int argc, char **argv)
{
    df_err err;
    const df_status status = start(program, name, argc, argv, &err);
    return df_cli_fail(status, &err);
}

int df_cmd_gd_search(int argc, char **argv)
{
    return run("deepflow-search", "GD_search", argc, argv);
}

int df_cmd_arch_search(int argc, char **argv)
{
    return run("deepflow-search", "arch_search", argc, argv);
}

int df_cmd_calibrate(int argc, char **argv)
{
    return run("deepflow-search", "calibrate", argc, argv);
}

int df_cmd_report(int argc, char **argv)
{
    return run("deepflow-search", "report", argc, argv);
}

int df_cmd_query(int argc, char **argv)
{
    return run("deepflow-search", "query", argc, argv);
}

int df_cmd_top(int argc, char **argv)
{
    return run("deepflow-search", "top", argc, argv);
}

int df_cmd_merge(int argc, char **argv)
{
    return run("deepflow-search", "merge", argc, argv);
}

int df_cmd_help_search(void)
{
    return run("deepflow-search", "help_search", 0, NULL);
}

int df_cmd_import_hf(int argc, char **argv)
{
    return run("deepflow-import", "import-hf", argc, argv);
}
