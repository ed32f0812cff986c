#include "search_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { PATH_ROOM = 4096, HOLDER_ROOM = 512 };

static const double LOOK_S = 0.25; /* others may look whether there is a writer */

/* The holder writes its identity into the lock file, for those that are refused. */
static void sign(int lock)
{
    char text[HOLDER_ROOM];
    char host[256] = "";
    char start[64];
    struct tm utc;
    const time_t now = time(NULL);
    gethostname(host, sizeof host - 1);
    strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    const int length =
        snprintf(text, sizeof text, "process %ld on %s since %s\n", (long)getpid(), host, start);
    if (ftruncate(lock, 0) == 0 && pwrite(lock, text, (size_t)length, 0) != length) {
        return; /* on a full disk the file stays empty */
    }
}

static df_status refuse(const char *dir, int lock, df_err *err)
{
    char holder[HOLDER_ROOM] = "";
    const ssize_t length = pread(lock, holder, sizeof holder - 1, 0);
    holder[length > 0 ? strcspn(holder, "\n") : 0] = '\0';
    return df_fail(err, DF_EIO, "%s: another search is writing to it (%s)", dir,
                   holder[0] != '\0' ? holder : "unknown");
}

static void rest(void)
{
    const struct timespec moment = {0, 100000000}; /* 0.1 s */
    nanosleep(&moment, NULL);
}

static df_status take(const char *dir, const df_search_lock *how, int lock, df_err *err)
{
    const double begin_s = df_clock_s();
    const double wait_s = how->wait_s > LOOK_S ? how->wait_s : LOOK_S;
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return df_fail(err, DF_EIO,
                           "%s: expected a file system with locks (--no_lock continues without "
                           "locks; then make sure that no other search writes there), found: %s",
                           dir, strerror(errno));
        }
        if (how->interrupted && how->interrupted(how->ctx)) {
            return df_fail(err, DF_EINTERRUPTED, "%s: interrupted while waiting for the lock", dir);
        }
        if (df_clock_s() - begin_s >= wait_s) {
            return refuse(dir, lock, err);
        }
        rest();
    }
    sign(lock);
    return DF_OK;
}

df_status df_search_lock_dir(const char *dir, const df_search_lock *how, int *lock, df_err *err)
{
    char path[PATH_ROOM];
    *lock = -1;
    if (how->without) {
        return DF_OK;
    }
    snprintf(path, sizeof path, "%s/.lock", dir);
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        return df_fail(err, DF_EIO, "%s: cannot be created: %s", path, strerror(errno));
    }
    const df_status status = take(dir, how, file, err);
    if (status != DF_OK) {
        close(file);
        return status;
    }
    *lock = file;
    return DF_OK;
}

void df_search_unlock_dir(int lock)
{
    if (lock >= 0) {
        close(lock);
    }
}

bool df_search_nobody_writes(const char *results_path)
{
    char path[PATH_ROOM];
    const char *const slash = strrchr(results_path, '/');
    const int dir = slash ? (int)(slash - results_path) + 1 : 0;
    snprintf(path, sizeof path, "%.*s.lock", dir, results_path);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const bool nobody = file >= 0 && flock(file, LOCK_SH | LOCK_NB) == 0;
    if (file >= 0) {
        close(file); /* and with it the lock */
    }
    return nobody;
}

void df_search_results_path(const char *name, char path[DF_SEARCH_PATH])
{
    struct stat is;
    const bool folder = stat(name, &is) == 0 && S_ISDIR(is.st_mode);
    snprintf(path, DF_SEARCH_PATH, "%s%s", name, folder ? "/results.h5" : "");
}
