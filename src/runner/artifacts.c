/* Folders with the files of a job, for people to look at. Everything is first written elsewhere and
 * then moved into place under a lock, so that simultaneous runs leave the files of one of them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "chakra/et_text.h"
#include "draw/draw.h"
#include "runner/runner_impl.h"

enum { DRAWN_RANKS = 11, NAME_ROOM = 256 };

/* ---- Pictures ---- */

typedef struct {
    df_draw *draw;
    const df_runner_job *job;
    bool edges; /* nodes first, then edges */
} drawing;

static df_status draw_node(void *context, int32_t rank, const df_net_node *node, df_err *err)
{
    static const df_draw_kind kinds[] = {[DF_NET_MARK] = DF_DRAW_MARK,
                                         [DF_NET_COMPUTE] = DF_DRAW_COMPUTE,
                                         [DF_NET_SEND] = DF_DRAW_MESSAGE,
                                         [DF_NET_RECEIVE] = DF_DRAW_MESSAGE,
                                         [DF_NET_COMM] = DF_DRAW_COLLECTIVE};
    const drawing *const d = context;
    char name[NAME_ROOM] = "";
    char label[NAME_ROOM + 64];
    (void)rank;
    (void)err;
    if (d->edges) {
        for (int32_t i = 0; i < node->num_deps; i++) {
            df_draw_edge(d->draw, node->deps[i], node->id);
        }
        return DF_OK;
    }
    if (d->job->name_node) {
        d->job->name_node(d->job->name_context, node, name, sizeof name);
    }
    if (node->type == DF_NET_COMPUTE) {
        snprintf(label, sizeof label, "%s\n%" PRIu64 " us", name, node->duration_ns / 1000);
    } else if (node->type == DF_NET_COMM) {
        snprintf(label, sizeof label, "%s\n%s, %" PRIu64 " bytes", name,
                 df_net_collective_name(node->collective), node->bytes);
    } else {
        snprintf(label, sizeof label, "%s\n%s %d, %" PRIu64 " bytes", name,
                 node->type == DF_NET_SEND ? "to" : "from", (int)node->peer, node->bytes);
    }
    df_draw_node(d->draw, node->id, kinds[node->type], (int32_t)node->type, label);
    return DF_OK;
}

static df_status draw_rank(const df_runner_job *job, int32_t rank, const char *path, df_err *err)
{
    char title[64];
    snprintf(title, sizeof title, "rank %d", (int)rank);
    drawing d = {df_draw_new(title), job, false};
    if (!d.draw) {
        return df_fail(err, DF_ENOMEM, "out of memory for %s", path);
    }
    df_status status = df_net_program_visit(job->program, rank, draw_node, &d, err);
    d.edges = true;
    if (status == DF_OK) {
        status = df_net_program_visit(job->program, rank, draw_node, &d, err);
    }
    if (status == DF_OK) {
        status = df_draw_write(d.draw, path, err);
    }
    df_draw_free(d.draw);
    return status;
}

static df_status print_rank(const char *trace, const char *path, df_err *err)
{
    FILE *const out = fopen(path, "wbe");
    if (!out) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    const df_status status = df_et_print_file(out, trace, err);
    const bool failed = ferror(out) != 0;
    if ((fclose(out) != 0 || failed) && status == DF_OK) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    return status;
}

static df_status show_ranks(const char *dir, const df_runner_job *job, df_err *err)
{
    char trace[DF_RUNNER_PATH];
    char path[DF_RUNNER_PATH];
    const int32_t ranks = df_net_program_ranks(job->program);
    for (int32_t r = 0; r < ranks && r < DRAWN_RANKS; r++) {
        DF_TRY(df_runner_path(trace, err, "%s/" DF_ASTRA_PREFIX ".%" PRId32 ".et", dir, r));
        DF_TRY(df_runner_path(path, err, "%s/" DF_ASTRA_PREFIX ".%" PRId32 ".txt", dir, r));
        DF_TRY(print_rank(trace, path, err));
        DF_TRY(df_runner_path(path, err, "%s/" DF_ASTRA_PREFIX ".%" PRId32 ".png", dir, r));
        DF_TRY(draw_rank(job, r, path, err));
    }
    return DF_OK;
}

/* ---- Into place ---- */

/* Calls for every file (no folder) of a folder. */
static df_status each_file(const char *dir,
                           df_status (*take)(const char *path, const char *to, df_err *err),
                           const char *to,
                           df_err *err)
{
    char path[DF_RUNNER_PATH];
    char target[DF_RUNNER_PATH];
    struct stat is;
    DIR *const folder = opendir(dir);
    if (!folder) {
        return df_fail(err, DF_EIO, "%s: cannot be read: %s", dir, strerror(errno));
    }
    df_status status = DF_OK;
    const struct dirent *entry;
    /* cppcheck-suppress readdirCalled ; the stream is ours alone */
    while (status == DF_OK && (entry = readdir(folder)) != NULL) {
        status = df_runner_path(path, err, "%s/%s", dir, entry->d_name);
        if (status == DF_OK && to) {
            status = df_runner_path(target, err, "%s/%s", to, entry->d_name);
        }
        if (status == DF_OK && lstat(path, &is) == 0 && !S_ISDIR(is.st_mode)) {
            status = take(path, target, err);
        }
    }
    (void)closedir(folder);
    return status;
}

static df_status drop(const char *path, const char *to, df_err *err)
{
    (void)to;
    return unlink(path) == 0 || errno == ENOENT
               ? DF_OK
               : df_fail(err, DF_EIO, "%s: cannot be removed: %s", path, strerror(errno));
}

static df_status move(const char *path, const char *to, df_err *err)
{
    return rename(path, to) == 0
               ? DF_OK
               : df_fail(err, DF_EIO, "%s: cannot be written: %s", to, strerror(errno));
}

static df_status replace(const char *fresh, const char *dir, df_err *err)
{
    DF_TRY(df_dir_make(dir, err));
    const int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        const int cause = errno;
        if (lock >= 0) {
            (void)close(lock);
        }
        return df_fail(err, DF_EIO, "%s: cannot be locked: %s", dir, strerror(cause));
    }
    df_status status = each_file(dir, drop, NULL, err);
    if (status == DF_OK) {
        status = each_file(fresh, move, dir, err);
    }
    (void)close(lock); /* and with it the lock */
    return status;
}

df_status
df_runner_keep_artifacts(const char *dir, bool draw, const df_runner_job *job, df_err *err)
{
    char target[DF_RUNNER_PATH];
    char fresh[DF_RUNNER_PATH];
    DF_TRY(df_dir_make(dir, err));
    DF_TRY(df_runner_path(target, err, "%s/%s", dir, job->folder));
    DF_TRY(df_runner_path(fresh, err, "%s/.astra-XXXXXX", dir));
    if (!mkdtemp(fresh)) {
        return df_fail(err, DF_EIO, "%s: cannot be created: %s", fresh, strerror(errno));
    }
    df_status status = df_runner_write_files(fresh, job, err);
    if (status == DF_OK && draw) {
        status = show_ranks(fresh, job, err);
    }
    if (status == DF_OK) {
        status = replace(fresh, target, err);
    }
    df_dir_remove(fresh);
    return status;
}
